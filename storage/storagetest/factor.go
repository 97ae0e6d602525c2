package storagetest

import (
	"testing"
	"time"

	"gatehouse/storage"
)

func testFactors(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{
		{"RoundTrip", factorRoundTrip}, {"Missing", factorMissing}, {"NeedsTheUser", factorNeedsUser}, {"NeedsTheEpoch", factorNeedsEpoch}, {"TakenIDAndCredential", factorTaken},
		{"NoMoreThanMaxFactors", factorLimit}, {"OldestFirst", factorOrder}, {"ByCredentialWithItsUser", factorByCredential},
		{"CodeCountsOnce", factorCodeOnce}, {"PasskeyTakesWhatItIsTold", factorPasskeyUse}, {"KeyIsNoWayIn", factorKeyIsNoWayIn}, {"IdentityIsLastBesideKey", besideIdentity(storage.FactorKey)}, {"UseMovesForwardOnly", factorUseForward},
		{"OnlyTheSubjectRenamesAndDeletes", factorOwn}, {"DeleteLastWayIn", factorLastWayIn}, {"DeleteLastWayInThatIsOffered", factorLastOffered}, {"IdentityIsNotLastBesidePasskey", besideIdentity(storage.FactorTOTP)},
		{"DeleteKeepsTheLast", factorKeep}, {"CopiesAreApart", factorCopies},
		{"RecoveryCodesReplace", recoveryReplace}, {"RecoveryCodeWorksOnce", recoveryOnce}, {"RecoveryCodesGoWithTheLastFactor", recoveryGo},
	})
}

// unsavedFactor returns a factor that is not stored; all but an app have a credential id.
func (f *fixture) unsavedFactor(subject string, kind storage.FactorKind) *storage.Factor {
	n := &storage.Factor{ID: name("factor"), Subject: subject, Kind: kind, Name: "Schlüssel 日本", Data: []byte("\x00\xffsealed"), Counter: 7, Created: micro(f.clock.Now())}
	if kind.HasCredential() {
		n.CredentialID = name("credential")
	}
	return n
}

func (f *fixture) factor(t *testing.T, subject string, kind storage.FactorKind) *storage.Factor {
	t.Helper()
	u, err := f.User(bg, subject)
	need(t, err)
	n := f.unsavedFactor(subject, kind)
	need(t, f.CreateFactor(bg, n, u.Epoch))
	return n
}

func (f *fixture) factors(t *testing.T, subject string) []*storage.Factor {
	t.Helper()
	got, err := f.FactorsOf(bg, subject)
	need(t, err)
	return got
}

func (f *fixture) wantFactors(t *testing.T, what, subject string, want ...*storage.Factor) {
	t.Helper()
	same(t, what, f.factors(t, subject), want)
}

// codes stores recovery codes.
func (f *fixture) codes(t *testing.T, subject string, hashes ...string) {
	t.Helper()
	need(t, f.SetRecoveryCodes(bg, subject, hashes, 0))
}

func (f *fixture) wantCodes(t *testing.T, what, subject string, want int) {
	t.Helper()
	left, err := f.RecoveryCodes(bg, subject)
	need(t, err)
	same(t, what, left, want)
}

func factorRoundTrip(t *testing.T, f *fixture) {
	u := f.user(t)
	app := f.unsavedFactor(u.Subject, storage.FactorTOTP)
	app.LastUsed = app.Created.Add(time.Second)
	need(t, f.CreateFactor(bg, app, 0))
	f.clock.advance(time.Minute)
	key := f.unsavedFactor(u.Subject, storage.FactorPasskey)
	key.Data = nil
	need(t, f.CreateFactor(bg, key, 0))
	f.wantFactors(t, "factors", u.Subject, app, key)
}

func factorMissing(t *testing.T, f *fixture) {
	u := f.user(t)
	app := f.factor(t, u.Subject, storage.FactorTOTP)
	f.wantFactors(t, "factors of nobody", name("nobody"))
	for _, id := range []string{"", name("credential"), app.ID} {
		_, _, err := f.FactorByCredential(bg, id)
		wantErr(t, "FactorByCredential", err, storage.ErrNotFound)
	}
	wantErr(t, "UseFactor", f.UseFactor(bg, name("factor"), 1, nil, f.clock.Now()), storage.ErrNotFound)
	wantErr(t, "RenameFactor", f.RenameFactor(bg, u.Subject, name("factor"), "x"), storage.ErrNotFound)
	wantErr(t, "DeleteFactor", f.DeleteFactor(bg, u.Subject, name("factor"), false, everything), storage.ErrNotFound)
	wantErr(t, "DeleteFactor of nobody", f.DeleteFactor(bg, name("nobody"), app.ID, false, everything), storage.ErrNotFound)
	wantErr(t, "SetRecoveryCodes", f.SetRecoveryCodes(bg, name("nobody"), []string{"h"}, 0), storage.ErrNotFound)
	_, err := f.UseRecoveryCode(bg, name("nobody"), "h")
	wantErr(t, "UseRecoveryCode", err, storage.ErrNotFound)
	f.wantCodes(t, "codes of nobody", name("nobody"), 0)
	f.wantFactors(t, "the one that is there", u.Subject, app)
}

