package emulator

// aliasSpec is what users set on an alias.
type aliasSpec struct {
	AliasName     string             `json:"aliasName"`
	VersionID     string             `json:"versionId"`
	Description   string             `json:"description"`
	Weights       map[string]float64 `json:"additionalVersionWeight"` // version -> share, 0..1
	ResolvePolicy string             `json:"resolvePolicy"`
	RoutePolicy   *routePolicy       `json:"routePolicy"`
}

// routePolicy is kept for clients; the embedded cloud draws by weight only.
type routePolicy struct {
	Condition   string       `json:"condition"`
	PolicyItems []policyItem `json:"policyItems"`
}

type policyItem struct {
	Type     string `json:"type"`
	Key      string `json:"key"`
	Operator string `json:"operator"`
	Value    string `json:"value"`
}

// aliasView is an alias as the API shows it.
type aliasView struct {
	aliasSpec
	CreatedTime      string `json:"createdTime"`
	LastModifiedTime string `json:"lastModifiedTime"`
}

func (a *aliasRecord) view() aliasView {
	v := aliasView{a.Spec, a.Created, a.Modified}
	if v.Weights == nil {
		v.Weights = map[string]float64{}
	}
	return v
}

func (a *aliasRecord) reply() *reply { return &reply{body: a.view(), etag: a.etag()} }

// checkAlias checks what an alias says against the service's versions.
func (d *serviceDoc) checkAlias(a *aliasSpec) error {
	if err := validName("aliasName", a.AliasName, 128); err != nil {
		return err
	}
	if a.AliasName == latest {
		return invalid("aliasName must not be %s", latest)
	}
	if err := validDescription(a.Description); err != nil {
		return err
	}
	if a.VersionID == "" {
		return invalid("versionId is required but not provided")
	}
	if !isVersionID(a.VersionID) {
		return invalid("versionId must be the id of a published version (actual: '%.64s')", a.VersionID)
	}
	if _, err := d.version(a.VersionID); err != nil {
		return err
	}
	if len(a.Weights) > 1 {
		return invalid("additionalVersionWeight: at most one version is allowed (actual: %d)", len(a.Weights))
	}
	for id, weight := range a.Weights {
		if !(weight >= 0 && weight <= 1) {
			return invalid("additionalVersionWeight: the weight of version '%.64s' must be between 0 and 1 (actual: %v)", id, weight)
		}
		if id == a.VersionID || !isVersionID(id) {
			return invalid("additionalVersionWeight: '%.64s' must be the id of another version than versionId", id)
		}
		if _, err := d.version(id); err != nil {
			return err
		}
	}
	if !oneOf(a.ResolvePolicy, "", "Random", "Content") {
		return invalid("resolvePolicy must be Random or Content (actual: '%.64s')", a.ResolvePolicy)
	}
	return nil
}

func (c *region) createAlias(q *call) (*reply, error) {
	if err := q.unqualified(); err != nil {
		return nil, err
	}
	var spec aliasSpec
	if err := q.decode(&spec); err != nil {
		return nil, err
	}
	var out *reply
	err := c.store.updateService(q.params["s"], func(doc *serviceDoc) error {
		if err := doc.checkAlias(&spec); err != nil {
			return err
		}
		if doc.Aliases[spec.AliasName] != nil {
			return alreadyExists("Alias", "alias '%s' already exists in service '%s'", spec.AliasName, q.params["s"])
		}
		rec := &aliasRecord{stamps: newStamps(c.stamp(), doc.next()), Spec: spec}
		set(&doc.Aliases, spec.AliasName, rec)
		out = rec.reply()
		return nil
	})
	return out, err
}

// alias returns an alias or AliasNotFound.
func (d *serviceDoc) alias(name string) (*aliasRecord, error) {
	if a := d.Aliases[name]; a != nil {
		return a, nil
	}
	return nil, notFound("Alias", "alias '%.128s' of service '%s' does not exist", name, d.Service.Spec.ServiceName)
}

func (c *region) listAliases(q *call) (*reply, error) {
	doc, err := c.store.service(q.params["s"])
	if err != nil {
		return nil, err
	}
	records, next, err := page(q, sortedValues(doc.Aliases), func(a *aliasRecord) string { return a.Spec.AliasName })
	if err != nil {
		return nil, err
	}
	views := []aliasView{}
	for _, a := range records {
		views = append(views, a.view())
	}
	return &reply{body: struct {
		Aliases   []aliasView `json:"aliases"`
		NextToken string      `json:"nextToken,omitempty"`
	}{views, next}}, nil
}

func (c *region) getAlias(q *call) (*reply, error) {
	doc, err := c.store.service(q.params["s"])
	if err != nil {
		return nil, err
	}
	a, err := doc.alias(q.params["a"])
	if err != nil {
		return nil, err
	}
	return a.reply(), nil
}

func (c *region) updateAlias(q *call) (*reply, error) {
	if err := q.unqualified(); err != nil {
		return nil, err
	}
	var out *reply
	name := q.params["a"]
	err := c.store.updateService(q.params["s"], func(doc *serviceDoc) error {
		rec, err := doc.alias(name)
		if err != nil {
			return err
		}
		if err := q.ifMatch(rec.etag()); err != nil {
			return err
		}
		if err := q.decode(&rec.Spec); err != nil {
			return err
		}
		rec.Spec.AliasName = name
		if err := doc.checkAlias(&rec.Spec); err != nil {
			return err
		}
		rec.touch(c.stamp(), doc.next())
		out = rec.reply()
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.settle(q.params["s"])
	return out, nil
}

func (c *region) deleteAlias(q *call) (*reply, error) {
	if err := q.unqualified(); err != nil {
		return nil, err
	}
	name := q.params["a"]
	err := c.store.updateService(q.params["s"], func(doc *serviceDoc) error {
		rec, err := doc.alias(name)
		if err != nil {
			return err
		}
		if err := q.ifMatch(rec.etag()); err != nil {
			return err
		}
		for _, p := range doc.Provision {
			if p.Qualifier == name && p.Target > 0 {
				return conflict("ProvisionConfigExist", "alias '%s' has provisioned instances of function '%s'", name, p.Function)
			}
		}
		delete(doc.Aliases, name)
		doc.next()
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.settle(q.params["s"])
	return done(), nil
}
