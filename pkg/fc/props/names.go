package props

import (
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/app"
)

// Selectors are the names that a command line can give. They win over the props.
type Selectors struct {
	Region, Service, Function string
	Triggers, Domains         []string // taken only when the props list none at all
}

// Override returns props v with the selectors put in, which makes props of an empty
// mapping in `devs cli` mode.
func Override(v *app.Value, s Selectors) *app.Value {
	if v == nil {
		v = &app.Value{Kind: app.Map}
	}
	v = with(v, s.Region, "region")
	v = with(v, s.Service, "service", "name")
	v = with(v, s.Function, "function", "name")
	v = withNames(v, "triggers", "name", s.Triggers)
	return withNames(v, "customDomains", "domainName", s.Domains)
}

func with(v *app.Value, value string, keys ...string) *app.Value {
	if value == "" {
		return v
	}
	text := app.Text(value)
	if old := v.Get(keys...); old != nil {
		text.Pos = old.Pos
	}
	return set(v, text, keys)
}

// set returns a copy of v that has value under the keys.
func set(v, value *app.Value, keys []string) *app.Value {
	if len(keys) == 0 {
		return value
	}
	out := &app.Value{Kind: app.Map}
	if v != nil && v.Kind == app.Map {
		*out = *v
		out.Entries = slices.Clone(v.Entries)
	} else if v != nil {
		out.Pos = v.Pos
	}
	i := slices.IndexFunc(out.Entries, func(e app.Entry) bool { return e.Key == keys[0] })
	if i < 0 {
		out.Entries = append(out.Entries, app.Entry{Key: keys[0], KeyPos: out.Pos})
		i = len(out.Entries) - 1
	}
	out.Entries[i].Value = set(out.Entries[i].Value, value, keys[1:])
	return out
}

func withNames(v *app.Value, key, nameKey string, names []string) *app.Value {
	if len(names) == 0 || !v.Get(key).IsNull() {
		return v
	}
	items := &app.Value{Kind: app.List, Pos: v.Pos}
	for _, name := range names {
		items.Items = append(items.Items, set(nil, app.Text(name), []string{nameKey}))
	}
	return set(v, items, []string{key})
}

// ParseNames reads only region and names, which is all that a removal and most
// other commands need: the rest of the props may be wrong or missing. Parts that
// the props do not have are nil.
func ParseNames(v *app.Value) (*Config, error) {
	d := &decoder{}
	c := &Config{}
	c.Region, _ = d.decode(v.Get("region"), choice(regions()...).mustBeKnown(), "region").(string)
	if v.Get("region").IsNull() {
		d.fail(posOf(v), "", "props.region is missing")
	}
	if name, where := d.name(v.Get("service"), "name", "service"); name != "" {
		c.Service = &Service{Name: name, declared: where}
	}
	if name, where := d.name(v.Get("function"), "name", "function"); name != "" {
		c.Function = &Function{Name: name, declared: where}
	}
	for _, item := range d.items(v.Get("triggers"), "triggers") {
		if name, where := d.name(item, "name", "triggers[]"); name != "" {
			c.Triggers = append(c.Triggers, &Trigger{Name: name, Type: item.Get("type").Str(), declared: where})
		}
	}
	for _, item := range d.items(v.Get("customDomains"), "customDomains") {
		if name, where := d.name(item, "domainName", "customDomains[]"); name != "" {
			c.Domains = append(c.Domains, &Domain{Name: strings.ToLower(name), declared: where})
		}
	}
	if err := d.err(); err != nil {
		return nil, err
	}
	return c, nil
}

// name returns the name in a part of the props, "" when there is no such part.
func (d *decoder) name(v *app.Value, key, path string) (string, declared) {
	if isAbsent(v, object()) {
		return "", declared{}
	}
	if v.Kind == app.Unknown {
		d.failUnknown(v, path)
		return "", declared{}
	}
	name := v.Get(key)
	if name.IsNull() {
		d.fail(v.Pos, "", "%s.%s is missing", path, key)
		return "", declared{}
	}
	check := pathName
	if key == "domainName" {
		check = domainName
	}
	text, _ := d.decode(name, identity(notEmpty, check), path+"."+key).(string)
	return text, declared{Pos: v.Pos}
}
