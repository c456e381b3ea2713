// Package secret keeps values out of everything that the product writes: a String
// that prints ***, and a Redactor that removes known values from foreign output.
// It knows no other package of the project.
package secret

import (
	"encoding/json"
	"fmt"
	"log/slog"
)

// Mask is what stands in the place of a secret.
const Mask = "***"

// String is a secret text. Every usual way of printing or encoding it (fmt, JSON,
// YAML, slog) yields Mask; Reveal is the one way to the value.
//
// The value stands behind a pointer, so that even fmt on a struct with an
// unexported String field, which bypasses the methods, prints an address.
// Compare with Equal, not ==.
type String struct{ value *string }

// New returns value as a secret.
func New(value string) String { return String{&value} }

// Reveal returns the value itself, for the wire and for comparison only.
func (s String) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether the secret is empty.
func (s String) IsZero() bool { return s.Reveal() == "" }

// Equal reports whether both secrets have the same value.
func (s String) Equal(other String) bool { return s.Reveal() == other.Reveal() }

// String returns Mask, or "" for an empty secret.
func (s String) String() string {
	if s.IsZero() {
		return ""
	}
	return Mask
}

// Format prints Mask for every verb.
func (s String) Format(f fmt.State, _ rune) { fmt.Fprint(f, s.String()) }

// MarshalJSON encodes Mask.
func (s String) MarshalJSON() ([]byte, error) { return json.Marshal(s.String()) }

// MarshalYAML encodes Mask.
func (s String) MarshalYAML() (any, error) { return s.String(), nil }

// LogValue returns Mask.
func (s String) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Peek returns the ends of a long secret, as `config get` shows it: the first and
// the last three characters of a value longer than 12, else Mask.
func (s String) Peek() string {
	r := []rune(s.Reveal())
	if len(r) <= 12 {
		return s.String()
	}
	return string(r[:3]) + Mask + string(r[len(r)-3:])
}
