package storagetest

import (
	"strings"
	"testing"
	"time"

	"gatehouse/storage"
)

func testIdentities(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{
		{"RoundTrip", identityRoundTrip}, {"Missing", identityMissing}, {"DisabledUserIsReturned", identityDisabledUser}, {"KeyIsUpstreamAndExternalID", identityKey},
		{"ListInOrderWithoutTokens", identityList}, {"TiedOnce", identityTiedOnce}, {"NeedsTheUserAsProven", identityNeedsUser},
		{"WithNewUser", identityNewUser}, {"WithNewUserOrNothing", identityNewUserRefused}, {"TouchMovesForwardOnly", identityTouch},
		{"TouchStoresWhatWasToldLast", identityTold}, {"AnyLabelIsTaken", identityAnyLabel}, {"CopiesAreApart", identityCopies},
		{"Delete", identityDelete}, {"DeleteEndsItsSessions", identityDeleteSessions}, {"DeleteEndsManySessions", identityDeleteMany},
		{"LastWayIn", identityLastWayIn}, {"FreeAfterTheUser", identityFreed},
	})
}

// account returns an unsaved identity.
func account(subject string) *storage.Identity {
	return &storage.Identity{Upstream: "google", ExternalID: name("account"), Subject: subject, Label: "Ada@Example.org", Tokens: []byte("sealed")}
}

// accountOf is the ExternalID of the identity that fixture.identity stores.
func accountOf(subject string) string { return "account-of-" + subject }

// identity stores the first identity of a user.
func (f *fixture) identity(t *testing.T, subject string) *storage.Identity {
	t.Helper()
	i := account(subject)
	i.ExternalID = accountOf(subject)
	return f.tie(t, i)
}

// tie stores an identity under the epoch of its user.
func (f *fixture) tie(t *testing.T, i *storage.Identity) *storage.Identity {
	t.Helper()
	u, err := f.User(bg, i.Subject)
	need(t, err)
	need(t, f.CreateIdentity(bg, i, u.Epoch))
	return i
}

// keyless stores a user who can sign in by identities only, and so many of them.
func (f *fixture) keyless(t *testing.T, identities int) []*storage.Identity {
	t.Helper()
	u := &storage.User{Subject: name("user")}
	need(t, f.CreateUser(bg, u, ""))
	var all []*storage.Identity
	for range identities {
		all = append(all, f.tie(t, account(u.Subject)))
	}
	return all
}

// everything is what a server offers that offers all that users of the suite have, unless a test says that something is gone.
var everything = &storage.Offered{Password: true, Passkeys: true, Upstreams: []string{"google", "github", "gitlab"}}

func (f *fixture) untie(i *storage.Identity, offered *storage.Offered) error {
	return f.DeleteIdentity(bg, i.Subject, i.Upstream, i.ExternalID, offered)
}

func (f *fixture) wantIdentity(t *testing.T, what string, want *storage.Identity) {
	t.Helper()
	got, u, err := f.Identity(bg, want.Upstream, want.ExternalID)
	need(t, err)
	same(t, what, got, want)
	same(t, what+": user", u.Subject, want.Subject)
}

func (f *fixture) wantUntied(t *testing.T, what string, i *storage.Identity) {
	t.Helper()
	_, _, err := f.Identity(bg, i.Upstream, i.ExternalID)
	wantErr(t, what, err, storage.ErrNotFound)
}

func identityRoundTrip(t *testing.T, f *fixture) {
	u, i := f.user(t), account("")
	i.Subject, i.Label = u.Subject, "Bücher <a@x> 日本"
	need(t, f.CreateIdentity(bg, i, 0))
	if now := micro(f.clock.Now()); !i.Created.Equal(now) || !i.LastUsed.Equal(now) {
		t.Errorf("stamped %v and %v, want the clock's %v", i.Created, i.LastUsed, now)
	}
	got, user, err := f.Identity(bg, i.Upstream, i.ExternalID)
	need(t, err)
	same(t, "identity", got, i)
	same(t, "user", user, u)
	bare := account(u.Subject)
	bare.Tokens = nil
	f.tie(t, bare)
	f.wantIdentity(t, "one without tokens", bare)
}

