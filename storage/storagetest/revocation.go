package storagetest

import (
	"testing"
	"time"

	"gatehouse/storage"
)

// revocationKind is a kind of revocation that names whole grants, with what it names in a token.
type revocationKind struct {
	kind storage.RevocationKind
	id   func(*storage.Token) string
}

func (k revocationKind) of(t *storage.Token) storage.Revocation {
	return storage.Revocation{Kind: k.kind, ID: k.id(t)}
}

func everyKind() []revocationKind {
	return []revocationKind{
		{storage.RevokeGrant, func(t *storage.Token) string { return t.GrantID }},
		{storage.RevokeSession, func(t *storage.Token) string { return t.SessionID }},
		{storage.RevokeSubject, func(t *storage.Token) string { return t.Subject }},
		{storage.RevokeClient, func(t *storage.Token) string { return t.ClientID }},
		{storage.RevokeSubjectClient, func(t *storage.Token) string { return storage.SubjectClient(t.Subject, t.ClientID) }},
	}
}

func testRevocations(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{
		{"DeletesWhatItNames", revokeNamed}, {"TokenKindSparesTheFamily", revokeOneToken}, {"SparesGrantsBornLater", revokeBefore},
		{"NamesNothing", revokeNothing}, {"BackendSetsTheRow", revocationRow}, {"ExpiresAfterTTL", revocationExpires},
		{"AgainNeverTakesBack", revokeAgain}, {"ReadInOrderOfVersion", revocationOrder},
	})
}

// household stores a family (code consumed, refresh, access) and returns it.
func (f *fixture) household(t *testing.T, subject, clientID, sid string) []*storage.Token {
	t.Helper()
	code := f.token(storage.TokenCode)
	code.Subject, code.ClientID, code.SessionID = subject, clientID, sid
	need(t, f.CreateToken(bg, code))
	refresh, access := next(code, storage.TokenRefresh), next(code, storage.TokenAccess)
	need(t, f.ExchangeToken(bg, code.Kind, code.Signature, []byte("s"), refresh, access))
	return []*storage.Token{code, refresh, access}
}

func revokeNamed(t *testing.T, f *fixture) {
	for _, r := range everyKind() {
		subject, clientID, sid := name("user"), name("client"), name("sid")
		mine := f.household(t, subject, clientID, sid)
		spared := map[storage.RevocationKind][]*storage.Token{
			storage.RevokeGrant:         f.household(t, subject, clientID, sid),
			storage.RevokeSession:       f.household(t, subject, clientID, name("sid")),
			storage.RevokeSubject:       f.household(t, name("user"), clientID, sid),
			storage.RevokeClient:        f.household(t, subject, name("client"), sid),
			storage.RevokeSubjectClient: f.household(t, subject, name("client"), sid),
		}[r.kind]
		if r.kind == storage.RevokeSubjectClient {
			spared = append(spared, f.household(t, name("user"), clientID, sid)...)
		}
		n, err := f.RevokeTokens(bg, r.of(mine[0]))
		need(t, err)
		if n < len(mine) {
			t.Errorf("%s: %d rows deleted, want %d at least", r.kind, n, len(mine))
		}
		for _, tok := range mine {
			gone(t, f, string(r.kind)+": "+string(tok.Kind), tok)
		}
		for _, tok := range spared {
			alive(t, f, string(r.kind)+" hit too much: "+string(tok.Kind), tok)
		}
	}
}

// revokeOneToken: RFC 7009 on an access token kills that one only.
func revokeOneToken(t *testing.T, f *fixture) {
	family := f.household(t, name("user"), name("client"), "")
	code, refresh, access := family[0], family[1], family[2]
	for _, sig := range []string{code.Signature, refresh.Signature, name("jti")} {
		n, err := f.RevokeTokens(bg, storage.Revocation{Kind: storage.RevokeToken, ID: sig})
		need(t, err)
		same(t, "rows deleted for what is no access token", n, 0)
	}
	n, err := f.RevokeTokens(bg, storage.Revocation{Kind: storage.RevokeToken, ID: access.Signature})
	need(t, err)
	same(t, "rows deleted", n, 1)
	gone(t, f, "the access token", access)
	alive(t, f, "the refresh token", refresh)
	alive(t, f, "the code", code)
}

