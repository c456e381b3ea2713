package cli

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/spf13/cobra"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image"
	"github.com/devs/deploy/pkg/image/sandbox"
	"github.com/devs/deploy/pkg/image/store"
	"github.com/devs/deploy/pkg/registry"
)

// newImage is a command with a tree of its own, as its -t, -f and -o are those of
// docker build and not those of s.
func (t *tool) newImage() *cobra.Command {
	return &cobra.Command{
		Use:                "image",
		Short:              "Build images from Dockerfiles, without a daemon",
		DisableFlagParsing: true,
		RunE: func(cmd *cobra.Command, args []string) error {
			root := &cobra.Command{
				Use: "image", Short: cmd.Short, SilenceErrors: true, SilenceUsage: true,
				Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "devs image"},
				Args:        cobra.NoArgs,
				RunE:        func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
			}
			root.CompletionOptions.DisableDefaultCmd = true
			flags := root.PersistentFlags()
			flags.BoolVar(&t.Embedded, "embedded", t.Embedded, "use the registry of the embedded cloud")
			flags.BoolVar(&t.Silent, "silent", t.Silent, "show nothing but the result and errors")
			root.AddCommand(t.newImageBuild(), t.newImageFunction())
			root.SetOut(t.IO.Out)
			root.SetErr(t.IO.Err)
			root.SetArgs(args)
			return root.ExecuteContext(cmd.Context())
		},
	}
}

// imageFlags are the flags of devs image build as they are written.
type imageFlags struct {
	file, target, tag, output, format, compression, isolation, platform string
	args, labels, contexts, secrets, ssh, cacheFrom                     []string
	cacheTo                                                             string
	noCache, plan                                                       bool
}

func (t *tool) newImageBuild() *cobra.Command {
	o := imageFlags{}
	cmd := &cobra.Command{
		Use:   "build [flags] CONTEXT",
		Short: "Build an image and push it",
		Long: `Builds the image that a Dockerfile describes, pushes it, and prints its digest.
It needs no daemon and no privilege. RUN works by what the machine allows; the
build says in one line what that is.`,
		Example: `  devs image build -t registry.cn-hangzhou.aliyuncs.com/team/app:v1 .
  devs image build --output ./image .
  devs image build --plan .`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			dir := "."
			if len(args) == 1 {
				dir = args[0]
			}
			return t.buildImage(cmd.Context(), dir, &o)
		},
	}
	set := cmd.Flags()
	set.SortFlags = false
	set.StringVarP(&o.tag, "tag", "t", "", "where to push the image: registry/repository:tag")
	set.StringVarP(&o.file, "file", "f", "", "the Dockerfile (default CONTEXT/Dockerfile)")
	set.StringVarP(&o.output, "output", "o", "", "write the image to this folder, as an OCI image layout, instead of pushing it")
	set.StringVar(&o.target, "target", "", "the stage to build (default the last one)")
	set.StringArrayVar(&o.args, "build-arg", nil, "NAME=value, or NAME to take the value from the environment")
	set.StringArrayVar(&o.labels, "label", nil, "NAME=value to add to the image's labels")
	set.StringVar(&o.platform, "platform", "", "linux/amd64, linux/arm64, or both, separated by a comma")
	set.StringArrayVar(&o.contexts, "build-context", nil, "NAME=folder or NAME=docker-image://reference, for FROM and --from")
	set.StringArrayVar(&o.secrets, "secret", nil, "id=NAME,src=FILE or id=NAME,env=VARIABLE, for RUN --mount=type=secret")
	set.StringArrayVar(&o.ssh, "ssh", nil, "default or ID=socket, for RUN --mount=type=ssh")
	set.StringArrayVar(&o.cacheFrom, "cache-from", nil, "registry/repository:tag or folder to take results from (default <repository>:devs-cache)")
	set.StringVar(&o.cacheTo, "cache-to", "", "registry/repository:tag or folder to keep results in (default <repository>:devs-cache)")
	set.BoolVar(&o.noCache, "no-cache", false, "neither read nor write a cache")
	set.StringVar(&o.format, "format", "", "media types of the image: docker or oci (default docker; oci with --output)")
	set.StringVar(&o.compression, "compression", "gzip", "gzip, zstd (with --format oci) or none")
	set.StringVar(&o.isolation, "isolation", "auto", "how RUN is kept apart: auto, namespaces, own-root, chroot, proot, none")
	set.BoolVar(&o.plan, "plan", false, "show the stages and steps, and build nothing")
	return cmd
}

