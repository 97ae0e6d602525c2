package storagetest

import (
	"testing"
	"time"

	"gatehouse/storage"
)

func testConsents(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{
		{"MissingIsNotFound", consentMissing}, {"GrantsAreUnited", consentUnion}, {"PairsAreApart", consentPairs}, {"RevokeDeletes", consentRevoke},
		{"OfUserInOrderOfClient", consentsOf},
	})
}

func (f *fixture) grant(t *testing.T, subject, clientID string, scopes, resources []string) {
	t.Helper()
	now := f.clock.Now()
	need(t, f.GrantConsent(bg, &storage.Consent{Subject: subject, ClientID: clientID, Scopes: scopes, Resources: resources, Created: now, Updated: now}))
}

func consentMissing(t *testing.T, f *fixture) {
	u, c := f.user(t), f.client(t)
	_, err := f.Consent(bg, u.Subject, c.ID)
	wantErr(t, "Consent", err, storage.ErrNotFound)
	need(t, f.RevokeConsent(bg, u.Subject, c.ID))
	got, err := f.ConsentsOf(bg, u.Subject)
	need(t, err)
	same(t, "consents", len(got), 0)
}

func consentUnion(t *testing.T, f *fixture) {
	u, c := f.user(t), f.client(t)
	want := &storage.Consent{Subject: u.Subject, ClientID: c.ID, Created: micro(f.clock.Now())}
	f.grant(t, u.Subject, c.ID, []string{"openid", "email", "openid"}, []string{"https://b"})
	f.clock.advance(time.Second)
	f.grant(t, u.Subject, c.ID, []string{"a", "email"}, []string{"https://a", "https://b"})
	got, err := f.Consent(bg, u.Subject, c.ID)
	need(t, err)
	want.Scopes, want.Resources, want.Updated = []string{"a", "email", "openid"}, []string{"https://a", "https://b"}, micro(f.clock.Now())
	same(t, "row", got, want)
	f.grant(t, u.Subject, c.ID, nil, nil)
	got, err = f.Consent(bg, u.Subject, c.ID)
	need(t, err)
	same(t, "after an empty grant", []any{got.Scopes, got.Resources}, []any{want.Scopes, want.Resources})
}

func consentPairs(t *testing.T, f *fixture) {
	u, v, c := f.user(t), f.user(t), f.client(t)
	f.grant(t, u.Subject, c.ID, []string{"openid"}, nil)
	_, err := f.Consent(bg, v.Subject, c.ID)
	wantErr(t, "another user", err, storage.ErrNotFound)
	_, err = f.Consent(bg, u.Subject, f.client(t).ID)
	wantErr(t, "another client", err, storage.ErrNotFound)
}

func consentRevoke(t *testing.T, f *fixture) {
	u, c, d := f.user(t), f.client(t), f.client(t)
	f.grant(t, u.Subject, c.ID, []string{"openid"}, nil)
	f.grant(t, u.Subject, d.ID, []string{"openid"}, nil)
	need(t, f.RevokeConsent(bg, u.Subject, c.ID))
	_, err := f.Consent(bg, u.Subject, c.ID)
	wantErr(t, "the revoked consent", err, storage.ErrNotFound)
	_, err = f.Consent(bg, u.Subject, d.ID)
	need(t, err)
	f.grant(t, u.Subject, c.ID, []string{"email"}, nil)
	got, err := f.Consent(bg, u.Subject, c.ID)
	need(t, err)
	same(t, "scopes granted after it", got.Scopes, []string{"email"})
}

func consentsOf(t *testing.T, f *fixture) {
	u, prefix := f.user(t), name("c")
	f.grant(t, f.user(t).Subject, f.client(t).ID, []string{"openid"}, nil)
	for _, id := range []string{"b", "B", "a"} {
		need(t, f.CreateClient(bg, &storage.Client{ID: prefix + id}))
		f.grant(t, u.Subject, prefix+id, []string{"openid"}, nil)
	}
	rows, err := f.ConsentsOf(bg, u.Subject)
	need(t, err)
	var got []string
	for _, c := range rows {
		got = append(got, c.ClientID)
	}
	same(t, "clients", got, []string{prefix + "B", prefix + "a", prefix + "b"})
}
