package judge

import (
	"archive/tar"
	"bytes"
	"fmt"
	"io"
	"runtime"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// pushOddBases pushes the images that the suite starts from, made from busybox, and
// returns their names for the Dockerfiles.
func pushOddBases(registry, busybox string) (map[string]string, error) {
	ref, err := name.ParseReference(busybox)
	if err != nil {
		return nil, err
	}
	base, err := remote.Image(ref)
	if err != nil {
		return nil, fmt.Errorf("reading %s: %w", busybox, err)
	}
	digest, err := base.Digest()
	if err != nil {
		return nil, err
	}
	names := map[string]string{
		"BUSYBOX_DIGEST": ref.Context().Name() + "@" + digest.String(),
		"ODD":            registry + "/odd:latest", "ONBUILD": registry + "/onbuild:latest", "INDEX": registry + "/index:latest",
		"LINKED": registry + "/linked:latest",
	}
	onbuild := func(c *v1.Config) {
		c.OnBuild = []string{"RUN echo first >/triggered", "COPY . /app/", "ENV TRIGGERED=yes", "RUN echo trigger >/order"}
	}
	if err := pushDerived(names["ONBUILD"], base, onbuild); err != nil {
		return nil, err
	}
	if err := pushDerived(names["ODD"], base, func(c *v1.Config) { c.Env = nil }, oddLayers()...); err != nil {
		return nil, err
	}
	if err := pushDerived(names["LINKED"], base, func(*v1.Config) {}, linkedLayers()...); err != nil {
		return nil, err
	}
	return names, pushIndex(names["INDEX"], base)
}

// derive adds layers to an image and changes its config.
func derive(base v1.Image, change func(*v1.Config), layers ...[]byte) (v1.Image, error) {
	for _, content := range layers {
		layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil })
		if err != nil {
			return nil, err
		}
		if base, err = mutate.AppendLayers(base, layer); err != nil {
			return nil, err
		}
	}
	config, err := base.ConfigFile()
	if err != nil {
		return nil, err
	}
	config = config.DeepCopy()
	change(&config.Config)
	return mutate.ConfigFile(base, config)
}

func pushDerived(to string, base v1.Image, change func(*v1.Config), layers ...[]byte) error {
	image, err := derive(base, change, layers...)
	if err != nil {
		return fmt.Errorf("making %s: %w", to, err)
	}
	ref, err := name.ParseReference(to)
	if err != nil {
		return err
	}
	return remote.Write(ref, image)
}

// oddLayers hold what careless readers of layers get wrong.
func oddLayers() [][]byte {
	passwd := "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\nnamed:x:1500:1501:named:/:/bin/sh\n"
	lower := tarOf(
		tar.Header{Name: "etc/passwd", Mode: 0o644, Linkname: passwd},
		tar.Header{Name: "removed", Mode: 0o644, Linkname: "x"},
		tar.Header{Name: "opaque/", Mode: 0o755, Typeflag: tar.TypeDir},
		tar.Header{Name: "opaque/old", Mode: 0o644, Linkname: "x"},
		tar.Header{Name: "deep/removed/file", Mode: 0o644, Linkname: "x"},
		tar.Header{Name: "real/", Mode: 0o755, Typeflag: tar.TypeDir},
		tar.Header{Name: "alias", Mode: 0o777, Typeflag: tar.TypeSymlink, Linkname: "/real"},
		tar.Header{Name: "hard/a", Mode: 0o644, Linkname: "first\n"},
		tar.Header{Name: "hard/b", Mode: 0o644, Typeflag: tar.TypeLink, Linkname: "hard/a"},
		tar.Header{Name: "bin/setuid", Mode: 0o4755, Linkname: "x"},
		tar.Header{Name: "owned", Mode: 0o600, Uid: 1234, Gid: 5678, Linkname: "x"},
		tar.Header{Name: "fifo", Mode: 0o644, Typeflag: tar.TypeFifo},
		tar.Header{Name: "links/one", Mode: 0o644, Linkname: "linked\n"},
		tar.Header{Name: "links/two", Mode: 0o644, Typeflag: tar.TypeLink, Linkname: "links/one"},
		tar.Header{Name: "./usr/share/odd/plain", Mode: 0o644, Linkname: "plain\n"},
		tar.Header{Name: "kept/replaced", Mode: 0o755, Typeflag: tar.TypeDir},
		tar.Header{Name: "kept/replaced/file", Mode: 0o644, Linkname: "x"},
	)
	upper := tarOf(
		tar.Header{Name: ".wh.removed", Mode: 0o644, Linkname: ""},
		tar.Header{Name: "opaque/", Mode: 0o711, Typeflag: tar.TypeDir},
		tar.Header{Name: "opaque/.wh..wh..opq", Mode: 0o644, Linkname: ""},
		tar.Header{Name: "opaque/new", Mode: 0o644, Linkname: "x"},
		tar.Header{Name: "deep/.wh.removed", Mode: 0o644, Linkname: ""},
		tar.Header{Name: "real/through-link", Mode: 0o644, Linkname: "through\n"},
		tar.Header{Name: "hard/a", Mode: 0o644, Linkname: "changed\n"},
		tar.Header{Name: "kept/replaced", Mode: 0o644, Linkname: "file\n"},
	)
	return [][]byte{lower, upper}
}

// linkedLayers hold a file below a path that is a symbolic link in the layer below.
func linkedLayers() [][]byte {
	lower := tarOf(
		tar.Header{Name: "real/", Mode: 0o755, Typeflag: tar.TypeDir},
		tar.Header{Name: "real/old", Mode: 0o644, Linkname: "old\n"},
		tar.Header{Name: "alias", Mode: 0o777, Typeflag: tar.TypeSymlink, Linkname: "/real"},
	)
	upper := tarOf(tar.Header{Name: "alias/new", Mode: 0o644, Linkname: "new\n"})
	return [][]byte{lower, upper}
}

// pushIndex pushes an index of two platforms that differ in one file.
func pushIndex(to string, base v1.Image) error {
	index := v1.ImageIndex(empty.Index)
	for _, arch := range []string{"amd64", "arm64"} {
		text := "other\n"
		if arch == runtime.GOARCH {
			text = "this\n"
		}
		image, err := derive(base, func(*v1.Config) {}, tarOf(tar.Header{Name: "platform", Mode: 0o644, Linkname: text}))
		if err != nil {
			return err
		}
		config, err := image.ConfigFile()
		if err != nil {
			return err
		}
		config = config.DeepCopy()
		config.Architecture = arch
		if image, err = mutate.ConfigFile(image, config); err != nil {
			return err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add:        image,
			Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	ref, err := name.ParseReference(to)
	if err != nil {
		return err
	}
	return remote.WriteIndex(ref, index)
}
