package provider_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	gooidc "github.com/coreos/go-oidc/v3/oidc"

	"gatehouse/storage"
)

// Back-Channel Logout 1.0: line L7, security rows 133 and 189.

// listener is a relying party's back-channel endpoint.
type listener struct {
	URL string

	mu    sync.Mutex
	posts []*http.Request // with their form parsed
	// answer decides; it is called without the lock, with the number of the post, from 1.
	answer func(n int) int
}

// listen serves an endpoint that answers 204, as express-openid-connect does, until told otherwise.
func (s *server) hear() *listener {
	s.Helper()
	l := &listener{answer: func(int) int { return http.StatusNoContent }}
	app := httptest.NewServer(l)
	s.Cleanup(app.Close)
	l.URL = app.URL + "/redirect_uri?logout=backchannel"
	return l
}

func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	l.mu.Lock()
	l.posts = append(l.posts, r)
	n, answer := len(l.posts), l.answer
	l.mu.Unlock()
	w.WriteHeader(answer(n))
}

func (l *listener) say(answer func(n int) int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.answer = answer
}

func (l *listener) heard() []*http.Request {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.posts)
}

// token waits for a number of posts and returns the last one's logout token.
func (l *listener) token(s *server, posts int) string {
	s.Helper()
	s.within(15*time.Second, fmt.Sprintf("post %d at the back channel", posts), func() bool { return len(l.heard()) >= posts })
	all := l.heard()
	if len(all) != posts {
		s.Fatalf("%d posts, want %d", len(all), posts)
	}
	return all[posts-1].PostForm.Get("logout_token")
}

// told makes a client listen at l.
func told(id string, l *listener) func(*storage.Client) {
	return func(c *storage.Client) {
		c.ID, c.BackchannelLogoutURI, c.BackchannelLogoutSessionRequired = id, l.URL, true
		c.PostLogoutRedirectURIs = []string{bye}
	}
}

// queue is what is left to deliver, with nobody at work on it for the moment. It takes what it finds for as long as a test lasts.
func (s *server) queue() []*storage.LogoutDelivery {
	s.Helper()
	rows, err := s.Store.ClaimLogouts(context.Background(), s.Clock.Now().Add(23*time.Hour), time.Microsecond, 1000)
	s.ok(err)
	return rows
}

