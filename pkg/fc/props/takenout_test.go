package props

import (
	"maps"
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/resource"
)

func inCustom(lines ...string) string {
	return strings.Replace(inFunction(lines...), "nodejs14", "custom", 1)
}

// TestTakenOut checks what a setting that is taken out of the file goes back to, and
// that a deploy of the same file finds no difference.
func TestTakenOut(t *testing.T) {
	const topic = "role: acs:ram::1:role/r"
	bridge := func(run string) string {
		return inTrigger("type: eventbridge", "config: {eventSourceConfig: {eventSourceType: Default}, runOptions: {mode: event-streaming"+run+"}}")
	}
	tests := []struct {
		name          string
		kind          resource.Kind
		with, without string
		want          string
	}{
		{"health check", FunctionKind,
			inCustom("customHealthCheckConfig: {httpGetUrl: /, initialDelaySeconds: 9, periodSeconds: 9, timeoutSeconds: 2, failureThreshold: 9}"),
			inCustom("customHealthCheckConfig: {httpGetUrl: /}"),
			"customHealthCheckConfig.failureThreshold: 9 => 3; customHealthCheckConfig.initialDelaySeconds: 9 => 0; " +
				"customHealthCheckConfig.periodSeconds: 9 => 3; customHealthCheckConfig.timeoutSeconds: 2 => 1"},
		{"soft limit", FunctionKind,
			inFunction("instanceConcurrency: 20", "instanceSoftConcurrency: 10"), inFunction("instanceConcurrency: 20"),
			"instanceSoftConcurrency: 10 => 20"},
		{"both limits", FunctionKind,
			inFunction("instanceConcurrency: 20", "instanceSoftConcurrency: 10"), inFunction(),
			"instanceConcurrency: 20 => 1; instanceSoftConcurrency: 10 => 1"},
		{"soft limit follows", FunctionKind,
			inFunction("instanceConcurrency: 20"), inFunction("instanceConcurrency: 30"),
			"instanceConcurrency: 20 => 30; instanceSoftConcurrency: 20 => 30"},
		{"port", FunctionKind, inContainer("cn-hangzhou", "image: localhost/a") + "\n  caPort: 80", inContainer("cn-hangzhou", "image: localhost/a"),
			"caPort: 80 => 9000"},
		{"disk", FunctionKind, inFunction("diskSize: 10240"), inFunction(), "diskSize: 10240 => 512"},
		{"cpu stays", FunctionKind, inFunction("cpu: 0.5"), inFunction(), ""},
		{"age of events", AsyncConfigKind,
			inFunction("asyncConfiguration: {maxAsyncRetryAttempts: 1, maxAsyncEventAgeInSeconds: 60}"), inFunction("asyncConfiguration: {maxAsyncRetryAttempts: 1}"),
			"maxAsyncEventAgeInSeconds: 60 => 86400"},
		{"topic", TriggerKind,
			inTrigger("type: mns_topic", topic, "config: {topicName: t, notifyContentFormat: JSON, notifyStrategy: EXPONENTIAL_DECAY_RETRY, filterTag: a}"),
			inTrigger("type: mns_topic", topic, "config: {topicName: t}"),
			"triggerConfig.filterTag: a => <nil> (immutable); triggerConfig.notifyContentFormat: JSON => STREAM (immutable); " +
				"triggerConfig.notifyStrategy: EXPONENTIAL_DECAY_RETRY => BACKOFF_RETRY (immutable)"},
		{"other table", TriggerKind,
			inTrigger("type: tablestore", topic, "config: {instanceName: i, tableName: a}"), inTrigger("type: tablestore", topic, "config: {instanceName: i, tableName: b}"),
			"sourceArn: acs:ots:cn-hangzhou:123:instance/i/table/a => acs:ots:cn-hangzhou:123:instance/i/table/b (immutable)"},
		{"dead letter queue", TriggerKind, bridge(", maximumTasks: 2, deadLetterQueue: {Arn: acs:mns:q}"), bridge(""),
			"triggerConfig.runOptions.deadLetterQueue.Arn: acs:mns:q => <nil>"},
		{"token", TriggerKind,
			inTrigger("type: http", "config: {authType: jwt, methods: [GET], authConfig: x}"), inTrigger("type: http", "config: {authType: anonymous, methods: [GET]}"),
			"triggerConfig.authConfig: x => <nil>; triggerConfig.authType: jwt => anonymous"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			with, without := m(attrsOf(t, tc.with, tc.kind, options())), m(attrsOf(t, tc.without, tc.kind, options()))
			if got := compare(tc.kind, with, without); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
			delete(with, "code") // of which the cloud shows only the checksum
			delete(without, "code")
			for _, same := range []m{with, without} {
				if got := compare(tc.kind, same, same); got != "" {
					t.Errorf("twice: %s", got)
				}
			}
		})
	}
}

// TestShownByServers checks that what servers show of settings that the file leaves
// out is no difference.
func TestShownByServers(t *testing.T) {
	topic := m(attrsOf(t, inTrigger("type: mns_topic", "role: acs:ram::1:role/r", "config: {topicName: t}"), TriggerKind, options()))
	for _, config := range []m{
		{"filterTag": "", "notifyContentFormat": "STREAM", "notifyStrategy": "BACKOFF_RETRY"}, {}, nil,
	} {
		online := maps.Clone(topic)
		online["triggerConfig"] = config
		if got := compare(TriggerKind, online, topic); got != "" {
			t.Errorf("topic %v: %s", config, got)
		}
	}
	table := m(attrsOf(t, inTrigger("type: tablestore", "role: acs:ram::1:role/r", "config: {instanceName: i, tableName: a}"), TriggerKind, options()))
	online := maps.Clone(table)
	online["triggerConfig"] = m{}
	if got := compare(TriggerKind, online, table); got != "" {
		t.Errorf("table: %s", got)
	}
	check := m(attrsOf(t, inCustom("customHealthCheckConfig: {httpGetUrl: /}"), FunctionKind, options()))
	for _, success := range []any{nil, int64(1), int64(2)} {
		online := m{"initialDelaySeconds": int64(0), "periodSeconds": int64(3), "timeoutSeconds": int64(1), "failureThreshold": int64(3)}
		for _, shown := range []m{online, {}} {
			shown["httpGetUrl"], shown["successThreshold"] = "/", success
			if got := compare(FunctionKind, m{"customHealthCheckConfig": shown}, m{"customHealthCheckConfig": check["customHealthCheckConfig"]}); got != "" {
				t.Errorf("health check %v: %s", shown, got)
			}
		}
	}
	for _, limits := range []m{{"instanceConcurrency": int64(1)}, {"instanceConcurrency": int64(1), "instanceSoftConcurrency": int64(1)}} {
		if got := compare(FunctionKind, limits, m{"instanceConcurrency": int64(1)}); got != "" {
			t.Errorf("limits %v: %s", limits, got)
		}
	}
}
