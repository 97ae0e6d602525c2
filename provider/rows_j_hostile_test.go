package provider_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/client"
	"gatehouse/provider/opaque"
	"gatehouse/provider/outbound"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
)

// Section J of the attack list: what a stranger can send to the registration endpoint, and what is left when a registration is gone.

// metadataMembers are all members of client metadata that the server knows, by their names in JSON.
func metadataMembers() map[string]reflect.Kind {
	members := map[string]reflect.Kind{}
	for field := range reflect.TypeFor[client.Metadata]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		members[name] = field.Type.Kind()
	}
	return members
}

// hostileMembers are values of members that somebody could hope to break something with.
func hostileMembers() map[string]any {
	values := map[string]any{
		"null": nil, "true": true, "number": 7, "below zero": -1, "fraction": 1.5, "large": json.RawMessage("99999999999999999999"), "1e400": json.RawMessage("1e400"), "object": object{"a": object{"b": 1}}, "list": []any{},
		"list of numbers": []any{1, 2}, "list of null": []any{nil}, "list of lists": []any{[]any{}}, "empty": "", "a list of the empty": []string{""}, "many": slices.Repeat([]string{"https://rp.example/x"}, 60),
		"deep":   json.RawMessage(strings.Repeat("[", 40) + strings.Repeat("]", 40)),
		"script": "javascript:alert(1)//", "long": strings.Repeat("x", 3000), "lines": "x\r\nSet-Cookie: gth_sid=evil\r\n\r\n<html>", "ANSI": "\x1b[2J\x1b]0;x\x07", "NUL": "a\x00b", "direction": "a\u202eb\u2066c", "separators": "a\u2028b\u2029c",
		"surrogate": json.RawMessage(`"\ud800"`), "SQL": "'; DROP TABLE clients; --", "template": "{{.Secret}}${jndi:ldap://x}%s%n", "path": "../../../etc/passwd",
		"address with credentials": "https://rp.example@evil.example/", "address with a back slash": `https://evil.example\@rp.example/`, "address inside": "https://127.0.0.1/x", "data": "data:text/html,<script>alert(1)</script>",
	}
	for name, text := range hostileValues {
		values[name] = text
		values["list of "+name] = []string{text}
	}
	return values
}

// Rows 124, 125, 191, 192: every member, and every hostile value: taken as plain data or refused by name, never a failure of ours.
func TestRow125HostileValuesInEveryMember(t *testing.T) {
	s := start(t, "memory", registers("open", everyOption), reaching(t, outbound.Options{Allow: []string{"127.0.0.1"}, Timeout: 200 * time.Millisecond}))
	hostile := hostileMembers()
	taken := 0
	for _, member := range slices.Sorted(maps.Keys(metadataMembers())) {
		t.Run("row 125 "+member, func(t *testing.T) {
			s := s.on(t)
			for name, value := range hostile {
				body := webApp(nil)
				body[member] = value // nil too: a member that is null
				a := s.call("POST", "/oauth2/register", "", body)
				switch {
				case a.Status == http.StatusCreated:
					taken++
					if read := s.manage("GET", a, "", nil); read.Status != 200 || member != "client_id" && read.Str("client_id") != a.Str("client_id") {
						t.Errorf("%s: what was registered cannot be read: %d %s", name, read.Status, read.Raw)
					}
					if strings.ContainsAny(a.Raw, "<>\x1b\r\n\x00") {
						t.Errorf("%s: the answer is not encoded: %s", name, a.Raw)
					}
				case a.Status != http.StatusBadRequest || !slices.Contains([]string{"invalid_client_metadata", "invalid_redirect_uri", "invalid_software_statement"}, a.Str("error")):
					t.Errorf("%s: %d %s", name, a.Status, a.Raw)
				case a.Str("error_description") == "" || strings.ContainsFunc(a.Str("error_description"), func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }):
					t.Errorf("%s: description %q", name, a.Str("error_description"))
				}
				if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Content-Type") != "application/json" {
					t.Errorf("%s: headers %v", name, a.Header)
				}
			}
		})
	}
	if taken < 100 {
		t.Errorf("only %d registrations were taken: the test proves little", taken)
	}
	for line := range strings.Lines(s.Log.String()) {
		if !json.Valid([]byte(line)) || strings.ContainsAny(strings.TrimSuffix(line, "\n"), "\x1b\x00\r\u2028\u202e") {
			t.Fatalf("row 192: a log line that is none: %q", line)
		}
	}
}

