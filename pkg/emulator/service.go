package emulator

import (
	"regexp"
	"strings"
	"unicode/utf8"
)

// serviceSpec is what users set on a service.
type serviceSpec struct {
	ServiceName    string          `json:"serviceName"`
	Description    string          `json:"description"`
	InternetAccess *bool           `json:"internetAccess"` // true when nil
	Role           string          `json:"role"`
	LogConfig      *logConfig      `json:"logConfig"`
	VPCConfig      *vpcConfig      `json:"vpcConfig"`
	NASConfig      *nasConfig      `json:"nasConfig"`
	OSSMountConfig *ossMountConfig `json:"ossMountConfig"`
	TracingConfig  *tracingConfig  `json:"tracingConfig"`
}

type logConfig struct {
	Project               string `json:"project"`
	Logstore              string `json:"logstore"`
	EnableRequestMetrics  bool   `json:"enableRequestMetrics"`
	EnableInstanceMetrics bool   `json:"enableInstanceMetrics"`
	LogBeginRule          string `json:"logBeginRule"`
}

type vpcConfig struct {
	VPCID           string   `json:"vpcId"`
	VSwitchIDs      []string `json:"vSwitchIds"`
	SecurityGroupID string   `json:"securityGroupId"`
	Role            string   `json:"role"`
}

type nasConfig struct {
	UserID      int32      `json:"userId"`
	GroupID     int32      `json:"groupId"`
	MountPoints []nasMount `json:"mountPoints"`
}

type nasMount struct {
	ServerAddr string `json:"serverAddr"`
	MountDir   string `json:"mountDir"`
	EnableTLS  bool   `json:"enableTLS"`
}

type ossMountConfig struct {
	MountPoints []ossMount `json:"mountPoints"`
}

type ossMount struct {
	BucketName string `json:"bucketName"`
	BucketPath string `json:"bucketPath"`
	Endpoint   string `json:"endpoint"`
	MountDir   string `json:"mountDir"`
	ReadOnly   bool   `json:"readOnly"`
}

type tracingConfig struct {
	Type   string            `json:"type"`
	Params map[string]string `json:"params"`
}

// serviceView is a service as the API shows it.
type serviceView struct {
	serviceSpec
	ServiceID            string `json:"serviceId"`
	CreatedTime          string `json:"createdTime"`
	LastModifiedTime     string `json:"lastModifiedTime"`
	UseSLRAuthentication bool   `json:"useSLRAuthentication"`
}

func (s serviceRecord) view() serviceView {
	v := serviceView{serviceSpec: s.Spec, ServiceID: s.ID, CreatedTime: s.Created, LastModifiedTime: s.Modified}
	if v.InternetAccess == nil {
		v.InternetAccess = new(true)
	}
	if v.LogConfig == nil {
		v.LogConfig = &logConfig{LogBeginRule: "None"}
	}
	if v.VPCConfig == nil {
		v.VPCConfig = &vpcConfig{VSwitchIDs: []string{}}
	}
	if v.NASConfig == nil {
		v.NASConfig = &nasConfig{UserID: -1, GroupID: -1, MountPoints: []nasMount{}}
	}
	if v.OSSMountConfig == nil {
		v.OSSMountConfig = &ossMountConfig{MountPoints: []ossMount{}}
	}
	if v.TracingConfig == nil {
		v.TracingConfig = &tracingConfig{Params: map[string]string{}}
	}
	return v
}

func (c *region) createService(q *call) (*reply, error) {
	var spec serviceSpec
	if err := q.decode(&spec); err != nil {
		return nil, err
	}
	if err := spec.validate(); err != nil {
		return nil, err
	}
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.services[spec.ServiceName] != nil {
		return nil, alreadyExists("Service", "service '%s' already exists", spec.ServiceName)
	}
	doc := &serviceDoc{}
	doc.Service = serviceRecord{stamps: newStamps(c.stamp(), doc.next()), Spec: spec}
	if err := put(s, dirServices, s.services, spec.ServiceName, doc); err != nil {
		return nil, err
	}
	return &reply{body: doc.Service.view(), etag: doc.Service.etag()}, nil
}

func (c *region) listServices(q *call) (*reply, error) {
	want := map[string]string{}
	for k, values := range q.query {
		if tag, ok := strings.CutPrefix(k, "tag_"); ok {
			want[tag] = values[0]
		}
	}
	views := []serviceView{}
	for _, doc := range c.store.allServices() {
		if hasTags(doc.Tags, want) {
			views = append(views, doc.Service.view())
		}
	}
	views, next, err := page(q, views, func(v serviceView) string { return v.ServiceName })
	if err != nil {
		return nil, err
	}
	return &reply{body: struct {
		Services  []serviceView `json:"services"`
		NextToken string        `json:"nextToken,omitempty"`
	}{views, next}}, nil
}

func (c *region) getService(q *call) (*reply, error) {
	doc, err := c.store.service(q.params["s"])
	if err != nil {
		return nil, err
	}
	at, err := doc.at(q.qualifier)
	if err != nil {
		return nil, err
	}
	return &reply{body: at.service.view(), etag: at.service.etag()}, nil
}

