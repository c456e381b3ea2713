package plan

import (
	"encoding/json"
	"fmt"

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
	text, err := json.Marshal(v)
	if err != nil {
		return fmt.Sprint(v)
	}
	return string(text)
}