func TestL7Row189LogoutToken(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		plain, pair, elliptic, unsigned := s.hear(), s.hear(), s.hear(), s.hear()
		s.client(told("app", plain))
		s.client(pairwise("pair", "two.example"), told("pair", pair))
		s.client(told("elliptic", elliptic), func(c *storage.Client) { c.IDTokenAlg = "ES256" })
		s.client(told("unsigned", unsigned))
		s.user("ada@example.com")
		b := s.browser("ada@example.com")
		ids := map[string]map[string]any{}
		for _, id := range []string{"pair", "elliptic", "unsigned", "app"} {
			ids[id] = jwtPayload(s.T, b.tokensOf(id, nil).Str("id_token"))
		}
		hint := b.tokensOf("app", nil).Str("id_token")
		_, err := s.Store.UpdateClient(s.Context(), "unsigned", func(c *storage.Client) error { c.IDTokenAlg = "none"; return nil })
		s.ok(err)
		if p := b.get(s.logoutURL(url.Values{"id_token_hint": {hint}, "post_logout_redirect_uri": {bye}})); p.Header.Get("Location") != bye {
			s.Fatalf("%d %s", p.StatusCode, p.Body)
		}
		goProvider, err := gooidc.NewProvider(s.Context(), s.URL)
		s.ok(err)
		for id, l := range map[string]*listener{"app": plain, "pair": pair, "elliptic": elliptic, "unsigned": unsigned} {
			raw := l.token(s, 1)
			r := l.heard()[0]
			if r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" || len(r.PostForm) != 1 || r.URL.RawQuery != "logout=backchannel" || r.Method != http.MethodPost || r.Header.Get("Cookie") != "" {
				s.Errorf("%s: %s %s %v", id, r.Method, r.URL, r.Header)
			}
			header, claims := jwtHeader(s.T, raw), jwtPayload(s.T, raw)
			alg := map[string]string{"elliptic": "ES256"}[id]
			if alg == "" {
				alg = "RS256"
			}
			if header["typ"] != "logout+jwt" || header["alg"] != alg || header["kid"] == nil || header["kid"] == "" {
				s.Errorf("%s: header %v", id, header)
			}
			if got, want := slices.Sorted(maps.Keys(claims)), []string{"aud", "events", "exp", "iat", "iss", "jti", "sid", "sub"}; !slices.Equal(got, want) {
				s.Errorf("%s: claims %v, want %v", id, got, want)
			}
			events, _ := claims["events"].(map[string]any)
			empty, _ := events["http://schemas.openid.net/event/backchannel-logout"].(map[string]any)
			if len(events) != 1 || empty == nil || len(empty) != 0 {
				s.Errorf("%s: events %v", id, claims["events"])
			}
			if life := claims["exp"].(float64) - claims["iat"].(float64); life <= 0 || life > 120 {
				s.Errorf("%s: good for %v s", id, life)
			}
			if claims["sub"] != ids[id]["sub"] || claims["sid"] != ids[id]["sid"] || claims["aud"] != id || claims["iss"] != s.URL {
				s.Errorf("%s: %v, the ID token said %v", id, claims, ids[id])
			}
			verified, err := goProvider.Verifier(&gooidc.Config{ClientID: id, SupportedSigningAlgs: []string{alg}}).VerifyLogout(s.Context(), raw)
			if err != nil || verified.Subject != claims["sub"] {
				s.Errorf("%s: go-oidc: %v", id, err)
			}
			if p := b.get(s.logoutURL(url.Values{"id_token_hint": {raw}, "post_logout_redirect_uri": {bye}})); p.StatusCode != http.StatusOK {
				s.Error("a logout token passes for an ID token")
			}
			s.noSecrets(raw)
		}
		s.within(5*time.Second, "the queue is empty", func() bool { return strings.Count(s.Log.String(), `"event":"logout.delivered"`) == 4 })
		s.within(5*time.Second, "nothing is left in the queue", func() bool { return len(s.queue()) == 0 }) // the log comes first
	})
}

// TestEveryEndOfASessionIsTold: also one that no browser asked for, and the end that another user's sign-in brings (ruling 7).
func TestEveryEndOfASessionIsTold(t *testing.T) {
	s := start(t, "sqlite")
	l := s.hear()
	s.client(told("app", l))
	ada := s.user("ada@example.com")
	s.user("bob@example.com")
	posts := 0
	for name, end := range map[string]func(b *browser, sid string){
		"account page": func(b *browser, _ string) { s.wantOut(b.submit(b.get(s.URL+"/account"), "logout", nil), b) },
		"operator":     func(_ *browser, sid string) { s.ok(s.Store.EndSession(t.Context(), sid)) },
		"another user": func(b *browser, _ string) { b.User = "bob@example.com"; b.code(url.Values{"prompt": {"login"}}) },
	} {
		b, a := s.signedInAt(nil)
		sid := fmt.Sprint(jwtPayload(t, a.Str("id_token"))["sid"])
		end(b, sid)
		posts++
		if claims := jwtPayload(t, l.token(s, posts)); claims["sid"] != sid || claims["sub"] != ada {
			t.Errorf("%s: %v", name, claims)
		}
	}
	_, a := s.signedInAt(nil)
	s.ok(s.Store.SetPassword(t.Context(), ada, "unusable"))
	if claims := jwtPayload(t, l.token(s, posts+1)); claims["sid"] != jwtPayload(t, a.Str("id_token"))["sid"] {
		t.Errorf("change of the password: %v", claims)
	}
}

