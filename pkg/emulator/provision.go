package emulator

import (
	"cmp"
	"slices"
	"strings"
	"time"
)

// provisionSpec is what users set for provisioned instances.
type provisionSpec struct {
	Target                 int64             `json:"target"`
	AlwaysAllocateCPU      *bool             `json:"alwaysAllocateCPU"` // true when nil
	ScheduledActions       []scheduledAction `json:"scheduledActions"`
	TargetTrackingPolicies []trackingPolicy  `json:"targetTrackingPolicies"`
}

type scheduledAction struct {
	Name               string `json:"name"`
	StartTime          string `json:"startTime"`
	EndTime            string `json:"endTime"`
	Target             int64  `json:"target"`
	ScheduleExpression string `json:"scheduleExpression"`
}

type trackingPolicy struct {
	Name         string  `json:"name"`
	StartTime    string  `json:"startTime"`
	EndTime      string  `json:"endTime"`
	MetricType   string  `json:"metricType"`
	MetricTarget float64 `json:"metricTarget"`
	MinCapacity  int64   `json:"minCapacity"`
	MaxCapacity  int64   `json:"maxCapacity"`
}

type provisionRecord struct {
	provisionSpec
	Function  string `json:"function"`
	Qualifier string `json:"qualifier"`
}

// provisionView is a configuration as the API shows it. The embedded cloud starts
// instances when they are needed, so that the target counts as reached at once.
type provisionView struct {
	provisionSpec
	Resource     string `json:"resource"`
	Current      int64  `json:"current"`
	CurrentError string `json:"currentError"`
}

func (c *region) provisionView(service string, p *provisionRecord) provisionView {
	v := provisionView{provisionSpec: p.provisionSpec, Current: p.Target}
	v.Resource = strings.Join([]string{c.accountID, service, p.Qualifier, p.Function}, "#")
	if v.AlwaysAllocateCPU == nil {
		v.AlwaysAllocateCPU = new(true)
	}
	if v.ScheduledActions == nil {
		v.ScheduledActions = []scheduledAction{}
	}
	if v.TargetTrackingPolicies == nil {
		v.TargetTrackingPolicies = []trackingPolicy{}
	}
	return v
}

// putProvision changes what the request names and leaves the rest.
func (c *region) putProvision(q *call) (*reply, error) {
	if isVersionID(q.qualifier) {
		return nil, invalid("provisioned instances need an alias or %s as qualifier, not version '%s'", latest, q.qualifier)
	}
	var out *reply
	err := c.targeted(q, func(doc *serviceDoc, t target) error {
		rec := doc.Provision[t.key()]
		if rec == nil {
			rec = &provisionRecord{Function: t.function, Qualifier: t.qualifier}
		}
		if err := q.decode(&rec.provisionSpec); err != nil {
			return err
		}
		if err := rec.validate(); err != nil {
			return err
		}
		set(&doc.Provision, t.key(), rec)
		out = &reply{body: c.provisionView(q.params["s"], rec)}
		return nil
	})
	return out, err
}

// getProvision shows a target of 0 where nothing was set.
func (c *region) getProvision(q *call) (*reply, error) {
	doc, _, _, err := c.find(q)
	if err != nil {
		return nil, err
	}
	p := doc.Provision[target{q.params["f"], q.qualifier}.key()]
	if p == nil {
		p = &provisionRecord{Function: q.params["f"], Qualifier: q.qualifier}
	}
	return &reply{body: c.provisionView(q.params["s"], p)}, nil
}

func (c *region) listProvisions(q *call) (*reply, error) {
	service, qualifier := q.query.Get("serviceName"), q.query.Get("qualifier")
	if qualifier != "" && service == "" {
		return nil, invalid("serviceName is required when qualifier is given")
	}
	if service != "" {
		if _, err := c.store.service(service); err != nil {
			return nil, err
		}
	}
	views := []provisionView{}
	for _, doc := range c.store.allServices() {
		name := doc.Service.Spec.ServiceName
		for _, p := range doc.Provision {
			if (service == "" || service == name) && (qualifier == "" || qualifier == p.Qualifier) {
				views = append(views, c.provisionView(name, p))
			}
		}
	}
	slices.SortFunc(views, func(a, b provisionView) int { return cmp.Compare(a.Resource, b.Resource) })
	views, next, err := page(q, views, func(v provisionView) string { return v.Resource })
	if err != nil {
		return nil, err
	}
	return &reply{body: struct {
		ProvisionConfigs []provisionView `json:"provisionConfigs"`
		NextToken        string          `json:"nextToken,omitempty"`
	}{views, next}}, nil
}

