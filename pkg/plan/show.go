package plan

import (
	"encoding/json"
	"fmt"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/secret"
)

// Show returns a value of a difference as people read it: JSON for texts, lists
// and maps, *** for secrets, "(none)" for what is absent.
func Show(v any) string {
	switch x := v.(type) {
	case nil:
		return "(none)"
	case secret.String:
		return secret.Mask
	case app.UnknownValue:
		return x.String()
	}
	var b strings.Builder
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Sprint(v)
	}
	return strings.TrimSuffix(b.String(), "\n")
}

// Mark returns what stands behind a difference to tell its origin, with a space before
// it; "" for none.
func (o Origin) Mark() string {
	words := map[Origin]string{Ours: "ours", Drifted: "drifted online", Both: "both", Unknown: "not known"}[o]
	if words == "" {
		return ""
	}
	return " [" + words + "]"
}

// Text returns what was and what shall be, without the path: of a secret only that it
// changes, of what is taken back that it is cleared.
func (f Field) Text() string {
	_, oldSecret := f.Old.(secret.String)
	_, newSecret := f.New.(secret.String)
	switch {
	case oldSecret && newSecret:
		return "(secret, changed)"
	case f.New == nil:
		return Show(f.Old) + " => (cleared)"
	}
	return Show(f.Old) + " => " + Show(f.New)
}
