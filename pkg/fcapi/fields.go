package fcapi

import (
	"slices"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
)

// Fields that methods share.
const (
	fieldRegion    = "region"
	fieldService   = "serviceName"
	fieldFunction  = "functionName"
	fieldAlias     = "aliasName"
	fieldCode      = "code"
	fieldVersion   = "versionId"
	fieldWeight    = "additionalVersionWeight"
	fieldVariables = "environmentVariables"
	flagProps      = "props"
)

// objects are the fields whose flag holds JSON.
func objects() []string { return []string{fieldCode, fieldVariables, fieldWeight} }

// flags returns the flags of the method: the names of its fields, and props.
func (m method) flags() []component.Flag {
	usages := map[string]string{
		fieldService: "the name of the service", fieldFunction: "the name of the function", fieldAlias: "the name of the alias",
		fieldVersion: "the version it leads to",
	}
	flags := []component.Flag{{Name: fieldRegion, Type: component.StringFlag, Usage: "the region, such as cn-hangzhou"}}
	for _, name := range m.needs {
		flags = append(flags, component.Flag{Name: name, Type: component.StringFlag, Usage: usages[name]})
	}
	return append(append(flags, m.takes...), component.Flag{Name: flagProps, Short: "p", Type: component.StringFlag, Usage: "fields as a JSON object"})
}

func (m method) examples() []string {
	if m.example == "" {
		return nil
	}
	return []string{"devs cli fc-api " + m.name + " " + m.example}
}

// names returns the fields of the method, without those that only props can have.
func (m method) names() []string {
	names := append([]string{fieldRegion}, m.needs...)
	for _, f := range m.takes {
		names = append(names, f.Name)
	}
	return names
}

// fields are what a call was given, by name.
type fields map[string]*app.Value

func (f fields) text(name string) string { return f[name].Str() }

// gather returns the fields of a call: those of the file, over them those of --props,
// and over them the flags. All that a method needs is there.
func (m method) gather(call *component.Call) (fields, error) {
	all := fields{}
	if err := m.take(all, own(call.Props)); err != nil {
		return nil, err
	}
	if text := call.Args.String(flagProps); text != "" {
		v, err := object("--"+flagProps, text)
		if err != nil {
			return nil, err
		}
		if err := m.take(all, v); err != nil {
			return nil, err
		}
	}
	if err := m.given(all, call.Args); err != nil {
		return nil, err
	}
	for _, f := range m.takes {
		if err := fits(all[f.Name], f); err != nil {
			return nil, err
		}
	}
	for _, name := range append([]string{fieldRegion}, m.needs...) {
		if v := all[name]; v != nil && v.Kind != app.String && !v.IsNull() {
			return nil, diag.At(v.Pos, "%s must be a text, not %s", name, v.Kind).WithCode(diag.ExitComponent)
		}
		if all.text(name) == "" {
			return nil, diag.Errorf("%s needs --%s", m.name, name).WithCode(diag.ExitComponent).
				WithHint("give --%s, or %s in props", name, name)
		}
	}
	return all, nil
}

// fits reports a value of props that the flag of its name would not take.
func fits(v *app.Value, f component.Flag) error {
	if v.IsNull() || f.Type != component.StringFlag || slices.Contains(objects(), f.Name) {
		return nil
	}
	if v.Kind == app.Map || v.Kind == app.List {
		return diag.At(v.Pos, "%s must be a text, not %s", f.Name, v.Kind).WithCode(diag.ExitComponent).WithHint("write JSON in quotes, where it is one")
	}
	if len(f.Choices) > 0 && !slices.Contains(f.Choices, v.Str()) {
		return diag.At(v.Pos, "%s is %q", f.Name, v.Str()).WithCode(diag.ExitComponent).WithHint("%s", diag.DidYouMean(v.Str(), f.Choices))
	}
	return nil
}

// own returns the fields in the props of a service. Those of a service of the component
// fc, in whose hooks methods can stand, only say what the method is about.
func own(props *app.Value) *app.Value {
	service, function := props.Get("service"), props.Get("function")
	if service.IsNull() && function.IsNull() {
		return props
	}
	about := &app.Value{Kind: app.Map}
	for _, e := range []app.Entry{
		{Key: fieldRegion, Value: props.Get("region")},
		{Key: fieldService, Value: service.Get("name")},
		{Key: fieldFunction, Value: function.Get("name")},
	} {
		if !e.Value.IsNull() {
			about.Entries = append(about.Entries, e)
		}
	}
	return about
}

// take adds the fields in v.
func (m method) take(all fields, v *app.Value) error {
	if v.IsNull() {
		return nil
	}
	about := []string{fieldService, fieldFunction} // what many methods are about may always stand there
	for _, e := range v.Entries {
		switch {
		case slices.Contains(m.names(), e.Key) || m.open:
			all[e.Key] = e.Value
		case slices.Contains(about, e.Key):
		default:
			return diag.At(e.KeyPos, "%s has no field %q", m.name, e.Key).WithCode(diag.ExitComponent).
				WithHint("%s", diag.DidYouMean(e.Key, m.names()))
		}
	}
	return nil
}

// given adds the fields that flags hold.
func (m method) given(all fields, args component.Args) error {
	for _, name := range m.names() {
		switch value := args.Flags[name].(type) {
		case string:
			all[name] = app.Text(value)
			if slices.Contains(objects(), name) {
				v, err := object("--"+name, value)
				if err != nil {
					return err
				}
				all[name] = v
			}
		case int:
			all[name] = &app.Value{Kind: app.Int, Scalar: int64(value)}
		}
	}
	return nil
}

// object reads the JSON object in a flag. Its text is not shown: it may hold secrets.
func object(flag, text string) (*app.Value, error) {
	v, err := app.ParseJSON([]byte(text))
	if err != nil || v.Kind != app.Map {
		return nil, diag.Errorf("%s is not a JSON object", flag).WithCode(diag.ExitComponent).WithCause(err).
			WithHint(`write it in single quotes: %s '{"key":"value"}'`, flag)
	}
	return v, nil
}
