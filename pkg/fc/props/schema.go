package props

import "github.com/devs/deploy/pkg/resource"

// Schemas returns the tables by which the states of each kind compare. Read-only
// fields are ignored, so that what the API returns can be compared as it is.
//
// What is taken out of the file goes back to the default that the API documents.
// KeepUnset is for the rest: values that the server makes up when it is told none,
// in ways that no document tells, so that any default here would be a difference
// for ever. Each such row says why.
func Schemas() map[resource.Kind]resource.Schema {
	return map[resource.Kind]resource.Schema{
		ServiceKind:      serviceSchema(),
		FunctionKind:     functionSchema(),
		TriggerKind:      triggerSchema(),
		AsyncConfigKind:  asyncSchema(),
		VPCBindingKind:   {"vpcIds": {Set: true}},
		CustomDomainKind: domainSchema(),
	}
}

// withReadOnly adds the fields that the API returns and nobody sets.
func withReadOnly(s resource.Schema, names ...string) resource.Schema {
	for _, name := range append(names, "createdTime", "lastModifiedTime") {
		s[name] = resource.Rule{Ignore: true}
	}
	return s
}

func serviceSchema() resource.Schema {
	return withReadOnly(resource.Schema{
		// Part of the contract with existing files: without it in the file, an access
		// that was closed in the console stays closed.
		"internetAccess": {KeepUnset: true},

		"role": {Fold: true},

		"logConfig.logBeginRule":          {Default: "None"},
		"logConfig.enableRequestMetrics":  {Default: false},
		"logConfig.enableInstanceMetrics": {Default: false},

		"vpcConfig.vSwitchIds": {Set: true},
		"vpcConfig.role":       {Ignore: true},

		// -1 is what a service without NAS has.
		"nasConfig.userId":                  {Default: int64(-1), Number: true},
		"nasConfig.groupId":                 {Default: int64(-1), Number: true},
		"nasConfig.mountPoints[].enableTLS": {Default: false},

		"ossMountConfig.mountPoints[].bucketPath": {Default: "/"},
		"ossMountConfig.mountPoints[].readOnly":   {Default: false},
	}, "serviceId", "serviceName", "useSLRAuthentication", "vendorConfig")
}

func functionSchema() resource.Schema {
	return withReadOnly(resource.Schema{
		"description":           {Default: DefaultDescription},
		"memorySize":            {Default: int64(128), Number: true},
		"timeout":               {Default: int64(3), Number: true},
		"instanceConcurrency":   {Default: int64(1), Number: true},
		"instanceType":          {Default: "e1"},
		"initializationTimeout": {Default: int64(3), Number: true},
		"diskSize":              {Default: int64(512), Number: true},
		"gpuMemorySize":         {Default: int64(0), Number: true},

		"caPort": {Default: int64(9000), Number: true},

		// Without it in the file it is that of instanceConcurrency, which is sent when
		// it is not 1.
		"instanceSoftConcurrency": {Default: int64(1), Number: true},

		// The server works it out from memorySize when the function is made; the API
		// has no value that makes it do so again.
		"cpu": {KeepUnset: true, Number: true},

		// A code package is known by its checksum. An image has none; a function
		// that says nothing of code keeps what it has.
		"code":      {KeepUnset: true},
		"code.size": {Ignore: true},

		"environmentVariables":   {Secret: true},
		"environmentVariables.*": {Text: true, Secret: true},

		// Not documented; servers show 3 or 0, also for a hook without a handler.
		"instanceLifecycleConfig.preFreeze.timeout": {KeepUnset: true},
		"instanceLifecycleConfig.preStop.timeout":   {KeepUnset: true},

		"customHealthCheckConfig.initialDelaySeconds": {Default: int64(0), Number: true},
		"customHealthCheckConfig.periodSeconds":       {Default: int64(3), Number: true},
		"customHealthCheckConfig.timeoutSeconds":      {Default: int64(1), Number: true},
		"customHealthCheckConfig.failureThreshold":    {Default: int64(3), Number: true},
		// The documents say 1, servers show 1 or 2.
		"customHealthCheckConfig.successThreshold": {KeepUnset: true, Number: true},

		"customDNS.dnsOptions[].value": {Text: true},

		"customContainerConfig.accelerationType": {Default: "Default"},
		"customContainerConfig.webServerMode":    {Default: true},
		"customContainerConfig.accelerationInfo": {Ignore: true},
	}, "functionId", "functionName", "codeChecksum", "codeSize", "layersArnV2", "accelerationInfo", "anytunnelViaENI")
}

