package conformance

import (
	"net"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/outbound"
)

// The traps that decide the design, one test for each; 2, 8, 13 and 14 are beside the lines that they belong to.

func TestTrap1PKCEIsOptionalPerClient(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.registered(metadata{"grant_types": []string{"authorization_code", "implicit"}, "response_types": allResponseTypes})
		for _, flow := range flows {
			r := s.browser().authorize(c.client, plain.with(values{"response_type": flow.responseType}))
			if !slices.Equal(r.got(), flow.members) {
				s.Errorf("%s without PKCE: %s %v", flow.responseType, r.Mode, r.Params)
			}
			if code := r.Params.Get("code"); code != "" {
				c.redeem(code, values{"code_verifier": ""}).wantTokens()
			}
		}
		c.redeem(s.browser().authorize(c.client, nil).code(), nil).wantTokens() // the one module that sends S256
		s.browser().authorize(s.client(), plain).wantError("invalid_request")   // beside it, a strict client on the same server
	})
}

func TestTrap3KeySetsWithoutKid(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, set := range [][]*pair{{own.rs256().without()}, {own.other().without(), own.es256().without(), own.rs256().without()}} {
			c := s.registered(metadata{"token_endpoint_auth_method": "private_key_jwt", "jwks": rawKeys(set...)})
			for _, aud := range []any{s.URL + "/oauth2/token", s.URL} { // trap 2: the plans send the one, a module the other
				c.redeemBy(own.rs256().without().sign("", c.assertion(map[string]any{"aud": aud}))).wantTokens()
			}
			c.redeemBy(own.eddsa().without().sign("", c.assertion(nil))).wantError(http.StatusUnauthorized, "invalid_client")
			c.redeemBy(own.rs256().named("made-up").sign("", c.assertion(nil))).wantTokens() // a kid that no key contradicts
		}
		// Request objects too.
		c := s.registered(metadata{"request_object_signing_alg": "RS256", "jwks": rawKeys(own.other().without(), own.rs256().without())})
		s.browser().authorize(c.client, c.outer(values{"request": own.rs256().without().sign("", c.object(nil))})).code()
	})
}

func TestTrap4FragmentOfTheRequestURIIsNoHash(t *testing.T) {
	everywhere(t, func(s *suite) {
		c := s.registered(metadata{"request_uris": []string{"{rp}/request#not-the-hash-of-anything"}, "request_object_signing_alg": "none"})
		uri := s.folder() + "/request#not-the-hash-of-anything"
		object := c.object(map[string]any{"state": "inside", "iss": nil, "aud": nil, "exp": nil, "iat": nil})
		s.rp.serve("/"+s.person.Subject+"/request", document{ContentType: "application/jwt", Body: unsigned(object)})
		r := s.browser().authorize(c.client, c.outer(values{"request_uri": uri, "state": "outside"}))
		if r.code(); r.Params.Get("state") != "inside" || len(s.rp.at("/"+s.person.Subject+"/request")) != 1 {
			s.Errorf("%v after %d fetches", r.Params, len(s.rp.at("/"+s.person.Subject+"/request")))
		}
		for _, other := range []string{s.folder() + "/request", s.folder() + "/request#other"} {
			b := s.browser()
			b.authorize(c.client, c.outer(values{"request_uri": other})).wantRefused(b, "invalid_request_uri", "invalid_request")
		}
	})
}

