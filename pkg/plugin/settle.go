package plugin

import (
	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/secret"
)

// settle gives an answer what JSON cannot carry: a value that stands where the
// input has one gets that one's place in the user's file, and a value that is
// secret there, or holds a secret of the input anywhere, is secret.
func settle(answer, input *app.Value) *app.Value {
	known := new(secret.Redactor)
	addSecrets(known, input)
	return settleNode(answer, input, known)
}

func addSecrets(known *secret.Redactor, v *app.Value) {
	if v == nil {
		return
	}
	if v.Secret {
		known.Add(v.Str())
	}
	for _, item := range v.Items {
		addSecrets(known, item)
	}
	for _, e := range v.Entries {
		addSecrets(known, e.Value)
	}
}

func settleNode(v, was *app.Value, known *secret.Redactor) *app.Value {
	if v == nil {
		return nil
	}
	c := *v
	if was != nil {
		c.Pos = was.Pos
		c.Secret = was.Secret || was.Kind != v.Kind && was.HasSecret()
	}
	switch v.Kind {
	case app.List:
		c.Items = make([]*app.Value, len(v.Items))
		for i, item := range v.Items {
			c.Items[i] = settleNode(item, itemOf(was, i), known)
		}
	case app.Map:
		c.Entries = make([]app.Entry, len(v.Entries))
		for i, e := range v.Entries {
			c.Entries[i] = settleEntry(e, was, known)
		}
	default:
		if text := v.Str(); known.Redact(text) != text {
			c.Secret = true
		}
	}
	if c.Secret {
		return c.AsSecret() // a list in the place of a secret text: all of it
	}
	return &c
}

func settleEntry(e app.Entry, was *app.Value, known *secret.Redactor) app.Entry {
	if was != nil {
		for _, old := range was.Entries {
			if old.Key == e.Key {
				e.KeyPos = old.KeyPos
				e.Value = settleNode(e.Value, old.Value, known)
				return e
			}
		}
	}
	e.Value = settleNode(e.Value, nil, known)
	return e
}

func itemOf(v *app.Value, i int) *app.Value {
	if v == nil || i >= len(v.Items) {
		return nil
	}
	return v.Items[i]
}
