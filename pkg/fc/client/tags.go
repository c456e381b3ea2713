package client

import (
	"context"
	"net/http"

	fcopen "github.com/alibabacloud-go/fc-open-20210406/v2/client"
)

// Only services have tags: all that lives in one shares them. Setting and removing
// tags leaves the ETag of the service as it is, and both can be repeated. They are few
// and small, and a lock is kept by them: they do not wait behind other calls.

// GetResourceTags reads the tags of a service.
func (c *Client) GetResourceTags(ctx context.Context, service string) (map[string]string, error) {
	o, err := c.do(ctx, request{action: "GetResourceTags", method: http.MethodGet, path: []string{"tag"},
		query: map[string]string{"resourceArn": c.serviceARN(service)}, urgent: true})
	if err != nil {
		return nil, err
	}
	tags := map[string]string{}
	all, _ := o.Attrs["tags"].(map[string]any)
	for key, v := range all {
		if text, ok := v.(string); ok {
			tags[key] = text
		}
	}
	return tags, nil
}

// TagResource sets tags of a service; others stay. The API takes at most 20 in all,
// keys of 64 and values of 128 characters.
func (c *Client) TagResource(ctx context.Context, service string, tags map[string]string) error {
	all := make(map[string]any, len(tags))
	for key, v := range tags {
		all[key] = v
	}
	_, err := c.do(ctx, request{action: "TagResource", method: http.MethodPost, path: []string{"tag"},
		body:  map[string]any{"resourceArn": c.serviceARN(service), "tags": all},
		shape: new(fcopen.TagResourceRequest), answer: noAnswer, idempotent: true, urgent: true})
	return err
}

// UntagResource removes the tags with these keys; those that are not there do no
// harm.
func (c *Client) UntagResource(ctx context.Context, service string, keys []string) error {
	if len(keys) == 0 {
		return nil
	}
	_, err := c.do(ctx, request{action: "UntagResource", method: http.MethodPut, path: []string{"tag"},
		body:  map[string]any{"resourceArn": c.serviceARN(service), "tagKeys": keys},
		shape: new(fcopen.UntagResourceRequest), answer: noAnswer, idempotent: true, urgent: true})
	return err
}

func (c *Client) serviceARN(service string) string {
	return "acs:fc:" + c.config.Region + ":" + c.config.AccountID + ":services/" + service
}
