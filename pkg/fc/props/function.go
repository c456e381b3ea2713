package props

import (
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/resource"
)

// DefaultDescription is what the upstream tool describes functions with.
const DefaultDescription = "This is default function description by fc-deploy component"

const containerRuntime = "custom-container"

// functionFields is the table of props.function.
func functionFields() []field {
	return append(legacy(), []field{
		req("name", identity(resourceName(128))).as(local),
		opt("description", text()),
		opt("runtime", choice(runtimes()...).mustBeKnown()),
		opt("handler", identity()),
		opt("codeUri", identity(notEmpty)).as(local),
		opt("ossBucket", text(notEmpty)).as(local),
		opt("ossKey", text(notEmpty)).as(local),
		opt("customContainerConfig", object(containerFields()...)),
		opt("caPort", integer(between(1, 65535))),
		opt("memorySize", integer(multipleOf(64, "MB"), atLeast(128))),
		opt("cpu", number(cpuStep)),
		opt("diskSize", integer(oneOf(512, 10240))),
		opt("gpuMemorySize", integer(multipleOf(1024, "MB"))),
		opt("instanceType", choice(instanceTypes()...)),
		opt("timeout", integer(atLeast(1))),
		opt("instanceConcurrency", integer(atLeast(1))),
		opt("instanceSoftConcurrency", integer(atLeast(1))),
		opt("initializer", text()),
		opt("initializationTimeout", integer(between(1, 300))),
		opt("instanceLifecycleConfig", object(opt("preFreeze", hook()), opt("preStop", hook()))),
		opt("environmentVariables", texts(environmentSize).asSecret()),
		opt("layers", list(text(layerARN), maxItems(5))),
		opt("customDNS", object(
			opt("nameServers", list(text(notEmpty))),
			opt("searches", list(text(notEmpty))),
			opt("dnsOptions", list(object(req("name", text(notEmpty)), opt("value", text())))),
		)),
		opt("customRuntimeConfig", object(opt("command", list(text())), opt("args", list(text())))),
		opt("customHealthCheckConfig", object(healthFields()...)),
		opt("asyncConfiguration", object(asyncFields()...).mustBeKnown()).as(local),
	}...)
}

func hook() shape {
	return object(opt("handler", text()), opt("timeout", integer(atLeast(0))))
}

func healthFields() []field {
	return []field{
		req("httpGetUrl", text(maxLength(2048))),
		opt("initialDelaySeconds", integer(between(0, 120))),
		opt("periodSeconds", integer(between(1, 120))),
		opt("timeoutSeconds", integer(between(1, 3))),
		opt("failureThreshold", integer(between(1, 120))),
		opt("successThreshold", integer(between(1, 120))),
	}
}

func asyncFields() []field {
	return []field{
		opt("destination", object(
			opt("onSuccess", text(destinationARN)),
			opt("onFailure", text(destinationARN)),
		)).as("destinationConfig"),
		opt("maxAsyncEventAgeInSeconds", integer(between(1, 2592000))),
		opt("maxAsyncRetryAttempts", integer(between(0, 8))),
		opt("statefulInvocation", boolean()),
	}
}

func (d *decoder) function(v *app.Value, region string) *Function {
	v = d.dropServiceKeys(v)
	attrs, where := d.part(v, functionFields(), "function")
	f := &Function{Name: v.Get("name").Str(), Attrs: attrs, declared: where}
	if v.Kind != app.Map {
		return f
	}
	f.Runtime, _ = attrs["runtime"].(string)
	if v.Get("runtime").IsNull() {
		f.Runtime = "nodejs10"
		d.warn(v.Pos, "function.runtime is missing, nodejs10 is taken")
	}
	if len([]rune(f.Name)) > 64 {
		d.warn(posOf(v.Get("name")), "function.name has more than 64 characters, which the API may refuse")
	}
	if async := v.Get("asyncConfiguration"); !isAbsent(async, object()) && async.Kind == app.Map {
		f.Async, f.asyncAt = asyncAttrs(async), declare(async, asyncFields())
	}
	d.code(f, v)
	d.concurrency(attrs, v)
	d.instance(attrs, v)
	d.layers(v.Get("layers"))
	d.dropForeignBlocks(f, v)
	if f.Runtime == containerRuntime {
		d.container(f, v.Get("customContainerConfig"), region)
	}
	f.fillDefaults()
	return f
}

