package provider_test

import (
	"bytes"
	"cmp"
	"io"
	"log/slog"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"gatehouse/provider"
	"gatehouse/provider/credential"
	"gatehouse/provider/credential/credentialtest"
	"gatehouse/provider/mail"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/seal"
	"gatehouse/storage"
)

// Row 136 and ruling 27: what an answer does not say, its time must not say either.

// direct is the way of a browser to the handler without a network. took is how long the handler worked on the last request, and burnt the CPU time of the process during all of them.
type direct struct {
	handler     http.Handler
	took, burnt time.Duration
}

func (d *direct) RoundTrip(r *http.Request) (*http.Response, error) {
	var body []byte
	if r.Body != nil {
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			return nil, err
		}
	}
	sent := httptest.NewRequest(r.Method, r.URL.RequestURI(), bytes.NewReader(body))
	sent.Host, sent.Header = r.URL.Host, r.Header.Clone()
	recorder := httptest.NewRecorder()
	before, begin := cpuTime(), time.Now()
	d.handler.ServeHTTP(recorder, sent)
	d.took = time.Since(begin)
	d.burnt += cpuTime() - before
	answer := recorder.Result()
	answer.Request = r
	return answer, nil
}

// cpuTime is what the process has cost so far, in user space and in the kernel.
func cpuTime() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(err) // there is no such error for the process itself
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// watch is a server whose answers are timed.
type watch struct {
	*server
	way *direct
	app credentialtest.App // of frank
}

// try is one of several requests that must not be told apart. send makes whatever it needs first; its last request is the one that is timed. name is what the answer may repeat.
type try struct {
	what, name string
	send       func() page
	took       []time.Duration
}

// secret is what nobody may learn: which of the tries it was.
type secret struct {
	what  string
	tries []*try
}

// timed boots a server on a plain store on which nothing happens but the request under test, and nothing is limited although everything is counted.
func timed(t *testing.T, backend string, as ...func(*server)) *watch {
	t.Helper()
	w, store := &watch{}, storage.Store(nil)
	huge := ratelimit.Limit{Burst: math.MaxInt32, Every: time.Microsecond}
	w.server = startAs(t, backend, func(s *server) {
		s.Idle, store = true, s.Store
		s.Clock.Hold()
		w.app = s.app(s.user(frank)) // it takes a minute, after which what the process knows of clients would be too old
		for _, change := range as {
			change(s)
		}
	}, quickKeys, longSessions, secondFactors, func(o *provider.Options) {
		o.Store, o.Log = store, slog.New(slog.NewJSONHandler(io.Discard, nil))
		o.Mail = provider.Mail{Carrier: mail.NewBox(1), From: "no-reply@id.example"}
		o.SignUp, o.MagicLink = provider.SignUp{Mode: "open"}, true
		o.Limits = provider.Limits{
			LoginAccount: ratelimit.Backoff{Free: math.MaxInt32, Longest: time.Second}, LoginFailures: math.MaxInt32, LoginIP: huge, LoginNet: huge, FactorChallenge: math.MaxInt32,
			FactorUser: huge, FactorIP: huge, ResetAddress: huge, MailIP: huge, SignupIP: huge, TokenFailures: huge, Interactions: huge,
		}
	})
	w.URL = strings.Replace(w.URL, "127.0.0.1", "localhost", 1)
	w.client(func(c *storage.Client) { c.GrantTypes = append(c.GrantTypes, "client_credentials") })
	w.way = &direct{handler: w.Provider.Handler()}
	return w
}

// visitor is a browser that goes the direct way.
func (w *watch) visitor(email string) *browser {
	b := w.browser(email)
	b.client.Transport = w.way
	return b
}

// people who can be tried. Their names are equally long, and so is that of nobody.
const (
	owner    = "aaron@example.com"
	disabled = "betty@example.com"
	bare     = "carol@example.com" // has no password
	nobody   = "david@example.com"
	frank    = "frank@example.com" // has an authenticator app
)

func (w *watch) populate() {
	w.Helper()
	w.user(owner)
	w.user(disabled, func(u *storage.User) { u.Disabled = true })
	w.withoutPassword(bare)
}

// passwords are tries of the sign-in page.
func (w *watch) passwords() secret {
	guess := func(what, name, guessed string) *try {
		b := w.visitor(name)
		form := w.signIn(b)
		return &try{what: what, name: name, send: func() page {
			return b.submit(form, "login", url.Values{"username": {name}, "password": {guessed}})
		}}
	}
	return secret{"password", []*try{
		guess("wrong password", owner, "wrong horse battery staple"), guess("unknown user", nobody, password), guess("disabled user", disabled, password),
		guess("disabled user, wrong password", disabled, "wrong horse battery staple"), guess("no password", bare, password),
	}}
}

