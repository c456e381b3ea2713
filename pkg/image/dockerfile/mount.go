package dockerfile

import (
	"path"
	"strconv"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/devs/deploy/pkg/diag"
)

func itoa(n int) string { return strconv.Itoa(n) }

// mounts returns the mounts of a RUN with their defaults.
func (x *step) mounts(c *instructions.RunCommand) ([]Mount, error) {
	var list []Mount
	agents := 0
	for _, m := range instructions.GetMounts(c) {
		out := Mount{
			Type: MountType(m.Type), Source: path.Join("/", m.Source), ReadOnly: m.ReadOnly, ID: m.CacheID,
			Mode: narrow(m.Mode), UID: narrow(m.UID), GID: narrow(m.GID), Required: m.Required, Size: m.SizeLimit,
		}
		if m.Env != nil {
			out.Env = *m.Env
		}
		var err error
		switch m.Type {
		case instructions.MountTypeSecret:
			err = x.secret(&out, m)
		case instructions.MountTypeSSH:
			err = x.agent(&out, m, agents)
			agents++
		default:
			err = x.files(&out, m)
		}
		if err != nil {
			return nil, err
		}
		list = append(list, out)
	}
	return list, nil
}

func narrow(n *uint64) *uint32 {
	if n == nil {
		return nil
	}
	v := uint32(*n)
	return &v
}

// files completes a mount of type bind, cache or tmpfs.
func (x *step) files(out *Mount, m *instructions.Mount) error {
	out.Target = absolute(x.config.WorkingDir, m.Target)
	if out.Target == "/" {
		return diag.Errorf("--mount: the target cannot be the root directory").WithHint("write target=/a/path")
	}
	var err error
	switch {
	case m.Type == instructions.MountTypeTmpfs:
		out.From, out.Source = Source{Kind: Scratch}, "/"
	case m.From != "":
		out.From, err = x.file.from(x.stage.Index, m.From, false)
	case m.Type == instructions.MountTypeCache:
		out.From = Source{Kind: Scratch}
	}
	if m.Type == instructions.MountTypeCache {
		if out.ID == "" {
			out.ID = path.Clean(m.Target)
		}
		if out.Sharing = string(m.CacheSharing); out.Sharing == "" {
			out.Sharing = string(instructions.MountSharingShared)
		}
	}
	return err
}

// secret completes a mount of type secret: a file, a variable, or both.
func (x *step) secret(out *Mount, m *instructions.Mount) error {
	if m.Source != "" {
		out.ID = m.Source
	}
	if out.ID == "" {
		out.ID = path.Base(m.Target)
	}
	out.Source = ""
	switch {
	case m.Target != "":
		out.Target = absolute(x.config.WorkingDir, m.Target)
	case m.Env == nil:
		out.Target = "/run/secrets/" + path.Base(out.ID)
	}
	if out.Target == "/" {
		return diag.Errorf("--mount: the target cannot be the root directory")
	}
	if m.Env != nil {
		return checkVariable("--mount", *m.Env, "")
	}
	return nil
}

// agent completes a mount of type ssh, the n-th one.
func (x *step) agent(out *Mount, m *instructions.Mount, n int) error {
	if m.Source != "" {
		return diag.Errorf("--mount=type=ssh has no source").WithHint("name the agent with id=")
	}
	out.Source = ""
	if out.ID == "" {
		out.ID = "default"
	}
	out.Target = "/run/buildkit/ssh_agent." + itoa(n)
	if m.Target != "" {
		out.Target = absolute(x.config.WorkingDir, m.Target)
	}
	return nil
}
