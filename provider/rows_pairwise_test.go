package provider_test

import (
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/oauth"
	"gatehouse/storage"
)

// Pairwise subjects (OpenID Connect Core section 8.1, ruling 45): what goes to a client names the user for its sector only, and what comes back is understood.

// pairwise makes a client pairwise in a sector, with an id of its own.
func pairwise(id, sector string) func(*storage.Client) {
	return func(c *storage.Client) { c.ID, c.SubjectType, c.Sector = id, "pairwise", sector }
}

// tokensOf signs ada in at a client in a browser and redeems the code.
func (b *browser) tokensOf(id string, values url.Values) answer {
	b.s.Helper()
	all := url.Values{"client_id": {id}}
	maps.Copy(all, values)
	return b.s.wantOK(b.s.redeem(b.code(all), as(id, clientSecret)))
}

// names are everything by which an answer names user and session, at every endpoint.
func (s *server) names(id string, a answer) (subs, sids []any) {
	s.Helper()
	idToken := jwtPayload(s.T, a.Str("id_token"))
	access := s.wantOK(s.introspect(a.Str("access_token"), as(id, clientSecret)))
	refresh := s.wantOK(s.introspect(a.Str("refresh_token"), as(id, clientSecret)))
	subs = []any{idToken["sub"], access.JSON["sub"], refresh.JSON["sub"], s.wantOK(s.userinfo(a.Str("access_token"))).JSON["sub"]}
	sids = []any{idToken["sid"], access.JSON["sid"]}
	if strings.Count(a.Str("access_token"), ".") == 2 {
		claims := jwtPayload(s.T, a.Str("access_token"))
		subs, sids = append(subs, claims["sub"]), append(sids, claims["sid"])
	}
	if refresh.JSON["sid"] != nil {
		sids = append(sids, refresh.JSON["sid"])
	}
	return subs, sids
}

func TestRuling45PairwiseNamesAreOnePerSector(t *testing.T) {
	s := start(t, "sqlite")
	s.client()
	s.client(pairwise("one", "shop.example"))
	s.client(pairwise("two", "shop.example"), func(c *storage.Client) { c.AccessToken = "opaque" })
	s.client(pairwise("three", "bank.example"))
	s.client(pairwise("four", ""))
	s.client(pairwise("five", ""))
	ada, bob := s.user("ada@example.com"), s.user("bob@example.com")
	b := s.browser("ada@example.com")
	found := map[string][2]string{}
	for _, id := range []string{"app", "one", "two", "three", "four", "five"} {
		a := b.tokensOf(id, nil)
		for _, step := range []answer{a, s.wantOK(s.refresh(a.Str("refresh_token"), as(id, clientSecret)))} {
			subs, sids := s.names(id, step)
			for _, list := range [][]any{subs, sids} {
				list = slices.DeleteFunc(list, func(v any) bool { return v == nil }) // a refreshed offline token has no session
				if len(slices.Compact(list)) != 1 {
					t.Errorf("%s: the endpoints disagree: %v", id, list)
				}
			}
			sub, sid := subs[0].(string), sids[0].(string)
			if before, again := found[id]; again && before != [2]string{sub, sid} {
				t.Errorf("T10: %s: the names changed with a refresh", id)
			}
			found[id] = [2]string{sub, sid}
			if strings.ContainsFunc(sub, func(c rune) bool { return c < '!' || c > '~' }) || len(sub) > 255 {
				t.Errorf("T13: sub %q", sub)
			}
		}
	}
	if found["app"][0] != ada || found["one"] != found["two"] {
		t.Errorf("names %v", found)
	}
	for i := range 2 {
		seen := map[string]string{}
		for _, id := range []string{"app", "one", "three", "four", "five"} {
			if other, taken := seen[found[id][i]]; taken {
				t.Errorf("%s and %s can tell that they have the same user", id, other)
			}
			seen[found[id][i]] = id
			if id != "app" && strings.Contains(found[id][i], found["app"][i]) {
				t.Errorf("%s sees the name that the server uses", id)
			}
		}
	}
	if raw, err := base64.RawURLEncoding.DecodeString(found["one"][0]); err != nil || strings.Contains(string(raw), ada) {
		t.Errorf("the pairwise sub is %q", raw)
	}
	// The same names on another node, and for another user another one.
	other := s.node()
	elsewhere := s.wantOK(other.redeem(b.code(url.Values{"client_id": {"one"}}), as("one", clientSecret)))
	if subs, _ := other.names("one", elsewhere); subs[0] != found["one"][0] {
		t.Error("another node makes other names")
	}
	if subs, _ := s.names("one", s.browser("bob@example.com").tokensOf("one", nil)); subs[0] == found["one"][0] || subs[0] == bob {
		t.Error("bob is ada, or known by the name that the server uses")
	}
	s.wantNoSecrets()
}

