package props

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
)

type m = map[string]any

// under puts value under the keys of a dotted path.
func under(path string, value any) m {
	keys := strings.Split(path, ".")
	for _, key := range slices.Backward(keys) {
		value = m{key: value}
	}
	return value.(m)
}

func compare(kind resource.Kind, found, want m) string {
	var all []string
	for _, d := range Schemas()[kind].Compare(found, want, nil) {
		line := fmt.Sprintf("%s: %v => %v", d.Path, d.Old, d.New)
		if d.Immutable {
			line += " (immutable)"
		}
		all = append(all, line)
	}
	return strings.Join(all, "; ")
}

// TestDefaults checks each default: what the server shows when nothing was set is
// no difference, anything else is one.
func TestDefaults(t *testing.T) {
	tests := []struct {
		kind       resource.Kind
		path       string
		def, other any
	}{
		{ServiceKind, "logConfig.logBeginRule", "None", "DefaultRegex"},
		{ServiceKind, "logConfig.enableRequestMetrics", false, true},
		{ServiceKind, "logConfig.enableInstanceMetrics", false, true},
		{ServiceKind, "nasConfig.userId", -1, 0},
		{ServiceKind, "nasConfig.groupId", -1, 0},
		{FunctionKind, "description", DefaultDescription, "x"},
		{FunctionKind, "memorySize", 128, 256},
		{FunctionKind, "timeout", 3, 60},
		{FunctionKind, "instanceConcurrency", 1, 2},
		{FunctionKind, "instanceType", "e1", "c1"},
		{FunctionKind, "initializationTimeout", 3, 30},
		{FunctionKind, "diskSize", 512, 10240},
		{FunctionKind, "gpuMemorySize", 0, 2048},
		{FunctionKind, "caPort", 9000, 8080},
		{FunctionKind, "instanceSoftConcurrency", 1, 5},
		{FunctionKind, "customHealthCheckConfig.initialDelaySeconds", 0, 1},
		{FunctionKind, "customHealthCheckConfig.periodSeconds", 3, 1},
		{FunctionKind, "customHealthCheckConfig.timeoutSeconds", 1, 2},
		{FunctionKind, "customHealthCheckConfig.failureThreshold", 3, 1},
		{FunctionKind, "customContainerConfig.accelerationType", "Default", "None"},
		{FunctionKind, "customContainerConfig.webServerMode", true, false},
		{TriggerKind, "qualifier", "LATEST", "2"},
		{TriggerKind, "triggerConfig.disableURLInternet", false, true},
		{TriggerKind, "triggerConfig.triggerEnable", true, false},
		{TriggerKind, "triggerConfig.asyncInvocationType", false, true},
		{TriggerKind, "triggerConfig.eventRuleFilterPattern", "{}", `{"source":["a"]}`},
		{TriggerKind, "triggerConfig.eventSourceConfig.eventSourceParameters.sourceMNSParameters.IsBase64Decode", true, false},
		{TriggerKind, "triggerConfig.eventSourceConfig.eventSourceParameters.sourceKafkaParameters.Network", "Default", "PublicNetwork"},
		{TriggerKind, "triggerConfig.notifyContentFormat", "STREAM", "JSON"},
		{TriggerKind, "triggerConfig.notifyStrategy", "BACKOFF_RETRY", "EXPONENTIAL_DECAY_RETRY"},
		{AsyncConfigKind, "maxAsyncRetryAttempts", 3, 1},
		{AsyncConfigKind, "maxAsyncEventAgeInSeconds", 86400, 60},
		{AsyncConfigKind, "statefulInvocation", false, true},
		{CustomDomainKind, "wafConfig.enableWAF", false, true},
	}
	for _, tc := range tests {
		t.Run(string(tc.kind)+" "+tc.path, func(t *testing.T) {
			for _, absent := range []m{{}, under(tc.path, nil)} {
				if got := compare(tc.kind, under(tc.path, tc.def), absent); got != "" {
					t.Errorf("default online: %s", got)
				}
				if got := compare(tc.kind, absent, under(tc.path, tc.def)); got != "" {
					t.Errorf("default in the file: %s", got)
				}
				if got := compare(tc.kind, under(tc.path, tc.other), absent); got == "" {
					t.Error("another value online is no difference")
				}
			}
		})
	}
}

