package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/cli"
	"github.com/devs/deploy/pkg/emulator"
	"github.com/devs/deploy/pkg/runner"
	"github.com/devs/deploy/pkg/stream"
)

// An arena is an embedded cloud, served by the test over HTTP, and folders with
// applications for it. Commands are processes of this binary, or calls of cli.Main
// where the process does not matter.
type arena struct {
	root   string // holds the cloud's state and the folders
	server *emulator.Server
	wrap   func(http.Handler) http.Handler // around the cloud; may be nil
	env    []string                        // more variables of the commands; the last of a name counts
	keys   map[string]string               // more access keys of the cloud

	mu   sync.Mutex
	busy int // requests under way
}

// memoryDir is a folder in memory, where the embedded cloud need not wait for a disk.
const memoryDir = "/dev/shm"

// scratch makes a folder, in memory where there is room for such.
func scratch() (string, error) {
	parent := ""
	if info, err := os.Stat(memoryDir); err == nil && info.IsDir() {
		parent = memoryDir
	}
	return os.MkdirTemp(parent, "devs-test-")
}

// newArena makes an arena whose cloud holds what is in the folder from, and nothing
// when from is "". The caller closes it.
func newArena(from string, wrap func(http.Handler) http.Handler) (*arena, error) {
	return openArena(&arena{wrap: wrap}, from)
}

// openArena is newArena for an arena with more set.
func openArena(a *arena, from string) (*arena, error) {
	root, err := scratch()
	if err != nil {
		return nil, err
	}
	a.root = root
	if from != "" {
		err = os.CopyFS(a.path(), os.DirFS(from))
	}
	if err == nil {
		err = a.open()
	}
	if err != nil {
		return nil, errors.Join(err, os.RemoveAll(root))
	}
	return a, nil
}

func (a *arena) path(elem ...string) string {
	return filepath.Join(append([]string{a.root}, elem...)...)
}

func (a *arena) open() error {
	var err error
	cfg := emulator.Config{Dir: a.path("cloud"), Runner: idle{}, Keys: map[string]string{emulator.DefaultAccessKeyID: emulator.DefaultAccessKeySecret}}
	maps.Copy(cfg.Keys, a.keys)
	a.server, err = emulator.StartWith(context.Background(), cfg, "127.0.0.1:0", func(cloud http.Handler) http.Handler {
		inner := cloud
		if a.wrap != nil {
			inner = a.wrap(cloud)
		}
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			a.count(1)
			defer a.count(-1)
			inner.ServeHTTP(w, r)
		})
	})
	return err
}

// close ends the cloud and removes the folders.
func (a *arena) close() error {
	return errors.Join(a.server.Close(), os.RemoveAll(a.root))
}

// freeze ends the cloud and returns the root as it is, for newArena to start from.
func (a *arena) freeze() (string, error) { return a.root, a.server.Close() }

func (a *arena) count(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.busy += n
}