// Row 191: what a client says of itself is text on every page that shows it.
func TestRow191NamesOfRegisteredClientsAreText(t *testing.T) {
	s := start(t, "memory", registers("open"))
	s.user("ada@example.com")
	for name, text := range map[string]string{"markup": hostileValues["markup"], "script": hostileValues["script"], "template": hostileValues["template"], "entities": hostileValues["entities"], "quotes": hostileValues["quotes"]} {
		t.Run("row 191 "+name, func(t *testing.T) {
			s := s.on(t)
			a := s.register("", object{"client_name": text, "contacts": []string{text}, "software_id": text, "policy_uri": "https://rp.example/p?q=%22%3E%3Csvg%20onload=alert(1)%3E"})
			b := s.browser("ada@example.com")
			p := b.get(s.at(b.get(s.authorizeURL(url.Values{"client_id": {a.Str("client_id")}}))))
			for range 2 {
				if strings.Contains(p.Body, "<svg onload") || strings.Contains(p.Body, "<script>alert") || !strings.Contains(visible(t, p.Body), text) {
					t.Errorf("the page holds it as markup, or not at all: %s", cut(p.Body))
				}
				if hasForm(p.Body, "login") {
					p = b.submit(p, "login", url.Values{"username": {b.User}, "password": {password}})
					for p.Header.Get("Location") != "" {
						p = b.get(s.at(p))
					}
				}
			}
			if !hasForm(p.Body, "consent") {
				t.Error("the consent page was not seen")
			}
		})
	}
}

// Rows 122, 197: as much as is allowed works, a byte more does not, and what is built to be expensive is cheap.
func TestRow122SizesOfRegistrations(t *testing.T) {
	s := start(t, "memory", registers("open"))
	sized := func(size int) string {
		head, tail := `{"redirect_uris":["`+callback+`"],"x":"`, `"}`
		return head + strings.Repeat("a", size-len(head)-len(tail)) + tail
	}
	for size, want := range map[int]int{64 << 10: http.StatusCreated, 64<<10 + 1: http.StatusRequestEntityTooLarge, 1 << 20: http.StatusRequestEntityTooLarge} {
		a := s.call("POST", "/oauth2/register", "", sized(size))
		if a.Status != want {
			t.Errorf("%d bytes: %d %s, want %d", size, a.Status, a.Raw, want)
		}
		if want == http.StatusCreated {
			if strings.Contains(a.Raw, "aaaa") {
				t.Error("a member that nobody knows is kept")
			}
			stored, err := s.Store.Client(t.Context(), a.Str("client_id"))
			if kept, _ := json.Marshal(stored); err != nil || len(kept) > 4<<10 {
				t.Errorf("%d bytes are kept of it, %v", len(kept), err)
			}
		}
	}
	var uris []string
	for i := range 50 {
		uris = append(uris, callback+"/"+strings.Repeat("a", 1100)+string(rune('a'+i%26))+string(rune('a'+i/26)))
	}
	full := s.register("", object{"redirect_uris": uris})
	if got := full.list("redirect_uris"); !slices.Equal(got, uris) {
		t.Errorf("%d addresses of 50 were kept", len(got))
	}
	if read := s.manage("GET", full, "", nil); read.Status != 200 || len(read.list("redirect_uris")) != 50 {
		t.Errorf("GET: %d", read.Status)
	}
	for name, body := range map[string]string{
		"30,000 levels": `{"x":` + strings.Repeat("[", 30000) + strings.Repeat("]", 30000) + `}`, "30,000 open": `{"x":` + strings.Repeat("[", 30000), "objects": strings.Repeat(`{"a":`, 10000), "33 levels": `{"redirect_uris":["` + callback + `"],"x":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`,
		"10,000 members twice": `{` + strings.Repeat(`"a":1,`, 10000) + `"b":2}`, "twice inside jwks": `{"redirect_uris":["` + callback + `"],"jwks":{"keys":[],"keys":[]}}`, "twice in escapes": `{"client_name":"a","client\u005fname":"b","redirect_uris":["` + callback + `"]}`,
		"BOM": "\ufeff{}", "UTF-16": "\xff\xfe{\x00}\x00", "no UTF-8": "{\"client_name\":\"\xff\",\"redirect_uris\":[\"" + callback + "\"]}", "NaN": `{"default_max_age":NaN}`, "comment": `{/**/}`, "single quotes": `{'a':1}`, "two objects": `{}{}`, "a text": `"x"`,
	} {
		t.Run("row 122 "+name, func(t *testing.T) {
			s := s.on(t)
			webtest.Quick(t, time.Second, func() { // the row's 20 ms are for a machine that does nothing else
				s.wantError(s.call("POST", "/oauth2/register", "", body), http.StatusBadRequest, "invalid_client_metadata")
			})
		})
	}
	// Letters count: members in other case are other members.
	a := s.register("", object{"Redirect_URIs": []string{"https://evil.example/cb"}, "CLIENT_NAME": "Evil", "Scope": "admin", "Jwks_Uri": "https://127.0.0.1/"})
	if a.Str("client_name") != "App" || !slices.Equal(a.list("redirect_uris"), []string{callback}) || a.JSON["jwks_uri"] != nil {
		t.Errorf("row 119: %s", a.Raw)
	}
}

