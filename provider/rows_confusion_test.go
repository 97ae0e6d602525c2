package provider_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/go-jose/go-jose/v4"

	"gatehouse/provider"
	"gatehouse/provider/opaque"
	"gatehouse/storage"
)

// One kind of token in the place of another: rows 23, 45, 58, 71 and 112 of the attack list, for what this server signs, mints and verifies.

// confused is a server with a client "app" that owns one of everything, and those things by name.
func confused(t *testing.T) (s *server, key *assertionKeys, b *browser, things map[string]string) {
	t.Helper()
	s, key = start(t, "memory", registers("open", everyOption)), newAssertionKeys(t)
	l := s.hear()
	s.client(told("app", l), func(c *storage.Client) {
		c.JWKS, c.FirstParty, c.Profile, c.UserinfoAlg, c.IDTokenAlg = key.jwks(), true, "compatible", "ES256", "ES256"
	})
	s.client(func(c *storage.Client) { c.ID, c.AccessToken, c.FirstParty = "opaque", "opaque", true })
	s.daemon(key.register("robot"))
	s.user("ada@example.com")
	over := s.browser("ada@example.com")
	s.wantOK(s.redeem(over.code(nil)))
	over.submit(over.get(s.URL+"/account"), "logout", nil)
	b = s.browser("ada@example.com")
	tokens := s.wantOK(s.redeem(b.code(nil)))
	registered := s.register("", nil)
	return s, key, b, map[string]string{
		"access token": tokens.Str("access_token"), "refresh token": tokens.Str("refresh_token"), "ID token": tokens.Str("id_token"), "code": b.code(nil),
		"opaque access token": b.tokensOf("opaque", nil).Str("access_token"), "signed userinfo": s.userinfo(tokens.Str("access_token")).Raw, "logout token": l.token(s, 1),
		"registration access token": registered.Str("registration_access_token"), "initial access token": s.initialToken(1<<40, true), "client secret": registered.Str("client_secret"),
		"pushed request": strings.TrimPrefix(s.push(nil), "urn:ietf:params:oauth:request_uri:"), "request_uri": s.push(nil), "request object": key.object(s), "client assertion": key.sign(s, "robot"),
		"assertion of the client": key.sign(s, "app"),
	}
}

// in are the clothes of every kind of opaque token.
func inClothes(things map[string]string) map[string]string {
	out := map[string]string{}
	for _, prefix := range []string{opaque.Code, opaque.Refresh, opaque.Access, opaque.Registration, opaque.Initial, opaque.Pushed} {
		for name, thing := range things {
			if at := strings.LastIndexByte(thing, '_'); strings.HasPrefix(thing, "gth_") {
				out[name+" as "+prefix] = prefix + thing[at+1:]
			}
		}
	}
	return out
}

