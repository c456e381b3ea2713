package fc

import (
	"encoding/base64"
	"fmt"
	"io"
	"strings"

	"github.com/devs/deploy/pkg/archive"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/resource"
)

// addCode puts the code of want into the body of a call, and returns the checksum
// of an inline package ("" when the code is in a bucket, or there is none).
func addCode(body map[string]any, want *resource.Resource) (checksum string, err error) {
	attr, _ := want.Attrs["code"].(map[string]any)
	if attr["ossBucketName"] != nil || attr["ossObjectName"] != nil {
		body["code"] = map[string]any{"ossBucketName": attr["ossBucketName"], "ossObjectName": attr["ossObjectName"]}
		return "", nil
	}
	if want.Code == nil {
		return "", nil
	}
	if size := want.Code.Size(); size > archive.MaxInline {
		return "", tooLarge(want.Pos, want.ID.String(), size)
	}
	zip, err := encode(want.Code)
	if err != nil {
		return "", fmt.Errorf("%s: reading the code package: %w", want.ID, err)
	}
	body["code"] = map[string]any{"zipFile": zip}
	return want.Code.Checksum(), nil
}

// tooLarge is the error for a package that does not go into a call.
func tooLarge(pos diag.Pos, what string, size int64) *diag.Problem {
	return diag.At(pos, "%s: the code package has %s, but at most 50 MiB can be sent with the call", what, mib(size)).
		WithCode(diag.ExitComponent).
		WithHint("leave out what the function does not need with .fcignore, move libraries to a layer, or upload the package and set ossBucket and ossKey")
}

// encode reads a package as Base64.
func encode(p resource.Payload) (string, error) {
	in, err := p.Open()
	if err != nil {
		return "", err
	}
	defer in.Close()
	var b strings.Builder
	b.Grow(base64.StdEncoding.EncodedLen(int(p.Size())))
	enc := base64.NewEncoder(base64.StdEncoding, &b)
	n, err := io.Copy(enc, io.LimitReader(in, p.Size()+1))
	if err != nil {
		return "", err
	}
	if n != p.Size() {
		return "", fmt.Errorf("it has %d bytes, not the %d that were planned", n, p.Size())
	}
	if err := enc.Close(); err != nil {
		return "", err
	}
	return b.String(), nil
}

// mib returns a size in bytes for people.
func mib(size int64) string { return fmt.Sprintf("%.1f MiB", float64(size)/(1<<20)) }
