package provider_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"gatehouse/provider"
	"gatehouse/provider/ratelimit"
	"gatehouse/storage"
	"gatehouse/storage/memory"
)

// Section K of the attacks as far as sign-in goes: enumeration and guessing, for users and for clients.

// operations notes what a memory store is asked, and the passwords that are hashed between, in order.
type operations struct {
	mu             sync.Mutex
	s              *server
	ops            []string
	hashes, rounds int64 // that are noted
}

// count makes the store report its operations. Call it before the store is shared.
func (o *operations) count(s *server) {
	s.Store.(*memory.Store).Fault = func(op string) error {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.noteHashes()
		o.ops = append(o.ops, op)
		return nil
	}
	o.s = s
}

// noteHashes notes the hashes since it was last called.
func (o *operations) noteHashes() {
	if o.s.Provider == nil { // it boots
		return
	}
	hashes, rounds := o.s.Provider.PasswordWork()
	if hashes > o.hashes {
		o.ops = append(o.ops, fmt.Sprintf("%d*bcrypt(%d)", hashes-o.hashes, rounds-o.rounds))
	}
	o.hashes, o.rounds = hashes, rounds
}

// during returns the operations of do.
func (o *operations) during(do func()) []string {
	o.mu.Lock()
	o.noteHashes()
	o.ops = nil
	o.mu.Unlock()
	do()
	o.mu.Lock()
	defer o.mu.Unlock()
	o.noteHashes()
	return o.ops
}

// signIn opens a sign-in page in a fresh browser, and returns what is needed to send it.
func (s *server) signIn(b *browser) page {
	s.Helper()
	return b.get(s.URL + b.get(s.authorizeURL(nil)).Header.Get("Location"))
}

// guess sends a user name and a password from a fresh browser and returns the answer.
func (s *server) guess(username, guessed string) page {
	s.Helper()
	b := s.browser(username)
	return b.submit(s.signIn(b), "login", url.Values{"username": {username}, "password": {guessed}})
}

// interactionLink is an interaction in the address of a link.
var interactionLink = regexp.MustCompile(`interaction=[A-Za-z0-9_-]+`)

// alike is an answer without what differs between any two.
func alike(p page, name string) string {
	body := regexp.MustCompile(`interaction=[\w-]{43}`).ReplaceAllString(p.Body, "interaction=*")
	for _, token := range []string{`name="csrf" value="`, `name="interaction" value="`, `nonce="`} {
		for at := strings.Index(body, token); at >= 0; {
			end := at + len(token) + strings.IndexByte(body[at+len(token):], '"')
			body = body[:at+len(token)] + "*" + body[end:]
			next := strings.Index(body[at+len(token):], token)
			if next < 0 {
				break
			}
			at += len(token) + next
		}
	}
	body = interactionLink.ReplaceAllString(body, "interaction=*")
	var headers []string
	for header, values := range p.Header {
		switch header {
		case "Date", "X-Request-Id", "Content-Length", "Set-Cookie", "Content-Security-Policy":
		default:
			headers = append(headers, header+": "+strings.Join(values, "|"))
		}
	}
	slices.Sort(headers)
	cookies := 0
	for _, c := range p.Cookies() {
		cookies += len(c.Name)
	}
	return fmt.Sprint(p.StatusCode, headers, cookies, strings.ReplaceAll(strings.ReplaceAll(body, p.Header.Get("X-Request-Id"), "*"), name, "NAME"))
}

func TestRow136UnknownWrongAndDisabledUsersAreAlike(t *testing.T) {
	o := &operations{}
	s := startAs(t, "memory", func(s *server) { o.count(s); s.Idle = true })
	s.client()
	s.user("ada@example.com")
	s.user("eve@example.com", func(u *storage.User) { u.Disabled = true })
	s.withoutPassword("bob@example.com")
	type try struct{ answer, work string }
	attempt := func(name, guessed string) try {
		b := s.browser(name)
		form := s.signIn(b)
		var p page
		work := o.during(func() { p = b.submit(form, "login", url.Values{"username": {name}, "password": {guessed}}) })
		// What is counted for good is the account's own failure, or a row that means nothing if there is no account: each is one row written.
		return try{alike(p, name), strings.Replace(strings.Join(work, " "), "FailPassword", "SwapRate", 1)}
	}
	want := attempt("ada@example.com", "wrong horse battery staple")
	if !strings.HasPrefix(want.answer, "401 ") || strings.Count(want.work, "UserByLogin") != 1 || strings.Count(want.work, "SwapRate") != 4 || strings.Count(want.work, "1*bcrypt(16)") != 1 {
		t.Fatalf("a wrong password: %s\n%s", want.work, want.answer)
	}
	for name, guessed := range map[string]string{
		"nobody@example.com": password, "nobody": password, "a b@c@d": password, "eve@example.com": password, "EVE@EXAMPLE.COM": "wrong horse battery staple", "bob@example.com": password,
		"Ada@Example.com": "", strings.Repeat("x", 1500): password,
	} {
		if got := attempt(name, guessed); got != want {
			t.Errorf("%.40q differs from a wrong password:\n%s\n%s\nwant\n%s\n%s", name, got.work, got.answer, want.work, want.answer)
		}
	}
	for _, name := range []string{"nobody@example.com", "a b@c@d"} {
		if strings.Contains(s.Log.String(), name) {
			t.Errorf("the log holds %q, which may be a password in the wrong field", name)
		}
	}
}

