package client

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"strings"

	"github.com/devs/deploy/pkg/secret"
)

// plainBody returns a copy of body as JSON takes it, with secrets revealed: this
// is where they go on the wire.
func plainBody(body map[string]any) (map[string]any, error) {
	out := make(map[string]any, len(body))
	for key, v := range body {
		plain, err := plainValue(key, v)
		if err != nil {
			return nil, err
		}
		out[key] = plain
	}
	return out, nil
}

func plainValue(path string, v any) (any, error) {
	switch v := v.(type) {
	case nil, bool, int, int32, int64, float64, string:
		return v, nil
	case secret.String:
		return v.Reveal(), nil
	case []string:
		return v, nil
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			plain, err := plainValue(path, item)
			if err != nil {
				return nil, err
			}
			out[i] = plain
		}
		return out, nil
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			plain, err := plainValue(path+"."+key, item)
			if err != nil {
				return nil, err
			}
			out[key] = plain
		}
		return out, nil
	}
	return nil, fmt.Errorf("%s has no value that can be sent (%v)", path, v)
}

// checkShape reports what of body the SDK's type of it does not have, so that
// nothing is sent that the service would ignore. The code package is not looked
// into: it is large.
func checkShape(body map[string]any, shape any) error {
	if shape == nil {
		return nil
	}
	small := maps.Clone(body)
	if code, ok := small["code"].(map[string]any); ok && code["zipFile"] != nil {
		code = maps.Clone(code)
		code["zipFile"] = ""
		small["code"] = code
	}
	data, err := json.Marshal(small)
	if err != nil {
		return err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(shape); err != nil {
		if typeErr, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
			return fmt.Errorf("%s cannot be a %s", typeErr.Field, typeErr.Value)
		}
		return fmt.Errorf("the request cannot be made: %s", strings.TrimPrefix(err.Error(), "json: "))
	}
	return nil
}

// goValue returns decoded JSON with its numbers as int64 or float64.
func goValue(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil {
			return i
		}
		f, err := v.Float64()
		if err != nil {
			return v.String() // beyond what a number can hold
		}
		return goValue(f)
	case float64:
		if v == math.Trunc(v) && math.Abs(v) < 1<<53 {
			return int64(v)
		}
		return v
	case []any:
		out := make([]any, len(v))
		for i, item := range v {
			out[i] = goValue(item)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for key, item := range v {
			out[key] = goValue(item)
		}
		return out
	}
	return v
}

// DecodeJSON decodes JSON text with numbers as int64 or float64.
func DecodeJSON(text string) (any, error) {
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var v any
	if err := dec.Decode(&v); err != nil {
		return nil, err
	}
	if dec.More() {
		return nil, errors.New("more than one value")
	}
	return goValue(v), nil
}

// EncodeJSON encodes v, secrets revealed, for a field of the API that holds JSON
// in a text.
func EncodeJSON(v map[string]any) (string, error) {
	plain, err := plainBody(v)
	if err != nil {
		return "", err
	}
	data, err := marshal(plain)
	return string(data), err
}

// marshal encodes v as JSON without escapes for HTML.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
