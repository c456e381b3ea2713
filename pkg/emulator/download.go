package emulator

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

// codePrefix begins the links to code packages.
const codePrefix = "/code/"

// linkLife is how long a link to a code package works.
const linkLife = time.Hour

func (c *region) getFunctionCode(q *call) (*reply, error) {
	_, _, f, err := c.find(q)
	if err != nil {
		return nil, err
	}
	if f.Code.SHA256 == "" {
		return nil, newError(http.StatusBadRequest, "NotSupported",
			"function '%s' is a container image and has no code package", f.Spec.FunctionName)
	}
	return &reply{body: struct {
		URL      string `json:"url"`
		Checksum string `json:"checksum"`
	}{c.codeURL(q, f.Code), f.Code.Checksum}}, nil
}

// codeURL is a link to a code package at this server, signed as those of the
// object storage are, so that it works without a key.
func (c *Cloud) codeURL(q *call, code codeRef) string {
	expires := strconv.FormatInt(c.now().Add(linkLife).Unix(), 10)
	return q.origin() + codePrefix + code.SHA256 + ".zip?Expires=" + expires + "&Signature=" + c.signLink(code.SHA256, expires)
}

func (c *Cloud) signLink(sha, expires string) string {
	return hex.EncodeToString(mac(sha256.New, c.identity, []byte("code\n"+sha+"\n"+expires)))
}

// codeNamed returns a code package of any region, or nil: its name is its digest, so
// that links need not tell the region.
func (c *Cloud) codeNamed(sha string) []byte {
	for _, r := range c.ordered("") {
		if data, err := os.ReadFile(r.store.blobPath(sha)); err == nil {
			return data
		}
	}
	return nil
}

// serveCode answers a link that codeURL made.
func (c *Cloud) serveCode(w http.ResponseWriter, q *call, file string) {
	q.operation = "DownloadCode"
	sha, query := strings.TrimSuffix(file, ".zip"), q.URL.Query()
	expires := query.Get("Expires")
	if !hmac.Equal([]byte(query.Get("Signature")), []byte(c.signLink(sha, expires))) {
		q.fail(w, newError(http.StatusForbidden, "SignatureNotMatch", "the link's signature does not match"))
		return
	}
	if until, err := strconv.ParseInt(expires, 10, 64); err != nil || c.now().Unix() > until {
		q.fail(w, newError(http.StatusForbidden, "AccessDenied", "the link has expired; ask for a new one"))
		return
	}
	data := c.codeNamed(sha) // the signature vouches for the name
	if data == nil {
		q.fail(w, notFound("Code", "the code package is gone; ask for a new link"))
		return
	}
	w.Header().Set("X-Oss-Hash-Crc64ecma", refer(data).Checksum)
	w.Header().Set("Content-Type", "application/zip")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data)
}
