package storagetest

import (
	"sync"
	"testing"
	"time"

	"gatehouse/storage"
)

// robbed is a user whose account somebody else has entered: what was there before, the link that tells of the entry, and what came after.
type robbed struct {
	user            *storage.User // as it was
	link            *storage.Ticket
	old, planted    *storage.Factor
	own, foreign    *storage.Identity
	session         *storage.Session
	thievesMailbox  string
	thievesPassword string
}

func (f *fixture) robbed(t *testing.T) *robbed {
	t.Helper()
	r := &robbed{user: f.user(t), thievesMailbox: name("thief") + "@example.org", thievesPassword: "of a thief"}
	subject := r.user.Subject
	r.old, r.own = f.factor(t, subject, storage.FactorPasskey), f.identity(t, subject)
	need(t, f.SetRecoveryCodes(bg, subject, []string{"a", "b"}, 0))
	f.clock.advance(time.Second)
	r.link = f.ticket(t, storage.TicketRevert, r.user)
	r.planted = f.factor(t, subject, storage.FactorTOTP)
	r.foreign = account(subject)
	r.foreign.Upstream = "github"
	f.tie(t, r.foreign)
	_, err := f.UpdateUser(bg, subject, func(u *storage.User) error {
		u.Email, u.EmailKey, u.EmailVerified = r.thievesMailbox, r.thievesMailbox, true
		return nil
	})
	need(t, err)
	need(t, f.SetPassword(bg, subject, r.thievesPassword))
	r.session = f.session(t, subject)
	return r
}

// factorIDs are the ids of a user's factors, oldest first.
func (f *fixture) factorIDs(t *testing.T, subject string) []string {
	t.Helper()
	rows, err := f.FactorsOf(bg, subject)
	need(t, err)
	ids := []string{}
	for _, n := range rows {
		ids = append(ids, n.ID)
	}
	return ids
}

func revertAll(t *testing.T, f *fixture) {
	r, neighbour := f.robbed(t), f.user(t)
	theirs := f.factor(t, neighbour.Subject, storage.FactorTOTP)
	before := versions(t, f)[storage.TopicRevocations]
	got, err := f.RevertUser(bg, r.link.Signature, r.link.Created)
	need(t, err)
	row, password, err := f.UserByLogin(bg, r.user.EmailKey)
	need(t, err)
	same(t, "answer", got, row)
	same(t, "subject", row.Subject, r.user.Subject)
	same(t, "address", row.Email, r.user.Email)
	same(t, "epoch", row.Epoch, r.user.Epoch+2)
	if !row.EmailVerified || !row.PasswordSet.IsZero() || password != "" {
		t.Errorf("verified %t, password %q of %v", row.EmailVerified, password, row.PasswordSet)
	}
	same(t, "factors", f.factorIDs(t, r.user.Subject), []string{r.old.ID})
	same(t, "the factors of others", f.factorIDs(t, neighbour.Subject), []string{theirs.ID})
	f.wantUntied(t, "the thief's identity", r.foreign)
	if _, _, err := f.Identity(bg, r.own.Upstream, r.own.ExternalID); err != nil {
		t.Errorf("the owner's identity: %v", err)
	}
	left, err := f.RecoveryCodes(bg, r.user.Subject)
	need(t, err)
	same(t, "recovery codes", left, 0)
	f.wantSession(t, "the thief's session", r.session, false)
	same(t, "revocations", f.revoked(t, before, storage.RevokeSubject), []string{r.user.Subject})
	// Nothing was added since: what there is stays, but for the codes.
	need(t, f.SetRecoveryCodes(bg, r.user.Subject, []string{"c"}, got.Epoch))
	f.clock.advance(time.Second)
	next := f.ticket(t, storage.TicketRevert, got)
	_, err = f.RevertUser(bg, next.Signature, next.Created)
	need(t, err)
	same(t, "older factors", f.factorIDs(t, r.user.Subject), []string{r.old.ID})
	left, err = f.RecoveryCodes(bg, r.user.Subject)
	need(t, err)
	same(t, "older recovery codes", left, 0)
}

// revertYounger: the thief's mailbox got a link, too. The owner's older ones work on.
func revertYounger(t *testing.T, f *fixture) {
	u, neighbour := f.user(t), f.user(t)
	thief := *u
	thief.EmailKey = name("thief") + "@example.org"
	older := f.ticket(t, storage.TicketRevert, u)
	f.clock.advance(time.Second)
	used := f.ticket(t, storage.TicketRevert, u)
	atOnce, spared, reset := f.ticket(t, storage.TicketRevert, &thief), f.ticket(t, storage.TicketRevert, neighbour), f.ticketOf(t, storage.TicketSignUp, u.EmailKey)
	f.clock.advance(time.Second)
	younger := f.ticket(t, storage.TicketRevert, &thief)
	_, err := f.RevertUser(bg, used.Signature, used.Created)
	need(t, err)
	for _, n := range []*storage.Ticket{atOnce, younger} {
		_, err := f.RevertUser(bg, n.Signature, n.Created)
		wantErr(t, "a younger one", err, storage.ErrNotFound)
	}
	f.wantTicket(t, "an older one", older, nil)
	f.wantTicket(t, "a neighbour's", spared, nil)
	f.wantTicket(t, "one of another kind", reset, nil)
}

