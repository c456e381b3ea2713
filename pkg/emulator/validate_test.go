package emulator

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

// object is a JSON object of a request.
type object = map[string]any

// with returns base and one more member.
func with(base object, key string, value any) object {
	out := object{}
	for k, v := range base {
		out[k] = v
	}
	out[key] = value
	return out
}

func TestValidateServices(t *testing.T) {
	w := newWorld(t)
	l := w.legacy()
	for _, c := range []struct {
		body any
		code string
		says string
	}{
		{object{}, "InvalidArgument", "serviceName is required"},
		{object{"serviceName": "1a"}, "InvalidArgument", "serviceName"},
		{object{"serviceName": "a.b"}, "InvalidArgument", "serviceName"},
		{object{"serviceName": strings.Repeat("a", 129)}, "InvalidArgument", "serviceName"},
		{object{"serviceName": "a", "role": "admin"}, "InvalidArgument", "role"},
		{object{"serviceName": "a", "role": "acs:ram::1:role/"}, "InvalidArgument", "role"},
		{object{"serviceName": "a", "role": "acs:ram::1:role/" + strings.Repeat("r", 257)}, "InvalidArgument", "role"},
		{object{"serviceName": "a", "description": strings.Repeat("x", 4097)}, "InvalidArgument", "description"},
		{object{"serviceName": "a", "logConfig": object{"project": "p"}}, "InvalidArgument", "logstore"},
		{object{"serviceName": "a", "logConfig": object{"logBeginRule": "x"}}, "InvalidArgument", "logBeginRule"},
		{object{"serviceName": "a", "vpcConfig": object{"vpcId": "v"}}, "InvalidArgument", "vSwitchIds"},
		{object{"serviceName": "a", "nasConfig": object{"userId": 0, "groupId": 0, "mountPoints": []object{{"serverAddr": "x:/", "mountDir": "/mnt"}}}}, "InvalidArgument", "vpcConfig"},
		{object{"serviceName": "a", "ossMountConfig": object{"mountPoints": []object{{"bucketName": "b"}}}}, "InvalidArgument", "ossMountConfig"},
		{object{"serviceName": "a", "tracingConfig": object{"type": "Zipkin"}}, "InvalidArgument", "Jaeger"},
		{object{"serviceName": 5}, "InvalidArgument", "serviceName has the wrong type"},
		{object{"serviceName": "a", "logConfig": object{"project": true}}, "InvalidArgument", "logConfig.project has the wrong type"},
		{"{", "MalformedPOSTRequest", "not valid JSON"},
		{"[1]", "InvalidArgument", "wrong type"},
		{strings.Repeat("[", 20000), "MalformedPOSTRequest", "not valid JSON"},
	} {
		a := l.do("POST", "/services", c.body)
		message, _ := a.body["ErrorMessage"].(string)
		if a.status != 400 || a.body["ErrorCode"] != c.code || !strings.Contains(message, c.says) {
			t.Errorf("%.80v: %d %.300s, want %s with %q", c.body, a.status, a.raw, c.code, c.says)
		}
	}
	l.do("POST", "/services", object{"serviceName": "b", "role": "acs:ram::1:role/" + strings.Repeat("r", 256)}).want(t, 200, "")
	// what the component of Serverless Devs sends for a bare service
	l.do("POST", "/services", object{
		"serviceName": "a", "description": "", "role": "", "tracingConfig": object{},
		"logConfig":      object{"project": "", "logstore": "", "logBeginRule": "None", "enableRequestMetrics": false, "enableInstanceMetrics": false},
		"nasConfig":      object{"userId": -1, "groupId": -1, "mountPoints": []any{}},
		"vpcConfig":      object{"vpcId": "", "vSwitchIds": []any{}, "securityGroupId": ""},
		"ossMountConfig": object{"mountPoints": []any{}},
	}).want(t, 200, "")
}