// Row 125: no key by value that a client should have kept to itself.
func TestRow125PrivateKeysAreRefusedWhereverTheyStand(t *testing.T) {
	s := start(t, "memory", registers("open"))
	public := object{"kty": "EC", "crv": "P-256", "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}
	for _, member := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"} {
		key := maps.Clone(public)
		key[member] = "jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"
		for name, keys := range map[string][]any{"alone": {key}, "behind a good one": {public, key}, "of an unknown type": {object{"kty": "AKP", "alg": "ML-DSA-44", member: "x"}}} {
			for _, method := range []string{"client_secret_basic", "private_key_jwt"} {
				a := s.call("POST", "/oauth2/register", "", webApp(object{"jwks": object{"keys": keys}, "token_endpoint_auth_method": method}))
				s.wantError(a, http.StatusBadRequest, "invalid_client_metadata")
				if !strings.HasPrefix(a.Str("error_description"), "jwks: ") || strings.Contains(a.Raw, "jpsQ") {
					t.Errorf("%s %s: %s", member, name, a.Raw)
				}
			}
		}
	}
	s.register("", object{"jwks": object{"keys": []any{public}}, "token_endpoint_auth_method": "private_key_jwt"})
	s.noSecrets("jpsQnnGQmL")
}

// Row 122: an initial access token registers one client, on however many nodes it is tried at the same time.
func TestRow122InitialTokenIsUsedOnceOnTwoNodes(t *testing.T) {
	onEveryBackendWith(t, func(s *server) {
		other := s.node(registers("token"))
		token := s.initialToken(time.Hour, false)
		var mu sync.Mutex
		var wg sync.WaitGroup
		count := map[int]int{}
		for i := range 50 {
			wg.Go(func() {
				a := []*server{s, other}[i%2].call("POST", "/oauth2/register", token, webApp(nil))
				mu.Lock()
				defer mu.Unlock()
				count[a.Status]++
			})
		}
		wg.Wait()
		if count[201] != 1 || count[401] != 49 || s.clients() != 1 {
			s.Errorf("row 122: %v, %d clients", count, s.clients())
		}
	}, registers("token"))
}

// Row 123: a deleted registration takes everything along, on every node within a second, and leaves no row that names it.
func TestRow123DeletedRegistrationsAreGoneEverywhere(t *testing.T) {
	for _, format := range []string{"jwt", "opaque"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			onEveryBackendWith(t, func(s *server) {
				subject := s.user("ada@example.com")
				other := s.node(registers("open", everyOption))
				a := s.register("", object{"access_token_format": format, "grant_types": []string{"authorization_code", "refresh_token"}, "subject_type": "pairwise"})
				s.goesWithItsClient(other, subject, a, format, func() {
					if gone := s.manage("DELETE", a, "", nil); gone.Status != http.StatusNoContent {
						s.Fatalf("DELETE: %d %s", gone.Status, gone.Raw)
					}
				})
			}, registers("open", everyOption))
		})
	}
}

