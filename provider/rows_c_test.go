package provider_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/provider/opaque"
	"gatehouse/storage"
)

// Section C: authorization codes and PKCE.

// exchange sends a code with the usual parameters; values overwrite, an empty value removes.
func (s *server) exchange(code string, values url.Values, changes ...func(*http.Request)) answer {
	s.Helper()
	form := url.Values{"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {callback}, "code_verifier": {verifier}}
	for name, value := range values {
		if len(value) == 1 && value[0] == "" {
			form.Del(name)
		} else {
			form[name] = value
		}
	}
	return s.post("/oauth2/token", form, changes...)
}

// wantTokens demands a successful answer.
func (s *server) wantTokens(a answer) answer {
	s.Helper()
	if a.Status != http.StatusOK || a.Str("access_token") == "" || a.Header.Get("Cache-Control") != "no-store" {
		s.Fatalf("no tokens: %d %s", a.Status, a.Raw)
	}
	return a
}

// wantAlive demands that a grant works in every way.
func (s *server) wantAlive(tokens answer) {
	s.Helper()
	if info := s.userinfo(tokens.Str("access_token")); info.Status != http.StatusOK {
		s.Errorf("userinfo: %d %s", info.Status, info.Raw)
	}
	for _, name := range []string{"access_token", "refresh_token"} {
		if a := s.introspect(tokens.Str(name)); a.JSON["active"] != true {
			s.Errorf("the %s is not active: %s", name, a.Raw)
		}
	}
}

// wantKilled demands that nothing of a grant works any more.
func (s *server) wantKilled(tokens answer) {
	s.Helper()
	for _, name := range []string{"access_token", "refresh_token"} {
		if a := s.introspect(tokens.Str(name)); a.Raw != `{"active":false}` {
			s.Errorf("the %s is still active: %s", name, a.Raw)
		}
	}
	info := s.userinfo(tokens.Str("access_token"))
	if info.Status != http.StatusUnauthorized || !strings.Contains(info.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
		s.Errorf("userinfo: %d %s", info.Status, info.Raw)
	}
	s.wantError(s.refresh(tokens.Str("refresh_token")), http.StatusBadRequest, "invalid_grant")
}

func TestRow35CodeReplayKillsGrant(t *testing.T) {
	for name, tc := range map[string]struct {
		client  func(*storage.Client)
		values  url.Values
		refresh bool // the tokens have been refreshed before the replay
	}{
		"JWT, offline":     {func(*storage.Client) {}, nil, false},
		"JWT, online":      {func(*storage.Client) {}, url.Values{"scope": {"openid"}}, false},
		"opaque":           {func(c *storage.Client) { c.AccessToken = "opaque" }, nil, false},
		"opaque, online":   {func(c *storage.Client) { c.AccessToken = "opaque" }, url.Values{"scope": {"openid"}}, false},
		"refreshed":        {func(*storage.Client) {}, nil, true},
		"refreshed opaque": {func(c *storage.Client) { c.AccessToken = "opaque" }, nil, true},
		"without PKCE":     {func(c *storage.Client) { c.Profile = "compatible" }, url.Values{"code_challenge": {""}, "code_challenge_method": {""}}, false},
	} {
		t.Run("row 35 T5 "+name, func(t *testing.T) {
			s := start(t, "memory", quickKeys)
			s.client(tc.client)
			s.user("ada@example.com")
			b := s.browser("ada@example.com")
			code := b.code(tc.values)
			form := url.Values{}
			if tc.values.Has("code_challenge") {
				form.Set("code_verifier", "")
			}
			first := s.wantTokens(s.exchange(code, form))
			other := s.wantTokens(s.redeem(b.code(nil))) // another grant of the same user and client
			all := []answer{first}
			if tc.refresh {
				all = append(all, s.wantTokens(s.refresh(first.Str("refresh_token"))))
			}
			s.wantAlive(all[len(all)-1])
			for range 3 {
				s.wantError(s.exchange(code, form), http.StatusBadRequest, "invalid_grant")
			}
			for _, tokens := range all {
				s.wantKilled(tokens)
			}
			s.wantAlive(other)
			if !strings.Contains(s.Log.String(), "code.replayed") {
				t.Error("the replay is not in the audit log")
			}
			s.noSecrets(code, first.Str("access_token"), first.Str("refresh_token"), first.Str("id_token"))
		})
	}
	t.Run("row 35 T5 public client", func(t *testing.T) {
		s := start(t, "memory", quickKeys)
		s.publicClient("spa", callback)
		s.user("ada@example.com")
		code := s.browser("ada@example.com").code(url.Values{"client_id": {"spa"}})
		form := url.Values{"client_id": {"spa"}}
		tokens := s.wantTokens(s.exchange(code, form, noBasic))
		s.wantError(s.exchange(code, form, noBasic), http.StatusBadRequest, "invalid_grant")
		s.wantDead("", tokens.Str("access_token"))
		refreshed := s.post("/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {"spa"}, "refresh_token": {tokens.Str("refresh_token")}}, noBasic)
		s.wantError(refreshed, http.StatusBadRequest, "invalid_grant")
	})
	t.Run("row 35 T5 seen by another node within a second", func(t *testing.T) {
		s := start(t, "memory", quickKeys)
		second := s.node(quickKeys)
		s.client()
		s.user("ada@example.com")
		code := s.browser("ada@example.com").code(nil)
		tokens := s.wantTokens(s.redeem(code))
		second.wantAlive(tokens)
		s.wantError(s.redeem(code), http.StatusBadRequest, "invalid_grant")
		s.within(time.Second, "the other node calls the access token inactive", func() bool { return !second.active(tokens.Str("access_token")) })
		second.wantKilled(tokens)
	})
}

func TestRow35ParallelRedemptions(t *testing.T) {
	onEveryBackend(t, func(s *server) {
		s.client()
		s.user("ada@example.com")
		code := s.browser("ada@example.com").code(nil)
		answers := make([]answer, 16)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() { answers[i] = s.redeem(code) })
		}
		wg.Wait()
		won := slices.DeleteFunc(slices.Clone(answers), func(a answer) bool { return a.Status != http.StatusOK })
		if len(won) != 1 {
			s.Errorf("row 35: %d of %d parallel redemptions got tokens", len(won), len(answers))
		}
		for _, a := range answers {
			if a.Status != http.StatusOK {
				s.wantError(a, http.StatusBadRequest, "invalid_grant")
			}
		}
		for _, tokens := range won {
			s.wantKilled(tokens) // fifteen replays came with the right verifier
		}
	})
}

