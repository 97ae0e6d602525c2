package storagetest

import (
	"errors"
	"time"

	"gatehouse/storage"
)

// killer is one way to kill a family.
type killer struct {
	name string
	kill func(s storage.Store, t *storage.Token) error
}

func revoke(kind storage.RevocationKind, id func(*storage.Token) string) func(storage.Store, *storage.Token) error {
	return func(s storage.Store, t *storage.Token) error {
		_, err := s.RevokeTokens(bg, storage.Revocation{Kind: kind, ID: id(t)})
		return err
	}
}

// killers is every operation that revokes more than one access token.
var killers = []killer{
	{"RevokeGrant", revoke(storage.RevokeGrant, func(t *storage.Token) string { return t.GrantID })},
	{"RevokeSession", revoke(storage.RevokeSession, func(t *storage.Token) string { return t.SessionID })},
	{"RevokeSubject", revoke(storage.RevokeSubject, func(t *storage.Token) string { return t.Subject })},
	{"RevokeClient", revoke(storage.RevokeClient, func(t *storage.Token) string { return t.ClientID })},
	{"RevokeSubjectClient", revoke(storage.RevokeSubjectClient, func(t *storage.Token) string { return storage.SubjectClient(t.Subject, t.ClientID) })},
	{"EndSession", func(s storage.Store, t *storage.Token) error { return s.EndSession(bg, t.SessionID) }},
	{"RevokeConsent", func(s storage.Store, t *storage.Token) error { return s.RevokeConsent(bg, t.Subject, t.ClientID) }},
	{"SetPassword", func(s storage.Store, t *storage.Token) error { return s.SetPassword(bg, t.Subject, "new") }},
	{"DisableUser", func(s storage.Store, t *storage.Token) error {
		_, err := s.UpdateUser(bg, t.Subject, func(u *storage.User) error { u.Disabled = true; return nil })
		return err
	}},
	{"DeleteUser", func(s storage.Store, t *storage.Token) error { return s.DeleteUser(bg, t.Subject) }},
	{"AdoptUser", adopt}, {"DeleteIdentity", unlink}, {"EndUpstreamSessions", endUpstream},
	{"DisableClient", func(s storage.Store, t *storage.Token) error {
		_, err := s.UpdateClient(bg, t.ClientID, func(c *storage.Client) error { c.Disabled = true; return nil })
		return err
	}},
	{"DeleteClient", func(s storage.Store, t *storage.Token) error { return s.DeleteClient(bg, t.ClientID) }},
}

// family stores a user, a client, a session that came by an identity, and a code that belongs to them.
func (r racer) family() *storage.Token {
	r.t.Helper()
	tok := r.token(storage.TokenCode)
	tok.Subject, tok.ClientID = r.user(r.t).Subject, r.client(r.t).ID
	tok.SessionID = r.sessionBy(r.t, r.identity(r.t, tok.Subject)).ID
	need(r.t, r.CreateToken(bg, tok))
	return tok
}

// raceKill: one caller kills the family while the others exchange its code, and each goes on down its own chain of refresh tokens. Whatever
// commits first, nothing of the family is alive afterwards.
func raceKill(r racer, k killer) {
	code := r.family()
	const depth = 3
	var made [Parallel][]*storage.Token
	r.every(r.rush(func(i int, s storage.Store) error {
		if i == Parallel-1 {
			return k.kill(s, code)
		}
		from := code
		for range depth {
			refresh, access := next(code, storage.TokenRefresh), next(code, storage.TokenAccess)
			made[i] = append(made[i], refresh, access)
			if err := s.ExchangeToken(bg, from.Kind, from.Signature, []byte("s"), refresh, access); err != nil {
				return loserOf(err)
			}
			from = refresh
		}
		return nil
	}))
	gone(r.t, r, "the code", code)
	for _, mine := range made {
		for _, tok := range mine {
			if _, err := r.Token(bg, tok.Kind, tok.Signature); !errors.Is(err, storage.ErrNotFound) {
				r.t.Fatalf("%s token alive after %s: %v", tok.Kind, k.name, err)
			}
		}
	}
}

// loserOf makes nil of the one error that a lost exchange may have.
func loserOf(err error) error {
	if errors.Is(err, storage.ErrConsumed) {
		return nil
	}
	return err
}

// raceNoDeadlock lets operations that touch many of the same rows in different orders run into each other: they may lose, but not fail.
func raceNoDeadlock(r racer) {
	code, refresh := r.family(), r.token(storage.TokenRefresh)
	refresh.Subject, refresh.ClientID, refresh.SessionID = code.Subject, code.ClientID, code.SessionID
	need(r.t, r.CreateToken(bg, refresh))
	now := r.clock.Now()
	acts := [Parallel]func(s storage.Store) error{
		func(s storage.Store) error { return s.SetPassword(bg, code.Subject, "new") },
		func(s storage.Store) error { return s.EndSession(bg, code.SessionID) },
		func(s storage.Store) error { return s.RevokeConsent(bg, code.Subject, code.ClientID) },
		func(s storage.Store) error {
			return s.GrantConsent(bg, &storage.Consent{Subject: code.Subject, ClientID: code.ClientID, Scopes: []string{"a"}, Created: now, Updated: now})
		},
		func(s storage.Store) error {
			return s.ExchangeToken(bg, code.Kind, code.Signature, nil, next(code, storage.TokenRefresh))
		},
		func(s storage.Store) error {
			return s.ExchangeToken(bg, refresh.Kind, refresh.Signature, nil, next(refresh, storage.TokenRefresh))
		},
		func(s storage.Store) error { _, err := s.Purge(bg, now.Add(-time.Hour), 100); return err },
		func(s storage.Store) error {
			_, err := s.UpdateClient(bg, code.ClientID, func(c *storage.Client) error { c.Disabled = true; return nil })
			return err
		},
	}
	r.every(r.rush(func(i int, s storage.Store) error { return acts[i](s) }), storage.ErrConsumed, storage.ErrNotFound)
}
