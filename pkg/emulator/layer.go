package emulator

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// layerDoc is a layer with its versions: one state file.
type layerDoc struct {
	Name        string          `json:"layerName"`
	LastVersion int             `json:"lastVersion"` // ids are never used again
	Public      bool            `json:"public"`
	Versions    []*layerVersion `json:"versions"` // ascending
}

type layerVersion struct {
	Version           int      `json:"version"`
	Description       string   `json:"description"`
	License           string   `json:"license"`
	CompatibleRuntime []string `json:"compatibleRuntime"`
	Created           string   `json:"createTime"`
	Code              codeRef  `json:"code"`
}

// check tells the document's key, and whether the document can be one.
func (d *layerDoc) check() (string, error) {
	if d.Name == "" || slices.Contains(d.Versions, nil) {
		return "", errors.New("it describes no layer")
	}
	return d.Name, nil
}

// layerView is a layer version as the API shows it. The API spells the size of a
// new version differently from that of an old one.
type layerView struct {
	LayerName         string       `json:"layerName"`
	Version           int          `json:"version"`
	Description       string       `json:"description"`
	License           string       `json:"license"`
	CompatibleRuntime []string     `json:"compatibleRuntime"`
	ARN               string       `json:"arn"`
	ARNV2             string       `json:"arnV2"`
	ACL               int          `json:"acl"` // 1 public, 0 private
	Code              codeLocation `json:"code"`
	CodeChecksum      string       `json:"codeChecksum"`
	CodeSize          int64        `json:"codeSize"`
	Codesize          int64        `json:"codesize"`
	CreateTime        string       `json:"createTime"`
}

type codeLocation struct {
	RepositoryType string `json:"repositoryType"`
	Location       string `json:"location"`
}

func (c *region) layerView(q *call, d *layerDoc, v *layerVersion) layerView {
	view := layerView{
		LayerName: d.Name, Version: v.Version, Description: v.Description, License: v.License,
		CompatibleRuntime: append([]string{}, v.CompatibleRuntime...),
		ARN:               c.arn(fmt.Sprintf("layers#%s#%d", d.Name, v.Version)),
		ARNV2:             c.arn(fmt.Sprintf("layers/%s/versions/%d", d.Name, v.Version)),
		Code:              codeLocation{"OSS", c.codeURL(q, v.Code)},
		CodeChecksum:      v.Code.Checksum, CodeSize: v.Code.Size, Codesize: v.Code.Size, CreateTime: v.Created,
	}
	if d.Public {
		view.ACL = 1
	}
	return view
}

var (
	arnV2Pattern = regexp.MustCompile(`^acs:fc:([^:]*):([^:]*):layers/([^/#]+)/versions/([0-9]+)$`)
	arnV1Pattern = regexp.MustCompile(`^([^#]+)#([^#]+)#([0-9]+)$`)
)

// layerARNV2 turns the older form of this account's ARNs into the newer one.
func (c *Cloud) layerARNV2(arn string) string {
	m := arnV1Pattern.FindStringSubmatch(arn)
	if m == nil {
		return arn
	}
	owner, ok := strings.CutSuffix(m[1], ":"+c.accountID+":layers")
	if !ok {
		return arn
	}
	return owner + ":" + c.accountID + ":layers/" + m[2] + "/versions/" + m[3]
}

// checkLayers makes sure that layers of this account are there; others, such as
// the official ones, are taken as they are named. The caller holds the store.
func (c *region) checkLayers(arns []string) error {
	for _, arn := range arns {
		arn = c.layerARNV2(arn)
		m := arnV2Pattern.FindStringSubmatch(arn)
		if m == nil && !arnV1Pattern.MatchString(arn) {
			return invalid("layers: '%.300s' is not the ARN of a layer version", arn)
		}
		if m == nil || m[2] != c.accountID {
			continue
		}
		if err := c.sameRegion("layers", arn, m[1]); err != nil {
			return err
		}
		if d := c.store.layers[m[3]]; d == nil || d.version(m[4]) == nil {
			return layerNotFound(m[3], m[4])
		}
	}
	return nil
}

func (d *layerDoc) version(id string) *layerVersion {
	for _, v := range d.Versions {
		if strconv.Itoa(v.Version) == id {
			return v
		}
	}
	return nil
}

func layerNotFound(name, version string) error {
	return notFound("LayerVersion", "version '%.64s' of layer '%.128s' does not exist", version, name)
}

func (c *region) createLayerVersion(q *call) (*reply, error) {
	var in struct {
		Code              *codeInput `json:"Code"`
		CompatibleRuntime []string   `json:"compatibleRuntime"`
		Description       string     `json:"description"`
		License           string     `json:"license"`
	}
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	name := q.params["l"]
	if err := validName("layerName", name, 64); err != nil {
		return nil, err
	}
	if err := validDescription(in.Description); err != nil {
		return nil, err
	}
	for _, r := range in.CompatibleRuntime {
		if !slices.Contains(runtimes(), r) {
			return nil, invalid("compatibleRuntime: '%.64s' is not one of %s", r, strings.Join(runtimes(), ", "))
		}
	}
	ref, release, err := c.takeCode(q, in.Code)
	defer release()
	if err != nil {
		return nil, err
	}
	if ref == nil {
		return nil, invalid("code is required but not provided")
	}
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	doc := &layerDoc{Name: name}
	if old := s.layers[name]; old != nil {
		if doc, err = clone(old); err != nil {
			return nil, err
		}
	}
	doc.LastVersion++
	v := &layerVersion{
		Version: doc.LastVersion, Description: in.Description, License: in.License,
		CompatibleRuntime: in.CompatibleRuntime, Created: c.stamp(), Code: *ref,
	}
	doc.Versions = append(doc.Versions, v)
	if err := put(s, dirLayers, s.layers, name, doc); err != nil {
		return nil, err
	}
	return &reply{body: c.layerView(q, doc, v)}, nil
}

