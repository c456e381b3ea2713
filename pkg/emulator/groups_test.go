package emulator

import (
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	fc "github.com/alibabacloud-go/fc-open-20210406/v2/client"
	util "github.com/alibabacloud-go/tea-utils/v2/service"
	"github.com/alibabacloud-go/tea/tea"
)

// publish publishes a version.
func (w *world) publish(service string) string {
	w.t.Helper()
	out, err := w.PublishServiceVersion(&service, &fc.PublishServiceVersionRequest{})
	w.ok(err)
	return *out.Body.VersionId
}

// update changes what a function does.
func (w *world) update(service, function, do string) {
	w.t.Helper()
	_, err := w.UpdateFunction(&service, &function, &fc.UpdateFunctionRequest{Code: code(w.t, do)})
	w.ok(err)
}

// invoke returns the function's answer.
func (w *world) invoke(service, function, qualifier string) string {
	w.t.Helper()
	out, err := w.InvokeFunction(&service, &function, &fc.InvokeFunctionRequest{Qualifier: &qualifier})
	w.ok(err)
	return string(out.Body)
}

func TestVersionsAndAliases(t *testing.T) {
	w := newWorld(t)
	w.service("s")
	w.function("s", "f", "one")
	if id := w.publish("s"); id != "1" {
		t.Errorf("the first version is %s", id)
	}
	_, err := w.PublishServiceVersion(str("s"), &fc.PublishServiceVersionRequest{})
	w.fails(err, 400, "VersionPublishError")
	out, err := w.PublishServiceVersionWithOptions(str("s"), &fc.PublishServiceVersionRequest{},
		&fc.PublishServiceVersionHeaders{CommonHeaders: map[string]*string{"x-fc-ignore-version-publish-error": str("true")}}, &util.RuntimeOptions{})
	w.ok(err)
	if *out.Body.VersionId != "1" {
		t.Errorf("tolerant publishing gave version %s", *out.Body.VersionId)
	}
	w.update("s", "f", "two")
	w.publish("s")
	w.update("s", "f", "three")
	w.publish("s")
	for qualifier, want := range map[string]string{"1": "one", "2": "two", "3": "three", "LATEST": "three"} {
		if got := w.invoke("s", "f", qualifier); got != want {
			t.Errorf("%s answers %s, want %s", qualifier, got, want)
		}
	}
	list, err := w.ListServiceVersions(str("s"), &fc.ListServiceVersionsRequest{Limit: tea.Int32(2)})
	w.ok(err)
	if len(list.Body.Versions) != 2 || *list.Body.Versions[0].VersionId != "3" || *list.Body.NextToken != "1" {
		t.Errorf("versions %v", list.Body)
	}
	list, err = w.ListServiceVersions(str("s"), &fc.ListServiceVersionsRequest{Direction: str("FORWARD"), StartKey: str("2")})
	w.ok(err)
	if len(list.Body.Versions) != 2 || *list.Body.Versions[0].VersionId != "2" {
		t.Errorf("versions %v", list.Body)
	}

	_, err = w.CreateAlias(str("s"), &fc.CreateAliasRequest{AliasName: str("prod"), VersionId: str("9")})
	w.fails(err, 404, "VersionNotFound")
	_, err = w.CreateAlias(str("s"), &fc.CreateAliasRequest{AliasName: str("LATEST"), VersionId: str("1")})
	w.fails(err, 400, "InvalidArgument")
	a, err := w.CreateAlias(str("s"), &fc.CreateAliasRequest{
		AliasName: str("prod"), VersionId: str("1"), AdditionalVersionWeight: map[string]*float32{"2": tea.Float32(0.25)}})
	w.ok(err)
	if *a.Body.AdditionalVersionWeight["2"] != 0.25 {
		t.Errorf("alias %v", a.Body)
	}
	w.cloud.rand = func() float64 { return 0.24 }
	if got := w.invoke("s", "f", "prod"); got != "two" {
		t.Errorf("a draw below the weight leads to %s", got)
	}
	w.cloud.rand = func() float64 { return 0.25 }
	if got := w.invoke("s", "f", "prod"); got != "one" {
		t.Errorf("a draw above the weight leads to %s", got)
	}
	if got := w.runner.lastCall(t); got.Qualifier != "prod" || got.VersionID != "1" {
		t.Errorf("called with %+v", got)
	}
	_, err = w.DeleteServiceVersion(str("s"), str("2"))
	w.fails(err, 409, "VersionNotEmpty")
	u, err := w.UpdateAlias(str("s"), str("prod"), &fc.UpdateAliasRequest{AdditionalVersionWeight: map[string]*float32{}})
	w.ok(err)
	if len(u.Body.AdditionalVersionWeight) != 0 || *u.Body.VersionId != "1" {
		t.Errorf("an empty weight resets: %v", u.Body)
	}
	_, err = w.DeleteServiceVersion(str("s"), str("2"))
	w.ok(err)
	_, err = w.DeleteAlias(str("s"), str("prod"))
	w.ok(err)
	_, err = w.GetAlias(str("s"), str("prod"))
	w.fails(err, 404, "AliasNotFound")
	_, err = w.GetService(str("s"), &fc.GetServiceRequest{Qualifier: str("2")})
	w.fails(err, 404, "VersionNotFound")

	// ids are never used again
	_, err = w.DeleteServiceVersion(str("s"), str("3"))
	w.ok(err)
	if id := w.publish("s"); id != "4" {
		t.Errorf("the next version is %s", id)
	}
}