// TestKeepUnset checks that what the file does not set stays, and what it sets counts.
func TestKeepUnset(t *testing.T) {
	const parameters = "triggerConfig.eventSourceConfig.eventSourceParameters."
	tests := []struct {
		kind     resource.Kind
		path     string
		old, new any
	}{
		{ServiceKind, "internetAccess", true, false},
		{ServiceKind, "internetAccess", false, true},
		{FunctionKind, "cpu", 0.35, 0.5},
		{FunctionKind, "code", m{"checksum": "1"}, m{"checksum": "2"}},
		{FunctionKind, "instanceLifecycleConfig.preFreeze.timeout", 3, 4},
		{FunctionKind, "instanceLifecycleConfig.preStop.timeout", 3, 4},
		{FunctionKind, "customHealthCheckConfig.successThreshold", 2, 1},
		{TriggerKind, "sourceArn", "acs:eb:1", "acs:eb:2"},
		{TriggerKind, "triggerConfig.jobConfig.maxRetryTime", 1, 2},
		{TriggerKind, "triggerConfig.jobConfig.triggerInterval", 30, 60},
		{TriggerKind, "triggerConfig.eventSinkConfig", m{"deliveryOption": m{"mode": "event-driven"}}, m{"deliveryOption": m{"mode": "event-streaming"}}},
		{TriggerKind, "triggerConfig.eventSinkConfig.deliveryOption.mode", "event-driven", "event-streaming"},
		{TriggerKind, "triggerConfig.eventSinkConfig.deliveryOption.eventSchema", "CloudEvents", "RawData"},
		{TriggerKind, "triggerConfig.runOptions", m{"mode": "event-driven"}, m{"mode": "event-streaming"}},
		{TriggerKind, "triggerConfig.runOptions.maximumTasks", 1, 2},
		{TriggerKind, "triggerConfig.runOptions.errorsTolerance", "ALL", "NONE"},
		{TriggerKind, "triggerConfig.runOptions.retryStrategy", m{"MaximumRetryAttempts": 1}, m{"MaximumRetryAttempts": 2}},
		{TriggerKind, "triggerConfig.runOptions.retryStrategy.MaximumEventAgeInSeconds", 1, 2},
		{TriggerKind, "triggerConfig.runOptions.retryStrategy.MaximumRetryAttempts", 1, 2},
		{TriggerKind, "triggerConfig.runOptions.batchWindow", m{"CountBasedWindow": 1}, m{"CountBasedWindow": 2}},
		{TriggerKind, "triggerConfig.runOptions.batchWindow.CountBasedWindow", 1, 2},
		{TriggerKind, "triggerConfig.runOptions.batchWindow.TimeBasedWindow", 0, 2},
		{TriggerKind, parameters + "sourceMNSParameters.RegionId", "a", "b"},
		{TriggerKind, parameters + "sourceRocketMQParameters.RegionId", "a", "b"},
		{TriggerKind, parameters + "sourceRabbitMQParameters.RegionId", "a", "b"},
		{TriggerKind, parameters + "sourceKafkaParameters.RegionId", "a", "b"},
		{TriggerKind, parameters + "sourceRocketMQParameters.Timestamp", 1, 2},
		{TriggerKind, parameters + "sourceRocketMQParameters.Offset", "CONSUME_FROM_LAST_OFFSET", "CONSUME_FROM_TIMESTAMP"},
		{CustomDomainKind, "tlsConfig", m{"minVersion": "TLSv1.0"}, m{"minVersion": "TLSv1.2"}},
		{CustomDomainKind, "tlsConfig.maxVersion", "TLSv1.3", "TLSv1.2"},
	}
	for _, tc := range tests {
		t.Run(string(tc.kind)+" "+tc.path, func(t *testing.T) {
			unset := m{}
			if i := strings.LastIndexByte(tc.path, '.'); i > 0 {
				unset = under(tc.path[:i], m{})
			}
			if got := compare(tc.kind, under(tc.path, tc.old), unset); got != "" {
				t.Errorf("unset: %s", got)
			}
			if got := compare(tc.kind, under(tc.path, tc.old), under(tc.path, tc.new)); got == "" {
				t.Error("set to another value, but no difference")
			}
		})
	}
}

func TestSets(t *testing.T) {
	for kind, paths := range map[resource.Kind][]string{
		ServiceKind:      {"vpcConfig.vSwitchIds"},
		TriggerKind:      {"triggerConfig.methods", "triggerConfig.events", "triggerConfig.filter.domain"},
		VPCBindingKind:   {"vpcIds"},
		CustomDomainKind: {"tlsConfig.cipherSuites"},
	} {
		for _, path := range paths {
			if got := compare(kind, under(path, []any{"a", "b"}), under(path, []any{"b", "a"})); got != "" {
				t.Errorf("%s: %s", kind, got)
			}
			if got := compare(kind, under(path, []any{"a", "b"}), under(path, []any{"a"})); got == "" {
				t.Errorf("%s %s: a missing element is no difference", kind, path)
			}
		}
	}
	if got := compare(FunctionKind, m{"layers": []any{"a", "b"}}, m{"layers": []any{"b", "a"}}); got == "" {
		t.Error("the order of layers makes no difference")
	}
}

