package emulator

import (
	"encoding/json"
	"slices"
	"strings"

	"github.com/robfig/cron/v3"
)

// httpTriggerConfig is the triggerConfig of type http.
type httpTriggerConfig struct {
	AuthType           string   `json:"authType"`
	AuthConfig         string   `json:"authConfig,omitempty"`
	Methods            []string `json:"methods"`
	DisableURLInternet bool     `json:"disableURLInternet"`
}

type timerTriggerConfig struct {
	CronExpression string `json:"cronExpression"`
	Enable         bool   `json:"enable"`
	Payload        string `json:"payload"`
}

type ossTriggerConfig struct {
	Events []string         `json:"events"`
	Filter ossTriggerFilter `json:"filter"`
}

type ossTriggerFilter struct {
	Key ossTriggerKey `json:"key"`
}

type ossTriggerKey struct {
	Prefix string `json:"prefix"`
	Suffix string `json:"suffix"`
}

type logTriggerConfig struct {
	SourceConfig struct {
		Logstore string `json:"logstore"`
	} `json:"sourceConfig"`
	JobConfig struct {
		MaxRetryTime    *int32 `json:"maxRetryTime"`
		TriggerInterval *int32 `json:"triggerInterval"`
	} `json:"jobConfig"`
	FunctionParameter map[string]string `json:"functionParameter"`
	LogConfig         struct {
		Project  string `json:"project"`
		Logstore string `json:"logstore"`
	} `json:"logConfig"`
	Enable bool `json:"enable"`
}

type mnsTriggerConfig struct {
	FilterTag           string `json:"filterTag"`
	NotifyContentFormat string `json:"notifyContentFormat"`
	NotifyStrategy      string `json:"notifyStrategy"`
}

type cdnTriggerConfig struct {
	EventName    string              `json:"eventName"`
	EventVersion string              `json:"eventVersion"`
	Notes        string              `json:"notes"`
	Filter       map[string][]string `json:"filter"`
}

type eventBridgeTriggerConfig struct {
	EventRuleFilterPattern string `json:"eventRuleFilterPattern"`
	EventSourceConfig      struct {
		EventSourceType string `json:"eventSourceType"`
	} `json:"eventSourceConfig"`
}

// sourcePrefix begins the sourceArn of a trigger type that has one.
func sourcePrefix(kind string) string {
	switch kind {
	case "oss":
		return "acs:oss:"
	case "log":
		return "acs:log:"
	case "mns_topic":
		return "acs:mns:"
	case "tablestore":
		return "acs:ots:"
	case "cdn_events":
		return "acs:cdn:"
	}
	return ""
}

// validate checks a trigger and brings its configuration into the form in which
// the API shows it.
func (t *triggerSpec) validate() error {
	if err := validName("triggerName", t.TriggerName, 128); err != nil {
		return err
	}
	if err := validDescription(t.Description); err != nil {
		return err
	}
	if err := validRole("invocationRole", t.InvocationRole); err != nil {
		return err
	}
	if p := sourcePrefix(t.TriggerType); p != "" && !hasPrefix(t.SourceARN, p) {
		return invalid("sourceArn must begin with %s for a trigger of type %s (actual: '%.300s')", p, t.TriggerType, t.SourceARN)
	}
	switch t.TriggerType {
	case "http":
		return t.settle(&httpTriggerConfig{}, checkHTTPTrigger)
	case "timer":
		return t.settle(&timerTriggerConfig{}, checkTimerTrigger)
	case "oss":
		return t.settle(&ossTriggerConfig{}, checkOSSTrigger)
	case "log":
		return t.settle(&logTriggerConfig{}, checkLogTrigger)
	case "mns_topic":
		return t.settle(&mnsTriggerConfig{}, checkMNSTrigger)
	case "cdn_events":
		return t.settle(&cdnTriggerConfig{}, checkCDNTrigger)
	case "tablestore":
		t.Config = json.RawMessage("{}")
		return nil
	case "eventbridge":
		return t.validateEventBridge()
	}
	return invalid("triggerType is set to an invalid value (allowed: http | timer | oss | log | mns_topic | cdn_events | tablestore | eventbridge, actual: '%.64s')", t.TriggerType)
}

// settle reads the configuration into config, checks it, and writes it back.
func (t *triggerSpec) settle(config any, check func(any) error) error {
	if err := json.Unmarshal(t.Config, config); err != nil {
		return jsonError("triggerConfig", err)
	}
	if err := check(config); err != nil {
		return err
	}
	data, err := json.Marshal(config)
	if err != nil {
		return internalError(err)
	}
	t.Config = data
	return nil
}

// httpMethods are the methods an HTTP trigger or a route can allow.
func httpMethods() []string {
	return []string{"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"}
}

func checkMethods(methods []string) error {
	for _, m := range methods {
		if !slices.Contains(httpMethods(), m) {
			return invalid("methods: '%.20s' is not one of %s", m, strings.Join(httpMethods(), ", "))
		}
	}
	return nil
}

func checkHTTPTrigger(config any) error {
	h := config.(*httpTriggerConfig)
	if !oneOf(h.AuthType, "anonymous", "function") {
		return invalid("triggerConfig.authType must be anonymous or function (actual: '%.64s')", h.AuthType)
	}
	if len(h.Methods) == 0 {
		return invalid("triggerConfig.methods is required but not provided")
	}
	return checkMethods(h.Methods)
}

