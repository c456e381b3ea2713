package emulator

import (
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	openapi "github.com/alibabacloud-go/darabonba-openapi/v2/client"
	fc "github.com/alibabacloud-go/fc-open-20210406/v2/client"
	"github.com/alibabacloud-go/tea/tea"
)

// in is the world with an SDK client that sends a region with every request.
func (w *world) in(region string) *world {
	w.t.Helper()
	client, err := fc.NewClient(&openapi.Config{
		AccessKeyId: tea.String(DefaultAccessKeyID), AccessKeySecret: tea.String(DefaultAccessKeySecret),
		Endpoint: tea.String(strings.TrimPrefix(w.server.URL, "http://")), Protocol: tea.String("HTTP"),
		GlobalParameters: &openapi.GlobalParameters{Headers: map[string]*string{RegionHeader: &region}},
	})
	w.ok(err)
	there := *w
	there.Client = client
	return &there
}

// httpFunction makes a service with a function that has an HTTP trigger, and
// returns the trigger's URL.
func (w *world) httpFunction(service, name, do string) string {
	w.t.Helper()
	w.service(service)
	w.function(service, name, do)
	out, err := w.CreateTrigger(&service, &name, &fc.CreateTriggerRequest{
		TriggerName: str("h"), TriggerType: str("http"), TriggerConfig: str(`{"authType":"anonymous","methods":["GET"]}`),
	})
	w.ok(err)
	return *out.Body.UrlInternet
}

