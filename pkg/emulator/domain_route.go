package emulator

import (
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// domainFor returns the custom domain that answers for a request's host, or nil. A
// domain can be set up in several regions; as DNS does, this leads to one of them.
func (c *Cloud) domainFor(q *call) (*region, *domainDoc) {
	host := hostName(q.Host)
	for _, r := range c.ordered(q.region) {
		if d := r.store.domainFor(host); d != nil {
			return r, d
		}
	}
	return nil, nil
}

// serveDomain answers a request to a custom domain.
func (c *region) serveDomain(w http.ResponseWriter, q *call, d *domainDoc) {
	q.operation = "InvokeCustomDomain"
	path := q.URL.EscapedPath()
	route := d.Domain.Spec.RouteConfig.match(path)
	if route == nil {
		q.fail(w, newError(http.StatusNotFound, "DomainRouteNotFound",
			"no route of the domain name '%s' matches the path '%.200s'", d.Domain.Spec.DomainName, path))
		return
	}
	if len(route.Methods) > 0 && !slices.Contains(route.Methods, q.Method) {
		q.fail(w, newError(http.StatusMethodNotAllowed, "MethodNotAllowed",
			"the route '%s' does not allow the method %.20s (allowed: %s)",
			route.Path, q.Method, strings.Join(route.Methods, ", ")))
		return
	}
	path, query, _ := strings.Cut(route.RewriteConfig.apply(path), "?")
	c.serveFunction(w, q, httpTarget{
		service: route.ServiceName, function: route.FunctionName,
		qualifier: orDefault(route.Qualifier, latest),
		path:      path, query: strings.Trim(query+"&"+q.URL.RawQuery, "&"),
	})
}

// match finds the route of a path: an equal one first, else the longest of those
// that end in /*.
func (r *routeConfig) match(path string) *pathConfig {
	var best *pathConfig
	for i := range r.Routes {
		route := &r.Routes[i]
		if route.Path == path {
			return route
		}
		if !wildcardMatch(route.Path, path) {
			continue
		}
		if best == nil || len(route.Path) > len(best.Path) {
			best = route
		}
	}
	return best
}

// wildcardMatch reports whether a pattern that ends in /* covers the path: /a/*
// covers /a/ and all below it.
func wildcardMatch(pattern, path string) bool {
	prefix, ok := strings.CutSuffix(pattern, "*")
	return ok && strings.HasPrefix(path, prefix)
}

// apply rewrites a path by the first rule that matches: equal, wildcard, regex.
// A result that is no path is not used.
func (c *rewriteConfig) apply(path string) string {
	if c == nil {
		return path
	}
	out := c.rewrite(path)
	plain, _, _ := strings.Cut(out, "?")
	if _, err := url.PathUnescape(plain); err != nil || !hasPrefix(out, "/") {
		return path
	}
	return out
}

func (c *rewriteConfig) rewrite(path string) string {
	for _, rule := range c.EqualRules {
		if rule.Match == path {
			return rule.Replacement
		}
	}
	for _, rule := range c.WildcardRules {
		if prefix, ok := strings.CutSuffix(rule.Match, "*"); ok && strings.HasPrefix(path, prefix) {
			return strings.Replace(rule.Replacement, "*", path[len(prefix):], 1)
		}
	}
	for _, rule := range c.RegexRules {
		re, err := regexp.Compile(rule.Match)
		if err != nil || !re.MatchString(path) {
			continue
		}
		return re.ReplaceAllString(path, rule.Replacement)
	}
	return path
}
