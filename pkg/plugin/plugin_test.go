package plugin

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/plugin/process"
	"github.com/devs/deploy/pkg/secret"
)

func write(t *testing.T, dir, name, text string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func script(t *testing.T, text string) Options {
	t.Helper()
	o := Options{Path: "./p", Dir: t.TempDir(), Env: os.Environ(), Pos: diag.Pos{File: "s.yaml", Line: 7, Column: 3}}
	write(t, o.Dir, "p", "#!/bin/sh\n"+text, 0o755)
	return o
}

func sample() *app.Value {
	return app.From(map[string]any{
		"props": map[string]any{"region": "cn-hangzhou", "size": int64(9007199254740993), "ratio": 0.1,
			"html": "a<b>&c", "none": nil, "on": true, "list": []any{int64(1), "two"}},
	}, diag.Pos{File: "s.yaml", Line: 2})
}

func TestEchoKeepsEverything(t *testing.T) {
	in := sample()
	got, err := Run(context.Background(), script(t, "cat"), in)
	if err != nil {
		t.Fatal(err)
	}
	want, _ := encode(in)
	have, _ := encode(got)
	if !bytes.Equal(want, have) {
		t.Errorf("got %s, want %s", have, want)
	}
	if !strings.Contains(string(have), `"size":9007199254740993`) || !strings.Contains(string(have), `a<b>&c`) {
		t.Errorf("a value changed: %s", have)
	}
	if pos := got.Get("props", "region").Pos; pos.Line != 2 {
		t.Errorf("the place of a kept value is lost: %v", pos)
	}
}

func TestKeyOrderAndPlaceOfNewValues(t *testing.T) {
	got, err := Run(context.Background(), script(t, `echo '{"z":1,"a":60.0,"m":1.5,"n":null}'`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if have, _ := encode(got); string(have) != `{"z":1,"a":60,"m":1.5,"n":null}` {
		t.Errorf("got %s", have)
	}
	if got.Get("z").Pos.Line != 7 {
		t.Errorf("place %v", got.Get("z").Pos)
	}
}

func TestEmptyAnswers(t *testing.T) {
	for _, text := range []string{"", "cat >/dev/null", "echo", "echo null"} {
		got, err := Run(context.Background(), script(t, text), sample())
		if err != nil || got != nil {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

func TestLargeInputThatNobodyReads(t *testing.T) {
	in := app.Text(strings.Repeat("x", 1<<20))
	if _, err := Run(context.Background(), script(t, "exit 0"), in); err != nil {
		t.Error(err)
	}
}

func TestUnusableAnswers(t *testing.T) {
	for text, want := range map[string]string{
		`echo hello`:                          "wrong at byte",
		`echo '{"a":1} {"b":2}'`:              "more follows",
		`echo '{"a":1} x'`:                    "more follows",
		`printf '{"a":'`:                      "ends in the middle",
		`printf '{"a":1,}'`:                   "wrong at byte",
		`printf '[1'`:                         "ends in the middle",
		`echo '{"a":1,"a":2}'`:                "twice",
		`echo 18446744073709551616`:           "64 bits",
		`echo 1e999`:                          "too large",
		`printf '"\377"'`:                     "UTF-8",
		`head -c 300 /dev/zero | tr '\0' '['`: "nested",
	} {
		_, err := Run(context.Background(), script(t, text), nil)
		p, ok := errors.AsType[*diag.Problem](err)
		if !ok || p.Code != diag.ExitComponent || !strings.Contains(p.Summary, want) || p.Hint == "" || p.Pos.Line != 7 {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestAnswerLimit(t *testing.T) {
	_, err := Run(context.Background(), script(t, "exec cat /dev/zero"), nil)
	if diag.ExitCode(err) != diag.ExitComponent || !strings.Contains(err.Error(), "larger than 16 MiB") {
		t.Errorf("got %v", err)
	}
}

func TestFailure(t *testing.T) {
	var stderr bytes.Buffer
	o := script(t, `echo "why it failed" >&2; exit 7`)
	o.Stderr = &stderr
	_, err := Run(context.Background(), o, nil)
	exit, ok := errors.AsType[*process.ExitError](err)
	if !ok || exit.Code != 7 || diag.ExitCode(err) != diag.ExitComponent {
		t.Errorf("got %v", err)
	}
	if err.Error() != "s.yaml:7:3: ./p failed with exit code 7" || stderr.String() != "why it failed\n" {
		t.Errorf("%q, stderr %q", err, stderr.String())
	}
}

func TestStopping(t *testing.T) {
	for name, tc := range map[string]struct {
		timeout time.Duration
		code    int
	}{"cancel": {0, diag.ExitInterrupted}, "time limit": {300 * time.Millisecond, diag.ExitComponent}} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			if tc.timeout > 0 {
				ctx, cancel = context.WithTimeout(ctx, tc.timeout)
			}
			defer cancel()
			o := script(t, "echo > started; sleep 300; echo never > survived")
			go func() {
				for tc.timeout == 0 {
					if _, err := os.Stat(filepath.Join(o.Dir, "started")); err == nil {
						cancel()
						return
					}
					time.Sleep(5 * time.Millisecond)
				}
			}()
			if _, err := Run(ctx, o, nil); diag.ExitCode(err) != tc.code {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestWrongPaths(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "plain", "#!/bin/sh\n", 0o644)
	write(t, dir, "module.js", "module.exports = async (inputs) => inputs\n", 0o755)
	write(t, dir, "crlf", "#!/bin/sh\r\ntrue\r\n", 0o755)
	write(t, dir, "no-interpreter", "#!/no/such/thing\n", 0o755)
	write(t, dir, "folder/index.js", "", 0o755)
	write(t, dir, "127", "#!/bin/sh\nno-such-program-at-all\n", 0o755)
	for path, want := range map[string]struct {
		hint string
		code int
	}{
		"website-fc":       {"downloads no plugins", 100},
		"true":             {"downloads no plugins", 100}, // on PATH, not in the folder
		"./plain/x":        {"downloads no plugins", 100},
		"./plain":          {"chmod +x", 100},
		"./module.js":      {"not a module that exports", 100},
		"./crlf":           {"CR LF", 100},
		"no-interpreter":   {"not installed here", 100},
		"./folder":         {"./folder/main", 100},
		"/dev/null":        {"executable file", 100},
		" ":                {"for example", 100},
		"a\x00b":           {"for example", 100},
		"./127":            {"not installed", 101},
		"devsapp/website":  {"downloads no plugins", 100},
		"../" + "nowhere1": {"downloads no plugins", 100},
	} {
		_, err := Run(context.Background(), Options{Path: path, Dir: dir, Env: os.Environ()}, nil)
		p, ok := errors.AsType[*diag.Problem](err)
		if !ok || diag.ExitCode(err) != want.code || !strings.Contains(p.Hint, want.hint) {
			t.Errorf("%q: %v, hint %q", path, err, p.Hint)
		}
	}
}

func TestNamesWithoutSlashAndAbsolutePaths(t *testing.T) {
	o := script(t, `pwd -P; cat >/dev/null`)
	real, err := filepath.EvalSymlinks(o.Dir)
	if err != nil {
		t.Fatal(err)
	}
	write(t, o.Dir, "p", "#!/bin/sh\nprintf '\"%s\"' \"$(pwd -P)\"", 0o755)
	for _, path := range []string{"p", "./p", filepath.Join(o.Dir, "p")} {
		o.Path = path
		got, err := Run(context.Background(), o, nil)
		if err != nil || got.Str() != real {
			t.Errorf("%s: %v, %v", path, got, err)
		}
	}
}

func TestPython(t *testing.T) {
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not installed")
	}
	o := script(t, "")
	write(t, o.Dir, "p", "#!/usr/bin/env python3\nimport json,sys\nd=json.load(sys.stdin)\nd['props']['size']+=1\njson.dump(d,sys.stdout)\n", 0o755)
	got, err := Run(context.Background(), o, sample())
	if err != nil || got.Get("props", "size").Scalar != int64(9007199254740994) {
		t.Errorf("%v, %v", got.Get("props", "size"), err)
	}
}

func TestSecretsStaySecret(t *testing.T) {
	const canary, short = "CANARY-value-1", "tiny"
	in := app.From(map[string]any{
		"a": secret.New(canary), "s": secret.New(short), "list": []any{secret.New("x")}, "open": "open",
	}, diag.Pos{})
	o := script(t, `cat >/dev/null; echo '{"moved":{"deep":["x `+canary+`"]},"s":"other","list":"x","a":["joined"],"open":"open","n":1}'`)
	got, err := Run(context.Background(), o, in)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"moved": true, "s": true, "list": true, "a": true, "open": false, "n": false} {
		if got.Get(path).HasSecret() != want {
			t.Errorf("%s: secret %v, want %v", path, !want, want)
		}
	}
	echoed, err := Run(context.Background(), script(t, "cat"), in)
	if err != nil || echoed.Get("a").Str() != canary || !echoed.Get("a").Secret {
		t.Errorf("the program did not get the value: %v", err)
	}
}

func TestErrorsShowNoSecret(t *testing.T) {
	const canary = "CANARY-value-2"
	in := app.From(map[string]any{"a": secret.New(canary)}, diag.Pos{})
	for _, text := range []string{"cat; echo x", "cat; exit 3", "echo '" + canary + "'"} {
		_, err := Run(context.Background(), script(t, text), in)
		if err == nil || strings.Contains(diag.Render(err), "CANARY") {
			t.Errorf("%s: %s", text, diag.Render(err))
		}
	}
}

func TestUnencodableInput(t *testing.T) {
	nan := app.From(map[string]any{"f": []any{0.5}}, diag.Pos{})
	nan.Get("f").Items[0].Scalar = zero() / zero()
	for _, in := range []*app.Value{nan, app.From(app.UnknownValue{Expr: "b.output.url"}, diag.Pos{})} {
		if _, err := Run(context.Background(), script(t, "cat"), in); err == nil {
			t.Errorf("%v was handed over", in.Kind)
		}
	}
}

func zero() float64 { return 0 }

func TestIsPath(t *testing.T) {
	for name, want := range map[string]bool{"./x": true, "../x": true, "/x": true, "fc": false, "devsapp/fc@1.0": false, ".x": false} {
		if IsPath(name) != want {
			t.Errorf("%s: want %v", name, want)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,"x",null,true]}`, `[[[]]]`, `1e20`, `-0.0`, `1e400`, `{"a":1,"a":2}`, "\"\xff\"", `-0`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := decode(data, diag.Pos{})
		if err != nil || v == nil {
			return
		}
		text, err := encode(v)
		if err != nil {
			t.Fatalf("cannot encode what was decoded: %v", err)
		}
		again, err := decode(text, diag.Pos{})
		if err != nil {
			t.Fatalf("cannot decode %s: %v", text, err)
		}
		if twice, _ := encode(again); !bytes.Equal(text, twice) {
			t.Errorf("%s became %s", text, twice)
		}
	})
}
