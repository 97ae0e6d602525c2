package storagetest

import (
	"testing"
	"time"

	"gatehouse/storage"
)

// testCascades: what goes with a user, a client, a session, a password or a consent, and what stays.
func testCascades(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{
		{"DeleteUser", cascadeDeleteUser}, {"SetPassword", cascadeSetPassword}, {"DisableUser", cascadeDisableUser},
		{"DeleteClient", cascadeDeleteClient}, {"ExpiredClient", cascadeExpiredClient}, {"DisableClient", cascadeDisableClient}, {"RevokeConsent", cascadeRevokeConsent},
		{"EndSession", cascadeEndSession}, {"EndUpstreamSessions", cascadeEndUpstream}, {"DeleteIdentity", cascadeDeleteIdentity}, {"AdoptUser", cascadeAdoptUser},
		{"MissingStillRevokes", cascadeMissing},
	})
}

// home is a user with all that can belong to one, and a neighbour with the same.
type home struct {
	user     *storage.User
	identity *storage.Identity
	client   *storage.Client
	session  *storage.Session // that came by the identity
	notice   *storage.Notice
	factor   *storage.Factor
	ticket   *storage.Ticket
	tokens   []*storage.Token
}

func (f *fixture) home(t *testing.T) *home {
	t.Helper()
	h := &home{user: f.user(t), client: f.listener(t)}
	ended := f.session(t, h.user.Subject)
	f.visit(t, ended, h.client)
	need(t, f.EndSession(bg, ended.ID))
	h.identity = f.identity(t, h.user.Subject)
	h.session = f.sessionBy(t, h.identity)
	h.tokens = f.household(t, h.user.Subject, h.client.ID, h.session.ID)
	f.grant(t, h.user.Subject, h.client.ID, []string{"openid"}, nil)
	h.notice = &storage.Notice{ID: name("notice"), Subject: h.user.Subject, Kind: "refresh_reuse", ClientID: h.client.ID, Created: f.clock.Now()}
	need(t, f.CreateNotice(bg, h.notice))
	h.factor, h.ticket = f.factor(t, h.user.Subject, storage.FactorPasskey), f.ticket(t, storage.TicketEmail, h.user)
	f.codes(t, h.user.Subject, "a", "b")
	f.device(t, h.user.Subject)
	f.activity(t, h.user.Subject)
	need(t, f.PutLogo(bg, &storage.Logo{ClientID: h.client.ID, ContentType: "image/png", Data: []byte{1}, Fetched: f.clock.Now()}))
	return h
}

// has lists which parts of a home are left.
func (f *fixture) has(t *testing.T, h *home) map[string]bool {
	t.Helper()
	left := map[string]bool{}
	note := func(part string, err error) {
		if err == nil {
			left[part] = true
		} else {
			wantErr(t, part, err, storage.ErrNotFound)
		}
	}
	_, err := f.User(bg, h.user.Subject)
	note("user", err)
	_, _, err = f.UserByLogin(bg, h.user.EmailKey)
	note("login", err)
	_, _, err = f.Identity(bg, h.identity.Upstream, h.identity.ExternalID)
	note("identity", err)
	_, err = f.Client(bg, h.client.ID)
	note("client", err)
	_, err = f.Logo(bg, h.client.ID)
	note("logo", err)
	_, _, err = f.SessionByCookie(bg, h.session.CookieHash)
	note("session", err)
	_, err = f.Consent(bg, h.user.Subject, h.client.ID)
	note("consent", err)
	for _, tok := range h.tokens {
		_, err = f.Token(bg, tok.Kind, tok.Signature)
		note(string(tok.Kind), err)
	}
	_, _, err = f.FactorByCredential(bg, h.factor.CredentialID)
	note("factor", err)
	_, err = f.Ticket(bg, h.ticket.Kind, h.ticket.Signature)
	note("ticket", err)
	f.hasLists(t, h, left)
	return left
}

// hasLists notes what is kept in lists.
func (f *fixture) hasLists(t *testing.T, h *home, left map[string]bool) {
	t.Helper()
	codes, err := f.RecoveryCodes(bg, h.user.Subject)
	need(t, err)
	if codes > 0 {
		left["codes"] = true
	}
	devices, err := f.DevicesOf(bg, h.user.Subject)
	need(t, err)
	if len(devices) > 0 {
		left["device"] = true
	}
	if len(f.activities(t, h.user.Subject, 10)) > 0 {
		left["activity"] = true
	}
	notices, err := f.Notices(bg, h.user.Subject)
	need(t, err)
	if len(notices) > 0 {
		left["notice"] = true
	}
	if len(f.deliveries(t, h.user.Subject)) > 0 {
		left["delivery"] = true
	}
}

// cascade runs act on one home and checks what it took with it, that a revocation was written, and that the neighbour is whole.
func (f *fixture) cascade(t *testing.T, act func(*home) error, kind storage.RevocationKind, id func(*storage.Token) string, lost ...string) {
	t.Helper()
	h, neighbour := f.home(t), f.home(t)
	whole, before := f.has(t, neighbour), versions(t, f)[storage.TopicRevocations]
	need(t, act(h))
	want := map[string]bool{}
	for part := range whole {
		want[part] = true
	}
	for _, part := range append(lost, "code", "refresh", "access") {
		delete(want, part)
	}
	same(t, "what is left", f.has(t, h), want)
	same(t, "what the neighbour has", f.has(t, neighbour), whole)
	rows, err := f.Revocations(bg, before)
	need(t, err)
	if len(rows) != 1 || rows[0].Kind != kind || rows[0].ID != id(h.tokens[0]) || rows[0].Before.Before(f.clock.Now().Truncate(time.Millisecond)) {
		t.Errorf("revocations %+v, want one of kind %s up to now", rows, kind)
	}
}

