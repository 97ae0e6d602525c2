package seal

import (
	"encoding/base64"
	"errors"
	"strings"
)

var errKeyText = errors.New("a master key is 32 random bytes in base64 (44 characters); make one with `openssl rand -base64 32`")

// ParseKey reads a master key: 32 bytes in base64, standard or URL alphabet, padding optional. The error never holds the text.
func ParseKey(s string) ([]byte, error) {
	s = strings.TrimRight(strings.TrimSpace(s), "=")
	s = strings.NewReplacer("-", "+", "_", "/").Replace(s)
	if strings.ContainsAny(s, "\r\n") { // the decoder would skip them
		return nil, errKeyText
	}
	key, err := base64.RawStdEncoding.Strict().DecodeString(s)
	if err != nil || len(key) != KeySize {
		return nil, errKeyText
	}
	return key, nil
}

// GenerateKey returns a new random master key in the form that ParseKey reads.
func GenerateKey() string {
	key := make([]byte, KeySize)
	random(key)
	return base64.StdEncoding.EncodeToString(key)
}
