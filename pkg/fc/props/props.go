// Package props turns the props of `component: fc` (Function Compute 2.0) into the
// resources that they ask for, in the field names of the API 2021-04-06, and holds
// the tables by which two states of those resources compare. It decides only: it
// knows no cloud SDK, does no request, and reaches files and code packages through
// the functions that it is given.
package props

import (
	"fmt"
	"slices"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/resource"
)

// The kinds of resources, with what the names in their IDs are made of.
const (
	ServiceKind      resource.Kind = "service"      // service
	FunctionKind     resource.Kind = "function"     // service/function
	TriggerKind      resource.Kind = "trigger"      // service/function/trigger
	AsyncConfigKind  resource.Kind = "asyncConfig"  // service/function
	VPCBindingKind   resource.Kind = "vpcBinding"   // service
	CustomDomainKind resource.Kind = "customDomain" // domain name
)

// Config is what the props say, checked. Resources makes the resources of it.
type Config struct {
	Region   string
	Service  *Service
	Function *Function // nil when the props have none
	Triggers []*Trigger
	Domains  []*Domain
	Warnings []*diag.Problem // Summary and Pos, none of it fatal
}

// Service is props.service.
type Service struct {
	Name  string
	Attrs resource.Attributes // as sent, without the role that is implied when none is set
	// VPCIDs is vpcBinding; empty when nothing is bound.
	VPCIDs []any
	declared
}

// Function is props.function.
type Function struct {
	Name    string
	Runtime string
	Attrs   resource.Attributes // as sent, without code
	Async   resource.Attributes // asyncConfiguration; nil when there is none
	Code    Code
	asyncAt declared
	declared
}

// Code is where the code of a function comes from.
type Code struct {
	URI       string // file or folder as written; "" when the code is in OSS or an image
	Path      string // URI below the folder of the application; set by Resources
	Bucket    any    // of OSS; a text, secret.String or app.UnknownValue, nil for none
	Object    any    // likewise
	Service   string // whose code it is
	Function  string
	Runtime   string
	ZipJar    bool // a .jar is packed into a zip, not sent as it is
	Container bool // the code is in an image
	Pos       diag.Pos
}

// Trigger is one entry of props.triggers.
type Trigger struct {
	Name  string
	Type  string
	Attrs resource.Attributes // as sent; sourceArn only when written
	// source are the parts of a source ARN that is derived.
	source func(region, account string) []any
	declared
}

// Domain is one entry of props.customDomains.
type Domain struct {
	Name  string              // "auto" as written
	Attrs resource.Attributes // as sent, without certificates
	Cert  *app.Value          // certConfig as written; nil when there is none
	declared
}

// declared is where the file declares something, and what of it devs cannot do,
// which matters only when the resource is chosen.
type declared struct {
	Pos         diag.Pos
	Field       map[string]diag.Pos
	unsupported []error
}

func (d *declared) refuse(pos diag.Pos, hint, format string, args ...any) {
	p := diag.At(pos, format, args...)
	p.Hint = hint
	d.unsupported = append(d.unsupported, p)
}

// declare records the place of v and of its keys under their names in the API.
func declare(v *app.Value, fields []field) declared {
	d := declared{Field: map[string]diag.Pos{}}
	if v == nil {
		return d
	}
	d.Pos = v.Pos
	for _, e := range v.Entries {
		i := slices.IndexFunc(fields, func(f field) bool { return f.matches(e.Key) })
		if i >= 0 && fields[i].apiName() != local {
			d.Field[fields[i].apiName()] = e.KeyPos
		}
	}
	return d
}

// Parse reads evaluated props. All that is wrong with them comes at once, as
// joined diag.Problems.
func Parse(v *app.Value) (*Config, error) {
	d := &decoder{}
	c := d.config(v)
	if err := d.err(); err != nil {
		return nil, err
	}
	c.Warnings = d.warnings
	return c, nil
}

// propsFields are the keys of props; each part is decoded on its own.
func propsFields() []field {
	return []field{
		req("region", choice(regions()...).mustBeKnown()),
		req("service", anything()),
		opt("function", anything()),
		opt("triggers", anything()),
		opt("customDomains", anything()),
	}
}

func (d *decoder) config(v *app.Value) *Config {
	c := &Config{}
	if v == nil || v.Kind != app.Map {
		d.fail(posOf(v), "", "props must be a mapping with region, service and function")
		return c
	}
	d.refuseUnknownKeys(v, propsFields(), "")
	for _, key := range []string{"region", "service"} {
		if isAbsent(v.Get(key), object()) {
			d.fail(v.Pos, "", "props.%s is missing", key)
		}
	}
	c.Region, _ = d.decode(v.Get("region"), propsFields()[0].shape, "region").(string)
	if part := v.Get("service"); !isAbsent(part, object()) {
		c.Service = d.service(part)
	}
	if part := v.Get("function"); !isAbsent(part, object()) {
		c.Function = d.function(part, c.Region)
	}
	for i, item := range d.items(v.Get("triggers"), "triggers") {
		c.Triggers = append(c.Triggers, d.trigger(item, fmt.Sprintf("triggers[%d]", i)))
	}
	for i, item := range d.items(v.Get("customDomains"), "customDomains") {
		c.Domains = append(c.Domains, d.domain(item, fmt.Sprintf("customDomains[%d]", i)))
	}
	d.relations(c)
	return c
}

// items returns the entries of a list of mappings.
func (d *decoder) items(v *app.Value, path string) []*app.Value {
	switch {
	case isAbsent(v, object()):
		return nil
	case v.Kind == app.Unknown:
		d.failUnknown(v, path)
		return nil
	case v.Kind != app.List:
		d.wrongKind(v, path, "a list")
		return nil
	}
	for i, item := range v.Items {
		if isAbsent(item, object()) {
			d.fail(posOr(item, v), "", "%s[%d] is empty", path, i)
			return nil
		}
	}
	return v.Items
}

// part decodes a mapping whose place in the props must be known, and records where
// its fields are.
func (d *decoder) part(v *app.Value, fields []field, path string) (map[string]any, declared) {
	attrs, _ := d.decode(v, object(fields...).mustBeKnown(), path).(map[string]any)
	if attrs == nil {
		attrs = map[string]any{}
	}
	return attrs, declare(v, fields)
}

func posOf(v *app.Value) diag.Pos {
	if v == nil {
		return diag.Pos{}
	}
	return v.Pos
}
