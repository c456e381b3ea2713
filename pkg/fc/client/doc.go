// Package client speaks the Function Compute API 2021-04-06. It is the only
// importer of the official SDK, whose request types and signatures it uses. It
// sends on its own: the SDK's transport follows redirects with the keys' token,
// knows no context, and forgets the status of an answer that is not JSON.
//
// Bodies are plain maps in the API's own field names. They are checked strictly
// against the SDK's request types, so that a field which the API does not have is
// an error, and are then sent as they are: the SDK's typed methods drop empty
// lists inside objects (so that nothing could be cleared) and fields of answers
// that they do not know.
//
// The package knows secret and diag, no resource and no component.
package client
