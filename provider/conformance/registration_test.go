package conformance

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"gatehouse/provider/opaque"
	"gatehouse/storage"
)

// Lines R1 to R10, T1 for client_secret_jwt, and trap 14: dynamic registration (RFC 7591 and RFC 7592). The server of these tests registers openly, with the
// profile compatible.

// metadata are members of a registration; nil removes a default.
type metadata map[string]any

// send sends JSON with a bearer token, which may be empty.
func (s *suite) send(method, target, token string, body any) *answer {
	s.Helper()
	var reader io.Reader
	if body != nil {
		encoded, err := json.Marshal(body)
		if err != nil {
			s.Fatal(err)
		}
		reader = strings.NewReader(string(encoded))
	}
	r, err := http.NewRequest(method, target, reader)
	if err != nil {
		s.Fatal(err)
	}
	r.Header.Set("Accept", "application/json")
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return s.do(r)
}

// folder is a client at the relying party before it has an id.
func (s *suite) folder() string { return s.rp.URL + "/" + s.person.Subject }

// register sends a registration with one redirect URI. {rp} in strings stands for the folder.
func (s *suite) register(m metadata) *answer {
	s.Helper()
	body := metadata{"client_name": "Example App", "redirect_uris": []string{s.folder() + "/callback"}}
	maps.Copy(body, m)
	maps.DeleteFunc(body, func(_ string, v any) bool { return v == nil })
	text := strings.ReplaceAll(asJSON(body), "{rp}", s.folder())
	return s.send("POST", s.URL+"/oauth2/register", "", json.RawMessage(text))
}

// registration is a client that registered itself.
type registration struct {
	*client
	Answer     *answer
	URI, Token string
}

// registered demands that a registration succeeds.
func (s *suite) registered(m metadata) *registration {
	s.Helper()
	a := s.register(m)
	if a.Status != http.StatusCreated || a.Str("client_id") == "" {
		s.Fatalf("register %v: %d %s", m, a.Status, a.Raw)
	}
	a.wantNoStore()
	c := &client{s: s, ID: a.Str("client_id"), Secret: a.Str("client_secret"), Callback: s.folder() + "/callback"}
	return &registration{client: c, Answer: a, URI: a.Str("registration_client_uri"), Token: a.Str("registration_access_token")}
}

func TestR1RegistrationEchoesMetadata(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.registered(metadata{"contacts": []string{"ada@example.com"}})
		a := c.Answer
		if a.Str("client_secret") == "" || a.JSON["client_secret_expires_at"] != 0.0 || a.Str("client_name") != "Example App" || a.Str("token_endpoint_auth_method") != "client_secret_basic" {
			s.Errorf("%s", a.Raw)
		}
		if issued, _ := a.JSON["client_id_issued_at"].(float64); int64(issued) < s.Clock.Now().Unix()-5 || int64(issued) > s.Clock.Now().Unix()+1 {
			s.Errorf("client_id_issued_at %v", a.JSON["client_id_issued_at"])
		}
		for name, want := range map[string][]string{"redirect_uris": {c.Callback}, "grant_types": {"authorization_code"}, "response_types": {"code"}, "contacts": {"ada@example.com"}} {
			if got := s.list(a.JSON, name); !slices.Equal(got, want) {
				s.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		// Trap 1: the client works at once, with and without PKCE, for every scope.
		c.redeem(s.browser().authorize(c.client, plain.with(values{"scope": "openid profile email address phone"})).code(), values{"code_verifier": ""}).wantTokens()
		c.redeem(s.browser().authorize(c.client, nil).code(), nil).wantTokens()
	})
}

func TestR1PublicClientGetsNoSecret(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.registered(metadata{"token_endpoint_auth_method": "none"})
		if c.Answer.JSON["client_secret"] != nil || c.Answer.JSON["client_secret_expires_at"] != nil {
			s.Errorf("%s", c.Answer.Raw)
		}
		c.redeem(s.browser().authorize(c.client, nil).code(), nil).wantTokens()
		s.browser().authorize(c.client, plain).wantError("invalid_request")
	})
}

