package credential

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/devs/deploy/pkg/secret"
)

// maxJSONVariable bounds a JSON environment variable, in bytes.
const maxJSONVariable = 64 << 10

// Endings of the names of JSON variables: of Serverless Devs 2 and 3.
const (
	accessSuffix = "_serverless_devs_access"
	keySuffix    = "_serverless_devs_key"
)

// errNotObject says that a text is no JSON object, errFieldType that a field of
// it is neither text nor number. They carry nothing of the text.
var (
	errNotObject = errors.New("it is not a JSON object")
	errFieldType = errors.New("its fields must be texts or numbers")
	errTooMany   = fmt.Errorf("it has more than %d fields or %d bytes", maxFields, maxJSONVariable)
)

// parseJSONFields reads the fields of a JSON variable, sorted by name. Some
// runners deliver the object within quotes, or with its own quotes escaped, or
// both: each of these is understood.
func parseJSONFields(text string) ([]Field, error) {
	if len(text) > maxJSONVariable {
		return nil, errTooMany
	}
	text = strings.TrimSpace(strings.TrimPrefix(text, "\ufeff"))
	object, ok := decodeObject(text)
	if !ok {
		inner := stripQuotes(text)
		if object, ok = decodeObject(inner); !ok {
			var unescaped string
			if json.Unmarshal([]byte(`"`+inner+`"`), &unescaped) != nil {
				return nil, errNotObject
			}
			if object, ok = decodeObject(unescaped); !ok {
				return nil, errNotObject
			}
		}
	}
	if len(object) > maxFields {
		return nil, errTooMany
	}
	var fields []Field
	for _, name := range slices.Sorted(maps.Keys(object)) {
		var value string
		switch v := object[name].(type) {
		case nil:
			continue
		case string:
			value = v
		case json.Number:
			value = v.String()
		default:
			return nil, errFieldType
		}
		fields = append(fields, Field{Name: name, Value: secret.New(value)})
	}
	return fields, nil
}

// decodeObject decodes one JSON object and nothing after it. Numbers keep their
// digits: an AccountID is longer than what a float holds.
func decodeObject(text string) (map[string]any, bool) {
	var object map[string]any
	decoder := json.NewDecoder(bytes.NewReader([]byte(text)))
	decoder.UseNumber()
	if decoder.Decode(&object) != nil || object == nil {
		return nil, false
	}
	_, err := decoder.Token()
	return object, errors.Is(err, io.EOF)
}

// stripQuotes removes one pair of quotes around text.
func stripQuotes(text string) string {
	if n := len(text); n >= 2 && text[0] == text[n-1] && (text[0] == '"' || text[0] == '\'') {
		return strings.TrimSpace(text[1 : n-1])
	}
	return text
}

// looksLikeObject reports whether a text was meant to be a JSON object.
func looksLikeObject(text string) bool {
	return strings.HasPrefix(strings.TrimLeft(text, "\ufeff \t\r\n\"'\\"), "{")
}

// jsonVariables returns the names of the JSON variables that alias may mean,
// best first: the alias itself, then with each ending. An alias that has an
// ending stands for its base too.
func jsonVariables(alias string) []string {
	base := variableBase(alias)
	names := []string{alias}
	for _, name := range []string{base + accessSuffix, base + keySuffix} {
		if name != alias {
			names = append(names, name)
		}
	}
	return names
}

// variableBase returns the alias within the name of a JSON variable, or name.
func variableBase(name string) string {
	base := strings.TrimSuffix(strings.TrimSuffix(name, accessSuffix), keySuffix)
	if base == "" {
		return name
	}
	return base
}

func isJSONVariable(name string) bool { return variableBase(name) != name }
