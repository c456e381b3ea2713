// Package imagepath is the rule that leads from the name of an image in the
// registries of Alibaba Cloud (ACR) to its repository in the registry of the
// embedded cloud. Clients and the embedded cloud both use it, and share nothing
// else; it knows acr and names only.
//
// The rule: the embedded cloud serves a repository of ACR as
//
//	<registry>/<namespace>/<repository>
//
// where registry is the public host of the registry, so that repositories of two
// registries do not mix, and a push over the internet is found by a function that
// pulls over the VPC. Repositories that are no ACR's have no such prefix: what is
// pushed to the embedded cloud's own address stays where it was pushed.
package imagepath

import "github.com/devs/deploy/pkg/registry/acr"

// Registry splits the host of an ACR registry into the public host of the same
// registry and its region; ok is false for every other host.
func Registry(host string) (public, region string, ok bool) {
	r, ok := acr.Parse(host)
	if !ok {
		return "", "", false
	}
	return r.On(acr.Internet).Host(), r.Region, true
}

// Repository returns the repository by which the embedded cloud serves a repository
// of ACR, such as registry.cn-hangzhou.aliyuncs.com/shop/api for the host
// registry-vpc.cn-hangzhou.aliyuncs.com and the repository shop/api; ok is false when
// the host is no ACR registry, for which the embedded cloud does not stand in.
func Repository(host, repository string) (path string, ok bool) {
	public, _, ok := Registry(host)
	if !ok || repository == "" {
		return "", false
	}
	return public + "/" + repository, true
}
