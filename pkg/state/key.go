package state

import (
	"crypto/hmac"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"io"

	"github.com/devs/deploy/pkg/diag"
)

const (
	saltSize  = 16 // bytes of the random part of a key
	checkSize = 2  // bytes by which another DEVS_STATE_KEY is noticed
	// publicSize is the length of Key.Public.
	publicSize = (saltSize + checkSize) * 4 / 3
	// stretch is the number of PBKDF2 rounds that a guess of DEVS_STATE_KEY costs.
	stretch = 50_000
)

// Key is the key of a Book's fingerprints: a random public part, which is kept with the
// record, and a secret of the user, which is not. The zero Key is not valid. Keys are
// equal (==) when both parts are.
type Key struct {
	salt [saltSize]byte
	mac  [sha256.Size]byte // what everything is signed with
}

// ErrForeign is in the error for a record that is whole, and that this run cannot read: it
// is in a format of another version, or was made with another DEVS_STATE_KEY.
var ErrForeign = errors.New("the record is not for this run to read")

// NewKey returns a new key of 16 bytes of random (of crypto/rand when random is nil or
// fails). extra is DEVS_STATE_KEY, "" for none: without it, whoever reads the record can
// tell whether a guess of a secret is right.
func NewKey(random io.Reader, extra string) Key {
	var k Key
	if random == nil {
		random = rand.Reader
	}
	if _, err := io.ReadFull(random, k.salt[:]); err != nil {
		_, _ = rand.Read(k.salt[:]) // never fails
	}
	k.mac = mix(k.salt, extra)
	return k
}

// OpenKey returns the key with this public part. The error is a *diag.Problem when extra
// is not what the key was made with.
func OpenKey(public, extra string) (Key, error) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(public)
	if err != nil || len(raw) != saltSize+checkSize {
		return Key{}, errors.New("the key of the record is damaged")
	}
	k := Key{salt: [saltSize]byte(raw)}
	k.mac = mix(k.salt, extra)
	if k.Public() == public {
		return k, nil
	}
	hint := "set DEVS_STATE_KEY to the value that it was made with"
	if extra == "" {
		hint = "DEVS_STATE_KEY is not set; set it to the value that it was made with"
	}
	return Key{}, diag.Errorf("the record was made with another DEVS_STATE_KEY").WithHint("%s", hint).WithCode(diag.ExitComponent).WithCause(ErrForeign)
}

// mix returns what everything is signed with. A guess of extra is made slow.
func mix(salt [saltSize]byte, extra string) [sha256.Size]byte {
	var secret []byte
	if extra != "" {
		// The error is that of a key that is too long.
		secret, _ = pbkdf2.Key(sha256.New, extra, salt[:], stretch, sha256.Size)
	}
	m := hmac.New(sha256.New, secret)
	m.Write([]byte("devs record 1\x00"))
	m.Write(salt[:])
	return [sha256.Size]byte(m.Sum(nil))
}

// Public returns the part of the key that is kept: 24 characters of base64url.
func (k Key) Public() string {
	check := k.sum("check")
	return base64.RawURLEncoding.EncodeToString(append(k.salt[:], check[:checkSize]...))
}

// sum returns the HMAC of texts, which hold no zero byte except for the last.
func (k Key) sum(texts ...string) [sha256.Size]byte {
	m := hmac.New(sha256.New, k.mac[:])
	for i, t := range texts {
		if i > 0 {
			m.Write([]byte{0})
		}
		_, _ = io.WriteString(m, t)
	}
	return [sha256.Size]byte(m.Sum(nil))
}
