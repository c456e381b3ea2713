package fcapi

import (
	"context"
	"encoding/base64"
	"fmt"
	"path/filepath"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/archive"
	"github.com/devs/deploy/pkg/diag"
)

// code returns the code as the API takes it, and the checksum of a package that is sent
// along. zipFile is a path, and a folder is packed as for codeUri; other keys are sent
// as they are.
func (s *session) code(ctx context.Context, v *app.Value, runtime string) (body map[string]any, checksum string, err error) {
	if v.Kind != app.Map {
		return nil, "", diag.At(v.Pos, "code must be an object, not %s", v.Kind).WithCode(diag.ExitComponent).
			WithHint(`write {"zipFile":"./"}`)
	}
	body, _ = v.Plain().(map[string]any)
	path := v.Get("zipFile")
	if path.IsNull() {
		return body, "", nil
	}
	if path.Kind != app.String || path.Str() == "" {
		return nil, "", diag.At(path.Pos, "zipFile must be the path of a folder or of a package").WithCode(diag.ExitComponent)
	}
	packed, err := s.pack(ctx, path.Str(), runtime)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = packed.Close() }()
	data, err := packed.Bytes()
	if err != nil {
		return nil, "", fmt.Errorf("reading the code package: %w", err)
	}
	body["zipFile"] = base64.StdEncoding.EncodeToString(data)
	return body, packed.CRC64, nil
}

func (s *session) pack(ctx context.Context, path, runtime string) (*archive.Package, error) {
	if !filepath.IsAbs(path) {
		path = filepath.Join(s.call.Dir, path)
	}
	packed, err := archive.Pack(ctx, archive.Options{
		Path:        path,
		Ignore:      archive.FunctionIgnores(runtime),
		TemplateDir: s.call.Dir,
		TempDir:     s.cfg.TempDir,
	})
	if err != nil {
		return nil, err
	}
	for _, w := range packed.Warnings {
		s.notify("warning: " + w.Summary)
	}
	if !packed.Inline() {
		_ = packed.Close()
		return nil, diag.Errorf("the code package has %.1f MiB, but at most 50 MiB can be sent with the call", float64(packed.Size)/(1<<20)).
			WithCode(diag.ExitComponent).
			WithHint("leave out what the function does not need with .fcignore, or upload the package and give ossBucketName and ossObjectName")
	}
	return packed, nil
}
