package emulator

import (
	"regexp"
	"strings"
)

// asyncSpec is what users set for asynchronous invocations.
type asyncSpec struct {
	DestinationConfig         *destinationConfig `json:"destinationConfig"`
	MaxAsyncEventAgeInSeconds *int64             `json:"maxAsyncEventAgeInSeconds"`
	MaxAsyncRetryAttempts     *int64             `json:"maxAsyncRetryAttempts"` // 3 when nil
	StatefulInvocation        bool               `json:"statefulInvocation"`
}

type destinationConfig struct {
	OnSuccess *destination `json:"onSuccess,omitempty"`
	OnFailure *destination `json:"onFailure,omitempty"`
}

type destination struct {
	Destination string `json:"destination"` // ARN
}

type asyncRecord struct {
	Function  string    `json:"function"`
	Qualifier string    `json:"qualifier"`
	Created   string    `json:"createdTime"`
	Modified  string    `json:"lastModifiedTime"`
	Spec      asyncSpec `json:"spec"`
}

// asyncView is a configuration as the API shows it.
type asyncView struct {
	asyncSpec
	Service          string `json:"service"`
	Function         string `json:"function"`
	Qualifier        string `json:"qualifier"`
	CreatedTime      string `json:"createdTime"`
	LastModifiedTime string `json:"lastModifiedTime"`
}

func (a *asyncRecord) view(service string) asyncView {
	v := asyncView{a.Spec, service, a.Function, a.Qualifier, a.Created, a.Modified}
	if v.DestinationConfig == nil {
		v.DestinationConfig = &destinationConfig{}
	}
	return v
}

var destinationPattern = regexp.MustCompile(`^acs:(fc|mns|eventbridge|oss|mq|ots):[^:]*:[^:]*:.+$`)

func (s *asyncSpec) validate() error {
	if a := s.MaxAsyncEventAgeInSeconds; a != nil && (*a < 1 || *a > 2592000) {
		return invalid("maxAsyncEventAgeInSeconds must be between 1 and 2592000 (actual: %d)", *a)
	}
	if r := s.MaxAsyncRetryAttempts; r != nil && (*r < 0 || *r > 8) {
		return invalid("maxAsyncRetryAttempts must be between 0 and 8 (actual: %d)", *r)
	}
	if s.DestinationConfig == nil {
		return nil
	}
	for name, d := range map[string]*destination{
		"onSuccess": s.DestinationConfig.OnSuccess, "onFailure": s.DestinationConfig.OnFailure,
	} {
		if d != nil && d.Destination != "" && !destinationPattern.MatchString(d.Destination) {
			return invalid("destinationConfig.%s.destination is not an ARN of a destination (actual: '%.300s')", name, d.Destination)
		}
	}
	return nil
}

// targeted lets change work on a copy of the document once it is clear that the
// request's function is there at its qualifier.
func (c *region) targeted(q *call, change func(*serviceDoc, target) error) error {
	return c.store.updateService(q.params["s"], func(doc *serviceDoc) error {
		at, err := doc.at(q.qualifier)
		if err != nil {
			return err
		}
		if _, err := at.function(q.params["f"]); err != nil {
			return err
		}
		doc.next()
		return change(doc, target{q.params["f"], q.qualifier})
	})
}

// putAsyncConfig replaces the configuration as a whole.
func (c *region) putAsyncConfig(q *call) (*reply, error) {
	var spec asyncSpec
	if err := q.decode(&spec); err != nil {
		return nil, err
	}
	if err := spec.validate(); err != nil {
		return nil, err
	}
	if err := c.sameRegionDestinations(spec.DestinationConfig); err != nil {
		return nil, err
	}
	var out *reply
	err := c.targeted(q, func(doc *serviceDoc, t target) error {
		now := c.stamp()
		rec := &asyncRecord{Function: t.function, Qualifier: t.qualifier, Created: now, Modified: now, Spec: spec}
		if old := doc.Async[t.key()]; old != nil {
			rec.Created = old.Created
		}
		set(&doc.Async, t.key(), rec)
		out = &reply{body: rec.view(q.params["s"])}
		return nil
	})
	return out, err
}

// sameRegionDestinations refuses functions of other regions.
func (c *region) sameRegionDestinations(config *destinationConfig) error {
	if config == nil {
		return nil
	}
	for _, d := range []*destination{config.OnSuccess, config.OnFailure} {
		if d == nil || !functionARN.MatchString(d.Destination) {
			continue
		}
		if err := c.sameRegion("destinationConfig", d.Destination, strings.Split(d.Destination, ":")[2]); err != nil {
			return err
		}
	}
	return nil
}

func asyncNotFound(q *call) error {
	return newError(404, "AsyncConfigNotExists", "async config of function '%s' at qualifier '%s' does not exist",
		q.params["f"], q.qualifier)
}

func (c *region) getAsyncConfig(q *call) (*reply, error) {
	doc, _, _, err := c.find(q)
	if err != nil {
		return nil, err
	}
	a := doc.Async[target{q.params["f"], q.qualifier}.key()]
	if a == nil {
		return nil, asyncNotFound(q)
	}
	return &reply{body: a.view(q.params["s"])}, nil
}

func (c *region) deleteAsyncConfig(q *call) (*reply, error) {
	err := c.targeted(q, func(doc *serviceDoc, t target) error {
		if doc.Async[t.key()] == nil {
			return asyncNotFound(q)
		}
		delete(doc.Async, t.key())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return done(), nil
}

func (c *region) listAsyncConfigs(q *call) (*reply, error) {
	doc, err := c.store.service(q.params["s"])
	if err != nil {
		return nil, err
	}
	if _, err := doc.latestFunction(q.params["f"]); err != nil {
		return nil, err
	}
	views := []asyncView{}
	for _, a := range sortedValues(doc.Async) {
		if a.Function == q.params["f"] {
			views = append(views, a.view(q.params["s"]))
		}
	}
	views, next, err := page(q, views, func(v asyncView) string { return v.Qualifier })
	if err != nil {
		return nil, err
	}
	return &reply{body: struct {
		Configs   []asyncView `json:"configs"`
		NextToken string      `json:"nextToken,omitempty"`
	}{views, next}}, nil
}
