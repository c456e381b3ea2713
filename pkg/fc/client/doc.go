// Package client speaks the Function Compute API 2021-04-06. It is the only
// importer of the official SDK, which signs, sends and decodes; this package adds
// what the SDK lacks: cancellation, retries that are safe, errors that say what
// happened, and bodies that arrive as they were written.
//
// Bodies are plain maps in the API's own field names. They are checked strictly
// against the SDK's request types, so that a field which the API does not have is
// an error, and are then sent through the SDK's generic call: its typed methods
// drop empty lists inside objects (so that nothing could be cleared) and fields
// of answers that they do not know.
//
// The package knows secret and diag, no resource and no component.
package client