func TestR2Management(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.registered(metadata{"refresh": "ignored", "grant_types": []string{"authorization_code", "refresh_token"}})
		if !strings.HasPrefix(c.URI, s.URL+"/") || !strings.HasPrefix(c.Token, opaque.Registration) {
			s.Fatalf("registration_client_uri %q, registration_access_token %q", c.URI, c.Token)
		}
		read := s.send("GET", c.URI, c.Token, nil)
		if read.Status != http.StatusOK || read.Str("client_id") != c.ID || read.Str("client_name") != "Example App" || read.JSON["refresh"] != nil {
			s.Errorf("GET: %d %s", read.Status, read.Raw)
		}
		read.wantNoStore()
		for _, token := range []string{"", "junk", c.Token + "x", s.registered(nil).Token} {
			if a := s.send("GET", c.URI, token, nil); a.Status != http.StatusUnauthorized || !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer") {
				s.Errorf("GET with %q: %d %s", token, a.Status, a.Raw)
			}
		}
		s.manage(c, read)
		if a := s.send("DELETE", c.URI, c.Token, nil); a.Status != http.StatusNoContent || a.Raw != "" {
			s.Errorf("DELETE: %d %s", a.Status, a.Raw)
		}
		if a := s.send("GET", c.URI, c.Token, nil); a.Status != http.StatusUnauthorized {
			s.Errorf("GET after DELETE: %d", a.Status)
		}
		s.browser().authorize(c.client, nil).wantPage(http.StatusBadRequest)
	})
}

// manage is the PUT of a management test: it replaces everything (RFC 7592 section 2.2).
func (s *suite) manage(c *registration, read *answer) {
	s.Helper()
	body := maps.Clone(read.JSON)
	for _, name := range []string{"registration_client_uri", "registration_access_token", "client_secret_expires_at", "client_id_issued_at"} {
		delete(body, name)
	}
	body["client_name"], body["redirect_uris"] = "Renamed", []string{c.Callback, s.folder() + "/second"}
	a := s.send("PUT", c.URI, c.Token, body)
	if a.Status != http.StatusOK || a.Str("client_name") != "Renamed" || len(s.list(a.JSON, "redirect_uris")) != 2 {
		s.Errorf("PUT: %d %s", a.Status, a.Raw)
	}
	if token := a.Str("registration_access_token"); token != "" {
		c.Token = token // a server may rotate it
	}
	for _, wrong := range []map[string]any{{"client_id": "other"}, {"client_secret": "chosen by the client"}, {"redirect_uris": []string{s.folder() + "/x#fragment"}}, {"client_id": nil}} {
		bad := maps.Clone(body)
		maps.Copy(bad, wrong)
		maps.DeleteFunc(bad, func(_ string, v any) bool { return v == nil })
		if a := s.send("PUT", c.URI, c.Token, bad); a.Status != http.StatusBadRequest {
			s.Errorf("PUT with %v: %d %s", wrong, a.Status, a.Raw)
		}
	}
	s.browser().authorize(c.client, values{"redirect_uri": s.folder() + "/second"}).code()
}

// initial mints an initial access token as the command line does.
func (s *suite) initial(life time.Duration) string {
	s.Helper()
	token, signature := opaque.Mint(opaque.Initial)
	now := s.Clock.Now()
	if err := s.Store.CreateToken(s.Context(), &storage.Token{
		Kind: storage.TokenInitial, Signature: signature, GrantID: uuid.Must(uuid.NewV7()).String(), Payload: []byte("{}"), Created: now, Expires: now.Add(life), GrantExpires: now.Add(life),
	}); err != nil {
		s.Fatal(err)
	}
	return token
}

func TestR3OpenByTokenOrOff(t *testing.T) {
	onBackends(t, func(s *suite) {
		body := metadata{"redirect_uris": []string{s.folder() + "/callback"}}
		s.registered(nil) // open
		byToken := s.node(registrationMode("token"))
		for _, token := range []string{"", "junk", s.registered(nil).Token} {
			if a := byToken.send("POST", byToken.URL+"/oauth2/register", token, body); a.Status != http.StatusUnauthorized || !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Bearer") {
				s.Errorf("token %q: %d %s", token, a.Status, a.Raw)
			}
		}
		token := s.initial(time.Hour)
		if a := byToken.send("POST", byToken.URL+"/oauth2/register", token, metadata{"redirect_uris": []string{"x#y"}}); a.Status != http.StatusBadRequest {
			s.Errorf("bad metadata: %d %s", a.Status, a.Raw)
		}
		if a := byToken.send("POST", byToken.URL+"/oauth2/register", token, body); a.Status != http.StatusCreated {
			s.Errorf("after a mistake the token must still work: %d %s", a.Status, a.Raw)
		}
		if a := byToken.send("POST", byToken.URL+"/oauth2/register", token, body); a.Status != http.StatusUnauthorized {
			s.Errorf("the second use: %d %s", a.Status, a.Raw)
		}
		off := s.node(registrationMode("off"))
		if a := off.send("POST", off.URL+"/oauth2/register", s.initial(time.Hour), body); a.Status != http.StatusNotFound {
			s.Errorf("off: %d %s", a.Status, a.Raw)
		}
		if off.metadata()["registration_endpoint"] != nil || byToken.metadata()["registration_endpoint"] == nil {
			s.Error("discovery does not say what is so")
		}
	})
}

