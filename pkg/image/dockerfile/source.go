package dockerfile

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"

	"github.com/devs/deploy/pkg/diag"
)

// String returns the source for people: the image, "stage 2 (build)" and so on.
func (s Source) String() string {
	switch s.Kind {
	case Scratch:
		return "scratch"
	case StageRef:
		if s.Name != "" {
			return "stage " + strconv.Itoa(s.Stage) + " (" + s.Name + ")"
		}
		return "stage " + strconv.Itoa(s.Stage)
	case Image:
		return s.Image
	case Named:
		return "build context " + s.Name
	}
	return "the build context"
}

func stageSource(s *Stage) Source { return Source{Kind: StageRef, Stage: s.Index, Name: s.Name} }

// base returns what FROM name means in stage index: an earlier stage, nothing, a named
// context, or an image.
func (f *File) base(index int, name string) (Source, error) {
	if s := f.earlier(index, name); s != nil {
		return stageSource(s), nil
	}
	return f.outside(name)
}

// from returns what --from=name means in stage index. Numbers are stages where
// byNumber says so (COPY, not RUN --mount).
func (f *File) from(index int, name string, byNumber bool) (Source, error) {
	if n, err := strconv.Atoi(name); byNumber && err == nil {
		if n < 0 || n >= len(f.all) {
			return Source{}, diag.Errorf("there is no stage %d", n).
				WithHint("the file has the stages 0 to %d", len(f.all)-1)
		}
		if n >= index {
			return Source{}, f.tooLate(index, f.all[n])
		}
		return stageSource(f.all[n]), nil
	}
	if s := f.earlier(index, name); s != nil {
		return stageSource(s), nil
	}
	for _, s := range f.all[index:] {
		if s.Name != "" && s.Name == strings.ToLower(name) {
			return Source{}, f.tooLate(index, s)
		}
	}
	return f.outside(name)
}

func (f *File) tooLate(index int, s *Stage) error {
	if s.Index == index {
		return diag.Errorf("a stage cannot take files from itself").WithHint("name an earlier stage or an image")
	}
	return diag.Errorf("%s stands after this one, so it cannot give files to it", stageSource(s)).
		WithHint("move the stage before the one that uses it")
}

// earlier returns the last stage before index with a name.
func (f *File) earlier(index int, name string) *Stage {
	for _, s := range slices.Backward(f.all[:index]) {
		if s.Name != "" && s.Name == strings.ToLower(name) {
			return s
		}
	}
	return nil
}

// outside returns what a name means that is no stage.
func (f *File) outside(ref string) (Source, error) {
	if ref == "scratch" {
		return Source{Kind: Scratch}, nil
	}
	if s, ok, err := f.named(ref); ok || err != nil {
		return s, err
	}
	return imageSource(ref)
}

func imageSource(ref string) (Source, error) {
	if _, err := name.ParseReference(ref); err != nil {
		return Source{}, diag.Errorf("%q is no name of an image", ref).WithCause(err).WithDetail(err.Error()).
			WithHint("write it as repository:tag, in lower case")
	}
	return Source{Kind: Image, Image: ref}, nil
}

// named returns the --build-context that stands for a name.
func (f *File) named(ref string) (Source, bool, error) {
	if ref == "context" || ref == "scratch" {
		return Source{}, false, nil
	}
	for _, key := range slices.Sorted(maps.Keys(f.options.Contexts)) {
		if familiar(key) != familiar(ref) {
			continue
		}
		value := f.options.Contexts[key]
		image, isImage := strings.CutPrefix(value, "docker-image://")
		switch {
		case isImage && image == "scratch":
			return Source{Kind: Scratch}, true, nil
		case isImage:
			s, err := imageSource(image)
			return s, true, err
		case RemoteOf(value) != Local || strings.HasPrefix(value, "oci-layout://") || strings.HasPrefix(value, "target:"):
			return Source{}, false, diag.Errorf("--build-context %s=%s: this kind of context is not supported", key, value).
				WithHint("give a folder or docker-image://REFERENCE")
		}
		return Source{Kind: Named, Name: key, Path: value}, true, nil
	}
	return Source{}, false, nil
}

// familiar shortens a name of an image as docker does, so that alpine,
// docker.io/library/alpine and alpine:latest are the same.
func familiar(ref string) string {
	ref = strings.ToLower(ref)
	ref = strings.TrimPrefix(ref, "docker.io/")
	ref = strings.TrimPrefix(ref, "library/")
	return strings.TrimSuffix(ref, ":latest")
}

// Remote tells paths from addresses among the sources of ADD.
type Remote int

// The kinds of sources of ADD.
const (
	Local Remote = iota // a path in the build context
	HTTP                // a file at an http or https URL
	Git                 // a git repository
)

// RemoteOf tells what a source of ADD is. An http URL is a repository when its path
// ends with .git; git@host:path is one over SSH.
func RemoteOf(source string) Remote {
	scheme, _, ok := strings.Cut(source, "://")
	if !ok {
		if isSCP(source) {
			return Git
		}
		return Local
	}
	switch strings.ToLower(scheme) {
	case "http", "https":
		if u, err := url.Parse(source); err == nil && strings.HasSuffix(u.Path, ".git") {
			return Git
		}
		return HTTP
	case "git", "ssh":
		return Git
	}
	return Local
}

// isSCP reports whether s has the form user@host:path.
func isSCP(s string) bool {
	address, path, ok := strings.Cut(s, ":")
	user, host, at := strings.Cut(address, "@")
	return ok && at && user != "" && host != "" && path != "" && !strings.ContainsAny(address, "/*?[ ")
}
