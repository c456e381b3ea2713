package image

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/cache"
	"github.com/devs/deploy/pkg/image/dockerfile"
	"github.com/devs/deploy/pkg/image/layer"
	"github.com/devs/deploy/pkg/image/rootfs"
	"github.com/devs/deploy/pkg/image/sandbox"
	"github.com/devs/deploy/pkg/image/tree"
)

// runCommand does a RUN: from the cache, or for real.
func (s *stage) runCommand(ctx context.Context, op *dockerfile.Run) (cached bool, err error) {
	mounts, err := s.mounts(ctx, op)
	if err != nil {
		return false, err
	}
	key := keyOf("run", s.key, op.Key(), mounts.key)
	record := s.recordKey("run", key)
	if r, ok := s.b.lookup(ctx, record, s.keep); ok {
		s.adopt(r)
		s.key = key
		return true, nil
	}
	if err := s.refuse(op); err != nil {
		return false, err
	}
	p, err := s.execute(ctx, op, mounts)
	if err != nil {
		return false, err
	}
	s.key = key
	if p == nil {
		s.b.cache.Put(cache.Record{Key: record})
		return false, nil
	}
	s.parts = append(s.parts, p)
	s.applied = len(s.parts) // the command made it there
	if p.kept {
		s.remember(ctx, record, []*part{p}, "")
	}
	return false, nil
}

// refuse names what a RUN asks for and nobody here can give.
func (s *stage) refuse(op *dockerfile.Run) error {
	if s.def.Platform.Architecture != runtime.GOARCH || s.def.Platform.OS != "linux" {
		return diag.Errorf("a RUN for %s cannot run on this machine, which is linux/%s", s.def.Platform.String(), runtime.GOARCH).
			WithHint("build on a machine of that platform, or do the work in a stage FROM --platform=$BUILDPLATFORM and COPY the result")
	}
	if op.Security == "insecure" {
		return diag.Errorf("RUN --security=insecure is not possible: a build never gets more rights than its container").
			WithHint("leave it out, or build this image with a privileged builder")
	}
	for _, d := range op.Devices {
		if d.Required {
			return diag.Errorf("RUN --device=%s is not possible: builds have no devices", d.Name).WithHint("leave it out")
		}
	}
	return nil
}

// execute runs the command in the files of the stage and returns what it changed as
// a part, nil when it changed nothing.
func (s *stage) execute(ctx context.Context, op *dockerfile.Run, mounts *mountSet) (_ *part, err error) {
	if err := s.b.permitted(); err != nil {
		return nil, err
	}
	box := s.b.box()
	s.b.said.Do(func() { s.b.notef(Note, diag.Pos{}, "RUN uses %s", box) })
	if err := box.Err(); err != nil {
		return nil, err
	}
	root, err := s.files(ctx)
	if err != nil {
		return nil, fmt.Errorf("unpacking the files for the command: %w", err)
	}
	if err := foreign(root); err != nil {
		return nil, err
	}
	made, err := s.missingDirs(ctx, op.Dir, "")
	if err != nil {
		return nil, err
	}
	if err := root.Apply(ctx, made); err != nil {
		return nil, err
	}
	command, err := s.command(ctx, op)
	if err != nil {
		return nil, err
	}
	takeAway, err := placeScripts(ctx, root, op.Files)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, takeAway()) }()
	if box.Level() == sandbox.OwnRoot { // there is one root
		select {
		case s.b.serial <- struct{}{}:
			defer func() { <-s.b.serial }()
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
	if err := mounts.open(ctx); err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, mounts.close()) }()
	command.Env = lastWins(append(command.Env, mounts.env...))
	x, err := box.Enter(ctx, root.Dir(), mounts.list)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, x.Leave()) }()
	entries, err := s.changes(ctx, x, command)
	if err != nil {
		return nil, err
	}
	return s.harvest(ctx, root, withMade(made, entries))
}

// changes runs the command and returns what it changed.
func (s *stage) changes(ctx context.Context, x *sandbox.Session, command sandbox.Command) ([]*layer.Entry, error) {
	before, err := rootfs.Take(ctx, x.Root(), x.Skip)
	if err != nil {
		return nil, err
	}
	readOnly, err := watch(ctx, x)
	if err != nil {
		return nil, err
	}
	if err := s.runIn(ctx, x, command); err != nil {
		return nil, err
	}
	for _, w := range readOnly {
		if err := w.check(ctx); err != nil {
			return nil, err
		}
	}
	after, err := rootfs.Take(ctx, x.Root(), x.Skip)
	if err != nil {
		return nil, err
	}
	return before.Diff(after)
}

// foreign refuses files whose owners a mapping does not reach: a command would see, and
// change, files of somebody else.
func foreign(root *rootfs.Root) error {
	if _, mapped := sandbox.Outside(); !mapped {
		return nil
	}
	lacks, _ := root.Lacks()
	for _, l := range lacks {
		if l.What == "owner" {
			return diag.Errorf("the image has files of users that this user has no ids for, /%s among them", l.Path).
				WithHint("give this user more ids in /etc/subuid and /etc/subgid, or choose another --isolation")
		}
	}
	return nil
}

