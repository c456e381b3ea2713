package expr

import (
	"bytes"
	"encoding/json"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/secret"
	"github.com/devs/deploy/pkg/spec/yamlvalue"
)

// call evaluates a function.
func (e *evaluator) call(x *expression, at diag.Pos, c context) (*app.Value, error) {
	if !isFunction(x.name) {
		return nil, errUnknownForm
	}
	most := 1
	if x.name == "env" {
		most = 2
	}
	if len(x.args) == 0 || len(x.args) > most {
		return nil, diag.Errorf("%s() has %d arguments", x.name, len(x.args)).WithHint("%s", usage(x.name))
	}
	if x.name == "regex" {
		return nil, diag.Errorf("regex() is used in a value").WithHint("it belongs behind pre-, post-, success-, fail- or complete- in a key of actions, or into a key of flow")
	}
	arg, err := e.argument(&x.args[0], x.name, at, c)
	if err != nil {
		return nil, err
	}
	if arg.Kind == app.Unknown {
		return arg, nil
	}
	switch x.name {
	case "json", "yaml":
		return e.parseText(x.name, arg, at)
	case "str":
		return toText(arg, at)
	}
	if arg.Kind == app.List || arg.Kind == app.Map || arg.IsNull() {
		return nil, diag.Errorf("the argument of %s() is %s", x.name, arg.Kind).WithHint("%s", usage(x.name))
	}
	switch x.name {
	case "env":
		var fallback func() (*app.Value, error)
		if len(x.args) == 2 {
			fallback = func() (*app.Value, error) { return e.argument(&x.args[1], "", at, c) }
		}
		return e.env(arg.Str(), at, fallback)
	case "file":
		return e.file(arg)
	case "path":
		return e.absolute(arg)
	case "config":
		return e.credential(arg.Str())
	default:
		return e.secret(arg.Str())
	}
}

func usage(name string) string {
	switch name {
	case "env":
		return "write ${env('NAME')} or ${env('NAME', 'default')}"
	case "file", "path":
		return "write ${" + name + "('./name')}"
	case "config":
		return "write ${config('AccountID')}"
	case "secret":
		return "write ${secret('key')}"
	case "json", "yaml":
		return "write ${" + name + "(file('./name." + name + "'))}"
	}
	return "write ${" + name + "(vars.x)}"
}

// argument evaluates an argument of function ("" for a default value). Without
// quotes, vars.x is a reference where the function takes a value; where it takes a
// name it is one in 3.0.0, in which texts are quoted, and a name in 1.0.0, in which
// they are not.
func (e *evaluator) argument(x *expression, function string, at diag.Pos, c context) (*app.Value, error) {
	if x.kind == kindCall {
		return e.call(x, at, c)
	}
	if x.isReference(function, e.scope.Edition) {
		return e.path(x.path, at, c)
	}
	takesValue := parses(function) || function == ""
	if x.kind == kindBare && takesValue {
		return scalar(x.text, at), nil
	}
	return &app.Value{Kind: app.String, Scalar: x.text, Pos: at}, nil
}

// isReference reports whether an argument without quotes is a reference. example.com
// as the default of env() is none: there the root must be one that every file has.
func (x *expression) isReference(function string, edition app.Edition) bool {
	if x.kind != kindBare || x.path == nil {
		return false
	}
	return parses(function) || isRoot(x.path[0]) && (function == "" || edition == app.Edition3)
}

// parses reports whether a function takes a value, not a name.
func parses(function string) bool {
	return function == "json" || function == "yaml" || function == "str"
}

// scalar gives a text without quotes its type: a boolean, a whole number, or text.
func scalar(text string, at diag.Pos) *app.Value {
	v := &app.Value{Kind: app.String, Scalar: text, Pos: at}
	if i, err := strconv.ParseInt(text, 10, 64); err == nil {
		v.Kind, v.Scalar, v.Raw = app.Int, i, text
	} else if text == "true" || text == "false" {
		v.Kind, v.Scalar = app.Bool, text == "true"
	}
	return v
}

// env returns an environment variable, or the default. A variable that is set but
// empty counts as set; it is what a missing CI secret looks like, so it is named.
func (e *evaluator) env(name string, at diag.Pos, fallback func() (*app.Value, error)) (*app.Value, error) {
	if e.scope.Env != nil {
		if text, ok := e.scope.Env(name); ok {
			if text == "" {
				e.warn(at, "the environment variable %s is set, but empty", name)
			}
			return &app.Value{Kind: app.String, Scalar: text, Secret: true}, nil
		}
	}
	if fallback != nil {
		return fallback()
	}
	return nil, diag.Errorf("the environment variable %s is not set", name).
		WithHint("set %s, or give a default with ${env('%s', 'value')}, %s", name, name, keepHint)
}

func (e *evaluator) abs(path string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(e.scope.Dir, path)
	}
	return filepath.Clean(path)
}

// absolute is path(): 3.0.0 demands that it exists.
func (e *evaluator) absolute(arg *app.Value) (*app.Value, error) {
	path := e.abs(arg.Str())
	if e.scope.Edition == app.Edition3 && e.scope.Exists != nil && !e.scope.Exists(path) {
		return nil, diag.Errorf("the path %s does not exist", shown(arg)).
			WithHint("paths are relative to the folder of the application file; create it, %s", keepHint)
	}
	return &app.Value{Kind: app.String, Scalar: path, Secret: arg.Secret}, nil
}

