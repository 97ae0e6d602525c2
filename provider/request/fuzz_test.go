package request

import (
	"context"
	"encoding/base64"
	"errors"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ory/fosite"

	"gatehouse/provider/clientauth"
	"gatehouse/provider/grant"
	"gatehouse/storage"
)

const fuzzedCallback = "https://rp.example/callback"

// fuzzed is the world of a parser under fuzzing: one client, whose signatures are all believed, so that the fuzzer gets to what is behind them.
type fuzzed struct{ client *storage.Client }

func (f fuzzed) Client(_ context.Context, id string) (*storage.Client, error) {
	if id != f.client.ID {
		return nil, storage.ErrNotFound
	}
	return f.client, nil
}

func (fuzzed) VerifyHint(token string) ([]byte, error) {
	if token == "" {
		return nil, errors.New("no hint")
	}
	return []byte(token), nil
}

func (fuzzed) Verify(_ context.Context, _ *storage.Client, compact, alg string) ([]byte, error) {
	h, err := clientauth.ReadHead(compact)
	parts := strings.Split(compact, ".")
	if err != nil || alg != "" && h.Alg != alg || len(parts) != 3 {
		return nil, clientauth.Reason("no registered key verifies its signature.")
	}
	return base64.RawURLEncoding.DecodeString(parts[1])
}

func (fuzzed) Token(context.Context, storage.TokenKind, string) (*storage.Token, error) {
	return nil, storage.ErrNotFound
}

func fuzzedParser() *Parser {
	f := fuzzed{&storage.Client{
		ID: "app", RedirectURIs: []string{fuzzedCallback}, GrantTypes: []string{"authorization_code", "implicit"}, ResponseTypes: grant.ResponseTypes(), Scopes: []string{"openid", "email", "phone", "offline_access"},
		AuthMethod: "client_secret_basic", Profile: "compatible",
	}}
	return New(Options{
		Issuer: "https://op.example", Clients: f, Keys: f, Subject: func(_ *storage.Client, sub string) (string, bool) { return sub, sub != "nobody" }, ClientKeys: f, Store: f, ResponseTypes: grant.ResponseTypes(), Unsigned: true,
		Now: func() time.Time { return time.Unix(1_700_000_000, 0) },
	})
}

// checkParsed demands what holds whatever was sent: an error is one of the registry in clean words, and what was accepted is the client's own.
func checkParsed(t *testing.T, p *Parser, req *Authorize, err error) {
	t.Helper()
	var refusal *fosite.RFC6749Error
	var mismatch *RedirectMismatch
	switch {
	case errors.As(err, &mismatch):
		if req.Proven {
			t.Fatal("proven with another redirect URI")
		}
	case errors.As(err, &refusal):
		if refusal.DescriptionField == "" || strings.ContainsFunc(refusal.DescriptionField, func(c rune) bool { return c < ' ' || c > '~' || c == '"' || c == '\\' }) {
			t.Fatalf("%s: description %q", refusal.ErrorField, refusal.DescriptionField)
		}
	case err != nil:
		t.Fatalf("an error that is no refusal: %v", err)
	}
	if req == nil || req.Proven && (req.Client == nil || !slices.Contains(req.Client.RedirectURIs, req.RedirectURI)) {
		t.Fatalf("proven: %+v", req)
	}
	if err != nil {
		return
	}
	within := func(scopes []string) bool {
		return !slices.ContainsFunc(scopes, func(s string) bool { return !slices.Contains(req.Client.Scopes, s) })
	}
	if !req.Proven || req.Client.ID != "app" || req.Params.Has("request") || req.Params.Has("request_uri") || !slices.Contains(p.ResponseTypes, req.ResponseType) || !within(req.Scopes) || !within(req.Asked()) || len(req.Scopes) == 0 {
		t.Fatalf("accepted: %+v", req)
	}
	if req.Returns("id_token") && req.Nonce == "" || req.MaxAge != nil && *req.MaxAge < 0 || req.Challenge != "" && !challengePattern.MatchString(req.Challenge) {
		t.Fatalf("accepted: %+v", req)
	}
	for _, claims := range [][]Claim{req.UserinfoClaims, req.IDTokenClaims} {
		for _, claim := range claims {
			if ScopeOf(claim.Name) == "" {
				t.Fatalf("the claim %q belongs to no scope", claim.Name)
			}
		}
	}
	for name, values := range req.Params {
		if len(values) != 1 && name != "resource" && name != "audience" {
			t.Fatalf("%s has the values %q", name, values)
		}
	}
	// What was stored and is read again means the same (a paused request, a pushed one).
	again, err := p.Parse(context.Background(), Input{Params: req.Params, Source: storage.SourceObject})
	if err != nil {
		t.Fatalf("accepted once, and then %v", err)
	}
	again.Params, again.Source = req.Params, req.Source
	if !reflect.DeepEqual(req, again) {
		t.Fatalf("read twice, and not the same: %+v and %+v", req, again)
	}
}

const fuzzedObject = `{"client_id":"app","redirect_uri":"` + fuzzedCallback + `","response_type":"code id_token","scope":"openid email","nonce":"n","state":"s"`

