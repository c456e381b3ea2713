package judge

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

// The builders: docker's three are the judges, three are ours.
const (
	classic   = "classic"   // docker build of Debian's docker, without BuildKit
	buildkit  = "buildkit"  // docker build of Debian's docker, with its BuildKit
	modern    = "modern"    // a buildkitd of the version whose parser we use, where there is one
	host      = "host"      // devs on the bare machine
	user      = "user"      // devs on the bare machine, as an ordinary user with mapped ids
	container = "container" // devs as root in the slim image, with docker's default rights
)

// canary is what no build may see: it stands in the environment of every builder.
const canary = "canary-5f0c1d7e"

// World is what judge.sh has started.
type World struct {
	Registry, Docker, Work     string
	DevsBin, DevsImage         string
	AsUser                     string // program that runs its arguments as the user
	Buildctl, BuildkitAddr     string
	SSHSocket, Busybox, Debian string
	Heavy                      bool
}

// worldFromEnv reads the variables that judge.sh exports.
func worldFromEnv() World {
	return World{
		Registry: os.Getenv("REGISTRY"), Docker: os.Getenv("DOCKER"), Work: os.Getenv("JUDGE_WORK"),
		DevsBin: os.Getenv("DEVS_BIN"), DevsImage: os.Getenv("DEVS_IMAGE"), AsUser: os.Getenv("AS_USER"),
		Buildctl: os.Getenv("BUILDCTL"), BuildkitAddr: os.Getenv("BUILDKIT_HOST"),
		SSHSocket: os.Getenv("SSH_AUTH_SOCK"), Busybox: os.Getenv("BUSYBOX"), Debian: os.Getenv("DEBIAN"),
		Heavy: os.Getenv("JUDGE_HEAVY") != "",
	}
}

// Builders are those that this world has, ours first.
func (w World) Builders() []string {
	var list []string
	if w.DevsBin != "" {
		list = append(list, host)
		if w.AsUser != "" {
			list = append(list, user)
		}
	}
	if w.DevsImage != "" {
		list = append(list, container)
	}
	if w.BuildkitAddr != "" {
		list = append(list, modern)
	}
	return append(list, buildkit, classic)
}

func ours(builder string) bool { return builder == host || builder == user || builder == container }

// command is a program with what it needs in its environment.
type command struct {
	args []string
	env  []string
	dir  string
}

// run runs a command and returns its two streams together, and its standard output.
func (w World) run(ctx context.Context, c command) (all, stdout string, err error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, c.args[0], c.args[1:]...)
	cmd.Env = append(os.Environ(), "ALIBABA_CLOUD_ACCESS_KEY_SECRET="+canary, "INPUT_ACCESS-KEY-SECRET="+canary, "ANYTHING_ELSE="+canary)
	cmd.Env = append(cmd.Env, c.env...)
	cmd.Dir = c.dir
	cmd.WaitDelay = 10 * time.Second
	var both, out bytes.Buffer
	both2 := &lockedWriter{w: &both}
	cmd.Stdout = &teeWriter{a: both2, b: &out}
	cmd.Stderr = both2
	err = cmd.Run()
	return both.String(), out.String(), err
}

// Build builds and pushes a case with one builder; the output is of the build alone.
func (w World) Build(ctx context.Context, builder string, p *Prepared, ref string, extra ...string) (output string, err error) {
	var c command
	switch builder {
	case classic, buildkit:
		c = w.dockerBuild(builder, p, ref)
	case modern:
		c = w.buildctl(p, ref)
	case host:
		c = command{args: append([]string{w.DevsBin, "image", "build"}, devsFlags(p, ref, w.SSHSocket, extra)...)}
		c.dir = w.Work
		c.env = []string{"HOME=" + w.Work, "XDG_CACHE_HOME=" + filepath.Join(w.Work, "cache")}
	case user:
		home := filepath.Dir(p.Dir)
		c = command{args: append([]string{w.AsUser, w.DevsBin, "image", "build"}, devsFlags(p, ref, w.SSHSocket, extra)...)}
		c.dir, c.env = home, []string{"HOME=" + home, "XDG_CACHE_HOME=" + filepath.Join(w.Work, "cache-user")}
		if err := giveAway(home, filepath.Join(w.Work, "cache-user")); err != nil {
			return "", err
		}
	case container:
		c = w.devsContainer(p, ref, extra)
	default:
		return "", fmt.Errorf("no builder %q", builder)
	}
	output, _, err = w.run(ctx, c)
	if err != nil || builder != classic && builder != buildkit {
		return output, err
	}
	if pushed, _, err := w.run(ctx, command{args: []string{w.Docker, "push", "-q", ref}}); err != nil {
		return output, fmt.Errorf("pushing %s: %w: %s", ref, err, pushed)
	}
	return output, nil
}

// nobody is the user that as-user.sh becomes.
const nobody = 65534

