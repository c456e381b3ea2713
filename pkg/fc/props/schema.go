package props

import "github.com/devs/deploy/pkg/resource"

// Schemas returns the tables by which the states of each kind compare. Read-only
// fields are ignored, so that what the API returns can be compared as it is.
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
		"internetAccess": {KeepUnset: true},
		"role":           {Fold: true},

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

		// The server works these out from others when they are not set.
		"cpu":                     {KeepUnset: true, Number: true},
		"caPort":                  {KeepUnset: true, Number: true},
		"instanceSoftConcurrency": {KeepUnset: true, Number: true},

		// A code package is known by its checksum. An image has none; a function
		// that says nothing of code keeps what it has.
		"code":      {KeepUnset: true},
		"code.size": {Ignore: true},

		"environmentVariables":   {Secret: true},
		"environmentVariables.*": {Text: true, Secret: true},

		"instanceLifecycleConfig.preFreeze.timeout": {KeepUnset: true},
		"instanceLifecycleConfig.preStop.timeout":   {KeepUnset: true},

		// Servers fill these in with different values.
		"customHealthCheckConfig.initialDelaySeconds": {KeepUnset: true},
		"customHealthCheckConfig.periodSeconds":       {KeepUnset: true},
		"customHealthCheckConfig.timeoutSeconds":      {KeepUnset: true},
		"customHealthCheckConfig.failureThreshold":    {KeepUnset: true},
		"customHealthCheckConfig.successThreshold":    {KeepUnset: true},

		"customDNS.dnsOptions[].value": {Text: true},

		"customContainerConfig.accelerationType": {Default: "Default"},
		"customContainerConfig.webServerMode":    {Default: true},
		"customContainerConfig.accelerationInfo": {Ignore: true},
	}, "functionId", "functionName", "codeChecksum", "codeSize", "layersArnV2", "accelerationInfo", "anytunnelViaENI")
}

func triggerSchema() resource.Schema {
	const parameters = "triggerConfig.eventSourceConfig.eventSourceParameters."
	s := resource.Schema{
		"triggerType":    {Immutable: true},
		"sourceArn":      {Immutable: true, KeepUnset: true},
		"invocationRole": {Fold: true},
		"qualifier":      {Default: "LATEST", Text: true},

		"triggerConfig.authConfig":         {KeepUnset: true},
		"triggerConfig.methods":            {Set: true},
		"triggerConfig.disableURLInternet": {Default: false},
		"triggerConfig.events":             {Set: true},
		"triggerConfig.filter.domain":      {Set: true},

		"triggerConfig.jobConfig.maxRetryTime":    {KeepUnset: true, Number: true},
		"triggerConfig.jobConfig.triggerInterval": {KeepUnset: true, Number: true},
		"triggerConfig.functionParameter.*":       {Text: true},

		"triggerConfig.eventName":    {Immutable: true},
		"triggerConfig.eventVersion": {Immutable: true},

		// The configuration of mns_topic triggers cannot be updated, and that of
		// tablestore triggers is empty: neither is compared.
		"triggerConfig.filterTag":           {Ignore: true},
		"triggerConfig.notifyContentFormat": {Ignore: true},
		"triggerConfig.notifyStrategy":      {Ignore: true},

		"triggerConfig.triggerEnable":                     {Default: true},
		"triggerConfig.asyncInvocationType":               {Default: false},
		"triggerConfig.eventRuleFilterPattern":            {Default: "{}"},
		"triggerConfig.eventSourceConfig.eventSourceType": {Immutable: true},
		"triggerConfig.eventSinkConfig":                   {KeepUnset: true},
		"triggerConfig.runOptions":                        {KeepUnset: true},

		parameters + "sourceMNSParameters.IsBase64Decode":        {Default: true},
		parameters + "sourceDTSParameters.Password":              {Secret: true},
		parameters + "sourceDTSParameters.InitCheckPoint":        {Number: true},
		parameters + "sourceRocketMQParameters.InstancePassword": {Secret: true},
		parameters + "sourceRocketMQParameters.Timestamp":        {KeepUnset: true, Number: true},
		parameters + "sourceRocketMQParameters.Offset":           {KeepUnset: true},
		parameters + "sourceKafkaParameters.Network":             {KeepUnset: true},
	}
	for _, source := range []string{"MNS", "RocketMQ", "RabbitMQ", "Kafka"} {
		s[parameters+"source"+source+"Parameters.RegionId"] = resource.Rule{KeepUnset: true}
	}
	for _, key := range []string{"eventSinkConfig.deliveryOption.mode", "eventSinkConfig.deliveryOption.eventSchema",
		"runOptions.maximumTasks", "runOptions.errorsTolerance", "runOptions.retryStrategy", "runOptions.deadLetterQueue",
		"runOptions.batchWindow", "runOptions.retryStrategy.MaximumEventAgeInSeconds", "runOptions.retryStrategy.MaximumRetryAttempts",
		"runOptions.batchWindow.CountBasedWindow", "runOptions.batchWindow.TimeBasedWindow"} {
		s["triggerConfig."+key] = resource.Rule{KeepUnset: true}
	}
	return withReadOnly(s, "triggerId", "triggerName", "urlInternet", "urlIntranet", "domainName")
}

func asyncSchema() resource.Schema {
	return withReadOnly(resource.Schema{
		"maxAsyncRetryAttempts":     {Default: int64(3), Number: true},
		"maxAsyncEventAgeInSeconds": {KeepUnset: true, Number: true},
		"statefulInvocation":        {Default: false},
	}, "function", "service", "qualifier")
}

func domainSchema() resource.Schema {
	return withReadOnly(resource.Schema{
		"routeConfig.routes[].qualifier": {Default: "LATEST", Text: true},
		"routeConfig.routes[].methods":   {KeepUnset: true, Set: true},

		// The API does not return the key; a new key comes with a new certificate.
		"certConfig.privateKey": {Ignore: true, Secret: true},

		"tlsConfig":              {KeepUnset: true}, // cannot be removed once it is set
		"tlsConfig.maxVersion":   {KeepUnset: true},
		"tlsConfig.cipherSuites": {Set: true},
		"wafConfig.enableWAF":    {Default: false},
	}, "accountId", "apiVersion", "domainName")
}
