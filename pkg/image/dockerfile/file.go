package dockerfile

import (
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/devs/deploy/pkg/diag"
)

// Options are what a build says beside the file.
type Options struct {
	// BuildArgs are the values of --build-arg.
	BuildArgs map[string]string
	// Target is the name of the stage to build; "" means the last one.
	Target string
	// Platform is what the image is for, BuildPlatform what the build runs on. One
	// that is empty is like the other; without both it is linux/amd64.
	Platform, BuildPlatform v1.Platform
	// Contexts are the values of --build-context by name: docker-image://REF or a
	// folder.
	Contexts map[string]string
}

// File is a Dockerfile.
type File struct {
	// Stages are those that the target needs, in the order of the file; the last one
	// is the target.
	Stages   []*Stage
	Warnings []*diag.Problem // what the linter says of the text
	MetaArgs []MetaArg       // the ARGs before the first FROM

	options Options
	text    *text
	all     []*Stage
	globals *env // automatic arguments and MetaArgs
	escape  rune
	check   *linter.Config // the "# check=" directive
}

// MetaArg is an ARG before the first FROM with its value.
type MetaArg struct {
	Name  string
	Value string
	Set   bool // whether it has a value
	Given bool // whether the value is that of a --build-arg
	Pos   diag.Pos
}

// Stage is a FROM and what follows it.
type Stage struct {
	Index int    // from 0, in the order of the file
	Name  string // as AS names it, in lower case, or ""
	Base  Source
	// Platform is that of the base image, and so of the stage.
	Platform v1.Platform
	Pos      diag.Pos

	from     *parser.Node
	commands []command
}

// command is an instruction of a stage, or an ONBUILD trigger that it inherits.
type command struct {
	node    *parser.Node
	trigger bool
}

// Parse reads the Dockerfile src; name is used in errors. Errors are diag.Problems.
func Parse(name string, src []byte, o Options) (*File, error) {
	o.platforms()
	f := &File{options: o, text: newText(name, src)}
	if err := f.text.check(src); err != nil {
		return nil, err
	}
	if err := f.directives(src); err != nil {
		return nil, err
	}
	lint := f.linter(&f.Warnings)
	if err := f.read(src, lint); err != nil {
		return nil, err
	}
	if err := f.need(); err != nil {
		return nil, err
	}
	if err := f.lintError(lint, f.Warnings); err != nil {
		return nil, err
	}
	f.unusedArgs()
	return f, nil
}

// Stage returns the stage with an index, also one that is not in Stages: a trigger of
// a base image may ask for it.
func (f *File) Stage(index int) (*Stage, bool) {
	if index < 0 || index >= len(f.all) {
		return nil, false
	}
	return f.all[index], true
}
