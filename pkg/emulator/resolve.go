package emulator

import (
	"strconv"
)

// moment is a service with its functions as they are, or were when a version was
// published.
type moment struct {
	version   string // latest or the id of a version
	service   serviceRecord
	functions map[string]*functionRecord
}

// at resolves a qualifier. For an alias it is the alias's main version; who
// invokes draws by weight instead.
func (d *serviceDoc) at(qualifier string) (moment, error) {
	if alias := d.Aliases[qualifier]; alias != nil {
		qualifier = alias.Spec.VersionID
	}
	return d.version(qualifier)
}

// version returns the moment of a version id or latest.
func (d *serviceDoc) version(id string) (moment, error) {
	if id == "" || id == latest {
		return moment{latest, d.Service, d.Functions}, nil
	}
	for _, v := range d.Versions {
		if v.ID == id {
			return moment{id, v.Service, v.Functions}, nil
		}
	}
	name := d.Service.Spec.ServiceName
	if isVersionID(id) {
		return moment{}, notFound("Version", "version '%s' of service '%s' does not exist", id, name)
	}
	return moment{}, notFound("Alias", "alias '%.128s' of service '%s' does not exist", id, name)
}

// function returns a function of the moment or FunctionNotFound.
func (m moment) function(name string) (*functionRecord, error) {
	if f := m.functions[name]; f != nil {
		return f, nil
	}
	qualifier := ""
	if m.version != latest {
		qualifier = " in version " + m.version
	}
	return nil, notFound("Function", "function '%s' does not exist in service '%s'%s",
		name, m.service.Spec.ServiceName, qualifier)
}

// draw resolves a qualifier for one invocation: an alias that spreads its calls
// leads to one of its versions by weight.
func (d *serviceDoc) draw(qualifier string, random func() float64) (moment, error) {
	alias := d.Aliases[qualifier]
	if alias == nil {
		return d.version(qualifier)
	}
	point, id := random(), alias.Spec.VersionID
	for _, v := range sortedKeys(alias.Spec.Weights) {
		if w := alias.Spec.Weights[v]; point < w {
			id = v
			break
		} else {
			point -= w
		}
	}
	return d.version(id)
}

// versions lists what a qualifier can lead to.
func (d *serviceDoc) versionsOf(qualifier string) []string {
	alias := d.Aliases[qualifier]
	if alias == nil {
		return []string{qualifier}
	}
	return append([]string{alias.Spec.VersionID}, sortedKeys(alias.Spec.Weights)...)
}

// latestFunction checks that the unpublished function is there.
func (d *serviceDoc) latestFunction(name string) (*functionRecord, error) {
	return moment{latest, d.Service, d.Functions}.function(name)
}

func isVersionID(s string) bool {
	n, err := strconv.Atoi(s)
	return err == nil && n > 0 && strconv.Itoa(n) == s
}