func TestIgnored(t *testing.T) {
	for kind, paths := range map[resource.Kind][]string{
		ServiceKind:      {"serviceId", "serviceName", "createdTime", "lastModifiedTime", "useSLRAuthentication", "vendorConfig", "vpcConfig.role"},
		FunctionKind:     {"functionId", "functionName", "codeChecksum", "codeSize", "createdTime", "lastModifiedTime", "layersArnV2", "accelerationInfo", "anytunnelViaENI", "code.size", "customContainerConfig.accelerationInfo"},
		TriggerKind:      {"triggerId", "triggerName", "urlInternet", "urlIntranet", "domainName", "createdTime", "lastModifiedTime"},
		AsyncConfigKind:  {"function", "service", "qualifier", "createdTime", "lastModifiedTime"},
		CustomDomainKind: {"accountId", "apiVersion", "domainName", "createdTime", "lastModifiedTime", "certConfig.privateKey"},
	} {
		for _, path := range paths {
			if got := compare(kind, under(path, "a"), under(path, "b")); got != "" {
				t.Errorf("%s: %s", kind, got)
			}
		}
	}
}

func TestImmutable(t *testing.T) {
	for _, path := range []string{"triggerType", "sourceArn", "triggerConfig.eventName", "triggerConfig.eventVersion",
		"triggerConfig.eventSourceConfig.eventSourceType", "triggerConfig.filterTag",
		"triggerConfig.notifyContentFormat", "triggerConfig.notifyStrategy"} {
		if got := compare(TriggerKind, under(path, "a"), under(path, "b")); got != path+": a => b (immutable)" {
			t.Error(got)
		}
	}
	if got := compare(TriggerKind, under("triggerConfig.cronExpression", "a"), under("triggerConfig.cronExpression", "b")); strings.Contains(got, "immutable") {
		t.Error(got)
	}
}

// TestCleared checks that what is removed from the file is a difference.
func TestCleared(t *testing.T) {
	for kind, attrs := range map[resource.Kind]m{
		ServiceKind: {"role": "r", "logConfig": m{"project": "p"}, "vpcConfig": m{"vpcId": "v"}, "nasConfig": m{"userId": 0},
			"ossMountConfig": m{"mountPoints": []any{m{"bucketName": "b"}}}, "tracingConfig": m{"type": "Jaeger"}, "description": "x"},
		FunctionKind: {"environmentVariables": m{"A": "b"}, "layers": []any{"l"}, "customDNS": m{"searches": []any{"s"}},
			"customRuntimeConfig": m{"command": []any{"c"}}, "customHealthCheckConfig": m{"httpGetUrl": "/"}, "initializer": "i",
			"instanceLifecycleConfig": m{"preStop": m{"handler": "h"}}},
		TriggerKind:      {"triggerConfig": m{"authConfig": m{"jwtConfig": "j"}}},
		AsyncConfigKind:  {"destinationConfig": m{"onFailure": m{"destination": "d"}}},
		CustomDomainKind: {"certConfig": m{"certName": "c"}, "wafConfig": m{"enableWAF": true}},
	} {
		for name, value := range attrs {
			if got := compare(kind, m{name: value}, m{}); got == "" {
				t.Errorf("%s: %s stays", kind, name)
			}
		}
	}
}

// TestEmptyOnline checks that what the server shows for blocks that were never set,
// or were cleared, equals a file without them.
func TestEmptyOnline(t *testing.T) {
	service := m{
		"description": "", "role": "", "tracingConfig": m{"type": "", "params": m{}},
		"logConfig":      m{"project": "", "logstore": "", "logBeginRule": "None", "enableRequestMetrics": false, "enableInstanceMetrics": false},
		"vpcConfig":      m{"vpcId": "", "vSwitchIds": []any{}, "securityGroupId": "", "role": "x"},
		"nasConfig":      m{"userId": -1, "groupId": -1, "mountPoints": []any{}},
		"ossMountConfig": m{"mountPoints": []any{}},
	}
	if got := compare(ServiceKind, service, m{"description": ""}); got != "" {
		t.Error(got)
	}
	function := m{
		"environmentVariables": m{}, "layers": []any{}, "customDNS": m{"nameServers": nil, "searches": nil, "dnsOptions": nil},
		"customRuntimeConfig": m{"command": nil, "args": nil}, "instanceLifecycleConfig": m{"preFreeze": m{"handler": "", "timeout": 3}, "preStop": m{"handler": "", "timeout": 0}},
		"initializer": "", "customContainerConfig": m{"image": "", "accelerationType": "Default"},
	}
	want := m{"initializer": "", "instanceLifecycleConfig": m{"preFreeze": m{"handler": ""}, "preStop": m{"handler": ""}}}
	if got := compare(FunctionKind, function, want); got != "" {
		t.Error(got)
	}
}

