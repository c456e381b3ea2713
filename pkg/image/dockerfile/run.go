package dockerfile

import (
	"path"
	"slices"
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"

	"github.com/devs/deploy/pkg/diag"
)

// scriptDir is where a heredoc that begins with #! is found by RUN.
const scriptDir = "/.heredocs"

// run evaluates RUN.
func (x *step) run(c *instructions.RunCommand) (Op, error) {
	r := &Run{
		Step:     x.op(),
		Env:      x.env.list(),
		Proxy:    proxies(x.file.options.BuildArgs),
		Dir:      absolute("/", x.config.WorkingDir),
		User:     x.config.User,
		Network:  instructions.GetNetwork(c),
		Security: instructions.GetSecurity(c),
	}
	for _, d := range instructions.GetDevices(c) {
		r.Devices = append(r.Devices, Device{Name: d.Name, Required: d.Required})
	}
	args, err := x.heredocs(r, c)
	if err != nil {
		return nil, err
	}
	if c.PrependShell {
		args = x.withShell(args)
	}
	if len(args) == 0 || args[0] == "" {
		return nil, diag.Errorf("RUN has no command").WithHint("%s", usage("run"))
	}
	r.Args = args
	if r.Mounts, err = x.mounts(c); err != nil {
		return nil, err
	}
	x.history = "RUN " + x.runHistory(args)
	return r, nil
}

// heredocs returns the command with its heredocs as sh needs them. A single one is the
// script itself: the command of the shell, so that shells without heredocs work too,
// or a file when it begins with #!. Several, or one that is fed to a command, are given
// to the shell as they are.
func (x *step) heredocs(r *Run, c *instructions.RunCommand) ([]string, error) {
	if len(c.Files) == 0 {
		return c.CmdLine, nil
	}
	if len(c.CmdLine) != 1 || !c.PrependShell {
		return nil, diag.Errorf("RUN cannot have a heredoc in its JSON form").WithHint("write the command without [ ]")
	}
	first := c.Files[0]
	r.Line += " (" + summary(first.Data) + ")"
	if parser.MustParseHeredoc(c.CmdLine[0]) == nil {
		var b strings.Builder
		b.WriteString(c.CmdLine[0])
		for _, file := range c.Files {
			b.WriteString("\n" + file.Data + file.Name)
		}
		return []string{b.String()}, nil
	}
	data := first.Data
	if first.Chomp {
		data = parser.ChompHeredocContent(data)
	}
	if !strings.HasPrefix(data, "#!") {
		return []string{data}, nil
	}
	if strings.Contains(first.Name, "/") || first.Name == "." || first.Name == ".." {
		return nil, diag.Errorf("%q cannot be the name of a script", first.Name).WithHint("write <<EOF")
	}
	file := InlineFile{Path: path.Join(scriptDir, first.Name), Mode: 0o755, Data: data}
	r.Files = append(r.Files, file)
	return []string{file.Path}, nil
}

// summary returns the first line of a script.
func summary(data string) string {
	line, rest, more := strings.Cut(strings.TrimSpace(data), "\n")
	line = strings.TrimSuffix(line, "\r")
	if more && rest != "" {
		return line + "..."
	}
	return line
}

// runHistory returns the command with the declared arguments before it, as docker
// writes it: |2 A=1 B=2 /bin/sh -c make.
func (x *step) runHistory(args []string) string {
	var words []string
	if n := len(x.args.keys); n > 0 {
		words = append(words, "|"+itoa(n))
		for _, key := range x.args.keys {
			value, ok := x.env.Get(key)
			if !ok {
				value = x.args.values[key]
			}
			words = append(words, key+"="+value)
		}
	}
	return strings.Join(slices.Concat(words, args), " ")
}