// get reads a URL with a Host header, or its own when host is empty.
func (w *world) get(url, host string) (int, http.Header, string) {
	w.t.Helper()
	req, err := http.NewRequest(http.MethodGet, url, nil)
	w.ok(err)
	req.Host = host
	resp, err := http.DefaultClient.Do(req)
	w.ok(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	w.ok(err)
	return resp.StatusCode, resp.Header, string(body)
}

func TestRegionsAreApart(t *testing.T) {
	w := newWorld(t)
	shanghai := w.in("cn-shanghai")
	for _, r := range []*world{w, shanghai} {
		r.service("s")
	}
	w.function("s", "f", "here")
	_, err := shanghai.GetFunction(str("s"), str("f"), &fc.GetFunctionRequest{})
	w.fails(err, 404, "FunctionNotFound")
	shanghai.function("s", "f", "there")
	again := openWorld(t, w.dir)
	for _, r := range []struct {
		*world
		region, says string
	}{
		{w, "cn-hangzhou", "here"}, {shanghai, "cn-shanghai", "there"}, {w.in("cn-hangzhou"), "cn-hangzhou", "here"},
		{again, "cn-hangzhou", "here"}, {again.in("cn-shanghai"), "cn-shanghai", "there"},
	} {
		if got := r.invoke("s", "f", "LATEST"); got != r.says {
			t.Errorf("%s answers %q, want %q", r.region, got, r.says)
		}
		if got := r.runner.lastCall(t).Region; got != r.region {
			t.Errorf("the function runs in %s, want %s", got, r.region)
		}
	}
	_, err = w.DeleteFunction(str("s"), str("f"))
	w.ok(err)
	if got := shanghai.invoke("s", "f", "LATEST"); got != "there" {
		t.Errorf("after the function of another region was deleted: %q", got)
	}
	if files, _ := filepath.Glob(filepath.Join(w.dir, dirServices, "s-*.json")); len(files) != 1 {
		t.Errorf("the state of %s is not at the top of the folder, as that of earlier layouts: %v", DefaultRegion, files)
	}
	list, err := w.in("cn-beijing").ListServices(&fc.ListServicesRequest{})
	w.ok(err)
	if len(list.Body.Services) != 0 {
		t.Errorf("a new region has services: %v", list.Body.Services)
	}
}

func TestRegionsHaveTheirOwnLayersAndDomains(t *testing.T) {
	w := newWorld(t)
	shanghai := w.in("cn-shanghai")
	w.httpFunction("s", "f", "here")
	shanghai.httpFunction("s", "g", "there")
	route := func(f string) *fc.RouteConfig {
		return &fc.RouteConfig{Routes: []*fc.PathConfig{{Path: str("/*"), ServiceName: str("s"), FunctionName: &f}}}
	}
	domain := func(r *world, name, function string) error {
		_, err := r.CreateCustomDomain(&fc.CreateCustomDomainRequest{DomainName: &name, Protocol: str("HTTP"), RouteConfig: route(function)})
		return err
	}
	w.fails(domain(shanghai, "b.example.com", "f"), 404, "FunctionNotFound")
	w.ok(domain(shanghai, "b.example.com", "g"))
	for _, want := range []string{"g", "f"} { // the region of requests that name none goes first
		if _, header, body := w.get(w.server.URL+"/", "b.example.com"); header.Get("X-Function") != want {
			t.Errorf("the domain leads to %q, want %s: %s", header.Get("X-Function"), want, body)
		}
		if want == "g" {
			w.ok(domain(w, "b.example.com", "f"))
		}
	}
	layer, err := shanghai.CreateLayerVersion(str("lib"), &fc.CreateLayerVersionRequest{Code: code(t, "layer")})
	w.ok(err)
	if want := "acs:fc:cn-shanghai:" + DefaultAccountID + ":layers#lib#1"; *layer.Body.Arn != want {
		t.Errorf("the layer is %s, want %s", *layer.Body.Arn, want)
	}
	if status, _, _ := w.get(*layer.Body.Code.Location, ""); status != 200 {
		t.Errorf("the link to the layer's code answers %d", status)
	}
	_, err = w.GetLayerVersion(str("lib"), str("1"))
	w.fails(err, 404, "LayerNotFound")
	v2 := "acs:fc:cn-shanghai:" + DefaultAccountID + ":layers/lib/versions/1"
	w.legacy().do("GET", "/layerarn/"+url.PathEscape(v2), nil).want(t, 400, "InvalidArgument")
	_, err = w.UpdateFunction(str("s"), str("f"), &fc.UpdateFunctionRequest{Layers: []*string{layer.Body.Arn}})
	w.fails(err, 400, "InvalidArgument")
	if !strings.Contains(err.Error(), "cn-shanghai") || !strings.Contains(err.Error(), "cn-hangzhou") {
		t.Errorf("the error does not name both regions: %v", err)
	}
	_, err = shanghai.UpdateFunction(str("s"), str("g"), &fc.UpdateFunctionRequest{Layers: []*string{layer.Body.Arn}})
	w.ok(err)
	arn := "acs:fc:cn-shanghai:" + DefaultAccountID + ":services/s"
	_, err = w.TagResource(&fc.TagResourceRequest{ResourceArn: &arn, Tags: map[string]*string{"k": str("v")}})
	w.fails(err, 400, "InvalidArgument")
	_, err = w.PutFunctionAsyncInvokeConfig(str("s"), str("f"), &fc.PutFunctionAsyncInvokeConfigRequest{
		DestinationConfig: &fc.DestinationConfig{OnSuccess: &fc.Destination{Destination: str(arn + "/functions/g")}},
	})
	w.fails(err, 400, "InvalidArgument")
}

func TestRegionOfHost(t *testing.T) {
	w := newWorld(t)
	w.httpFunction("s", "here", "echo")
	w.in("cn-shanghai").httpFunction("s", "there", "echo")
	for host, want := range map[string]string{
		"1.cn-shanghai.fc.aliyuncs.com": "there", "1.cn-shanghai-internal.fc.aliyuncs.com": "there",
		"1.cn-shanghai.fc.localhost:80": "there", "cn-shanghai.fc.localhost": "there",
		"1.cn-hangzhou.fc.localhost": "here", "localhost": "here", "a.cn-shanghai.example.com": "here", "": "here",
	} {
		l := w.legacy()
		l.host = host
		a := l.do("GET", "/services/s/functions", nil)
		if a.want(t, 200, ""); !strings.Contains(a.raw, `"functionName":"`+want+`"`) || strings.Count(a.raw, "functionName") != 1 {
			t.Errorf("host %q lists %s, want %s", host, a.raw, want)
		}
	}
	for _, bad := range []string{"x", "CN-Shanghai", "cn-shanghai/..", "..", "cn-" + strings.Repeat("a", 40)} {
		l := w.legacy()
		l.header = map[string]string{RegionHeader: bad}
		l.do("GET", "/services/s", nil).want(t, 400, "InvalidArgument")
	}
	l := w.legacy()
	l.host = "1.x.fc.localhost"
	l.do("GET", "/services/s", nil).want(t, 400, "InvalidArgument")
}

func TestTriggersLeadToTheirRegion(t *testing.T) {
	w := newWorld(t)
	url := w.in("cn-shanghai").httpFunction("s", "f", "there")
	if want := w.server.URL + "/cn-shanghai/2016-08-15/proxy/s/f/"; url != want {
		t.Errorf("the trigger's URL is %s, want %s", url, want)
	}
	plain := w.server.URL + "/2016-08-15/proxy/s/f/"
	asks := func(url, host string) string {
		_, header, body := w.get(url+"a", host)
		if header.Get("X-Function") == "" {
			return body
		}
		if header.Get("X-Path") != "/a" {
			t.Errorf("%s sends the path %s", url, header.Get("X-Path"))
		}
		return header.Get("X-Region") + " " + header.Get("X-Base")
	}
	const base = "/2016-08-15/proxy/s/f"
	same := func(what, got, want string) {
		t.Helper()
		if !strings.Contains(got, want) {
			t.Errorf("%s leads to %q, want %q", what, got, want)
		}
	}
	same("the trigger's URL", asks(url, ""), "cn-shanghai /cn-shanghai"+base)
	same("the only region", asks(plain, ""), "cn-shanghai "+base)
	same("the region of the host", asks(plain, "1.cn-shanghai.fc.localhost"), "cn-shanghai "+base)
	same("a region without the function", asks(plain, "1.cn-hangzhou.fc.localhost"), "ServiceNotFound")
	same("a new region", asks(w.server.URL+"/cn-new"+base+"/", ""), "ServiceNotFound")
	w.in("cn-beijing").httpFunction("s", "f", "far")
	same("two regions", asks(plain, ""), "(cn-beijing, cn-shanghai)")
	if got, want := w.httpFunction("s", "f", "here"), plain; got != want {
		t.Errorf("the trigger's URL is %s, want %s", got, want)
	}
	same("the own region", asks(plain, ""), "cn-hangzhou "+base)
	same("the trigger's URL", asks(url, ""), "cn-shanghai /cn-shanghai"+base)
	l := w.legacy()
	l.host = "1.cn-shanghai.fc.localhost:81"
	same("a host with a region", l.do("GET", "/services/s/functions/f/triggers/h", nil).raw, `"http://1.cn-shanghai.fc.localhost:81`+base+`/"`)
}

func TestStateOfRegions(t *testing.T) {
	w := newWorld(t)
	w.in("cn-shanghai").service("s")
	w.cloud.Close()
	open := func(region string) error {
		cloud, err := Open(Config{Dir: w.dir, Region: region, Runner: &fakeRunner{}})
		if err == nil {
			err = cloud.Close()
		}
		return err
	}
	if err := open("cn-hangzhou"); err != nil {
		t.Error(err)
	}
	there := filepath.Join(w.dir, dirRegions, "cn-shanghai")
	if err := open("cn-shanghai"); err == nil || !strings.Contains(err.Error(), there) {
		t.Errorf("opened state of two regions as one: %v", err)
	}
	if err := open("nowhere"); err == nil {
		t.Error("opened as a region that cannot be one")
	}
	stray := filepath.Join(w.dir, dirRegions, "notes")
	w.ok(os.Mkdir(stray, 0o700))
	if err := open(""); err == nil || !strings.Contains(err.Error(), stray) {
		t.Errorf("a stray folder: %v", err)
	}
}

// TestSignedTriggerElsewhere calls a trigger that wants a signature by a URL with the
// region in its path.
func TestSignedTriggerElsewhere(t *testing.T) {
	w := newWorld(t).in("cn-shanghai")
	link := w.httpFunction("s", "f", "echo")
	_, err := w.UpdateTrigger(str("s"), str("f"), str("h"), &fc.UpdateTriggerRequest{
		TriggerConfig: str(`{"authType":"function","methods":["GET"]}`),
	})
	w.ok(err)
	if status, _, body := w.get(link, ""); status != 400 || !strings.Contains(body, "MissingRequiredHeader") {
		t.Errorf("without a signature: %d %s", status, body)
	}
	req, err := http.NewRequest(http.MethodGet, link+"a?b=c", nil)
	w.ok(err)
	if req, err = w.SignRequest(req); err != nil {
		t.Fatal(err)
	}
	if a := send(t, req); a.header.Get("X-Region") != "cn-shanghai" {
		t.Errorf("with a signature: %d %s", a.status, a.raw)
	}
}
