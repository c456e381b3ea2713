package secret

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// MinRedacted is the length in bytes below which a value is not searched for in
// foreign output: masking "1" or "dev" everywhere would destroy the text.
const MinRedacted = 6

// Redactor replaces known secrets in text by Mask. The zero value is ready and
// safe for concurrent use.
type Redactor struct {
	mu    sync.RWMutex
	forms []string // every encoded form of every secret, longest first
	plain []string // texts that must stay readable, see Allow
	fixed []string // forms that are hidden whatever is allowed, see Always
}

// Add makes r hide value and its base64, URL and JSON forms, and each line of a
// value of several lines. Values shorter than MinRedacted are ignored.
func (r *Redactor) Add(values ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, v := range values {
		for _, form := range encodings(v) {
			if len(form) >= MinRedacted && !slices.Contains(r.forms, form) && !r.allowed(form) {
				r.forms = append(r.forms, form)
			}
		}
	}
	slices.SortFunc(r.forms, func(a, b string) int { return len(b) - len(a) })
}

// Always is Add for secrets that stay hidden even in texts that are allowed.
func (r *Redactor) Always(values ...string) {
	r.mu.Lock()
	for _, v := range values {
		for _, form := range encodings(v) {
			if len(form) >= MinRedacted && !slices.Contains(r.fixed, form) {
				r.fixed = append(r.fixed, form)
			}
		}
	}
	r.mu.Unlock()
	r.Add(values...)
}

// Allow keeps names readable that the product must print although they came from a
// secret place (the region, a function's name): a secret that is part of name is
// no longer hidden.
func (r *Redactor) Allow(name string) {
	if name == "" {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if slices.Contains(r.plain, name) {
		return
	}
	r.plain = append(r.plain, name)
	r.forms = slices.DeleteFunc(r.forms, r.allowed)
}

// allowed reports whether a form of a secret must stay readable.
func (r *Redactor) allowed(form string) bool {
	return !slices.Contains(r.fixed, form) && slices.ContainsFunc(r.plain, func(p string) bool { return strings.Contains(p, form) })
}

func encodings(v string) []string {
	trimmed := strings.TrimSpace(v)
	if len(trimmed) < MinRedacted {
		return nil
	}
	forms := []string{v, trimmed}
	forms = append(forms, jsonForms(v)...)
	forms = append(forms, url.QueryEscape(v), url.PathEscape(v))
	// Base64 of a value inside a longer text depends on where it starts: the
	// middle part, which the neighbours do not touch, is hidden for each start.
	for shift := range 3 {
		enc := base64.StdEncoding.EncodeToString(append(bytes.Repeat([]byte{0}, shift), v...))
		from := []int{0, 2, 3}[shift]
		to := len(enc)
		if rest := (shift + len(v)) % 3; rest != 0 {
			to -= 4 - rest
		}
		if to > from {
			forms = append(forms, enc[from:to])
			forms = append(forms, strings.NewReplacer("+", "-", "/", "_").Replace(enc[from:to]))
		}
	}
	for line := range strings.Lines(v) {
		forms = append(forms, strings.TrimSpace(line))
	}
	return forms
}

// jsonForms returns v as JSON writers spell it: with and without the escaping of
// HTML, and in ASCII alone.
func jsonForms(v string) []string {
	var forms []string
	for _, html := range []bool{true, false} {
		var b strings.Builder
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(html)
		if err := e.Encode(v); err == nil {
			text := strings.TrimSuffix(b.String(), "\n")
			forms = append(forms, text[1:len(text)-1])
		}
	}
	ascii := strconv.QuoteToASCII(v)
	return append(forms, ascii[1:len(ascii)-1])
}

// Redact returns text with every known secret replaced.
func (r *Redactor) Redact(text string) string {
	r.mu.RLock()
	defer r.mu.RUnlock()
	for _, f := range r.forms {
		text = strings.ReplaceAll(text, f, Mask)
	}
	return text
}

// Writer returns a writer that redacts what goes through it to w. A secret that is
// cut in two by the caller's writes is found: the tail that could begin one is
// held back until the next write or Flush.
func (r *Redactor) Writer(w io.Writer) *Writer { return &Writer{r: r, w: w} }

// Writer is made by Redactor.Writer. It is safe for concurrent use.
type Writer struct {
	mu   sync.Mutex
	r    *Redactor
	w    io.Writer
	held []byte
}

// Write redacts p and passes on all but the tail that may belong to a secret.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	text := append(w.held, p...)
	cut := w.r.safeCut(text)
	w.held = bytes.Clone(text[cut:])
	if _, err := io.WriteString(w.w, w.r.Redact(string(text[:cut]))); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Flush writes what is held back.
func (w *Writer) Flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	held := w.held
	w.held = nil
	if len(held) == 0 {
		return nil
	}
	_, err := io.WriteString(w.w, w.r.Redact(string(held)))
	return err
}

// safeCut returns where text can be cut so that no secret, whole or begun, reaches
// over the cut.
func (r *Redactor) safeCut(text []byte) int {
	r.mu.RLock()
	defer r.mu.RUnlock()
	cut := len(text)
	for _, f := range r.forms {
		for n := min(len(f)-1, len(text)); n > len(text)-cut; n-- {
			if bytes.HasSuffix(text, []byte(f[:n])) {
				cut = len(text) - n
				break
			}
		}
	}
	for moved := true; moved; {
		moved = false
		for _, f := range r.forms {
			from := max(0, cut-len(f)+1)
			to := min(len(text), cut+len(f)-1)
			if at := bytes.Index(text[from:to], []byte(f)); at >= 0 && from+at < cut {
				cut, moved = from+at, true
			}
		}
	}
	return cut
}
