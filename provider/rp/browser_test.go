package rp_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/provider/rp"
	"gatehouse/provider/rp/rptest"
)

var ada = rp.User{Name: rptest.Username, Password: rptest.Password}

func TestBrowserWalksThroughTheFormsOfThePages(t *testing.T) {
	p := rptest.New(t)
	party := open(t, p)
	var paths []string
	browser := rp.NewBrowser(rp.BrowserOptions{Header: http.Header{"X-Test": {"1"}}, Seen: func(a rp.Answer) {
		u, err := url.Parse(a.URL)
		if err != nil {
			t.Error(err)
			return
		}
		paths = append(paths, u.Path)
	}})
	for _, want := range []string{
		"/oauth2/authorize /login /login /oauth2/authorize /consent /consent /oauth2/authorize",
		"/oauth2/authorize", // signed in, and consent is remembered
	} {
		paths = nil
		a := party.Begin(nil)
		response, err := browser.Walk(t.Context(), ada, a.URL, redirectURI)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := party.Exchange(t.Context(), a, response); err != nil {
			t.Error(err)
		}
		if got := strings.Join(paths, " "); got != want {
			t.Errorf("walked %q, want %q", got, want)
		}
	}
}

func TestBrowserGivesUpWithoutTellingSecrets(t *testing.T) {
	for want, before := range map[string]func(w http.ResponseWriter, r *http.Request){
		"round in circles": func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, r.URL.String(), http.StatusSeeOther) },
		"to https://evil.example": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://evil.example/x", http.StatusSeeOther)
		},
		"no form with id login":      func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<form id=other>")) },
		"status 503":                 func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) },
		"answer is too long":         func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, 2<<20)) },
		"GET /oauth2/authorize: EOF": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"status 404 to /x with error bad_luck": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/x?error=bad_luck")
			w.WriteHeader(http.StatusNotFound)
		},
	} {
		p := rptest.New(t)
		party := open(t, p)
		p.Break(rptest.Faults{Before: func(w http.ResponseWriter, r *http.Request) bool { before(w, r); return true }})
		a := party.Begin(nil)
		_, err := rp.NewBrowser(rp.BrowserOptions{}).Walk(t.Context(), ada, a.URL, redirectURI)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), a.State) {
			t.Errorf("%v, want %q", err, want)
		}
	}
}
