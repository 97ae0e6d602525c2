package upstream_test

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/upstream"
	"gatehouse/provider/upstream/upstreamtest"
)

func TestGitHubIsAskedAsItDocuments(t *testing.T) {
	u, hub := gitHubAt(t)
	a := newAttempt()
	a.LoginHint, a.Fresh = "octocat", true
	to, err := u.AuthURL(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	q := query(t, to)
	for name, value := range map[string]string{
		"login": "octocat", "prompt": "select_account", "code_challenge_method": "S256", "state": a.State, "redirect_uri": driverCallback, "client_id": upstreamtest.ClientID,
	} {
		if q.Get(name) != value {
			t.Errorf("%s is %q", name, q.Get(name))
		}
	}
	e, err := u.Exchange(t.Context(), a, hub.SignIn(to))
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]any{
		"sub": "583231", "preferred_username": "octocat", "name": "The Octocat", "email": "octocat@example.com", "email_verified": true, "profile": hub.URL + "/octocat",
	}
	for name, value := range want {
		if e.Claims[name] != value {
			t.Errorf("claim %s is %v", name, e.Claims[name])
		}
	}
	if !strings.Contains(string(e.Tokens), `"access_token":"gho_`) {
		t.Errorf("tokens %s", e.Tokens)
	}
	if got := hub.Asked(); !slices.Equal(got, []string{"/login/oauth/access_token", "/api/v3/user", "/api/v3/user/emails"}) {
		t.Errorf("asked for %v; an avatar is not fetched, and memberships only if they matter", got)
	}
}

func TestGitHubItselfHasItsAPIAtAnotherHost(t *testing.T) {
	for configured, server := range map[string]string{"": "https://github.com", "https://github.com/": "https://github.com", "https://git.example/": "https://git.example"} {
		var asked []string
		client := &http.Client{Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			asked = append(asked, r.URL.Host+r.URL.Path)
			return &http.Response{StatusCode: 200, Header: http.Header{}, Request: r, Body: io.NopCloser(strings.NewReader(`{"access_token":"a","id":1,"login":"x"}`))}, nil
		})}
		u, err := upstream.FindKind("github").New(upstream.Options{Config: upstream.Config{URL: configured, ClientID: "x", ClientSecret: "y"}, HTTP: client})
		if err != nil {
			t.Fatal(err)
		}
		to, err := u.AuthURL(t.Context(), newAttempt())
		if err != nil || !strings.HasPrefix(to, server+"/login/oauth/authorize?") {
			t.Errorf("%q: %s, %v", configured, to, err)
		}
		_, _ = u.Exchange(t.Context(), newAttempt(), url.Values{"code": {"c"}})
		api := "api.github.com/user"
		if strings.Contains(configured, "git.example") {
			api = "git.example/api/v3/user"
		}
		if !slices.Contains(asked, api) {
			t.Errorf("%q: asked %v", configured, asked)
		}
	}
}

// The API is asked for what GitHub does not count, without anybody's token. Whatever it says, it is there, unless it says that it is not.
func TestGitHubIsProbedOnceAMinute(t *testing.T) {
	clock := newDriverClock()
	u, hub := gitHubAt(t, func(s *driverSet) { s.clock = clock })
	status := 0
	hub.Break(func(w http.ResponseWriter, r *http.Request) bool {
		if r.Header.Get("Authorization") != "" || r.URL.Path != "/api/v3/rate_limit" {
			t.Errorf("asked for %s with %q", r.URL.Path, r.Header.Get("Authorization"))
		}
		if status != 0 {
			w.WriteHeader(status)
		}
		return status != 0
	}, nil)
	for i, want := range []int{1, 1, 2} {
		if err := probe(t, u); err != nil || len(hub.Asked()) != want {
			t.Errorf("probe %d: %v, asked %v", i, err, hub.Asked())
		}
		clock.Move(30 * time.Second)
	}
	for _, status = range []int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusTooManyRequests} {
		clock.Move(time.Minute)
		if err := probe(t, u); err != nil {
			t.Errorf("status %d: %v", status, err)
		}
	}
	for _, status = range []int{http.StatusInternalServerError, http.StatusBadGateway, http.StatusServiceUnavailable} {
		clock.Move(time.Minute)
		wantRefusal(t, "down", probe(t, u), upstream.Unavailable, "its API")
	}
	status = 0
	clock.Move(time.Minute)
	if err := probe(t, u); err != nil {
		t.Errorf("up again: %v", err)
	}
	hub.Close()
	clock.Move(time.Minute)
	wantRefusal(t, "gone", probe(t, u), upstream.Unavailable, "could not be reached")
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// GitHub answers a code that it does not know with status 200.
func TestGitHubsErrorsOfStatus200AreErrors(t *testing.T) {
	u, hub := gitHubAt(t)
	a := newAttempt()
	to, err := u.AuthURL(t.Context(), a)
	if err != nil {
		t.Fatal(err)
	}
	answer := hub.SignIn(to)
	if _, err := u.Exchange(t.Context(), a, answer); err != nil {
		t.Fatal(err)
	}
	_, err = u.Exchange(t.Context(), a, answer)
	wantRefusal(t, "twice", err, upstream.Broken, "bad_verification_code")
	other := newAttempt()
	_, err = u.Exchange(t.Context(), other, hub.SignIn(to))
	wantRefusal(t, "another verifier", err, upstream.Broken, "bad_verification_code")
	other.Verifier, other.RedirectURI = a.Verifier, "https://evil.example"
	_, err = u.Exchange(t.Context(), other, hub.SignIn(to))
	wantRefusal(t, "another redirect_uri", err, upstream.Broken, "redirect_uri_mismatch")
	u, hub = gitHubAt(t, func(s *driverSet) { s.ClientSecret = "wrong" })
	_, err = walkTo(t, u, hub, newAttempt())
	wantRefusal(t, "wrong secret", err, upstream.Broken, "incorrect_client_credentials")
}