// withoutPassword creates a user who has none.
func (s *server) withoutPassword(email string) {
	s.Helper()
	u := &storage.User{Subject: "sub-" + strings.NewReplacer("@", "-", ".", "-").Replace(email), Email: email, EmailKey: email, EmailVerified: true, Claims: map[string]any{"name": "Ada Lovelace"}}
	if err := s.Store.CreateUser(s.Context(), u, ""); err != nil {
		s.Fatal(err)
	}
}

// Ruling 27, for clients.
func TestRow136UnknownClientAndWrongSecretAreAlike(t *testing.T) {
	o := &operations{}
	s := startAs(t, "memory", func(s *server) { o.count(s); s.Idle = true })
	s.client(func(c *storage.Client) { c.GrantTypes = append(c.GrantTypes, "client_credentials") })
	s.client(func(c *storage.Client) { c.ID, c.Disabled = "disabled", true })
	s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"profile"}}) // the client is known to the process
	s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}}, as("disabled", clientSecret))
	type try struct{ answer, work string }
	attempt := func(path, id, secret string) try {
		var a answer
		work := o.during(func() {
			a = s.post(path, url.Values{"grant_type": {"client_credentials"}, "token": {"x"}}, as(url.QueryEscape(id), url.QueryEscape(secret)))
		})
		s.wantError(a, http.StatusUnauthorized, "invalid_client")
		return try{a.Raw + a.Header.Get("WWW-Authenticate"), strings.Join(work, " ")}
	}
	for _, path := range []string{"/oauth2/token", "/oauth2/introspect", "/oauth2/revoke"} {
		want := attempt(path, "app", "gth_cs_wrong")
		for id, secret := range map[string]string{"nobody": clientSecret, "disabled": clientSecret, "APP": clientSecret, "app ": clientSecret, "app": "", "app\x00": clientSecret, strings.Repeat("x", 3000): "y"} {
			if got := attempt(path, id, secret); got != want {
				t.Errorf("%s with client %.20q: %+v, want %+v", path, id, got, want)
			}
		}
	}
}

func TestRow137OneCounterForAllNamesOfAnAccount(t *testing.T) {
	s := start(t, "memory", func(o *provider.Options) { o.Limits.LoginAccount = ratelimit.Backoff{Free: 1, Longest: time.Hour} })
	s.client()
	s.user("ada@example.com", func(u *storage.User) { u.Username, u.UsernameKey = "Ada", "ada" })
	for i, name := range []string{"ada@example.com", "ADA@EXAMPLE.COM", "Ada", " ada@example.com ", "ＡＤＡ@example.com", "ada＠example.com", "aDa", "ada@EXAMPLE.com."} {
		if p := s.guess(name, "wrong horse battery staple"); p.StatusCode != http.StatusUnauthorized {
			t.Errorf("guess %d as %q: %d", i, name, p.StatusCode)
		}
		s.Clock.Advance(5 * time.Minute) // longer than any of the waits
	}
	s.guess("ada", "wrong horse battery staple")
	wait := 0
	p := s.guess("ada@example.com", password)
	fmt.Sscan(p.Header.Get("Retry-After"), &wait)
	if p.StatusCode != http.StatusTooManyRequests || wait <= 128 || wait > 256 { // the wait after nine failures, and no wait after eight is as long
		t.Errorf("the right password after nine guesses: %d, Retry-After %d", p.StatusCode, wait)
	}
}

