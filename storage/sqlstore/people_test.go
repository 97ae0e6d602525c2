package sqlstore_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/uuid"

	"gatehouse/storage"
)

// belongings gives the user of a home one of everything that a person has, and returns the factors.
func belongings(t *testing.T, e *engine, h *home) (app, key *storage.Factor) {
	t.Helper()
	ctx, now, subject := t.Context(), time.Now(), h.user.Subject
	app = &storage.Factor{ID: uuid.NewString(), Subject: subject, Kind: storage.FactorTOTP, Created: now}
	key = &storage.Factor{ID: uuid.NewString(), Subject: subject, Kind: storage.FactorPasskey, CredentialID: uuid.NewString(), Created: now}
	if err := errors.Join(e.CreateFactor(ctx, app, 0), e.CreateFactor(ctx, key, 0), e.SetRecoveryCodes(ctx, subject, []string{"a", "b"}, 0),
		e.CreateTicket(ctx, ticket(h.user)), e.CreateTicket(ctx, ticket(nil)), e.QueueMail(ctx, mail()), e.AddActivity(ctx, activity(h.user)),
		e.CreateDevice(ctx, device(h.user, uuid.NewString()))); err != nil {
		t.Fatal(err)
	}
	return app, key
}

func ticket(u *storage.User) *storage.Ticket {
	n := &storage.Ticket{Signature: uuid.NewString(), Kind: storage.TicketReset, EmailKey: "a@example.org", Expires: time.Now().Add(time.Hour)}
	if u != nil {
		n.Subject = u.Subject
	}
	return n
}

func mail() *storage.Mail {
	return &storage.Mail{ID: uuid.NewString(), Kind: "reset", NextAttempt: time.Now(), Expires: time.Now().Add(time.Hour)}
}

func activity(u *storage.User) *storage.Activity {
	return &storage.Activity{ID: uuid.NewString(), Subject: u.Subject, Kind: "login.ok", Time: time.Now()}
}

func device(u *storage.User, cookie string) *storage.Device {
	return &storage.Device{ID: uuid.NewString(), Subject: u.Subject, CookieHash: cookie, LastUsed: time.Now(), Expires: time.Now().Add(time.Hour)}
}

// people calls every method of what belongs to a person once, on a home that it spoils.
func people(ctx context.Context, t *testing.T, e *engine, add func(error), h *home) {
	t.Helper()
	app, key := belongings(t, e, h)
	peopleReads(ctx, e, h, key, add)
	now, subject := time.Now(), h.user.Subject
	add(e.UseFactor(ctx, app.ID, 1, nil, now))
	if err := e.UseFactor(ctx, app.ID, 1, nil, now); !errors.Is(err, storage.ErrConsumed) {
		add(errors.Join(err, errors.New("a code was used twice")))
	}
	add(e.UseFactor(ctx, key.ID, 1, []byte{1}, now))
	add(e.RenameFactor(ctx, subject, key.ID, "x"))
	_, err := e.UseRecoveryCode(ctx, subject, "a")
	add(err)
	add(e.DeleteFactor(ctx, subject, app.ID, true, &storage.Offered{Password: true}))
	add(e.DeleteFactor(ctx, subject, key.ID, false, &storage.Offered{Password: true}))
	spent := ticket(h.user)
	add(e.CreateTicket(ctx, spent))
	_, err = e.TicketOf(ctx, subject, spent.Kind)
	add(err)
	_, err = e.ConsumeTicket(ctx, spent.Kind, spent.Signature)
	add(err)
	add(e.RevokeTickets(ctx, subject, storage.TicketReset))
	add(e.RevokeTickets(ctx, subject))
	m := mail()
	_, err = e.ClaimMails(ctx, now, time.Minute, 10)
	add(errors.Join(err, e.RetryMail(ctx, m.ID, now), e.FinishMail(ctx, m.ID)))
	d := device(h.user, "old-"+subject)
	add(e.CreateDevice(ctx, d))
	_, err = e.UseDevice(ctx, subject, d.CookieHash, "new-"+subject, now)
	add(err)
	if _, err := e.UseDevice(ctx, subject, d.CookieHash, "next-"+subject, now.Add(time.Minute)); !errors.Is(err, storage.ErrConsumed) {
		add(errors.Join(err, errors.New("a copied cookie was taken")))
	}
	add(e.DeleteDevice(ctx, subject, d.ID))
	add(e.DeleteDevice(ctx, subject, ""))
	_, err = e.FailPassword(ctx, subject, now)
	add(errors.Join(err, e.ClearFailures(ctx, subject, 100)))
	undo := ticket(h.user)
	undo.Kind, undo.EmailKey = storage.TicketRevert, "back-"+subject
	add(e.CreateTicket(ctx, undo))
	if returned, err := e.ReturnTickets(ctx, subject, undo.EmailKey); !returned {
		add(errors.Join(err, errors.New("a link for the address is not found")))
	}
	_, err = e.RevertUser(ctx, undo.Signature, now.Add(time.Hour)) // which nothing is younger than
	add(err)
	imports(ctx, e, add, h)
}

