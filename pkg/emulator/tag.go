package emulator

import (
	"maps"
	"strings"
	"unicode/utf8"
)

// Limits of the tags of a service, from the documentation of tag management; lengths
// in characters.
const (
	maxTags     = 20
	maxTagKey   = 64
	maxTagValue = 128
)

// tagged is a service with its tags as the API shows them.
type tagged struct {
	ResourceARN string            `json:"resourceArn"`
	Tags        map[string]string `json:"tags"`
}

// taggedService returns the service that an ARN names; only services have tags.
func (c *region) taggedService(arn string) (string, error) {
	if arn == "" {
		return "", invalid("resourceArn is required but not provided")
	}
	resource := arn
	if parts := strings.SplitN(arn, ":", 5); len(parts) == 5 && parts[0] == "acs" && parts[1] == "fc" {
		if parts[3] != c.accountID {
			return "", newError(403, "AccessDenied", "the resource '%.300s' belongs to another account than %s", arn, c.accountID)
		}
		if err := c.sameRegion("resourceArn", arn, parts[2]); err != nil {
			return "", err
		}
		resource = parts[4]
	}
	name, ok := strings.CutPrefix(resource, "services/")
	if !ok || name == "" || strings.ContainsAny(name, "/:") {
		return "", invalid("resourceArn must name a service: acs:fc:<region>:<account>:services/<name> (actual: '%.300s')", arn)
	}
	return name, nil
}

func hasTags(tags, want map[string]string) bool {
	for k, v := range want {
		if got, ok := tags[k]; !ok || got != v {
			return false
		}
	}
	return true
}

func (c *region) tagResource(q *call) (*reply, error) {
	var in struct {
		ResourceARN string            `json:"resourceArn"`
		Tags        map[string]string `json:"tags"`
	}
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	name, err := c.taggedService(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	if len(in.Tags) == 0 {
		return nil, invalid("tags is required but not provided")
	}
	for k, v := range in.Tags {
		if n := utf8.RuneCountInString(k); n == 0 || n > maxTagKey {
			return nil, invalid("tags: a key must be 1 to %d characters long (actual: %d)", maxTagKey, n)
		}
		if n := utf8.RuneCountInString(v); n > maxTagValue {
			return nil, invalid("tags: a value must be at most %d characters long (actual: %d)", maxTagValue, n)
		}
	}
	err = c.store.updateService(name, func(doc *serviceDoc) error {
		doc.next()
		if doc.Tags == nil {
			doc.Tags = map[string]string{}
		}
		maps.Copy(doc.Tags, in.Tags)
		if len(doc.Tags) > maxTags {
			return invalid("tags: a service has at most %d (actual: %d)", maxTags, len(doc.Tags))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &reply{raw: []byte{}}, nil
}

func (c *region) untagResource(q *call) (*reply, error) {
	var in struct {
		ResourceARN string   `json:"resourceArn"`
		TagKeys     []string `json:"tagKeys"`
		All         bool     `json:"all"`
	}
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	name, err := c.taggedService(in.ResourceARN)
	if err != nil {
		return nil, err
	}
	err = c.store.updateService(name, func(doc *serviceDoc) error {
		doc.next()
		for _, k := range in.TagKeys {
			delete(doc.Tags, k)
		}
		if len(in.TagKeys) == 0 && in.All {
			doc.Tags = nil
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &reply{raw: []byte{}}, nil
}

func (c *region) tagged(doc *serviceDoc) tagged {
	tags := doc.Tags
	if tags == nil {
		tags = map[string]string{}
	}
	return tagged{c.arn("services/" + doc.Service.Spec.ServiceName), tags}
}

func (c *region) getResourceTags(q *call) (*reply, error) {
	name, err := c.taggedService(q.query.Get("resourceArn"))
	if err != nil {
		return nil, err
	}
	doc, err := c.store.service(name)
	if err != nil {
		return nil, err
	}
	return &reply{body: c.tagged(doc)}, nil
}

func (c *region) listTaggedResources(q *call) (*reply, error) {
	all := []tagged{}
	for _, doc := range c.store.allServices() {
		if len(doc.Tags) > 0 {
			all = append(all, c.tagged(doc))
		}
	}
	all, next, err := page(q, all, func(t tagged) string { return t.ResourceARN })
	if err != nil {
		return nil, err
	}
	return &reply{body: struct {
		Resources []tagged `json:"resources"`
		NextToken string   `json:"nextToken,omitempty"`
	}{all, next}}, nil
}
