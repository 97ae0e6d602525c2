package memory_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/memory"
	"gatehouse/storage/storagetest"
)

func TestContract(t *testing.T) {
	storagetest.Run(t, func(_ *testing.T, o storage.Options) storage.Store { return memory.New(o) })
}

// openTwice stands for two handles on one database: there is nothing between them here.
func openTwice(_ *testing.T, o storage.Options) (a, b storage.Store) {
	s := memory.New(o)
	return s, s
}

func TestSharedContract(t *testing.T) { storagetest.RunShared(t, openTwice) }

func TestSoakRaces(t *testing.T) { storagetest.Soak(t, openTwice) }

func TestFaultIsUnavailableAndSavesNothing(t *testing.T) {
	ctx, broken := context.Background(), errors.New("disk on fire")
	s := memory.New(storage.Options{})
	s.Fault = func(op string) error {
		if op == "CreateClient" {
			return broken
		}
		return nil
	}
	err := s.CreateClient(ctx, &storage.Client{ID: "a"})
	if !errors.Is(err, storage.ErrUnavailable) || !errors.Is(err, broken) {
		t.Errorf("error %v, want ErrUnavailable around the fault", err)
	}
	if _, err := s.Client(ctx, "a"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("Client after a faulty CreateClient: %v", err)
	}
}

// TestBrokenInvariantPanics: a caller that builds a record no database should ever hold is stopped where it does so.
func TestBrokenInvariantPanics(t *testing.T) {
	ctx, later := context.Background(), time.Now().Add(time.Hour)
	const grant, other = "0199f000-0000-7000-8000-000000000001", "0199f000-0000-7000-8000-000000000002"
	code := storage.Token{Kind: storage.TokenCode, Signature: "c", GrantID: grant, ClientID: "app", Expires: later, GrantExpires: later}
	with := func(change func(*storage.Token)) *storage.Token {
		t := code
		t.Signature = "next"
		change(&t)
		return &t
	}
	acts := map[string]func(s *memory.Store) error{
		"token without a family": func(s *memory.Store) error {
			return s.CreateToken(ctx, with(func(t *storage.Token) { t.GrantID = "g" }))
		},
		"successor of another family": func(s *memory.Store) error {
			return s.ExchangeToken(ctx, code.Kind, code.Signature, nil, with(func(t *storage.Token) { t.GrantID = other }))
		},
		"successor that lengthens the family": func(s *memory.Store) error {
			return s.ExchangeToken(ctx, code.Kind, code.Signature, nil, with(func(t *storage.Token) { t.GrantExpires = later.Add(1e9) }))
		},
		"revocation of nobody": func(s *memory.Store) error {
			_, err := s.RevokeTokens(ctx, storage.Revocation{Kind: storage.RevokeSubject})
			return err
		},
		"pushed request of a user": func(s *memory.Store) error {
			return s.CreateToken(ctx, with(func(t *storage.Token) { t.Kind, t.Subject = storage.TokenPushed, "alice" }))
		},
		"initial access token of a client": func(s *memory.Store) error {
			return s.CreateToken(ctx, with(func(t *storage.Token) { t.Kind = storage.TokenInitial }))
		},
		"pushed request that becomes a code of another client": func(s *memory.Store) error {
			pushed := with(func(t *storage.Token) { t.Kind = storage.TokenPushed })
			if err := s.CreateToken(ctx, pushed); err != nil {
				return err
			}
			return s.ExchangeToken(ctx, pushed.Kind, pushed.Signature, nil, with(func(t *storage.Token) { t.ClientID = "other" }))
		},
		"claim without a lease": func(s *memory.Store) error {
			_, err := s.ClaimLogouts(ctx, later, 0, 1)
			return err
		},
		"client that changes its sector": func(s *memory.Store) error {
			if err := s.CreateClient(ctx, &storage.Client{ID: "app", Sector: "a.example"}); err != nil {
				return err
			}
			_, err := s.UpdateClient(ctx, "app", func(c *storage.Client) error { c.Sector = "b.example"; return nil })
			return err
		},
		"identity with too long a name": func(s *memory.Store) error {
			return s.CreateUserIdentity(ctx, &storage.User{Subject: "u"}, &storage.Identity{Upstream: "google", ExternalID: strings.Repeat("1", 256)})
		},
		"account of no upstream": func(s *memory.Store) error {
			_, err := s.AdoptUser(ctx, "ada@example.org", &storage.Identity{ExternalID: "1"})
			return err
		},
		"local session with a provider's token": func(s *memory.Store) error {
			return s.CreateSession(ctx, &storage.Session{ID: "sid", CookieHash: "c", Subject: "u", Absolute: later, UpstreamToken: []byte("sealed")})
		},
		"session by an upstream's nobody": func(s *memory.Store) error {
			return s.CreateSession(ctx, &storage.Session{ID: "sid", CookieHash: "c", Subject: "u", Absolute: later, Upstream: "google"})
		},
		"passkey without a credential": func(s *memory.Store) error {
			return s.CreateFactor(ctx, &storage.Factor{ID: "f", Subject: "u", Kind: storage.FactorPasskey}, 0)
		},
		"authenticator app with a credential": func(s *memory.Store) error {
			return s.CreateFactor(ctx, &storage.Factor{ID: "f", Subject: "u", Kind: storage.FactorTOTP, CredentialID: "c"}, 0)
		},
		"recovery code without a hash": func(s *memory.Store) error { return s.SetRecoveryCodes(ctx, "u", []string{"a", ""}, 0) },
		"ticket that never ends": func(s *memory.Store) error {
			return s.CreateTicket(ctx, &storage.Ticket{Signature: "t", Kind: storage.TicketReset})
		},
		"revocation of nobody's tickets": func(s *memory.Store) error { return s.RevokeTickets(ctx, "") },
		"claim of mails without a lease": func(s *memory.Store) error {
			_, err := s.ClaimMails(ctx, later, 0, 1)
			return err
		},
		"device that keeps its cookie": func(s *memory.Store) error {
			_, err := s.UseDevice(ctx, "u", "c", "c", later)
			return err
		},
		"claims that are not JSON": func(s *memory.Store) error {
			return s.CreateUser(ctx, &storage.User{Subject: "u", Claims: map[string]any{"f": func() {}}}, "")
		},
	}
	for what, act := range acts {
		t.Run(what, func(t *testing.T) {
			s := memory.New(storage.Options{RevocationTTL: time.Minute})
			if err := s.CreateToken(ctx, &code); err != nil {
				t.Fatal(err)
			}
			defer func() {
				if recover() == nil {
					t.Error("accepted")
				}
			}()
			err := act(s)
			t.Logf("answer %v", err)
		})
	}
}