// GitHub began to send iss in 2026, took it back and will send it again: https://github.com/login/oauth.
func TestGitHubsIssuerIsCheckedIfItIsTold(t *testing.T) {
	u, hub := gitHubAt(t)
	for iss, ok := range map[string]bool{"/login/oauth": true, "": false, "/": false} {
		hub.Break(nil, func(q url.Values) { q.Set("iss", hub.URL+iss) })
		_, err := walkTo(t, u, hub, newAttempt())
		if ok != (err == nil) {
			t.Errorf("iss %q: %v", iss, err)
		}
		if !ok {
			wantRefusal(t, iss, err, upstream.Broken, "another provider")
		}
	}
}

func TestGitHubWithoutPermission(t *testing.T) {
	answer := func(path string, status int, header ...string) func(http.ResponseWriter, *http.Request) bool {
		return at(path, func(w http.ResponseWriter, _ *http.Request) {
			if len(header) == 2 {
				w.Header().Set(header[0], header[1])
			}
			w.WriteHeader(status)
			_, _ = w.Write([]byte(`{"message":"Not Found"}`))
		}).Before
	}
	members := func(s *driverSet) { s.Organizations, s.Teams = []string{"acme"}, []string{"acme/ops"} }
	for name, c := range map[string]struct {
		path   string
		status int
		header []string
		change func(*driverSet)
		reason upstream.Reason
	}{
		"no scope for addresses":      {"/api/v3/user/emails", 404, nil, func(*driverSet) {}, ""},
		"no permission for addresses": {"/api/v3/user/emails", 403, nil, func(*driverSet) {}, ""},
		"too many questions":          {"/api/v3/user/emails", 403, []string{"X-RateLimit-Remaining", "0"}, func(*driverSet) {}, upstream.Unavailable},
		"too many questions, second":  {"/api/v3/user/memberships/orgs", 403, []string{"Retry-After", "60"}, members, upstream.Unavailable},
		"addresses down":              {"/api/v3/user/emails", 502, nil, func(*driverSet) {}, upstream.Unavailable},
		"token not accepted":          {"/api/v3/user", 401, nil, func(*driverSet) {}, upstream.Broken},
		"organizations hidden":        {"/api/v3/user/memberships/orgs", 403, nil, members, upstream.NotAllowed},
		"team hidden":                 {"/api/v3/orgs/acme/teams/ops/memberships/octocat", 403, nil, members, upstream.NotAllowed},
		"memberships down":            {"/api/v3/user/memberships/orgs", 503, nil, members, upstream.Unavailable},
		"team down":                   {"/api/v3/orgs/acme/teams/ops/memberships/octocat", 500, nil, members, upstream.Unavailable},
	} {
		u, hub := gitHubAt(t, c.change)
		hub.Break(answer(c.path, c.status, c.header...), nil)
		e, err := walkTo(t, u, hub, newAttempt())
		if c.reason != "" {
			wantRefusal(t, name, err, c.reason)
		} else if err != nil || e.Email != "" || e.EmailVerified || e.Label != "octocat" {
			t.Errorf("%s: %+v, %v", name, e, err)
		}
	}
}

// The request asks for active memberships; what counts is the answer.
func TestGitHubsInvitationsDoNotCountWhateverItLists(t *testing.T) {
	u, hub := gitHubAt(t, func(s *driverSet) { s.Organizations = []string{"acme"} })
	for state, ok := range map[string]bool{"active": true, "pending": false} {
		hub.Break(at("/api/v3/user/memberships/orgs", func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, `[{"state":"`+state+`","organization":{"login":"acme"}}]`)
		}).Before, nil)
		_, err := walkTo(t, u, hub, newAttempt())
		if ok && err != nil {
			t.Error(err)
		}
		if !ok {
			wantRefusal(t, state, err, upstream.NotAllowed)
		}
	}
}

func TestGitHubsListsAreReadToABound(t *testing.T) {
	u, hub := gitHubAt(t, func(s *driverSet) { s.Organizations = []string{"acme"} })
	page := "[" + strings.TrimSuffix(strings.Repeat(`{"state":"active","organization":{"login":"x"}},`, 100), ",") + "]"
	hub.Break(at("/api/v3/user/memberships/orgs", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, page) }).Before, nil)
	_, err := walkTo(t, u, hub, newAttempt())
	wantRefusal(t, "endless list", err, upstream.NotAllowed)
	n := 0
	for _, path := range hub.Asked() {
		if path == "/api/v3/user/memberships/orgs" {
			n++
		}
	}
	if n != 10 {
		t.Errorf("%d pages were read", n)
	}
}
