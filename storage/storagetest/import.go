package storagetest

import (
	"fmt"
	"testing"
	"time"

	"gatehouse/storage"
)

func testImports(t *testing.T, open Opener) {
	newFixture(t, open).run(t, []rule{
		{"RoundTrip", importRoundTrip}, {"StampsWhatDidNotComeAlong", importStamps}, {"TakenKeysAreNamed", importTaken},
		{"FirstOfTheSameListWins", importWithin}, {"RefusedLeavesNothingBehind", importNothingBehind}, {"UnstorableHindersNoOther", importUnstorable},
		{"Nobody", importNobody}, {"Many", importMany},
	})
	t.Run("ExportInOrderOfSubject", func(t *testing.T) { exportPages(t, newFixture(t, open)) })
}

// newcomer returns a user to import, with an address, a name and a password.
func newcomer() storage.ImportedUser {
	id := name("new")
	return storage.ImportedUser{Password: "hash-of-" + id, User: &storage.User{Subject: id, Email: id + "@Example.org", EmailKey: id + "@example.org", EmailVerified: true,
		Username: id, UsernameKey: id}}
}

// importAll imports users and returns why each was refused.
func (f *fixture) importAll(t *testing.T, users ...storage.ImportedUser) []error {
	t.Helper()
	refused, err := f.ImportUsers(bg, users)
	need(t, err)
	if len(refused) != len(users) {
		t.Fatalf("%d answers for %d users", len(refused), len(users))
	}
	return refused
}

// wantImported fails unless a user is there as it was given.
func (f *fixture) wantImported(t *testing.T, what string, in storage.ImportedUser) {
	t.Helper()
	u, password, err := f.UserByLogin(bg, in.User.EmailKey)
	need(t, err)
	same(t, what, u, in.User)
	same(t, what+": password", password, in.Password)
	for _, i := range in.Identities {
		f.wantIdentity(t, what, i)
	}
}

func importRoundTrip(t *testing.T, f *fixture) {
	long := micro(f.clock.Now()).Add(-1000 * time.Hour)
	full, bare := newcomer(), storage.ImportedUser{User: &storage.User{Subject: name("new"), EmailKey: name("e") + "@x"}}
	full.User.Claims = map[string]any{"name": "日本", "n": 1.5}
	full.User.Disabled, full.User.Locale, full.User.TermsVersion, full.User.TermsAccepted = true, "de-AT", "3", long
	full.User.Created, full.User.PasswordSet = long, long.Add(time.Hour)
	full.Identities = []*storage.Identity{account(""), account("")}
	full.Identities[0].Created, full.Identities[0].LastUsed = long, long.Add(2*time.Hour)
	for _, err := range f.importAll(t, full, bare) {
		need(t, err)
	}
	same(t, "times that came along", []time.Time{full.User.Created, full.User.PasswordSet, full.Identities[0].Created, full.Identities[0].LastUsed},
		[]time.Time{long, long.Add(time.Hour), long, long.Add(2 * time.Hour)})
	f.wantImported(t, "full", full)
	f.wantImported(t, "bare", bare)
	rows, err := f.IdentitiesOf(bg, full.User.Subject)
	need(t, err)
	same(t, "identities", len(rows), 2)
}

func importStamps(t *testing.T, f *fixture) {
	in, none := newcomer(), newcomer()
	in.User.Epoch, in.User.Failures, in.User.LastFailure = 7, 7, f.clock.Now()
	in.Identities = []*storage.Identity{account("")}
	none.Password, none.User.PasswordSet = "", f.clock.Now()
	for _, err := range f.importAll(t, in, none) {
		need(t, err)
	}
	now := micro(f.clock.Now())
	want := *in.User
	want.Created, want.Updated, want.PasswordSet, want.Epoch, want.Failures, want.LastFailure = now, now, now, 0, 0, time.Time{}
	same(t, "stamped", in.User, want)
	same(t, "identity", []any{in.Identities[0].Subject, in.Identities[0].Created, in.Identities[0].LastUsed}, []any{in.User.Subject, now, now})
	f.wantImported(t, "row", in)
	same(t, "PasswordSet without a password", none.User.PasswordSet, time.Time{})
	f.wantImported(t, "without a password", none)
}

func importTaken(t *testing.T, f *fixture) {
	u := f.user(t)
	i := f.identity(t, u.Subject)
	var users []storage.ImportedUser
	fields := []string{"id", "email", "username", "identity", ""}
	for range fields {
		users = append(users, newcomer())
	}
	users[0].User.Subject, users[1].User.EmailKey, users[2].User.UsernameKey = u.Subject, u.EmailKey, u.UsernameKey
	tied := account("")
	tied.ExternalID = i.ExternalID
	users[3].Identities = []*storage.Identity{account(""), tied}
	for n, err := range f.importAll(t, users...) {
		if fields[n] == "" {
			need(t, err)
			f.wantImported(t, "the one without fault", users[n])
			continue
		}
		wantExists(t, "taken", err, fields[n])
		if n > 0 {
			_, err := f.User(bg, users[n].User.Subject)
			wantErr(t, "refused for "+fields[n], err, storage.ErrNotFound)
		}
	}
	f.wantUntied(t, "the other account of a refused user", users[3].Identities[0])
	f.wantIdentity(t, "the account that is tied", i)
	got, err := f.User(bg, u.Subject)
	need(t, err)
	same(t, "the user who was there", got, u)
}