func TestR4ErrorsAre400JSON(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, uris := range [][]string{{"{rp}/callback#fragment"}, {"not a uri"}, {"javascript:alert(1)"}, {"http://rp.example/callback"}, {"{rp}/callback", "{rp}/x#"}} {
			s.register(metadata{"redirect_uris": uris}).wantError(http.StatusBadRequest, "invalid_redirect_uri")
		}
		s.register(metadata{"redirect_uris": []string{}}).wantError(http.StatusBadRequest, "invalid_redirect_uri", "invalid_client_metadata")
		s.register(metadata{"redirect_uris": nil}).wantError(http.StatusBadRequest, "invalid_redirect_uri", "invalid_client_metadata")
		for _, body := range []any{[]string{"a"}, "text", json.RawMessage(`{"redirect_uris":"one"}`), metadata{}, json.RawMessage(`{"redirect_uris":["{rp}/callback"],"client_name":5}`)} {
			a := s.send("POST", s.URL+"/oauth2/register", "", body)
			a.wantError(http.StatusBadRequest, "invalid_client_metadata", "invalid_redirect_uri", "invalid_request")
		}
		s.register(metadata{"software_statement": "a.b.c"}).wantError(http.StatusBadRequest, "invalid_software_statement", "unapproved_software_statement")
		for name, value := range map[string]any{
			"token_endpoint_auth_method": "magic", "id_token_signed_response_alg": "HS999", "subject_type": "odd", "logo_uri": "javascript:alert(1)", "application_type": "toaster",
			"default_max_age": -1, "contacts": "ada", "request_object_signing_alg": "RS1",
		} {
			s.register(metadata{name: value}).wantError(http.StatusBadRequest, "invalid_client_metadata")
		}
	})
}

