package storagetest

import (
	"errors"
	"fmt"
	"time"

	"gatehouse/storage"
)

// crowd is how many callers a race for something that lets people in has.
const crowd = 32

func peopleRaces() []race {
	return []race{
		{"UseFactorSameCode", true, raceUseCode},
		{"UseFactorTwoCodes", false, raceUseCodes},
		{"UseRecoveryCode", true, raceRecoveryCode},
		{"UseRecoveryCodesCount", false, raceRecoveryCodes},
		{"CreateFactorSameCredential", true, raceCredential},
		{"CreateFactorAtTheLimit", false, raceFactorLimit},
		{"DeleteFactorAgainstDeleteIdentity", true, raceWaysIn},
		{"DeleteLastTwoPasskeys", true, racePasskeys},
		{"DeleteLastTwoWaysInOfThoseOffered", true, raceOffered},
		{"DeleteFactorKeepsOne", true, raceKeepFactor},
		{"CreateFactorAgainstDeleteUser", false, raceFactorAndDeleteUser},
		{"ConsumeTicket", true, raceConsumeTicket},
		{"ConsumeTicketAgainstSetPassword", false, raceTicketAndPassword},
		{"CreateTicketLeavesAsManyAsMayBe", false, raceCreateTicket},
		{"UseDevice", false, raceUseDevice},
		{"UseDeviceCopied", true, raceCopiedDevice},
		{"CreateDeviceAtTheLimit", false, raceDeviceLimit},
		{"ClaimMails", false, raceClaimMails},
		{"FailPassword", false, raceFailPassword},
		{"ImportUsersAgainstCreateUser", true, raceImport},
		{"ImportUsersCrosswise", false, raceImportCrosswise},
		{"AddActivity", false, raceActivities},
	}
}

// raceUseCode: one code of an authenticator app lets one of any number of callers in.
func raceUseCode(r racer) {
	app := r.factor(r.t, r.user(r.t).Subject, storage.FactorTOTP)
	r.one(r.rushOf(crowd, func(_ int, s storage.Store) error {
		return s.UseFactor(bg, app.ID, 100, nil, r.clock.Now())
	}), storage.ErrConsumed)
}

// raceUseCodes: whatever comes through, the highest code stays the last one.
func raceUseCodes(r racer) {
	app := r.factor(r.t, r.user(r.t).Subject, storage.FactorTOTP)
	r.every(r.rush(func(i int, s storage.Store) error {
		return s.UseFactor(bg, app.ID, 100+int64(i), nil, r.clock.Now())
	}), storage.ErrConsumed)
	if got := r.factors(r.t, app.Subject)[0].Counter; got != 100+Parallel-1 {
		r.t.Fatalf("counter %d, want that of the last code, %d", got, 100+Parallel-1)
	}
}

func raceRecoveryCode(r racer) {
	u := r.user(r.t)
	r.codes(r.t, u.Subject, "a", "b", "c")
	r.one(r.rushOf(crowd, func(_ int, s storage.Store) error {
		left, err := s.UseRecoveryCode(bg, u.Subject, "b")
		if err == nil && left != 2 {
			r.t.Errorf("%d codes left, want 2", left)
		}
		return err
	}), storage.ErrNotFound)
	r.wantCodes(r.t, "left", u.Subject, 2)
}

// raceRecoveryCodes: callers with a code each are told different numbers.
func raceRecoveryCodes(r racer) {
	u := r.user(r.t)
	var hashes []string
	for i := range Parallel {
		hashes = append(hashes, fmt.Sprint(i))
	}
	r.codes(r.t, u.Subject, hashes...)
	var lefts [Parallel]int
	r.every(r.rush(func(i int, s storage.Store) (err error) {
		lefts[i], err = s.UseRecoveryCode(bg, u.Subject, hashes[i])
		return err
	}))
	seen := map[int]bool{}
	for _, left := range lefts {
		seen[left] = true
	}
	if len(seen) != Parallel {
		r.t.Fatalf("numbers of codes left: %v", lefts)
	}
}

func raceCredential(r racer) {
	id := name("credential")
	var all [Parallel]*storage.Factor
	for i := range all {
		all[i] = r.unsavedFactor(r.user(r.t).Subject, storage.FactorPasskey)
		all[i].CredentialID = id
	}
	winner := r.one(r.rush(func(i int, s storage.Store) error {
		err := s.CreateFactor(bg, all[i], 0)
		if err != nil {
			wantExists(r.t, "loser", err, "credential")
		}
		return err
	}), storage.ErrExists)
	if _, u, err := r.FactorByCredential(bg, id); err != nil || u.Subject != all[winner].Subject {
		r.t.Fatalf("the passkey is %v's (%v), want the winner's", u, err)
	}
}