// RFC 9068: a resource server that introspects gets the sub that the token carries.
func TestResourceServersSeeTheSubOfTheToken(t *testing.T) {
	const api = "https://files.example/api"
	s := start(t, "memory", func(o *provider.Options) {
		o.Resources = []oauth.Resource{{URI: api, IntrospectionClients: []string{"files"}}}
	})
	for _, format := range []string{"jwt", "opaque"} {
		s.client(pairwise(format, "shop.example"), func(c *storage.Client) { c.AccessToken, c.Audience = format, []string{api} })
	}
	s.client(func(c *storage.Client) { c.ID = "files" })
	ada := s.user("ada@example.com")
	b := s.browser("ada@example.com")
	var subs []string
	for _, format := range []string{"jwt", "opaque"} {
		a := b.tokensOf(format, url.Values{"resource": {api}})
		seen := s.wantOK(s.introspect(a.Str("access_token"), as("files", clientSecret)))
		if seen.JSON["active"] != true || seen.Str("sub") != jwtPayload(t, a.Str("id_token"))["sub"] || seen.Str("sub") == ada {
			t.Errorf("%s: %s", format, seen.Raw)
		}
		subs = append(subs, seen.Str("sub"))
	}
	if subs[0] != subs[1] {
		t.Errorf("subs %v", subs)
	}
}

// Everything that revokes by the name that the server uses finds pairwise tokens too, on every backend and for both formats.
func TestRow59RevocationsFindPairwiseTokens(t *testing.T) {
	for _, format := range []string{"jwt", "opaque"} {
		t.Run(format, func(t *testing.T) {
			onEveryBackend(t, func(s *server) {
				s.client(pairwise("app", "shop.example"), func(c *storage.Client) { c.AccessToken = format })
				s.client(pairwise("other", "shop.example"), func(c *storage.Client) { c.AccessToken = format })
				other := s.node()
				for name, revoke := range map[string]func(subject, session string){
					"subject": func(subject, _ string) { s.store(storage.Revocation{Kind: storage.RevokeSubject, ID: subject}) },
					"subject and client": func(subject, _ string) {
						s.store(storage.Revocation{Kind: storage.RevokeSubjectClient, ID: storage.SubjectClient(subject, "app")})
					},
					"session":     func(_, session string) { s.ok(s.Store.EndSession(s.Context(), session)) },
					"password":    func(subject, _ string) { s.ok(s.Store.SetPassword(s.Context(), subject, "unusable")) },
					"consent":     func(subject, _ string) { s.ok(s.Store.RevokeConsent(s.Context(), subject, "app")) },
					"deleted":     func(subject, _ string) { s.ok(s.Store.DeleteUser(s.Context(), subject)) },
					"wrong names": nil,
				} {
					subject := s.user(strings.ReplaceAll(name, " ", "-") + "@example.com")
					b := s.browser(strings.ReplaceAll(name, " ", "-") + "@example.com")
					a := b.tokensOf("app", nil)
					sub, sid := jwtPayload(s.T, a.Str("id_token"))["sub"].(string), jwtPayload(s.T, a.Str("id_token"))["sid"].(string)
					sessions, err := s.Store.SessionsOf(s.Context(), subject)
					if err != nil || len(sessions) != 1 || sessions[0].ID == sid || !other.active(a.Str("access_token")) {
						s.Fatalf("%s: %d sessions, %v", name, len(sessions), err)
					}
					if revoke == nil { // the client's own names mean nothing inside
						s.store(storage.Revocation{Kind: storage.RevokeSubject, ID: sub})
						s.store(storage.Revocation{Kind: storage.RevokeSession, ID: sid})
						canary := b.tokensOf("other", nil).Str("access_token")
						s.store(storage.Revocation{Kind: storage.RevokeToken, ID: s.introspect(canary, as("other", clientSecret)).Str("jti")})
						other.within(time.Second, "the other node has heard of it", func() bool { return other.introspect(canary, as("other", clientSecret)).Raw == inactive })
						if !other.active(a.Str("access_token")) {
							s.Errorf("%s: a token died", name)
						}
						continue
					}
					revoke(subject, sessions[0].ID)
					for _, node := range []*server{s, other} {
						node.within(time.Second, name, func() bool {
							return !node.active(a.Str("access_token")) && node.userinfo(a.Str("access_token")).Status == http.StatusUnauthorized
						})
					}
				}
			})
		})
	}
}