func TestTrap5DescriptionsOfEveryEndpoint(t *testing.T) {
	onBackends(t, func(s *suite) {
		hostile := "\"\\\r\n\tü\x00☃"
		for _, name := range []string{
			"redirect_uris", "client_name", "token_endpoint_auth_method", "grant_types", "response_types", "scope", "jwks_uri", "jwks", "request_uris", "initiate_login_uri", "logo_uri", "policy_uri",
			"subject_type", "sector_identifier_uri", "id_token_signed_response_alg", "userinfo_signed_response_alg", "request_object_signing_alg", "token_endpoint_auth_signing_alg", "default_acr_values",
			"post_logout_redirect_uris", "backchannel_logout_uri", "frontchannel_logout_uri", "application_type", "software_statement", "contacts",
		} {
			for _, value := range []any{hostile, []string{hostile}, map[string]any{hostile: hostile}} {
				a := s.register(metadata{name: value})
				if a.Status == http.StatusCreated {
					continue // a name may be anything
				}
				if s.checkDescription(a.Str("error_description")); a.Status != http.StatusBadRequest || a.Str("error_description") == "" {
					s.Errorf("%s %v: %d %s", name, value, a.Status, a.Raw)
				}
			}
		}
		c := s.client()
		for _, path := range []string{"/oauth2/par", "/oauth2/introspect", "/oauth2/revoke", "/oauth2/userinfo"} {
			for _, name := range []string{"token", "token_type_hint", "client_id", "client_secret", "access_token", "response_type", "request", "request_uri", "resource"} {
				a := c.post(path, values{name: hostile})
				s.checkDescription(a.Str("error_description"))
				for _, char := range a.Header.Get("WWW-Authenticate") {
					if char < ' ' || char > '~' || char == '\\' {
						s.Errorf("%s, %s: WWW-Authenticate %q", path, name, a.Header.Get("WWW-Authenticate"))
					}
				}
			}
		}
	})
}

func TestTrap6ThePlainestBrowsersGetThrough(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(leaving), s.browser()
		b.Old = true
		r := b.arrive(c, b.walk(b.send(c.home(), s.URL+"/oauth2/authorize", c.params(values{"response_mode": "form_post"}))))
		hint := c.redeem(r.code(), nil).wantTokens().Str("id_token")
		if !slices.Equal(b.Steps, []string{"login", "consent", "form_post"}) {
			s.Errorf("steps %v", b.Steps)
		}
		b.authorize(c, values{"redirect_uri": "https://evil.example/"}).wantPage(http.StatusBadRequest)
		b.Steps = nil
		s.wantOurPage(b.leave(c, nil)) // asks, because nothing proves who sent us
		if b.wantSignedOut(c); !slices.Contains(b.Steps, "confirm") {
			s.Errorf("logout: steps %v", b.Steps)
		}
		if p := b.leave(c, values{"id_token_hint": hint, "post_logout_redirect_uri": c.bye()}); p.URL.String() != c.bye() {
			s.Errorf("the browser is at %s", p.URL)
		}
		for _, p := range b.History {
			if s.ours(p) {
				s.plainPage(p)
			}
		}
	})
}

// Trap 7 is about a profile that is not built yet; what it says of clients whose refresh tokens rotate holds for all of them.
func TestTrap7PreviousRefreshTokenWorksHalfAMinuteLater(t *testing.T) {
	onBackends(t, func(s *suite) {
		type rotated struct {
			c             *client
			first, second string
		}
		var all []rotated
		for _, c := range []*client{s.client(), s.client(compatible), s.client(`{"token_endpoint_auth_method":"none"}`), s.registered(metadata{"grant_types": []string{"authorization_code", "refresh_token"}}).client} {
			first := c.tokens(values{"scope": "openid offline_access"}).Str("refresh_token")
			all = append(all, rotated{c, first, c.refresh(first, nil).wantTokens().Str("refresh_token")})
		}
		s.pass(30 * time.Second)
		for _, r := range all {
			if again := r.c.refresh(r.first, nil).wantTokens().Str("refresh_token"); again != r.second {
				s.Errorf("%s: a repeat gives another successor", r.c.ID)
			}
			r.c.refresh(r.second, nil).wantTokens()
		}
	})
}

