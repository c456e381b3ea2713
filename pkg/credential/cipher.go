package credential

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// passphrase is the one that Serverless Devs has in its sources: public.
const passphrase = "SecretKey123"

const (
	saltMark = "Salted__" // the first bytes of what OpenSSL writes for a passphrase
	saltSize = 8
	keySize  = 32
)

// errCipher says that a text is a cipher text which our passphrase does not open.
// It carries nothing of the text.
var errCipher = errors.New("the value cannot be decrypted: it is damaged or was written with another passphrase")

// encrypt returns plain as CryptoJS.AES.encrypt(plain, passphrase) writes it:
// base64 of "Salted__", salt, and AES-256-CBC with PKCS#7 padding.
func encrypt(random io.Reader, plain string) (string, error) {
	salt := make([]byte, saltSize)
	if _, err := io.ReadFull(random, salt); err != nil {
		return "", fmt.Errorf("making a salt: %w", err)
	}
	block, iv := keyFor(salt)
	pad := aes.BlockSize - len(plain)%aes.BlockSize
	text := append([]byte(plain), bytes.Repeat([]byte{byte(pad)}, pad)...)
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(text, text)
	return base64.StdEncoding.EncodeToString(append(append([]byte(saltMark), salt...), text...)), nil
}

// decrypt returns the plain text of a stored value. A value that is no cipher
// text is returned as it is: files written by hand hold plain values.
func decrypt(stored string) (string, error) {
	packed := strings.Join(strings.Fields(stored), "")
	data, err := base64.StdEncoding.DecodeString(packed)
	if err != nil || !bytes.HasPrefix(data, []byte(saltMark)) {
		if strings.HasPrefix(packed, base64.RawStdEncoding.EncodeToString([]byte(saltMark))[:10]) {
			return "", errCipher
		}
		return stored, nil
	}
	data = data[len(saltMark):]
	if len(data) < saltSize+aes.BlockSize || (len(data)-saltSize)%aes.BlockSize != 0 {
		return "", errCipher
	}
	block, iv := keyFor(data[:saltSize])
	text := data[saltSize:]
	cipher.NewCBCDecrypter(block, iv).CryptBlocks(text, text)
	pad := int(text[len(text)-1])
	if pad < 1 || pad > aes.BlockSize || !bytes.Equal(text[len(text)-pad:], bytes.Repeat([]byte{byte(pad)}, pad)) {
		return "", errCipher
	}
	text = text[:len(text)-pad]
	if !utf8.Valid(text) {
		return "", errCipher
	}
	return string(text), nil
}

// keyFor derives key and IV as OpenSSL's EVP_BytesToKey does with MD5 and one
// round.
func keyFor(salt []byte) (cipher.Block, []byte) {
	var derived, last []byte
	for len(derived) < keySize+aes.BlockSize {
		sum := md5.Sum(append(append(last, passphrase...), salt...))
		last = sum[:]
		derived = append(derived, last...)
	}
	block, err := aes.NewCipher(derived[:keySize])
	if err != nil {
		panic(err) // keySize is a size that AES has
	}
	return block, derived[keySize : keySize+aes.BlockSize]
}
