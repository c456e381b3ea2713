package runner

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/devs/deploy/pkg/diag"
)

// customCommand returns the command of a custom runtime: the configured one, or
// the file bootstrap of the code. Paths below /code mean the code folder.
func (p *Pool) customCommand(inst *instance) ([]string, error) {
	fn := inst.fn
	if len(fn.Command) > 0 && fn.Command[0] != "" {
		argv := make([]string, len(fn.Command))
		for i, arg := range fn.Command {
			argv[i] = localPath(arg, fn.CodeDir)
		}
		return p.program(inst, argv)
	}
	path := filepath.Join(fn.CodeDir, "bootstrap")
	if _, err := os.Stat(path); err != nil {
		return nil, diag.Errorf("function %s has no file bootstrap in its code", fn.FuncName).
			WithHint("add an executable bootstrap that starts the server on port %d, or set customRuntimeConfig.command", inst.port)
	}
	return p.program(inst, []string{path})
}

// program completes a command line: names without a slash are files of the code or
// on PATH; a file that is not executable is run nevertheless, without touching the
// code: a script by its interpreter, anything else from a copy.
func (p *Pool) program(inst *instance, argv []string) ([]string, error) {
	path := argv[0]
	if !filepath.IsAbs(path) {
		path = filepath.Join(inst.fn.CodeDir, path)
	}
	info, err := os.Stat(path)
	if err != nil && !strings.Contains(argv[0], "/") {
		if path, err = p.cfg.LookPath(argv[0]); err == nil {
			return append([]string{path}, argv[1:]...), nil
		}
	}
	if err != nil || !info.Mode().IsRegular() {
		return nil, diag.Errorf("function %s has the command %s, and there is no such program", inst.fn.FuncName, argv[0]).
			WithHint("check customRuntimeConfig.command; the code is at %s in the cloud", codeRoot)
	}
	shebang, err := shebangOf(path)
	if err != nil {
		return nil, err
	}
	if strings.HasSuffix(shebang, "\r") {
		return nil, diag.Errorf("%s of function %s has Windows line ends, which its interpreter does not find", filepath.Base(path), inst.fn.FuncName).
			WithHint("save it with line feeds only")
	}
	argv = append([]string{path}, argv[1:]...)
	if info.Mode()&0o111 != 0 {
		return argv, nil
	}
	p.note("%s of function %s is not executable: in the cloud it would not start", filepath.Base(path), inst.fn.FuncName)
	if fields := strings.SplitN(strings.TrimSpace(shebang), " ", 2); fields[0] != "" {
		return append(fields, argv...), nil
	}
	argv[0] = filepath.Join(inst.dir, filepath.Base(path))
	return argv, copyProgram(argv[0], path)
}

// shebangOf returns what stands after #! in the first line of a file, at most 255
// bytes as in the kernel.
func shebangOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("reading the program of a function: %w", err)
	}
	defer f.Close()
	head, err := io.ReadAll(io.LimitReader(f, 257))
	if err != nil {
		return "", fmt.Errorf("reading the program of a function: %w", err)
	}
	line, ok := bytes.CutPrefix(head, []byte("#!"))
	if !ok {
		return "", nil
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	return string(line), nil
}

func copyProgram(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return fmt.Errorf("copying the program of a function: %w", err)
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return fmt.Errorf("copying the program of a function: %w", err)
	}
	if _, err := io.Copy(out, in); err != nil {
		out.Close()
		return fmt.Errorf("copying the program of a function: %w", err)
	}
	return out.Close()
}
