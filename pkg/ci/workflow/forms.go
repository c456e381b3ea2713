package workflow

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// Forms returns a secret as it is usually written: as it is, each of its lines, in
// Base64, in URLs and in JSON.
func Forms(value string) []string {
	if strings.TrimSpace(value) == "" {
		return nil
	}
	forms := []string{value}
	for line := range strings.Lines(value) {
		if line = strings.TrimSpace(line); len(line) >= 4 {
			forms = append(forms, line)
		}
	}
	for _, v := range slices.Clone(forms) {
		forms = append(forms,
			base64.StdEncoding.EncodeToString([]byte(v)), base64.RawStdEncoding.EncodeToString([]byte(v)),
			base64.URLEncoding.EncodeToString([]byte(v)), base64.RawURLEncoding.EncodeToString([]byte(v)),
			url.QueryEscape(v), url.PathEscape(v), inJSON(v, true), inJSON(v, false))
	}
	var unique []string
	for _, f := range forms {
		if !slices.Contains(unique, f) {
			unique = append(unique, f)
		}
	}
	return unique
}

// inJSON returns what stands between the quotes.
func inJSON(value string, html bool) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(html)
	if err := e.Encode(value); err != nil {
		return value
	}
	return strings.TrimSuffix(strings.TrimPrefix(strings.TrimSpace(b.String()), `"`), `"`)
}
