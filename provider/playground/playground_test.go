package playground

import (
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/rp/rptest"
)

// stage is a provider with the playground on the same listener, as --dev has it.
type stage struct {
	t        *testing.T
	provider *rptest.Provider
	play     *Playground
	now      time.Time
}

func newStage(t *testing.T) *stage {
	t.Helper()
	s := &stage{t: t, provider: rptest.New(t), now: time.Now()}
	mux := http.NewServeMux()
	mux.Handle("/", s.provider)
	front := httptest.NewServer(mux)
	t.Cleanup(front.Close)
	s.provider.Issuer = front.URL
	s.play = New(Options{
		Issuer: front.URL, Client: func() (string, string) { return rptest.ClientID, rptest.ClientSecret }, HTTP: front.Client(),
		Now: func() time.Time { return s.now },
	})
	mux.Handle("/playground", s.play)
	mux.Handle("/playground/", s.play)
	return s
}

// browser keeps cookies and follows redirects.
type browser struct {
	*stage
	http *http.Client
	at   *http.Response
	body string
}

func (s *stage) browser() *browser {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return &browser{stage: s, http: &http.Client{Jar: jar}}
}

func (b *browser) took(resp *http.Response, err error) *browser {
	b.t.Helper()
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	b.at, b.body = resp, string(body)
	return b
}

func (b *browser) get(path string) *browser {
	b.t.Helper()
	return b.took(b.http.Get(b.provider.Issuer + path))
}

var csrfField = regexp.MustCompile(`name="csrf" value="([^"]+)"`)

// press sends a form of the page that is shown, with its CSRF token.
func (b *browser) press(path string, form url.Values) *browser {
	b.t.Helper()
	match := csrfField.FindStringSubmatch(b.body)
	if match == nil {
		b.t.Fatalf("the page %s has no form:\n%s", b.at.Request.URL, b.body)
	}
	form.Set("csrf", match[1])
	return b.took(b.http.PostForm(b.provider.Issuer+path, form))
}

// signIn goes through the whole flow and ends on the result.
func (b *browser) signIn() *browser {
	b.t.Helper()
	b.get("/playground").press("/playground/start", url.Values{"scope": {"openid", "profile", "offline_access"}, "mode": {"go"}})
	return b.prove()
}

// prove fills in the provider's pages.
func (b *browser) prove() *browser {
	b.t.Helper()
	for strings.Contains(b.body, `name="interaction"`) {
		b.press(b.at.Request.URL.Path, url.Values{
			"interaction": b.at.Request.URL.Query()["interaction"], "username": {rptest.Username}, "password": {rptest.Password}, "decision": {"allow"},
		})
	}
	return b
}

func (b *browser) shows(texts ...string) *browser {
	b.t.Helper()
	for _, text := range texts {
		if !strings.Contains(b.body, text) {
			b.t.Errorf("the page %s does not show %q", b.at.Request.URL.Path, text)
		}
	}
	return b
}

func (b *browser) hides(texts ...string) *browser {
	b.t.Helper()
	for _, text := range texts {
		if strings.Contains(b.body, text) {
			b.t.Errorf("the page %s shows %q", b.at.Request.URL.Path, text)
		}
	}
	return b
}

func TestSignInShowsEveryStepAndTheVerifiedClaims(t *testing.T) {
	b := newStage(t).browser().signIn()
	if b.at.Request.URL.Path != "/playground" || b.at.Request.URL.RawQuery != "" {
		t.Errorf("the browser ends at %s: the code must not stay in the address", b.at.Request.URL)
	}
	b.shows(`id="claims"`, "ada@example.com", "Discovery", "code_challenge_method", "Callback", "Token request", `id="id-token"`, `id="access-token"`,
		`id="refresh-token"`, "Userinfo", "auth_time", "at&#43;jwt", "code_verifier", "grant_type", "200 OK", "Checked as a resource server would")
	b.hides("not verified", "<b>Lovelace</b>", "with/odd", "with%2Fodd", "odd characters", "odd+characters", "odd&#43;characters")
	b.shows("Ada &lt;b&gt;Lovelace")
}