func TestRow45EveryKindOfTokenIsGoodForItsOwnPurposeOnly(t *testing.T) {
	s, _, b, things := confused(t)
	manage := answer{JSON: object{"registration_client_uri": s.URL + "/oauth2/register/app"}}
	own := map[string]string{
		"code": "code", "refresh": "refresh token", "userinfo": "access token", "introspection": "access token", "hint": "ID token", "logout hint": "ID token", "initial": "initial access token",
		"management": "registration access token", "request": "request object", "request_uri": "request_uri",
	}
	uses := map[string]func(s *server, thing string) bool{ // true: it was taken
		"code":    func(s *server, thing string) bool { return s.redeem(thing).Str("error") != "invalid_grant" },
		"refresh": func(s *server, thing string) bool { return s.refresh(thing).Str("error") != "invalid_grant" },
		"userinfo": func(s *server, thing string) bool {
			return s.userinfo(thing).Status != http.StatusUnauthorized
		},
		"introspection": func(s *server, thing string) bool { return s.introspect(thing).Raw != inactive },
		"management": func(s *server, thing string) bool {
			return s.manage("GET", manage, thing, nil).Status != http.StatusUnauthorized || s.manage("DELETE", manage, thing, nil).Status != http.StatusUnauthorized
		},
		"initial": func(s *server, thing string) bool {
			return s.call("POST", "/oauth2/register", thing, webApp(nil)).Status != http.StatusUnauthorized
		},
		"hint": func(s *server, thing string) bool {
			return b.callback(url.Values{"prompt": {"none"}, "id_token_hint": {thing}}).Get("error") != "invalid_request"
		},
		"logout hint": func(s *server, thing string) bool {
			return b.get(s.logoutURL(url.Values{"id_token_hint": {thing}, "post_logout_redirect_uri": {bye}})).StatusCode != http.StatusOK
		},
		"assertion": func(s *server, thing string) bool { return s.asserted(thing).Str("error") != "invalid_client" },
		"request": func(s *server, thing string) bool {
			got := s.sent(b.get(s.withObject(thing, url.Values{"redirect_uri": {callback}})))
			return got.Get("error") != "invalid_request_object"
		},
		"request_uri": func(s *server, thing string) bool {
			return b.get(s.withPushed(thing, nil)).StatusCode != http.StatusBadRequest && !strings.Contains(b.get(s.withPushed(thing, url.Values{"redirect_uri": {callback}})).Header.Get("Location"), "invalid_request_uri")
		},
		"pushed": func(s *server, thing string) bool {
			return b.get(s.withPushed("urn:ietf:params:oauth:request_uri:"+thing, nil)).StatusCode != http.StatusBadRequest
		},
		"session cookie": func(s *server, thing string) bool {
			r, _ := http.NewRequest("GET", s.authorizeURL(url.Values{"prompt": {"none"}}), nil)
			r.AddCookie(&http.Cookie{Name: "gth_sid", Value: thing})
			return !strings.Contains(s.browser("").do(r).Header.Get("Location"), "login_required")
		},
		"secret": func(s *server, thing string) bool {
			return s.post("/oauth2/token", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}}, as("app", thing)).Str("error") != "invalid_client"
		},
	}
	own["assertion"], own["pushed"] = "client assertion", "pushed request"
	for use, taken := range uses {
		for name, thing := range things {
			if name == own[use] || strings.Contains(name, "access token") && (use == "userinfo" || use == "introspection") && !strings.Contains(name, "registration") && !strings.Contains(name, "initial") ||
				use == "introspection" && name == "refresh token" || use == "logout hint" && name == "ID token" {
				continue
			}
			t.Run("row 45 "+name+" as "+use, func(t *testing.T) {
				if s := s.on(t); thing == "" || taken(s, thing) {
					t.Errorf("it was taken: %s", thing)
				}
			})
		}
		for name, thing := range inClothes(things) {
			if things["code"] == thing || things["refresh token"] == thing || strings.HasSuffix(name, things[own[use]]) {
				continue
			}
			if isOneOf(things, thing) {
				continue // it came back into its own
			}
			t.Run("row 45 "+name+" as "+use, func(t *testing.T) {
				if s := s.on(t); taken(s, thing) {
					t.Errorf("it was taken: %s", thing)
				}
			})
		}
	}
	// After all that, everything is still good for what it is for, so that no refusal was for another reason.
	for use, name := range own {
		t.Run("row 45 control: "+name+" as "+use, func(t *testing.T) {
			if s := s.on(t); use != "logout hint" && use != "management" && !uses[use](s, things[name]) {
				t.Error("it is not taken for what it is")
			}
		})
	}
	s.wantNoSecrets(things["refresh token"], things["registration access token"], things["initial access token"], things["pushed request"], things["code"], things["opaque access token"])
}

func isOneOf(things map[string]string, thing string) bool {
	for _, other := range things {
		if other == thing {
			return true
		}
	}
	return false
}

