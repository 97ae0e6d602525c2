package storagetest

import (
	"testing"

	"gatehouse/storage"
)

// factorLastWayIn: an authenticator app alone lets nobody in, so that taking it away shuts nobody out.
func factorLastWayIn(t *testing.T, f *fixture) {
	u := &storage.User{Subject: name("user")}
	need(t, f.CreateUser(bg, u, ""))
	first, app := f.factor(t, u.Subject, storage.FactorPasskey), f.factor(t, u.Subject, storage.FactorTOTP)
	wantErr(t, "the only passkey", f.DeleteFactor(bg, u.Subject, first.ID, false, everything), storage.ErrLastWayIn)
	same(t, "factors after a refusal", len(f.factors(t, u.Subject)), 2)
	need(t, f.DeleteFactor(bg, u.Subject, app.ID, false, everything))
	wantErr(t, "the only passkey, and the only factor", f.DeleteFactor(bg, u.Subject, first.ID, true, everything), storage.ErrLastWayIn)
	second := f.factor(t, u.Subject, storage.FactorPasskey)
	need(t, f.DeleteFactor(bg, u.Subject, first.ID, false, everything))
	f.identity(t, u.Subject)
	need(t, f.DeleteFactor(bg, u.Subject, second.ID, false, everything))
	appOnly := f.factor(t, u.Subject, storage.FactorTOTP)
	need(t, f.SetPassword(bg, u.Subject, ""))
	rows, err := f.IdentitiesOf(bg, u.Subject)
	need(t, err)
	need(t, f.untie(rows[0], nil))
	need(t, f.DeleteFactor(bg, u.Subject, appOnly.ID, false, everything))
	withPassword := f.factor(t, f.user(t).Subject, storage.FactorPasskey)
	need(t, f.DeleteFactor(bg, withPassword.Subject, withPassword.ID, false, everything))
}

// factorLastOffered: what a server does not offer lets nobody in, and is no reason to let go of what does.
func factorLastOffered(t *testing.T, f *fixture) {
	var none storage.Offered
	for what, tc := range map[string]struct {
		offered storage.Offered
		stays   bool
	}{
		"nothing":            {none, false},
		"the account's":      {storage.Offered{Upstreams: []string{"github", "google"}}, true},
		"another provider":   {storage.Offered{Upstreams: []string{"github", "goog", "google ", ""}, Password: true}, false},
		"passkeys":           {storage.Offered{Passkeys: true}, true},
		"passwords, no name": {storage.Offered{Password: true}, false},
	} {
		u := &storage.User{Subject: name("user")}
		need(t, f.CreateUser(bg, u, "a password"))
		kept, key, i := f.identity(t, u.Subject), f.factor(t, u.Subject, storage.FactorPasskey), f.tie(t, &storage.Identity{Upstream: "gone", ExternalID: name("account"), Subject: u.Subject})
		f.factor(t, u.Subject, storage.FactorPasskey)
		if !tc.stays {
			wantErr(t, what+": an account", f.untie(i, &tc.offered), storage.ErrLastWayIn)
			wantErr(t, what+": a passkey", f.DeleteFactor(bg, u.Subject, key.ID, false, &tc.offered), storage.ErrLastWayIn)
			same(t, what+": factors", len(f.factors(t, u.Subject)), 2)
			need(t, f.untie(i, nil))
			need(t, f.DeleteFactor(bg, u.Subject, key.ID, false, nil))
			continue
		}
		need(t, f.untie(i, &tc.offered))
		need(t, f.DeleteFactor(bg, u.Subject, key.ID, false, &tc.offered))
		f.wantIdentity(t, what, kept)
	}
	named := &storage.User{Subject: name("user"), UsernameKey: name("n")}
	need(t, f.CreateUser(bg, named, "a password"))
	key, i := f.factor(t, named.Subject, storage.FactorPasskey), f.identity(t, named.Subject)
	wantErr(t, "a password without a form", f.DeleteFactor(bg, named.Subject, key.ID, false, &none), storage.ErrLastWayIn)
	need(t, f.DeleteFactor(bg, named.Subject, key.ID, false, &storage.Offered{Password: true}))
	wantErr(t, "a password without a form", f.untie(i, &none), storage.ErrLastWayIn)
	need(t, f.untie(i, &storage.Offered{Password: true}))
}

// besideIdentity: a factor of a kind that is no way in by itself does not stand in for the identity, and not for the passkey that came after it.
func besideIdentity(kind storage.FactorKind) func(t *testing.T, f *fixture) {
	return func(t *testing.T, f *fixture) {
		i := f.keyless(t, 1)[0]
		second := f.factor(t, i.Subject, kind)
		wantErr(t, "beside the factor", f.untie(i, everything), storage.ErrLastWayIn)
		passkey := f.factor(t, i.Subject, storage.FactorPasskey)
		need(t, f.untie(i, everything))
		wantErr(t, "the passkey", f.DeleteFactor(bg, i.Subject, passkey.ID, false, everything), storage.ErrLastWayIn)
		f.wantFactors(t, "factors", i.Subject, f.inOrder(second, passkey)...)
	}
}

// factorKeyIsNoWayIn: a security key alone lets nobody in. Taking it away shuts nobody out, and it does not stand in for the last passkey.
func factorKeyIsNoWayIn(t *testing.T, f *fixture) {
	u := &storage.User{Subject: name("user")}
	need(t, f.CreateUser(bg, u, ""))
	passkey, key := f.factor(t, u.Subject, storage.FactorPasskey), f.factor(t, u.Subject, storage.FactorKey)
	wantErr(t, "the only passkey, beside a key", f.DeleteFactor(bg, u.Subject, passkey.ID, false, everything), storage.ErrLastWayIn)
	wantErr(t, "the same where one factor must stay", f.DeleteFactor(bg, u.Subject, passkey.ID, true, everything), storage.ErrLastWayIn)
	f.wantFactors(t, "factors after refusals", u.Subject, f.inOrder(passkey, key)...)
	need(t, f.DeleteFactor(bg, u.Subject, key.ID, true, everything))
	f.wantFactors(t, "without the key", u.Subject, passkey)
	bare := &storage.User{Subject: name("user")}
	need(t, f.CreateUser(bg, bare, ""))
	alone := f.factor(t, bare.Subject, storage.FactorKey)
	wantErr(t, "the only factor, kept", f.DeleteFactor(bg, bare.Subject, alone.ID, true, everything), storage.ErrLastFactor)
	need(t, f.DeleteFactor(bg, bare.Subject, alone.ID, false, everything))
}