func TestR5KeysByValueOrByReference(t *testing.T) {
	everywhere(t, func(s *suite) {
		set := rawKeys(own.rs256().without(), own.es256().without())
		c := s.registered(metadata{"token_endpoint_auth_method": "private_key_jwt", "jwks": set})
		if c.Answer.JSON["client_secret"] != nil || c.Answer.JSON["jwks"] == nil {
			s.Errorf("%s", c.Answer.Raw)
		}
		c.redeemBy(own.rs256().without().sign("", c.assertion(nil))).wantTokens() // trap 3
		s.rp.serve("/"+s.person.Subject+"/jwks", document{ContentType: "application/json", Body: jwkSet(own.es256())})
		c = s.registered(metadata{"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "{rp}/jwks"})
		c.redeemBy(own.es256().sign("", c.assertion(nil))).wantTokens()
		s.register(metadata{"jwks": set, "jwks_uri": "{rp}/jwks"}).wantError(http.StatusBadRequest, "invalid_client_metadata")
		s.register(metadata{"token_endpoint_auth_method": "private_key_jwt"}).wantError(http.StatusBadRequest, "invalid_client_metadata")
	})
}

func TestR6DescriptiveMetadataIsKept(t *testing.T) {
	everywhere(t, func(s *suite) {
		s.rp.serve("/"+s.person.Subject+"/logo.png", document{ContentType: "image/png", Body: onePixel})
		sent := metadata{
			"request_uris": []string{"{rp}/request#abc", "{rp}/other"}, "initiate_login_uri": "{rp}/initiate", "logo_uri": "{rp}/logo.png", "policy_uri": "{rp}/policy", "tos_uri": "{rp}/tos",
			"client_uri": "{rp}/", "contacts": []string{"ada@example.com", "grace@example.com"}, "software_id": "4NRB1-0XZABZI9E6-5SM3R", "software_version": "2.1", "default_acr_values": []string{"1"},
			"default_max_age": 600, "require_auth_time": true, "application_type": "web",
		}
		c := s.registered(sent)
		want := map[string]any{}
		if err := json.Unmarshal([]byte(strings.ReplaceAll(asJSON(sent), "{rp}", s.folder())), &want); err != nil {
			s.Fatal(err)
		}
		for _, a := range []*answer{c.Answer, s.send("GET", c.URI, c.Token, nil)} {
			for name, value := range want {
				if asJSON(a.JSON[name]) != asJSON(value) {
					s.Errorf("%s is %v, want %v", name, a.JSON[name], value)
				}
			}
		}
		b := s.browser()
		c.client.s.showsClientIn(b, c, b.follow(c.home(), c.url(nil)))
		s.register(metadata{"initiate_login_uri": strings.Replace(s.folder(), "https:", "http:", 1)}).wantError(http.StatusBadRequest, "invalid_client_metadata")
		s.register(metadata{"request_uris": []string{"not a uri"}}).wantError(http.StatusBadRequest, "invalid_client_metadata")
	})
}

// showsClientIn is the login page of a client that registered itself: its links and its logo, which the server fetched.
func (s *suite) showsClientIn(b *browser, c *registration, p *page) {
	s.Helper()
	if p.form("login") == nil || text(p.id("client-name")) != "Example App" {
		s.Fatalf("no login page of the client: %s", p.Body)
	}
	for _, path := range []string{"/policy", "/tos"} {
		if !slices.ContainsFunc(p.all("a"), isLink(s.folder()+path)) {
			s.Errorf("no link to %s", path)
		}
	}
	for _, image := range p.all("img") {
		target, err := p.URL.Parse(attr(image, "src"))
		if err != nil || !strings.Contains(target.Path, c.ID) {
			continue
		}
		s.eventually("the logo is served", func() bool {
			logo := b.travel(journey{method: "GET", target: target.String(), from: p})
			return logo.Status == http.StatusOK && logo.Body == onePixel
		})
		return
	}
	s.Errorf("no logo: %s", p.Body)
}

func TestR7LogoutMetadataIsKept(t *testing.T) {
	everywhere(t, func(s *suite) {
		sent := metadata{
			"post_logout_redirect_uris": []string{"{rp}/bye", "{rp}/bye2"}, "backchannel_logout_uri": "{rp}/backchannel", "backchannel_logout_session_required": true,
			"frontchannel_logout_uri": "{rp}/frontchannel?x=1", "frontchannel_logout_session_required": true,
		}
		c := s.registered(sent)
		for name, value := range sent {
			want := strings.ReplaceAll(asJSON(value), "{rp}", s.folder())
			if got := asJSON(s.send("GET", c.URI, c.Token, nil).JSON[name]); got != want {
				s.Errorf("%s is %s, want %s", name, got, want)
			}
		}
		for _, name := range []string{"backchannel_logout_uri", "frontchannel_logout_uri"} {
			for _, uri := range []string{"{rp}/x#fragment", "javascript:alert(1)", "relative"} {
				s.register(metadata{name: uri}).wantError(http.StatusBadRequest, "invalid_client_metadata")
			}
		}
	})
}

func TestR8PairwiseSubjects(t *testing.T) {
	everywhere(t, func(s *suite) {
		sector := "/" + s.person.Subject + "/sector"
		s.rp.serve(sector, document{ContentType: "application/json", Body: asJSON([]string{s.folder() + "/callback", s.folder() + "/second"})})
		both := metadata{"subject_type": "pairwise", "sector_identifier_uri": "{rp}/sector", "redirect_uris": []string{"{rp}/callback", "{rp}/second"}}
		first, second, public := s.registered(both), s.registered(both), s.registered(nil)
		if len(s.rp.at(sector)) == 0 {
			s.Error("the sector document was not fetched")
		}
		sub := func(c *registration) string {
			a := c.redeem(s.browser().authorize(c.client, values{"scope": "openid"}).code(), nil).wantTokens()
			token := c.idToken(a.Str("id_token"))
			if info := s.userinfo(a.Str("access_token")); info.Str("sub") != token.Str("sub") {
				s.Errorf("userinfo says %q, the ID token %q", info.Str("sub"), token.Str("sub"))
			}
			return token.Str("sub")
		}
		a, b := sub(first), sub(second)
		if a != b || a == s.person.Subject || sub(public) != s.person.Subject || a != sub(first) {
			s.Errorf("pairwise %s and %s, public %s", a, b, s.person.Subject)
		}
		missing := maps.Clone(both)
		missing["redirect_uris"] = []string{"{rp}/callback", "{rp}/third"}
		s.register(missing).wantError(http.StatusBadRequest, "invalid_client_metadata")
		s.rp.serve("/"+s.person.Subject+"/junk", document{ContentType: "application/json", Body: `{"not":"a list"}`})
		for _, uri := range []string{"{rp}/junk", "{rp}/none-there", strings.Replace(s.folder(), "https:", "http:", 1) + "/sector"} {
			s.register(metadata{"subject_type": "pairwise", "sector_identifier_uri": uri}).wantError(http.StatusBadRequest, "invalid_client_metadata")
		}
		elsewhere := []string{"{rp}/callback", "https://elsewhere.example/callback"} // two hosts and no sector document
		s.register(metadata{"subject_type": "pairwise", "redirect_uris": elsewhere}).wantError(http.StatusBadRequest, "invalid_client_metadata")
	})
}

func TestR8PairwiseHidesTheSession(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, public, b := s.registered(metadata{"subject_type": "pairwise"}), s.client(), s.browser()
		pairwise := c.redeem(b.authorize(c.client, nil).code(), nil).wantTokens()
		open := public.idToken(public.redeem(b.authorize(public, nil).code(), nil).Str("id_token"))
		token := c.idToken(pairwise.Str("id_token"))
		if token.Str("sid") == open.Str("sid") || token.Str("sub") == open.Str("sub") || strings.Contains(token.Raw, s.person.Subject) {
			s.Errorf("pairwise %v, public %v", token.Claims, open.Claims)
		}
		if access := s.verify(pairwise.Str("access_token")); access.Str("sub") == s.person.Subject || access.Str("sid") == open.Str("sid") {
			s.Errorf("the access token tells: %v", access.Claims)
		}
		b.authorize(c.client, values{"prompt": "none", "id_token_hint": token.Raw}).code() // the server knows whom it named
		b.authorize(public, values{"prompt": "none", "id_token_hint": open.Raw}).code()
	})
}