func TestTrap9NoRedirectAfterAConfirmationEither(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, v := range []values{{}, {"id_token_hint": "junk"}, {"id_token_hint": "theirs"}} {
			c, b := s.client(leaving), s.browser()
			b.signedIn(c)
			if v["id_token_hint"] == "theirs" {
				v = values{"id_token_hint": b.signedIn(s.client()).Str("id_token")}
			}
			b.Steps = nil
			p := b.leave(c, v.with(values{"post_logout_redirect_uri": c.bye(), "state": "s", "client_id": c.ID}))
			if s.wantOurPage(p); !slices.Contains(b.Steps, "confirm") || len(s.rp.at(c.path("bye"))) > 0 {
				s.Errorf("%v: steps %v, the client was visited %d times", v, b.Steps, len(s.rp.at(c.path("bye"))))
			}
			for _, link := range p.all("a") {
				if strings.HasPrefix(attr(link, "href"), s.rp.URL) {
					s.Errorf("the page offers a link to the client: %s", attr(link, "href"))
				}
			}
			b.wantSignedOut(c)
		}
	})
}

func TestTrap10KeysAreRSAOrEC(t *testing.T) {
	onBackends(t, func(s *suite) {
		before := s.published()
		if _, err := s.operator().Rotate(s.Context(), "ES256"); err != nil {
			s.Fatal(err)
		}
		s.pass(6 * time.Second)
		after := s.published()
		if len(after) != len(before)+1 {
			s.Errorf("%d keys before, %d after", len(before), len(after))
		}
		for kid, key := range after {
			if key["kty"] != "RSA" && key["kty"] != "EC" {
				s.Errorf("%s is of the type %v", kid, key["kty"])
			}
		}
	})
}

func TestTrap11EveryStandardClaimCanBeHad(t *testing.T) {
	everywhere(t, func(s *suite) {
		info := s.userinfo(s.client().tokens(values{"scope": allScopes}).Str("access_token"))
		announced := s.list(s.metadata(), "claims_supported")
		for scope, names := range claimsOf {
			for _, name := range names {
				if info.JSON[name] == nil || info.JSON[name] == "" || !slices.Contains(announced, name) {
					s.Errorf("%s: %s is %v, announced %v", scope, name, info.JSON[name], slices.Contains(announced, name))
				}
			}
		}
	})
}

func TestTrap12PrivateHostsAndPrivateAuthorities(t *testing.T) {
	onBackends(t, func(s *suite) {
		folder := "/" + s.person.Subject
		s.rp.serve(folder+"/jwks", document{ContentType: "application/json", Body: jwkSet(own.es256())})
		s.rp.serve(folder+"/sector", document{ContentType: "application/json", Body: asJSON([]string{s.folder() + "/callback"})})
		all := metadata{
			"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "{rp}/jwks", "subject_type": "pairwise", "sector_identifier_uri": "{rp}/sector", "request_uris": []string{"{rp}/request"},
			"backchannel_logout_uri": "{rp}/backchannel", "post_logout_redirect_uris": []string{"{rp}/bye"},
		}
		c, b := s.registered(all), s.browser()
		s.rp.serve(folder+"/request", document{ContentType: "application/jwt", Body: own.es256().sign("", c.object(nil))})
		r := b.authorize(c.client, c.outer(values{"request_uri": s.folder() + "/request"}))
		hint := c.redeem(r.code(), asserted(own.es256().sign("", c.assertion(nil)))).wantTokens().Str("id_token")
		b.leave(c.client, values{"id_token_hint": hint, "post_logout_redirect_uri": s.folder() + "/bye"})
		for _, path := range []string{"jwks", "sector", "request", "backchannel"} {
			if len(s.rp.await(folder+"/"+path, 1, patience)) == 0 {
				s.Errorf("%s was not reached", path)
			}
		}
		// The same without the allow-list, and with it but without the authority.
		for name, o := range map[string]outbound.Options{"no allow-list": {FailureFloor: -1}, "no authority": {Allow: []string{"127.0.0.1", "localhost"}, FailureFloor: -1}} {
			out, err := outbound.New(o)
			if err != nil {
				s.Fatal(err)
			}
			second := s.node(func(p *provider.Options) { p.Outbound = out })
			before := len(s.rp.at(folder + "/sector"))
			second.register(metadata{"subject_type": "pairwise", "sector_identifier_uri": "{rp}/sector"}).wantError(http.StatusBadRequest, "invalid_client_metadata")
			if n := len(s.rp.at(folder+"/sector")) - before; n > 0 {
				s.Errorf("%s: %d requests", name, n)
			}
		}
	})
}