func TestRow36OnlyAValidReplayRevokes(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.client(func(c *storage.Client) { c.ID = "thief" })
	s.publicClient("public-thief", callback)
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	type attack struct {
		values  url.Values
		changes []func(*http.Request)
		status  int
		error   string
	}
	attacks := map[string]attack{
		"another client":                  {nil, []func(*http.Request){as("thief", clientSecret)}, 400, "invalid_grant"},
		"another client, wrong verifier":  {url.Values{"code_verifier": {strings.Repeat("a", 43)}}, []func(*http.Request){as("thief", clientSecret)}, 400, "invalid_grant"},
		"a public client":                 {url.Values{"client_id": {"public-thief"}}, []func(*http.Request){noBasic}, 400, "invalid_grant"},
		"no client":                       {nil, []func(*http.Request){noBasic}, 401, "invalid_client"},
		"the client's name only":          {url.Values{"client_id": {"app"}}, []func(*http.Request){noBasic}, 401, "invalid_client"},
		"a wrong secret":                  {nil, []func(*http.Request){as("app", "gth_cs_wrong")}, 401, "invalid_client"},
		"an unknown client":               {nil, []func(*http.Request){as("nobody", clientSecret)}, 401, "invalid_client"},
		"repeated verifier":               {url.Values{"code_verifier": {verifier, verifier}}, nil, 400, "invalid_request"},
		"another grant type":              {url.Values{"grant_type": {"refresh_token"}}, nil, 400, "invalid_request"},
		"two authentications in one":      {url.Values{"client_secret": {clientSecret}}, nil, 400, "invalid_request"},
		"Basic and another client's name": {url.Values{"client_id": {"thief"}}, nil, 400, "invalid_request"},
	}
	for name, a := range attacks {
		t.Run("row 36 T6 fresh code, "+name, func(t *testing.T) {
			s := s.on(t)
			code := b.code(nil)
			s.wantError(s.exchange(code, a.values, a.changes...), a.status, a.error)
			s.wantAlive(s.wantTokens(s.redeem(code))) // the owner's code is as good as before
		})
	}
	// After use, proof of possession must fail too.
	for name, values := range map[string]url.Values{
		"wrong verifier": {"code_verifier": {strings.Repeat("a", 43)}}, "no verifier": {"code_verifier": {""}},
		"challenge as verifier": {"code_verifier": {challenge}}, "wrong redirect_uri": {"redirect_uri": {callback + "/"}}, "no redirect_uri": {"redirect_uri": {""}},
	} {
		attacks["the client itself, "+name] = attack{values, nil, 400, "invalid_grant"}
	}
	for name, a := range attacks {
		t.Run("row 36 used code, "+name, func(t *testing.T) {
			s := s.on(t)
			code := b.code(nil)
			tokens := s.wantTokens(s.redeem(code))
			for range 2 {
				s.wantError(s.exchange(code, a.values, a.changes...), a.status, a.error)
			}
			s.wantAlive(tokens)
			s.wantError(s.redeem(code), http.StatusBadRequest, "invalid_grant")
			s.wantKilled(tokens)
		})
	}
}

