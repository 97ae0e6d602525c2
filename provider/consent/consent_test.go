package consent_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/audit"
	"gatehouse/provider/consent"
	"gatehouse/provider/interaction"
	"gatehouse/provider/seal"
	"gatehouse/provider/session"
	"gatehouse/provider/web"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
	"gatehouse/storage/memory"
	"gatehouse/templates"
)

const origin = "http://localhost:8080"

// server is the consent page with users alice and bob and a route /test that signs in whoever the query names.
type server struct {
	*testing.T
	store *memory.Store
	flows *interaction.Flows
	mux   *web.Mux
}

func start(t *testing.T) *server {
	t.Helper()
	now := func() time.Time { return time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC) }
	s := &server{T: t, store: memory.New(storage.Options{Now: now, RevocationTTL: time.Hour})}
	ring, err := seal.New([][]byte{[]byte("0123456789abcdef0123456789abcdeF")})
	s.must(err)
	pages, err := templates.Load()
	s.must(err)
	s.mux, err = web.New(web.Options{Issuer: origin, Templates: pages, CSRFKeys: ring.Derive("csrf", 32), Now: now})
	s.must(err)
	s.flows = interaction.New(interaction.Options{Store: s.store, Now: now})
	sessions := session.New(session.Options{Store: s.store, Idle: time.Hour, Absolute: time.Hour, Now: now})
	consent.New(consent.Options{
		Flows: s.flows, Sessions: sessions, Clients: s.store, Consents: s.store, Describe: templates.DescribeScope, Audit: audit.New(slog.New(slog.DiscardHandler)),
	}).Mount(s.mux)
	s.mux.PageNoCSRF("/test", func(w http.ResponseWriter, r *http.Request) error {
		if subject := r.URL.Query().Get("subject"); subject != "" {
			if _, err := sessions.Start(w, r, session.Login{Subject: subject, AMR: []string{"pwd"}, ACR: "1"}); err != nil {
				return err
			}
		}
		_, err := w.Write([]byte(web.Binder(w, r)))
		return err
	}, nil)
	for _, name := range []string{"alice", "bob"} {
		s.must(s.store.CreateUser(t.Context(), &storage.User{Subject: name, Email: name + "@shop.example", EmailKey: name + "@shop.example"}, ""))
	}
	s.must(s.store.CreateClient(t.Context(), &storage.Client{
		ID: "shop", Name: "The Shop", AuthMethod: "none", RedirectURIs: []string{"https://shop.example/cb"}, Scopes: []string{"openid", "email", "offline_access", "photos"}, Audience: []string{"https://api.example"},
		PolicyURI: "https://shop.example/policy",
	}))
	return s
}

func (s *server) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

// begin signs a subject in ("" for nobody) and starts an interaction in the browser.
func (s *server) begin(b *webtest.Browser, subject string) string {
	s.Helper()
	binder := b.Get("/test?subject=" + subject).Body
	i, err := s.flows.Start(s.Context(), storage.Interaction{Kind: storage.InteractionAuthorize, ReturnTo: interaction.ReturnAuthorize, Binder: binder, Params: url.Values{
		"client_id": {"shop"}, "redirect_uri": {"https://shop.example/cb"}, "response_type": {"code"}, "scope": {"openid offline_access email openid"}, "resource": {"https://api.example"},
	}})
	s.must(err)
	return i.ID
}

func (s *server) flow(id string) *storage.Interaction {
	s.Helper()
	i, err := s.store.Interaction(s.Context(), id)
	s.must(err)
	return i
}

func (s *server) browser() *webtest.Browser { return webtest.New(s.mux, origin) }

func decision(value string) url.Values { return url.Values{"decision": {value}} }

func leadsBack(p *webtest.Page, id string) bool {
	return p.Status == http.StatusSeeOther && strings.HasSuffix(p.Location(), "/oauth2/authorize?interaction="+id)
}