// A14: a hint names the user as the client knows him. Row 23: another client's hint, of another sector or of the same, means nobody.
func TestA14Ruling45HintOfAPairwiseClient(t *testing.T) {
	s := start(t, "memory")
	s.client()
	s.client(pairwise("one", "shop.example"))
	s.client(pairwise("two", "shop.example"))
	s.client(pairwise("three", "bank.example"))
	s.user("ada@example.com")
	s.user("bob@example.com")
	b, bob := s.browser("ada@example.com"), s.browser("bob@example.com")
	hints := map[string]string{}
	for _, id := range []string{"app", "one", "two", "three"} {
		hints[id] = b.tokensOf(id, nil).Str("id_token")
	}
	bobs := bob.tokensOf("one", nil).Str("id_token")
	silent := func(id, hint string) url.Values {
		return b.callback(url.Values{"client_id": {id}, "prompt": {"none"}, "id_token_hint": {hint}})
	}
	for id, hint := range hints {
		if got := silent(id, hint); got.Get("code") == "" {
			t.Errorf("A14: %s with its own hint: %v", id, got)
		}
		for other := range hints {
			if got := silent(other, hint); other != id && got.Get("error") != "invalid_request" {
				t.Errorf("row 23: %s with a hint of %s: %v", other, id, got)
			}
		}
	}
	if got := silent("one", bobs); got.Get("error") != "login_required" {
		t.Errorf("A14: bob's hint: %v", got)
	}
	// A client that became pairwise does not know users by their old names, nor do its old tokens live.
	a := b.tokensOf("app", nil)
	if _, err := s.Store.UpdateClient(t.Context(), "app", func(c *storage.Client) error {
		c.SubjectType, c.Sector = "pairwise", "shop.example"
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	s.within(time.Second, "old names", func() bool { return !s.active(a.Str("access_token")) })
	if got := silent("app", a.Str("id_token")); got.Get("error") != "invalid_request" {
		t.Errorf("a hint with an old name: %v", got)
	}
	// One that is public again: what it was given as pairwise still dies with its user.
	now := b.tokensOf("app", nil)
	if _, err := s.Store.UpdateClient(t.Context(), "app", func(c *storage.Client) error { c.SubjectType = "public"; return nil }); err != nil {
		t.Fatal(err)
	}
	s.within(time.Second, "public again", func() bool {
		return b.tokensOf("app", nil).Str("id_token") != "" && s.active(now.Str("access_token"))
	})
	s.store(storage.Revocation{Kind: storage.RevokeSubject, ID: "sub-ada-example-com"})
	s.within(time.Second, "the token dies with its user", func() bool { return !s.active(now.Str("access_token")) })
}

// Row 111: the names of clients and those of users never mix.
func TestRow111ClientCredentialsOfAPairwiseClient(t *testing.T) {
	for _, format := range []string{"jwt", "opaque"} {
		s := start(t, "memory")
		s.daemon(pairwise("app", "shop.example"), func(c *storage.Client) { c.AccessToken = format })
		s.user("ada@example.com", func(u *storage.User) { u.Subject = "app" })
		token := s.wantOK(s.credentials()).Str("access_token")
		if a := s.introspect(token); a.Str("sub") != "app" || a.JSON["active"] != true {
			t.Errorf("%s: %s", format, a.Raw)
		}
		s.wantBearer(s.userinfo(token), http.StatusForbidden, "insufficient_scope")
		s.client(func(c *storage.Client) { c.ID = "web" })
		user := s.browser("ada@example.com").tokensOf("web", nil).Str("access_token")
		s.store(storage.Revocation{Kind: storage.RevokeSubject, ID: "app"})
		s.within(time.Second, "the user's token dies", func() bool { return s.introspect(user, as("web", clientSecret)).Raw == inactive })
		if !s.active(token) {
			t.Errorf("%s: the client died with a user", format)
		}
	}
}

// A client that leaves pairwise has one kind of names from then on: it must not find out whom a name of its former sector means.
func TestRuling45AClientThatIsPublicNowOpensNoNamesOfTheSector(t *testing.T) {
	s := start(t, "memory")
	s.client(pairwise("victim", "victim.example"))
	s.client(func(c *storage.Client) { c.ID, c.Sector = "spy", "victim.example" })
	s.user("ada@example.com")
	b := s.browser("ada@example.com")
	sub := fmt.Sprint(jwtPayload(t, s.wantOK(s.redeem(b.code(url.Values{"client_id": {"victim"}}), as("victim", clientSecret))).Str("id_token"))["sub"])
	b.code(url.Values{"client_id": {"spy"}})
	for _, name := range []string{sub, "nobody"} {
		claims := `{"id_token":{"sub":{"value":"` + name + `"}}}`
		s.wantRedirect(b.get(s.authorizeURL(url.Values{"client_id": {"spy"}, "prompt": {"none"}, "claims": {claims}})), "login_required")
	}
}
