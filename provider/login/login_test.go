package login_test

import (
	"errors"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/bcrypt"

	"gatehouse/provider/credential"
	"gatehouse/provider/interaction"
	"gatehouse/provider/login"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
)

func TestSignInReturnsToTheRequest(t *testing.T) {
	s := start(t)
	b := s.browser()
	id := s.begin(b, nil)
	p := s.signIn(b, id, "alice", right)
	if want := "/oauth2/authorize?interaction=" + id; p.Status != http.StatusSeeOther || !strings.HasSuffix(p.Location(), want) {
		t.Fatalf("Row16 status %d to %q, want 303 to %s", p.Status, p.Location(), want)
	}
	if !s.signedIn(b) {
		t.Error("the browser is not signed in")
	}
	flow, err := s.store.Interaction(t.Context(), id)
	s.must(err)
	if flow.Subject != "sub-alice" || flow.SessionID == "" {
		t.Errorf("the user is not pinned: %+v", flow)
	}
	for _, secret := range []string{right, b.Cookies["gth_sid"]} {
		if strings.Contains(s.log.String(), secret) {
			t.Errorf("Row192 the log holds a secret: %s", s.log.String())
		}
	}
}

func TestSignInWithoutAClientLeadsToTheAccount(t *testing.T) {
	s := start(t)
	b := s.browser()
	if p := b.Get("/login"); p.Status != http.StatusSeeOther || !strings.HasSuffix(p.Location(), "/account") {
		t.Fatalf("/login without interaction: %d %q", p.Status, p.Location())
	}
	p := s.signIn(b, s.accountFlow(b).ID, "alice@shop.example", right)
	if p.Status != http.StatusSeeOther || !strings.HasSuffix(p.Location(), "/account") || !s.signedIn(b) {
		t.Errorf("status %d to %q", p.Status, p.Location())
	}
}

func TestRow179SessionCookieChangesAtEverySignIn(t *testing.T) {
	s := start(t)
	b := s.browser()
	id := s.begin(b, nil)
	s.signIn(b, id, "alice", right)
	old := b.Clone()
	first := old.Cookies["gth_sid"]
	if first == "" {
		t.Fatal("no session cookie")
	}
	s.signIn(b, id, "alice", right)
	if second := b.Cookies["gth_sid"]; second == first || second == "" {
		t.Errorf("the cookie stayed %q", second)
	}
	if s.signedIn(old) {
		t.Error("the cookie from before the second sign-in still works")
	}
	if !s.signedIn(b) {
		t.Error("the new cookie does not work")
	}
}

func TestAnotherUserStartsOver(t *testing.T) {
	s := start(t)
	b := s.browser()
	id := s.begin(b, nil)
	s.signIn(b, id, "alice", right)
	s.must(s.flows.Update(t.Context(), id, func(i *storage.Interaction) error {
		interaction.Prove(i, interaction.ProofConsent, "sub-alice")
		return nil
	}))
	s.signIn(b, id, "bob", right)
	flow, err := s.store.Interaction(t.Context(), id)
	s.must(err)
	if flow.Subject != "sub-bob" || !maps.Equal(flow.Proofs, map[string]string{interaction.ProofLogin: "sub-bob"}) {
		t.Errorf("bob took over what alice proved: %+v", flow)
	}
}

func TestRuling27UnknownWrongAndDisabledAreAlike(t *testing.T) {
	s := start(t)
	type answer struct {
		Status int
		Body   string
		Header []string
		Work   []string
	}
	try := func(name, password string) answer {
		b := s.browser()
		form := s.form(b, s.begin(b, nil))
		s.work.take()
		p := b.Submit(form, "login", credentials(name, password))
		if s.signedIn(b) {
			t.Errorf("%s was signed in", name)
		}
		return answer{p.Status, plain(p, name), sorted(p.Header), s.work.take()}
	}
	wrong := try("alice", "a wrong password of some length")
	if wrong.Status != http.StatusUnauthorized || !strings.Contains(wrong.Body, "not right") {
		t.Fatalf("a wrong password is answered by %d %s", wrong.Status, wrong.Body)
	}
	// Two limits, the user, the account's failures, the hash, three failures counted (each a read and a write), and one row written for good.
	if len(wrong.Work) != 12 {
		t.Errorf("counted work: %q", wrong.Work)
	}
	s.createUser("dora", false)
	for range 100 {
		_, err := s.store.FailPassword(t.Context(), "sub-dora", s.clock.now())
		s.must(err)
	}
	for name, got := range map[string]answer{
		"too many failures in a row": try("dora", right),
		"unknown user":               try("nobody", right),
		"unknown e-mail":             try("nobody@shop.example", right),
		"impossible name":            try("no such@name@at all", right),
		"disabled, right password":   try("carol", right),
		"disabled, wrong password":   try("carol", "a wrong password of some length"),
		"wrong password by e-mail":   try("bob@shop.example", "another wrong password"),
		"empty password":             try("bob", ""),
		"password of another person": try("bob", "x"+right),
	} {
		if !reflect.DeepEqual(got, wrong) {
			t.Errorf("%s differs from a wrong password:\n%+v\n%+v", name, got, wrong)
		}
	}
}