func TestAllowStoresTheConsentAndProvesIt(t *testing.T) {
	s := start(t)
	b := s.browser()
	id := s.begin(b, "alice")
	page := b.Get("/consent?interaction=" + id)
	for _, want := range []string{"The Shop", "alice@shop.example", "api.example", "shop.example", "https://shop.example/policy", "/login?interaction=" + id} {
		if !strings.Contains(page.Body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, scope := range []string{"openid", "email", "offline_access"} {
		if !strings.Contains(page.Body, title(t, scope)) {
			t.Errorf("the page does not say that %q is asked for", scope)
		}
	}
	if _, err := s.store.Consent(t.Context(), "alice", "shop"); !errors.Is(err, storage.ErrNotFound) {
		t.Fatalf("showing the page granted something: %v", err)
	}
	if p := b.Submit(page, "consent", decision("allow")); !leadsBack(p, id) {
		t.Fatalf("Row16 %d to %q", p.Status, p.Location())
	}
	got, err := s.store.Consent(t.Context(), "alice", "shop")
	s.must(err)
	if !reflect.DeepEqual(got.Scopes, []string{"email", "offline_access", "openid"}) || !reflect.DeepEqual(got.Resources, []string{"https://api.example"}) {
		t.Errorf("stored %+v", got)
	}
	if flow := s.flow(id); flow.Proofs[interaction.ProofConsent] != "alice" || flow.Subject != "alice" || !flow.ConsumedAt.IsZero() {
		t.Errorf("interaction %+v", flow)
	}
}

func TestR29ConsentsAddUp(t *testing.T) {
	s := start(t)
	s.must(s.store.GrantConsent(t.Context(), &storage.Consent{Subject: "alice", ClientID: "shop", Scopes: []string{"photos"}}))
	b := s.browser()
	id := s.begin(b, "alice")
	b.Submit(b.Get("/consent?interaction="+id), "consent", decision("allow"))
	got, err := s.store.Consent(t.Context(), "alice", "shop")
	s.must(err)
	if !reflect.DeepEqual(got.Scopes, []string{"email", "offline_access", "openid", "photos"}) {
		t.Errorf("stored %q", got.Scopes)
	}
}

func TestA24DenyIsAProofAndIsNotStored(t *testing.T) {
	s := start(t)
	b := s.browser()
	id := s.begin(b, "alice")
	if p := b.Submit(b.Get("/consent?interaction="+id), "consent", decision("deny")); !leadsBack(p, id) {
		t.Fatalf("%d to %q", p.Status, p.Location())
	}
	if flow := s.flow(id); flow.Proofs[interaction.ProofDenied] != "1" || flow.Proofs[interaction.ProofConsent] != "" {
		t.Errorf("proofs %v", flow.Proofs)
	}
	if _, err := s.store.Consent(t.Context(), "alice", "shop"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("a denial was stored: %v", err)
	}
}

func TestFormCannotWidenTheRequest(t *testing.T) {
	s := start(t)
	b := s.browser()
	id := s.begin(b, "alice")
	form := b.Get("/consent?interaction=" + id).Form("consent")
	p := b.SubmitForm(form, url.Values{"decision": {"allow"}, "scope": {"openid photos admin"}, "client_id": {"other"}, "resource": {"https://money.example"}})
	if !leadsBack(p, id) {
		t.Fatalf("%d to %q", p.Status, p.Location())
	}
	got, err := s.store.Consent(t.Context(), "alice", "shop")
	s.must(err)
	if !reflect.DeepEqual(got.Scopes, []string{"email", "offline_access", "openid"}) {
		t.Errorf("stored %+v", got)
	}
}

func TestScopeThatTheClientLostIsNotGranted(t *testing.T) {
	s := start(t)
	b := s.browser()
	id := s.begin(b, "alice")
	page := b.Get("/consent?interaction=" + id)
	_, err := s.store.UpdateClient(t.Context(), "shop", func(c *storage.Client) error {
		c.Scopes, c.Audience = []string{"openid"}, nil
		return nil
	})
	s.must(err)
	b.Submit(page, "consent", decision("allow"))
	got, err := s.store.Consent(t.Context(), "alice", "shop")
	s.must(err)
	if !reflect.DeepEqual(got.Scopes, []string{"openid"}) || len(got.Resources) != 0 {
		t.Errorf("stored %+v", got)
	}
}

func TestNothingIsAskedOfTheWrongPerson(t *testing.T) {
	for name, prepare := range map[string]func(s *server, b *webtest.Browser, id string){
		"nobody is signed in": func(_ *server, b *webtest.Browser, _ string) { delete(b.Cookies, "gth_sid") },
		"somebody else has signed in for it": func(s *server, _ *webtest.Browser, id string) {
			s.must(s.flows.Update(s.Context(), id, func(i *storage.Interaction) error {
				interaction.Pin(i, "bob", "s")
				return nil
			}))
		},
		"the user was disabled": func(s *server, _ *webtest.Browser, _ string) {
			_, err := s.store.UpdateUser(s.Context(), "alice", func(u *storage.User) error { u.Disabled = true; return nil })
			s.must(err)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			b := s.browser()
			id := s.begin(b, "alice")
			form := b.Get("/consent?interaction=" + id).Form("consent")
			prepare(s, b, id)
			if p := b.Get("/consent?interaction=" + id); !leadsBack(p, id) {
				t.Errorf("GET: %d to %q", p.Status, p.Location())
			}
			// The kernel may refuse the form already, since its token belongs to the session.
			if p := b.SubmitForm(form, decision("allow")); !leadsBack(p, id) && p.Status != http.StatusForbidden {
				t.Errorf("POST: %d to %q", p.Status, p.Location())
			}
			if _, err := s.store.Consent(t.Context(), "alice", "shop"); !errors.Is(err, storage.ErrNotFound) || len(s.flow(id).Proofs) != 0 {
				t.Errorf("granted: %v, %v", err, s.flow(id).Proofs)
			}
		})
	}
}

func TestRow27StolenInteractionIsNotShown(t *testing.T) {
	s := start(t)
	attacker, victim := s.browser(), s.browser()
	id := s.begin(attacker, "")
	own := s.begin(victim, "alice")
	if p := victim.Get("/consent?interaction=" + id); p.Status != http.StatusForbidden || p.Form("consent") != nil {
		t.Errorf("GET: %d", p.Status)
	}
	form := victim.Get("/consent?interaction=" + own).Form("consent")
	form.Fields.Set("interaction", id)
	if p := victim.SubmitForm(form, decision("allow")); p.Status != http.StatusForbidden {
		t.Errorf("POST: %d", p.Status)
	}
	if _, err := s.store.Consent(t.Context(), "alice", "shop"); !errors.Is(err, storage.ErrNotFound) || len(s.flow(id).Proofs) != 0 {
		t.Errorf("the stolen interaction was allowed: %v", err)
	}
}

func TestRow181ConsentNeedsBothProtections(t *testing.T) {
	s := start(t)
	for name, change := range map[string]func(b *webtest.Browser, f *webtest.Form){
		"no token": func(_ *webtest.Browser, f *webtest.Form) { f.Fields.Del("csrf") },
		"cross-site": func(b *webtest.Browser, _ *webtest.Form) {
			b.Header["Sec-Fetch-Site"], b.Header["Origin"] = []string{"cross-site"}, []string{"https://evil.example"}
		},
		"null origin": func(b *webtest.Browser, _ *webtest.Form) {
			b.Header["Sec-Fetch-Site"], b.Header["Origin"] = nil, []string{"null"}
		},
		"foreign origin": func(b *webtest.Browser, _ *webtest.Form) {
			b.Header["Sec-Fetch-Site"], b.Header["Origin"] = nil, []string{"https://evil.example"}
		},
		// The form was opened by alice, and bob has signed in since in another tab.
		"token of another session": func(b *webtest.Browser, _ *webtest.Form) { b.Get("/test?subject=bob") },
	} {
		t.Run(name, func(t *testing.T) {
			b := s.browser()
			id := s.begin(b, "alice")
			form := b.Get("/consent?interaction=" + id).Form("consent")
			change(b, form)
			p := b.SubmitForm(form, decision("allow"))
			if p.Status != http.StatusForbidden || len(s.flow(id).Proofs) != 0 {
				t.Errorf("status %d, proofs %v", p.Status, s.flow(id).Proofs)
			}
			for _, who := range []string{"alice", "bob"} {
				if _, err := s.store.Consent(t.Context(), who, "shop"); !errors.Is(err, storage.ErrNotFound) {
					t.Errorf("%s's consent: %v", who, err)
				}
			}
		})
	}
}

func TestUnknownDecisionChangesNothing(t *testing.T) {
	s := start(t)
	b := s.browser()
	id := s.begin(b, "alice")
	page := b.Get("/consent?interaction=" + id)
	for _, value := range []string{"", "yes", "ALLOW"} {
		if p := b.Submit(page, "consent", decision(value)); p.Status != http.StatusBadRequest || len(s.flow(id).Proofs) != 0 {
			t.Errorf("%q: %d", value, p.Status)
		}
	}
}

func TestFinishedInteractionSaysSo(t *testing.T) {
	s := start(t)
	b := s.browser()
	id := s.begin(b, "alice")
	page := b.Get("/consent?interaction=" + id)
	s.must(s.flows.Consume(t.Context(), id))
	for name, p := range map[string]*webtest.Page{"GET": b.Get("/consent?interaction=" + id), "POST": b.Submit(page, "consent", decision("allow"))} {
		if p.Status != http.StatusOK || !strings.Contains(p.Body, "Already finished") {
			t.Errorf("%s: %d", name, p.Status)
		}
	}
	if _, err := s.store.Consent(t.Context(), "alice", "shop"); !errors.Is(err, storage.ErrNotFound) {
		t.Errorf("a finished interaction granted something: %v", err)
	}
}

func TestStorageFailureIs503AndNothingIsProven(t *testing.T) {
	for _, op := range []string{"GrantConsent", "UpdateInteraction"} {
		t.Run(op, func(t *testing.T) {
			s := start(t)
			b := s.browser()
			id := s.begin(b, "alice")
			page := b.Get("/consent?interaction=" + id)
			s.store.Fault = func(name string) error {
				if name == op {
					return context.DeadlineExceeded
				}
				return nil
			}
			p := b.Submit(page, "consent", decision("allow"))
			s.store.Fault = nil
			if p.Status != http.StatusServiceUnavailable || p.Header.Get("Retry-After") == "" || len(s.flow(id).Proofs) != 0 {
				t.Errorf("status %d, proofs %v", p.Status, s.flow(id).Proofs)
			}
		})
	}
}

func TestClientThatIsGoneLeadsBackToAuthorize(t *testing.T) {
	s := start(t)
	b := s.browser()
	id := s.begin(b, "alice")
	page := b.Get("/consent?interaction=" + id)
	s.must(s.store.DeleteClient(t.Context(), "shop"))
	for name, p := range map[string]*webtest.Page{"GET": b.Get("/consent?interaction=" + id), "POST": b.Submit(page, "consent", decision("allow"))} {
		if !leadsBack(p, id) {
			t.Errorf("%s: %d to %q", name, p.Status, p.Location())
		}
	}
}

// title is what the page calls a scope.
func title(t *testing.T, scope string) string {
	t.Helper()
	pages, err := templates.Load()
	if err != nil {
		t.Fatal(err)
	}
	text, _ := templates.DescribeScope(scope)
	words, err := pages.Say("en", text)
	if err != nil {
		t.Fatal(err)
	}
	return words
}
