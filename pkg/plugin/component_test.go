package plugin

import (
	"context"
	"errors"
	"os"
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/credential"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/secret"
)

const exe = `case "$1" in
commands) echo '["deploy","info","gone","lacking","bad"]' ;;
deploy) cat ;;
info) printf '{"url":"https://example.com","user":"%s"}' "$AccessKeyID" ;;
gone) exit 100 ;;
lacking) echo '{"unsupported":true}' ;;
bad) exit 9 ;;
esac`

func call(command string) *component.Call {
	return &component.Call{
		AppName: "shop", Service: "web", Component: "./p", Command: command, Dir: "/app",
		Args: component.Args{Sub: "sub", Rest: []string{"--x", "a b"}, Flags: map[string]any{"yes": true, "n": []string{"1", "2"}}},
		Credential: func() (*credential.Credential, error) {
			return &credential.Credential{AccessKeyID: secret.New("from-credential")}, nil
		},
		Props: app.From(map[string]any{"key": secret.New("CANARY-props")}, diag.Pos{}),
	}
}

func TestExecutableComponent(t *testing.T) {
	o := script(t, exe)
	o.Env = append(os.Environ(), "AccessKeyID=from-env")
	c, err := Component(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Commands()) != 5 || component.Find(c, "deploy") == nil || component.Find(c, "remove") != nil {
		t.Fatalf("commands %v", c.Commands())
	}
	got, err := component.Find(c, "deploy").Run(context.Background(), call("deploy"))
	if err != nil {
		t.Fatal(err)
	}
	text, _ := encode(got)
	want := `{"app":"shop","args":["sub","--n=1","--n=2","--yes=true","--x","a b"],"command":"deploy","component":"./p","dir":"/app","props":{"key":"CANARY-props"},"service":"web"}`
	if string(text) != want || !got.Get("props", "key").Secret {
		t.Errorf("got %s", text)
	}
	got, err = component.Find(c, "info").Run(context.Background(), call("info"))
	if err != nil || got.Get("user").Str() != "from-credential" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestExecutableComponentFailures(t *testing.T) {
	c, err := Component(context.Background(), script(t, exe))
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]struct {
		code        int
		unsupported bool
	}{"gone": {100, true}, "lacking": {100, true}, "bad": {101, false}} {
		_, err := component.Find(c, name).Run(context.Background(), call(name))
		if diag.ExitCode(err) != want.code || errors.Is(err, errors.ErrUnsupported) != want.unsupported {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestComponentThatCannotTellItsCommands(t *testing.T) {
	for _, text := range []string{"true", "echo '{}'", "echo '[]'", "echo '[1]'", `echo '["a b"]'`, `echo '["-x"]'`, `echo '["commands"]'`, "exit 2", "echo hi"} {
		_, err := Component(context.Background(), script(t, text))
		p, ok := errors.AsType[*diag.Problem](err)
		if !ok || p.Code != diag.ExitComponent || !strings.Contains(p.Hint, `"commands"`) {
			t.Errorf("%s: %v", text, err)
		}
	}
	o := script(t, exe)
	o.Path = "./none"
	if _, err := Component(context.Background(), o); diag.ExitCode(err) != diag.ExitTool {
		t.Errorf("got %v", err)
	}
}