func checkTimerTrigger(config any) error {
	t := config.(*timerTriggerConfig)
	if len(t.Payload) > 4<<20 {
		return invalid("triggerConfig.payload is too long")
	}
	return checkSchedule("triggerConfig.cronExpression", t.CronExpression)
}

// checkSchedule checks "@every 5m" or six cron fields (seconds first), with
// CRON_TZ=zone before them when they are not meant in UTC.
func checkSchedule(field, text string) error {
	if text == "" {
		return invalid("%s is required but not provided", field)
	}
	if strings.HasPrefix(text, "@") && !strings.HasPrefix(text, "@every ") {
		return invalid("%s must be '@every <duration>' or have six fields (actual: '%.100s')", field, text)
	}
	if !validCron(text) {
		return invalid("%s must be '@every <duration>' or have six fields: second minute hour day month weekday (actual: '%.100s')", field, text)
	}
	return nil
}

// validCron asks the parser, which panics on some texts that have a zone only.
func validCron(text string) (ok bool) {
	defer func() {
		if recover() != nil {
			ok = false
		}
	}()
	parser := cron.NewParser(cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow | cron.Descriptor)
	_, err := parser.Parse(text)
	return err == nil
}

func checkOSSTrigger(config any) error {
	o := config.(*ossTriggerConfig)
	if len(o.Events) == 0 {
		return invalid("triggerConfig.events is required but not provided")
	}
	for _, e := range o.Events {
		if !hasPrefix(e, "oss:Object") {
			return invalid("triggerConfig.events: '%.100s' is no event of OSS", e)
		}
	}
	return nil
}

func checkLogTrigger(config any) error {
	l := config.(*logTriggerConfig)
	if l.SourceConfig.Logstore == "" {
		return invalid("triggerConfig.sourceConfig.logstore is required but not provided")
	}
	if (l.LogConfig.Project == "") != (l.LogConfig.Logstore == "") {
		return invalid("triggerConfig.logConfig needs both project and logstore")
	}
	if l.FunctionParameter == nil {
		l.FunctionParameter = map[string]string{}
	}
	if err := within("triggerConfig.jobConfig.maxRetryTime", l.JobConfig.MaxRetryTime, 0, 100); err != nil {
		return err
	}
	return within("triggerConfig.jobConfig.triggerInterval", l.JobConfig.TriggerInterval, 3, 600)
}

func checkMNSTrigger(config any) error {
	m := config.(*mnsTriggerConfig)
	if !oneOf(m.NotifyContentFormat, "", "STREAM", "JSON") {
		return invalid("triggerConfig.notifyContentFormat must be STREAM or JSON")
	}
	if !oneOf(m.NotifyStrategy, "", "BACKOFF_RETRY", "EXPONENTIAL_DECAY_RETRY") {
		return invalid("triggerConfig.notifyStrategy must be BACKOFF_RETRY or EXPONENTIAL_DECAY_RETRY")
	}
	if len(m.FilterTag) > 16 {
		return invalid("triggerConfig.filterTag is longer than 16 bytes")
	}
	m.NotifyContentFormat = orDefault(m.NotifyContentFormat, "STREAM")
	m.NotifyStrategy = orDefault(m.NotifyStrategy, "BACKOFF_RETRY")
	return nil
}

func checkCDNTrigger(config any) error {
	d := config.(*cdnTriggerConfig)
	for name, value := range map[string]string{"eventName": d.EventName, "eventVersion": d.EventVersion, "notes": d.Notes} {
		if value == "" {
			return invalid("triggerConfig.%s is required but not provided", name)
		}
	}
	if len(d.Filter) == 0 {
		return invalid("triggerConfig.filter is required but not provided")
	}
	return nil
}

// validateEventBridge checks the outer form; the parameters of the many sources
// are kept as they came.
func (t *triggerSpec) validateEventBridge() error {
	var e eventBridgeTriggerConfig
	if err := json.Unmarshal(t.Config, &e); err != nil {
		return jsonError("triggerConfig", err)
	}
	if !oneOf(e.EventSourceConfig.EventSourceType, "Default", "MNS", "RocketMQ", "RabbitMQ", "Kafka", "DTS", "MQTT") {
		return invalid("triggerConfig.eventSourceConfig.eventSourceType must be Default, MNS, RocketMQ, RabbitMQ, Kafka or DTS (actual: '%.64s')",
			e.EventSourceConfig.EventSourceType)
	}
	if e.EventRuleFilterPattern != "" && !json.Valid([]byte(e.EventRuleFilterPattern)) {
		return invalid("triggerConfig.eventRuleFilterPattern must be a string that holds JSON")
	}
	return nil
}

// keepsIdentity refuses changes of what is fixed once a trigger exists.
func (t *triggerSpec) keepsIdentity(old triggerSpec) error {
	if t.TriggerType == "cdn_events" {
		var a, b cdnTriggerConfig
		if json.Unmarshal(old.Config, &a) == nil && json.Unmarshal(t.Config, &b) == nil &&
			(a.EventName != b.EventName || a.EventVersion != b.EventVersion) {
			return invalid("triggerConfig: eventName and eventVersion cannot be changed")
		}
	}
	if t.TriggerType == "eventbridge" {
		var a, b eventBridgeTriggerConfig
		if json.Unmarshal(old.Config, &a) == nil && json.Unmarshal(t.Config, &b) == nil &&
			a.EventSourceConfig.EventSourceType != b.EventSourceConfig.EventSourceType {
			return invalid("triggerConfig.eventSourceConfig.eventSourceType cannot be changed")
		}
	}
	return nil
}
