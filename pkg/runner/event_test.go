package runner

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
)

func TestPythonAnswers(t *testing.T) {
	h := newHarness(t, nil)
	fn := pythonFunction(t, `
import json
def handler(event, context):
    assert isinstance(event, bytes)
    return eval(event.decode("utf-8"))
`)
	for _, tt := range []struct{ event, want string }{
		{`"héllo"`, "héllo"},
		{`b"\x00\xff"`, "\x00\xff"},
		{`{"a": [1, None]}`, `{"a": [1, null]}`},
		{`[1, 2]`, `[1, 2]`},
		{`42`, `42`},
		{`True`, `true`},
		{`None`, `null`},
		{`""`, ``},
	} {
		h.want(fn, tt.event, tt.want)
	}
	if n := len(h.Instances(fn.Key)); n != 1 {
		t.Errorf("%d instances for calls one after the other, want 1", n)
	}
}

func TestNodeAnswers(t *testing.T) {
	h := newHarness(t, nil)
	fn := nodeFunction(t, `
exports.handler = (event, context, callback) => {
  if (!Buffer.isBuffer(event)) throw new Error('event is no Buffer');
  callback(null, eval('(' + event.toString() + ')'));
};`)
	for _, tt := range []struct{ event, want string }{
		{`"héllo"`, "héllo"},
		{`Buffer.from([0, 255])`, "\x00\xff"},
		{`{a: [1, null]}`, `{"a":[1,null]}`},
		{`42`, `42`},
		{`false`, `false`},
		{`null`, `null`},
		{`undefined`, ``},
	} {
		h.want(fn, tt.event, tt.want)
	}
}

func TestNodeAsync(t *testing.T) {
	h := newHarness(t, nil)
	fn := nodeFunction(t, `
exports.handler = async (event, context) => {
  await new Promise((r) => setTimeout(r, 5));
  if (event.length === 0) throw new TypeError('empty');
  return {got: event.toString()};
};`)
	h.want(fn, "x", `{"got":"x"}`)
	_, body := h.wantError(fn, "", Handled, "empty")
	if body.ErrorType != "TypeError" || len(body.StackTrace) < 2 || !strings.Contains(body.StackTrace[1].(string), "index.js:4") {
		t.Errorf("error: %+v", body)
	}
}

func TestFailures(t *testing.T) {
	const py = `
import os, sys, time, threading
def handler(event, context):
    if event == b"raise": raise ValueError("bad value")
    if event == b"exit": sys.exit(3)
    if event == b"_exit": os._exit(4)
    if event == b"kill": os.kill(os.getpid(), 9)
    if event == b"sleep": time.sleep(60)
    if event == b"unserializable": return object()
    if event == b"big": return "x" * (6 * 1024 * 1024 + 1)
    return "ok"
`
	const js = `
exports.handler = (event, context, callback) => {
  switch (event.toString()) {
  case 'raise': throw new RangeError('bad value');
  case 'callback': return callback(new RangeError('bad value'));
  case 'text': return callback('only text');
  case 'exit': process.exit(3);
  case 'kill': process.kill(process.pid, 'SIGKILL'); return;
  case 'uncaught': setTimeout(() => { throw new Error('late'); }, 1); return;
  case 'sleep': return;
  case 'loop': for (;;);
  case 'big': return callback(null, 'x'.repeat(6 * 1024 * 1024 + 1));
  }
  callback(null, 'ok');
};`
	type row struct{ event, errorType, message, kind string }
	check := func(t *testing.T, fn Function, rows []row) {
		h := newHarness(t, nil)
		for _, tt := range rows {
			t.Run(tt.event, func(t *testing.T) {
				h.t = t
				fn.Timeout = 20 * time.Second
				if tt.message == "Function timed out after 1 seconds" {
					fn.Timeout = time.Second
				}
				_, body := h.wantError(fn, tt.event, tt.errorType, tt.message)
				if body.ErrorType != tt.kind {
					t.Errorf("errorType is %q, want %q", body.ErrorType, tt.kind)
				}
				h.want(fn, "", "ok") // a fresh instance when need be
			})
		}
	}
	const exited = "Process exited unexpectedly before completing request (duration: "
	t.Run("python", func(t *testing.T) {
		check(t, pythonFunction(t, py), []row{
			{"raise", Handled, "bad value", "ValueError"},
			{"unserializable", Handled, "not JSON serializable", "TypeError"},
			{"exit", Unhandled, exited, ""},
			{"_exit", Unhandled, "exit status 4)", ""},
			{"kill", Unhandled, "signal: killed)", ""},
			{"sleep", Unhandled, "Function timed out after 1 seconds", ""},
			{"big", Unhandled, "(6291456 bytes)", ""},
		})
	})
	t.Run("node", func(t *testing.T) {
		check(t, nodeFunction(t, js), []row{
			{"raise", Handled, "bad value", "RangeError"},
			{"callback", Handled, "bad value", "RangeError"},
			{"text", Handled, "only text", ""},
			{"exit", Unhandled, "exit status 3)", ""},
			{"kill", Unhandled, "signal: killed)", ""},
			{"uncaught", Unhandled, exited, ""},
			{"sleep", Unhandled, "Function timed out after 1 seconds", ""},
			{"loop", Unhandled, "Function timed out after 1 seconds", ""},
			{"big", Unhandled, "(6291456 bytes)", ""},
		})
	})
}

