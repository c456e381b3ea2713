package judge

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
)

// Difference is one thing in which two images differ. What is a path (with a leading
// slash) or a field of the config (with "config." before it).
type Difference struct {
	What, Got, Want string
}

func (d Difference) String() string {
	return fmt.Sprintf("%s\n      got  %s\n      want %s", d.What, d.Got, d.Want)
}

const absent = "(absent)"

// Compare lists the differences of two images in a stable order.
func Compare(got, want *Image) []Difference {
	var list []Difference
	for p, g := range got.Tree {
		w, ok := want.Tree[p]
		switch {
		case !ok:
			list = append(list, Difference{"/" + p, g.String(), absent})
		case g != w:
			list = append(list, Difference{"/" + p, g.String(), w.String()})
		}
	}
	for p, w := range want.Tree {
		if _, ok := got.Tree[p]; !ok {
			list = append(list, Difference{"/" + p, absent, w.String()})
		}
	}
	fields := map[string]bool{}
	for field := range got.Config {
		fields[field] = true
	}
	for field := range want.Config {
		fields[field] = true
	}
	for field := range fields {
		g, w := fieldText(got.Config, field), fieldText(want.Config, field)
		if g != w {
			list = append(list, Difference{"config." + field, g, w})
		}
	}
	sort.Slice(list, func(i, j int) bool { return list[i].What < list[j].What })
	return list
}

func fieldText(config map[string]any, field string) string {
	value, ok := config[field]
	if !ok {
		return absent
	}
	text, err := json.Marshal(value) // objects come out with sorted keys
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// Listing is what an image has over a base, a line a file or field: the form of the
// files named expected.
func Listing(image, base *Image) string {
	var lines []string
	for p, f := range image.Tree {
		if base.Tree[p] != f {
			lines = append(lines, fmt.Sprintf("+ %q %s", "/"+p, f))
		}
	}
	for p := range base.Tree {
		if _, ok := image.Tree[p]; !ok {
			lines = append(lines, fmt.Sprintf("- %q", "/"+p))
		}
	}
	for field := range image.Config {
		text := fieldText(image.Config, field)
		if text != fieldText(base.Config, field) {
			lines = append(lines, "config."+field+" "+text)
		}
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n") + "\n"
}

// split sorts differences into those that a table allows and the others, and marks
// the rows that were needed.
func split(table []Allowed, used []bool, builder, judge, name string, all []Difference) (open []Difference) {
	for _, d := range all {
		row := -1
		for i, a := range table {
			if a.covers(builder, judge, name, d.What) {
				row = i
				break
			}
		}
		if row < 0 {
			open = append(open, d)
			continue
		}
		used[row] = true
	}
	return open
}
