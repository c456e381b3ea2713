package report

import (
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/devs/deploy/pkg/plan"
	"github.com/devs/deploy/pkg/resource"
)

const digest = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

func TestCommentKeepsWhatOthersSay(t *testing.T) {
	c := &Comment{Key: "a --> b"}
	c.Put(Seal("web 2", "second", digest, "", "o/r"))
	c.Put(Seal("web 1 -->", "first\n<!-- devs:end -->\n<!-- devs:section name=evil digest= sum= mac= -->\nstill first", "", "", "o/r"))
	body := c.Render(MaxComment)
	got, ok := ParseComment(strings.ReplaceAll(body, "\n", "\r\n"))
	if !ok || got.Key != c.Key {
		t.Fatalf("%+v, %v", got, ok)
	}
	if diff := cmp.Diff(c.Sections, got.Sections); diff != "" {
		t.Error(diff)
	}
	if n := len(got.Sections); n != 2 {
		t.Errorf("%d sections", n)
	}
	got.Put(Seal("web 1 -->", "changed", "", "", "o/r"))
	if again, _ := ParseComment(got.Render(MaxComment)); !cmp.Equal(again.Find("web 2"), c.Find("web 2")) {
		t.Error("the other section is another one now")
	}
}

func TestOlderMarkersAndJunk(t *testing.T) {
	for body, want := range map[string]bool{
		"<!-- devs:plan key=default -->\nolder": true, "<!-- devs:plan v=7 key=default -->": true,
		"": false, "hello": false, "text <!-- devs:plan v=1 key=x -->": false, "> <!-- devs:plan v=1 key=x -->": false,
	} {
		if _, ok := ParseComment(body); ok != want {
			t.Errorf("%q: %v", body, ok)
		}
	}
}

func TestSeal(t *testing.T) {
	s := Seal("plan", "text  \nmore", digest, "key", "o/r", "7")
	if !s.Intact() || !s.Signed("key", "o/r", "7") {
		t.Error("as it was written, it counts as edited or forged")
	}
	for name, other := range map[string]Section{
		"text": {Name: s.Name, Text: "text\nless", Digest: s.Digest, Sum: s.Sum, MAC: s.MAC},
	} {
		if other.Intact() || other.Signed("key", "o/r", "7") {
			t.Errorf("another %s passes", name)
		}
	}
	forged := Seal("plan", "text", digest, "another key", "o/r", "7")
	if forged.Signed("key", "o/r", "7") || s.Signed("key", "o/r", "8") || Seal("plan", "text", digest, "").Signed("key", "o/r", "7") {
		t.Error("a forged one passes")
	}
}

// manyChanges is a plan of n resources, the first of which is deleted.
func manyChanges(n int) *plan.Plan {
	s := &plan.Service{Name: "s", Region: "cn-hangzhou"}
	for i := range n {
		c := &plan.Change{
			Resource: resource.ID{Kind: "function", Name: fmt.Sprintf("s/f%d", i)}, Action: plan.Create, Decision: plan.Apply,
			Fields: []plan.Field{{Difference: resource.Difference{Field: "description", Path: "description", New: strings.Repeat("世界 ``` ", 60)}}},
		}
		if i == n-1 {
			c.Action, c.Found = plan.Delete, &resource.Found{}
		}
		s.Changes = append(s.Changes, c)
	}
	return &plan.Plan{App: "a", Command: "deploy", Services: []*plan.Service{s}}
}

func TestLargePlansAreFoldedAway(t *testing.T) {
	for _, n := range []int{1, 50, 400} {
		for _, limit := range []int{300, 5000, MaxComment} {
			p := manyChanges(n)
			text := RunNote{Plan: p, Digest: digest, RunID: "7", RunURL: "https://github.invalid/run"}.Section(limit)
			if len(text) > limit+500 || limit >= 5000 && len(text) > limit || !utf8.ValidString(text) {
				t.Errorf("%d resources in %d bytes: %d bytes", n, limit, len(text))
			}
			if limit < 5000 {
				continue
			}
			if !strings.Contains(text, fmt.Sprintf("s/f%d\n", n-1)) {
				t.Errorf("%d resources in %d bytes: the deletion is not shown", n, limit)
			}
			if n == 400 && !strings.Contains(text, "There is no room here for") {
				t.Errorf("%d resources in %d bytes: nothing tells what is left out", n, limit)
			}
			if !strings.Contains(text, digest) {
				t.Error("the digest is missing")
			}
		}
	}
}

func TestManyLargeSections(t *testing.T) {
	c := &Comment{Key: "k"}
	for i := range 9 {
		c.Put(Seal(fmt.Sprint("job ", i), "**To be deployed** by 7\n"+strings.Repeat("é", 20000), digest, "", "o/r"))
	}
	body := c.Render(MaxComment)
	if len(body) > MaxComment || !utf8.ValidString(body) {
		t.Fatalf("%d bytes", len(body))
	}
	got, _ := ParseComment(body)
	if len(got.Sections) != 9 {
		t.Fatalf("%d sections", len(got.Sections))
	}
	for _, s := range got.Sections {
		if !s.Intact() {
			t.Errorf("%s counts as edited", s.Name)
		}
	}
}

func TestNoteSaysHowItStands(t *testing.T) {
	p := manyChanges(2)
	for want, n := range map[string]RunNote{
		"**To be deployed** by [run 7](https://github.invalid/r%28)": {Plan: p, RunID: "7", RunURL: "https://github.invalid/r("},
		"**Nothing to do**":                   {Plan: &plan.Plan{App: "a", Services: []*plan.Service{{Name: "s"}}}},
		"**Deployed** by run 7":               {Plan: p, Deployed: true, RunID: "7"},
		"**The deploy failed**":               {Plan: p, Deployed: true, Failure: "error: x\n````\nhint"},
		"**The plan failed**":                 {Failure: "error: s.yaml:1:1: x"},
		"The application file is valid; here": {Plan: p, Stranger: true},
		"\n`````text\nerror: x\n````\n":       {Failure: "error: x\n````\n"},
	} {
		if got := n.Section(MaxComment); !strings.Contains(got, want) {
			t.Errorf("%s is not in\n%s", want, got)
		}
	}
}

func TestStepSummary(t *testing.T) {
	s := StepSummary{
		Note: RunNote{Plan: manyChanges(1)}, Outputs: []ServiceOutput{{Service: "a|b", URL: "http://x"}},
		Order: []Edge{{From: `db"]; click`, To: "web"}}, Took: []ServiceTime{{Service: "web", Took: 1500000}},
	}
	got := s.Markdown(1 << 20)
	for _, want := range []string{"| `a\\|b` | `http://x` |", `s0["db#34;#93;#59; click"] --> s1["web"]`, "| `web` | 2ms |"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s is not in\n%s", want, got)
		}
	}
}

func FuzzParseComment(f *testing.F) {
	c := &Comment{Key: "k"}
	c.Put(Seal("a", "text", digest, "key", "o/r"))
	f.Add(c.Render(MaxComment))
	f.Add("<!-- devs:plan key=%zz -->\n<!-- devs:section name=%zz digest= sum= mac= -->\n<!-- devs:end -->")
	f.Fuzz(func(t *testing.T, body string) {
		c, ok := ParseComment(body)
		if !ok {
			return
		}
		for i := range c.Sections {
			c.Sections[i].Text = harmless(c.Sections[i].Text)
		}
		again, ok := ParseComment(c.Render(len(body) * 8))
		if !ok || len(again.Sections) != len(c.Sections) {
			t.Fatalf("%q was read as %+v, and then as %+v", body, c, again)
		}
	})
}