func TestRow137AliasesShareOneCounter(t *testing.T) {
	s := start(t)
	b := s.browser()
	id := s.begin(b, nil)
	for i, name := range []string{"alice", "ALICE", "alice@shop.example", " Alice@SHOP.example ", "ａｌｉｃｅ＠shop.example"} {
		if p := s.signIn(b, id, name, "a wrong password"); p.Status != http.StatusUnauthorized {
			t.Fatalf("try %d (%s): %d", i, name, p.Status)
		}
	}
	s.work.take()
	p := s.signIn(b, id, "alice", right)
	if p.Status != http.StatusTooManyRequests || p.Header.Get("Retry-After") != "1" || p.Form("login") == nil {
		t.Fatalf("after five failures: %d, Retry-After %q", p.Status, p.Header.Get("Retry-After"))
	}
	if s.work.count("hash") != 0 || s.signedIn(b) {
		t.Error("a throttled try was still made")
	}
	other := s.browser()
	if s.signIn(other, s.begin(other, nil), "bob", right); !s.signedIn(other) {
		t.Error("another account is blocked too")
	}
	s.clock.advance(time.Second)
	if s.signIn(b, id, "alice@shop.example", right); !s.signedIn(b) {
		t.Error("the account is still blocked after Retry-After")
	}
}

func TestUnknownAccountsAreThrottledLikeKnownOnes(t *testing.T) {
	s := start(t)
	b := s.browser()
	id := s.begin(b, nil)
	for _, name := range []string{"nobody@shop.example", "NOBODY@shop.example", "nobody@SHOP.example", "nobody@shop.example ", "Nobody@shop.example"} {
		s.signIn(b, id, name, right)
	}
	if p := s.signIn(b, id, "nobody@shop.example", right); p.Status != http.StatusTooManyRequests {
		t.Errorf("status %d", p.Status)
	}
}

func TestSuccessIsNotCounted(t *testing.T) {
	s := start(t)
	b := s.browser()
	id := s.begin(b, nil)
	for i := range 12 {
		if p := s.signIn(b, id, "alice", right); p.Status != http.StatusSeeOther {
			t.Fatalf("sign-in %d: %d", i, p.Status)
		}
	}
}

func TestRow138KnownDeviceIsNotLockedOutByStrangers(t *testing.T) {
	s := start(t)
	known := s.browser()
	s.signIn(known, s.begin(known, nil), "alice", right)
	delete(known.Cookies, "gth_sid")
	second := s.browser()
	s.signIn(second, s.begin(second, nil), "alice", right)

	stranger := s.browser()
	stranger.Peer = "198.51.100.9:1"
	id := s.begin(stranger, nil)
	for range 5 {
		s.signIn(stranger, id, "alice", "a guess")
	}
	if p := s.signIn(stranger, id, "alice", right); p.Status != http.StatusTooManyRequests {
		t.Fatalf("the stranger: %d", p.Status)
	}
	forged := stranger.Clone()
	forged.Cookies["gth_dev"] = "x" + known.Cookies["gth_dev"][1:]
	if p := s.signIn(forged, id, "alice", right); p.Status != http.StatusTooManyRequests {
		t.Errorf("a forged device cookie: %d", p.Status)
	}
	device := known.Clone()
	if s.signIn(known, s.begin(known, nil), "alice", right); !s.signedIn(known) {
		t.Error("the owner's own browser is locked out")
	}
	borrowed := stranger.Clone()
	borrowed.Cookies["gth_dev"] = device.Cookies["gth_dev"]
	for range 5 {
		s.signIn(borrowed, id, "alice", "a guess")
	}
	if p := s.signIn(borrowed, id, "alice", right); p.Status != http.StatusTooManyRequests {
		t.Errorf("a stolen device cookie buys endless guesses: %d", p.Status)
	}
	encoded, err := s.passwords.Hash(t.Context(), "an entirely new password")
	s.must(err)
	s.must(s.store.SetPassword(t.Context(), "sub-alice", encoded))
	if p := s.signIn(second, s.begin(second, nil), "alice", "a guess"); p.Status != http.StatusTooManyRequests {
		t.Errorf("Row160 the device cookie outlived the password: %d", p.Status)
	}
}

