package emulator

import (
	"net/http"
	"net/url"
	"strings"
)

// Sizes of request bodies, in bytes.
const (
	smallBody  = 4 << 20
	codeBody   = maxCode/3*4 + 8 + smallBody // Base64 in JSON
	invokeBody = 6 << 20                     // synchronous
	asyncBody  = 128 << 10
)

// operation is one line of the API.
type operation struct {
	name   string // as in the API
	method string
	path   string // after the edition; {x} is a parameter; {s} may carry a qualifier in 2016-08-15
	run    func(*region, *call) (*reply, error)
	body   int64  // limit; smallBody when 0
	only   string // the only edition that has it; both when ""
}

// operations is the API. It is one table on purpose: what stands here is what the
// embedded cloud can do.
func operations() []operation {
	const (
		service  = "/services/{s}"
		function = service + "/functions/{f}"
	)
	return []operation{
		{name: "CreateService", method: "POST", path: "/services", run: (*region).createService},
		{name: "ListServices", method: "GET", path: "/services", run: (*region).listServices},
		{name: "GetService", method: "GET", path: service, run: (*region).getService},
		{name: "UpdateService", method: "PUT", path: service, run: (*region).updateService},
		{name: "DeleteService", method: "DELETE", path: service, run: (*region).deleteService},

		{name: "CreateFunction", method: "POST", path: service + "/functions", run: (*region).createFunction, body: codeBody},
		{name: "ListFunctions", method: "GET", path: service + "/functions", run: (*region).listFunctions},
		{name: "GetFunction", method: "GET", path: function, run: (*region).getFunction},
		{name: "UpdateFunction", method: "PUT", path: function, run: (*region).updateFunction, body: codeBody},
		{name: "DeleteFunction", method: "DELETE", path: function, run: (*region).deleteFunction},
		{name: "GetFunctionCode", method: "GET", path: function + "/code", run: (*region).getFunctionCode},
		{name: "InvokeFunction", method: "POST", path: function + "/invocations", run: (*region).invokeFunction, body: invokeBody},
		{name: "ListInstances", method: "GET", path: function + "/instances", run: (*region).listInstances},

		{name: "CreateTrigger", method: "POST", path: function + "/triggers", run: (*region).createTrigger},
		{name: "ListTriggers", method: "GET", path: function + "/triggers", run: (*region).listTriggers},
		{name: "GetTrigger", method: "GET", path: function + "/triggers/{t}", run: (*region).getTrigger},
		{name: "UpdateTrigger", method: "PUT", path: function + "/triggers/{t}", run: (*region).updateTrigger},
		{name: "DeleteTrigger", method: "DELETE", path: function + "/triggers/{t}", run: (*region).deleteTrigger},

		{name: "PublishServiceVersion", method: "POST", path: service + "/versions", run: (*region).publishVersion},
		{name: "ListServiceVersions", method: "GET", path: service + "/versions", run: (*region).listVersions},
		{name: "DeleteServiceVersion", method: "DELETE", path: service + "/versions/{v}", run: (*region).deleteVersion},

		{name: "CreateAlias", method: "POST", path: service + "/aliases", run: (*region).createAlias},
		{name: "ListAliases", method: "GET", path: service + "/aliases", run: (*region).listAliases},
		{name: "GetAlias", method: "GET", path: service + "/aliases/{a}", run: (*region).getAlias},
		{name: "UpdateAlias", method: "PUT", path: service + "/aliases/{a}", run: (*region).updateAlias},
		{name: "DeleteAlias", method: "DELETE", path: service + "/aliases/{a}", run: (*region).deleteAlias},

		{name: "CreateCustomDomain", method: "POST", path: "/custom-domains", run: (*region).createDomain},
		{name: "ListCustomDomains", method: "GET", path: "/custom-domains", run: (*region).listDomains},
		{name: "GetCustomDomain", method: "GET", path: "/custom-domains/{d}", run: (*region).getDomain},
		{name: "UpdateCustomDomain", method: "PUT", path: "/custom-domains/{d}", run: (*region).updateDomain},
		{name: "DeleteCustomDomain", method: "DELETE", path: "/custom-domains/{d}", run: (*region).deleteDomain},

		{name: "PutFunctionAsyncInvokeConfig", method: "PUT", path: function + "/async-invoke-config", run: (*region).putAsyncConfig},
		{name: "GetFunctionAsyncInvokeConfig", method: "GET", path: function + "/async-invoke-config", run: (*region).getAsyncConfig},
		{name: "DeleteFunctionAsyncInvokeConfig", method: "DELETE", path: function + "/async-invoke-config", run: (*region).deleteAsyncConfig},
		{name: "ListFunctionAsyncInvokeConfigs", method: "GET", path: function + "/async-invoke-configs", run: (*region).listAsyncConfigs},

		{name: "PutProvisionConfig", method: "PUT", path: function + "/provision-config", run: (*region).putProvision},
		{name: "GetProvisionConfig", method: "GET", path: function + "/provision-config", run: (*region).getProvision},
		{name: "ListProvisionConfigs", method: "GET", path: "/provision-configs", run: (*region).listProvisions},

		{name: "PutFunctionOnDemandConfig", method: "PUT", path: function + "/on-demand-config", run: (*region).putOnDemand},
		{name: "GetFunctionOnDemandConfig", method: "GET", path: function + "/on-demand-config", run: (*region).getOnDemand},
		{name: "DeleteFunctionOnDemandConfig", method: "DELETE", path: function + "/on-demand-config", run: (*region).deleteOnDemand},
		{name: "ListOnDemandConfigs", method: "GET", path: "/on-demand-configs", run: (*region).listOnDemands},

		{name: "ListStatefulAsyncInvocations", method: "GET", path: function + "/stateful-async-invocations", run: (*region).listStateful},
		{name: "GetStatefulAsyncInvocation", method: "GET", path: function + "/stateful-async-invocations/{i}", run: (*region).getStateful},
		{name: "StopStatefulAsyncInvocation", method: "PUT", path: function + "/stateful-async-invocations/{i}", run: (*region).stopStateful},
		{name: "ListStatefulAsyncInvocationFunctions", method: "GET", path: "/stateful-async-invocation-functions", run: (*region).listStatefulFunctions},

		{name: "ListLayers", method: "GET", path: "/layers", run: (*region).listLayers},
		{name: "CreateLayerVersion", method: "POST", path: "/layers/{l}/versions", run: (*region).createLayerVersion, body: codeBody},
		{name: "ListLayerVersions", method: "GET", path: "/layers/{l}/versions", run: (*region).listLayerVersions},
		{name: "GetLayerVersion", method: "GET", path: "/layers/{l}/versions/{v}", run: (*region).getLayerVersion},
		{name: "DeleteLayerVersion", method: "DELETE", path: "/layers/{l}/versions/{v}", run: (*region).deleteLayerVersion},
		{name: "PutLayerACL", method: "PUT", path: "/layers/{l}/acl", run: (*region).putLayerACL},
		{name: "GetLayerVersionByArn", method: "GET", path: "/layerarn/{arn}", run: (*region).getLayerByARN},

		{name: "CreateVpcBinding", method: "POST", path: service + "/bindings", run: (*region).createBinding},
		{name: "ListVpcBindings", method: "GET", path: service + "/bindings", run: (*region).listBindings},
		{name: "DeleteVpcBinding", method: "DELETE", path: service + "/bindings/{vpc}", run: (*region).deleteBinding},

		{name: "GetAccountSettings", method: "GET", path: "/account-settings", run: (*region).getAccountSettings},
		{name: "ListReservedCapacities", method: "GET", path: "/reserved-capacities", run: (*region).listReservedCapacities},

		{name: "TagResource", method: "POST", path: "/tag", run: (*region).tagResource},
		{name: "GetResourceTags", method: "GET", path: "/tag", run: (*region).getResourceTags},
		{name: "UntagResource", method: "PUT", path: "/tag", run: (*region).untagResource},
		{name: "UntagResource", method: "DELETE", path: "/tag", run: (*region).untagResource},
		{name: "ListTaggedResources", method: "GET", path: "/tags", run: (*region).listTaggedResources},

		{name: "GetAccountConfigs", method: "GET", path: "/accountConfigs", run: (*region).getAccountConfigs, only: edition2016},
		{name: "ListReservedCapacities", method: "GET", path: "/reservedCapacities", run: (*region).listReservedCapacities, only: edition2016},
		{name: "GetTempCodeBucketToken", method: "GET", path: service + "/tempCodeBucketToken", run: (*region).noBucket, only: edition2016},
		{name: "GetTempBucketToken", method: "GET", path: "/tempBucketToken", run: (*region).noBucket, only: edition2016},
		{name: "InstanceExec", method: "GET", path: function + "/instances/{i}/exec", run: (*region).noExec, only: edition2016},
	}
}

