package storagetest

import (
	"slices"
	"testing"
	"time"

	"gatehouse/storage"
)

func testGrants(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{
		{"OfUserInOrderOfClient", grantsInOrder}, {"LiveAreRefreshAndOpaqueTokens", grantsLive}, {"RotationMovesLastUse", grantsRotate}, {"ExpiredIsNotLive", grantsExpire},
		{"LiveAsLongAsTheSession", grantsOfSession}, {"RevokedIsNotLive", grantsRevoked}, {"EveryClientBeforeTheManyOfOne", grantsBounded}, {"AccessBeforeNone", grantsBoundedByAccess},
	})
}

// granted lists what clients have of a user, each as its id, its last use and the sorted payloads of its live tokens.
func (f *fixture) granted(t *testing.T, subject string) [][]string {
	t.Helper()
	rows, err := f.GrantsOf(bg, subject)
	need(t, err)
	var all [][]string
	for _, row := range rows {
		var live []string
		for _, tok := range row.Live {
			live = append(live, string(tok.Kind)+" "+string(tok.Payload))
		}
		slices.Sort(live)
		all = append(all, append([]string{row.ClientID, row.LastUsed.Format(time.RFC3339Nano)}, live...))
	}
	return all
}

// usedAt is a line of granted.
func usedAt(clientID string, at time.Time, live ...string) []string {
	return append([]string{clientID, micro(at).Format(time.RFC3339Nano)}, live...)
}

// held stores a token of a user and returns it; what it allows is its kind's name.
func (f *fixture) held(t *testing.T, kind storage.TokenKind, subject, clientID string) *storage.Token {
	t.Helper()
	tok := f.token(kind)
	tok.Subject, tok.ClientID, tok.Payload = subject, clientID, []byte("\x00of "+clientID)
	need(t, f.CreateToken(bg, tok))
	return tok
}

func grantsInOrder(t *testing.T, f *fixture) {
	subject, prefix := name("user"), name("c")
	f.held(t, storage.TokenRefresh, name("user"), prefix+"a")
	f.held(t, storage.TokenAccess, "", prefix+"a")
	for _, id := range []string{"b", "B", "a"} {
		f.held(t, storage.TokenRefresh, subject, prefix+id)
	}
	var want [][]string
	for _, id := range []string{prefix + "B", prefix + "a", prefix + "b"} {
		want = append(want, usedAt(id, f.clock.Now(), "refresh \x00of "+id))
	}
	same(t, "grants", f.granted(t, subject), want)
	for _, nobody := range []string{"", name("user")} {
		same(t, "grants of nobody", len(f.granted(t, nobody)), 0)
	}
}

func grantsLive(t *testing.T, f *fixture) {
	subject, clientID := name("user"), name("client")
	code := f.held(t, storage.TokenCode, subject, clientID)
	same(t, "with a code", f.granted(t, subject), [][]string{usedAt(clientID, f.clock.Now())})
	f.clock.advance(time.Second)
	refresh, access := next(code, storage.TokenRefresh), next(code, storage.TokenAccess)
	refresh.Created, access.Created = f.clock.Now(), f.clock.Now()
	refresh.Payload = []byte("all")
	need(t, f.ExchangeToken(bg, code.Kind, code.Signature, nil, refresh, access))
	same(t, "redeemed", f.granted(t, subject), [][]string{usedAt(clientID, f.clock.Now(), "access "+string(code.Payload), "refresh all")})
}

// grantsRotate: a refresh leaves one live token, and the row that it consumed counts for the last use alone.
func grantsRotate(t *testing.T, f *fixture) {
	subject, clientID := name("user"), name("client")
	old := f.held(t, storage.TokenRefresh, subject, clientID)
	f.clock.advance(time.Minute)
	newer := next(old, storage.TokenRefresh)
	newer.Created, newer.Payload = f.clock.Now(), []byte("newer")
	need(t, f.ExchangeToken(bg, old.Kind, old.Signature, []byte("s"), newer))
	same(t, "refreshed", f.granted(t, subject), [][]string{usedAt(clientID, f.clock.Now(), "refresh newer")})
	need(t, f.ExchangeToken(bg, newer.Kind, newer.Signature, nil))
	same(t, "with nothing but consumed rows", f.granted(t, subject), [][]string{usedAt(clientID, f.clock.Now())})
}

func grantsExpire(t *testing.T, f *fixture) {
	start := f.clock.Now()
	for what, shorten := range map[string]func(*storage.Token){
		"expired":           func(tok *storage.Token) { tok.Expires = start.Add(time.Minute) },
		"past GrantExpires": func(tok *storage.Token) { tok.GrantExpires = start.Add(time.Minute) },
	} {
		f.clock.mu.Lock()
		f.clock.now = start
		f.clock.mu.Unlock()
		subject := name("user")
		tok := f.token(storage.TokenRefresh)
		tok.Subject, tok.Payload = subject, []byte("p")
		shorten(tok)
		need(t, f.CreateToken(bg, tok))
		f.clock.advance(time.Minute - time.Microsecond)
		same(t, what+", just before", f.granted(t, subject), [][]string{usedAt(tok.ClientID, start, "refresh p")})
		f.clock.advance(time.Microsecond)
		same(t, what, f.granted(t, subject), [][]string{usedAt(tok.ClientID, start)})
	}
}

