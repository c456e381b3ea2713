package archive

import (
	"fmt"
	"regexp"
	"strings"
)

// matcher reports whether a name (or a path, by the kind of pattern it was made
// for) matches.
type matcher func(name string) bool

func never(string) bool { return false }

// compileGlob compiles a pattern with the semantics of git's wildmatch. Bytes
// count, not characters, as in git. When anchored, the pattern is one for a whole
// path: only "**" as a whole segment crosses slashes.
func compileGlob(pattern string, anchored bool) (matcher, error) {
	wild := strings.IndexAny(pattern, `*?[\`)
	if wild < 0 {
		return func(name string) bool { return name == pattern }, nil
	}
	if rest, ok := strings.CutPrefix(pattern, "*"); ok && !anchored && !strings.ContainsAny(rest, `*?[\`) {
		return func(name string) bool { return strings.HasSuffix(name, rest) }, nil
	}
	t := &translator{in: pattern, pos: wild, wild: wild, anchored: anchored}
	for i := range wild {
		t.literal(pattern[i])
	}
	if !t.translate() {
		return never, nil
	}
	re, err := regexp.Compile(`(?s)\A` + t.out.String() + `\z`)
	if err != nil {
		return nil, fmt.Errorf("compiling the pattern: %w", err)
	}
	return func(name string) bool { return re.MatchString(latin1(name)) }, nil
}

// latin1 makes each byte a character of its own, so that names that are not
// UTF-8 match bytewise.
func latin1(s string) string {
	ascii := true
	for i := range len(s) {
		ascii = ascii && s[i] < 0x80
	}
	if ascii {
		return s
	}
	r := make([]rune, len(s))
	for i := range len(s) {
		r[i] = rune(s[i])
	}
	return string(r)
}

// translator writes a glob as a regular expression over latin1 text. That keeps
// matching linear in the length of the name, whatever the pattern.
type translator struct {
	in       string
	pos      int
	wild     int // where the first wildcard stands
	anchored bool
	out      strings.Builder
}

func (t *translator) literal(b byte) {
	if b < 0x80 {
		t.out.WriteString(regexp.QuoteMeta(string(rune(b))))
	} else {
		fmt.Fprintf(&t.out, `\x{%x}`, b)
	}
}

// translate reports false for a pattern that matches nothing.
func (t *translator) translate() bool {
	for t.pos < len(t.in) {
		c := t.in[t.pos]
		t.pos++
		switch c {
		case '\\':
			if t.pos == len(t.in) {
				return false
			}
			t.literal(t.in[t.pos])
			t.pos++
		case '?':
			t.out.WriteString(`[^/]`)
		case '*':
			t.stars()
		case '[':
			set, ok := t.bracket()
			if !ok {
				return false
			}
			t.writeSet(set)
		default:
			t.literal(c)
		}
	}
	return true
}

// stars translates a run of stars, the first of which has been read. Like git,
// it takes a run right after the literal start of the pattern for the start of
// a segment: "foo**/bar" matches foo1/2/bar.
func (t *translator) stars() {
	first := t.pos - 1
	for t.pos < len(t.in) && t.in[t.pos] == '*' {
		t.pos++
	}
	rest := t.in[t.pos:]
	opens := first == t.wild || t.in[first-1] == '/'
	switch {
	case !t.anchored || t.pos-first < 2 || !opens:
		t.out.WriteString(`[^/]*`)
	case strings.HasPrefix(rest, "/"):
		t.out.WriteString(`(?:.*/)?`)
		t.pos++
	case rest == "" || strings.HasPrefix(rest, `\/`):
		t.out.WriteString(`.*`)
	default:
		t.out.WriteString(`[^/]*`)
	}
}

func (t *translator) writeSet(set [256]bool) {
	t.out.WriteString(`[`)
	for low := 0; low < len(set); low++ {
		if !set[low] {
			continue
		}
		high := low
		for high+1 < len(set) && set[high+1] {
			high++
		}
		fmt.Fprintf(&t.out, `\x{%x}-\x{%x}`, low, high)
		low = high
	}
	t.out.WriteString(`]`)
}

// bracket reads a bracket expression whose "[" has been read, and returns the
// bytes it stands for; false when it is malformed or stands for none. A slash is
// never among them.
func (t *translator) bracket() (set [256]bool, ok bool) {
	negated := t.pos < len(t.in) && (t.in[t.pos] == '!' || t.in[t.pos] == '^')
	if negated {
		t.pos++
	}
	prev := -1 // the low end of a range that "-" may continue
	for first := true; ; first = false {
		if t.pos >= len(t.in) {
			return set, false
		}
		c := t.in[t.pos]
		if c == ']' && !first {
			t.pos++
			break
		}
		if prev, ok = t.bracketItem(&set, c, prev); !ok {
			return set, false
		}
	}
	ok = false
	for b := range set {
		set[b] = set[b] != negated && b != '/'
		ok = ok || set[b]
	}
	return set, ok
}

// bracketItem adds one item of a bracket expression, which starts with c, and
// returns the byte that may start a range, or -1.
func (t *translator) bracketItem(set *[256]bool, c byte, prev int) (next int, ok bool) {
	rest := t.in[t.pos:]
	switch {
	case c == '-' && prev >= 0 && len(rest) > 1 && rest[1] != ']':
		t.pos++
		high, ok := t.bracketByte()
		if !ok {
			return -1, false
		}
		for b := prev; b <= int(high); b++ {
			set[b] = true
		}
		return -1, true
	case strings.HasPrefix(rest, "[:"):
		name, _, closed := strings.Cut(rest[2:], "]")
		if !closed {
			return -1, false
		}
		if name, isClass := strings.CutSuffix(name, ":"); isClass {
			t.pos += len("[:") + len(name) + len(":]")
			return -1, addClass(set, name)
		}
	}
	b, ok := t.bracketByte()
	set[b] = set[b] || ok
	return int(b), ok
}

// bracketByte reads one byte, escaped or not.
func (t *translator) bracketByte() (b byte, ok bool) {
	if t.in[t.pos] == '\\' {
		t.pos++
	}
	if t.pos >= len(t.in) {
		return 0, false
	}
	b = t.in[t.pos]
	t.pos++
	return b, true
}

// classRanges returns a POSIX class of the C locale as pairs of first and last
// byte, "" when there is none of that name.
func classRanges(name string) string {
	switch name {
	case "alnum":
		return "09AZaz"
	case "alpha":
		return "AZaz"
	case "blank":
		return "  \t\t"
	case "cntrl":
		return "\x00\x1f\x7f\x7f"
	case "digit":
		return "09"
	case "graph":
		return "!~"
	case "lower":
		return "az"
	case "print":
		return " ~"
	case "punct":
		return "!/:@[`{~"
	case "space":
		return "  \t\r"
	case "upper":
		return "AZ"
	case "xdigit":
		return "09AFaf"
	}
	return ""
}

// addClass adds a POSIX class to set; false when there is none of that name.
func addClass(set *[256]bool, name string) bool {
	ranges := classRanges(name)
	for i := 0; i < len(ranges); i += 2 {
		for b := int(ranges[i]); b <= int(ranges[i+1]); b++ {
			set[b] = true
		}
	}
	return ranges != ""
}
