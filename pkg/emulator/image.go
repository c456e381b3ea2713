package emulator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/devs/deploy/pkg/emulator/imagepath"
	"github.com/devs/deploy/pkg/emulator/images"
	"github.com/devs/deploy/pkg/registry"
	"github.com/devs/deploy/pkg/runner"
)

// imageRef is the image of a function: what its name led to when the function was
// made, or its image was last set.
type imageRef struct {
	Name   string  `json:"name"` // as the function has it
	Digest v1.Hash `json:"digest"`
}

// serveImages answers the distribution API (OCI) at the address of the embedded cloud
// itself, and for clients that take the hosts of ACR to it and keep their names in the
// Host header. It reports false for all other hosts: no page of the web can reach the
// images by a name that leads here, and custom domains have their own /v2.
func (c *Cloud) serveImages(w http.ResponseWriter, q *call) bool {
	if path := q.URL.Path; path != "/v2" && !hasPrefix(path, "/v2/") {
		return false
	}
	host := hostName(q.Host)
	handler := http.Handler(c.images)
	if public, _, ok := imagepath.Registry(host); ok {
		handler = c.images.Below(public)
	} else if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return false
	}
	q.operation = "Registry"
	handler.ServeHTTP(w, q.Request)
	return true
}

// findImage reads the name of an image; repo is its repository in the registry of the
// embedded cloud, or "" when it is in another registry of this machine.
func (c *region) findImage(image string) (ref name.Reference, repo string, err error) {
	ref, err = name.ParseReference(image)
	if err != nil {
		return nil, "", invalid("customContainerConfig.image is set to an invalid value: %v", err)
	}
	host := ref.Context().RegistryStr()
	_, region, ok := imagepath.Registry(host)
	switch {
	case ok && region != c.name:
		return nil, "", invalid("the image '%s' is in the region %s, not in %s, to which the request went", image, region, c.name)
	case ok:
		repo, _ = imagepath.Repository(host, ref.Context().RepositoryStr())
		return ref, repo, nil
	case registry.IsLoopback(host):
		return ref, "", nil
	}
	return nil, "", invalid("the image '%s' is neither in the registry of Alibaba Cloud (registry.%s.aliyuncs.com/...) nor in a registry of this machine (127.0.0.1:port/...)", image, c.name)
}

// pinImage finds out which image a name leads to now. An image that is not there is
// InvalidArgument, as with the cloud.
func (c *region) pinImage(ctx context.Context, image string) (*imageRef, error) {
	ref, repo, err := c.findImage(image)
	if err != nil {
		return nil, err
	}
	pinned := &imageRef{Name: image}
	if repo != "" {
		pinned.Digest, err = c.images.Resolve(repo, ref.Identifier())
	} else {
		var d v1.Descriptor
		d, err = c.registries.Resolve(ctx, ref)
		pinned.Digest = d.Digest
	}
	switch {
	case err == nil:
		return pinned, nil
	case errors.Is(err, images.ErrNotFound):
		return nil, invalid("the image '%s' does not exist in the embedded cloud: push it first", image)
	case errors.Is(err, registry.ErrNotFound):
		return nil, invalid("the image '%s' does not exist", image)
	case ctx.Err() != nil:
		return nil, err
	}
	return nil, invalid("the image '%s' cannot be found: %v", image, err)
}

// pinFor pins the image of a function with a spec, nil when it has none. It keeps the
// pin of the function before a change that does not set the image.
func (c *region) pinFor(ctx context.Context, spec functionSpec, before *imageRef, set bool) (*imageRef, error) {
	if !spec.isContainer() || spec.CustomContainerConfig == nil || spec.CustomContainerConfig.Image == "" {
		return nil, nil
	}
	image := spec.CustomContainerConfig.Image
	if before != nil && before.Name == image && !set {
		return before, nil
	}
	return c.pinImage(ctx, image)
}

// nextImage pins the image that a function has after an update. This can take a
// request to a registry, so that the state must not be locked meanwhile.
func (c *region) nextImage(q *call, before *functionRecord) (*imageRef, error) {
	after, err := clone(before)
	if err != nil {
		return nil, err
	}
	if err := q.decode(&after.Spec); err != nil {
		return nil, err
	}
	_, set := q.members["customContainerConfig"]
	return c.pinFor(q.Context(), after.Spec, before.Image, set)
}

// contents is what is in an image, for this machine.
func (c *region) contents(ctx context.Context, image *imageRef) (*runner.Contents, error) {
	ref, repo, err := c.findImage(image.Name)
	if err != nil {
		return nil, err
	}
	platform := v1.Platform{OS: "linux", Architecture: runtime.GOARCH}
	out := &runner.Contents{}
	var config *v1.ConfigFile
	if repo != "" {
		found, err := c.images.Image(repo, image.Digest.String(), platform)
		if err != nil {
			return nil, err
		}
		config = found.Config
		for _, l := range found.Layers {
			out.Layers = append(out.Layers, func(context.Context) (io.ReadCloser, error) { return c.images.Blob(l.Digest) })
		}
	} else {
		found, err := c.registries.Image(ctx, ref.Context().Digest(image.Digest.String()), platform, nil)
		if err != nil {
			return nil, err
		}
		config = found.Config
		for _, l := range found.Layers {
			out.Layers = append(out.Layers, func(ctx context.Context) (io.ReadCloser, error) {
				return c.registries.Blob(ctx, ref.Context(), l.Descriptor)
			})
		}
	}
	if arch := config.Architecture; arch != "" && arch != runtime.GOARCH {
		return nil, fmt.Errorf("it is for %s, and this machine is %s", arch, runtime.GOARCH)
	}
	out.Entrypoint, out.Cmd, out.Env = config.Config.Entrypoint, config.Config.Cmd, config.Config.Env
	out.WorkingDir, out.User = config.Config.WorkingDir, config.Config.User
	return out, nil
}

// runnerImage fills in what the runner needs of a function that is an image.
func (c *region) runnerImage(fn *runner.Function, config *containerConfig, image *imageRef) {
	if config == nil || image == nil {
		return
	}
	fn.Command, fn.Args = words(config.Command), words(config.Args)
	fn.RunOnce = config.WebServerMode != nil && !*config.WebServerMode
	fn.Image = &runner.Image{Name: image.Name, Pull: func(ctx context.Context) (*runner.Contents, error) {
		return c.contents(ctx, image)
	}}
}

// words reads a JSON list of texts, which was checked when it came.
func words(text string) []string {
	var list []string
	if json.Unmarshal([]byte(text), &list) != nil {
		return nil
	}
	return list
}

// health is a health check as the runner has it.
func (h *healthCheckConfig) health() *runner.HealthCheck {
	if h == nil || h.HTTPGetURL == "" {
		return nil
	}
	number := func(p *int32) int {
		if p == nil {
			return 0
		}
		return int(*p)
	}
	seconds := func(p *int32) time.Duration { return time.Duration(number(p)) * time.Second }
	return &runner.HealthCheck{
		Path: h.HTTPGetURL, InitialDelay: seconds(h.InitialDelaySeconds), Period: seconds(h.PeriodSeconds),
		Timeout: seconds(h.TimeoutSeconds), FailureThreshold: number(h.FailureThreshold), SuccessThreshold: number(h.SuccessThreshold),
	}
}