// links are requests for a mail: for a new password, to sign in, and for an account.
func (w *watch) links() []secret {
	ask := func(path, form, what, name string) *try {
		b := w.visitor("")
		opened := b.get(w.URL + path)
		fields := url.Values{"username": {name}}
		if form == "signup" {
			fields = url.Values{"email": {name}, "name": {"Ada Lovelace"}, "password": {password}}
		}
		return &try{what: what, name: name, send: func() page { return b.submit(opened, form, fields) }}
	}
	var all []secret
	for _, page := range [][2]string{{"/recovery", "recovery"}, {"/login/mail", "mail-link"}, {"/signup", "signup"}} {
		s := secret{what: page[0]}
		for _, person := range [][2]string{{"known address", owner}, {"unknown address", nobody}, {"disabled user", disabled}} {
			s.tries = append(s.tries, ask(page[0], page[1], person[0], person[1]))
		}
		all = append(all, s)
	}
	return all
}

// clients are requests of clients with a secret.
func (w *watch) clients() secret {
	w.client(func(c *storage.Client) { c.ID, c.Disabled = "off", true })
	form := url.Values{"grant_type": {"client_credentials"}, "scope": {"profile"}}
	request := func(what, id, secret string) *try {
		return &try{what: what, name: id, send: func() page {
			r, err := http.NewRequest("POST", w.URL+"/oauth2/token", strings.NewReader(form.Encode()))
			if err != nil {
				w.Fatal(err)
			}
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			r.SetBasicAuth(id, secret)
			return w.visitor("").do(r)
		}}
	}
	wrong := strings.Repeat("x", len(clientSecret))
	return secret{"client", []*try{request("wrong secret", "app", wrong), request("unknown client", "ape", clientSecret), request("disabled client", "off", clientSecret)}}
}

// passkeyOfDisabled is a passkey that the disabled user made before.
func (w *watch) passkeyOfDisabled() *credentialtest.Authenticator {
	set := func(off bool) {
		_, err := w.Store.UpdateUser(w.Context(), w.subject(disabled), func(u *storage.User) error { u.Disabled = off; return nil })
		w.ok(err)
	}
	set(false)
	defer set(true)
	return w.passkey(disabled)
}

// passkeys are answers of an authenticator to the sign-in page.
func (w *watch) passkeys() secret {
	key, other := w.passkey(owner), w.passkeyOfDisabled()
	finish := func(what string, a *credentialtest.Authenticator, change func(*credentialtest.Answer)) *try {
		return &try{what: what, send: func() page {
			b := w.visitor("")
			p := w.signIn(b)
			return b.submit(p, "passkey", url.Values{"response": {a.Get(b.asked(p), change)}})
		}}
	}
	none := func(*credentialtest.Answer) {}
	badly := func(a *credentialtest.Answer) { a.Damage = badCounter }
	unknown := func(a *credentialtest.Answer) {
		a.ID = slices.Clone(a.ID)
		a.ID[0] ^= 1
	}
	return secret{"passkey", []*try{
		finish("wrong signature", key, badly), finish("unknown credential", key, unknown), finish("disabled user", other, none), finish("disabled user, wrong signature", other, badly),
		finish("another handle", key, func(a *credentialtest.Answer) { a.Handle = other.Keys()[0].Handle }),
	}}
}

// badCounter changes what was signed, but nothing that is looked at before the signature.
func badCounter(data []byte) []byte {
	data[len(data)-1] ^= 1
	return data
}

// codes are tries of the second factor: of an app's codes, and of recovery codes.
func (w *watch) codes() []secret {
	recovery := w.recoveryCodes(w.subject(frank))
	half := func(what, code string) *try {
		b := w.visitor(frank)
		form := b.half(nil)
		return &try{what: what, send: func() page { return b.submit(form, "factor", url.Values{"code": {code}}) }}
	}
	used := w.app.Code(w.Clock.Now())
	for _, code := range []string{used, recovery[0]} {
		w.wants(half("", code).send(), http.StatusSeeOther)
	}
	last := used[len(used)-1]
	wrong := used[:len(used)-1] + string('0'+(last-'0'+1)%10)
	return []secret{
		{"code of an app", []*try{half("used", used), half("wrong", wrong)}}, {"recovery code", []*try{half("used", recovery[0]), half("wrong", "aaaa-aaaa-aaaa-aaaa")}},
	}
}

