package session

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/storage/memory"
	"gatehouse/templates"
)

// world is a server with three routes: who says who is signed in, in signs a subject in, out ends the session.
type world struct {
	*testing.T
	at       time.Time
	store    *memory.Store
	counts   map[string]int
	fault    map[string]bool
	sessions *Sessions
	mux      *web.Mux
	ended    []string // subjects of the sessions that the last /out returned
}

var errDown = errors.New("down")

func newWorld(t *testing.T) *world {
	w := &world{T: t, at: time.Date(2026, 1, 2, 3, 4, 5, 678_901_234, time.UTC), counts: map[string]int{}, fault: map[string]bool{}}
	now := func() time.Time { return w.at }
	w.store = memory.New(storage.Options{Now: now, RevocationTTL: time.Hour})
	for _, subject := range []string{"alice", "bob"} {
		if err := w.store.CreateUser(t.Context(), &storage.User{Subject: subject}, ""); err != nil {
			t.Fatal(err)
		}
	}
	w.store.Fault = func(op string) error {
		w.counts[op]++
		if w.fault[op] {
			return errDown
		}
		return nil
	}
	w.sessions = New(Options{Store: w.store, Idle: 30 * time.Minute, Absolute: 12 * time.Hour, Now: now})
	pages, err := templates.Load()
	if err != nil {
		t.Fatal(err)
	}
	if w.mux, err = web.New(web.Options{Issuer: "https://op.test", Templates: pages, CSRFKeys: [][]byte{{1}}}); err != nil {
		t.Fatal(err)
	}
	w.mux.PageNoCSRF("/who", w.who, nil)
	w.mux.PageNoCSRF("/in", w.in, nil)
	w.mux.PageNoCSRF("/out", w.out, nil)
	return w
}

func (w *world) who(rw http.ResponseWriter, r *http.Request) error {
	first, err := w.sessions.Current(r)
	if err != nil {
		return err
	}
	again, err := w.sessions.Current(r)
	if err != nil || (first == nil) != (again == nil) {
		w.Error("the second look differs")
	}
	return say(rw, first)
}

func say(rw http.ResponseWriter, current *Current) error {
	text := "nobody"
	if current != nil {
		text = current.User.Subject + " " + current.Session.ID
	}
	_, err := io.WriteString(rw, text)
	return err
}

// in answers with who is signed in right after signing in.
func (w *world) in(rw http.ResponseWriter, r *http.Request) error {
	row, err := w.sessions.Start(rw, r, Login{Subject: r.URL.Query().Get("sub"), AMR: []string{"pwd"}, ACR: "1"})
	if err != nil {
		return err
	}
	current, err := w.sessions.Current(r)
	if err != nil {
		return err
	}
	if current == nil || current.Session.ID != row.ID || !current.Session.AuthTime.Equal(row.AuthTime) {
		w.Errorf("Start returned %+v, the request then sees %+v", row, current)
	}
	return say(rw, current)
}

func (w *world) out(rw http.ResponseWriter, r *http.Request) error {
	ended, err := w.sessions.End(rw, r)
	if err != nil {
		return err
	}
	w.ended = nil
	for _, one := range ended {
		w.ended = append(w.ended, one.Session.Subject)
	}
	current, err := w.sessions.Current(r)
	if err != nil {
		return err
	}
	return say(rw, current)
}

// get sends a request with a Cookie header and returns status, body and the session cookie that was set ("-" if it was deleted).
func (w *world) get(path, cookie string) (status int, body, set string) {
	w.Helper()
	r := httptest.NewRequest("GET", path, nil)
	r.RemoteAddr = "192.0.2.7:1"
	r.Header.Set("User-Agent", "Test\u2028/1\xff "+strings.Repeat("x", 300))
	if cookie != "" {
		r.Header.Set("Cookie", cookie)
	}
	rec := httptest.NewRecorder()
	w.mux.ServeHTTP(rec, r)
	for _, c := range rec.Result().Cookies() {
		if c.Name == "__Host-gth_sid" {
			set = c.Name + "=" + c.Value
			if c.MaxAge < 0 {
				set = "-"
			}
			if c.MaxAge > 0 {
				w.Errorf("the session cookie outlives the browser: %v", c)
			}
		}
	}
	return rec.Code, rec.Body.String(), set
}

// signIn returns the cookie and the session's id.
func (w *world) signIn(subject, cookie string) (set, id string) {
	w.Helper()
	status, body, set := w.get("/in?sub="+subject, cookie)
	who, id, _ := strings.Cut(body, " ")
	if status != 200 || who != subject || len(set) < 50 || id == "" {
		w.Fatalf("sign in: %d %q %q", status, body, set)
	}
	return set, id
}

func (w *world) isSignedIn(cookie string) bool {
	w.Helper()
	status, body, _ := w.get("/who", cookie)
	if status != 200 {
		w.Fatalf("who: %d %s", status, body)
	}
	return body != "nobody"
}