func TestRow193ForwardedAddressesDoNotDodgeTheLimit(t *testing.T) {
	s := start(t, func(o *login.Options) {
		o.Limits = login.Limits{IPFailures: ratelimit.Limit{Burst: 3, Every: time.Minute}}
	})
	b := s.browser()
	id := s.begin(b, nil)
	for i, name := range []string{"u1", "u2", "u3"} {
		for _, header := range []string{"X-Forwarded-For", "X-Real-Ip", "Forwarded", "True-Client-Ip", "Cf-Connecting-Ip"} {
			b.Header.Set(header, "203.0.113."+string(rune('1'+i)))
		}
		s.signIn(b, id, name, "a guess")
	}
	if p := s.signIn(b, id, "alice", right); p.Status != http.StatusTooManyRequests {
		t.Errorf("status %d", p.Status)
	}
	b.Peer = "192.0.2.8:1"
	if p := s.signIn(b, id, "alice", right); p.Status != http.StatusSeeOther {
		t.Errorf("another address is blocked too: %d", p.Status)
	}
}

func TestNetworkSharesItsLimit(t *testing.T) {
	for name, tc := range map[string]struct{ peers, outside []string }{
		"IPv4 /24": {[]string{"192.0.2.1:1", "192.0.2.77:1", "192.0.2.200:1"}, []string{"192.0.3.1:1"}},
		"IPv6 /64": {[]string{"[2001:db8:1:1::1]:1", "[2001:db8:1:1:2::1]:1", "[2001:db8:1:1:ffff::1]:1"}, []string{"[2001:db8:1:2::1]:1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t, func(o *login.Options) {
				o.Limits = login.Limits{NetFailures: ratelimit.Limit{Burst: 3, Every: time.Minute}}
			})
			b := s.browser()
			id := s.begin(b, nil)
			for i, peer := range tc.peers {
				b.Peer = peer
				s.signIn(b, id, "u"+string(rune('1'+i)), "a guess")
			}
			if p := s.signIn(b, id, "alice", right); p.Status != http.StatusTooManyRequests {
				t.Errorf("inside: %d", p.Status)
			}
			b.Peer = tc.outside[0]
			if p := s.signIn(b, id, "alice", right); p.Status != http.StatusSeeOther {
				t.Errorf("outside: %d", p.Status)
			}
		})
	}
}

func TestParallelGuessesBuyNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, func(o *login.Options) {
			o.Limits = login.Limits{AccountFailures: ratelimit.Backoff{Free: 3, Longest: time.Hour}}
		})
		b := s.browser()
		form := s.form(b, s.begin(b, nil))
		s.work.take()
		s.hold = make(chan struct{})
		const guesses = 30
		statuses := make([]int, guesses)
		var wg sync.WaitGroup
		for i := range guesses {
			own := b.Clone()
			wg.Go(func() { statuses[i] = own.Submit(form, "login", credentials("alice", "a guess")).Status })
		}
		synctest.Wait() // every guess has come as far as it can while no hash ends
		if under := s.work.count("hash"); under != 2 {
			t.Errorf("%d guesses for one account are being tried at once, want 2", under)
		}
		close(s.hold)
		wg.Wait()
		tried := 0
		for _, status := range statuses {
			switch status {
			case http.StatusUnauthorized:
				tried++
			case http.StatusTooManyRequests:
			default:
				t.Errorf("a guess was answered by %d", status)
			}
		}
		// The gate lets two in, so one more than the limit may be tried; it is not told what came of it.
		if hashes := s.work.count("hash"); tried != 3 || hashes < 3 || hashes > 4 {
			t.Errorf("%d of %d parallel guesses were answered (%d hashes), want 3", tried, guesses, hashes)
		}
	})
}