func grantsOfSession(t *testing.T, f *fixture) {
	subject, start := f.user(t).Subject, f.clock.Now()
	s := f.session(t, subject)
	bound, orphan := f.token(storage.TokenRefresh), f.token(storage.TokenRefresh)
	bound.SessionID, orphan.SessionID = s.ID, name("sid")
	bound.ClientID, orphan.ClientID = name("a-client"), name("b-client")
	for _, tok := range []*storage.Token{bound, orphan} {
		tok.Subject, tok.Payload = subject, []byte("p")
		tok.Expires, tok.GrantExpires = start.Add(9*time.Hour), start.Add(9*time.Hour)
		need(t, f.CreateToken(bg, tok))
	}
	f.clock.advance(time.Hour - time.Microsecond)
	same(t, "just before Absolute", f.granted(t, subject), [][]string{usedAt(bound.ClientID, start, "refresh p"), usedAt(orphan.ClientID, start)})
	f.clock.advance(time.Microsecond)
	same(t, "at Absolute", f.granted(t, subject), [][]string{usedAt(bound.ClientID, start), usedAt(orphan.ClientID, start)})
}

// grantsRevoked: a token that was stored after the revocation of its family, by a request that was under way, is no access either.
func grantsRevoked(t *testing.T, f *fixture) {
	for _, r := range everyKind() {
		s := f.session(t, f.user(t).Subject)
		tok := f.token(storage.TokenRefresh)
		tok.Subject, tok.SessionID, tok.Payload = s.Subject, s.ID, []byte("p")
		need(t, f.CreateToken(bg, tok))
		same(t, string(r.kind)+", before", f.granted(t, s.Subject), [][]string{usedAt(tok.ClientID, tok.Created, "refresh p")})
		_, err := f.RevokeTokens(bg, r.of(tok))
		need(t, err)
		same(t, string(r.kind)+", revoked", len(f.granted(t, s.Subject)), 0)
		need(t, f.CreateToken(bg, tok))
		same(t, string(r.kind)+", stored late", f.granted(t, s.Subject), [][]string{usedAt(tok.ClientID, tok.Created)})
		f.clock.advance(time.Millisecond)
		young := f.held(t, storage.TokenRefresh, tok.Subject, tok.ClientID)
		if r.kind != storage.RevokeGrant {
			same(t, string(r.kind)+", born later", f.granted(t, s.Subject), [][]string{usedAt(tok.ClientID, young.Created, "refresh "+string(young.Payload))})
		}
	}
}

func grantsBounded(t *testing.T, f *fixture) {
	subject, many, quiet := name("user"), name("a-client"), name("b-client")
	f.held(t, storage.TokenRefresh, subject, quiet)
	f.clock.advance(time.Second)
	code := f.held(t, storage.TokenCode, subject, many)
	all := make([]*storage.Token, storage.MaxGrants+1)
	for i := range all {
		all[i] = next(code, storage.TokenAccess)
	}
	need(t, f.ExchangeToken(bg, code.Kind, code.Signature, nil, all...))
	rows, err := f.GrantsOf(bg, subject)
	need(t, err)
	if len(rows) != 2 {
		t.Fatalf("%d clients, want 2", len(rows))
	}
	same(t, "live tokens", []any{rows[0].ClientID, len(rows[0].Live), rows[1].ClientID, len(rows[1].Live)}, []any{many, storage.MaxGrants - 1, quiet, 1})
}

// grantsBoundedByAccess: those who signed in yesterday are not behind those who have nothing, of whom the one used longest ago goes.
func grantsBoundedByAccess(t *testing.T, f *fixture) {
	subject, quiet, oldest := name("user"), name("z-client"), name("a-client")
	f.held(t, storage.TokenRefresh, subject, quiet)
	f.held(t, storage.TokenCode, subject, quiet) // newer than what gives access
	f.held(t, storage.TokenCode, subject, oldest)
	f.clock.advance(time.Second)
	for range storage.MaxGrants - 1 {
		f.held(t, storage.TokenCode, subject, name("client"))
	}
	rows, err := f.GrantsOf(bg, subject)
	need(t, err)
	last := rows[len(rows)-1]
	if len(rows) != storage.MaxGrants || rows[0].ClientID == oldest || last.ClientID != quiet || len(last.Live) != 1 {
		t.Errorf("%d clients from %s to %s with %d live tokens, want %d, without %s, to %s with one", len(rows), rows[0].ClientID, last.ClientID, len(last.Live), storage.MaxGrants, oldest, quiet)
	}
}