func (w *world) row(subject string) *storage.Session {
	w.Helper()
	rows, err := w.store.SessionsOf(context.Background(), subject)
	if err != nil || len(rows) != 1 {
		w.Fatalf("sessions of %s: %d, %v", subject, len(rows), err)
	}
	return rows[0]
}

func TestRow179SignInReplacesTheCookie(t *testing.T) {
	w := newWorld(t)
	first, id := w.signIn("alice", "__Host-gth_sid="+strings.Repeat("A", 43)) // planted before sign-in
	if strings.Contains(first, "AAAA") {
		t.Fatal("the planted cookie was kept")
	}
	w.at = w.at.Add(time.Minute)
	second, sameID := w.signIn("alice", first)
	if second == first || w.isSignedIn(first) {
		t.Error("the old cookie still works after a second sign-in")
	}
	if sameID != id {
		t.Errorf("the same person's sid changed from %s to %s", id, sameID)
	}
	row := w.row("alice")
	if !row.AuthTime.Equal(w.at.Truncate(time.Microsecond)) || !row.Absolute.Equal(row.AuthTime.Add(12*time.Hour)) || row.ID != id || row.Created.Equal(row.AuthTime) {
		t.Errorf("row %+v", row)
	}
	if row.ACR != "1" || len(row.AMR) != 1 || row.IP != "192.0.2.7" || len(row.UserAgent) > 256 || !strings.HasPrefix(row.UserAgent, "Test/1 xxx") {
		t.Errorf("row %+v", row)
	}
	if strings.Contains(second, row.CookieHash) || row.CookieHash != web.Hash(strings.TrimPrefix(second, "__Host-gth_sid=")) {
		t.Error("the store must hold the hash of the cookie, and not the cookie")
	}
}

func TestAnotherPersonEndsTheOldSession(t *testing.T) {
	w := newWorld(t)
	first, id := w.signIn("alice", "")
	second, otherID := w.signIn("bob", first)
	if id == otherID || w.isSignedIn(first) || !w.isSignedIn(second) {
		t.Error("bob sits in alice's session")
	}
	rows, err := w.store.SessionsOf(t.Context(), "alice")
	if err != nil || len(rows) != 0 || w.counts["EndSession"] != 1 {
		t.Errorf("alice's session was not ended: %v %v", rows, err)
	}
}

func TestSignInDoesNotReviveAnEndedSession(t *testing.T) {
	w := newWorld(t)
	cookie, id := w.signIn("alice", "")
	w.store.Fault = func(op string) error {
		if op == "UpdateSession" && w.counts[op] == 0 { // signed out elsewhere between the read and the write
			w.counts[op]++
			return errors.Join(w.store.EndSession(t.Context(), id))
		}
		return nil
	}
	if _, newID := w.signIn("alice", cookie); newID == id {
		t.Error("the ended session lives again")
	}
}

func TestRow180OneExactCookieOrNone(t *testing.T) {
	w := newWorld(t)
	good, _ := w.signIn("alice", "")
	value := strings.TrimPrefix(good, "__Host-gth_sid=")
	other, _ := w.signIn("bob", "")
	for cookie, want := range map[string]bool{
		good: true, "x=y; " + good: true, good + "; " + other: false, good + "; " + good: false, "gth_sid=" + value: false, "__host-gth_sid=" + value: false,
		"__Host-gth_sid =" + value: false, `__Host-gth_sid="` + value + `"`: false, good + "x": false, good[:len(good)-1]: false, "__Host-gth_sid=": false, "": false,
	} {
		if got := w.isSignedIn(cookie); got != want {
			t.Errorf("%q: signed in %v", cookie, got)
		}
	}
}

func TestRow182IdleSessionIsNobody(t *testing.T) {
	w := newWorld(t)
	cookie, _ := w.signIn("alice", "")
	for range 5 { // use keeps it alive
		w.at = w.at.Add(29 * time.Minute)
		if !w.isSignedIn(cookie) {
			t.Fatal("a session in use went idle")
		}
	}
	w.at = w.at.Add(30 * time.Minute)
	if w.isSignedIn(cookie) {
		t.Error("an idle session is signed in")
	}
	w.row("alice") // ruling 6: the row stays, tokens are bound to it
}

func TestIdleSessionOfTheSamePersonIsTakenUp(t *testing.T) {
	w := newWorld(t)
	cookie, id := w.signIn("alice", "")
	w.at = w.at.Add(2 * time.Hour)
	if _, sameID := w.signIn("alice", cookie); sameID != id {
		t.Error("the sid changed although the session had not ended")
	}
}

