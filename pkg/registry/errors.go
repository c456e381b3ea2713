package registry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/devs/deploy/pkg/diag"
)

// ErrNotFound is in the error for a manifest or blob that the registry does not have.
var ErrNotFound = errors.New("not found in the registry")

// ErrLost is in the error of an upload that the registry forgot after a cut, so that
// it has to begin again with its first byte. Send does that.
var ErrLost = errors.New("the registry lost the upload")

// ErrDenied is in the error of a request that the registry refused for the lack of
// credentials or rights.
var ErrDenied = errors.New("denied by the registry")

// maxErrorText bounds what is shown of the answer of a registry, in bytes.
const maxErrorText = 500

// statusError is an answer of a registry that is no success.
type statusError struct {
	status     int
	codes      []transport.ErrorCode
	text       string // what the registry said, safe to show
	retryAfter time.Duration
}

// Error shows the words of the registry and the status.
func (e *statusError) Error() string {
	if e.text == "" {
		return fmt.Sprintf("HTTP %d %s", e.status, http.StatusText(e.status))
	}
	return fmt.Sprintf("%s (HTTP %d)", e.text, e.status)
}

// Is makes the sentinel errors of the package match.
func (e *statusError) Is(target error) bool {
	switch target {
	case ErrNotFound:
		return e.status == http.StatusNotFound
	case ErrDenied:
		return e.status == http.StatusUnauthorized || e.status == http.StatusForbidden
	}
	return false
}

// failed reads an answer that is no success, and closes it.
func (c *Client) failed(resp *http.Response) *statusError {
	defer resp.Body.Close()
	e := &statusError{status: resp.StatusCode, retryAfter: retryAfter(resp.Header, c.cfg.Now())}
	var problem *transport.Error
	if errors.As(transport.CheckError(resp), &problem) {
		e.codes, e.text = said(problem)
	}
	return e
}

// said returns the codes and the words of a registry error.
func said(e *transport.Error) (codes []transport.ErrorCode, text string) {
	var words []string
	for _, d := range e.Errors {
		codes = append(codes, d.Code)
		switch w := strings.TrimSpace(strings.Join([]string{string(d.Code), d.Message}, ": ")); {
		case d.Message == "":
			words = append(words, string(d.Code))
		default:
			words = append(words, w)
		}
	}
	return codes, clean(strings.Join(words, "; "))
}

// clean makes foreign text fit for a line of a log: no control characters, no more
// than maxErrorText bytes.
func clean(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if len(text) <= maxErrorText {
		return text
	}
	cut := maxErrorText
	for !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "..."
}

// retryAfter returns the wait that an answer asks for, 0 for none (RFC 9110, 10.2.3).
func retryAfter(header http.Header, now time.Time) time.Duration {
	value := header.Get("Retry-After")
	if value == "" {
		return 0
	}
	if seconds, err := time.ParseDuration(value + "s"); err == nil {
		return max(0, seconds)
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}

// worthRetrying reports whether a request that failed with err may succeed later.
func worthRetrying(err error) bool {
	var status *statusError
	var foreign *transport.Error
	switch {
	case errors.As(err, &status):
		return temporary(status.status)
	case errors.As(err, &foreign):
		return temporary(foreign.StatusCode)
	}
	return networkMayHeal(err)
}

func temporary(status int) bool {
	switch status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError,
		http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// networkMayHeal tells cut connections from what stays as it is.
func networkMayHeal(err error) bool {
	var (
		dns         *net.DNSError
		certificate *tls.CertificateVerificationError
		authority   x509.UnknownAuthorityError
		record      tls.RecordHeaderError
		problem     *diag.Problem
	)
	switch {
	case errors.Is(err, errManyRedirects), errors.Is(err, errDowngrade), errors.Is(err, context.Canceled):
		return false
	case errors.As(err, &dns) && dns.IsNotFound, errors.As(err, &certificate), errors.As(err, &authority), errors.As(err, &record):
		return false
	case errors.As(err, &problem), errors.Is(err, errHostile):
		return false
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return false
	}
	var address *url.Error
	var operation *net.OpError
	return errors.As(err, &address) || errors.As(err, &operation) || isCut(err)
}

// errHostile is in errors about answers that break the protocol.
var errHostile = errors.New("the answer of the registry makes no sense")

// hostile returns an error about an answer that breaks the protocol.
func hostile(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errHostile, fmt.Sprintf(format, args...))
}

// shown removes addresses from network errors: those of redirects are signed.
func shown(err error) error {
	var address *url.Error
	if !errors.As(err, &address) {
		return err
	}
	if u, e := url.Parse(address.URL); e == nil && u.Host != "" {
		return fmt.Errorf("%s: %w", u.Host, address.Err)
	}
	return address.Err
}

// unreachable says that a registry does not answer as one.
func (h *host) unreachable(err error) error {
	p := diag.Errorf("the registry %s cannot be used: %s", h.reg.RegistryStr(), plainWords(err)).WithCause(err).WithCode(diag.ExitComponent)
	switch {
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		p.Hint = "it speaks plain HTTP: list it as insecure, or put TLS before it"
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("asking the registry %s: %w", h.reg.RegistryStr(), err)
	case errors.As(err, new(*tls.CertificateVerificationError)):
		p.Hint = "its certificate is not trusted here: add its authority to the trusted ones of this machine (SSL_CERT_FILE)"
	default:
		p.Hint = "check the name of the registry, and that this machine reaches it"
	}
	return p
}

// plainWords returns the words for a failed request that is no statusError.
func plainWords(err error) string {
	var foreign *transport.Error
	if errors.As(err, &foreign) {
		_, text := said(foreign)
		return (&statusError{status: foreign.StatusCode, text: text}).Error()
	}
	return clean(shown(err).Error())
}

// noToken says that the token server gave no token.
func (s *session) noToken(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return fmt.Errorf("asking for a token of %s: %w", s.repo.RegistryStr(), err)
	}
	var foreign *transport.Error
	if errors.As(err, &foreign) && foreign.StatusCode < 500 && foreign.StatusCode != http.StatusTooManyRequests {
		_, text := said(foreign)
		return s.denied("asking for a token of "+s.repo.RegistryStr(), &statusError{status: http.StatusUnauthorized, text: text})
	}
	return fmt.Errorf("asking for a token of %s: %s", s.repo.RegistryStr(), plainWords(err))
}

// denied says who was refused, and what to do.
func (s *session) denied(doing string, e *statusError) error {
	p := diag.Errorf("%s: %s", doing, e).WithCause(e).WithCode(diag.ExitComponent)
	reg, cfg := s.repo.RegistryStr(), s.auth.Load()
	switch {
	case cfg == nil || basic(cfg) == "" && cfg.IdentityToken == "":
		p.Hint = fmt.Sprintf("there are no credentials for %s: give a user name and a password of the registry, or log in with a Docker config", reg)
	case e.status == http.StatusUnauthorized:
		p.Hint = fmt.Sprintf("the credentials for %s%s were refused: check the user name and the password, or that the repository %s exists", reg, who(cfg), s.repo.RepositoryStr())
	default:
		p.Hint = fmt.Sprintf("the credentials for %s%s lack the right to do this in %s: ask for it, or check the name of the repository", reg, who(cfg), s.repo.RepositoryStr())
	}
	return p
}

func who(cfg *authn.AuthConfig) string {
	if cfg.Username == "" || cfg.Username == "<token>" {
		return ""
	}
	return fmt.Sprintf(" (user %s)", clean(cfg.Username))
}
