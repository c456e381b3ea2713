package credential

import (
	"bytes"
	"crypto/rand"
	"errors"
	"strings"
	"testing"
)

// vectors were made with crypto-js 4, CryptoJS.AES.encrypt(plain, "SecretKey123").
func vectors() map[string]string {
	return map[string]string{
		"":                                  "U2FsdGVkX1/PScpCy/1A1oH8eXSKJzMCjnpKql76ssc=",
		"a":                                 "U2FsdGVkX1/SawZPzlLsm25BHqysgapOnAkPlUqvB2Y=",
		"LTAI5tExampleAccessKey":            "U2FsdGVkX19Ht0gG7n01X6HBVoDazKTOhIG0kQJ/AEY1fyyGc8BKuRnNU6hJmjU+",
		"1234567890123456":                  "U2FsdGVkX1+BoDJiI12rQSetxSiwTkBqocSPae1mQ2ipwW6WEWTbblZ4Hn6eU8TV",
		"exactly16bytes!!":                  "U2FsdGVkX18W9BuQ+VNRTCq2cLm7SoB+mOXkHaDMNs1F9dPG8ie7sDd1f82aWJ/q",
		"\u5bc6\u94a5 with spaces & \u00e9": "U2FsdGVkX18GFTwxI1iZjXuX2JU1/PHs3HgMorcS4yqW0UGld8ia0/ucQEe9Djo7",
		strings.Repeat("x", 100):            "U2FsdGVkX195AbmRw9D57PS8SqOUT/aNFadSXgzn2fYugeDMjqeKcf2ALHrKF8Hlyst0FdbkDw5I4qFbaJ41hXA42cHddv3KvjWRwEVWWd4phJ7IQeHGmBDRGIw7YZCcuEAcP7cmVRH0lavelc1tiftHUAiwkOE6OkXcQQzPV8w=",
	}
}

func TestDecryptReadsCryptoJS(t *testing.T) {
	for plain, stored := range vectors() {
		got, err := decrypt(stored)
		if err != nil || got != plain {
			t.Errorf("decrypt(%q) = %q, %v; want %q", stored, got, err, plain)
		}
	}
}

// With the salt of a vector, the cipher text is that vector, byte for byte.
func TestEncryptWritesCryptoJS(t *testing.T) {
	salts := map[string][]byte{
		"LTAI5tExampleAccessKey": {0x47, 0xb7, 0x48, 0x06, 0xee, 0x7d, 0x35, 0x5f},
		"1234567890123456":       {0x81, 0xa0, 0x32, 0x62, 0x23, 0x5d, 0xab, 0x41},
	}
	for plain, salt := range salts {
		got, err := encrypt(bytes.NewReader(salt), plain)
		if err != nil || got != vectors()[plain] {
			t.Errorf("encrypt(%q) = %q, %v; want %q", plain, got, err, vectors()[plain])
		}
	}
}

func TestEncryptSaltsEveryValue(t *testing.T) {
	one, err1 := encrypt(rand.Reader, "the same")
	two, err2 := encrypt(rand.Reader, "the same")
	if err1 != nil || err2 != nil || one == two {
		t.Errorf("two cipher texts of one value are equal, or failed: %v %v", err1, err2)
	}
	if _, err := encrypt(bytes.NewReader(nil), "x"); err == nil {
		t.Error("encrypt without randomness succeeded")
	}
}

func TestDecryptTolerance(t *testing.T) {
	vector := vectors()["a"]
	cases := []struct {
		name, stored, want string
		err                error
	}{
		{"plain", "LTAI5tPlain", "LTAI5tPlain", nil},
		{"plain base64", "aGVsbG8gd29ybGQ=", "aGVsbG8gd29ybGQ=", nil},
		{"empty", "", "", nil},
		{"folded by a YAML writer", vector[:20] + "\n  " + vector[20:], "a", nil},
		{"cut short", vector[:24], "", errCipher},
		{"not whole blocks", vector[:20], "", errCipher},
		{"no base64 after the mark", "U2FsdGVkX1!!!!", "", errCipher},
		{"another passphrase", "U2FsdGVkX18AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "", errCipher},
	}
	for _, c := range cases {
		got, err := decrypt(c.stored)
		if got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: decrypt = %q, %v; want %q, %v", c.name, got, err, c.want, c.err)
		}
	}
}

func FuzzDecrypt(f *testing.F) {
	for plain, stored := range vectors() {
		f.Add(stored)
		f.Add(plain)
	}
	f.Add("U2FsdGVkX1")
	f.Fuzz(func(t *testing.T, stored string) {
		if plain, err := decrypt(stored); err != nil && plain != "" {
			t.Errorf("decrypt returned a text with error %v", err)
		}
		packed, err := encrypt(bytes.NewReader([]byte("saltsalt")), stored)
		if err != nil {
			t.Fatal(err)
		}
		got, err := decrypt(packed)
		if strings.ToValidUTF8(stored, "") == stored && (err != nil || got != stored) {
			t.Errorf("round trip of %q gave %q, %v", stored, got, err)
		}
	})
}