func TestRow182AbsoluteLimitHoldsInUse(t *testing.T) {
	w := newWorld(t)
	cookie, _ := w.signIn("alice", "")
	end := w.at.Add(12 * time.Hour)
	for w.at = w.at.Add(20 * time.Minute); w.at.Before(end.Add(-time.Second)); w.at = w.at.Add(20 * time.Minute) {
		if !w.isSignedIn(cookie) {
			t.Fatal("the session ended early")
		}
	}
	w.at = end
	if w.isSignedIn(cookie) {
		t.Error("the session is over and still signed in")
	}
}

func TestRow182AbsoluteLimitIsNotLeftToTheStore(t *testing.T) {
	w := newWorld(t)
	cookie, _ := w.signIn("alice", "")
	w.sessions.Store = slow{w.store, w.at}
	if w.isSignedIn(cookie) {
		t.Error("a session whose time is over is signed in, because the store's clock is slow")
	}
}

// slow is a store whose sessions are over at end, but which returns them all the same.
type slow struct {
	Store
	end time.Time
}

func (d slow) SessionByCookie(ctx context.Context, hash string) (*storage.Session, *storage.User, error) {
	s, u, err := d.Store.SessionByCookie(ctx, hash)
	if s != nil {
		s.Absolute = d.end
	}
	return s, u, err
}

func TestRow182DisabledUserIsNobody(t *testing.T) {
	w := newWorld(t)
	cookie, _ := w.signIn("alice", "")
	w.sessions.Store = disabled{w.store} // the row outlived the change
	if w.isSignedIn(cookie) {
		t.Error("a disabled user is signed in")
	}
	w.sessions.Store = w.store
	if _, err := w.store.UpdateUser(t.Context(), "alice", func(u *storage.User) error { u.Disabled = true; return nil }); err != nil {
		t.Fatal(err)
	}
	if w.isSignedIn(cookie) {
		t.Error("a disabled user is signed in")
	}
}

// disabled is a store in which every user is disabled.
type disabled struct{ Store }

func (d disabled) SessionByCookie(ctx context.Context, hash string) (*storage.Session, *storage.User, error) {
	s, u, err := d.Store.SessionByCookie(ctx, hash)
	if u != nil {
		u.Disabled = true
	}
	return s, u, err
}

func TestRow182SignedOutCookieIsDead(t *testing.T) {
	w := newWorld(t)
	cookie, _ := w.signIn("alice", "")
	if status, body, set := w.get("/out", cookie); status != 200 || body != "nobody" || set != "-" {
		t.Errorf("sign-out: %d %q, cookie %q", status, body, set)
	}
	if w.isSignedIn(cookie) {
		t.Error("a stolen cookie works after sign-out")
	}
	if status, _, set := w.get("/out", cookie); status != 200 || set != "-" {
		t.Errorf("second sign-out: %d, cookie %q", status, set)
	}
}

func TestSignOutEndsAnIdleSessionToo(t *testing.T) {
	w := newWorld(t)
	cookie, _ := w.signIn("alice", "")
	w.at = w.at.Add(time.Hour)
	w.get("/out", cookie)
	if rows, err := w.store.SessionsOf(t.Context(), "alice"); err != nil || len(rows) != 0 {
		t.Errorf("left over: %v %v", rows, err)
	}
}

func TestOneReadARequestAndOneWriteAMinute(t *testing.T) {
	w := newWorld(t)
	cookie, _ := w.signIn("alice", "")
	clear(w.counts)
	for range 12 {
		w.at = w.at.Add(10 * time.Second)
		w.isSignedIn(cookie)
	}
	if w.counts["SessionByCookie"] != 12 || w.counts["TouchSession"] != 2 || len(w.counts) != 2 {
		t.Errorf("12 requests in two minutes cost %v", w.counts)
	}
	clear(w.counts)
	w.isSignedIn("")
	w.isSignedIn("__Host-gth_sid=not-one-of-ours")
	if len(w.counts) != 0 {
		t.Errorf("requests without a session cost %v", w.counts)
	}
}

func TestStoreFailureIsNeverAnAnswer(t *testing.T) {
	for _, op := range []string{"SessionByCookie", "TouchSession", "UpdateSession", "EndSession", "CreateSession"} {
		w := newWorld(t)
		cookie, _ := w.signIn("alice", "")
		w.at = w.at.Add(2 * time.Minute)
		w.fault[op] = true
		for path, hit := range map[string]bool{
			"/who": op == "SessionByCookie" || op == "TouchSession", "/in?sub=alice": op == "UpdateSession", "/in?sub=bob": op == "EndSession" || op == "CreateSession", "/out": op == "EndSession",
		} {
			if !hit {
				continue
			}
			if status, body, set := w.get(path, cookie); status != http.StatusServiceUnavailable || set != "" || strings.Contains(body, "down") {
				t.Errorf("%s fails: %s answers %d, cookie %q, %s", op, path, status, set, body)
			}
		}
	}
}
