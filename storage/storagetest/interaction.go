package storagetest

import (
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"gatehouse/storage"
)

func testInteractions(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{
		{"RoundTrip", interactionRoundTrip}, {"Missing", interactionMissing}, {"Duplicate", interactionDuplicate}, {"Expired", interactionExpired},
		{"Update", interactionUpdate}, {"RefusedChangeSavesNothing", interactionRefusedChange}, {"ConsumedOnce", interactionConsumed},
		{"CopiesAreApart", interactionCopies}, {"ParamsHoldAnyByte", interactionAnyByte}, {"OnlyConsumeConsumes", interactionOnlyConsume},
		{"Late", interactionLate}, {"NotEverythingIsRepeatable", interactionNotRepeatable},
	})
}

func (f *fixture) interaction(t *testing.T) *storage.Interaction {
	t.Helper()
	now := f.clock.Now()
	in := &storage.Interaction{ID: name("in"), Kind: storage.InteractionAuthorize, Params: url.Values{"scope": {"openid"}, "resource": {"a", "b"}},
		Source: name("pushed"), ReturnTo: "/oauth2/authorize", Binder: name("binder"), Proofs: map[string]string{"consent": "alice"}, Created: now, Expires: now.Add(30 * time.Minute)}
	need(t, f.CreateInteraction(bg, in))
	return in
}

func interactionRoundTrip(t *testing.T, f *fixture) {
	want := f.interaction(t)
	got, err := f.Interaction(bg, want.ID)
	need(t, err)
	want.Created, want.Expires = micro(want.Created), micro(want.Expires)
	same(t, "row", got, want)
}

func interactionMissing(t *testing.T, f *fixture) {
	_, err := f.Interaction(bg, name("in"))
	wantErr(t, "Interaction", err, storage.ErrNotFound)
	_, err = f.UpdateInteraction(bg, name("in"), func(*storage.Interaction) error { t.Error("change was called"); return nil })
	wantErr(t, "UpdateInteraction", err, storage.ErrNotFound)
	wantErr(t, "ConsumeInteraction", f.ConsumeInteraction(bg, name("in")), storage.ErrNotFound)
}

func interactionDuplicate(t *testing.T, f *fixture) {
	in := f.interaction(t)
	thief := *in
	thief.Binder = "thief"
	wantExists(t, "CreateInteraction", f.CreateInteraction(bg, &thief), "id")
	got, err := f.Interaction(bg, in.ID)
	need(t, err)
	same(t, "binder", got.Binder, in.Binder)
}

func interactionExpired(t *testing.T, f *fixture) {
	in := f.interaction(t)
	f.clock.advance(30*time.Minute - time.Microsecond)
	_, err := f.Interaction(bg, in.ID)
	need(t, err)
	f.clock.advance(time.Microsecond)
	_, err = f.Interaction(bg, in.ID)
	wantErr(t, "Interaction", err, storage.ErrNotFound)
	_, err = f.UpdateInteraction(bg, in.ID, func(*storage.Interaction) error { t.Error("change was called"); return nil })
	wantErr(t, "UpdateInteraction", err, storage.ErrNotFound)
	wantErr(t, "ConsumeInteraction", f.ConsumeInteraction(bg, in.ID), storage.ErrNotFound)
}

// late stores a request in the open, which a change may alter, and lets its time pass.
func (f *fixture) late(t *testing.T, change func(*storage.Interaction)) *storage.Interaction {
	t.Helper()
	now := f.clock.Now()
	in := &storage.Interaction{ID: name("in"), Kind: storage.InteractionAuthorize, Params: url.Values{"scope": {"openid"}}, ReturnTo: "/oauth2/authorize", Binder: name("binder"),
		Subject: "alice", SessionID: "sid", Proofs: map[string]string{"consent": "alice"}, Created: now, Expires: now.Add(30 * time.Minute)}
	change(in)
	need(t, f.CreateInteraction(bg, in))
	return in
}

// interactionLate: what was asked for stays for the grace after its end, what was proven goes with the next purge.
func interactionLate(t *testing.T, f *fixture) {
	in := f.late(t, func(*storage.Interaction) {})
	_, err := f.LateInteraction(bg, in.ID)
	wantErr(t, "LateInteraction of one that runs", err, storage.ErrNotFound)
	f.clock.advance(30 * time.Minute)
	_, err = f.LateInteraction(bg, in.ID)
	need(t, err)
	f.purgeAll(t, 3)
	got, err := f.LateInteraction(bg, in.ID)
	need(t, err)
	same(t, "what is left", []any{got.Kind, got.Params.Encode(), got.ReturnTo, got.Binder, got.Subject, got.SessionID, len(got.Proofs)},
		[]any{in.Kind, in.Params.Encode(), in.ReturnTo, in.Binder, "", "", 0})
	_, err = f.Interaction(bg, in.ID)
	wantErr(t, "Interaction", err, storage.ErrNotFound)
	wantErr(t, "ConsumeInteraction", f.ConsumeInteraction(bg, in.ID), storage.ErrNotFound)
	f.clock.advance(storage.InteractionGrace - time.Microsecond)
	_, err = f.LateInteraction(bg, in.ID)
	need(t, err)
	f.clock.advance(time.Microsecond)
	_, err = f.LateInteraction(bg, in.ID)
	wantErr(t, "LateInteraction after the grace", err, storage.ErrNotFound)
	if n := f.purgeAll(t, 3); n == 0 {
		t.Error("it is not purged")
	}
}

