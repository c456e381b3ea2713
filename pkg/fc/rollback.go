package fc

import (
	"cmp"
	"context"
	"fmt"
	"hash/crc64"
	"io"
	"os"
	"slices"
	"strconv"

	"github.com/devs/deploy/pkg/archive"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/client"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/resource"
)

func rollbackCommand() component.Command {
	return component.Command{
		Name:    "rollback",
		Short:   "Go back to what was there before the last deploy, config and code",
		Mutates: true,
		Flags:   selectors(),
		Examples: []string{
			"devs plan --plan-type rollback", "devs rollback", "devs rollback --use-local", "devs web rollback --version-id 3",
		},
	}
}

// namesOnly reports whether a command needs of the props what things are called, and
// nothing else.
func namesOnly(command string) bool { return command == "remove" || command == "rollback" }

// Versions lists the published versions of the service of the call, the newest first.
func (c *Component) Versions(ctx context.Context, call *component.Call) ([]string, error) {
	under, err := c.sweep(call)
	if err != nil {
		return nil, err
	}
	all, err := under.api.ListVersions(ctx, under.service)
	if client.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, explain(resource.ID{Kind: props.ServiceKind, Name: under.service}, err)
	}
	var versions []string
	for _, v := range all {
		if id := text(v, "versionId"); id != "" {
			versions = append(versions, id)
		}
	}
	slices.SortStableFunc(versions, func(a, b string) int { return cmp.Compare(number(b), number(a)) })
	return versions, nil
}

// number returns the number of a version, 0 for a name that is none.
func number(version string) int {
	n, _ := strconv.Atoi(version)
	return n
}

// At returns a service or a function as it is in a version; versions hold nothing else.
func (c *Component) At(ctx context.Context, call *component.Call, version string, id resource.ID) (*resource.Found, error) {
	api, err := c.open(call).client()
	if err != nil {
		return nil, err
	}
	switch id.Kind {
	case props.ServiceKind:
		o, err := api.GetServiceAt(ctx, id.Name, version)
		return read(id, o, err, foundService)
	case props.FunctionKind:
		n, err := names(id, 2)
		if err != nil {
			return nil, err
		}
		o, err := api.GetFunction(ctx, n[0], n[1], version)
		return read(id, o, err, foundFunction)
	}
	return nil, nil
}

// downloads is how often a code package is fetched that does not arrive whole.
const downloads = 3

// Code fetches the code package of a function in a version into a file.
func (c *Component) Code(ctx context.Context, call *component.Call, version string, id resource.ID) (component.Package, error) {
	n, err := names(id, 2)
	if err != nil {
		return nil, err
	}
	api, err := c.open(call).client()
	if err != nil {
		return nil, err
	}
	for try := 1; ; try++ {
		link, sum, err := api.GetFunctionCode(ctx, n[0], n[1], version)
		if err != nil {
			return nil, explain(id, err)
		}
		p, err := c.fetch(ctx, api, link, sum)
		if err == nil {
			return p, nil
		}
		if try == downloads || ctx.Err() != nil {
			return nil, diag.Errorf("%s: %v", id, err).WithCode(diag.ExitComponent).WithCause(err)
		}
		if err := api.Pause(ctx, try); err != nil {
			return nil, err
		}
	}
}

// fetch downloads a package that can be sent again, and checks it.
func (c *Component) fetch(ctx context.Context, api *client.Client, link, sum string) (_ component.Package, err error) {
	file, err := os.CreateTemp(c.cfg.TempDir, "devs-code-*.zip")
	if err != nil {
		return nil, fmt.Errorf("downloading the code: %w", err)
	}
	defer func() {
		if err != nil {
			_ = os.Remove(file.Name())
		}
	}()
	hash := crc64.New(crc64.MakeTable(crc64.ECMA))
	size, err := api.Download(ctx, link, archive.MaxInline, io.MultiWriter(file, hash))
	if closeErr := file.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return nil, err
	}
	if got := strconv.FormatUint(hash.Sum64(), 10); got != sum {
		return nil, fmt.Errorf("downloading the code: its checksum is %s, not %s", got, sum)
	}
	return fetched{path: file.Name(), size: size, sum: sum}, nil
}

// Sum returns the CRC-64 of a package as the API shows it.
func (c *Component) Sum(r io.Reader) (string, error) {
	hash := crc64.New(crc64.MakeTable(crc64.ECMA))
	n, err := io.Copy(hash, io.LimitReader(r, archive.MaxInline+1))
	if err != nil {
		return "", err
	}
	if n > archive.MaxInline {
		return "", fmt.Errorf("it has more than the %d bytes that can be sent with the call", archive.MaxInline)
	}
	return strconv.FormatUint(hash.Sum64(), 10), nil
}

// fetched is a package in a file of its own.
type fetched struct {
	path string
	size int64
	sum  string
}

// Open opens the file.
func (f fetched) Open() (io.ReadCloser, error) { return os.Open(f.path) }

// Size returns the number of bytes.
func (f fetched) Size() int64 { return f.size }

// Checksum returns the CRC-64 that the API shows.
func (f fetched) Checksum() string { return f.sum }

// Close removes the file.
func (f fetched) Close() error { return os.Remove(f.path) }
