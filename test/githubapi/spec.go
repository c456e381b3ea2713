package githubapi

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"sync"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"
)

// spec is GitHub's description of its API, as far as the double has it.
type spec struct{ router routers.Router }

// paths are what the double has, and whether its answers are complete enough to be
// checked too.
var paths = map[string]bool{
	"/repos/{owner}/{repo}/issues/{issue_number}/comments":       true,
	"/repos/{owner}/{repo}/issues/comments/{comment_id}":         true,
	"/repos/{owner}/{repo}/deployments":                          true,
	"/repos/{owner}/{repo}/deployments/{deployment_id}/statuses": true,
	"/repos/{owner}/{repo}/commits/{commit_sha}/pulls":           false,
	"/user": false,
}

// specs are those that were read, by their paths: reading takes seconds.
var specs sync.Map

func loaded(path string) (*spec, error) {
	read, _ := specs.LoadOrStore(path, sync.OnceValues(func() (*spec, error) { return load(path) }))
	return read.(func() (*spec, error))()
}

func load(path string) (*spec, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var whole map[string]any
	if err := json.Unmarshal(data, &whole); err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	all, _ := whole["paths"].(map[string]any)
	kept := map[string]any{}
	for name := range paths {
		if all[name] == nil {
			return nil, fmt.Errorf("%s has no path %s", path, name)
		}
		kept[name] = all[name]
	}
	whole["paths"] = kept
	used := map[string]any{"openapi": whole["openapi"], "info": whole["info"], "paths": kept, "components": referenced(whole, kept)}
	if data, err = json.Marshal(used); err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(data)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", path, err)
	}
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		return nil, err
	}
	return &spec{router: router}, nil
}

// referenced returns the components that v refers to, and those that these refer to.
func referenced(whole map[string]any, v any) map[string]any {
	components, _ := whole["components"].(map[string]any)
	out := map[string]any{}
	var walk func(v any)
	walk = func(v any) {
		switch v := v.(type) {
		case []any:
			for _, item := range v {
				walk(item)
			}
		case map[string]any:
			if ref, ok := v["$ref"].(string); ok {
				kind, name, _ := strings.Cut(strings.TrimPrefix(ref, "#/components/"), "/")
				of, _ := out[kind].(map[string]any)
				if of == nil {
					of = map[string]any{}
					out[kind] = of
				}
				if from, _ := components[kind].(map[string]any); of[name] == nil && from[name] != nil {
					of[name] = from[name]
					walk(from[name])
				}
			}
			for key, item := range v {
				if key != "example" && key != "examples" {
					walk(item)
				}
			}
		}
	}
	walk(v)
	dropExamples(out)
	dropExamples(v)
	return out
}

// dropExamples removes what only people read.
func dropExamples(v any) {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			dropExamples(item)
		}
	case map[string]any:
		for _, key := range []string{"example", "examples"} {
			if _, isSchema := v[key].(map[string]any); isSchema && v["type"] != nil || key == "examples" {
				delete(v, key)
			}
		}
		for _, item := range v {
			dropExamples(item)
		}
	}
}

// check returns what is wrong with a request, or with its answer.
func (s *spec) check(r *http.Request, status int, header http.Header, body []byte) error {
	route, params, err := s.router.FindRoute(r)
	if err != nil {
		return err
	}
	if got := r.Header.Get("Accept"); !strings.Contains(got, "application/vnd.github") {
		return fmt.Errorf("it accepts %q, and does not name GitHub's media type", got)
	}
	input := &openapi3filter.RequestValidationInput{
		Request: r, PathParams: params, Route: route,
		Options: &openapi3filter.Options{AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true},
	}
	if err := openapi3filter.ValidateRequest(context.Background(), input); err != nil {
		return err
	}
	if !paths[route.Path] || status == http.StatusNoContent || status >= 400 {
		return nil
	}
	header = header.Clone()
	header.Set("Content-Type", "application/json")
	return openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: status, Header: header, Body: io.NopCloser(bytes.NewReader(body)), Options: input.Options,
	})
}
