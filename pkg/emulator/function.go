package emulator

import "math"

// functionSpec is what users set on a function. A nil pointer is a value that was
// never set and shows as the server's default.
type functionSpec struct {
	FunctionName            string             `json:"functionName"`
	Description             string             `json:"description"`
	Runtime                 string             `json:"runtime"`
	Handler                 string             `json:"handler"`
	Initializer             string             `json:"initializer"`
	InitializationTimeout   *int32             `json:"initializationTimeout"` // s
	MemorySize              *int32             `json:"memorySize"`            // MB
	Timeout                 *int32             `json:"timeout"`               // s
	CPU                     *float64           `json:"cpu"`                   // vCPU
	DiskSize                *int32             `json:"diskSize"`              // MB
	GPUMemorySize           *int32             `json:"gpuMemorySize"`         // MB
	InstanceType            string             `json:"instanceType"`
	InstanceConcurrency     *int32             `json:"instanceConcurrency"`
	InstanceSoftConcurrency *int32             `json:"instanceSoftConcurrency"`
	CAPort                  *int32             `json:"caPort"`
	EnvironmentVariables    map[string]string  `json:"environmentVariables"`
	Layers                  []string           `json:"layers"`
	CustomContainerConfig   *containerConfig   `json:"customContainerConfig"`
	CustomRuntimeConfig     *runtimeConfig     `json:"customRuntimeConfig"`
	CustomDNS               *customDNS         `json:"customDNS"`
	CustomHealthCheckConfig *healthCheckConfig `json:"customHealthCheckConfig"`
	InstanceLifecycleConfig *lifecycleConfig   `json:"instanceLifecycleConfig"`
}

type containerConfig struct {
	Image            string `json:"image"`
	Command          string `json:"command"` // a JSON list in a string
	Args             string `json:"args"`    // likewise
	AccelerationType string `json:"accelerationType"`
	InstanceID       string `json:"instanceID"`
	WebServerMode    *bool  `json:"webServerMode"`
}

type runtimeConfig struct {
	Command []string `json:"command"`
	Args    []string `json:"args"`
}

type customDNS struct {
	NameServers []string    `json:"nameServers"`
	Searches    []string    `json:"searches"`
	DNSOptions  []dnsOption `json:"dnsOptions"`
}

type dnsOption struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

type healthCheckConfig struct {
	HTTPGetURL          string `json:"httpGetUrl"`
	InitialDelaySeconds *int32 `json:"initialDelaySeconds"`
	PeriodSeconds       *int32 `json:"periodSeconds"`
	TimeoutSeconds      *int32 `json:"timeoutSeconds"`
	FailureThreshold    *int32 `json:"failureThreshold"`
	SuccessThreshold    *int32 `json:"successThreshold"`
}

type lifecycleConfig struct {
	PreFreeze *lifecycleHook `json:"preFreeze"`
	PreStop   *lifecycleHook `json:"preStop"`
}

type lifecycleHook struct {
	Handler string `json:"handler"`
	Timeout *int32 `json:"timeout"`
}

// functionView is a function as the API shows it.
type functionView struct {
	functionSpec
	FunctionID       string   `json:"functionId"`
	CodeChecksum     string   `json:"codeChecksum"`
	CodeSize         int64    `json:"codeSize"`
	LayersARNV2      []string `json:"layersArnV2"`
	CreatedTime      string   `json:"createdTime"`
	LastModifiedTime string   `json:"lastModifiedTime"`
}

// settled returns the spec with the server's defaults in place.
func (s functionSpec) settled() functionSpec {
	fill := func(p **int32, value int32) {
		if *p == nil {
			*p = &value
		}
	}
	fill(&s.MemorySize, 128)
	fill(&s.Timeout, 3)
	fill(&s.InitializationTimeout, 3)
	fill(&s.InstanceConcurrency, 1)
	fill(&s.DiskSize, 512)
	s.InstanceType = orDefault(s.InstanceType, "e1")
	if s.isCustom() {
		fill(&s.CAPort, 9000)
	}
	if s.CPU == nil { // one vCPU for 2 GB, in steps of 0.05
		s.CPU = new(math.Ceil(float64(*s.MemorySize)/2048*20) / 20)
	}
	if s.EnvironmentVariables == nil {
		s.EnvironmentVariables = map[string]string{}
	}
	return s
}