// routeNode is one segment of the tree that the table is compiled to.
type routeNode struct {
	fixed map[string]*routeNode
	param *routeNode
	name  string                // of the parameter that leads here
	ops   map[string]*operation // by method
}

func buildRoutes(ops []operation) *routeNode {
	root := &routeNode{}
	for i := range ops {
		node := root
		for seg := range strings.SplitSeq(strings.TrimPrefix(ops[i].path, "/"), "/") {
			node = node.child(seg)
		}
		set(&node.ops, ops[i].method, &ops[i])
	}
	return root
}

// child returns the node below n for a segment of the table.
func (n *routeNode) child(seg string) *routeNode {
	if hasPrefix(seg, "{") {
		if n.param == nil {
			n.param = &routeNode{name: strings.Trim(seg, "{}")}
		}
		return n.param
	}
	if n.fixed[seg] == nil {
		set(&n.fixed, seg, &routeNode{})
	}
	return n.fixed[seg]
}

// match finds the node of a request's path and its parameters.
func (n *routeNode) match(segments []string) (*routeNode, map[string]string) {
	params := map[string]string{}
	for _, seg := range segments {
		next := n.fixed[seg]
		if next == nil {
			if next = n.param; next == nil || seg == "" {
				return nil, nil
			}
			params[next.name] = seg
		}
		n = next
	}
	return n, params
}

