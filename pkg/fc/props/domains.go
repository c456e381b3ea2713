package props

import (
	"errors"
	"io/fs"
	"maps"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
)

func (b *builder) domains() {
	if !b.wants(CustomDomainKind) {
		return
	}
	var names []string
	for _, dom := range b.c.Domains {
		names = append(names, b.domainName(dom), dom.Name)
	}
	b.checkNames(b.o.DomainNames, slices.Compact(names), "custom domain")
	seen := map[string]*Domain{}
	for _, dom := range b.c.Domains {
		name := b.domainName(dom)
		if first := seen[name]; first != nil { // auto, and the name that it gets
			if !b.remove() {
				b.fail(dom.Pos, "remove one of them", "the domain %s is there twice (the other is at %s)", name, first.Pos)
			}
			continue
		}
		seen[name] = dom
		if b.o.DomainNames != nil && !slices.Contains(b.o.DomainNames, name) && !slices.Contains(b.o.DomainNames, dom.Name) {
			continue
		}
		if isAuto(name) {
			b.noAutoDomain(dom)
			continue
		}
		if b.remove() {
			b.add(CustomDomainKind, name, dom.declared, nil, b.domainDeps(nil)...)
			continue
		}
		attrs := copyAttrs(dom.Attrs)
		routes := b.routes(dom)
		if routes != nil {
			attrs["routeConfig"] = map[string]any{"routes": routes}
		}
		if dom.Cert != nil {
			attrs["certConfig"] = b.cert(dom.Cert)
		}
		b.add(CustomDomainKind, name, dom.declared, attrs, b.domainDeps(routes)...)
	}
}

// domainName is the name of dom; "auto" gets one below AutoDomain.
func (b *builder) domainName(dom *Domain) string {
	if !isAuto(dom.Name) || b.o.AutoDomain == "" || b.c.Service == nil || b.c.Function == nil {
		return dom.Name
	}
	name := b.c.Function.Name + "." + b.c.Service.Name + "." + b.o.AutoDomain
	return strings.ToLower(strings.ReplaceAll(name, "_", "-"))
}

func (b *builder) noAutoDomain(dom *Domain) {
	if b.remove() {
		b.warn(dom.Pos, "the test domain of domainName: auto is not devs's and is left alone")
		return
	}
	uid := b.o.Account
	if uid == "" {
		uid = "{account id}"
	}
	b.fail(dom.Pos, "write a domain of your own that has a CNAME record to "+uid+"."+b.c.Region+".fc.aliyuncs.com, or remove customDomains",
		"domainName: auto asks for a test domain under devsapp.net, which devs does not make")
}

// routes fills in the service and the function that a route leaves out. Parse takes
// domains only together with a function.
func (b *builder) routes(dom *Domain) []any {
	config, _ := dom.Attrs["routeConfig"].(map[string]any)
	given, _ := config["routes"].([]any)
	var routes []any
	for _, r := range given {
		route, ok := r.(map[string]any)
		if !ok {
			routes = append(routes, r)
			continue
		}
		route = maps.Clone(route)
		setDefault(route, "serviceName", b.c.Service.Name)
		setDefault(route, "functionName", b.c.Function.Name)
		routes = append(routes, route)
	}
	return routes
}

// domainDeps are the function and its http triggers, when a route leads to them; a
// removal, where routes is nil, takes the domain away before them in any case.
func (b *builder) domainDeps(routes []any) []resource.ID {
	if b.c.Service == nil || b.c.Function == nil {
		return nil
	}
	leads := func(r any) bool {
		route, ok := r.(map[string]any)
		return ok && plainText(route["serviceName"]) == b.c.Service.Name && plainText(route["functionName"]) == b.c.Function.Name
	}
	if routes != nil && !slices.ContainsFunc(routes, leads) {
		return nil
	}
	deps := []resource.ID{b.functionID()}
	for _, t := range b.c.Triggers {
		if t.Type == "http" || b.remove() {
			deps = append(deps, resource.ID{Kind: TriggerKind, Name: b.functionID().Name + "/" + t.Name})
		}
	}
	return deps
}

// cert takes certificate and key as PEM text, or reads them from files.
func (b *builder) cert(v *app.Value) map[string]any {
	name := v.Get("certName").Plain()
	if text, ok := name.(int64); ok {
		name = app.From(text, diag.Pos{}).Str()
	}
	config := map[string]any{"certName": name, "certificate": b.pem(v.Get("certificate"), "certificate")}
	switch key := b.pem(v.Get("privateKey"), "privateKey").(type) {
	case string:
		config["privateKey"] = secret.New(key)
	default:
		config["privateKey"] = key
	}
	return config
}

func (b *builder) pem(v *app.Value, what string) any {
	if v == nil || v.Kind != app.String {
		return v.Plain()
	}
	path := "certConfig." + what
	switch text := strings.TrimSpace(v.Str()); {
	case strings.HasPrefix(text, "-"):
		return v.Plain()
	case strings.Contains(text, "://"):
		b.fail(v.Pos, "write the PEM text or the path of a file", "%s: taking it from an address is not supported", path)
		return nil
	default:
		return b.pemFile(v, text, path)
	}
}

func (b *builder) pemFile(v *app.Value, file, path string) any {
	data, err := b.o.ReadFile(b.path(file))
	switch {
	case err != nil && b.o.Preview && errors.Is(err, fs.ErrNotExist):
		return app.UnknownValue{Expr: path}
	case err != nil:
		if v.Secret { // the path, or a PEM text that is broken, is not shown
			file = secret.Mask
			if !errors.Is(err, fs.ErrNotExist) {
				err = errors.New("it cannot be read")
			}
		}
		b.problems = append(b.problems, placed(err, v.Pos, path+" "+file, "correct the path"))
		return nil
	case !strings.HasPrefix(strings.TrimSpace(string(data)), "-"):
		b.fail(v.Pos, "", "%s: the file does not hold a PEM text", path)
		return nil
	}
	return string(data)
}

// copyAttrs copies the upper level of attrs, which is what Resources changes.
func copyAttrs(attrs resource.Attributes) resource.Attributes {
	if attrs == nil {
		return nil
	}
	return maps.Clone(attrs)
}

// sameSecrecy returns text in the form of old.
func sameSecrecy(old any, text string) any {
	if _, hidden := old.(secret.String); hidden {
		return secret.New(text)
	}
	return text
}
