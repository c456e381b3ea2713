package tree

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"strings"

	"github.com/moby/sys/user"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/image/layer"
)

// Where the users and groups of an image are, and how large these files may be.
const (
	passwdPath  = "etc/passwd"
	groupPath   = "etc/group"
	maxUserFile = 1 << 20
)

// User returns who a USER instruction means: "name", "uid", "name:group", "uid:gid" or
// a mix, by the etc/passwd and etc/group of the tree, with the rules of docker. An
// empty spec is root. Numbers need no entry. groups are the supplementary groups,
// which only a user without an explicit group has.
func (t *Tree) User(spec string) (uid, gid int, groups []int, home string, err error) {
	files, err := t.userFiles(spec)
	if err != nil {
		return 0, 0, nil, "", err
	}
	u, err := user.GetExecUser(spec, &user.ExecUser{Home: "/"}, files.passwd, files.group)
	if err != nil {
		return 0, 0, nil, "", unknownUser(spec, err)
	}
	for _, id := range append([]int{u.Uid, u.Gid}, u.Sgids...) {
		if id < 0 || id >= math.MaxUint32 {
			return 0, 0, nil, "", unknownUser(spec, fmt.Errorf("the image gives it the number %d", id))
		}
	}
	return u.Uid, u.Gid, u.Sgids, u.Home, nil
}

// Chown returns the owner that --chown means, with the rules of BuildKit: a name
// without a group brings its primary group, a number without a group counts for both,
// and nothing before the colon is root. A name that the image does not know is an
// error.
func (t *Tree) Chown(spec string) (uid, gid int, err error) {
	name, group, _ := strings.Cut(spec, ":")
	if name != "" && name != "root" {
		if uid, gid, err = t.lookupOwner(name); err != nil {
			return 0, 0, err
		}
	}
	if group == "root" {
		return uid, 0, nil
	}
	if group != "" {
		// The user is settled; root stands in for it.
		if _, gid, _, _, err = t.User("0:" + group); err != nil {
			return 0, 0, err
		}
	}
	return uid, gid, nil
}

func (t *Tree) lookupOwner(name string) (uid, gid int, err error) {
	if id, err := strconv.ParseUint(name, 10, 31); err == nil {
		return int(id), int(id), nil
	}
	uid, gid, _, _, err = t.User(name)
	return uid, gid, err
}

func unknownUser(spec string, err error) error {
	p := diag.Errorf("the user %q is not to be found in the image", spec).WithCause(err).
		WithHint("make it by RUN useradd or groupadd before, or give numbers (uid:gid)")
	if !errors.Is(err, user.ErrNoPasswdEntries) && !errors.Is(err, user.ErrNoGroupEntries) {
		p.Summary = fmt.Sprintf("the user %q cannot be found in the image: %v", spec, err)
	}
	return p
}

type userFiles struct{ passwd, group io.Reader }

// userFiles reads the files that spec may need. When one of them cannot be read,
// numbers do without it.
func (t *Tree) userFiles(spec string) (userFiles, error) {
	passwd, err := t.readUserFile(passwdPath)
	if err == nil {
		var group io.Reader
		if group, err = t.readUserFile(groupPath); err == nil {
			return userFiles{passwd, group}, nil
		}
	}
	name, group, explicit := strings.Cut(spec, ":")
	if explicit && isNumber(name) && isNumber(group) {
		return userFiles{}, nil
	}
	return userFiles{}, err
}

func isNumber(s string) bool {
	_, err := strconv.ParseUint(s, 10, 31)
	return err == nil
}

// readUserFile returns nil when there is no such file.
func (t *Tree) readUserFile(p string) (io.Reader, error) {
	p, err := t.Resolve(p)
	if err != nil {
		return nil, err
	}
	e, ok := t.Lookup(p)
	if !ok || e.Type != layer.File {
		return nil, nil
	}
	if e.Size > maxUserFile || e.Open == nil && e.Size > 0 {
		return nil, diag.Errorf("the users of the image are not known: /%s is too large, or a link", p).
			WithHint("give numbers (uid:gid)")
	}
	if e.Size == 0 {
		return bytes.NewReader(nil), nil
	}
	data, err := readAll(e.Open, e.Size)
	if err != nil {
		return nil, fmt.Errorf("reading /%s of the image: %w", p, err)
	}
	return bytes.NewReader(data), nil
}

func readAll(open func() (io.ReadCloser, error), size int64) ([]byte, error) {
	r, err := open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data := make([]byte, size)
	if _, err := io.ReadFull(r, data); err != nil {
		return nil, err
	}
	return data, nil
}
