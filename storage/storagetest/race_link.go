package storagetest

import (
	"errors"
	"time"

	"gatehouse/storage"
)

func raceConsumeTicket(r racer) {
	for _, n := range []*storage.Ticket{r.ticket(r.t, storage.TicketReset, r.user(r.t)), r.ticketOf(r.t, storage.TicketSignUp, name("a")+"@example.org")} {
		r.one(r.rushOf(crowd, func(_ int, s storage.Store) error {
			got, err := s.ConsumeTicket(bg, n.Kind, n.Signature)
			if err == nil && got.Signature != n.Signature {
				r.t.Errorf("the winner got %+v", got)
			}
			return err
		}), storage.ErrConsumed)
	}
}

// raceTicketAndPassword: a link either works before the password changes, or not at all; afterwards none does.
func raceTicketAndPassword(r racer) {
	u := r.user(r.t)
	n := r.ticket(r.t, storage.TicketReset, u)
	r.every(r.rush(func(i int, s storage.Store) error {
		if i == 0 {
			return s.SetPassword(bg, u.Subject, "new")
		}
		_, err := s.ConsumeTicket(bg, n.Kind, n.Signature)
		return err
	}), storage.ErrConsumed, storage.ErrNotFound)
	r.wantTicket(r.t, "afterwards", n, storage.ErrNotFound)
}

// raceCreateTicket: of links that are asked for at the same time as many work as may of their kind.
func raceCreateTicket(r racer) {
	for _, kind := range []storage.TicketKind{storage.TicketReset, storage.TicketMagic} {
		u := r.user(r.t)
		var all [Parallel]*storage.Ticket
		for i := range all {
			all[i] = r.unsavedTicket(kind, u)
		}
		r.every(r.rush(func(i int, s storage.Store) error { return s.CreateTicket(bg, all[i]) }))
		live := 0
		for _, n := range all {
			if _, err := r.Ticket(bg, n.Kind, n.Signature); err == nil {
				live++
			}
		}
		if live != kind.Live() {
			r.t.Fatalf("%d links of kind %s work, want %d", live, kind, kind.Live())
		}
	}
}

// raceUseDevice: of callers with one cookie one is trusted, and as the others hold a copy, the device is forgotten.
func raceUseDevice(r racer) {
	d := r.device(r.t, r.user(r.t).Subject)
	errs := r.rushOf(crowd, func(_ int, s storage.Store) error {
		_, err := s.UseDevice(bg, d.Subject, d.CookieHash, name("cookie"), r.clock.Now())
		return err
	})
	copies := 0
	for i, err := range errs {
		if errors.Is(err, storage.ErrConsumed) {
			errs[i], copies = storage.ErrNotFound, copies+1
		}
	}
	r.one(errs, storage.ErrNotFound)
	if copies != 1 {
		r.t.Fatalf("%d callers were told of a copy, want the one who ended the trust", copies)
	}
	r.wantDevices(r.t, "devices", d.Subject)
}

func raceDeviceLimit(r racer) {
	u := r.user(r.t)
	for range storage.MaxDevices - 2 {
		r.device(r.t, u.Subject)
	}
	r.every(r.rush(func(_ int, s storage.Store) error { return s.CreateDevice(bg, r.unsavedDevice(u.Subject)) }))
	got, err := r.DevicesOf(bg, u.Subject)
	need(r.t, err)
	if len(got) != storage.MaxDevices {
		r.t.Fatalf("%d devices, want %d", len(got), storage.MaxDevices)
	}
}

// raceClaimMails: workers that empty the queue together never take the same message, and leave none.
func raceClaimMails(r racer) {
	r.drainMails(r.t)
	want := map[string]bool{}
	for range 3 * Parallel {
		want[r.mail(r.t, 0).ID] = true
	}
	var mine [2][]string
	r.every(r.rushOf(len(mine), func(i int, s storage.Store) error {
		for {
			rows, err := s.ClaimMails(bg, r.clock.Now(), time.Minute, 2)
			for _, m := range rows {
				mine[i] = append(mine[i], m.ID)
			}
			if err != nil || len(rows) == 0 {
				return err
			}
		}
	}))
	all := append(append(mine[0], mine[1]...), r.claimMails(r.t, r.clock.Now(), 1000)...) // a worker may find all that is left in the hands of the other
	for _, id := range all {
		if !want[id] {
			r.t.Fatalf("mail %s was claimed twice", id)
		}
		delete(want, id)
	}
	if len(want) > 0 {
		r.t.Fatalf("%d mails were never claimed", len(want))
	}
}
