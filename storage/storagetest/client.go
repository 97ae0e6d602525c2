package storagetest

import (
	"encoding/json"
	"reflect"
	"slices"
	"testing"
	"time"

	"gatehouse/storage"
)

func testClients(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{
		{"RoundTrip", clientRoundTrip}, {"Missing", clientMissing}, {"Duplicate", clientDuplicate}, {"Update", clientUpdate},
		{"RefusedChangeSavesNothing", clientRefusedChange}, {"IDCannotChange", clientKeepsID}, {"DisabledIsStillFound", clientDisabled},
		{"CopiesAreApart", clientCopies},
	})
	t.Run("ListInOrderOfID", func(t *testing.T) { clientList(t, newFixture(t, open)) })
}

// fullClient has every field set.
func (f *fixture) fullClient() *storage.Client {
	maxAge, now := int64(0), f.clock.Now()
	return &storage.Client{
		ID: name("client"), Name: "日本 \"App\" <b>", RedirectURIs: []string{"https://a.example/cb", "http://127.0.0.1/cb?x=1&y"},
		PostLogoutRedirectURIs: []string{"https://a.example/out"}, GrantTypes: []string{"authorization_code"}, ResponseTypes: []string{"code"},
		Scopes: []string{"openid", "email"}, AuthMethod: "private_key_jwt", AuthSigningAlg: "ES256", Audience: []string{"https://api.example"},
		AccessToken: "opaque", Profile: "fapi2", FirstParty: true, ApplicationType: "web", JWKS: json.RawMessage(`{"keys":[{"kid":"ü"}]}`),
		JWKSURI: "https://a.example/jwks", ClientURI: "https://a.example", LogoURI: "https://a.example/l.png", PolicyURI: "https://a.example/p",
		TOSURI: "https://a.example/t", Contacts: []string{"x@a.example"}, IDTokenAlg: "RS256", AccessTokenAlg: "ES256", DefaultMaxAge: &maxAge,
		RequireAuthTime: true, Lifetimes: storage.Lifetimes{AccessToken: time.Minute, IDToken: 2 * time.Minute, RefreshIdle: time.Hour,
			RefreshAbsolute: 90 * 24 * time.Hour},
		Secrets: []storage.ClientSecret{{Hash: "$sha256$abc", Created: micro(now)}, {Hash: "$2a$x", Created: micro(now), Expires: micro(now.Add(time.Hour))},
			{Sealed: []byte("\x00\xffsealed"), Created: micro(now)}},
		RegisteredBy: "operator", DefaultACR: []string{"1"}, UserinfoAlg: "ES256", InitiateLoginURI: "https://a.example/start", SubjectType: "pairwise",
		SectorIdentifierURI: "https://s.example/uris", Sector: "s.example", RequestURIs: []string{"https://a.example/r#1"}, RequestObjectAlg: "PS256",
		RequireSignedRequestObject: true, RequirePAR: true, BackchannelLogoutURI: "https://a.example/back", BackchannelLogoutSessionRequired: true,
		FrontchannelLogoutURI: "https://a.example/front", FrontchannelLogoutSessionRequired: true, Upstream: "corp", SoftwareID: "s", SoftwareVersion: "1 ü",
		RegistrationToken: "sig", RequireMFA: true, SignUp: "invite",
		Branding: &storage.Branding{Name: "Ünion", LogoURL: "/logo", Accent: "#112233", AccentDark: "#aabbcc", PrivacyURL: "https://a.example/privacy",
			TermsURL: "https://a.example/terms", SupportURL: "https://a.example/help"},
	}
}

func clientRoundTrip(t *testing.T, f *fixture) {
	c := f.fullClient()
	for field, value := range reflect.ValueOf(*c).Fields() {
		if unset := []string{"Disabled", "Created", "Updated", "Expires"}; value.IsZero() && !slices.Contains(unset, field.Name) {
			t.Errorf("field %s is not tried", field.Name)
		}
	}
	need(t, f.CreateClient(bg, c))
	got, err := f.Client(bg, c.ID)
	need(t, err)
	if want := micro(f.clock.Now()); !got.Created.Equal(want) || !got.Updated.Equal(want) {
		t.Errorf("stamped %v and %v, want the clock's %v", got.Created, got.Updated, want)
	}
	same(t, "the caller's record, stamped", c, got)
}

