package props

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/secret"
)

// plainText returns the text of a decoded leaf, revealed.
func plainText(got any) string {
	switch x := got.(type) {
	case string:
		return x
	case secret.String:
		return x.Reveal()
	}
	return ""
}

func notEmpty(got any) (string, string) {
	if strings.TrimSpace(plainText(got)) == "" {
		return "is empty", ""
	}
	return "", ""
}

func maxLength(n int) check {
	return func(got any) (string, string) {
		if l := len([]rune(plainText(got))); l > n {
			return fmt.Sprintf("has %d characters, but at most %d are allowed", l, n), ""
		}
		return "", ""
	}
}

func maxItems(n int) check {
	return func(got any) (string, string) {
		if items, _ := got.([]any); len(items) > n {
			return fmt.Sprintf("has %d entries, but at most %d are allowed", len(items), n), ""
		}
		return "", ""
	}
}

func someItems(got any) (string, string) {
	if items, _ := got.([]any); len(items) == 0 {
		return "is an empty list", ""
	}
	return "", ""
}

func atLeast(low int64) check {
	return func(got any) (string, string) {
		if got.(int64) < low {
			return fmt.Sprintf("must be at least %d", low), ""
		}
		return "", ""
	}
}

func between(low, high int64) check {
	return func(got any) (string, string) {
		if n := got.(int64); n < low || n > high {
			return fmt.Sprintf("must be between %d and %d", low, high), ""
		}
		return "", ""
	}
}

func oneOf(allowed ...int64) check {
	return func(got any) (string, string) {
		var all []string
		for _, n := range allowed {
			if got.(int64) == n {
				return "", ""
			}
			all = append(all, fmt.Sprint(n))
		}
		return "must be " + strings.Join(all, " or "), ""
	}
}

// multipleOf checks a whole number in the unit given and names the two nearest.
func multipleOf(step int64, unit string) check {
	return func(got any) (string, string) {
		n := got.(int64)
		low := n / step * step
		switch {
		case n >= step && n == low:
			return "", ""
		case n < step:
			return fmt.Sprintf("must be a multiple of %d %s", step, unit), fmt.Sprintf("the least is %d", step)
		}
		return fmt.Sprintf("must be a multiple of %d %s", step, unit), fmt.Sprintf("the nearest are %d and %d", low, low+step)
	}
}

// cpuStep checks a number of vCPUs, which come in steps of 0.05.
func cpuStep(got any) (string, string) {
	cpu := got.(float64)
	steps := cpu * 20
	if cpu > 0 && math.Abs(steps-math.Round(steps)) < 1e-6 {
		return "", ""
	}
	if cpu < 0.05 {
		return "must be a multiple of 0.05", "the least is 0.05"
	}
	low := math.Floor(steps) / 20
	return "must be a multiple of 0.05", fmt.Sprintf("the nearest are %.2f and %.2f", low, low+0.05)
}

var (
	nameStart = regexp.MustCompile(`^[_a-zA-Z]`)
	nameChars = regexp.MustCompile(`^[-_a-zA-Z0-9]*$`)
	rolePath  = regexp.MustCompile(`(?i)^acs:ram::[^:]+:role/[^:]+$`)
	envName   = regexp.MustCompile(`^[^=\x00]+$`)
	timeZone  = regexp.MustCompile(`^(CRON_TZ|TZ)=[A-Za-z0-9_+\-/]+ +`)
	domain    = regexp.MustCompile(`^(\*\.)?([A-Za-z0-9_]([-A-Za-z0-9_]*[A-Za-z0-9_])?\.)+[A-Za-z][-A-Za-z0-9]*$`)
)

// resourceName checks a name of at most n characters as the API takes it.
func resourceName(n int) check {
	return func(got any) (string, string) {
		s := plainText(got)
		switch {
		case s == "":
			return "is empty", ""
		case !nameChars.MatchString(s):
			return "holds a character that a name cannot have", "use letters, digits, _ and - only"
		case !nameStart.MatchString(s):
			return "must begin with a letter or _", ""
		}
		return maxLength(n)(got)
	}
}

