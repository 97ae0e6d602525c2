package provider_test

import (
	"context"
	"errors"
	"html"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/place"
	"gatehouse/provider/place/placetest"
	"gatehouse/provider/signin"
	"gatehouse/storage"
)

// Where sign-ins came from, in words, beside the address.

const here = "127.0.0.0/8"

// placed says where a network is. The browsers of the tests all come from here.
func placed(t *testing.T, network string, where placetest.Where) func(*provider.Options) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "places.mmdb")
	placetest.Write(t, path, map[string]placetest.Where{network: where})
	book, err := place.Open(place.Options{File: path})
	if err != nil {
		t.Fatal(err)
	}
	return func(o *provider.Options) { o.Places = book }
}

// speaks makes a browser ask for a language.
func (b *browser) speaks(language string) {
	b.client.Transport = speaking{b.client.Transport, language}
}

type speaking struct {
	http.RoundTripper
	language string
}

func (s speaking) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("Accept-Language", s.language)
	return s.RoundTripper.RoundTrip(r)
}

var tags = regexp.MustCompile(`<[^>]*>`)

// shown is what people read of a page.
func shown(body string) string {
	return strings.Join(strings.Fields(html.UnescapeString(tags.ReplaceAllString(body, " "))), " ")
}

func TestPeopleSeeWhereTheirSignInsCameFrom(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		b := m.browser("ada@example.com")
		b.speaks("de-DE,de;q=0.9,en;q=0.5")
		m.wants(m.asksForAccount(b, "/signup", "ada@example.com", password), http.StatusOK)
		m.wants(b.press(m.link("ada@example.com", "signup"), "confirm", nil), http.StatusSeeOther)
		for path, want := range map[string]string{
			"/account": "IP-Adresse 127.0.0.1 · bei München, Deutschland", "/account/sessions": "IP-Adresse 127.0.0.1 · bei München, Deutschland", "/account/activity": "127.0.0.1 · bei München, Deutschland",
		} {
			if p := m.wants(b.get(m.URL+path), http.StatusOK); !strings.Contains(shown(p.Body), want) {
				t.Errorf("%s lacks %q: %s", path, want, shown(p.Body))
			}
		}
		m.Clock.Advance(2 * time.Hour)
		m.browser("ada@example.com").signsInAnew()
		mail := m.post.Last(t, "ada@example.com", "signin_new")
		if want := "Wo: 127.0.0.1 (bei München, Deutschland)"; !strings.Contains(mail.Text, want) || !strings.Contains(mail.HTML, "127.0.0.1 (bei München, Deutschland)") {
			t.Errorf("the mail lacks %q: %s", want, mail.Text)
		}
	}, placed(t, here, placetest.Munich))
}

func TestTrustedBrowsersShowTheirPlace(t *testing.T) {
	m := correspond(t, "memory", placed(t, here, placetest.Munich), func(o *provider.Options) { o.Factors = signin.Policy{TOTP: true, TrustDevice: 24 * time.Hour} })
	subject := m.user("ada@example.com")
	m.client()
	b := m.browser("ada@example.com")
	b.signsInAnew()
	device := &storage.Device{ID: "d1", Subject: subject, CookieHash: "x", IP: "127.0.0.9", Created: m.Clock.Now(), LastUsed: m.Clock.Now(), Expires: m.Clock.Now().Add(time.Hour)}
	if err := m.Store.CreateDevice(t.Context(), device); err != nil {
		t.Fatal(err)
	}
	if p := m.wants(b.get(m.URL+"/account/security"), http.StatusOK); !strings.Contains(shown(p.Body), "IP address 127.0.0.9 · near Munich, Germany") {
		t.Error(shown(p.Body))
	}
}

func TestDownloadHasAddressesAsTheyAreStored(t *testing.T) {
	m := correspond(t, "memory", placed(t, here, placetest.Munich))
	m.user("ada@example.com")
	m.client()
	b := m.browser("ada@example.com")
	b.signsInAnew()
	p := m.wants(b.ask("/account/data", "download", nil), http.StatusOK)
	if !strings.Contains(p.Body, `"ip": "127.0.0.1"`) || strings.Contains(p.Body, "Munich") {
		t.Error(p.Body)
	}
}

func TestAddressThatNobodyCanPlaceStandsAlone(t *testing.T) {
	m := correspond(t, "memory", placed(t, "203.0.113.0/24", placetest.Munich))
	m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
	m.client()
	b := m.browser("ada@example.com")
	b.signsInAnew()
	for _, path := range []string{"/account", "/account/sessions", "/account/activity"} {
		if p := m.wants(b.get(m.URL+path), http.StatusOK); !strings.Contains(p.Body, "127.0.0.1") || strings.Contains(p.Body, "<bdi>") || strings.Contains(p.Body, "near") {
			t.Errorf("%s: %s", path, shown(p.Body))
		}
	}
	m.Clock.Advance(2 * time.Hour)
	m.browser("ada@example.com").signsInAnew()
	if mail := m.post.Last(t, "ada@example.com", "signin_new"); !strings.Contains(mail.Text, "Where: 127.0.0.1\n") {
		t.Error(mail.Text)
	}
}

func TestRunningServerReadsAFileThatWasReplaced(t *testing.T) {
	path := filepath.Join(t.TempDir(), "places.mmdb")
	placetest.Write(t, path, map[string]placetest.Where{here: {Country: placetest.Names{"en": "Germany"}}})
	book, err := place.Open(place.Options{File: path})
	if err != nil {
		t.Fatal(err)
	}
	s := startAs(t, "memory", func(s *server) { s.Idle = true }, quickKeys, func(o *provider.Options) { o.Places = book })
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // every job runs once
	placetest.Write(t, path, map[string]placetest.Where{here: placetest.Munich})
	if err := s.Provider.Run(ctx); !errors.Is(err, context.Canceled) {
		t.Fatal(err)
	}
	if got := book.Near("127.0.0.1", "en"); got != (place.Place{City: "Munich", Country: "Germany"}) {
		t.Errorf("after the replacement: %+v", got)
	}
}

func TestRow191NamesOfPlacesStayText(t *testing.T) {
	m := correspond(t, "memory", placed(t, here, placetest.Where{
		City: placetest.Names{"en": "<script>alert(1)</script>\u202e\r\nBcc: x@evil.example"}, Country: placetest.Names{"en": "\"><img src=x onerror=alert(1)> www.evil.example"},
	}))
	m.user("ada@example.com", func(u *storage.User) { u.EmailVerified = true })
	m.client()
	b := m.browser("ada@example.com")
	b.signsInAnew()
	for _, path := range []string{"/account", "/account/sessions", "/account/activity"} {
		p := m.wants(b.get(m.URL+path), http.StatusOK)
		if strings.Contains(p.Body, "<script>alert") || strings.Contains(p.Body, "<img src=x") || strings.Contains(p.Body, "\u202e") || !strings.Contains(p.Body, "&lt;script&gt;alert(1)&lt;/script&gt; Bcc:") {
			t.Errorf("%s: %s", path, p.Body)
		}
	}
	m.Clock.Advance(2 * time.Hour)
	m.browser("ada@example.com").signsInAnew()
	// A mail program makes a link of whatever looks like one.
	if mail := m.post.Last(t, "ada@example.com", "signin_new"); strings.Contains(mail.Text+mail.HTML, "evil") || !strings.Contains(mail.Text, "Where: 127.0.0.1\n") {
		t.Error(mail.Text)
	}
}
