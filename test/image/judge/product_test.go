package judge

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/klauspost/compress/zstd"
)

func readFile(path string) (string, error) {
	content, err := os.ReadFile(path)
	return string(content), err
}

// product are our builders that are here; without any there is nothing to test.
func (s *suite) product(t *testing.T) []string {
	t.Helper()
	var list []string
	for _, builder := range s.Builders() {
		if ours(builder) && builder != user { // which differs in RUN alone
			list = append(list, builder)
		}
	}
	if len(list) == 0 {
		t.Skip("needs the product: DEVS_BIN, DEVS_IMAGE")
	}
	return list
}

// dockerfileCase is a case that is written here.
func dockerfileCase(t *testing.T, title, dockerfile string, files map[string]string) *Case {
	t.Helper()
	dir := t.TempDir()
	if err := write(filepath.Join(dir, "Dockerfile"), dockerfile, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, content := range files {
		if err := write(filepath.Join(dir, path), content, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return &Case{Name: title, Dir: dir, File: "Dockerfile"}
}

func digestOf(t *testing.T, ref string) v1.Hash {
	t.Helper()
	parsed, err := name.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	head, err := remote.Head(parsed)
	if err != nil {
		t.Fatal(err)
	}
	return head.Digest
}

// TestSameDigest builds cases without their RUN: another checkout (times, owner, place)
// and another machine give the same digest, with and without a cache.
func TestSameDigest(t *testing.T) {
	s := start(t)
	builders := s.product(t)
	run := regexp.MustCompile(`(?m)^RUN .*\n`)
	for _, title := range []string{"copy-basic", "copy-wildcards", "copy-chmod", "copy-names", "copy-modes", "copy-hardlinks", "copy-symlinks",
		"add-archives", "dockerignore", "config", "workdir-only", "odd-base-copy", "from-scratch", "multi-stage-target", "copy-link", "copy-parents"} {
		c, err := loadCase(title)
		if err != nil {
			t.Fatal(err)
		}
		digests := map[string][]string{}
		for round, builder := range append(builders, builders...) {
			p := s.prepare(t, c, builder)
			text, err := readFile(p.Dockerfile)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(p.Dockerfile, []byte(run.ReplaceAllString(text, "")), 0o644); err != nil {
				t.Fatal(err)
			}
			if round%2 == 1 {
				disguise(t, p.Dir)
			}
			ref := fmt.Sprintf("%s/same/%s-%d:latest", s.Registry, title, round)
			if out, err := s.Build(t.Context(), builder, p, ref); err != nil {
				t.Errorf("%s: %s: %v\n%s", title, builder, err, tail(out, 30))
				continue
			}
			digest := digestOf(t, ref).String()
			digests[digest] = append(digests[digest], fmt.Sprintf("%s, round %d", builder, round))
		}
		if len(digests) != 1 {
			t.Errorf("%s: several digests: %v", title, digests)
		}
	}
}

func loadCase(title string) (*Case, error) {
	cases, err := LoadCases(suiteRoot())
	if err != nil {
		return nil, err
	}
	for _, c := range cases {
		if c.Name == title {
			return c, nil
		}
	}
	return nil, fmt.Errorf("no case %s", title)
}

// disguise makes a folder look like another checkout of the same sources.
func disguise(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		at := time.Date(2024, 5, 6, 7, 8, rand.IntN(60), 0, time.UTC)
		if d.Type()&fs.ModeSymlink == 0 {
			err = os.Chtimes(path, at, at)
		}
		return errors.Join(err, os.Lchown(path, 1000, 1000))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestCanary: a secret and the environment of the builder are in no layer, config,
// cache and log.
func TestCanary(t *testing.T) {
	s := start(t)
	dockerfile := `ARG BUSYBOX=busybox
FROM ${BUSYBOX}
RUN --mount=type=secret,id=token --mount=type=cache,target=/cache test "$(wc -c </run/secrets/token)" = 24 && cp /etc/passwd /cache/ && echo made >/made
RUN --mount=type=secret,id=token,env=TOKEN test -n "$TOKEN" && echo made >/made2
RUN env >/environment; cat /proc/*/environ >/environments 2>/dev/null; cat /proc/1/environ /proc/self/environ /proc/$PPID/environ 2>/dev/null; cat /proc/*/cmdline >/commands 2>/dev/null; true
RUN find / -xdev -type f 2>/dev/null | head -1000 >/files; cat /proc/*/root/run/secrets/token /.devs/tmp/* 2>/dev/null; true
COPY . /app
`
	secret := "secret-7d1e0a9b3c5f24680" // 24 bytes
	for _, builder := range s.product(t) {
		c := dockerfileCase(t, "canary", dockerfile, map[string]string{"file": "x"})
		c.Secrets = map[string]string{"token": secret}
		repository := "canary-" + builder
		out, err := s.Build(t.Context(), builder, s.prepare(t, c, builder), s.Registry+"/"+repository+":latest")
		if err != nil {
			t.Errorf("%s: %v\n%s", builder, err, tail(out, 30))
			continue
		}
		for _, needle := range []string{secret, canary} {
			if strings.Contains(out, needle) {
				t.Errorf("%s: %s is in the log:\n%s", builder, needle, out)
			}
			for _, where := range s.find(t, repository, needle) {
				t.Errorf("%s: %s is in %s", builder, needle, where)
			}
		}
	}
}

// find looks for a text in everything that the registry holds of a repository, and in
// the caches of this machine.
func (s *suite) find(t *testing.T, repository, needle string) (found []string) {
	t.Helper()
	data := filepath.Join(filepath.Dir(s.Work), "registry", "data", "docker", "registry", "v2")
	blobs := 0
	err := filepath.WalkDir(filepath.Join(data, "repositories", repository), func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.Name() != "link" {
			return err
		}
		link, err := readFile(path)
		if err != nil {
			return err
		}
		_, hex, _ := strings.Cut(strings.TrimSpace(link), ":")
		content, err := os.ReadFile(filepath.Join(data, "blobs", "sha256", hex[:2], hex, "data"))
		if err != nil {
			return err
		}
		blobs++
		if bytes.Contains(unpacked(content), []byte(needle)) || bytes.Contains(content, []byte(needle)) {
			found = append(found, path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if blobs < 5 {
		t.Errorf("only %d blobs in %s", blobs, repository)
	}
	err = filepath.WalkDir(filepath.Join(s.Work, "cache"), func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(unpacked(content), []byte(needle)) || bytes.Contains(content, []byte(needle)) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// unpacked is the content of a blob; what is no archive is nothing.
func unpacked(content []byte) []byte {
	if r, err := gzip.NewReader(bytes.NewReader(content)); err == nil {
		all, _ := io.ReadAll(r) // a half archive is searched as far as it goes
		return all
	}
	decoder, err := zstd.NewReader(nil)
	if err != nil {
		return nil
	}
	defer decoder.Close()
	all, _ := decoder.DecodeAll(content, nil)
	return all
}

// TestPlatforms builds an index without RUN, and is refused a RUN of a foreign platform.
func TestPlatforms(t *testing.T) {
	s := start(t)
	for _, builder := range s.product(t) {
		c := dockerfileCase(t, "platforms", "FROM @INDEX@\nARG TARGETARCH\nCOPY file /$TARGETARCH\n", map[string]string{"file": "x"})
		ref := s.Registry + "/platforms-" + builder + ":latest"
		out, err := s.Build(t.Context(), builder, s.prepare(t, c, builder), ref, "--platform", "linux/amd64,linux/arm64")
		if err != nil {
			t.Errorf("%s: %v\n%s", builder, err, tail(out, 30))
			continue
		}
		parsed, err := name.ParseReference(ref)
		if err != nil {
			t.Fatal(err)
		}
		for _, arch := range []string{"amd64", "arm64"} {
			image, err := remote.Image(parsed, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: arch}))
			if err != nil {
				t.Errorf("%s: %s: %v", builder, arch, err)
				continue
			}
			config, err := image.ConfigFile()
			if err != nil || config.Architecture != arch {
				t.Errorf("%s: %s: the config says %v, %v", builder, arch, config, err)
			}
		}
		c = dockerfileCase(t, "platforms", "FROM @INDEX@\nRUN true\n", nil)
		out, err = s.Build(t.Context(), builder, s.prepare(t, c, builder), ref, "--platform", "linux/amd64,linux/arm64")
		if err == nil || !strings.Contains(out, "arm64") && !strings.Contains(out, "amd64") {
			t.Errorf("%s: a RUN of a foreign platform: %v\n%s", builder, err, tail(out, 10))
		}
	}
}

// TestForms builds every form of an image, and with a given time.
func TestForms(t *testing.T) {
	s := start(t)
	builder := s.product(t)[0]
	forms := []struct {
		flags        []string
		image, layer string
	}{
		{nil, "application/vnd.docker.distribution.manifest.v2+json", "application/vnd.docker.image.rootfs.diff.tar.gzip"},
		{[]string{"--format", "oci"}, "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.layer.v1.tar+gzip"},
		{[]string{"--format", "oci", "--compression", "zstd"}, "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.layer.v1.tar+zstd"},
		{[]string{"--format", "oci", "--compression", "none"}, "application/vnd.oci.image.manifest.v1+json", "application/vnd.oci.image.layer.v1.tar"},
	}
	t.Setenv("SOURCE_DATE_EPOCH", "1234567890")
	for i, form := range forms {
		c := dockerfileCase(t, "forms", "FROM scratch\nCOPY file /file\n", map[string]string{"file": "x"})
		ref := fmt.Sprintf("%s/forms-%d:latest", s.Registry, i)
		if out, err := s.Build(t.Context(), builder, s.prepare(t, c, builder), ref, form.flags...); err != nil {
			t.Errorf("%v: %v\n%s", form.flags, err, tail(out, 20))
			continue
		}
		parsed, err := name.ParseReference(ref)
		if err != nil {
			t.Fatal(err)
		}
		image, err := remote.Image(parsed)
		if err != nil {
			t.Fatal(err)
		}
		manifest, err := image.Manifest()
		if err != nil {
			t.Fatal(err)
		}
		config, err := image.ConfigFile()
		if err != nil {
			t.Fatal(err)
		}
		if string(manifest.MediaType) != form.image || string(manifest.Layers[0].MediaType) != form.layer {
			t.Errorf("%v: %s, %s", form.flags, manifest.MediaType, manifest.Layers[0].MediaType)
		}
		if config.Created.Unix() != 1234567890 {
			t.Errorf("%v: created %v", form.flags, config.Created)
		}
	}
}