// isCustom reports whether the function brings its own HTTP server.
func (s functionSpec) isCustom() bool { return hasPrefix(s.Runtime, "custom") }

// isContainer reports whether the function is an image instead of a package.
func (s functionSpec) isContainer() bool { return s.Runtime == "custom-container" }

func (c *region) functionView(f *functionRecord) functionView {
	v := functionView{
		functionSpec: f.Spec.settled(),
		FunctionID:   f.ID, CodeChecksum: f.Code.Checksum, CodeSize: f.Code.Size,
		CreatedTime: f.Created, LastModifiedTime: f.Modified,
	}
	for _, arn := range v.Layers {
		v.LayersARNV2 = append(v.LayersARNV2, c.layerARNV2(arn))
	}
	return v
}

// codeInput is the code in a request.
type codeInput struct {
	ZipFile       []byte `json:"zipFile"` // Base64 on the wire; nil when not given
	OSSBucketName string `json:"ossBucketName"`
	OSSObjectName string `json:"ossObjectName"`
}

// takeCode stores the code of a request's body, or tells that there is none. The
// caller calls release once a document refers to the package.
func (c *region) takeCode(q *call, code *codeInput) (ref *codeRef, release func(), err error) {
	release = func() {}
	if code == nil || code.ZipFile == nil && code.OSSBucketName == "" && code.OSSObjectName == "" {
		return nil, release, nil
	}
	if code.ZipFile == nil {
		return nil, release, invalid("%s", noBucketText)
	}
	if len(code.ZipFile) > c.maxCode {
		return nil, release, tooLarge("code.zipFile is larger than %d bytes", c.maxCode)
	}
	stored := refer(code.ZipFile)
	want := q.Header.Get("X-Fc-Code-Checksum")
	if want != "" && want != stored.Checksum {
		return nil, release, invalid("the code's CRC-64 is %s, not %.40s as in X-Fc-Code-Checksum", stored.Checksum, want)
	}
	if release, err = c.store.addBlob(stored, code.ZipFile); err != nil {
		return nil, func() {}, err
	}
	return &stored, release, nil
}

// functionInput is the code beside a function's spec in a request.
type functionInput struct {
	Code *codeInput `json:"code"`
}

func (c *region) createFunction(q *call) (*reply, error) {
	if err := q.unqualified(); err != nil {
		return nil, err
	}
	var in functionInput
	var spec functionSpec
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if err := q.decode(&spec); err != nil {
		return nil, err
	}
	if err := spec.validate(); err != nil {
		return nil, err
	}
	if _, err := c.store.service(q.params["s"]); err != nil {
		return nil, err
	}
	ref, release, err := c.takeCode(q, in.Code)
	defer release()
	if err != nil {
		return nil, err
	}
	if ref == nil && !spec.isContainer() {
		return nil, invalid("code is required but not provided")
	}
	image, err := c.pinFor(q.Context(), spec, nil, true)
	if err != nil {
		return nil, err
	}
	var out *reply
	err = c.store.updateService(q.params["s"], func(doc *serviceDoc) error {
		if doc.Functions[spec.FunctionName] != nil {
			return alreadyExists("Function", "function '%s' already exists in service '%s'", spec.FunctionName, q.params["s"])
		}
		if err := c.checkLayers(spec.Layers); err != nil {
			return err
		}
		rec := &functionRecord{stamps: newStamps(c.stamp(), doc.next()), Spec: spec, Image: image}
		if ref != nil && !spec.isContainer() {
			rec.Code = *ref
		}
		set(&doc.Functions, spec.FunctionName, rec)
		out = c.functionReply(rec)
		return nil
	})
	return out, err
}

// functionReply shows a function. It shows it before the document is kept, so it
// must not hold on to anything that changes later; views are copies.
func (c *region) functionReply(f *functionRecord) *reply {
	return &reply{body: c.functionView(f), etag: f.etag()}
}

