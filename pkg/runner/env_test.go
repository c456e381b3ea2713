package runner

import (
	"context"
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/diag"
)

const envPython = "import os, json\ndef handler(e, c):\n    return json.dumps(dict(os.environ))\n"
const envNode = "exports.handler = async () => JSON.stringify(process.env);"

func TestEnvironment(t *testing.T) {
	t.Setenv("HOST_SECRET_TOKEN", "must not be seen")
	for name, fn := range map[string]Function{"python": pythonFunction(t, envPython), "node": nodeFunction(t, envNode)} {
		t.Run(name, func(t *testing.T) {
			h := newHarness(t, nil)
			fn.Init = ""
			fn.Env = map[string]string{"OWN": "täxt", "FC_REGION": "forged", "PATH": "/code/bin:/var/own",
				"PYTHONPATH": "/code/python:/opt", "NODE_PATH": "/code/lib"}
			var env map[string]string
			res := h.invoke(fn, "")
			if err := json.Unmarshal(res.Body, &env); err != nil {
				t.Fatalf("%v: %s", err, res.Body)
			}
			if _, leaked := env["HOST_SECRET_TOKEN"]; leaked {
				t.Error("the host's environment leaks into the function")
			}
			for k, want := range map[string]string{
				"OWN": "täxt", "FC_REGION": "cn-hangzhou", "FC_ACCOUNT_ID": "1234567890", "FC_SERVICE_NAME": "svc",
				"FC_FUNCTION_NAME": "fn", "FC_FUNCTION_HANDLER": "index.handler", "FC_FUNCTION_MEMORY_SIZE": "256",
				"FC_QUALIFIER": "prod", "FC_VERSION_ID": "7", "FC_INSTANCE_ID": res.InstanceID,
				"FC_FUNC_CODE_PATH": fn.CodeDir, "FC_RUNTIME": fn.Runtime, "LANG": "C.UTF-8",
				"PATH":       fn.CodeDir + "/bin:/var/own:" + os.Getenv("PATH"),
				"PYTHONPATH": fn.CodeDir + "/python:/opt", "NODE_PATH": fn.CodeDir + "/lib",
			} {
				if env[k] != want {
					t.Errorf("%s is %q, want %q", k, env[k], want)
				}
			}
			for _, k := range []string{"HOME", "TMPDIR"} {
				if !strings.HasPrefix(env[k], h.cfg.Dir) {
					t.Errorf("%s is %q, not below the scratch folder", k, env[k])
				}
			}
		})
	}
}

func TestSearchPaths(t *testing.T) {
	h := newHarness(t, nil)
	need(t, "python3")
	need(t, "node")
	py := function(t, "python3", code(t, "index.py", "import dep\ndef handler(e, c): return dep.NAME", "python/dep.py", "NAME = 'found'"))
	py.Key, py.Env = "py", map[string]string{"PYTHONPATH": "/code/python"}
	h.want(py, "", "found")
	js := function(t, "nodejs16", code(t, "index.js", "exports.handler = async () => require('dep')", "lib/dep.js", "module.exports = 'found'"))
	js.Key, js.Env = "js", map[string]string{"NODE_PATH": "/code/lib"}
	h.want(js, "", "found")
}

func TestCodeFolderIsNotWritten(t *testing.T) {
	need(t, "python3")
	h := newHarness(t, nil)
	dir := code(t, "index.py", "import dep\ndef handler(e, c):\n    open(__import__('os').environ['TMPDIR'] + '/x', 'w').close()\n    return 'ok'\n", "dep.py", "")
	h.want(function(t, "python3", dir), "", "ok")
	var files []string
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		files = append(files, filepath.Base(path))
		return err
	})
	if len(files) != 3 {
		t.Errorf("files in the code folder: %v", files)
	}
}

// only looks up names in one folder.
func only(dir string) func(string) (string, error) {
	return func(name string) (string, error) {
		path := filepath.Join(dir, name)
		_, err := os.Stat(path)
		return path, err
	}
}

func TestInterpreters(t *testing.T) {
	fake := func(version string) string {
		return "#!/bin/sh\necho " + version + "\necho /bin/fake-" + version + "\n"
	}
	for _, tt := range []struct {
		name, runtime string
		files         []string
		want, note    string
	}{
		{"exact", "python3.9", []string{"python3.9", fake("3.9"), "python3", fake("3.11")}, "3.9", ""},
		{"other minor", "python3.9", []string{"python3", fake("3.11")}, "3.11", "there is no python3.9 on this machine: its functions run with Python 3.11"},
		{"broken shim", "python3.10", []string{"python3.10", "#!/bin/sh\nexit 127\n", "python3", fake("3.10")}, "3.10", ""},
		{"any", "python3", []string{"python3", fake("3.12")}, "3.12", ""},
		{"wrong major", "python2.7", []string{"python2", fake("3.11")}, "", ""},
		{"none", "python2.7", nil, "", ""},
		{"node", "nodejs16", []string{"node", fake("v16.1.0")}, "v16.1.0", ""},
		{"other node", "nodejs8", []string{"nodejs", fake("v20.1.0")}, "v20.1.0", "there is no nodejs8 on this machine: its functions run with Node.js v20.1.0"},
		{"no node", "nodejs8", nil, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := code(t, tt.files...)
			h := newHarness(t, func(c *Config) { c.LookPath = only(dir) })
			if err := h.prepare(); err != nil {
				t.Fatal(err)
			}
			for range 2 {
				got, err := h.interpreter(context.Background(), tt.runtime)
				if tt.want == "" {
					if _, ok := errors.AsType[*diag.Problem](err); !ok || !strings.Contains(err.Error(), tt.runtime) {
						t.Errorf("error: %v", err)
					}
				} else if err != nil || got.version != tt.want {
					t.Errorf("%+v %v", got, err)
				}
			}
			if h.logged() != tt.note {
				t.Errorf("log %q, want %q once", h.logged(), tt.note)
			}
		})
	}
}

func TestPython2(t *testing.T) {
	need(t, "python2.7")
	h := newHarness(t, nil)
	fn := function(t, "python2.7", code(t, "index.py", `
def handler(event, context):
    if event == "raise": raise ValueError("bad")
    return {"event": event, "name": context.function.name}
`, "web.py", `
def handler(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [environ["PATH_INFO"], environ["wsgi.input"].read()]
`))
	h.want(fn, "x", `{"event": "x", "name": "fn"}`)
	h.wantError(fn, "raise", Handled, "bad")
	fn.Key, fn.Handler = "web", "web.handler"
	if _, body := do(t, "POST", serve(t, h, fn, "")+"/a%20b", strings.NewReader("data")); body != "/a bdata" {
		t.Errorf("%q", body)
	}
}

func TestLocalPath(t *testing.T) {
	for path, want := range map[string]string{
		"/code": "/dir", "/code/": "/dir", "/code/a/b": "/dir/a/b", "/codec": "/codec", "code/a": "code/a", "": "", "/opt/code": "/opt/code",
	} {
		if got := localPath(path, "/dir"); got != want {
			t.Errorf("localPath(%q) = %q, want %q", path, got, want)
		}
	}
}