func TestR9AlgorithmsAreHonoured(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.registered(metadata{
			"id_token_signed_response_alg": "ES256", "userinfo_signed_response_alg": "RS256", "request_object_signing_alg": "ES256", "token_endpoint_auth_method": "private_key_jwt",
			"token_endpoint_auth_signing_alg": "ES256", "jwks": json.RawMessage(jwkSet(own.rs256(), own.es256())),
		})
		for _, name := range []string{"id_token_signed_response_alg", "request_object_signing_alg", "token_endpoint_auth_signing_alg"} {
			if c.Answer.Str(name) != "ES256" {
				s.Errorf("%s is %v", name, c.Answer.JSON[name])
			}
		}
		a := c.redeemBy(own.es256().sign("", c.assertion(nil))).wantTokens()
		if token := c.idToken(a.Str("id_token")); token.Header["alg"] != "ES256" {
			s.Errorf("ID token %v", token.Header)
		}
		if info := s.userinfo(a.Str("access_token")); info.Header.Get("Content-Type") != "application/jwt" || s.verify(info.Raw).Header["alg"] != "RS256" {
			s.Errorf("userinfo %s %s", info.Header.Get("Content-Type"), info.Raw)
		}
		c.redeemBy(own.rs256().sign("", c.assertion(nil))).wantError(http.StatusUnauthorized, "invalid_client")
		b := s.browser()
		b.authorize(c.client, c.outer(values{"request": own.rs256().sign("", c.object(nil))})).wantRefused(b, "invalid_request_object")
		s.browser().authorize(c.client, c.outer(values{"request": own.es256().sign("", c.object(nil))})).code()
	})
}

