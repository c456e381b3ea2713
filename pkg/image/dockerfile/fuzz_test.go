package dockerfile_test

import (
	"errors"
	"os"
	"path"
	"strings"
	"testing"

	v1 "github.com/google/go-containerregistry/pkg/v1"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/dockerfile"
)

// FuzzParse parses and evaluates anything: it either works or is a Problem, paths are
// absolute, and a second evaluation gives the same steps.
func FuzzParse(f *testing.F) {
	for _, p := range problems() {
		f.Add(p.src, "RUN x", "a")
	}
	for _, seed := range []string{
		"# escape=`\nFROM base AS a\nARG A=1\nONBUILD COPY <<E /f\n$A\nE\nFROM a\nRUN --mount=type=cache,target=$A x\nEXPOSE 1-9/udp $A\nCMD [\"x\"]\n",
		"FROM trigger\nENV A=${B:-${C//x/y}} D='$A'\nWORKDIR $A/../x\nCOPY --from=0 $A ${D%%x} .\nHEALTHCHECK --interval=1s CMD x\nVOLUME $A\nUSER $A\n",
		"ARG A=b\nFROM --platform=$BUILDPLATFORM $A AS x\nRUN <<-E cat <<F\n\ta\n\tE\n$b\nF\nSTOPSIGNAL $S\nLABEL a=b \"c d\"=$A\nSHELL [\"a\"]\nENTRYPOINT b\n",
	} {
		f.Add(seed, "COPY --from=x a b", "value")
	}
	if files, err := os.ReadDir("../../../../shared/corpus/dockerfiles"); err == nil {
		for _, file := range files {
			if src, err := os.ReadFile(path.Join("../../../../shared/corpus/dockerfiles", file.Name())); err == nil {
				f.Add(string(src), "RUN x", "a")
			}
		}
	}
	f.Fuzz(func(t *testing.T, src, trigger, value string) {
		file, err := dockerfile.Parse("Dockerfile", []byte(src), dockerfile.Options{
			BuildArgs: map[string]string{"A": value, "http_proxy": value}, Contexts: map[string]string{"ctx": "dir", "img": "docker-image://x"},
		})
		if err != nil {
			mustBeProblem(t, err)
			return
		}
		if file.Describe() == "" || len(file.Stages) == 0 {
			t.Error("a file without a plan")
		}
		first, err := keys(t, file, trigger)
		if err != nil {
			mustBeProblem(t, err)
		}
		second, again := keys(t, file, trigger)
		if first != second || (err == nil) != (again == nil) {
			t.Errorf("two evaluations differ:\n%s\n%v\n%s\n%v", first, err, second, again)
		}
	})
}

func mustBeProblem(t *testing.T, err error) {
	t.Helper()
	p, ok := errors.AsType[*diag.Problem](err)
	if !ok || p.Summary == "" || p.Pos.File != "Dockerfile" || strings.Contains(p.Summary, "\n") {
		t.Errorf("not a good problem: %#v", err)
	}
}

// keys evaluates file and returns all keys.
func keys(t *testing.T, file *dockerfile.File, trigger string) (string, error) {
	var all strings.Builder
	states := map[int]*dockerfile.State{}
	for _, stage := range file.Stages {
		var s *dockerfile.State
		var err error
		if stage.Base.Kind == dockerfile.StageRef {
			s, err = file.StateOn(stage, states[stage.Base.Stage])
		} else {
			s, err = file.State(stage, &v1.ConfigFile{Config: v1.Config{OnBuild: []string{trigger}, WorkingDir: "rel"}})
		}
		if err != nil {
			return "", err
		}
		states[stage.Index] = s
		for {
			op, more, err := s.Next()
			if err != nil {
				return "", err
			}
			if !more {
				break
			}
			if op != nil {
				checkOp(t, op)
				all.WriteString(op.Key())
			}
		}
	}
	return all.String(), nil
}

func checkOp(t *testing.T, op dockerfile.Op) {
	t.Helper()
	var paths []string
	switch o := op.(type) {
	case *dockerfile.Run:
		paths = append(paths, o.Dir)
		for _, m := range o.Mounts {
			if m.Target != "" {
				paths = append(paths, m.Target)
			}
		}
		for _, f := range o.Files {
			paths = append(paths, f.Path)
		}
	case *dockerfile.Copy:
		paths = append(paths, o.Dest)
		if len(o.SourceAt) != len(o.Sources) {
			t.Errorf("%d places of %d sources", len(o.SourceAt), len(o.Sources))
		}
	case *dockerfile.Workdir:
		paths = append(paths, o.Path)
	}
	for _, p := range paths {
		if !path.IsAbs(p) || path.Clean(p) != p && path.Clean(p)+"/" != p {
			t.Errorf("%T has the path %q", op, p)
		}
	}
}
