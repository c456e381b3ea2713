package props

import (
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/secret"
)

// serviceFields is the table of props.service.
func serviceFields() []field {
	return append(legacy(), []field{
		req("name", identity(resourceName(128))).as(local),
		opt("description", text(maxLength(4096))),
		opt("internetAccess", boolean()),
		opt("role", anything()).as(local),
		opt("logConfig", object(logFields()...)),
		opt("vpcConfig", object(vpcFields()...)),
		opt("nasConfig", object(nasFields()...)),
		opt("ossMountConfig", object(opt("mountPoints", list(object(ossMountFields()...))))),
		opt("tracingConfig", anything()).as(local),
		opt("vpcBinding", list(text(notEmpty)).mustBeKnown()).as(local),
	}...)
}

func logFields() []field {
	return []field{
		req("project", text(notEmpty)),
		req("logstore", text(notEmpty)),
		opt("enableRequestMetrics", boolean()),
		opt("enableInstanceMetrics", boolean()),
		opt("logBeginRule", choice("DefaultRegex", "None")),
	}
}

func vpcFields() []field {
	return []field{
		req("vpcId", text(notEmpty)),
		req("vswitchIds", list(text(notEmpty), someItems)).or("vSwitchIds").as("vSwitchIds"),
		req("securityGroupId", text(notEmpty)),
	}
}

func nasFields() []field {
	return []field{
		opt("userId", integer(between(-1, 1<<31-1))),
		opt("groupId", integer(between(-1, 1<<31-1))),
		opt("mountPoints", list(object(
			req("serverAddr", text(notEmpty)),
			req("nasDir", text(notEmpty)),
			req("fcDir", text(absolutePath)).as("mountDir"),
		))),
	}
}

func ossMountFields() []field {
	return []field{
		req("endpoint", text(notEmpty)),
		req("bucketName", text(notEmpty)),
		req("mountDir", text(absolutePath)),
		opt("bucketPath", text()),
		opt("readOnly", boolean()),
	}
}

func (d *decoder) service(v *app.Value) *Service {
	v, auto := withoutAuto(v)
	attrs, where := d.part(v, serviceFields(), "service")
	s := &Service{Name: v.Get("name").Str(), Attrs: attrs, declared: where}
	if v.Kind != app.Map {
		return s
	}
	for _, e := range auto {
		s.refuse(e.Value.Pos, autoHints()[e.Key], "service.%s: %s is not supported yet", e.Key, e.Value.Str())
	}
	s.VPCIDs, _ = v.Get("vpcBinding").Plain().([]any)
	d.role(s, v.Get("role"))
	d.tracing(s, v.Get("tracingConfig"))
	if nas, _ := s.Attrs["nasConfig"].(map[string]any); nas != nil {
		setDefault(nas, "userId", int64(10003))
		setDefault(nas, "groupId", int64(10003))
		if s.Attrs["vpcConfig"] == nil && len(auto) == 0 {
			d.fail(posOf(v.Get("nasConfig")), "add the VPC that the file system is in",
				"service.nasConfig needs service.vpcConfig")
		}
	}
	joinMountPoints(s.Attrs)
	setDefault(s.Attrs, "description", "")
	return s
}

// withoutAuto takes out the blocks that the upstream tool makes by itself.
func withoutAuto(v *app.Value) (*app.Value, []app.Entry) {
	if v.Kind != app.Map {
		return v, nil
	}
	var auto []app.Entry
	rest := *v
	rest.Entries = nil
	for _, e := range v.Entries {
		text := ""
		if e.Value != nil && e.Value.Kind == app.String && autoHints()[e.Key] != "" {
			text = e.Value.Str()
		}
		if isAuto(text) || e.Key == "nasConfig" && strings.EqualFold(text, "autoPerformance") {
			auto = append(auto, e)
			continue
		}
		rest.Entries = append(rest.Entries, e)
	}
	return &rest, auto
}

// autoHints says what to write in the place of auto.
func autoHints() map[string]string {
	return map[string]string{
		"logConfig": "write logConfig with project and logstore of an existing log project (s made {account id}-{region}-logproject with fc-service-{service}-logstore)",
		"vpcConfig": "write vpcConfig with vpcId, vswitchIds and securityGroupId of an existing VPC (s made fc-deploy-component-generated-vpc-{region})",
		"nasConfig": "write nasConfig with userId, groupId and mountPoints (serverAddr, nasDir, fcDir) of an existing file system, and its vpcConfig",
	}
}

// role takes the ARN of a role; what is implied when there is none, Resources
// decides.
func (d *decoder) role(s *Service, v *app.Value) {
	if isAbsent(v, object()) {
		return
	}
	s.Field["role"] = v.Pos
	if v.Kind == app.Map {
		name := strings.ReplaceAll(v.Get("name").Str(), "_", "-")
		if name == "" {
			name = "<role name>"
		}
		s.refuse(v.Pos, "create the role with its policies, trusted by fc.aliyuncs.com, and write role: acs:ram::<account id>:role/"+name,
			"service.role: making a role from name and policies is not supported yet")
		return
	}
	if got := d.decode(v, text(roleARN), "service.role"); got != nil && got != "" {
		s.Attrs["role"] = got
	}
}

func (d *decoder) tracing(s *Service, v *app.Value) {
	if v.IsNull() {
		return
	}
	on := choice("Enable", "Disable")
	on.fold, on.known = true, true
	if d.decode(v, on, "service.tracingConfig") == "Enable" {
		s.refuse(v.Pos, "remove tracingConfig or write Disable: it needs the endpoint of XTrace, which devs does not ask for",
			"service.tracingConfig: Enable is not supported yet")
	}
}

// joinMountPoints brings the mount points of NAS to the form of the API, which
// holds the address and the folder in one text.
func joinMountPoints(attrs map[string]any) {
	nas, _ := attrs["nasConfig"].(map[string]any)
	points, _ := nas["mountPoints"].([]any)
	for _, p := range points {
		point, ok := p.(map[string]any)
		if !ok {
			continue
		}
		dir := point["nasDir"]
		if plain, ok := dir.(string); ok {
			dir = "/" + strings.TrimLeft(plain, "/")
		}
		point["serverAddr"] = concat(point["serverAddr"], ":", dir)
		delete(point, "nasDir")
	}
}

func setDefault(attrs map[string]any, key string, value any) {
	if _, ok := attrs[key]; !ok {
		attrs[key] = value
	}
}

// concat joins texts: secret when one of them is, unknown when one of them is.
func concat(parts ...any) any {
	var all strings.Builder
	hidden := false
	for _, p := range parts {
		switch x := p.(type) {
		case app.UnknownValue:
			return x
		case secret.String:
			hidden = true
		}
		all.WriteString(plainText(p))
	}
	if hidden {
		return secret.New(all.String())
	}
	return all.String()
}
