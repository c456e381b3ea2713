// Package app is the application model: what an s.yaml says once YAML, inheritance
// and templates are gone. It holds data only; it knows no file format, no
// component and does no I/O.
package app

import (
	"slices"

	"github.com/devs/deploy/pkg/diag"
)

// Edition is the version of the application file's schema.
type Edition string

// The editions. 2.0.0 files are read as 1.0.0, which they equal.
const (
	Edition1 Edition = "1.0.0"
	Edition3 Edition = "3.0.0"
)

// App is one application.
type App struct {
	Edition  Edition
	Name     string
	Access   string // alias of the credential for all services, "" for none
	File     string // the file as the user named it
	Dir      string // absolute; relative paths of the file are relative to it
	Services []*Service
	Actions  []Action // global hooks
	Flow     []Flow
	Root     *Value   // the whole document after inheritance, expressions as written
	Warnings []string // with the place; what was read but is not what its author may think
}

// Service returns the service of that name, or nil.
func (a *App) Service(name string) *Service {
	for _, s := range a.Services {
		if s.Name == name {
			return s
		}
	}
	return nil
}

// ServiceNames returns the names in the order of the file.
func (a *App) ServiceNames() []string {
	names := make([]string, len(a.Services))
	for i, s := range a.Services {
		names[i] = s.Name
	}
	return names
}

// Service is one entry of services (1.0.0) or resources (3.0.0).
type Service struct {
	Name         string
	Pos          diag.Pos
	Component    *Value // as written; may hold expressions
	Access       *Value // as written; nil when absent
	Props        *Value // as written, expressions unevaluated; a Map, or nil
	Actions      []Action
	AllowFailure *AllowFailure
}

// Stage is when a hook runs.
type Stage string

// The stages. Post runs after success only (1.0.0); Complete always runs.
const (
	Pre      Stage = "pre"
	Post     Stage = "post"
	Success  Stage = "success"
	Fail     Stage = "fail"
	Complete Stage = "complete"
)

// Action is one key of `actions:` with its steps.
type Action struct {
	Stage        Stage
	Command      string // exact command, when Pattern is ""
	Pattern      string // regular expression on the command, from ${regex('…')}
	Pos          diag.Pos
	Steps        []Step
	AllowFailure *AllowFailure
}

// StepKind says what a step does.
type StepKind string

// The kinds of a step.
const (
	Run       StepKind = "run"
	Component StepKind = "component"
	Plugin    StepKind = "plugin"
)

// Step is one entry of an Action. Its values are as written, expressions
// unevaluated.
type Step struct {
	Kind         StepKind
	Do           *Value // the shell text, component line or plugin name
	Path         *Value // working directory of Run; nil for the application's
	Args         *Value // of Plugin
	Pos          diag.Pos
	AllowFailure *AllowFailure
}

// AllowFailure tolerates failures: all of them, or those of the exit codes and
// commands given (both must match when both are given).
type AllowFailure struct {
	All       bool
	ExitCodes []int
	Commands  []string
}

// Allows reports whether a failure of command with the exit code is tolerated.
func (a *AllowFailure) Allows(command string, exitCode int) bool {
	if a == nil {
		return false
	}
	if a.All {
		return true
	}
	if len(a.ExitCodes) == 0 && len(a.Commands) == 0 {
		return false
	}
	return (len(a.ExitCodes) == 0 || slices.Contains(a.ExitCodes, exitCode)) &&
		(len(a.Commands) == 0 || slices.Contains(a.Commands, command))
}

// Flow is one entry of `flow:` (3.0.0): for the commands it matches, groups of
// services in order, the members of a group side by side.
type Flow struct {
	Command string
	Pattern string // regular expression on the command, when Command is ""
	Pos     diag.Pos
	Groups  [][]string
}
