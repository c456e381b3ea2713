package cli

import (
	"errors"
	"slices"
	"testing"

	"github.com/devs/deploy/pkg/stream"
)

func TestEntrypoint(t *testing.T) {
	programs := map[string]string{
		"sh": "/bin/sh", "cat": "/bin/cat", "devs": "/.devs/bin/devs", "s": "/.devs/bin/s", "help": "/bin/help", "build": "/bin/build",
	}
	look := func(name string) (string, error) {
		if path, ok := programs[name]; ok {
			return path, nil
		}
		return "", errors.New("not found")
	}
	inputs := []string{"HOME=/github/home", "INPUT_ACCESS-KEY-ID=x"}
	for _, c := range []struct {
		title         string
		args, environ []string
		program       string
		want          []string // the arguments afterwards; nil: as before
	}{
		{title: "nothing is the help"},
		{title: "inputs are the action", environ: inputs, want: []string{"action"}},
		{title: "an input whose name a shell keeps", environ: []string{"INPUT_COMMAND="}, want: []string{"action"}},
		{title: "an input of a plugin", environ: []string{"PLUGIN_COMMAND=plan"}, want: []string{"action"}},
		{title: "no input", environ: []string{"MY_INPUT_X=1"}},
		{title: "Jenkins", args: []string{"cat"}, program: "/bin/cat"},
		{title: "inputs and a program", args: []string{"cat"}, environ: inputs, program: "/bin/cat"},
		{title: "a script", args: []string{"sh", "-c", "echo"}, program: "/bin/sh"},
		{title: "a path", args: []string{"/bin/sh"}, program: "/bin/sh"},
		{title: "a path that is not there", args: []string{"./run", "x"}, program: "./run"},
		{title: "the program itself", args: []string{"s", "deploy"}, program: "/.devs/bin/s"},
		{title: "a command", args: []string{"deploy", "-y"}, environ: inputs},
		{title: "a command with the name of a program", args: []string{"build"}},
		{title: "help, which cobra adds", args: []string{"help", "deploy"}},
		{title: "a service", args: []string{"web", "deploy"}},
		{title: "a flag", args: []string{"--version"}},
		{title: "a builtin of shells that is no file", args: []string{"export"}},
		{title: "an empty word", args: []string{""}},
	} {
		env := &Env{Args: slices.Clone(c.args), Environ: c.environ, IO: &stream.IO{}}
		want := c.want
		if want == nil {
			want = c.args
		}
		if program := Entrypoint(env, look); program != c.program || !slices.Equal(env.Args, want) {
			t.Errorf("%s: program %q with %q, want %q with %q", c.title, program, env.Args, c.program, want)
		}
	}
}

// TestEntrypointKnowsAllCommands asks for every command while a program has each name.
func TestEntrypointKnowsAllCommands(t *testing.T) {
	everything := func(name string) (string, error) { return "/bin/" + name, nil }
	commands := newTool(&Env{IO: &stream.IO{}}).newRoot().Commands()
	if len(commands) < 10 {
		t.Fatalf("only %d commands", len(commands))
	}
	for _, c := range commands {
		if program := Entrypoint(&Env{Args: []string{c.Name()}, IO: &stream.IO{}}, everything); program != "" {
			t.Errorf("%s runs %s", c.Name(), program)
		}
	}
}