func raceFactorLimit(r racer) {
	u := r.user(r.t)
	const room = 3
	for range storage.MaxFactors - room {
		r.factor(r.t, u.Subject, storage.FactorTOTP)
	}
	errs := r.rushOf(crowd, func(_ int, s storage.Store) error {
		err := s.CreateFactor(bg, r.unsavedFactor(u.Subject, storage.FactorPasskey), 0)
		if err != nil {
			wantExists(r.t, "one too many", err, "factors")
		}
		return err
	})
	r.every(errs, storage.ErrExists)
	if n := len(r.factors(r.t, u.Subject)); n != storage.MaxFactors {
		r.t.Fatalf("%d factors, want %d", n, storage.MaxFactors)
	}
}

// raceWaysIn: who removes the only passkey and the only identity at once keeps one of them.
func raceWaysIn(r racer) {
	i := r.keyless(r.t, 1)[0]
	key := r.factor(r.t, i.Subject, storage.FactorPasskey)
	r.one(r.rushOf(2, func(n int, s storage.Store) error {
		if n == 0 {
			return s.DeleteIdentity(bg, i.Subject, i.Upstream, i.ExternalID, everything)
		}
		return s.DeleteFactor(bg, i.Subject, key.ID, false, everything)
	}), storage.ErrLastWayIn)
	rows, err := r.IdentitiesOf(bg, i.Subject)
	need(r.t, err)
	if n := len(rows) + len(r.factors(r.t, i.Subject)); n != 1 {
		r.t.Fatalf("%d ways in are left, want 1", n)
	}
}

func racePasskeys(r racer) {
	u := &storage.User{Subject: name("user")}
	need(r.t, r.CreateUser(bg, u, ""))
	keys := []*storage.Factor{r.factor(r.t, u.Subject, storage.FactorPasskey), r.factor(r.t, u.Subject, storage.FactorPasskey)}
	winner := r.one(r.rushOf(2, func(i int, s storage.Store) error {
		return s.DeleteFactor(bg, u.Subject, keys[i].ID, false, everything)
	}), storage.ErrLastWayIn)
	r.wantFactors(r.t, "left", u.Subject, keys[1-winner])
}

// raceOffered: who removes the last two ways in that are offered at once keeps one of them, whatever else there is: an account at a provider that is gone, and a password without a form or a name.
func raceOffered(r racer) {
	noForm := &storage.Offered{Passkeys: true, Upstreams: []string{"google"}}
	noPasskeys := &storage.Offered{Password: true, Upstreams: []string{"google"}}
	for _, pair := range map[string]struct {
		offered            *storage.Offered
		passkeys, accounts int
		user               storage.User
	}{
		"two passkeys":                            {everything, 2, 0, storage.User{}},
		"a passkey and an account":                {everything, 1, 1, storage.User{}},
		"two accounts":                            {everything, 0, 2, storage.User{}},
		"two passkeys, no form":                   {noForm, 2, 0, storage.User{UsernameKey: name("n")}},
		"a passkey and an account, no form":       {noForm, 1, 1, storage.User{UsernameKey: name("n")}},
		"two accounts, passkeys are switched off": {noPasskeys, 0, 2, storage.User{}},
	} {
		pair.user.Subject = name("user")
		need(r.t, r.CreateUser(bg, &pair.user, "a password"))
		subject := pair.user.Subject
		r.tie(r.t, &storage.Identity{Upstream: "gone", ExternalID: name("account"), Subject: subject})
		var take []func(storage.Store) error
		for range pair.passkeys {
			key := r.factor(r.t, subject, storage.FactorPasskey)
			take = append(take, func(s storage.Store) error { return s.DeleteFactor(bg, subject, key.ID, false, pair.offered) })
		}
		for range pair.accounts {
			i := r.tie(r.t, account(subject))
			take = append(take, func(s storage.Store) error {
				return s.DeleteIdentity(bg, subject, i.Upstream, i.ExternalID, pair.offered)
			})
		}
		if pair.offered == noPasskeys {
			r.factor(r.t, subject, storage.FactorPasskey)
		}
		r.one(r.rushOf(2, func(n int, s storage.Store) error { return take[n](s) }), storage.ErrLastWayIn)
	}
}

