package props

import (
	"encoding/json"
	"net"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/registry/acr"
)

// containerFields is the table of customContainerConfig. Command and args are texts
// that hold a JSON array, in the file as in the API.
func containerFields() []field {
	return []field{
		req("image", text(notEmpty)),
		opt("command", text()),
		opt("args", text()),
		opt("accelerationType", choice("Default", "None")),
		opt("instanceID", text(notEmpty)),
		opt("webServerMode", boolean()),
	}
}

func (d *decoder) container(f *Function, v *app.Value, region string) {
	if isAbsent(v, object()) {
		d.fail(f.Pos, "write customContainerConfig with the image", "function.customContainerConfig is missing, which runtime custom-container needs")
		return
	}
	for _, key := range []string{"command", "args"} {
		part := v.Get(key)
		if part == nil || part.Kind != app.String || part.Str() == "" {
			continue
		}
		var words []string
		if json.Unmarshal([]byte(part.Str()), &words) != nil {
			d.warn(part.Pos, `function.customContainerConfig.%s is not a text that holds a JSON array of texts such as '["node", "server.js"]'`, key)
		}
	}
	if image := v.Get("image"); image != nil && image.Kind == app.String && image.Str() != "" {
		d.image(image, v, region)
	}
}

// image checks that the image is in a registry that Function Compute of the region
// can pull from: ACR of the same region. A registry on this machine is for the
// embedded cloud.
func (d *decoder) image(image, config *app.Value, region string) {
	const path = "function.customContainerConfig.image"
	named := path
	if !image.Secret { // the place says which one it is
		named += shown(image)
	}
	host, _, _ := strings.Cut(image.Str(), "/")
	if isLoopback(host) {
		return
	}
	registry, ok := acr.Parse(host)
	switch {
	case !ok:
		d.fail(image.Pos, "write registry."+region+".aliyuncs.com/<namespace>/<repository>:<tag>",
			"%s is not in the registry of Alibaba Cloud (ACR)", named)
	case region != "" && registry.Region != region:
		d.fail(image.Pos, "copy the image to "+region+", or deploy to "+registry.Region,
			"%s is in region %s, but the function is in %s", path, registry.Region, region)
	case registry.Edition == acr.Enterprise && config.Get("instanceID").IsNull():
		d.fail(image.Pos, "write instanceID: cri-...", "%s is in an enterprise registry, which needs customContainerConfig.instanceID", path)
	}
}

func isLoopback(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
