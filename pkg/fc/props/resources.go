package props

import (
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/resource"
)

// Options say which resources are wanted and how to get at what is not in the props.
type Options struct {
	Command      string   // "deploy", "plan" or "remove"
	Sub          string   // "" or all, service, function, trigger, domain
	Type         string   // "" for all, code, config
	TriggerNames []string // of those chosen; nil for all
	DomainNames  []string // likewise
	Account      string   // account id
	Dir          string   // absolute; relative paths of the props are relative to it

	// AutoDomain is the domain under which `domainName: auto` gets a name; "" when
	// there is none.
	AutoDomain string

	// Preview makes code and certificates that are not there yet unknown instead of
	// an error.
	Preview bool

	// Pack makes the package of a function's code. It is called for functions whose
	// code is sent, and only when everything else is right.
	Pack func(Code) (resource.Payload, error)

	// ReadFile reads a certificate; a relative path is joined to Dir before.
	ReadFile func(path string) ([]byte, error)
}

// Resources returns the resources that the options choose, in an order in which
// they can be created, and warnings (Summary and Pos), none of them fatal.
func (c *Config) Resources(o Options) ([]*resource.Resource, []*diag.Problem, error) {
	b := &builder{c: c, o: o}
	b.warnings = append(b.warnings, c.Warnings...)
	b.choose()
	if b.err() != nil {
		return nil, nil, b.err()
	}
	b.service()
	b.function()
	b.triggers()
	b.domains()
	if b.err() == nil {
		b.code()
	}
	if err := b.err(); err != nil {
		return nil, nil, err
	}
	b.linkDeps()
	return b.out, b.warnings, nil
}

// builder makes the resources of one call.
type builder struct {
	decoder
	c     *Config
	o     Options
	kinds []resource.Kind
	out   []*resource.Resource
}

// remove reports whether only the names of resources are needed.
func (b *builder) remove() bool { return b.o.Command == "remove" }

// choose settles the kinds that the sub-command and --type ask for.
func (b *builder) choose() {
	subs := map[string][]resource.Kind{
		"service":  {ServiceKind, VPCBindingKind},
		"function": {FunctionKind, AsyncConfigKind},
		"trigger":  {TriggerKind},
		"domain":   {CustomDomainKind},
		"all":      {ServiceKind, VPCBindingKind, FunctionKind, AsyncConfigKind, TriggerKind, CustomDomainKind},
	}
	sub := b.o.Sub
	if sub == "" {
		sub = "all"
	}
	kinds, ok := subs[sub]
	if !ok {
		b.fail(diag.Pos{}, diag.DidYouMean(sub, []string{"all", "service", "function", "trigger", "domain"}), "unknown sub-command %q", sub)
		return
	}
	if sub == "function" && b.remove() {
		kinds = append(kinds, TriggerKind) // a function with triggers cannot be deleted
	}
	switch typ := b.o.Type; {
	case typ != "" && typ != "code" && typ != "config":
		b.fail(diag.Pos{}, diag.DidYouMean(typ, []string{"code", "config"}), "unknown --type %q", typ)
	case typ != "" && sub != "all" && sub != "function":
		b.warn(diag.Pos{}, "--type %s has no meaning for %s and is not looked at", typ, sub)
		b.o.Type = ""
	case typ == "code":
		kinds = []resource.Kind{FunctionKind}
	}
	b.kinds = kinds
	b.missing(sub)
}

// missing refuses a sub-command for what the props do not have.
func (b *builder) missing(sub string) {
	switch {
	case sub == "function" && b.c.Function == nil, b.o.Type == "code" && b.c.Function == nil:
		b.fail(diag.Pos{}, "", "the props have no function")
	case sub == "service" && b.c.Service == nil:
		b.fail(diag.Pos{}, "", "the props have no service")
	case sub == "trigger" && len(b.c.Triggers) == 0:
		b.fail(diag.Pos{}, "", "the props have no triggers")
	case sub == "domain" && len(b.c.Domains) == 0:
		b.fail(diag.Pos{}, "", "the props have no customDomains")
	}
}