func TestRow39RedirectURIAtTheTokenEndpoint(t *testing.T) {
	s := start(t, "memory")
	s.client(func(c *storage.Client) { c.RedirectURIs = []string{callback, "https://rp.example/other"} })
	s.publicClient("native", "http://127.0.0.1/cb")
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	for _, uri := range []string{"", "https://rp.example/other", "https://evil.example/callback", callback + "/", callback + "?", callback + "#",
		"https://RP.example/callback", "https://rp.example/%63allback", "https://rp.example:443/callback", " " + callback} {
		t.Run("row 39 T6 "+uri, func(t *testing.T) {
			s := s.on(t)
			code := b.code(nil)
			s.wantError(s.exchange(code, url.Values{"redirect_uri": {uri}}), http.StatusBadRequest, "invalid_grant")
			s.wantError(s.redeem(code), http.StatusBadRequest, "invalid_grant") // the mismatch used it up (ruling 1)
		})
	}
	t.Run("row 39 another loopback port", func(t *testing.T) {
		s := s.on(t)
		ask := url.Values{"client_id": {"native"}, "redirect_uri": {"http://127.0.0.1:5000/cb"}}
		code := b.code(ask)
		s.wantError(s.exchange(code, url.Values{"client_id": {"native"}, "redirect_uri": {"http://127.0.0.1:5001/cb"}}, noBasic), http.StatusBadRequest, "invalid_grant")
		s.wantTokens(s.exchange(b.code(ask), ask, noBasic))
	})
}

func TestRow41PKCEIsRequired(t *testing.T) {
	s := start(t, "memory")
	for id, method := range map[string]string{"basic": "client_secret_basic", "post": "client_secret_post", "none": "none", "key": "private_key_jwt"} {
		for _, profile := range []string{"strict", "compatible", "fapi2"} {
			s.client(func(c *storage.Client) { c.ID, c.AuthMethod, c.Profile = id+"-"+profile, method, profile })
		}
	}
	s.user("ada@example.com")
	for _, id := range []string{"basic-strict", "post-strict", "none-strict", "key-strict", "none-compatible", "basic-fapi2", "key-fapi2"} {
		t.Run("row 41 "+id, func(t *testing.T) {
			s := s.on(t)
			for _, values := range []url.Values{{"code_challenge": {""}, "code_challenge_method": {""}}, {"code_challenge": {""}},
				{"code_challenge": {""}, "code_challenge_method": {"plain"}}} {
				values["client_id"] = []string{id}
				s.wantRedirect(s.opened(values), "invalid_request")
				values["prompt"] = []string{"none"}
				s.wantRedirect(s.opened(values), "invalid_request")
			}
		})
	}
	without := url.Values{"client_id": {"basic-compatible"}, "code_challenge": {""}, "code_challenge_method": {""}}
	b := s.browser("ada@example.com")
	owner := as("basic-compatible", clientSecret)
	t.Run("row 41 A23 confidential and compatible may do without", func(t *testing.T) {
		s.on(t).wantTokens(s.on(t).exchange(b.code(without), url.Values{"code_verifier": {""}}, owner))
	})
	t.Run("row 41 T8 a verifier without a challenge", func(t *testing.T) {
		s := s.on(t)
		for _, sent := range []string{verifier, "x", challenge} {
			code := b.code(without)
			s.wantError(s.exchange(code, url.Values{"code_verifier": {sent}}, owner), http.StatusBadRequest, "invalid_grant")
			s.wantError(s.exchange(code, url.Values{"code_verifier": {""}}, owner), http.StatusBadRequest, "invalid_grant") // it is used up
		}
	})
	t.Run("row 41 A23 a challenge binds them too", func(t *testing.T) {
		s := s.on(t)
		with := url.Values{"client_id": {"basic-compatible"}}
		s.wantError(s.exchange(b.code(with), url.Values{"code_verifier": {""}}, owner), http.StatusBadRequest, "invalid_grant")
		s.wantTokens(s.exchange(b.code(with), nil, owner))
	})
	t.Run("row 41 a method alone is a mistake", func(t *testing.T) {
		s.on(t).wantRedirect(s.on(t).opened(url.Values{"client_id": {"basic-compatible"}, "code_challenge": {""}}), "invalid_request")
	})
}