// file is file(): text in 3.0.0; in 1.0.0 YAML and JSON files are parsed. What is
// in the file is data: "${" in it stays.
func (e *evaluator) file(arg *app.Value) (*app.Value, error) {
	if e.scope.ReadFile == nil {
		return nil, diag.Errorf("file() cannot be used here").WithHint("put the value into the application file")
	}
	data, err := e.scope.ReadFile(e.abs(arg.Str()))
	if err != nil {
		return nil, diag.Errorf("the file %s cannot be read", shown(arg)).WithCause(err).
			WithHint("paths are relative to the folder of the application file; create it, %s", keepHint)
	}
	if e.scope.Edition != app.Edition3 {
		switch strings.ToLower(filepath.Ext(arg.Str())) {
		case ".yaml", ".yml", ".json":
			return yamlvalue.Parse(data, yamlvalue.Options{File: shown(arg)})
		}
	}
	return &app.Value{Kind: app.String, Scalar: string(data)}, nil
}

// credential is config().
func (e *evaluator) credential(field string) (*app.Value, error) {
	if e.scope.Config == nil {
		return nil, diag.Errorf("${config('%s')}: there is no credential", field).
			WithHint("configure one (devs config add, or the environment), %s", keepHint)
	}
	v, err := e.scope.Config(field)
	if err != nil {
		return nil, err
	}
	if v.IsNull() {
		return nil, diag.Errorf("the credential has no field %s", field).
			WithHint("use AccountID, AccessKeyID, AccessKeySecret or SecurityToken, and check that it is set, %s", keepHint)
	}
	return v.AsSecret(), nil
}

// secret is secret().
func (e *evaluator) secret(key string) (*app.Value, error) {
	if e.scope.Secret == nil {
		return nil, diag.Errorf("${secret('%s')}: there is no secret store here", key).
			WithHint("put the value into an environment variable and write ${env('NAME')}, %s", keepHint)
	}
	v, err := e.scope.Secret(key)
	if err != nil {
		return nil, err
	}
	if v.IsNull() {
		return nil, diag.Errorf("the secret store has no key %s", key).
			WithHint("put the value into an environment variable and write ${env('NAME')}, %s", keepHint)
	}
	return v.AsSecret(), nil
}

// parseText is json() and yaml(). Its messages hold nothing of the text: it may be
// secret.
func (e *evaluator) parseText(name string, arg *app.Value, at diag.Pos) (*app.Value, error) {
	if arg.Kind != app.String {
		if arg.Kind == app.Null {
			return nil, diag.Errorf("the argument of %s() is null", name).WithHint("%s", usage(name))
		}
		return arg, nil // parsed already: file('a.json') in 1.0.0
	}
	v, err := parseData(name, arg.Str(), at)
	if err != nil {
		return nil, diag.Errorf("the argument of %s() is not valid %s", name, strings.ToUpper(name)).
			WithHint("check the text that the expression yields, %s", keepHint)
	}
	if arg.Secret {
		v = v.AsSecret()
	}
	return v, nil
}

func parseData(name, text string, at diag.Pos) (*app.Value, error) {
	if name == "yaml" {
		v, err := yamlvalue.Parse([]byte(text), yamlvalue.Options{})
		if err != nil {
			return nil, err
		}
		return moved(v, at), nil
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var data any
	if err := dec.Decode(&data); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, io.ErrUnexpectedEOF
	}
	return app.From(data, at), nil
}

// moved returns v with every place set to at: lines of a text inside of a file are
// no lines of the file.
func moved(v *app.Value, at diag.Pos) *app.Value {
	out := *v
	out.Pos = at
	out.Items = slices.Clone(v.Items)
	for i, item := range out.Items {
		out.Items[i] = moved(item, at)
	}
	out.Entries = slices.Clone(v.Entries)
	for i, entry := range out.Entries {
		out.Entries[i].KeyPos, out.Entries[i].Value = at, moved(entry.Value, at)
	}
	return &out
}

// toText is str(): the spelling of a scalar, JSON for lists and mappings.
func toText(v *app.Value, at diag.Pos) (*app.Value, error) {
	out := &app.Value{Kind: app.String, Pos: at, Secret: v.HasSecret()}
	if v.HasUnknown() {
		out.Kind, out.Scalar = app.Unknown, "" // the placeholder's text
		return out, nil
	}
	if v.Kind != app.List && v.Kind != app.Map {
		out.Scalar = v.Str()
		return out, nil
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(reveal(v)); err != nil {
		return nil, diag.Errorf("the argument of str() cannot be written as JSON").WithHint("%s", usage("str"))
	}
	out.Scalar = strings.TrimSuffix(b.String(), "\n")
	return out, nil
}

// reveal returns v as Go data with secrets in the clear, for a text that is marked
// secret as a whole.
func reveal(v *app.Value) any {
	switch {
	case v == nil:
		return nil
	case v.Kind == app.List:
		list := make([]any, len(v.Items))
		for i, item := range v.Items {
			list[i] = reveal(item)
		}
		return list
	case v.Kind == app.Map:
		m := make(map[string]any, len(v.Entries))
		for _, entry := range v.Entries {
			m[entry.Key] = reveal(entry.Value)
		}
		return m
	}
	return v.Scalar
}

// shown returns a file name for a message; a name may come from a secret.
func shown(arg *app.Value) string {
	if arg.Secret {
		return secret.Mask
	}
	return arg.Str()
}
