package provider_test

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/ratelimit"
	"gatehouse/storage"
)

// Pushed authorization requests: RFC 9126, rows 82 to 87 of the attack list.

// pushed are the parameters of a request of client "app" as they are pushed.
func (s *server) pushable(values url.Values) url.Values {
	s.Helper()
	target, err := url.Parse(s.authorizeURL(values))
	if err != nil {
		s.Fatal(err)
	}
	return target.Query()
}

// push pushes a request of client "app" and returns its request_uri.
func (s *server) push(values url.Values, changes ...func(*http.Request)) string {
	s.Helper()
	a := s.post("/oauth2/par", s.pushable(values), changes...)
	if a.Status != http.StatusCreated {
		s.Fatalf("push: %d %s", a.Status, a.Raw)
	}
	return a.Str("request_uri")
}

func (s *server) withPushed(uri string, outer url.Values) string {
	values := url.Values{"client_id": {"app"}, "request_uri": {uri}}
	maps.Copy(values, outer)
	return s.URL + "/oauth2/authorize?" + values.Encode()
}

func parServer(t *testing.T, changes ...func(*provider.Options)) *server {
	t.Helper()
	s := start(t, "memory", append([]func(*provider.Options){quickKeys}, changes...)...)
	s.client()
	s.user("ada@example.com")
	return s
}

func TestPushedRequestIsAnsweredLikeAnyOther(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		s.client()
		s.user("ada@example.com")
		a := s.post("/oauth2/par", s.pushable(nil))
		if a.Status != http.StatusCreated || a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Cache-Control") != "no-store" || a.JSON["expires_in"] != 90.0 || len(a.JSON) != 2 {
			s.Fatalf("%d %v %s", a.Status, a.Header, a.Raw)
		}
		uri := a.Str("request_uri")
		if !strings.HasPrefix(uri, "urn:ietf:params:oauth:request_uri:gth_par_") {
			s.Errorf("request_uri %s", uri)
		}
		b := s.browser("ada@example.com")
		params := s.sent(b.walk(s.withPushed(uri, nil)))
		if tokens := s.redeem(s.wantCode(params, "af0ifjsldkj")); tokens.Status != http.StatusOK {
			s.Errorf("%d %s", tokens.Status, tokens.Raw)
		}
		if !slices.Equal(b.Pages, []string{"login", "consent"}) {
			s.Errorf("pages %v", b.Pages)
		}
		s.noSecrets(uri)
	})
}

func TestRow83PushedRequestIsAnsweredOnce(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		s.client(func(c *storage.Client) { c.FirstParty = true })
		s.user("ada@example.com")
		b := s.browser("ada@example.com")
		b.code(nil)
		uri := s.push(nil)
		const tabs = 50
		answers := make([]page, tabs)
		var wg sync.WaitGroup
		for i := range tabs {
			wg.Go(func() { answers[i] = b.get(s.withPushed(uri, nil)) })
		}
		wg.Wait()
		won := 0
		for _, p := range answers {
			location, _ := url.Parse(p.Header.Get("Location"))
			switch params := location.Query(); {
			case params.Get("code") != "":
				won++
			case params.Get("error") == "invalid_request_uri":
				s.wantErrorParams(params, "invalid_request_uri", "af0ifjsldkj")
			default:
				s.wantPage(p, http.StatusBadRequest, "invalid_request_uri")
			}
		}
		if won != 1 {
			s.Errorf("%d of %d completions got a code", won, tabs)
		}
		s.wantPage(b.get(s.withPushed(uri, nil)), http.StatusBadRequest, "invalid_request_uri")
	})
}

func TestPushedRequestOutlivesItsTimeWhileTheUserSignsIn(t *testing.T) {
	s := parServer(t)
	b := s.browser("ada@example.com")
	login := b.get(s.at(b.get(s.withPushed(s.push(nil), nil))))
	s.Clock.Advance(5 * time.Minute)
	p := b.submit(login, "login", url.Values{"username": {b.User}, "password": {password}})
	target, _ := p.Request.URL.Parse(p.Header.Get("Location"))
	if params := s.sent(b.walk(target.String())); params.Get("code") == "" {
		t.Errorf("%v", params)
	}
}

