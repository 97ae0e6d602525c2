package client

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"gatehouse/storage"
)

func TestGeneratedSecretIsStoredAsItsSignature(t *testing.T) {
	secret, hash := NewSecret()
	if !strings.HasPrefix(secret, "gth_cs_") || !strings.HasPrefix(hash, "$sha256$") || strings.Contains(hash, secret) {
		t.Fatalf("secret %q, hash %q", secret, hash)
	}
	other, _ := NewSecret()
	if !verifies(hash, secret) || verifies(hash, other) || verifies(hash, "") || verifies(hash, hash) {
		t.Error("only the secret itself must verify")
	}
	if again, err := HashSecret(secret); err != nil || again != hash {
		t.Errorf("HashSecret of a generated secret = %q, %v; want the fast form", again, err)
	}
}

func TestChosenSecretIsBcrypt(t *testing.T) {
	const chosen = "correct-horse-battery"
	hash, err := HashSecret(chosen)
	if err != nil {
		t.Fatal(err)
	}
	if cost, err := bcrypt.Cost([]byte(hash)); err != nil || cost < 12 {
		t.Errorf("cost = %d, %v", cost, err)
	}
	if !verifies(hash, chosen) || verifies(hash, chosen+"x") {
		t.Error("the chosen secret must verify, and another must not")
	}
}

func TestImportedBcryptReadsNoMoreThanItCompares(t *testing.T) {
	long := strings.Repeat("a", 72)
	hash, err := bcrypt.GenerateFromPassword([]byte(long), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	if !verifies(string(hash), long) || verifies(string(hash), long+"b") {
		t.Error("72 bytes must match, and a longer secret with the same beginning must not")
	}
}

func TestRememberedPairsAreBounded(t *testing.T) {
	v := newVerified()
	hash, err := bcrypt.GenerateFromPassword([]byte("known"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for i := range maxVerified {
		v.pairs[[32]byte{byte(i), byte(i >> 8), 1}] = struct{}{}
	}
	if !must(v.verify(context.Background(), string(hash), "known")) || len(v.pairs) > maxVerified {
		t.Errorf("%d pairs remembered", len(v.pairs))
	}
	if !v.known(v.pair(string(hash), "known")) || v.known(v.pair(string(hash), "other")) {
		t.Error("the pair just verified must be known, another not")
	}
}

func TestUnusableSecretsAreRefused(t *testing.T) {
	for _, secret := range []string{"", "short", strings.Repeat("a", 73), "with a space", "línea-no-ascii", "tab\tinside"} {
		if hash, err := HashSecret(secret); !errors.Is(err, ErrSecretForm) {
			t.Errorf("HashSecret(%q) = %q, %v", secret, hash, err)
		}
	}
	for _, hash := range []string{"", "plain", "$1$abc", "$2y$broken"} {
		if verifies(hash, hash) {
			t.Errorf("VerifySecret accepted the unknown scheme %q", hash)
		}
	}
}

func verifies(hash, secret string) bool {
	return must(VerifySecret(context.Background(), hash, secret))
}

func must(ok bool, err error) bool { return ok && err == nil }

func TestWaitingSecretsAreBounded(t *testing.T) {
	v := newVerified()
	hash, err := bcrypt.GenerateFromPassword([]byte("known"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	for range cap(v.running) {
		v.running <- struct{}{}
	}
	gone, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := v.verify(gone, string(hash), "wrong"); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("a caller that is gone waits on: %v", err)
	}
	for range cap(v.admitted) {
		v.admitted <- struct{}{}
	}
	if _, err := v.verify(context.Background(), string(hash), "wrong"); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("beyond the bound: %v, want storage.ErrUnavailable", err)
	}
}

func TestProvenSecretPaysForNoOtherHash(t *testing.T) {
	secret, fast := NewSecret()
	old, err := bcrypt.GenerateFromPassword([]byte("the old chosen secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	client := &storage.Client{Secrets: []storage.ClientSecret{{Hash: string(old)}, {Hash: fast}}}
	for range cap(chosenSecrets.admitted) { // no bcrypt can run: a slot for one is not to be had
		chosenSecrets.admitted <- struct{}{}
	}
	ok, err := CheckSecret(context.Background(), client, secret, time.Now())
	for range cap(chosenSecrets.admitted) {
		<-chosenSecrets.admitted
	}
	if !ok || err != nil {
		t.Errorf("the current secret during the overlap: %v, %v", ok, err)
	}
	if ok, err := CheckSecret(context.Background(), client, "the old chosen secret", time.Now()); !ok || err != nil {
		t.Errorf("the old secret during the overlap: %v, %v", ok, err)
	}
	if ok, err := CheckSecret(context.Background(), client, "neither", time.Now()); ok || err != nil {
		t.Errorf("neither secret: %v, %v", ok, err)
	}
}
