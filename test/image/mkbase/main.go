// Command mkbase turns the tar of a root file system into an OCI layout with one
// gzip layer, tagged latest: the base images of the image tests.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

func main() {
	command := flag.String("cmd", "sh", "the command of the image")
	flag.Parse()
	if err := run(*command, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "mkbase:", err)
		os.Exit(1)
	}
}

func run(command string, args []string) error {
	if len(args) != 2 {
		return errors.New("usage: mkbase [-cmd COMMAND] ROOTFS.tar FOLDER")
	}
	content, err := tarball.LayerFromFile(args[0], tarball.WithMediaType(types.OCILayer))
	if err != nil {
		return fmt.Errorf("reading %s: %w", args[0], err)
	}
	image := mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), types.OCIConfigJSON)
	image, err = mutate.AppendLayers(image, content)
	if err != nil {
		return fmt.Errorf("adding the layer: %w", err)
	}
	config := &v1.ConfigFile{
		Architecture: runtime.GOARCH,
		OS:           "linux",
		Created:      v1.Time{Time: time.Unix(0, 0).UTC()},
		Config: v1.Config{
			Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
			Cmd: []string{command},
		},
	}
	old, err := image.ConfigFile()
	if err != nil {
		return fmt.Errorf("reading the config: %w", err)
	}
	config.RootFS = old.RootFS
	config.History = []v1.History{{CreatedBy: "mkbase", Created: config.Created}}
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return fmt.Errorf("setting the config: %w", err)
	}
	folder, err := layout.Write(args[1], empty.Index)
	if err != nil {
		return fmt.Errorf("making %s: %w", args[1], err)
	}
	err = folder.AppendImage(image, layout.WithAnnotations(map[string]string{"org.opencontainers.image.ref.name": "latest"}))
	if err != nil {
		return fmt.Errorf("writing the layout: %w", err)
	}
	return nil
}
