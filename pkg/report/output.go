package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/devs/deploy/pkg/app"
	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/secret"
)

// Format is how a result is written.
type Format string

// The formats of -o.
const (
	Default Format = "default" // YAML; a text alone is written as it is
	JSON    Format = "json"    // indented
	YAML    Format = "yaml"
	Raw     Format = "raw" // compact JSON; a text alone is written as it is
	// Markdown is for pull requests; only plans have it.
	Markdown Format = "markdown"
)

// Formats lists the formats, for help texts and for checking.
func Formats() []string {
	return []string{string(Default), string(JSON), string(YAML), string(Raw), string(Markdown)}
}

// Output returns v in the format. The order of maps is kept, secrets are ***.
func Output(v *app.Value, format Format) ([]byte, error) {
	if (format == Default || format == Raw) && v != nil && v.Kind == app.String && !v.Secret {
		return []byte(v.Str()), nil
	}
	switch format {
	case Markdown:
		return nil, diag.Errorf("only a plan can be written as Markdown").WithHint("leave -o markdown out, or use -o json")
	case JSON, Raw:
		data, err := jsonOf(v)
		if err != nil {
			return nil, fmt.Errorf("encoding the result: %w", err)
		}
		var b bytes.Buffer
		if format == Raw {
			err = json.Compact(&b, data)
		} else {
			err = json.Indent(&b, data, "", "  ")
		}
		return append(b.Bytes(), '\n'), err
	}
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(nodes{}.of(v)); err != nil {
		return nil, fmt.Errorf("encoding the result: %w", err)
	}
	return b.Bytes(), enc.Close()
}

// jsonOf keeps the order of maps, which encoding/json would sort.
func jsonOf(v *app.Value) ([]byte, error) {
	if v == nil {
		return []byte("null"), nil
	}
	var b bytes.Buffer
	switch v.Kind {
	case app.List:
		b.WriteByte('[')
		for i, item := range v.Items {
			if i > 0 {
				b.WriteByte(',')
			}
			data, err := jsonOf(item)
			if err != nil {
				return nil, err
			}
			b.Write(data)
		}
		b.WriteByte(']')
		return b.Bytes(), nil
	case app.Map:
		b.WriteByte('{')
		for i, e := range v.Entries {
			if i > 0 {
				b.WriteByte(',')
			}
			key, err := json.Marshal(e.Key)
			if err != nil {
				return nil, err
			}
			data, err := jsonOf(e.Value)
			if err != nil {
				return nil, err
			}
			b.Write(append(append(key, ':'), data...))
		}
		b.WriteByte('}')
		return b.Bytes(), nil
	}
	if text, ok := v.Scalar.(string); ok && !v.Secret && !utf8.ValidString(text) {
		return json.Marshal(map[string][]byte{"base64": []byte(text)}) // JSON has no bytes
	}
	return json.Marshal(v.Plain())
}

// nodes makes the nodes of a YAML document. It remembers those of texts, of which
// most come again (keys above all): the library takes long to make one.
type nodes map[string]*yaml.Node

func (m nodes) of(v *app.Value) *yaml.Node {
	n := &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!null", Value: "null"}
	if v == nil {
		return n
	}
	switch v.Kind {
	case app.List:
		n = &yaml.Node{Kind: yaml.SequenceNode}
		for _, item := range v.Items {
			n.Content = append(n.Content, m.of(item))
		}
	case app.Map:
		n = &yaml.Node{Kind: yaml.MappingNode}
		for _, e := range v.Entries {
			n.Content = append(n.Content, m.text(e.Key), m.of(e.Value))
		}
	case app.Null:
	case app.Unknown:
		n = m.text(v.Plain().(app.UnknownValue).String())
	default:
		if v.Secret {
			return m.text(secret.Mask)
		}
		if s, ok := v.Scalar.(string); ok {
			return m.text(s)
		}
		n = new(yaml.Node)
		if err := n.Encode(v.Scalar); err != nil {
			return m.text(v.Str())
		}
	}
	return n
}

func (m nodes) text(s string) *yaml.Node {
	n := m[s]
	if n == nil {
		n = new(yaml.Node)
		if err := n.Encode(s); err != nil {
			n = &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!str", Value: s}
		}
		m[s] = n
	}
	return n
}