// revokeBefore: the millisecond inside the GrantID decides, not when a row was stored.
func revokeBefore(t *testing.T, f *fixture) {
	for _, r := range everyKind()[1:] {
		before := f.clock.Now().Add(-time.Hour).Truncate(time.Millisecond)
		old, edge, young := f.token(storage.TokenRefresh), f.token(storage.TokenRefresh), f.token(storage.TokenRefresh)
		old.Subject, old.SessionID = name("user"), name("sid")
		for _, tok := range []*storage.Token{edge, young} {
			tok.Subject, tok.SessionID, tok.ClientID = old.Subject, old.SessionID, old.ClientID
		}
		old.GrantID, edge.GrantID, young.GrantID = grantAt(before.Add(-time.Hour)), grantAt(before), grantAt(before.Add(time.Millisecond))
		for _, tok := range []*storage.Token{young, edge, old} {
			need(t, f.CreateToken(bg, tok))
		}
		row := r.of(old)
		row.Before = before.Add(999 * time.Microsecond) // the rest of a millisecond does not count
		n, err := f.RevokeTokens(bg, row)
		need(t, err)
		same(t, string(r.kind)+" rows deleted", n, 2)
		gone(t, f, "born earlier", old)
		gone(t, f, "born in that millisecond", edge)
		alive(t, f, "born a millisecond later", young)
	}
}

func revokeNothing(t *testing.T, f *fixture) {
	for _, r := range everyKind() {
		stranger := f.token(storage.TokenCode)
		stranger.Subject, stranger.SessionID = name("user"), name("sid")
		n, err := f.RevokeTokens(bg, r.of(stranger))
		need(t, err)
		same(t, "rows deleted", n, 0)
	}
}

func revocationRow(t *testing.T, f *fixture) {
	before := versions(t, f)[storage.TopicRevocations]
	id, given := name("grant"), f.clock.Now().Add(-time.Minute)
	_, err := f.RevokeTokens(bg, storage.Revocation{Kind: storage.RevokeGrant, ID: id})
	need(t, err)
	first := versions(t, f)[storage.TopicRevocations]
	_, err = f.RevokeTokens(bg, storage.Revocation{Kind: storage.RevokeClient, ID: id, Before: given.In(time.FixedZone("x", 60))})
	need(t, err)
	rows, err := f.Revocations(bg, before)
	need(t, err)
	expires := micro(f.clock.Now().Add(RevocationTTL))
	same(t, "rows", rows, []storage.Revocation{
		{Kind: storage.RevokeGrant, ID: id, Before: f.clock.Now().Truncate(time.Millisecond), Expires: expires, Version: first},
		{Kind: storage.RevokeClient, ID: id, Before: given.UTC().Truncate(time.Millisecond), Expires: expires, Version: versions(t, f)[storage.TopicRevocations]},
	})
}

func revocationExpires(t *testing.T, f *fixture) {
	before, id := versions(t, f)[storage.TopicRevocations], name("jti")
	_, err := f.RevokeTokens(bg, storage.Revocation{Kind: storage.RevokeToken, ID: id})
	need(t, err)
	f.clock.advance(RevocationTTL - time.Microsecond)
	rows, err := f.Revocations(bg, before)
	need(t, err)
	same(t, "rows within TTL", len(rows), 1)
	f.clock.advance(time.Microsecond)
	rows, err = f.Revocations(bg, before)
	need(t, err)
	same(t, "rows at the end of TTL", len(rows), 0)
}

func revokeAgain(t *testing.T, f *fixture) {
	id, before := name("client"), versions(t, f)[storage.TopicRevocations]
	late := f.clock.Now().Truncate(time.Millisecond)
	for _, at := range []time.Time{late, late.Add(-time.Hour)} {
		_, err := f.RevokeTokens(bg, storage.Revocation{Kind: storage.RevokeClient, ID: id, Before: at})
		need(t, err)
	}
	rows, err := f.Revocations(bg, before)
	need(t, err)
	var killed time.Time
	for _, r := range rows {
		if r.Before.After(killed) {
			killed = r.Before
		}
	}
	same(t, "the latest Before", killed, late)
	same(t, "version of the last row", rows[len(rows)-1].Version, versions(t, f)[storage.TopicRevocations])
}

func revocationOrder(t *testing.T, f *fixture) {
	start := versions(t, f)[storage.TopicRevocations]
	var ids []string
	for range 5 {
		ids = append(ids, name("jti"))
		_, err := f.RevokeTokens(bg, storage.Revocation{Kind: storage.RevokeToken, ID: ids[len(ids)-1]})
		need(t, err)
	}
	rows, err := f.Revocations(bg, start)
	need(t, err)
	var got []string
	for _, r := range rows {
		got = append(got, r.ID)
	}
	same(t, "ids", got, ids)
	rows, err = f.Revocations(bg, rows[2].Version)
	need(t, err)
	same(t, "after the third", len(rows), 2)
}