func clientMissing(t *testing.T, f *fixture) {
	id := name("nobody")
	_, err := f.Client(bg, id)
	wantErr(t, "Client", err, storage.ErrNotFound)
	_, err = f.ClientUpdated(bg, id)
	wantErr(t, "ClientUpdated", err, storage.ErrNotFound)
	_, err = f.UpdateClient(bg, id, func(*storage.Client) error { t.Error("change was called for a missing client"); return nil })
	wantErr(t, "UpdateClient", err, storage.ErrNotFound)
	wantErr(t, "DeleteClient", f.DeleteClient(bg, id), storage.ErrNotFound)
}

func clientDuplicate(t *testing.T, f *fixture) {
	c := f.client(t)
	wantExists(t, "CreateClient", f.CreateClient(bg, &storage.Client{ID: c.ID, Name: "thief"}), "id")
	got, err := f.Client(bg, c.ID)
	need(t, err)
	same(t, "the first client", got, c)
}

func clientUpdate(t *testing.T, f *fixture) {
	c := f.client(t)
	f.clock.advance(time.Second)
	got, err := f.UpdateClient(bg, c.ID, func(c *storage.Client) error {
		c.Name, c.Scopes, c.Created = "New", []string{"a"}, c.Created.Add(time.Hour)
		return nil
	})
	need(t, err)
	want := *c
	want.Name, want.Scopes, want.Updated = "New", []string{"a"}, micro(f.clock.Now())
	same(t, "answer", got, want)
	got, err = f.Client(bg, c.ID)
	need(t, err)
	same(t, "row", got, want)
	updated, err := f.ClientUpdated(bg, c.ID)
	need(t, err)
	if !updated.Equal(got.Updated) {
		t.Errorf("ClientUpdated says %v, the row %v", updated, got.Updated)
	}
}

func clientRefusedChange(t *testing.T, f *fixture) {
	c := f.client(t)
	before := versions(t, f)
	f.clock.advance(time.Second)
	_, err := f.UpdateClient(bg, c.ID, func(c *storage.Client) error { c.Name, c.Disabled = "No", true; return errChange })
	if err != errChange {
		t.Errorf("error %v, want the change's own, unwrapped", err)
	}
	got, err := f.Client(bg, c.ID)
	need(t, err)
	same(t, "row", got, c)
	same(t, "versions", versions(t, f), before)
}

func clientKeepsID(t *testing.T, f *fixture) {
	c, other := f.client(t), name("other")
	_, _ = f.UpdateClient(bg, c.ID, func(c *storage.Client) error { c.ID = other; return nil })
	got, err := f.Client(bg, c.ID)
	need(t, err)
	if got.ID != c.ID {
		t.Errorf("found as %q, but calls itself %q", c.ID, got.ID)
	}
	_, err = f.Client(bg, other)
	wantErr(t, "the new id", err, storage.ErrNotFound)
}

func clientDisabled(t *testing.T, f *fixture) {
	c := f.client(t)
	_, err := f.UpdateClient(bg, c.ID, func(c *storage.Client) error { c.Disabled = true; return nil })
	need(t, err)
	got, err := f.Client(bg, c.ID)
	need(t, err)
	if !got.Disabled {
		t.Error("Disabled was not saved")
	}
}

// clientCopies: what a caller does to its own copy does not reach the store.
func clientCopies(t *testing.T, f *fixture) {
	c := f.fullClient()
	need(t, f.CreateClient(bg, c))
	want, err := f.Client(bg, c.ID)
	need(t, err)
	spoil := func(c *storage.Client) {
		c.RedirectURIs[0], c.JWKS[0], *c.DefaultMaxAge, c.Secrets[0].Hash = "https://evil.example", 'X', 99, "stolen"
	}
	spoil(c)
	out, err := f.Client(bg, c.ID)
	need(t, err)
	spoil(out)
	_, err = f.UpdateClient(bg, c.ID, func(c *storage.Client) error { spoil(c); return errChange })
	wantErr(t, "UpdateClient", err, errChange)
	got, err := f.Client(bg, c.ID)
	need(t, err)
	same(t, "row", got, want)
}

func clientList(t *testing.T, f *fixture) {
	ids := []string{"B", "a", "Z-1", "_x", "b", "ä", "a b"}
	for _, id := range ids {
		need(t, f.CreateClient(bg, &storage.Client{ID: id}))
	}
	var got []string
	for after := ""; ; {
		page, err := f.ListClients(bg, after, 3)
		need(t, err)
		if len(page) > 3 {
			t.Fatalf("page of %d, limit 3", len(page))
		}
		for _, c := range page {
			got, after = append(got, c.ID), c.ID
		}
		if len(page) < 3 {
			break
		}
	}
	same(t, "all pages", got, []string{"B", "Z-1", "_x", "a", "a b", "b", "ä"})
}
