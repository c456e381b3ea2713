package runner

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/sandbox"
)

// Functions that are images run like custom runtimes, in the files of the image: by
// the best means that package sandbox finds on this machine. They share its network,
// and with custom runtimes its ports: see custom.go.

// defaultPath is the PATH of images that set none, as container engines have it.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// maxEventText is the longest event, in bytes, that fits into a variable on Linux.
const maxEventText = 128<<10 - len(eventVariable) - 2

// eventVariable hands its event to a function that runs once.
const eventVariable = "FC_CUSTOM_CONTAINER_EVENT"

// spawnContained starts the program of an image.
func (p *Pool) spawnContained(ctx context.Context, inst *instance) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer context.AfterFunc(p.life, func() { cancel(errClosed) })()
	defer cancel(nil)
	if err := p.checkContained(ctx, inst); err != nil {
		return err
	}
	image, err := p.takeImage(ctx, inst)
	if err != nil {
		return fmt.Errorf("starting function %s: %w", inst.fn.FuncName, err)
	}
	inst.unpacked = image
	command, err := image.command(inst)
	if err == nil {
		err = p.connect(inst, nil)
	}
	if err == nil {
		err = p.launch(inst, func(out *os.File) (proc, error) {
			command.Stdout, command.Stderr = out, out
			process, err := p.box().Start(p.life, image.root.Dir(), *command)
			if err != nil {
				return nil, err
			}
			return &contained{process}, nil
		})
	}
	if err != nil {
		p.giveBack(inst)
		inst.unpacked = nil
	}
	return err
}

// checkContained refuses what cannot run, and takes its port, before anything is
// unpacked for it.
func (p *Pool) checkContained(ctx context.Context, inst *instance) error {
	fn := inst.fn
	if err := checkTexts(fn); err != nil {
		return err
	}
	if fn.Image == nil {
		return diag.Errorf("function %s has no image", fn.FuncName).WithHint("deploy it again")
	}
	if inst.kind.server() {
		if err := p.takePort(ctx, inst); err != nil {
			return err
		}
	} else if len(inst.event) > maxEventText || bytes.IndexByte(inst.event, 0) >= 0 {
		return diag.Errorf("function %s takes its event as an environment variable: at most %d bytes without NUL", fn.FuncName, maxEventText)
	}
	box := p.box()
	if err := box.Err(); err != nil {
		return notContained(fn, err)
	}
	p.note("images of functions run with %s", box)
	return nil
}

// notContained says that this machine runs no images, why, and what to change.
func notContained(fn Function, err error) error {
	why := err.Error()
	if problem, ok := errors.AsType[*diag.Problem](err); ok && problem.Detail != "" {
		why = strings.Join(strings.Split(strings.TrimSpace(problem.Detail), "\n"), "; ")
	}
	return diag.Errorf("function %s is an image, and this machine runs none: %s", fn.FuncName, why).WithCause(err).
		WithHint("run devs as root or in its own container image, install proot, or deploy to the cloud")
}

// command is the program of the image with its environment: ENTRYPOINT and CMD, or
// what the function has instead. As elsewhere, a new ENTRYPOINT comes without the CMD
// of the image.
func (u *unpacked) command(inst *instance) (*sandbox.Command, error) {
	fn, entrypoint, args := inst.fn, u.contents.Entrypoint, u.contents.Cmd
	if len(fn.Command) > 0 {
		entrypoint, args = fn.Command, nil
	}
	if len(fn.Args) > 0 {
		args = fn.Args
	}
	argv := slices.Concat(entrypoint, args)
	if len(argv) == 0 || argv[0] == "" {
		return nil, diag.Errorf("the image %s of function %s has neither ENTRYPOINT nor CMD", fn.Image.Name, fn.FuncName).
			WithHint("set customContainerConfig.command, or add CMD to the Dockerfile")
	}
	return &sandbox.Command{
		Args: argv, Env: u.environment(inst), Dir: u.dir(),
		UID: u.user.uid, GID: u.user.gid, Groups: u.user.groups,
	}, nil
}