func triggerSchema() resource.Schema {
	const parameters = "triggerConfig.eventSourceConfig.eventSourceParameters."
	s := resource.Schema{
		"triggerType": {Immutable: true},
		// Of an eventbridge trigger the cloud makes it; of all others it is sent.
		"sourceArn":      {Immutable: true, KeepUnset: true},
		"invocationRole": {Fold: true},
		"qualifier":      {Default: "LATEST", Text: true},

		"triggerConfig.methods":            {Set: true},
		"triggerConfig.disableURLInternet": {Default: false},
		"triggerConfig.events":             {Set: true},
		"triggerConfig.filter.domain":      {Set: true},

		// The log service has values of its own for these; they are not documented.
		"triggerConfig.jobConfig.maxRetryTime":    {KeepUnset: true, Number: true},
		"triggerConfig.jobConfig.triggerInterval": {KeepUnset: true, Number: true},
		"triggerConfig.functionParameter.*":       {Text: true},

		"triggerConfig.eventName":    {Immutable: true},
		"triggerConfig.eventVersion": {Immutable: true},

		// The API does not update mns_topic triggers. (Nor those of tablestore, whose
		// configuration is all in the sourceArn.)
		"triggerConfig.filterTag":           {Immutable: true},
		"triggerConfig.notifyContentFormat": {Immutable: true, Default: defaultNotifyFormat},
		"triggerConfig.notifyStrategy":      {Immutable: true, Default: defaultNotifyStrategy},

		"triggerConfig.triggerEnable":                     {Default: true},
		"triggerConfig.asyncInvocationType":               {Default: false},
		"triggerConfig.eventRuleFilterPattern":            {Default: "{}"},
		"triggerConfig.eventSourceConfig.eventSourceType": {Immutable: true},

		parameters + "sourceMNSParameters.IsBase64Decode":        {Default: true},
		parameters + "sourceDTSParameters.Password":              {Secret: true},
		parameters + "sourceDTSParameters.InitCheckPoint":        {Number: true},
		parameters + "sourceRocketMQParameters.InstancePassword": {Secret: true},
		parameters + "sourceKafkaParameters.Network":             {Default: "Default"},
		// Where reading begins, which EventBridge decides once when it is not told.
		parameters + "sourceRocketMQParameters.Timestamp": {KeepUnset: true, Number: true},
		parameters + "sourceRocketMQParameters.Offset":    {KeepUnset: true},
	}
	// EventBridge fills in the region of the function.
	for _, source := range []string{"MNS", "RocketMQ", "RabbitMQ", "Kafka"} {
		s[parameters+"source"+source+"Parameters.RegionId"] = resource.Rule{KeepUnset: true}
	}
	// EventBridge fills in by the kind of the source what it is not told of delivery.
	// A dead letter queue it never makes up: without it in runOptions it is taken away.
	// With runOptions gone as a whole, all of it stays as it is.
	for _, key := range []string{"eventSinkConfig", "eventSinkConfig.deliveryOption.mode", "eventSinkConfig.deliveryOption.eventSchema",
		"runOptions", "runOptions.maximumTasks", "runOptions.errorsTolerance", "runOptions.retryStrategy",
		"runOptions.batchWindow", "runOptions.retryStrategy.MaximumEventAgeInSeconds", "runOptions.retryStrategy.MaximumRetryAttempts",
		"runOptions.batchWindow.CountBasedWindow", "runOptions.batchWindow.TimeBasedWindow"} {
		s["triggerConfig."+key] = resource.Rule{KeepUnset: true}
	}
	return withReadOnly(s, "triggerId", "triggerName", "urlInternet", "urlIntranet", "domainName")
}

func asyncSchema() resource.Schema {
	return withReadOnly(resource.Schema{
		"maxAsyncRetryAttempts":     {Default: int64(3), Number: true},
		"maxAsyncEventAgeInSeconds": {Default: int64(86400), Number: true},
		"statefulInvocation":        {Default: false},
	}, "function", "service", "qualifier")
}

func domainSchema() resource.Schema {
	return withReadOnly(resource.Schema{
		"routeConfig.routes[].qualifier": {Default: "LATEST", Text: true},
		// Servers show different lists for a route without methods.
		"routeConfig.routes[].methods": {KeepUnset: true, Set: true},

		// The API does not return the key; a new key comes with a new certificate.
		"certConfig.privateKey": {Ignore: true, Secret: true},

		"tlsConfig":              {KeepUnset: true}, // cannot be removed once it is set
		"tlsConfig.maxVersion":   {KeepUnset: true}, // not documented: the newest that the server knows
		"tlsConfig.cipherSuites": {Set: true},
		"wafConfig.enableWAF":    {Default: false},
	}, "accountId", "apiVersion", "domainName")
}
