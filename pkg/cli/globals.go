package cli

import (
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/devs/deploy/pkg/component"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/report"
)

// globals are the flags that every command takes, before or behind its name.
type globals struct {
	Template        string
	Access          string
	Output          string
	PlanFile        string // where -o says that the plan goes, "" for nowhere
	OutputFile      string
	Endpoint        string
	Embedded        bool
	Debug           bool
	Silent          bool
	SkipActions     bool
	AllowUnresolved bool
	Help            bool // only where extract parses; cobra has its own elsewhere
}

func (g *globals) register(set *pflag.FlagSet) {
	set.SortFlags = false
	set.StringVarP(&g.Template, "template", "t", "", "application file (default s.yaml or s.yml)")
	set.StringVarP(&g.Access, "access", "a", "", "credential alias; beats every access in the file")
	set.StringVarP(&g.Output, "output", "o", string(report.Default), "format of the result: "+strings.Join(report.Formats(), ", ")+"; of plan also a file, plan.json, that can be deployed")
	set.StringVar(&g.Output, "output-format", string(report.Default), "the same as --output")
	set.StringVar(&g.OutputFile, "output-file", "", "also write the result to this file")
	set.StringVar(&g.Endpoint, "endpoint", "", "address of the cloud's API; beats FC_ENDPOINT and the credential's endpoint")
	set.BoolVar(&g.Embedded, "embedded", false, "use the embedded cloud; needs no account and no credential")
	set.BoolVar(&g.SkipActions, "skip-actions", false, "run no hooks")
	set.BoolVar(&g.AllowUnresolved, "allow-unresolved", false, "leave ${...} that cannot be resolved as it is written")
	set.BoolVar(&g.Debug, "debug", g.Debug, "show every request to the cloud")
	set.BoolVar(&g.Silent, "silent", false, "show nothing but the result and errors")
}

// check refuses values that no command takes.
func (g *globals) check() error {
	if isPlanFile(g.Output) {
		g.PlanFile, g.Output = g.Output, string(report.Default)
	}
	if !slices.Contains(report.Formats(), g.Output) {
		return diag.Errorf("-o %s: no such format", g.Output).WithHint("%s", diag.DidYouMean(g.Output, report.Formats()))
	}
	return nil
}

// isPlanFile reports whether a word names a file for a plan, and no format.
func isPlanFile(word string) bool {
	return strings.HasSuffix(word, ".json") && word != ".json"
}

// extract takes the global flags out of args, which belong to a command with the
// flags known, and returns the rest.
func (g *globals) extract(args []string, known []component.Flag) ([]string, error) {
	set := pflag.NewFlagSet("devs", pflag.ContinueOnError)
	g.register(set)
	set.BoolVarP(&g.Help, "help", "h", false, "")
	rest, err := take(set, component.FlagSet("command", known), args)
	if err != nil {
		return nil, err
	}
	return rest, g.check()
}

// take parses the flags of set that stand in args and returns the rest, in order.
// What stands behind a flag of keep that takes a value is never looked at: an
// event may be "-a". Nothing behind "--" is looked at either.
func take(set, keep *pflag.FlagSet, args []string) (rest []string, err error) {
	for i := 0; i < len(args); i++ {
		arg := args[i]
		if arg == "--" {
			return append(rest, args[i:]...), nil
		}
		flag, kept := lookup(keep, arg), true
		if flag == nil {
			flag, kept = lookup(set, arg), false
		}
		if flag == nil {
			rest = append(rest, arg)
			continue
		}
		words := args[i : i+1]
		if flag.NoOptDefVal == "" && !hasValue(arg) {
			if i+1 == len(args) {
				return nil, diag.Errorf("%s needs a value", arg).WithHint("see devs --help")
			}
			words = args[i : i+2]
			i++
		}
		if kept {
			rest = append(rest, words...)
		} else if err := set.Parse(words); err != nil {
			return nil, diag.Errorf("%v", err).WithHint("see devs --help")
		}
	}
	return rest, nil
}

// lookup finds the flag that an argument names: --name, --name=value, -n, -nvalue.
func lookup(set *pflag.FlagSet, arg string) *pflag.Flag {
	if name, ok := strings.CutPrefix(arg, "--"); ok {
		name, _, _ = strings.Cut(name, "=")
		return set.Lookup(name)
	}
	if len(arg) >= 2 && arg[0] == '-' {
		flag := set.ShorthandLookup(arg[1:2])
		// -kl and the like are not -k with a value: only a flag that takes one.
		if flag != nil && (len(arg) == 2 || flag.NoOptDefVal == "") {
			return flag
		}
	}
	return nil
}

// hasValue reports whether the argument brings its value along.
func hasValue(arg string) bool {
	if strings.HasPrefix(arg, "--") {
		return strings.Contains(arg, "=")
	}
	return len(arg) > 2
}
