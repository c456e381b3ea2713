package spec

import (
	"bytes"
	"regexp"
	"slices"
	"unicode/utf8"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
)

// An application template, the input of `s init`, holds {{ name }} where the
// author of the application fills something in.
const placeholderPattern = `\{\{-?\s*[\p{L}_][\p{L}\d_.\- ]*(\|[^{}\n]*)?\}\}|\{%-?\s*(if|for|else|end\w+)\b`

func templateProblem(pos diag.Pos, found string) *diag.Problem {
	return diag.At(pos, "%s is a placeholder: this file is an application template", found).
		WithHint("make an application of it with s init, or replace the placeholder by a value")
}

// templateFile explains why a file is no YAML: nil when it holds no placeholder.
func templateFile(data []byte, file string) *diag.Problem {
	loc := regexp.MustCompile(placeholderPattern).FindIndex(data)
	if loc == nil {
		return nil
	}
	start := bytes.LastIndexByte(data[:loc[0]], '\n') + 1
	pos := diag.Pos{
		File:   file,
		Line:   bytes.Count(data[:start], []byte("\n")) + 1,
		Column: utf8.RuneCount(data[start:loc[0]]) + 1,
	}
	return templateProblem(pos, string(data[loc[0]:loc[1]]))
}

// templateText finds a placeholder in a document that is valid YAML. Shell text and
// the function's environment may hold {{ }} of their own, so they are left out.
func templateText(v *app.Value) *diag.Problem {
	re := regexp.MustCompile(placeholderPattern)
	var walk func(v *app.Value) *diag.Problem
	walk = func(v *app.Value) *diag.Problem {
		if v.Kind == app.String {
			if found := re.FindString(v.Str()); found != "" {
				return templateProblem(v.Pos, found)
			}
		}
		for _, item := range v.Items {
			if p := walk(item); p != nil {
				return p
			}
		}
		for _, e := range v.Entries {
			if found := re.FindString(e.Key); found != "" {
				return templateProblem(e.KeyPos, found)
			}
			if slices.Contains([]string{"actions", "environmentVariables"}, e.Key) {
				continue
			}
			if p := walk(e.Value); p != nil {
				return p
			}
		}
		return nil
	}
	return walk(v)
}