// dir is the working directory, absolute in the image.
func (u *unpacked) dir() string { return path.Join("/", u.contents.WorkingDir) }

// environment is that of the image, then the function's own variables, then those of
// the platform; nothing of this machine's.
func (u *unpacked) environment(inst *instance) []string {
	env := map[string]string{"PATH": defaultPath, "HOME": u.user.home}
	for _, kv := range u.contents.Env {
		if k, v, ok := strings.Cut(kv, "="); ok && k != "" {
			env[k] = v
		}
	}
	maps.Copy(env, inst.fn.Env)
	maps.Copy(env, platform(inst))
	delete(env, "FC_FUNC_CODE_PATH") // there is no code beside the image
	if inst.kind == job {
		env[eventVariable] = string(inst.event)
	}
	list := make([]string, 0, len(env))
	for _, k := range slices.Sorted(maps.Keys(env)) {
		list = append(list, k+"="+env[k])
	}
	return list
}

// settle makes the working directory if there is none, and finds the user.
func (u *unpacked) settle() error {
	files, err := os.OpenRoot(u.root.Dir())
	if err != nil {
		return fmt.Errorf("opening the files of an image: %w", err)
	}
	defer files.Close()
	if dir := strings.TrimPrefix(u.dir(), "/"); dir != "" {
		if _, err := files.Stat(dir); errors.Is(err, fs.ErrNotExist) {
			if err := files.MkdirAll(dir, 0o755); err != nil {
				return fmt.Errorf("making the working directory of an image: %w", err)
			}
		}
	}
	u.user, err = findUser(files, u.contents.User)
	return err
}

// contained is a process in the files of an image.
type contained struct{ process *sandbox.Process }

func (c *contained) over() <-chan struct{} { return c.process.Done() }

func (c *contained) kill() { c.process.Kill() }

// stop kills at once: what leads the sandbox passes on no request to end.
func (c *contained) stop(time.Duration) {
	c.process.Kill()
	<-c.process.Done()
}

func (c *contained) how() string {
	err := c.process.Wait()
	if err == nil {
		return "exit status 0"
	}
	if exit, ok := errors.AsType[*sandbox.ExitError](err); ok && exit.Signal == 0 && exit.Reason == "" {
		return "exit status " + strconv.Itoa(exit.Code)
	}
	return err.Error()
}

func (c *contained) peak() int64 { return 0 }

// runOnce runs the image for one event. What it prints is the log; the result is
// whether it ended with exit status 0.
func (p *Pool) runOnce(ctx context.Context, fn Function, requestID string, event []byte) (*Result, error) {
	inst, failed, err := p.acquire(ctx, fn, requestID, event)
	if err != nil || failed != nil {
		return failed, err
	}
	defer p.release(inst, false)
	start, limit := p.cfg.Now(), orDefault(fn.Timeout)
	bounded, cancel := context.WithTimeoutCause(ctx, limit, errTimeout)
	defer cancel()
	res := &Result{InstanceID: inst.id, Body: []byte{}}
	select {
	case <-inst.proc.over():
		if how := inst.proc.how(); how != "exit status 0" {
			res.ErrorType, res.Body = Unhandled, errorBody(exitMessage(inst, p.cfg.Now().Sub(start)))
		}
	case <-bounded.Done():
		inst.proc.kill()
		if ctx.Err() != nil {
			return nil, fmt.Errorf("invoking function %s: %w", fn.FuncName, context.Cause(ctx))
		}
		<-inst.proc.over()
		res.ErrorType, res.Body = Unhandled, errorBody(timeoutMessage(inst, request{limit: limit}))
	}
	res.Duration = p.cfg.Now().Sub(start)
	<-inst.ended // its log is complete, its image free for the next event
	res.Log = inst.log.since(0)
	return res, nil
}
