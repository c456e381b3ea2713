package fcapi

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/client"
)

// invokeTimeout is how long the answer of a function is waited for.
const invokeTimeout = 10 * time.Minute

func listServices(ctx context.Context, s *session) (*app.Value, error) {
	return listed(s.api.ListServices(ctx, s.fields.text("prefix")))
}

func getService(ctx context.Context, s *session) (*app.Value, error) {
	return shown(s.api.GetServiceAt(ctx, s.service(), s.fields.text("qualifier")))
}

func listFunctions(ctx context.Context, s *session) (*app.Value, error) {
	return listed(s.api.ListFunctions(ctx, s.service()))
}

func getFunction(ctx context.Context, s *session) (*app.Value, error) {
	return shown(s.api.GetFunction(ctx, s.service(), s.function(), s.fields.text("qualifier")))
}

func listVersions(ctx context.Context, s *session) (*app.Value, error) {
	return listed(s.api.ListVersions(ctx, s.service()))
}

func publishVersion(ctx context.Context, s *session) (*app.Value, error) {
	return shown(s.api.PublishVersion(ctx, s.service(), s.fields.text("description")))
}

func listAliases(ctx context.Context, s *session) (*app.Value, error) {
	return listed(s.api.ListAliases(ctx, s.service()))
}

func getAlias(ctx context.Context, s *session) (*app.Value, error) {
	return shown(s.api.GetAlias(ctx, s.service(), s.fields.text(fieldAlias)))
}

// createAlias makes an alias of a version.
func createAlias(ctx context.Context, s *session) (*app.Value, error) {
	return shown(s.api.CreateAlias(ctx, s.service(), s.body()))
}

// updateAlias changes what is given of an alias, as updateFunction does of a function.
func updateAlias(ctx context.Context, s *session) (*app.Value, error) {
	name := s.fields.text(fieldAlias)
	changes := s.body(fieldAlias)
	if len(changes) == 0 {
		return nil, unchanged("updateAlias", "--versionId")
	}
	online, err := s.api.GetAlias(ctx, s.service(), name)
	if err != nil {
		return nil, err
	}
	return shown(s.api.UpdateAlias(ctx, s.service(), name, online.ETag, changes))
}

// body returns the fields that are sent: without those that the address has, and without
// the ones named.
func (s *session) body(without ...string) map[string]any {
	body := map[string]any{}
	for name, v := range s.fields {
		if !slices.Contains(append(without, fieldRegion, fieldService, fieldFunction), name) {
			body[name] = v.Plain()
		}
	}
	return body
}

// unchanged is the error for a change of nothing.
func unchanged(method, example string) error {
	return diag.Errorf("%s is given nothing to change", method).WithCode(diag.ExitComponent).
		WithHint("give %s, or another field", example)
}

// updateFunction sends what was given and nothing else, on the condition that the
// function is still what it was when it was read.
func updateFunction(ctx context.Context, s *session) (*app.Value, error) {
	changes := s.body(fieldCode)
	code := s.fields[fieldCode]
	if len(changes) == 0 && code.IsNull() {
		return nil, unchanged("updateFunction", `--code '{"zipFile":"./"}'`)
	}
	online, err := s.api.GetFunction(ctx, s.service(), s.function(), "")
	if err != nil {
		return nil, err
	}
	checksum := ""
	if !code.IsNull() {
		runtime, _ := online.Attrs["runtime"].(string)
		if changes[fieldCode], checksum, err = s.code(ctx, code, runtime); err != nil {
			return nil, err
		}
	}
	return shown(s.api.UpdateFunction(ctx, s.service(), s.function(), online.ETag, checksum, changes))
}

// invokeFunction calls the function. The result is what it answered, as one text.
func invokeFunction(ctx context.Context, s *session) (*app.Value, error) {
	async := s.fields.text("invocationType") == "Async"
	res, err := s.api.Invoke(ctx, client.Invocation{
		Service: s.service(), Function: s.function(), Qualifier: s.fields.text("qualifier"),
		Event: []byte(s.fields.text("event")), Async: async, Timeout: invokeTimeout,
	})
	if err != nil {
		return nil, err
	}
	if async {
		s.notify("asynchronous, request id:")
		return app.Text(res.RequestID), nil
	}
	for line := range strings.Lines(string(res.Log)) {
		s.notify(strings.TrimRight(line, "\r\n"))
	}
	if res.ErrorType != "" {
		const most = 4 << 10
		return nil, diag.Errorf("the function %s/%s failed (%s)", s.service(), s.function(), res.ErrorType).WithCode(diag.ExitComponent).
			WithDetail(fmt.Sprintf("%.*s", most, res.Body)).WithHint("the log of the invocation stands above")
	}
	return app.Text(string(res.Body)), nil
}

// shown is an answer as a result.
func shown(o *client.Object, err error) (*app.Value, error) {
	if err != nil {
		return nil, err
	}
	return hidden(o.Attrs), nil
}

// listed is a list of the API as a result.
func listed(list []map[string]any, err error) (*app.Value, error) {
	if err != nil {
		return nil, err
	}
	out := &app.Value{Kind: app.List}
	for _, attrs := range list {
		out.Items = append(out.Items, hidden(attrs))
	}
	return out, nil
}

// hidden returns what the API answers with the values of environment variables secret.
func hidden(attrs map[string]any) *app.Value {
	v := app.From(attrs, diag.Pos{})
	for i, e := range v.Entries {
		if e.Key == fieldVariables {
			v.Entries[i].Value = e.Value.AsSecret()
		}
	}
	return v
}
