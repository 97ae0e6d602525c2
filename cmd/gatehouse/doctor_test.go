package main

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/console"
	"gatehouse/cmd/gatehouse/doctor"
	"gatehouse/provider/seal"
	"gatehouse/storage"
	"gatehouse/storage/memory"
)

// patient is a whole server on https, behind something that may spoil what passes.
type patient struct {
	t        *testing.T
	issuer   string
	options  doctor.Options
	visitors *visitors
	store    *memory.Store
	// failing names the store operation that fails.
	failing atomic.Value
	spoil   atomic.Value // spoiler
}

// spoiler stands before the server, as a proxy does.
type spoiler func(next http.Handler) http.Handler

const proxyAddress = "10.0.0.1" // the one that the server trusts

func newPatient(t *testing.T) *patient { return newPatientAt(t, "") }

// newPatientAt is newPatient with a path of the issuer.
func newPatientAt(t *testing.T, path string) *patient {
	t.Helper()
	p := &patient{t: t}
	server := httptest.NewUnstartedServer(nil)
	p.issuer = "https://" + server.Listener.Addr().String() + path
	c := config.Default()
	c.Issuer, c.Passwords.Cost, c.Server.TrustedProxies = p.issuer, 4, []string{proxyAddress}
	c.Limits = config.Limits{}
	p.store = memory.New(storage.Options{RevocationTTL: time.Hour})
	p.failing.Store("")
	p.store.Fault = func(op string) error {
		if op == p.failing.Load() {
			return errors.New("disk on fire")
		}
		return nil
	}
	master := sha256.Sum256([]byte("master key of the tests"))
	ring, err := seal.New([][]byte{master[:]})
	if err != nil {
		t.Fatal(err)
	}
	handler, err := openProvider(t.Context(), c, p.store, ring, slog.New(slog.DiscardHandler), nil)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var jobs sync.WaitGroup
	jobs.Go(func() { _ = handler.Run(ctx) })
	p.spoil.Store(spoiler(func(next http.Handler) http.Handler { return next }))
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.spoil.Load().(spoiler)(handler.Handler()).ServeHTTP(w, r)
	})
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(func() { server.Close(); cancel(); jobs.Wait() })
	passwords, err := openPasswords(t.Context(), c, p.store, ring)
	if err != nil {
		t.Fatal(err)
	}
	p.visitors = &visitors{config: c, store: p.store, passwords: passwords, now: time.Now}
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())
	p.options = doctor.Options{Issuer: p.issuer, Roots: roots, TrustedProxies: c.Server.Prefixes()}
	return p
}

// examine runs the doctor as the command does and returns what is printed. Whatever was found, nothing may be left behind.
func (p *patient) examine(ctx context.Context, change ...func(*doctor.Options)) (string, error) {
	p.t.Helper()
	o := p.options
	for _, c := range change {
		c(&o)
	}
	var out strings.Builder
	err := (&program{Console: console.Console{Out: &out}}).visit(ctx, o, p.visitors)
	p.visitors.admitted = nil
	p.nobodyLeft()
	return out.String(), err
}

func (p *patient) nobodyLeft() {
	p.t.Helper()
	clients, err1 := p.store.ListClients(context.Background(), "", 1)
	users, err2 := p.store.ListUsers(context.Background(), "", 1)
	if err := errors.Join(err1, err2); err != nil || len(clients)+len(users) != 0 {
		p.t.Errorf("left behind: %d clients, %d users, %v", len(clients), len(users), err)
	}
}

// finding returns the line of a check.
func finding(text, check string) string {
	for _, line := range strings.Split(text, "\n") {
		if len(line) > 6 && strings.HasPrefix(line[6:], fmt.Sprintf("%-15s ", check)) {
			return line
		}
	}
	return ""
}

const document = "/.well-known/openid-configuration"

func TestDoctorFindsNothingWrongWithAGoodServer(t *testing.T) {
	p := newPatient(t)
	appending := func(h http.Header) { h.Set("X-Forwarded-For", h.Get("X-Forwarded-For")+", 127.0.0.1") }
	for name, s := range map[string]spoiler{
		"direct":                   func(next http.Handler) http.Handler { return next },
		"behind a proxy":           proxied(proxyAddress, appending),
		"behind one that replaces": proxied(proxyAddress, func(h http.Header) { h.Set("X-Forwarded-For", "127.0.0.1") }),
	} {
		p.spoil.Store(s)
		text, err := p.examine(t.Context())
		if err != nil || strings.Contains(text, "fail ") || strings.Contains(text, "warn ") || !strings.Contains(text, " 0 warn, 0 fail") {
			t.Errorf("%s: %v\n%s", name, err, text)
		}
		for _, check := range []string{"address", "tls", "hsts", "keys", "store", "flow cookie", "sign-in", "session cookie", "client address", "code", "userinfo", "introspection", "refresh", "revocation", "logout"} {
			if !strings.HasPrefix(finding(text, check), "ok ") {
				t.Errorf("%s: no good line for %s:\n%s", name, check, text)
			}
		}
	}
}

// Something before the server answers in its place, well or badly.
func TestDoctorExaminesAnIssuerWithAPath(t *testing.T) {
	p := newPatientAt(t, "/some/id")
	text, err := p.examine(t.Context())
	if err != nil || !strings.Contains(text, " 0 warn, 0 fail, 0 skip") {
		t.Errorf("%v\n%s", err, text)
	}
	if line := finding(text, "session cookie"); !strings.HasPrefix(line, "ok ") || !strings.Contains(line, " __Host-gth_sid_") {
		t.Errorf("session cookie: %q", line)
	}
}

