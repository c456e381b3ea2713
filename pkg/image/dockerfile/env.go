package dockerfile

import (
	"strings"

	"github.com/moby/buildkit/frontend/dockerfile/shell"

	"github.com/devs/deploy/pkg/diag"
)

// Limits of expansion. A value of the environment cannot be longer than what the kernel
// hands to a program (MAX_ARG_STRLEN); without a limit, ENV A=$A$A would double it with
// each line.
const (
	maxValue    = 128 << 10 // bytes of NAME=value of ENV and ARG
	maxExpanded = 1 << 20   // bytes that variables may bring into one word
)

// env is an environment that keeps its order.
type env struct {
	keys   []string
	values map[string]string
}

func newEnv(list []string) *env {
	e := &env{values: map[string]string{}}
	for _, kv := range list {
		k, v, _ := strings.Cut(kv, "=")
		e.set(k, v)
	}
	return e
}

func (e *env) set(key, value string) {
	if _, ok := e.values[key]; !ok {
		e.keys = append(e.keys, key)
	}
	e.values[key] = value
}

func (e *env) clone() *env { return newEnv(e.list()) }

func (e *env) list() []string {
	list := make([]string, len(e.keys))
	for i, k := range e.keys {
		list[i] = k + "=" + e.values[k]
	}
	return list
}

// Get returns a variable, for the lexer.
func (e *env) Get(key string) (string, bool) {
	v, ok := e.values[key]
	return v, ok
}

// Keys returns the names of the variables, for the lexer.
func (e *env) Keys() []string { return e.keys }

// metered is an env that gives out no more than maxExpanded bytes.
type metered struct {
	*env
	given int
}

func (m *metered) Get(key string) (string, bool) {
	v, ok := m.env.Get(key)
	if m.given += len(v); m.given > maxExpanded {
		return "", ok
	}
	return v, ok
}

// expand replaces the variables of word. It returns with the result the names that
// were found and those that were not.
func expand(lex *shell.Lex, word string, e *env) (shell.ProcessWordResult, error) {
	m := &metered{env: e}
	result, err := lex.ProcessWordWithMatches(word, m)
	if err == nil && m.given > maxExpanded {
		err = diag.Errorf("the variables of one word have more than %d bytes", maxExpanded)
	}
	return result, err
}

// checkVariable refuses what cannot be a variable of a program.
func checkVariable(instruction, key, value string) error {
	if key == "" {
		return diag.Errorf("%s has a variable without a name", instruction)
	}
	if n := len(key) + 1 + len(value); n >= maxValue {
		return diag.Errorf("the value of %s has %d bytes: no program could be given it", key, n).
			WithHint("a variable can have up to %d bytes; put the content into a file", maxValue-1)
	}
	return nil
}

// proxyNames are the predefined arguments: their values reach RUN without an ARG, and
// leave no trace in the history.
func proxyNames() []string {
	return []string{
		"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "FTP_PROXY", "ftp_proxy",
		"NO_PROXY", "no_proxy", "ALL_PROXY", "all_proxy",
	}
}

// proxies returns the proxy variables among the build arguments, each in both cases:
// programs differ in which they read.
func proxies(buildArgs map[string]string) []string {
	given := newEnv(nil)
	for _, name := range proxyNames() {
		if v, ok := buildArgs[name]; ok {
			given.set(name, v)
			for _, other := range []string{strings.ToUpper(name), strings.ToLower(name)} {
				if _, ok := buildArgs[other]; !ok {
					given.set(other, v)
				}
			}
		}
	}
	return given.list()
}