func TestRow142FullHashPoolIs503(t *testing.T) {
	s := start(t)
	s.busy = credential.ErrBusy
	b := s.browser()
	p := s.signIn(b, s.begin(b, nil), "alice", right)
	if p.Status != http.StatusServiceUnavailable || p.Header.Get("Retry-After") == "" || s.signedIn(b) {
		t.Errorf("status %d, Retry-After %q", p.Status, p.Header.Get("Retry-After"))
	}
}

func TestStorageFailureIs503AndNobodyIsSignedIn(t *testing.T) {
	for _, op := range []string{"Interaction", "UserByLogin", "Rate", "CreateSession"} {
		t.Run(op, func(t *testing.T) {
			s := start(t)
			b := s.browser()
			form := s.form(b, s.begin(b, nil))
			s.store.Fault = func(name string) error {
				if name == op {
					return errors.New("disk full")
				}
				return nil
			}
			p := b.Submit(form, "login", credentials("alice", right))
			s.store.Fault = nil
			if p.Status != http.StatusServiceUnavailable || p.Header.Get("Retry-After") == "" || strings.Contains(p.Body, "disk full") {
				t.Errorf("status %d, Retry-After %q", p.Status, p.Header.Get("Retry-After"))
			}
			if s.signedIn(b) {
				t.Error("the browser is signed in")
			}
		})
	}
}

func TestImportedHashIsReplacedAtTheFirstSignIn(t *testing.T) {
	s := start(t)
	imported, err := bcrypt.GenerateFromPassword([]byte(right), bcrypt.MinCost)
	s.must(err)
	s.must(s.store.SetPassword(t.Context(), "sub-alice", "bcrypt:"+string(imported)))
	b := s.browser()
	id := s.begin(b, nil)
	if s.signIn(b, id, "alice", "a wrong password"); s.work.count("store hash") != 0 {
		t.Error("a failed sign-in replaced the hash")
	}
	for range 2 {
		if s.signIn(b, id, "alice", right); !s.signedIn(b) {
			t.Fatal("the imported password does not work")
		}
	}
	if n := s.work.count("store hash"); n != 1 {
		t.Errorf("the hash was replaced %d times, want once", n)
	}
	_, encoded, err := s.store.UserByLogin(t.Context(), "alice")
	s.must(err)
	if strings.HasPrefix(encoded, "bcrypt:") {
		t.Errorf("stored: %q", encoded)
	}
}

func TestRow27StolenInteractionDoesNotGoOnElsewhere(t *testing.T) {
	s := start(t)
	attacker, victim := s.browser(), s.browser()
	id := s.begin(attacker, nil)
	own := s.accountFlow(victim).ID
	p := victim.Get("/login?interaction=" + id)
	if p.Status != http.StatusForbidden || p.Form("login") != nil || !strings.Contains(p.Body, "/account") {
		t.Errorf("GET: %d %s", p.Status, p.Body)
	}
	form := s.form(victim, own).Form("login")
	form.Fields.Set("interaction", id)
	if p := victim.SubmitForm(form, credentials("alice", right)); p.Status != http.StatusForbidden || s.signedIn(victim) {
		t.Errorf("POST: %d", p.Status)
	}
	flow, err := s.store.Interaction(t.Context(), id)
	s.must(err)
	if flow.Subject != "" || s.signedIn(attacker) {
		t.Errorf("the attacker's interaction moved: %+v", flow)
	}
	for _, id := range []string{"x", strings.Repeat("A", 43), strings.Repeat("a", 3000), "%00"} {
		if p := victim.Get("/login?interaction=" + id); p.Status < 400 || p.Status >= 500 {
			t.Errorf("interaction %.20q: %d", id, p.Status)
		}
	}
}

func TestFinishedInteractionSaysSo(t *testing.T) {
	s := start(t)
	b := s.browser()
	id := s.begin(b, nil)
	form := s.form(b, id)
	s.must(s.flows.Consume(t.Context(), id))
	for name, p := range map[string]*webtest.Page{"GET": b.Get("/login?interaction=" + id), "POST": b.Submit(form, "login", credentials("alice", right))} {
		if p.Status != http.StatusOK || !strings.Contains(p.Body, "Already finished") {
			t.Errorf("%s: %d %s", name, p.Status, p.Body)
		}
	}
	if s.signedIn(b) {
		t.Error("a finished interaction signed somebody in")
	}
}

