package emulator

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
)

// parse reads the members of a JSON object; an empty text is an empty object.
func parse(text []byte) (map[string]json.RawMessage, error) {
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, nil
	}
	var members map[string]json.RawMessage
	if err := json.Unmarshal(text, &members); err != nil {
		return nil, jsonError("the request's body", err)
	}
	return members, nil
}

// overlay sets the fields of the struct that dst points to from the members of a
// JSON object. A member that is missing or null leaves its field alone, an empty
// one clears it: so updates of the API work. Names match without regard to case,
// an exact one first (the 2021-04-06 SDK spells InstanceConcurrency in updates).
func overlay(members map[string]json.RawMessage, dst any) error {
	v := reflect.ValueOf(dst).Elem()
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
		raw, ok := member(members, name)
		if !ok || string(raw) == "null" {
			continue
		}
		field := v.Field(i)
		field.SetZero()
		if err := json.Unmarshal(raw, field.Addr().Interface()); err != nil {
			return jsonError(name, err)
		}
	}
	return nil
}

// member finds name in a JSON object, exactly or else in other letters' case.
func member(members map[string]json.RawMessage, name string) (json.RawMessage, bool) {
	if name == "" || name == "-" {
		return nil, false
	}
	if raw, ok := members[name]; ok {
		return raw, true
	}
	for key, raw := range members {
		if strings.EqualFold(key, name) {
			return raw, true
		}
	}
	return nil, false
}

// jsonError tells a body that is no JSON from one of the wrong types.
func jsonError(what string, err error) error {
	if t, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if t.Field != "" {
			what += "." + t.Field
		}
		return invalid("%s has the wrong type: a JSON %s where %s is expected", what, t.Value, kindName(t.Type))
	}
	if _, ok := errors.AsType[base64.CorruptInputError](err); ok {
		return invalid("%s is not valid Base64: %v", what, err)
	}
	return newError(http.StatusBadRequest, "MalformedPOSTRequest", "%s is not valid JSON: %v", what, err)
}

func kindName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "a boolean"
	case reflect.Slice, reflect.Array:
		return "a list"
	case reflect.Map, reflect.Struct, reflect.Pointer:
		return "an object"
	}
	return "a number"
}