func raceKeepFactor(r racer) {
	u := r.user(r.t)
	apps := []*storage.Factor{r.factor(r.t, u.Subject, storage.FactorTOTP), r.factor(r.t, u.Subject, storage.FactorTOTP)}
	winner := r.one(r.rushOf(2, func(i int, s storage.Store) error { return s.DeleteFactor(bg, u.Subject, apps[i].ID, true, everything) }), storage.ErrLastFactor)
	r.wantFactors(r.t, "left", u.Subject, apps[1-winner])
}

// raceFactorAndDeleteUser: nothing is left of a user who is deleted while things are being added.
func raceFactorAndDeleteUser(r racer) {
	u := r.user(r.t)
	r.every(r.rush(func(i int, s storage.Store) error {
		switch i {
		case 0:
			return s.DeleteUser(bg, u.Subject)
		case 1, 2:
			return s.CreateFactor(bg, r.unsavedFactor(u.Subject, storage.FactorPasskey), 0)
		case 3:
			return s.SetRecoveryCodes(bg, u.Subject, []string{"a"}, 0)
		case 4:
			return s.CreateTicket(bg, r.unsavedTicket(storage.TicketReset, u))
		case 5:
			return s.CreateDevice(bg, r.unsavedDevice(u.Subject))
		case 6:
			_, err := s.FailPassword(bg, u.Subject, r.clock.Now())
			return err
		}
		return s.AddActivity(bg, r.unsavedActivity(u.Subject))
	}), storage.ErrNotFound)
	r.wantFactors(r.t, "factors", u.Subject)
	r.wantCodes(r.t, "codes", u.Subject, 0)
	r.wantDevices(r.t, "devices", u.Subject)
	if n := len(r.activities(r.t, u.Subject, 10)); n != 0 {
		r.t.Fatalf("%d activities of a deleted user", n)
	}
}

// raceFailPassword: none of the guesses at the same time goes uncounted, and each caller sees another number.
func raceFailPassword(r racer) {
	u := r.user(r.t)
	var counts [crowd]int
	at := func(i int) time.Time { return micro(r.clock.Now()).Add(time.Duration(i) * time.Second) }
	r.every(r.rushOf(crowd, func(i int, s storage.Store) (err error) {
		counts[i], err = s.FailPassword(bg, u.Subject, at(i))
		return err
	}))
	seen := map[int]bool{}
	for _, n := range counts {
		seen[n] = true
	}
	got, err := r.User(bg, u.Subject)
	need(r.t, err)
	if got.Failures != crowd || len(seen) != crowd || !got.LastFailure.Equal(at(crowd-1)) {
		r.t.Fatalf("%d failures of %d, numbers %v, the last at %v, want %v", got.Failures, crowd, counts, got.LastFailure, at(crowd-1))
	}
}

// raceImport: an address that is imported and signed up at the same time is one user's.
func raceImport(r racer) {
	address := name("e") + "@example.org"
	r.one(r.rush(func(i int, s storage.Store) error {
		in := newcomer()
		in.User.EmailKey = address
		if i%2 == 0 {
			return s.CreateUser(bg, in.User, "hash")
		}
		refused, err := s.ImportUsers(bg, []storage.ImportedUser{newcomer(), in, newcomer()})
		if err != nil {
			return err
		}
		return errors.Join(refused...)
	}), storage.ErrExists)
	if _, _, err := r.UserByLogin(bg, address); err != nil {
		r.t.Fatal(err)
	}
}

// raceImportCrosswise: two imports of the same people in opposite order both end, and each person is there once.
func raceImportCrosswise(r racer) {
	var people []string
	for range 20 {
		people = append(people, name("e")+"@example.org")
	}
	var in [2]int
	r.every(r.rushOf(2, func(i int, s storage.Store) error {
		var users []storage.ImportedUser
		for n := range people {
			u := newcomer()
			u.User.EmailKey = people[n]
			if i == 1 {
				u.User.EmailKey = people[len(people)-1-n]
			}
			users = append(users, u)
		}
		refused, err := s.ImportUsers(bg, users)
		for _, why := range refused {
			if why == nil {
				in[i]++
			}
		}
		return err
	}))
	if in[0]+in[1] != len(people) {
		r.t.Fatalf("%d and %d of %d people were imported", in[0], in[1], len(people))
	}
}

// raceActivities: what happens at the same time is all noted.
func raceActivities(r racer) {
	u := r.user(r.t)
	r.every(r.rushOf(crowd, func(_ int, s storage.Store) error { return s.AddActivity(bg, r.unsavedActivity(u.Subject)) }))
	if n := len(r.activities(r.t, u.Subject, 1000)); n != crowd {
		r.t.Fatalf("%d activities, want %d", n, crowd)
	}
}
