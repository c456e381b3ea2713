package report

import (
	"cmp"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// MaxComment is the size of the largest comment that is written, in bytes. GitHub takes
// 65,536.
const MaxComment = 60000

// Comment is a comment on a pull request that holds the plans of several jobs, each in a
// section of its own.
type Comment struct {
	Key      string // tells apart the comments of one pull request
	Sections []Section
}

// Section is what one job says in a comment.
type Section struct {
	Name   string // of the job
	Text   string // Markdown
	Digest string // of the plan, "" for none
	Sum    string // of the text as it was written; another one was edited since
	MAC    string // made by whoever has the approval key, "" for none
}

// The markers are comments of HTML, each a line of its own. Values in them are escaped as
// in the query of a URL, so that nothing can end them.
var (
	headMarker = regexp.MustCompile(`^<!-- devs:plan (?:v=\d+ )?key=([^ ]*) -->$`)
	openMarker = regexp.MustCompile(`^<!-- devs:section name=([^ ]*) digest=([0-9a-f]*) sum=([0-9a-f]*) mac=([0-9a-f]*) -->$`)
)

const (
	sectionEnd = "<!-- devs:end -->"
	ourMarkers = "<!-- devs:"
)

// KeyOf returns the key of a comment that is one of ours, by its first line.
func KeyOf(body string) (key string, ok bool) {
	line, _, _ := strings.Cut(body, "\n")
	m := headMarker.FindStringSubmatch(strings.TrimRight(line, "\r"))
	if m == nil {
		return "", false
	}
	return unescape(m[1]), true
}

// ParseComment reads a comment. Whatever stands outside its sections is dropped, and so
// is a section that does not end; ok is false when it is none of ours.
func ParseComment(body string) (c *Comment, ok bool) {
	key, ok := KeyOf(body)
	if !ok {
		return nil, false
	}
	c = &Comment{Key: key}
	var open *Section
	var text []string
	for line := range strings.SplitSeq(body, "\n") {
		line = strings.TrimSuffix(line, "\r")
		m := openMarker.FindStringSubmatch(line)
		switch {
		case m != nil:
			open, text = &Section{Name: unescape(m[1]), Digest: m[2], Sum: m[3], MAC: m[4]}, nil
		case line == sectionEnd && open != nil:
			open.Text = strings.Join(text, "\n")
			c.Put(*open)
			open = nil
		default:
			text = append(text, line)
		}
	}
	return c, true
}

// Put adds a section, or takes it for the one of the same name. Sections are in the order
// of their names.
func (c *Comment) Put(s Section) {
	i, found := slices.BinarySearchFunc(c.Sections, s.Name, func(have Section, name string) int { return cmp.Compare(have.Name, name) })
	if found {
		c.Sections[i] = s
		return
	}
	c.Sections = slices.Insert(c.Sections, i, s)
}

// Find returns the section of a name, nil for none.
func (c *Comment) Find(name string) *Section {
	for i := range c.Sections {
		if c.Sections[i].Name == name {
			return &c.Sections[i]
		}
	}
	return nil
}

// Render returns the comment in at most limit bytes of UTF-8. Where they do not suffice,
// the longest sections are left out but for their first line.
func (c *Comment) Render(limit int) string {
	short := Comment{Key: c.Key, Sections: slices.Clone(c.Sections)}
	for {
		body := short.render()
		if len(body) <= limit || !short.shorten() {
			return body
		}
	}
}

func (c *Comment) render() string {
	var b strings.Builder
	fmt.Fprintf(&b, "<!-- devs:plan v=1 key=%s -->\n", url.QueryEscape(c.Key))
	for _, s := range c.Sections {
		fmt.Fprintf(&b, "<!-- devs:section name=%s digest=%s sum=%s mac=%s -->\n%s\n%s\n", url.QueryEscape(s.Name), s.Digest, s.Sum, s.MAC, s.Text, sectionEnd)
	}
	return b.String()
}

const leftOut = "\n\nThere is no room here for more. The summary of the run has it."

// shorten leaves out the longest text. It reports whether there was one. What is left
// cannot be approved: it no longer shows the plan.
func (c *Comment) shorten() bool {
	longest := -1
	for i, s := range c.Sections {
		if len(s.Text) > 400 && (longest < 0 || len(s.Text) > len(c.Sections[longest].Text)) {
			longest = i
		}
	}
	if longest < 0 {
		return false
	}
	s := &c.Sections[longest]
	line, _, _ := strings.Cut(strings.TrimSpace(s.Text), "\n")
	*s = Section{Name: s.Name, Text: cut(line, 200) + leftOut}
	s.Sum = sumOf(s.Text)
	return true
}

// Room is how many bytes the text of a section may have, so that the comment keeps what
// the others say.
func (c *Comment) Room(name string, limit int) int {
	others := Comment{Key: c.Key}
	for _, s := range c.Sections {
		if s.Name != name {
			others.Sections = append(others.Sections, s)
		}
	}
	others.Put(Section{Name: name, Digest: strings.Repeat("0", 64), Sum: strings.Repeat("0", 64), MAC: strings.Repeat("0", 64)})
	return max(limit-len(others.render()), limit/10)
}

// Seal makes a section of a text, which can be told from an edited one by its sum, and
// from a forged one by its MAC, when there is a key. about is what the comment is on: its
// repository, pull request and key.
func Seal(name, text, digest, key string, about ...string) Section {
	s := Section{Name: name, Text: harmless(text), Digest: digest}
	s.Sum = sumOf(s.Text)
	if key != "" {
		s.MAC = s.mac(key, about)
	}
	return s
}

// Intact reports whether the text is as it was written.
func (s Section) Intact() bool { return hmac.Equal([]byte(s.Sum), []byte(sumOf(s.Text))) }

// Signed reports whether who wrote the section has the key.
func (s Section) Signed(key string, about ...string) bool {
	return hmac.Equal([]byte(s.MAC), []byte(s.mac(key, about)))
}

func (s Section) mac(key string, about []string) string {
	h := hmac.New(sha256.New, []byte(key))
	for _, part := range append(slices.Clone(about), s.Name, s.Digest, sumOf(s.Text)) {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))
}

// sumOf returns the SHA-256 of a text. White space around lines does not count: APIs may
// trim it.
func sumOf(text string) string {
	var lines []string
	for line := range strings.SplitSeq(strings.TrimSpace(text), "\n") {
		lines = append(lines, strings.TrimSpace(line))
	}
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:])
}

// harmless keeps a text from looking like a marker, and its lines from being quick actions
// (/merge), which GitLab and bots carry out.
func harmless(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "?"), "\r", "")
	text = strings.TrimSpace(strings.ReplaceAll(text, ourMarkers, "<!-- devs :"))
	if strings.HasPrefix(text, "/") {
		text = " " + text
	}
	return strings.ReplaceAll(text, "\n/", "\n /")
}

// cut returns at most n bytes of a text, and no half character.
func cut(text string, n int) string {
	if len(text) <= n {
		return text
	}
	for n > 0 && !utf8.RuneStart(text[n]) {
		n--
	}
	return text[:n]
}

func unescape(text string) string {
	if out, err := url.QueryUnescape(text); err == nil {
		return out
	}
	return text
}