func TestRow138StrangersDoNotLockTheOwnerOut(t *testing.T) {
	s := start(t, "memory")
	s.client()
	subject := s.user("ada@example.com")
	own := s.browser("ada@example.com")
	own.code(nil)
	own.submit(own.get(s.URL+"/account"), "logout", nil)
	tried, last, grew := 0, 0, 0
	for tried < 100 {
		p := s.guess("ada@example.com", "wrong horse battery staple")
		switch p.StatusCode {
		case http.StatusUnauthorized:
			tried++
		case http.StatusTooManyRequests:
			wait := 0
			fmt.Sscan(p.Header.Get("Retry-After"), &wait)
			if 2*wait < last || wait < 1 { // some of the wait may be over when the answer comes
				t.Fatalf("after %d guesses Retry-After is %d, before it was %d", tried, wait, last)
			}
			if wait > last {
				grew++
			}
			last = wait
			s.Clock.Advance(time.Duration(wait) * time.Second)
		default:
			t.Fatalf("a guess is answered by %d", p.StatusCode)
		}
	}
	if last < 850 || last > 900 || grew < 6 {
		t.Errorf("Retry-After grew %d times to %d", grew, last)
	}
	s.guess("ada@example.com", "wrong horse battery staple") // so that strangers have to wait
	if own.code(nil); s.sessions(subject) != 1 {
		t.Error("the owner cannot sign in from a known device")
	}
	if p := s.guess("ada@example.com", password); p.StatusCode != http.StatusTooManyRequests {
		t.Errorf("a stranger with the right password is answered by %d", p.StatusCode)
	}
}

// Row 142: the pool is as large as the configuration says. With one hash at a time and one that waits, most of many at once are turned away.
func TestRow142TheHashPoolIsTheConfiguredOne(t *testing.T) {
	s := start(t, "memory", func(o *provider.Options) {
		o.PasswordCost = 10
		o.Limits.HashPool, o.Limits.HashQueue = 1, 1
		o.Limits.LoginAccount, o.Limits.LoginIP, o.Limits.LoginNet = ratelimit.Backoff{}, ratelimit.Limit{}, ratelimit.Limit{}
	})
	s.client()
	const people = 8
	forms := make([]func() page, people)
	for i := range people {
		b := s.browser(fmt.Sprint("browser", i))
		form := s.signIn(b)
		forms[i] = func() page {
			return b.submit(form, "login", url.Values{"username": {fmt.Sprintf("nobody%d@example.com", i)}, "password": {password}})
		}
	}
	var away, checked atomic.Int64
	var wg sync.WaitGroup
	for _, send := range forms {
		wg.Go(func() {
			switch p := send(); {
			case p.StatusCode == http.StatusServiceUnavailable && p.Header.Get("Retry-After") != "":
				away.Add(1)
			case p.StatusCode == http.StatusUnauthorized:
				checked.Add(1)
			default:
				t.Errorf("a sign-in is answered by %d", p.StatusCode)
			}
		})
	}
	wg.Wait()
	if away.Load() == 0 || checked.Load() < 1 {
		t.Errorf("%d passwords are checked and %d people turned away", checked.Load(), away.Load())
	}
}

// Row 142: many people sign in at once. The hash pool is bounded: nobody is signed in by chance, and clients go on being served.
func TestRow142ParallelSignInsAreServedOrTurnedAway(t *testing.T) {
	s := start(t, "memory", func(o *provider.Options) {
		o.PasswordCost = 6
		o.Limits.LoginAccount, o.Limits.LoginIP, o.Limits.LoginNet = ratelimit.Backoff{}, ratelimit.Limit{}, ratelimit.Limit{}
	})
	s.client(func(c *storage.Client) { c.GrantTypes = append(c.GrantTypes, "client_credentials") })
	const people = 60
	var subjects []string
	forms := make([]func() page, people)
	for i := range people {
		email := fmt.Sprintf("user%d@example.com", i)
		subjects = append(subjects, s.user(email))
		b := s.browser(email)
		form := s.signIn(b)
		forms[i] = func() page {
			return b.submit(form, "login", url.Values{"username": {email}, "password": {password}})
		}
	}
	var in, away atomic.Int64
	var wg sync.WaitGroup
	for _, send := range forms {
		wg.Go(func() {
			switch p := send(); {
			case p.StatusCode == http.StatusSeeOther:
				in.Add(1)
			case p.StatusCode == http.StatusServiceUnavailable && p.Header.Get("Retry-After") != "":
				away.Add(1)
			default:
				t.Errorf("a sign-in is answered by %d", p.StatusCode)
			}
		})
	}
	for range 20 { // clients are served meanwhile
		if a := s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"profile"}}); a.Status != http.StatusOK {
			t.Errorf("token: %d %s", a.Status, a.Raw)
		}
	}
	wg.Wait()
	sessions := 0
	for _, subject := range subjects {
		sessions += s.sessions(subject)
	}
	if in.Load() == 0 || in.Load()+away.Load() != people || int64(sessions) != in.Load() {
		t.Errorf("%d signed in, %d turned away, %d sessions", in.Load(), away.Load(), sessions)
	}
}

