package runner

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/sandbox"
)

func TestMain(m *testing.M) {
	if sandbox.Main(os.Args) {
		return
	}
	os.Exit(m.Run())
}

// buildServer compiles the program of the images, once.
var buildServer = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "server")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command("go", "build", "-ldflags=-s -w", "-o", filepath.Join(dir, "server"), "./testdata/server")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return nil, errors.Join(err, errors.New(string(out)))
	}
	return os.ReadFile(filepath.Join(dir, "server"))
})

// layerOf makes a layer of files: their names and texts in turns.
func layerOf(t *testing.T, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	zip, err := gzip.NewWriterLevel(&b, gzip.NoCompression)
	if err != nil {
		t.Fatal(err)
	}
	w := tar.NewWriter(zip)
	for i := 0; i < len(files); i += 2 {
		header := &tar.Header{Name: files[i], Mode: 0o755, Size: int64(len(files[i+1])), Typeflag: tar.TypeReg}
		if err := w.WriteHeader(header); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// testImage is an image in memory that counts how often it is pulled.
type testImage struct {
	Contents
	layers [][]byte
	pulled atomic.Int64
}

func newImage(t *testing.T) *testImage {
	t.Helper()
	server, err := buildServer()
	if err != nil {
		t.Skipf("this test needs go on PATH: %v", err)
	}
	return &testImage{
		Contents: Contents{Entrypoint: []string{"/bin/server"}, Cmd: []string{"from", "image"}, Env: []string{"PATH=/bin", "A=image", "B=image"}},
		layers: [][]byte{
			layerOf(t, "bin/server", string(server), "etc/passwd", "web:x:7:8::/srv:/bin/sh\n", "etc/group", "web:x:8:\nmore:x:9:web\n", "gone", "old"),
			layerOf(t, ".wh.gone", "", "kept", "new"),
		},
	}
}

func (i *testImage) function(t *testing.T, key string, port int) Function {
	t.Helper()
	fn := function(t, "custom-container", "")
	fn.Key, fn.FuncName, fn.CAPort = key, key, port
	fn.Image = &Image{Name: "registry.example/app:1", Pull: func(context.Context) (*Contents, error) {
		i.pulled.Add(1)
		contents := i.Contents
		for _, l := range i.layers {
			contents.Layers = append(contents.Layers, func(context.Context) (io.ReadCloser, error) {
				return io.NopCloser(bytes.NewReader(l)), nil
			})
		}
		return &contents, nil
	}}
	return fn
}

// needSandbox skips a test where no image can run.
func needSandbox(t *testing.T, isolation string) {
	t.Helper()
	box := sandbox.Probe(sandbox.Config{Isolation: isolation, LookPath: exec.LookPath})
	if err := box.Err(); err != nil {
		t.Skipf("this test needs a machine that runs images: %s", diag.Render(err))
	}
}

// TestContainer runs an image by each means that this machine has.
func TestContainer(t *testing.T) {
	for _, isolation := range []string{"namespaces", "chroot", "proot"} {
		t.Run(isolation, func(t *testing.T) {
			needSandbox(t, isolation)
			h := newHarness(t, func(c *Config) { c.Sandbox.Isolation = isolation })
			image := newImage(t)
			fn := image.function(t, "a", freePort(t))
			fn.Init, fn.Env = "init", map[string]string{"B": "function"}
			res := h.want(fn, "hello", "hello")
			if string(res.Log) != "got POST /invoke\n" {
				t.Errorf("log %q", res.Log)
			}
			h.want(fn, "read /kept", "new")
			h.wantError(fn, "read /gone", Handled, "no such file")
			h.want(fn, "args", "/bin/server from image")
			env := "\n" + string(h.invoke(fn, "env").Body) + "\n"
			for _, want := range []string{"\nPATH=/bin\n", "\nA=image\n", "\nB=function\n", "\nFC_FUNCTION_NAME=a\n", "\nFC_SERVER_PORT=", "\nHOME=/"} {
				if !strings.Contains(env, want) {
					t.Errorf("the environment lacks %q: %s", want, env)
				}
			}
			if strings.Contains(env, "FC_FUNC_CODE_PATH") || strings.Contains(env, os.Getenv("PATH")) {
				t.Errorf("the environment has too much: %s", env)
			}
			h.wantError(fn, "exit 5", Unhandled, "exit status 5)")
			h.want(fn, "again", "again")
			if image.pulled.Load() != 1 {
				t.Errorf("the image was pulled %d times", image.pulled.Load())
			}
			if !strings.Contains(h.logged(), isolation) {
				t.Errorf("the log does not say how: %s", h.logged())
			}
		})
	}
}

func TestContainerCommandAndUser(t *testing.T) {
	needSandbox(t, "")
	h := newHarness(t, nil)
	image := newImage(t)
	image.WorkingDir, image.User = "work/dir", "web"
	fn := image.function(t, "a", freePort(t))
	fn.Args = []string{"own"}
	h.want(fn, "args", "/bin/server own")
	if os.Getuid() == 0 {
		h.want(fn, "who", "7:8 [9] /work/dir")
	}
	if env := string(h.invoke(fn, "env").Body); !strings.Contains(env, "HOME=/srv") {
		t.Errorf("HOME of the user: %s", env)
	}
	fn.Key, fn.Command, fn.Args = "b", []string{"server"}, nil
	h.want(fn, "args", "server")
	fn.Key, fn.Command, fn.Args = "c", []string{"/bin/server", "x"}, []string{"y"}
	h.want(fn, "args", "/bin/server x y")
}

func TestContainerHTTP(t *testing.T) {
	needSandbox(t, "")
	h := newHarness(t, nil)
	fn := newImage(t).function(t, "a", freePort(t))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/x?y", strings.NewReader("args")), fn, "req", "")
	if w.Code != 200 || w.Body.String() != "/bin/server from image" {
		t.Errorf("%d %q", w.Code, w.Body)
	}
}

// TestContainerFiles checks what becomes of the files of an image.
func TestContainerFiles(t *testing.T) {
	needSandbox(t, "")
	h := newHarness(t, nil)
	image := newImage(t)
	port := freePort(t)
	a, b := image.function(t, "a", port), image.function(t, "b", port)
	h.want(a, "write /file", "")
	h.wantError(b, "read /file", Handled, "no such file") // which ends the instance of a: they share a port
	h.want(a, "read /file", "written")
	if n := image.pulled.Load(); n != 2 {
		t.Errorf("pulled %d times for two functions", n)
	}
	roots := func() int {
		found, _ := filepath.Glob(filepath.Join(h.dir, "root-*"))
		return len(found)
	}
	h.Stop("b")
	eventually(t, "the image of b is removed", func() bool { return roots() == 1 })
	h.Stop("a")
	eventually(t, "the image of a is removed", func() bool { return roots() == 0 })
	h.wantError(a, "read /file", Handled, "no such file")
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(h.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the folder of the pool is left: %v", err)
	}
}

func TestRunOnce(t *testing.T) {
	needSandbox(t, "")
	h := newHarness(t, nil)
	image := newImage(t)
	fn := image.function(t, "a", 0)
	fn.RunOnce = true
	res := h.want(fn, "args", "")
	if string(res.Log) != "ran once: /bin/server from image\n" {
		t.Errorf("log %q", res.Log)
	}
	h.wantError(fn, "read /absent", Unhandled, "exit status 3)")
	h.want(fn, "write /file", "")
	if res := h.want(fn, "read /file", ""); string(res.Log) != "ran once: written\n" {
		t.Errorf("log %q", res.Log)
	}
	if n := image.pulled.Load(); n != 1 {
		t.Errorf("the image was unpacked %d times", n)
	}
	fn.Timeout = time.Second
	h.wantError(fn, "sleep", Unhandled, "timed out after 1 seconds")
	for _, event := range []string{strings.Repeat("x", 128<<10), "a\x00b"} {
		if _, err := h.Invoke(context.Background(), fn, "r", []byte(event)); err == nil || !strings.Contains(err.Error(), "environment variable") {
			t.Errorf("an event that is no variable: %v", err)
		}
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil), fn, "req", "")
	if w.Code != 400 || !strings.Contains(w.Body.String(), "webServerMode") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}

func TestHealthCheck(t *testing.T) {
	needSandbox(t, "")
	h := newHarness(t, nil)
	fn := newImage(t).function(t, "a", freePort(t))
	fn.Health = &HealthCheck{Path: "ready", Period: time.Millisecond, Timeout: time.Second, FailureThreshold: 3, SuccessThreshold: 2}
	fn.Env = map[string]string{"READY_AFTER": "3"}
	h.want(fn, "x", "x")
	fn.Key, fn.Env = "b", map[string]string{"READY_AFTER": "4"}
	h.wantError(fn, "x", Unhandled, "GET ready: 503 Service Unavailable")
}

func TestContainersThatCannotRun(t *testing.T) {
	image := newImage(t)
	fn := image.function(t, "a", freePort(t))
	invoke := func(h *harness, fn Function) error {
		_, err := h.Invoke(context.Background(), fn, "r", nil)
		return err
	}
	none := newHarness(t, func(c *Config) { c.Sandbox.Isolation = "none" })
	err := invoke(none, fn)
	problem, ok := errors.AsType[*diag.Problem](err)
	if !ok || problem.Hint == "" || !strings.Contains(problem.Summary, "function a is an image") {
		t.Errorf("without isolation: %v", err)
	}
	needSandbox(t, "")
	h := newHarness(t, nil)
	for _, c := range []struct {
		change func(*Function, *testImage)
		want   string
	}{
		{func(f *Function, _ *testImage) { f.Image = nil }, "has no image"},
		{func(_ *Function, i *testImage) { i.Entrypoint, i.Cmd = nil, nil }, "neither ENTRYPOINT nor CMD"},
		{func(_ *Function, i *testImage) { i.User = "nobody-else" }, "nobody-else"},
		{func(_ *Function, i *testImage) { i.layers[1] = []byte("no layer") }, "unpacking the image registry.example/app:1"},
		{func(_ *Function, i *testImage) { i.layers[1] = layerOf(t, "../outside", "x") }, "unpacking the image registry.example/app:1"},
		{func(f *Function, _ *testImage) {
			f.Image = &Image{Name: "x", Pull: func(context.Context) (*Contents, error) { return nil, errors.New("gone") }}
		}, "pulling the image x: gone"},
	} {
		image := newImage(t)
		fn := image.function(t, c.want, freePort(t))
		c.change(&fn, image)
		if c.want != "has no image" && fn.Image.Name != "x" {
			fn.Image = image.function(t, "", 0).Image
		}
		if err := invoke(h, fn); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%v, want %q", err, c.want)
		}
		if left := h.Instances(fn.Key); len(left) != 0 {
			t.Errorf("%s: an instance is left", c.want)
		}
	}
	fn.Command = []string{"/absent"}
	h.wantError(fn, "x", Unhandled, "before it listened on port")
}

// TestCloseWhileUnpacking closes the pool while an image comes slowly.
func TestCloseWhileUnpacking(t *testing.T) {
	needSandbox(t, "")
	h := newHarness(t, nil)
	fn := newImage(t).function(t, "a", freePort(t))
	began := make(chan struct{})
	fn.Image = &Image{Name: "slow", Pull: func(ctx context.Context) (*Contents, error) {
		close(began)
		<-ctx.Done()
		return nil, context.Cause(ctx)
	}}
	result := make(chan error)
	go func() {
		_, err := h.Invoke(context.Background(), fn, "r", nil)
		result <- err
	}()
	<-began
	if err := h.Close(); err != nil {
		t.Error(err)
	}
	if err := <-result; !errors.Is(err, errClosed) {
		t.Errorf("%v", err)
	}
}