func TestValidateFunctions(t *testing.T) {
	w := newWorld(t)
	w.service("s")
	l := w.legacy()
	zipFile := base64.StdEncoding.EncodeToString(zipOf(t, "do", "echo"))
	base := object{"functionName": "f", "runtime": "nodejs16", "handler": "index.handler", "code": object{"zipFile": zipFile}}
	custom := with(base, "runtime", "custom")
	for _, c := range []struct {
		body object
		says string // "" when it is fine
	}{
		{with(base, "functionName", ""), "functionName is required"},
		{with(base, "functionName", "-f"), "functionName"},
		{with(base, "functionName", strings.Repeat("f", 65)), "functionName"},
		{with(base, "runtime", ""), "runtime is required"},
		{with(base, "runtime", "cobol"), "runtime is set to an invalid value"},
		{with(base, "handler", ""), "handler is required"},
		{with(custom, "handler", ""), ""},
		{with(base, "memorySize", 100), "memorySize must be a multiple of 64"},
		{with(base, "memorySize", 0), "memorySize"},
		{with(base, "memorySize", 32832), "memorySize"},
		{with(base, "memorySize", "128"), "memorySize has the wrong type"},
		{with(base, "memorySize", 1e300), "memorySize has the wrong type"},
		{with(base, "timeout", 0), "timeout must be between 1"},
		{with(base, "timeout", 86401), "timeout"},
		{with(base, "timeout", 600), ""},
		{with(base, "initializationTimeout", 301), "initializationTimeout"},
		{with(base, "cpu", 0.07), "cpu must be a multiple of 0.05"},
		{with(base, "cpu", 0.35), ""},
		{with(base, "diskSize", 1024), "diskSize"},
		{with(base, "instanceType", "x9"), "instanceType"},
		{with(base, "gpuMemorySize", 2048), "gpuMemorySize"},
		{with(with(base, "gpuMemorySize", 2048), "instanceType", "fc.gpu.tesla.1"), ""},
		{with(base, "instanceConcurrency", 201), "instanceConcurrency"},
		{with(base, "instanceSoftConcurrency", 2), "instanceSoftConcurrency"},
		{with(with(base, "instanceSoftConcurrency", 2), "instanceConcurrency", 2), ""},
		{with(with(base, "instanceSoftConcurrency", 0), "instanceConcurrency", 2), "instanceSoftConcurrency"},
		{with(base, "environmentVariables", object{"A": strings.Repeat("x", 4096)}), "environmentVariables are larger"},
		{with(base, "environmentVariables", object{"A": strings.Repeat("x", 4095)}), ""},
		{with(base, "environmentVariables", object{"A": 1}), "environmentVariables"},
		{with(base, "environmentVariables", object{"": "x"}), "cannot be used"},
		{with(base, "layers", []string{"a", "b", "c", "d", "e", "f"}), "at most 5"},
		{with(base, "layers", []string{"nonsense"}), "not the ARN"},
		{with(base, "layers", []string{"acs:fc:cn-hangzhou:official:layers/Python3/versions/1"}), ""},
		{with(base, "caPort", 70000), "caPort"},
		{with(base, "runtime", "custom-container"), "customContainerConfig.image is required"},
		{with(with(base, "runtime", "custom-container"), "customContainerConfig", object{"image": "i", "command": "node"}), "JSON list"},
		{with(with(base, "runtime", "custom-container"), "customContainerConfig", object{"image": "i", "command": `["node"]`}), "neither in the registry of Alibaba Cloud"},
		{with(base, "customHealthCheckConfig", object{"httpGetUrl": "/"}), "needs a custom runtime"},
		{with(custom, "customHealthCheckConfig", object{"httpGetUrl": "/", "timeoutSeconds": 4}), "timeoutSeconds"},
		{with(custom, "customHealthCheckConfig", object{"httpGetUrl": ""}), ""},
		{with(base, "instanceLifecycleConfig", object{"preFreeze": object{"handler": ""}, "preStop": object{"handler": "", "timeout": 91}}), "preStop.timeout"},
		{with(base, "code", nil), "code is required"},
		{with(base, "code", object{}), "code is required"},
		{with(base, "code", object{"zipFile": "!"}), "not valid Base64"},
		{with(base, "code", object{"zipFile": "aGVsbG8="}), "not a valid zip"},
		{with(base, "code", object{"zipFile": ""}), "not a valid zip"},
		{with(base, "code", object{"ossBucketName": "b", "ossObjectName": "o"}), "no object storage"},
	} {
		a := l.do("POST", "/services/s/functions", c.body)
		message, _ := a.body["ErrorMessage"].(string)
		if c.says == "" {
			a.want(t, 200, "")
			l.do("DELETE", "/services/s/functions/f", nil).want(t, 204, "")
			continue
		}
		if a.status != 400 || a.body["ErrorCode"] != "InvalidArgument" || !strings.Contains(message, c.says) {
			t.Errorf("%.200v: %d %.300s, want %q", c.body, a.status, a.raw, c.says)
		}
	}
	l.do("POST", "/services/none/functions", base).want(t, 404, "ServiceNotFound")

	l.header = map[string]string{"x-fc-code-checksum": "1"}
	l.do("POST", "/services/s/functions", base).want(t, 400, "InvalidArgument")
	l.header["x-fc-code-checksum"] = refer(zipOf(t, "do", "echo")).Checksum
	l.do("POST", "/services/s/functions", base).want(t, 200, "")
	l.header = nil

	// an update is checked as a whole, and changes nothing when it is refused
	l.do("PUT", "/services/s/functions/f", object{"memorySize": 192, "timeout": 0}).want(t, 400, "InvalidArgument")
	if a := l.do("GET", "/services/s/functions/f", nil); a.body["memorySize"] != 128.0 {
		t.Errorf("function %s", a.raw)
	}
	l.do("PUT", "/services/s/functions/f", object{"runtime": "custom", "instanceconcurrency": 3}).want(t, 200, "")
	if a := l.do("GET", "/services/s/functions/f", nil); a.body["caPort"] != 9000.0 || a.body["instanceConcurrency"] != 3.0 {
		t.Errorf("function %s", a.raw)
	}
}