func (b *builder) wants(kind resource.Kind) bool { return slices.Contains(b.kinds, kind) }

// add adds a resource; what of it is not supported matters now.
func (b *builder) add(kind resource.Kind, name string, from declared, attrs resource.Attributes, deps ...resource.ID) *resource.Resource {
	r := &resource.Resource{ID: resource.ID{Kind: kind, Name: name}, Deps: deps, Pos: from.Pos}
	if !b.remove() {
		b.problems = append(b.problems, from.unsupported...)
		r.Attrs, r.Field = attrs, from.Field
	}
	b.out = append(b.out, r)
	return r
}

// or returns d, or the place alone when d declares nothing.
func (d declared) or(pos diag.Pos) declared {
	if d.Pos.IsZero() {
		d.Pos = pos
	}
	return d
}

func (b *builder) serviceID() resource.ID {
	return resource.ID{Kind: ServiceKind, Name: b.c.Service.Name}
}

func (b *builder) functionID() resource.ID {
	return resource.ID{Kind: FunctionKind, Name: b.c.Service.Name + "/" + b.c.Function.Name}
}

func (b *builder) service() {
	s := b.c.Service
	if s == nil {
		return
	}
	if b.wants(ServiceKind) {
		attrs := copyAttrs(s.Attrs)
		if role := b.impliedRole(); attrs["role"] == nil && role != "" && !b.remove() {
			attrs["role"] = role
		}
		b.add(ServiceKind, s.Name, s.declared, attrs)
	}
	if b.wants(VPCBindingKind) {
		var attrs resource.Attributes
		if len(s.VPCIDs) > 0 {
			attrs = resource.Attributes{"vpcIds": s.VPCIDs}
		}
		r := b.add(VPCBindingKind, s.Name, declared{Pos: s.Pos}, attrs, b.serviceID())
		r.Absent = attrs == nil && !b.remove()
	}
}

// impliedRole is the role that the upstream tool takes when the file names none but
// the service or its function needs one.
func (b *builder) impliedRole() string {
	s, f := b.c.Service, b.c.Function
	need := len(s.VPCIDs) > 0
	for _, block := range []string{"vpcConfig", "nasConfig", "ossMountConfig", "logConfig"} {
		need = need || s.Attrs[block] != nil
	}
	if f != nil {
		need = need || f.Async != nil || f.Code.Container
	}
	if !need || s.Attrs["role"] != nil || b.remove() {
		return ""
	}
	return "acs:ram::" + b.account("the default role") + ":role/aliyunfcdefaultrole"
}

// account returns the account id, which what names in messages.
func (b *builder) account(what string) string {
	if b.o.Account == "" {
		b.fail(diag.Pos{}, "add the account id to the credential", "%s needs the account id, which the credential does not have", what)
	}
	return b.o.Account
}

func (b *builder) function() {
	f := b.c.Function
	if f == nil || b.c.Service == nil {
		return
	}
	if b.wants(FunctionKind) {
		r := b.add(FunctionKind, b.functionID().Name, f.declared, copyAttrs(f.Attrs), b.serviceID())
		switch {
		case b.o.Type == "config":
			r.Managed = functionAttributes()
			if f.Code.Container { // the image is the code
				r.Managed = slices.DeleteFunc(r.Managed, func(a string) bool { return a == "customContainerConfig" })
			}
		case b.o.Type == "code" && f.Code.Container:
			r.Managed = []string{"customContainerConfig"}
		case b.o.Type == "code":
			r.Managed = []string{"code"}
		}
	}
	if b.wants(AsyncConfigKind) {
		r := b.add(AsyncConfigKind, b.functionID().Name, f.asyncAt.or(f.Pos), b.async(), b.functionID())
		r.Absent = f.Async == nil && !b.remove()
	}
}