// recoveryCodes gives a user recovery codes.
func (s *server) recoveryCodes(subject string) []string {
	s.Helper()
	ring, err := seal.New([][]byte{masterKey[:]})
	if err != nil {
		s.Fatal(err)
	}
	recovery, err := credential.NewRecoveryCodes(s.Context(), s.Store, s.Store, ring)
	if err != nil {
		s.Fatal(err)
	}
	codes, err := recovery.Generate(s.Context(), &storage.User{Subject: subject})
	if err != nil {
		s.Fatal(err)
	}
	return codes
}

// marks are what differs between any two answers beside what alike leaves out: the question to an authenticator.
var marks = regexp.MustCompile(`(?:challenge&#34;:&#34;|name="state" value=")[\w-]+`)

// form is an answer without what differs between any two.
func (t *try) form(p page) string {
	p.Body = marks.ReplaceAllString(p.Body, "*")
	return alike(p, cmp.Or(t.name, "NAME"))
}

// equal demands that all tries are answered in the same way.
func (s secret) equal(t *testing.T) {
	t.Helper()
	want := s.tries[0].form(s.tries[0].send())
	for _, other := range s.tries[1:] {
		if got := other.form(other.send()); got != want {
			t.Errorf("%s: %q is answered\n%s\nand %q\n%s", s.what, other.what, got, s.tries[0].what, want)
		}
	}
}

// TestRow136WhatFailsCostsTheSameWork compares the hashes and the operations of the store (ruling 27).
func TestRow136WhatFailsCostsTheSameWork(t *testing.T) {
	o := &operations{}
	w := timed(t, "memory", o.count)
	w.populate()
	// What is counted for good is the account's own failure, or a row that means nothing if there is no account: each is one row written.
	work := func(one *try) string {
		return strings.Replace(strings.Join(o.during(func() { one.send() }), " "), "FailPassword", "SwapRate", 1)
	}
	for _, s := range w.secrets() {
		s.equal(t) // the first time fills the copies of the clients
		want := work(s.tries[0])
		for _, other := range s.tries[1:] {
			if got := work(other); got != want {
				t.Errorf("%s: %q costs\n%s\nand %q\n%s", s.what, other.what, got, s.tries[0].what, want)
			}
		}
		hashes := strings.Count(want, "1*bcrypt(16)")
		if hasher := s.what == "password" || s.what == "/signup"; hashes > 1 || hasher != (hashes == 1) {
			t.Errorf("%s costs %d hashes: %s", s.what, hashes, want)
		}
	}
}

// secrets are all that is compared.
func (w *watch) secrets() []secret {
	w.Helper()
	return slices.Concat([]secret{w.passwords(), w.clients(), w.passkeys()}, w.links(), w.codes())
}

// median is the middle of the times.
func (t *try) median() time.Duration {
	sorted := slices.Sorted(slices.Values(t.took))
	return sorted[len(sorted)/2]
}

// mannWhitney returns the two-sided p of the hypothesis that two samples come from one distribution, by the normal approximation.
func mannWhitney(a, b []time.Duration) float64 {
	type drawn struct {
		took  time.Duration
		first bool
	}
	var all []drawn
	for _, d := range a {
		all = append(all, drawn{d, true})
	}
	for _, d := range b {
		all = append(all, drawn{took: d})
	}
	slices.SortFunc(all, func(x, y drawn) int { return cmp.Compare(x.took, y.took) })
	ranks, ties := 0.0, 0.0
	for i := 0; i < len(all); {
		j := i
		for j < len(all) && all[j].took == all[i].took {
			j++
		}
		for _, d := range all[i:j] {
			if d.first {
				ranks += float64(i+j+1) / 2
			}
		}
		same := float64(j - i)
		ties += same * (same*same - 1)
		i = j
	}
	n, m := float64(len(a)), float64(len(b))
	sum := n + m
	z := (ranks - n*(n+1)/2 - n*m/2) / math.Sqrt(n*m/12*(sum+1-ties/(sum*(sum-1))))
	return math.Erfc(math.Abs(z) / math.Sqrt2)
}