func identityMissing(t *testing.T, f *fixture) {
	i := f.identity(t, f.user(t).Subject)
	for _, key := range [][2]string{{"google", name("account")}, {"github", i.ExternalID}, {"google", ""}, {"", i.ExternalID}, {"google", i.Label}} {
		_, _, err := f.Identity(bg, key[0], key[1])
		wantErr(t, "Identity", err, storage.ErrNotFound)
		wantErr(t, "TouchIdentity", f.TouchIdentity(bg, key[0], key[1], "label", []byte("x"), f.clock.Now()), storage.ErrNotFound)
		wantErr(t, "DeleteIdentity", f.DeleteIdentity(bg, i.Subject, key[0], key[1], nil), storage.ErrNotFound)
	}
	wantErr(t, "DeleteIdentity of nobody", f.DeleteIdentity(bg, name("nobody"), i.Upstream, i.ExternalID, nil), storage.ErrNotFound)
	rows, err := f.IdentitiesOf(bg, name("nobody"))
	need(t, err)
	same(t, "identities of nobody", len(rows), 0)
	f.wantIdentity(t, "the one that is there", i)
}

func identityDisabledUser(t *testing.T, f *fixture) {
	u := f.user(t)
	i := f.identity(t, u.Subject)
	_, err := f.UpdateUser(bg, u.Subject, func(u *storage.User) error { u.Disabled = true; return nil })
	need(t, err)
	_, got, err := f.Identity(bg, i.Upstream, i.ExternalID)
	need(t, err)
	same(t, "disabled", got.Disabled, true)
}

// identityKey: two providers may use the same number, and a provider two that differ in case only. A label is no key.
func identityKey(t *testing.T, f *fixture) {
	id := name("Account")
	var all []*storage.Identity
	for _, key := range [][2]string{{"google", id}, {"github", id}, {"google", strings.ToLower(id)}, {"google", id + " "}, {"Google", id}} {
		i := account(f.user(t).Subject)
		i.Upstream, i.ExternalID = key[0], key[1]
		all = append(all, f.tie(t, i))
	}
	for _, i := range all {
		f.wantIdentity(t, i.Upstream+" "+i.ExternalID, i)
	}
}

func identityList(t *testing.T, f *fixture) {
	u := f.user(t)
	f.identity(t, f.user(t).Subject)
	mark := name("")
	var want []string
	for _, key := range [][2]string{{"b", "1"}, {"a", "b"}, {"B", "x"}, {"a", "ä"}, {"a", "10"}, {"a", "9"}, {"a-b", "0"}, {"a", "B"}} {
		i := account(u.Subject)
		i.Upstream, i.ExternalID = key[0], key[1]+mark
		f.tie(t, i)
	}
	for _, key := range []string{"B x", "a 10", "a 9", "a B", "a b", "a ä", "a-b 0", "b 1"} {
		want = append(want, key+mark)
	}
	rows, err := f.IdentitiesOf(bg, u.Subject)
	need(t, err)
	var got []string
	for _, i := range rows {
		got = append(got, i.Upstream+" "+i.ExternalID)
		full, _, err := f.Identity(bg, i.Upstream, i.ExternalID)
		need(t, err)
		same(t, "tokens of the one", string(full.Tokens), "sealed")
		full.Tokens = nil
		same(t, "the one in the list", i, full)
	}
	same(t, "order", got, want)
}

// identityTiedOnce is security row 175.
func identityTiedOnce(t *testing.T, f *fixture) {
	i, other := f.identity(t, f.user(t).Subject), f.user(t)
	for _, subject := range []string{i.Subject, other.Subject} {
		again := account(subject)
		again.ExternalID, again.Label = i.ExternalID, "stolen"
		wantExists(t, "CreateIdentity", f.CreateIdentity(bg, again, 0), "identity")
	}
	f.wantIdentity(t, "the first", i)
	rows, err := f.IdentitiesOf(bg, other.Subject)
	need(t, err)
	same(t, "identities of the other", len(rows), 0)
}

