package credential

import (
	"slices"
	"strconv"
	"strings"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/secret"
)

// Variables that steer the choice.
const (
	variableCIAlias  = "serverless_devs_access_cicd_alias_name"
	variableEnvFirst = "DEVS_ACCESS_ENV_FIRST"
)

// Resolver finds the credential of an alias. Make one with NewResolver.
type Resolver struct {
	config Config
	store  *Store
}

// NewResolver returns a resolver over the environment and the store that c
// describes. Every key in the environment is handed to the redactor at once,
// used or not.
func NewResolver(c Config) *Resolver {
	c = c.withDefaults()
	r := &Resolver{config: c, store: NewStore(c)}
	for _, name := range r.jsonNames() {
		r.registerJSON(name)
	}
	for _, t := range triples() {
		r.config.Redactor.Add(r.value(t.id), r.value(t.secret), r.value(t.token))
	}
	return r
}

// Resolve returns the credential that alias means, with the source it was found
// in. The alias is that of -a, else of the service, else of the application; ""
// means that none of them names one. The first of these that has it wins:
//
//  1. ${aliyun-cli}: the current profile of the Alibaba Cloud CLI, nothing else.
//  2. A JSON variable named like the alias, or like it with the ending
//     _serverless_devs_access or _serverless_devs_key.
//  3. The alias in access.yaml.
//  4. AccessKeyID and AccessKeySecret (AccountID, SecurityToken).
//  5. ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET
//     (ALIBABA_CLOUD_ACCOUNT_ID, ALIBABA_CLOUD_SECURITY_TOKEN).
//
// Without an alias, 2 looks for default, 3 for the entry chosen by SetDefault and
// then for default; after that the one JSON variable with such an ending counts,
// whatever its name. Several are an error: devs does not guess an account.
//
// In a CI the variable serverless_devs_access_cicd_alias_name replaces the alias.
// With EnvFirst, 4 comes before 2 when AccountID is there too.
//
// The error for nothing found says what was looked for; it has exit code 100, as
// those for a source that is there but broken.
func (r *Resolver) Resolve(alias string) (*Credential, error) {
	return r.resolve(strings.TrimSpace(alias), false)
}

// ResolveNamed is Resolve for an alias that was given explicitly (-a): it must be
// found as such, by 1, 2 or 3. The variables of 4 and 5, which belong to no alias,
// do not stand in for it; only EnvFirst asks for them by itself. An empty alias
// names none.
func (r *Resolver) ResolveNamed(alias string) (*Credential, error) {
	return r.resolve(strings.TrimSpace(alias), true)
}

// step looks into one source. It returns a note for the final error when it finds
// nothing.
type step func(alias string) (c *Credential, note string, err error)

// resolve finds the credential and hands its keys to the redactor.
func (r *Resolver) resolve(alias string, strict bool) (*Credential, error) {
	c, err := r.find(alias, strict)
	if err != nil {
		return nil, err
	}
	register(r.config.Redactor, c.Fields())
	return c, nil
}

func (r *Resolver) find(alias string, strict bool) (*Credential, error) {
	if name := r.value(variableCIAlias); r.config.CI && name != "" {
		alias = name
	}
	if looksLikeObject(alias) {
		return nil, diag.Errorf("the access is a JSON text, not the name of an alias").
			WithHint("give the name of the environment variable that holds it, for example -a default_serverless_devs_access")
	}
	if alias == AliyunCLI {
		return r.resolveAliyunCLI()
	}
	steps, err := r.steps(alias == "", strict)
	if err != nil {
		return nil, err
	}
	wanted := alias
	if wanted == "" {
		wanted = "default"
	}
	if err := checkAlias(wanted); err != nil {
		return nil, err
	}
	var notes []string
	for _, look := range steps {
		c, note, err := look(wanted)
		if c != nil || err != nil {
			return c, err
		}
		notes = append(notes, note)
	}
	return nil, r.notFound(alias, notes, strict && alias != "")
}

