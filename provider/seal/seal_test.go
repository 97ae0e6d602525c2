package seal

import (
	"bytes"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
)

func newRing(t *testing.T, keys ...string) *Ring {
	t.Helper()
	var raw [][]byte
	for _, k := range keys {
		key, err := ParseKey(k)
		if err != nil {
			t.Fatal(err)
		}
		raw = append(raw, key)
	}
	r, err := New(raw)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestSealedOpensOnlyInItsPlace(t *testing.T) {
	r := newRing(t, GenerateKey())
	place := AAD("signing_keys", "kid-1", "private", 1)
	sealed := r.Seal([]byte("secret"), place)
	if bytes.Contains(sealed, []byte("secret")) {
		t.Fatal("the sealed value shows the plain one")
	}
	plain, err := r.Open(sealed, place)
	if err != nil || string(plain) != "secret" {
		t.Fatalf("Open = %q, %v", plain, err)
	}
	for name, other := range map[string][]byte{
		"table":   AAD("secrets", "kid-1", "private", 1),
		"row":     AAD("signing_keys", "kid-2", "private", 1),
		"column":  AAD("signing_keys", "kid-1", "public", 1),
		"version": AAD("signing_keys", "kid-1", "private", 2),
		"shifted": AAD("signing_keyskid", "-1", "private", 1),
		"none":    nil,
	} {
		if _, err := r.Open(sealed, other); !errors.Is(err, ErrBroken) {
			t.Errorf("%s: opened in another place: %v", name, err)
		}
	}
}

func TestSealedDetectsEveryChangedByte(t *testing.T) {
	r := newRing(t, GenerateKey())
	sealed := r.Seal([]byte("x"), nil)
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := r.Open(bad, nil); err == nil {
			t.Errorf("byte %d may change unnoticed", i)
		}
	}
	for n := range sealed {
		if _, err := r.Open(sealed[:n], nil); err == nil {
			t.Errorf("cut to %d bytes still opens", n)
		}
	}
}

func TestRotatedMasterKeyStillOpensOldValues(t *testing.T) {
	old, next := GenerateKey(), GenerateKey()
	before := newRing(t, old)
	sealed := before.Seal([]byte("secret"), nil)
	after := newRing(t, next, old)
	if plain, err := after.Open(sealed, nil); err != nil || string(plain) != "secret" {
		t.Fatalf("Open = %q, %v", plain, err)
	}
	if _, err := before.Open(after.Seal([]byte("new"), nil), nil); !errors.Is(err, ErrUnknownKey) {
		t.Fatalf("the first key of the ring does not seal: %v", err)
	}
	_, err := newRing(t, next).Open(sealed, nil)
	if !errors.Is(err, ErrUnknownKey) || !strings.Contains(err.Error(), before.ID()) {
		t.Fatalf("the error does not name the key that is needed: %v", err)
	}
}

func TestDeriveSeparatesPurposesAndKeys(t *testing.T) {
	a, b := GenerateKey(), GenerateKey()
	ab := newRing(t, a, b).Derive("csrf", 32)
	if len(ab) != 2 || len(ab[0]) != 32 || bytes.Equal(ab[0], ab[1]) {
		t.Fatalf("Derive = %d keys", len(ab))
	}
	if ba := newRing(t, b, a).Derive("csrf", 32); !bytes.Equal(ab[0], ba[1]) || !bytes.Equal(ab[1], ba[0]) {
		t.Error("the order of the ring changes what a key derives")
	}
	if other := newRing(t, a).Derive("page", 32); bytes.Equal(ab[0], other[0]) {
		t.Error("two purposes share a key")
	}
}

// Row199: sample, short and repeated master keys are refused.
func TestRow199BadMasterKeysAreRefused(t *testing.T) {
	good, err := ParseKey(GenerateKey())
	if err != nil {
		t.Fatal(err)
	}
	for name, keys := range map[string][][]byte{
		"none":          {},
		"31 bytes":      {good[:31]},
		"33 bytes":      {append(bytes.Clone(good), 1)},
		"zero":          {make([]byte, 32)},
		"repeated byte": {bytes.Repeat([]byte("A"), 32)},
		"twice":         {good, good},
	} {
		if _, err := New(keys); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestParseKeyTakesEveryBase64Form(t *testing.T) {
	want := bytes.Repeat([]byte{0xfb, 0xff, 0xbe, 0x01}, 8)
	for _, enc := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		got, err := ParseKey(" " + enc.EncodeToString(want) + "\n")
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("ParseKey(%s) = %x, %v", enc.EncodeToString(want), got, err)
		}
	}
	secret := base64.StdEncoding.EncodeToString(want)
	for _, bad := range []string{"", "short", secret[:40], secret[:20] + "\n" + secret[20:], secret + "AAAA", strings.Repeat("!", 44), "change-me-change-me-change-me-change-me-chan"} {
		_, err := ParseKey(bad)
		if err == nil {
			t.Errorf("ParseKey(%q) accepted", bad)
		} else if bad != "" && strings.Contains(err.Error(), bad) {
			t.Errorf("the error shows the key: %v", err)
		}
	}
}
