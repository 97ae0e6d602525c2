package storagetest

import (
	"testing"
	"time"

	"gatehouse/storage"
)

func testKeys(t *testing.T, open Opener) {
	for _, r := range []rule{
		{"RoundTripOldestFirst", keyRoundTrip}, {"ChangeUpdates", keyUpdate}, {"EmptyAnswerWritesNothing", keyEmptyAnswer},
		{"RefusedChangeSavesNothing", keyRefusedChange},
	} {
		t.Run(r.name, func(t *testing.T) { r.check(t, newFixture(t, open)) })
	}
}

func (f *fixture) key() *storage.SigningKey {
	now := f.clock.Now()
	return &storage.SigningKey{KID: name("kid"), Alg: "ES256", Public: []byte(`{"kty":"EC"}`), Private: []byte{0, 255, 1}, Created: now,
		PublishAt: now, ActivateAt: now.Add(time.Hour)}
}

func (f *fixture) putKeys(t *testing.T, keys ...*storage.SigningKey) {
	t.Helper()
	need(t, f.ChangeSigningKeys(bg, func([]*storage.SigningKey) ([]*storage.SigningKey, error) { return keys, nil }))
}

func keyRoundTrip(t *testing.T, f *fixture) {
	empty, err := f.SigningKeys(bg)
	need(t, err)
	same(t, "keys of an empty store", len(empty), 0)
	young := f.key()
	young.Created = young.Created.Add(time.Minute)
	old := f.key()
	old.RetireAt, old.RemoveAt, old.RevokedAt = old.Created.Add(2*time.Hour), old.Created.Add(3*time.Hour), old.Created.Add(4*time.Hour)
	f.putKeys(t, young, old)
	got, err := f.SigningKeys(bg)
	need(t, err)
	for _, k := range []*storage.SigningKey{old, young} {
		for _, at := range []*time.Time{&k.Created, &k.PublishAt, &k.ActivateAt, &k.RetireAt, &k.RemoveAt, &k.RevokedAt} {
			*at = micro(*at)
		}
	}
	same(t, "keys", got, []*storage.SigningKey{old, young})
}

func keyUpdate(t *testing.T, f *fixture) {
	k, other := f.key(), f.key()
	f.putKeys(t, k, other)
	before := versions(t, f)[storage.TopicKeys]
	retire := f.clock.Now().Add(time.Hour)
	need(t, f.ChangeSigningKeys(bg, func(keys []*storage.SigningKey) ([]*storage.SigningKey, error) {
		for _, have := range keys {
			if have.KID == k.KID {
				have.RetireAt, have.Private = retire, nil
				return []*storage.SigningKey{have, f.key()}, nil
			}
		}
		t.Error("change was not given the key")
		return nil, nil
	}))
	keys, err := f.SigningKeys(bg)
	need(t, err)
	same(t, "number of keys", len(keys), 3)
	for _, got := range keys {
		if got.KID == k.KID && (!got.RetireAt.Equal(micro(retire)) || len(got.Private) != 0) {
			t.Errorf("key %+v, want it retired and its private half erased", got)
		}
		if got.KID == other.KID && len(got.Private) == 0 {
			t.Error("a key that was not in the answer was changed")
		}
	}
	if versions(t, f)[storage.TopicKeys] <= before {
		t.Error("the version of the keys did not grow")
	}
}

func keyEmptyAnswer(t *testing.T, f *fixture) {
	k := f.key()
	f.putKeys(t, k)
	before := versions(t, f)
	need(t, f.ChangeSigningKeys(bg, func(keys []*storage.SigningKey) ([]*storage.SigningKey, error) {
		keys[0].Alg, keys[0].Public[0] = "none", 'X'
		return nil, nil
	}))
	same(t, "versions", versions(t, f), before)
	keys, err := f.SigningKeys(bg)
	need(t, err)
	same(t, "key", []any{keys[0].Alg, string(keys[0].Public)}, []any{k.Alg, `{"kty":"EC"}`})
}

func keyRefusedChange(t *testing.T, f *fixture) {
	before := versions(t, f)
	err := f.ChangeSigningKeys(bg, func([]*storage.SigningKey) ([]*storage.SigningKey, error) {
		return []*storage.SigningKey{f.key()}, errChange
	})
	if err != errChange {
		t.Errorf("error %v, want the change's own, unwrapped", err)
	}
	keys, err := f.SigningKeys(bg)
	need(t, err)
	same(t, "number of keys", len(keys), 0)
	same(t, "versions", versions(t, f), before)
}
