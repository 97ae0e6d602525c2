package storagetest

import (
	"testing"
	"time"

	"gatehouse/storage"
)

func testUpstreamSessions(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{
		{"RoundTrip", upstreamRoundTrip}, {"OnlyUpstreamTokenReadsTheToken", upstreamTokenHidden}, {"UpdateKeeps", upstreamUpdateKeeps},
		{"UpdateWrites", upstreamUpdateWrites}, {"NoToken", upstreamNoToken}, {"CopiesAreApart", upstreamCopies}, {"EndWhatMatches", upstreamEnd},
		{"EndTellsClients", upstreamEndTells}, {"EndUpstreamWithoutSID", upstreamEndWithoutSID}, {"LocalSessionsAreSpared", upstreamSparesLocal},
	})
}

// sessionBy stores a session that came by an identity.
func (f *fixture) sessionBy(t *testing.T, i *storage.Identity) *storage.Session {
	t.Helper()
	s := f.unsavedBy(t, i)
	need(t, f.CreateSession(bg, s))
	return s
}

func (f *fixture) unsavedBy(t *testing.T, i *storage.Identity) *storage.Session {
	t.Helper()
	u, err := f.User(bg, i.Subject)
	need(t, err)
	s := f.unsaved(i.Subject)
	s.Epoch, s.Upstream, s.ExternalID, s.UpstreamSID, s.UpstreamToken = u.Epoch, i.Upstream, i.ExternalID, name("upstream-sid"), []byte("sealed")
	return s
}

func upstreamRoundTrip(t *testing.T, f *fixture) {
	u := f.user(t)
	whole := f.sessionBy(t, f.identity(t, u.Subject))
	bare := f.unsaved(u.Subject)
	bare.Upstream, bare.ExternalID = "github", "42"
	need(t, f.CreateSession(bg, bare))
	for _, s := range []*storage.Session{whole, bare} {
		got, _, err := f.SessionByCookie(bg, s.CookieHash)
		need(t, err)
		same(t, "identity and sid", []string{got.Upstream, got.ExternalID, got.UpstreamSID}, []string{s.Upstream, s.ExternalID, s.UpstreamSID})
		token, err := f.UpstreamToken(bg, s.ID)
		need(t, err)
		same(t, "token", token, s.UpstreamToken)
	}
}

func upstreamTokenHidden(t *testing.T, f *fixture) {
	s := f.sessionBy(t, f.identity(t, f.user(t).Subject))
	byCookie, _, err := f.SessionByCookie(bg, s.CookieHash)
	need(t, err)
	own, err := f.SessionsOf(bg, s.Subject)
	need(t, err)
	page, err := f.ListSessions(bg, s.ID[:len(s.ID)-1], 1)
	need(t, err)
	same(t, "found", []int{len(own), len(page)}, []int{1, 1})
	for what, got := range map[string]*storage.Session{"SessionByCookie": byCookie, "SessionsOf": own[0], "ListSessions": page[0]} {
		if got.UpstreamToken != nil {
			t.Errorf("%s: token %q", what, got.UpstreamToken)
		}
		same(t, what, []string{got.ID, got.Upstream, got.ExternalID, got.UpstreamSID}, []string{s.ID, s.Upstream, s.ExternalID, s.UpstreamSID})
	}
}

// upstreamUpdateKeeps: a new cookie does not cost the way out.
func upstreamUpdateKeeps(t *testing.T, f *fixture) {
	s := f.sessionBy(t, f.identity(t, f.user(t).Subject))
	cookie := name("cookie")
	got, err := f.UpdateSession(bg, s.ID, func(s *storage.Session) error { s.CookieHash = cookie; return nil })
	need(t, err)
	same(t, "answer", []string{got.Upstream, got.ExternalID, got.UpstreamSID, string(got.UpstreamToken)}, []string{s.Upstream, s.ExternalID, s.UpstreamSID, "sealed"})
	row, _, err := f.SessionByCookie(bg, cookie)
	need(t, err)
	same(t, "row", []string{row.Upstream, row.ExternalID, row.UpstreamSID}, []string{s.Upstream, s.ExternalID, s.UpstreamSID})
	token, err := f.UpstreamToken(bg, s.ID)
	need(t, err)
	same(t, "token", string(token), "sealed")
	_, err = f.UpdateSession(bg, s.ID, func(s *storage.Session) error { s.UpstreamSID, s.UpstreamToken = "new", nil; return errChange })
	wantErr(t, "UpdateSession", err, errChange)
	token, err = f.UpstreamToken(bg, s.ID)
	need(t, err)
	same(t, "token after a refused change", string(token), "sealed")
}

