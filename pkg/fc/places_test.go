package fc

import (
	"archive/zip"
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/archive"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
)

// at gives every value of v the place that its text has in lines.
func at(v *app.Value, lines map[string]int) *app.Value {
	c := *v
	if line, ok := lines[v.Str()]; ok && v.Kind == app.String {
		c.Pos = diag.Pos{File: "s.yaml", Line: line}
	}
	c.Items, c.Entries = nil, nil
	for _, item := range v.Items {
		c.Items = append(c.Items, at(item, lines))
	}
	for _, e := range v.Entries {
		e.Value = at(e.Value, lines)
		c.Entries = append(c.Entries, e)
	}
	return &c
}

// placed is a call whose props have places.
func (w *world) placed(command, props string, args ...any) *component.Call {
	call := w.call(command, props, args...)
	call.Props = at(call.Props, map[string]int{"demo": 3, "hello": 5, "./code": 7, "code.zip": 7, "web": 9})
	return call
}

func TestWhatIsNotThereHasItsPlace(t *testing.T) {
	w := newWorld(t)
	check := func(command, props string, line int, args ...any) {
		t.Helper()
		_, err := w.runCall(w.placed(command, props, args...))
		if p := w.problem(err); p.Pos.Line != line || p.Hint == "" || p.Code != diag.ExitComponent {
			t.Errorf("%s %v: line %d, want %d: %+v", command, args, p.Pos.Line, line, p)
		}
	}
	check("info", eventProps, 3)
	check("info", eventProps, 0, "service-name", "other")
	check("invoke", eventProps, 3)
	check("invoke", eventProps, 0, "service-name", "other")
	w.deploy(`{"region": "cn-hangzhou", "service": {"name": "demo"}}`, "sub", "service")
	check("invoke", eventProps, 5)
	check("invoke", eventProps, 0, "function-name", "other")
	w.deploy(eventProps)
	check("invoke", webProps, 9)
}

// What is too large to be sent is known before anything is made.
func TestLargePackageIsRefusedFirst(t *testing.T) {
	w := newWorld(t)
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	f, err := z.CreateHeader(&zip.FileHeader{Name: "index.py", Method: zip.Store})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Write(make([]byte, archive.MaxInline)); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	w.write("code.zip", b.String())
	_, err = w.component().Desired(context.Background(), w.placed("deploy", strings.Replace(eventProps, "./code", "code.zip", 1)))
	p := w.problem(err)
	if p.Pos.Line != 7 || !strings.Contains(p.Summary, "function demo/hello: the code package has 50.0 MiB") ||
		!strings.Contains(p.Hint, "ossBucket and ossKey") || p.Code != diag.ExitComponent {
		t.Errorf("%+v", p)
	}
	if len(w.took()) != 0 {
		t.Error("the cloud was asked")
	}
}

func TestForeignAnswersHaveAHint(t *testing.T) {
	w := newWorld(t)
	for status, want := range map[int]string{200: elsewhere, 302: elsewhere, 404: elsewhere, 503: "try again later"} {
		w.setFault(func(rw http.ResponseWriter, _ *http.Request, _ http.Handler) bool {
			rw.Header().Set("Location", "https://elsewhere.example.com/")
			rw.WriteHeader(status)
			return true
		})
		_, err := w.run("info", eventProps)
		p := w.problem(err)
		if !strings.Contains(p.Summary, fmt.Sprintf("HTTP %d", status)) || !strings.Contains(p.Hint, want) || p.Code != diag.ExitComponent {
			t.Errorf("%d: %+v", status, p)
		}
	}
}

// A page of a proxy is not what a function answered.
func TestInvokeNeedsAnAnswerOfTheService(t *testing.T) {
	w := newWorld(t)
	for _, props := range []string{eventProps, webProps} {
		w.deploy(props)
		w.setFault(func(rw http.ResponseWriter, r *http.Request, _ http.Handler) bool {
			if strings.HasSuffix(r.URL.Path, "/triggers/web") {
				return false
			}
			rw.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(rw, "<html>please log in</html>")
			return true
		})
		_, err := w.run("invoke", props)
		p := w.problem(err)
		if !strings.Contains(p.Summary, "text/html") || !strings.Contains(p.Summary, "HTTP 200") ||
			!strings.Contains(p.Summary, strings.TrimPrefix(w.url, "http://")) || p.Hint != elsewhere || p.Code != diag.ExitComponent {
			t.Errorf("%+v", p)
		}
		w.setFault(nil)
	}
}