func factorNeedsUser(t *testing.T, f *fixture) {
	n := f.unsavedFactor(name("nobody"), storage.FactorPasskey)
	wantErr(t, "CreateFactor", f.CreateFactor(bg, n, 0), storage.ErrNotFound)
	_, _, err := f.FactorByCredential(bg, n.CredentialID)
	wantErr(t, "the refused factor", err, storage.ErrNotFound)
}

// factorNeedsEpoch: what was proven before the password changed, or the user was disabled, adds nothing.
func factorNeedsEpoch(t *testing.T, f *fixture) {
	disabled, changed := f.user(t).Subject, f.user(t).Subject
	_, err := f.UpdateUser(bg, disabled, func(u *storage.User) error { u.Disabled = true; return nil })
	need(t, err)
	need(t, f.SetPassword(bg, changed, "new"))
	for what, try := range map[string]struct {
		subject string
		epoch   int64
	}{"disabled": {disabled, 1}, "an old epoch": {changed, 0}, "an epoch to come": {changed, 2}} {
		wantErr(t, what, f.CreateFactor(bg, f.unsavedFactor(try.subject, storage.FactorPasskey), try.epoch), storage.ErrNotFound)
		wantErr(t, what+", codes", f.SetRecoveryCodes(bg, try.subject, []string{"a"}, try.epoch), storage.ErrNotFound)
		f.wantFactors(t, what, try.subject)
		f.wantCodes(t, what, try.subject, 0)
	}
	n := f.unsavedFactor(changed, storage.FactorPasskey)
	need(t, f.CreateFactor(bg, n, 1))
	need(t, f.SetRecoveryCodes(bg, changed, []string{"a"}, 1))
	f.wantFactors(t, "under its epoch", changed, n)
	f.wantCodes(t, "under its epoch", changed, 1)
}

func factorTaken(t *testing.T, f *fixture) {
	first, other := f.factor(t, f.user(t).Subject, storage.FactorPasskey), f.user(t)
	id := f.unsavedFactor(other.Subject, storage.FactorTOTP)
	id.ID = first.ID
	wantExists(t, "id", f.CreateFactor(bg, id, 0), "id")
	credential := f.unsavedFactor(other.Subject, storage.FactorPasskey)
	credential.CredentialID = first.CredentialID
	wantExists(t, "credential", f.CreateFactor(bg, credential, 0), "credential")
	credential.Kind = storage.FactorKey
	wantExists(t, "credential of another kind", f.CreateFactor(bg, credential, 0), "credential")
	f.wantFactors(t, "factors of the second", other.Subject)
	f.factor(t, other.Subject, storage.FactorTOTP)
	f.factor(t, other.Subject, storage.FactorTOTP) // an empty credential id is none, which many may have
}

func factorLimit(t *testing.T, f *fixture) {
	u := f.user(t)
	for i := range storage.MaxFactors {
		f.factor(t, u.Subject, []storage.FactorKind{storage.FactorTOTP, storage.FactorPasskey}[i%2])
	}
	wantExists(t, "one more", f.CreateFactor(bg, f.unsavedFactor(u.Subject, storage.FactorPasskey), 0), "factors")
	have := f.factors(t, u.Subject)
	same(t, "factors", len(have), storage.MaxFactors)
	need(t, f.DeleteFactor(bg, u.Subject, have[0].ID, false, everything))
	f.factor(t, u.Subject, storage.FactorPasskey)
	f.factor(t, f.user(t).Subject, storage.FactorTOTP)
}

func factorOrder(t *testing.T, f *fixture) {
	u := f.user(t)
	newer := f.factor(t, u.Subject, storage.FactorTOTP)
	older := f.unsavedFactor(u.Subject, storage.FactorPasskey)
	older.Created = newer.Created.Add(-time.Hour)
	need(t, f.CreateFactor(bg, older, 0))
	f.wantFactors(t, "factors", u.Subject, older, newer)
}

func factorByCredential(t *testing.T, f *fixture) {
	u := f.user(t)
	var key *storage.Factor
	for _, kind := range []storage.FactorKind{storage.FactorPasskey, storage.FactorKey} {
		key = f.factor(t, u.Subject, kind)
		got, user, err := f.FactorByCredential(bg, key.CredentialID)
		need(t, err)
		same(t, "factor", got, key)
		same(t, "user", user, u)
	}
	want, err := f.UpdateUser(bg, u.Subject, func(u *storage.User) error { u.Disabled = true; return nil })
	need(t, err)
	_, user, err := f.FactorByCredential(bg, key.CredentialID)
	need(t, err)
	same(t, "disabled user", user, want)
}

