package emulator

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/runner"
)

// prepared is a function made ready for one invocation.
type prepared struct {
	function runner.Function
	spec     functionSpec // settled
	version  string
	release  func() // ends the hold on the code package
}

// liveKey is what the instances of a runner key were started for.
type liveKey struct {
	service, function, qualifier, version string
}

// liveInstances knows the runner keys that may have instances.
type liveInstances struct {
	mu   sync.Mutex
	keys map[string]liveKey
}

// prepare resolves a qualifier for one invocation and brings the code to disk.
func (c *region) prepare(ctx context.Context, service, function, qualifier string) (*prepared, error) {
	doc, err := c.store.service(service)
	if err != nil {
		return nil, err
	}
	at, err := doc.draw(qualifier, c.rand)
	if err != nil {
		return nil, err
	}
	f, err := at.function(function)
	if err != nil {
		return nil, err
	}
	p := &prepared{spec: f.Spec.settled(), version: at.version, release: c.store.pin(f.Code.SHA256)}
	p.function = c.runnerFunction(at, f, qualifier)
	if p.function.CodeDir, err = c.store.codeDir(ctx, f.Code.SHA256); err != nil {
		p.release()
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, invalid("the code of function '%s' cannot be used: %v", function, err)
	}
	c.live.mu.Lock()
	set(&c.live.keys, p.function.Key, liveKey{service, function, qualifier, at.version})
	c.live.mu.Unlock()
	return p, nil
}

// runnerFunction says all about a function that its instances need, but for the
// place of the code.
func (c *region) runnerFunction(at moment, f *functionRecord, qualifier string) runner.Function {
	spec := f.Spec.settled()
	fn := runner.Function{
		Runtime: spec.Runtime, Handler: spec.Handler, Init: spec.Initializer, Env: maps.Clone(spec.EnvironmentVariables),
		MemoryMB:    int(*spec.MemorySize),
		Timeout:     time.Duration(*spec.Timeout) * time.Second,
		InitTimeout: time.Duration(*spec.InitializationTimeout) * time.Second,
		Concurrency: int(*spec.InstanceConcurrency),
		AccountID:   c.accountID, Region: c.name,
		ServiceName: at.service.Spec.ServiceName, FuncName: spec.FunctionName,
		Qualifier: qualifier, VersionID: at.version, Role: at.service.Spec.Role,
	}
	if spec.CustomRuntimeConfig != nil {
		fn.Command = append(append([]string{}, spec.CustomRuntimeConfig.Command...), spec.CustomRuntimeConfig.Args...)
	}
	if spec.CAPort != nil {
		fn.CAPort = int(*spec.CAPort)
	}
	fn.Health = spec.CustomHealthCheckConfig.health()
	if spec.isContainer() {
		c.runnerImage(&fn, spec.CustomContainerConfig, f.Image)
	}
	if l := at.service.Spec.LogConfig; l != nil {
		fn.LogProject, fn.LogStore = l.Project, l.Logstore
	}
	data, err := json.Marshal(struct {
		Function runner.Function
		ID, Code string
		Image    *imageRef
		Rev      int64
	}{fn, f.ID, f.Code.SHA256, f.Image, f.Rev})
	if err != nil {
		panic(err) // strings and numbers only
	}
	sum := sha256.Sum256(data)
	fn.Key = hex.EncodeToString(sum[:16])
	return fn
}

// settle stops the instances of a service whose code or configuration is gone,
// and removes packages that nothing refers to.
func (c *region) settle(service string) {
	doc, err := c.store.service(service)
	if err != nil {
		doc = &serviceDoc{} // gone: nothing of it is current
	}
	c.live.mu.Lock()
	var stale []string
	for key, l := range c.live.keys {
		if l.service == service && !c.current(doc, key, l) {
			stale = append(stale, key)
			delete(c.live.keys, key)
		}
	}
	c.live.mu.Unlock()
	for _, key := range stale {
		c.runner.Stop(key)
	}
	c.store.collect()
}

// current reports whether a runner key is what its qualifier leads to now.
func (c *region) current(doc *serviceDoc, key string, l liveKey) bool {
	for _, version := range doc.versionsOf(l.qualifier) {
		at, err := doc.version(version)
		if err != nil || at.version != l.version {
			continue
		}
		if f := at.functions[l.function]; f != nil && c.runnerFunction(at, f, l.qualifier).Key == key {
			return true
		}
	}
	return false
}

