package dockerfile

import (
	"fmt"
	"strings"
)

// key collects the canonical text of a step: lines of name=value, values quoted, so
// that no two steps share one.
type key struct{ strings.Builder }

func (k *key) add(name string, value any) {
	switch v := value.(type) {
	case string:
		fmt.Fprintf(k, "%s=%q\n", name, v)
	case []string:
		fmt.Fprintf(k, "%s=%q\n", name, v)
	case *bool:
		if v != nil {
			fmt.Fprintf(k, "%s=%t\n", name, *v)
		}
	case *uint32:
		if v != nil {
			fmt.Fprintf(k, "%s=%o\n", name, *v)
		}
	default:
		fmt.Fprintf(k, "%s=%v\n", name, v)
	}
}

// Key returns the canonical text of the step, see Op.
func (r *Run) Key() string {
	k := &key{}
	k.add("run", r.Args)
	k.add("env", r.Env)
	k.add("dir", r.Dir)
	k.add("user", r.User)
	k.add("network", r.Network)
	k.add("security", r.Security)
	for _, d := range r.Devices {
		k.add("device", d.Name)
		k.add("required", d.Required)
	}
	for _, f := range r.Files {
		k.add("file", f.Path)
		k.add("mode", &f.Mode)
		k.add("data", f.Data)
	}
	for _, m := range r.Mounts {
		k.add("mount", string(m.Type))
		k.add("from", int(m.From.Kind))
		k.add("source", m.Source)
		k.add("target", m.Target)
		k.add("readonly", m.ReadOnly)
		k.add("id", m.ID)
		k.add("sharing", m.Sharing)
		k.add("mode", m.Mode)
		k.add("uid", m.UID)
		k.add("gid", m.GID)
		k.add("required", m.Required)
		k.add("env", m.Env)
		k.add("size", m.Size)
	}
	return k.String()
}

// Key returns the canonical text of the step, see Op.
func (c *Copy) Key() string {
	k := &key{}
	if c.Add {
		k.add("add", c.Sources)
	} else {
		k.add("copy", c.Sources)
	}
	k.add("from", int(c.From.Kind))
	for _, h := range c.Inline {
		k.add("inline", h.Name)
		k.add("data", h.Data)
	}
	k.add("dest", c.Dest)
	k.add("chown", c.Chown)
	k.add("chmod", c.Chmod)
	k.add("link", c.Link)
	k.add("parents", c.Parents)
	k.add("keep-git-dir", c.KeepGitDir)
	k.add("unpack", c.Unpack)
	k.add("exclude", c.Excludes)
	k.add("checksum", c.Checksum)
	return k.String()
}

// Key returns the canonical text of the step, see Op.
func (w *Workdir) Key() string {
	k := &key{}
	k.add("workdir", w.Path)
	k.add("user", w.User)
	return k.String()
}
