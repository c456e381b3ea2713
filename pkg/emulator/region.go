package emulator

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// region is the cloud of one region: nothing in it is seen from another one.
type region struct {
	*Cloud // what the regions share

	name  string
	store *store
	live  liveInstances
	async asyncLedger
}

// dirRegions holds the state of each region but Config.Region, whose state lies in
// the state folder itself.
const dirRegions = "regions"

// dirImages holds the registry of images, which the regions share: the names of
// repositories tell the region.
const dirImages = "images"

// RegionHeader names the region of a request whose host does not: at a loopback
// address every region has the same host. It is the header of Alibaba Cloud's own
// ROA requests, so that their signatures cover it.
const RegionHeader = "X-Acs-Region-Id"

var regionPattern = regexp.MustCompile(`^[a-z]{2}(-[a-z0-9]+)+$`)

// isRegion reports whether name has the form of a region's name. It becomes the
// name of a folder.
func isRegion(name string) bool { return len(name) <= 32 && regionPattern.MatchString(name) }

// openRegions loads the state of all regions of a state folder.
func (c *Cloud) openRegions(dir string) error {
	if !isRegion(c.home) {
		return fmt.Errorf("%q is not the name of a region", c.home)
	}
	entries, err := os.ReadDir(filepath.Join(dir, dirRegions))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("reading the state folder: %w", err)
	}
	if _, err := c.openRegion(c.home); err != nil {
		return err
	}
	for _, e := range entries {
		name := filepath.Join(dir, dirRegions, e.Name())
		if !e.IsDir() || !isRegion(e.Name()) {
			return fmt.Errorf("reading %s: this is no region's state of the embedded cloud; move it away", name)
		}
		if e.Name() == c.home {
			return fmt.Errorf("reading %s: the state folder was made with another region than %s as its own; open it with that one", name, c.home)
		}
		if _, err := c.openRegion(e.Name()); err != nil {
			return err
		}
	}
	return nil
}

// openRegion returns a region, with new state when it has none yet.
func (c *Cloud) openRegion(name string) (*region, error) {
	c.opening.Lock()
	defer c.opening.Unlock()
	if r := c.regions[name]; r != nil {
		return r, nil
	}
	dir := c.dir
	if name != c.home {
		dir = filepath.Join(dir, dirRegions, name)
	}
	st, err := openStore(dir)
	if err != nil {
		return nil, err
	}
	r := &region{Cloud: c, name: name, store: st}
	c.regions[name] = r
	return r, nil
}

// ordered lists the regions that there are: one that is wanted first, then that of
// Config.Region, then the others by their names.
func (c *Cloud) ordered(wanted string) []*region {
	c.opening.Lock()
	defer c.opening.Unlock()
	var list []*region
	for _, name := range append([]string{wanted, c.home}, sortedKeys(c.regions)...) {
		if r := c.regions[name]; r != nil && !slices.Contains(list, r) {
			list = append(list, r)
		}
	}
	return list
}

// regionOfHost reads the region from the host of an endpoint as the public ones
// have it, {account}.{region}.fc.aliyuncs.com, or {account}.{region}.fc.localhost;
// "" when the host is none of them.
func regionOfHost(host string) string {
	for _, suffix := range []string{".fc.aliyuncs.com", ".fc.localhost"} {
		if endpoint, ok := strings.CutSuffix(host, suffix); ok {
			label := endpoint[strings.LastIndexByte(endpoint, '.')+1:]
			return strings.TrimSuffix(label, "-internal")
		}
	}
	return ""
}

// takeRegion finds the region that a request names, in its host or else in
// RegionHeader.
func (q *call) takeRegion() error {
	q.region = regionOfHost(hostName(q.Host))
	if q.hosted = q.region != ""; !q.hosted {
		q.region = q.Header.Get(RegionHeader)
	}
	if q.region != "" && !isRegion(q.region) {
		return invalid("'%.64s' is not the name of a region", q.region)
	}
	return nil
}

// origin is the base URL of the region's HTTP triggers for the client of a request:
// what it reached, with the region before the path where its host does not tell it.
func (c *region) origin(q *call) string {
	if c.name == c.home || q.hosted {
		return q.origin()
	}
	return q.origin() + "/" + c.name
}

// sameRegion refuses the ARN of a resource in another region.
func (c *region) sameRegion(field, arn, name string) error {
	if name == "" || name == c.name {
		return nil
	}
	return invalid("%s: '%.300s' is in the region %.64s, not in %s, to which the request went", field, arn, name, c.name)
}