func TestPythonStackTrace(t *testing.T) {
	h := newHarness(t, nil)
	fn := pythonFunction(t, "def handler(event, context):\n    raise Exception('something is wrong')\n")
	res, body := h.wantError(fn, "", Handled, "something is wrong")
	want := `[["File \"` + fn.CodeDir + `/index.py\"","line 2","in handler","raise Exception('something is wrong')"]]`
	if got, _ := json.Marshal(body.StackTrace); string(got) != want || body.ErrorType != "Exception" {
		t.Errorf("stackTrace %s, want %s (%s)", got, want, body.ErrorType)
	}
	if !strings.Contains(string(res.Log), "Traceback") {
		t.Errorf("the log has no traceback: %s", res.Log)
	}
}

func TestInitializer(t *testing.T) {
	py := pythonFunction(t, `
state = []
def init(context):
    state.append(context.function.initializer)
    print("init ran")
def bad(context):
    raise RuntimeError("no database")
def slow(context):
    import time; time.sleep(60)
def gone(context):
    import os; os._exit(9)
def handler(event, context):
    return ",".join(state)
`)
	js := nodeFunction(t, `
const state = [];
exports.init = (context, callback) => { state.push(context.function.initializer); callback(null, ''); };
exports.bad = (context, callback) => callback(new Error('no database'));
exports.slow = () => {};
exports.gone = () => process.exit(9);
exports.handler = (event, context, callback) => callback(null, state.join());`)
	for name, fn := range map[string]Function{"python": py, "node": js} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, nil)
			fn.Init = "index.init"
			h.want(fn, "", "index.init")
			h.want(fn, "", "index.init") // once only
			for i, tt := range []struct{ init, errorType, message string }{
				{"index.bad", Handled, "no database"},
				{"index.absent", Handled, "missing on module"},
				{"index.slow", Unhandled, "Function initialization timed out after 1 seconds"},
				{"index.gone", Unhandled, "exit status 9"},
			} {
				fn.Key, fn.Init, fn.InitTimeout = name+string(rune('a'+i)), tt.init, 20*time.Second
				if tt.init == "index.slow" {
					fn.InitTimeout = time.Second
				}
				h.wantError(fn, "", tt.errorType, tt.message)
				eventually(t, "the failed instance is gone", func() bool { return len(h.Instances(fn.Key)) == 0 })
			}
		})
	}
}

func TestLoadErrors(t *testing.T) {
	need(t, "python3")
	need(t, "node")
	h := newHarness(t, nil)
	for _, tt := range []struct{ runtime, file, text, handler, message string }{
		{"python3", "index.py", "def handler(e, c): pass", "index.absent", "Handler 'absent' is missing on module 'index'"},
		{"python3", "index.py", "def handler(e, c): pass", "other.handler", "Unable to import module 'other'"},
		{"python3", "index.py", "import nothing_of_this_name", "index.handler", "nothing_of_this_name"},
		{"python3", "index.py", "def handler(:", "index.handler", "invalid syntax"},
		{"python3", "index.py", "def handler(e, c): pass", "handler", "not of the form"},
		{"nodejs16", "index.js", "exports.handler = () => {}", "index.absent", "Handler 'absent' is missing on module 'index'"},
		{"nodejs16", "index.js", "exports.handler = () => {}", "other.handler", "Unable to import module 'other'"},
		{"nodejs16", "index.js", "require('nothing_of_this_name')", "index.handler", "nothing_of_this_name"},
		{"nodejs16", "index.js", "exports.handler = (", "index.handler", "Unexpected end of input"},
		{"nodejs16", "index.js", "exports.handler = () => {}", "handler", "not of the form"},
	} {
		fn := function(t, tt.runtime, code(t, tt.file, tt.text))
		fn.Key, fn.Handler = tt.runtime+tt.text+tt.handler, tt.handler
		h.wantError(fn, "", Handled, tt.message)
	}
}