// Rows 71 and 77: a request object travels through browsers. It is no client assertion, however much it looks like one, and the other way round.
func TestRow71RequestObjectsAreNoAssertions(t *testing.T) {
	s := start(t, "memory", quickKeys)
	key := newAssertionKeys(t)
	s.daemon(key.register("robot"))
	secret := s.secretClient("secret")
	for typ, taken := range map[string]bool{
		"oauth-authz-req+jwt": false, "application/oauth-authz-req+jwt": false, "OAuth-Authz-Req+JWT": false, "at+jwt": false, "logout+jwt": false, "dpop+jwt": false, "secevent+jwt": false, "JWS": false,
		"JWT": true, "jwt": true, "application/jwt": true, "client-authentication+jwt": true, "application/client-authentication+jwt": true,
	} {
		t.Run("row 71 typ "+typ, func(t *testing.T) {
			s := s.on(t)
			for name, a := range map[string]answer{"key": s.asserted(key.sign(s, "robot", withHead("typ", typ))), "secret": s.asserted(macSign(s, "HS256", secret, "secret", withHead("typ", typ)))} {
				if (a.Status == http.StatusOK) != taken || !taken && a.Str("error") != "invalid_client" {
					t.Errorf("%s: %d %s", name, a.Status, a.Raw)
				}
			}
		})
	}
}

// Row 71: a client whose registered keys are this server's own cannot pass off what the server signed as its own.
func TestRow71OurOwnTokensUnderOurOwnKeysAreNoClients(t *testing.T) {
	s := start(t, "memory", everything, quickKeys)
	s.client(frontChannel)
	s.user("ada@example.com")
	tokens := s.tokens(nil)
	for _, id := range []string{"app", "sub-ada-example-com"} {
		_, err := s.Store.Client(t.Context(), id)
		if err != nil {
			s.daemon(func(c *storage.Client) { c.ID = id; c.AuthMethod = "private_key_jwt" })
		}
		_, err = s.Store.UpdateClient(t.Context(), id, func(c *storage.Client) error {
			c.AuthMethod, c.JWKSURI = "private_key_jwt", s.URL+"/.well-known/jwks.json"
			return nil
		})
		s.ok(err)
	}
	s.eventually("the client's new method is known", func() bool {
		return strings.Contains(s.credentials().Raw, "private_key_jwt") || s.credentials().Status == 401
	})
	for name, token := range map[string]string{"ID token": tokens.Str("id_token"), "access token": tokens.Str("access_token")} {
		for _, id := range []string{"app", "sub-ada-example-com", ""} {
			form := url.Values{"grant_type": {"client_credentials"}, "client_assertion_type": {assertionType}, "client_assertion": {token}}
			if id != "" {
				form.Set("client_id", id)
			}
			if a := s.post("/oauth2/token", form, noBasic); a.Str("error") != "invalid_client" {
				t.Errorf("%s for %q: %d %s", name, id, a.Status, a.Raw)
			}
		}
		params := s.sent(s.browser("").get(s.withObject(token, url.Values{"redirect_uri": {callback}})))
		if params.Get("error") != "invalid_request_object" {
			t.Errorf("%s as a request object: %v", name, params)
		}
	}
}

