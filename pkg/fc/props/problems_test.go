package props

import (
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/resource"
)

// inFunction puts lines into a function that is right without them.
func inFunction(lines ...string) string {
	return "region: cn-hangzhou\nservice: {name: s}\nfunction:\n  " +
		strings.Join(append([]string{"name: f", "runtime: nodejs14", "codeUri: ./code"}, lines...), "\n  ")
}

func inContainer(region string, lines ...string) string {
	return "region: " + region + "\nservice: {name: s}\nfunction:\n  name: f\n  runtime: custom-container\n  customContainerConfig:\n    " +
		strings.Join(lines, "\n    ")
}

func inService(lines ...string) string {
	return "region: cn-hangzhou\nservice:\n  name: s\n  " + strings.Join(lines, "\n  ")
}

func inTrigger(lines ...string) string {
	return inFunction() + "\ntriggers:\n  - name: t\n    " + strings.Join(lines, "\n    ")
}

func inDomain(lines ...string) string {
	return inTrigger("type: http", "config: {authType: anonymous, methods: [GET]}") +
		"\ncustomDomains:\n  - " + strings.Join(lines, "\n    ")
}

const routes = "routeConfigs: [{path: /*}]"

func TestProblems(t *testing.T) {
	tests := []struct{ name, yaml, want string }{
		{"nothing", "", "props must be a mapping with region, service and function"},
		{"no region", "service: {name: s}", "s.yaml:1:1: props.region is missing"},
		{"no service", "region: cn-hangzhou", "s.yaml:1:1: props.service is missing"},
		{"unknown region", "region: cn-hangzou\nservice: {name: s}",
			`s.yaml:1:9: region "cn-hangzou" is not known | did you mean cn-hangzhou?`},
		{"region of another deploy", "region: ${other.output.region}\nservice: {name: s}",
			"s.yaml:1:9: region must be known before the deploy, but ${other.output.region} is known only after it | write it down, or deploy the service that it comes from first"},
		{"service of another deploy", "region: cn-hangzhou\nservice: ${other.output}",
			"s.yaml:2:10: service must be known before the deploy, but ${other.output} is known only after it | write it down, or deploy the service that it comes from first"},
		{"unknown part", "region: cn-hangzhou\nservice: {name: s}\ntrigger: []", `s.yaml:3:1: unknown key "trigger" in props | did you mean triggers?`},
		{"all at once", inFunction("Handler: x", "memorysize: 128", "timeout: 0"), "" +
			"s.yaml:7:3: unknown key \"Handler\" in function | did you mean handler?\n" +
			"s.yaml:8:3: unknown key \"memorysize\" in function | did you mean memorySize?\n" +
			"s.yaml:9:12: function.timeout 0 must be at least 1"},
		{"misspelt mapping", inFunction("environmentVariable: {A: b}"), `s.yaml:7:3: unknown key "environmentVariable" in function | did you mean environmentVariables?`},
		{"unknown key deep down", inFunction("instanceLifecycleConfig: {preStop: {hander: x}}"),
			`s.yaml:7:39: unknown key "hander" in function.instanceLifecycleConfig.preStop | did you mean handler?`},
		{"no name", "region: cn-hangzhou\nservice: {description: x}", "s.yaml:2:10: service.name is missing"},
		{"bad name", "region: cn-hangzhou\nservice: {name: a/b}",
			`s.yaml:2:17: service.name "a/b" holds a character that a name cannot have | use letters, digits, _ and - only`},
		{"name that begins with a digit", "region: cn-hangzhou\nservice: {name: 1a}", `s.yaml:2:17: service.name "1a" must begin with a letter or _`},
		{"long name", "region: cn-hangzhou\nservice: {name: " + strings.Repeat("a", 129) + "}",
			`s.yaml:2:17: service.name "` + strings.Repeat("a", 129) + `" has 129 characters, but at most 128 are allowed`},

		{"runtime", strings.Replace(inFunction(), "nodejs14", "nodejs13", 1), `s.yaml:5:12: function.runtime "nodejs13" is not known | did you mean nodejs18?`},
		{"memory", inFunction("memorySize: 200"), "s.yaml:7:15: function.memorySize 200 must be a multiple of 64 MB | the nearest are 192 and 256"},
		{"little memory", inFunction("memorySize: 64"), "s.yaml:7:15: function.memorySize 64 must be at least 128"},
		{"memory as a word", inFunction("memorySize: much"), `s.yaml:7:15: function.memorySize must be a whole number, not the text "much"`},
		{"memory as a boolean", inFunction("memorySize: true"), "s.yaml:7:15: function.memorySize must be a whole number, not a boolean"},
		{"memory as a list", inFunction("memorySize: [1]"), "s.yaml:7:15: function.memorySize must be a whole number, not a list"},
		{"half of a megabyte", inFunction("memorySize: 128.5"), "s.yaml:7:15: function.memorySize must be a whole number, not 128.5"},
		{"endless memory", inFunction("memorySize: .inf"), "s.yaml:7:15: function.memorySize +Inf is out of range"},
		{"a secret that is no number", inFunction("memorySize: ${env(M)}"), "s.yaml:7:15: function.memorySize must be a whole number, not the text (***)"},
		{"a secret that is no choice", inFunction("instanceType: ${env(M)}"),
			"s.yaml:7:17: function.instanceType (***) is not known | use one of: e1, c1, g1, fc.gpu.tesla.1, fc.gpu.ampere.1, fc.gpu.ada.1"},
		{"cpu", inFunction("cpu: 0.33"), "s.yaml:7:8: function.cpu 0.33 must be a multiple of 0.05 | the nearest are 0.30 and 0.35"},
		{"disk", inFunction("diskSize: 1024"), "s.yaml:7:13: function.diskSize 1024 must be 512 or 10240"},
		{"gpu", inFunction("instanceType: g1", "gpuMemorySize: 1000"), "s.yaml:8:18: function.gpuMemorySize 1000 must be a multiple of 1024 MB | the least is 1024"},
		{"gpu without one", inFunction("gpuMemorySize: 2048"),
			"s.yaml:7:18: function.gpuMemorySize needs an instance type with a GPU | write instanceType: fc.gpu.tesla.1 or fc.gpu.ampere.1"},
		{"instance type", inFunction("instanceType: fc.gpu.tesla.2"), `s.yaml:7:17: function.instanceType "fc.gpu.tesla.2" is not known | did you mean fc.gpu.tesla.1?`},
		{"initialization timeout", inFunction("initializationTimeout: 301"), "s.yaml:7:26: function.initializationTimeout 301 must be between 1 and 300"},
		{"concurrency", inFunction("instanceConcurrency: 0"), "s.yaml:7:24: function.instanceConcurrency 0 must be at least 1"},
		{"no soft concurrency", inFunction("instanceConcurrency: 2", "instanceSoftConcurrency: 0"), "s.yaml:8:28: function.instanceSoftConcurrency 0 must be at least 1"},
		{"soft concurrency", inFunction("instanceConcurrency: 2", "instanceSoftConcurrency: 3"),
			"s.yaml:8:28: function.instanceSoftConcurrency 3 is more than instanceConcurrency, which is 2"},
		{"soft concurrency alone", inFunction("instanceSoftConcurrency: 2"),
			"s.yaml:7:28: function.instanceSoftConcurrency 2 is more than instanceConcurrency, which is 1"},
		{"environment", inFunction("environmentVariables: {A: {b: c}}"),
			"s.yaml:7:29: function.environmentVariables.A must be a text, not a mapping | write it as a text, for example in JSON"},
		{"large environment", inFunction("environmentVariables: {A: " + strings.Repeat("x", 4096) + "}"),
			"s.yaml:7:25: function.environmentVariables holds 4097 bytes, but at most 4096 are allowed | move large values to a file of the code package or to a configuration service"},
		{"environment as a list", inFunction("environmentVariables: [A]"), "s.yaml:7:25: function.environmentVariables must be a mapping, not a list"},
		{"layers", inFunction("layers: [" + strings.Repeat("'acs:fc:x',", 6) + "]"), "s.yaml:7:11: function.layers has 6 entries, but at most 5 are allowed"},
		{"layer", inFunction("layers: [Nodejs16]"),
			`s.yaml:7:12: function.layers[0] "Nodejs16" is not the ARN of a layer version | write acs:fc:{region}:official:layers/{name}/versions/{version}`},
		{"a text instead of a list", inFunction("layers: x"), "s.yaml:7:11: function.layers must be a list, not a text"},
		{"an empty entry", inFunction("layers:", "  -"), "s.yaml:8:6: function.layers[0] is empty"},
		{"health check", inFunction("customHealthCheckConfig: {httpGetUrl: /, timeoutSeconds: 4, periodSeconds: 0, initialDelaySeconds: 121}"), "" +
			"s.yaml:7:60: function.customHealthCheckConfig.timeoutSeconds 4 must be between 1 and 3\n" +
			"s.yaml:7:78: function.customHealthCheckConfig.periodSeconds 0 must be between 1 and 120\n" +
			"s.yaml:7:102: function.customHealthCheckConfig.initialDelaySeconds 121 must be between 0 and 120"},
		{"async", inFunction("asyncConfiguration: {maxAsyncEventAgeInSeconds: 0, maxAsyncRetryAttempts: 9, statefulInvocation: maybe}"), "" +
			"s.yaml:7:51: function.asyncConfiguration.maxAsyncEventAgeInSeconds 0 must be between 1 and 2592000\n" +
			"s.yaml:7:77: function.asyncConfiguration.maxAsyncRetryAttempts 9 must be between 0 and 8\n" +
			`s.yaml:7:100: function.asyncConfiguration.statefulInvocation must be true or false, not a text "maybe"`},
		{"destination", inFunction("asyncConfiguration: {destination: {onFailure: failed}}"),
			`s.yaml:7:49: function.asyncConfiguration.destination.onFailure "failed" is not a destination | write acs:fc:::services/<service>/functions/<function> or acs:mns:::/queues/<queue>/messages`},
		{"async of another deploy", inFunction("asyncConfiguration: ${other.output}"),
			"s.yaml:7:23: function.asyncConfiguration must be known before the deploy, but ${other.output} is known only after it | write it down, or deploy the service that it comes from first"},
		{"text as a number with a point", inFunction("handler: 1.5"), "s.yaml:7:12: function.handler must be a text, not a number with a point | write it in quotes"},

		{"no code", "region: cn-hangzhou\nservice: {name: s}\nfunction: {name: f, runtime: go1}",
			"s.yaml:3:11: function f: the code is not configured | write codeUri with the folder of the code, or ossBucket and ossKey"},
		{"empty code", strings.Replace(inFunction(), "./code", "' '", 1), `s.yaml:6:12: function.codeUri " " is empty`},
		{"code twice", inFunction("ossBucket: b", "ossKey: k"), "s.yaml:8:11: function.codeUri and function.ossKey exclude each other | remove one of them"},
		{"key without bucket", strings.Replace(inFunction(), "codeUri: ./code", "ossKey: k", 1), "s.yaml:6:11: function.ossKey needs function.ossBucket"},
		{"bucket alone", strings.Replace(inFunction(), "codeUri: ./code", "ossBucket: k", 1), "s.yaml:6:14: function.ossBucket needs function.ossKey or function.codeUri"},
		{"container without an image", "region: cn-hangzhou\nservice: {name: s}\nfunction: {name: f, runtime: custom-container}",
			"s.yaml:3:11: function.customContainerConfig is missing, which runtime custom-container needs | write customContainerConfig with the image"},
		{"image elsewhere", inContainer("cn-hangzhou", "image: nginx:1"),
			`s.yaml:7:12: function.customContainerConfig.image "nginx:1" is not in the registry of Alibaba Cloud (ACR) | write registry.cn-hangzhou.aliyuncs.com/<namespace>/<repository>:<tag>`},
		{"image of the environment", inContainer("cn-hangzhou", "image: ${env(IMAGE)}"),
			"s.yaml:7:12: function.customContainerConfig.image is not in the registry of Alibaba Cloud (ACR) | write registry.cn-hangzhou.aliyuncs.com/<namespace>/<repository>:<tag>"},
		{"image of another region", inContainer("cn-shanghai", "image: registry-vpc.cn-hangzhou.aliyuncs.com/a/b:1"),
			"s.yaml:7:12: function.customContainerConfig.image is in region cn-hangzhou, but the function is in cn-shanghai | copy the image to cn-shanghai, or deploy to cn-hangzhou"},
		{"enterprise image", inContainer("cn-hangzhou", "image: my-registry.cn-hangzhou.cr.aliyuncs.com/a/b:1"),
			"s.yaml:7:12: function.customContainerConfig.image is in an enterprise registry, which needs customContainerConfig.instanceID | write instanceID: cri-..."},
		{"image in braces", inContainer("cn-hangzhou", "image: {IMAGE}"),
			"s.yaml:7:12: function.customContainerConfig.image must be a text, not a mapping | {IMAGE} is a mapping in YAML: write ${env(IMAGE)} for the environment variable"},
		{"command as a list", inContainer("cn-hangzhou", "image: localhost/a", "command: [node]"),
			"s.yaml:8:14: function.customContainerConfig.command must be a text, not a list"},

		{"vpc", inService("vpcConfig: {vpcId: v, vswitchIds: []}"), "" +
			"s.yaml:4:14: service.vpcConfig.securityGroupId is missing\n" +
			"s.yaml:4:37: service.vpcConfig.vswitchIds is an empty list"},
		{"nas without vpc", inService("nasConfig: {mountPoints: [{serverAddr: a, nasDir: /, fcDir: x}]}"), "" +
			"s.yaml:4:14: service.nasConfig needs service.vpcConfig | add the VPC that the file system is in\n" +
			"s.yaml:4:63: service.nasConfig.mountPoints[0].fcDir \"x\" must begin with /"},
		{"role", inService("role: admin"), `s.yaml:4:9: service.role "admin" is not the ARN of a role | write acs:ram::<account id>:role/<role name>`},
		{"tracing", inService("tracingConfig: on"), "s.yaml:4:18: service.tracingConfig \"on\" is not known | use one of: Enable, Disable"},
		{"tracing of another deploy", inService("tracingConfig: ${other.output.t}"),
			"s.yaml:4:18: service.tracingConfig must be known before the deploy, but ${other.output.t} is known only after it | write it down, or deploy the service that it comes from first"},
		{"runtime of another deploy", strings.Replace(inFunction(), "nodejs14", "${other.output.r}", 1),
			"s.yaml:5:12: function.runtime must be known before the deploy, but ${other.output.r} is known only after it | write it down, or deploy the service that it comes from first"},
		{"log rule", inService("logConfig: {project: p, logstore: l, logBeginRule: none}"),
			`s.yaml:4:54: service.logConfig.logBeginRule "none" is not known | did you mean None?`},
		{"bindings of another deploy", inService("vpcBinding: ${other.output}"),
			"s.yaml:4:15: service.vpcBinding must be known before the deploy, but ${other.output} is known only after it | write it down, or deploy the service that it comes from first"},

		{"trigger type", inTrigger("type: htp", "config: {}"), `s.yaml:9:11: triggers[0].type "htp" is not known | did you mean http?`},
		{"trigger without config", inTrigger("type: timer"), "s.yaml:8:5: triggers[0].config is missing"},
		{"http trigger", inTrigger("type: http", "config: {authType: anonymus, methods: [GETT], x: 1}"), "" +
			"s.yaml:10:24: triggers[0].config.authType \"anonymus\" is not known | did you mean anonymous?\n" +
			"s.yaml:10:44: triggers[0].config.methods[0] \"GETT\" is not known | did you mean GET?\n" +
			"s.yaml:10:51: unknown key \"x\" in triggers[0].config | use one of: authType, methods, disableURLInternet, authConfig"},
		{"five fields", inTrigger("type: timer", "config: {cronExpression: '0 8 * * *', enable: true}"),
			`s.yaml:10:30: triggers[0].config.cronExpression "0 8 * * *" has 5 fields instead of 6 | write six fields: second minute hour day month weekday, for example 0 0 4 * * *`},
		{"hour 25", inTrigger("type: timer", "config: {cronExpression: '0 0 25 * * *', enable: true}"),
			`s.yaml:10:30: triggers[0].config.cronExpression "0 0 25 * * *" is not a cron expression | write six fields: second minute hour day month weekday, for example 0 0 4 * * *`},
		{"every second", inTrigger("type: timer", "config: {cronExpression: '@every 1s', enable: true}"),
			`s.yaml:10:30: triggers[0].config.cronExpression "@every 1s" is not a period | write @every 5m, in whole minutes`},
		{"log trigger", inTrigger("type: log", "config: {sourceConfig: {logstore: a}, jobConfig: {maxRetryTime: 101, triggerInterval: 2}, logConfig: {project: a, logstore: b}, enable: true}"), "" +
			"s.yaml:10:69: triggers[0].config.jobConfig.maxRetryTime 101 must be between 0 and 100\n" +
			"s.yaml:10:91: triggers[0].config.jobConfig.triggerInterval 2 must be between 3 and 600"},
		{"filter tag", inTrigger("type: mns_topic", "config: {topicName: t, filterTag: 12345678901234567}"),
			`s.yaml:10:39: triggers[0].config.filterTag 12345678901234567 has 17 characters, but at most 16 are allowed`},
		{"pattern of eventbridge", inTrigger("type: eventbridge", "config: {eventRuleFilterPattern: x, eventSourceConfig: {eventSourceType: Default}}"),
			`s.yaml:10:38: triggers[0].config.eventRuleFilterPattern "x" is not JSON | the value is a text that holds JSON, for example '{}'`},
		{"trigger twice", inTrigger("type: timer", "config: {cronExpression: '@every 1m', enable: true}") +
			"\n  - {name: t, type: timer, config: {cronExpression: '@every 1m', enable: true}}",
			`s.yaml:11:5: trigger "t": another trigger has this name (the other is at s.yaml:8:5)`},
		{"two http triggers", inTrigger("type: http", "config: {authType: anonymous, methods: [GET]}") +
			"\n  - {name: u, type: http, qualifier: LATEST, config: {authType: function, methods: [GET]}}",
			`s.yaml:11:5: trigger "u": a function has one http trigger for a qualifier at most (the other is at s.yaml:8:5)`},
		{"triggers without a function", "region: cn-hangzhou\nservice: {name: s}\ntriggers: [{name: t, type: timer, config: {cronExpression: '@every 1m', enable: true}}]",
			"s.yaml:3:12: triggers need a function in the same props"},
		{"triggers of another deploy", inFunction() + "\ntriggers: ${other.output.t}",
			"s.yaml:7:11: triggers must be known before the deploy, but ${other.output.t} is known only after it | write it down, or deploy the service that it comes from first"},
		{"an empty trigger", inFunction() + "\ntriggers:\n  -", "s.yaml:8:4: triggers[0] is empty"},
		{"triggers as a mapping", inFunction() + "\ntriggers: {name: t}", "s.yaml:7:11: triggers must be a list, not a mapping"},

		{"domain name", inDomain("domainName: http://a.b", "protocol: HTTP", routes),
			`s.yaml:12:17: customDomains[0].domainName "http://a.b" is not a domain name | write the name alone, without http:// and path`},
		{"one word", inDomain("domainName: localhost", "protocol: HTTP", routes), `s.yaml:12:17: customDomains[0].domainName "localhost" is not a domain name`},
		{"protocol", inDomain("domainName: a.com", "protocol: FTP", routes),
			`s.yaml:13:15: customDomains[0].protocol "FTP" is not known | use one of: HTTP, HTTPS or HTTP,HTTPS`},
		{"https without a certificate", inDomain("domainName: a.com", "protocol: HTTPS", routes),
			"s.yaml:13:15: customDomains[0]: HTTPS needs a certificate | write certConfig with certName, certificate and privateKey"},
		{"no routes", inDomain("domainName: a.com", "protocol: HTTP", "routeConfigs: []"), "s.yaml:14:19: customDomains[0].routeConfigs is an empty list"},
		{"route", inDomain("domainName: a.com", "protocol: HTTP", "routeConfigs: [{path: x, methods: [SME]}]"), "" +
			"s.yaml:14:27: customDomains[0].routeConfigs[0].path \"x\" must begin with /\n" +
			"s.yaml:14:40: customDomains[0].routeConfigs[0].methods[0] \"SME\" is not known | use one of: GET, POST, PUT, DELETE, PATCH, HEAD, OPTIONS"},
		{"domain twice", inDomain("domainName: a.com", "protocol: HTTP", routes) + "\n  - {domainName: A.com, protocol: HTTP, routeConfigs: [{path: /}]}",
			"s.yaml:15:5: the domain a.com is there twice"},
		{"auto twice", inDomain("domainName: auto", "protocol: HTTP", routes) + "\n  - {domainName: ' AUTO ', protocol: HTTP, routeConfigs: [{path: /}]}",
			"s.yaml:15:5: the domain auto is there twice"},
		{"domain without an http trigger", inFunction() + "\ncustomDomains: [{domainName: a.com, protocol: HTTP, routeConfigs: [{path: /}]}]",
			"s.yaml:7:17: customDomains need an http trigger in the same props | add a trigger of type http"},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			c, err := Parse(parseYAML(t, tc.yaml))
			if got := problems(err); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
			if err != nil && (c != nil || diag.ExitCode(err) != diag.ExitTool) {
				t.Errorf("config %v, exit code %d", c, diag.ExitCode(err))
			}
		})
	}
}