// placeScripts writes the scripts of heredocs where the command finds them. They are
// there before the command and after it, and so in no layer; takeAway removes them.
func placeScripts(ctx context.Context, root *rootfs.Root, files []dockerfile.InlineFile) (takeAway func() error, err error) {
	if len(files) == 0 {
		return func() error { return nil }, nil
	}
	var entries []*layer.Entry
	for _, f := range files {
		at := strings.TrimPrefix(f.Path, "/")
		if dir := path.Dir(at); len(entries) == 0 {
			entries = append(entries, &layer.Entry{Path: dir, Type: layer.Dir, Mode: 0o755})
		}
		entries = append(entries, &layer.Entry{
			Path: at, Type: layer.File, Mode: f.Mode, Size: int64(len(f.Data)),
			Open: func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(f.Data)), nil },
		})
	}
	takeAway = func() error {
		dir, err := os.OpenRoot(root.Dir())
		if err != nil {
			return err
		}
		defer dir.Close()
		return dir.RemoveAll(entries[0].Path)
	}
	if err := root.Apply(ctx, entries); err != nil {
		return nil, errors.Join(err, takeAway())
	}
	return takeAway, nil
}

// harvest stores what a command changed while its files are still as it left them.
func (s *stage) harvest(ctx context.Context, root *rootfs.Root, entries []*layer.Entry) (*part, error) {
	if len(entries) == 0 {
		return nil, nil
	}
	for _, e := range entries {
		e.ModTime = s.b.notAfterEpoch(e.ModTime)
	}
	p := &part{entries: entries, ready: make(chan struct{})}
	defer close(p.ready)
	var err error
	if p.index, err = tree.NewIndex(entries); err != nil { // now: the next command may change the files
		return nil, err
	}
	to := s.b.scratchStore()
	if s.keep {
		to = s.b.Store
	}
	if to != nil {
		var err error
		if p.layer, err = s.b.stream(ctx, to, entries); ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		p.kept = err == nil
		if p.err = s.b.onlyCache(s.keep, err); p.err != nil {
			return nil, p.err
		}
	}
	p.entries = rebound(root, entries)
	return p, nil
}

// rebound reads the entries from the folder of the stage, wherever it was while the
// command ran.
func rebound(root *rootfs.Root, entries []*layer.Entry) []*layer.Entry {
	out := make([]*layer.Entry, len(entries))
	for i, e := range entries {
		c := *e
		if c.Type == layer.File {
			c.Open = func() (io.ReadCloser, error) { return openIn(root, c.Path) }
		}
		out[i] = &c
	}
	return out
}

// withMade puts the folders that were made for the command before what it changed
// itself.
func withMade(made, changed []*layer.Entry) []*layer.Entry {
	have := map[string]bool{}
	for _, e := range changed {
		have[e.Path] = true
	}
	all := slices.Clone(changed)
	for _, e := range made {
		if !have[e.Path] {
			all = append(all, e)
		}
	}
	layer.Sort(all)
	return all
}

// command turns the instruction into a process.
func (s *stage) command(ctx context.Context, op *dockerfile.Run) (sandbox.Command, error) {
	fs, err := s.tree(ctx)
	if err != nil {
		return sandbox.Command{}, err
	}
	uid, gid, groups, home, err := fs.User(op.User)
	if err != nil {
		return sandbox.Command{}, err
	}
	env := slices.Concat(s.b.Proxy, op.Proxy, op.Env)
	if !slices.ContainsFunc(op.Env, func(v string) bool { return strings.HasPrefix(v, "HOME=") }) {
		env = append(env, "HOME="+home)
	}
	return sandbox.Command{
		Args: op.Args, Env: lastWins(env), Dir: op.Dir, Network: op.Network,
		UID: uid, GID: gid, Groups: groups,
	}, nil
}

// lastWins keeps the last value of every variable.
func lastWins(env []string) []string {
	at := map[string]int{}
	var out []string
	for _, v := range env {
		name, _, _ := strings.Cut(v, "=")
		if i, ok := at[name]; ok {
			out[i] = v
			continue
		}
		at[name] = len(out)
		out = append(out, v)
	}
	return out
}

// runIn runs the command with its output prefixed.
func (s *stage) runIn(ctx context.Context, x *sandbox.Session, c sandbox.Command) error {
	out := &prefixed{to: s.b.Log, prefix: fmt.Sprintf("[%s %d/%d] ", s.name(), s.step, s.state.Steps())}
	defer out.flush()
	c.Stdout, c.Stderr = out, out
	err := x.Run(ctx, c)
	if exit, ok := errors.AsType[*sandbox.ExitError](err); ok {
		return diag.Errorf("the command failed: %v", exit).WithCode(diag.ExitComponent).WithCause(exit).
			WithHint("its output is above")
	}
	return err
}

// prefixed writes whole lines with a prefix.
type prefixed struct {
	mu     sync.Mutex
	to     io.Writer
	prefix string
	rest   []byte
}

// maxLine bounds a line in memory; a longer one is written in pieces.
const maxLine = 64 << 10

func (w *prefixed) Write(data []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.rest = append(w.rest, data...)
	for {
		i := bytes.IndexByte(w.rest, '\n')
		if i < 0 && len(w.rest) < maxLine {
			return len(data), nil
		}
		if i < 0 {
			i = len(w.rest) - 1
		}
		if err := w.line(w.rest[:i+1]); err != nil {
			return 0, err
		}
		w.rest = w.rest[i+1:]
	}
}

func (w *prefixed) line(text []byte) error {
	text = bytes.TrimRight(text, "\r\n")
	_, err := fmt.Fprintf(w.to, "%s%s\n", w.prefix, text)
	return err
}

func (w *prefixed) flush() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.rest) > 0 {
		_ = w.line(w.rest)
		w.rest = nil
	}
}
