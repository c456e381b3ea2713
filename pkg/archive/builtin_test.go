package archive

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestTemplateDir(t *testing.T) {
	cases := []struct {
		name             string
		files            map[string]string
		code, source     string
		want, wantNotice string
	}{
		{"beside the template", map[string]string{IgnoreFile: "*.log\ncode/x\ny\n/z"}, "code", "", "keep z", "deprecated"},
		{"the code's own wins", map[string]string{IgnoreFile: "*", "code/" + IgnoreFile: "x"}, "code", "", ".fcignore a.log keep y z", ""},
		{"the code is beside the template", map[string]string{"code/" + IgnoreFile: "x"}, "code", "", ".fcignore a.log keep y z", ""},
		{"a build artifact", map[string]string{IgnoreFile: "src/x\ncode/y"}, "code", "src", "a.log keep y z", "deprecated"},
		{"an artifact of the template's folder", map[string]string{IgnoreFile: "/x"}, "code", ".", "a.log keep y z", ""},
		{"code elsewhere", map[string]string{IgnoreFile: "x"}, "code", "..", "a.log keep x y z", "not below"},
		{"none", nil, "code", "", "a.log keep x y z", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			for _, f := range []string{"a.log", "keep", "x", "y", "z"} {
				write(t, filepath.Join(dir, "code", f), f)
			}
			for f, rules := range c.files {
				write(t, filepath.Join(dir, f), rules)
			}
			opts := Options{Path: filepath.Join(dir, c.code), TemplateDir: dir}
			if c.source != "" {
				opts.SourceDir = filepath.Join(dir, c.source)
			}
			p := pack(t, opts)
			if got := paths(p); got != c.want {
				t.Errorf("packed %s\nwant %s", got, c.want)
			}
			notice := ""
			for _, w := range p.Warnings {
				notice += w.Summary
			}
			if (notice == "") != (c.wantNotice == "") || !strings.Contains(notice, c.wantNotice) {
				t.Errorf("warning %q, want %q", notice, c.wantNotice)
			}
		})
	}
}

func TestFunctionIgnores(t *testing.T) {
	tree := []string{
		".DS_Store", ".env", ".git/HEAD", ".nas.yml", ".s/1-cn-hangzhou-svc.json", ".s/build/artifacts/a",
		".s/cloud/address", ".s/cloud/identity", ".s/cloud/packages/0.zip", ".s/fc-build/b.json",
		".s/fc-cache/c.json", ".s/nas/a", ".s/new/a", ".s/package/a", ".s/tmp/a", ".s/zip/a", ".svn/a", "lib/.DS_Store", "lib/.env", "template.packaged.yml",
	}
	kept := []string{".fcignore", ".s/python/m.py", "lib/.s/cloud/x", "node_modules/m/index.js", "s.yaml"}
	dir := t.TempDir()
	for _, f := range slices.Concat(tree, kept) {
		write(t, filepath.Join(dir, f), "")
	}
	for runtime, out := range map[string][]string{
		"":           nil,
		"custom":     nil,
		"java11":     nil,
		"nodejs16":   {".s/python/m.py"},
		"python3.10": {"node_modules/m/index.js"},
		"php7.2":     {".s/python/m.py", "node_modules/m/index.js"},
	} {
		want := slices.DeleteFunc(slices.Clone(kept), func(f string) bool { return slices.Contains(out, f) })
		if got := paths(pack(t, Options{Path: dir, Ignore: FunctionIgnores(runtime)})); got != strings.Join(want, " ") {
			t.Errorf("runtime %q packs %s\nwant %s", runtime, got, want)
		}
	}
	write(t, filepath.Join(dir, IgnoreFile), "!.s/new")
	if got := paths(pack(t, Options{Path: dir, Ignore: FunctionIgnores("nodejs16")})); got != ".fcignore .s/new/a lib/.s/cloud/x node_modules/m/index.js s.yaml" {
		t.Errorf("%s cannot take back a folder below .s: %s", IgnoreFile, got)
	}
	write(t, filepath.Join(dir, IgnoreFile), "*\n!lib/\n!lib/.env")
	if got := paths(pack(t, Options{Path: dir, Ignore: FunctionIgnores("")})); got != "lib/.env" {
		t.Errorf("%s cannot take back a built-in rule: %s", IgnoreFile, got)
	}
}
