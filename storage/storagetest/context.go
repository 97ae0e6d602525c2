package storagetest

import (
	"context"
	"maps"
	"testing"
	"time"

	"gatehouse/storage"
)

// testContext: an operation whose caller has gone away answers ErrUnavailable and saves nothing.
func testContext(t *testing.T, open Opener) {
	f := newFixture(t, open)
	need(t, f.Ping(bg))
	gone, cancel := context.WithCancel(bg)
	cancel()
	h := f.home(t)
	left, before := f.has(t, h), versions(t, f)
	writes := writesWith(gone, f, h)
	maps.Copy(writes, protocolWritesWith(gone, f, h))
	maps.Copy(writes, peopleWritesWith(gone, f, h))
	for what, op := range writes {
		t.Run(what, func(t *testing.T) { wantErr(t, what, op(), storage.ErrUnavailable) })
	}
	for what, op := range readsWith(gone, f, h) {
		t.Run(what, func(t *testing.T) { wantErr(t, what, op(), storage.ErrUnavailable) })
	}
	same(t, "what is left", f.has(t, h), left)
	same(t, "versions", versions(t, f), before)
	if !alive(t, f, "refresh token", h.tokens[1]).ConsumedAt.IsZero() {
		t.Error("the refresh token was consumed")
	}
	need(t, f.Ping(bg))
}

func writesWith(ctx context.Context, f *fixture, h *home) map[string]func() error {
	now := f.clock.Now()
	return map[string]func() error{
		"CreateClient": func() error { return f.CreateClient(ctx, &storage.Client{ID: name("client")}) },
		"UpdateClient": func() error {
			_, err := f.UpdateClient(ctx, h.client.ID, func(*storage.Client) error { return nil })
			return err
		},
		"DeleteClient": func() error { return f.DeleteClient(ctx, h.client.ID) },
		"CreateUser":   func() error { return f.CreateUser(ctx, &storage.User{Subject: name("user")}, "") },
		"UpdateUser": func() error {
			_, err := f.UpdateUser(ctx, h.user.Subject, func(*storage.User) error { return nil })
			return err
		},
		"DeleteUser":      func() error { return f.DeleteUser(ctx, h.user.Subject) },
		"SetPassword":     func() error { return f.SetPassword(ctx, h.user.Subject, "x") },
		"ReplacePassword": func() error { return f.ReplacePassword(ctx, h.user.Subject, "x", 0) },
		"RehashPassword":  func() error { return f.RehashPassword(ctx, h.user.Subject, "hash-of-"+h.user.Subject, "x") },
		"CreateSession": func() error {
			s := *h.session
			s.ID, s.CookieHash = name("sid"), name("cookie")
			return f.CreateSession(ctx, &s)
		},
		"UpdateSession": func() error {
			_, err := f.UpdateSession(ctx, h.session.ID, func(*storage.Session) error { return nil })
			return err
		},
		"TouchSession": func() error { return f.TouchSession(ctx, h.session.ID, now.Add(time.Minute)) },
		"EndSession":   func() error { return f.EndSession(ctx, h.session.ID) },
		"EndUpstreamSessions": func() error {
			_, err := f.EndUpstreamSessions(ctx, h.session.Upstream, h.session.ExternalID, "")
			return err
		},
		"CreateIdentity": func() error { return f.CreateIdentity(ctx, account(h.user.Subject), 0) },
		"CreateUserIdentity": func() error {
			return f.CreateUserIdentity(ctx, &storage.User{Subject: name("user")}, account(""))
		},
		"AdoptUser":     func() error { _, err := f.AdoptUser(ctx, h.user.EmailKey, account("")); return err },
		"TouchIdentity": func() error { return f.TouchIdentity(ctx, h.identity.Upstream, h.identity.ExternalID, "x", nil, now) },
		"DeleteIdentity": func() error {
			return f.DeleteIdentity(ctx, h.user.Subject, h.identity.Upstream, h.identity.ExternalID, nil)
		},
	}
}