func importWithin(t *testing.T, f *fixture) {
	first := newcomer()
	first.Identities = []*storage.Identity{account("")}
	id, email, username, identity, twice := newcomer(), newcomer(), newcomer(), newcomer(), newcomer()
	id.User.Subject, email.User.EmailKey, username.User.UsernameKey = first.User.Subject, first.User.EmailKey, first.User.UsernameKey
	again := account("")
	again.ExternalID = first.Identities[0].ExternalID
	identity.Identities = []*storage.Identity{again}
	one, other := account(""), account("")
	other.ExternalID = one.ExternalID
	twice.Identities = []*storage.Identity{one, other}
	refused := f.importAll(t, first, id, email, username, identity, twice)
	need(t, refused[0])
	for n, field := range []string{"id", "email", "username", "identity", "identity"} {
		wantExists(t, "the second", refused[n+1], field)
	}
	f.wantImported(t, "the first", first)
	plain, repeated := newcomer(), newcomer()
	repeated.User.Subject = plain.User.Subject
	refused = f.importAll(t, plain, repeated)
	need(t, refused[0])
	wantExists(t, "the same subject, both without identities", refused[1], "id")
	f.wantImported(t, "the first of a subject", plain)
}

// importNothingBehind: whoever comes after somebody who was refused may have the address that the other wanted.
func importNothingBehind(t *testing.T, f *fixture) {
	i := f.identity(t, f.user(t).Subject)
	refused, next := newcomer(), newcomer()
	tied := account("")
	tied.ExternalID = i.ExternalID
	refused.Identities = []*storage.Identity{account(""), tied}
	next.User.EmailKey, next.User.UsernameKey = refused.User.EmailKey, refused.User.UsernameKey
	answers := f.importAll(t, newcomer(), refused, next)
	wantExists(t, "refused", answers[1], "identity")
	need(t, answers[2])
	f.wantImported(t, "the next", next)
}

func importUnstorable(t *testing.T, f *fixture) {
	for what, s := range unstorable {
		before, odd, after := newcomer(), newcomer(), newcomer()
		odd.User.EmailKey += s
		answers := f.importAll(t, before, odd, after)
		need(t, answers[0])
		need(t, answers[2])
		f.wantImported(t, what+": before", before)
		f.wantImported(t, what+": after", after)
		if answers[1] != nil {
			wantErr(t, what, answers[1], storage.ErrUnavailable)
			_, err := f.User(bg, odd.User.Subject)
			wantErr(t, what+": refused", err, storage.ErrNotFound)
		}
	}
}

func importNobody(t *testing.T, f *fixture) {
	refused, err := f.ImportUsers(bg, nil)
	need(t, err)
	same(t, "answers", len(refused), 0)
}

// importMany: more than fit one statement, with a refused one here and there.
func importMany(t *testing.T, f *fixture) {
	u := f.user(t)
	var users []storage.ImportedUser
	for n := range 333 {
		in := newcomer()
		switch {
		case n%10 == 3:
			in.User.EmailKey = u.EmailKey
		case n == 120:
			in.User.Subject = users[119].User.Subject
		case n%100 == 7: // rare enough that some batches are whole
			in.Identities = []*storage.Identity{account("")}
		}
		users = append(users, in)
	}
	for n, err := range f.importAll(t, users...) {
		if n%10 == 3 {
			wantExists(t, fmt.Sprint(n), err, "email")
			continue
		}
		if n == 120 {
			wantExists(t, "a subject for the second time", err, "id")
			continue
		}
		need(t, err)
		f.wantImported(t, fmt.Sprint(n), users[n])
	}
}

func exportPages(t *testing.T, f *fixture) {
	var want []storage.ImportedUser
	for _, id := range []string{"B", "_", "a", "b", "ä"} {
		in := storage.ImportedUser{User: &storage.User{Subject: id, EmailKey: id + "@x", Claims: map[string]any{"name": id}}, Password: "hash" + id}
		for _, upstream := range []string{"github", "google"}[:len(want)%3] {
			i := account("")
			i.Upstream = upstream
			in.Identities = append(in.Identities, i)
		}
		want = append(want, in)
	}
	for _, err := range f.importAll(t, want[3], want[1], want[4], want[0], want[2]) {
		need(t, err)
	}
	var got []storage.ImportedUser
	for after := ""; ; {
		page, err := f.ExportUsers(bg, after, 2)
		need(t, err)
		for _, in := range page {
			got, after = append(got, in), in.User.Subject
		}
		if len(page) < 2 {
			break
		}
	}
	for _, in := range want {
		for _, i := range in.Identities {
			i.Tokens = nil
		}
	}
	same(t, "all pages", got, want)
}
