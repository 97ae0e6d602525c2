package storagetest

import (
	"testing"
	"time"

	"gatehouse/storage"
)

func testTokens(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{
		{"RoundTrip", tokenRoundTrip}, {"Missing", tokenMissing}, {"Duplicate", tokenDuplicate}, {"KindsAreApart", tokenKinds},
		{"ExchangeIsRemembered", tokenExchange}, {"ExchangedOnce", tokenExchangedOnce}, {"BurntWithoutSuccessor", tokenBurnt},
		{"ExpiredIsReadButNotExchanged", tokenExpired}, {"GrantExpiryEndsTheFamily", tokenGrantExpired}, {"MissingIsConsumed", tokenMissingExchange},
		{"TakenSignatureConsumesNothing", tokenTakenNext}, {"RevokedBeforeItWasStored", tokenRevokedEarlier},
		{"JoinsUser", tokenJoinsUser}, {"JoinsSession", tokenJoinsSession}, {"PushedRequestBecomesACode", tokenPushed},
		{"InitialAccessTokenOfNobody", tokenInitial},
	})
}

func tokenRoundTrip(t *testing.T, f *fixture) {
	for _, kind := range []storage.TokenKind{storage.TokenCode, storage.TokenRefresh, storage.TokenAccess, storage.TokenPushed, storage.TokenInitial} {
		tok := f.token(kind)
		zone := time.FixedZone("west", -5*3600)
		tok.SessionID, tok.Payload = name("sid"), []byte("\x00\xff{\"a\":'; --\n")
		if kind != storage.TokenPushed && kind != storage.TokenInitial {
			tok.Subject = name("user")
		}
		tok.Created, tok.Expires, tok.GrantExpires = tok.Created.In(zone), tok.Expires.In(zone), tok.GrantExpires.In(zone)
		need(t, f.CreateToken(bg, tok))
		want := *tok
		want.Created, want.Expires, want.GrantExpires = micro(tok.Created), micro(tok.Expires), micro(tok.GrantExpires)
		got := alive(t, f, "row", tok)
		if len(got.Successor) != 0 {
			t.Errorf("%s: successor %q before any exchange", kind, got.Successor)
		}
		got.Successor = nil
		same(t, string(kind), got, want)
	}
}

func tokenMissing(t *testing.T, f *fixture) {
	gone(t, f, "a token that was never stored", f.token(storage.TokenCode))
}

func tokenDuplicate(t *testing.T, f *fixture) {
	tok := f.token(storage.TokenRefresh)
	need(t, f.CreateToken(bg, tok))
	thief := *tok
	thief.Payload = []byte("stolen")
	wantExists(t, "CreateToken", f.CreateToken(bg, &thief), "id")
	same(t, "payload", alive(t, f, "row", tok).Payload, tok.Payload)
}

func tokenKinds(t *testing.T, f *fixture) {
	code := f.token(storage.TokenCode)
	need(t, f.CreateToken(bg, code))
	refresh, access := *code, *code
	refresh.Kind, access.Kind = storage.TokenRefresh, storage.TokenAccess
	gone(t, f, "a code as refresh token", &refresh)
	gone(t, f, "a code as access token", &access)
	wantErr(t, "exchange under another kind", f.ExchangeToken(bg, refresh.Kind, refresh.Signature, nil), storage.ErrConsumed)
	need(t, f.CreateToken(bg, &refresh)) // a signature is unique within its kind only
	need(t, f.ExchangeToken(bg, refresh.Kind, refresh.Signature, nil))
	if got := alive(t, f, "the code", code); !got.ConsumedAt.IsZero() {
		t.Error("the exchange of a refresh token consumed the code with the same signature")
	}
}

func tokenExchange(t *testing.T, f *fixture) {
	code := f.token(storage.TokenCode)
	need(t, f.CreateToken(bg, code))
	f.clock.advance(time.Second)
	refresh, access := next(code, storage.TokenRefresh), next(code, storage.TokenAccess)
	need(t, f.ExchangeToken(bg, code.Kind, code.Signature, []byte("sealed"), refresh, access))
	got := alive(t, f, "the code", code)
	same(t, "consumed row", []any{got.ConsumedAt, got.Successor, got.Payload}, []any{micro(f.clock.Now()), []byte("sealed"), code.Payload})
	for _, tok := range []*storage.Token{refresh, access} {
		got := alive(t, f, "next", tok)
		same(t, "next", []any{got.GrantID, got.GrantExpires, got.ConsumedAt}, []any{code.GrantID, micro(code.GrantExpires), time.Time{}})
	}
}

func tokenExchangedOnce(t *testing.T, f *fixture) {
	code := f.token(storage.TokenCode)
	need(t, f.CreateToken(bg, code))
	need(t, f.ExchangeToken(bg, code.Kind, code.Signature, []byte("first")))
	want := alive(t, f, "the code", code)
	f.clock.advance(time.Second)
	late := next(code, storage.TokenRefresh)
	wantErr(t, "second use", f.ExchangeToken(bg, code.Kind, code.Signature, []byte("second"), late), storage.ErrConsumed)
	same(t, "row", alive(t, f, "the code", code), want)
	gone(t, f, "the loser's token", late)
}

