package client

import (
	"encoding/json"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"gatehouse/provider/grant"
	"gatehouse/storage"
)

const (
	ecKey   = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}`
	edKey   = `{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}`
	octKey  = `{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}`
	private = `{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","d":"jpsQnnGQmL-YBIffH1136cspYG6-0iY7X1fCE9-E9LI"}`
)

func keySet(keys ...string) json.RawMessage {
	return json.RawMessage(`{"keys":[` + strings.Join(keys, ",") + `]}`)
}

// web is the smallest metadata of a confidential web application.
func web(change ...func(*Metadata)) Metadata {
	m := Metadata{RedirectURIs: []string{"https://app.example/cb"}}
	for _, f := range change {
		f(&m)
	}
	return m
}

func operator() Rules { return Rules{Operator: true} }

func apply(t *testing.T, r Rules, m Metadata) *storage.Client {
	t.Helper()
	c := &storage.Client{}
	if err := r.Apply(c, m); err != nil {
		t.Fatalf("Apply: %v", err)
	}
	return c
}

func TestClientDefaults(t *testing.T) {
	c := apply(t, operator(), web())
	want := &storage.Client{
		ID: c.ID, RedirectURIs: []string{"https://app.example/cb"}, GrantTypes: []string{"authorization_code"}, ResponseTypes: []string{"code"},
		Scopes: []string{"openid", "profile", "email", "address", "phone", "offline_access"}, AuthMethod: "client_secret_basic", AccessToken: "jwt", Profile: "strict",
	}
	if len(c.ID) != 22 || !reflect.DeepEqual(c, want) {
		t.Errorf("client = %+v, want %+v", c, want)
	}
	if !NeedsSecret(c) || !PKCERequired(c) {
		t.Errorf("NeedsSecret %v, PKCERequired %v: a default client has a secret and must use PKCE", NeedsSecret(c), PKCERequired(c))
	}
}

func TestOfflineAccessAsksForRefreshTokens(t *testing.T) {
	c := apply(t, operator(), web(func(m *Metadata) { m.Scope = "openid offline_access" }))
	if !slices.Equal(c.GrantTypes, []string{"authorization_code", "refresh_token"}) {
		t.Errorf("grant types = %v", c.GrantTypes)
	}
}

func TestMachineClientNeedsNoRedirectAndGetsNoScopes(t *testing.T) {
	c := apply(t, operator(), Metadata{GrantTypes: []string{"client_credentials"}})
	if len(c.ResponseTypes) != 0 || len(c.Scopes) != 0 || len(c.RedirectURIs) != 0 {
		t.Errorf("client = %+v", c)
	}
}