func subjectOf(t *storage.Token) string { return t.Subject }

func clientOf(t *storage.Token) string { return t.ClientID }

func cascadeDeleteUser(t *testing.T, f *fixture) {
	var h *home
	f.cascade(t, func(it *home) error { h = it; return f.DeleteUser(bg, h.user.Subject) }, storage.RevokeSubject, subjectOf,
		"user", "login", "identity", "session", "consent", "notice", "factor", "codes", "ticket", "device", "activity")
	wantErr(t, "again", f.DeleteUser(bg, h.user.Subject), storage.ErrNotFound)
	need(t, f.CreateUser(bg, &storage.User{Subject: name("user"), EmailKey: h.user.EmailKey, UsernameKey: h.user.UsernameKey}, ""))
	_, password, err := f.UserByLogin(bg, h.user.EmailKey)
	need(t, err)
	same(t, "password of the next holder of the address", password, "")
}

func cascadeSetPassword(t *testing.T, f *fixture) {
	f.cascade(t, func(h *home) error { return f.SetPassword(bg, h.user.Subject, "new") }, storage.RevokeSubject, subjectOf, "session",
		"ticket", "device")
}

func cascadeDisableUser(t *testing.T, f *fixture) {
	f.cascade(t, func(h *home) error {
		_, err := f.UpdateUser(bg, h.user.Subject, func(u *storage.User) error { u.Disabled = true; return nil })
		return err
	}, storage.RevokeSubject, subjectOf, "session", "ticket", "device")
}

func cascadeDeleteClient(t *testing.T, f *fixture) {
	before := versions(t, f)[storage.TopicClients]
	f.cascade(t, func(h *home) error { return f.DeleteClient(bg, h.client.ID) }, storage.RevokeClient, clientOf, "client", "logo", "consent", "delivery")
	if versions(t, f)[storage.TopicClients] <= before+1 {
		t.Error("the version of the clients did not grow with the deletion")
	}
}

// cascadeExpiredClient: a client that expires goes as a deleted one.
func cascadeExpiredClient(t *testing.T, f *fixture) {
	f.cascade(t, func(h *home) error {
		_, err := f.UpdateClient(bg, h.client.ID, func(c *storage.Client) error { c.Expires = f.clock.Now().Add(-storage.ClientGrace); return nil })
		need(t, err)
		_, err = f.Purge(bg, f.clock.Now(), 1000)
		return err
	}, storage.RevokeClient, clientOf, "client", "logo", "consent", "delivery")
}

func cascadeDisableClient(t *testing.T, f *fixture) {
	f.cascade(t, func(h *home) error {
		_, err := f.UpdateClient(bg, h.client.ID, func(c *storage.Client) error { c.Disabled = true; return nil })
		return err
	}, storage.RevokeClient, clientOf)
}

func cascadeRevokeConsent(t *testing.T, f *fixture) {
	f.cascade(t, func(h *home) error { return f.RevokeConsent(bg, h.user.Subject, h.client.ID) }, storage.RevokeSubjectClient,
		func(t *storage.Token) string { return storage.SubjectClient(t.Subject, t.ClientID) }, "consent")
}

func cascadeEndSession(t *testing.T, f *fixture) {
	f.cascade(t, func(h *home) error { return f.EndSession(bg, h.session.ID) }, storage.RevokeSession,
		func(t *storage.Token) string { return t.SessionID }, "session")
}

func cascadeEndUpstream(t *testing.T, f *fixture) {
	f.cascade(t, func(h *home) error {
		_, err := f.EndUpstreamSessions(bg, h.session.Upstream, h.session.ExternalID, "")
		return err
	}, storage.RevokeSession, func(t *storage.Token) string { return t.SessionID }, "session")
}

func cascadeDeleteIdentity(t *testing.T, f *fixture) {
	f.cascade(t, func(h *home) error {
		return f.DeleteIdentity(bg, h.user.Subject, h.identity.Upstream, h.identity.ExternalID, everything)
	},
		storage.RevokeSession, func(t *storage.Token) string { return t.SessionID }, "identity", "session")
}

// cascadeAdoptUser: a consent of the squatter's could be for a client of the squatter's.
func cascadeAdoptUser(t *testing.T, f *fixture) {
	f.cascade(t, func(h *home) error { _, err := f.AdoptUser(bg, h.user.EmailKey, account("")); return err }, storage.RevokeSubject, subjectOf,
		"identity", "session", "consent", "factor", "codes", "ticket", "device")
}

// cascadeMissing: tokens may outlive the session or the consent that they came from, and must still be reachable by its name.
func cascadeMissing(t *testing.T, f *fixture) {
	subject, clientID, sid := name("user"), name("client"), name("sid")
	mine := f.household(t, subject, clientID, sid)
	need(t, f.EndSession(bg, sid))
	gone(t, f, "after EndSession", mine[1])
	mine = f.household(t, subject, clientID, name("sid"))
	need(t, f.RevokeConsent(bg, subject, clientID))
	gone(t, f, "after RevokeConsent", mine[1])
}
