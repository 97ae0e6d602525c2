package storagetest

import (
	"testing"
	"time"

	"gatehouse/storage"
)

func testTickets(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{
		{"RoundTrip", ticketRoundTrip}, {"MissingUserAndTakenSignature", ticketRefused}, {"Row45KindsAreApart", ticketKinds},
		{"WorksOnce", ticketOnce}, {"ExpiresWithoutAUse", ticketExpires}, {"DiesWithTheEpoch", ticketEpoch}, {"RevertOutlivesTheEpoch", ticketRevert},
		{"RevertGivesTheAccountBack", revertAll}, {"RevertKillsYoungerOnesOnly", revertYounger}, {"RevertWorksOnce", revertOnce}, {"RevertOfATakenAddressLeavesNone", revertTaken},
		{"RevertTakesTheLastWayIn", revertLastWay}, {"ReturnEndsWhatOthersGot", revertReturned},
		{"Row144NewOneKillsTheOlder", ticketCrowd}, {"FiveLiveOfAnAddress", ticketCrowdAddress}, {"NobodysHaveNoLimit", ticketNobody},
		{"UsedOnesTakeNoRoom", ticketUsedStays}, {"Revoke", ticketRevoke}, {"OfAUser", ticketOfUser}, {"CopiesAreApart", ticketCopies},
	})
}

// ticketKindsAll are all kinds of ticket.
var ticketKindsAll = []storage.TicketKind{storage.TicketSignUp, storage.TicketInvite, storage.TicketVerify, storage.TicketEmail, storage.TicketReset,
	storage.TicketMagic, storage.TicketRevert, storage.TicketRecovery}

// unsavedTicket returns a ticket of an hour; of a user, or of an address without a user.
func (f *fixture) unsavedTicket(kind storage.TicketKind, u *storage.User) *storage.Ticket {
	now := micro(f.clock.Now())
	n := &storage.Ticket{Signature: name("ticket"), Kind: kind, Created: now, Expires: now.Add(time.Hour), Data: map[string]string{"to": "ü \"日本\"", "empty": ""}}
	if u != nil {
		n.Subject, n.Email, n.EmailKey, n.Epoch = u.Subject, u.Email, u.EmailKey, u.Epoch
	}
	return n
}

func (f *fixture) ticket(t *testing.T, kind storage.TicketKind, u *storage.User) *storage.Ticket {
	t.Helper()
	n := f.unsavedTicket(kind, u)
	need(t, f.CreateTicket(bg, n))
	return n
}

// ticketOf stores a ticket of an address without a user.
func (f *fixture) ticketOf(t *testing.T, kind storage.TicketKind, address string) *storage.Ticket {
	t.Helper()
	n := f.unsavedTicket(kind, nil)
	n.Email, n.EmailKey = address, address
	need(t, f.CreateTicket(bg, n))
	return n
}

// wantTicket fails unless looking at a ticket gives the error, or the ticket itself.
func (f *fixture) wantTicket(t *testing.T, what string, n *storage.Ticket, want error) {
	t.Helper()
	got, err := f.Ticket(bg, n.Kind, n.Signature)
	if want != nil {
		wantErr(t, what, err, want)
		return
	}
	need(t, err)
	same(t, what, got, n)
}

func ticketRoundTrip(t *testing.T, f *fixture) {
	for _, kind := range ticketKindsAll {
		f.wantTicket(t, "of a user", f.ticket(t, kind, f.user(t)), nil)
		f.wantTicket(t, "of an address", f.ticketOf(t, kind, name("Ä")+"@example.org"), nil)
	}
	bare := f.unsavedTicket(storage.TicketInvite, nil)
	bare.Data = nil
	need(t, f.CreateTicket(bg, bare))
	f.wantTicket(t, "of nobody, without data", bare, nil)
}

func ticketRefused(t *testing.T, f *fixture) {
	n := f.unsavedTicket(storage.TicketReset, &storage.User{Subject: name("nobody")})
	wantErr(t, "of a missing user", f.CreateTicket(bg, n), storage.ErrNotFound)
	f.wantTicket(t, "refused", n, storage.ErrNotFound)
	first, thief := f.ticket(t, storage.TicketReset, f.user(t)), f.unsavedTicket(storage.TicketMagic, f.user(t))
	thief.Signature = first.Signature
	wantExists(t, "taken", f.CreateTicket(bg, thief), "id")
	f.wantTicket(t, "the first", first, nil)
}

func ticketKinds(t *testing.T, f *fixture) {
	for _, kind := range ticketKindsAll {
		n := f.ticket(t, kind, f.user(t))
		for _, other := range ticketKindsAll {
			if other == kind {
				continue
			}
			_, err := f.Ticket(bg, other, n.Signature)
			wantErr(t, string(kind)+" as "+string(other), err, storage.ErrNotFound)
			_, err = f.ConsumeTicket(bg, other, n.Signature)
			wantErr(t, string(kind)+" as "+string(other), err, storage.ErrNotFound)
		}
		f.wantTicket(t, string(kind), n, nil)
	}
}