func TestMetadataRefusals(t *testing.T) {
	long := strings.Repeat("a", 2100)
	many := make([]string, 51)
	for i := range many {
		many[i] = "https://app.example/" + strings.Repeat("x", i)
	}
	minus := int64(-1)
	for name, tc := range map[string]struct {
		field  string
		change func(*Metadata)
	}{
		"unknown grant":          {"grant_types", func(m *Metadata) { m.GrantTypes = []string{"password"} }},
		"implicit grant":         {"grant_types", func(m *Metadata) { m.GrantTypes = []string{"authorization_code", "implicit"} }},
		"refresh alone":          {"grant_types", func(m *Metadata) { m.GrantTypes = []string{"refresh_token", "client_credentials"} }},
		"unknown response type":  {"response_types", func(m *Metadata) { m.ResponseTypes = []string{"code id_token"} }},
		"code without its grant": {"response_types", func(m *Metadata) { m.GrantTypes, m.ResponseTypes = []string{"client_credentials"}, []string{"code"} }},
		"no redirect":            {"redirect_uris", func(m *Metadata) { m.RedirectURIs = nil }},
		"null redirect":          {"redirect_uris", func(m *Metadata) { m.RedirectURIs = []string{""} }},
		"too many redirects":     {"redirect_uris", func(m *Metadata) { m.RedirectURIs = many }},
		"long redirect":          {"redirect_uris", func(m *Metadata) { m.RedirectURIs = []string{"https://app.example/" + long} }},
		"bad logout redirect":    {"post_logout_redirect_uris", func(m *Metadata) { m.PostLogoutURIs = []string{"javascript:alert(1)"} }},
		"unknown method":         {"token_endpoint_auth_method", func(m *Metadata) { m.AuthMethod = "tls_client_auth" }},
		"machine without secret": {"token_endpoint_auth_method", func(m *Metadata) { m.AuthMethod, m.GrantTypes = "none", []string{"client_credentials"} }},
		"HS256 assertions":       {"token_endpoint_auth_signing_alg", func(m *Metadata) { m.AuthSigningAlg = "HS256" }},
		"alg none":               {"token_endpoint_auth_signing_alg", func(m *Metadata) { m.AuthMethod, m.JWKS, m.AuthSigningAlg = "private_key_jwt", keySet(ecKey), "none" }},
		"key method without key": {"jwks", func(m *Metadata) { m.AuthMethod = "private_key_jwt" }},
		"null key":               {"jwks", func(m *Metadata) { m.AuthMethod, m.JWKS = "private_key_jwt", json.RawMessage(" null ") }},
		"R5 both keys":           {"jwks", func(m *Metadata) { m.JWKS, m.JWKSURI = keySet(ecKey), "https://app.example/jwks" }},
		"Row125 private key":     {"jwks", func(m *Metadata) { m.JWKS = keySet(ecKey, private) }},
		"symmetric key":          {"jwks", func(m *Metadata) { m.JWKS = keySet(octKey) }},
		"not a key set":          {"jwks", func(m *Metadata) { m.JWKS = json.RawMessage(ecKey) }},
		"null in key set":        {"jwks", func(m *Metadata) { m.JWKS = keySet("null") }},
		"key only for encryption": {"jwks", func(m *Metadata) {
			m.AuthMethod, m.JWKS = "private_key_jwt", keySet(strings.Replace(ecKey, "{", `{"use":"enc",`, 1))
		}},
		"key of another algorithm": {"jwks", func(m *Metadata) { m.AuthMethod, m.JWKS, m.AuthSigningAlg = "private_key_jwt", keySet(edKey), "ES256" }},
		"small RSA key":            {"jwks", func(m *Metadata) { m.JWKS = keySet(`{"kty":"RSA","e":"AQAB","n":"` + strings.Repeat("y", 171) + `"}`) }},
		"huge key set":             {"jwks", func(m *Metadata) { m.JWKS = keySet(strings.Repeat(" ", 17<<10) + ecKey) }},
		"jwks_uri http":            {"jwks_uri", func(m *Metadata) { m.JWKSURI = "http://app.example/jwks" }},
		"profile fapi2":            {"profile", func(m *Metadata) { m.Profile = "fapi2" }},
		"unknown profile":          {"profile", func(m *Metadata) { m.Profile = "lax" }},
		"unknown format":           {"access_token_format", func(m *Metadata) { m.AccessTokenFormat = "paseto" }},
		"Ed25519 with an EC key": {"jwks", func(m *Metadata) {
			m.AuthMethod, m.JWKS, m.AuthSigningAlg = "private_key_jwt", keySet(ecKey), "Ed25519"
		}},
		"objects by Ed25519, EC key": {"jwks", func(m *Metadata) { m.JWKS, m.RequestObjectAlg = keySet(ecKey), "Ed25519" }},
		"Ed448 assertions":           {"token_endpoint_auth_signing_alg", func(m *Metadata) { m.AuthMethod, m.JWKS, m.AuthSigningAlg = "private_key_jwt", keySet(edKey), "Ed448" }},
		"id token by Ed25519":        {"id_token_signed_response_alg", func(m *Metadata) { m.IDTokenAlg = "Ed25519" }},
		"id token alg without a key": {"id_token_signed_response_alg", func(m *Metadata) { m.IDTokenAlg = "EdDSA" }},
		"id token alg none":          {"id_token_signed_response_alg", func(m *Metadata) { m.IDTokenAlg = "none" }},
		"access token alg":           {"access_token_signed_response_alg", func(m *Metadata) { m.AccessTokenAlg = "HS256" }},
		"negative max age":           {"default_max_age", func(m *Metadata) { m.DefaultMaxAge = &minus }},
		"negative lifetime":          {"refresh_token_idle_lifetime", func(m *Metadata) { m.RefreshIdleLifetime = -1 }},
		"lifetime beyond a duration": {"access_token_lifetime", func(m *Metadata) { m.AccessTokenLifetime = 1 << 62 }},
		"unconfigured resource":      {"audience", func(m *Metadata) { m.Audience = []string{"https://api.example"} }},
		"Row29 quote in scope":       {"scope", func(m *Metadata) { m.Scope = `openid "x"` }},
		"Row29 tab in scope":         {"scope", func(m *Metadata) { m.Scope = "openid\temail" }},
		"Row29 many scopes": {"scope", func(m *Metadata) {
			m.Scope = strings.Join(strings.Split(strings.Repeat("abc", 20), ""), "1 ") + " " + numbered(60)
		}},
		"long scope":                  {"scope", func(m *Metadata) { m.Scope = long }},
		"Row192 line break in name":   {"client_name", func(m *Metadata) { m.ClientName = "App\nadmin=true" }},
		"Row192 line separator":       {"client_name", func(m *Metadata) { m.ClientName = "App\u2028x" }},
		"direction override in name":  {"client_name", func(m *Metadata) { m.ClientName = "App\u202egnp" }},
		"name not UTF-8":              {"client_name", func(m *Metadata) { m.ClientName = "\xff" }},
		"long name":                   {"client_name", func(m *Metadata) { m.ClientName = strings.Repeat("é", 201) }},
		"application type":            {"application_type", func(m *Metadata) { m.ApplicationType = "desktop" }},
		"Row125 client_uri":           {"client_uri", func(m *Metadata) { m.ClientURI = "javascript:alert(1)" }},
		"Row125 logo_uri":             {"logo_uri", func(m *Metadata) { m.LogoURI = "data:image/svg+xml,<svg/>" }},
		"Row125 policy_uri":           {"policy_uri", func(m *Metadata) { m.PolicyURI = "http://app.example/policy" }},
		"Row125 tos_uri":              {"tos_uri", func(m *Metadata) { m.TOSURI = "ftp://app.example/tos" }},
		"client id with a line break": {"client_id", func(m *Metadata) { m.ClientID = "a\nb" }},
		"client id of 64 KB":          {"client_id", func(m *Metadata) { m.ClientID = strings.Repeat("a", 64<<10) }},
	} {
		t.Run(name, func(t *testing.T) {
			c := &storage.Client{Name: "before"}
			err := operator().Apply(c, web(tc.change))
			var refused *MetadataError
			if !errors.As(err, &refused) || refused.Field != tc.field {
				t.Fatalf("Apply = %v, want a refusal of %s", err, tc.field)
			}
			code := InvalidClientMetadata
			if tc.field == "redirect_uris" {
				code = InvalidRedirectURI
			}
			if refused.Code != code {
				t.Errorf("code = %q, want %q", refused.Code, code)
			}
			if strings.ContainsFunc(refused.Message, func(c rune) bool { return c < 0x20 || c > 0x7e || c == '"' || c == '\\' }) || len(refused.Message) < 10 {
				t.Errorf("A9: message %q cannot be an error_description", refused.Message)
			}
			if !reflect.DeepEqual(c, &storage.Client{Name: "before"}) {
				t.Errorf("a refused change altered the client: %+v", c)
			}
		})
	}
}