// factorCodeOnce is RFC 6238 section 5.2: a code that was accepted must not be accepted again, nor one before it.
func factorCodeOnce(t *testing.T, f *fixture) {
	now := micro(f.clock.Now())
	for _, data := range [][]byte{nil, []byte("not the seed")} {
		app := f.factor(t, f.user(t).Subject, storage.FactorTOTP)
		for _, step := range []struct {
			counter int64
			want    error
		}{{app.Counter, storage.ErrConsumed}, {app.Counter - 1, storage.ErrConsumed}, {9, nil}, {9, storage.ErrConsumed}, {8, storage.ErrConsumed}, {10, nil}} {
			now = now.Add(time.Second)
			err := f.UseFactor(bg, app.ID, step.counter, data, now)
			if step.want != nil {
				wantErr(t, "UseFactor", err, step.want)
			} else {
				need(t, err)
				app.Counter, app.LastUsed = step.counter, now
			}
			f.wantFactors(t, "the factor, whose seed stays", app.Subject, app)
		}
	}
}

func factorPasskeyUse(t *testing.T, f *fixture) {
	now := micro(f.clock.Now())
	for _, kind := range []storage.FactorKind{storage.FactorPasskey, storage.FactorKey} {
		key := f.factor(t, f.user(t).Subject, kind)
		for _, step := range []struct {
			counter int64
			data    []byte
		}{{8, []byte("new")}, {8, nil}, {0, nil}, {3, []byte("newest")}} {
			need(t, f.UseFactor(bg, key.ID, step.counter, step.data, now))
			key.Counter, key.LastUsed = step.counter, now
			if step.data != nil {
				key.Data = step.data
			}
			f.wantFactors(t, string(kind), key.Subject, key)
		}
	}
}

func factorUseForward(t *testing.T, f *fixture) {
	u, now := f.user(t), micro(f.clock.Now())
	for _, kind := range []storage.FactorKind{storage.FactorTOTP, storage.FactorPasskey, storage.FactorKey} {
		n := f.factor(t, u.Subject, kind)
		need(t, f.UseFactor(bg, n.ID, 8, nil, now.Add(time.Hour)))
		need(t, f.UseFactor(bg, n.ID, 9, nil, now))
	}
	for _, n := range f.factors(t, u.Subject) {
		same(t, "LastUsed", n.LastUsed, now.Add(time.Hour))
	}
}

func factorOwn(t *testing.T, f *fixture) {
	n, other := f.factor(t, f.user(t).Subject, storage.FactorTOTP), f.user(t)
	wantErr(t, "another renames", f.RenameFactor(bg, other.Subject, n.ID, "x"), storage.ErrNotFound)
	wantErr(t, "another deletes", f.DeleteFactor(bg, other.Subject, n.ID, false, everything), storage.ErrNotFound)
	f.wantFactors(t, "untouched", n.Subject, n)
	need(t, f.RenameFactor(bg, n.Subject, n.ID, "Telefon"))
	n.Name = "Telefon"
	f.wantFactors(t, "renamed", n.Subject, n)
	need(t, f.DeleteFactor(bg, n.Subject, n.ID, false, everything))
	f.wantFactors(t, "deleted", n.Subject)
	wantErr(t, "again", f.DeleteFactor(bg, n.Subject, n.ID, false, everything), storage.ErrNotFound)
}

// inOrder is two factors as FactorsOf returns them if they were created at the same moment.
func (*fixture) inOrder(a, b *storage.Factor) []*storage.Factor {
	if b.ID < a.ID {
		a, b = b, a
	}
	return []*storage.Factor{a, b}
}

func factorKeep(t *testing.T, f *fixture) {
	u := f.user(t)
	app, key := f.factor(t, u.Subject, storage.FactorTOTP), f.factor(t, u.Subject, storage.FactorPasskey)
	need(t, f.DeleteFactor(bg, u.Subject, app.ID, true, everything))
	wantErr(t, "the last one", f.DeleteFactor(bg, u.Subject, key.ID, true, everything), storage.ErrLastFactor)
	f.wantFactors(t, "kept", u.Subject, key)
	need(t, f.DeleteFactor(bg, u.Subject, key.ID, false, everything))
}

func factorCopies(t *testing.T, f *fixture) {
	n := f.unsavedFactor(f.user(t).Subject, storage.FactorPasskey)
	want := *n
	want.Data = append([]byte(nil), n.Data...)
	need(t, f.CreateFactor(bg, n, 0))
	n.Data[0] = 'x'
	f.factors(t, n.Subject)[0].Data[0] = 'y'
	f.wantFactors(t, "factor", n.Subject, &want)
}