// Line K4 for every kind of address: what a client may not register, and what is not even connected to where it is stored all the same.
func TestK4EveryKindOfAddressIsGuarded(t *testing.T) {
	onBackends(t, func(s *suite) {
		for _, host := range []string{"127.0.0.2", "10.0.0.1", "192.168.1.1", "169.254.169.254", "[::ffff:10.0.0.1]", "[fd00::1]", "0.0.0.0"} {
			uri := "https://" + host + "/x"
			for _, m := range []metadata{
				{"jwks_uri": uri, "token_endpoint_auth_method": "private_key_jwt"}, {"request_uris": []string{uri}}, {"sector_identifier_uri": uri, "subject_type": "pairwise"}, {"backchannel_logout_uri": uri},
			} {
				s.register(m).wantError(http.StatusBadRequest, "invalid_client_metadata")
			}
		}
		s.register(metadata{"backchannel_logout_uri": "http://rp.example/x"}).wantError(http.StatusBadRequest, "invalid_client_metadata")
		knocks, address := s.listener("127.0.0.2")
		c := s.client(leaving, `{"request_uris":["https://`+address+`/request"],"backchannel_logout_uri":"https://`+address+`/backchannel"}`)
		b := s.browser()
		b.authorize(c, c.outer(values{"request_uri": "https://" + address + "/request"})).wantRefused(b, "invalid_request_uri", "invalid_request")
		hint := b.signedIn(c).Str("id_token")
		b.leave(c, values{"id_token_hint": hint, "post_logout_redirect_uri": c.bye()})
		s.eventually("the delivery is tried", func() bool { return s.logged("logout.failed", c.ID) })
		if n := knocks.Load(); n > 0 {
			s.Errorf("%d connections to a private host", n)
		}
		// Redirects of the other kinds are not followed either; A21 has them for request objects.
		folder := "/" + s.person.Subject
		away := document{Status: http.StatusTemporaryRedirect, Header: http.Header{"Location": {s.rp.URL + folder + "/target"}}}
		s.rp.serve(folder+"/target", document{ContentType: "application/json", Body: asJSON([]string{s.folder() + "/callback"})})
		s.rp.serve(folder+"/away", away)
		s.register(metadata{"subject_type": "pairwise", "sector_identifier_uri": "{rp}/away"}).wantError(http.StatusBadRequest, "invalid_client_metadata")
		d := s.client(leaving, `{"backchannel_logout_uri":"`+s.rp.URL+folder+`/away"}`)
		hint = b.signedIn(d).Str("id_token")
		b.leave(d, values{"id_token_hint": hint, "post_logout_redirect_uri": d.bye()})
		if got := s.rp.await(folder+"/away", 2, patience); len(got) != 2 || len(s.rp.at(folder+"/target")) > 0 {
			s.Errorf("%d requests to the address, %d to where it redirects", len(got), len(s.rp.at(folder+"/target")))
		}
	})
}

// logged tells whether one line of the log names all of the words.
func (s *suite) logged(words ...string) bool {
	for line := range strings.Lines(s.Logged.String()) {
		if !slices.ContainsFunc(words, func(word string) bool { return !strings.Contains(line, word) }) {
			return true
		}
	}
	return false
}

// listener counts who connects to a loopback address that is not on the allow-list.
func (s *suite) listener(host string) (knocks *atomic.Int32, address string) {
	s.Helper()
	l, err := net.Listen("tcp", host+":0")
	if err != nil {
		s.Skip(err)
	}
	s.Cleanup(func() { l.Close() })
	knocks = &atomic.Int32{}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			knocks.Add(1)
			conn.Close()
		}
	}()
	return knocks, l.Addr().String()
}
