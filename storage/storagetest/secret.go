package storagetest

import (
	"testing"

	"gatehouse/storage"
)

func testSecrets(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{{"RoundTripAndDuplicate", secretRoundTrip}})
	for _, r := range []rule{{"SecretIsSealed", sealedSecret}, {"PrivateKeyIsSealed", sealedKey}} {
		t.Run(r.name, func(t *testing.T) { r.check(t, newFixture(t, open)) })
	}
}

func secretRoundTrip(t *testing.T, f *fixture) {
	id, sealed := name("pepper"), []byte{0, 1, 255, '\''}
	_, err := f.Secret(bg, id)
	wantErr(t, "Secret", err, storage.ErrNotFound)
	need(t, f.CreateSecret(bg, id, sealed))
	wantExists(t, "CreateSecret", f.CreateSecret(bg, id, []byte("second")), "id")
	got, err := f.Secret(bg, id)
	need(t, err)
	same(t, "secret", got, []byte{0, 1, 255, '\''})
	sealed[0], got[1] = 9, 9
	got, err = f.Secret(bg, id)
	need(t, err)
	same(t, "secret after callers changed their copies", got, []byte{0, 1, 255, '\''})
}

func (f *fixture) sealed(t *testing.T, want bool) {
	t.Helper()
	got, err := f.HoldsSealed(bg)
	need(t, err)
	if got != want {
		t.Errorf("HoldsSealed %v, want %v", got, want)
	}
}

func sealedSecret(t *testing.T, f *fixture) {
	f.sealed(t, false)
	need(t, f.CreateSecret(bg, "canary", []byte{1}))
	f.sealed(t, true)
}

func sealedKey(t *testing.T, f *fixture) {
	k := f.key()
	k.Private = nil
	f.putKeys(t, k)
	f.sealed(t, false)
	k.Private = []byte{1}
	f.putKeys(t, k)
	f.sealed(t, true)
	k.Private = nil
	f.putKeys(t, k)
	f.sealed(t, false)
}