func TestRow181SignInNeedsBothProtections(t *testing.T) {
	s := start(t)
	for name, tc := range map[string]struct {
		header http.Header
		csrf   func(own, foreign string) url.Values
	}{
		"no token":                 {nil, func(_, _ string) url.Values { return url.Values{"csrf": {""}} }},
		"token of another browser": {nil, func(_, foreign string) url.Values { return url.Values{"csrf": {foreign}} }},
		"altered token":            {nil, func(own, _ string) url.Values { return url.Values{"csrf": {own[1:] + own[:1]}} }},
		"cross-site":               {http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"https://evil.example"}}, nil},
		"same-site sub-domain":     {http.Header{"Sec-Fetch-Site": {"same-site"}, "Origin": {"http://sub.localhost:8080"}}, nil},
		"null origin":              {http.Header{"Sec-Fetch-Site": {"cross-site"}, "Origin": {"null"}}, nil},
		"old browser, null origin": {http.Header{"Sec-Fetch-Site": nil, "Origin": {"null"}}, nil},
		"old browser, evil origin": {http.Header{"Sec-Fetch-Site": nil, "Origin": {"https://evil.example"}}, nil},
		"text/plain":               {http.Header{"Content-Type": {"text/plain"}}, nil},
		"json":                     {http.Header{"Content-Type": {"application/json"}}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			b, foreign := s.browser(), s.browser()
			form := s.form(b, s.begin(b, nil)).Form("login")
			other := s.form(foreign, s.begin(foreign, nil)).Form("login").Fields.Get("csrf")
			fields := credentials("alice", right)
			if tc.csrf != nil {
				fields["csrf"] = tc.csrf(form.Fields.Get("csrf"), other)["csrf"]
			}
			for header, values := range tc.header {
				b.Header[header] = values
			}
			p := b.SubmitForm(form, fields)
			b.Header = http.Header{}
			if p.Status < 400 || p.Status >= 500 || s.signedIn(b) {
				t.Errorf("status %d, signed in %v", p.Status, s.signedIn(b))
			}
		})
	}
}

func TestGetNeverSignsIn(t *testing.T) {
	s := start(t)
	b := s.browser()
	id := s.begin(b, nil)
	csrf := s.form(b, id).Form("login").Fields.Get("csrf")
	q := credentials("alice", right)
	q.Set("interaction", id)
	q.Set("csrf", csrf)
	q.Set("_method", "POST")
	if b.Get("/login?" + q.Encode()); s.signedIn(b) {
		t.Error("a GET signed somebody in")
	}
}

func TestA25PageShowsTheClient(t *testing.T) {
	s := start(t)
	b := s.browser()
	p := s.form(b, s.begin(b, url.Values{"login_hint": {`"><script>alert(1)</script>`}}))
	for _, want := range []string{"The Shop", "https://shop.example/policy", "https://shop.example/terms", "/client-logo/shop", "shop.example"} {
		if !strings.Contains(p.Body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	if got := p.Form("login").Fields.Get("username"); got != `"><script>alert(1)</script>` || strings.Contains(p.Body, "<script>alert") {
		t.Errorf("Row13 login_hint is not escaped: %q", got)
	}
}

func TestSignedInUserIsSuggested(t *testing.T) {
	s := start(t)
	b := s.browser()
	id := s.begin(b, nil)
	s.signIn(b, id, "alice@shop.example", right)
	if got := s.form(b, id).Form("login").Fields.Get("username"); got != "alice" {
		t.Errorf("suggested %q", got)
	}
}

func TestClientThatIsGoneLeadsBackToAuthorize(t *testing.T) {
	s := start(t)
	b := s.browser()
	id := s.begin(b, nil)
	form := s.form(b, id)
	s.must(s.store.DeleteClient(t.Context(), "shop"))
	for name, p := range map[string]*webtest.Page{"GET": b.Get("/login?interaction=" + id), "POST": b.Submit(form, "login", credentials("alice", right))} {
		if p.Status != http.StatusSeeOther || !strings.Contains(p.Location(), "/oauth2/authorize?interaction="+id) {
			t.Errorf("%s: %d %q", name, p.Status, p.Location())
		}
	}
}