// TestRow133ADeadPartyDelaysNobody: not the browser, and not the parties that live.
func TestRow133ADeadPartyDelaysNobody(t *testing.T) {
	s := start(t, "memory")
	dead, alive := s.hear(), s.hear()
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	dead.say(func(int) int { <-hang; return http.StatusOK })
	s.client(told("app", alive))
	s.client(told("dead", dead))
	s.user("ada@example.com")
	const sessions = 20
	for n := range sessions {
		b, a := s.signedInAt(nil)
		b.tokensOf("dead", nil)
		began := time.Now()
		if p := b.get(s.logoutURL(url.Values{"id_token_hint": {a.Str("id_token")}, "post_logout_redirect_uri": {bye}})); p.Header.Get("Location") != bye {
			t.Fatalf("%d %s", p.StatusCode, p.Body)
		}
		if took := time.Since(began); took > 2*time.Second {
			t.Errorf("the browser waited %v", took)
		}
		s.within(2*time.Second, "the party that lives is told", func() bool { return len(alive.heard()) == n+1 })
	}
	s.within(10*time.Second, "the dead party's failure is noted", func() bool { return strings.Contains(s.Log.String(), `"event":"logout.failed"`) })
	if got := len(dead.heard()); got > 5 {
		t.Errorf("a party that does not answer got %d requests at once", got)
	}
	text := s.Log.String()
	if strings.Contains(text, "logout_token") || strings.Contains(text, "eyJ") {
		t.Error("a token reached the log")
	}
}

// endSessions ends sessions of ada that a client takes part in, without the pages.
func (s *server) endSessions(client string, n int) {
	s.Helper()
	for i := range n {
		id, now := fmt.Sprintf("%s-%d", client, i), s.Clock.Now().UTC()
		s.ok(s.Store.CreateSession(s.Context(), &storage.Session{ID: id, CookieHash: id, Subject: "sub-ada-example-com", AuthTime: now, Created: now, LastSeen: now, Absolute: now.Add(time.Hour)}))
		s.ok(s.Store.AddSessionClient(s.Context(), id, client))
		s.ok(s.Store.EndSession(s.Context(), id))
	}
}

// A client that answers, but late, and has a long queue must not fill the places of the others.
func TestRow133ASlowPartyDelaysNobody(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	slow, alive := s.hear(), s.hear()
	stop := make(chan struct{})
	t.Cleanup(func() { close(stop) })
	slow.say(func(int) int {
		select {
		case <-stop:
		case <-time.After(2500 * time.Millisecond):
		}
		return http.StatusOK
	})
	s.client(told("app", alive))
	s.client(told("slow", slow))
	s.user("ada@example.com")
	s.endSessions("slow", 1000)
	s.within(10*time.Second, "the slow party is being told", func() bool { return len(slow.heard()) > 4 })
	s.endSessions("app", 1)
	s.within(10*time.Second, "the other party is told", func() bool { return len(alive.heard()) == 1 })
}

// Waiting for a place is no attempt: whoever refuses gets three all the same.
func TestARefusalCountsAttemptsNotTurns(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	full := s.hear()
	released := make(chan struct{})
	full.say(func(n int) int {
		<-released
		return http.StatusBadRequest
	})
	s.client(told("full", full))
	s.user("ada@example.com")
	s.endSessions("full", 100)
	s.within(10*time.Second, "the lane is full", func() bool { return len(full.heard()) == 4 })
	close(released)
	s.within(20*time.Second, "all have had a turn", func() bool { return strings.Count(s.Log.String(), `"event":"logout.failed"`) >= 100 })
	if strings.Contains(s.Log.String(), "logout.given_up") {
		t.Error("a delivery was given up after one refusal")
	}
}

// forgetful is a store that takes long to note that a delivery has arrived.
type forgetful struct {
	storage.Store
	until chan struct{}
}

func (f *forgetful) FinishLogout(ctx context.Context, id string) error {
	select {
	case <-f.until:
	case <-ctx.Done():
	}
	return f.Store.FinishLogout(ctx, id)
}

