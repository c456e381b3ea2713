package emulator

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"hash"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// maxSkew is how far the client's clock may be off.
const maxSkew = 15 * time.Minute

// authenticate verifies whichever of the three signatures the request carries:
//
//   - ACS3-HMAC-SHA256, what the official 2021-04-06 SDKs send (signature V3);
//   - acs id:sig, the older ROA signature of the same SDKs;
//   - FC id:sig, the signature of the 2016-08-15 SDKs, and of HTTP triggers.
func (c *Cloud) authenticate(q *call, withQuery bool) error {
	if !withQuery { // the body of a request to an HTTP trigger is the function's to read
		if err := checkMD5(q); err != nil {
			return err
		}
	}
	header := q.Header.Get("Authorization")
	scheme, rest, _ := strings.Cut(header, " ")
	switch {
	case header == "":
		return newError(http.StatusBadRequest, "MissingRequiredHeader", "the request has no Authorization header")
	case strings.EqualFold(scheme, "ACS3-HMAC-SHA256"):
		return c.checkACS3(q, rest)
	case strings.EqualFold(scheme, "acs"):
		return c.checkPair(q, rest, sha1.New, [][]byte{acsString(q)})
	case strings.EqualFold(scheme, "FC"):
		return c.checkPair(q, rest, sha256.New, fcStrings(q, withQuery))
	}
	return newError(http.StatusForbidden, "AccessDenied",
		"the Authorization header's scheme '%.30s' is not known; use ACS3-HMAC-SHA256, acs or FC", scheme)
}

// secret finds the secret of an access key.
func (c *Cloud) secret(id string) ([]byte, error) {
	secret, ok := c.keys[id]
	if !ok {
		return nil, newError(http.StatusForbidden, "InvalidAccessKeyID",
			"the access key id '%.64s' is not known to the embedded cloud", id)
	}
	return []byte(secret), nil
}

func signatureNotMatch(stringToSign []byte) error {
	return newError(http.StatusForbidden, "SignatureNotMatch",
		"the request's signature does not match: check the access key secret. The server signed %q", stringToSign)
}

// checkPair verifies "id:signature" with Base64, over any of the given strings.
func (c *Cloud) checkPair(q *call, pair string, algorithm func() hash.Hash, strs [][]byte) error {
	id, sig, ok := strings.Cut(pair, ":")
	if !ok {
		return newError(http.StatusForbidden, "AccessDenied", "the Authorization header is not of the form 'FC id:signature'")
	}
	secret, err := c.secret(strings.TrimSpace(id))
	if err != nil {
		return err
	}
	got, err := base64.StdEncoding.DecodeString(strings.TrimSpace(sig))
	if err != nil || !slices.ContainsFunc(strs, func(s []byte) bool {
		return hmac.Equal(got, mac(algorithm, secret, s))
	}) {
		return signatureNotMatch(strs[0])
	}
	return c.checkDate(q.Header.Get("Date"), http.TimeFormat, time.RFC1123, time.RFC1123Z)
}

// checkMD5 compares the body with the Content-MD5 that was signed: the Base64 of
// the digest (RFC 1864), or of its hexadecimal text, as the 2016-08-15 SDKs write it.
func checkMD5(q *call) error {
	signed := q.Header.Get("Content-MD5")
	sum := md5.Sum(q.body)
	if signed == "" || signed == base64.StdEncoding.EncodeToString(sum[:]) ||
		signed == base64.StdEncoding.EncodeToString([]byte(hex.EncodeToString(sum[:]))) {
		return nil
	}
	return newError(http.StatusBadRequest, "InvalidArgument", "the body's MD5 is not the Content-MD5 that was signed")
}

// checkDate compares the client's clock with ours.
func (c *Cloud) checkDate(value string, layouts ...string) error {
	if value == "" {
		return newError(http.StatusBadRequest, "MissingRequiredHeader", "the request has no date header")
	}
	for _, layout := range layouts {
		at, err := time.Parse(layout, value)
		if err != nil {
			continue
		}
		if c.now().Sub(at).Abs() > maxSkew {
			return newError(http.StatusForbidden, "RequestTimeTooSkewed",
				"the difference between the request's time %s and the server's time %s is more than %v",
				value, c.now().UTC().Format(layouts[0]), maxSkew)
		}
		return nil
	}
	return invalid("the request's date '%.64s' cannot be read", value)
}