func interactionNotRepeatable(t *testing.T, f *fixture) {
	var rows []*storage.Interaction
	for _, change := range []func(*storage.Interaction){
		func(in *storage.Interaction) { in.Kind = storage.InteractionLink }, func(in *storage.Interaction) { in.Source = storage.SourceObject },
		func(in *storage.Interaction) { in.Binder = "" }, func(in *storage.Interaction) { in.ConsumedAt = f.clock.Now() },
		func(in *storage.Interaction) { in.Params.Set("claims", strings.Repeat("x", storage.MaxLateParams)) },
	} {
		rows = append(rows, f.late(t, change))
	}
	f.clock.advance(30 * time.Minute)
	for i, in := range rows {
		_, err := f.LateInteraction(bg, in.ID)
		wantErr(t, "LateInteraction "+strconv.Itoa(i), err, storage.ErrNotFound)
	}
	if n := f.purgeAll(t, 3); n < len(rows) {
		t.Errorf("%d purged, want %d at least", n, len(rows))
	}
}

func interactionUpdate(t *testing.T, f *fixture) {
	in := f.interaction(t)
	got, err := f.UpdateInteraction(bg, in.ID, func(in *storage.Interaction) error {
		in.Subject, in.SessionID, in.Proofs["denied"] = "alice", "sid-1", "1"
		in.Params.Set("scope", "openid email")
		return nil
	})
	need(t, err)
	row, err := f.Interaction(bg, in.ID)
	need(t, err)
	same(t, "answer and row", got, row)
	same(t, "row", []any{row.Subject, row.SessionID, row.Proofs, row.Params.Get("scope"), row.Binder, row.Source},
		[]any{"alice", "sid-1", map[string]string{"consent": "alice", "denied": "1"}, "openid email", in.Binder, in.Source})
	_, err = f.UpdateInteraction(bg, in.ID, func(in *storage.Interaction) error { in.Source = storage.SourceObject; return nil })
	need(t, err)
	row, err = f.Interaction(bg, in.ID)
	need(t, err)
	same(t, "source", row.Source, storage.SourceObject)
}

func interactionRefusedChange(t *testing.T, f *fixture) {
	in := f.interaction(t)
	_, err := f.UpdateInteraction(bg, in.ID, func(in *storage.Interaction) error { in.Subject, in.Proofs["x"] = "mallory", "y"; return errChange })
	if err != errChange {
		t.Errorf("error %v, want the change's own, unwrapped", err)
	}
	got, err := f.Interaction(bg, in.ID)
	need(t, err)
	same(t, "row", []any{got.Subject, got.Proofs}, []any{"", in.Proofs})
}

func interactionConsumed(t *testing.T, f *fixture) {
	in := f.interaction(t)
	need(t, f.ConsumeInteraction(bg, in.ID))
	wantErr(t, "second use", f.ConsumeInteraction(bg, in.ID), storage.ErrConsumed)
	_, err := f.UpdateInteraction(bg, in.ID, func(in *storage.Interaction) error { in.Subject = "late"; return nil })
	wantErr(t, "UpdateInteraction", err, storage.ErrConsumed)
	got, err := f.Interaction(bg, in.ID)
	need(t, err)
	same(t, "row", []any{got.ConsumedAt, got.Subject}, []any{micro(f.clock.Now()), ""})
}

func interactionCopies(t *testing.T, f *fixture) {
	in := f.interaction(t)
	want, err := f.Interaction(bg, in.ID)
	need(t, err)
	in.Params["resource"][0], in.Proofs["consent"] = "evil", "mallory"
	out, err := f.Interaction(bg, in.ID)
	need(t, err)
	out.Params["resource"][0], out.Proofs["consent"] = "evil", "mallory"
	got, err := f.Interaction(bg, in.ID)
	need(t, err)
	same(t, "row", got, want)
}

// interactionAnyByte: state is the client's and comes back as it was sent, whatever it is.
func interactionAnyByte(t *testing.T, f *fixture) {
	now, state := f.clock.Now(), make([]byte, 256)
	for i := range state {
		state[i] = byte(i)
	}
	in := &storage.Interaction{ID: name("in"), Kind: storage.InteractionAuthorize, Params: url.Values{"state": {string(state)}, "empty": {""}}, Created: now,
		Expires: now.Add(time.Minute)}
	need(t, f.CreateInteraction(bg, in))
	for range 2 {
		got, err := f.Interaction(bg, in.ID)
		need(t, err)
		if got.Params.Get("state") != string(state) || !got.Params.Has("empty") {
			t.Fatalf("params %q, want %q", got.Params, in.Params)
		}
		_, err = f.UpdateInteraction(bg, in.ID, func(in *storage.Interaction) error { in.Subject = "alice"; return nil })
		need(t, err)
	}
}

func interactionOnlyConsume(t *testing.T, f *fixture) {
	in := f.interaction(t)
	_, err := f.UpdateInteraction(bg, in.ID, func(in *storage.Interaction) error { in.ConsumedAt = f.clock.Now(); return nil })
	need(t, err)
	need(t, f.ConsumeInteraction(bg, in.ID))
}