// TestUnsupported checks what is refused only when the resource is chosen.
func TestUnsupported(t *testing.T) {
	tests := []struct{ name, yaml, sub, want string }{
		{"logs", inService("logConfig: AUTO"), "service", "s.yaml:4:14: service.logConfig: AUTO is not supported yet | " + autoHints()["logConfig"]},
		{"vpc", inService("vpcConfig: auto"), "service", "s.yaml:4:14: service.vpcConfig: auto is not supported yet | " + autoHints()["vpcConfig"]},
		{"nas", inService("nasConfig: autoPerformance"), "service", "s.yaml:4:14: service.nasConfig: autoPerformance is not supported yet | " + autoHints()["nasConfig"]},
		{"role", inService("role: {name: a_b, policies: [X]}"), "service", "s.yaml:4:9: service.role: making a role from name and policies is not supported yet | " +
			"create the role with its policies, trusted by fc.aliyuncs.com, and write role: acs:ram::<account id>:role/a-b"},
		{"tracing", inService("tracingConfig: Enable"), "service", "s.yaml:4:18: service.tracingConfig: Enable is not supported yet | " +
			"remove tracingConfig or write Disable: it needs the endpoint of XTrace, which devs does not ask for"},
		{"another resource", strings.Replace(inFunction(), "{name: s}", "{name: s, nasConfig: auto}", 1), "function", ""},
		{"role of a trigger", inTrigger("type: cdn_events", "config: {eventName: e, eventVersion: v, notes: '', filter: {domain: [a.com]}}"), "trigger",
			"s.yaml:8:5: triggers[0].role is missing: making a role for a cdn_events trigger is not supported yet | " +
				"write role: acs:ram::<account id>:role/<role name> with a role that the source may take (s made FcDeployCreateRole-{service}-{function})"},
		{"certificate service", inDomain("domainName: a.com", "protocol: HTTPS", "certId: 1", routes), "domain",
			"s.yaml:14:13: customDomains[0].certId: taking a certificate from the certificate service is not supported yet | " +
				"write certConfig with certName, certificate and privateKey (PEM text or file)"},
		{"test domain", inDomain("domainName: Auto", "protocol: HTTP", routes), "domain",
			"s.yaml:12:5: domainName: auto asks for a test domain under devsapp.net, which devs does not make | " +
				"write a domain of your own that has a CNAME record to 123.cn-hangzhou.fc.aliyuncs.com, or remove customDomains"},
		{"test domain elsewhere", inDomain("domainName: Auto", "protocol: HTTP", routes), "function", ""},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			c, err := Parse(parseYAML(t, tc.yaml))
			if err != nil {
				t.Fatal(diag.Render(err))
			}
			o := Options{Command: "deploy", Sub: tc.sub, Account: "123", Pack: func(Code) (resource.Payload, error) { return payload{}, nil }}
			_, _, err = c.Resources(o)
			if got := problems(err); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
			o.Command = "remove"
			if _, _, err := c.Resources(o); err != nil {
				t.Errorf("remove: %v", err)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	tests := []struct{ name, yaml, want string }{
		{"none", inFunction(), ""},
		{"no runtime", strings.Replace(inFunction(), "runtime: nodejs14", "handler: x", 1), "s.yaml:4:3: function.runtime is missing, nodejs10 is taken"},
		{"long name", strings.Replace(inFunction(), "name: f", "name: "+strings.Repeat("f", 65), 1), "s.yaml:4:9: function.name has more than 64 characters, which the API may refuse"},
		{"key of the service", inFunction("internetAccess: true"), "s.yaml:7:3: internetAccess belongs to service; in function it has no effect and is not sent"},
		{"block of another runtime", inFunction("customRuntimeConfig: {command: [x]}"), "s.yaml:7:3: function.customRuntimeConfig is not for runtime nodejs14 and is not sent"},
		{"old layer", inFunction("layers: ['acs:fc:cn-hangzhou:1:a#b#1']"),
			"s.yaml:7:12: an ARN of the form name#version is deprecated and cannot be compared with what is online; write acs:fc:{region}:official:layers/{name}/versions/{version}"},
		{"command that is no JSON", inContainer("cn-hangzhou", "image: localhost/a", "command: node x"),
			`s.yaml:8:14: function.customContainerConfig.command is not a text that holds a JSON array of texts such as '["node", "server.js"]'`},
	}
	for _, tc := range tests {
		t.Run(tc.name, func(t *testing.T) {
			c, err := Parse(parseYAML(t, tc.yaml))
			if err != nil {
				t.Fatal(diag.Render(err))
			}
			if got := strings.Join(lines(c.Warnings), "\n"); got != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

// TestAccepted checks what existing files write and what must not be refused.
func TestAccepted(t *testing.T) {
	for _, yaml := range []string{
		inFunction("import: true", "protect: false"),
		inFunction("memorySize: '512'", "timeout: 86400", "cpu: '0.35'"),
		inFunction("memorySize: ${other.output.memory}", "layers: ${other.output.layers}"),
		inFunction("instanceType: ${other.output.type}", "gpuMemorySize: 2048"),
		inFunction("customDNS: {}", "asyncConfiguration: {}", "environmentVariables: {}"),
		inFunction("layers: ['57bbf06269f73c18099ca76b3f7214f0#test#2']"),
		inFunction("instanceType: fc.gpu.tesla.1", "gpuMemorySize: 17408"),
		inService("role:", "vpcBinding:", "logConfig: {}"),
		inService("vpcConfig: {vpcId: v, vSwitchIds: [a], securityGroupId: s}"),
		inService("role: acs:ram::{FC_ACCOUNT}:role/AliyunFCDefaultRole"),
		inContainer("cn-hangzhou", "image: registry-internal.cn-hangzhou.aliyuncs.com/a/b", "webServerMode: 'false'"),
		inContainer("cn-hangzhou", "image: e-registry-vpc.cn-hangzhou.cr.aliyuncs.com/a/b", "instanceID: cri-1"),
		inContainer("cn-hangzhou", "image: crpi-1a2b3c-vpc.cn-hangzhou.personal.cr.aliyuncs.com/a/b"),
		inContainer("cn-hangzhou", "image: 127.0.0.1:5000/a/b@sha256:0"),
		inTrigger("type: timer", "config: {cronExpression: 'CRON_TZ=Asia/Shanghai 0 0/5 8-20 ? * MON-FRI', enable: 'true'}"),
		inTrigger("type: eventbridge", `config: {eventRuleFilterPattern: '{"source":["a"]}', eventSourceConfig: {eventSourceType: Default}}`),
		inTrigger("type: http", "qualifier: ${other.output.alias}", "config: {authType: function, methods: [GET], disableURLInternet: true}"),
		inDomain("domainName: '*.example.com'", "protocol: http", routes),
		inDomain("domainName: ${env(X)}.example.com", "protocol: HTTP", routes),
	} {
		if _, err := Parse(parseYAML(t, yaml)); err != nil {
			t.Errorf("%s\n%s", yaml, diag.Render(err))
		}
	}
}