const (
	maxProvision = 10000
	maxActions   = 100
)

func (p *provisionSpec) validate() error {
	if p.Target < 0 || p.Target > maxProvision {
		return invalid("target must be between 0 and %d (actual: %d)", maxProvision, p.Target)
	}
	if n := len(p.ScheduledActions); n > maxActions {
		return invalid("ScheduledActions contains too many values (max: %d, actual: %d)", maxActions, n)
	}
	if n := len(p.TargetTrackingPolicies); n > maxActions {
		return invalid("TargetTrackingPolicies contains too many values (max: %d, actual: %d)", maxActions, n)
	}
	names := map[string]bool{}
	for _, a := range p.ScheduledActions {
		if names[a.Name] {
			return invalid("Duplicate action name '%.128s' in ScheduledActions is not allowed", a.Name)
		}
		names[a.Name] = true
		if err := a.validate(); err != nil {
			return err
		}
	}
	names = map[string]bool{}
	for _, t := range p.TargetTrackingPolicies {
		if names[t.Name] {
			return invalid("Duplicate policy name '%.128s' in TargetTrackingPolicies is not allowed", t.Name)
		}
		names[t.Name] = true
		if err := t.validate(); err != nil {
			return err
		}
	}
	return nil
}

func (a scheduledAction) validate() error {
	if err := checkPeriod(a.Name, a.StartTime, a.EndTime); err != nil {
		return err
	}
	if a.Target < 0 || a.Target > maxProvision {
		return invalid("ScheduledActions: target must be between 0 and %d (actual: %d)", maxProvision, a.Target)
	}
	expr := a.ScheduleExpression
	if inner, ok := cutAround(expr, "at(", ")"); ok {
		if _, err := time.Parse(utcLayout, inner); err == nil {
			return nil
		}
	}
	if inner, ok := cutAround(expr, "cron(", ")"); ok && validCron(inner) {
		return nil
	}
	return invalid("The ScheduleExpression should be atTime or cron expression "+
		"(example: ['at(2020-10-10T10:10:10Z)', 'cron(0 */30 * * * *)'], actual: '%.200s')", expr)
}

func (t trackingPolicy) validate() error {
	if err := checkPeriod(t.Name, t.StartTime, t.EndTime); err != nil {
		return err
	}
	if !oneOf(t.MetricType, "ProvisionedConcurrencyUtilization", "CPUUtilization", "GPUMemUtilization") {
		return invalid("TargetTrackingPolicies: metricType '%.64s' is not known", t.MetricType)
	}
	if !(t.MetricTarget > 0 && t.MetricTarget <= 1) {
		return invalid("TargetTrackingPolicies: metricTarget must be above 0 and at most 1 (actual: %v)", t.MetricTarget)
	}
	if t.MinCapacity < 0 || t.MaxCapacity < t.MinCapacity || t.MaxCapacity > maxProvision {
		return invalid("TargetTrackingPolicies: minCapacity and maxCapacity must be between 0 and %d, in this order (actual: %d, %d)",
			maxProvision, t.MinCapacity, t.MaxCapacity)
	}
	return nil
}

const utcLayout = "2006-01-02T15:04:05Z"

func checkPeriod(name, start, end string) error {
	if name == "" || len(name) > 128 {
		return invalid("a scheduled action or policy needs a name of 1 to 128 bytes")
	}
	for _, f := range []struct{ field, value string }{{"StartTime", start}, {"EndTime", end}} {
		if _, err := time.Parse(utcLayout, f.value); err != nil {
			return invalid("The %s is not in UTC time format (example: '2020-10-10T10:10:10Z', actual: '%.64s')", f.field, f.value)
		}
	}
	if end < start {
		return invalid("the EndTime '%s' of '%.128s' is before its StartTime '%s'", end, name, start)
	}
	return nil
}

func cutAround(s, before, after string) (string, bool) {
	s, ok := strings.CutPrefix(s, before)
	if !ok {
		return "", false
	}
	return strings.CutSuffix(s, after)
}
