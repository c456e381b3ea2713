package emulator

import (
	"bytes"
	"encoding/json"
)

// triggerSpec is what users set on a trigger.
type triggerSpec struct {
	TriggerName    string          `json:"triggerName"`
	TriggerType    string          `json:"triggerType"`
	Description    string          `json:"description"`
	SourceARN      string          `json:"sourceArn"`
	InvocationRole string          `json:"invocationRole"`
	Qualifier      string          `json:"qualifier"`
	Config         json.RawMessage `json:"triggerConfig"` // a JSON object
}

// triggerView is a trigger as the API shows it; Config is a JSON object in the
// edition 2016-08-15 and a string that holds one in 2021-04-06.
type triggerView struct {
	TriggerName      string          `json:"triggerName"`
	TriggerID        string          `json:"triggerId"`
	TriggerType      string          `json:"triggerType"`
	Description      string          `json:"description"`
	SourceARN        string          `json:"sourceArn"`
	InvocationRole   string          `json:"invocationRole"`
	Qualifier        string          `json:"qualifier"`
	Config           json.RawMessage `json:"triggerConfig"`
	DomainName       string          `json:"domainName"`
	URLInternet      string          `json:"urlInternet"`
	URLIntranet      string          `json:"urlIntranet"`
	TargetARN        string          `json:"targetArn"`
	Status           string          `json:"status"`
	CreatedTime      string          `json:"createdTime"`
	LastModifiedTime string          `json:"lastModifiedTime"`
}

// qualifierOf is where the trigger's calls go.
func (t triggerSpec) qualifierOf() string { return orDefault(t.Qualifier, latest) }

func (c *region) triggerView(q *call, t *triggerRecord) triggerView {
	service, function := q.params["s"], q.params["f"]
	qualified := service
	if t.Spec.qualifierOf() != latest {
		qualified += "." + t.Spec.Qualifier
	}
	v := triggerView{
		TriggerName: t.Spec.TriggerName, TriggerID: t.ID, TriggerType: t.Spec.TriggerType,
		Description: t.Spec.Description, SourceARN: t.Spec.SourceARN,
		InvocationRole: t.Spec.InvocationRole, Qualifier: t.Spec.Qualifier, Config: t.Spec.Config,
		TargetARN:   c.arn("services/" + qualified + "/functions/" + function),
		CreatedTime: t.Created, LastModifiedTime: t.Modified,
	}
	var compact bytes.Buffer // state files are indented
	if json.Compact(&compact, t.Spec.Config) == nil {
		v.Config = compact.Bytes()
	}
	if !q.is2016() {
		v.Config, _ = json.Marshal(string(v.Config))
	}
	if t.Spec.TriggerType == "http" {
		v.URLIntranet = c.origin(q) + proxyPrefix + qualified + "/" + function + "/"
		v.URLInternet = v.URLIntranet
	}
	return v
}

// arn names a resource of this account in this region.
func (c *region) arn(resource string) string {
	return "acs:fc:" + c.name + ":" + c.accountID + ":" + resource
}

// decodeTrigger reads a request's body over spec, with the trigger's configuration
// in the form of the edition. It reports whether a configuration was given.
func (q *call) decodeTrigger(spec *triggerSpec) (configured bool, err error) {
	before := spec.Config
	spec.Config = nil
	if err := q.decode(spec); err != nil {
		return false, err
	}
	given := bytes.TrimSpace(spec.Config)
	if len(given) == 0 {
		spec.Config = before
		return false, nil
	}
	if q.is2016() {
		if given[0] != '{' {
			return false, invalid("triggerConfig must be a JSON object")
		}
		return true, nil
	}
	var text string
	if err := json.Unmarshal(given, &text); err != nil {
		return false, invalid("triggerConfig must be a string that holds a JSON object")
	}
	if text == "" {
		text = "{}"
	}
	if !json.Valid([]byte(text)) || bytes.TrimSpace([]byte(text))[0] != '{' {
		return false, invalid("triggerConfig must be a string that holds a JSON object")
	}
	spec.Config = json.RawMessage(text)
	return true, nil
}

func (c *region) createTrigger(q *call) (*reply, error) {
	if err := q.unqualifiedPath(); err != nil {
		return nil, err
	}
	var spec triggerSpec
	if _, err := q.decodeTrigger(&spec); err != nil {
		return nil, err
	}
	if spec.Config == nil {
		spec.Config = json.RawMessage("{}")
	}
	if err := spec.validate(); err != nil {
		return nil, err
	}
	if err := q.checkEventBridge(spec.TriggerType); err != nil {
		return nil, err
	}
	var out *reply
	function := q.params["f"]
	err := c.store.updateService(q.params["s"], func(doc *serviceDoc) error {
		if _, err := doc.latestFunction(function); err != nil {
			return err
		}
		if doc.Triggers[function][spec.TriggerName] != nil {
			return alreadyExists("Trigger", "trigger '%s' already exists for function '%s'", spec.TriggerName, function)
		}
		if err := doc.checkTrigger(function, &spec); err != nil {
			return err
		}
		rec := &triggerRecord{stamps: newStamps(c.stamp(), doc.next()), Spec: spec}
		byName := doc.Triggers[function]
		set(&byName, spec.TriggerName, rec)
		set(&doc.Triggers, function, byName)
		out = &reply{body: c.triggerView(q, rec), etag: rec.etag()}
		return nil
	})
	return out, err
}