func TestValidateTriggers(t *testing.T) {
	w := newWorld(t)
	w.service("s")
	w.function("s", "f", "echo")
	l := w.legacy()
	l.header = map[string]string{"x-fc-enable-eventbridge-trigger": "enable"}
	role := "acs:ram::1:role/r"
	for i, c := range []struct {
		kind   string
		source string
		config object
		says   string
	}{
		{"ftp", "", object{}, "triggerType is set"},
		{"http", "", object{"methods": []string{"GET"}}, "authType"},
		{"http", "", object{"authType": "anonymous"}, "methods is required"},
		{"http", "", object{"authType": "anonymous", "methods": []string{"BREW"}}, "BREW"},
		{"http", "", object{"authType": "anonymous", "methods": "GET"}, "wrong type"},
		{"timer", "", object{}, "cronExpression is required"},
		{"timer", "", object{"cronExpression": "* * * * *"}, "six fields"},
		{"timer", "", object{"cronExpression": "0 61 * * * *"}, "six fields"},
		{"timer", "", object{"cronExpression": "@daily"}, "six fields"},
		{"timer", "", object{"cronExpression": "@every -"}, "six fields"},
		{"timer", "", object{"cronExpression": "CRON_TZ=Mars/Olympus 0 0 8 * * *"}, "six fields"},
		{"timer", "", object{"cronExpression": "CRON_TZ="}, "six fields"},
		{"timer", "", object{"cronExpression": "TZ=UTC"}, "six fields"},
		{"timer", "", object{"cronExpression": "CRON_TZ=Asia/Shanghai 0 0 8 * * *", "enable": true}, ""},
		{"timer", "", object{"cronExpression": "0 0 8 * * MON-FRI", "enable": true, "payload": "x"}, ""},
		{"timer", "", object{"cronExpression": "@every 5m"}, ""},
		{"oss", "", object{"events": []string{"oss:ObjectCreated:*"}}, "sourceArn"},
		{"oss", "acs:oss:cn-hangzhou:1:b", object{}, "events is required"},
		{"oss", "acs:oss:cn-hangzhou:1:b", object{"events": []string{"s3:Put"}}, "no event of OSS"},
		{"oss", "acs:oss:cn-hangzhou:1:b", object{"events": []string{"oss:ObjectCreated:*"}, "filter": object{"key": object{"prefix": "a/", "suffix": ""}}}, ""},
		{"log", "acs:log:cn-hangzhou:1:project/p", object{}, "sourceConfig.logstore"},
		{"log", "acs:log:cn-hangzhou:1:project/p", object{"sourceConfig": object{"logstore": "l"}, "jobConfig": object{"triggerInterval": 2}}, "triggerInterval"},
		{"log", "acs:log:cn-hangzhou:1:project/p", object{"sourceConfig": object{"logstore": "l"}, "jobConfig": object{"maxRetryTime": 3, "triggerInterval": 60},
			"logConfig": object{"project": "p", "logstore": "m"}, "functionParameter": object{}, "enable": true}, ""},
		{"mns_topic", "acs:mns:cn-hangzhou:1:/topics/t", object{"notifyContentFormat": "XML"}, "notifyContentFormat"},
		{"mns_topic", "acs:mns:cn-hangzhou:1:/topics/t", object{"filterTag": strings.Repeat("t", 17)}, "filterTag"},
		{"mns_topic", "acs:mns:cn-hangzhou:1:/topics/t", object{"notifyContentFormat": "JSON"}, ""},
		{"cdn_events", "acs:cdn:*:1", object{"eventName": "e", "eventVersion": "1"}, "required"},
		{"cdn_events", "acs:cdn:*:1", object{"eventName": "e", "eventVersion": "1", "notes": "n", "filter": object{"domain": []string{"d"}}}, ""},
		{"tablestore", "", object{}, "sourceArn"},
		{"tablestore", "acs:ots:cn-hangzhou:1:instance/i/table/t", object{}, ""},
		{"eventbridge", "", object{"eventSourceConfig": object{"eventSourceType": "Carrier"}}, "eventSourceType"},
		{"eventbridge", "", object{"eventSourceConfig": object{"eventSourceType": "Default"}, "eventRuleFilterPattern": "{"}, "eventRuleFilterPattern"},
		{"eventbridge", "", object{"triggerEnable": true, "eventRuleFilterPattern": "{}", "eventSourceConfig": object{"eventSourceType": "RocketMQ",
			"eventSourceParameters": object{"sourceRocketMQParameters": object{"InstanceId": "i"}}}}, ""},
	} {
		name := fmt.Sprintf("t%d", i)
		body := object{"triggerName": name, "triggerType": c.kind, "triggerConfig": c.config}
		if c.source != "" {
			body["sourceArn"], body["invocationRole"] = c.source, role
		}
		a := l.do("POST", "/services/s/functions/f/triggers", body)
		message, _ := a.body["ErrorMessage"].(string)
		if c.says == "" {
			a.want(t, 200, "")
			if got := l.do("GET", "/services/s/functions/f/triggers/"+name, nil); got.body["triggerType"] != c.kind || got.body["sourceArn"] != c.source {
				t.Errorf("trigger %s", got.raw)
			}
			continue
		}
		if a.status != 400 || a.body["ErrorCode"] != "InvalidArgument" || !strings.Contains(message, c.says) {
			t.Errorf("%s %v: %d %s, want %q", c.kind, c.config, a.status, a.raw, c.says)
		}
	}
	l.header = nil
	l.do("POST", "/services/s/functions/f/triggers", object{"triggerName": "e", "triggerType": "eventbridge",
		"triggerConfig": object{"eventSourceConfig": object{"eventSourceType": "Default"}}}).want(t, 400, "InvalidArgument")
}