// Row 122: so does one that ends because nobody used it.
func TestRow122ExpiredRegistrationsTakeEverythingAlong(t *testing.T) {
	soon := func(o *provider.Options) {
		o.Registration.ExpireUnused, o.Registration.ExpireIdle = time.Minute, time.Minute
	}
	onEveryBackendWith(t, func(s *server) {
		subject := s.user("ada@example.com")
		a := s.register("", object{"grant_types": []string{"authorization_code", "refresh_token"}})
		s.goesWithItsClient(s.node(registers("open", everyOption, soon)), subject, a, "jwt", func() {
			s.Clock.Advance(61*time.Second + storage.ClientGrace)
			for purged := 1; purged > 0; {
				var err error
				purged, err = s.Store.Purge(s.Context(), s.Clock.Now(), 100)
				s.ok(err)
			}
		})
	}, registers("open", everyOption, soon))
}

// goesWithItsClient gives a client everything that it can have, ends the client and demands that all of it is over.
func (s *server) goesWithItsClient(other *server, subject string, a answer, format string, end func()) {
	s.Helper()
	id, secret := a.Str("client_id"), a.Str("client_secret")
	mine := as(id, secret)
	b := s.browser("ada@example.com")
	tokens := s.wantOK(s.redeem(b.code(url.Values{"client_id": {id}}), mine))
	code := b.code(url.Values{"client_id": {id}})
	uri := s.post("/oauth2/par", s.pushable(url.Values{"client_id": {id}}), mine).Str("request_uri")
	s.ok(s.Store.PutLogo(s.Context(), &storage.Logo{ClientID: id, ContentType: "image/png", Data: []byte(onePixel), Fetched: s.Clock.Now()}))
	if strings.HasPrefix(tokens.Str("access_token"), "gth_at_") != (format == "opaque") || uri == "" {
		s.Fatalf("%s, %q", tokens.Raw, uri)
	}
	s.wantOK(other.userinfo(tokens.Str("access_token")))
	end()
	for _, node := range []*server{s, other} {
		s.within(time.Second, "everything is over", func() bool {
			return node.userinfo(tokens.Str("access_token")).Status == http.StatusUnauthorized && node.refresh(tokens.Str("refresh_token"), mine).Str("error") == "invalid_client" &&
				node.redeem(code, mine).Str("error") == "invalid_client" && node.manage("GET", a, "", nil).Status == http.StatusUnauthorized &&
				b.get(node.withPushed(uri, url.Values{"client_id": {id}})).StatusCode == http.StatusBadRequest && node.fetch(node.URL+"/client-logo/"+id).Status == http.StatusNotFound
		})
	}
	if _, err := s.Store.Consent(s.Context(), subject, id); !errors.Is(err, storage.ErrNotFound) {
		s.Errorf("the consent is left: %v", err)
	}
	for kind, token := range map[storage.TokenKind]string{
		storage.TokenRefresh: tokens.Str("refresh_token"), storage.TokenCode: code, storage.TokenPushed: strings.TrimPrefix(uri, "urn:ietf:params:oauth:request_uri:"),
	} {
		if row, err := s.Store.Token(s.Context(), kind, opaque.Signature(token)); !errors.Is(err, storage.ErrNotFound) {
			s.Errorf("the row of %s is left: %+v %v", kind, row, err)
		}
	}
	if sessions, err := s.Store.SessionsOf(s.Context(), subject); err != nil || len(sessions) != 1 {
		s.Errorf("the user's session went too: %d, %v", len(sessions), err)
	}
}

