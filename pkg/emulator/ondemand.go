package emulator

import (
	"cmp"
	"slices"
)

type onDemandRecord struct {
	stamps
	Function  string `json:"function"`
	Qualifier string `json:"qualifier"`
	Max       int64  `json:"maximumInstanceCount"`
}

// onDemandView is a limit of instances as the API shows it.
type onDemandView struct {
	Resource             string `json:"resource"`
	MaximumInstanceCount int64  `json:"maximumInstanceCount"`
}

func (o *onDemandRecord) view(service string) onDemandView {
	return onDemandView{"services/" + service + "." + o.Qualifier + "/functions/" + o.Function, o.Max}
}

func onDemandNotFound(q *call) error {
	return notFound("OnDemandConfig", "on-demand config of function '%s' at qualifier '%s' does not exist",
		q.params["f"], q.qualifier)
}

func (c *region) putOnDemand(q *call) (*reply, error) {
	var in struct {
		Max *int64 `json:"maximumInstanceCount"`
	}
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if in.Max == nil {
		return nil, invalid("maximumInstanceCount is required but not provided")
	}
	if *in.Max < 0 {
		return nil, invalid("maximumInstanceCount must be at least 0 (actual: %d)", *in.Max)
	}
	var out *reply
	err := c.targeted(q, func(doc *serviceDoc, t target) error {
		rec := doc.OnDemand[t.key()]
		if rec == nil {
			rec = &onDemandRecord{stamps: newStamps(c.stamp(), doc.Rev), Function: t.function, Qualifier: t.qualifier}
		} else if err := q.ifMatch(rec.etag()); err != nil {
			return err
		}
		rec.Max = *in.Max
		rec.touch(c.stamp(), doc.Rev)
		set(&doc.OnDemand, t.key(), rec)
		out = &reply{body: rec.view(q.params["s"]), etag: rec.etag()}
		return nil
	})
	return out, err
}

func (c *region) getOnDemand(q *call) (*reply, error) {
	doc, _, _, err := c.find(q)
	if err != nil {
		return nil, err
	}
	o := doc.OnDemand[target{q.params["f"], q.qualifier}.key()]
	if o == nil {
		return nil, onDemandNotFound(q)
	}
	return &reply{body: o.view(q.params["s"]), etag: o.etag()}, nil
}

func (c *region) deleteOnDemand(q *call) (*reply, error) {
	err := c.targeted(q, func(doc *serviceDoc, t target) error {
		rec := doc.OnDemand[t.key()]
		if rec == nil {
			return onDemandNotFound(q)
		}
		if err := q.ifMatch(rec.etag()); err != nil {
			return err
		}
		delete(doc.OnDemand, t.key())
		return nil
	})
	if err != nil {
		return nil, err
	}
	return done(), nil
}

// listOnDemands lists those of all services; prefix and startKey are of resources.
func (c *region) listOnDemands(q *call) (*reply, error) {
	views := []onDemandView{}
	for _, doc := range c.store.allServices() {
		for _, o := range doc.OnDemand {
			views = append(views, o.view(doc.Service.Spec.ServiceName))
		}
	}
	slices.SortFunc(views, func(a, b onDemandView) int { return cmp.Compare(a.Resource, b.Resource) })
	views, next, err := page(q, views, func(v onDemandView) string { return v.Resource })
	if err != nil {
		return nil, err
	}
	return &reply{body: struct {
		Configs   []onDemandView `json:"configs"`
		NextToken string         `json:"nextToken,omitempty"`
	}{views, next}}, nil
}