// finish ends the hold on the code, and stops what was superseded meanwhile.
func (c *region) finish(p *prepared) {
	p.release()
	doc, err := c.store.service(p.function.ServiceName)
	c.live.mu.Lock()
	l, ok := c.live.keys[p.function.Key]
	c.live.mu.Unlock()
	if err != nil || !ok || !c.current(doc, p.function.Key, l) {
		c.runner.Stop(p.function.Key)
		c.settle(p.function.ServiceName)
	}
}

// invokeFunction runs a function with the request's body as its event.
func (c *region) invokeFunction(q *call) (*reply, error) {
	kind := orDefault(q.Header.Get("X-Fc-Invocation-Type"), "Sync")
	logType := orDefault(q.Header.Get("X-Fc-Log-Type"), "None")
	switch {
	case !oneOf(kind, "Sync", "Async"):
		return nil, invalid("InvocationType is set to an invalid value (allowed: Sync | Async, actual: '%.64s')", kind)
	case kind == "Async" && logType != "None":
		return nil, invalid("LogType is set to an invalid value (allowed: None, actual: '%.64s')", logType)
	case !oneOf(logType, "None", "Tail"):
		return nil, invalid("LogType is set to an invalid value (allowed: Tail | None, actual: '%.64s')", logType)
	case kind == "Async":
		return c.invokeAsync(q)
	}
	service, function := q.params["s"], q.params["f"]
	p, err := c.prepare(q.Context(), service, function, q.qualifier)
	if err != nil {
		return nil, err
	}
	defer c.finish(p)
	res, err := c.runner.Invoke(q.Context(), p.function, q.id, q.body)
	if err != nil {
		return nil, notStarted(function, err)
	}
	out := &reply{raw: res.Body, header: c.resultHeader(p, res)}
	if out.raw == nil {
		out.raw = []byte{}
	}
	if logType == "Tail" {
		out.header.Set("X-Fc-Log-Result", base64.StdEncoding.EncodeToString(tailLog(q.id, p, res)))
	}
	return out, nil
}

// notStarted says that no instance could be run, and what can be done about it.
func notStarted(function string, err error) error {
	message := err.Error()
	if problem, ok := errors.AsType[*diag.Problem](err); ok && problem.Hint != "" {
		message += ": " + problem.Hint
	}
	return newError(http.StatusBadRequest, "FunctionNotStarted", "function '%s' could not be started: %s", function, message)
}

// resultHeader tells how an invocation went.
func (c *region) resultHeader(p *prepared, res *runner.Result) http.Header {
	h := http.Header{}
	h.Set("Content-Type", "application/octet-stream")
	h.Set("X-Fc-Invocation-Duration", strconv.FormatInt(res.Duration.Milliseconds(), 10))
	h.Set("X-Fc-Max-Memory-Usage", fmt.Sprintf("%.2f", float64(res.MemoryMB)))
	h.Set("X-Fc-Instance-Id", res.InstanceID)
	h.Set("X-Fc-Invocation-Service-Version", p.version)
	if res.ErrorType != "" {
		h.Set("X-Fc-Error-Type", res.ErrorType)
	}
	return h
}

// maxLog is the length of the tail of the log that an answer carries, in bytes.
const maxLog = 4 << 10

// tailLog is the end of the log as the cloud frames it.
func tailLog(id string, p *prepared, res *runner.Result) []byte {
	took := float64(res.Duration.Microseconds()) / 1000
	log := fmt.Appendf(runner.FrameLog(id, res.Log),
		"\nDuration: %.2f ms, Billed Duration: %d ms, Memory Size: %d MB, Max Memory Used: %.2f MB",
		took, res.Duration.Milliseconds()+1, *p.spec.MemorySize, float64(res.MemoryMB))
	return log[max(0, len(log)-maxLog):]
}

// listInstances lists the running instances of a function at a qualifier.
func (c *region) listInstances(q *call) (*reply, error) {
	if _, _, _, err := c.find(q); err != nil {
		return nil, err
	}
	type instance struct {
		InstanceID string `json:"instanceId"`
		VersionID  string `json:"versionId"`
	}
	wanted := map[string]liveKey{}
	c.live.mu.Lock()
	for key, l := range c.live.keys {
		if l.service == q.params["s"] && l.function == q.params["f"] && l.qualifier == q.qualifier {
			wanted[key] = l
		}
	}
	c.live.mu.Unlock()
	instances := []instance{}
	for _, key := range sortedKeys(wanted) {
		for _, id := range c.runner.Instances(key) {
			version := wanted[key].version
			if version == latest {
				version = "0"
			}
			instances = append(instances, instance{id, version})
		}
	}
	limit, err := q.pageSize()
	if err != nil {
		return nil, err
	}
	return &reply{body: struct {
		Instances []instance `json:"instances"`
	}{instances[:min(limit, len(instances))]}}, nil
}
