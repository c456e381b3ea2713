package runner

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestLogFrame(t *testing.T) {
	fns := map[string]Function{
		"python": pythonFunction(t, `
import logging, sys, os
def handler(event, context):
    print("to stdout")
    sys.stderr.write("to stderr\n")
    logging.getLogger().info("by logging %s", 1)
    logging.debug("not this")
    os.system("echo from a child")
    return "ok"
`),
		"node": nodeFunction(t, `
exports.handler = async (event, context) => {
  process.stdout.write('to stdout\n');
  process.stderr.write('to stderr\n');
  context.logger.info('by logging %d', 1);
  require('child_process').execSync('echo from a child', {stdio: 'inherit'});
  return 'ok';
};`),
	}
	for name, fn := range fns {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, nil)
			for i := range 3 {
				res := h.want(fn, "", "ok")
				id := fmt.Sprintf("req-%d", i+1)
				lines := strings.Split(string(FrameLog(id, res.Log)), "\n")
				if len(lines) != 7 || lines[0] != "FC Invoke Start RequestId: "+id || lines[1] != "to stdout" ||
					lines[2] != "to stderr" || !strings.HasSuffix(lines[3], "Z "+id+" [INFO] by logging 1") ||
					lines[4] != "from a child" || lines[5] != "FC Invoke End RequestId: "+id {
					t.Errorf("log:\n%s", res.Log)
				}
				if res.MemoryMB < 5 || res.Duration <= 0 || res.InstanceID == "" {
					t.Errorf("memory %d MB, duration %v, instance %q", res.MemoryMB, res.Duration, res.InstanceID)
				}
			}
		})
	}
}

// What is printed while an instance starts is in the log of its first request.
func TestLogOfStart(t *testing.T) {
	h := newHarness(t, nil)
	fn := pythonFunction(t, "print('import')\ndef init(c): print('init')\ndef handler(e, c): print('invoke')\n")
	fn.Init = "index.init"
	if res := h.invoke(fn, ""); string(res.Log) != "import\ninit\ninvoke\n" {
		t.Errorf("first log %q", res.Log)
	}
	if res := h.invoke(fn, ""); string(res.Log) != "invoke\n" {
		t.Errorf("second log %q", res.Log)
	}
}

func TestNodeConsole(t *testing.T) {
	h := newHarness(t, nil)
	fn := nodeFunction(t, `
exports.handler = async () => {
  console.log('a %s', 'b', {c: 1}); console.info('i'); console.warn('w'); console.error(new Error('e').message);
};`)
	res := h.want(fn, "", "")
	for _, want := range []string{"req-1 [VERBOSE] a b { c: 1 }\n", "req-1 [INFO] i\n", "req-1 [WARN] w\n", "req-1 [ERROR] e\n"} {
		if !strings.Contains(string(res.Log), want) {
			t.Errorf("log lacks %q:\n%s", want, res.Log)
		}
	}
}

func TestLogTail(t *testing.T) {
	var mu sync.Mutex
	var all bytes.Buffer
	h := newHarness(t, func(c *Config) {
		c.Output = func(key, id string, text []byte) {
			mu.Lock()
			defer mu.Unlock()
			if key != "TestLogTail" || !strings.HasPrefix(id, "c-") {
				t.Errorf("output of %q %q", key, id)
			}
			all.Write(text)
		}
	})
	fn := pythonFunction(t, `
def handler(event, context):
    for i in range(20000): print("line %d" % i)
    return "ok"
`)
	res := h.want(fn, "", "ok")
	if len(res.Log) != maxLog || !strings.HasSuffix(string(res.Log), "line 19999\n") || len(FrameLog("r", res.Log)) != maxLog {
		t.Errorf("%d bytes: …%s", len(res.Log), tail(res.Log)[len(res.Log)-80:])
	}
	var want strings.Builder
	for i := range 20000 {
		fmt.Fprintf(&want, "line %d\n", i)
	}
	mu.Lock()
	defer mu.Unlock()
	if all.String() != want.String() {
		t.Errorf("Output got %d bytes, want %d", all.Len(), want.Len())
	}
}

func TestLogOfFailures(t *testing.T) {
	h := newHarness(t, nil)
	fn := pythonFunction(t, "import os\ndef handler(e, c):\n    print('last words')\n    os._exit(1)\n")
	res, _ := h.wantError(fn, "", Unhandled, "exit status 1")
	if want := "FC Invoke Start RequestId: r\nlast words\nFC Invoke End RequestId: r\n"; string(FrameLog("r", res.Log)) != want {
		t.Errorf("log %q", res.Log)
	}
}

func FuzzSplitter(f *testing.F) {
	f.Add([]byte("one\x00mark\x00two\x00mar"), uint8(3))
	f.Add([]byte("\x00\x00mark\x00mark\x00"), uint8(1))
	marker := []byte("\x00mark\x00")
	f.Fuzz(func(t *testing.T, stream []byte, size uint8) {
		var got bytes.Buffer
		marks := 0
		s := splitter{marker: marker, text: func(b []byte) { got.Write(b) }, mark: func() { marks++ }}
		step := int(size)%7 + 1
		for i := 0; i < len(stream); i += step {
			s.write(stream[i:min(i+step, len(stream))])
		}
		s.end()
		if want := bytes.ReplaceAll(stream, marker, nil); !bytes.Equal(got.Bytes(), want) {
			t.Errorf("got %q, want %q", got.Bytes(), want)
		}
		if want := bytes.Count(stream, marker); marks != want {
			t.Errorf("%d marks, want %d", marks, want)
		}
	})
}