// async expands ":::" in destinations to region and account.
func (b *builder) async() resource.Attributes {
	if b.c.Function.Async == nil || b.remove() {
		return nil
	}
	attrs := copyAttrs(b.c.Function.Async)
	config, ok := attrs["destinationConfig"].(map[string]any)
	if !ok {
		return attrs
	}
	expanded := map[string]any{}
	for key, to := range config {
		arn := to.(map[string]any)["destination"]
		if head, rest, short := strings.Cut(plainText(arn), ":::"); short {
			full := head + ":" + b.c.Region + ":" + b.account("a destination with :::") + ":" + rest
			arn = sameSecrecy(arn, full)
		}
		expanded[key] = map[string]any{"destination": arn}
	}
	attrs["destinationConfig"] = expanded
	return attrs
}

func (b *builder) triggers() {
	if !b.wants(TriggerKind) || b.c.Service == nil || b.c.Function == nil {
		return
	}
	var names []string
	for _, t := range b.c.Triggers {
		names = append(names, t.Name)
	}
	b.checkNames(b.o.TriggerNames, names, "trigger")
	for _, t := range b.c.Triggers {
		if b.o.TriggerNames != nil && !slices.Contains(b.o.TriggerNames, t.Name) {
			continue
		}
		attrs := copyAttrs(t.Attrs)
		if t.source != nil && !b.remove() {
			attrs["sourceArn"] = concat(t.source(b.c.Region, b.account("the source of trigger "+t.Name))...)
		}
		b.add(TriggerKind, b.functionID().Name+"/"+t.Name, t.declared, attrs, b.functionID())
	}
}

func (b *builder) checkNames(asked, there []string, what string) {
	for _, name := range asked {
		if !slices.Contains(there, name) {
			b.fail(diag.Pos{}, diag.DidYouMean(name, there), "the props have no %s %q", what, name)
		}
	}
}

// code packs the code of the function, when it is sent.
func (b *builder) code() {
	f := b.c.Function
	if f == nil || !b.wants(FunctionKind) || b.remove() || b.o.Type == "config" || f.Code.Container {
		return
	}
	i := slices.IndexFunc(b.out, func(r *resource.Resource) bool { return r.Kind == FunctionKind })
	r := b.out[i]
	r.Field["code"] = f.Code.Pos
	if f.Code.Object != nil {
		r.Attrs["code"] = map[string]any{"ossBucketName": f.Code.Bucket, "ossObjectName": f.Code.Object}
		b.warn(f.Code.Pos, "what is online cannot be compared with code in OSS: it counts as changed and is sent with every deploy")
		return
	}
	code := f.Code
	code.Service = b.c.Service.Name
	code.Path = b.path(code.URI)
	payload, err := b.o.Pack(code)
	switch {
	case err != nil && b.o.Preview && errors.Is(err, fs.ErrNotExist):
		r.Attrs["code"] = app.UnknownValue{Expr: "codeUri " + code.URI}
	case err != nil:
		b.problems = append(b.problems, placed(err, f.Code.Pos, "function.codeUri "+code.URI, "build it first, or correct the path"))
	default:
		r.Code = payload
		r.Attrs["code"] = map[string]any{"checksum": payload.Checksum(), "size": payload.Size()}
	}
}

func (b *builder) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(b.o.Dir, p)
}

// placed gives an error of reading a place, unless it has one. The hint is for what
// is not there.
func placed(err error, pos diag.Pos, what, hint string) error {
	if p, ok := errors.AsType[*diag.Problem](err); ok {
		if p.Pos.IsZero() {
			c := *p
			c.Pos = pos
			return &c
		}
		return err
	}
	p := diag.At(pos, "reading %s: %v", what, err).WithCause(err)
	if errors.Is(err, fs.ErrNotExist) {
		p.Summary, p.Hint = what+" is not there", hint
	}
	return p
}

// linkDeps keeps the dependencies that are among the resources.
func (b *builder) linkDeps() {
	there := map[resource.ID]bool{}
	for _, r := range b.out {
		there[r.ID] = true
	}
	for _, r := range b.out {
		r.Deps = slices.DeleteFunc(r.Deps, func(id resource.ID) bool { return !there[id] })
	}
}
