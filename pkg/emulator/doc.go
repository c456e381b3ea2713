// Package emulator is the embedded cloud: one http.Handler that speaks the wire
// protocol of Alibaba Function Compute 2.0 in both editions of its API
// (2021-04-06 and 2016-08-15) over one store, so that official SDKs work against
// it. State is a folder of plain files.
//
// Regions are apart, as in the cloud: the same name in two of them is two services,
// layers, or custom domains. A request names its region by its host,
// {account}.{region}.fc.localhost or {account}.{region}.fc.aliyuncs.com, or else by
// the header X-Acs-Region-Id, which official SDKs send when it is in the
// GlobalParameters of their Config; one that names none means Config.Region. Links to
// HTTP triggers elsewhere have the region before their path. A custom domain that is
// set up in several regions leads to Config.Region, else to the first by name.
//
// The package knows HTTP, the store and the runner's contract. Its wire types are
// its own: outside its tests it never imports an SDK, so that a wrong tag cannot
// pass twice.
package emulator
