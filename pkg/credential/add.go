package credential

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/devs/deploy/pkg/diag"
	"github.com/devs/deploy/pkg/secret"
)

// AccountLookup returns the id of the account that a credential belongs to, as
// STS GetCallerIdentity tells it.
type AccountLookup func(ctx context.Context, c Credential) (string, error)

// AddOptions is what `config add` was given.
type AddOptions struct {
	Alias string // "" means default, then default-1, default-2, ...
	// Fields are the values of the named flags (NamedKeys) in their order. An
	// empty AccountID or SecurityToken counts as not given.
	Fields []Field
	// KeyList and InfoList are the comma lists of -kl and -il.
	KeyList  string
	InfoList secret.String
	Provider string // name or title; "" means found by the keys
	Force    bool   // replace an alias that exists
	// OnExists decides, when the alias exists and Force is not set, under
	// which alias to store; the same one means to replace it. Nil, for
	// runs without a terminal, makes it an error.
	OnExists func(alias string) (string, error)
	// Lookup finds the account's id; nil means not to look.
	Lookup AccountLookup
}

// AddResult is what Add stored.
type AddResult struct {
	Entry    Entry
	Path     string   // of access.yaml
	Replaced bool     // the alias was there before
	Warnings []string // for stderr
}

// Add stores a credential. Keys that are missing, an alias that exists (without
// Force or OnExists) and lists of different length are errors. For Alibaba Cloud
// the id of the account is looked up: one that differs from the one given
// replaces it, with a warning; a look-up that fails is a warning when AccountID
// or Force was given, else an error.
func (s *Store) Add(ctx context.Context, o AddOptions) (AddResult, error) {
	s.registerOptions(o)
	fields, err := gather(o)
	if err != nil {
		return AddResult{}, err
	}
	p, err := chooseProvider(o, fields)
	if err != nil {
		return AddResult{}, err
	}
	if _, err := newCredential(o.Alias, "the arguments", fields); err != nil {
		return AddResult{}, err
	}
	alias, replace, err := s.chooseAlias(o)
	if err != nil {
		return AddResult{}, err
	}
	var result AddResult
	if o.Alias == "" && alias != "default" {
		result.Warnings = append(result.Warnings, fmt.Sprintf("alias default exists already; the keys are stored as %s, use them with -a %s", alias, alias))
	}
	if p.name == ProviderAlibaba && o.Lookup != nil {
		var warning string
		if fields, warning, err = s.verifyAccount(ctx, o, fields); err != nil {
			return AddResult{}, err
		}
		if warning != "" {
			result.Warnings = append(result.Warnings, warning)
		}
	}
	err = s.update(ctx, func(file *accessFile) error {
		result.Path = file.path
		result.Replaced = file.doc.index(alias) >= 0
		if result.Replaced && !replace {
			return existsProblem(alias, file.path)
		}
		if err := s.write(file.doc, alias, p, o.Provider != "", fields); err != nil {
			return err
		}
		result.Entry, err = s.entry(file.doc, alias)
		return err
	})
	if err != nil {
		return AddResult{}, err
	}
	return result, nil
}

// registerOptions hands the keys in o to the redactor, before anything can fail.
func (s *Store) registerOptions(o AddOptions) {
	register(s.config.Redactor, o.Fields)
	keys := strings.Split(o.KeyList, ",")
	for i, info := range strings.Split(o.InfoList.Reveal(), ",") {
		name := ""
		if i < len(keys) {
			name = strings.TrimSpace(keys[i])
		}
		register(s.config.Redactor, []Field{{Name: name, Value: secret.New(info)}})
	}
}

func existsProblem(alias, path string) error {
	return diag.Errorf("alias %q exists already in %s", alias, path).
		WithHint("add -f to replace it, or choose another with -a")
}