func revertOnce(t *testing.T, f *fixture) {
	u := f.user(t)
	reset := f.ticket(t, storage.TicketReset, u)
	_, err := f.RevertUser(bg, reset.Signature, reset.Created)
	wantErr(t, "a ticket of another kind", err, storage.ErrNotFound)
	_, err = f.RevertUser(bg, name("none"), f.clock.Now())
	wantErr(t, "missing", err, storage.ErrNotFound)
	nobodys := f.ticketOf(t, storage.TicketRevert, u.EmailKey)
	_, err = f.RevertUser(bg, nobodys.Signature, nobodys.Created)
	wantErr(t, "nobody's", err, storage.ErrNotFound)
	f.wantTicket(t, "nobody's afterwards", nobodys, nil)
	n := f.ticket(t, storage.TicketRevert, u)
	results := make(chan error, 8)
	var all sync.WaitGroup
	for range cap(results) {
		all.Go(func() {
			_, err := f.RevertUser(bg, n.Signature, n.Created)
			results <- err
		})
	}
	all.Wait()
	close(results)
	won := 0
	for err := range results {
		if err == nil {
			won++
		} else {
			wantErr(t, "another", err, storage.ErrConsumed)
		}
	}
	same(t, "winners", won, 1)
	now, err := f.User(bg, u.Subject)
	need(t, err)
	same(t, "epoch", now.Epoch, u.Epoch+1)
	late := f.ticket(t, storage.TicketRevert, u)
	f.clock.advance(time.Hour)
	_, err = f.RevertUser(bg, late.Signature, late.Created)
	wantErr(t, "past its end", err, storage.ErrNotFound)
}

func revertTaken(t *testing.T, f *fixture) {
	r := f.robbed(t)
	other := f.user(t)
	_, err := f.UpdateUser(bg, other.Subject, func(u *storage.User) error { u.Email, u.EmailKey = r.user.Email, r.user.EmailKey; return nil })
	need(t, err)
	got, err := f.RevertUser(bg, r.link.Signature, r.link.Created)
	need(t, err)
	row, err := f.User(bg, r.user.Subject)
	need(t, err)
	same(t, "answer", got, row)
	if row.Email != "" || row.EmailKey != "" || row.EmailVerified {
		t.Errorf("the address is %q, %t: whoever has it gets the account by mail", row.Email, row.EmailVerified)
	}
	_, _, err = f.UserByLogin(bg, r.thievesMailbox)
	wantErr(t, "by the thief's address", err, storage.ErrNotFound)
	owner, _, err := f.UserByLogin(bg, r.user.EmailKey)
	need(t, err)
	same(t, "whose the address is", owner.Subject, other.Subject)
}

// revertReturned: an account that goes back to an address is as if the link there had been used, but that it works on.
func revertReturned(t *testing.T, f *fixture) {
	u, neighbour := f.user(t), f.user(t)
	thief := *u
	thief.Email, thief.EmailKey = "thief@example.org", "thief@example.org"
	before := f.ticket(t, storage.TicketRevert, &thief)
	f.clock.advance(time.Second)
	owners := f.ticket(t, storage.TicketRevert, u)
	atOnce, spared, reset := f.ticket(t, storage.TicketRevert, &thief), f.ticket(t, storage.TicketRevert, neighbour), f.ticket(t, storage.TicketReset, u)
	f.clock.advance(time.Second)
	younger := f.ticket(t, storage.TicketRevert, &thief)
	for what, address := range map[string]string{"an address that nobody was written to": name("a") + "@example.org", "none": ""} {
		returned, err := f.ReturnTickets(bg, u.Subject, address)
		need(t, err)
		same(t, what, returned, false)
		f.wantTicket(t, what, younger, nil)
	}
	returned, err := f.ReturnTickets(bg, u.Subject, u.EmailKey)
	need(t, err)
	same(t, "returned", returned, true)
	for what, n := range map[string]*storage.Ticket{"a thief's that came at once": atOnce, "a thief's that came later": younger} {
		f.wantTicket(t, what, n, storage.ErrNotFound)
	}
	for what, n := range map[string]*storage.Ticket{"an older one": before, "the owner's": owners, "a neighbour's": spared, "one of another kind": reset} {
		f.wantTicket(t, what, n, nil)
	}
	need(t, consumed(f.ConsumeTicket(bg, storage.TicketRevert, owners.Signature)))
	returned, err = f.ReturnTickets(bg, u.Subject, u.EmailKey)
	need(t, err)
	same(t, "returned after the owner's was used", returned, false)
	late := f.ticket(t, storage.TicketRevert, neighbour)
	f.clock.advance(late.Expires.Sub(f.clock.Now()))
	returned, err = f.ReturnTickets(bg, neighbour.Subject, neighbour.EmailKey)
	need(t, err)
	same(t, "returned past the end of the link", returned, false)
}

func consumed(_ *storage.Ticket, err error) error { return err }

// revertLastWay: a passkey that a thief added goes, even if it is all that there is: the mailbox is the way in.
func revertLastWay(t *testing.T, f *fixture) {
	u := f.user(t)
	need(t, f.SetPassword(bg, u.Subject, ""))
	n := f.ticket(t, storage.TicketRevert, u)
	f.factor(t, u.Subject, storage.FactorPasskey)
	need(t, f.SetRecoveryCodes(bg, u.Subject, []string{"a"}, u.Epoch+1))
	_, err := f.RevertUser(bg, n.Signature, n.Created)
	need(t, err)
	same(t, "factors", f.factorIDs(t, u.Subject), []string{})
	left, err := f.RecoveryCodes(bg, u.Subject)
	need(t, err)
	same(t, "recovery codes", left, 0)
}