func (c *region) updateService(q *call) (*reply, error) {
	if err := q.unqualified(); err != nil {
		return nil, err
	}
	var out *reply
	name := q.params["s"]
	err := c.store.updateService(name, func(doc *serviceDoc) error {
		rec := &doc.Service
		if err := q.ifMatch(rec.etag()); err != nil {
			return err
		}
		if err := q.decode(&rec.Spec); err != nil {
			return err
		}
		rec.Spec.ServiceName = name
		if err := rec.Spec.validate(); err != nil {
			return err
		}
		rec.touch(c.stamp(), doc.next())
		out = &reply{body: rec.view(), etag: rec.etag()}
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.settle(name)
	return out, nil
}

func (c *region) deleteService(q *call) (*reply, error) {
	if err := q.unqualified(); err != nil {
		return nil, err
	}
	s, name := c.store, q.params["s"]
	s.mu.Lock()
	defer s.mu.Unlock()
	doc := s.services[name]
	if doc == nil {
		return nil, notFound("Service", "service '%s' does not exist", name)
	}
	if err := q.ifMatch(doc.Service.etag()); err != nil {
		return nil, err
	}
	for _, part := range []struct {
		what string
		n    int
	}{{"functions", len(doc.Functions)}, {"aliases", len(doc.Aliases)}, {"versions", len(doc.Versions)}} {
		if part.n > 0 {
			return nil, conflict("ServiceNotEmpty", "service '%s' has active '%s'.", name, part.what)
		}
	}
	return done(), put(s, dirServices, s.services, name, nil)
}

var (
	namePattern = regexp.MustCompile(`^[_a-zA-Z][-_a-zA-Z0-9]*$`)
	rolePattern = regexp.MustCompile(`^acs:ram::[0-9]+:role/(\S+)$`)
)

// maxRoleName is the longest name of a role, in characters. It is no repetition in
// rolePattern: compiling that would slow down the start of every command.
const maxRoleName = 256

// validName checks the name of a service, function, trigger, layer or alias.
func validName(field, name string, longest int) error {
	if name == "" {
		return invalid("%s is required but not provided", field)
	}
	if len(name) > longest || !namePattern.MatchString(name) {
		return invalid("%s must be 1 to %d letters, digits, underscores or hyphens, and must not begin with a digit or hyphen (actual: '%.200s')",
			field, longest, name)
	}
	return nil
}

// maxDescription is the longest description of anything, in bytes.
const maxDescription = 4096

func validDescription(text string) error {
	if len(text) > maxDescription {
		return invalid("description is longer than %d bytes", maxDescription)
	}
	return nil
}

func validRole(field, role string) error {
	if role == "" {
		return nil
	}
	m := rolePattern.FindStringSubmatch(role)
	if m == nil || utf8.RuneCountInString(m[1]) > maxRoleName {
		return invalid("%s must be an ARN of the form acs:ram::<account>:role/<name> (actual: '%.300s')", field, role)
	}
	return nil
}

func (s *serviceSpec) validate() error {
	if err := validName("serviceName", s.ServiceName, 128); err != nil {
		return err
	}
	if err := validDescription(s.Description); err != nil {
		return err
	}
	if err := validRole("role", s.Role); err != nil {
		return err
	}
	if l := s.LogConfig; l != nil {
		if (l.Project == "") != (l.Logstore == "") {
			return invalid("logConfig needs both project and logstore, or none of them")
		}
		if !oneOf(l.LogBeginRule, "", "None", "DefaultRegex") {
			return invalid("logConfig.logBeginRule must be None or DefaultRegex (actual: '%s')", l.LogBeginRule)
		}
		if l.Project == "" && (l.EnableRequestMetrics || l.EnableInstanceMetrics) {
			return invalid("logConfig: metrics need a project and a logstore")
		}
	}
	return s.validateNetwork()
}

func (s *serviceSpec) validateNetwork() error {
	if v := s.VPCConfig; v != nil {
		given := v.VPCID != "" || len(v.VSwitchIDs) > 0 || v.SecurityGroupID != ""
		if given && (v.VPCID == "" || len(v.VSwitchIDs) == 0 || v.SecurityGroupID == "") {
			return invalid("vpcConfig needs vpcId, vSwitchIds and securityGroupId")
		}
	}
	if n := s.NASConfig; n != nil && len(n.MountPoints) > 0 {
		if s.VPCConfig == nil || s.VPCConfig.VPCID == "" {
			return invalid("nasConfig needs a vpcConfig")
		}
		for _, m := range n.MountPoints {
			if m.ServerAddr == "" || !hasPrefix(m.MountDir, "/") {
				return invalid("nasConfig.mountPoints need a serverAddr and an absolute mountDir")
			}
		}
	}
	if o := s.OSSMountConfig; o != nil {
		for _, m := range o.MountPoints {
			if m.BucketName == "" || m.Endpoint == "" || !hasPrefix(m.MountDir, "/") {
				return invalid("ossMountConfig.mountPoints need a bucketName, an endpoint and an absolute mountDir")
			}
		}
	}
	if t := s.TracingConfig; t != nil && !oneOf(t.Type, "", "Jaeger") {
		return invalid("tracingConfig.type must be Jaeger (actual: '%s')", t.Type)
	}
	return nil
}

func oneOf(value string, allowed ...string) bool {
	for _, a := range allowed {
		if value == a {
			return true
		}
	}
	return false
}
