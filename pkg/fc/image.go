package fc

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/fc/props"
	"github.com/devs/deploy/pkg/registry"
	"github.com/devs/deploy/pkg/registry/acr"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
)

func (c *Component) buildCommand() component.Command {
	return component.Command{
		Name:  "build",
		Short: "Build the image of a custom container, without a daemon",
		Flags: selectors(
			component.Flag{Name: "use-docker", Short: "d", Type: component.BoolFlag, Usage: "taken for the sake of old pipelines; no docker is used"},
			component.Flag{Name: "use-buildkit", Type: component.BoolFlag, Usage: "the same"},
			component.Flag{Name: "dockerfile", Short: "f", Type: component.StringFlag, Usage: "the Dockerfile (default the one in codeUri, else ./Dockerfile)"},
			component.Flag{Name: "context", Type: component.StringFlag, Usage: "folder with the files of the image (default the one of the Dockerfile)"},
			skipPushFlag(), pushRegistryFlag(),
		),
		Run:      reported(c.build),
		Examples: []string{"devs build", "devs build --dockerfile ./code/Dockerfile --context ./code"},
	}
}

// build builds the image of the function. What else a function may be needs no image:
// its code is built by hooks.
func (c *Component) build(ctx context.Context, call *component.Call) (*app.Value, error) {
	s := c.open(call)
	config, err := s.parse()
	if err != nil {
		return nil, err
	}
	if config.Function == nil {
		return nil, missing("function")
	}
	if !config.Function.Code.Container {
		s.notify(fmt.Sprintf("function %s has the runtime %s: there is no image to build", config.Function.Name, config.Function.Runtime))
		return nil, nil
	}
	ref, ok := s.imageRef(config)
	if !ok {
		return nil, diag.At(ref.Pos, "the image is not known before the deploy").WithCode(diag.ExitComponent).
			WithHint("write function.customContainerConfig.image as a text or with ${env(...)}")
	}
	file, err := s.dockerfile(config)
	if err != nil {
		return nil, err
	}
	dir := filepath.Dir(file)
	if given := call.Args.String("context"); given != "" {
		dir = s.path(given)
	}
	build := component.ImageBuild{ImageRef: ref, Context: dir, Dockerfile: file}
	if !call.Args.Bool("skip-push") {
		to, err := s.pushTo(ref)
		if err != nil {
			return nil, err
		}
		build.PushTo = &to
	}
	digest, err := call.Images.Build(ctx, build)
	if p, ok := errors.AsType[*diag.Problem](err); ok && errors.Is(err, registry.ErrDenied) {
		denied := *p
		return nil, denied.WithHint("%s; or build with --skip-push, when another job pushes", p.Hint).WithCause(err)
	}
	if err != nil {
		return nil, err
	}
	return app.From(map[string]any{"image": ref.Name, "digest": digest}, diag.Pos{}), nil
}

func (s *session) path(p string) string {
	if filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(s.call.Dir, p)
}

// dockerfile finds the Dockerfile of the function.
func (s *session) dockerfile(config *props.Config) (string, error) {
	if given := s.call.Args.String("dockerfile"); given != "" {
		return s.path(given), nil
	}
	var tried []string
	for _, dir := range []string{config.Function.Code.URI, "."} {
		if dir == "" {
			continue
		}
		for _, name := range []string{"Dockerfile", "dockerfile"} {
			file := filepath.Join(s.path(dir), name)
			if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() {
				return file, nil
			}
		}
		tried = append(tried, filepath.Join(dir, "Dockerfile"))
	}
	return "", diag.At(config.Function.Pos, "there is no Dockerfile for function %s", config.Function.Name).WithCode(diag.ExitComponent).
		WithHint("write %s, or name it with --dockerfile", strings.Join(tried, " or "))
}

// imageRef is the image that the props name; false when only a deploy will tell it.
func (s *session) imageRef(config *props.Config) (component.ImageRef, bool) {
	box, _ := config.Function.Attrs["customContainerConfig"].(map[string]any)
	ref := component.ImageRef{Pos: config.Function.Pos, Credential: s.call.Credential, InstanceID: plain(box["instanceID"]), Name: plain(box["image"])}
	if at := s.props.Get("function", "customContainerConfig", "image"); at != nil {
		ref.Pos = at.Pos
	}
	if ref.Name != "" && s.call.Public != nil {
		s.call.Public(ref.Name)
	}
	return ref, ref.Name != ""
}