// gather returns the fields of the named flags and of the two lists.
func gather(o AddOptions) ([]Field, error) {
	var fields []Field
	for _, f := range o.Fields {
		value := strings.TrimSpace(f.Value.Reveal())
		optional := f.Name == FieldAccountID || f.Name == FieldSecurityToken
		if value == "" && optional {
			continue
		}
		if value == "" {
			return nil, diag.Errorf("--%s is empty", f.Name).WithHint("%s", emptyHint)
		}
		if isFlag(value) {
			return nil, diag.Errorf("--%s has no value: another flag follows it", f.Name).
				WithHint("put the value in quotes; %s", emptyHint)
		}
		fields = append(fields, Field{Name: f.Name, Value: secret.New(value)})
	}
	listed, err := parseLists(o.KeyList, o.InfoList.Reveal())
	if err != nil {
		return nil, err
	}
	for _, f := range listed {
		i := slices.IndexFunc(fields, func(g Field) bool { return g.Name == f.Name })
		if i >= 0 && !fields[i].Value.Equal(f.Value) {
			return nil, diag.Errorf("%s is given twice with different values", f.Name)
		}
		if i < 0 {
			fields = append(fields, f)
		}
	}
	return fields, nil
}

// isFlag reports whether a value is the name of one of our flags, which happens
// when the value before it was empty and not quoted.
func isFlag(value string) bool {
	name, isLong := strings.CutPrefix(value, "--")
	name, _, _ = strings.Cut(name, "=")
	return isLong && slices.Contains(append(NamedKeys(), "access", "kl", "il", "force", "keyList", "infoList"), name)
}

// parseLists pairs the two comma lists.
func parseLists(keyList, infoList string) ([]Field, error) {
	if strings.TrimSpace(keyList) == "" && strings.TrimSpace(infoList) == "" {
		return nil, nil
	}
	keys, infos := strings.Split(keyList, ","), strings.Split(infoList, ",")
	if len(keys) != len(infos) {
		return nil, diag.Errorf("-kl has %d keys and -il has %d values; both must be equally long", len(keys), len(infos)).
			WithHint("a value with a comma needs a flag of its own")
	}
	if len(keys) > maxFields {
		return nil, diag.Errorf("-kl has %d keys, more than %d", len(keys), maxFields)
	}
	var fields []Field
	for i, key := range keys {
		key, value := strings.TrimSpace(key), strings.TrimSpace(infos[i])
		place := "key " + strconv.Itoa(i+1) + " of -kl"
		switch {
		case key == "" || strings.HasPrefix(key, "__"):
			return nil, diag.Errorf("%s is empty or begins with two underscores", place)
		case hasField(fields, canonicalName(key)):
			return nil, diag.Errorf("%s stands twice", place)
		case value == "" && canonicalName(key) == FieldAccountID, value == "" && canonicalName(key) == FieldSecurityToken:
			continue
		case value == "":
			return nil, diag.Errorf("value %d of -il is empty", i+1).WithHint("%s", emptyHint)
		}
		fields = append(fields, Field{Name: canonicalName(key), Value: secret.New(value)})
	}
	return fields, nil
}

// chooseProvider returns the provider that the fields make complete. Fields of
// the lists that complete none are custom; named flags that complete none are an
// error that says what is missing.
func chooseProvider(o AddOptions, fields []Field) (provider, error) {
	if len(fields) == 0 {
		return provider{}, diag.Errorf("no key was given").
			WithHint("for Alibaba Cloud: devs config add --AccountID ... --AccessKeyID ... --AccessKeySecret ... -a default")
	}
	if o.Provider != "" {
		p, ok := findProvider(o.Provider)
		if !ok {
			return p, diag.Errorf("there is no provider of that name").WithHint("%s", diag.DidYouMean(o.Provider, ProviderNames()))
		}
		return p, requireKeys(p, fields)
	}
	p, _ := findProvider(detectProvider(fields))
	if p.name != ProviderCustom {
		return p, nil
	}
	near := nearestProvider(fields)
	if strings.TrimSpace(o.KeyList) != "" && (len(o.Fields) == 0 || near.keys == nil) {
		return p, nil
	}
	if near.keys == nil {
		near, _ = findProvider(ProviderAlibaba)
	}
	return p, requireKeys(near, fields)
}

