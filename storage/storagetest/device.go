package storagetest

import (
	"testing"
	"time"

	"gatehouse/storage"
)

func testDevices(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{
		{"RoundTrip", deviceRoundTrip}, {"MissingUserAndTakenID", deviceRefused}, {"CookieChangesAtEachUse", deviceUse}, {"CopiedCookieEndsTheTrust", deviceCopied}, {"CookieSentTwice", deviceTwice}, {"CookieCopiedAtOnce", deviceCopiedAtOnce},
		{"AnothersCookieIsWorthNothing", deviceAnothers}, {"ExpiresAndDiesWithTheEpoch", deviceDies}, {"NewOnePushesOutTheOneUsedLongestAgo", deviceLimit},
		{"Delete", deviceDelete}, {"AnyAgentIsTaken", deviceAnyAgent},
	})
}

func (f *fixture) unsavedDevice(subject string) *storage.Device {
	now := micro(f.clock.Now())
	return &storage.Device{ID: name("device"), Subject: subject, CookieHash: name("cookie"), UserAgent: "Mozilla/5.0", IP: "2001:db8::1", Created: now, LastUsed: now,
		Expires: now.Add(time.Hour)}
}

// device stores a device under the user's epoch.
func (f *fixture) device(t *testing.T, subject string) *storage.Device {
	t.Helper()
	u, err := f.User(bg, subject)
	need(t, err)
	d := f.unsavedDevice(subject)
	d.Epoch = u.Epoch
	need(t, f.CreateDevice(bg, d))
	return d
}

// use shows a cookie and expects an error, or none.
func (f *fixture) use(t *testing.T, what, subject, cookie string, want error) *storage.Device {
	t.Helper()
	d, err := f.UseDevice(bg, subject, cookie, name("cookie"), f.clock.Now())
	if want == nil {
		need(t, err)
	} else {
		wantErr(t, what, err, want)
	}
	return d
}

func (f *fixture) wantDevices(t *testing.T, what, subject string, want ...*storage.Device) {
	t.Helper()
	got, err := f.DevicesOf(bg, subject)
	need(t, err)
	if len(got) == 0 && len(want) == 0 {
		return
	}
	same(t, what, got, want)
}

func deviceRoundTrip(t *testing.T, f *fixture) {
	u := f.user(t)
	f.wantDevices(t, "none", u.Subject)
	first := f.unsavedDevice(u.Subject)
	first.Previous, first.Created = name("previous"), first.Created.Add(-time.Hour)
	need(t, f.CreateDevice(bg, first))
	f.clock.advance(time.Second)
	second := f.device(t, u.Subject)
	f.wantDevices(t, "devices, newest use first", u.Subject, second, first)
}

func deviceRefused(t *testing.T, f *fixture) {
	wantErr(t, "of a missing user", f.CreateDevice(bg, f.unsavedDevice(name("nobody"))), storage.ErrNotFound)
	first, other := f.device(t, f.user(t).Subject), f.user(t)
	id, cookie := f.unsavedDevice(other.Subject), f.unsavedDevice(other.Subject)
	id.ID, cookie.CookieHash = first.ID, first.CookieHash
	wantExists(t, "taken id", f.CreateDevice(bg, id), "id")
	wantExists(t, "taken cookie", f.CreateDevice(bg, cookie), "id")
	f.wantDevices(t, "of the other", other.Subject)
	f.wantDevices(t, "the first", first.Subject, first)
}

func deviceUse(t *testing.T, f *fixture) {
	d := f.device(t, f.user(t).Subject)
	for range 3 {
		f.clock.advance(time.Minute)
		d.Previous, d.CookieHash, d.LastUsed = d.CookieHash, name("cookie"), micro(f.clock.Now())
		got, err := f.UseDevice(bg, d.Subject, d.Previous, d.CookieHash, f.clock.Now())
		need(t, err)
		same(t, "answer", got, d)
		f.wantDevices(t, "row", d.Subject, d)
	}
	_, err := f.UseDevice(bg, d.Subject, d.CookieHash, name("cookie"), f.clock.Now().Add(-time.Minute))
	need(t, err)
	got, err := f.DevicesOf(bg, d.Subject)
	need(t, err)
	same(t, "LastUsed after an earlier use", got[0].LastUsed, d.LastUsed)
}

// deviceCopied: a cookie that was changed already is in two hands, and one of them is a thief's.
func deviceCopied(t *testing.T, f *fixture) {
	d := f.device(t, f.user(t).Subject)
	other := f.device(t, d.Subject)
	now := f.use(t, "first", d.Subject, d.CookieHash, nil)
	f.clock.advance(storage.DeviceGrace)
	f.use(t, "the old cookie", d.Subject, d.CookieHash, storage.ErrConsumed)
	f.use(t, "the new cookie, afterwards", d.Subject, now.CookieHash, storage.ErrNotFound)
	f.use(t, "the old cookie again", d.Subject, d.CookieHash, storage.ErrNotFound)
	f.wantDevices(t, "what is left", d.Subject, other)
	older := other.CookieHash
	now = f.use(t, "first", d.Subject, older, nil)
	now = f.use(t, "second", d.Subject, now.CookieHash, nil)
	f.use(t, "the one before the previous", d.Subject, older, storage.ErrNotFound)
	f.use(t, "the right one", d.Subject, now.CookieHash, nil)
}

