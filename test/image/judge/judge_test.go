package judge

import (
	"errors"
	"flag"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
)

// update writes the files named expected from what the modern judge builds.
var update = flag.Bool("update", false, "write the expected listings from the modern judge's images")

// suite is what all tests of one run share.
type suite struct {
	World
	names map[string]string // for @NAME@ in Dockerfiles
	base  *Image            // busybox
	table []Allowed
	mu    sync.Mutex
	used  []bool
}

// start skips where judge.sh has not started the daemon and the registry.
func start(t *testing.T) *suite {
	t.Helper()
	w := worldFromEnv()
	if w.Registry == "" || w.Docker == "" {
		t.Skip("needs a dockerd and a registry: run test/image/judge.sh")
	}
	s := &suite{World: w, table: allowedDifferences()}
	s.used = make([]bool, len(s.table))
	var err error
	if s.names, err = pushOddBases(w.Registry, w.Busybox); err != nil {
		t.Fatal(err)
	}
	served, err := handler(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: served}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Close(), ignoreClosed(<-done)); err != nil {
			t.Error(err)
		}
	})
	s.names["HTTP"] = "http://" + listener.Addr().String()
	s.names["FILE_SHA256"] = servedSHA256()
	s.names["REGISTRY"] = w.Registry
	s.names["LOOPBACK_HOST"] = "127.0.0.1"
	if _, s.names["LOOPBACK_PORT"], err = net.SplitHostPort(w.Registry); err != nil {
		t.Fatal(err)
	}
	if s.base, err = w.Load(t.Context(), w.Busybox); err != nil {
		t.Fatal(err)
	}
	return s
}

