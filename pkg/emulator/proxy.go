package emulator

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// proxyPrefix begins the paths of HTTP triggers.
const proxyPrefix = "/" + edition2016 + "/proxy/"

// cutRegion cuts the region that may stand before the path of an HTTP trigger.
func cutRegion(path string) (name, rest string) {
	name, rest, _ = strings.Cut(strings.TrimPrefix(path, "/"), "/")
	if rest = "/" + rest; isRegion(name) && hasPrefix(rest, proxyPrefix) {
		return name, rest
	}
	return "", path
}

// serveProxy answers a request of an HTTP trigger. Its path is prefix, then
// svc[.qualifier]/fn/path...
func (c *Cloud) serveProxy(w http.ResponseWriter, q *call, prefix, rest string) {
	q.operation = "InvokeHTTPTrigger"
	service, rest, _ := strings.Cut(rest, "/")
	function, path, _ := strings.Cut(rest, "/")
	base := prefix + service + "/" + function
	service, err1 := url.PathUnescape(service)
	function, err2 := url.PathUnescape(function)
	if err1 != nil || err2 != nil || service == "" || function == "" {
		q.fail(w, pathNotSupported(q))
		return
	}
	service, qualifier, _ := strings.Cut(service, ".")
	t := httpTarget{
		service: service, function: function, qualifier: orDefault(qualifier, latest),
		path: "/" + path, query: q.URL.RawQuery, base: base,
	}
	r, err := c.regionFor(q, t)
	if err != nil {
		q.fail(w, err)
		return
	}
	r.serveFunction(w, q, t)
}

// regionFor finds the region of the function of an HTTP trigger: the one that the
// request names, else that of Config.Region when it has the function, else the only
// one that has it.
func (c *Cloud) regionFor(q *call, t httpTarget) (*region, error) {
	regions := c.ordered(q.region)
	first := regions[0]
	if q.region != "" && first.name != q.region {
		return nil, notFound("Service", "service '%s' does not exist in the region %s", t.service, q.region)
	}
	if q.region != "" || first.has(t) {
		return first, nil
	}
	var names []string
	others := slices.DeleteFunc(regions[1:], func(r *region) bool { return !r.has(t) })
	for _, r := range others {
		names = append(names, r.name)
	}
	switch len(others) {
	case 0:
		return first, nil // which says what is missing
	case 1:
		return others[0], nil
	}
	return nil, invalid("function '%s' of service '%s' is in several regions (%s): begin the path with one of them, as in /%s%s...",
		t.function, t.service, strings.Join(names, ", "), names[0], proxyPrefix)
}

// has reports whether the region has the function.
func (c *region) has(t httpTarget) bool {
	doc, err := c.store.service(t.service)
	if err != nil {
		return false
	}
	at, err := doc.at(t.qualifier)
	return err == nil && at.functions[t.function] != nil
}

// httpTarget is where an HTTP request goes.
type httpTarget struct {
	service, function, qualifier string
	path, query                  string // escaped, as the function shall see them
	base                         string // what was cut from the path
}

// serveFunction hands a request to a function by way of its HTTP trigger.
func (c *region) serveFunction(w http.ResponseWriter, q *call, t httpTarget) {
	p, r, err := c.prepareHTTP(q, t)
	if err != nil {
		q.fail(w, err)
		return
	}
	defer c.finish(p)
	w.Header().Set("X-Fc-Invocation-Service-Version", p.version)
	r.Body = http.MaxBytesReader(w, r.Body, invokeBody)
	c.runner.ServeHTTP(w, r, p.function, q.id, t.base)
}

// prepareHTTP checks that the trigger lets the request pass.
func (c *region) prepareHTTP(q *call, t httpTarget) (*prepared, *http.Request, error) {
	path, err := url.PathUnescape(t.path)
	if err != nil {
		return nil, nil, invalid("the path %.200q is not well escaped", t.path)
	}
	q.query = q.URL.Query() // functions take any query; a signature covers what can be read
	doc, err := c.store.service(t.service)
	if err != nil {
		return nil, nil, err
	}
	at, err := doc.at(t.qualifier)
	if err != nil {
		return nil, nil, err
	}
	if _, err := at.function(t.function); err != nil {
		return nil, nil, err
	}
	trigger := doc.httpTrigger(t.function, t.qualifier)
	if trigger == nil {
		return nil, nil, notFound("Trigger", "function '%s' has no http trigger for qualifier '%s'", t.function, t.qualifier)
	}
	var config httpTriggerConfig
	if err := json.Unmarshal(trigger.Spec.Config, &config); err != nil {
		return nil, nil, internalError(err)
	}
	if !slices.Contains(config.Methods, q.Method) {
		return nil, nil, newError(http.StatusMethodNotAllowed, "MethodNotAllowed",
			"the http trigger '%s' does not allow the method %.20s (allowed: %s)",
			trigger.Spec.TriggerName, q.Method, strings.Join(config.Methods, ", "))
	}
	if config.AuthType == "function" {
		if err := c.authenticate(q, true); err != nil {
			return nil, nil, err
		}
	}
	p, err := c.prepare(q.Context(), t.service, t.function, t.qualifier)
	if err != nil {
		return nil, nil, err
	}
	r := q.Clone(q.Context())
	r.URL.Path, r.URL.RawPath, r.URL.RawQuery = path, "", t.query
	if r.URL.EscapedPath() != t.path {
		r.URL.RawPath = t.path
	}
	if r.Body == nil {
		r.Body = http.NoBody
	}
	return p, r, nil
}
