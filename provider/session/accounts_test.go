package session

import (
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// shelf is a browser with a cookie jar against a world.
type shelf struct {
	*world
	cookies map[string]string
	// lasting are the cookies that a restart of the browser leaves.
	lasting map[string]bool
}

func newShelf(w *world) *shelf {
	w.mux.PageNoCSRF("/beside", func(rw http.ResponseWriter, r *http.Request) error {
		_, err := w.sessions.Start(rw, r, Login{Subject: r.URL.Query().Get("sub"), Keep: true, Remember: r.URL.Query().Has("remember")})
		if err != nil {
			return err
		}
		current, err := w.sessions.Current(r)
		if err != nil {
			return err
		}
		return say(rw, current)
	}, nil)
	w.mux.PageNoCSRF("/parked", func(rw http.ResponseWriter, r *http.Request) error {
		list, err := w.sessions.Parked(r)
		for _, p := range list {
			_, _ = io.WriteString(rw, p.User.Subject+" ")
		}
		return err
	}, nil)
	w.mux.PageNoCSRF("/switch", func(rw http.ResponseWriter, r *http.Request) error {
		current, err := w.sessions.Switch(rw, r, r.URL.Query().Get("id"))
		if err != nil {
			return web.BadRequest(templates.Plain(err.Error()))
		}
		return say(rw, current)
	}, nil)
	return &shelf{w, map[string]string{}, map[string]bool{}}
}

// restart is what the end of the browser does to its cookies.
func (b *shelf) restart() {
	for name := range b.cookies {
		if !b.lasting[name] {
			delete(b.cookies, name)
		}
	}
}

// ask sends a request as this browser and returns the body's first word and all of it.
func (b *shelf) ask(path string) (first, body string) {
	b.Helper()
	r := httptest.NewRequest("GET", path, nil)
	r.RemoteAddr = "192.0.2.7:1"
	for name, value := range b.cookies {
		r.AddCookie(&http.Cookie{Name: name, Value: value})
	}
	rec := httptest.NewRecorder()
	b.mux.ServeHTTP(rec, r)
	for _, c := range rec.Result().Cookies() {
		if c.MaxAge < 0 {
			delete(b.cookies, c.Name)
		} else {
			b.cookies[c.Name], b.lasting[c.Name] = c.Value, c.MaxAge > 0
		}
	}
	body = strings.TrimSpace(rec.Body.String())
	if rec.Code != http.StatusOK {
		return "refused", body
	}
	first, _, _ = strings.Cut(body, " ")
	return first, body
}

func (b *shelf) want(path, want string) {
	b.Helper()
	if _, body := b.ask(path); body != want && !strings.HasPrefix(body, want+" ") {
		b.Errorf("%s answers %q, want %q", path, body, want)
	}
}

func (b *shelf) idOf(subject string) string {
	b.Helper()
	rows, err := b.store.SessionsOf(b.Context(), subject)
	if err != nil || len(rows) != 1 {
		b.Fatalf("%s has %d sessions, %v", subject, len(rows), err)
	}
	return rows[0].ID
}

func TestAnotherAccountStandsBesideTheFirst(t *testing.T) {
	b := newShelf(newWorld(t))
	b.want("/in?sub=alice", "alice")
	b.want("/beside?sub=bob", "bob")
	b.want("/who", "bob")
	b.want("/parked", "alice")
	b.want("/switch?id="+b.idOf("alice"), "alice")
	b.want("/who", "alice")
	b.want("/parked", "bob")
	b.want("/switch?id="+b.idOf("alice"), "alice")
	b.want("/beside?sub=bob", "bob") // again: no second session of bob
	b.idOf("bob")
	b.want("/parked", "alice")
}

func TestRow179SwitchChangesBothCookies(t *testing.T) {
	b := newShelf(newWorld(t))
	b.want("/in?sub=alice", "alice")
	stolen := b.cookies["__Host-gth_sid"]
	b.want("/beside?sub=bob", "bob")
	stolenToo := b.cookies["__Host-gth_sid"]
	b.want("/switch?id="+b.idOf("alice"), "alice")
	for _, old := range []string{stolen, stolenToo} {
		thief := &shelf{b.world, map[string]string{"__Host-gth_sid": old}, map[string]bool{}}
		thief.want("/who", "nobody")
	}
}

func TestRow183SignOutLeavesNobody(t *testing.T) {
	b := newShelf(newWorld(t))
	b.want("/in?sub=alice", "alice")
	b.want("/beside?sub=bob", "bob")
	kept := map[string]string{"__Host-gth_more": b.cookies["__Host-gth_more"]}
	b.want("/out", "nobody")
	b.want("/parked", "")
	again := &shelf{b.world, kept, map[string]bool{}}
	again.want("/parked", "")
	for _, subject := range []string{"alice", "bob"} {
		if rows, err := b.store.SessionsOf(t.Context(), subject); err != nil || len(rows) != 0 {
			t.Errorf("%s still has %d sessions, %v", subject, len(rows), err)
		}
	}
}

// Whoever signs out at last is not told of somebody whose session is over, on a shared computer perhaps, nor which apps that person used; it ends all the same, with what is bound to it.
func TestRow183SignOutDoesNotTellOfSessionsThatAreOver(t *testing.T) {
	b := newShelf(newWorld(t))
	b.want("/in?sub=alice", "alice")
	b.want("/beside?sub=bob", "bob")
	b.at = b.at.Add(20 * time.Minute)
	b.want("/who", "bob")
	b.at = b.at.Add(11 * time.Minute)
	b.want("/out", "nobody")
	if !slices.Equal(b.ended, []string{"bob"}) {
		t.Errorf("told of %q", b.ended)
	}
	if rows, err := b.store.SessionsOf(t.Context(), "alice"); err != nil || len(rows) != 0 {
		t.Errorf("alice still has %d sessions, %v", len(rows), err)
	}
}

// Somebody who signs in on a shared computer without asking for a place beside the others finds nobody else.
func TestRow183StrangersSignInEndsWhatIsParked(t *testing.T) {
	w := newWorld(t)
	if err := w.store.CreateUser(t.Context(), &storage.User{Subject: "carol"}, ""); err != nil {
		t.Fatal(err)
	}
	b := newShelf(w)
	b.want("/in?sub=alice", "alice")
	b.want("/beside?sub=bob", "bob")
	b.want("/in?sub=carol", "carol")
	b.want("/parked", "")
	for _, subject := range []string{"alice", "bob"} {
		if rows, _ := w.store.SessionsOf(t.Context(), subject); len(rows) != 0 {
			t.Errorf("%s still has a session", subject)
		}
	}
}

func TestKnownPersonsSignInKeepsTheOthers(t *testing.T) {
	b := newShelf(newWorld(t))
	b.want("/in?sub=alice", "alice")
	b.want("/beside?sub=bob", "bob")
	b.want("/in?sub=bob", "bob")
	b.want("/parked", "alice")
}

func TestParkedSessionsAgeLikeOthers(t *testing.T) {
	b := newShelf(newWorld(t))
	b.want("/in?sub=alice", "alice")
	b.want("/beside?sub=bob", "bob")
	alice := b.idOf("alice")
	b.at = b.at.Add(20 * time.Minute)
	b.want("/who", "bob")
	b.at = b.at.Add(11 * time.Minute)
	b.want("/parked", "")
	if first, _ := b.ask("/switch?id=" + alice); first != "refused" {
		t.Error("an idle session was chosen")
	}
	b.want("/who", "bob")
}

func TestOnlyThisBrowsersSessionsCanBeChosen(t *testing.T) {
	w := newWorld(t)
	one, other := newShelf(w), &shelf{w, map[string]string{}, map[string]bool{}}
	one.want("/in?sub=alice", "alice")
	other.want("/in?sub=bob", "bob")
	if first, _ := other.ask("/switch?id=" + one.idOf("alice")); first != "refused" {
		t.Error("a session of another browser was chosen")
	}
	for _, forged := range []string{"x", ".", strings.Repeat("A", 43), strings.Repeat("A", 43) + "." + strings.Repeat("B", 43), strings.Repeat("a.", 4000)} {
		other.cookies["__Host-gth_more"], other.cookies["__Host-gth_kept"] = forged, forged
		other.want("/parked", "")
	}
}

func TestParkedSessionsAreBounded(t *testing.T) {
	w := newWorld(t)
	names := []string{"a1", "a2", "a3", "a4", "a5", "a6", "a7"}
	for _, n := range names {
		if err := w.store.CreateUser(t.Context(), &storage.User{Subject: n}, ""); err != nil {
			t.Fatal(err)
		}
	}
	b := newShelf(w)
	for _, n := range names {
		b.want("/beside?sub="+n, n)
	}
	b.want("/parked", "a3 a4 a5 a6")
	for _, n := range []string{"a1", "a2"} {
		if rows, _ := w.store.SessionsOf(t.Context(), n); len(rows) != 0 {
			t.Errorf("%s can be reached by nobody and still has a session", n)
		}
	}
}

// remembering is a browser of people who may stay signed in for 30 days.
func remembering(t *testing.T, more ...string) *shelf {
	w := newWorld(t)
	w.sessions.Remember = 30 * 24 * time.Hour
	for _, name := range more {
		if err := w.store.CreateUser(t.Context(), &storage.User{Subject: name}, ""); err != nil {
			t.Fatal(err)
		}
	}
	return newShelf(w)
}

func TestWhoStaysSignedInDoesSoWhileParked(t *testing.T) {
	b := remembering(t, "carol", "dave")
	b.want("/beside?sub=alice&remember", "alice")
	b.want("/beside?sub=bob", "bob")
	b.want("/beside?sub=carol&remember", "carol")
	b.want("/beside?sub=dave", "dave")
	b.want("/parked", "alice bob carol") // in the order in which they came, whichever cookie they are in
	alice, bob := b.idOf("alice"), b.idOf("bob")
	b.restart()
	b.at = b.at.Add(10 * 24 * time.Hour)
	b.want("/who", "nobody")
	b.want("/parked", "alice carol")
	if first, _ := b.ask("/switch?id=" + bob); first != "refused" {
		t.Error("a session that nobody asked to remember outlived the browser")
	}
	b.want("/switch?id="+alice, "alice")
	b.want("/parked", "carol")
	b.restart()
	b.want("/who", "alice")
	b.want("/parked", "carol")
	b.want("/beside?sub=bob", "bob")
	b.want("/parked", "carol alice")
	b.at = b.at.Add(20*24*time.Hour - time.Minute)
	b.want("/parked", "carol alice")
	b.at = b.at.Add(time.Minute)
	b.want("/parked", "")
}

// The cookie that outlives the browser holds nothing of those who did not ask for that, and lasts no longer than the last of its sessions.
func TestRow182OnlyRememberedSessionsLast(t *testing.T) {
	b := remembering(t)
	b.want("/in?sub=alice", "alice")
	value := b.cookies["__Host-gth_sid"]
	b.want("/beside?sub=bob&remember", "bob")
	for name, text := range b.cookies {
		if b.lasting[name] && strings.Contains(text, value) {
			t.Errorf("%s holds a session that is not remembered", name)
		}
	}
	b.want("/switch?id="+b.idOf("alice"), "alice")
	b.restart()
	b.want("/who", "nobody")
	b.want("/parked", "bob")
}

func TestRow183SignOutEndsWhatIsRememberedToo(t *testing.T) {
	b := remembering(t)
	b.want("/beside?sub=alice&remember", "alice")
	b.want("/beside?sub=bob", "bob")
	kept := b.cookies["__Host-gth_kept"]
	b.want("/out", "nobody")
	if left := b.cookies["__Host-gth_kept"] + b.cookies["__Host-gth_more"]; left != "" {
		t.Errorf("the browser still has %q", left)
	}
	b.cookies["__Host-gth_kept"] = kept
	b.want("/parked", "")
	if rows, err := b.store.SessionsOf(t.Context(), "alice"); err != nil || len(rows) != 0 {
		t.Errorf("alice still has %d sessions, %v", len(rows), err)
	}
}

func TestRow179SwitchChangesTheCookieThatIsRemembered(t *testing.T) {
	b := remembering(t)
	b.want("/beside?sub=alice&remember", "alice")
	b.want("/beside?sub=bob&remember", "bob")
	stolen := map[string]string{"__Host-gth_kept": b.cookies["__Host-gth_kept"]}
	b.want("/switch?id="+b.idOf("alice"), "alice")
	thief := &shelf{b.world, stolen, map[string]bool{}}
	thief.want("/parked", "")
	b.want("/parked", "bob")
}

func TestBothCookiesTogetherAreBounded(t *testing.T) {
	names := []string{"a1", "a2", "a3", "a4", "a5", "a6", "a7"}
	b := remembering(t, names...)
	for i, n := range names {
		b.want("/beside?sub="+n+[]string{"", "&remember"}[i%2], n)
	}
	b.want("/parked", "a3 a4 a5 a6")
	b.restart()
	b.want("/parked", "a4 a6")
	for _, n := range names[:2] {
		if rows, _ := b.store.SessionsOf(t.Context(), n); len(rows) != 0 {
			t.Errorf("%s can be reached by nobody and still has a session", n)
		}
	}
}