func upstreamUpdateWrites(t *testing.T, f *fixture) {
	s := f.session(t, f.user(t).Subject)
	for _, want := range []storage.Session{{Upstream: "google", ExternalID: "1", UpstreamSID: "sid", UpstreamToken: []byte("one")},
		{Upstream: "github", ExternalID: "2"}, {}} {
		got, err := f.UpdateSession(bg, s.ID, func(s *storage.Session) error {
			s.Upstream, s.ExternalID, s.UpstreamSID, s.UpstreamToken = want.Upstream, want.ExternalID, want.UpstreamSID, want.UpstreamToken
			return nil
		})
		need(t, err)
		row, _, err := f.SessionByCookie(bg, s.CookieHash)
		need(t, err)
		for what, s := range map[string]*storage.Session{"answer": got, "row": row} {
			same(t, what, []string{s.Upstream, s.ExternalID, s.UpstreamSID}, []string{want.Upstream, want.ExternalID, want.UpstreamSID})
		}
		token, err := f.UpstreamToken(bg, s.ID)
		need(t, err)
		same(t, "token", [][]byte{token, got.UpstreamToken}, [][]byte{want.UpstreamToken, want.UpstreamToken})
	}
}

func upstreamNoToken(t *testing.T, f *fixture) {
	u := f.user(t)
	local := f.session(t, u.Subject)
	token, err := f.UpstreamToken(bg, local.ID)
	need(t, err)
	if token != nil {
		t.Errorf("token %q of a local session", token)
	}
	_, err = f.UpstreamToken(bg, name("sid"))
	wantErr(t, "a missing session", err, storage.ErrNotFound)
	s := f.sessionBy(t, f.identity(t, u.Subject))
	f.clock.advance(time.Hour)
	_, err = f.UpstreamToken(bg, s.ID)
	wantErr(t, "at Absolute", err, storage.ErrNotFound)
	ended := f.sessionBy(t, f.identity(t, f.user(t).Subject))
	need(t, f.EndSession(bg, ended.ID))
	_, err = f.UpstreamToken(bg, ended.ID)
	wantErr(t, "an ended session", err, storage.ErrNotFound)
}

func upstreamCopies(t *testing.T, f *fixture) {
	s := f.sessionBy(t, f.identity(t, f.user(t).Subject))
	s.UpstreamToken[0] = 'X'
	for range 2 {
		token, err := f.UpstreamToken(bg, s.ID)
		need(t, err)
		same(t, "token", string(token), "sealed")
		token[0] = 'X'
	}
}