// pathName checks a name that is only looked up: it must fit in a path.
func pathName(got any) (string, string) {
	if strings.ContainsAny(plainText(got), "/?#%\\ \t\r\n") {
		return "is not a name", ""
	}
	return "", ""
}

func roleARN(got any) (string, string) {
	if s := plainText(got); s != "" && !rolePath.MatchString(s) {
		return "is not the ARN of a role", "write acs:ram::<account id>:role/<role name>"
	}
	return "", ""
}

func domainName(got any) (string, string) {
	s := plainText(got)
	switch {
	case isAuto(s) || domain.MatchString(s) && len(s) <= 253:
		return "", ""
	case strings.Contains(s, "://") || strings.Contains(s, "/"):
		return "is not a domain name", "write the name alone, without http:// and path"
	}
	return "is not a domain name", ""
}

func prefix(p string) check {
	return func(got any) (string, string) {
		if !strings.HasPrefix(plainText(got), p) {
			return "must begin with " + p, ""
		}
		return "", ""
	}
}

func absolutePath(got any) (string, string) { return prefix("/")(got) }

// cronExpression checks "@every 5m" and six fields from the second to the day of
// the week, with a time zone before them.
func cronExpression(got any) (string, string) {
	s := strings.TrimSpace(plainText(got))
	s = timeZone.ReplaceAllString(s, "")
	if every, ok := strings.CutPrefix(s, "@every"); ok {
		period, err := time.ParseDuration(strings.TrimSpace(every))
		if err != nil || period < time.Minute {
			return "is not a period", "write @every 5m, in whole minutes"
		}
		return "", ""
	}
	const six = "write six fields: second minute hour day month weekday, for example 0 0 4 * * *"
	if n := len(strings.Fields(s)); n != 6 {
		return fmt.Sprintf("has %d fields instead of 6", n), six
	}
	fields := cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow
	if _, err := cron.NewParser(fields).Parse(s); err != nil {
		return "is not a cron expression", six
	}
	return "", ""
}

func jsonText(got any) (string, string) {
	if !json.Valid([]byte(plainText(got))) {
		return "is not JSON", "the value is a text that holds JSON, for example '{}'"
	}
	return "", ""
}

// layerARN checks the ARN of a layer version, of today or of the older form
// account#name#version.
func layerARN(got any) (string, string) {
	if s := plainText(got); !strings.HasPrefix(s, "acs:fc:") && strings.Count(s, "#") != 2 {
		return "is not the ARN of a layer version", "write acs:fc:{region}:official:layers/{name}/versions/{version}"
	}
	return "", ""
}

// destinationARN checks where results of asynchronous calls go to.
func destinationARN(got any) (string, string) {
	s := plainText(got)
	if !strings.HasPrefix(s, "acs:fc:") && !strings.HasPrefix(s, "acs:mns:") {
		return "is not a destination", "write acs:fc:::services/<service>/functions/<function> or acs:mns:::/queues/<queue>/messages"
	}
	return "", ""
}

// environmentSize checks names, and that names and values together fit in 4 KB.
func environmentSize(got any) (string, string) {
	total := 0
	for key, value := range got.(map[string]any) {
		if !envName.MatchString(key) {
			return fmt.Sprintf("has the name %q, which no environment variable can have", key), ""
		}
		if _, unknown := value.(app.UnknownValue); unknown {
			continue
		}
		total += len(key) + len(plainText(value))
	}
	if total > 4096 {
		return fmt.Sprintf("holds %d bytes, but at most 4096 are allowed", total), "move large values to a file of the code package or to a configuration service"
	}
	return "", ""
}

func isAuto(s string) bool { return strings.EqualFold(strings.TrimSpace(s), "auto") }
