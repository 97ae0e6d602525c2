package client

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/opaque"
	"gatehouse/provider/seal"
	"gatehouse/storage"
)

func newRing(t *testing.T) *seal.Ring {
	t.Helper()
	key, err := seal.ParseKey(seal.GenerateKey())
	if err != nil {
		t.Fatal(err)
	}
	ring, err := seal.New([][]byte{key})
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func TestRuling51SealedSecretOpensForItsClientOnly(t *testing.T) {
	ring := newRing(t)
	c := &storage.Client{ID: "app", AuthMethod: "client_secret_jwt"}
	secret, stored, err := MakeSecret(ring, c, "", time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenSecret(ring, "app", stored); err != nil || string(got) != secret {
		t.Fatalf("OpenSecret = %q, %v", got, err)
	}
	if stored.Hash != "" || bytes.Contains(stored.Sealed, []byte(secret[:20])) {
		t.Errorf("stored as %+v", stored)
	}
	if _, err := OpenSecret(ring, "other", stored); !errors.Is(err, seal.ErrBroken) {
		t.Errorf("the secret of another client opens: %v", err)
	}
	if _, err := OpenSecret(newRing(t), "app", stored); !errors.Is(err, seal.ErrUnknownKey) {
		t.Errorf("another master key opens it: %v", err)
	}
	stored.Sealed = nil
	if _, err := OpenSecret(ring, "app", stored); err == nil {
		t.Error("nothing opens")
	}
}

// RFC 7518 section 3.2: the key of HS512 has 64 bytes or more.
func TestGeneratedSealedSecretsFitEveryAlgorithm(t *testing.T) {
	ring := newRing(t)
	c := &storage.Client{ID: "app", AuthMethod: "client_secret_jwt", AuthSigningAlg: "HS512"}
	one, _, errOne := MakeSecret(ring, c, "", time.Time{})
	two, _, errTwo := MakeSecret(ring, c, "", time.Time{})
	if errOne != nil || errTwo != nil || one == two || len(one) < 64 {
		t.Errorf("secrets %q and %q", one, two)
	}
	found, _, _ := strings.Cut(one, ".")
	if _, ok := opaque.Parse(opaque.Secret, found); !ok {
		t.Errorf("scanners for leaked secrets do not see %q", one)
	}
}

func TestChosenSealedSecretsMustBeLong(t *testing.T) {
	ring := newRing(t)
	c := &storage.Client{ID: "app", AuthMethod: "client_secret_jwt"}
	for _, bad := range []string{"short", strings.Repeat("x", 31), strings.Repeat("x", 513), strings.Repeat("x", 40) + " ", strings.Repeat("x", 40) + "\n", strings.Repeat("é", 40)} {
		if _, _, err := MakeSecret(ring, c, bad, time.Time{}); !errors.Is(err, ErrSecretForm) {
			t.Errorf("%q: %v", bad, err)
		}
	}
	if _, stored, err := MakeSecret(ring, c, strings.Repeat("x", 32), time.Time{}); err != nil || len(stored.Sealed) == 0 {
		t.Error(err)
	}
}
