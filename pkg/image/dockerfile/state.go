package dockerfile

import (
	"maps"
	"slices"
	"strings"
	"time"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/linter"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/devs/deploy/pkg/diag"
)

// defaultPath is the PATH of an image that sets none.
const defaultPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// State is a stage on its way: the config of the image after the steps that were
// taken. It is not safe for concurrent use.
type State struct {
	file     *File
	stage    *Stage
	commands []command
	next     int
	err      error // what stopped it

	config        v1.Config
	startInterval time.Duration
	author        string
	history       string

	// env are the variables of RUN and of expansion: those of config and the build
	// arguments in scope. Of one name, what was declared last counts.
	env  *env
	args *env // the declared arguments in their order, with the values they got

	lex      *shell.Lex
	lint     *linter.Linter
	warnings []*diag.Problem

	// Where CMD, ENTRYPOINT and HEALTHCHECK stand in this very stage, and whether it
	// had a WORKDIR.
	cmd, entrypoint, health []parser.Range
	workdir                 bool
}

// State returns the state at the start of a stage on an image, on nothing or on a
// named context. Base is the config of the image, nil for none. Triggers in it
// (ONBUILD) become the first steps of the stage.
func (f *File) State(stage *Stage, base *v1.ConfigFile) (*State, error) {
	s := f.newState(stage)
	if base == nil {
		s.config = v1.Config{WorkingDir: "/"}
	} else {
		s.config = copyConfig(base.Config)
		s.author = base.Author
		var triggers []command
		for _, expression := range s.config.OnBuild {
			c, err := parseTrigger(expression, stage.from)
			if err != nil {
				return nil, s.triggerProblem(stage.from, err)
			}
			if _, err := f.sources(stage, c); err != nil {
				return nil, s.triggerProblem(stage.from, err)
			}
			triggers = append(triggers, c)
		}
		s.commands = append(triggers, s.commands...)
		s.config.OnBuild = nil
	}
	s.env = newEnv(s.config.Env)
	if _, ok := s.env.Get("PATH"); !ok {
		s.env.set("PATH", defaultPath)
		s.config.Env = append(s.config.Env, "PATH="+defaultPath)
	}
	if s.config.WorkingDir != "" {
		s.config.WorkingDir = absolute("/", s.config.WorkingDir)
	}
	return s, nil
}

// StateOn returns the state at the start of a stage that is based on another stage;
// parent is the state at the end of that one. Parent stays as it is. The arguments of
// the parent stay in scope.
func (f *File) StateOn(stage *Stage, parent *State) (*State, error) {
	s := f.newState(stage)
	s.config = copyConfig(parent.config)
	s.config.OnBuild = nil
	s.startInterval, s.author = parent.startInterval, parent.author
	s.env, s.args = parent.env.clone(), parent.args.clone()
	s.workdir = parent.workdir
	return s, nil
}

func (f *File) newState(stage *Stage) *State {
	s := &State{
		file: f, stage: stage, commands: slices.Clone(stage.commands),
		env: newEnv(nil), args: newEnv(nil), lex: shell.NewLex(f.escape),
	}
	s.lint = f.linter(&s.warnings)
	return s
}

// Next evaluates the next instruction. It returns the Op when files change, else nil,
// and false when there is no more. After an error it returns the same error again.
func (s *State) Next() (Op, bool, error) {
	if s.err != nil {
		return nil, false, s.err
	}
	s.history = ""
	if s.next == len(s.commands) {
		s.err = s.file.lintError(s.lint, s.warnings)
		return nil, false, s.err
	}
	c := s.commands[s.next]
	s.next++
	op, err := s.evaluate(c)
	if err != nil {
		s.err = s.file.text.problem(c.node, err)
		if c.trigger {
			s.err = s.triggerProblem(c.node, s.err)
		}
		return nil, false, s.err
	}
	return op, true, nil
}

// triggerProblem says that an error is in a trigger, which stands nowhere in the file.
func (s *State) triggerProblem(node *parser.Node, err error) error {
	p, ok := s.file.text.problem(node, err).(*diag.Problem)
	if !ok {
		return err
	}
	p.Summary = "an ONBUILD trigger of " + s.stage.Base.String() + ": " + p.Summary
	p.Pos = s.file.text.start(node.StartLine)
	return p
}

// Config returns the config of the image after the steps that were taken.
func (s *State) Config() v1.Config { return copyConfig(s.config) }

// StartInterval returns the --start-interval of HEALTHCHECK, which v1.Config has no
// field for; it belongs into Healthcheck as StartInterval, in nanoseconds. Zero means
// that there is none.
func (s *State) StartInterval() time.Duration { return s.startInterval }

// SetStartInterval sets what the base image has of it.
func (s *State) SetStartInterval(d time.Duration) { s.startInterval = d }

// Author returns the MAINTAINER.
func (s *State) Author() string { return s.author }

// History returns what docker writes into the history for the last step ("RUN /bin/sh
// -c make"), or "" for a step that leaves no entry. The layer of the entry is empty
// when the step had no Op.
func (s *State) History() string { return s.history }

// Steps returns how many Ops the stage can have, with the triggers of its base. A
// WORKDIR / counts although it has none.
func (s *State) Steps() int {
	n := 0
	for _, c := range s.commands {
		if changesFiles(c.node) {
			n++
		}
	}
	return n
}

func changesFiles(node *parser.Node) bool {
	switch strings.ToLower(node.Value) {
	case "run", "copy", "add", "workdir":
		return true
	}
	return false
}

// Warnings returns what the linter says of the steps that were taken.
func (s *State) Warnings() []*diag.Problem { return slices.Clone(s.warnings) }

// Sources returns the stages, images and named contexts that the instructions of the
// stage, with the triggers of its base, take files from, each once.
func (s *State) Sources() ([]Source, error) {
	var all []Source
	for _, c := range s.commands {
		more, err := s.file.sources(s.stage, c)
		if err != nil {
			return nil, err
		}
		for _, m := range more {
			if m.Kind != Scratch && !slices.Contains(all, m) {
				all = append(all, m)
			}
		}
	}
	return all, nil
}

// copyConfig returns a deep copy of the fields that an image config has. Those of a
// container, which docker's classic builder leaves in it, are dropped as BuildKit does.
func copyConfig(c v1.Config) v1.Config {
	out := v1.Config{
		User:         c.User,
		ExposedPorts: maps.Clone(c.ExposedPorts),
		Env:          slices.Clone(c.Env),
		Entrypoint:   slices.Clone(c.Entrypoint),
		Cmd:          slices.Clone(c.Cmd),
		Volumes:      maps.Clone(c.Volumes),
		WorkingDir:   c.WorkingDir,
		Labels:       maps.Clone(c.Labels),
		StopSignal:   c.StopSignal,
		ArgsEscaped:  c.ArgsEscaped,
		OnBuild:      slices.Clone(c.OnBuild),
		Shell:        slices.Clone(c.Shell),
	}
	if c.Healthcheck != nil {
		h := *c.Healthcheck
		h.Test = slices.Clone(h.Test)
		out.Healthcheck = &h
	}
	return out
}
