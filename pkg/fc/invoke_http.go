package fc

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/client"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/resource"
)

// httpEvent is the event of a function with an http trigger.
type httpEvent struct {
	Method  string         `json:"method"`
	Path    string         `json:"path"`
	Headers map[string]any `json:"headers"`
	Queries map[string]any `json:"queries"`
	Body    any            `json:"body"`
}

// overHTTP sends the request that the event describes. An answer below 500 is the
// function's own, whatever its status: it is the result. 500 and above, an
// X-Fc-Error-Type, and refusals of the service itself are failures.
func (in *invocation) overHTTP(ctx context.Context, trigger *resource.Found, domain string) (*app.Value, error) {
	event, err := in.parseHTTPEvent()
	if err != nil {
		return nil, err
	}
	req, err := in.request(event, trigger, domain)
	if err != nil {
		return nil, err
	}
	in.notify("Request url: " + req.URL)
	res, err := in.api.InvokeHTTP(ctx, req)
	if err != nil {
		return nil, diag.Errorf("%v", err).WithCode(diag.ExitComponent).WithCause(err)
	}
	if res.Header.Get("X-Fc-Request-Id") == "" {
		return nil, foreign(req, res)
	}
	in.showLog(decodedLog(res.Header.Get("X-Fc-Log-Result")))
	kind := res.Header.Get("X-Fc-Error-Type")
	switch {
	case kind != "":
		return nil, in.failed(kind, res.Body)
	case res.Status >= http.StatusInternalServerError:
		return nil, in.failed(fmt.Sprintf("it answered with status %d", res.Status), res.Body)
	}
	if err := in.refusal(res); err != nil {
		return nil, err
	}
	in.notify(fmt.Sprintf("FC Invoke Result[Code: %d]:", res.Status))
	return app.Text(string(res.Body)), nil
}

// foreign is the error for an answer that came from no function: the service puts
// a request id into every one of its answers.
func foreign(req client.HTTPRequest, res *client.HTTPResult) error {
	host := req.URL
	if u, err := url.Parse(req.URL); err == nil {
		host = u.Host
	}
	what := "empty"
	if len(res.Body) > 0 {
		what = cmp.Or(res.Header.Get("Content-Type"), fmt.Sprintf("%d bytes", len(res.Body)))
	}
	return diag.Errorf("the answer of %s (HTTP %d, %.100s) is not one of a function: it has no X-Fc-Request-Id", host, res.Status, what).
		WithCode(diag.ExitComponent).WithHint(elsewhere)
}

func (in *invocation) parseHTTPEvent() (*httpEvent, error) {
	event := &httpEvent{}
	if len(strings.TrimSpace(string(in.event))) > 0 {
		dec := json.NewDecoder(strings.NewReader(string(in.event)))
		dec.UseNumber()
		if err := dec.Decode(event); err != nil {
			return nil, diag.Errorf("the event of a function with an http trigger must be a JSON object").WithCode(diag.ExitComponent).
				WithCause(err).WithHint(`write {"method": "GET", "path": "/", "queries": {}, "headers": {}, "body": ""}`)
		}
	}
	event.Method = strings.ToUpper(event.Method)
	if event.Method == "" {
		event.Method = http.MethodGet
	}
	return event, nil
}

// request builds the request for the trigger's address, or for a custom domain.
func (in *invocation) request(event *httpEvent, trigger *resource.Found, domain string) (client.HTTPRequest, error) {
	req := client.HTTPRequest{Method: event.Method, Header: http.Header{}, Timeout: in.timeout}
	config, _ := attrsOf(trigger)["triggerConfig"].(map[string]any)
	req.Sign = text(config, "authType") == "function"
	for name, v := range event.Headers {
		for _, value := range scalars(v) {
			req.Header.Add(name, value)
		}
	}
	base, err := in.baseURL(trigger, domain, req.Header)
	if err != nil {
		return req, err
	}
	if req.URL, err = fullURL(base, event); err != nil {
		return req, err
	}
	switch body := event.Body.(type) {
	case nil:
	case string:
		req.Body = []byte(body)
	default:
		if req.Body, err = json.Marshal(body); err != nil {
			return req, err
		}
		if req.Header.Get("Content-Type") == "" {
			req.Header.Set("Content-Type", "application/json")
		}
	}
	return req, nil
}