func tokenBurnt(t *testing.T, f *fixture) {
	code := f.token(storage.TokenCode)
	need(t, f.CreateToken(bg, code))
	need(t, f.ExchangeToken(bg, code.Kind, code.Signature, nil))
	got := alive(t, f, "the burnt code", code)
	same(t, "burnt row", []any{got.ConsumedAt, len(got.Successor)}, []any{micro(f.clock.Now()), 0})
	wantErr(t, "use after burning", f.ExchangeToken(bg, code.Kind, code.Signature, []byte("s"), next(code, storage.TokenRefresh)), storage.ErrConsumed)
}

func tokenExpired(t *testing.T, f *fixture) {
	code := f.token(storage.TokenCode)
	need(t, f.CreateToken(bg, code))
	early := f.token(storage.TokenCode)
	need(t, f.CreateToken(bg, early))
	f.clock.advance(10*time.Minute - time.Microsecond)
	need(t, f.ExchangeToken(bg, early.Kind, early.Signature, nil))
	f.clock.advance(time.Microsecond)
	late := next(code, storage.TokenRefresh)
	wantErr(t, "exchange at Expires", f.ExchangeToken(bg, code.Kind, code.Signature, []byte("s"), late), storage.ErrConsumed)
	gone(t, f, "the token of an expired code", late)
	if got := alive(t, f, "the expired code", code); !got.ConsumedAt.IsZero() {
		t.Error("a refused exchange marked the row as consumed")
	}
}

func tokenGrantExpired(t *testing.T, f *fixture) {
	tok := f.token(storage.TokenRefresh)
	tok.Expires = tok.GrantExpires.Add(time.Hour)
	early := *tok
	early.Signature = name("sig")
	need(t, f.CreateToken(bg, tok))
	need(t, f.CreateToken(bg, &early))
	f.clock.advance(time.Hour - time.Microsecond)
	need(t, f.ExchangeToken(bg, early.Kind, early.Signature, nil))
	f.clock.advance(time.Microsecond)
	late := next(tok, storage.TokenRefresh)
	wantErr(t, "exchange at GrantExpires", f.ExchangeToken(bg, tok.Kind, tok.Signature, []byte("s"), late), storage.ErrConsumed)
	gone(t, f, "the token of an ended family", late)
}

func tokenMissingExchange(t *testing.T, f *fixture) {
	tok := f.token(storage.TokenCode)
	late := next(tok, storage.TokenRefresh)
	wantErr(t, "exchange", f.ExchangeToken(bg, tok.Kind, tok.Signature, []byte("s"), late), storage.ErrConsumed)
	gone(t, f, "the token of a missing code", late)
}

func tokenTakenNext(t *testing.T, f *fixture) {
	code, taken := f.token(storage.TokenCode), f.token(storage.TokenRefresh)
	need(t, f.CreateToken(bg, code))
	need(t, f.CreateToken(bg, taken))
	access, clash := next(code, storage.TokenAccess), next(code, storage.TokenRefresh)
	clash.Signature = taken.Signature
	wantErr(t, "exchange", f.ExchangeToken(bg, code.Kind, code.Signature, []byte("s"), access, clash), storage.ErrExists)
	gone(t, f, "the token before the clash", access)
	same(t, "grant of the taken signature", alive(t, f, "taken", taken).GrantID, taken.GrantID)
	twin := *access
	wantErr(t, "exchange for twins", f.ExchangeToken(bg, code.Kind, code.Signature, []byte("s"), access, &twin), storage.ErrExists)
	gone(t, f, "a twin", access)
	need(t, f.ExchangeToken(bg, code.Kind, code.Signature, nil))
}

// tokenRevokedEarlier: an authorization that was under way while its user signed out stores its code after the revocation.
func tokenRevokedEarlier(t *testing.T, f *fixture) {
	for _, r := range everyKind() {
		code := f.token(storage.TokenCode)
		code.Subject, code.SessionID = name("user"), name("sid")
		_, err := f.RevokeTokens(bg, r.of(code))
		need(t, err)
		need(t, f.CreateToken(bg, code))
		late := next(code, storage.TokenRefresh)
		wantErr(t, string(r.kind), f.ExchangeToken(bg, code.Kind, code.Signature, []byte("s"), late), storage.ErrConsumed)
		gone(t, f, "the token of a revoked grant", late)
		f.clock.advance(2 * time.Millisecond)
		born := *code // the same user, client and session again, a moment later
		born.Signature, born.GrantID = name("sig"), grantAt(f.clock.Now())
		if r.kind == storage.RevokeGrant {
			continue
		}
		need(t, f.CreateToken(bg, &born))
		need(t, f.ExchangeToken(bg, born.Kind, born.Signature, nil))
	}
}

