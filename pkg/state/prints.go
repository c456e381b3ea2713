package state

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash"
	"io"
	"maps"
	"math"
	"slices"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
)

// codeField is the attribute that has a print of its own.
const codeField = "code"

// Entry returns the entry of a resource as it is online, with all that as secret which
// is secret in want, what the file says of it (nil when nothing).
func (k Key) Entry(s resource.Schema, online, want resource.Attributes) Entry {
	// The prints are those of the values themselves: a secret is a text, and not the
	// number that it may be online.
	return Entry{Prints: k.Prints(s, online), Attrs: k.Seal(s, Conceal(online, want))}
}

// Prints returns the fingerprints of a state. States that are equal by the schema have
// equal prints, whichever of their texts are marked secret; nil has none.
func (k Key) Prints(s resource.Schema, a resource.Attributes) Prints {
	if a == nil {
		return Prints{}
	}
	plain, _ := reveal(a).(map[string]any)
	config := s.Canonical(plain)
	code, ok := config[codeField]
	delete(config, codeField)
	p := Prints{Config: k.print("config", map[string]any(config))}
	if ok {
		p.Code = k.print(codeField, code)
	}
	return p
}

// Field returns the fingerprint of one top-level attribute, "" when it is absent. That
// of an attribute with unknown values is one of the expressions.
func (k Key) Field(s resource.Schema, a resource.Attributes, field string) string {
	plain, _ := reveal(a).(map[string]any)
	v, ok := s.Canonical(plain)[field]
	if !ok {
		return ""
	}
	return k.print("field\x00"+field, v)
}

// print returns the HMAC of a canonical value, as base64url.
func (k Key) print(purpose string, v any) string {
	m := hmac.New(sha256.New, k.mac[:])
	_, _ = io.WriteString(m, "print\x00"+purpose+"\x00")
	feed(m, v)
	return base64.RawURLEncoding.EncodeToString(m.Sum(nil))
}

// feed writes a value in a form that no other value has, but for a secret, which is
// written as its text.
func feed(h hash.Hash, v any) {
	switch x := v.(type) {
	case nil:
		_, _ = io.WriteString(h, "n")
	case bool:
		_, _ = io.WriteString(h, map[bool]string{false: "f", true: "t"}[x])
	case int64:
		feedNumber(h, 'i', uint64(x))
	case float64:
		feedNumber(h, 'd', math.Float64bits(x))
	case string:
		feedText(h, 's', x)
	case secret.String:
		feedText(h, 's', x.Reveal())
	case app.UnknownValue:
		feedText(h, 'u', x.Expr)
	case []any:
		feedNumber(h, 'l', uint64(len(x)))
		for _, item := range x {
			feed(h, item)
		}
	case map[string]any:
		feedNumber(h, 'm', uint64(len(x)))
		for _, key := range slices.Sorted(maps.Keys(x)) {
			feedText(h, 's', key)
			feed(h, x[key])
		}
	default:
		feed(h, app.From(x, diag.Pos{}).Plain())
	}
}

func feedNumber(h hash.Hash, kind byte, n uint64) {
	_, _ = h.Write(binary.BigEndian.AppendUint64([]byte{kind}, n))
}

func feedText(h hash.Hash, kind byte, text string) {
	feedNumber(h, kind, uint64(len(text)))
	_, _ = io.WriteString(h, text)
}