// protocolWritesWith are the writes of requests, grants and keys.
func protocolWritesWith(ctx context.Context, f *fixture, h *home) map[string]func() error {
	now, refresh := f.clock.Now(), h.tokens[1]
	return map[string]func() error{
		"CreateInteraction": func() error {
			return f.CreateInteraction(ctx, &storage.Interaction{ID: name("in"), Kind: storage.InteractionAccount, Expires: now.Add(time.Hour)})
		},
		"AddSessionClient":   func() error { return f.AddSessionClient(ctx, h.session.ID, h.client.ID) },
		"ClaimLogouts":       func() error { _, err := f.ClaimLogouts(ctx, now, time.Minute, 10); return err },
		"RetryLogout":        func() error { return f.RetryLogout(ctx, name("delivery"), now, true) },
		"FinishLogout":       func() error { return f.FinishLogout(ctx, name("delivery")) },
		"TouchClients":       func() error { return f.TouchClients(ctx, []string{h.client.ID}, now) },
		"ConsumeInteraction": func() error { return f.ConsumeInteraction(ctx, name("in")) },
		"GrantConsent": func() error {
			return f.GrantConsent(ctx, &storage.Consent{Subject: h.user.Subject, ClientID: h.client.ID, Scopes: []string{"x"}, Created: now, Updated: now})
		},
		"RevokeConsent": func() error { return f.RevokeConsent(ctx, h.user.Subject, h.client.ID) },
		"CreateToken":   func() error { return f.CreateToken(ctx, f.token(storage.TokenCode)) },
		"ExchangeToken": func() error {
			return f.ExchangeToken(ctx, refresh.Kind, refresh.Signature, nil, next(refresh, storage.TokenRefresh))
		},
		"RevokeTokens": func() error {
			_, err := f.RevokeTokens(ctx, storage.Revocation{Kind: storage.RevokeGrant, ID: refresh.GrantID})
			return err
		},
		"ChangeSigningKeys": func() error {
			return f.ChangeSigningKeys(ctx, func([]*storage.SigningKey) ([]*storage.SigningKey, error) { return []*storage.SigningKey{f.key()}, nil })
		},
		"CreateSecret": func() error { return f.CreateSecret(ctx, name("secret"), []byte{1}) },
		"Remember":     func() error { return f.Remember(ctx, name("jti"), now.Add(time.Hour)) },
		"SwapRate":     func() error { _, err := f.SwapRate(ctx, name("rate"), time.Time{}, now); return err },
		"PutLogo": func() error {
			return f.PutLogo(ctx, &storage.Logo{ClientID: h.client.ID, ContentType: "image/png", Data: []byte{2}, Fetched: now})
		},
		"CreateNotice": func() error {
			return f.CreateNotice(ctx, &storage.Notice{ID: name("notice"), Subject: h.user.Subject, Kind: "x", Created: now})
		},
		"DismissNotice": func() error { return f.DismissNotice(ctx, h.user.Subject, h.notice.ID) },
		"Purge":         func() error { _, err := f.Purge(ctx, now, 10); return err },
	}
}

func readsWith(ctx context.Context, f *fixture, h *home) map[string]func() error {
	return map[string]func() error{
		"Client":             func() error { _, err := f.Client(ctx, h.client.ID); return err },
		"ListClients":        func() error { _, err := f.ListClients(ctx, "", 10); return err },
		"User":               func() error { _, err := f.User(ctx, h.user.Subject); return err },
		"UserByLogin":        func() error { _, _, err := f.UserByLogin(ctx, h.user.EmailKey); return err },
		"ListUsers":          func() error { _, err := f.ListUsers(ctx, "", 10); return err },
		"SessionByCookie":    func() error { _, _, err := f.SessionByCookie(ctx, h.session.CookieHash); return err },
		"Identity":           func() error { _, _, err := f.Identity(ctx, h.identity.Upstream, h.identity.ExternalID); return err },
		"IdentitiesOf":       func() error { _, err := f.IdentitiesOf(ctx, h.user.Subject); return err },
		"UpstreamToken":      func() error { _, err := f.UpstreamToken(ctx, h.session.ID); return err },
		"SessionsOf":         func() error { _, err := f.SessionsOf(ctx, h.user.Subject); return err },
		"ListSessions":       func() error { _, err := f.ListSessions(ctx, "", 10); return err },
		"SessionClients":     func() error { _, err := f.SessionClients(ctx, h.session.ID); return err },
		"LateInteraction":    func() error { _, err := f.LateInteraction(ctx, name("in")); return err },
		"Interaction":        func() error { _, err := f.Interaction(ctx, name("in")); return err },
		"Consent":            func() error { _, err := f.Consent(ctx, h.user.Subject, h.client.ID); return err },
		"ConsentsOf":         func() error { _, err := f.ConsentsOf(ctx, h.user.Subject); return err },
		"Token":              func() error { _, err := f.Token(ctx, storage.TokenRefresh, h.tokens[1].Signature); return err },
		"GrantsOf":           func() error { _, err := f.GrantsOf(ctx, h.user.Subject); return err },
		"SigningKeys":        func() error { _, err := f.SigningKeys(ctx); return err },
		"Secret":             func() error { _, err := f.Secret(ctx, name("secret")); return err },
		"HoldsSealed":        func() error { _, err := f.HoldsSealed(ctx); return err },
		"Changes":            func() error { _, err := f.Changes(ctx); return err },
		"ClientUpdated":      func() error { _, err := f.ClientUpdated(ctx, h.client.ID); return err },
		"Revocations":        func() error { _, err := f.Revocations(ctx, 0); return err },
		"Rate":               func() error { _, err := f.Rate(ctx, name("rate")); return err },
		"Logo":               func() error { _, err := f.Logo(ctx, h.client.ID); return err },
		"Notices":            func() error { _, err := f.Notices(ctx, h.user.Subject); return err },
		"FactorsOf":          func() error { _, err := f.FactorsOf(ctx, h.user.Subject); return err },
		"FactorByCredential": func() error { _, _, err := f.FactorByCredential(ctx, h.factor.CredentialID); return err },
		"RecoveryCodes":      func() error { _, err := f.RecoveryCodes(ctx, h.user.Subject); return err },
		"Ticket":             func() error { _, err := f.Ticket(ctx, h.ticket.Kind, h.ticket.Signature); return err },
		"WaitingMails":       func() error { _, err := f.WaitingMails(ctx, f.clock.Now()); return err },
		"Activities":         func() error { _, err := f.Activities(ctx, h.user.Subject, 10); return err },
		"DevicesOf":          func() error { _, err := f.DevicesOf(ctx, h.user.Subject); return err },
		"ExportUsers":        func() error { _, err := f.ExportUsers(ctx, "", 10); return err },
		"Ping":               func() error { return f.Ping(ctx) },
	}
}
