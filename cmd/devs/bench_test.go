package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/cli"
	"github.com/devs/deploy/pkg/emulator"
	"github.com/devs/deploy/pkg/stream"
)

// What these benchmarks measure and how to read them is in docs/performance.md.
//
// A command is a process of the binary, started anew each time, as in a pipeline.
// The cloud is the embedded one; it is served by the benchmark, over HTTP, and its
// start is not measured. The command reaches it with --endpoint and a key from the
// environment, the way it reaches Alibaba Cloud.

var inProcess = flag.Bool("inprocess", false, "run the commands inside the benchmark's process, to profile them")

// far is how long each request takes in the benchmarks of a cloud that is not near.
const far = 50 * time.Millisecond

// BenchmarkVersion starts the binary and has it print its version.
func BenchmarkVersion(b *testing.B) {
	binary := build(b)
	info, err := os.Stat(binary)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if out, err := exec.Command(binary, "-v").CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	}
	b.ReportMetric(float64(info.Size())/(1<<20), "MiB-binary")
}

// BenchmarkStartOther starts the program in DEVS_BENCH_START (words separated by
// spaces) the way BenchmarkVersion starts devs, to compare the two.
func BenchmarkStartOther(b *testing.B) {
	words := strings.Fields(os.Getenv("DEVS_BENCH_START"))
	if len(words) == 0 {
		b.Skip("DEVS_BENCH_START names no program to compare with")
	}
	for b.Loop() {
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			b.Fatalf("%v\n%s", err, out)
		}
	}
}

func BenchmarkPlan1(b *testing.B)       { benchmark(b, 1, 5, 0, "plan", false) }
func BenchmarkPlan100(b *testing.B)     { benchmark(b, 100, 302, 0, "plan", false) }
func BenchmarkDeploy1(b *testing.B)     { benchmark(b, 1, 5, 3, "deploy", false) }
func BenchmarkDeploy100(b *testing.B)   { benchmark(b, 100, 302, 201, "deploy", false) }
func BenchmarkNoChange1(b *testing.B)   { benchmark(b, 1, 5, 0, "deploy", true) }
func BenchmarkNoChange100(b *testing.B) { benchmark(b, 100, 302, 0, "deploy", true) }

// benchmark runs the command on an application of n functions, of which nothing or
// everything is deployed, against a near cloud and a far one. More requests than
// allowed fail it.
func benchmark(b *testing.B, n, maxReads, maxWrites int, command string, deployed bool) {
	for _, cloud := range []struct {
		name  string
		delay time.Duration
	}{{"near", 0}, {"far", far}} {
		b.Run(cloud.name, func(b *testing.B) {
			w := newWorld(b, n)
			w.open(b)
			if deployed {
				w.run(b, "deploy")
			}
			var sum tally
			ops := 0
			for b.Loop() {
				if command == "deploy" && !deployed {
					b.StopTimer()
					w.open(b)
					b.StartTimer()
				}
				w.tally.reset(cloud.delay)
				w.run(b, command)
				sum.add(&w.tally)
				ops++
			}
			if sum.reads > maxReads*ops || sum.writes > maxWrites*ops {
				b.Errorf("%d reads and %d writes in %d runs, want at most %d and %d in each", sum.reads, sum.writes, ops, maxReads, maxWrites)
			}
			per := func(v int, unit string) { b.ReportMetric(float64(v)/float64(ops), unit) }
			per(sum.reads, "reads/op")
			per(sum.writes, "writes/op")
			per(sum.notes, "notes/op")
			per(int(sum.bytes), "sent-B/op")
			per(sum.conns, "conns/op")
			per(sum.most, "parallel")
		})
	}
}

// TestPlanReadsSideBySide plans one function in a cloud that answers none of its
// requests before all of them have come.
func TestPlanReadsSideBySide(t *testing.T) {
	const requests = 5
	w := newWorld(t, 1)
	arrived := make(chan struct{}, requests)
	all := make(chan struct{})
	go func() {
		for range requests {
			<-arrived
		}
		close(all)
	}()
	w.wrap = func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			arrived <- struct{}{}
			select {
			case <-all:
				next.ServeHTTP(rw, r)
			case <-time.After(30 * time.Second):
				t.Errorf("%s waited for an answer before the others were sent", r.URL.Path)
				panic(http.ErrAbortHandler)
			}
		})
	}
	w.open(t)
	w.inside(t, "plan")
}

// world is an application, and a cloud for it.
type world struct {
	dir    string
	binary string
	server *emulator.Server
	wrap   func(http.Handler) http.Handler
	tally  tally
}