func TestCustomDomains(t *testing.T) {
	w := newWorld(t)
	w.service("s")
	for _, f := range []string{"root", "api", "exact"} {
		w.function("s", f, "echo")
		_, err := w.CreateTrigger(str("s"), str(f), &fc.CreateTriggerRequest{
			TriggerName: str("h"), TriggerType: str("http"), TriggerConfig: str(`{"authType":"anonymous","methods":["GET","POST"]}`)})
		w.ok(err)
	}
	route := func(path, function string) *fc.PathConfig {
		return &fc.PathConfig{Path: &path, ServiceName: str("s"), FunctionName: &function}
	}
	api := route("/api/*", "api")
	api.Methods = []*string{str("GET")}
	api.RewriteConfig = &fc.RewriteConfig{
		EqualRules:    []*fc.RewriteConfigEqualRules{{Match: str("/api/same"), Replacement: str("/other?q=1")}},
		WildcardRules: []*fc.RewriteConfigWildcardRules{{Match: str("/api/w/*"), Replacement: str("/wild/*")}},
		RegexRules:    []*fc.RewriteConfigRegexRules{{Match: str("^/api/v([0-9]+)/(.*)$"), Replacement: str("/$2/$1")}},
	}
	_, err := w.CreateCustomDomain(&fc.CreateCustomDomainRequest{
		DomainName: str("App.example.localhost"), Protocol: str("HTTP"),
		RouteConfig: &fc.RouteConfig{Routes: []*fc.PathConfig{route("/*", "root"), api, route("/api/exact", "exact")}},
	})
	w.ok(err)
	get := func(method, path string) *http.Response {
		req, err := http.NewRequest(method, w.server.URL+path, nil)
		w.ok(err)
		req.Host = "app.example.localhost:8080"
		resp, err := http.DefaultClient.Do(req)
		w.ok(err)
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
		return resp
	}
	for _, c := range []struct{ path, function, seen, query string }{
		{"/", "root", "/", ""},
		{"/apix", "root", "/apix", ""},
		{"/2021-04-06/services", "root", "/2021-04-06/services", ""},
		{"/api/exact", "exact", "/api/exact", ""},
		{"/api/x?y=2", "api", "/api/x", "y=2"},
		{"/api/same?y=2", "api", "/other", "q=1&y=2"},
		{"/api/w/a/b", "api", "/wild/a/b", ""},
		{"/api/v3/list", "api", "/list/3", ""},
	} {
		resp := get("GET", c.path)
		h := resp.Header
		if h.Get("X-Function") != c.function || h.Get("X-Path") != c.seen || h.Get("X-Query") != c.query || h.Get("X-Base") != "" {
			t.Errorf("%s: %d %v", c.path, resp.StatusCode, h)
		}
	}
	if resp := get("POST", "/api/x"); resp.StatusCode != 405 {
		t.Errorf("a method that the route does not allow: %d", resp.StatusCode)
	}

	l := w.legacy()
	l.do("POST", "/custom-domains", object{"domainName": "*.wild.localhost", "protocol": "HTTP",
		"routeConfig": object{"routes": []object{{"path": "/*", "serviceName": "s", "functionName": "api"}}}}).want(t, 200, "")
	for host, want := range map[string]string{"x.wild.localhost:1": "api", "X.Wild.localhost": "api", "wild.localhost": "", "a.b.wild.localhost": ""} {
		req, err := http.NewRequest("GET", w.server.URL+"/", nil)
		w.ok(err)
		req.Host = host
		if a := send(t, req); a.header.Get("X-Function") != want {
			t.Errorf("%s leads to %d %s", host, a.status, a.header.Get("X-Function"))
		}
	}
	l.do("DELETE", "/custom-domains/*.wild.localhost", nil).want(t, 204, "")

	// routes are replaced as a whole
	up, err := w.UpdateCustomDomain(str("app.example.localhost"), &fc.UpdateCustomDomainRequest{
		RouteConfig: &fc.RouteConfig{Routes: []*fc.PathConfig{route("/only", "root")}}})
	w.ok(err)
	if len(up.Body.RouteConfig.Routes) != 1 || *up.Body.Protocol != "HTTP" {
		t.Errorf("updated %v", up.Body)
	}
	if resp := get("GET", "/else"); resp.StatusCode != 404 {
		t.Errorf("no route: %d", resp.StatusCode)
	}
	list, err := w.ListCustomDomains(&fc.ListCustomDomainsRequest{})
	w.ok(err)
	if len(list.Body.CustomDomains) != 1 {
		t.Errorf("domains %v", list.Body)
	}
	_, err = w.DeleteCustomDomain(str("app.example.localhost"))
	w.ok(err)
	_, err = w.GetCustomDomain(str("app.example.localhost"))
	w.fails(err, 404, "DomainNameNotFound")
}