// Rows 55, 56, 59 for pairwise clients: revocation by the client itself, by its client row, and by nobody else, on every backend.
func TestRow56PairwiseClientsRevokeTheirOwn(t *testing.T) {
	for _, format := range []string{"jwt", "opaque"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			onEveryBackendWith(t, func(s *server) {
				s.client(pairwise("app", "shop.example"), func(c *storage.Client) { c.AccessToken = format })
				s.client(pairwise("twin", "shop.example"), func(c *storage.Client) { c.AccessToken = format })
				s.user("ada@example.com")
				b, other := s.browser("ada@example.com"), s.node(quickKeys)
				a, twin := b.tokensOf("app", nil), b.tokensOf("twin", nil)
				revoke := func(token string, auth ...func(*http.Request)) {
					s.wantOK(s.post("/oauth2/revoke", url.Values{"token": {token}}, auth...))
				}
				revoke(a.Str("access_token"), as("twin", clientSecret)) // row 55: the same sector, and still another client
				revoke(a.Str("refresh_token"), as("twin", clientSecret))
				if !s.active(a.Str("access_token")) || !s.active(a.Str("refresh_token")) || s.introspect(a.Str("access_token"), as("twin", clientSecret)).Raw != inactive {
					s.Error("row 55: the twin revoked, or sees, what is not its own")
				}
				revoke(a.Str("access_token"))
				other.within(time.Second, "the access token is dead", func() bool { return !other.active(a.Str("access_token")) })
				if !s.active(a.Str("refresh_token")) {
					s.Error("row 56: the refresh token died with the access token")
				}
				again := s.wantOK(s.refresh(a.Str("refresh_token")))
				revoke(again.Str("refresh_token"))
				other.within(time.Second, "the grant is dead", func() bool {
					return !other.active(again.Str("access_token")) && !other.active(again.Str("refresh_token"))
				})
				last := b.tokensOf("app", nil)
				s.Clock.Advance(time.Millisecond)
				s.store(storage.Revocation{Kind: storage.RevokeClient, ID: "app"})
				for _, node := range []*server{s, other} {
					node.within(time.Second, "all tokens of the client are dead", func() bool { return !node.active(last.Str("access_token")) && !node.active(last.Str("refresh_token")) })
				}
				if s.introspect(twin.Str("access_token"), as("twin", clientSecret)).JSON["active"] != true {
					s.Error("row 59: the twin's token died too")
				}
			}, quickKeys)
		})
	}
}

// Row 120: neither an attribute of the user nor the claims parameter takes the place of what tokens say of themselves, in no kind of token.
func TestRow120NothingTakesTheProtocolsPlace(t *testing.T) {
	names := []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "azp", "nonce", "auth_time", "acr", "amr", "sid", "at_hash", "c_hash", "s_hash", "cnf", "act", "scope", "client_id", "gid", "events", "claims"}
	s := start(t, "memory", quickKeys, everything)
	s.client(frontChannel, func(c *storage.Client) { c.FirstParty, c.UserinfoAlg = true, "ES256" })
	subject := s.user("ada@example.com", fullUser, func(u *storage.User) {
		for _, name := range names {
			u.Claims[name] = "evil"
		}
	})
	asked := object{}
	for _, name := range names {
		if name != "sub" && name != "acr" { // those two mean something
			asked[name] = object{"essential": true, "value": "evil"}
		}
	}
	claims, err := json.Marshal(object{"userinfo": asked, "id_token": asked})
	s.ok(err)
	b := s.browser("ada@example.com")
	b.code(nil)
	var tokens []string
	for _, responseType := range []string{"id_token", "id_token token", "code id_token token"} {
		params := s.wantAnswer(b.get(s.authorizeURL(url.Values{"response_type": {responseType}, "claims": {string(claims)}})), "fragment", "")
		tokens = append(tokens, params.Get("id_token"))
		if access := params.Get("access_token"); access != "" {
			tokens = append(tokens, access, s.wantOK(s.userinfo(access)).Raw)
		}
		if code := params.Get("code"); code != "" {
			a := s.wantOK(s.redeem(code))
			tokens = append(tokens, a.Str("id_token"), a.Str("access_token"), s.wantOK(s.userinfo(a.Str("access_token"))).Raw)
		}
	}
	for _, token := range tokens {
		payload := jwtPayload(t, token)
		for name, value := range payload {
			if value == "evil" {
				t.Errorf("row 120: %s is the user's in %v", name, payload)
			}
		}
		if payload["iss"] != s.URL || payload["sub"] != subject {
			t.Errorf("row 120: %v", payload)
		}
		part := strings.Split(token, ".")[1]
		for _, name := range names {
			if raw := decoded(t, part); strings.Count(raw, `"`+name+`":`) > 1 {
				t.Errorf("row 120: %s is there twice: %s", name, raw)
			}
		}
	}
}

func decoded(t *testing.T, part string) string {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(part)
	if err != nil {
		t.Fatal(err)
	}
	return string(raw)
}