// newWorld writes an application of n functions of one service, each with an HTTP
// trigger and a folder of its own with three small files.
func newWorld(tb testing.TB, n int) *world {
	w := &world{dir: tb.TempDir()}
	w.wrap = w.tally.count
	var file strings.Builder
	file.WriteString("edition: 1.0.0\nname: bench\nservices:\n")
	for i := range n {
		name := fmt.Sprintf("f%03d", i)
		fmt.Fprintf(&file, `  %s:
    component: fc
    props:
      region: cn-hangzhou
      service: {name: bench}
      function: {name: %[1]s, runtime: python3.9, handler: index.handler, memorySize: 256, timeout: 30, codeUri: ./code/%[1]s, environmentVariables: {STAGE: bench, DATABASE_URL: 'mysql://app@db.internal/%[1]s', API_TOKEN: 'token-of-%[1]s', LANGUAGE: en_US.UTF-8}}
      triggers:
        - {name: http, type: http, config: {authType: anonymous, methods: [GET, POST]}}
`, name)
		write(tb, filepath.Join(w.dir, "code", name, "index.py"), "def handler(environ, start_response):\n    return [b'"+name+"']\n")
		write(tb, filepath.Join(w.dir, "code", name, "lib", "table.py"), strings.Repeat("ROW = ['"+name+"', 1, 2, 3]\n", 100))
		write(tb, filepath.Join(w.dir, "code", name, "requirements.txt"), "requests==2.32.3\n")
	}
	write(tb, filepath.Join(w.dir, "s.yaml"), file.String())
	return w
}

func write(tb testing.TB, name, content string) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		tb.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(content), 0o644); err != nil {
		tb.Fatal(err)
	}
}

// open starts an empty cloud, in place of the one before.
func (w *world) open(tb testing.TB) {
	tb.Helper()
	if w.server != nil {
		if err := w.server.Close(); err != nil {
			tb.Fatal(err)
		}
	}
	dir, err := scratch()
	if err != nil {
		tb.Fatal(err)
	}
	server, err := emulator.StartWith(context.Background(), emulator.Config{Dir: dir, Runner: idle{}}, "127.0.0.1:0", w.wrap)
	if err != nil {
		tb.Fatal(err)
	}
	w.server = server
	tb.Cleanup(func() { _ = errors.Join(server.Close(), os.RemoveAll(dir)) })
}

// run runs a command on the application, in a process of its own.
func (w *world) run(b *testing.B, command string) {
	b.Helper()
	if *inProcess {
		w.inside(b, command)
		return
	}
	if w.binary == "" {
		b.StopTimer()
		w.binary = build(b)
		b.StartTimer()
	}
	cmd := exec.Command(w.binary, w.args(command)...)
	cmd.Dir, cmd.Env = w.dir, w.environ()
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("%v\n%s", err, out)
	}
}

// inside runs a command on the application in this process.
func (w *world) inside(tb testing.TB, command string) {
	tb.Helper()
	var out bytes.Buffer
	code := cli.Main(context.Background(), &cli.Env{
		Args:       w.args(command),
		IO:         &stream.IO{In: strings.NewReader(""), Out: &out, Err: &out},
		Environ:    w.environ(),
		Dir:        w.dir,
		Executable: os.Args[0],
		Version:    "bench",
		Now:        time.Now,
	})
	if code != 0 {
		tb.Fatalf("exit code %d\n%s", code, out.Bytes())
	}
}

func (w *world) args(command string) []string {
	return []string{command, "--endpoint", w.server.URL}
}

func (w *world) environ() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "serverless_devs_config_home=" + w.dir, "AccountID=" + emulator.DefaultAccountID,
		"AccessKeyID=" + emulator.DefaultAccessKeyID, "AccessKeySecret=" + emulator.DefaultAccessKeySecret,
	}
}

// tally counts what a cloud is asked for.
type tally struct {
	mu     sync.Mutex
	delay  time.Duration
	reads  int
	writes int
	notes  int             // reads and writes of tags, which the others do not count
	bytes  int64           // of the bodies of requests
	now    int             // requests under way
	most   int             // requests under way at the same time
	peers  map[string]bool // the other ends of connections
	conns  int             // connections, in a sum
}

// reset starts counting, and delays each request from now on.
func (t *tally) reset(delay time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.delay, t.reads, t.writes, t.notes, t.bytes, t.most, t.peers = delay, 0, 0, 0, 0, 0, map[string]bool{}
}

// add adds what u counted since its reset.
func (t *tally) add(u *tally) {
	u.mu.Lock()
	defer u.mu.Unlock()
	t.reads += u.reads
	t.writes += u.writes
	t.notes += u.notes
	t.bytes += u.bytes
	t.most += u.most
	t.conns += len(u.peers)
}

// count is the middleware that counts.
func (t *tally) count(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		t.mu.Lock()
		switch {
		case strings.HasSuffix(r.URL.Path, "/tag"):
			t.notes++
		case r.Method == http.MethodGet:
			t.reads++
		default:
			t.writes++
		}
		if t.peers != nil {
			t.peers[r.RemoteAddr] = true
		}
		t.now++
		t.most = max(t.most, t.now)
		delay := t.delay
		t.mu.Unlock()
		time.Sleep(delay)
		body := &counter{ReadCloser: r.Body}
		r.Body = body
		next.ServeHTTP(w, r)
		t.mu.Lock()
		t.now--
		t.bytes += body.n
		t.mu.Unlock()
	})
}

// counter counts what is read.
type counter struct {
	io.ReadCloser
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	c.n += int64(n)
	return n, err
}

// build builds the binary the way it is released.
func build(b *testing.B) string {
	b.Helper()
	binary := filepath.Join(b.TempDir(), "devs")
	cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", binary, ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Fatalf("building devs: %v\n%s", err, out)
	}
	return binary
}