func TestUpdateTriggerKeepsIdentity(t *testing.T) {
	w := newWorld(t)
	w.service("s")
	w.function("s", "f", "echo")
	l := w.legacy()
	path := "/services/s/functions/f/triggers"
	l.do("POST", path, object{"triggerName": "h", "triggerType": "http", "description": "d",
		"triggerConfig": object{"authType": "anonymous", "methods": []string{"GET"}}}).want(t, 200, "")
	l.do("POST", path, object{"triggerName": "h2", "triggerType": "http",
		"triggerConfig": object{"authType": "anonymous", "methods": []string{"GET"}}}).want(t, 400, "InvalidArgument")
	l.do("POST", path, object{"triggerName": "h", "triggerType": "timer",
		"triggerConfig": object{"cronExpression": "@every 1m"}}).want(t, 409, "TriggerAlreadyExists")
	l.do("PUT", path+"/h", object{"qualifier": "nowhere"}).want(t, 404, "AliasNotFound")
	a := l.do("PUT", path+"/h", object{"triggerType": "timer", "sourceArn": "x", "invocationRole": "acs:ram::1:role/r"})
	if a.status != 200 || a.body["triggerType"] != "http" || a.body["sourceArn"] != "" || a.body["description"] != "d" {
		t.Errorf("updated %s", a.raw)
	}
	l.do("POST", path, object{"triggerName": "m", "triggerType": "mns_topic", "sourceArn": "acs:mns:cn-hangzhou:1:/topics/t",
		"triggerConfig": object{}}).want(t, 200, "")
	a = l.do("PUT", path+"/m", object{"description": "x"})
	if a.want(t, 400, "InvalidArgument"); !strings.Contains(a.raw, "Updating trigger is not supported yet.") {
		t.Errorf("answer %s", a.raw)
	}
}

