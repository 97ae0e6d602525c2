package storagetest

import (
	"testing"

	"gatehouse/storage"
)

// hostileLookups: a key that no row can have is a key that no row has. A 503 would let anybody raise alarms with one NUL byte.
func hostileLookups(t *testing.T, f *fixture, s string) {
	u := f.user(t)
	lookups := map[string]func() error{
		"Client":             func() error { _, err := f.Client(bg, s); return err },
		"ClientUpdated":      func() error { _, err := f.ClientUpdated(bg, s); return err },
		"User":               func() error { _, err := f.User(bg, s); return err },
		"UserByLogin":        func() error { _, _, err := f.UserByLogin(bg, s); return err },
		"SessionByCookie":    func() error { _, _, err := f.SessionByCookie(bg, s); return err },
		"LateInteraction":    func() error { _, err := f.LateInteraction(bg, s); return err },
		"Interaction":        func() error { _, err := f.Interaction(bg, s); return err },
		"ConsumeInteraction": func() error { return f.ConsumeInteraction(bg, s) },
		"Consent":            func() error { _, err := f.Consent(bg, s, s); return err },
		"Token":              func() error { _, err := f.Token(bg, storage.TokenAccess, s); return err },
		"Logo":               func() error { _, err := f.Logo(bg, s); return err },
		"AddSessionClient":   func() error { return f.AddSessionClient(bg, s, "app") },
		"Secret":             func() error { _, err := f.Secret(bg, s); return err },
		"Identity":           func() error { _, _, err := f.Identity(bg, "google", s); return err },
		"IdentityAtUpstream": func() error { _, _, err := f.Identity(bg, s, "1"); return err },
		"AdoptUser":          func() error { _, err := f.AdoptUser(bg, s, account("")); return err },
		"DeleteIdentity":     func() error { return f.DeleteIdentity(bg, u.Subject, "google", s, nil) },
		"DeleteIdentityOf":   func() error { return f.DeleteIdentity(bg, s, "google", "1", nil) },
		"FactorByCredential": func() error { _, _, err := f.FactorByCredential(bg, s); return err },
		"UseFactor":          func() error { return f.UseFactor(bg, s, 1, nil, f.clock.Now()) },
		"RenameFactor":       func() error { return f.RenameFactor(bg, u.Subject, s, "x") },
		"RenameFactorOf":     func() error { return f.RenameFactor(bg, s, "x", "x") },
		"DeleteFactor":       func() error { return f.DeleteFactor(bg, u.Subject, s, false, everything) },
		"DeleteFactorOf":     func() error { return f.DeleteFactor(bg, s, "x", false, everything) },
		"CreateFactorOf":     func() error { return f.CreateFactor(bg, f.unsavedFactor(s, storage.FactorTOTP), 0) },
		"SetRecoveryCodes":   func() error { return f.SetRecoveryCodes(bg, s, []string{"a"}, 0) },
		"UseRecoveryCode":    func() error { _, err := f.UseRecoveryCode(bg, u.Subject, s); return err },
		"UseRecoveryCodeOf":  func() error { _, err := f.UseRecoveryCode(bg, s, "a"); return err },
		"Ticket":             func() error { _, err := f.Ticket(bg, storage.TicketReset, s); return err },
		"ConsumeTicket":      func() error { _, err := f.ConsumeTicket(bg, storage.TicketReset, s); return err },
		"RevertUser":         func() error { _, err := f.RevertUser(bg, s, f.clock.Now()); return err },
		"UseDevice":          func() error { _, err := f.UseDevice(bg, u.Subject, s, "next", f.clock.Now()); return err },
		"UseDeviceOf":        func() error { _, err := f.UseDevice(bg, s, "old", "next", f.clock.Now()); return err },
		"FailPassword":       func() error { _, err := f.FailPassword(bg, s, f.clock.Now()); return err },
		"UpstreamToken":      func() error { _, err := f.UpstreamToken(bg, s); return err },
	}
	for what, lookup := range lookups {
		wantErr(t, what, lookup(), storage.ErrNotFound)
	}
	clients, err := f.SessionClients(bg, s)
	need(t, err)
	same(t, "clients of a session that cannot be", len(clients), 0)
	identities, err := f.IdentitiesOf(bg, s)
	need(t, err)
	same(t, "identities of a user that cannot be", len(identities), 0)
	n, err := f.EndUpstreamSessions(bg, "google", s, s)
	need(t, err)
	same(t, "sessions of an account that cannot be", n, 0)
	wantErr(t, "TouchIdentity", f.TouchIdentity(bg, "google", s, "label", nil, f.clock.Now()), storage.ErrNotFound)
	need(t, f.RetryLogout(bg, s, f.clock.Now(), true))
	need(t, f.FinishLogout(bg, s))
	f.hostileLists(t, s)
	wantErr(t, "ExchangeToken", f.ExchangeToken(bg, storage.TokenCode, s, nil), storage.ErrConsumed)
}

// hostileLists: nobody has a name that nobody can have, so that there is nothing to list or to change.
func (f *fixture) hostileLists(t *testing.T, s string) {
	t.Helper()
	f.wantFactors(t, "factors of a user that cannot be", s)
	f.wantCodes(t, "codes of a user that cannot be", s, 0)
	f.wantDevices(t, "devices of a user that cannot be", s)
	same(t, "grants of a user that cannot be", len(f.granted(t, s)), 0)
	same(t, "activities of a user that cannot be", len(f.activities(t, s, 10)), 0)
	need(t, f.AddActivity(bg, f.unsavedActivity(s)))
	need(t, f.ClearFailures(bg, s, 1))
	returned, err := f.ReturnTickets(bg, s, s)
	need(t, err)
	same(t, "returned", returned, false)
	need(t, f.RevokeTickets(bg, s))
	need(t, f.RevokeTickets(bg, s, storage.TicketReset))
	need(t, f.DeleteDevice(bg, s, ""))
	need(t, f.DeleteDevice(bg, f.user(t).Subject, s))
	need(t, f.RetryMail(bg, s, f.clock.Now()))
	need(t, f.FinishMail(bg, s))
}