func TestRow42ChallengeVectors(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.client(func(c *storage.Client) { c.ID, c.Profile = "compatible", "compatible" })
	s.publicClient("public", callback)
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	b.code(nil)
	vectors := []url.Values{}
	for _, method := range []string{"", "plain", "s256", "S512", "S256 ", "PLAIN", "none", "S256,plain", "Ｓ256"} {
		vectors = append(vectors, url.Values{"code_challenge_method": {method}}, url.Values{"code_challenge_method": {method}, "code_challenge": {verifier}})
	}
	for _, sent := range []string{
		"x", challenge[:42], challenge + "A", challenge + "=", challenge[:42] + "=", challenge[:42] + "+", challenge[:42] + "/", challenge[:42] + " ",
		" " + challenge[1:], challenge[:42] + "é", challenge[:42] + "\n", strings.Repeat("a", 128), challenge + challenge, "%",
		base64.StdEncoding.EncodeToString(make([]byte, 32)), fmt.Sprintf("%x", sha256.Sum256([]byte(verifier))),
	} {
		vectors = append(vectors, url.Values{"code_challenge": {sent}})
	}
	for _, values := range vectors {
		t.Run("row 42 "+values.Encode(), func(t *testing.T) {
			s := s.on(t)
			for _, client := range []string{"app", "compatible", "public"} {
				ask := maps.Clone(values)
				ask["client_id"] = []string{client}
				s.wantRedirect(b.get(s.authorizeURL(ask)), "invalid_request")
			}
		})
	}
	t.Run("row 42 T8 RFC 7636 appendix B", func(t *testing.T) {
		s.on(t).wantTokens(s.on(t).redeem(b.code(nil)))
	})
}