// fcStrings returns what a 2016-08-15 client may have signed. Clients differ in
// whether they sign the path as it was sent or as it reads.
func fcStrings(q *call, withQuery bool) [][]byte {
	head := strings.Join([]string{
		q.Method, q.Header.Get("Content-MD5"), q.Header.Get("Content-Type"), q.Header.Get("Date"), "",
	}, "\n") + prefixedHeaders(q.Header, "x-fc-")
	var strs [][]byte
	for _, path := range []string{q.URL.EscapedPath(), q.URL.Path} {
		if withQuery {
			path += "\n" + sortedQuery(q.query)
		}
		strs = append(strs, []byte(head+path))
	}
	return strs
}

// prefixedHeaders lists the headers with a prefix as "k:v\n", sorted.
func prefixedHeaders(h http.Header, prefix string) string {
	var lines []string
	for k := range h {
		if k := strings.ToLower(k); hasPrefix(k, prefix) {
			lines = append(lines, k+":"+h.Get(k)+"\n")
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "")
}

// sortedQuery lists a query as "k=v" lines, sorted.
func sortedQuery(query url.Values) string {
	var lines []string
	for k, values := range query {
		for _, v := range values {
			lines = append(lines, k+"="+v)
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// acsString is what the ROA signature signs.
func acsString(q *call) []byte {
	resource := q.URL.EscapedPath()
	var pairs []string
	for _, k := range sortedKeys(q.query) {
		pair := k
		if v := q.query.Get(k); v != "" {
			pair += "=" + v
		}
		pairs = append(pairs, pair)
	}
	if len(pairs) > 0 {
		resource += "?" + strings.Join(pairs, "&")
	}
	h := q.Header
	return []byte(strings.Join([]string{
		q.Method, h.Get("Accept"), h.Get("Content-MD5"), h.Get("Content-Type"), h.Get("Date"), "",
	}, "\n") + prefixedHeaders(h, "x-acs-") + resource)
}

// checkACS3 verifies signature V3, which covers the body by its hash.
func (c *Cloud) checkACS3(q *call, rest string) error {
	fields := map[string]string{}
	for f := range strings.SplitSeq(rest, ",") {
		k, v, _ := strings.Cut(strings.TrimSpace(f), "=")
		fields[k] = v
	}
	secret, err := c.secret(fields["Credential"])
	if err != nil {
		return err
	}
	names := strings.Split(strings.ToLower(fields["SignedHeaders"]), ";")
	for _, must := range []string{"host", "x-acs-date", "x-acs-content-sha256"} {
		if !slices.Contains(names, must) {
			return newError(http.StatusForbidden, "AccessDenied", "the signature does not cover the header %s", must)
		}
	}
	sum := sha256.Sum256(q.body)
	if bodyHash := hex.EncodeToString(sum[:]); !strings.EqualFold(bodyHash, q.Header.Get("X-Acs-Content-Sha256")) {
		return newError(http.StatusForbidden, "SignatureNotMatch",
			"the body's SHA-256 is %s, not the x-acs-content-sha256 that was signed", bodyHash)
	}
	request := acs3Request(q, names)
	sum = sha256.Sum256(request)
	toSign := []byte("ACS3-HMAC-SHA256\n" + hex.EncodeToString(sum[:]))
	got, err := hex.DecodeString(fields["Signature"])
	if err != nil || !hmac.Equal(got, mac(sha256.New, secret, toSign)) {
		return signatureNotMatch(request)
	}
	return c.checkDate(q.Header.Get("X-Acs-Date"), "2006-01-02T15:04:05Z")
}

// acs3Escapes are what signature V3 writes differently from a URL.
var acs3Escapes = strings.NewReplacer("+", "%20", "*", "%2A", "%7E", "~")

// acs3Request is the canonical request of signature V3.
func acs3Request(q *call, names []string) []byte {
	var b strings.Builder
	b.WriteString(q.Method + "\n" + acs3Escapes.Replace(q.URL.EscapedPath()) + "\n")
	for i, k := range sortedKeys(q.query) {
		if i > 0 {
			b.WriteByte('&')
		}
		b.WriteString(k + "=" + acs3Escapes.Replace(url.QueryEscape(q.query.Get(k))))
	}
	b.WriteByte('\n')
	for _, name := range names {
		value := q.Header.Get(name)
		if name == "host" {
			value = q.Host
		}
		b.WriteString(name + ":" + strings.TrimSpace(value) + "\n")
	}
	b.WriteString("\n" + strings.Join(names, ";") + "\n" + q.Header.Get("X-Acs-Content-Sha256"))
	return []byte(b.String())
}

func mac(algorithm func() hash.Hash, secret, data []byte) []byte {
	m := hmac.New(algorithm, secret)
	m.Write(data)
	return m.Sum(nil)
}
