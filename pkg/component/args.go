package component

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/pflag"

	"github.com/devs/deploy/pkg/diag"
)

// ParseArgs parses what stands behind a command's name. extra are flags that do
// not belong to the component, such as the engine's. Unknown flags and words are
// Problems with exit code ExitTool; a sub-command or choice that the component does
// not have is one with ExitComponent.
func ParseArgs(cmd *Command, extra []Flag, args []string) (Args, error) {
	flags := append(slices.Clone(cmd.Flags), extra...)
	set := FlagSet(cmd.Name, flags)
	if err := set.Parse(args); err != nil {
		return Args{}, usage(cmd, flags, err)
	}
	out := Args{Flags: map[string]any{}, Rest: set.Args()}
	for _, f := range flags {
		if !set.Changed(f.Name) {
			continue
		}
		value := f.value(set)
		if text, ok := value.(string); ok && f.Choices != nil && !slices.Contains(f.Choices, text) {
			return Args{}, diag.Errorf("--%s %s: no such choice", f.Name, text).
				WithCode(diag.ExitComponent).WithHint("%s", diag.DidYouMean(text, f.Choices))
		}
		out.Flags[f.Name] = value
	}
	if len(out.Rest) > 0 && len(cmd.Subs) > 0 {
		out.Sub, out.Rest = out.Rest[0], out.Rest[1:]
		if !slices.Contains(cmd.Subs, out.Sub) {
			return Args{}, diag.Errorf("%s has no sub-command %q", cmd.Name, out.Sub).
				WithCode(diag.ExitComponent).WithHint("%s", diag.DidYouMean(out.Sub, named(cmd.Subs)))
		}
	} else if len(cmd.Subs) > 0 && !slices.Contains(cmd.Subs, "") {
		return Args{}, diag.Errorf("%s needs a sub-command", cmd.Name).
			WithCode(diag.ExitComponent).WithHint("use one of: %s", strings.Join(named(cmd.Subs), ", "))
	}
	if len(out.Rest) > 0 {
		return Args{}, diag.Errorf("%s: unexpected argument %q", cmd.Name, out.Rest[0]).
			WithHint("see devs %s --help", cmd.Name)
	}
	return out, nil
}

func named(subs []string) []string {
	return slices.DeleteFunc(slices.Clone(subs), func(s string) bool { return s == "" })
}

// FlagSet returns flags as a pflag set, for parsing and for help texts.
func FlagSet(name string, flags []Flag) *pflag.FlagSet {
	set := pflag.NewFlagSet(name, pflag.ContinueOnError)
	set.SetOutput(io.Discard)
	set.SortFlags = false
	for _, f := range flags {
		usage := f.Usage
		if f.Choices != nil {
			usage = fmt.Sprintf("%s (%s)", usage, strings.Join(f.Choices, ", "))
		}
		switch f.Type {
		case BoolFlag:
			set.BoolP(f.Name, f.Short, false, usage)
		case StringFlag:
			set.StringP(f.Name, f.Short, "", usage)
		case StringsFlag:
			set.StringArrayP(f.Name, f.Short, nil, usage)
		case IntFlag:
			set.IntP(f.Name, f.Short, 0, usage)
		}
	}
	return set
}

func (f Flag) value(set *pflag.FlagSet) any {
	var v any
	switch f.Type {
	case BoolFlag:
		v, _ = set.GetBool(f.Name)
	case StringFlag:
		v, _ = set.GetString(f.Name)
	case StringsFlag:
		v, _ = set.GetStringArray(f.Name)
	case IntFlag:
		v, _ = set.GetInt(f.Name)
	}
	return v
}

func usage(cmd *Command, flags []Flag, err error) error {
	p := diag.Errorf("%s: %v", cmd.Name, err)
	if errors.Is(err, pflag.ErrHelp) {
		return err
	}
	names := make([]string, len(flags))
	for i, f := range flags {
		names[i] = "--" + f.Name
	}
	if unknown, ok := errors.AsType[*pflag.NotExistError](err); ok {
		return p.WithHint("%s", diag.DidYouMean("--"+unknown.GetSpecifiedName(), names))
	}
	return p.WithHint("see devs %s --help", cmd.Name)
}