func (r *Resolver) steps(unnamed, strict bool) ([]step, error) {
	first, err := r.envFirst()
	if err != nil {
		return nil, err
	}
	ours, cloud := triples()[0], triples()[1]
	steps := []step{r.fromJSON, r.fromStore}
	switch {
	case !unnamed && !strict:
		steps = append(steps, r.fromTriple(ours, true), r.fromTriple(cloud, true))
	case unnamed:
		steps = []step{r.fromJSON, r.fromStoreDefault, r.fromSingleJSON, r.fromTriple(ours, false), r.fromTriple(cloud, false)}
	}
	if first && (r.config.EnvFirst || r.value(FieldAccountID) != "") {
		steps = slices.Insert(steps, 0, r.fromTriple(ours, false))
	}
	return steps, nil
}

func (r *Resolver) envFirst() (bool, error) {
	text := r.value(variableEnvFirst)
	if text == "" {
		return r.config.EnvFirst, nil
	}
	on, err := strconv.ParseBool(text)
	if err != nil {
		return false, diag.Errorf("the variable %s must be true or false", variableEnvFirst)
	}
	return on || r.config.EnvFirst, nil
}

// value returns an environment variable without blanks around it.
func (r *Resolver) value(name string) string {
	v, _ := r.config.Env(name)
	return strings.TrimSpace(v)
}

