package emulator

import (
	"slices"
	"strings"
)

// createBinding lets a VPC invoke the functions of a service.
func (c *region) createBinding(q *call) (*reply, error) {
	if err := q.unqualified(); err != nil {
		return nil, err
	}
	var in struct {
		VPCID string `json:"vpcId"`
	}
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if in.VPCID == "" || len(in.VPCID) > 128 || strings.ContainsAny(in.VPCID, "/ \n") {
		return nil, invalid("vpcId is required and must be the id of a VPC (actual: '%.128s')", in.VPCID)
	}
	err := c.store.updateService(q.params["s"], func(doc *serviceDoc) error {
		if slices.Contains(doc.Bindings, in.VPCID) {
			return alreadyExists("VpcBinding", "VPC '%s' is bound to service '%s' already", in.VPCID, q.params["s"])
		}
		if len(doc.Bindings) >= 20 {
			return invalid("service '%s' has 20 bound VPCs already", q.params["s"])
		}
		doc.next()
		doc.Bindings = append(doc.Bindings, in.VPCID)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &reply{raw: []byte{}}, nil
}

func (c *region) listBindings(q *call) (*reply, error) {
	doc, err := c.store.service(q.params["s"])
	if err != nil {
		return nil, err
	}
	return &reply{body: struct {
		VPCIDs []string `json:"vpcIds"`
	}{append([]string{}, doc.Bindings...)}}, nil
}

func (c *region) deleteBinding(q *call) (*reply, error) {
	id := q.params["vpc"]
	err := c.store.updateService(q.params["s"], func(doc *serviceDoc) error {
		i := slices.Index(doc.Bindings, id)
		if i < 0 {
			return notFound("VpcBinding", "VPC '%.128s' is not bound to service '%s'", id, q.params["s"])
		}
		doc.next()
		doc.Bindings = slices.Delete(doc.Bindings, i, i+1)
		return nil
	})
	if err != nil {
		return nil, err
	}
	return done(), nil
}
