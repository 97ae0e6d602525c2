package provider_test

import (
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/mail"
	"gatehouse/provider/mail/mailtest"
	"gatehouse/provider/seal"
	"gatehouse/storage"
	"gatehouse/storage/memory"
)

// Servers that send mail, and people who read it.

// mailed is a server whose queue a test reads.
type mailed struct {
	*server
	post *mailtest.Store
	// broken is what fails, on the memory store.
	broken fault
	// ahead runs once, when its operation of the memory store is about to happen.
	ahead atomic.Pointer[interlude]
}

// interlude is what another node does at the moment of an operation.
type interlude struct {
	op string
	do func()
}

// correspond boots a server on a backend on which everybody may make an account, and sign in by a link; changes may alter that.
func correspond(t *testing.T, backend string, changes ...func(*provider.Options)) *mailed {
	t.Helper()
	m := &mailed{}
	ring, err := seal.New([][]byte{masterKey[:]})
	if err != nil {
		t.Fatal(err)
	}
	withMail := func(o *provider.Options) {
		o.Mail = provider.Mail{Carrier: mail.NewBox(100), From: "no-reply@id.example"}
		o.SignUp, o.MagicLink = provider.SignUp{Mode: "open"}, true
	}
	m.server = startAs(t, backend, func(s *server) {
		m.broken.op.Store("")
		if store, ok := s.Store.(*memory.Store); ok {
			store.Fault = func(op string) error {
				if a := m.ahead.Load(); a != nil && a.op == op && m.ahead.CompareAndSwap(a, nil) {
					a.do()
				}
				if m.broken.op.Load().(string) == op {
					m.broken.hit.Add(1)
					return errDisk
				}
				return nil
			}
		}
		m.post = mailtest.Watch(s.Store, ring)
		s.Store = m.post
	}, append([]func(*provider.Options){quickKeys, longSessions, withMail}, changes...)...)
	return m
}

// onEveryStore runs a test with mail on its stores.
func onEveryStore(t *testing.T, test func(m *mailed), changes ...func(*provider.Options)) {
	for _, backend := range stores(t) {
		t.Run(backend, func(t *testing.T) {
			m := correspond(t, backend, changes...)
			m.client()
			test(m)
		})
	}
}

// link is where the newest mail to an address leads.
func (m *mailed) link(to, kind string) string {
	m.Helper()
	return mailtest.Link(m.T, m.post.Last(m.T, to, kind))
}

// ask opens a page of the server and sends its form.
func (b *browser) ask(path, form string, values url.Values) page {
	b.s.Helper()
	return b.submit(b.get(b.s.URL+path), form, values)
}

// wants demands the status of an answer.
func (s *server) wants(p page, status int) page {
	s.Helper()
	if p.StatusCode != status {
		s.Fatalf("status %d, want %d: %s %s", p.StatusCode, status, p.Header.Get("Location"), cut(p.Body))
	}
	return p
}

// asksForAccount fills in the form of a sign-up.
func (m *mailed) asksForAccount(b *browser, path, email, password string) page {
	m.Helper()
	return b.ask(path, "signup", url.Values{"email": {email}, "name": {"Ada Lovelace"}, "password": {password}})
}

// press opens a link and presses its button.
func (b *browser) press(link, form string, values url.Values) page {
	b.s.Helper()
	return b.submit(b.get(link), form, values)
}

// signsIn tells whether somebody gets in by a password.
func (m *mailed) signsIn(email, password string) bool {
	m.Helper()
	p := m.guess(email, password)
	if p.StatusCode != http.StatusSeeOther && p.StatusCode != http.StatusUnauthorized {
		m.Fatalf("sign-in: %d %s", p.StatusCode, cut(p.Body))
	}
	return p.StatusCode == http.StatusSeeOther
}

// account finds the user of an address, nil if there is none.
func (m *mailed) account(key string) *storage.User {
	m.Helper()
	u, _, err := m.Store.UserByLogin(m.Context(), key)
	if err != nil {
		return nil
	}
	return u
}

func TestPromptCreateLeadsFromTheAppToAnAccountAndBack(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		b := m.browser("ada@example.com")
		p := b.get(m.authorizeURL(url.Values{"prompt": {"create"}}))
		if !strings.HasPrefix(p.Header.Get("Location"), "/signup?") {
			t.Fatalf("prompt=create leads to %s", p.Header.Get("Location"))
		}
		m.wants(b.submit(b.get(m.at(p)), "signup", url.Values{"email": {"Ada@Example.com"}, "name": {"Ada Lovelace"}, "password": {password}}), http.StatusOK)
		if m.account("ada@example.com") != nil {
			t.Fatal("there is an account before anybody has opened the link")
		}
		m.Clock.Advance(time.Minute)
		claims := b.toApp(b.press(m.link("ada@example.com", "signup"), "confirm", nil))
		u := m.account("ada@example.com")
		if u == nil || claims["sub"] != u.Subject || amrOf(claims) != "pwd" || !u.EmailVerified || u.Email != "Ada@Example.com" || u.Claims["name"] != "Ada Lovelace" {
			t.Errorf("%v %+v", claims, u)
		}
		// Whoever is signed in is asked all the same, and can go back to the account that there is.
		b.Pages = nil
		p = b.get(m.at(b.get(m.authorizeURL(url.Values{"prompt": {"create"}}))))
		_, fields := readForm(t, p.Body, "signup")
		p = b.walk(m.URL + "/login?interaction=" + fields.Get("interaction"))
		if got := m.sentTo(p, callback); got.Get("code") == "" || len(b.Pages) == 0 {
			t.Errorf("%v after %v", got, b.Pages)
		}
	})
}
