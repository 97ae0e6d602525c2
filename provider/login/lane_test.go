package login_test

import (
	"net/http"
	"reflect"
	"strconv"
	"testing"
	"time"

	"gatehouse/provider/login"
	"gatehouse/provider/ratelimit"
)

// patient leaves the limits of places out, which are not what these tests are about.
func patient(o *login.Options) {
	o.Limits.IPFailures, o.Limits.NetFailures = ratelimit.Limit{}, ratelimit.Limit{}
}

// guesses tries n wrong passwords as fast as the answers allow and returns how long the waits were, in seconds.
func (s *server) guesses(name string, n int) (waits []int) {
	s.Helper()
	b := s.browser()
	b.Peer = "198.51.100.9:1"
	id := s.begin(b, nil)
	for made := 0; made < n; {
		p := s.signIn(b, id, name, "a guess that is wrong")
		switch p.Status {
		case http.StatusUnauthorized:
			made++
		case http.StatusTooManyRequests:
			wait, err := strconv.Atoi(p.Header.Get("Retry-After"))
			s.must(err)
			waits = append(waits, wait)
			s.clock.advance(time.Duration(wait) * time.Second)
			id = s.begin(b, nil) // the one before may be too old meanwhile
		default:
			s.Fatalf("guess %d is answered by %d", made, p.Status)
		}
	}
	return waits
}

func TestRow138WaitsDoubleForAccountsAndForNamesThatNobodyHas(t *testing.T) {
	s := start(t, patient)
	known := s.guesses("alice", 17)
	if want := []int{1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900}; !reflect.DeepEqual(known, want) {
		t.Errorf("waits of %v seconds, want %v", known, want)
	}
	for name, other := range map[string]string{"nobody has it": "nobody@shop.example", "disabled": "carol"} {
		if got := s.guesses(other, 17); !reflect.DeepEqual(got, known) {
			t.Errorf("%s: waits of %v seconds, those of an account are %v", name, got, known)
		}
	}
}

func TestRow138AfterAHundredFailuresOnlyAKnownDeviceOrANewPasswordGetsIn(t *testing.T) {
	s := start(t, patient)
	own := s.browser()
	s.signIn(own, s.begin(own, nil), "alice", right)
	delete(own.Cookies, "gth_sid")
	waits := s.guesses("alice", 100)
	if len(waits) != 95 || waits[94] != 900 {
		t.Fatalf("100 guesses waited %d times, at last %d s", len(waits), waits[len(waits)-1])
	}
	s.clock.advance(time.Hour)
	stranger := s.browser()
	refused := s.signIn(stranger, s.begin(stranger, nil), "alice", right)
	if refused.Status != http.StatusUnauthorized || s.signedIn(stranger) {
		t.Errorf("the right password after a hundred failures: %d", refused.Status)
	}
	s.clock.advance(time.Hour)
	if wrong := s.signIn(stranger, s.begin(stranger, nil), "alice", "a wrong password"); plain(wrong, "alice") != plain(refused, "alice") {
		t.Error("the answer tells that the password was right")
	}
	reset := own.Clone()
	if s.signIn(own, s.begin(own, nil), "alice", right); !s.signedIn(own) {
		t.Fatal("the owner cannot sign in with the browser that is known")
	}
	user, err := s.store.User(t.Context(), "sub-alice")
	s.must(err)
	if user.Failures != 0 {
		t.Errorf("%d failures are left after a success", user.Failures)
	}
	s.guesses("alice", 100)
	s.clock.advance(time.Hour)
	encoded, err := s.passwords.Hash(t.Context(), "an entirely new password")
	s.must(err)
	s.must(s.store.SetPassword(t.Context(), "sub-alice", encoded))
	delete(reset.Cookies, "gth_dev")
	if s.signIn(reset, s.begin(reset, nil), "alice", "an entirely new password"); !s.signedIn(reset) {
		t.Error("a new password does not open the account")
	}
}

// A day between guesses ends the waiting, but not the count: few guesses a day must not go on for ever.
func TestRow138FailuresInARowAreCountedForGood(t *testing.T) {
	s := start(t, patient, func(o *login.Options) { o.Limits.MaxFailures = 12 })
	for range 3 {
		if waits := s.guesses("alice", 4); len(waits) > 0 {
			t.Fatalf("waits %v", waits)
		}
		s.clock.advance(25 * time.Hour)
	}
	b := s.browser()
	if p := s.signIn(b, s.begin(b, nil), "alice", right); p.Status != http.StatusUnauthorized || s.signedIn(b) {
		t.Errorf("the right password after 12 failures on three days: %d", p.Status)
	}
}

// Who takes the cookie of a known device gets no more guesses than a stranger, and the owner's count hears of them.
func TestRow138KnownDeviceHasAnEndToo(t *testing.T) {
	s := start(t, patient, func(o *login.Options) { o.Limits.MaxFailures = 8 })
	b := s.browser()
	s.signIn(b, s.begin(b, nil), "alice", right)
	delete(b.Cookies, "gth_sid")
	for range 8 {
		if p := s.signIn(b, s.begin(b, nil), "alice", "a guess that is wrong"); p.Status != http.StatusUnauthorized {
			t.Fatalf("a guess is answered by %d", p.Status)
		}
		s.clock.advance(time.Hour)
	}
	if s.signIn(b, s.begin(b, nil), "alice", right); s.signedIn(b) {
		t.Error("after eight failures the known device still gets in")
	}
}

// A success writes no counter unless there were failures.
func TestSuccessWritesNothingUnlessThereWereFailures(t *testing.T) {
	s := start(t)
	b := s.browser()
	for _, failures := range []int{0, 1} {
		id := s.begin(b, nil)
		for range failures {
			s.signIn(b, id, "alice", "a wrong password")
		}
		s.work.take()
		s.signIn(b, id, "alice", right)
		if writes, cleared := s.work.count("write limit"), s.work.count("clear failures"); writes != failures || cleared != failures {
			t.Errorf("a sign-in after %d failures wrote %d limits and cleared %d times", failures, writes, cleared)
		}
	}
}
