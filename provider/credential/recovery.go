package credential

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"gatehouse/provider/seal"
	"gatehouse/storage"
)

const (
	recoveryCount = 10
	recoveryBytes = 10 // 80 bits
	recoveryName  = "recovery-codes"
	recoveryChars = recoveryBytes * 8 / 5
)

// RecoveryCodes makes and takes the codes that stand in for a lost factor. Only their HMAC is stored, under a key outside the table. It is safe for concurrent use.
type RecoveryCodes struct {
	store storage.RecoveryCodeStore
	key   []byte
}

// NewRecoveryCodes loads the key, making it if there is none.
func NewRecoveryCodes(ctx context.Context, store storage.RecoveryCodeStore, secrets storage.SecretStore, ring *seal.Ring) (*RecoveryCodes, error) {
	key, err := seal.Secret(ctx, secrets, ring, recoveryName, 32)
	if err != nil {
		return nil, err
	}
	return &RecoveryCodes{store: store, key: key}, nil
}

// Generate replaces a user's recovery codes by new ones and returns these, to be shown once. The user is as proven: storage.ErrNotFound if that holds no more.
func (c *RecoveryCodes) Generate(ctx context.Context, user *storage.User) ([]string, error) {
	codes, hashes := make([]string, recoveryCount), make([]string, recoveryCount)
	for i := range codes {
		var raw [recoveryBytes]byte
		rand.Read(raw[:]) // never fails
		code := base32.StdEncoding.EncodeToString(raw[:])
		codes[i], hashes[i] = strings.ReplaceAll(strings.ToLower(grouped(code)), " ", "-"), c.hash(user.Subject, code)
	}
	if err := c.store.SetRecoveryCodes(ctx, user.Subject, hashes, user.Epoch); err != nil {
		return nil, fmt.Errorf("store recovery codes: %w", err)
	}
	return codes, nil
}

// Use takes a code, which works once, and returns how many are left. ErrCode.
func (c *RecoveryCodes) Use(ctx context.Context, subject, typed string) (left int, err error) {
	code, ok := normalRecovery(typed)
	if !ok {
		return 0, ErrCode
	}
	left, err = c.store.UseRecoveryCode(ctx, subject, c.hash(subject, code))
	if errors.Is(err, storage.ErrNotFound) {
		return 0, ErrCode
	}
	if err != nil {
		return 0, fmt.Errorf("use recovery code: %w", err)
	}
	return left, nil
}

// Left returns how many codes a user has.
func (c *RecoveryCodes) Left(ctx context.Context, subject string) (int, error) {
	left, err := c.store.RecoveryCodes(ctx, subject)
	if err != nil {
		return 0, fmt.Errorf("count recovery codes: %w", err)
	}
	return left, nil
}

func (c *RecoveryCodes) hash(subject, code string) string {
	mac := hmac.New(sha256.New, c.key)
	mac.Write([]byte(subject + "\n" + code))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// IsRecoveryCode tells whether a typed text has the form of a recovery code, so that one field can take either kind of code.
func IsRecoveryCode(typed string) bool {
	_, ok := normalRecovery(typed)
	return ok
}

// normalRecovery undoes what people do to a code when they copy it by hand: spaces, case, and digits that look like letters.
func normalRecovery(typed string) (string, bool) {
	if len(typed) > 256 {
		return "", false
	}
	code := strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r) || unicode.In(r, unicode.Pd):
			return -1
		case r == '0':
			return 'O'
		case r == '1':
			return 'I'
		case r == '8':
			return 'B'
		}
		return unicode.ToUpper(r)
	}, norm.NFKC.String(typed))
	if len(code) != recoveryChars || strings.Trim(code, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") != "" {
		return "", false
	}
	return code, true
}