func TestValidateOthers(t *testing.T) {
	w := newWorld(t)
	w.service("s")
	w.function("s", "f", "echo")
	w.publish("s")
	w.update("s", "f", "two")
	w.publish("s")
	l := w.legacy()
	action := object{"name": "a", "startTime": "2020-10-10T10:10:10Z", "endTime": "2030-10-10T10:10:10Z", "target": 1, "scheduleExpression": "cron(0 */30 * * * *)"}
	route := func(path string) object {
		return object{"path": path, "serviceName": "s", "functionName": "f"}
	}
	domain := func(routes ...object) object {
		return object{"domainName": "a.example.com", "protocol": "HTTP", "routeConfig": object{"routes": routes}}
	}
	many := []object{}
	for i := range 110 {
		many = append(many, with(action, "name", fmt.Sprint(i)))
	}
	for _, c := range []struct {
		method, path string
		body         any
		status       int
		code, says   string
	}{
		{"POST", "/services/s/aliases", object{"aliasName": "a"}, 400, "InvalidArgument", "versionId is required"},
		{"POST", "/services/s/aliases", object{"aliasName": "9", "versionId": "1"}, 400, "InvalidArgument", "aliasName"},
		{"POST", "/services/s/aliases", object{"aliasName": "a", "versionId": "LATEST"}, 400, "InvalidArgument", "published version"},
		{"POST", "/services/s/aliases", object{"aliasName": "a", "versionId": "1", "additionalVersionWeight": object{"2": 1.5}}, 400, "InvalidArgument", "between 0 and 1"},
		{"POST", "/services/s/aliases", object{"aliasName": "a", "versionId": "1", "additionalVersionWeight": object{"1": 0.5}}, 400, "InvalidArgument", "another version"},
		{"POST", "/services/s/aliases", object{"aliasName": "a", "versionId": "1", "additionalVersionWeight": object{"7": 0.5}}, 404, "VersionNotFound", ""},
		{"POST", "/services/s/aliases", object{"aliasName": "a", "versionId": "1", "resolvePolicy": "Dice"}, 400, "InvalidArgument", "resolvePolicy"},
		{"PUT", "/services/s/functions/f/async-invoke-config", object{"maxAsyncRetryAttempts": 9}, 400, "InvalidArgument", "maxAsyncRetryAttempts"},
		{"PUT", "/services/s/functions/f/async-invoke-config", object{"maxAsyncEventAgeInSeconds": 0}, 400, "InvalidArgument", "maxAsyncEventAgeInSeconds"},
		{"PUT", "/services/s/functions/f/async-invoke-config", object{"destinationConfig": object{"onFailure": object{"destination": "x"}}}, 400, "InvalidArgument", "onFailure"},
		{"PUT", "/services/s/functions/g/async-invoke-config", object{}, 404, "FunctionNotFound", ""},
		{"PUT", "/services/s.1/functions/f/provision-config", object{"target": 1}, 400, "InvalidArgument", "alias"},
		{"PUT", "/services/s/functions/f/provision-config", object{"target": 10001}, 400, "InvalidArgument", "target"},
		{"PUT", "/services/s/functions/f/provision-config", object{"scheduledActions": []object{action, action}}, 400, "InvalidArgument", "Duplicate action name 'a' in ScheduledActions is not allowed"},
		{"PUT", "/services/s/functions/f/provision-config", object{"scheduledActions": []object{with(action, "startTime", "2020-10-10T10:10:10")}}, 400, "InvalidArgument", "The StartTime is not in UTC time format"},
		{"PUT", "/services/s/functions/f/provision-config", object{"scheduledActions": []object{with(action, "scheduleExpression", "cron(0s * * * * *)")}}, 400, "InvalidArgument", "The ScheduleExpression should be"},
		{"PUT", "/services/s/functions/f/provision-config", object{"scheduledActions": many}, 400, "InvalidArgument", "(max: 100, actual: 110)"},
		{"PUT", "/services/s/functions/f/on-demand-config", object{}, 400, "InvalidArgument", "maximumInstanceCount"},
		{"PUT", "/services/s/functions/f/on-demand-config", object{"maximumInstanceCount": -1}, 400, "InvalidArgument", "maximumInstanceCount"},
		{"POST", "/custom-domains", with(domain(), "domainName", "localhost"), 400, "InvalidArgument", "domainName"},
		{"POST", "/custom-domains", with(domain(), "domainName", "127.0.0.1"), 400, "InvalidArgument", "domainName"},
		{"POST", "/custom-domains", with(domain(), "domainName", "*.example.com."), 400, "InvalidArgument", "domainName"},
		{"POST", "/custom-domains", with(domain(), "domainName", "-a.example.com"), 400, "InvalidArgument", "domainName"},
		{"POST", "/custom-domains", with(domain(), "domainName", strings.Repeat("l", 64)+".example.com"), 400, "InvalidArgument", "domainName"},
		{"POST", "/custom-domains", with(domain(), "domainName", "example."+strings.Repeat("l", 64)), 400, "InvalidArgument", "domainName"},
		{"POST", "/custom-domains", with(domain(), "protocol", "FTP"), 400, "InvalidArgument", "protocol"},
		{"POST", "/custom-domains", with(domain(), "protocol", "HTTP,HTTPS"), 400, "InvalidArgument", "certConfig"},
		{"POST", "/custom-domains", domain(route("x")), 400, "InvalidArgument", "begin with /"},
		{"POST", "/custom-domains", domain(route("/a*")), 400, "InvalidArgument", "*"},
		{"POST", "/custom-domains", domain(route("/*/b")), 400, "InvalidArgument", "*"},
		{"POST", "/custom-domains", domain(route("/a"), route("/a")), 400, "InvalidArgument", "twice"},
		{"POST", "/custom-domains", domain(with(route("/a"), "methods", []string{"X"})), 400, "InvalidArgument", "methods"},
		{"POST", "/custom-domains", domain(with(route("/a"), "functionName", "g")), 404, "FunctionNotFound", ""},
		{"POST", "/custom-domains", domain(with(route("/a"), "qualifier", "nope")), 404, "AliasNotFound", ""},
		{"POST", "/custom-domains", domain(with(route("/a"), "rewriteConfig", object{"regexRules": []object{{"match": "("}}})), 400, "InvalidArgument", "rewriteConfig"},
		{"POST", "/layers/l/versions", object{}, 400, "InvalidArgument", "code is required"},
		{"POST", "/layers/1l/versions", object{}, 400, "InvalidArgument", "layerName"},
		{"POST", "/services/s/bindings", object{}, 400, "InvalidArgument", "vpcId"},
		{"POST", "/tag", object{"tags": object{"a": "b"}}, 400, "InvalidArgument", "resourceArn is required"},
		{"POST", "/tag", object{"resourceArn": "acs:fc:cn-hangzhou:77:services/s", "tags": object{"a": "b"}}, 403, "AccessDenied", ""},
		{"POST", "/tag", object{"resourceArn": "services/s/functions/f", "tags": object{"a": "b"}}, 400, "InvalidArgument", "must name a service"},
		{"GET", "/services?limit=x", nil, 400, "InvalidArgument", "limit"},
		{"GET", "/services/s/versions?direction=UP", nil, 400, "InvalidArgument", "direction"},
		{"GET", "/services/s/functions/f/triggers/none", nil, 404, "TriggerNotFound", ""},
		{"GET", "/services/s/functions/none/triggers", nil, 404, "FunctionNotFound", ""},
		{"GET", "/services/s%2e%2e%2fx", nil, 404, "", ""},
	} {
		a := l.do(c.method, c.path, c.body)
		if c.code == "" {
			c.code, _ = a.body["ErrorCode"].(string)
		}
		message, _ := a.body["ErrorMessage"].(string)
		if a.status != c.status || a.body["ErrorCode"] != c.code || !strings.Contains(message, c.says) {
			data, _ := json.Marshal(c.body)
			t.Errorf("%s %s %.200s: %d %s, want %d %s with %q", c.method, c.path, data, a.status, a.raw, c.status, c.code, c.says)
		}
	}
	longest := strings.Repeat("l", 63) + "." + strings.Repeat("m", 63)
	l.do("POST", "/custom-domains", with(domain(), "domainName", longest)).want(t, 200, "")
}