func numbered(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" s" + strings.Repeat("i", i))
	}
	return b.String()
}

func TestKeysAreAccepted(t *testing.T) {
	for name, m := range map[string]Metadata{
		"R5 by value without kid": web(func(m *Metadata) { m.AuthMethod, m.JWKS = "private_key_jwt", keySet(ecKey) }),
		"by reference":            web(func(m *Metadata) { m.AuthMethod, m.JWKSURI = "private_key_jwt", "https://app.example/jwks" }),
		"EdDSA":                   web(func(m *Metadata) { m.AuthMethod, m.JWKS, m.AuthSigningAlg = "private_key_jwt", keySet(edKey), "EdDSA" }),
		"Ed25519": web(func(m *Metadata) {
			m.AuthMethod, m.JWKS, m.AuthSigningAlg = "private_key_jwt", keySet(edKey), "Ed25519"
		}),
		"Ed25519, key says EdDSA": web(func(m *Metadata) {
			m.AuthMethod, m.JWKS, m.AuthSigningAlg = "private_key_jwt", keySet(strings.Replace(edKey, "{", `{"alg":"EdDSA",`, 1)), "Ed25519"
		}),
		"objects by Ed25519":     web(func(m *Metadata) { m.JWKS, m.RequestObjectAlg = keySet(edKey), "Ed25519" }),
		"beside an unknown type": web(func(m *Metadata) { m.AuthMethod, m.JWKS = "private_key_jwt", keySet(`{"kty":"XYZ"}`, ecKey) }),
		"with a secret":          web(func(m *Metadata) { m.JWKS = keySet(ecKey) }),
	} {
		t.Run(name, func(t *testing.T) {
			c := apply(t, operator(), m)
			if c.JWKSURI == "" && len(c.JWKS) == 0 {
				t.Error("the keys were not kept")
			}
		})
	}
}