func TestButtonsRefreshRevokeIntrospectAndAskUserinfo(t *testing.T) {
	b := newStage(t).browser().signIn()
	refresh := regexp.MustCompile(`id="refresh-token">([^<]+)<`)
	first := refresh.FindStringSubmatch(b.body)[1]
	b.press("/playground/refresh", url.Values{}).shows("The refresh token was rotated", "refresh_token")
	if second := refresh.FindStringSubmatch(b.body)[1]; second == first {
		t.Error("the page still holds the spent refresh token")
	}
	b.press("/playground/introspect", url.Values{"token": {"access_token"}}).shows("The token is active.")
	b.press("/playground/revoke", url.Values{"token": {"access_token"}}).shows("Revoked.")
	b.press("/playground/introspect", url.Values{"token": {"access_token"}}).shows("The token is not active")
	b.press("/playground/userinfo", url.Values{}).shows("401 Unauthorized")
	b.press("/playground/revoke", url.Values{"token": {"refresh_token"}}).shows("Revoked, with everything")
	b.press("/playground/refresh", url.Values{}).shows("invalid_grant", "Sign in again.")
}

func TestRequestCanBeSeenBeforeItIsSent(t *testing.T) {
	s := newStage(t)
	b := s.browser().get("/playground").press("/playground/start", url.Values{"prompt": {"login"}, "mode": {"show"}})
	b.shows("The request is ready", "Nothing has been sent yet", "prompt", "code_challenge")
	if n := s.provider.Count("/oauth2/authorize"); n != 0 {
		t.Errorf("authorize was asked %d times", n)
	}
	link := regexp.MustCompile(`id="continue" href="([^"]+)"`).FindStringSubmatch(b.body)
	if link == nil {
		t.Fatal("no way to continue")
	}
	b.took(b.http.Get(strings.ReplaceAll(link[1], "&amp;", "&"))).prove().shows(`id="claims"`)
}

func TestProviderErrorsAreShownWithAdvice(t *testing.T) {
	b := newStage(t).browser().get("/playground").press("/playground/start", url.Values{"prompt": {"none"}})
	b.shows("login_required", "nobody is signed in", "Sign in without it", "Callback").hides(`id="claims"`, "Token request")
}

func TestAnswerWithAnotherStateIsDroppedAndTheRightOneStillWorks(t *testing.T) {
	s := newStage(t)
	b := s.browser().get("/playground").press("/playground/start", url.Values{"mode": {"go"}})
	paused, body := b.at, b.body
	if b.get("/playground/callback?code=forged&state=forged&iss=" + url.QueryEscape(s.provider.Issuer)); b.at.StatusCode != http.StatusBadRequest {
		t.Errorf("a forged answer gets %d", b.at.StatusCode)
	}
	b.shows("The state parameter is wrong")
	if n := s.provider.Count("/oauth2/token"); n != 0 {
		t.Errorf("the forged code was sent to the token endpoint %d times", n)
	}
	b.at, b.body = paused, body
	b.prove().shows(`id="claims"`)
}

func TestAnswerInAnotherBrowserOrASecondTimeIsRefused(t *testing.T) {
	s := newStage(t)
	b := s.browser()
	var answer string
	b.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
		if r.URL.Path == "/playground/callback" {
			answer = r.URL.RequestURI()
		}
		return nil
	}
	b.signIn().shows(`id="claims"`)
	for name, other := range map[string]*browser{"another browser": s.browser(), "a second time": b} {
		if other.get(answer); other.at.StatusCode != http.StatusBadRequest {
			t.Errorf("%s: %d", name, other.at.StatusCode)
		}
	}
	b.get("/playground").shows(`id="claims"`)
	if n := s.provider.Count("/oauth2/token"); n != 1 {
		t.Errorf("the token endpoint was asked %d times", n)
	}
}