func TestR10GrantAndResponseTypesFitTogether(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, good := range []metadata{
			{"response_types": []string{"id_token"}, "grant_types": []string{"implicit"}}, {"response_types": []string{"code id_token"}, "grant_types": []string{"authorization_code", "implicit"}},
			{"response_types": allResponseTypes, "grant_types": []string{"authorization_code", "implicit", "refresh_token"}}, {"unknown_member": map[string]any{"a": 1}, "client_name#de": "Beispiel"},
		} {
			if a := s.register(good); a.Status != http.StatusCreated || a.JSON["unknown_member"] != nil {
				s.Errorf("%v: %d %s", good, a.Status, a.Raw)
			}
		}
		for _, bad := range []metadata{
			{"response_types": []string{"id_token"}, "grant_types": []string{"authorization_code"}}, {"response_types": []string{"code"}, "grant_types": []string{"implicit"}},
			{"response_types": []string{"code", "id_token"}, "grant_types": []string{"authorization_code"}}, {"response_types": []string{"code id_token"}, "grant_types": []string{"authorization_code"}},
			{"response_types": []string{"code id_token"}, "grant_types": []string{"implicit"}}, {"response_types": []string{"code"}, "grant_types": []string{"authorization_code", "implicit"}},
			{"response_types": []string{"nonsense"}}, {"response_types": []string{"token"}}, {"grant_types": []string{"password"}}, {"response_types": []string{"code", "code nonsense"}},
		} {
			s.register(bad).wantError(http.StatusBadRequest, "invalid_client_metadata")
		}
	})
}

func TestT1ClientSecretJWT(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.registered(metadata{"token_endpoint_auth_method": "client_secret_jwt"})
		if c.Secret == "" || c.Answer.JSON["client_secret_expires_at"] != 0.0 {
			s.Fatalf("%s", c.Answer.Raw)
		}
		assertion := mac(c.Secret, c.assertion(nil))
		c.redeemBy(assertion).wantTokens()
		c.redeemBy(assertion).wantError(http.StatusUnauthorized, "invalid_client")
		c.redeemBy(mac(c.Secret+"x", c.assertion(nil))).wantError(http.StatusUnauthorized, "invalid_client")
		c.redeemBy(own.rs256().sign("", c.assertion(nil))).wantError(http.StatusUnauthorized, "invalid_client")
		c.redeem(s.browser().authorize(c.client, nil).code(), nil).wantError(http.StatusUnauthorized, "invalid_client") // the secret itself is no proof (ruling 19)
	})
}

func TestTrap14UnsignedIDTokensInTheCodeFlow(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.registered(metadata{"id_token_signed_response_alg": "none"})
		raw := c.redeem(s.browser().authorize(c.client, nil).code(), nil).wantTokens().Str("id_token")
		parts := strings.Split(raw, ".")
		if len(parts) != 3 || parts[2] != "" || parts[0] != strings.Split(unsigned(nil), ".")[0] && !strings.Contains(decode(parts[0]), `"alg":"none"`) {
			s.Errorf("%s", raw)
		}
		if claims := decode(parts[1]); !strings.Contains(claims, `"iss":"`+s.URL+`"`) || !strings.Contains(claims, s.person.Subject) {
			s.Errorf("%s", claims)
		}
		b := s.browser()
		b.authorize(c.client, values{"prompt": "none", "id_token_hint": raw}).wantError("invalid_request", "login_required") // anyone can make such a hint
		s.register(metadata{"id_token_signed_response_alg": "none", "response_types": []string{"id_token"}, "grant_types": []string{"implicit"}}).
			wantError(http.StatusBadRequest, "invalid_client_metadata")
	})
}

func TestRegistrationsThatAreNeverUsedExpire(t *testing.T) {
	onBackends(t, func(s *suite) {
		unused, used := s.registered(nil), s.registered(nil)
		second := s.node(registrationMode("open")) // a node that stops has written down whom it served
		there := &client{s: second, ID: used.ID, Secret: used.Secret, Callback: used.Callback}
		there.redeem(second.browser().authorize(there, nil).code(), nil).wantTokens()
		second.stop()
		s.pass(8 * 24 * time.Hour)
		if _, err := s.Store.Purge(s.Context(), s.Clock.Now(), 10_000); err != nil {
			s.Fatal(err)
		}
		s.browser().authorize(unused.client, nil).wantPage(http.StatusBadRequest)
		s.browser().authorize(used.client, nil).code()
	})
}