// settle waits until no request is under way.
func (a *arena) settle() {
	for {
		a.mu.Lock()
		busy := a.busy
		a.mu.Unlock()
		if busy == 0 {
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// files writes files into a folder of the arena, by their paths in it.
func (a *arena) files(dir string, files map[string]string) error {
	for name, content := range files {
		file := a.path(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// processTimeout bounds each command.
const processTimeout = 90 * time.Second

// outcome is how a command ended.
type outcome struct {
	code   int // -1 when it was killed
	stdout string
	stderr string
}

func (o *outcome) String() string {
	return fmt.Sprintf("exit code %d\n%s%s", o.code, o.stdout, o.stderr)
}

// process is a command that is under way.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer
}

// start starts a command in a folder of the arena, as a process.
func (a *arena) start(dir string, args ...string) (*process, error) {
	p := &process{cmd: exec.Command("devs", a.args(args)...)}
	p.cmd.Dir, p.cmd.Env = a.path(dir), a.environ()
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	return p, p.cmd.Start()
}

// wait waits for the command.
func (p *process) wait() (*outcome, error) {
	late := time.AfterFunc(processTimeout, func() { _ = p.cmd.Process.Kill() })
	err := p.cmd.Wait()
	if !late.Stop() {
		return nil, fmt.Errorf("devs did not end within %v\n%s", processTimeout, p.stderr.String())
	}
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		return nil, err
	} else if ok {
		return &outcome{exit.ExitCode(), p.stdout.String(), p.stderr.String()}, nil
	}
	return &outcome{0, p.stdout.String(), p.stderr.String()}, nil
}

// run runs a command in a folder of the arena, as a process.
func (a *arena) run(dir string, args ...string) (*outcome, error) {
	p, err := a.start(dir, args...)
	if err != nil {
		return nil, err
	}
	return p.wait()
}

// call runs a command in a folder of the arena, inside of this process.
func (a *arena) call(dir string, args ...string) *outcome {
	var stdout, stderr bytes.Buffer
	code := cli.Main(context.Background(), &cli.Env{
		Args:       a.args(args),
		IO:         &stream.IO{In: strings.NewReader(""), Out: &stdout, Err: &stderr},
		Environ:    a.environ(),
		Dir:        a.path(dir),
		Executable: os.Args[0],
		Version:    "test",
		Now:        time.Now,
	})
	return &outcome{code, stdout.String(), stderr.String()}
}

func (a *arena) args(args []string) []string {
	return append(args[:len(args):len(args)], "--endpoint", a.server.URL)
}

func (a *arena) environ() []string {
	return append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + a.root, "GOGC=off", "AccountID=" + emulator.DefaultAccountID,
		"AccessKeyID=" + emulator.DefaultAccessKeyID, "AccessKeySecret=" + emulator.DefaultAccessKeySecret,
	}, a.env...)
}

// api makes a call of the API, as the console would. The answer is nil when it has no
// body. The call goes straight to the cloud, past what is around it.
func (a *arena) api(method, path string, body any) (map[string]any, error) {
	var data []byte
	if body != nil {
		var err error
		if data, err = json.Marshal(body); err != nil {
			return nil, err
		}
	}
	u, err := url.Parse(a.server.URL + "/2021-04-06" + path)
	if err != nil {
		return nil, err
	}
	r, err := http.NewRequest(method, u.String(), bytes.NewReader(data))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Date", time.Now().UTC().Format(http.TimeFormat))
	r.Header.Set("Content-Type", "application/json")
	mac := hmac.New(sha256.New, []byte(emulator.DefaultAccessKeySecret))
	fmt.Fprintf(mac, "%s\n\napplication/json\n%s\n%s", method, r.Header.Get("Date"), u.Path)
	r.Header.Set("Authorization", "FC "+emulator.DefaultAccessKeyID+":"+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	w := &answer{header: http.Header{}}
	a.server.Cloud.ServeHTTP(w, r)
	if w.status >= 300 {
		return nil, fmt.Errorf("%s %s: %d %s", method, path, w.status, w.body.String())
	}
	if w.body.Len() == 0 {
		return nil, nil
	}
	var out map[string]any
	return out, json.Unmarshal(w.body.Bytes(), &out)
}

// answer keeps an answer of the cloud.
type answer struct {
	status int
	header http.Header
	body   bytes.Buffer
}

func (w *answer) Header() http.Header { return w.header }

func (w *answer) WriteHeader(status int) {
	if w.status == 0 {
		w.status = status
	}
}

func (w *answer) Write(p []byte) (int, error) {
	w.WriteHeader(http.StatusOK)
	return w.body.Write(p)
}

// online returns all that is in the cloud, as the API tells it, as JSON. What the
// cloud itself makes, such as times and ids, is left out, and so are tags.
func (a *arena) online() (string, error) {
	services, err := a.list("/services", "services", a.serviceParts)
	if err != nil {
		return "", err
	}
	domains, err := a.list("/custom-domains", "customDomains", nil)
	if err != nil {
		return "", err
	}
	text, err := json.MarshalIndent(map[string]any{"services": services, "domains": domains}, "", "  ")
	return strings.ReplaceAll(string(text), a.server.URL, "http://cloud"), err
}

// list reads a list, and what is under each item of it.
func (a *arena) list(path, field string, under func(path string, item map[string]any) error) ([]any, error) {
	out, err := a.api("GET", path, nil)
	if err != nil {
		return nil, err
	}
	items, _ := out[field].([]any)
	for _, v := range items {
		item := v.(map[string]any)
		for _, name := range []string{
			"createdTime", "lastModifiedTime", "serviceId", "functionId", "triggerId", "lastModified", "accountId",
		} {
			delete(item, name)
		}
		if under == nil {
			continue
		}
		if err := under(path, item); err != nil {
			return nil, err
		}
	}
	return items, nil
}

func (a *arena) serviceParts(path string, service map[string]any) error {
	path += "/" + service["serviceName"].(string)
	bindings, err := a.api("GET", path+"/bindings", nil)
	if err != nil {
		return err
	}
	service["bindings"] = bindings["vpcIds"]
	if service["versions"], err = a.list(path+"/versions", "versions", nil); err != nil {
		return err
	}
	service["functions"], err = a.list(path+"/functions", "functions", a.functionParts)
	return err
}

func (a *arena) functionParts(path string, function map[string]any) error {
	path += "/" + function["functionName"].(string)
	var err error
	if function["triggers"], err = a.list(path+"/triggers", "triggers", nil); err != nil {
		return err
	}
	function["asyncConfigs"], err = a.list(path+"/async-invoke-configs", "configs", nil)
	return err
}

// tags returns the tags of a service.
func (a *arena) tags(service string) (map[string]string, error) {
	arn := "acs:fc:" + emulator.DefaultRegion + ":" + emulator.DefaultAccountID + ":services/" + service
	out, err := a.api("GET", "/tag?resourceArn="+url.QueryEscape(arn), nil)
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	list, _ := out["tags"].(map[string]any)
	for name, value := range list {
		tags[name], _ = value.(string)
	}
	return tags, nil
}

// idle is a runner for clouds whose functions are never called.
type idle struct{}

var errIdle = errors.New("this cloud runs no functions")

func (idle) Invoke(context.Context, runner.Function, string, []byte) (*runner.Result, error) {
	return nil, errIdle
}

func (idle) ServeHTTP(w http.ResponseWriter, _ *http.Request, _ runner.Function, _, _ string) {
	http.Error(w, errIdle.Error(), http.StatusBadGateway)
}

func (idle) Stop(string)               {}
func (idle) Instances(string) []string { return nil }
func (idle) Close() error              { return nil }

// hold reads the body of a request and leaves it to be read again.
func hold(r *http.Request) []byte {
	data, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	r.Body = io.NopCloser(bytes.NewReader(data))
	return data
}

// must ends the test when there is an error.
func must[T any](v T, err error) func(testing.TB) T {
	return func(tb testing.TB) T {
		tb.Helper()
		if err != nil {
			tb.Fatal(err)
		}
		return v
	}
}
