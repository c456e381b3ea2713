package credential

import (
	"slices"
	"strings"
	"testing"
)

func TestNormalizeArgs(t *testing.T) {
	cases := []struct {
		name     string
		in, want string // blanks separate arguments
		warnings int
	}{
		{"book lists", "-kl a,b -il 1,2 -a x", "--kl a,b --il 1,2 -a x", 0},
		{"with equals", "-kl=a,b -il=1=2", "--kl=a,b --il=1=2", 0},
		{"long lists", "--keyList a --infoList=1", "--kl a --il=1", 0},
		{"single dash long lists", "-keyList a -infoList 1", "--kl a --il 1", 0},
		{"already normal", "--kl a --il 1 -f", "--kl a --il 1 -f", 0},
		{"three dashes", "---AccessKeyID v --AccessKeySecret w", "--AccessKeyID v --AccessKeySecret w", 1},
		{"four dashes and equals", "----SecretKey=v", "--SecretKey=v", 1},
		{"unknown with three dashes is left", "---Foo v", "---Foo v", 0},
		{"empty account id", "--AccountID --AccessKeyID v", "--AccessKeyID v", 1},
		{"empty account id before -f", "--AccountID -f", "-f", 1},
		{"empty account id at the end", "-f --AccountID", "-f", 1},
		{"empty secret stays an error for Add", "--AccessKeySecret --AccountID 1", "--AccessKeySecret --AccountID 1", 0},
		{"value that looks like a list flag", "--AccessKeySecret -kl -a -il", "--AccessKeySecret -kl -a -il", 0},
		{"access with three dashes", "---access prod", "--access prod", 1},
		{"after two dashes", "-kl a -- -kl ---AccessKeyID", "--kl a -- -kl ---AccessKeyID", 0},
		{"flag without value at the end", "-kl", "--kl", 0},
		{"nothing", "", "", 0},
	}
	for _, c := range cases {
		in := strings.Fields(c.in)
		before := slices.Clone(in)
		got, warnings := NormalizeArgs(in)
		if strings.Join(got, " ") != c.want || len(warnings) != c.warnings {
			t.Errorf("%s: NormalizeArgs(%q) = %q, %q; want %q and %d warnings", c.name, in, got, warnings, c.want, c.warnings)
		}
		if !slices.Equal(in, before) {
			t.Errorf("%s: the input was changed to %q", c.name, in)
		}
	}
}