func TestLimitsOfBodies(t *testing.T) {
	w := newWorld(t)
	w.service("s")
	w.function("s", "f", "short")
	l := w.legacy()
	l.do("POST", "/services", strings.Repeat(" ", smallBody+1)).want(t, 413, "EntityTooLarge")
	l.do("POST", "/services/s/functions/f/invocations", strings.Repeat("x", invokeBody)).want(t, 200, "")
	l.do("POST", "/services/s/functions/f/invocations", strings.Repeat("x", invokeBody+1)).want(t, 413, "EntityTooLarge")
	l.header = map[string]string{"x-fc-invocation-type": "Async"}
	l.do("POST", "/services/s/functions/f/invocations", strings.Repeat("x", asyncBody+1)).want(t, 413, "EntityTooLarge")
	l.do("POST", "/services/s/functions/f/invocations", strings.Repeat("x", asyncBody)).want(t, 202, "")
	l.header = nil
	w.cloud.maxCode = 1000
	large := base64.StdEncoding.EncodeToString(make([]byte, 1001))
	l.do("PUT", "/services/s/functions/f", object{"code": object{"zipFile": large}}).want(t, 413, "EntityTooLarge")
	if codeBody < base64.StdEncoding.EncodedLen(maxCode) {
		t.Error("the largest package does not fit into a request")
	}
}
