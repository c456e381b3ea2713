package client

import (
	"context"
	"fmt"
	"net/http"
	"time"

	fcopen "github.com/alibabacloud-go/fc-open-20210406/v2/client"
)

const (
	pageSize = "100" // the most that the API gives at once
	maxPages = 1000  // an endpoint that never ends its list is an error

	releasePolls = 20
	releasePause = 3 * time.Second
)

// ListServices reads all services of the account in the region whose name begins with
// prefix.
func (c *Client) ListServices(ctx context.Context, prefix string) ([]map[string]any, error) {
	return c.list(ctx, request{action: "ListServices", path: []string{"services"}, query: startingWith(prefix)}, "services")
}

// ListFunctions reads all functions of a service.
func (c *Client) ListFunctions(ctx context.Context, service string) ([]map[string]any, error) {
	return c.list(ctx, request{action: "ListFunctions", path: servicePath(service, "functions")}, "functions")
}

// ListTriggers reads all triggers of a function.
func (c *Client) ListTriggers(ctx context.Context, service, function string) ([]map[string]any, error) {
	return c.list(ctx, request{action: "ListTriggers", path: functionPath(service, function, "triggers"), header: eventBridge(nil)}, "triggers")
}

// ListVersions reads all published versions of a service.
func (c *Client) ListVersions(ctx context.Context, service string) ([]map[string]any, error) {
	return c.list(ctx, request{action: "ListServiceVersions", path: servicePath(service, "versions")}, "versions")
}

// ListAliases reads all aliases of a service.
func (c *Client) ListAliases(ctx context.Context, service string) ([]map[string]any, error) {
	return c.list(ctx, request{action: "ListAliases", path: servicePath(service, "aliases")}, "aliases")
}

// ListCustomDomains reads all custom domains of the account in the region.
func (c *Client) ListCustomDomains(ctx context.Context) ([]map[string]any, error) {
	return c.list(ctx, request{action: "ListCustomDomains", path: []string{"custom-domains"}}, "customDomains")
}

// ListAsyncConfigs reads the asynchronous configurations of a function at all
// qualifiers.
func (c *Client) ListAsyncConfigs(ctx context.Context, service, function string) ([]map[string]any, error) {
	return c.list(ctx, request{action: "ListFunctionAsyncInvokeConfigs", path: functionPath(service, function, "async-invoke-configs")}, "configs")
}

// ListProvisionConfigs reads the provisioned instances of a service.
func (c *Client) ListProvisionConfigs(ctx context.Context, service string) ([]map[string]any, error) {
	return c.list(ctx, request{action: "ListProvisionConfigs", path: []string{"provision-configs"},
		query: map[string]string{"serviceName": service}}, "provisionConfigs")
}

// ListOnDemandConfigs reads the instance limits whose resource begins with prefix,
// such as "services/name".
func (c *Client) ListOnDemandConfigs(ctx context.Context, prefix string) ([]map[string]any, error) {
	return c.list(ctx, request{action: "ListOnDemandConfigs", path: []string{"on-demand-configs"},
		query: map[string]string{"prefix": prefix}}, "configs")
}

func startingWith(prefix string) map[string]string {
	if prefix == "" {
		return nil
	}
	return map[string]string{"prefix": prefix}
}

// list reads all pages.
func (c *Client) list(ctx context.Context, r request, field string) ([]map[string]any, error) {
	r.method = http.MethodGet
	r.query = with(r.query, "limit", pageSize)
	var all []map[string]any
	for range maxPages {
		o, err := c.do(ctx, r)
		if err != nil {
			return nil, err
		}
		items, _ := o.Attrs[field].([]any)
		for _, item := range items {
			if m, ok := item.(map[string]any); ok {
				all = append(all, m)
			}
		}
		next, _ := o.Attrs["nextToken"].(string)
		if next == "" {
			return all, nil
		}
		if next == r.query["nextToken"] {
			return nil, fmt.Errorf("%s: the endpoint gives the same page again and again", r.action)
		}
		r.query = with(r.query, "nextToken", next)
	}
	return nil, fmt.Errorf("%s: the list has more than %d pages", r.action, maxPages)
}

// GetAlias reads an alias.
func (c *Client) GetAlias(ctx context.Context, service, alias string) (*Object, error) {
	return c.do(ctx, request{action: "GetAlias", method: http.MethodGet, path: servicePath(service, "aliases", alias)})
}

// DeleteAlias deletes an alias.
func (c *Client) DeleteAlias(ctx context.Context, service, alias, etag string) error {
	return c.remove(ctx, "DeleteAlias", etag, nil, servicePath(service, "aliases", alias))
}

// DeleteVersion deletes a published version that no alias points to.
func (c *Client) DeleteVersion(ctx context.Context, service, versionID string) error {
	return c.remove(ctx, "DeleteServiceVersion", "", nil, servicePath(service, "versions", versionID))
}

// GetProvisionConfig reads the provisioned instances of a function at a qualifier.
func (c *Client) GetProvisionConfig(ctx context.Context, service, function, qualifier string) (*Object, error) {
	return c.do(ctx, request{action: "GetProvisionConfig", method: http.MethodGet,
		path: functionPath(service, function, "provision-config"), query: map[string]string{"qualifier": qualifier}})
}

// ReleaseProvision sets the target of provisioned instances to 0 and drops every
// rule that would raise it again. It can be repeated without harm.
func (c *Client) ReleaseProvision(ctx context.Context, service, function, qualifier string) error {
	_, err := c.do(ctx, request{action: "PutProvisionConfig", method: http.MethodPut,
		path: functionPath(service, function, "provision-config"), query: map[string]string{"qualifier": qualifier},
		body:  map[string]any{"target": 0, "scheduledActions": []any{}, "targetTrackingPolicies": []any{}},
		shape: new(fcopen.PutProvisionConfigRequest)})
	return err
}

// AwaitRelease waits until no provisioned instance is left, about a minute at most:
// what they belong to cannot be deleted before.
func (c *Client) AwaitRelease(ctx context.Context, service, function, qualifier string) error {
	for range releasePolls {
		o, err := c.GetProvisionConfig(ctx, service, function, qualifier)
		if IsNotFound(err) {
			return nil
		}
		if err != nil {
			return err
		}
		if current, _ := o.Attrs["current"].(int64); current == 0 {
			return nil
		}
		if err := c.retry.Sleep(ctx, releasePause); err != nil {
			return err
		}
	}
	return fmt.Errorf("provisioned instances of %s/%s at %s are still being released; run the command again in a while", service, function, qualifier)
}

// GetOnDemandConfig reads the instance limit of a function at a qualifier.
func (c *Client) GetOnDemandConfig(ctx context.Context, service, function, qualifier string) (*Object, error) {
	return c.do(ctx, request{action: "GetFunctionOnDemandConfig", method: http.MethodGet,
		path: functionPath(service, function, "on-demand-config"), query: map[string]string{"qualifier": qualifier}})
}

// DeleteOnDemandConfig deletes the instance limit of a function at a qualifier.
func (c *Client) DeleteOnDemandConfig(ctx context.Context, service, function, qualifier, etag string) error {
	return c.remove(ctx, "DeleteFunctionOnDemandConfig", etag, map[string]string{"qualifier": qualifier},
		functionPath(service, function, "on-demand-config"))
}