func TestChangeToAMethodWithoutSecretDropsTheSecrets(t *testing.T) {
	for _, method := range []string{"none", "private_key_jwt"} {
		c := apply(t, operator(), web())
		c.Secrets = []storage.ClientSecret{{Hash: "$sha256$x"}}
		m := View(c, "")
		m.AuthMethod = method
		if method == "private_key_jwt" {
			m.JWKS = keySet(ecKey)
		}
		if err := operator().Apply(c, m); err != nil {
			t.Fatal(err)
		}
		if len(c.Secrets) != 0 {
			t.Errorf("%s: secrets = %v", method, c.Secrets)
		}
	}
}

func TestViewAppliesToTheSameClient(t *testing.T) {
	age := int64(300)
	rules := Rules{Operator: true, Resources: []grant.Resource{{URI: "https://api.example", Scopes: []string{"photos"}}}, ResponseTypes: []string{"code", "code id_token"}}
	m := Metadata{
		ClientID: "shop", ClientName: "Shop", ClientURI: "https://shop.example", LogoURI: "https://shop.example/logo.png", PolicyURI: "https://shop.example/p", TOSURI: "http://localhost:3000/t",
		Contacts: []string{"a@shop.example"}, RedirectURIs: []string{"https://shop.example/cb?x=1", "http://localhost:3000/cb"}, PostLogoutURIs: []string{"https://shop.example/bye"},
		GrantTypes: []string{"authorization_code", "refresh_token", "client_credentials", "implicit"}, ResponseTypes: []string{"code", "code id_token"}, Scope: "openid custom:any photos", AuthMethod: "private_key_jwt",
		AuthSigningAlg: "ES256", ApplicationType: "web", JWKS: keySet(ecKey), IDTokenAlg: "ES256", DefaultMaxAge: &age, RequireAuthTime: true, Profile: "compatible", AccessTokenFormat: "opaque",
		AccessTokenAlg: "RS256", Audience: []string{"https://api.example"}, AccessTokenLifetime: 60, IDTokenLifetime: 61, RefreshIdleLifetime: 62, RefreshAbsoluteLifetime: 63,
		Branding: &storage.Branding{Name: "Shop", Accent: "#8a1c5b"}, Upstream: "corp", FirstParty: true, Disabled: true, SignUp: SignUpInvite, RequireMFA: true, SoftwareID: "4NRB1-0XZABZI9E6-5SM3R", SoftwareVersion: "2.1", SubjectType: "pairwise", SectorIdentifierURI: "https://shop.example/sector.json",
		UserinfoAlg: "RS256", DefaultACR: []string{"2"}, InitiateLoginURI: "https://shop.example/login?x=1", RequestURIs: []string{"https://shop.example/request.jwt#hash"}, RequestObjectAlg: "ES256",
		RequireSignedRequestObject: true, RequirePAR: true, BackchannelLogoutURI: "https://shop.example/logout?by=op", BackchannelSessionRequired: true,
		FrontchannelLogoutURI: "https://shop.example/logout", FrontchannelSessionRequired: true,
	}
	c := apply(t, rules, m)
	if got := View(c, ""); !reflect.DeepEqual(got, m) {
		t.Errorf("View = %+v\nwant   %+v", got, m)
	}
	v := reflect.ValueOf(m)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if v.Field(i).IsZero() && !slices.Contains([]string{"ClientIDIssuedAt", "ClientSecret", "ClientSecretExpiresAt", "JWKSURI", "RegistrationToken", "RegistrationURI", "SoftwareStatement"}, name) {
			t.Errorf("the test leaves %s empty", name)
		}
	}
}

