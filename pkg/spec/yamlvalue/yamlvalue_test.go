package yamlvalue_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/spec/yamlvalue"
)

func parse(text string) (*app.Value, error) {
	return yamlvalue.Parse([]byte(text), yamlvalue.Options{File: "s.yaml", Expressions: true})
}

func mustParse(t *testing.T, text string) *app.Value {
	t.Helper()
	v, err := parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestScalars(t *testing.T) {
	tests := []struct {
		in    string
		kind  app.Kind
		plain any
		str   string
	}{
		{"text", app.String, "text", "text"},
		{"1", app.Int, int64(1), "1"},
		{"-7", app.Int, int64(-7), "-7"},
		{"0644", app.Int, int64(420), "0644"},
		{"0o17", app.Int, int64(15), "0o17"},
		{"0x1F", app.Int, int64(31), "0x1F"},
		{"1_000", app.Int, int64(1000), "1_000"},
		{"9223372036854775807", app.Int, int64(9223372036854775807), "9223372036854775807"},
		{"12345678901234567890", app.String, "12345678901234567890", "12345678901234567890"},
		{"123456789012345678901234567890", app.String, "123456789012345678901234567890", "123456789012345678901234567890"},
		{"0899", app.String, "0899", "0899"},
		{"1.0", app.Float, 1.0, "1.0"},
		{"1.10", app.Float, 1.1, "1.10"},
		{"12e4", app.Float, 120000.0, "12e4"},
		{"1e999", app.String, "1e999", "1e999"},
		{".inf", app.String, ".inf", ".inf"},
		{".NaN", app.String, ".NaN", ".NaN"},
		{"true", app.Bool, true, "true"},
		{"False", app.Bool, false, "false"},
		{"yes", app.String, "yes", "yes"},
		{"on", app.String, "on", "on"},
		{"No", app.String, "No", "No"},
		{"null", app.Null, nil, ""},
		{"~", app.Null, nil, ""},
		{"", app.Null, nil, ""},
		{`""`, app.String, "", ""},
		{"'1'", app.String, "1", "1"},
		{"!!str 1", app.String, "1", "1"},
		{"2024-01-02", app.String, "2024-01-02", "2024-01-02"},
		{"2024-01-02T03:04:05Z", app.String, "2024-01-02T03:04:05Z", "2024-01-02T03:04:05Z"},
		{"1.0.0", app.String, "1.0.0", "1.0.0"},
		{"22:30", app.String, "22:30", "22:30"},
		{`"a\nb\u4e2d"`, app.String, "a\nb中", "a\nb中"},
	}
	for _, test := range tests {
		v := mustParse(t, "k: "+test.in).Get("k")
		if v.Kind != test.kind || v.Str() != test.str {
			t.Errorf("%s: %s %q, want %s %q", test.in, v.Kind, v.Str(), test.kind, test.str)
		}
		if diff := cmp.Diff(test.plain, v.Plain()); diff != "" {
			t.Errorf("%s: %s", test.in, diff)
		}
	}
}

func TestPlaces(t *testing.T) {
	v := mustParse(t, "\ufeffa: 1\r\n\"中文\": {x: 中, y: z}\r\nlist:\r\n  - p\r\n  -   q: r\r\n")
	want := map[string]diag.Pos{
		"a": {File: "s.yaml", Line: 1, Column: 4}, "x": {File: "s.yaml", Line: 2, Column: 11}, "y": {File: "s.yaml", Line: 2, Column: 17},
		"p": {File: "s.yaml", Line: 4, Column: 5}, "r": {File: "s.yaml", Line: 5, Column: 10}, "list": {File: "s.yaml", Line: 3, Column: 1},
	}
	got := map[string]diag.Pos{
		"a": v.Get("a").Pos, "x": v.Get("中文", "x").Pos, "y": v.Get("中文").Entries[1].Value.Pos,
		"p": v.Get("list").Items[0].Pos, "r": v.Get("list").Items[1].Get("q").Pos, "list": v.Entries[2].KeyPos,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestExpressionsAreMarked(t *testing.T) {
	text := "a: ${x} ${y}\nb: plain\nc: |\n  l\n  ${z}\n"
	v := mustParse(t, text)
	want := []diag.Pos{{File: "s.yaml", Line: 1, Column: 4}, {File: "s.yaml", Line: 1, Column: 9}}
	if diff := cmp.Diff(want, v.Get("a").Exprs); diff != "" {
		t.Error(diff)
	}
	if v.Get("b").Exprs != nil || len(v.Get("c").Exprs) != 1 || v.Get("c").Exprs[0].Line != 5 {
		t.Errorf("got %v, %v", v.Get("b").Exprs, v.Get("c").Exprs)
	}
	// Escapes hide the source's spelling; the place is then that of the text.
	if v := mustParse(t, `a: "\x24{x}"`).Get("a"); len(v.Exprs) != 1 || v.Exprs[0] != v.Pos {
		t.Errorf("got %v", v.Exprs)
	}
	data, err := yamlvalue.Parse([]byte(text), yamlvalue.Options{})
	if err != nil || data.Get("a").Exprs != nil {
		t.Error("data was marked")
	}
}

func TestMergeAndAliases(t *testing.T) {
	v := mustParse(t, `
base: &base {a: 1, b: {c: 2}}
more: &more {a: 9, d: 3}
one: {<<: *base, a: 5}
two: {x: 0, <<: [*more, *base]}
alias: *base
1: int key
true: bool key
on: on key
`)
	want := map[string]any{
		"base": map[string]any{"a": int64(1), "b": map[string]any{"c": int64(2)}}, "more": map[string]any{"a": int64(9), "d": int64(3)},
		"one":   map[string]any{"a": int64(5), "b": map[string]any{"c": int64(2)}},
		"two":   map[string]any{"x": int64(0), "a": int64(9), "d": int64(3), "b": map[string]any{"c": int64(2)}},
		"alias": map[string]any{"a": int64(1), "b": map[string]any{"c": int64(2)}},
		"1":     "int key", "true": "bool key", "on": "on key",
	}
	if diff := cmp.Diff(want, v.Plain()); diff != "" {
		t.Error(diff)
	}
	if got := strings.Join(v.Get("two").Keys(), " "); got != "x a d b" {
		t.Errorf("keys %s", got)
	}
}

func TestEmpty(t *testing.T) {
	for _, text := range []string{"", "\n", "# only a comment\n", "---\n", "~", "\ufeff"} {
		v, err := parse(text)
		if err != nil || v.Kind != app.Null || v.Pos.Line == 0 {
			t.Errorf("%q: %v, %v", text, v, err)
		}
	}
}

func TestErrors(t *testing.T) {
	long := strings.Repeat("#\n", yamlvalue.MaxBytes/2) + "a: 1"
	bomb := "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
	for i := 1; i < 9; i++ {
		bomb += fmt.Sprintf("a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	merges := "b: &b {x: 1"
	for i := range 1000 {
		merges += fmt.Sprintf(", k%d: 1", i)
	}
	merges += "}\n"
	tests := []struct{ name, in, want string }{
		{"merge bomb, mappings", merges + "m:\n" + strings.Repeat("- {<<: *b}\n", 100_000), "MANY"},
		{"merge bomb, list", merges + "m: {<<: [" + strings.Repeat("*b, ", 100_000) + "]}\n", "MANY"},
		{"merge bomb, keys", merges + "m: {" + strings.Repeat("<<: *b, ", 100_000) + "}\n", "MANY"},
		{"tab", "a:\n\tb: 1\n", "2:1: a tab is used for indentation"},
		{"tab after spaces", "a:\n  b: 1\n  \tc: 2\n", "3:3: a tab is used for indentation"},
		{"second colon", "a: 1\nb: c: d\ne: 2\n", "2: there is a second \": \" on a line, or the line above is indented differently"},
		{"indentation", "a:\n    b: 1\n  c: 2\nd: 3\n", "3: the line does not belong to the mapping around it"},
		{"open quote", "a: 1\nb: \"x\nc: 2\n", "2: a quote is opened and never closed"},
		{"open list", "a: [1, 2\nb: 3\n", "1: a [ ] list or { } mapping is not closed, or holds an expression without quotes"},
		{"reserved", "a: 1\nb: @x\n", "2: a value begins with a character that YAML reserves"},
		{"escape", "a: \"\\q\"\n", "1: a text in double quotes holds an unknown \\ escape"},
		{"anchor", "a: *nope\n", "1: an alias (*name) has no anchor (&name) above it"},
		{"no colon", "a: 1\nbee\nc: 2\n", "2: a key has no \":\" after it"},
		{"duplicate", "a: 1\nb: 2\na: 3\n", "3:1: the key a is there already, at s.yaml:1:1"},
		{"duplicate, other spelling", "a: 1\n'a': 3\n", "2:1: the key a is there already, at s.yaml:1:1"},
		{"list as key", "[a]: 1\n", "1:1: a key is a list"},
		{"mapping as key", "{a: b}: 1\n", "1:1: a key is a mapping"},
		{"empty key", "a: 1\n? \n: 1\n", "2:2: a key is empty"},
		{"two documents", "a: 1\n---\nb: 2\n", "3:1: the file holds more than one YAML document"},
		{"second document broken", "a: 1\n---\nb: c: d\n", "3: there is a second \": \" on a line, or the line above is indented differently"},
		{"cycle", "a: &x\n  b: *x\n", "2:6: the alias *x refers to a value that contains it"},
		{"merge a text", "a: {<<: x}\n", "1:9: the merge key << has a text, not a mapping"},
		{"merge a list of texts", "a: {<<: [x]}\n", "1:9: the merge key << has a text in its list"},
		{"merge itself", "a: &x\n  <<: *x\n", "2:7: the alias *x refers to a value that contains it"},
		{"tag", "a: !Ref b\n", "1:4: the tag !Ref is not supported"},
		{"binary", "a: !!binary aGk=\n", "1:4: the tag !!binary is not supported"},
		{"bool", "a: !!bool x\n", "1:4: \"x\" is not a boolean"},
		{"not UTF-8", "a: 1\nb: x\xff\n", "2:5: the file is not UTF-8 text"},
		{"UTF-16", "\xff\xfea\x00:\x00", "1: the file is UTF-16 text"},
		{"control", "a: 1\nb: x\x00\n", "2:5: there is a control character (U+0000)"},
		{"large", long, "1: the file is larger than 4 MiB"},
		{"deep", strings.Repeat("[", 200) + strings.Repeat("]", 200), "1:102: the values are nested more than 100 deep"},
		{"alias bomb", bomb, "6:5: the file holds too many values"},
	}
	for _, test := range tests {
		_, err := parse(test.in)
		p, ok := errors.AsType[*diag.Problem](err)
		if !ok {
			t.Errorf("%s: %v is no Problem", test.name, err)
			continue
		}
		if test.want == "MANY" && strings.HasSuffix(p.Error(), ": the file holds too many values") {
			continue
		}
		if got := strings.TrimPrefix(p.Error(), "s.yaml:"); got != test.want {
			t.Errorf("%s: got %s\nwant %s", test.name, got, test.want)
		}
		if p.Hint == "" {
			t.Errorf("%s: no hint", test.name)
		}
	}
}

// All duplicate keys are named at once.
func TestAllProblems(t *testing.T) {
	_, err := parse("a: 1\na: 2\nb: {c: 1, c: 2}\n")
	if n := len(diag.List(err)); n != 2 {
		t.Errorf("%d problems: %v", n, err)
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{
		"a: 1", "a: &x [*x]", "<<: {a: b}", "a: |\n ${x}\n", "{{ x }}: y", "- \t- a", "? a\n: b", "a: !!int x", "%YAML 1.1\n---\na", "a: \"\\x24{b}\"", "\ufeff...\n", "*a : b", "&a b: *a",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		v, err := yamlvalue.Parse(data, yamlvalue.Options{File: "s.yaml", Expressions: true})
		if (v == nil) == (err == nil) {
			t.Fatalf("got %v and %v", v, err)
		}
		for _, e := range diag.List(err) {
			if p, ok := errors.AsType[*diag.Problem](e); !ok || p.Hint == "" || p.Pos.Line < 1 {
				t.Errorf("%v has no place or no hint", e)
			}
		}
		check(t, v)
	})
}

// check walks v: every node has a place, every "${" is marked.
func check(t *testing.T, v *app.Value) {
	if v == nil {
		return
	}
	if v.Pos.Line < 1 || v.Pos.Column < 1 {
		t.Errorf("%s has the place %v", v.Kind, v.Pos)
	}
	if v.Kind == app.String && len(v.Exprs) != strings.Count(v.Str(), "${") {
		t.Errorf("%q has %d marks", v.Str(), len(v.Exprs))
	}
	for _, item := range v.Items {
		check(t, item)
	}
	seen := map[string]bool{}
	for _, e := range v.Entries {
		if seen[e.Key] || e.KeyPos.Line < 1 {
			t.Errorf("the key %q at %v", e.Key, e.KeyPos)
		}
		seen[e.Key] = true
		check(t, e.Value)
	}
}