// TestABusyStoreDoesNotMakeAPartySlow: the few places of a party are for what is on its way to it.
func TestABusyStoreDoesNotMakeAPartySlow(t *testing.T) {
	t.Parallel()
	f := &forgetful{until: make(chan struct{})}
	s := startAs(t, "memory", func(s *server) { f.Store = s.Store; s.Store = f })
	l := s.hear()
	s.client(told("app", l))
	s.user("ada@example.com")
	for range 12 {
		_, a := s.signedInAt(nil)
		s.ok(s.Store.EndSession(t.Context(), fmt.Sprint(jwtPayload(t, a.Str("id_token"))["sid"])))
	}
	s.within(8*time.Second, "all are told", func() bool { return len(l.heard()) == 12 })
	close(f.until)
}

func TestAFailureIsTriedAgainWithBackOffAndARefusalNotForLong(t *testing.T) {
	s := start(t, "sqlite")
	flaky, refusing, moved := s.hear(), s.hear(), s.hear()
	flaky.say(func(n int) int {
		if n < 3 {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	})
	refusing.say(func(int) int { return http.StatusBadRequest })
	moved.say(func(int) int { return http.StatusFound })
	s.client(told("app", flaky))
	s.client(told("refusing", refusing))
	s.client(told("moved", moved))
	s.user("ada@example.com")
	b, a := s.signedInAt(nil)
	b.tokensOf("refusing", nil)
	b.tokensOf("moved", nil)
	b.get(s.logoutURL(url.Values{"id_token_hint": {a.Str("id_token")}}))
	ids := map[any]bool{}
	for attempt := 1; attempt <= 3; attempt++ {
		for _, l := range []*listener{flaky, refusing, moved} {
			claims := jwtPayload(t, l.token(s, attempt))
			ids[claims["jti"]] = true
			if iat := time.Unix(int64(claims["iat"].(float64)), 0); s.Clock.Now().Sub(iat).Abs() > 10*time.Second {
				t.Errorf("attempt %d sends an old token", attempt)
			}
		}
		s.within(5*time.Second, "the answers are noted", func() bool {
			return strings.Count(s.Log.String(), `"event":"logout.failed"`)+strings.Count(s.Log.String(), `"event":"logout.given_up"`)+strings.Count(s.Log.String(), `"event":"logout.delivered"`) == 3*attempt
		})
		s.advance([]time.Duration{6500 * time.Millisecond, 37 * time.Second, time.Hour}[attempt-1])
	}
	if len(ids) != 9 {
		t.Errorf("%d different jti in 9 tokens", len(ids))
	}
	if text := s.Log.String(); strings.Count(text, `"event":"logout.given_up"`) != 2 || strings.Count(text, `"event":"logout.delivered"`) != 1 {
		t.Errorf("audit: %s", text)
	}
	if left := s.queue(); len(left) != 0 {
		t.Errorf("left: %+v", left)
	}
}

func TestADeliveryIsGivenUpInTheEnd(t *testing.T) {
	t.Parallel()
	s := start(t, "memory")
	l := s.hear()
	l.say(func(int) int { return http.StatusInternalServerError })
	s.client(told("app", l))
	s.user("ada@example.com")
	b, a := s.signedInAt(nil)
	b.get(s.logoutURL(url.Values{"id_token_hint": {a.Str("id_token")}}))
	for n := 1; !strings.Contains(s.Log.String(), `"event":"logout.given_up"`); n++ {
		if n > 12 {
			t.Fatal("it is tried for ever")
		}
		l.token(s, n)
		s.within(5*time.Second, "the answer is noted", func() bool {
			return strings.Count(s.Log.String(), `"event":"logout.failed"`) == n || strings.Contains(s.Log.String(), "given_up")
		})
		s.advance([]time.Duration{7 * time.Second, 37 * time.Second, 145 * time.Second, 721 * time.Second, 73 * time.Minute, 433 * time.Minute}[min(n-1, 5)])
	}
}

func TestDisabledAndDeletedClientsAreDropped(t *testing.T) {
	s := start(t, "sqlite")
	l := s.hear()
	s.client(told("app", l))
	l.say(func(int) int { return http.StatusInternalServerError })
	s.user("ada@example.com")
	b, a := s.signedInAt(nil)
	b.get(s.logoutURL(url.Values{"id_token_hint": {a.Str("id_token")}}))
	l.token(s, 1)
	s.within(5*time.Second, "the failure is noted", func() bool { return strings.Contains(s.Log.String(), `"event":"logout.failed"`) })
	_, err := s.Store.UpdateClient(t.Context(), "app", func(c *storage.Client) error { c.Disabled = true; return nil })
	s.ok(err)
	s.advance(7 * time.Second)
	s.within(10*time.Second, "the delivery is dropped", func() bool { return strings.Contains(s.Log.String(), `"event":"logout.dropped"`) })
	if len(l.heard()) != 1 || len(s.queue()) != 0 {
		t.Errorf("%d posts", len(l.heard()))
	}
}

func TestTwoNodesDeliverOnce(t *testing.T) {
	for _, backend := range []string{"sqlite", "postgres"} {
		t.Run(backend, func(t *testing.T) {
			s := start(t, backend)
			second := s.node()
			l := s.hear()
			s.client(told("app", l))
			s.user("ada@example.com")
			for n := 1; n <= 10; n++ {
				_, a := s.signedInAt(nil)
				s.ok(second.Store.EndSession(t.Context(), fmt.Sprint(jwtPayload(t, a.Str("id_token"))["sid"])))
			}
			s.within(15*time.Second, "all are told", func() bool { return strings.Count(s.Log.String(), `"event":"logout.delivered"`) == 10 })
			if got := len(l.heard()); got != 10 {
				t.Errorf("%d posts for 10 sessions", got)
			}
		})
	}
}

// TestStoppingGivesDeliveriesBack: what a process holds when it ends is due for the others at once.
func TestStoppingGivesDeliveriesBack(t *testing.T) {
	s := startAs(t, "sqlite", func(s *server) { s.Idle = true })
	l := s.hear()
	hang := make(chan struct{})
	t.Cleanup(func() { close(hang) })
	l.say(func(int) int { <-hang; return http.StatusOK })
	s.client(told("app", l))
	s.user("ada@example.com")
	ctx, stop := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	for range 12 {
		_, a := s.signedInAt(nil)
		s.ok(s.Store.EndSession(t.Context(), fmt.Sprint(jwtPayload(t, a.Str("id_token"))["sid"])))
	}
	go func() { stopped <- s.Provider.Run(ctx) }()
	s.within(10*time.Second, "the first are on their way", func() bool { return len(l.heard()) == 4 })
	began := time.Now()
	stop()
	<-stopped
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("stopping took %v", took)
	}
	rows, err := s.Store.ClaimLogouts(t.Context(), s.Clock.Now(), time.Minute, 100)
	if err != nil || len(rows) != 12 {
		t.Errorf("%d deliveries are due, %v", len(rows), err)
	}
}

func TestDeliveriesAreCounted(t *testing.T) {
	s := start(t, "memory")
	l := s.hear()
	s.client(told("app", l))
	s.user("ada@example.com")
	b, a := s.signedInAt(nil)
	b.get(s.logoutURL(url.Values{"id_token_hint": {a.Str("id_token")}}))
	l.token(s, 1)
	s.within(5*time.Second, "the counter shows it", func() bool {
		w := httptest.NewRecorder()
		s.Provider.Ops().ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
		return strings.Contains(w.Body.String(), `gatehouse_events_total{event="logout.delivered"} 1`) && strings.Contains(w.Body.String(), "gatehouse_logout_deliveries_held 0")
	})
}