func ticketOnce(t *testing.T, f *fixture) {
	for _, u := range []*storage.User{f.user(t), nil} {
		n := f.ticket(t, storage.TicketSignUp, u)
		f.clock.advance(time.Second)
		got, err := f.ConsumeTicket(bg, n.Kind, n.Signature)
		need(t, err)
		n.ConsumedAt = micro(f.clock.Now())
		same(t, "answer", got, n)
		_, err = f.ConsumeTicket(bg, n.Kind, n.Signature)
		wantErr(t, "again", err, storage.ErrConsumed)
		f.wantTicket(t, "looked at", n, storage.ErrConsumed)
		f.clock.advance(time.Hour)
		_, err = f.ConsumeTicket(bg, n.Kind, n.Signature)
		wantErr(t, "used and over", err, storage.ErrNotFound)
	}
	_, err := f.ConsumeTicket(bg, storage.TicketReset, name("none"))
	wantErr(t, "missing", err, storage.ErrNotFound)
}

func ticketExpires(t *testing.T, f *fixture) {
	n := f.ticket(t, storage.TicketReset, f.user(t))
	f.clock.advance(time.Hour - time.Microsecond)
	f.wantTicket(t, "just before Expires", n, nil)
	f.clock.advance(time.Microsecond)
	f.wantTicket(t, "at Expires", n, storage.ErrNotFound)
	_, err := f.ConsumeTicket(bg, n.Kind, n.Signature)
	wantErr(t, "used at Expires", err, storage.ErrNotFound)
}

// ticketEpoch: a link that was on its way when the password changed must not change it back.
func ticketEpoch(t *testing.T, f *fixture) {
	u := f.user(t)
	unused, used, address := f.ticket(t, storage.TicketReset, u), f.ticket(t, storage.TicketMagic, u), f.ticketOf(t, storage.TicketSignUp, u.EmailKey)
	_, err := f.ConsumeTicket(bg, used.Kind, used.Signature)
	need(t, err)
	need(t, f.SetPassword(bg, u.Subject, "new"))
	for _, n := range []*storage.Ticket{unused, used} {
		f.wantTicket(t, "after SetPassword", n, storage.ErrNotFound)
		_, err = f.ConsumeTicket(bg, n.Kind, n.Signature)
		wantErr(t, "used after SetPassword", err, storage.ErrNotFound)
	}
	f.wantTicket(t, "one without a subject", address, nil)
	now, err := f.User(bg, u.Subject)
	need(t, err)
	f.wantTicket(t, "one of the new epoch", f.ticket(t, storage.TicketReset, now), nil)
}

// ticketRevert: whoever has taken over an account changes its address and its password; the old mailbox can still undo that, however many more changes there are.
func ticketRevert(t *testing.T, f *fixture) {
	u := f.user(t)
	first := f.ticket(t, storage.TicketRevert, u)
	need(t, f.SetPassword(bg, u.Subject, "of a thief"))
	thief := *u
	thief.EmailKey = name("thief") + "@example.org"
	for range 2 * storage.TicketRevert.Live() {
		f.clock.advance(time.Second)
		f.ticket(t, storage.TicketRevert, &thief)
	}
	f.wantTicket(t, "after the password and the address changed", first, nil)
	second := f.ticket(t, storage.TicketRevert, u)
	for range 2 * storage.TicketRevert.Live() {
		f.clock.advance(time.Second)
		f.ticket(t, storage.TicketRevert, u)
	}
	f.wantTicket(t, "the first of many to the same address", first, nil)
	f.wantTicket(t, "the second of many", second, storage.ErrNotFound)
	_, err := f.ConsumeTicket(bg, first.Kind, first.Signature)
	need(t, err)
	_, err = f.ConsumeTicket(bg, first.Kind, first.Signature)
	wantErr(t, "again", err, storage.ErrConsumed)
}

func ticketCrowd(t *testing.T, f *fixture) {
	u, neighbour := f.user(t), f.user(t)
	spared := f.ticket(t, storage.TicketReset, neighbour)
	for _, kind := range ticketKindsAll {
		var all []*storage.Ticket
		for range kind.Live() + 2 {
			all = append(all, f.ticket(t, kind, u))
			f.clock.advance(time.Second)
		}
		for i, n := range all {
			var want error
			if first := i == 0 && kind.Outlives(); !first && i < 2 || kind.Outlives() && i == 2 {
				want = storage.ErrNotFound
			}
			f.wantTicket(t, string(kind), n, want)
		}
	}
	f.wantTicket(t, "a neighbour's", spared, nil)
	first, second := f.ticket(t, storage.TicketReset, u), f.ticket(t, storage.TicketReset, u)
	f.wantTicket(t, "the older one of the same moment", first, storage.ErrNotFound)
	f.wantTicket(t, "the newer one of the same moment", second, nil)
}