// dropServiceKeys leaves out the keys that belong to the service: existing files
// have them in the function, where they never had an effect.
func (d *decoder) dropServiceKeys(v *app.Value) *app.Value {
	if v.Kind != app.Map {
		return v
	}
	out := *v
	out.Entries = slices.DeleteFunc(slices.Clone(v.Entries), func(e app.Entry) bool {
		is := func(f field) bool { return f.matches(e.Key) }
		if slices.ContainsFunc(functionFields(), is) || !slices.ContainsFunc(serviceFields(), is) {
			return false
		}
		d.warn(e.KeyPos, "%s belongs to service; in function it has no effect and is not sent", e.Key)
		return true
	})
	return &out
}

// fillDefaults sets what the upstream tool sends when the file says nothing.
func (f *Function) fillDefaults() {
	defaults := map[string]any{
		"description":           DefaultDescription,
		"runtime":               f.Runtime,
		"handler":               "index.handler",
		"memorySize":            int64(128),
		"timeout":               int64(3),
		"instanceConcurrency":   int64(1),
		"instanceType":          "e1",
		"initializer":           "",
		"initializationTimeout": int64(3),
	}
	if f.Runtime == containerRuntime {
		defaults["handler"] = "not-used"
	}
	if isCustom(f.Runtime) {
		defaults["caPort"] = int64(9000)
	}
	if hard := f.Attrs["instanceConcurrency"]; hard != nil && hard != int64(1) {
		defaults["instanceSoftConcurrency"] = hard
	}
	if strings.TrimSpace(plainText(f.Attrs["handler"])) == "" {
		delete(f.Attrs, "handler") // an empty one is as good as none
	}
	for key, value := range defaults {
		setDefault(f.Attrs, key, value)
	}
	f.fillHealthCheck()
	lifecycle, _ := f.Attrs["instanceLifecycleConfig"].(map[string]any)
	if lifecycle == nil {
		if f.Attrs["instanceLifecycleConfig"] != nil {
			return // unknown
		}
		lifecycle = map[string]any{}
		f.Attrs["instanceLifecycleConfig"] = lifecycle
	}
	for _, stage := range []string{"preFreeze", "preStop"} {
		setDefault(lifecycle, stage, map[string]any{"handler": ""})
	}
}

// fillHealthCheck sets what the API documents for a health check that does not say
// it, so that what is taken out of the file goes back to it. What servers take for
// successThreshold differs: it is left to them.
func (f *Function) fillHealthCheck() {
	check, ok := f.Attrs["customHealthCheckConfig"].(map[string]any)
	if !ok {
		return
	}
	setDefault(check, "initialDelaySeconds", int64(0))
	setDefault(check, "periodSeconds", int64(3))
	setDefault(check, "timeoutSeconds", int64(1))
	setDefault(check, "failureThreshold", int64(3))
}

// isCustom reports whether the function brings its own HTTP server, not in an image.
func isCustom(runtime string) bool {
	return runtime == "custom" || strings.HasPrefix(runtime, "custom.")
}

// code checks where the code comes from: a folder or file, OSS, or an image.
func (d *decoder) code(f *Function, v *app.Value) {
	uri, bucket, key := v.Get("codeUri"), v.Get("ossBucket"), v.Get("ossKey")
	f.Code = Code{URI: uri.Str(), Function: f.Name, Runtime: f.Runtime, Container: f.Runtime == containerRuntime, Pos: v.Pos}
	if !uri.IsNull() {
		f.Code.Pos = uri.Pos
	}
	if f.Code.Container {
		return // codeUri only tells where the Dockerfile may be
	}
	if isCustom(f.Runtime) {
		f.Code.ZipJar = runsJar(v.Get("customRuntimeConfig"))
	}
	switch {
	case !uri.IsNull() && !key.IsNull():
		d.fail(key.Pos, "remove one of them", "function.codeUri and function.ossKey exclude each other")
	case !key.IsNull() && bucket.IsNull():
		d.fail(key.Pos, "", "function.ossKey needs function.ossBucket")
	case uri.IsNull() && key.IsNull() && !bucket.IsNull():
		d.fail(bucket.Pos, "", "function.ossBucket needs function.ossKey or function.codeUri")
	case uri.IsNull() && key.IsNull():
		d.fail(v.Pos, "write codeUri with the folder of the code, or ossBucket and ossKey", "function %s: the code is not configured", shownName(f.Name))
	case !key.IsNull():
		f.Code.Bucket, f.Code.Object = bucket.Plain(), key.Plain()
	}
}

