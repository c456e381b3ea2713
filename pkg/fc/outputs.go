package fc

import (
	"maps"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/resource"
)

// outputs is what a deploy yields, from what is online.
type outputs struct {
	config   *props.Config
	service  string // the entry of the application file
	names    bool   // config has names alone, for a removal
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

// expected returns the output before the deploy: what the props say, and Unknown for
// what only the cloud can tell.
func (o outputs) expected(resources []*resource.Resource) *app.Value {
	wanted := map[resource.ID]*resource.Found{}
	for _, r := range resources {
		attrs := resource.Attributes{} // of a removal there are none
		maps.Copy(attrs, r.Attrs)
		if r.Kind == props.FunctionKind {
			for _, key := range functionOutputs {
				if attrs[key] == nil {
					attrs[key] = o.unknown("function." + key)
				}
			}
		}
		wanted[r.ID] = &resource.Found{Attrs: attrs, Info: map[string]any{
			"urlInternet": o.unknown("url.system_url"), "urlIntranet": o.unknown("url.system_intranet_url"),
		}}
	}
	out := o.of(resources, wanted)
	if out.Get("url") == nil && o.names {
		add(out, "url", mapping("system_url", o.unknown("url.system_url"), "system_intranet_url", o.unknown("url.system_intranet_url"),
			"custom_domain", o.unknown("url.custom_domain")))
	}
	return out
}

func (o outputs) unknown(path string) app.UnknownValue {
	return app.UnknownValue{Expr: "${" + o.service + ".output." + path + "}"}
}

// functionOutputs are the attributes of a function that are part of the output.
var functionOutputs = []string{"runtime", "handler", "memorySize", "timeout", "cpu", "diskSize", "gpuMemorySize", "instanceType"}

func functionOutput(r *resource.Resource, online *resource.Found) *app.Value {
	out := mapping("name", lastName(r.ID))
	for _, key := range functionOutputs {
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
		add(out, "system_url", address(http.Info["urlInternet"], public))
		add(out, "system_intranet_url", address(http.Info["urlIntranet"], internal))
	}
	if domains != nil {
		add(out, "custom_domain", app.From(domains, diag.Pos{}))
	}
	return out
}

// address is the address online, or the one made up where the API tells none.
func address(online any, made string) *app.Value {
	if _, unknown := online.(app.UnknownValue); unknown || online != nil && online != "" {
		return app.From(online, diag.Pos{})
	}
	return app.Text(made)
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
