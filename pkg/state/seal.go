package state

import (
	"encoding/hex"
	"maps"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/resource"
	"github.com/devs/deploy/pkg/secret"
)

// sealPrefix begins the text that stands for a secret. All of the text is in lower case
// and no number, so that no rule of a schema changes it.
const sealPrefix = "sealed:"

// sealSize is the size in bytes of the HMAC in such a text.
const sealSize = 16

// isSealed tells the text that stands for a secret.
func isSealed(v any) bool {
	text, _ := v.(string)
	sum, ok := strings.CutPrefix(text, sealPrefix)
	return ok && len(sum) == 2*sealSize && strings.Trim(sum, "0123456789abcdef") == ""
}

// Seal returns the canonical form of a state, with a text in the place of each secret
// that tells it from other values of the same attribute and no more; nil for nil.
// Secret is what the schema says and what is a secret.String: mark with Conceal first
// what is online when the file had secrets in it.
func (k Key) Seal(s resource.Schema, a resource.Attributes) resource.Attributes {
	if a == nil {
		return nil
	}
	return k.sealAs(s, a, nil)
}

// sealAs is Seal, in the form of another sealed state: what is a secret in that is
// sealed here too, and a secret that stands in it as a text stands here as that text.
func (k Key) sealAs(s resource.Schema, a, form resource.Attributes) resource.Attributes {
	// The rules of the schema apply to texts, not to those that are secret.
	plain, _ := reveal(map[string]any(a)).(map[string]any)
	m, _ := k.seal("", map[string]any(s.Canonical(plain)), map[string]any(s.Canonical(a)), map[string]any(form)).(map[string]any)
	return m
}

// seal works on canonical values. The counterpart of v in marked tells whether it is
// secret; that in form, nil for none, how it has to look.
func (k Key) seal(path string, v, marked, form any) any {
	switch x := v.(type) {
	case map[string]any:
		m, isMap := marked.(map[string]any)
		f, _ := form.(map[string]any)
		out := make(map[string]any, len(x))
		for key, item := range x {
			mark := m[key]
			if !isMap {
				mark = marked // of the list around it
			}
			out[key] = k.seal(join(path, key), item, mark, f[key])
		}
		return out
	case []any:
		if holdsSecret(marked) {
			marked = secret.New("all of it")
		}
		f, _ := form.([]any)
		out := make([]any, len(x))
		for i, item := range x {
			var part any
			if len(f) == len(x) {
				part = f[i]
			}
			out[i] = k.seal(path+"[]", item, marked, part)
		}
		return out
	}
	_, isSecret := v.(secret.String)
	_, isMarked := marked.(secret.String)
	switch {
	case isSealed(form) && v != form:
		return k.sealed(path, leafText(v))
	case !isSecret && !isMarked || isUnknown(v):
		return v
	case form != nil && leafText(form) == leafText(v):
		return form
	}
	return k.sealed(path, leafText(v))
}

func isUnknown(v any) bool {
	_, ok := v.(app.UnknownValue)
	return ok
}

// reveal returns v with all secrets as texts.
func reveal(v any) any {
	return eachLeaf(v, func(leaf any) any {
		if s, ok := leaf.(secret.String); ok {
			return s.Reveal()
		}
		return leaf
	})
}

// hide returns v with every leaf as a secret.
func hide(v any) any {
	return eachLeaf(v, func(leaf any) any {
		if leaf == nil {
			return nil
		}
		return secret.New(leafText(leaf))
	})
}

// eachLeaf returns a copy of v with its leaves replaced.
func eachLeaf(v any, replace func(any) any) any {
	switch x := v.(type) {
	case resource.Attributes:
		return eachLeaf(map[string]any(x), replace)
	case []any:
		out := make([]any, len(x))
		for i, item := range x {
			out[i] = eachLeaf(item, replace)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(x))
		for key, item := range x {
			out[key] = eachLeaf(item, replace)
		}
		return out
	}
	return replace(v)
}

func (k Key) sealed(path, text string) string {
	sum := k.sum("secret", path, text)
	return sealPrefix + hex.EncodeToString(sum[:sealSize])
}

// leafText returns the text of a leaf; that of a whole number does not depend on its
// type.
func leafText(v any) string {
	if s, ok := v.(secret.String); ok {
		return s.Reveal()
	}
	return app.From(v, diag.Pos{}).Str()
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// Conceal returns a, which is online, with all that as secret which is secret in like,
// which the file wants. A list is concealed as a whole as soon as anything in it is
// secret: nothing says which element became which.
func Conceal(a, like resource.Attributes) resource.Attributes {
	if a == nil {
		return nil
	}
	m, _ := conceal(map[string]any(a), map[string]any(like)).(map[string]any)
	return m
}

func conceal(v, like any) any {
	if !holdsSecret(like) {
		return v
	}
	x, isMap := asMap(v)
	l, likeMap := asMap(like)
	if !isMap || !likeMap {
		return hide(v)
	}
	out := maps.Clone(x)
	for key, item := range l {
		if there, ok := out[key]; ok {
			out[key] = conceal(there, item)
		}
	}
	return out
}

func asMap(v any) (map[string]any, bool) {
	if a, ok := v.(resource.Attributes); ok {
		return a, true
	}
	m, ok := v.(map[string]any)
	return m, ok
}

func holdsSecret(v any) bool {
	switch x := v.(type) {
	case secret.String:
		return !x.IsZero()
	case []any:
		return slices.ContainsFunc(x, holdsSecret)
	case resource.Attributes:
		return holdsSecret(map[string]any(x))
	case map[string]any:
		for _, item := range x {
			if holdsSecret(item) {
				return true
			}
		}
	}
	return false
}