func TestRow82PushedRequestExpires(t *testing.T) {
	s := parServer(t)
	uri := s.push(nil)
	s.Clock.Advance(89 * time.Second)
	if p := s.browser("").get(s.withPushed(uri, nil)); p.StatusCode != http.StatusSeeOther {
		t.Errorf("after 89 s: %d", p.StatusCode)
	}
	s.Clock.Advance(2 * time.Second)
	s.wantPage(s.browser("").get(s.withPushed(uri, nil)), http.StatusBadRequest, "invalid_request_uri")
}

func TestRow85WhatIsBesideAPushedRequestIsIgnored(t *testing.T) {
	s := parServer(t)
	b := s.browser("ada@example.com")
	b.code(nil)
	outer := url.Values{
		"prompt": {"none login"}, "max_age": {"0"}, "code_challenge": {"x"}, "acr_values": {"9"}, "resource": {"https://x.example"}, "login_hint": {"eve"}, "state": {"outer"},
		"redirect_uri": {"https://evil.example/cb"}, "scope": {"phone"}, "response_type": {"token"}, "nonce": {"outer"}, "response_mode": {"form_post"},
	}
	b.Pages = nil
	params := s.sent(b.walk(s.withPushed(s.push(nil), outer)))
	tokens := s.redeem(s.wantCode(params, "af0ifjsldkj"))
	if tokens.Status != http.StatusOK || len(b.Pages) != 0 || tokens.Str("scope") != "openid profile email offline_access" {
		t.Errorf("%d %s, pages %v", tokens.Status, tokens.Raw, b.Pages)
	}
}

func TestPushedRequestBelongsToItsClient(t *testing.T) {
	s := parServer(t)
	s.client(func(c *storage.Client) { c.ID = "other" })
	uri := s.push(nil)
	s.wantPage(s.browser("").get(s.withPushed(uri, url.Values{"client_id": {"other"}})), http.StatusBadRequest, "invalid_request_uri")
	if p := s.browser("").get(s.withPushed(uri, nil)); p.StatusCode != http.StatusSeeOther {
		t.Errorf("its own client: %d", p.StatusCode)
	}
	// fosite's mix-up: authenticated as one, pushed for another.
	values := s.pushable(nil)
	values.Set("client_id", "other")
	s.wantError(s.post("/oauth2/par", values), http.StatusBadRequest, "invalid_request")
}

func TestRow86PushIsRefusedLikeTheRequestWouldBe(t *testing.T) {
	s := parServer(t)
	for name, tc := range map[string]struct {
		values url.Values
		status int
		code   string
	}{
		"row 1 unregistered redirect_uri": {url.Values{"redirect_uri": {"https://evil.example/cb"}}, 400, "invalid_request"},
		"no PKCE":                         {url.Values{"code_challenge": {""}}, 400, "invalid_request"},
		"plain":                           {url.Values{"code_challenge_method": {"plain"}}, 400, "invalid_request"},
		"response_type":                   {url.Values{"response_type": {"token"}}, 400, "unsupported_response_type"},
		"scope":                           {url.Values{"scope": {"admin"}}, 400, "invalid_scope"},
		"resource":                        {url.Values{"resource": {"https://nowhere.example"}}, 400, "invalid_target"},
		"prompt":                          {url.Values{"prompt": {"none login"}}, 400, "invalid_request"},
		"row 80 request_uri":              {url.Values{"request_uri": {"urn:ietf:params:oauth:request_uri:x"}}, 400, "invalid_request"},
		"object that is none":             {url.Values{"request": {"x"}}, 400, "invalid_request_object"},
	} {
		t.Run(name, func(t *testing.T) {
			s := s.on(t)
			s.wantError(s.post("/oauth2/par", s.pushable(tc.values)), tc.status, tc.code)
		})
	}
	s.wantError(s.post("/oauth2/par", s.pushable(nil), noBasic), http.StatusUnauthorized, "invalid_client")
	s.wantError(s.post("/oauth2/par", s.pushable(nil), as("app", "wrong")), http.StatusUnauthorized, "invalid_client")
	s.wantError(s.post("/oauth2/par?client_id=app", s.pushable(nil)), http.StatusBadRequest, "invalid_request")
	r, _ := http.NewRequest("GET", s.URL+"/oauth2/par?"+s.pushable(nil).Encode(), nil)
	if a := s.send(r); a.Status != http.StatusMethodNotAllowed {
		t.Errorf("GET: %d", a.Status)
	}
	// F2: a client assertion or a secret in the body is never kept with the request.
	values := s.pushable(nil)
	values.Set("client_secret", clientSecret)
	if a := s.post("/oauth2/par", values, noBasic); a.Status != http.StatusCreated {
		t.Errorf("client_secret_post: %d %s", a.Status, a.Raw)
	}
	s.noSecrets()
}

