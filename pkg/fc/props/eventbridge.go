package props

// eventBridgeFields is the table of the config of eventbridge triggers. Its outer
// keys begin small and its inner keys with a capital, in the file as in the API.
func eventBridgeFields() []field {
	delivery := object(
		opt("mode", choice("event-driven", "event-streaming")),
		opt("eventSchema", choice("CloudEvents", "RawData")),
	)
	return []field{
		opt("triggerEnable", boolean()),
		opt("asyncInvocationType", boolean()),
		opt("eventRuleFilterPattern", text(jsonText)),
		req("eventSourceConfig", object(
			req("eventSourceType", choice("Default", "MNS", "RocketMQ", "RabbitMQ", "Kafka", "DTS", "MQTT")),
			opt("eventSourceParameters", object(eventSources()...)),
		)),
		opt("eventSinkConfig", object(opt("deliveryOption", delivery))),
		opt("runOptions", object(runFields()...)),
	}
}

func eventSources() []field {
	return []field{
		opt("sourceMNSParameters", object(
			opt("RegionId", text()), req("QueueName", text(notEmpty)), opt("IsBase64Decode", boolean()),
		)),
		opt("sourceRocketMQParameters", object(rocketFields()...)),
		opt("sourceRabbitMQParameters", object(
			opt("RegionId", text()), req("InstanceId", text(notEmpty)),
			req("VirtualHostName", text(notEmpty)), req("QueueName", text(notEmpty)),
		)),
		opt("sourceKafkaParameters", object(kafkaFields()...)),
		opt("sourceMQTTParameters", anything()),
		opt("sourceDTSParameters", object(
			req("RegionId", text()), req("BrokerUrl", text(notEmpty)), req("Topic", text(notEmpty)),
			req("Sid", text(notEmpty)), req("Username", text(notEmpty)), req("Password", text().asSecret()),
			req("InitCheckPoint", integer(atLeast(0))), req("TaskId", text(notEmpty)),
		)),
	}
}

func rocketFields() []field {
	return []field{
		opt("RegionId", text()), req("InstanceId", text(notEmpty)), req("Topic", text(notEmpty)),
		opt("Tag", text()), opt("Offset", choice("CONSUME_FROM_LAST_OFFSET", "CONSUME_FROM_FIRST_OFFSET", "CONSUME_FROM_TIMESTAMP")),
		opt("Timestamp", integer(atLeast(0))), req("GroupID", text(notEmpty)),
		opt("AuthType", text()), opt("FilterSql", text()), opt("FilterType", text()),
		opt("InstanceEndpoint", text()), opt("InstanceNetwork", text()), opt("InstancePassword", text().asSecret()),
		opt("InstanceSecurityGroupId", text()), opt("InstanceType", text()), opt("InstanceUsername", text()),
		opt("InstanceVSwitchIds", text()), opt("InstanceVpcId", text()),
	}
}

func kafkaFields() []field {
	return []field{
		opt("RegionId", text()), req("InstanceId", text(notEmpty)), req("Topic", text(notEmpty)),
		req("ConsumerGroup", text(notEmpty)), req("OffsetReset", choice("latest", "earliest")),
		opt("ExtendConfig", anything()), opt("Network", choice("PublicNetwork", "Default")),
		opt("VpcId", text()), opt("VSwitchIds", text()), opt("SecurityGroupId", text()),
	}
}

func runFields() []field {
	return []field{
		req("mode", choice("event-driven", "event-streaming")),
		opt("maximumTasks", integer(atLeast(1))),
		opt("errorsTolerance", choice("ALL", "NONE")),
		opt("retryStrategy", object(
			req("PushRetryStrategy", choice("BACKOFF_RETRY", "EXPONENTIAL_DECAY_RETRY")),
			opt("MaximumEventAgeInSeconds", integer(atLeast(0))),
			opt("MaximumRetryAttempts", integer(atLeast(0))),
		)),
		opt("deadLetterQueue", object(req("Arn", text(prefix("acs:"))))),
		opt("batchWindow", object(
			opt("CountBasedWindow", integer(between(1, 10000))),
			opt("TimeBasedWindow", integer(between(0, 15))),
		)),
	}
}
