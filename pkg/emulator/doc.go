// Package emulator is the embedded cloud: one http.Handler that speaks the wire
// protocol of Alibaba Function Compute 2.0 in both editions of its API
// (2021-04-06 and 2016-08-15) over one store, so that official SDKs work against
// it. State is a folder of plain files.
//
// The package knows HTTP, the store and the runner's contract. Its wire types are
// its own: outside its tests it never imports an SDK, so that a wrong tag cannot
// pass twice.
package emulator