// serveAPI answers a request of the API.
func (c *Cloud) serveAPI(w http.ResponseWriter, q *call) {
	op, err := c.route(q)
	if err != nil {
		q.fail(w, err)
		return
	}
	q.operation = op.name
	limit := op.body
	if limit == 0 {
		limit = smallBody
	}
	if err := q.read(w, limit); err != nil {
		q.fail(w, err)
		return
	}
	if err := c.authenticate(q, false); err != nil {
		q.fail(w, err)
		return
	}
	r, err := c.openRegion(orDefault(q.region, c.home))
	if err != nil {
		q.fail(w, internalError(err))
		return
	}
	out, err := op.run(r, q)
	if err != nil {
		q.fail(w, err)
		return
	}
	q.send(w, out)
}

// route finds the operation, and fills in what the path and query say.
func (c *Cloud) route(q *call) (*operation, error) {
	path := q.URL.EscapedPath()
	var segments []string
	for seg := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		plain, err := url.PathUnescape(seg)
		if err != nil {
			return nil, invalid("the path %.200q is not well escaped", path)
		}
		segments = append(segments, plain)
	}
	query, err := url.ParseQuery(q.URL.RawQuery)
	if err != nil {
		return nil, invalid("the query is not well formed: %v", err)
	}
	q.query = query
	q.edition = segments[0]
	if q.edition != edition2016 && q.edition != edition2021 {
		return nil, pathNotSupported(q)
	}
	node, params := c.routes.match(segments[1:])
	if node == nil || len(node.ops) == 0 {
		return nil, pathNotSupported(q)
	}
	op := node.ops[q.Method]
	if op == nil || op.only != "" && op.only != q.edition {
		return nil, pathNotSupported(q)
	}
	q.params = params
	q.takeQualifier()
	return op, nil
}

func pathNotSupported(q *call) error {
	return newError(http.StatusNotFound, "PathNotSupported",
		"the embedded cloud has no operation %.20s %.200s; its paths begin with /%s or /%s",
		q.Method, q.URL.Path, edition2021, edition2016)
}

// takeQualifier finds the qualifier where the edition has it: in the query, or
// after a dot in the service's name.
func (q *call) takeQualifier() {
	q.qualifier = q.query.Get("qualifier")
	if q.is2016() {
		name, qualifier, ok := strings.Cut(q.params["s"], ".")
		if ok {
			q.params["s"], q.qualifier = name, qualifier
		}
	}
	if q.qualifier == "" {
		q.qualifier = latest
	}
}

// unqualified refuses a qualifier where only the unpublished state can change.
func (q *call) unqualified() error {
	if q.qualifier != latest {
		return invalid("%s works on the unpublished service only, not on qualifier '%s'", q.operation, q.qualifier)
	}
	return nil
}

// noBucket says that there is no object storage behind the embedded cloud.
func (c *region) noBucket(*call) (*reply, error) {
	return nil, newError(http.StatusBadRequest, "NotSupported", "%s", noBucketText)
}

const noBucketText = "the embedded cloud has no object storage: send the code inline as code.zipFile"

// noExec says that there is no shell in instances.
func (c *region) noExec(q *call) (*reply, error) {
	return nil, newError(http.StatusBadRequest, "NotSupported",
		"the embedded cloud does not run commands in instances; instance '%s' is a process of this machine", q.params["i"])
}
