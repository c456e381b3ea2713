package emulator

import (
	"net/http"
	"reflect"
	"slices"
	"strconv"
)

// versionView is a version as the API shows it.
type versionView struct {
	VersionID        string `json:"versionId"`
	Description      string `json:"description"`
	CreatedTime      string `json:"createdTime"`
	LastModifiedTime string `json:"lastModifiedTime"`
}

func (v *versionRecord) view() versionView {
	return versionView{v.ID, v.Description, v.Created, v.Created}
}

// publishVersion freezes the service, its functions and their code.
func (c *region) publishVersion(q *call) (*reply, error) {
	if err := q.unqualified(); err != nil {
		return nil, err
	}
	var in struct {
		Description string `json:"description"`
	}
	if err := q.decode(&in); err != nil {
		return nil, err
	}
	if err := validDescription(in.Description); err != nil {
		return nil, err
	}
	tolerant := q.Header.Get("X-Fc-Ignore-Version-Publish-Error") != ""
	var out *reply
	err := c.store.updateService(q.params["s"], func(doc *serviceDoc) error {
		if err := q.ifMatch(doc.Service.etag()); err != nil {
			return err
		}
		if last := doc.newest(); last != nil && doc.unchangedSince(last) {
			if tolerant {
				out = &reply{body: last.view()}
				return nil
			}
			return newError(http.StatusBadRequest, "VersionPublishError",
				"can not publish version for service '%s', detail: 'No changes were made since last publish'", q.params["s"])
		}
		frozen, err := clone(&versionRecord{Service: doc.Service, Functions: doc.Functions})
		if err != nil {
			return err
		}
		doc.LastVersion++
		doc.next()
		frozen.ID = strconv.Itoa(doc.LastVersion)
		frozen.Description = in.Description
		frozen.Created = c.stamp()
		doc.Versions = append(doc.Versions, frozen)
		out = &reply{body: frozen.view()}
		return nil
	})
	return out, err
}

// newest returns the version published last, or nil.
func (d *serviceDoc) newest() *versionRecord {
	if len(d.Versions) == 0 {
		return nil
	}
	return d.Versions[len(d.Versions)-1]
}

// unchangedSince compares what users set, and the code.
func (d *serviceDoc) unchangedSince(v *versionRecord) bool {
	if !reflect.DeepEqual(d.Service.Spec, v.Service.Spec) || len(d.Functions) != len(v.Functions) {
		return false
	}
	for name, f := range d.Functions {
		old := v.Functions[name]
		if old == nil || old.ID != f.ID || old.Code != f.Code || !reflect.DeepEqual(old.Spec, f.Spec) {
			return false
		}
	}
	return true
}

// listVersions lists the newest first unless direction is FORWARD.
func (c *region) listVersions(q *call) (*reply, error) {
	doc, err := c.store.service(q.params["s"])
	if err != nil {
		return nil, err
	}
	limit, err := q.pageSize()
	if err != nil {
		return nil, err
	}
	direction := orDefault(q.query.Get("direction"), "BACKWARD")
	if !oneOf(direction, "FORWARD", "BACKWARD") {
		return nil, invalid("direction must be FORWARD or BACKWARD (actual: '%.64s')", direction)
	}
	versions := slices.Clone(doc.Versions)
	if direction == "BACKWARD" {
		slices.Reverse(versions)
	}
	start := orDefault(q.query.Get("nextToken"), q.query.Get("startKey"))
	if start != "" {
		from, err := strconv.Atoi(start)
		if err != nil {
			return nil, invalid("startKey and nextToken are version ids (actual: '%.64s')", start)
		}
		versions = slices.DeleteFunc(versions, func(v *versionRecord) bool {
			n, _ := strconv.Atoi(v.ID)
			return direction == "BACKWARD" && n > from || direction == "FORWARD" && n < from
		})
	}
	next := ""
	if len(versions) > limit {
		next, versions = versions[limit].ID, versions[:limit]
	}
	views := []versionView{}
	for _, v := range versions {
		views = append(views, v.view())
	}
	return &reply{body: struct {
		Versions  []versionView `json:"versions"`
		NextToken string        `json:"nextToken,omitempty"`
		Direction string        `json:"direction"`
	}{views, next, direction}}, nil
}

func (c *region) deleteVersion(q *call) (*reply, error) {
	if err := q.unqualified(); err != nil {
		return nil, err
	}
	id := q.params["v"]
	err := c.store.updateService(q.params["s"], func(doc *serviceDoc) error {
		i := slices.IndexFunc(doc.Versions, func(v *versionRecord) bool { return v.ID == id })
		if i < 0 {
			return notFound("Version", "version '%.64s' of service '%s' does not exist", id, q.params["s"])
		}
		for _, name := range sortedKeys(doc.Aliases) {
			if slices.Contains(doc.versionsOf(name), id) {
				return conflict("VersionNotEmpty", "version '%s' is used by the alias '%s'.", id, name)
			}
		}
		doc.Versions = slices.Delete(doc.Versions, i, i+1)
		doc.next()
		return nil
	})
	if err != nil {
		return nil, err
	}
	c.settle(q.params["s"])
	return done(), nil
}