func (c *region) listFunctions(q *call) (*reply, error) {
	doc, err := c.store.service(q.params["s"])
	if err != nil {
		return nil, err
	}
	at, err := doc.at(q.qualifier)
	if err != nil {
		return nil, err
	}
	records, next, err := page(q, sortedValues(at.functions), func(f *functionRecord) string { return f.Spec.FunctionName })
	if err != nil {
		return nil, err
	}
	views := []functionView{}
	for _, f := range records {
		views = append(views, c.functionView(f))
	}
	return &reply{body: struct {
		Functions []functionView `json:"functions"`
		NextToken string         `json:"nextToken,omitempty"`
	}{views, next}}, nil
}

// find returns the function that a request's path and qualifier name.
func (c *region) find(q *call) (*serviceDoc, moment, *functionRecord, error) {
	doc, err := c.store.service(q.params["s"])
	if err != nil {
		return nil, moment{}, nil, err
	}
	at, err := doc.at(q.qualifier)
	if err != nil {
		return nil, moment{}, nil, err
	}
	f, err := at.function(q.params["f"])
	return doc, at, f, err
}

func (c *region) getFunction(q *call) (*reply, error) {
	_, _, f, err := c.find(q)
	if err != nil {
		return nil, err
	}
	return c.functionReply(f), nil
}

func (c *region) updateFunction(q *call) (*reply, error) {
	if err := q.unqualified(); err != nil {
		return nil, err
	}
	var in functionInput
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	_, _, before, err := c.find(q)
	if err != nil {
		return nil, err
	}
	image, err := c.nextImage(q, before)
	if err != nil {
		return nil, err
	}
	ref, release, err := c.takeCode(q, in.Code)
	defer release()
	if err != nil {
		return nil, err
	}
	var out *reply
	name := q.params["f"]
	err = c.store.updateService(q.params["s"], func(doc *serviceDoc) error {
		rec, err := doc.latestFunction(name)
		if err != nil {
			return err
		}
		if err := q.ifMatch(rec.etag()); err != nil {
			return err
		}
		if err := q.decode(&rec.Spec); err != nil {
			return err
		}
		rec.Spec.FunctionName = name
		if err := rec.Spec.validate(); err != nil {
			return err
		}
		if err := c.checkLayers(rec.Spec.Layers); err != nil {
			return err
		}
		if ref != nil {
			rec.Code = *ref
		}
		if image != before.Image {
			rec.Image = image
		}
		if rec.Spec.isContainer() {
			if rec.Image == nil || rec.Image.Name != rec.Spec.CustomContainerConfig.Image {
				return conflict("ConcurrentUpdateError", "function '%s' was changed by another request, please retry", name)
			}
			rec.Code = codeRef{}
		} else if rec.Code.SHA256 == "" {
			return invalid("code is required but not provided")
		}
		rec.touch(c.stamp(), doc.next())
		out = c.functionReply(rec)
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.settle(q.params["s"])
	return out, nil
}

func (c *region) deleteFunction(q *call) (*reply, error) {
	if err := q.unqualified(); err != nil {
		return nil, err
	}
	name := q.params["f"]
	err := c.store.updateService(q.params["s"], func(doc *serviceDoc) error {
		rec, err := doc.latestFunction(name)
		if err != nil {
			return err
		}
		if err := q.ifMatch(rec.etag()); err != nil {
			return err
		}
		if len(doc.Triggers[name]) > 0 {
			return conflict("FunctionNotEmpty", "function '%s' has active 'triggers'.", name)
		}
		if err := doc.forget(name); err != nil {
			return err
		}
		doc.next()
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.settle(q.params["s"])
	return done(), nil
}

// forget removes a function and what is bound to it alone.
func (d *serviceDoc) forget(name string) error {
	for _, p := range d.Provision {
		if p.Function == name && p.Target > 0 {
			return conflict("ProvisionConfigExist", "function '%s' has provisioned instances at qualifier '%s'", name, p.Qualifier)
		}
	}
	for key, p := range d.Provision {
		if p.Function == name {
			delete(d.Provision, key)
		}
	}
	for key, a := range d.Async {
		if a.Function == name {
			delete(d.Async, key)
		}
	}
	for key, o := range d.OnDemand {
		if o.Function == name {
			delete(d.OnDemand, key)
		}
	}
	delete(d.Functions, name)
	delete(d.Triggers, name)
	return nil
}
