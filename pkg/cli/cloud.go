package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"
	"github.com/spf13/cobra"

	"github.com/devs/deploy/pkg/credential"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/emulator"
	"github.com/devs/deploy/pkg/image/sandbox"
	"github.com/devs/deploy/pkg/runner"
	"github.com/devs/deploy/pkg/secret"
)

// The environment that makes nested calls use the same embedded cloud.
const (
	envEmbedded    = "DEVS_EMBEDDED"
	envEmbeddedDir = "DEVS_EMBEDDED_DIR"
)

// autoDomain is the domain of the embedded cloud's automatic names. Everything
// under localhost leads to this machine (RFC 6761, section 6.3).
const autoDomain = "fc.localhost"

// embedded is an embedded cloud in use: this process's own, or one that another
// process serves from the same folder.
type embedded struct {
	url   string
	dir   string
	close func()
}

// openCloud uses the cloud that another process serves from dir, or serves one
// itself until close. Whoever uses it holds a shared lock, so that the process that
// serves it does not leave before the others are done.
func (t *tool) openCloud(ctx context.Context, dir string) (*embedded, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, diag.Errorf("making the folder of the embedded cloud: %v", err).WithHint("choose another one with %s", envEmbeddedDir)
	}
	users := flock.New(dir + ".users")
	if _, err := users.TryRLockContext(ctx, pollInterval); err != nil {
		return nil, fmt.Errorf("joining the embedded cloud: %w", err)
	}
	for tries := 0; ; tries++ {
		if url, ok := emulator.Locate(dir); ok {
			return &embedded{url: url, dir: dir, close: func() { _ = users.Close() }}, nil
		}
		// A signal ends the command, not the requests that are under way.
		server, err := t.serveCloud(context.WithoutCancel(ctx), dir, lastAddress(dir))
		if err != nil && !errors.Is(err, emulator.ErrInUse) {
			server, err = t.serveCloud(context.WithoutCancel(ctx), dir, "127.0.0.1:0")
		}
		if err == nil {
			return &embedded{url: server.URL, dir: dir, close: func() { leave(users); _ = server.Close() }}, nil
		}
		if !errors.Is(err, emulator.ErrInUse) || tries == joinTries || ctx.Err() != nil {
			_ = users.Close()
			return nil, err
		}
		time.Sleep(pollInterval) // another process has just begun to serve it
	}
}

const (
	pollInterval = 50 * time.Millisecond
	joinTries    = 200
	leaveTimeout = 2 * time.Minute
)

// leave waits until no other process uses the cloud.
func leave(users *flock.Flock) {
	ctx, cancel := context.WithTimeout(context.Background(), leaveTimeout)
	defer cancel()
	_ = users.Unlock()
	_, _ = users.TryLockContext(ctx, pollInterval)
	_ = users.Close()
}

// lastAddress is where the cloud of dir listened last: at the same place again, the
// addresses of its functions stay what they were.
func lastAddress(dir string) string {
	address, err := os.ReadFile(filepath.Join(dir, "last-address"))
	if err != nil {
		return "127.0.0.1:0"
	}
	return strings.TrimSpace(string(address))
}

func (t *tool) serveCloud(ctx context.Context, dir, listen string) (*emulator.Server, error) {
	cfg := emulator.Config{
		Dir: dir,
		Runner: runner.New(runner.Config{
			Dir: filepath.Join(dir, "run"), Env: t.runnerEnv(), Now: t.Now,
			Log:     func(line string) { t.note("cloud: %s", line) },
			Sandbox: sandbox.Config{Isolation: t.env(envIsolation), LookPath: exec.LookPath},
		}),
		Now: t.Now,
	}
	if t.Debug {
		cfg.Log = func(e emulator.Event) {
			fmt.Fprintf(t.IO.Err, "cloud: %s %s %d %s (%s)\n", e.Method, e.Path, e.Status, e.ErrorCode, e.Duration.Round(time.Microsecond))
		}
	}
	server, err := emulator.Start(ctx, cfg, listen)
	if err != nil {
		return nil, err
	}
	address := strings.TrimPrefix(server.URL, "http://")
	if err := os.WriteFile(filepath.Join(dir, "last-address"), []byte(address+"\n"), 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("remembering the address of the embedded cloud: %w", err), server.Close())
	}
	return server, nil
}

// runnerEnv is what of this process's environment the functions see.
func (t *tool) runnerEnv() []string {
	var env []string
	for _, name := range []string{"PATH", "LANG", "LC_ALL", "TZ"} {
		if value, ok := t.getenv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

func (c *embedded) credential(alias string) (*credential.Credential, error) {
	return &credential.Credential{
		Alias:           alias,
		Provider:        "alibaba",
		Source:          "embedded cloud",
		AccountID:       emulator.DefaultAccountID,
		AccessKeyID:     secret.New(emulator.DefaultAccessKeyID),
		AccessKeySecret: secret.New(emulator.DefaultAccessKeySecret),
		Endpoint:        c.url,
	}, nil
}

func (t *tool) newEmulator() *cobra.Command {
	var listen, state string
	cmd := &cobra.Command{
		Use:   "emulator",
		Short: "Serve the embedded cloud for other tools, until interrupted",
		Long: `Serves the embedded cloud: the Function Compute API under /2021-04-06 and
/2016-08-15, HTTP triggers under /2016-08-15/proxy/, and custom domains by Host
header. Official SDKs work against the address that it prints. Commands with
--embedded that use the same state folder find and use it.`,
		Example: "  devs emulator --listen 127.0.0.1:9090",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return t.emulate(cmd.Context(), t.path(state), listen)
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "127.0.0.1:9090", "loopback address to listen on; port 0 picks a free one")
	cmd.Flags().StringVar(&state, "state", ".s/cloud", "folder that keeps everything deployed")
	return cmd
}

func (t *tool) emulate(ctx context.Context, dir, listen string) error {
	if url, ok := emulator.Locate(dir); ok {
		return diag.Errorf("another process serves this embedded cloud already, at %s", url).
			WithHint("use that one, or another folder with --state")
	}
	server, err := t.serveCloud(ctx, dir, listen)
	if err != nil {
		return err
	}
	fmt.Fprintf(t.IO.Out, "endpoint: %s\naccountID: %q\naccessKeyID: %s\naccessKeySecret: %s\n",
		server.URL, emulator.DefaultAccountID, emulator.DefaultAccessKeyID, emulator.DefaultAccessKeySecret)
	fmt.Fprintln(t.IO.Err, "the embedded cloud is running; Ctrl-C ends it")
	<-ctx.Done()
	return server.Close()
}