func shownName(name string) string {
	if name == "" {
		return "without a name"
	}
	return name
}

// runsJar reports whether the start command of a custom runtime has "java -jar".
func runsJar(config *app.Value) bool {
	var words []string
	for _, key := range []string{"command", "args"} {
		if part := config.Get(key); part != nil {
			for _, item := range part.Items {
				words = append(words, item.Str())
			}
		}
	}
	return strings.Contains(strings.Join(words, " "), "java -jar")
}

func (d *decoder) concurrency(attrs map[string]any, v *app.Value) {
	soft, ok := attrs["instanceSoftConcurrency"].(int64)
	if !ok {
		return
	}
	hard, ok := attrs["instanceConcurrency"].(int64)
	if !ok && v.Get("instanceConcurrency").IsNull() {
		hard, ok = 1, true
	}
	if ok && soft > hard {
		d.fail(v.Get("instanceSoftConcurrency").Pos, "", "function.instanceSoftConcurrency %d is more than instanceConcurrency, which is %d", soft, hard)
	}
}

func (d *decoder) instance(attrs map[string]any, v *app.Value) {
	kind, known := attrs["instanceType"].(string)
	if attrs["instanceType"] != nil && !known {
		return
	}
	gpu := kind == "g1" || strings.HasPrefix(kind, "fc.gpu.")
	if size := v.Get("gpuMemorySize"); !size.IsNull() && !gpu && attrs["gpuMemorySize"] != int64(0) {
		d.fail(size.Pos, "write instanceType: fc.gpu.tesla.1 or fc.gpu.ampere.1", "function.gpuMemorySize needs an instance type with a GPU")
	}
}

func (d *decoder) layers(v *app.Value) {
	if v == nil {
		return
	}
	for _, item := range v.Items {
		if strings.Contains(item.Str(), "#") {
			d.warn(item.Pos, "an ARN of the form name#version is deprecated and cannot be compared with what is online; write acs:fc:{region}:official:layers/{name}/versions/{version}")
		}
	}
}

// dropForeignBlocks leaves out what does not belong to the runtime.
func (d *decoder) dropForeignBlocks(f *Function, v *app.Value) {
	container := f.Runtime == containerRuntime
	foreign := map[string]bool{
		"customContainerConfig":   !container,
		"customRuntimeConfig":     !isCustom(f.Runtime),
		"customHealthCheckConfig": !isCustom(f.Runtime) && !container,
	}
	for _, e := range v.Entries {
		if foreign[e.Key] && f.Attrs[e.Key] != nil && f.Runtime != "" {
			delete(f.Attrs, e.Key)
			delete(f.Field, e.Key)
			d.warn(e.KeyPos, "function.%s is not for runtime %s and is not sent", e.Key, f.Runtime)
		}
	}
}

// asyncAttrs is asyncConfiguration in the form of the API; the destinations get
// their region and account in Resources.
func asyncAttrs(v *app.Value) resource.Attributes {
	var quiet decoder
	decoded, _ := quiet.decode(v, object(asyncFields()...), "").(map[string]any)
	attrs := resource.Attributes(decoded)
	if to, ok := attrs["destinationConfig"].(map[string]any); ok {
		for key, arn := range to {
			to[key] = map[string]any{"destination": arn}
		}
	}
	return attrs
}

// functionAttributes are all attributes of a function except its code.
func functionAttributes() []string {
	var names []string
	for _, f := range functionFields() {
		if f.apiName() != local {
			names = append(names, f.apiName())
		}
	}
	slices.Sort(names)
	return names
}