// baseURL returns where the request goes, without the event's path. A cloud on this
// machine tells custom domains apart by the Host header alone.
func (in *invocation) baseURL(trigger *resource.Found, domain string, header http.Header) (string, error) {
	if domain == "auto" {
		if domain = in.autoDomain(in.names); domain == "" {
			return "", diag.Errorf("--domain-name auto: this cloud gives functions no domain by itself").WithCode(diag.ExitComponent).
				WithHint("give the custom domain by its name, or leave the flag out")
		}
	}
	if domain != "" {
		if base, err := url.Parse(in.api.Endpoint()); err == nil && isLocal(base.Hostname()) {
			header.Set("Host", domain)
			return in.api.Endpoint(), nil
		}
		return "http://" + domain, nil
	}
	for _, key := range []string{"urlInternet", "urlIntranet"} {
		if u := text(trigger.Info, key); u != "" {
			return u, nil
		}
	}
	cred, err := in.credential()
	if err != nil {
		return "", err
	}
	made, _ := outputs{config: in.names, account: cred.AccountID, endpoint: cred.Endpoint}.systemURLs(in.qualifier)
	return made, nil
}

func isLocal(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// fullURL adds path and queries of the event to base. The path may hold a query.
func fullURL(base string, event *httpEvent) (string, error) {
	u, err := url.Parse(base)
	if err != nil {
		return "", fmt.Errorf("reading the address of the trigger: %w", err)
	}
	path, err := url.Parse("/" + strings.TrimLeft(event.Path, "/"))
	if err != nil {
		return "", diag.Errorf("the path %q of the event is not one of an address", event.Path).WithCode(diag.ExitComponent)
	}
	full := strings.TrimRight(u.EscapedPath(), "/") + path.EscapedPath()
	if u.Path, err = url.PathUnescape(full); err != nil {
		return "", fmt.Errorf("reading the path of the event: %w", err)
	}
	u.RawPath = full
	query := path.Query()
	for name, v := range event.Queries {
		for _, value := range scalars(v) {
			query.Add(name, value)
		}
	}
	u.RawQuery = query.Encode()
	return u.String(), nil
}

// scalars returns a value of headers or queries as texts.
func scalars(v any) []string {
	switch v := v.(type) {
	case nil:
		return []string{""}
	case []any:
		var all []string
		for _, item := range v {
			all = append(all, scalars(item)...)
		}
		return all
	case map[string]any:
		data, _ := json.Marshal(v) // of decoded JSON, which always encodes
		return []string{string(data)}
	}
	return []string{fmt.Sprint(v)}
}

// refusal returns an error when the service itself turned the request away: its
// answer names an ErrorCode, and shows no trace of a function.
func (in *invocation) refusal(res *client.HTTPResult) error {
	traces := []string{"X-Fc-Invocation-Service-Version", "X-Fc-Instance-Id", "X-Fc-Invocation-Duration"}
	reached := slices.ContainsFunc(traces, func(name string) bool { return res.Header.Get(name) != "" })
	if res.Status < http.StatusBadRequest || reached {
		return nil
	}
	var body struct{ ErrorCode, ErrorMessage string }
	if json.Unmarshal(res.Body, &body) != nil || body.ErrorCode == "" {
		return nil
	}
	id := resource.ID{Kind: props.FunctionKind, Name: in.function()}
	return diag.Errorf("%s: %s: %s (HTTP %d)", id, body.ErrorCode, body.ErrorMessage, res.Status).WithCode(diag.ExitComponent)
}

// decodedLog decodes the log in a header; one that is not Base64 is left as it is.
func decodedLog(header string) string {
	log, err := base64.StdEncoding.DecodeString(header)
	if err != nil {
		return header
	}
	return string(log)
}