// plain returns a text attribute, "" for what is none or not known yet.
func plain(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case secret.String:
		return v.Reveal()
	}
	return ""
}

// pinImage replaces the tag of a function's image by the digest that is deployed:
// that of the image that was built here, which is pushed before the function is
// changed, else the one to which the tag leads in the registry now.
func (s *session) pinImage(ctx context.Context, config *props.Config, resources []*resource.Resource) error {
	if config.Function == nil || !config.Function.Code.Container || s.call.Images == nil || s.call.Args.String("type") == "config" {
		return nil
	}
	for _, r := range resources {
		if r.Kind != props.FunctionKind || r.Absent {
			continue
		}
		if s.call.CodeLater { // a hook may still build it
			r.Attrs["customContainerConfig"] = withImage(r.Attrs, app.UnknownValue{Expr: "the image that the hooks build"})
			return nil
		}
		return s.pin(ctx, config, r)
	}
	return nil
}

func (s *session) pin(ctx context.Context, config *props.Config, r *resource.Resource) error {
	ref, ok := s.imageRef(config)
	if !ok || strings.Contains(ref.Name, "@") {
		return nil
	}
	to, err := s.pushTo(ref)
	if err != nil {
		return err
	}
	if !s.call.Args.Bool("skip-push") {
		built, err := s.call.Images.Built(ref)
		if err != nil {
			return err
		}
		if built != "" {
			if s.call.Command == "deploy" && s.call.Preview { // before the first change of all
				if err := s.call.Images.CanPush(ctx, to); err != nil {
					return err
				}
			}
			r.Attrs["customContainerConfig"] = withImage(r.Attrs, pinned(ref.Name, built))
			r.Prepare = func(ctx context.Context) error { return s.push(ctx, ref, to, built) }
			return nil
		}
		if s.call.Args.String("push-registry") != "" {
			return diag.At(ref.Pos, "there is no image to push: %s was not built here", ref.Name).WithCode(diag.ExitComponent).
				WithHint("build it with devs build, or leave --push-registry out to deploy what the registry has")
		}
	}
	digest, err := s.call.Images.Digest(ctx, to)
	switch {
	case err != nil:
		return err
	case digest == "":
		return diag.At(ref.Pos, "the image %s is not in its registry, and was not built here", ref.Name).WithCode(diag.ExitComponent).
			WithHint("build it with devs build, or push it")
	}
	r.Attrs["customContainerConfig"] = withImage(r.Attrs, pinned(ref.Name, digest))
	return nil
}

// pushTo is the address over which the image is pushed.
func (s *session) pushTo(ref component.ImageRef) (component.ImageRef, error) {
	to := ref
	var err error
	to.Name, err = acr.PushImage(ref.Name, s.call.Args.String("push-registry"))
	return to, err
}

// push pushes what was built, when it still is what was planned, and checks that the
// registry has it then.
func (s *session) push(ctx context.Context, ref, to component.ImageRef, planned string) error {
	built, err := s.call.Images.Built(ref)
	if err != nil {
		return err
	}
	if built != planned {
		return diag.At(ref.Pos, "the image was built anew since the plan: it is %s, not %s; nothing was deployed", built, planned).
			WithCode(diag.ExitComponent).WithHint("deploy again")
	}
	digest, err := s.call.Images.Push(ctx, ref, to)
	if err != nil {
		return err
	}
	if digest != planned {
		return diag.At(ref.Pos, "the registry has %s under %s after the push, not %s; nothing was deployed", digest, to.Name, planned).
			WithCode(diag.ExitComponent).WithHint("let nobody else push that tag meanwhile, and deploy again")
	}
	s.notify("pushed " + pinned(to.Name, digest))
	return nil
}

// pinned returns repository@digest of repository:tag.
func pinned(image, digest string) string {
	head, last := "", image
	if i := strings.LastIndex(image, "/"); i >= 0 {
		head, last = image[:i+1], image[i+1:]
	}
	last, _, _ = strings.Cut(last, ":")
	return head + last + "@" + digest
}

// withImage returns customContainerConfig with another image.
func withImage(attrs resource.Attributes, image any) map[string]any {
	old, _ := attrs["customContainerConfig"].(map[string]any)
	out := make(map[string]any, len(old))
	for k, v := range old {
		out[k] = v
	}
	out["image"] = image
	return out
}
