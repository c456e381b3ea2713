package props

import (
	"maps"
	"slices"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
)

// triggerType is what differs from one type of trigger to another.
type triggerType struct {
	config []field
	// source are the parts of the ARN of the source; nil when there is none.
	source func(config *app.Value, region, account string) []any
	role   bool // the source needs a role to call the function
}

// triggerTypes is the table of props.triggers[].config.
func triggerTypes() map[string]triggerType {
	return map[string]triggerType{
		"http":        {config: httpFields()},
		"timer":       {config: timerFields()},
		"oss":         {config: ossFields(), source: ossSource, role: true},
		"log":         {config: logTriggerFields(), source: logSource, role: true},
		"mns_topic":   {config: mnsFields(), source: mnsSource, role: true},
		"cdn_events":  {config: cdnFields(), source: cdnSource, role: true},
		"tablestore":  {config: tablestoreFields(), source: tablestoreSource, role: true},
		"eventbridge": {config: eventBridgeFields()},
	}
}

// triggerFields is the table of props.triggers[] around the config.
func triggerFields() []field {
	types := slices.Sorted(maps.Keys(triggerTypes()))
	return append(legacy(), []field{
		req("name", identity(resourceName(128))).as(local),
		req("type", choice(types...).mustBeKnown()).as("triggerType"),
		opt("role", text(roleARN)).as("invocationRole"),
		opt("sourceArn", text(prefix("acs:"))),
		opt("qualifier", text(notEmpty)),
		opt("description", text()),
		req("config", anything()).as(local),
	}...)
}

func httpFields() []field {
	methods := choice("GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS")
	return []field{
		req("authType", choice("anonymous", "function", "jwt")),
		req("methods", list(methods, someItems)),
		opt("disableURLInternet", boolean()),
		opt("authConfig", anything()), // of authType jwt
	}
}

func timerFields() []field {
	return []field{
		req("cronExpression", text(cronExpression)),
		req("enable", boolean()),
		opt("payload", text()),
	}
}

func ossFields() []field {
	key := object(
		opt("Prefix", text()).or("prefix").as("prefix"),
		opt("Suffix", text()).or("suffix").as("suffix"),
	)
	return []field{
		req("bucketName", text(notEmpty)).as(local),
		req("events", list(text(prefix("oss:")), someItems)),
		opt("filter", object(opt("Key", key).or("key").as("key"))),
	}
}

func logTriggerFields() []field {
	return []field{
		req("sourceConfig", object(req("logstore", text(notEmpty)))),
		req("jobConfig", object(
			opt("maxRetryTime", integer(between(0, 100))),
			opt("triggerInterval", integer(between(3, 600))),
		)),
		req("logConfig", object(req("project", text(notEmpty)), req("logstore", text(notEmpty)))),
		opt("functionParameter", texts()),
		req("enable", boolean()),
	}
}

func mnsFields() []field {
	return []field{
		req("topicName", text(notEmpty)).as(local),
		opt("region", choice(regions()...).mustBeKnown()).as(local),
		opt("notifyContentFormat", choice("STREAM", "JSON")),
		opt("notifyStrategy", choice("BACKOFF_RETRY", "EXPONENTIAL_DECAY_RETRY")),
		opt("filterTag", text(maxLength(16))),
	}
}

func cdnFields() []field {
	return []field{
		req("eventName", text(notEmpty)),
		req("eventVersion", text(notEmpty)),
		req("notes", text()),
		req("filter", object(req("domain", list(text(notEmpty), someItems)))),
	}
}

func tablestoreFields() []field {
	return []field{
		req("instanceName", text(notEmpty)).as(local),
		req("tableName", text(notEmpty)).as(local),
	}
}

func ossSource(config *app.Value, region, account string) []any {
	return []any{"acs:oss:" + region + ":" + account + ":", config.Get("bucketName").Plain()}
}

func logSource(config *app.Value, region, account string) []any {
	return []any{"acs:log:" + region + ":" + account + ":project/", config.Get("logConfig", "project").Plain()}
}