func identityNeedsUser(t *testing.T, f *fixture) {
	nobody, disabled, changed := account(name("nobody")), account(f.user(t).Subject), account(f.user(t).Subject)
	_, err := f.UpdateUser(bg, disabled.Subject, func(u *storage.User) error { u.Disabled = true; return nil })
	need(t, err)
	need(t, f.SetPassword(bg, changed.Subject, "new"))
	for what, try := range map[string]struct {
		i     *storage.Identity
		epoch int64
	}{"no such user": {nobody, 0}, "disabled": {disabled, 1}, "an old epoch": {changed, 0}, "an epoch to come": {changed, 2}} {
		wantErr(t, what, f.CreateIdentity(bg, try.i, try.epoch), storage.ErrNotFound)
		f.wantUntied(t, what, try.i)
	}
	need(t, f.CreateIdentity(bg, changed, 1))
}

func identityNewUser(t *testing.T, f *fixture) {
	u, i := &storage.User{Subject: name("user"), EmailVerified: true, Claims: map[string]any{"name": "Ada"}}, account("")
	u.EmailKey = u.Subject + "@example.org"
	before := versions(t, f)
	need(t, f.CreateUserIdentity(bg, u, i))
	same(t, "the caller's identity", i.Subject, u.Subject)
	got, user, err := f.Identity(bg, i.Upstream, i.ExternalID)
	need(t, err)
	same(t, "identity", got, i)
	same(t, "the caller's user, stamped", u, user)
	if now := micro(f.clock.Now()); !user.Created.Equal(now) || !user.Updated.Equal(now) || !got.Created.Equal(now) || !got.LastUsed.Equal(now) {
		t.Errorf("stamped %v, %v, %v and %v, want the clock's %v", user.Created, user.Updated, got.Created, got.LastUsed, now)
	}
	_, password, err := f.UserByLogin(bg, u.EmailKey)
	need(t, err)
	same(t, "password", password, "")
	same(t, "versions", versions(t, f), before)
}

func identityNewUserRefused(t *testing.T, f *fixture) {
	u := f.user(t)
	taken := f.identity(t, u.Subject)
	for field, thief := range map[string]*storage.User{"id": {Subject: u.Subject}, "email": {Subject: name("user"), EmailKey: u.EmailKey},
		"username": {Subject: name("user"), UsernameKey: u.UsernameKey}, "identity": {Subject: name("user"), EmailKey: name("free")}} {
		i := account("")
		if field == "identity" {
			i.ExternalID = taken.ExternalID
		}
		wantExists(t, "CreateUserIdentity", f.CreateUserIdentity(bg, thief, i), field)
		if field == "identity" {
			_, _, err := f.UserByLogin(bg, thief.EmailKey)
			wantErr(t, "the refused user, by address", err, storage.ErrNotFound)
		} else {
			f.wantUntied(t, field+": the refused identity", i)
		}
		if field != "id" {
			_, err := f.User(bg, thief.Subject)
			wantErr(t, field+": the refused user", err, storage.ErrNotFound)
		}
	}
	f.wantIdentity(t, "the first identity", taken)
	got, err := f.User(bg, u.Subject)
	need(t, err)
	same(t, "the first user", got, u)
}

func identityTouch(t *testing.T, f *fixture) {
	i, other := f.identity(t, f.user(t).Subject), f.identity(t, f.user(t).Subject)
	later := i.LastUsed.Add(time.Minute + 7*time.Nanosecond)
	for _, at := range []time.Time{later, i.Created.Add(time.Second), i.Created.Add(-time.Hour)} {
		need(t, f.TouchIdentity(bg, i.Upstream, i.ExternalID, i.Label, i.Tokens, at.In(time.FixedZone("east", 3600))))
		want := *i
		want.LastUsed = micro(later)
		f.wantIdentity(t, "touched", &want)
	}
	f.wantIdentity(t, "another", other)
}