// FuzzRequestObject: RFC 9101, rows 75 to 80 of the attack list. head and payload are those of a JWS whose signature is good.
func FuzzRequestObject(f *testing.F) {
	for _, seed := range []struct{ head, payload, outer string }{
		{`{"alg":"ES256"}`, fuzzedObject + `}`, ""}, {`{"alg":"none"}`, fuzzedObject + `}`, ""}, {`{"alg":"ES256","typ":"oauth-authz-req+jwt","kid":"k"}`, fuzzedObject + `,"iss":"app","aud":["https://op.example"],"exp":1700000060,"iat":1700000000}`, "scope=openid+phone&state=outer"},
		{`{"alg":"ES256"}`, fuzzedObject + `,"max_age":300,"claims":{"id_token":{"email":{"essential":true,"value":"a"},"acr":{"essential":true,"values":["1"]}}}}`, ""}, {`{"alg":"ES256"}`, fuzzedObject + `,"request":"x"}`, ""},
		{`{"alg":"ES256"}`, fuzzedObject + `,"client_id":"other"}`, ""}, {`{"alg":"ES256"}`, fuzzedObject + `,"resource":["https://a.example","https://b.example"]}`, ""}, {`{"alg":"ES256"}`, fuzzedObject + `,"exp":1e400}`, ""},
		{`{"alg":"ES256"}`, fuzzedObject + `,"state":null,"scope":["openid"],"prompt":"none login"}`, "response_type=code"}, {`{"alg":"ES256","jku":"https://x"}`, fuzzedObject + `}`, ""}, {`{"alg":"ES256","crit":["b64"],"b64":false}`, `{}`, ""},
		{`{"alg":"NoNe"}`, `[]`, "redirect_uri=" + url.QueryEscape(fuzzedCallback)}, {`{"alg":"ES256","typ":"at+jwt"}`, "\xef\xbb\xbf{}", "response_mode=form_post"}, {`{"alg":"ES256"}`, fuzzedObject + `,"Scope":"x","scope ":"y","a\u0000\"\\":1}`, ""},
		{`{"alg":"ES256"}`, fuzzedObject + `,"x":` + strings.Repeat("[", 500) + strings.Repeat("]", 500) + `}`, ""}, {`{"alg":"ES256"}`, fuzzedObject + `,"id_token_hint":"{\"iss\":\"https://op.example\",\"sub\":\"a\",\"aud\":\"app\",\"iat\":1,\"exp\":1}"}`, ""},
	} {
		f.Add(seed.head, seed.payload, seed.outer)
	}
	p, encode := fuzzedParser(), base64.RawURLEncoding.EncodeToString
	f.Fuzz(func(t *testing.T, head, payload, outer string) {
		signature := "AA"
		if strings.Contains(head, `"none"`) {
			signature = ""
		}
		params, err := url.ParseQuery(outer)
		if err != nil {
			return
		}
		for name := range params {
			params[name] = params[name][:1]
		}
		params.Del("request_uri")
		params.Set("client_id", "app")
		params.Set("request", encode([]byte(head))+"."+encode([]byte(payload))+"."+signature)
		for _, pushing := range []bool{false, true} {
			req, err := p.Parse(context.Background(), Input{Params: params, Pushing: pushing})
			checkParsed(t, p, req, err)
			if err == nil && req.Source != storage.SourceObject {
				t.Fatalf("parameters from beside the object: %+v", req)
			}
		}
	})
}

// FuzzClaimsParameter: OpenID Connect Core section 5.5, row 31 of the attack list.
func FuzzClaimsParameter(f *testing.F) {
	for _, seed := range []string{
		`{"userinfo":{"email":null,"phone_number":{"essential":true}},"id_token":{"auth_time":{"essential":true},"acr":{"values":["1","2"]}}}`, `{"id_token":{"acr":{"essential":true,"value":"1"},"sub":{"value":"ada"}}}`,
		`{"id_token":{"sub":{"values":["ada","nobody",null]}},"userinfo":{"sub":{"value":"ada"}}}`, `{"userinfo":{"email":{"value":null,"values":null,"essential":null}}}`, `{"userinfo":null}`, `{}`, `[]`, `null`, `{"userinfo":[]}`, `{"id_token":{"email":7}}`,
		`{"id_token":{"acr":{"essential":true,"values":[1]}}}`, `{"Userinfo":{"email":null},"userinfo":{"email":null,"Email":null,"email":null}}`, `{"userinfo":` + strings.Repeat(`{"a":`, 200), "{\"userinfo\":{\"\xff\":null}}", `{"id_token":{"iss":{"value":"https://evil.example"},"name#de":null}}`,
	} {
		f.Add(seed, "openid email", "code id_token")
	}
	p := fuzzedParser()
	f.Fuzz(func(t *testing.T, claims, scope, responseType string) {
		req, err := p.Parse(context.Background(), Input{Params: url.Values{
			"client_id": {"app"}, "redirect_uri": {fuzzedCallback}, "response_type": {responseType}, "scope": {scope}, "nonce": {"n"}, "claims": {claims},
		}})
		checkParsed(t, p, req, err)
		if err != nil {
			return
		}
		if asked := Asked(req.Client, req.Params); !slices.Equal(asked, slices.Compact(slices.Sorted(slices.Values(req.Asked())))) {
			t.Fatalf("the consent page would show %q of %q", asked, req.Asked())
		}
		if !req.Has("openid") && len(req.UserinfoClaims)+len(req.IDTokenClaims) > 0 {
			t.Fatalf("claims without openid: %+v", req)
		}
	})
}
