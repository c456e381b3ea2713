package fc

import (
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/resource"
)

// outputs is what a deploy yields, from what is online.
type outputs struct {
	config   *props.Config
	account  string
	endpoint string // "" for the public one
}

// of returns the output; what was left out is not in it.
func (o outputs) of(resources []*resource.Resource, found map[resource.ID]*resource.Found) *app.Value {
	out := mapping("region", o.config.Region)
	var triggers, domains []any
	var http *resource.Found
	for _, r := range resources {
		online := found[r.ID]
		if online == nil || r.Absent {
			continue
		}
		switch r.Kind {
		case props.ServiceKind:
			add(out, "service", mapping("name", r.Name))
		case props.FunctionKind:
			add(out, "function", functionOutput(r, online))
		case props.TriggerKind:
			kind := plainText(online.Attrs["triggerType"])
			triggers = append(triggers, mapping("type", kind, "name", lastName(r.ID)))
			if kind == "http" && http == nil {
				http = online
			}
		case props.CustomDomainKind:
			domains = append(domains, o.routesOf(r.Name, online)...)
		}
	}
	if url := o.url(http, domains); url != nil {
		add(out, "url", url)
	}
	if triggers != nil {
		add(out, "triggers", app.From(triggers, diag.Pos{}))
	}
	return out
}

func functionOutput(r *resource.Resource, online *resource.Found) *app.Value {
	out := mapping("name", lastName(r.ID))
	for _, key := range []string{"runtime", "handler", "memorySize", "timeout", "cpu", "diskSize", "gpuMemorySize", "instanceType"} {
		if v := online.Attrs[key]; v != nil {
			add(out, key, app.From(v, diag.Pos{}))
		}
	}
	return out
}

// url returns the addresses of the function, nil when it has none.
func (o outputs) url(http *resource.Found, domains []any) *app.Value {
	if http == nil && domains == nil {
		return nil
	}
	out := &app.Value{Kind: app.Map}
	if http != nil {
		public, internal := o.systemURLs(plainText(http.Attrs["qualifier"]))
		for _, u := range []struct{ key, online, made string }{
			{"system_url", text(http.Info, "urlInternet"), public},
			{"system_intranet_url", text(http.Info, "urlIntranet"), internal},
		} {
			if u.online == "" {
				u.online = u.made
			}
			add(out, u.key, app.Text(u.online))
		}
	}
	if domains != nil {
		add(out, "custom_domain", app.From(domains, diag.Pos{}))
	}
	return out
}

// systemURLs returns the addresses by which the service reaches every http trigger.
func (o outputs) systemURLs(qualifier string) (public, internal string) {
	if o.config.Service == nil || o.config.Function == nil {
		return "", ""
	}
	service := o.config.Service.Name
	if qualifier != "" && qualifier != "LATEST" {
		service += "." + qualifier
	}
	path := "/2016-08-15/proxy/" + service + "/" + o.config.Function.Name + "/"
	if o.endpoint != "" {
		base := strings.TrimRight(o.endpoint, "/")
		if !strings.Contains(base, "://") {
			base = "https://" + base
		}
		return base + path, base + path
	}
	host := "https://" + o.account + "." + o.config.Region
	return host + ".fc.aliyuncs.com" + path, host + "-internal.fc.aliyuncs.com" + path
}

// routesOf returns the routes of a domain that lead to this function.
func (o outputs) routesOf(domain string, online *resource.Found) []any {
	config, _ := online.Attrs["routeConfig"].(map[string]any)
	routes, _ := config["routes"].([]any)
	var out []any
	for _, r := range routes {
		route, _ := r.(map[string]any)
		if o.config.Service == nil || o.config.Function == nil ||
			text(route, "serviceName") != o.config.Service.Name || text(route, "functionName") != o.config.Function.Name {
			continue
		}
		out = append(out, mapping("domain", domain, "path", text(route, "path"), "protocol", plainText(online.Attrs["protocol"])))
	}
	return out
}

func lastName(id resource.ID) string { return id.Name[strings.LastIndexByte(id.Name, '/')+1:] }

// mapping returns a Map of pairs of key and value, in this order.
func mapping(pairs ...any) *app.Value {
	out := &app.Value{Kind: app.Map}
	for i := 0; i+1 < len(pairs); i += 2 {
		add(out, pairs[i].(string), app.From(pairs[i+1], diag.Pos{}))
	}
	return out
}

// add adds an entry to a Map that is being made.
func add(m *app.Value, key string, v *app.Value) {
	m.Entries = append(m.Entries, app.Entry{Key: key, Value: v})
}
