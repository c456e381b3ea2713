package image_test

import (
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image"
	"github.com/devs/deploy/pkg/image/sandbox"
)

// TestReadOnlyMounts has commands that write to mounts that are read-only: they fail,
// also where nothing can be mounted, and others do not.
func TestReadOnlyMounts(t *testing.T) {
	w := newWorld(t)
	w.busybox()
	w.write("sub/file", "text", "one", "single")
	const bind = "RUN --mount=type=bind,target=/ctx "
	cases := []struct{ title, run, problem string }{
		{"reads", bind + "cat /ctx/sub/file && ls -l /ctx > /dev/null", ""},
		{"new file", bind + "touch /ctx/new", "changed /ctx/new, and the mount /ctx is read-only"},
		{"new folder", bind + "mkdir /ctx/sub/new", "changed /ctx/sub/new, and the mount /ctx is read-only"},
		{"content", bind + "echo x >> /ctx/sub/file", "changed /ctx/sub/file, and"},
		{"mode", bind + "chmod 777 /ctx/sub", "changed /ctx/sub, and"},
		{"gone", bind + "rm -r /ctx/sub", "changed /ctx/sub, and"},
		{"all gone", bind + "rm -r /ctx", "changed /ctx, and"},
		{"one file", "RUN --mount=type=bind,source=one,target=/opt/one echo x >/opt/one", "changed /opt/one, and the mount /opt/one is read-only"},
		{"one file is read", "RUN --mount=type=bind,source=one,target=/opt/one cat /opt/one && touch /opt/two", ""},
		{"cache", "RUN --mount=type=cache,id=ro,target=/c,readonly touch /c/x", "changed /c/x, and the mount /c is read-only"},
		{"writable", "RUN --mount=type=bind,rw,target=/ctx touch /ctx/new", ""},
		{"cache inside", "RUN --mount=type=bind,target=/ctx --mount=type=cache,target=/ctx/sub touch /ctx/sub/x", ""},
		{"compiled files of Python", bind + "mkdir /ctx/__pycache__ 2>/dev/null && touch /ctx/__pycache__/x; true", ""},
	}
	for _, level := range []string{"namespaces", "chroot"} {
		box := sandbox.Probe(sandbox.Config{Isolation: level})
		if box.Err() != nil {
			t.Logf("no %s: %v", level, box)
			continue
		}
		for _, c := range cases {
			t.Run(level+"/"+c.title, func(t *testing.T) {
				w := newWorldAt(w, w.dir)
				w.t = t
				w.write("Dockerfile", "ARG HOST\nFROM $HOST/base:v1\n"+c.run+"\n")
				_, err := w.build("app", noCache, func(cfg *image.Config, _ *image.Options) { cfg.Sandbox = func() *sandbox.Sandbox { return box } })
				want := c.problem
				if want != "" && level == "namespaces" {
					want = "the command failed" // the kernel refused it
				}
				text := diag.Render(err)
				if (want == "") != (err == nil) || !strings.Contains(text, want) {
					t.Errorf("got %s, want %q\n%s", text, want, w.log.String())
				}
				if err != nil && !strings.Contains(text, "Dockerfile:3:1") {
					t.Errorf("no place in %s", text)
				}
			})
		}
	}
}

// TestSizeOfTmpfs refuses a size where it cannot be kept.
func TestSizeOfTmpfs(t *testing.T) {
	w := newWorld(t)
	w.busybox()
	w.write("Dockerfile", "ARG HOST\nFROM $HOST/base:v1\nRUN --mount=type=tmpfs,target=/scratch,size=64k ! cat /bin/busybox > /scratch/large\n")
	for level, want := range map[string]string{
		"namespaces": "", "chroot": "Dockerfile:3:1: the size of the tmpfs mount /scratch cannot be kept: nothing can be mounted with the isolation chroot",
	} {
		box := sandbox.Probe(sandbox.Config{Isolation: level})
		if box.Err() != nil {
			t.Logf("no %s: %v", level, box)
			continue
		}
		_, err := w.build("app", noCache, func(cfg *image.Config, _ *image.Options) { cfg.Sandbox = func() *sandbox.Sandbox { return box } })
		if text := diag.Render(err); (want == "") != (err == nil) || !strings.Contains(text, want) {
			t.Errorf("%s: got %s, want %q\n%s", level, text, want, w.log.String())
		}
	}
}