// jsonNames returns the names of the JSON variables in the environment, sorted.
func (r *Resolver) jsonNames() []string {
	var names []string
	for _, name := range r.config.Environ {
		if isJSONVariable(name) {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// registerJSON hands the keys in a JSON variable to the redactor; of a malformed
// one the whole text.
func (r *Resolver) registerJSON(name string) {
	text := r.value(name)
	fields, err := parseJSONFields(text)
	if err != nil && text != "" {
		r.config.Redactor.Add(text)
	}
	register(r.config.Redactor, fields)
}

// fromJSON looks for a JSON variable of the alias. A variable that has exactly
// the name of the alias but was never meant to be JSON (alias prod, prod=1) is
// passed over; one with an ending must be JSON.
func (r *Resolver) fromJSON(alias string) (*Credential, string, error) {
	names := jsonVariables(alias)
	var states []string
	for _, name := range names {
		text, set := r.config.Env(name)
		switch {
		case !set:
			states = append(states, name+" is not set")
		case strings.TrimSpace(text) == "":
			states = append(states, name+" is empty")
		case !isJSONVariable(name) && !looksLikeObject(text):
			states = append(states, name+" is not a JSON object")
		default:
			c, err := r.readJSON(alias, name)
			return c, "", err
		}
	}
	return nil, "JSON variables: " + strings.Join(states, ", "), nil
}

func (r *Resolver) readJSON(alias, name string) (*Credential, error) {
	r.registerJSON(name)
	fields, err := parseJSONFields(r.value(name))
	if err != nil {
		return nil, diag.Errorf("the environment variable %s is no credential: %s", name, err).WithCause(err).
			WithHint(`it must look like {"AccountID":"...","AccessKeyID":"...","AccessKeySecret":"..."}`)
	}
	return newCredential(alias, "environment variable "+name, fields)
}

// fromSingleJSON takes the one JSON variable that is there.
func (r *Resolver) fromSingleJSON(string) (*Credential, string, error) {
	byBase := map[string]string{}
	var found []string
	for _, name := range r.jsonNames() {
		base := variableBase(name)
		if _, seen := byBase[base]; !seen && r.value(name) != "" {
			byBase[base] = name
			found = append(found, name)
		}
	}
	switch len(found) {
	case 0:
		return nil, "any variable *" + accessSuffix + " or *" + keySuffix + ": none has a value", nil
	case 1:
		c, err := r.readJSON(found[0], found[0])
		return c, "", err
	}
	return nil, "", diag.Errorf("no access is named, and several environment variables hold one: %s", strings.Join(found, ", ")).
		WithHint("name one: -a %s, or access: %s in s.yaml", found[0], found[0])
}

func (r *Resolver) fromStore(alias string) (*Credential, string, error) {
	file, err := r.store.open()
	if err != nil {
		return nil, "", err
	}
	return r.stored(file, alias)
}

// fromStoreDefault prefers the entry that SetDefault chose.
func (r *Resolver) fromStoreDefault(alias string) (*Credential, string, error) {
	file, err := r.store.open()
	if err != nil {
		return nil, "", err
	}
	for _, name := range file.doc.aliases() {
		fields, _, err := file.doc.fields(name)
		if err == nil && internalValue(fields, keyDefault) == "true" {
			return r.stored(file, name)
		}
	}
	return r.stored(file, alias)
}

func (r *Resolver) stored(file *accessFile, alias string) (*Credential, string, error) {
	fields, ok, err := file.doc.fields(alias)
	if err != nil {
		return nil, "", err
	}
	if !ok {
		return nil, storeNote(file, alias), nil
	}
	register(r.config.Redactor, fields)
	c, err := newCredential(alias, "alias "+alias+" in "+file.path, fields)
	if err != nil {
		return nil, "", err
	}
	c.Provider = providerOf(fields)
	return c, "", nil
}

func storeNote(file *accessFile, alias string) string {
	notes := slices.Clone(file.notes)
	switch names := file.doc.aliases(); {
	case len(names) > 0:
		notes = append(notes, file.path+": no alias "+alias+", it has "+strings.Join(names, ", "))
	case file.exists:
		notes = append(notes, file.path+": it is empty")
	default:
		notes = append(notes, file.path+": there is no such file")
	}
	return strings.Join(notes, "\n")
}

// triple is a set of variables that hold one field each.
type triple struct{ account, id, secret, token string }

// triples returns those of Serverless Devs and of Alibaba Cloud's own tools.
func triples() []triple {
	return []triple{
		{FieldAccountID, FieldAccessKeyID, FieldAccessKeySecret, FieldSecurityToken},
		{"ALIBABA_CLOUD_ACCOUNT_ID", "ALIBABA_CLOUD_ACCESS_KEY_ID", "ALIBABA_CLOUD_ACCESS_KEY_SECRET", "ALIBABA_CLOUD_SECURITY_TOKEN"},
	}
}

// fromTriple looks into a set of variables; fallback marks what it finds.
func (r *Resolver) fromTriple(t triple, fallback bool) step {
	return func(alias string) (*Credential, string, error) {
		if r.value(t.id) == "" || r.value(t.secret) == "" {
			return nil, "variables: " + r.state(t.id) + ", " + r.state(t.secret), nil
		}
		c, err := newCredential(alias, "environment variables "+t.id+" and "+t.secret, []Field{
			{FieldAccountID, secret.New(r.value(t.account))},
			{FieldAccessKeyID, secret.New(r.value(t.id))},
			{FieldAccessKeySecret, secret.New(r.value(t.secret))},
			{FieldSecurityToken, secret.New(r.value(t.token))},
		})
		if err != nil {
			return nil, "", err
		}
		c.Fallback = fallback
		return c, "", nil
	}
}

// state says of a variable whether it is set, never to what.
func (r *Resolver) state(name string) string {
	text, set := r.config.Env(name)
	switch {
	case !set:
		return name + " is not set"
	case strings.TrimSpace(text) == "":
		return name + " is empty"
	}
	return name + " is set"
}

// notFound lists what was looked for, and says first when a pair is half there.
func (r *Resolver) notFound(alias string, notes []string, strict bool) error {
	summary := "no credential was found"
	if alias != "" {
		summary += " for alias " + strconv.Quote(alias)
	}
	for _, t := range triples() {
		switch id, key := r.value(t.id) != "", r.value(t.secret) != ""; {
		case id && !key:
			summary += "; " + t.id + " is set, but not " + t.secret
		case key && !id:
			summary += "; " + t.secret + " is set, but not " + t.id
		}
	}
	detail := "looked for, in this order:\n" + strings.Join(notes, "\n")
	p := diag.Errorf("%s", r.config.Redactor.Redact(summary)).
		WithDetail(r.config.Redactor.Redact(detail)).
		WithHint("set ALIBABA_CLOUD_ACCESS_KEY_ID and ALIBABA_CLOUD_ACCESS_KEY_SECRET, or run devs config add; secrets that are set but empty were not handed to this job, as on pull requests from forks")
	if strict {
		p.Hint = "check the name, or add the alias with devs config add; without -a the environment variables are used"
	}
	return p.WithCode(diag.ExitTool)
}