func TestConfigs(t *testing.T) {
	w := newWorld(t)
	w.service("s")
	w.function("s", "f", "echo")
	w.publish("s")
	_, err := w.CreateAlias(str("s"), &fc.CreateAliasRequest{AliasName: str("prod"), VersionId: str("1")})
	w.ok(err)

	_, err = w.GetFunctionAsyncInvokeConfig(str("s"), str("f"), &fc.GetFunctionAsyncInvokeConfigRequest{})
	w.fails(err, 404, "AsyncConfigNotExists")
	async, err := w.PutFunctionAsyncInvokeConfig(str("s"), str("f"), &fc.PutFunctionAsyncInvokeConfigRequest{
		Qualifier: str("prod"), MaxAsyncRetryAttempts: tea.Int64(1), StatefulInvocation: tea.Bool(true),
		DestinationConfig: &fc.DestinationConfig{OnFailure: &fc.Destination{Destination: str("acs:mns:cn-hangzhou:1:/queues/q/messages")}}})
	w.ok(err)
	if *async.Body.Qualifier != "prod" || *async.Body.MaxAsyncRetryAttempts != 1 || async.Body.MaxAsyncEventAgeInSeconds != nil {
		t.Errorf("async %v", async.Body)
	}
	configs, err := w.ListFunctionAsyncInvokeConfigs(str("s"), str("f"), &fc.ListFunctionAsyncInvokeConfigsRequest{})
	w.ok(err)
	if len(configs.Body.Configs) != 1 {
		t.Errorf("configs %v", configs.Body)
	}
	_, err = w.DeleteFunctionAsyncInvokeConfig(str("s"), str("f"), &fc.DeleteFunctionAsyncInvokeConfigRequest{Qualifier: str("prod")})
	w.ok(err)

	p, err := w.PutProvisionConfig(str("s"), str("f"), &fc.PutProvisionConfigRequest{
		Qualifier: str("prod"), Target: tea.Int64(3), AlwaysAllocateCPU: tea.Bool(false),
		TargetTrackingPolicies: []*fc.TargetTrackingPolicies{{Name: str("p1"), StartTime: str("2020-10-10T10:10:10Z"), EndTime: str("2030-10-10T10:10:10Z"),
			MetricType: str("ProvisionedConcurrencyUtilization"), MetricTarget: tea.Float64(0.6), MinCapacity: tea.Int64(5), MaxCapacity: tea.Int64(200)}}})
	w.ok(err)
	if *p.Body.Current != 3 || *p.Body.Resource != DefaultAccountID+"#s#prod#f" {
		t.Errorf("provision %v", p.Body)
	}
	p, err = w.PutProvisionConfig(str("s"), str("f"), &fc.PutProvisionConfigRequest{Qualifier: str("prod"), Target: tea.Int64(4)})
	w.ok(err)
	if len(p.Body.TargetTrackingPolicies) != 1 || *p.Body.AlwaysAllocateCPU {
		t.Errorf("what is missing stays: %v", p.Body)
	}
	_, err = w.DeleteFunction(str("s"), str("f"))
	w.fails(err, 409, "ProvisionConfigExist")
	provisions, err := w.ListProvisionConfigs(&fc.ListProvisionConfigsRequest{ServiceName: str("s")})
	w.ok(err)
	if len(provisions.Body.ProvisionConfigs) != 1 {
		t.Errorf("provisions %v", provisions.Body)
	}
	none, err := w.GetProvisionConfig(str("s"), str("f"), &fc.GetProvisionConfigRequest{Qualifier: str("LATEST")})
	w.ok(err)
	if *none.Body.Target != 0 || !*none.Body.AlwaysAllocateCPU {
		t.Errorf("provision %v", none.Body)
	}

	_, err = w.GetFunctionOnDemandConfig(str("s"), str("f"), &fc.GetFunctionOnDemandConfigRequest{})
	w.fails(err, 404, "OnDemandConfigNotFound")
	for _, q := range []string{"LATEST", "prod"} {
		o, err := w.PutFunctionOnDemandConfig(str("s"), str("f"), &fc.PutFunctionOnDemandConfigRequest{Qualifier: &q, MaximumInstanceCount: tea.Int64(5)})
		w.ok(err)
		if *o.Body.Resource != "services/s."+q+"/functions/f" {
			t.Errorf("resource %s", *o.Body.Resource)
		}
	}
	limits, err := w.ListOnDemandConfigs(&fc.ListOnDemandConfigsRequest{Prefix: str("services/s.prod")})
	w.ok(err)
	if len(limits.Body.Configs) != 1 || *limits.Body.Configs[0].MaximumInstanceCount != 5 {
		t.Errorf("limits %v", limits.Body)
	}
	_, err = w.DeleteFunctionOnDemandConfig(str("s"), str("f"), &fc.DeleteFunctionOnDemandConfigRequest{Qualifier: str("prod")})
	w.ok(err)
}