func TestHandlerForms(t *testing.T) {
	need(t, "python3")
	need(t, "node")
	for _, tt := range []struct{ name, runtime, handler, file, text string }{
		{"python package", "python3", "pkg/sub/mod.run", "pkg/sub/mod.py", "def run(e, c): return 'yes'"},
		{"python dotted", "python3", "pkg.mod.run", "pkg/mod.py", "def run(e, c): return 'yes'"},
		{"python sibling import", "python3", "index.run", "index.py", "import os\ndef run(e, c): return 'yes' if os.path.samefile(os.getcwd(), os.path.dirname(os.path.abspath(__file__))) else os.getcwd()"},
		{"node folder", "nodejs18", "dist/src/app.run", "dist/src/app.js", "exports.run = async () => 'yes'"},
		{"node cjs", "nodejs18", "app.run", "app.cjs", "exports.run = async () => 'yes'"},
		{"node mjs", "nodejs18", "app.run", "app.mjs", "export const run = async () => 'yes'"},
		{"node mjs default", "nodejs18", "app.run", "app.mjs", "export default {run: async () => 'yes'}"},
		{"node main of folder", "nodejs18", "lib.run", "lib/index.js", "exports.run = async () => 'yes'"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newHarness(t, nil)
			fn := function(t, tt.runtime, code(t, tt.file, tt.text))
			fn.Handler = tt.handler
			h.want(fn, "", "yes")
		})
	}
	t.Run("node type module", func(t *testing.T) {
		h := newHarness(t, nil)
		fn := function(t, "nodejs18", code(t, "package.json", `{"type":"module"}`,
			"index.js", "import fs from 'fs';\nawait 0;\nexport const handler = async () => typeof fs.readFileSync"))
		h.want(fn, "", "function")
	})
}

func TestContext(t *testing.T) {
	const want = `id prod 7 svc proj store fn index.handler index.init 256 20 20 cn-hangzhou 1234567890 0 "" "" ""`
	py := pythonFunction(t, `
import json
def init(context): pass
def handler(event, c):
    assert c.requestId == c.request_id and c.accountId == c.account_id
    assert c.credentials.accessKeyId == c.credentials.access_key_id
    assert c.service.logProject == c.service.log_project and c.service.versionId == "7"
    assert c.tracing is not None and c.logger
    f, s, k = c.function, c.service, c.credentials
    id = "id" if c.request_id.startswith("req-") else c.request_id
    return " ".join(str(v) for v in [id, s.qualifier, s.version_id, s.name, s.log_project, s.log_store, f.name,
        f.handler, f.initializer, f.memory, f.timeout, f.initialization_timeout, c.region, c.account_id, c.retry_count,
        json.dumps(k.access_key_id), json.dumps(k.access_key_secret), json.dumps(k.security_token)])
`)
	js := nodeFunction(t, `
exports.init = (context, callback) => callback();
exports.handler = async (event, c) => {
  const [f, s, k] = [c.function, c.service, c.credentials];
  if (!c.tracing || typeof c.logger.info !== 'function') throw new Error('incomplete');
  return [c.requestId.startsWith('req-') ? 'id' : c.requestId, s.qualifier, s.versionId, s.name, s.logProject,
    s.logStore, f.name, f.handler, f.initializer, f.memory, f.timeout, f.initializationTimeout, c.region, c.accountId,
    c.retryCount, ...[k.accessKeyId, k.accessKeySecret, k.securityToken].map((v) => JSON.stringify(v))].join(' ');
};`)
	for name, fn := range map[string]Function{"python": py, "node": js} {
		t.Run(name, func(t *testing.T) {
			fn.Init = "index.init"
			newHarness(t, nil).want(fn, "", want)
		})
	}
}