func TestFormsNeedTheTokenOfTheirOwnVisit(t *testing.T) {
	s := newStage(t)
	victim, other := s.browser().signIn(), s.browser().get("/playground")
	foreign := csrfField.FindStringSubmatch(other.body)[1]
	for _, path := range []string{"start", "refresh", "userinfo", "introspect", "revoke", "sign-out", "start-again"} {
		for name, token := range map[string]string{"none": "", "another visit's": foreign} {
			resp, err := victim.http.PostForm(s.provider.Issuer+"/playground/"+path, url.Values{"csrf": {token}})
			if err != nil {
				t.Fatal(err)
			}
			resp.Body.Close()
			if resp.StatusCode != http.StatusForbidden {
				t.Errorf("%s with csrf %s: %d", path, name, resp.StatusCode)
			}
		}
	}
	victim.get("/playground").shows(`id="claims"`)
}

func TestSessionCookieChangesAtSignInAndIsHttpOnly(t *testing.T) {
	b := newStage(t).browser().get("/playground")
	set := b.at.Header.Get("Set-Cookie")
	for _, attribute := range []string{"HttpOnly", "SameSite=Lax", "Path=/playground"} {
		if !strings.Contains(set, attribute) {
			t.Errorf("cookie %q lacks %s", set, attribute)
		}
	}
	u := b.at.Request.URL
	before := b.http.Jar.Cookies(u)[0].Value
	b.signIn()
	for _, c := range b.http.Jar.Cookies(u) {
		if c.Name == cookieName && c.Value == before {
			t.Error("the cookie from before sign-in is still the session")
		}
	}
	planted := b.stage.browser()
	planted.http.Jar.SetCookies(u, []*http.Cookie{{Name: cookieName, Value: before}})
	planted.get("/playground").hides(`id="claims"`)
}

func TestSignOutEndsTheOwnSessionFirst(t *testing.T) {
	t.Run("without end_session_endpoint it links to the account page", func(t *testing.T) {
		b := newStage(t).browser().signIn()
		b.press("/playground/sign-out", url.Values{}).shows("Signed out of the playground", b.provider.Issuer+"/account")
		b.get("/playground").hides(`id="claims"`)
	})
	t.Run("with one it goes there and comes back", func(t *testing.T) {
		s := newStage(t)
		s.provider.Break(rptest.Faults{Document: rptest.OfferLogout})
		b := s.browser().signIn()
		secret := regexp.MustCompile(`id="refresh-token">([^<]+)<`).FindStringSubmatch(b.body)[1]
		b.press("/playground/sign-out", url.Values{}).shows("You are signed out", "end_session_endpoint", "post_logout_redirect_uri", "ID-TOKEN").hides("eyJ", secret)
		if b.at.Request.URL.Path != "/playground" || len(b.at.Request.URL.Query()) != 1 || s.provider.Count("/oauth2/logout") != 1 {
			t.Errorf("the browser ends at %s", b.at.Request.URL)
		}
		back := b.at.Request.URL.RequestURI()
		b.get("/playground").shows(`id="start"`).hides("You are signed out", `id="claims"`)
		b.get(back).shows("You are signed out") // the page can be loaded again
		for name, forged := range map[string]*browser{"another browser": s.browser().get(back), "another state": b.get("/playground?state=x"), "no state": b.get("/playground?state=")} {
			if forged.hides("You are signed out"); t.Failed() {
				t.Fatal(name)
			}
		}
		b.get("/playground").press("/playground/start", url.Values{"prompt": {"none"}}).shows("login_required")
		b.get(back).hides("You are signed out") // another sign-in was begun since
	})
	t.Run("without an ID token the provider would lead nowhere", func(t *testing.T) {
		s := newStage(t)
		s.provider.Break(rptest.Faults{Document: rptest.OfferLogout})
		b := s.browser().get("/playground").press("/playground/start", url.Values{"prompt": {"none"}})
		b.press("/playground/sign-out", url.Values{}).shows("Signed out of the playground", b.provider.Issuer+"/account")
		if s.provider.Count("/oauth2/logout") != 0 {
			t.Error("it went there all the same")
		}
	})
}