// buildImage builds what the flags say.
func (t *tool) buildImage(ctx context.Context, dir string, o *imageFlags) error {
	opts, err := t.imageOptions(dir, o)
	if err != nil {
		return err
	}
	if o.plan {
		text, err := image.Plan(*opts)
		if err == nil {
			err = t.writeResult([]byte(text))
		}
		return err
	}
	unmapped, err := t.buildAgain(ctx, o.isolation)
	if unmapped == "" || err != nil {
		return err
	}
	client, closeCloud, err := t.imageClient(ctx, o.tag)
	if err != nil {
		return err
	}
	defer closeCloud()
	t.saveMemory()
	cfg := t.imageConfig(client, sandboxConfig(o.isolation, unmapped))
	ref, err := t.imageTarget(cfg, opts, o)
	if err != nil {
		return err
	}
	result, err := image.Build(ctx, *cfg, *opts)
	if err != nil {
		return err
	}
	return t.writeResult([]byte(ref + result.Digest.String() + "\n"))
}

// cacheTag is the tag of the cache beside an image.
const cacheTag = "devs-cache"

// imageTarget sets where the image and the cache go, and returns what stands before
// the digest in the result.
func (t *tool) imageTarget(cfg *image.Config, opts *image.Options, o *imageFlags) (string, error) {
	if o.tag != "" && o.output != "" {
		return "", diag.Errorf("both -t and --output are given").WithHint("use -t to push, or --output for a folder")
	}
	prefix := ""
	switch {
	case o.tag != "":
		ref, err := name.NewTag(o.tag)
		if err != nil {
			return "", diag.Errorf("-t %s is no reference of an image: %v", o.tag, err).WithHint("write it as registry/repository:tag")
		}
		if ref.TagStr() == cacheTag {
			return "", diag.Errorf("-t %s is the tag of the cache", o.tag).WithHint("choose another tag")
		}
		cfg.Check = func(ctx context.Context) error { return cfg.Registry.CheckPush(ctx, ref.Context()) }
		cfg.Store, opts.Tag = &store.Repository{Client: cfg.Registry, Name: ref.Context()}, ref.TagStr()
		prefix = ref.Context().Name() + "@"
		if !o.noCache && o.cacheTo == "" {
			o.cacheTo = ref.Context().Tag(cacheTag).Name()
		}
	case o.output != "":
		layout, err := store.OpenLayout(t.path(o.output), cfg.Registry, false)
		if err != nil {
			return "", diag.Errorf("making the folder of the image: %v", err).WithHint("choose another --output")
		}
		cfg.Store, opts.Tag = layout, "latest"
		opts.Without = append(opts.Without, layout.Dir)
	default:
		cfg.Store = store.Discard{}
		t.note("without -t or --output the image is built, and not kept")
	}
	if len(o.cacheFrom) == 0 && o.cacheTo != "" {
		o.cacheFrom = []string{o.cacheTo}
	}
	if o.noCache {
		return prefix, nil
	}
	return prefix, t.imageCaches(cfg, opts, o)
}

// imageCaches opens the caches that the flags name.
func (t *tool) imageCaches(cfg *image.Config, opts *image.Options, o *imageFlags) error {
	opened := map[string]*image.Cache{}
	open := func(where string) (*image.Cache, error) {
		if opened[where] == nil {
			c, err := t.imageCache(cfg, where)
			if err != nil {
				return nil, err
			}
			opened[where] = c
			if layout, ok := c.Store.(*store.Layout); ok {
				opts.Without = append(opts.Without, layout.Dir)
			}
		}
		return opened[where], nil
	}
	for _, from := range o.cacheFrom {
		c, err := open(from)
		if err != nil {
			return err
		}
		cfg.CacheFrom = append(cfg.CacheFrom, *c)
	}
	if o.cacheTo != "" {
		c, err := open(o.cacheTo)
		if err != nil {
			return err
		}
		if c.Store == cfg.Store && c.Tag == opts.Tag {
			return diag.Errorf("--cache-to %s is the tag of the image", o.cacheTo).WithHint("choose another tag for the cache")
		}
		cfg.CacheTo = c
	}
	return nil
}