func TestLayersBindingsAccount(t *testing.T) {
	w := newWorld(t)
	for range 2 {
		_, err := w.CreateLayerVersion(str("lib"), &fc.CreateLayerVersionRequest{
			Code: code(t, "x"), CompatibleRuntime: []*string{str("python3.9")}, Description: str("d")})
		w.ok(err)
	}
	v, err := w.GetLayerVersion(str("lib"), str("2"))
	w.ok(err)
	want := "acs:fc:cn-hangzhou:" + DefaultAccountID + ":layers/lib/versions/2"
	if *v.Body.ArnV2 != want || *v.Body.CodeSize == 0 || *v.Body.Code.RepositoryType != "OSS" {
		t.Errorf("layer %v", v.Body)
	}
	resp, err := http.Get(*v.Body.Code.Location)
	w.ok(err)
	if resp.StatusCode != 200 || resp.Header.Get("X-Oss-Hash-Crc64ecma") != *v.Body.CodeChecksum {
		t.Errorf("layer download: %d", resp.StatusCode)
	}
	versions, err := w.ListLayerVersions(str("lib"), &fc.ListLayerVersionsRequest{StartVersion: tea.Int32(2)})
	w.ok(err)
	if len(versions.Body.Layers) != 1 {
		t.Errorf("versions %v", versions.Body)
	}
	_, err = w.PutLayerACL(str("lib"), &fc.PutLayerACLRequest{Public: tea.Bool(true)})
	w.ok(err)
	layers, err := w.ListLayers(&fc.ListLayersRequest{Public: tea.Bool(true)})
	w.ok(err)
	if len(layers.Body.Layers) != 1 || *layers.Body.Layers[0].Acl != 1 {
		t.Errorf("layers %v", layers.Body)
	}
	w.service("s")
	req := &fc.CreateFunctionRequest{FunctionName: str("f"), Runtime: str("python3.9"), Handler: str("i.h"), Code: code(t, "echo"),
		Layers: []*string{v.Body.Arn}}
	f, err := w.CreateFunction(str("s"), req)
	w.ok(err)
	if len(f.Body.LayersArnV2) != 1 || *f.Body.LayersArnV2[0] != want || *f.Body.Layers[0] != *v.Body.Arn {
		t.Errorf("function %v", f.Body)
	}
	req.FunctionName, req.Layers = str("g"), []*string{str(strings.Replace(want, "/2", "/7", 1))}
	_, err = w.CreateFunction(str("s"), req)
	w.fails(err, 404, "LayerVersionNotFound")
	_, err = w.DeleteLayerVersion(str("lib"), str("2"))
	w.ok(err)
	_, err = w.GetLayerVersion(str("lib"), str("2"))
	w.fails(err, 404, "LayerVersionNotFound")

	for _, id := range []string{"vpc-1", "vpc-2"} {
		_, err = w.CreateVpcBinding(str("s"), &fc.CreateVpcBindingRequest{VpcId: &id})
		w.ok(err)
	}
	_, err = w.DeleteVpcBinding(str("s"), str("vpc-1"))
	w.ok(err)
	bindings, err := w.ListVpcBindings(str("s"))
	w.ok(err)
	if ids := tea.StringSliceValue(bindings.Body.VpcIds); !slices.Equal(ids, []string{"vpc-2"}) {
		t.Errorf("bindings %v", ids)
	}
	account, err := w.GetAccountSettings()
	w.ok(err)
	if *account.Body.DefaultRole != "acs:ram::"+DefaultAccountID+":role/aliyunfcdefaultrole" || len(account.Body.AvailableAZs) == 0 {
		t.Errorf("account %v", account.Body)
	}
	_, err = w.ListReservedCapacities(&fc.ListReservedCapacitiesRequest{})
	w.ok(err)
}