// deviceTwice: who clicks twice sends one cookie twice, and has the next one of the last click.
func deviceTwice(t *testing.T, f *fixture) {
	d := f.device(t, f.user(t).Subject)
	first := f.use(t, "first click", d.Subject, d.CookieHash, nil)
	f.clock.advance(storage.DeviceGrace - time.Microsecond)
	second := f.use(t, "second click", d.Subject, d.CookieHash, nil)
	same(t, "the cookie that may be a copy's", second.Previous, first.CookieHash)
	f.use(t, "third click", d.Subject, d.CookieHash, storage.ErrNotFound)
	f.wantDevices(t, "the device", d.Subject, second)
	f.clock.advance(time.Minute)
	last := f.use(t, "the next cookie of the second click", d.Subject, second.CookieHash, nil)
	f.wantDevices(t, "the device, later", d.Subject, last)
}

// deviceCopiedAtOnce: who uses a copy in the same moment as the owner is found out when the owner comes back.
func deviceCopiedAtOnce(t *testing.T, f *fixture) {
	d := f.device(t, f.user(t).Subject)
	owner := f.use(t, "the owner", d.Subject, d.CookieHash, nil)
	f.use(t, "the thief", d.Subject, d.CookieHash, nil)
	f.clock.advance(storage.DeviceGrace)
	f.use(t, "the owner, later", d.Subject, owner.CookieHash, storage.ErrConsumed)
	f.wantDevices(t, "what is left", d.Subject)
}

func deviceAnothers(t *testing.T, f *fixture) {
	d, other := f.device(t, f.user(t).Subject), f.user(t)
	f.use(t, "another's cookie", other.Subject, d.CookieHash, storage.ErrNotFound)
	f.use(t, "nobody's", name("nobody"), d.CookieHash, storage.ErrNotFound)
	f.use(t, "none", d.Subject, "", storage.ErrNotFound)
	f.use(t, "unknown", d.Subject, name("cookie"), storage.ErrNotFound)
	f.wantDevices(t, "untouched", d.Subject, d)
	now := f.use(t, "first", d.Subject, d.CookieHash, nil)
	f.use(t, "another's previous cookie", other.Subject, d.CookieHash, storage.ErrNotFound)
	f.wantDevices(t, "still there", d.Subject, now)
}

func deviceDies(t *testing.T, f *fixture) {
	u := f.user(t)
	d := f.device(t, u.Subject)
	used := f.use(t, "first", u.Subject, f.device(t, u.Subject).CookieHash, nil)
	need(t, f.SetPassword(bg, u.Subject, "new"))
	for _, cookie := range []string{d.CookieHash, used.CookieHash, used.Previous} {
		f.use(t, "after SetPassword", u.Subject, cookie, storage.ErrNotFound)
	}
	f.wantDevices(t, "after SetPassword", u.Subject)
	d = f.device(t, u.Subject)
	f.clock.advance(time.Hour - time.Microsecond)
	d = f.use(t, "just before Expires", u.Subject, d.CookieHash, nil)
	f.clock.advance(time.Microsecond)
	f.wantDevices(t, "at Expires", u.Subject)
	f.use(t, "at Expires", u.Subject, d.CookieHash, storage.ErrNotFound)
	f.use(t, "the previous cookie at Expires", u.Subject, d.Previous, storage.ErrNotFound)
}

func deviceLimit(t *testing.T, f *fixture) {
	u, neighbour := f.user(t), f.user(t)
	spared := f.device(t, neighbour.Subject)
	var all []*storage.Device
	for range storage.MaxDevices {
		all = append(all, f.device(t, u.Subject))
		f.clock.advance(time.Second)
	}
	all[0] = f.use(t, "the oldest", u.Subject, all[0].CookieHash, nil)
	f.clock.advance(time.Second)
	f.device(t, u.Subject)
	left, err := f.DevicesOf(bg, u.Subject)
	need(t, err)
	same(t, "devices", len(left), storage.MaxDevices)
	f.use(t, "the one used longest ago", u.Subject, all[1].CookieHash, storage.ErrNotFound)
	f.use(t, "the oldest, which was used", u.Subject, all[0].CookieHash, nil)
	f.wantDevices(t, "a neighbour's", neighbour.Subject, spared)
}

func deviceDelete(t *testing.T, f *fixture) {
	u, other := f.user(t), f.user(t)
	spared := f.device(t, other.Subject)
	one, two := f.device(t, u.Subject), f.device(t, u.Subject)
	need(t, f.DeleteDevice(bg, other.Subject, one.ID))
	need(t, f.DeleteDevice(bg, u.Subject, two.ID))
	f.wantDevices(t, "one deleted", u.Subject, one)
	need(t, f.DeleteDevice(bg, u.Subject, two.ID))
	f.device(t, u.Subject)
	need(t, f.DeleteDevice(bg, u.Subject, ""))
	f.wantDevices(t, "all deleted", u.Subject)
	f.wantDevices(t, "another's", other.Subject, spared)
}

func deviceAnyAgent(t *testing.T, f *fixture) {
	d := f.unsavedDevice(f.user(t).Subject)
	d.UserAgent, d.IP = "Mozilla\x00/5\xff", "\x00"
	need(t, f.CreateDevice(bg, d))
	f.use(t, "use", d.Subject, d.CookieHash, nil)
}