// requireKeys reports the keys of p that are missing.
func requireKeys(p provider, fields []Field) error {
	missing := missingKeys(p, fields)
	if len(missing) == 0 {
		return nil
	}
	return diag.Errorf("%s is missing for a credential of %s", strings.Join(missing, " and "), p.title).
		WithHint("%s; keys of your own go into -kl and -il", emptyHint)
}

// nearestProvider returns the one of which the most keys are there; no keys means
// that none has any.
func nearestProvider(fields []Field) provider {
	var best provider
	most := 0
	for _, p := range providers() {
		if found := len(p.keys) - len(missingKeys(p, fields)); found > most {
			best, most = p, found
		}
	}
	return best
}

// chooseAlias returns the alias to store under, and whether one that exists may
// be replaced.
func (s *Store) chooseAlias(o AddOptions) (alias string, replace bool, err error) {
	file, err := s.open()
	if err != nil {
		return "", false, err
	}
	alias = strings.TrimSpace(o.Alias)
	if alias == "" && !o.Force {
		return nextDefault(file.doc.aliases()), false, nil
	}
	if alias == "" {
		alias = "default"
	}
	for {
		if err := checkAlias(alias); err != nil {
			return "", false, err
		}
		if o.Force || file.doc.index(alias) < 0 {
			return alias, o.Force, nil
		}
		if o.OnExists == nil {
			return "", false, existsProblem(alias, file.path)
		}
		chosen, err := o.OnExists(alias)
		if err != nil {
			return "", false, err
		}
		if chosen = strings.TrimSpace(chosen); chosen == alias {
			return alias, true, nil
		}
		alias = chosen
	}
}

// nextDefault returns default, or default-N with the first N that is above all
// that are there.
func nextDefault(aliases []string) string {
	next := 0
	for _, a := range aliases {
		if a == "default" {
			next = max(next, 1)
		}
		if tail, ok := strings.CutPrefix(a, "default-"); ok {
			if n, err := strconv.Atoi(tail); err == nil && n > 0 && n < 1<<30 {
				next = max(next, n+1)
			}
		}
	}
	if next == 0 {
		return "default"
	}
	return fmt.Sprintf("default-%d", next)
}

// verifyAccount asks for the real account id and puts it into fields.
func (s *Store) verifyAccount(ctx context.Context, o AddOptions, fields []Field) ([]Field, string, error) {
	c, err := newCredential(o.Alias, "the arguments", fields)
	if err != nil {
		return nil, "", err
	}
	given := c.AccountID
	id, err := o.Lookup(ctx, *c)
	if ctx.Err() != nil {
		return nil, "", ctx.Err()
	}
	if id = strings.TrimSpace(id); err == nil && id == "" {
		err = fmt.Errorf("the answer holds no account id")
	}
	switch {
	case err != nil && given == "" && !o.Force:
		return nil, "", diag.Errorf("the id of the account could not be looked up: %s", s.config.Redactor.Redact(err.Error())).
			WithHint("check the keys, or give --AccountID; -f stores the keys as they are")
	case err != nil:
		return fields, "the keys could not be verified and are stored as given: " + s.config.Redactor.Redact(err.Error()), nil
	}
	fields = slices.DeleteFunc(fields, func(f Field) bool { return f.Name == FieldAccountID })
	fields = slices.Insert(fields, 0, Field{Name: FieldAccountID, Value: secret.New(id)})
	if given != "" && given != id {
		return fields, "the AccountID given is not the one that these keys belong to; the real one is stored", nil
	}
	return fields, "", nil
}

// write puts the encrypted fields into doc. As in Serverless Devs, the provider
// is written where it is sure: several have the same keys as aws.
func (s *Store) write(doc *document, alias string, p provider, told bool, fields []Field) error {
	doc.clear(alias)
	if told || p.name == ProviderAlibaba || p.name == ProviderCustom {
		fields = append([]Field{{Name: keyProvider, Value: secret.New(p.title)}}, fields...)
	}
	for _, f := range fields {
		value, err := encrypt(s.config.Rand, f.Value.Reveal())
		if err != nil {
			return err
		}
		doc.put(alias, f.Name, value)
	}
	return nil
}