func TestTags(t *testing.T) {
	w := newWorld(t)
	w.service("s")
	w.service("other")
	arn := str("acs:fc:cn-hangzhou:" + DefaultAccountID + ":services/s")
	before, err := w.GetService(str("s"), &fc.GetServiceRequest{})
	w.ok(err)
	_, err = w.TagResource(&fc.TagResourceRequest{ResourceArn: arn, Tags: map[string]*string{"k1": str("v1"), "k2": str("v2"), "k3": str("")}})
	w.ok(err)
	_, err = w.UntagResource(&fc.UntagResourceRequest{ResourceArn: arn, TagKeys: []*string{str("k2")}})
	w.ok(err)
	got, err := w.GetResourceTags(&fc.GetResourceTagsRequest{ResourceArn: arn})
	w.ok(err)
	if len(got.Body.Tags) != 2 || *got.Body.Tags["k1"] != "v1" {
		t.Errorf("tags %v", got.Body)
	}
	all, err := w.ListTaggedResources(&fc.ListTaggedResourcesRequest{})
	w.ok(err)
	if len(all.Body.Resources) != 1 || *all.Body.Resources[0].ResourceArn != *arn {
		t.Errorf("resources %v", all.Body)
	}
	many := map[string]*string{}
	for i := range 19 {
		many[strings.Repeat("x", i+1)] = str("v")
	}
	_, err = w.TagResource(&fc.TagResourceRequest{ResourceArn: arn, Tags: many})
	w.fails(err, 400, "InvalidArgument")
	for _, bad := range []map[string]*string{{strings.Repeat("k", 65): str("")}, {"k": str(strings.Repeat("v", 129))}, {"": str("v")}} {
		_, err = w.TagResource(&fc.TagResourceRequest{ResourceArn: arn, Tags: bad})
		w.fails(err, 400, "InvalidArgument")
	}
	_, err = w.UntagResource(&fc.UntagResourceRequest{ResourceArn: arn, All: tea.Bool(true)})
	w.ok(err)
	got, err = w.GetResourceTags(&fc.GetResourceTagsRequest{ResourceArn: arn})
	w.ok(err)
	if len(got.Body.Tags) != 0 {
		t.Errorf("tags %v", got.Body)
	}
	after, err := w.GetService(str("s"), &fc.GetServiceRequest{})
	w.ok(err)
	if *after.Headers["etag"] != *before.Headers["etag"] || *after.Body.LastModifiedTime != *before.Body.LastModifiedTime {
		t.Error("tags moved the ETag of the service or the time of its last change")
	}
}