func TestInfoShowsBindingsAndAsync(t *testing.T) {
	w := newWorld(t)
	w.deploy(fullProps)
	out, err := w.run("info", fullProps)
	if err != nil {
		t.Fatal(diag.Render(err))
	}
	if diff := cmp.Diff([]any{"vpc-8", "vpc-9"}, sorted(out.Get("service", "vpcBinding").Plain())); diff != "" {
		t.Error(diff)
	}
	want := map[string]any{
		"destination":           map[string]any{"onFailure": "acs:mns:cn-hangzhou:1000000000000000:/queues/dead/messages"},
		"maxAsyncRetryAttempts": int64(1),
		"statefulInvocation":    false,
	}
	if diff := cmp.Diff(want, out.Get("function", "asyncConfiguration").Plain()); diff != "" {
		t.Error(diff)
	}
	w = newWorld(t)
	w.deploy(eventProps)
	out, err = w.run("info", eventProps)
	if err != nil || out.Get("service", "vpcBinding") != nil || out.Get("function", "asyncConfiguration") != nil {
		t.Errorf("%v, %v", out.Plain(), err)
	}
}

func sorted(v any) any {
	list, ok := v.([]any)
	if ok && len(list) == 2 && list[0].(string) > list[1].(string) {
		return []any{list[1], list[0]}
	}
	return v
}

// A removal takes names that the file does not have; a deploy does not.
func TestNamesThatTheFileDoesNotHave(t *testing.T) {
	w := newWorld(t)
	w.deploy(fullProps)
	only := strings.Replace(webProps, `"web"`, `"other"`, 1)
	for _, tt := range []struct {
		props string
		args  []any
		want  map[string]string
	}{
		{only, []any{"sub", "trigger", "trigger-name", []string{"tick"}}, map[string]string{"trigger demo/hello/tick": "delete"}},
		{webProps, []any{"sub", "trigger", "trigger-name", []string{"bus", "web"}},
			map[string]string{"trigger demo/hello/bus": "delete", "trigger demo/hello/web": "delete"}},
		{webProps, []any{"sub", "domain", "domain-name", []string{"WWW.example.com"}}, map[string]string{"customDomain www.example.com": "delete"}},
		{webProps, []any{"sub", "trigger", "trigger-name", []string{"nowhere"}}, map[string]string{}},
	} {
		changes, _, err := w.bring(w.call("remove", tt.props, tt.args...))
		if err != nil {
			t.Fatal(diag.Render(err))
		}
		if diff := cmp.Diff(tt.want, actions(changes)); diff != "" {
			t.Errorf("%v: %s", tt.args, diff)
		}
	}
	for _, tt := range []struct{ props, sub, flag, name, want string }{
		{webProps, "trigger", "trigger-name", "wep", `the props have no trigger "wep"`},
		{eventProps, "trigger", "trigger-name", "wep", `the props have no trigger "wep"`},
		{eventProps, "domain", "domain-name", "a.example.com", `the props have no custom domain "a.example.com"`},
	} {
		_, err := w.component().Desired(context.Background(), w.call("deploy", tt.props, "sub", tt.sub, tt.flag, []string{tt.name}))
		if all := diag.List(err); len(all) != 1 || w.problem(err).Summary != tt.want || w.problem(err).Hint == "" {
			t.Errorf("%s", diag.Render(err))
		}
	}
	call := w.call("remove", `{"region": "cn-hangzhou", "service": {"name": "demo"}}`, "sub", "trigger", "trigger-name", []string{"x"})
	_, err := w.component().Desired(context.Background(), call)
	if p := w.problem(err); !strings.Contains(p.Summary, "no function is given") {
		t.Errorf("%+v", p)
	}
}
