package archive

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/devs/deploy/pkg/diag"
)

// ignoreCase is a tree with ignore files, and what they leave out.
type ignoreCase struct {
	name  string
	rules map[string]string // folder ("" for the root) to ignore file
	tree  string            // files, separated by spaces
	want  string            // those that are left out
}

var ignoreCases = []ignoreCase{
	{"name at any depth", map[string]string{"": "a"}, "a b x/a x/b", "a x/a"},
	{"name of a folder", map[string]string{"": "a"}, "a/b x/a/b/c", "a/b x/a/b/c"},
	{"folders only", map[string]string{"": "a/"}, "a x/a/b", "x/a/b"},
	{"anchored by a leading slash", map[string]string{"": "/a"}, "a x/a", "a"},
	{"anchored by a slash inside", map[string]string{"": "x/a"}, "x/a y/x/a", "x/a"},
	{"anchored folder", map[string]string{"": "/x/a/"}, "x/a/b x/ab/c y/x/a/b", "x/a/b"},
	{"suffix", map[string]string{"": "*.log"}, "a.log x/b.log log .log a.logs", "a.log x/b.log .log"},
	{"star stops at a slash", map[string]string{"": "x/*.js"}, "x/a.js x/y/a.js", "x/a.js"},
	{"star is a folder", map[string]string{"": "x/*/a"}, "x/y/a x/a x/y/z/a", "x/y/a"},
	{"question mark", map[string]string{"": "a?c"}, "abc ac abbc x/adc", "abc x/adc"},
	{"leading double star", map[string]string{"": "**/x/a"}, "x/a y/x/a y/z/x/a xx/a", "x/a y/x/a y/z/x/a"},
	{"double star backtracks", map[string]string{"": "**/x/a"}, "x/y/x/a x/x/a x/x/b", "x/y/x/a x/x/a"},
	{"trailing double star", map[string]string{"": "x/**"}, "x/a x/y/b y/x/a", "x/a x/y/b"},
	{"trailing double star leaves the folder itself", map[string]string{"": "x/**\n!x/a"}, "x/a x/b x/y/a", "x/b x/y/a"},
	{"double star in the middle", map[string]string{"": "x/**/a"}, "x/a x/y/a x/y/z/a y/x/a", "x/a x/y/a x/y/z/a"},
	{"double star inside a segment", map[string]string{"": "x/a**b"}, "x/ab x/a-b x/a/b", "x/ab x/a-b"},
	{"double star after a literal", map[string]string{"": "fo**/bar"}, "foo/bar foo/x/bar fo/bar", "foo/bar foo/x/bar fo/bar"},
	{"double star in a name", map[string]string{"": "a**"}, "abc x/ab b", "abc x/ab"},
	{"double star and an escaped slash", map[string]string{"": `x/**\/a`}, "x/a x/y/a x/y/z/a", "x/y/a x/y/z/a"},
	{"three stars", map[string]string{"": "x/***/a"}, "x/a x/y/z/a", "x/a x/y/z/a"},
	{"take back a file", map[string]string{"": "*.log\n!keep.log"}, "a.log keep.log x/keep.log", "a.log"},
	{"the last rule wins", map[string]string{"": "!a\na\n!a\na"}, "a b", "a"},
	{"take back below a folder that is out", map[string]string{"": "x/\n!x/a"}, "x/a x/b", "x/a x/b"},
	{"take back the folder first", map[string]string{"": "x/*\n!x/y/\nx/y/*\n!x/y/a"}, "x/b x/y/a x/y/b", "x/b x/y/b"},
	{"all but one", map[string]string{"": "/*\n!/x\n/x/*\n!/x/a"}, "a x/a x/b", "a x/b"},
	{"take back a folder, not what is in it", map[string]string{"": "*.log\n!x"}, "x/a.log x/a y", "x/a.log"},
	{"take back a path, not what is below", map[string]string{"": "*.log\n!x/y"}, "x/y/a.log x/y/a", "x/y/a.log"},
	{"class", map[string]string{"": "[ab]c"}, "ac bc cc", "ac bc"},
	{"negated class with !", map[string]string{"": "[!ab]c"}, "ac bc cc", "cc"},
	{"negated class with ^", map[string]string{"": "[^ab]c"}, "ac bc cc", "cc"},
	{"range", map[string]string{"": "[a-c]x"}, "ax bx cx dx -x", "ax bx cx"},
	{"range and a dash", map[string]string{"": "[a-c-z]x"}, "ax dx -x zx", "ax -x zx"},
	{"bracket in a class", map[string]string{"": "[]a]x"}, "]x ax bx", "]x ax"},
	{"escape in a class", map[string]string{"": `[\]a]x`}, `]x ax \x`, "]x ax"},
	{"POSIX class", map[string]string{"": "[[:digit:][:upper:]]x"}, "1x Ax ax", "1x Ax"},
	{"unknown POSIX class", map[string]string{"": "[[:no:]a]x"}, "ax", ""},
	{"not quite a POSIX class", map[string]string{"": "[[:a]x"}, "ax :x [x bx", "ax :x [x"},
	{"open class", map[string]string{"": "[ab"}, "a [ab", ""},
	{"class and a slash", map[string]string{"": "x[/y]a\nx/[!b]"}, "x/a xya x/b", "x/a xya"},
	{"comment", map[string]string{"": "#a\na#"}, "#a a#", "a#"},
	{"escaped hash", map[string]string{"": `\#a`}, "#a a", "#a"},
	{"escaped exclamation mark", map[string]string{"": `\!a`}, "!a a", "!a"},
	{"escaped star", map[string]string{"": `\*a`}, "*a ba", "*a"},
	{"escaped letter", map[string]string{"": `\ab`}, "ab b", "ab"},
	{"trailing backslash", map[string]string{"": `a\`}, `a a\`, ""},
	{"trailing spaces", map[string]string{"": "a   \nb "}, "a b", "a b"},
	{"trailing tab stays", map[string]string{"": "a\t"}, "a", ""},
	{"CRLF", map[string]string{"": "a\r\n*.log\r\n"}, "a b.log c", "a b.log"},
	{"byte order mark", map[string]string{"": "\ufeffa"}, "a", "a"},
	{"empty and odd lines", map[string]string{"": "\n   \n!\n/\n//\na"}, "a b", "a"},
	{"no newline at the end", map[string]string{"": "b\na"}, "a b c", "a b"},
	{"upper case", map[string]string{"": "README"}, "README readme", "README"},
	{"names beyond ASCII", map[string]string{"": "é*\n??x"}, "éa e ax ñx", "éa ñx"},
	{"a file in a subfolder", map[string]string{"x": "a"}, "a x/a x/y/a", "x/a x/y/a"},
	{"anchored in a subfolder", map[string]string{"x": "/a\ny/b"}, "a x/a x/y/a x/y/b y/b", "x/a x/y/b"},
	{"inner rules win", map[string]string{"": "*.log", "x": "!*.log"}, "a.log x/a.log x/y/b.log", "a.log"},
	{"inner rules cannot open a folder that is out", map[string]string{"": "x", "x": "!a"}, "x/a", "x/a"},
	{"three levels", map[string]string{"": "a", "x": "!a", "x/y": "a"}, "a x/a x/y/a", "a x/y/a"},
	{"everything", map[string]string{"": "*\n!a"}, "a b x/a", "b x/a"},
	{"folder by wildcard", map[string]string{"": "*_modules/"}, "n_modules/a n_modules2/a b_modules", "n_modules/a"},
}

func TestIgnoreRules(t *testing.T) {
	for _, c := range ignoreCases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			files := plant(t, dir, c)
			if got, want := sorted(leftOut(t, dir, files)), sorted(strings.Fields(c.want)); got != want {
				t.Errorf("left out: %s\nwant: %s", got, want)
			}
		})
	}
}

// TestIgnoreRulesAreThoseOfGit holds the table above against the real git.
func TestIgnoreRulesAreThoseOfGit(t *testing.T) {
	needGit(t)
	for _, c := range ignoreCases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			files := plant(t, dir, c)
			if got, want := sorted(gitIgnored(t, dir, files)), sorted(strings.Fields(c.want)); got != want {
				t.Errorf("git leaves out: %s\nthe table says: %s", got, want)
			}
		})
	}
}

// TestRandomIgnoreRulesAreThoseOfGit makes up rules from the parts that rules
// are made of, and asks git.
func TestRandomIgnoreRulesAreThoseOfGit(t *testing.T) {
	needGit(t)
	parts := []string{"a", "b", "ab", "*", "**", "?", "/", "/", "/", "[ab]", "[!a]", "[a-b", `\a`, `\`, "!", "***", "[^/]", " ", "-", "[[:alpha:]]"}
	var names []string
	for _, x := range []string{"a", "b", "ab", "a-", "!a"} {
		names = append(names, x+".f", x+"/ab", x+"/b/a", x+"/b/ab/b", x+"/a/b")
	}
	const rounds = 40
	for round := range rounds {
		r := rand.New(rand.NewPCG(7, uint64(round)))
		c := ignoreCase{tree: strings.Join(names, " "), rules: map[string]string{}}
		for _, dir := range []string{"", "a", "ab/b"} {
			var b strings.Builder
			for range 1 + r.IntN(4) {
				for range 1 + r.IntN(6) {
					b.WriteString(parts[r.IntN(len(parts))])
				}
				b.WriteString("\n")
			}
			c.rules[dir] = b.String()
		}
		dir := t.TempDir()
		files := plant(t, dir, c)
		if got, want := sorted(leftOut(t, dir, files)), sorted(gitIgnored(t, dir, files)); got != want {
			t.Errorf("rules %q leave out: %s\ngit: %s", c.rules, got, want)
		}
	}
}

// sorted makes two lists comparable.
func sorted(list []string) string {
	slices.Sort(list)
	return strings.Join(list, " ")
}

func needGit(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("git, whose rules these are, is not installed")
	}
}

// plant writes a tree with its rules in both .fcignore and .gitignore, and
// returns its files.
func plant(t *testing.T, dir string, c ignoreCase) []string {
	t.Helper()
	files := strings.Fields(c.tree)
	for _, f := range files {
		write(t, filepath.Join(dir, f), f)
	}
	for sub, rules := range c.rules {
		write(t, filepath.Join(dir, sub, IgnoreFile), rules)
		write(t, filepath.Join(dir, sub, ".gitignore"), rules)
	}
	return files
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// leftOut returns which of files our rules leave out.
func leftOut(t *testing.T, dir string, files []string) []string {
	t.Helper()
	w := &walker{open: os.Open, root: dir}
	if err := w.folder(context.Background(), "", &ruleSet{}); err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, f := range files {
		if !slices.ContainsFunc(w.sources, func(s source) bool { return s.path == f }) {
			out = append(out, f)
		}
	}
	return out
}

// gitIgnored returns which of files git ignores.
func gitIgnored(t *testing.T, dir string, files []string) []string {
	t.Helper()
	env := append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_SYSTEM="+os.DevNull)
	init := exec.Command("git", "init", "-q", dir)
	init.Env = env
	if out, err := init.CombinedOutput(); err != nil {
		t.Fatalf("git init: %v\n%s", err, out)
	}
	defer os.RemoveAll(filepath.Join(dir, ".git"))
	cmd := exec.Command("git", "-C", dir, "check-ignore", "--no-index", "--stdin", "-z")
	cmd.Env = env
	// "./" keeps git from reading magic into names such as ":x".
	cmd.Stdin = strings.NewReader("./" + strings.Join(files, "\x00./") + "\x00")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil && cmd.ProcessState.ExitCode() != 1 {
		t.Fatalf("git check-ignore: %v\n%s", err, stderr.String())
	}
	list := strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 })
	for i, name := range list {
		list[i] = strings.TrimPrefix(name, "./")
	}
	return list
}

func TestIgnoreFileErrors(t *testing.T) {
	t.Run("link", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "rules"), "a")
		if err := os.Symlink("rules", filepath.Join(dir, IgnoreFile)); err != nil {
			t.Fatal(err)
		}
		wantProblem(t, dir, "is not a regular file, so its rules are not read")
	})
	t.Run("huge", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, IgnoreFile), strings.Repeat("a\n", maxIgnoreFile))
		wantProblem(t, dir, "larger than 1024 KiB")
	})
	t.Run("long rule", func(t *testing.T) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "sub", IgnoreFile), "a\n"+strings.Repeat("a", maxIgnoreRule+1))
		p := wantProblem(t, dir, "longer than 1024 bytes")
		if want := filepath.Join(dir, "sub", IgnoreFile) + ":2"; p.Pos.String() != want {
			t.Errorf("place %s, want %s", p.Pos, want)
		}
	})
}

func wantProblem(t *testing.T, path, summary string) *diag.Problem {
	t.Helper()
	p, err := Pack(context.Background(), Options{Path: path, TempDir: t.TempDir()})
	if err == nil {
		p.Close()
		t.Fatalf("no error, want %q", summary)
	}
	problem, ok := err.(*diag.Problem)
	if !ok {
		t.Fatalf("%v (%T) is no problem the user can act on", err, err)
	}
	if !strings.Contains(problem.Summary, summary) {
		t.Errorf("problem %q, want %q", problem.Summary, summary)
	}
	if problem.Hint == "" {
		t.Error("no hint")
	}
	return problem
}

func FuzzIgnoreRules(f *testing.F) {
	for _, c := range ignoreCases {
		f.Add(c.rules[""], "x/a")
	}
	f.Fuzz(func(t *testing.T, rules, path string) {
		if path == "" || strings.HasPrefix(path, "/") || strings.HasSuffix(path, "/") {
			return
		}
		list, err := parseRules("rules", []byte(rules))
		if err != nil {
			if _, ok := err.(*diag.Problem); !ok || !strings.Contains(err.Error(), "longer than") {
				t.Fatalf("rules %q: %v", rules, err)
			}
			return
		}
		set := &ruleSet{rules: list}
		// What matches as a file matches as a folder, unless a rule says so.
		if file, dir := set.ignores(path, false), set.ignores(path, true); file != dir && !strings.Contains(rules, "/") {
			t.Fatalf("rules %q, path %q: file %v, folder %v", rules, path, file, dir)
		}
	})
}

func BenchmarkIgnoreRules(b *testing.B) {
	rules, err := parseRules("rules", []byte(strings.Join(FunctionIgnores("python3"), "\n")+"\n*.log\ntest/**/x\n*.py[co]\n"))
	if err != nil {
		b.Fatal(err)
	}
	set := &ruleSet{rules: rules}
	paths := make([]string, 1000)
	for i := range paths {
		paths[i] = fmt.Sprintf("site-packages/pkg-%03d/lib/util/f%05d.py", i/40, i)
	}
	for b.Loop() {
		for _, p := range paths {
			set.ignores(p, false)
		}
	}
}