// unqualifiedPath refuses svc.qualifier in the path of a trigger; a trigger's
// qualifier stands in its body.
func (q *call) unqualifiedPath() error {
	if q.qualifier != latest {
		return invalid("the qualifier of a trigger belongs in the request's body")
	}
	return nil
}

// checkEventBridge makes sure of the header without which the real API refuses
// EventBridge triggers.
func (q *call) checkEventBridge(kind string) error {
	const header = "X-Fc-Enable-Eventbridge-Trigger"
	if kind == "eventbridge" && q.Header.Get(header) != "enable" {
		return invalid("triggers of type eventbridge need the header %s: enable", header)
	}
	return nil
}

// checkTrigger checks what depends on the rest of the service: the qualifier must
// lead somewhere, and one qualifier has at most one HTTP trigger.
func (d *serviceDoc) checkTrigger(function string, spec *triggerSpec) error {
	if _, err := d.at(spec.qualifierOf()); err != nil {
		return err
	}
	if spec.TriggerType != "http" {
		return nil
	}
	if t := d.httpTrigger(function, spec.qualifierOf()); t != nil && t.Spec.TriggerName != spec.TriggerName {
		return invalid("function '%s' has an http trigger for qualifier '%s' already: '%s'",
			function, spec.qualifierOf(), t.Spec.TriggerName)
	}
	return nil
}

// httpTrigger finds the HTTP trigger of a function at a qualifier, or nil.
func (d *serviceDoc) httpTrigger(function, qualifier string) *triggerRecord {
	for _, t := range d.Triggers[function] {
		if t.Spec.TriggerType == "http" && t.Spec.qualifierOf() == qualifier {
			return t
		}
	}
	return nil
}

// trigger returns a trigger or TriggerNotFound.
func (d *serviceDoc) trigger(function, name string) (*triggerRecord, error) {
	if _, err := d.latestFunction(function); err != nil {
		return nil, err
	}
	if t := d.Triggers[function][name]; t != nil {
		return t, nil
	}
	return nil, notFound("Trigger", "trigger '%s' does not exist for function '%s'", name, function)
}

func (c *region) listTriggers(q *call) (*reply, error) {
	doc, err := c.store.service(q.params["s"])
	if err != nil {
		return nil, err
	}
	if _, err := doc.latestFunction(q.params["f"]); err != nil {
		return nil, err
	}
	records, next, err := page(q, sortedValues(doc.Triggers[q.params["f"]]), func(t *triggerRecord) string { return t.Spec.TriggerName })
	if err != nil {
		return nil, err
	}
	views := []triggerView{}
	for _, t := range records {
		views = append(views, c.triggerView(q, t))
	}
	return &reply{body: struct {
		Triggers  []triggerView `json:"triggers"`
		NextToken string        `json:"nextToken,omitempty"`
	}{views, next}}, nil
}

func (c *region) getTrigger(q *call) (*reply, error) {
	doc, err := c.store.service(q.params["s"])
	if err != nil {
		return nil, err
	}
	t, err := doc.trigger(q.params["f"], q.params["t"])
	if err != nil {
		return nil, err
	}
	return &reply{body: c.triggerView(q, t), etag: t.etag()}, nil
}

// updateTrigger changes configuration, role, qualifier and description; type and
// source are fixed.
func (c *region) updateTrigger(q *call) (*reply, error) {
	if err := q.unqualifiedPath(); err != nil {
		return nil, err
	}
	var out *reply
	function := q.params["f"]
	err := c.store.updateService(q.params["s"], func(doc *serviceDoc) error {
		rec, err := doc.trigger(function, q.params["t"])
		if err != nil {
			return err
		}
		if err := q.ifMatch(rec.etag()); err != nil {
			return err
		}
		old := rec.Spec
		if oneOf(old.TriggerType, "mns_topic", "tablestore") {
			return invalid("Updating trigger is not supported yet. (type '%s')", old.TriggerType)
		}
		if _, err := q.decodeTrigger(&rec.Spec); err != nil {
			return err
		}
		rec.Spec.TriggerName, rec.Spec.TriggerType, rec.Spec.SourceARN = old.TriggerName, old.TriggerType, old.SourceARN
		if err := rec.Spec.validate(); err != nil {
			return err
		}
		if err := rec.Spec.keepsIdentity(old); err != nil {
			return err
		}
		if err := q.checkEventBridge(old.TriggerType); err != nil {
			return err
		}
		if err := doc.checkTrigger(function, &rec.Spec); err != nil {
			return err
		}
		rec.touch(c.stamp(), doc.next())
		out = &reply{body: c.triggerView(q, rec), etag: rec.etag()}
		return nil
	})
	return out, err
}

func (c *region) deleteTrigger(q *call) (*reply, error) {
	if err := q.unqualifiedPath(); err != nil {
		return nil, err
	}
	function, name := q.params["f"], q.params["t"]
	err := c.store.updateService(q.params["s"], func(doc *serviceDoc) error {
		rec, err := doc.trigger(function, name)
		if err != nil {
			return err
		}
		if err := q.ifMatch(rec.etag()); err != nil {
			return err
		}
		delete(doc.Triggers[function], name)
		doc.next()
		return nil
	})
	if err != nil {
		return nil, err
	}
	return done(), nil
}
