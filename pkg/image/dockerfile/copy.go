package dockerfile

import (
	"strconv"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"

	"github.com/devs/deploy/pkg/diag"
)

// maxPlaces is how many sources of one COPY are searched for in the file, so as to tell
// where they stand; for the others it is the instruction.
const maxPlaces = 1000

// copy evaluates COPY; before are its sources before expansion.
func (x *step) copy(c *instructions.CopyCommand, before []string) (Op, error) {
	op := &Copy{
		Step: x.op(), Chown: c.Chown, Chmod: c.Chmod, Link: c.Link, Parents: c.Parents, Excludes: c.ExcludePatterns,
	}
	if c.From != "" {
		var err error
		if op.From, err = x.file.from(x.stage.Index, c.From, true); err != nil {
			return nil, err
		}
	}
	for i, src := range c.SourcePaths {
		if RemoteOf(src) != Local {
			return nil, diag.At(x.file.text.find(x.node, before[i]), "COPY cannot take files from %s", src).
				WithHint("use ADD")
		}
	}
	return op, x.complete(op, c.SourcesAndDest, before)
}

// add evaluates ADD; before are its sources before expansion.
func (x *step) add(c *instructions.AddCommand, before []string) (Op, error) {
	op := &Copy{
		Step: x.op(), Add: true, Chown: c.Chown, Chmod: c.Chmod, Link: c.Link, Excludes: c.ExcludePatterns,
		KeepGitDir: c.KeepGitDir, Unpack: c.Unpack, Checksum: c.Checksum,
	}
	if c.Checksum != "" {
		if len(c.SourcePaths) != 1 || len(c.SourceContents) > 0 || RemoteOf(c.SourcePaths[0]) == Local {
			return nil, diag.Errorf("--checksum is for one URL or git address").
				WithHint("write one ADD for each source")
		}
	}
	return op, x.complete(op, c.SourcesAndDest, before)
}

// complete fills in what COPY and ADD have in common.
func (x *step) complete(op *Copy, c instructions.SourcesAndDest, before []string) error {
	op.Sources = c.SourcePaths
	for i, word := range before {
		at := op.At
		if i < maxPlaces {
			at = x.file.text.find(x.node, word)
		}
		op.SourceAt = append(op.SourceAt, at)
	}
	for _, content := range c.SourceContents {
		if strings.Contains(content.Path, "/") || content.Path == "." || content.Path == ".." {
			return diag.Errorf("%q cannot be the name of a file", content.Path).WithHint("write <<name, without slashes")
		}
		op.Inline = append(op.Inline, Heredoc{Name: content.Path, Data: content.Data})
	}
	op.Dest = destination(x.config.WorkingDir, c.DestPath)
	if op.Link && namesOwner(op.Chown) {
		return diag.Errorf("--chown=%s: --link needs numbers, since it cannot see the users of the image", op.Chown).
			WithHint("write --chown=1000:1000, or leave --link out")
	}
	if n, err := strconv.ParseUint(op.Chmod, 8, 32); err == nil && n > 0o7777 {
		return diag.Errorf("--chmod=%s is more than 7777", op.Chmod)
	}
	x.history = copyHistory(op, c.DestPath)
	return nil
}

// destination makes the last word of COPY absolute. A slash at its end, which says that
// it is a directory, is kept; "", "." and what ends with /. are directories too.
func destination(dir, dest string) string {
	isDir := dest == "" || dest == "." || strings.HasSuffix(dest, "/") || strings.HasSuffix(dest, "/.")
	p := absolute(dir, dest)
	if isDir && p != "/" {
		p += "/"
	}
	return p
}

// namesOwner reports whether a --chown names a user or group by name.
func namesOwner(chown string) bool {
	for part := range strings.SplitSeq(chown, ":") {
		if _, err := strconv.ParseUint(part, 10, 32); part != "" && err != nil {
			return true
		}
	}
	return false
}

// copyHistory returns the entry of the history as docker writes it.
func copyHistory(op *Copy, dest string) string {
	words := []string{"COPY"}
	if op.Add {
		words[0] = "ADD"
	}
	if op.Parents {
		words = append(words, "--parents")
	}
	if op.Chown != "" {
		words = append(words, "--chown="+op.Chown)
	}
	if op.Chmod != "" {
		words = append(words, "--chmod="+op.Chmod)
	}
	words = append(words, op.Sources...)
	for _, h := range op.Inline {
		words = append(words, "<<"+h.Name)
	}
	return strings.Join(append(words, dest), " ")
}