func ignoreClosed(err error) error {
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// prepare makes a copy of a case for a builder; the names of caches are its own.
func (s *suite) prepare(t *testing.T, c *Case, builder string) *Prepared {
	t.Helper()
	names := map[string]string{"UNIQUE": c.Name + "-" + builder}
	for name, value := range s.names {
		names[name] = value
	}
	dir, err := os.MkdirTemp(s.Work, "case")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	p, err := c.Prepare(dir, names)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestSuite(t *testing.T) {
	s := start(t)
	cases, err := LoadCases(suiteRoot())
	if err != nil {
		t.Fatal(err)
	}
	t.Run("case", func(t *testing.T) {
		for _, c := range cases {
			t.Run(c.Name, func(t *testing.T) {
				if c.Heavy && !s.Heavy {
					t.Skip("takes minutes: run judge.sh with JUDGE_HEAVY=1")
				}
				t.Parallel()
				s.judge(t, c)
			})
		}
	})
	for i, a := range s.table {
		if !s.used[i] && s.complete() {
			t.Errorf("no image needs this allowed difference: %+v", a)
		}
	}
}

// complete says whether every builder and every case took part.
func (s *suite) complete() bool {
	return len(s.Builders()) == 6 && s.Heavy && flag.Lookup("test.run").Value.String() == ""
}

// judge builds a case with everyone and compares.
func (s *suite) judge(t *testing.T, c *Case) {
	images := map[string]*Image{}
	for _, builder := range s.Builders() {
		if c.Skip[builder] != "" || builder == user && c.SSH { // the agent serves its own user alone
			continue
		}
		if image := s.build(t, c, builder); image != nil {
			images[builder] = image
		}
	}
	// Over another base than busybox the listing would be that of the base.
	fromBusybox := images[modern] != nil && (len(images[modern].Tree) < 100 || images[modern].Tree["bin/busybox"] == s.base.Tree["bin/busybox"])
	if *update && fromBusybox && c.Skip[buildkit] != "" {
		if err := os.WriteFile(filepath.Join(c.Dir, expectedFile), []byte(Listing(images[modern], s.base)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	order := s.Builders()
	for i, builder := range order {
		got := images[builder]
		if got == nil {
			continue
		}
		s.compareExpected(t, c, builder, got)
		for _, judge := range order[i+1:] {
			if want := images[judge]; want != nil && !ours(judge) {
				s.compare(t, c, builder, judge, got, want)
			}
		}
	}
}

// build builds, loads and starts the image of a case; nil when there is none.
func (s *suite) build(t *testing.T, c *Case, builder string) *Image {
	p := s.prepare(t, c, builder)
	before := fingerprint(t, p.Dir)
	ref := s.Registry + "/case/" + c.Name + "/" + builder + ":v1" // a repository has a cache: each does all work itself
	output, err := s.Build(t.Context(), builder, p, ref)
	if strings.Contains(output, canary) {
		t.Errorf("%s: the output shows what stands in the environment of the builder:\n%s", builder, output)
	}
	if after := fingerprint(t, p.Dir); after != before {
		t.Errorf("%s: the build changed its context:\nbefore\n%s\nafter\n%s", builder, before, after)
	}
	refused := c.MayRefuse != "" && err != nil && regexp.MustCompile(c.MayRefuse).MatchString(output)
	switch {
	case c.Fails != "":
		if err == nil {
			t.Errorf("%s: built, and should have failed with %s", builder, c.Fails)
		} else if !regexp.MustCompile(c.Fails).MatchString(output) {
			t.Errorf("%s: failed, and not with %s:\n%s", builder, c.Fails, tail(output, 30))
		}
		return nil
	case refused && ours(builder):
		t.Logf("%s: refused: %s", builder, tail(output, 4))
		return nil
	case err != nil:
		t.Errorf("%s: %v\n%s", builder, err, tail(output, 40))
		return nil
	}
	image, err := s.Load(t.Context(), ref)
	if err != nil {
		t.Errorf("%s: %v", builder, err)
		return nil
	}
	s.start(t, c, builder, ref)
	if ours(builder) {
		s.skopeo(t, builder, ref)
	}
	return image
}

// start runs the image with dockerd.
func (s *suite) start(t *testing.T, c *Case, builder, ref string) {
	if c.Run == nil {
		return
	}
	args := append([]string{s.Docker, "run", "--rm", "--network=host", ref}, c.Run.Args...)
	all, stdout, err := s.run(t.Context(), command{args: args})
	if err != nil || stdout != c.Run.Stdout {
		t.Errorf("%s: docker run %s: %v, %q; want %q\n%s", builder, strings.Join(c.Run.Args, " "), err, stdout, c.Run.Stdout, all)
	}
}

// skopeo copies the image to an OCI layout, which checks every digest.
func (s *suite) skopeo(t *testing.T, builder, ref string) {
	dir := filepath.Join(t.TempDir(), "layout")
	all, _, err := s.run(t.Context(), command{args: []string{"skopeo", "copy", "-q", "--src-tls-verify=false", "docker://" + ref, "oci:" + dir + ":latest"}})
	if err != nil {
		t.Errorf("%s: skopeo copy: %v\n%s", builder, err, all)
	}
}

func (s *suite) compare(t *testing.T, c *Case, builder, judge string, got, want *Image) {
	s.mu.Lock()
	open := split(s.table, s.used, builder, judge, c.Name, Compare(got, want))
	s.mu.Unlock()
	for i, d := range open {
		if i == 30 {
			t.Errorf("%s against %s: and %d more", builder, judge, len(open)-i)
			break
		}
		t.Errorf("%s against %s: %s", builder, judge, d)
	}
}

// compareExpected compares with the listing that the modern judge gave, for cases that
// docker's own judges can not build.
func (s *suite) compareExpected(t *testing.T, c *Case, builder string, got *Image) {
	if builder == classic || builder == buildkit {
		return
	}
	want, err := os.ReadFile(filepath.Join(c.Dir, expectedFile))
	if errors.Is(err, os.ErrNotExist) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	if listing := Listing(got, s.base); listing != string(want) {
		t.Errorf("%s: not as expected:\n%s", builder, lineDifference(listing, string(want)))
	}
}

func lineDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	var out []string
	for _, line := range g {
		if !slices.Contains(w, line) {
			out = append(out, "    got  "+line)
		}
	}
	for _, line := range w {
		if !slices.Contains(g, line) {
			out = append(out, "    want "+line)
		}
	}
	return strings.Join(out, "\n")
}

// fingerprint lists a folder with everything that a build must leave alone.
func fingerprint(t *testing.T, dir string) string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		lines = append(lines, path+" "+info.Mode().String()+" "+info.ModTime().UTC().String())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}