// Rows 117 to 119, for what clients sign and browsers carry: one spelling, three parts, small, each member once.
func TestRows117To119ObjectsAndHints(t *testing.T) {
	s, k := objectServer(t, nil)
	b := s.browser("ada@example.com")
	tokens := s.wantOK(s.redeem(b.code(nil)))
	hint := strings.Split(tokens.Str("id_token"), ".")
	good := strings.Split(k.object(s), ".")
	raw := func(change func(text string) string) string {
		payload := jwtPayload(t, strings.Join(good, "."))
		text, err := json.Marshal(payload)
		s.ok(err)
		return k.signRaw(s, `{"alg":"ES256","kid":"ec"}`, change(string(text)))
	}
	add := func(member string) func(string) string {
		return func(text string) string { return strings.TrimSuffix(text, "}") + "," + member + "}" }
	}
	jwe := b64(`{"alg":"PBES2-HS256+A128KW","enc":"A128GCM","p2c":2147483647,"p2s":"AAAA","zip":"DEF"}`)
	dots := strings.Repeat(".", 15000)
	for name, object := range map[string]string{
		"row 117 PBES2": jwe + ".AAAA.AAAA.AAAA.AAAA", "row 117 RSA1_5": b64(`{"alg":"RSA1_5","enc":"A128CBC-HS256","zip":"DEF"}`) + ".AAAA.AAAA.AAAA.AAAA", "row 117 a JWE of three parts": jwe + ".AAAA.AAAA",
		"row 118 dots": dots, "row 118 15 KB of header": b64(`{"alg":"ES256","kid":"`+strings.Repeat("k", 11000)+`"}`) + "." + good[1] + "." + good[2],
		"row 118 deep": raw(add(`"x":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000))), "row 119 twice": raw(add(`"scope":"openid phone"`)), "row 119 twice in escapes": raw(add(`"\u0073cope":"openid phone"`)),
		"row 119 exp 1e400": raw(add(`"exp":1e400`)), "row 119 NaN": raw(add(`"x":NaN`)), "row 119 BOM": raw(func(text string) string { return "\xef\xbb\xbf" + text }), "row 119 trailing": raw(func(text string) string { return text + "{}" }),
		"row 119 padded": good[0] + "." + good[1] + "=." + good[2], "row 119 line break": good[0] + "." + good[1] + "." + good[2][:10] + "\n" + good[2][10:], "row 119 standard alphabet": good[0] + "." + good[1] + "." + strings.NewReplacer("-", "+", "_", "/").Replace(good[2]) + "+",
		"row 119 JSON form": `{"payload":"` + good[1] + `","protected":"` + good[0] + `","signature":"` + good[2] + `"}`, "row 119 flattened with a second": `{"payload":"` + good[1] + `","signatures":[{"protected":"` + good[0] + `","signature":"` + good[2] + `"}]}`,
		"row 119 Scope beside scope": "", "row 119 no UTF-8": raw(add("\"x\":\"\xff\xfe\"")), "row 112 empty signature": good[0] + "." + good[1] + ".", "row 71 zeros": good[0] + "." + good[1] + "." + strings.Repeat("A", 86),
	} {
		if object == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			s := s.on(t)
			params := s.sent(b.get(s.withObject(object, url.Values{"redirect_uri": {callback}, "state": {"outer"}})))
			if name == "row 118 deep" || name == "row 119 no UTF-8" { // unknown members mean nothing, but cost nothing either
				if params.Get("error") != "invalid_request_object" && params.Get("code") == "" {
					t.Errorf("%v", params)
				}
				return
			}
			s.wantErrorParams(params, "invalid_request_object", "outer")
		})
	}
	// Letters count: a member in other case is another, unknown member.
	code := s.wantCode(s.sent(b.get(s.withObject(raw(add(`"Scope":"openid phone","SCOPE":"x","Client_id":"other"`)), nil))), "inner-state")
	if a := s.wantOK(s.redeem(code)); a.Str("scope") != "openid email" {
		t.Errorf("row 119: scope %s", a.Raw)
	}
	for name, sent := range map[string]string{
		"row 117 JWE": jwe + ".AAAA.AAAA.AAAA.AAAA", "row 118 dots": dots, "row 119 padded": hint[0] + "." + hint[1] + "=." + hint[2], "row 119 line break": hint[0] + "." + hint[1] + "." + hint[2][:10] + "\n" + hint[2][10:],
		"row 119 JSON form": `{"payload":"` + hint[1] + `","protected":"` + hint[0] + `","signature":"` + hint[2] + `"}`, "row 119 last bits": hint[0] + "." + hint[1] + "." + hint[2][:len(hint[2])-1] + nextLetter(hint[2][len(hint[2])-1]),
		"row 119 BOM": "\ufeff" + strings.Join(hint, "."), "row 119 space": strings.Join(hint, ".") + " ", "row 71 HS256": hs256(k, hint[1], []byte(clientSecret)),
	} {
		t.Run("hint "+name, func(t *testing.T) {
			s := s.on(t)
			s.wantErrorParams(b.callback(url.Values{"id_token_hint": {sent}, "prompt": {"none"}}), "invalid_request", "af0ifjsldkj")
		})
	}
}

// Row 72: keys that a client registers or serves are what they say, or nothing: no private, symmetric, weak or off-curve one verifies anything.
func TestRow72KeysThatVerifyNothing(t *testing.T) {
	s := start(t, "memory", quickKeys)
	key := newAssertionKeys(t)
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	s.ok(err)
	text := func(k any) string {
		out, err := json.Marshal(k)
		s.ok(err)
		return string(out)
	}
	public := text(jose.JSONWebKey{Key: key.ec.Public(), KeyID: "ec"})
	for name, jwks := range map[string]string{
		"private": `{"keys":[` + text(jose.JSONWebKey{Key: key.ec, KeyID: "ec"}) + `]}`, "symmetric": `{"keys":[{"kty":"oct","kid":"ec","k":"c2VjcmV0"}]}`, "another": `{"keys":[` + text(jose.JSONWebKey{Key: private.Public(), KeyID: "ec"}) + `]}`,
		"off the curve": `{"keys":[` + strings.Replace(public, `"x":"`, `"x":"A`, 1) + `]}`, "exponent 1": `{"keys":[{"kty":"RSA","kid":"rsa","n":"` + strings.Repeat("_", 342) + `","e":"AQ"}]}`,
		"modulus of 64 KB": `{"keys":[{"kty":"RSA","kid":"rsa","n":"` + strings.Repeat("_", 64<<10) + `","e":"AQAB"}]}`, "no keys": `{}`, "keys null": `{"keys":null}`, "keys a text": `{"keys":"x"}`, "deep": `{"keys":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`,
	} {
		t.Run("row 72 "+name, func(t *testing.T) {
			s := s.on(t)
			from := newKeyServer(t, serving(json.RawMessage(jwks)))
			id := strings.ReplaceAll(name, " ", "-")
			s.daemon(key.at(id, from))
			for _, assertion := range []string{key.sign(s, id), key.sign(s, id, withHead("alg", "RS256"), withHead("kid", "rsa")), hs256(key, strings.Split(key.sign(s, id), ".")[1], []byte("secret"))} {
				s.wantError(s.asserted(assertion), http.StatusUnauthorized, "invalid_client")
			}
			if n := from.fetches.Load(); n > 2 {
				t.Errorf("%d fetches", n)
			}
		})
	}
}

// Row 50: what a client may have is asked again at each refresh, for single claims as for scopes.
func TestRow50ClaimsOfScopesTakenAwayGoWithThem(t *testing.T) {
	for _, format := range []string{"jwt", "opaque"} {
		t.Run(format, func(t *testing.T) {
			s := start(t, "memory", func(o *provider.Options) { quickKeys(o) })
			s.client(func(c *storage.Client) { c.AccessToken = format })
			s.user("ada@example.com", fullUser)
			a := s.tokens(url.Values{"scope": {"openid offline_access"}, "claims": {`{"userinfo":{"email":null,"phone_number":null}}`}})
			if got := s.wantOK(s.userinfo(a.Str("access_token"))); got.Str("email") == "" || got.Str("phone_number") == "" {
				t.Fatal(got.Raw)
			}
			_, err := s.Store.UpdateClient(t.Context(), "app", func(c *storage.Client) error { c.Scopes = []string{"openid", "phone", "offline_access"}; return nil })
			s.ok(err)
			s.eventually("the claim goes with its scope", func() bool {
				a = s.wantOK(s.refresh(a.Str("refresh_token")))
				got := s.wantOK(s.userinfo(a.Str("access_token")))
				return got.JSON["email"] == nil && got.Str("phone_number") != ""
			})
		})
	}
}