// Failures are counted where they are allowed to be: many guesses at once buy no more than one after the other.
func TestParallelWrongSecretsBuyNothing(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte("chosen-secret"), 6) // slow enough for all guesses to be under way together
	if err != nil {
		t.Fatal(err)
	}
	s := start(t, "memory", func(o *provider.Options) { o.Limits.TokenFailures = ratelimit.Limit{Burst: 5, Every: time.Hour} })
	s.client(func(c *storage.Client) {
		c.Secrets, c.GrantTypes = []storage.ClientSecret{{Hash: string(hash)}}, []string{"client_credentials"}
	})
	send := func(secret string) answer {
		return s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "scope": {"profile"}}, as("app", secret))
	}
	all := func(n int, secret func(i int) string) map[int]int {
		var mu sync.Mutex
		var wg sync.WaitGroup
		statuses := map[int]int{}
		for i := range n {
			wg.Go(func() {
				a := send(secret(i))
				mu.Lock()
				defer mu.Unlock()
				statuses[a.Status]++
				if a.Status == http.StatusTooManyRequests && (a.Str("error") != "temporarily_unavailable" || a.Header.Get("Retry-After") == "") {
					t.Errorf("%s %v", a.Raw, a.Header)
				}
			})
		}
		wg.Wait()
		return statuses
	}
	// A client that does nothing wrong may send as many as it likes at once (ruling 14).
	if got := all(100, func(int) string { return "chosen-secret" }); got[http.StatusOK] != 100 {
		t.Errorf("100 good requests are answered by %v", got)
	}
	if got := all(100, func(i int) string { return fmt.Sprint("guess-", i) }); got[http.StatusUnauthorized] != 5 || got[http.StatusTooManyRequests] != 95 {
		t.Errorf("100 guesses are answered by %v, want 5 times 401 and 95 times 429", got)
	}
	if a := send("chosen-secret"); a.Status != http.StatusTooManyRequests {
		t.Errorf("the right secret after the limit: %d", a.Status)
	}
	s.Clock.Advance(time.Hour)
	if got := all(100, func(i int) string { return fmt.Sprint("more-", i) }); got[http.StatusUnauthorized] != 1 || got[http.StatusTooManyRequests] != 99 {
		t.Errorf("an hour later 100 guesses are answered by %v, want 401 once", got)
	}
	s.Clock.Advance(time.Hour)
	if a := send("chosen-secret"); a.Status != http.StatusOK {
		t.Errorf("the right secret two hours later: %d", a.Status)
	}
	s.noSecrets("chosen-secret", "guess-1")
}

// Guesses at many accounts at once are bounded by the address they come from, as they would be one after the other.
func TestParallelSprayingBuysNothing(t *testing.T) {
	var spent atomic.Bool
	arrived, release := make(chan struct{}), make(chan struct{})
	s := startAs(t, "memory", func(s *server) {
		s.Store.(*memory.Store).Fault = func(op string) error {
			if op == "UserByLogin" && spent.CompareAndSwap(true, false) { // past the limits of the address, before those of the account
				close(arrived)
				<-release
			}
			return nil
		}
	}, func(o *provider.Options) {
		o.PasswordCost = 5
		o.Limits.LoginIP = ratelimit.Limit{Burst: 3, Every: time.Hour}
	})
	s.client()
	const accounts = 12
	forms := make([]func() page, accounts)
	for i := range accounts {
		email := fmt.Sprintf("user%d@example.com", i)
		s.user(email)
		b := s.browser(email)
		form := s.signIn(b)
		guessed := "summer2026 summer2026"
		if i == 0 {
			guessed = password
		}
		forms[i] = func() page { return b.submit(form, "login", url.Values{"username": {email}, "password": {guessed}}) }
	}
	var wg sync.WaitGroup
	var right page
	spent.Store(true)
	wg.Go(func() { right = forms[0]() }) // the right guess is under way
	<-arrived
	var wrong, limited atomic.Int64
	var others sync.WaitGroup
	for _, send := range forms[1:] {
		others.Go(func() {
			switch p := send(); p.StatusCode {
			case http.StatusUnauthorized:
				wrong.Add(1)
			case http.StatusTooManyRequests:
				limited.Add(1)
			default:
				t.Errorf("a guess is answered by %d", p.StatusCode)
			}
		})
	}
	others.Wait()
	close(release)
	wg.Wait()
	if wrong.Load() != 3 || limited.Load() != accounts-4 {
		t.Errorf("%d guesses are told to be wrong and %d to wait, want 3 and %d", wrong.Load(), limited.Load(), accounts-4)
	}
	if right.StatusCode != http.StatusTooManyRequests || strings.Contains(fmt.Sprint(right.Header["Set-Cookie"]), "gth_sid") || s.sessions("sub-user0-example-com") != 0 {
		t.Errorf("the right guess beyond the limit is answered by %d %v", right.StatusCode, right.Header["Set-Cookie"])
	}
}

