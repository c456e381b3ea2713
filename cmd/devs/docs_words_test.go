package main

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// TestCommandsNotRun checks that what commands name is there: targets of make,
// folders, tests.
func TestCommandsNotRun(t *testing.T) {
	makefile, err := os.ReadFile(root("Makefile"))
	if err != nil {
		t.Fatal(err)
	}
	sources := sourcesOfTests(t)
	for _, file := range checkedOnly() {
		for _, b := range blocksOf(t, file) {
			if b.lang != "sh" && b.lang != "bash" {
				continue
			}
			before := ""
			for _, w := range strings.Fields(b.text) {
				there := true
				switch {
				case before == "make":
					there = strings.Contains(string(makefile), "\n"+w+":")
				case strings.HasPrefix(w, "./") || strings.HasPrefix(w, ".ci/"):
					_, err := os.Stat(root(w))
					there = err == nil
				case before == "-run" && !strings.HasPrefix(w, "'"):
					name, _, _ := strings.Cut(w, "/")
					there = strings.Contains(sources, "func "+name+"(")
				}
				if !there {
					t.Errorf("%s:%d: there is no %s", b.file, b.line, w)
				}
				before = w
			}
		}
	}
}

// sourcesOfTests returns the test files of the packages that the commands name
// tests of.
func sourcesOfTests(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, dir := range []string{".", root("pkg", "fc", "props")} {
		files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			all.Write(data)
		}
	}
	return all.String()
}

// TestReadmesAgree: what a reader can copy is the same in both languages.
func TestReadmesAgree(t *testing.T) {
	copied := func(file string) (texts []string) {
		for _, b := range blocksOf(t, root(file)) {
			texts = append(texts, b.lang+"\n"+b.text)
		}
		return texts
	}
	en, zh := copied("README.md"), copied("README.zh-CN.md")
	for i := range max(len(en), len(zh)) {
		if i >= len(en) || i >= len(zh) || en[i] != zh[i] {
			t.Fatalf("block %d differs:\n%s\n%s", i+1, strings.Join(en[min(i, len(en)):], ""), strings.Join(zh[min(i, len(zh)):], ""))
		}
	}
}

// TestNoHiddenCommands: a command stands in a block that runs, and what the text
// says of commands and flags is known to the help texts.
func TestNoHiddenCommands(t *testing.T) {
	help, commands := helpTexts(t)
	called := regexp.MustCompile(`(?m)^\s*(\$ |# )?(devs|s|go run|npm|sh) `)
	for _, file := range append(documents(t), root("README.zh-CN.md")) {
		for _, b := range blocksOf(t, file) {
			_, isFile := b.comment("file")
			if slices.Contains([]string{"bash", "shell", "console", "zsh", "text", "shell-session"}, b.lang) {
				t.Errorf("%s:%d: write ```sh for commands, and no language for what they print", file, b.line)
			}
			if b.lang != "sh" && !isFile && !b.isPipeline() && called.MatchString(b.text) {
				t.Errorf("%s:%d: a command in a block that is not run", file, b.line)
			}
		}
		checkInline(t, file, help, commands)
	}
}

// helpTexts returns all help texts, and the names of the commands.
func helpTexts(t *testing.T) (all string, commands []string) {
	t.Helper()
	command := func(args ...string) string {
		out, err := exec.Command("devs", append(args, "--help")...).CombinedOutput()
		if err != nil {
			t.Fatalf("devs %v --help: %v", args, err)
		}
		return string(out)
	}
	listed := regexp.MustCompile(`(?m)^  ([a-z]+) {2,}[A-Z]`)
	all = command()
	for _, m := range listed.FindAllStringSubmatch(all, -1) {
		commands = append(commands, m[1])
		text := command(m[1])
		all += text
		if m[1] == "config" || m[1] == "image" {
			for _, sub := range listed.FindAllStringSubmatch(text, -1) {
				all += command(m[1], sub[1])
			}
		}
	}
	return all, commands
}

// checkInline checks the commands and flags within the text of a document.
func checkInline(t *testing.T, file, help string, commands []string) {
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	prose := regexp.MustCompile("(?ms)^```.*?^```$").ReplaceAllString(string(data), "")
	for _, m := range regexp.MustCompile("`((?:devs |--)[^`\n]+)`").FindAllStringSubmatch(prose, -1) {
		words := strings.Fields(m[1])
		for _, w := range words {
			name, _, _ := strings.Cut(w, "=")
			if strings.HasPrefix(w, "--") && len(w) > 2 && !regexp.MustCompile(`(^|[\s,])`+regexp.QuoteMeta(name)+`([\s,;]|$)`).MatchString(help) {
				t.Errorf("%s: %q: no help text knows %s", file, m[1], w)
			}
		}
		if words[0] != "devs" || len(words) < 2 || strings.HasPrefix(words[1], "-") {
			continue
		}
		second := words[min(2, len(words)-1)]
		if !slices.Contains(commands, words[1]) && !slices.Contains(commands, second) {
			t.Errorf("%s: %q: %s is no command", file, m[1], cmp.Or(words[1], second))
		}
	}
}