// listLayers lists the newest version of each layer. There are no official ones.
func (c *region) listLayers(q *call) (*reply, error) {
	c.store.mu.RLock()
	docs := sortedValues(c.store.layers)
	c.store.mu.RUnlock()
	docs = slices.DeleteFunc(docs, func(d *layerDoc) bool {
		return len(d.Versions) == 0 || q.query.Get("official") == "true" || q.query.Get("public") == "true" && !d.Public
	})
	docs, next, err := page(q, docs, func(d *layerDoc) string { return d.Name })
	if err != nil {
		return nil, err
	}
	views := []layerView{}
	for _, d := range docs {
		views = append(views, c.layerView(q, d, d.Versions[len(d.Versions)-1]))
	}
	return &reply{body: struct {
		Layers    []layerView `json:"layers"`
		NextToken string      `json:"nextToken,omitempty"`
	}{views, next}}, nil
}

// layer returns the document of a layer or LayerNotFound.
func (c *region) layer(name string) (*layerDoc, error) {
	c.store.mu.RLock()
	defer c.store.mu.RUnlock()
	if d := c.store.layers[name]; d != nil && len(d.Versions) > 0 {
		return d, nil
	}
	return nil, notFound("Layer", "layer '%.128s' does not exist", name)
}

// listLayerVersions lists versions from startVersion on.
func (c *region) listLayerVersions(q *call) (*reply, error) {
	d, err := c.layer(q.params["l"])
	if err != nil {
		return nil, err
	}
	limit, err := q.pageSize()
	if err != nil {
		return nil, err
	}
	start := 0
	if text := q.query.Get("startVersion"); text != "" {
		if start, err = strconv.Atoi(text); err != nil {
			return nil, invalid("startVersion must be a number (actual: '%.64s')", text)
		}
	}
	views, next := []layerView{}, 0
	for _, v := range d.Versions {
		if v.Version < start {
			continue
		}
		if len(views) == limit {
			next = v.Version
			break
		}
		views = append(views, c.layerView(q, d, v))
	}
	return &reply{body: struct {
		Layers      []layerView `json:"layers"`
		NextVersion int         `json:"nextVersion,omitempty"`
	}{views, next}}, nil
}

func (c *region) getLayerVersion(q *call) (*reply, error) {
	d, err := c.layer(q.params["l"])
	if err != nil {
		return nil, err
	}
	v := d.version(q.params["v"])
	if v == nil {
		return nil, layerNotFound(d.Name, q.params["v"])
	}
	return &reply{body: c.layerView(q, d, v)}, nil
}

func (c *region) getLayerByARN(q *call) (*reply, error) {
	m := arnV2Pattern.FindStringSubmatch(c.layerARNV2(q.params["arn"]))
	if m == nil || m[2] != c.accountID {
		return nil, notFound("Layer", "the embedded cloud has no layer '%.300s'", q.params["arn"])
	}
	if err := c.sameRegion("arn", q.params["arn"], m[1]); err != nil {
		return nil, err
	}
	q.params["l"], q.params["v"] = m[3], m[4]
	return c.getLayerVersion(q)
}

func (c *region) deleteLayerVersion(q *call) (*reply, error) {
	name, id := q.params["l"], q.params["v"]
	err := c.updateLayer(name, func(d *layerDoc) error {
		v := d.version(id)
		if v == nil {
			return layerNotFound(name, id)
		}
		d.Versions = slices.DeleteFunc(d.Versions, func(o *layerVersion) bool { return o == v })
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.store.collect()
	return done(), nil
}

// updateLayer lets change work on a copy of the layer's document.
func (c *region) updateLayer(name string, change func(*layerDoc) error) error {
	s := c.store
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.layers[name]
	if old == nil {
		return notFound("Layer", "layer '%.128s' does not exist", name)
	}
	doc, err := clone(old)
	if err != nil {
		return err
	}
	if err := change(doc); err != nil {
		return err
	}
	return put(s, dirLayers, s.layers, name, doc)
}

// putLayerACL makes a layer public or private. The 2016-08-15 client sends the
// wish in the query, the 2021-04-06 client likewise or in the body.
func (c *region) putLayerACL(q *call) (*reply, error) {
	var in struct {
		Public *bool `json:"public"`
	}
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if text := q.query.Get("public"); text != "" {
		public, err := strconv.ParseBool(text)
		if err != nil {
			return nil, invalid("public must be true or false (actual: '%.64s')", text)
		}
		in.Public = &public
	}
	err := c.updateLayer(q.params["l"], func(d *layerDoc) error {
		d.Public = in.Public != nil && *in.Public
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &reply{raw: []byte{}}, nil
}