func TestL6DoctorLooksWhetherLogoutEndsTheSession(t *testing.T) {
	p := newPatient(t)
	leave := func(w http.ResponseWriter, r *http.Request, forget bool, more string) {
		q := r.URL.Query()
		if forget {
			http.SetCookie(w, &http.Cookie{Name: "__Host-gth_sid", Path: "/", Secure: true, MaxAge: -1})
		}
		if q.Get("id_token_hint") == "" {
			t.Error("no id_token_hint")
		}
		http.Redirect(w, r, q.Get("post_logout_redirect_uri")+"?state="+q.Get("state")+more, http.StatusSeeOther)
	}
	for name, c := range map[string]struct {
		answer       http.HandlerFunc
		status, text string
	}{
		"good": {func(w http.ResponseWriter, r *http.Request) { leave(w, r, true, "") }, "ok", "ends the session and leads back"},
		"asks first": {func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				leave(w, r, true, "")
				return
			}
			_, _ = io.WriteString(w, `<form id="logout" method="post" action="?`+strings.ReplaceAll(r.URL.RawQuery, "&", "&amp;")+`"><button name="answer" value="yes">`)
		}, "ok", "ends the session and leads back"},
		"the session stays":   {func(w http.ResponseWriter, r *http.Request) { leave(w, r, false, "") }, "fail", "not refused with login_required"},
		"more than the state": {func(w http.ResponseWriter, r *http.Request) { leave(w, r, true, "&x=1") }, "fail", "the client gets [state x] in place of its state alone"},
		"nowhere":             {http.NotFound, "fail", "status 404; fix: let the proxy pass end_session_endpoint on"},
	} {
		p.spoil.Store(replacing("/oauth2/logout", c.answer))
		text, _ := p.examine(t.Context())
		if line := finding(text, "logout"); !strings.HasPrefix(line, c.status+" ") || !strings.Contains(line, c.text) {
			t.Errorf("%s: %q, want %s with %q\n%s", name, line, c.status, c.text, text)
		}
	}
	p.spoil.Store(spoilAnswers(document, func(_ http.Header, body string) string {
		return strings.Replace(body, `"end_session_endpoint"`, `"other_endpoint"`, 1)
	}))
	if text, _ := p.examine(t.Context()); !strings.HasPrefix(finding(text, "logout"), "skip ") {
		t.Errorf("not offered: %s", text)
	}
}

func TestDoctorLeavesNothingBehind(t *testing.T) {
	p := newPatient(t)
	// Interrupted in the middle: what was found is printed, and the failures that come of it are not.
	ctx, interrupt := context.WithCancel(t.Context())
	p.spoil.Store(replacing("/oauth2/userinfo", func(w http.ResponseWriter, _ *http.Request) { interrupt(); w.WriteHeader(http.StatusTeapot) }))
	text, err := p.examine(ctx)
	if err == nil || !strings.Contains(err.Error(), "interrupted") || strings.Contains(text, "fail ") || finding(text, "code") == "" {
		t.Errorf("interrupted: %v\n%s", err, text)
	}
	// The store fails between user and client.
	p.spoil.Store(spoiler(func(next http.Handler) http.Handler { return next }))
	p.failing.Store("CreateClient")
	text, err = p.examine(t.Context())
	if line := finding(text, "visitor"); err == nil || !strings.HasPrefix(line, "fail ") || !strings.Contains(line, "check that the store can be written") {
		t.Errorf("store fails: %v\n%s", err, text)
	}
	// Killed: the next visit takes away what is left, once it is surely over, and nothing else.
	p.failing.Store("")
	for range 2 {
		if _, err := p.visitors.Admit(t.Context(), "http://127.0.0.1:9/a", "http://127.0.0.1:9/b"); err != nil {
			t.Fatal(err)
		}
	}
	own := &storage.Client{ID: visitorPrefix + "of-our-own", Name: "Doctor's appointments"}
	if err := p.store.CreateClient(t.Context(), own); err != nil {
		t.Fatal(err)
	}
	if err := p.visitors.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if clients, err := p.store.ListClients(t.Context(), "", 9); err != nil || len(clients) != 3 {
		t.Errorf("a visit that may be under way is disturbed: %d clients, %v", len(clients), err)
	}
	p.visitors.now = func() time.Time { return time.Now().Add(2*doctorLimit + time.Second) }
	if err := p.visitors.sweep(t.Context()); err != nil {
		t.Fatal(err)
	}
	if clients, err := p.store.ListClients(t.Context(), "", 9); err != nil || len(clients) != 1 || clients[0].ID != own.ID {
		t.Errorf("after the sweep: %d clients, %v", len(clients), err)
	}
	if users, err := p.store.ListUsers(t.Context(), "", 9); err != nil || len(users) != 0 {
		t.Errorf("after the sweep: %d users, %v", len(users), err)
	}
}

// A killed visit's client ends by itself, without another visit.
func TestDoctorsClientExpires(t *testing.T) {
	p := newPatient(t)
	v, err := p.visitors.Admit(t.Context(), "http://127.0.0.1:9/a", "http://127.0.0.1:9/b")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.store.Purge(t.Context(), time.Now().Add(2*doctorLimit+storage.ClientGrace+time.Minute), 100); err != nil {
		t.Fatal(err)
	}
	if _, err := p.store.Client(t.Context(), v.ClientID); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("the client is still there: %v", err)
	}
}