// kept tells whether the medians of the tries differ by less than a twentieth.
func (s secret) kept(t *testing.T) bool {
	t.Helper()
	slices.SortFunc(s.tries, func(a, b *try) int { return cmp.Compare(a.median(), b.median()) })
	fastest, kept := s.tries[0], true
	t.Logf("%s: %v for %q, %d times", s.what, fastest.median(), fastest.what, len(fastest.took))
	for _, other := range s.tries[1:] {
		more := float64(other.median()-fastest.median()) / float64(fastest.median())
		t.Logf("%s: %v for %q, %+.2f %%, p %.3f", s.what, other.median(), other.what, 100*more, mannWhitney(fastest.took, other.took))
		kept = kept && more < 0.05
	}
	return kept
}

// sweep does what the background jobs do with what the tries leave behind, so that the store does not grow.
func (w *watch) sweep() {
	w.Helper()
	mails, err := w.Store.ClaimMails(w.Context(), w.Clock.Now(), time.Hour, math.MaxInt32)
	if err != nil {
		w.Fatal(err)
	}
	for _, m := range mails {
		if err := w.Store.FinishMail(w.Context(), m.ID); err != nil {
			w.Fatal(err)
		}
	}
	for n := 1; n > 0; {
		if n, err = w.Store.Purge(w.Context(), w.Clock.Now(), 500); err != nil {
			w.Fatal(err)
		}
	}
}

// TestSoakRow136NeitherAnswersNorTimesTell sends what fails for different reasons, in random order. The short form compares the answers alone.
func TestSoakRow136NeitherAnswersNorTimesTell(t *testing.T) {
	for _, backend := range []string{"memory", "sqlite"} {
		t.Run(backend, func(t *testing.T) {
			w := timed(t, backend)
			w.populate()
			secrets := w.secrets()
			for _, s := range secrets {
				s.equal(t)
			}
			if os.Getenv("GATEHOUSE_SOAK") == "" {
				return
			}
			// What else the machine does can make any two medians differ. A difference that is the server's is there every time.
			for range 3 {
				w.time(secrets, 2000)
				secrets = slices.DeleteFunc(secrets, func(s secret) bool { return s.kept(t) })
			}
			for _, s := range secrets {
				t.Errorf("the time tells what the answer does not: %s", s.what)
			}
		})
	}
}

// time sends every try n times, in an order that is drawn anew each time.
func (w *watch) time(secrets []secret, n int) {
	w.Helper()
	var all []*try
	for _, s := range secrets {
		for _, one := range s.tries {
			one.took = nil
			all = append(all, one)
		}
	}
	for round := range n {
		rand.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		for _, one := range all {
			one.send()
			one.took = append(one.took, w.way.took)
		}
		if round%50 == 0 {
			w.sweep()
		}
	}
}

// TestSoakSignInCPU signs people in from fresh browsers, from the authorization request over the sign-in page to the code, and measures what the server computes beside the one bcrypt of a
// sign-in, which is measured in the same way. The short form counts the hashes alone.
func TestSoakSignInCPU(t *testing.T) {
	hash, err := bcrypt.GenerateFromPassword([]byte(password), 4)
	if err != nil {
		t.Fatal(err)
	}
	n, long := 3, os.Getenv("GATEHOUSE_SOAK") != ""
	if long {
		n = 500
	}
	before := cpuTime()
	for range n {
		if err := bcrypt.CompareHashAndPassword(hash, []byte(password)); err != nil {
			t.Fatal(err)
		}
	}
	one := (cpuTime() - before) / time.Duration(n)
	for _, backend := range []string{"memory", "sqlite", "postgres"} {
		t.Run(backend, func(t *testing.T) {
			w := timed(t, backend)
			w.populate()
			signIn := func() { w.visitor(owner).code(url.Values{"client_id": {"first"}}) }
			w.client(func(c *storage.Client) { c.ID, c.FirstParty = "first", true })
			signIn() // fills the copies of the client
			hashes, rounds := w.Provider.PasswordWork()
			w.way.burnt = 0
			for range n {
				signIn()
			}
			all := w.way.burnt / time.Duration(n)
			done, spent := w.Provider.PasswordWork()
			if done-hashes != int64(n) || spent-rounds != int64(n)<<4 {
				t.Errorf("%d sign-ins cost %d hashes of %d rounds in all", n, done-hashes, spent-rounds)
			}
			t.Logf("a sign-in costs %v of CPU, %v without its bcrypt of %v", all, all-one, one)
			if long && all-one >= 3*time.Millisecond {
				t.Errorf("a sign-in costs %v beside its bcrypt", all-one)
			}
		})
	}
}