func identityTold(t *testing.T, f *fixture) {
	i := f.identity(t, f.user(t).Subject)
	before := versions(t, f)
	for _, told := range []struct {
		label  string
		tokens []byte
	}{{"Countess@Example.org", []byte("newer")}, {"", nil}, {"Ada", []byte{0, 255}}, {"Ada", nil}} {
		i.Label, i.Tokens = told.label, told.tokens
		need(t, f.TouchIdentity(bg, i.Upstream, i.ExternalID, told.label, told.tokens, i.LastUsed))
		f.wantIdentity(t, "touched", i)
	}
	same(t, "versions", versions(t, f), before)
}

// identityAnyLabel: what a provider calls an account must not stop a sign-in; what cannot be stored is replaced.
func identityAnyLabel(t *testing.T, f *fixture) {
	for _, label := range []string{"Ada\x00da", "Ada\xff", strings.Repeat("x", 5000)} {
		i := account(f.user(t).Subject)
		i.Label, i.ExternalID = label, strings.Repeat("9", 255-26)+name("")[1:]
		need(t, f.CreateIdentity(bg, i, 0))
		need(t, f.TouchIdentity(bg, i.Upstream, i.ExternalID, label+"!", nil, f.clock.Now()))
		got, _, err := f.Identity(bg, i.Upstream, i.ExternalID)
		need(t, err)
		same(t, "the rest of the label", []bool{strings.HasPrefix(got.Label, label[:3]), strings.HasSuffix(got.Label, "!")}, []bool{true, true})
	}
}

func identityCopies(t *testing.T, f *fixture) {
	i, tokens := f.identity(t, f.user(t).Subject), []byte("sealed")
	i.Tokens[0] = 'X'
	out, _, err := f.Identity(bg, i.Upstream, i.ExternalID)
	need(t, err)
	same(t, "tokens after the caller's change", string(out.Tokens), "sealed")
	need(t, f.TouchIdentity(bg, i.Upstream, i.ExternalID, "", tokens, f.clock.Now()))
	out.Tokens[0], tokens[0] = 'X', 'X'
	out, _, err = f.Identity(bg, i.Upstream, i.ExternalID)
	need(t, err)
	same(t, "tokens after TouchIdentity", string(out.Tokens), "sealed")
}

func identityDelete(t *testing.T, f *fixture) {
	u, other := f.user(t), f.user(t)
	i, kept, foreign := f.identity(t, u.Subject), f.tie(t, account(u.Subject)), f.identity(t, other.Subject)
	wantErr(t, "another's identity", f.DeleteIdentity(bg, u.Subject, foreign.Upstream, foreign.ExternalID, nil), storage.ErrNotFound)
	need(t, f.untie(i, everything))
	f.wantUntied(t, "the deleted", i)
	wantErr(t, "again", f.untie(i, nil), storage.ErrNotFound)
	f.wantIdentity(t, "the user's other", kept)
	f.wantIdentity(t, "another's", foreign)
	got, password, err := f.UserByLogin(bg, u.EmailKey)
	need(t, err)
	same(t, "user and password", []any{got, password}, []any{u, "hash-of-" + u.Subject})
	i.Subject = other.Subject
	f.tie(t, i) // free again
}

func identityFreed(t *testing.T, f *fixture) {
	i := f.identity(t, f.user(t).Subject)
	need(t, f.DeleteUser(bg, i.Subject))
	rows, err := f.IdentitiesOf(bg, i.Subject)
	need(t, err)
	same(t, "identities of the deleted", len(rows), 0)
	i.Subject = f.user(t).Subject
	f.tie(t, i)
	f.wantIdentity(t, "the next user's", i)
}