// imageCache opens a cache: a folder when it is written as a path, else a tag of a
// registry.
func (t *tool) imageCache(cfg *image.Config, where string) (*image.Cache, error) {
	if strings.HasPrefix(where, ".") || filepath.IsAbs(where) {
		layout, err := store.OpenLayout(t.path(where), cfg.Registry, true)
		if err != nil {
			return nil, diag.Errorf("opening the cache %s: %v", where, err).WithHint("name another folder")
		}
		return &image.Cache{Store: layout, Tag: cacheTag, Name: where}, nil
	}
	ref, err := name.NewTag(where)
	if err != nil {
		return nil, diag.Errorf("the cache %s is no reference: %v", where, err).
			WithHint("write it as registry/repository:tag, or as ./folder")
	}
	if own, ok := cfg.Store.(*store.Repository); ok && own.Name.Name() == ref.Context().Name() {
		return &image.Cache{Store: own, Tag: ref.TagStr(), Name: where}, nil
	}
	return &image.Cache{Store: &store.Repository{Client: cfg.Registry, Name: ref.Context()}, Tag: ref.TagStr(), Name: where}, nil
}

// imageConfig is the world of a build.
func (t *tool) imageConfig(client *registry.Client, box sandbox.Config) *image.Config {
	cacheDir := filepath.Join(t.cacheHome(), "devs")
	if _, mapped := sandbox.Outside(); mapped { // its files belong to others than those of builds without mapped ids
		cacheDir = filepath.Join(cacheDir, "mapped")
	}
	return &image.Config{
		Registry: client,
		Sandbox:  func() *sandbox.Sandbox { return sandbox.Probe(box) },
		WorkDir:  t.env("DEVS_BUILD_DIR"),
		CacheDir: cacheDir,
		Proxy:    t.proxyEnv(),
		Log:      t.IO.Err,
		Notify:   t.imageEvent,
		Now:      t.Now,
		HTTP:     &http.Client{Transport: registry.NewTransport(), Timeout: 15 * time.Minute},
		Environ:  t.runnerEnv(),
	}
}

// cacheHome is where this user keeps caches (XDG Base Directory Specification).
func (t *tool) cacheHome() string {
	if dir := t.env("XDG_CACHE_HOME"); filepath.IsAbs(dir) {
		return dir
	}
	if home := t.env("HOME"); filepath.IsAbs(home) && home != "/" {
		return filepath.Join(home, ".cache")
	}
	uid, _ := sandbox.Outside()
	return filepath.Join(os.TempDir(), "devs-"+strconv.Itoa(uid))
}

// proxyEnv are the variables that tell programs their proxy.
func (t *tool) proxyEnv() []string {
	var env []string
	for _, n := range []string{"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "NO_PROXY", "ALL_PROXY"} {
		for _, n := range []string{n, strings.ToLower(n)} {
			if v, ok := t.getenv(n); ok {
				env = append(env, n+"="+v)
			}
		}
	}
	return env
}

// imageEvent shows what a build does, a line for each step.
func (t *tool) imageEvent(e image.Event) {
	if e.Status == image.Warning {
		t.warn("%s", strings.TrimPrefix(e.Pos.String()+": "+e.Text, ": "))
		return
	}
	if t.Silent {
		return
	}
	place := ""
	if e.Step > 0 {
		place = fmt.Sprintf("[%s %d/%d] ", e.Stage, e.Step, e.Of)
	}
	switch e.Status {
	case image.Started:
		fmt.Fprintf(t.IO.Err, "%s%s\n", place, e.Text)
	case image.Cached:
		fmt.Fprintf(t.IO.Err, "%scached\n", place)
	case image.Done:
		fmt.Fprintf(t.IO.Err, "%sdone in %s\n", place, e.Took.Round(time.Millisecond))
	default:
		fmt.Fprintf(t.IO.Err, "%s%s\n", place, e.Text)
	}
}