// s256 is the challenge of a verifier.
func s256(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func TestRow43WrongVerifierBurnsTheCode(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.client(func(c *storage.Client) { c.ID, c.Profile = "compatible", "compatible" })
	s.publicClient("public", callback)
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	bearers := map[string][]func(*http.Request){"app": nil, "compatible": {as("compatible", clientSecret)}, "public": {byID("public")}}
	for client, changes := range bearers {
		for _, wrong := range []string{strings.Repeat("a", 43), challenge, verifier + "x", verifier[:42] + "K", strings.ToUpper(verifier), verifier + " ",
			" " + verifier, verifier + "=", "x", strings.Repeat("a", 129), "é", ""} {
			t.Run("row 43 T7 "+client+" "+wrong, func(t *testing.T) {
				s := s.on(t)
				code := b.code(url.Values{"client_id": {client}})
				for _, sent := range []string{wrong, "", verifier, verifier} {
					s.wantError(s.exchange(code, url.Values{"code_verifier": {sent}}, changes...), http.StatusBadRequest, "invalid_grant")
				}
			})
		}
	}
	t.Run("row 43 wrong once, right twice", func(t *testing.T) {
		s := s.on(t)
		code := b.code(nil)
		before := s.wantTokens(s.redeem(b.code(nil)))
		s.wantError(s.exchange(code, url.Values{"code_verifier": {strings.Repeat("a", 43)}}), http.StatusBadRequest, "invalid_grant")
		s.wantError(s.redeem(code), http.StatusBadRequest, "invalid_grant")
		s.wantAlive(before)
		s.noSecrets(code)
	})
	// RFC 7636 section 4.1: 43 to 128 unreserved characters. A verifier that can be guessed proves nothing, whatever its hash.
	for name, tc := range map[string]struct {
		verifier string
		ok       bool
	}{
		"43": {strings.Repeat("-._~aZ0", 7)[:43], true}, "128": {strings.Repeat("-._~aZ0z", 16), true}, "42": {strings.Repeat("a", 42), false},
		"129": {strings.Repeat("a", 129), false}, "one": {"x", false}, "space": {strings.Repeat("a ", 22), false}, "not ASCII": {strings.Repeat("é", 43), false},
	} {
		t.Run("row 43 T8 length "+name, func(t *testing.T) {
			s := s.on(t)
			a := s.exchange(b.code(url.Values{"code_challenge": {s256(tc.verifier)}}), url.Values{"code_verifier": {tc.verifier}})
			if tc.ok {
				s.wantTokens(a)
			} else {
				s.wantError(a, http.StatusBadRequest, "invalid_grant")
			}
		})
	}
}

func TestRow45ObjectsDoNotStandInForEachOther(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.client(func(c *storage.Client) { c.ID, c.AccessToken = "opaque", "opaque" })
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	tokens := s.wantTokens(s.redeem(b.code(nil)))
	opaqueTokens := s.wantTokens(s.exchange(b.code(url.Values{"client_id": {"opaque"}}), nil, as("opaque", clientSecret)))
	login := s.at(b.get(s.authorizeURL(url.Values{"prompt": {"login"}})))
	target, _ := url.Parse(s.authorizeURL(nil))
	handle := s.at(b.post(s.URL+"/oauth2/authorize", target.Query()))
	here, _ := url.Parse(s.URL)
	cookies := map[string]string{}
	for _, c := range b.client.Jar.Cookies(here) {
		cookies[c.Name] = c.Value
	}
	used := b.code(nil)
	unknown := func(prefix string) string { token, _ := opaque.Mint(prefix); return token }
	objects := map[string]string{
		"refresh token": tokens.Str("refresh_token"), "access token": tokens.Str("access_token"), "opaque access token": opaqueTokens.Str("access_token"),
		"ID token": tokens.Str("id_token"), "client secret": clientSecret, "session cookie": cookies["gth_sid"],
		"flow cookie": cookies["gth_flow"], "interaction": strings.TrimPrefix(login, s.URL+"/login?interaction="),
		"handle": strings.TrimPrefix(handle, s.URL+"/oauth2/authorize?handle="), "unknown code": unknown(opaque.Code),
		"refresh token in a code's clothes": opaque.Code + strings.TrimPrefix(tokens.Str("refresh_token"), opaque.Refresh), "cut code": used[:len(used)-1],
		"longer code": used + "0", "code in other case": strings.ToUpper(used), "signature of a code": opaque.Signature(used), "code and space": used + " ",
		"urn": "urn:ietf:params:oauth:request_uri:" + used, "control character": "x\x01",
	}
	for name, object := range objects {
		t.Run("row 45 as code: "+name, func(t *testing.T) {
			if object == "" {
				t.Fatal("the object is missing")
			}
			s.on(t).wantError(s.on(t).redeem(object), http.StatusBadRequest, "invalid_grant")
		})
		if name == "refresh token" {
			continue
		}
		t.Run("row 45 as refresh token: "+name, func(t *testing.T) {
			s.on(t).wantError(s.on(t).refresh(object), http.StatusBadRequest, "invalid_grant")
		})
	}
	objects["code"] = used
	for name, object := range objects {
		if name == "code" {
			t.Run("row 45 as refresh token: code", func(t *testing.T) {
				s.on(t).wantError(s.on(t).refresh(object), http.StatusBadRequest, "invalid_grant")
			})
		}
		if !strings.Contains(name, "access token") {
			t.Run("row 45 as access token: "+name, func(t *testing.T) {
				if strings.ContainsAny(object, "\x01 ") {
					return // no header carries it
				}
				if info := s.on(t).userinfo(object); info.Status != http.StatusUnauthorized {
					t.Errorf("userinfo: %d %s", info.Status, info.Raw)
				}
				if a := s.on(t).introspect(object); name != "refresh token" && a.Raw != `{"active":false}` {
					t.Errorf("introspection: %s", a.Raw)
				}
			})
		}
		for _, path := range []string{"/oauth2/authorize?interaction=", "/oauth2/authorize?handle=", "/login?interaction=", "/consent?interaction="} {
			if name == "interaction" && !strings.Contains(path, "handle") || name == "handle" && strings.Contains(path, "handle") {
				continue
			}
			t.Run("row 45 in "+path+name, func(t *testing.T) {
				s.on(t).wantPage(b.get(s.URL+path+url.QueryEscape(object)), http.StatusForbidden)
			})
		}
		if name != "session cookie" && name != "control character" {
			t.Run("row 45 as session cookie: "+name, func(t *testing.T) {
				r, _ := http.NewRequest("GET", s.authorizeURL(url.Values{"prompt": {"none"}}), nil)
				r.AddCookie(&http.Cookie{Name: "gth_sid", Value: object})
				s.on(t).wantRedirect(s.browser("").do(r), "login_required")
			})
		}
		if name != "interaction" && name != "refresh token" && !strings.Contains(name, "access token") {
			t.Run("row 45 revoking changes nothing: "+name, func(t *testing.T) {
				if a := s.on(t).post("/oauth2/revoke", url.Values{"token": {object}}); a.Status != http.StatusOK || a.Raw != "" {
					t.Errorf("revocation: %d %s", a.Status, a.Raw)
				}
			})
		}
		t.Run("row 45 as hint: "+name, func(t *testing.T) {
			if name != "ID token" {
				s.on(t).wantRedirect(s.on(t).opened(url.Values{"id_token_hint": {object}}), "invalid_request")
			}
		})
	}
	// After all that, everything is still what it was.
	s.wantAlive(tokens)
	s.wantTokens(s.redeem(used))
	s.wantCode(s.sentTo(b.get(handle), callback), "af0ifjsldkj")
	if p := b.get(login); !hasForm(p.Body, "login") {
		t.Errorf("the interaction is gone: %d", p.StatusCode)
	}
}

func TestT6CodeLifetime(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	t.Run("T6 59 seconds", func(t *testing.T) {
		code := b.code(nil)
		s.advance(59 * time.Second)
		s.on(t).wantTokens(s.on(t).redeem(code))
	})
	t.Run("T6 60 seconds", func(t *testing.T) {
		code := b.code(nil)
		s.advance(61 * time.Second)
		for range 2 {
			s.on(t).wantError(s.on(t).redeem(code), http.StatusBadRequest, "invalid_grant")
		}
	})
	t.Run("T6 an expired code cannot end its grant's successor", func(t *testing.T) {
		// Redeemed in time, replayed after its time: still a replay.
		code := b.code(nil)
		tokens := s.on(t).wantTokens(s.on(t).redeem(code))
		s.advance(2 * time.Minute)
		s.on(t).wantError(s.on(t).redeem(code), http.StatusBadRequest, "invalid_grant")
		s.on(t).wantKilled(tokens)
	})
}

func TestT7WrongClientCredentialsLeaveTheCode(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	code := b.code(nil)
	for name, tc := range map[string]struct {
		change func(*http.Request)
		basic  bool
	}{
		"wrong secret": {as("app", "wrong"), true}, "no secret": {as("app", ""), true}, "unknown": {as("nobody", clientSecret), true},
		"none at all": {noBasic, false}, "broken Basic": {func(r *http.Request) { r.Header.Set("Authorization", "Basic !!!") }, true}, "id only": {byID("app"), false},
	} {
		t.Run("T7 "+name, func(t *testing.T) {
			a := s.on(t).redeem(code, tc.change)
			s.on(t).wantError(a, http.StatusUnauthorized, "invalid_client")
			if challenged := strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Basic "); challenged != tc.basic {
				t.Errorf("WWW-Authenticate %q", a.Header.Get("WWW-Authenticate"))
			}
		})
	}
	s.wantTokens(s.redeem(code))
}