// upstreamEnd: an account, a session of the provider's, or that session of that account; an empty text says nothing.
func upstreamEnd(t *testing.T, f *fixture) {
	for what, of := range map[string]func(s *storage.Session) (upstream, externalID, sid string){
		"account": func(s *storage.Session) (string, string, string) { return s.Upstream, s.ExternalID, "" },
		"sid":     func(s *storage.Session) (string, string, string) { return s.Upstream, "", s.UpstreamSID },
		"both":    func(s *storage.Session) (string, string, string) { return s.Upstream, s.ExternalID, s.UpstreamSID },
	} {
		alice, bob := f.identity(t, f.user(t).Subject), f.identity(t, f.user(t).Subject)
		s, sibling, foreign := f.sessionBy(t, alice), f.sessionBy(t, alice), f.sessionBy(t, bob)
		abroad := f.unsaved(bob.Subject) // all the same, at another provider
		abroad.Upstream, abroad.ExternalID, abroad.UpstreamSID = "github", s.ExternalID, s.UpstreamSID
		need(t, f.CreateSession(bg, abroad))
		want := []*storage.Session{s}
		if what == "account" {
			want = append(want, sibling)
		}
		before := versions(t, f)[storage.TopicRevocations]
		upstream, externalID, sid := of(s)
		n, err := f.EndUpstreamSessions(bg, upstream, externalID, sid)
		need(t, err)
		same(t, what+": sessions", n, len(want))
		same(t, what+": revocations", f.revoked(t, before, storage.RevokeSession), idsOf(want...))
		f.wantSession(t, what, s, false)
		f.wantSession(t, what+": the other session of the account", sibling, what != "account")
		f.wantSession(t, what+": another account", foreign, true)
		f.wantSession(t, what+": another provider", abroad, true)
		n, err = f.EndUpstreamSessions(bg, upstream, externalID, sid)
		need(t, err)
		same(t, what+": again", n, 0)
		n, err = f.EndUpstreamSessions(bg, foreign.Upstream, s.ExternalID, foreign.UpstreamSID)
		need(t, err)
		same(t, what+": the account of one and the session of another", n, 0)
	}
}

// upstreamEndWithoutSID: a session whose provider never told its sid goes with the account, also if the logout names one.
func upstreamEndWithoutSID(t *testing.T, f *fixture) {
	i := f.identity(t, f.user(t).Subject)
	silent, other := f.unsavedBy(t, i), f.sessionBy(t, i)
	silent.UpstreamSID = ""
	need(t, f.CreateSession(bg, silent))
	n, err := f.EndUpstreamSessions(bg, i.Upstream, i.ExternalID, name("sid"))
	need(t, err)
	same(t, "sessions", n, 1)
	f.wantSession(t, "without sid", silent, false)
	f.wantSession(t, "of another sid", other, true)
}

func upstreamEndTells(t *testing.T, f *fixture) {
	i, client := f.identity(t, f.user(t).Subject), f.listener(t)
	ended, local := []*storage.Session{f.sessionBy(t, i), f.sessionBy(t, i)}, f.session(t, i.Subject)
	var tokens [][]*storage.Token
	for _, s := range append(ended, local) {
		f.visit(t, s, client)
		tokens = append(tokens, f.household(t, i.Subject, client.ID, s.ID))
	}
	n, err := f.EndUpstreamSessions(bg, i.Upstream, i.ExternalID, "")
	need(t, err)
	same(t, "sessions", n, 2)
	same(t, "deliveries", f.owed(t, i.Subject), pairs(ended, client))
	gone(t, f, "a token of the first", tokens[0][1])
	gone(t, f, "a token of the second", tokens[1][1])
	alive(t, f, "a token of the local session", tokens[2][1])
	f.wantIdentity(t, "the identity", i)
}

// upstreamSparesLocal: emptiness names no session, neither the local ones, nor those whose provider tells no sid.
func upstreamSparesLocal(t *testing.T, f *fixture) {
	i := f.identity(t, f.user(t).Subject)
	local, silent, whole := f.session(t, i.Subject), f.unsaved(i.Subject), f.sessionBy(t, i)
	silent.Upstream, silent.ExternalID = i.Upstream, name("account")
	need(t, f.CreateSession(bg, silent))
	before := versions(t, f)
	for _, key := range [][3]string{{"", "", ""}, {i.Upstream, "", ""}, {"", i.ExternalID, ""}, {"", "", whole.UpstreamSID}, {"", i.ExternalID, whole.UpstreamSID},
		{i.Upstream, name("account"), ""}, {i.Upstream, "", name("sid")}} {
		n, err := f.EndUpstreamSessions(bg, key[0], key[1], key[2])
		need(t, err)
		same(t, "sessions", n, 0)
	}
	for _, s := range []*storage.Session{local, silent, whole} {
		f.wantSession(t, "a session", s, true)
	}
	same(t, "versions", versions(t, f), before)
}