func TestForms(t *testing.T) {
	tests := []struct {
		kind        resource.Kind
		found, want m
		diff        string
	}{
		{ServiceKind, m{"role": "acs:ram::1:role/AliyunFCDefaultRole"}, m{"role": "acs:ram::1:role/aliyunfcdefaultrole"}, ""},
		{TriggerKind, m{"invocationRole": "acs:ram::1:role/X"}, m{"invocationRole": "acs:ram::1:role/x"}, ""},
		{TriggerKind, m{"qualifier": "2"}, m{"qualifier": 2}, ""},
		{ServiceKind, under("ossMountConfig.mountPoints", []any{m{"bucketPath": "/", "readOnly": false}}), under("ossMountConfig.mountPoints", []any{m{}}), ""},
		{ServiceKind, under("nasConfig.mountPoints", []any{m{"mountDir": "/a", "enableTLS": false}}), under("nasConfig.mountPoints", []any{m{"mountDir": "/a"}}), ""},
		{FunctionKind, under("environmentVariables.N", "1"), under("environmentVariables.N", secret.New("1")), ""},
		{FunctionKind, under("environmentVariables.N", "old"), under("environmentVariables.N", "new"), "environmentVariables.N: *** => ***"},
		{FunctionKind, m{"memorySize": 512.0, "cpu": 0.5}, m{"memorySize": int64(512), "cpu": 0.5}, ""},
		{FunctionKind, m{"code": m{"checksum": "1", "size": 5}}, m{"code": m{"checksum": "2", "size": int64(5)}}, "code.checksum: 1 => 2"},
		{FunctionKind, m{"code": m{"checksum": "1"}}, m{"code": m{"ossBucketName": "b", "ossObjectName": "o"}},
			"code.checksum: 1 => <nil>; code.ossBucketName: <nil> => b; code.ossObjectName: <nil> => o"},
		{TriggerKind, under("triggerConfig.functionParameter.a", "1"), under("triggerConfig.functionParameter.a", 1), ""},
		{TriggerKind, under("triggerConfig.eventSourceConfig.eventSourceParameters.sourceDTSParameters", m{"Password": "a", "InitCheckPoint": "7"}),
			under("triggerConfig.eventSourceConfig.eventSourceParameters.sourceDTSParameters", m{"Password": "b", "InitCheckPoint": 7}),
			"triggerConfig.eventSourceConfig.eventSourceParameters.sourceDTSParameters.Password: *** => ***"},
		{CustomDomainKind, under("routeConfig.routes", []any{m{"path": "/", "methods": []any{"GET"}, "qualifier": "LATEST"}}), under("routeConfig.routes", []any{m{"path": "/"}}), ""},
		{CustomDomainKind, under("routeConfig.routes", []any{m{"path": "/", "methods": []any{"GET", "PUT"}}}), under("routeConfig.routes", []any{m{"path": "/", "methods": []any{"PUT", "GET"}}}), ""},
		{FunctionKind, under("customDNS.dnsOptions", []any{m{"name": "ndots", "value": "6"}}), under("customDNS.dnsOptions", []any{m{"name": "ndots", "value": 6}}), ""},
		{TriggerKind, under("triggerConfig.eventSourceConfig.eventSourceParameters.sourceRocketMQParameters.InstancePassword", "a"),
			under("triggerConfig.eventSourceConfig.eventSourceParameters.sourceRocketMQParameters.InstancePassword", "b"),
			"triggerConfig.eventSourceConfig.eventSourceParameters.sourceRocketMQParameters.InstancePassword: *** => ***"},
	}
	for _, tc := range tests {
		if got := compare(tc.kind, tc.found, tc.want); got != tc.diff {
			t.Errorf("%s: %q, want %q", tc.kind, got, tc.diff)
		}
	}
}
