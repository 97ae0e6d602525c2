package storagetest

import (
	"errors"
	"slices"
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
// raceUseDevice: of clicks with one cookie two do, and the next cookie of one of them works.
func raceUseDevice(r racer) {
	d := r.device(r.t, r.user(r.t).Subject)
	var next [crowd]string
	errs := r.rushOf(crowd, func(i int, s storage.Store) error {
		next[i] = name("cookie")
		_, err := s.UseDevice(bg, d.Subject, d.CookieHash, next[i], r.clock.Now())
		return err
	})
	r.every(errs, storage.ErrNotFound)
	wins := 0
	for _, err := range errs {
		if err == nil {
			wins++
		}
	}
	rows, err := r.DevicesOf(bg, d.Subject)
	need(r.t, err)
	if wins != 2 || len(rows) != 1 || !slices.Contains(next[:], rows[0].Previous) || !slices.Contains(next[:], rows[0].CookieHash) {
		r.t.Fatalf("%d callers won; devices %+v, want one with the cookies of two callers", wins, rows)
	}
}

// raceCopiedDevice: copies of a cookie that was changed a while ago let nobody in, and one of them ends the trust.
func raceCopiedDevice(r racer) {
	d := r.unsavedDevice(r.user(r.t).Subject)
	d.Previous, d.LastUsed = name("cookie"), d.LastUsed.Add(-storage.DeviceGrace)
	need(r.t, r.CreateDevice(bg, d))
	r.one(r.rushOf(crowd, func(_ int, s storage.Store) error {
		_, err := s.UseDevice(bg, d.Subject, d.Previous, name("cookie"), r.clock.Now())
		switch {
		case errors.Is(err, storage.ErrConsumed): // who is told of the copy
			return nil
		case err == nil:
			r.t.Error("a copy is trusted")
		}
		return err
	}), storage.ErrNotFound)
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
