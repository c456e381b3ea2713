package client

import (
	"context"
	"net/http"

	fcopen "github.com/alibabacloud-go/fc-open-20210406/v2/client"
)

// Everything below is one operation of the API each. etag is sent as If-Match
// when it is not "". Bodies and answers are as the API writes them; Code packages
// are inline (zipFile) or point to a bucket.

// GetService reads a service.
func (c *Client) GetService(ctx context.Context, service string) (*Object, error) {
	return c.do(ctx, request{action: "GetService", method: http.MethodGet, path: servicePath(service)})
}

// CreateService creates the service that body names.
func (c *Client) CreateService(ctx context.Context, body map[string]any) (*Object, error) {
	return c.do(ctx, request{action: "CreateService", method: http.MethodPost, path: []string{"services"},
		body: body, shape: new(fcopen.CreateServiceRequest)})
}

// UpdateService changes the fields in body.
func (c *Client) UpdateService(ctx context.Context, service, etag string, body map[string]any) (*Object, error) {
	return c.do(ctx, request{action: "UpdateService", method: http.MethodPut, path: servicePath(service),
		header: ifMatch(etag), body: body, shape: new(fcopen.UpdateServiceRequest)})
}

// DeleteService deletes a service without functions.
func (c *Client) DeleteService(ctx context.Context, service, etag string) error {
	return c.remove(ctx, "DeleteService", etag, nil, servicePath(service))
}

// GetFunction reads a function at the qualifier, "" for LATEST.
func (c *Client) GetFunction(ctx context.Context, service, function, qualifier string) (*Object, error) {
	return c.do(ctx, request{action: "GetFunction", method: http.MethodGet, path: functionPath(service, function),
		query: atQualifier(qualifier)})
}

// CreateFunction creates the function that body names. checksum is that of an
// inline code package, "" for none.
func (c *Client) CreateFunction(ctx context.Context, service, checksum string, body map[string]any) (*Object, error) {
	return c.do(ctx, request{action: "CreateFunction", method: http.MethodPost, path: servicePath(service, "functions"),
		header: codeChecksum(nil, checksum), body: body, shape: new(fcopen.CreateFunctionRequest)})
}

// UpdateFunction changes the fields in body. Of instanceConcurrency both spellings
// are sent: the API's description has a capital one here and only here.
func (c *Client) UpdateFunction(ctx context.Context, service, function, etag, checksum string, body map[string]any) (*Object, error) {
	if v, ok := body["instanceConcurrency"]; ok {
		body = with(body, "InstanceConcurrency", v)
	}
	return c.do(ctx, request{action: "UpdateFunction", method: http.MethodPut, path: functionPath(service, function),
		header: codeChecksum(ifMatch(etag), checksum), body: body, shape: new(fcopen.UpdateFunctionRequest)})
}

// DeleteFunction deletes a function without triggers.
func (c *Client) DeleteFunction(ctx context.Context, service, function, etag string) error {
	return c.remove(ctx, "DeleteFunction", etag, nil, functionPath(service, function))
}

// GetTrigger reads a trigger.
func (c *Client) GetTrigger(ctx context.Context, service, function, trigger string) (*Object, error) {
	return c.do(ctx, request{action: "GetTrigger", method: http.MethodGet, path: triggerPath(service, function, trigger),
		header: eventBridge(nil)})
}

// CreateTrigger creates the trigger that body names.
func (c *Client) CreateTrigger(ctx context.Context, service, function string, body map[string]any) (*Object, error) {
	return c.do(ctx, request{action: "CreateTrigger", method: http.MethodPost, path: functionPath(service, function, "triggers"),
		header: eventBridge(nil), body: body, shape: new(fcopen.CreateTriggerRequest)})
}

// UpdateTrigger changes the fields in body.
func (c *Client) UpdateTrigger(ctx context.Context, service, function, trigger, etag string, body map[string]any) (*Object, error) {
	return c.do(ctx, request{action: "UpdateTrigger", method: http.MethodPut, path: triggerPath(service, function, trigger),
		header: eventBridge(ifMatch(etag)), body: body, shape: new(fcopen.UpdateTriggerRequest)})
}

// DeleteTrigger deletes a trigger.
func (c *Client) DeleteTrigger(ctx context.Context, service, function, trigger, etag string) error {
	return c.remove(ctx, "DeleteTrigger", etag, nil, triggerPath(service, function, trigger))
}

// GetAsyncConfig reads the configuration of asynchronous invocations of LATEST.
func (c *Client) GetAsyncConfig(ctx context.Context, service, function string) (*Object, error) {
	return c.do(ctx, request{action: "GetFunctionAsyncInvokeConfig", method: http.MethodGet,
		path: functionPath(service, function, "async-invoke-config")})
}