func mnsSource(config *app.Value, region, account string) []any {
	if own := config.Get("region").Str(); own != "" {
		region = own
	}
	return []any{"acs:mns:" + region + ":" + account + ":/topics/", config.Get("topicName").Plain()}
}

func cdnSource(_ *app.Value, _, account string) []any { return []any{"acs:cdn:*:" + account} }

func tablestoreSource(config *app.Value, region, account string) []any {
	return []any{"acs:ots:" + region + ":" + account + ":instance/", config.Get("instanceName").Plain(),
		"/table/", config.Get("tableName").Plain()}
}

func (d *decoder) trigger(v *app.Value, path string) *Trigger {
	attrs, where := d.part(v, triggerFields(), path)
	t := &Trigger{Name: v.Get("name").Str(), Attrs: attrs, declared: where}
	t.Type, _ = attrs["triggerType"].(string)
	setDefault(attrs, "qualifier", "LATEST")
	kind, known := triggerTypes()[t.Type]
	if !known {
		return t
	}
	config := v.Get("config")
	decoded, whole := d.decode(config, object(kind.config...), path+".config").(map[string]any)
	switch {
	case whole:
		attrs["triggerConfig"] = decoded
	case config.HasUnknown():
		attrs["triggerConfig"] = config.Plain()
	}
	t.Field["triggerConfig"] = posOf(config)
	if kind.source != nil && attrs["sourceArn"] == nil {
		if config != nil && config.Kind == app.Unknown {
			d.failUnknown(config, path+".config")
		}
		t.source = func(region, account string) []any { return kind.source(config, region, account) }
	}
	if kind.role && attrs["invocationRole"] == nil {
		t.refuse(v.Pos, "write role: acs:ram::<account id>:role/<role name> with a role that the source may take (s made FcDeployCreateRole-{service}-{function})",
			"%s.role is missing: making a role for a %s trigger is not supported yet", path, t.Type)
	}
	t.fillDefaults()
	return t
}

// What the API documents for mns_topic triggers that do not say it. It is sent, so
// that no other default of a server can make a difference.
const (
	defaultNotifyFormat   = "STREAM"
	defaultNotifyStrategy = "BACKOFF_RETRY"
)

// fillDefaults sets what the API must be told although the file need not.
func (t *Trigger) fillDefaults() {
	config, ok := t.Attrs["triggerConfig"].(map[string]any)
	if !ok {
		return
	}
	switch t.Type {
	case "http":
		setDefault(config, "disableURLInternet", false)
	case "log":
		setDefault(config, "functionParameter", map[string]any{})
	case "mns_topic":
		setDefault(config, "notifyContentFormat", defaultNotifyFormat)
		setDefault(config, "notifyStrategy", defaultNotifyStrategy)
	case "eventbridge":
		setDefault(config, "triggerEnable", true)
		setDefault(config, "asyncInvocationType", false)
		setDefault(config, "eventRuleFilterPattern", "{}")
	}
}

// triggerRelations checks what one trigger has to do with another.
func (d *decoder) triggerRelations(triggers []*Trigger) {
	names := map[string]diag.Pos{}
	http := map[string]diag.Pos{}
	sources := map[string]diag.Pos{}
	once := func(seen map[string]diag.Pos, key string, t *Trigger, what string) {
		if first, double := seen[key]; double && key != "" {
			d.fail(t.Pos, "", "trigger %q: %s (the other is at %s)", t.Name, what, first)
			return
		}
		seen[key] = t.Pos
	}
	for _, t := range triggers {
		once(names, t.Name, t, "another trigger has this name")
		switch t.Type {
		case "http":
			once(http, plainText(t.Attrs["qualifier"]), t, "a function has one http trigger for a qualifier at most")
		case "eventbridge":
			once(sources, plainText(t.Attrs["sourceArn"]), t, "two triggers cannot share one sourceArn of EventBridge")
		}
	}
}