func TestClientsThatMustPush(t *testing.T) {
	s := start(t, "memory", quickKeys)
	s.client(func(c *storage.Client) { c.RequirePAR, c.FirstParty = true, true })
	s.user("ada@example.com")
	if params := s.wantRedirect(s.browser("").get(s.authorizeURL(nil)), "invalid_request"); !strings.Contains(params.Get("error_description"), "push") {
		t.Errorf("%v", params)
	}
	if params := s.sent(s.browser("ada@example.com").walk(s.withPushed(s.push(nil), nil))); params.Get("code") == "" {
		t.Errorf("%v", params)
	}
}

func TestSignedObjectInsideAPush(t *testing.T) {
	s, k := objectServer(t, func(c *storage.Client) { c.RequireSignedRequestObject, c.RequirePAR = true, true })
	a := s.post("/oauth2/par", url.Values{"request": {k.object(s)}, "state": {"outer"}})
	if a.Status != http.StatusCreated {
		t.Fatalf("%d %s", a.Status, a.Raw)
	}
	if params := s.sent(s.browser("ada@example.com").walk(s.withPushed(a.Str("request_uri"), nil))); params.Get("code") == "" || params.Get("state") != "inner-state" {
		t.Errorf("%v", params)
	}
	s.wantError(s.post("/oauth2/par", s.pushable(nil)), http.StatusBadRequest, "invalid_request")
}

func TestRow87StolenPushIsWorthNothingWithoutTheVerifier(t *testing.T) {
	s := parServer(t)
	// The attacker pushes with a challenge of his own, the victim completes, and the client that redeems knows another verifier.
	uri := s.push(url.Values{"code_challenge": {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}})
	params := s.sent(s.browser("ada@example.com").walk(s.withPushed(uri, nil)))
	s.wantError(s.redeem(params.Get("code")), http.StatusBadRequest, "invalid_grant")
}

func TestRow86PushesAreLimited(t *testing.T) {
	s := parServer(t, func(o *provider.Options) {
		o.Limits.PAR = ratelimit.Limit{Burst: 3, Every: time.Minute}
		o.Limits.Interactions = ratelimit.Limit{Burst: 2, Every: time.Minute}
	})
	for range 3 {
		s.push(nil)
	}
	if a := s.post("/oauth2/par", s.pushable(nil)); a.Status != http.StatusTooManyRequests || a.Header.Get("Retry-After") == "" || strings.Contains(a.Str("error_description"), "failed") {
		t.Errorf("%d %v %s: none of them failed", a.Status, a.Header, a.Raw)
	}
	// Nobody proves to be a public client: its pushes count for the address.
	s.publicClient("native", callback)
	public := s.pushable(url.Values{"client_id": {"native"}})
	for range 2 {
		if a := s.post("/oauth2/par", public, noBasic); a.Status != http.StatusCreated {
			t.Fatalf("%d %s", a.Status, a.Raw)
		}
	}
	if a := s.post("/oauth2/par", public, noBasic); a.Status != http.StatusTooManyRequests {
		t.Errorf("%d %s", a.Status, a.Raw)
	}
}

func TestPushedRequestsArePurged(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		s.client()
		uri := s.push(nil)
		s.Clock.Advance(time.Hour)
		if n, err := s.Store.Purge(s.Context(), s.Clock.Now(), 100); err != nil || n == 0 {
			s.Errorf("purged %d, %v", n, err)
		}
		s.wantPage(s.browser("").get(s.withPushed(uri, nil)), http.StatusBadRequest, "invalid_request_uri")
	})
}