func TestR1SecretIsShownWithItsExpiry(t *testing.T) {
	c := apply(t, operator(), web())
	for secret, want := range map[string]bool{"": false, "gth_cs_x": true} {
		body, err := json.Marshal(View(c, secret))
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Contains(string(body), `"client_secret_expires_at":0`); got != want {
			t.Errorf("secret %q: %s", secret, body)
		}
	}
}

func TestRow124RegistrationCannotTakePrivileges(t *testing.T) {
	rules := Rules{Resources: []grant.Resource{
		{URI: "https://open.example", Scopes: []string{"photos"}, DynamicClients: true}, {URI: "https://closed.example", Scopes: []string{"money"}},
	}}
	c := apply(t, rules, web(func(m *Metadata) {
		m.Branding = &storage.Branding{Name: "Your bank"}
		m.ClientID, m.Upstream, m.FirstParty, m.Disabled, m.Profile, m.Scope = "chosen", "corp", true, true, "compatible", "openid photos photos.write money admin"
	}))
	if c.ID == "chosen" || c.Upstream != "" || c.FirstParty || c.Disabled || c.Branding != nil || c.Profile != "strict" {
		t.Errorf("a registration chose operator's fields: %+v", c)
	}
	if !slices.Equal(c.Scopes, []string{"openid", "photos"}) {
		t.Errorf("scopes = %v, want only the known ones", c.Scopes)
	}
	if !slices.Equal(c.Audience, []string{"https://open.example"}) {
		t.Errorf("audience = %v, want the open resource", c.Audience)
	}
	err := rules.Apply(&storage.Client{}, web(func(m *Metadata) { m.Audience = []string{"https://closed.example"} }))
	var refused *MetadataError
	if !errors.As(err, &refused) || refused.Field != "audience" {
		t.Errorf("a closed resource: %v", err)
	}
	if c := apply(t, rules, web()); !slices.Equal(c.Scopes, []string{"openid", "profile", "email", "address", "phone", "offline_access", "photos"}) {
		t.Errorf("default scopes of a registration = %v", c.Scopes)
	}
}

func TestRow123IDOfAnExistingClientCannotChange(t *testing.T) {
	for _, rules := range []Rules{operator(), {}} {
		c := apply(t, rules, web())
		m := View(c, "")
		m.ClientID = "another"
		var refused *MetadataError
		if err := rules.Apply(c, m); !errors.As(err, &refused) || refused.Field != "client_id" {
			t.Errorf("Apply = %v", err)
		}
	}
}

func TestPKCEIsOptionalForCompatibleConfidentialClientsOnly(t *testing.T) {
	for _, tc := range []struct {
		profile, method string
		want            bool
	}{{"strict", "client_secret_basic", true}, {"strict", "none", true}, {"compatible", "none", true}, {"compatible", "client_secret_post", false}, {"", "client_secret_basic", true}} {
		if got := PKCERequired(&storage.Client{Profile: tc.profile, AuthMethod: tc.method}); got != tc.want {
			t.Errorf("PKCERequired(%q, %q) = %v", tc.profile, tc.method, got)
		}
	}
}
