package props

import (
	"strings"

	"github.com/devs/deploy/pkg/app"
)

// domainFields is the table of props.customDomains[].
func domainFields() []field {
	return append(legacy(), []field{
		req("domainName", identity(domainName)).as(local),
		req("protocol", identity()),
		req("routeConfigs", list(object(routeFields()...), someItems)).as("routeConfig"),
		opt("certConfig", object(
			req("certName", text(notEmpty)),
			req("certificate", text(notEmpty)),
			req("privateKey", text(notEmpty).asSecret()),
		)).as(local),
		opt("certId", integer(atLeast(1))).as(local),
		opt("tlsConfig", object(
			req("minVersion", choice("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")),
			opt("maxVersion", choice("TLSv1.0", "TLSv1.1", "TLSv1.2", "TLSv1.3")),
			req("cipherSuites", list(text(notEmpty), someItems)),
		)),
		opt("wafConfig", object(opt("enableWAF", boolean()))),
	}...)
}

func routeFields() []field {
	rule := object(req("match", text(notEmpty)), req("replacement", text(notEmpty)))
	return []field{
		req("path", text(absolutePath)),
		opt("serviceName", text(notEmpty)),
		opt("functionName", text(notEmpty)),
		opt("qualifier", text(notEmpty)),
		opt("methods", list(choice("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"))),
		opt("rewriteConfig", object(
			opt("equalRules", list(rule)), opt("wildcardRules", list(rule)), opt("regexRules", list(rule)),
		)),
	}
}

func (d *decoder) domain(v *app.Value, path string) *Domain {
	attrs, where := d.part(v, domainFields(), path)
	dom := &Domain{Name: strings.ToLower(strings.TrimSpace(v.Get("domainName").Str())), Attrs: attrs, declared: where}
	if routes, ok := attrs["routeConfig"].([]any); ok {
		attrs["routeConfig"] = map[string]any{"routes": routes}
	}
	if cert := v.Get("certConfig"); !isAbsent(cert, object()) {
		dom.Cert = cert
		dom.Field["certConfig"] = cert.Pos
	}
	if id := v.Get("certId"); !id.IsNull() {
		dom.refuse(id.Pos, "write certConfig with certName, certificate and privateKey (PEM text or file)",
			"%s.certId: taking a certificate from the certificate service is not supported yet", path)
	}
	d.protocol(dom, v, path)
	return dom
}

// protocol brings the protocol to the API's writing and checks that HTTPS has a
// certificate.
func (d *decoder) protocol(dom *Domain, v *app.Value, path string) {
	text, ok := dom.Attrs["protocol"].(string)
	if !ok {
		return
	}
	given := v.Get("protocol")
	parts := strings.Split(strings.ToUpper(strings.ReplaceAll(text, " ", "")), ",")
	switch p := strings.Join(parts, ","); p {
	case "HTTP", "HTTPS", "HTTP,HTTPS":
		dom.Attrs["protocol"] = p
	case "HTTPS,HTTP":
		dom.Attrs["protocol"] = "HTTP,HTTPS"
	default:
		d.fail(given.Pos, "use one of: HTTP, HTTPS or HTTP,HTTPS", "%s.protocol%s is not known", path, shown(given))
		return
	}
	if dom.Attrs["protocol"] != "HTTP" && dom.Cert == nil && v.Get("certId").IsNull() {
		d.fail(given.Pos, "write certConfig with certName, certificate and privateKey", "%s: HTTPS needs a certificate", path)
	}
}

// relations checks what the parts of the props have to do with each other.
func (d *decoder) relations(c *Config) {
	d.triggerRelations(c.Triggers)
	if len(c.Triggers) > 0 && c.Function == nil {
		d.fail(c.Triggers[0].Pos, "", "triggers need a function in the same props")
	}
	seen := map[string]bool{}
	for _, dom := range c.Domains {
		if seen[dom.Name] && dom.Name != "" {
			d.fail(dom.Pos, "", "the domain %s is there twice", dom.Name)
		}
		seen[dom.Name] = true
	}
	if len(c.Domains) == 0 {
		return
	}
	for _, t := range c.Triggers {
		if t.Type == "http" {
			return
		}
	}
	d.fail(c.Domains[0].Pos, "add a trigger of type http", "customDomains need an http trigger in the same props")
}