func tokenJoinsUser(t *testing.T, f *fixture) {
	u := f.user(t)
	mine, nobodys, orphan := f.token(storage.TokenRefresh), f.token(storage.TokenAccess), f.token(storage.TokenRefresh)
	mine.Subject, orphan.Subject = u.Subject, name("user")
	for _, tok := range []*storage.Token{mine, nobodys, orphan} {
		need(t, f.CreateToken(bg, tok))
	}
	same(t, "user", alive(t, f, "mine", mine).User, u)
	if alive(t, f, "nobody's", nobodys).User != nil || alive(t, f, "orphan", orphan).User != nil {
		t.Error("a user was made up for a token that has none")
	}
	mine.Signature = name("sig") // disabling deletes what there was
	_, err := f.UpdateUser(bg, u.Subject, func(u *storage.User) error { u.Disabled = true; return nil })
	need(t, err)
	need(t, f.CreateToken(bg, mine))
	if got := alive(t, f, "of a disabled user", mine).User; got == nil || !got.Disabled {
		t.Errorf("user %+v, want the disabled one", got)
	}
}

func tokenJoinsSession(t *testing.T, f *fixture) {
	s := f.session(t, f.user(t).Subject)
	bound, free, orphan := f.token(storage.TokenRefresh), f.token(storage.TokenRefresh), f.token(storage.TokenRefresh)
	bound.SessionID, orphan.SessionID = s.ID, name("sid")
	for _, tok := range []*storage.Token{bound, free, orphan} {
		tok.Expires = f.clock.Now().Add(9 * time.Hour)
		need(t, f.CreateToken(bg, tok))
	}
	live := func() []bool {
		return []bool{alive(t, f, "bound", bound).SessionAlive, alive(t, f, "free", free).SessionAlive, alive(t, f, "orphan", orphan).SessionAlive}
	}
	same(t, "bound, free, orphan", live(), []bool{true, true, false})
	f.clock.advance(time.Hour - time.Microsecond)
	same(t, "just before Absolute", live(), []bool{true, true, false})
	f.clock.advance(time.Microsecond)
	same(t, "at Absolute", live(), []bool{false, true, false})
}

// pushed stores a pushed request of a client.
func (f *fixture) pushed(t *testing.T) *storage.Token {
	t.Helper()
	tok := f.token(storage.TokenPushed)
	tok.ClientID, tok.Expires = f.client(t).ID, tok.Created.Add(90*time.Second)
	tok.GrantExpires = tok.Expires
	need(t, f.CreateToken(bg, tok))
	return tok
}

// tokenPushed: the code's family is its own. What ended the user's earlier grants while the request waited does not touch it.
func tokenPushed(t *testing.T, f *fixture) {
	tok := f.pushed(t)
	code := f.token(storage.TokenCode)
	code.ClientID, code.Subject = tok.ClientID, f.user(t).Subject
	need(t, f.ExchangeToken(bg, tok.Kind, tok.Signature, nil, code))
	got := alive(t, f, "code", code)
	same(t, "the code's family", []any{got.GrantID, got.Subject, got.GrantExpires}, []any{code.GrantID, code.Subject, micro(code.GrantExpires)})
	again := f.token(storage.TokenCode)
	again.ClientID = tok.ClientID
	wantErr(t, "second use", f.ExchangeToken(bg, tok.Kind, tok.Signature, nil, again), storage.ErrConsumed)
	gone(t, f, "a second code", again)

	late := f.pushed(t)
	f.clock.advance(90 * time.Second)
	wantErr(t, "past its expiry", f.ExchangeToken(bg, late.Kind, late.Signature, nil, again), storage.ErrConsumed)
	of := f.pushed(t)
	_, err := f.UpdateClient(bg, of.ClientID, func(c *storage.Client) error { c.Disabled = true; return nil })
	need(t, err)
	gone(t, f, "the request of a disabled client", of)
}

// tokenInitial: its holder is nobody, and no revocation by user, client or session hits it.
func tokenInitial(t *testing.T, f *fixture) {
	tok, other := f.token(storage.TokenInitial), f.token(storage.TokenInitial)
	need(t, f.CreateToken(bg, tok))
	need(t, f.CreateToken(bg, other))
	need(t, f.DeleteClient(bg, f.client(t).ID))
	need(t, f.DeleteUser(bg, f.user(t).Subject))
	got := alive(t, f, "initial access token", tok)
	if got.User != nil || got.ClientID != "" || !got.SessionAlive {
		t.Errorf("row %+v", got)
	}
	need(t, f.ExchangeToken(bg, tok.Kind, tok.Signature, nil))
	wantErr(t, "second use", f.ExchangeToken(bg, tok.Kind, tok.Signature, nil), storage.ErrConsumed)
	_, err := f.RevokeTokens(bg, storage.Revocation{Kind: storage.RevokeGrant, ID: other.GrantID})
	need(t, err)
	gone(t, f, "a revoked one", other)
}