// giveAway lets the user have the folder of a case, and a cache.
func giveAway(dir, cache string) error {
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return err
	}
	if err := os.Chown(cache, nobody, nobody); err != nil {
		return err
	}
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, nobody, nobody)
	})
}

// buildArgs are the arguments of a case, and the bases, in a stable order.
func (w World) buildArgs(p *Prepared) []string {
	var list []string
	for _, base := range p.Bases {
		list = append(list, base+"="+map[string]string{"BUSYBOX": w.Busybox, "DEBIAN": w.Debian}[base])
	}
	for _, name := range sortedKeys(p.Args) {
		list = append(list, name+"="+p.Args[name])
	}
	return list
}

func (w World) dockerBuild(builder string, p *Prepared, ref string) command {
	args := []string{w.Docker, "build", "--network=host", "--no-cache", "-t", ref, "-f", p.Dockerfile}
	env := []string{"DOCKER_BUILDKIT=0"}
	if builder == buildkit {
		env = []string{"DOCKER_BUILDKIT=1"}
		args = append(args, "--progress=plain")
		for _, id := range sortedKeys(p.Secrets) {
			args = append(args, "--secret", "id="+id+",src="+p.Secrets[id])
		}
		if p.SSH {
			args = append(args, "--ssh", "default="+w.SSHSocket)
		}
	}
	if p.Target != "" {
		args = append(args, "--target", p.Target)
	}
	for _, arg := range w.buildArgs(p) {
		args = append(args, "--build-arg", arg)
	}
	return command{args: append(args, p.Context), env: env}
}

func (w World) buildctl(p *Prepared, ref string) command {
	args := []string{w.Buildctl, "--addr", w.BuildkitAddr, "build", "--progress=plain", "--no-cache", "--frontend=dockerfile.v0",
		"--local", "context=" + p.Context, "--local", "dockerfile=" + filepath.Dir(p.Dockerfile),
		"--opt", "filename=" + filepath.Base(p.Dockerfile), "--opt", "force-network-mode=host", "--allow", "network.host",
		"--output", "type=image,push=true,name=" + ref}
	if p.Target != "" {
		args = append(args, "--opt", "target="+p.Target)
	}
	for _, arg := range w.buildArgs(p) {
		args = append(args, "--opt", "build-arg:"+arg)
	}
	for _, id := range sortedKeys(p.Secrets) {
		args = append(args, "--secret", "id="+id+",src="+p.Secrets[id])
	}
	if p.SSH {
		args = append(args, "--ssh", "default="+w.SSHSocket)
	}
	for _, name := range sortedKeys(p.Contexts) {
		args = append(args, "--local", name+"="+p.Contexts[name], "--opt", "context:"+name+"=local:"+name)
	}
	return command{args: args}
}

// devsFlags are the flags of our builder; they are docker's.
func devsFlags(p *Prepared, ref, ssh string, extra []string) []string {
	args := append([]string{"-f", p.Dockerfile, "-t", ref}, extra...)
	if p.Target != "" {
		args = append(args, "--target", p.Target)
	}
	for _, name := range sortedKeys(p.Args) {
		args = append(args, "--build-arg", name+"="+p.Args[name])
	}
	for _, name := range p.Bases {
		args = append(args, "--build-arg", name)
	}
	for _, id := range sortedKeys(p.Secrets) {
		args = append(args, "--secret", "id="+id+",src="+p.Secrets[id])
	}
	if p.SSH {
		args = append(args, "--ssh", "default="+ssh)
	}
	for _, name := range sortedKeys(p.Contexts) {
		args = append(args, "--build-context", name+"="+p.Contexts[name])
	}
	return append(args, p.Context)
}

// The places at which GitHub's runner mounts the workspace, and where we mount the agent.
const (
	workspace   = "/github/workspace"
	agentSocket = "/github/agent.sock"
)

// devsContainer runs our image with docker's default rights. The folder with the case
// is mounted as GitHub's runner mounts a workspace.
func (w World) devsContainer(p *Prepared, ref string, extra []string) command {
	outside := filepath.Dir(p.Dir)
	args := []string{w.Docker, "run", "--rm", "--network=host", "--workdir", workspace, "-v", outside + ":" + workspace,
		"-e", "BUSYBOX", "-e", "DEBIAN", "-e", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "-e", "INPUT_ACCESS-KEY-SECRET", "-e", "ANYTHING_ELSE"}
	if p.SSH {
		args = append(args, "-v", w.SSHSocket+":"+agentSocket)
	}
	args = append(args, w.DevsImage, "devs", "image", "build")
	for _, arg := range devsFlags(p, ref, agentSocket, extra) {
		args = append(args, strings.ReplaceAll(arg, outside, workspace))
	}
	return command{args: args}
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for key := range m {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

// tail is the end of a long output.
func tail(text string, lines int) string {
	all := strings.Split(strings.TrimRight(text, "\n"), "\n")
	if len(all) > lines {
		all = append([]string{"..."}, all[len(all)-lines:]...)
	}
	return strings.Join(all, "\n")
}
