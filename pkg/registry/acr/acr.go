// Package acr knows how the registries of Alibaba Cloud Container Registry (ACR) are
// called: which edition, region and network a host means, and what the same registry
// is called on another network. It is pure, and knows diag and secret of the
// project.
package acr

import (
	"regexp"
	"strings"
	"time"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/secret"
)

// Edition is an edition of ACR.
type Edition int

// The editions. They differ in the API that gives temporary passwords.
const (
	Personal Edition = iota + 1
	Enterprise
)

// Network is where a host of a registry can be reached from.
type Network int

// The networks. Internal is the classic network, which old accounts have.
const (
	Internet Network = iota
	VPC
	Internal
)

// suffix is how a network stands in a host.
func (n Network) suffix() string {
	switch n {
	case VPC:
		return "-vpc"
	case Internal:
		return "-internal"
	}
	return ""
}

// Registry is one registry of ACR by one of its hosts.
type Registry struct {
	Edition Edition
	Region  string
	Network Network
	// Name is the first label of the host without its network: "registry" for
	// the shared personal one, "crpi-..." for a personal instance,
	// "{instance}-registry" for an enterprise one.
	Name   string
	domain string // what follows the region
}

// Hosts of ACR ("Access an instance" in its documentation).
var hostPattern = regexp.MustCompile(`^(registry|crpi-[a-z0-9]+|[a-z0-9][a-z0-9-]*-registry)(-vpc|-internal)?\.([a-z0-9]+(?:-[a-z0-9]+)+)(\.aliyuncs\.com|\.personal\.cr\.aliyuncs\.com|\.cr\.aliyuncs\.com)$`)

// Parse reads the host of a registry; false means that it is none of ACR.
func Parse(host string) (Registry, bool) {
	m := hostPattern.FindStringSubmatch(strings.ToLower(host))
	if m == nil {
		return Registry{}, false
	}
	r := Registry{Name: m[1], Region: m[3], domain: m[4]}
	switch m[2] {
	case "-vpc":
		r.Network = VPC
	case "-internal":
		r.Network = Internal
	}
	switch {
	case r.Name == "registry" && r.domain == ".aliyuncs.com":
		r.Edition = Personal
	case strings.HasPrefix(r.Name, "crpi-") && r.domain == ".personal.cr.aliyuncs.com":
		r.Edition = Personal
	case strings.HasSuffix(r.Name, "-registry") && r.domain == ".cr.aliyuncs.com":
		r.Edition = Enterprise
	default:
		return Registry{}, false
	}
	return r, true
}

// Host returns the host of the registry.
func (r Registry) Host() string { return r.Name + r.Network.suffix() + "." + r.Region + r.domain }

// On returns the registry on another network.
func (r Registry) On(n Network) Registry {
	r.Network = n
	return r
}

// Hosts returns all hosts of the registry that a host means, that host first; only
// itself when it is none of ACR.
func Hosts(host string) []string {
	hosts := []string{host}
	r, ok := Parse(host)
	if !ok {
		return hosts
	}
	for _, n := range []Network{Internet, VPC, Internal} {
		if other := r.On(n).Host(); n != r.Network {
			hosts = append(hosts, other)
		}
	}
	return hosts
}

// Password is a temporary password for a registry.
type Password struct {
	Username string
	Password secret.String
	Expires  time.Time
}

// The values of --push-registry.
const (
	PushInternet = "acr-internet"
	PushVPC      = "acr-vpc"
)

// PushImage returns the image whose host is that of the network of --push-registry:
// the function pulls over one network, the pipeline pushes over another. An empty
// target leaves the image as it is. Only the host changes, so that the image is the
// same one. An image that is not in ACR is an error.
func PushImage(image, target string) (string, error) {
	if target == "" {
		return image, nil
	}
	var network Network
	switch target {
	case PushInternet:
		network = Internet
	case PushVPC:
		network = VPC
	default:
		return "", diag.Errorf("--push-registry %q is not known", target).WithHint("write %s or %s", PushInternet, PushVPC)
	}
	host, rest, ok := strings.Cut(image, "/")
	r, acr := Parse(host)
	if !ok || !acr {
		return "", diag.Errorf("--push-registry %s is only for images in the registry of Alibaba Cloud (ACR), which %q is not", target, image).
			WithHint("leave --push-registry away, or write the image as registry.<region>.aliyuncs.com/<namespace>/<repository>:<tag>")
	}
	return r.On(network).Host() + "/" + rest, nil
}