// What somebody typed into the wrong field stays out of the log: a secret as the client's id, a password as the user's name.
func TestSecretsInTheWrongFieldAreNotLogged(t *testing.T) {
	s := start(t, "memory", func(o *provider.Options) { o.Limits.TokenFailures = ratelimit.Limit{Burst: 2, Every: time.Hour} })
	s.client()
	for range 4 { // refused, then limited
		s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}}, as(clientSecret, "app"))
		s.post("/oauth2/token", url.Values{"grant_type": {"client_credentials"}, "client_id": {clientSecret}}, noBasic)
	}
	s.guess(password, "ada@example.com")
	s.browser("").get(s.authorizeURL(url.Values{"client_id": {clientSecret}}))
	s.noSecrets()
	found := false
	for line := range strings.Lines(s.Log.String()) {
		var entry map[string]any
		if err := json.Unmarshal([]byte(line), &entry); err != nil {
			t.Errorf("%v: %s", err, line)
		}
		found = found || entry["event"] == "limit.hit"
	}
	if !found {
		t.Error("the limit was not reached")
	}
}

func inSteps(o *provider.Options) { o.IdentifierFirst = true }

// In two steps the pages behind the name know it, and a passkey that is refused leads back to it.
func TestTypedNameIsKnownOnTheWay(t *testing.T) {
	m := housed(t, inSteps)
	m.client()
	b := m.browser("ada@example.com")
	first := m.server.signIn(b)
	p := b.submit(first, "passkey", url.Values{"response": {"{}"}})
	if action, _ := readForm(t, p.Body, "login"); p.StatusCode != http.StatusUnauthorized || action != "/login" || strings.Contains(p.Body, `name="password"`) || !hasForm(p.Body, "passkey") {
		t.Errorf("a passkey that is refused: %d %s", p.StatusCode, p.Body)
	}
	p = b.submit(first, "login", url.Values{"username": {"ada@example.com"}})
	m.wants(p, http.StatusSeeOther)
	second := b.get(m.URL + p.Header.Get("Location"))
	for _, path := range []string{"/recovery?", "/login/mail?"} {
		if asked := b.get(m.URL + path + interactionLink.FindString(second.Body)); !strings.Contains(asked.Body, `value="ada@example.com"`) {
			t.Errorf("%s asks for the name again: %s", path, asked.Body)
		}
	}
}

// Each name is a write, so one address may type as many as it may begin sign-ins. Its sign-ins are counted apart.
func TestRow168NamesAreLimitedBeforeTheyAreStored(t *testing.T) {
	m := housed(t, inSteps, func(o *provider.Options) { o.Limits.Interactions = ratelimit.Limit{Burst: 3, Every: time.Hour} })
	m.client()
	b := m.browser("")
	first := m.server.signIn(b)
	var second string
	for _, name := range []string{"ada", "bob", "eve"} {
		p := b.submit(first, "login", url.Values{"username": {name}})
		m.wants(p, http.StatusSeeOther)
		second = m.URL + p.Header.Get("Location")
	}
	other := m.browser("")
	for _, form := range []struct {
		*browser
		page
	}{{b, first}, {other, m.server.signIn(other)}} {
		for _, name := range []string{"mallory", "eve", "no such@name@at all"} {
			p := form.submit(form.page, "login", url.Values{"username": {name}})
			if p.StatusCode != http.StatusTooManyRequests || p.Header.Get("Retry-After") != "3600" || !strings.Contains(p.Body, "Too many sign-ins were started from this network. Try again in an hour.") {
				t.Errorf("%s: %d, Retry-After %q: %s", name, p.StatusCode, p.Header.Get("Retry-After"), p.Body)
			}
		}
	}
	if p := b.get(second); !strings.Contains(p.Body, `value="eve"`) || strings.Contains(p.Body, "mallory") {
		t.Errorf("what is kept now: %s", p.Body)
	}
	m.advance(time.Hour)
	m.wants(b.submit(m.server.signIn(b), "login", url.Values{"username": {"mallory"}}), http.StatusSeeOther)
}
