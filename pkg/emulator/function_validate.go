package emulator

import (
	"encoding/json"
	"math"
	"slices"
	"strings"
)

// runtimes are the runtimes of Function Compute 2.0.
func runtimes() []string {
	return []string{
		"nodejs16", "nodejs14", "nodejs12", "nodejs10", "nodejs8", "nodejs6", "nodejs4.4",
		"python3.10", "python3.9", "python3", "python2.7", "java11", "java8", "go1", "php7.2",
		"dotnetcore3.1", "dotnetcore2.1", "custom", "custom.debian10", "custom-container",
	}
}

// Limits of functions, from the API reference.
const (
	maxEnvironment = 4 << 10 // bytes of all names and values
	maxLayers      = 5
	maxTimeout     = 86400 // s
	maxInitTimeout = 300   // s
	maxMemory      = 32768 // MB
	maxConcurrency = 200
)

func (s *functionSpec) validate() error {
	if err := validName("functionName", s.FunctionName, 64); err != nil {
		return err
	}
	if err := validDescription(s.Description); err != nil {
		return err
	}
	if s.Runtime == "" {
		return invalid("runtime is required but not provided")
	}
	if !slices.Contains(runtimes(), s.Runtime) {
		return invalid("runtime is set to an invalid value (allowed: %s, actual: '%.64s')", strings.Join(runtimes(), " | "), s.Runtime)
	}
	if s.Handler == "" && !s.isCustom() {
		return invalid("handler is required but not provided")
	}
	if len(s.Handler) > 128 || len(s.Initializer) > 128 {
		return invalid("handler and initializer are at most 128 bytes long")
	}
	for _, check := range []func() error{
		s.validateSizes, s.validateInstance, s.validateEnvironment, s.validateContainer, s.validateHealthCheck, s.validateHooks,
	} {
		if err := check(); err != nil {
			return err
		}
	}
	return nil
}

// within checks an optional number.
func within(field string, value *int32, low, high int32) error {
	if value != nil && (*value < low || *value > high) {
		return invalid("%s must be between %d and %d (actual: %d)", field, low, high, *value)
	}
	return nil
}

func (s *functionSpec) validateSizes() error {
	if m := s.MemorySize; m != nil && (*m < 64 || *m > maxMemory || *m%64 != 0) {
		return invalid("memorySize must be a multiple of 64 between 64 and %d (actual: %d)", maxMemory, *m)
	}
	if c := s.CPU; c != nil {
		steps := *c * 20
		if !(*c >= 0.05 && *c <= 16) || math.Abs(steps-math.Round(steps)) > 1e-4 {
			return invalid("cpu must be a multiple of 0.05 between 0.05 and 16 (actual: %v)", *c)
		}
	}
	if d := s.DiskSize; d != nil && *d != 512 && *d != 10240 {
		return invalid("diskSize must be 512 or 10240 (actual: %d)", *d)
	}
	if err := within("timeout", s.Timeout, 1, maxTimeout); err != nil {
		return err
	}
	if err := within("initializationTimeout", s.InitializationTimeout, 1, maxInitTimeout); err != nil {
		return err
	}
	return within("caPort", s.CAPort, 1, 65535)
}

func (s *functionSpec) validateInstance() error {
	if !oneOf(s.InstanceType, "", "e1", "c1", "g1", "fc.gpu.tesla.1", "fc.gpu.ampere.1") {
		return invalid("instanceType is set to an invalid value (allowed: e1 | c1 | fc.gpu.tesla.1 | fc.gpu.ampere.1 | g1, actual: '%.64s')", s.InstanceType)
	}
	gpu := oneOf(s.InstanceType, "g1", "fc.gpu.tesla.1", "fc.gpu.ampere.1")
	if g := s.GPUMemorySize; g != nil && *g != 0 && (!gpu || *g < 0 || *g%1024 != 0) {
		return invalid("gpuMemorySize must be a multiple of 1024 and needs an instanceType with a GPU (actual: %d)", *g)
	}
	if err := within("instanceConcurrency", s.InstanceConcurrency, 1, maxConcurrency); err != nil {
		return err
	}
	most := int32(1)
	if s.InstanceConcurrency != nil {
		most = *s.InstanceConcurrency
	}
	return within("instanceSoftConcurrency", s.InstanceSoftConcurrency, 1, most)
}

func (s *functionSpec) validateEnvironment() error {
	size := 0
	for k, v := range s.EnvironmentVariables {
		if k == "" || strings.ContainsAny(k, "=\x00") || strings.ContainsRune(v, 0) {
			return invalid("environmentVariables: the name %q cannot be used", k)
		}
		size += len(k) + len(v)
	}
	if size > maxEnvironment {
		return invalid("environmentVariables are larger than %d bytes (actual: %d)", maxEnvironment, size)
	}
	if len(s.Layers) > maxLayers {
		return invalid("layers: at most %d are allowed (actual: %d)", maxLayers, len(s.Layers))
	}
	return nil
}

func (s *functionSpec) validateContainer() error {
	config := s.CustomContainerConfig
	if !s.isContainer() {
		return nil
	}
	if config == nil || config.Image == "" {
		return invalid("customContainerConfig.image is required for the runtime custom-container")
	}
	for name, text := range map[string]string{"command": config.Command, "args": config.Args} {
		var list []string
		if text != "" && json.Unmarshal([]byte(text), &list) != nil {
			return invalid("customContainerConfig.%s must be a JSON list of strings in a string", name)
		}
	}
	if !oneOf(config.AccelerationType, "", "Default", "None") {
		return invalid("customContainerConfig.accelerationType must be Default or None")
	}
	return nil
}

func (s *functionSpec) validateHealthCheck() error {
	h := s.CustomHealthCheckConfig
	if h == nil || *h == (healthCheckConfig{}) {
		return nil
	}
	if !s.isCustom() {
		return invalid("customHealthCheckConfig needs a custom runtime or a container")
	}
	if h.HTTPGetURL == "" || len(h.HTTPGetURL) > 2048 {
		return invalid("customHealthCheckConfig.httpGetUrl must be 1 to 2048 bytes long")
	}
	for _, f := range []struct {
		name      string
		value     *int32
		low, high int32
	}{
		{"initialDelaySeconds", h.InitialDelaySeconds, 0, 120},
		{"periodSeconds", h.PeriodSeconds, 1, 120},
		{"timeoutSeconds", h.TimeoutSeconds, 1, 3},
		{"failureThreshold", h.FailureThreshold, 1, 120},
		{"successThreshold", h.SuccessThreshold, 1, 120},
	} {
		if err := within("customHealthCheckConfig."+f.name, f.value, f.low, f.high); err != nil {
			return err
		}
	}
	return nil
}

func (s *functionSpec) validateHooks() error {
	if s.InstanceLifecycleConfig == nil {
		return nil
	}
	for name, hook := range map[string]*lifecycleHook{
		"preFreeze": s.InstanceLifecycleConfig.PreFreeze, "preStop": s.InstanceLifecycleConfig.PreStop,
	} {
		if hook == nil {
			continue
		}
		if err := within("instanceLifecycleConfig."+name+".timeout", hook.Timeout, 1, 90); err != nil {
			return err
		}
	}
	return nil
}