// PutAsyncConfig sets the configuration of asynchronous invocations of LATEST as a
// whole, so that it can be repeated.
func (c *Client) PutAsyncConfig(ctx context.Context, service, function, etag string, body map[string]any) (*Object, error) {
	return c.do(ctx, request{action: "PutFunctionAsyncInvokeConfig", method: http.MethodPut,
		path:   functionPath(service, function, "async-invoke-config"),
		header: ifMatch(etag), body: body, shape: new(fcopen.PutFunctionAsyncInvokeConfigRequest), idempotent: true})
}

// DeleteAsyncConfig deletes the configuration of asynchronous invocations.
func (c *Client) DeleteAsyncConfig(ctx context.Context, service, function, qualifier, etag string) error {
	return c.remove(ctx, "DeleteFunctionAsyncInvokeConfig", etag, atQualifier(qualifier), functionPath(service, function, "async-invoke-config"))
}

// ListVpcBindings reads from which VPCs alone the service can be invoked.
func (c *Client) ListVpcBindings(ctx context.Context, service string) ([]string, error) {
	o, err := c.do(ctx, request{action: "ListVpcBindings", method: http.MethodGet, path: servicePath(service, "bindings")})
	if err != nil {
		return nil, err
	}
	var ids []string
	list, _ := o.Attrs["vpcIds"].([]any)
	for _, id := range list {
		if s, ok := id.(string); ok {
			ids = append(ids, s)
		}
	}
	return ids, nil
}

// CreateVpcBinding binds the service to a VPC. It can be repeated: when it was done
// already, the API says that the binding exists.
func (c *Client) CreateVpcBinding(ctx context.Context, service, vpcID string) error {
	_, err := c.do(ctx, request{action: "CreateVpcBinding", method: http.MethodPost, path: servicePath(service, "bindings"),
		body: map[string]any{"vpcId": vpcID}, shape: new(fcopen.CreateVpcBindingRequest), answer: noAnswer, idempotent: true})
	return err
}

// DeleteVpcBinding removes the binding to a VPC.
func (c *Client) DeleteVpcBinding(ctx context.Context, service, vpcID string) error {
	return c.remove(ctx, "DeleteVpcBinding", "", nil, servicePath(service, "bindings", vpcID))
}

// GetCustomDomain reads a custom domain.
func (c *Client) GetCustomDomain(ctx context.Context, domain string) (*Object, error) {
	return c.do(ctx, request{action: "GetCustomDomain", method: http.MethodGet, path: []string{"custom-domains", domain}})
}

// CreateCustomDomain creates the custom domain that body names.
func (c *Client) CreateCustomDomain(ctx context.Context, body map[string]any) (*Object, error) {
	return c.do(ctx, request{action: "CreateCustomDomain", method: http.MethodPost, path: []string{"custom-domains"},
		body: body, shape: new(fcopen.CreateCustomDomainRequest)})
}

// UpdateCustomDomain changes the fields in body.
func (c *Client) UpdateCustomDomain(ctx context.Context, domain, etag string, body map[string]any) (*Object, error) {
	return c.do(ctx, request{action: "UpdateCustomDomain", method: http.MethodPut, path: []string{"custom-domains", domain},
		header: ifMatch(etag), body: body, shape: new(fcopen.UpdateCustomDomainRequest)})
}

// DeleteCustomDomain deletes a custom domain.
func (c *Client) DeleteCustomDomain(ctx context.Context, domain, etag string) error {
	return c.remove(ctx, "DeleteCustomDomain", etag, nil, []string{"custom-domains", domain})
}

// remove makes a DELETE call, whose answer has no body.
func (c *Client) remove(ctx context.Context, action, etag string, query map[string]string, path []string) error {
	header := ifMatch(etag)
	if action == "DeleteTrigger" {
		header = eventBridge(header)
	}
	_, err := c.do(ctx, request{action: action, method: http.MethodDelete, path: path, query: query, header: header, answer: noAnswer})
	return err
}

func servicePath(service string, more ...string) []string {
	return append([]string{"services", service}, more...)
}

func functionPath(service, function string, more ...string) []string {
	return append([]string{"services", service, "functions", function}, more...)
}

func triggerPath(service, function, trigger string) []string {
	return functionPath(service, function, "triggers", trigger)
}

// atQualifier leaves LATEST out, which is what the API takes when nothing is said.
func atQualifier(q string) map[string]string {
	if q == "" || q == "LATEST" {
		return nil
	}
	return map[string]string{"qualifier": q}
}

func ifMatch(etag string) map[string]string { return with(nil, "If-Match", etag) }

func codeChecksum(header map[string]string, checksum string) map[string]string {
	return with(header, "X-Fc-Code-Checksum", checksum)
}

// eventBridge makes triggers of that type visible; the others do not mind.
func eventBridge(header map[string]string) map[string]string {
	return with(header, "x-fc-enable-eventbridge-trigger", "enable")
}

// with returns a copy of m with one more entry.
func with[V any](m map[string]V, key string, value V) map[string]V {
	out := make(map[string]V, len(m)+1)
	for k, v := range m {
		out[k] = v
	}
	out[key] = value
	return out
}
