package storagetest

import (
	"testing"
	"time"

	"gatehouse/storage"
)

// testExpiry: clients that end by themselves.
func testExpiry(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{
		{"RoundTrip", expiryRoundTrip}, {"TouchMovesForwardOnly", expiryTouch}, {"TouchManyAndMissing", expiryTouchMany}, {"TouchIsNoChange", expiryTouchQuiet},
		{"ExpiredIsStillFound", expiryFound}, {"PurgeBumpsTheTopics", expiryBumps},
	})
}

// mortal stores a client that expires.
func (f *fixture) mortal(t *testing.T, at time.Time) *storage.Client {
	t.Helper()
	c := &storage.Client{ID: name("client"), Expires: at}
	need(t, f.CreateClient(bg, c))
	return c
}

// expires reads a client's expiry.
func (f *fixture) expires(t *testing.T, id string) time.Time {
	t.Helper()
	c, err := f.Client(bg, id)
	need(t, err)
	return c.Expires
}

func expiryRoundTrip(t *testing.T, f *fixture) {
	at := f.clock.Now().Add(time.Hour).In(time.FixedZone("west", -3600))
	c := f.mortal(t, at)
	same(t, "created", f.expires(t, c.ID), micro(at))
	page, err := f.ListClients(bg, c.ID[:len(c.ID)-1], 1)
	need(t, err)
	same(t, "listed", page[0].Expires, micro(at))
	for _, next := range []time.Time{at.Add(time.Hour), {}, at} {
		got, err := f.UpdateClient(bg, c.ID, func(c *storage.Client) error { c.Expires = next; return nil })
		need(t, err)
		want := micro(next)
		same(t, "answer and row", []time.Time{got.Expires, f.expires(t, c.ID)}, []time.Time{want, want})
	}
	_, err = f.UpdateClient(bg, c.ID, func(c *storage.Client) error { c.Name = "New"; return nil })
	need(t, err)
	same(t, "after another change", f.expires(t, c.ID), micro(at))
	same(t, "a client without one", f.expires(t, f.client(t).ID), time.Time{})
}

func expiryTouch(t *testing.T, f *fixture) {
	now := micro(f.clock.Now())
	c, immortal := f.mortal(t, now.Add(time.Hour)), f.client(t)
	for _, step := range []struct{ until, want time.Duration }{{2 * time.Hour, 2 * time.Hour}, {time.Minute, 2 * time.Hour}, {3 * time.Hour, 3 * time.Hour}} {
		need(t, f.TouchClients(bg, []string{c.ID, immortal.ID}, now.Add(step.until)))
		same(t, "expiry", f.expires(t, c.ID), now.Add(step.want))
	}
	same(t, "of a client without one", f.expires(t, immortal.ID), time.Time{})
}

func expiryTouchMany(t *testing.T, f *fixture) {
	now := micro(f.clock.Now())
	need(t, f.TouchClients(bg, nil, now))
	need(t, f.TouchClients(bg, []string{name("nobody"), "a\x00b\xff"}, now))
	var ids []string
	for range 120 {
		ids = append(ids, f.mortal(t, now).ID, name("nobody"))
	}
	untouched := f.mortal(t, now)
	need(t, f.TouchClients(bg, append(ids, ids[0], "a\x00b\xff"), now.Add(time.Hour)))
	for i := 0; i < len(ids); i += 2 {
		same(t, "expiry", f.expires(t, ids[i]), now.Add(time.Hour))
	}
	same(t, "of another client", f.expires(t, untouched.ID), now)
}

// expiryTouchQuiet: a touch is not a change of the client that processes hear of.
func expiryTouchQuiet(t *testing.T, f *fixture) {
	c := f.mortal(t, f.clock.Now())
	want, err := f.Client(bg, c.ID)
	need(t, err)
	before := versions(t, f)
	f.clock.advance(time.Second)
	need(t, f.TouchClients(bg, []string{c.ID}, f.clock.Now()))
	got, err := f.Client(bg, c.ID)
	need(t, err)
	same(t, "client", got, want)
	same(t, "versions", versions(t, f), before)
}

func expiryFound(t *testing.T, f *fixture) {
	c := f.mortal(t, f.clock.Now().Add(time.Minute))
	f.clock.advance(time.Hour)
	same(t, "expiry", f.expires(t, c.ID), micro(c.Expires))
	need(t, f.TouchClients(bg, []string{c.ID}, f.clock.Now().Add(time.Hour)))
	f.purgeAll(t, 1000)
	_, err := f.Client(bg, c.ID)
	need(t, err)
}

func expiryBumps(t *testing.T, f *fixture) {
	f.purgeAll(t, 1000)
	f.mortal(t, f.clock.Now().Add(-storage.ClientGrace))
	before := versions(t, f)
	same(t, "purged", f.purgeAll(t, 1000), 1)
	after := versions(t, f)
	for _, topic := range []storage.Topic{storage.TopicClients, storage.TopicRevocations} {
		if after[topic] <= before[topic] {
			t.Errorf("the version of %s stayed %d", topic, after[topic])
		}
	}
	same(t, "purged again", f.purgeAll(t, 1000), 0)
	same(t, "versions", versions(t, f), after)
}