func TestDiscoveryIsLazyAndTriedAgainAfterAFailure(t *testing.T) {
	s := newStage(t)
	if n := s.provider.Count("/.well-known/openid-configuration"); n != 0 {
		t.Fatalf("New sent %d requests", n)
	}
	s.provider.Break(rptest.Faults{Before: func(w http.ResponseWriter, r *http.Request) bool {
		http.Error(w, "starting", http.StatusServiceUnavailable)
		return true
	}})
	b := s.browser().get("/playground").shows("The provider does not answer")
	if b.at.StatusCode != http.StatusBadGateway {
		t.Errorf("status %d", b.at.StatusCode)
	}
	s.provider.Break(rptest.Faults{})
	b.get("/playground").get("/playground").shows(`id="start"`)
	if n := s.provider.Count("/.well-known/openid-configuration"); n != 2 {
		t.Errorf("discovery ran %d times", n)
	}
}

func TestDishonestProviderIsShownAsSuch(t *testing.T) {
	s := newStage(t)
	s.provider.Break(rptest.Faults{Claims: func(kind string, c map[string]any) {
		if kind == "id" {
			c["nonce"] = "another"
		}
	}})
	s.browser().signIn().shows("nonce is not the one that was sent", `id="failed"`).hides(`id="claims"`, `class="badge good">verified`)
}

func TestVisitsAreBoundedAndEnd(t *testing.T) {
	s := newStage(t)
	first := s.browser().signIn()
	for range maxVisits {
		s.now = s.now.Add(time.Second)
		s.browser().get("/playground")
	}
	if n := len(s.play.visits.byID); n != maxVisits {
		t.Errorf("%d visits are held", n)
	}
	first.get("/playground").hides(`id="claims"`)
	second := s.browser().signIn()
	s.now = s.now.Add(visitIdle + time.Second)
	second.get("/playground").hides(`id="claims"`)
}

func TestPagesNeedNoScriptAndNoInlineStyle(t *testing.T) {
	s := newStage(t)
	b := s.browser().get("/playground")
	welcome := b.body
	policy := b.at.Header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; style-src 'self'; img-src 'self'") || strings.Contains(policy, "unsafe") {
		t.Errorf("policy is %q", policy)
	}
	b.signIn()
	for name, body := range map[string]string{"welcome": welcome, "result": b.body} {
		if found := regexp.MustCompile(`(?i)<script|<style|\sstyle=|\son[a-z]+=|javascript:`).FindString(body); found != "" {
			t.Errorf("%s holds %q", name, found)
		}
	}
	for _, path := range regexp.MustCompile(`(?:href|src)="(/playground/static/[^"]+)"`).FindAllStringSubmatch(welcome, -1) {
		if b.get(path[1]); b.at.StatusCode != http.StatusOK || b.at.Header.Get("ETag") == "" {
			t.Errorf("%s: %d", path[1], b.at.StatusCode)
		}
	}
	for path, status := range map[string]int{"/playground/static/../page.html": 404, "/playground/static/none.css": 404, "/playground/none": 404, "/playground/refresh": 405} {
		if b.get(path); b.at.StatusCode != status {
			t.Errorf("GET %s: %d, want %d", path, b.at.StatusCode, status)
		}
	}
}

func TestIssuerWithAPathKeepsThePlaygroundBelowIt(t *testing.T) {
	p := rptest.New(t)
	play := New(Options{Issuer: p.Issuer + "/auth", Client: func() (string, string) { return "", "" }})
	for _, path := range []string{"/auth/playground/none", "/playground/none"} {
		w := httptest.NewRecorder()
		play.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "http://localhost"+path, nil))
		if w.Code != http.StatusNotFound || !strings.Contains(w.Body.String(), `href="/auth/playground"`) {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}
