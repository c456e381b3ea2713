package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"

	"github.com/spf13/cobra"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/credential"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/sandbox"
	"github.com/devs/deploy/pkg/registry/acr"
	"github.com/devs/deploy/pkg/secret"
)

// again runs devs with other arguments in a user namespace, where a user that is not
// root has mapped ids; reason tells why not. The code with which it ended is an
// exitCode: it has printed what was wrong.
func (t *tool) again(ctx context.Context, cfg sandbox.Config, args []string, in io.Reader, out io.Writer) (reason string, err error) {
	c := sandbox.Command{Args: append([]string{"devs"}, args...), Env: t.Environ, Dir: t.Dir, Stdin: in, Stdout: out, Stderr: t.IO.Err}
	reason, err = sandbox.Again(ctx, cfg, c)
	if exit, ok := errors.AsType[*sandbox.ExitError](err); ok && exit.Signal == 0 {
		err = exitCode(exit.Code)
	}
	return reason, err
}

// sandboxConfig is how commands of images are kept apart; unmapped says why there are
// no mapped ids.
func sandboxConfig(isolation, unmapped string) sandbox.Config {
	return sandbox.Config{Isolation: isolation, LookPath: exec.LookPath, Unmapped: unmapped}
}

// functionJob is the build of a function's image, as it is handed to devs in a user
// namespace: hooks and all else stay outside.
type functionJob struct {
	Dir        string // of the application
	Cloud      string // URL of the embedded cloud, "" for none
	Build      jobRef
	Context    string
	Dockerfile string
	PushTo     *jobRef
	Key        *jobKey
}

type jobRef struct {
	Name       string
	Pos        diag.Pos
	InstanceID string
}

// jobKey is a key of the cloud on its way through a pipe.
type jobKey struct{ Provider, AccountID, AccessKeyID, AccessKeySecret, SecurityToken, Region, Endpoint string }

// functionResult is what came of it.
type functionResult struct {
	Digest   string
	Problems []diag.Problem
}

// buildMapped builds the image of a function in a user namespace; reason tells why not.
func (t *tool) buildMapped(ctx context.Context, dir string, cloud *embedded, b component.ImageBuild) (digest, reason string, err error) {
	job := functionJob{Dir: dir, Build: jobRef{b.Name, b.Pos, b.InstanceID}, Context: b.Context, Dockerfile: b.Dockerfile}
	if cloud != nil {
		job.Cloud = cloud.url
	}
	if b.PushTo != nil {
		job.PushTo = &jobRef{b.PushTo.Name, b.PushTo.Pos, b.PushTo.InstanceID}
	}
	if _, ok := acr.Parse(hostOf(b.Name)); ok && cloud == nil && b.Credential != nil && os.Geteuid() != 0 {
		if c, err := b.Credential(); err == nil { // without one the registry decides
			job.Key = &jobKey{c.Provider, c.AccountID, c.AccessKeyID.Reveal(), c.AccessKeySecret.Reveal(), c.SecurityToken.Reveal(), c.Region, c.Endpoint}
		}
	}
	input, err := json.Marshal(job)
	if err != nil {
		return "", "", err
	}
	in, err := pipeOf(input)
	if err != nil {
		return "", "", err
	}
	defer in.Close()
	args := []string{"image"}
	if t.Silent {
		args = append(args, "--silent")
	}
	var out bytes.Buffer
	reason, err = t.again(ctx, sandboxConfig(t.env(envIsolation), ""), append(args, "function"), in, &out)
	if code := exitCode(0); errors.As(err, &code) { // others are told as well
		err = diag.Errorf("the build of %s ended with %v", b.Name, code).WithCode(int(code))
	}
	if reason != "" || err != nil {
		return "", reason, err
	}
	var result functionResult
	if err := json.Unmarshal(out.Bytes(), &result); err != nil {
		return "", "", fmt.Errorf("reading what the build of %s gave: %w", b.Name, err)
	}
	for i := range result.Problems {
		err = errors.Join(err, &result.Problems[i])
	}
	return result.Digest, "", err
}

// pipeOf returns a pipe that holds data and ends. It is no file, and so in no folder.
func pipeOf(data []byte) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	go func() { // ends with the reader
		_, _ = w.Write(data)
		w.Close()
	}()
	return r, nil
}

// newImageFunction is the other side of buildMapped.
func (t *tool) newImageFunction() *cobra.Command {
	return &cobra.Command{
		Use: "function", Hidden: true, Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var job functionJob
			if err := json.NewDecoder(t.IO.In).Decode(&job); err != nil {
				return diag.Errorf("this command is for devs itself: %v", err).WithHint("use devs image build, or devs build")
			}
			t.saveMemory()
			var result functionResult
			var err error
			if result.Digest, err = t.buildFunction(cmd.Context(), job); err != nil {
				if cmd.Context().Err() != nil {
					return err
				}
				result.Problems = problemsOf(err)
			}
			return json.NewEncoder(t.IO.Out).Encode(result)
		},
	}
}

func (t *tool) buildFunction(ctx context.Context, job functionJob) (string, error) {
	var cloud *embedded
	if job.Cloud != "" {
		cloud = &embedded{url: job.Cloud}
	}
	ref := func(r jobRef) component.ImageRef {
		made := component.ImageRef{Name: r.Name, Pos: r.Pos, InstanceID: r.InstanceID}
		if k := job.Key; k != nil {
			t.redactor.Add(k.AccessKeySecret, k.SecurityToken)
			made.Credential = func() (*credential.Credential, error) {
				return &credential.Credential{
					Provider: k.Provider, Source: "the application", AccountID: k.AccountID, AccessKeyID: secret.New(k.AccessKeyID),
					AccessKeySecret: secret.New(k.AccessKeySecret), SecurityToken: secret.New(k.SecurityToken), Region: k.Region, Endpoint: k.Endpoint,
				}, nil
			}
		}
		return made
	}
	build := component.ImageBuild{ImageRef: ref(job.Build), Context: job.Context, Dockerfile: job.Dockerfile}
	if job.PushTo != nil {
		to := ref(*job.PushTo)
		build.PushTo = &to
	}
	return t.images(job.Dir, cloud).Build(ctx, build)
}

// problemsOf returns what a user can read of an error.
func problemsOf(err error) []diag.Problem {
	var all []diag.Problem
	for _, e := range diag.List(err) {
		if p, ok := errors.AsType[*diag.Problem](e); ok {
			shown := *p
			shown.Err = nil
			all = append(all, shown)
			continue
		}
		all = append(all, diag.Problem{Summary: e.Error(), Code: diag.ExitCode(e)})
	}
	return all
}

// buildAgain builds what the command line says in a user namespace; reason tells why
// not.
func (t *tool) buildAgain(ctx context.Context, isolation string) (reason string, err error) {
	var in io.Reader // a secret may come from there
	if file, ok := t.IO.In.(*os.File); ok {
		in = file
	}
	return t.again(ctx, sandboxConfig(isolation, ""), t.Args, in, t.IO.Out)
}