func peopleReads(ctx context.Context, e *engine, h *home, key *storage.Factor, add func(error)) {
	subject := h.user.Subject
	_, err := e.FactorsOf(ctx, subject)
	add(err)
	_, _, err = e.FactorByCredential(ctx, key.CredentialID)
	add(err)
	_, err = e.RecoveryCodes(ctx, subject)
	add(err)
	_, err = e.WaitingMails(ctx, time.Now())
	add(err)
	_, err = e.Activities(ctx, subject, 10)
	add(err)
	_, err = e.DevicesOf(ctx, subject)
	add(err)
}

// imports takes a whole batch, and some more with identities.
func imports(ctx context.Context, e *engine, add func(error), h *home) {
	var users []storage.ImportedUser
	for n := range 60 {
		in := storage.ImportedUser{User: &storage.User{Subject: uuid.NewString()}}
		if n > 55 {
			in.Identities = []*storage.Identity{{Upstream: "google", ExternalID: h.identity.ExternalID}}
		}
		users = append(users, in)
	}
	refused, err := e.ImportUsers(ctx, append(users, users[0]))
	add(err)
	if len(refused) != 61 || refused[0] != nil || !errors.Is(refused[59], storage.ErrExists) || !errors.Is(refused[60], storage.ErrExists) {
		add(errors.New("an import went wrong"))
	}
	_, err = e.ExportUsers(ctx, "", 10)
	add(err)
}

// What every sign-in, or every guess, asks is one statement.
func TestStatementCountsOfPeople(t *testing.T) {
	onEngines(t, func(t *testing.T, e *engine) {
		h, ctx := newHome(t, e), t.Context()
		app, key := belongings(t, e, h)
		live, spent := ticket(h.user), ticket(h.user)
		spent.Kind = storage.TicketMagic
		if err := errors.Join(e.CreateTicket(ctx, live), e.CreateTicket(ctx, spent)); err != nil {
			t.Fatal(err)
		}
		for name, do := range map[string]func() error{
			"UserByLogin":        func() error { _, _, err := e.UserByLogin(ctx, h.user.EmailKey); return err },
			"FactorsOf":          func() error { _, err := e.FactorsOf(ctx, h.user.Subject); return err },
			"FactorByCredential": func() error { _, _, err := e.FactorByCredential(ctx, key.CredentialID); return err },
			"UseFactor":          func() error { return e.UseFactor(ctx, app.ID, 5, nil, time.Now()) },
			"Ticket":             func() error { _, err := e.Ticket(ctx, live.Kind, live.Signature); return err },
			"TicketOf":           func() error { _, err := e.TicketOf(ctx, h.user.Subject, live.Kind); return err },
			"ConsumeTicket":      func() error { _, err := e.ConsumeTicket(ctx, spent.Kind, spent.Signature); return err },
			"FailPassword":       func() error { _, err := e.FailPassword(ctx, h.user.Subject, time.Now()); return err },
			"ClearFailures":      func() error { return e.ClearFailures(ctx, h.user.Subject, 100) },
			"DevicesOf":          func() error { _, err := e.DevicesOf(ctx, h.user.Subject); return err },
			"QueueMail":          func() error { return e.QueueMail(ctx, mail()) },
		} {
			t.Run(name, func(t *testing.T) {
				texts := e.during(func() {
					if err := do(); err != nil {
						t.Fatal(err)
					}
				})
				if len(texts) != 1 {
					t.Errorf("%d statements: %q", len(texts), texts)
				}
			})
		}
	})
}
