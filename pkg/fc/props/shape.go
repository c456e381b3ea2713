package props

import "cmp"

// kind is what a value of the props must be.
type kind int

const (
	textKind    kind = iota // a text; a whole number is taken as its text
	integerKind             // a whole number, or a text that holds one
	numberKind              // a number, or a text that holds one
	booleanKind             // true or false, or a text that holds one
	listKind                // a list of item
	objectKind              // a mapping with the fields given
	textsKind               // a mapping of any keys to texts; other scalars become texts
	anyKind                 // whatever is there, sent as it is
)

// shape says what a value must look like.
type shape struct {
	kind    kind
	fields  []field  // of objectKind
	item    *shape   // of listKind
	choices []string // the texts allowed, which are never secret
	fold    bool     // choices are matched without regard to case
	known   bool     // must be known before the deploy, and is not kept secret
	secret  bool     // always secret
	checks  []check
}

// field is one key of a mapping.
type field struct {
	key      string
	alias    string // another spelling, "" for none
	api      string // the name in the API; "" for key, local when it is not sent so
	required bool
	legacy   bool // of older files; accepted, without effect, never suggested
	shape    shape
}

// local marks a field that is not sent under a name of its own.
const local = "-"

// check returns what is wrong with a decoded value ("" for nothing) and a hint.
type check func(got any) (wrong, hint string)

func text(checks ...check) shape    { return shape{kind: textKind, checks: checks} }
func integer(checks ...check) shape { return shape{kind: integerKind, checks: checks} }
func number(checks ...check) shape  { return shape{kind: numberKind, checks: checks} }
func boolean() shape                { return shape{kind: booleanKind} }
func texts(checks ...check) shape   { return shape{kind: textsKind, checks: checks} }
func anything() shape               { return shape{kind: anyKind} }
func choice(of ...string) shape     { return shape{kind: textKind, choices: of} }
func object(fields ...field) shape  { return shape{kind: objectKind, fields: fields} }

func list(item shape, checks ...check) shape {
	return shape{kind: listKind, item: &item, checks: checks}
}

// identity is a text that the deploy is addressed by.
func identity(checks ...check) shape {
	return shape{kind: textKind, known: true, checks: checks}
}

func (s shape) asSecret() shape    { s.secret = true; return s }
func (s shape) mustBeKnown() shape { s.known = true; return s }

func opt(key string, s shape) field { return field{key: key, shape: s} }
func req(key string, s shape) field { return field{key: key, shape: s, required: true} }

// legacy are keys of older files.
func legacy() []field {
	return []field{
		{key: "import", api: local, legacy: true, shape: anything()},
		{key: "protect", api: local, legacy: true, shape: anything()},
	}
}

func (f field) as(api string) field   { f.api = api; return f }
func (f field) or(alias string) field { f.alias = alias; return f }

func (f field) apiName() string { return cmp.Or(f.api, f.key) }

func (f field) matches(key string) bool {
	return key == f.key || f.alias != "" && key == f.alias
}
