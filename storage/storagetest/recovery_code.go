package storagetest

import (
	"testing"

	"gatehouse/storage"
)

func recoveryReplace(t *testing.T, f *fixture) {
	u, other := f.user(t), f.user(t)
	f.codes(t, other.Subject, "a")
	f.codes(t, u.Subject, "a", "b", "c", "b")
	f.wantCodes(t, "codes", u.Subject, 3)
	f.codes(t, u.Subject, "d", "e")
	f.wantCodes(t, "codes", u.Subject, 2)
	_, err := f.UseRecoveryCode(bg, u.Subject, "a")
	wantErr(t, "a replaced code", err, storage.ErrNotFound)
	f.codes(t, u.Subject)
	f.wantCodes(t, "codes", u.Subject, 0)
	f.wantCodes(t, "another's", other.Subject, 1)
}

func recoveryOnce(t *testing.T, f *fixture) {
	u, other := f.user(t), f.user(t)
	f.codes(t, u.Subject, "a", "b")
	_, err := f.UseRecoveryCode(bg, other.Subject, "a")
	wantErr(t, "another's code", err, storage.ErrNotFound)
	for want, code := range []string{"b", "a"} {
		left, err := f.UseRecoveryCode(bg, u.Subject, code)
		need(t, err)
		same(t, "left", left, 1-want)
		_, err = f.UseRecoveryCode(bg, u.Subject, code)
		wantErr(t, "again", err, storage.ErrNotFound)
	}
}

func recoveryGo(t *testing.T, f *fixture) {
	u := f.user(t)
	app, key := f.factor(t, u.Subject, storage.FactorTOTP), f.factor(t, u.Subject, storage.FactorPasskey)
	f.codes(t, u.Subject, "a", "b")
	need(t, f.DeleteFactor(bg, u.Subject, app.ID, false, everything))
	f.wantCodes(t, "while a factor is left", u.Subject, 2)
	wantErr(t, "refused", f.DeleteFactor(bg, u.Subject, key.ID, true, everything), storage.ErrLastFactor)
	f.wantCodes(t, "after a refusal", u.Subject, 2)
	need(t, f.DeleteFactor(bg, u.Subject, key.ID, false, everything))
	f.wantCodes(t, "after the last factor", u.Subject, 0)
}