func ticketCrowdAddress(t *testing.T, f *fixture) {
	u := f.user(t)
	own, other := f.ticket(t, storage.TicketSignUp, u), f.ticketOf(t, storage.TicketSignUp, name("other")+"@example.org")
	invite := f.ticketOf(t, storage.TicketInvite, u.EmailKey)
	var all []*storage.Ticket
	for range storage.TicketSignUp.Live() + 1 {
		all = append(all, f.ticketOf(t, storage.TicketSignUp, u.EmailKey))
		f.clock.advance(time.Second)
	}
	f.wantTicket(t, "the oldest", all[0], storage.ErrNotFound)
	for _, n := range append(all[1:], own, other, invite) {
		f.wantTicket(t, "what stays", n, nil)
	}
}

func ticketNobody(t *testing.T, f *fixture) {
	first := f.ticket(t, storage.TicketInvite, nil)
	for range storage.TicketInvite.Live() + 1 {
		f.clock.advance(time.Second)
		f.ticket(t, storage.TicketInvite, nil)
	}
	f.wantTicket(t, "the first", first, nil)
}

// ticketUsedStays: a used link must tell that it was used for as long as it would have worked.
func ticketUsedStays(t *testing.T, f *fixture) {
	u := f.user(t)
	used := f.ticket(t, storage.TicketReset, u)
	_, err := f.ConsumeTicket(bg, used.Kind, used.Signature)
	need(t, err)
	for range 3 {
		f.clock.advance(time.Second)
		f.ticket(t, storage.TicketReset, u)
	}
	f.wantTicket(t, "the used one", used, storage.ErrConsumed)
}

func ticketRevoke(t *testing.T, f *fixture) {
	u, neighbour := f.user(t), f.user(t)
	spared := f.ticket(t, storage.TicketReset, neighbour)
	reset, magic, email := f.ticket(t, storage.TicketReset, u), f.ticket(t, storage.TicketMagic, u), f.ticket(t, storage.TicketEmail, u)
	used := f.ticket(t, storage.TicketVerify, u)
	_, err := f.ConsumeTicket(bg, used.Kind, used.Signature)
	need(t, err)
	need(t, f.RevokeTickets(bg, u.Subject, storage.TicketReset, storage.TicketMagic))
	f.wantTicket(t, "one of the kinds", reset, storage.ErrNotFound)
	f.wantTicket(t, "the other of the kinds", magic, storage.ErrNotFound)
	f.wantTicket(t, "another kind", email, nil)
	need(t, f.RevokeTickets(bg, u.Subject))
	f.wantTicket(t, "all kinds", email, storage.ErrNotFound)
	f.wantTicket(t, "a used one", used, storage.ErrConsumed)
	f.wantTicket(t, "a neighbour's", spared, nil)
	need(t, f.RevokeTickets(bg, name("nobody")))
}

// ticketOfUser: what a user still has in the mailbox is found without the link, until it is used, over or revoked.
func ticketOfUser(t *testing.T, f *fixture) {
	u, neighbour := f.user(t), f.user(t)
	wants := func(what string, want *storage.Ticket) {
		t.Helper()
		got, err := f.TicketOf(bg, u.Subject, storage.TicketMagic)
		if want == nil {
			wantErr(t, what, err, storage.ErrNotFound)
			return
		}
		need(t, err)
		same(t, what, got, want)
	}
	f.ticket(t, storage.TicketMagic, neighbour)
	f.ticket(t, storage.TicketEmail, u)
	f.ticketOf(t, storage.TicketMagic, u.EmailKey)
	wants("others'", nil)
	first := f.ticket(t, storage.TicketMagic, u)
	wants("the only one", first)
	f.clock.advance(time.Second)
	second := f.ticket(t, storage.TicketMagic, u)
	wants("the newest", second)
	_, err := f.ConsumeTicket(bg, second.Kind, second.Signature)
	need(t, err)
	wants("one is used", first)
	f.clock.advance(time.Hour - time.Second)
	wants("over", nil)
	f.ticket(t, storage.TicketMagic, u)
	need(t, f.SetPassword(bg, u.Subject, "new"))
	wants("of an epoch that is over", nil)
	_, err = f.TicketOf(bg, name("nobody"), storage.TicketMagic)
	wantErr(t, "nobody's", err, storage.ErrNotFound)
}

func ticketCopies(t *testing.T, f *fixture) {
	n := f.unsavedTicket(storage.TicketReset, f.user(t))
	n.Data = map[string]string{"a": "b"}
	need(t, f.CreateTicket(bg, n))
	n.Data["a"] = "x"
	got, err := f.Ticket(bg, n.Kind, n.Signature)
	need(t, err)
	got.Data["a"] = "y"
	n.Data = map[string]string{"a": "b"}
	f.wantTicket(t, "ticket", n, nil)
}
