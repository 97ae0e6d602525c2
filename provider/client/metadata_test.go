package client

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/grant"
	"gatehouse/provider/outbound"
	"gatehouse/provider/seal"
	"gatehouse/storage"
)

// everything is a server with every option on.
func everything() Rules {
	return Rules{Operator: true, ResponseTypes: grant.ResponseTypes(), UnsignedIDTokens: true, UnsignedRequestObjects: true}
}

func compatible(change ...func(*Metadata)) Metadata {
	return web(append([]func(*Metadata){func(m *Metadata) { m.Profile = "compatible" }}, change...)...)
}

// refusal applies metadata and returns the refusal.
func refusal(t *testing.T, r Rules, m Metadata) *MetadataError {
	t.Helper()
	var refused *MetadataError
	if err := r.Apply(&storage.Client{}, m); !errors.As(err, &refused) {
		t.Fatalf("Apply = %v, want a refusal", err)
	}
	if strings.ContainsFunc(refused.Message, func(c rune) bool { return c < 0x20 || c > 0x7e || c == '"' || c == '\\' }) {
		t.Errorf("A9: message %q cannot be an error_description", refused.Message)
	}
	return refused
}

func TestR6R7R8R9RefusedMembers(t *testing.T) {
	for name, tc := range map[string]struct {
		field  string
		change func(*Metadata)
	}{
		"R6 initiate_login_uri http":          {"initiate_login_uri", func(m *Metadata) { m.InitiateLoginURI = "http://app.example/login" }},
		"R6 initiate_login_uri http loopback": {"initiate_login_uri", func(m *Metadata) { m.InitiateLoginURI = "http://127.0.0.1/login" }},
		"initiate_login_uri javascript":       {"initiate_login_uri", func(m *Metadata) { m.InitiateLoginURI = "javascript:alert(1)" }},
		"request_uri http":                    {"request_uris", func(m *Metadata) { m.RequestURIs = []string{"http://app.example/r"} }},
		"request_uri without an address":      {"request_uris", func(m *Metadata) { m.RequestURIs = []string{"#x"} }},
		"request_uri null":                    {"request_uris", func(m *Metadata) { m.RequestURIs = []string{""} }},
		"request_uri with two fragments":      {"request_uris", func(m *Metadata) { m.RequestURIs = []string{"https://app.example/r#a#b"} }},
		"request_uri with a space":            {"request_uris", func(m *Metadata) { m.RequestURIs = []string{"https://app.example/r#a b"} }},
		"backchannel with fragment":           {"backchannel_logout_uri", func(m *Metadata) { m.BackchannelLogoutURI = "https://app.example/out#x" }},
		"backchannel http":                    {"backchannel_logout_uri", func(m *Metadata) { m.BackchannelLogoutURI = "http://app.example/out" }},
		"frontchannel on another host":        {"frontchannel_logout_uri", func(m *Metadata) { m.FrontchannelLogoutURI = "https://other.example/out" }},
		"frontchannel on another port":        {"frontchannel_logout_uri", func(m *Metadata) { m.FrontchannelLogoutURI = "https://app.example:8443/out" }},
		"frontchannel with another scheme":    {"frontchannel_logout_uri", func(m *Metadata) { m.FrontchannelLogoutURI = "http://app.example/out" }},
		"subject type":                        {"subject_type", func(m *Metadata) { m.SubjectType = "secret" }},
		"R8 pairwise for two hosts": {"sector_identifier_uri", func(m *Metadata) {
			m.SubjectType, m.RedirectURIs = "pairwise", []string{"https://a.example/cb", "https://b.example/cb"}
		}},
		"R8 pairwise for a native app": {"sector_identifier_uri", func(m *Metadata) {
			m.SubjectType, m.AuthMethod, m.RedirectURIs = "pairwise", "none", []string{"com.example.app:/cb"}
		}},
		"R8 sector_identifier_uri http":        {"sector_identifier_uri", func(m *Metadata) { m.SectorIdentifierURI = "http://app.example/sector" }},
		"R9 userinfo none":                     {"userinfo_signed_response_alg", func(m *Metadata) { m.UserinfoAlg = "none" }},
		"R9 userinfo without a key":            {"userinfo_signed_response_alg", func(m *Metadata) { m.UserinfoAlg = "PS256" }},
		"R9 ID token none for hybrid":          {"id_token_signed_response_alg", func(m *Metadata) { m.IDTokenAlg, m.ResponseTypes = "none", []string{"code id_token"} }},
		"R9 ID token none for strict":          {"id_token_signed_response_alg", func(m *Metadata) { m.IDTokenAlg, m.Profile = "none", "strict" }},
		"R9 request object HS256":              {"request_object_signing_alg", func(m *Metadata) { m.RequestObjectAlg = "HS256" }},
		"R9 request object none for strict":    {"request_object_signing_alg", func(m *Metadata) { m.RequestObjectAlg, m.Profile = "none", "strict" }},
		"unsigned but required to be signed":   {"request_object_signing_alg", func(m *Metadata) { m.RequestObjectAlg, m.RequireSignedRequestObject = "none", true }},
		"signed request objects without a key": {"jwks", func(m *Metadata) { m.RequestObjectAlg = "ES256" }},
		"required signature without a key":     {"jwks", func(m *Metadata) { m.RequireSignedRequestObject = true }},
		"request object key of another type":   {"jwks", func(m *Metadata) { m.RequestObjectAlg, m.JWKS = "RS256", keySet(ecKey) }},
		"R9 RS256 for client_secret_jwt":       {"token_endpoint_auth_signing_alg", func(m *Metadata) { m.AuthMethod, m.AuthSigningAlg = "client_secret_jwt", "RS256" }},
		"default acr with a space":             {"default_acr_values", func(m *Metadata) { m.DefaultACR = []string{"1 2"} }},
		"default acr null":                     {"default_acr_values", func(m *Metadata) { m.DefaultACR = []string{""} }},
		"contacts null":                        {"contacts", func(m *Metadata) { m.Contacts = []string{""} }},
		"software_id with a line break":        {"software_id", func(m *Metadata) { m.SoftwareID = "a\nb" }},
		"software_version too long":            {"software_version", func(m *Metadata) { m.SoftwareVersion = strings.Repeat("1", 256) }},
		"R10 implicit without response type":   {"response_types", func(m *Metadata) { m.GrantTypes = []string{"authorization_code", "implicit"} }},
		"R10 id_token without implicit": {"response_types", func(m *Metadata) {
			m.GrantTypes, m.ResponseTypes = []string{"authorization_code"}, []string{"code", "id_token"}
		}},
		"R10 hybrid without implicit": {"response_types", func(m *Metadata) {
			m.GrantTypes, m.ResponseTypes = []string{"authorization_code"}, []string{"code id_token"}
		}},
		"R10 hybrid without code": {"response_types", func(m *Metadata) { m.GrantTypes, m.ResponseTypes = []string{"implicit"}, []string{"code id_token"} }},
		"R10 token alone":         {"response_types", func(m *Metadata) { m.ResponseTypes = []string{"token"} }},
		"R10 a word twice":        {"response_types", func(m *Metadata) { m.ResponseTypes = []string{"code code"} }},
		"R10 refresh for implicit": {"grant_types", func(m *Metadata) {
			m.GrantTypes, m.ResponseTypes = []string{"implicit", "refresh_token"}, []string{"id_token"}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			if refused := refusal(t, everything(), compatible(tc.change)); refused.Field != tc.field || refused.Code != InvalidClientMetadata {
				t.Errorf("refusal = %+v, want of %s", refused, tc.field)
			}
		})
	}
}

func TestSoftwareStatementIsRefusedByItsOwnCode(t *testing.T) {
	if refused := refusal(t, everything(), web(func(m *Metadata) { m.SoftwareStatement = "e30.e30.x" })); refused.Code != InvalidSoftwareStatement {
		t.Errorf("refusal = %+v", refused)
	}
}

func TestR9UnsignedNeedsConfigurationAndProfile(t *testing.T) {
	rules := everything()
	m := compatible(func(m *Metadata) { m.IDTokenAlg, m.RequestObjectAlg = "none", "none" })
	if c := apply(t, rules, m); c.IDTokenAlg != "none" || c.RequestObjectAlg != "none" {
		t.Errorf("client = %+v", c)
	}
	rules.UnsignedIDTokens = false
	if refused := refusal(t, rules, m); refused.Field != "id_token_signed_response_alg" {
		t.Errorf("refusal = %+v", refused)
	}
	rules.UnsignedIDTokens, rules.UnsignedRequestObjects = true, false
	if refused := refusal(t, rules, m); refused.Field != "request_object_signing_alg" {
		t.Errorf("refusal = %+v", refused)
	}
}

func TestR10GrantsFollowFromResponseTypesInAnyOrderOfWords(t *testing.T) {
	c := apply(t, everything(), compatible(func(m *Metadata) { m.ResponseTypes = []string{"id_token code", "token id_token code", "code"} }))
	if want := []string{"code id_token", "code id_token token", "code"}; !slices.Equal(c.ResponseTypes, want) {
		t.Errorf("response types = %v, want %v", c.ResponseTypes, want)
	}
	if want := []string{"authorization_code", "implicit"}; !slices.Equal(c.GrantTypes, want) {
		t.Errorf("grant types = %v, want %v", c.GrantTypes, want)
	}
	if c := apply(t, everything(), compatible(func(m *Metadata) { m.ResponseTypes = []string{"id_token"} })); !slices.Equal(c.GrantTypes, []string{"implicit"}) {
		t.Errorf("grant types of an implicit client = %v", c.GrantTypes)
	}
}

func TestFrontchannelPortOfTheSchemeIsThePort(t *testing.T) {
	c := apply(t, operator(), web(func(m *Metadata) { m.FrontchannelLogoutURI = "https://app.example:443/out" }))
	if c.FrontchannelLogoutURI != "https://app.example:443/out" {
		t.Errorf("client = %+v", c)
	}
}

func TestRuling45SectorStays(t *testing.T) {
	m := web(func(m *Metadata) { m.SubjectType = "pairwise" })
	c := apply(t, operator(), m)
	if c.Sector != "app.example" {
		t.Fatalf("sector = %q, want the host of the redirect URIs", c.Sector)
	}
	m.RedirectURIs = []string{"https://app.example:8443/other"}
	if err := operator().Apply(c, m); err != nil {
		t.Errorf("another port of the same host: %v", err)
	}
	m.SubjectType = ""
	m.RedirectURIs = []string{"https://new.example/cb"}
	if err := operator().Apply(c, m); err != nil || c.Sector != "app.example" {
		t.Errorf("while public: sector %q, %v", c.Sector, err)
	}
	m.SubjectType, m.SectorIdentifierURI = "pairwise", "https://new.example/sector.json"
	var refused *MetadataError
	if err := operator().Apply(c, m); !errors.As(err, &refused) || refused.Field != "sector_identifier_uri" {
		t.Errorf("a sector of another host: %v", err)
	}
	m.SectorIdentifierURI = "https://APP.example/sector.json"
	if err := operator().Apply(c, m); err != nil {
		t.Errorf("the same host again: %v", err)
	}
}

func TestRow126InternalAddressIsRefusedAtRegistration(t *testing.T) {
	guard, err := outbound.New(outbound.Options{Allow: []string{"intern.example"}})
	if err != nil {
		t.Fatal(err)
	}
	rules := everything()
	rules.CheckURL = guard.CheckURL
	members := map[string]func(*Metadata, string){
		"jwks_uri":               func(m *Metadata, u string) { m.JWKSURI = u },
		"sector_identifier_uri":  func(m *Metadata, u string) { m.SectorIdentifierURI = u },
		"request_uris":           func(m *Metadata, u string) { m.RequestURIs = []string{u} },
		"logo_uri":               func(m *Metadata, u string) { m.LogoURI = u },
		"backchannel_logout_uri": func(m *Metadata, u string) { m.BackchannelLogoutURI = u },
	}
	for field, set := range members {
		for _, host := range []string{
			"127.0.0.1", "[::1]", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.1.1", "100.64.0.1", "169.254.169.254", "[fd00::1]", "[fe80::1]", "[::ffff:127.0.0.1]", "[64:ff9b::7f00:1]",
			"[2002:7f00:1::]", "2130706433", "0x7f.1", "0177.0.0.1", "localhost", "localhost.",
		} {
			if refused := refusal(t, rules, web(func(m *Metadata) { set(m, "https://"+host+"/x") })); refused.Field != field {
				t.Errorf("%s on %s: %+v", field, host, refused)
			}
		}
		c := apply(t, rules, web(func(m *Metadata) { set(m, "http://intern.example/x") }))
		if reflect.DeepEqual(View(c, ""), View(apply(t, rules, web()), "")) {
			t.Errorf("%s on a host of outbound.allow was not kept", field)
		}
	}
}

func TestRuling51SecretOfAssertionsIsSealed(t *testing.T) {
	key := sha256.Sum256([]byte("master"))
	ring, err := seal.New([][]byte{key[:]})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := apply(t, operator(), web(func(m *Metadata) { m.AuthMethod, m.AuthSigningAlg = "client_secret_jwt", "HS512" }))
	if !NeedsSecret(c) || !SealsSecret(c) || c.AuthSigningAlg != "HS512" {
		t.Fatalf("client = %+v", c)
	}
	secret, stored, err := MakeSecret(ring, c, "", now)
	if err != nil {
		t.Fatal(err)
	}
	PutSecret(c, stored, 0)
	if stored.Hash != "" || bytes.Contains(stored.Sealed, []byte(secret)) || len(secret) < 64 {
		t.Errorf("stored = %+v of a secret of %d bytes", stored, len(secret))
	}
	if opened, err := OpenSecret(ring, c.ID, c.Secrets[0]); err != nil || string(opened) != secret {
		t.Errorf("OpenSecret = %q, %v", opened, err)
	}
	if _, err := OpenSecret(ring, "another", c.Secrets[0]); err == nil {
		t.Error("a sealed secret opens in the row of another client")
	}
	if _, _, err := MakeSecret(ring, c, strings.Repeat("a", 63), now); !errors.Is(err, ErrSecretForm) {
		t.Errorf("a chosen secret too short for HS512: %v", err)
	}
	if _, _, err := MakeSecret(nil, c, "", now); err == nil {
		t.Error("without a ring the secret was stored all the same")
	}
	m := View(c, "")
	m.AuthMethod, m.AuthSigningAlg = "client_secret_basic", ""
	if err := operator().Apply(c, m); err != nil || len(c.Secrets) != 0 {
		t.Errorf("after the change to client_secret_basic: %v, %v", c.Secrets, err)
	}
}

func TestRow74NeverMoreThanTwoSecrets(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	c := &storage.Client{AuthMethod: "client_secret_basic"}
	for i := range 4 {
		_, stored, err := MakeSecret(nil, c, "", now.Add(time.Duration(i)*time.Minute))
		if err != nil {
			t.Fatal(err)
		}
		PutSecret(c, stored, time.Hour)
		if len(c.Secrets) > 2 || c.Secrets[0].Hash != stored.Hash || !c.Secrets[0].Expires.IsZero() {
			t.Fatalf("secrets = %+v", c.Secrets)
		}
	}
	if old := c.Secrets[1]; !old.Expires.Equal(now.Add(3*time.Minute + time.Hour)) {
		t.Errorf("the old secret ends at %v", old.Expires)
	}
	_, stored, _ := MakeSecret(nil, c, "", now)
	if PutSecret(c, stored, 0); len(c.Secrets) != 1 {
		t.Errorf("without overlap: %+v", c.Secrets)
	}
}

func TestR10DecodeIgnoresUnknownMembersAndNamesWrongOnes(t *testing.T) {
	m := Metadata{ClientName: "before", Scope: "kept"}
	unknown, err := Decode([]byte(`{"client_name":"after","Scope":"shouted","skip_consent":true,"trusted":true,"request_uris":null}`), &m)
	if err != nil || m.ClientName != "after" || m.Scope != "kept" || !slices.Equal(unknown, []string{"Scope", "skip_consent", "trusted"}) {
		t.Errorf("Decode = %v, %v: %+v", unknown, err, m)
	}
	for document, field := range map[string]string{
		`{"redirect_uris":"https://a.example"}`: "redirect_uris", `{"redirect_uris":[1]}`: "redirect_uris", `{"client_name":5}`: "client_name", `{"require_auth_time":"true"}`: "require_auth_time",
		`{"default_max_age":"5"}`: "default_max_age", `{"default_max_age":1.5}`: "default_max_age", `{"contacts":[{}]}`: "contacts",
	} {
		var refused *MetadataError
		if _, err := Decode([]byte(document), &Metadata{}); !errors.As(err, &refused) || refused.Field != field || (refused.Code == InvalidRedirectURI) != (field == "redirect_uris") {
			t.Errorf("Decode(%s) = %v", document, err)
		} else if strings.ContainsFunc(refused.Message, func(c rune) bool { return c < 0x20 || c > 0x7e || c == '"' || c == '\\' }) {
			t.Errorf("A9: %q", refused.Message)
		}
	}
	for _, document := range []string{"", "[]", "null x", "{", "5"} {
		if _, err := Decode([]byte(document), &Metadata{}); err == nil {
			t.Errorf("Decode(%q) = nil", document)
		}
	}
}

func TestDecodeLeavesTheClientAlone(t *testing.T) {
	age := int64(5)
	c := apply(t, operator(), web(func(m *Metadata) { m.DefaultMaxAge, m.JWKS = &age, keySet(ecKey) }))
	m := View(c, "")
	if _, err := Decode([]byte(`{"redirect_uris":["https://other.example/cb"],"default_max_age":6,"jwks":{"keys":[]}}`), &m); err != nil {
		t.Fatal(err)
	}
	if c.RedirectURIs[0] != "https://app.example/cb" || *c.DefaultMaxAge != 5 || !bytes.Equal(c.JWKS, keySet(ecKey)) {
		t.Errorf("decoding over a view changed the client: %+v", c)
	}
}

// What an operator says of the people of a client: it is stored, shown, kept by a change of something else, and taken back; and a client that registers itself says nothing of it.
func TestOperatorsSayWhoMakesAccountsAndWhoNeedsASecondFactor(t *testing.T) {
	wish := func(text string) Metadata {
		m := web()
		if unknown, err := Decode([]byte(text), &m); err != nil || len(unknown) != 0 {
			t.Fatalf("%s: unknown %v, %v", text, unknown, err)
		}
		return m
	}
	for _, mode := range []string{SignUpOff, SignUpOpen, SignUpInvite} {
		c := apply(t, operator(), wish(`{"sign_up":"`+mode+`","require_mfa":true}`))
		if c.SignUp != mode || !c.RequireMFA {
			t.Errorf("%s: %+v", mode, c)
		}
		if again := View(c, ""); again.SignUp != mode || !again.RequireMFA {
			t.Errorf("%s is not shown: %+v", mode, again)
		}
		if err := operator().Apply(c, web()); err != nil || c.SignUp != "" || c.RequireMFA {
			t.Errorf("%s is not taken back: %+v, %v", mode, c, err)
		}
	}
	if refused := refusal(t, operator(), wish(`{"sign_up":"closed"}`)); refused.Field != "sign_up" {
		t.Errorf("refusal = %+v", refused)
	}
	c := apply(t, operator(), wish(`{"sign_up":"off","require_mfa":true}`))
	dynamic := operator()
	dynamic.Operator = false
	if err := dynamic.Apply(c, wish(`{"sign_up":"open","require_mfa":false}`)); err != nil || c.SignUp != SignUpOff || !c.RequireMFA {
		t.Errorf("a client changed what the operator said: %+v, %v", c, err)
	}
}

// Pages load no images from elsewhere, so a logo that is somewhere else would be a hole on every page.
func TestLogoOfABrandingIsOfThisServer(t *testing.T) {
	rules := operator()
	rules.ImageHost = "id.example"
	for logo, taken := range map[string]bool{
		"/brand/books.svg": true, "https://id.example/brand/books.svg": true, "https://cdn.example/books.svg": false, "https://id.example:8443/books.svg": false, "http://id.example/books.svg": false,
		"//id.example/books.svg": false, "https://id.example@cdn.example/books.svg": false, "https://u@id.example/books.svg": false, "books.svg": false, "javascript:alert(1)": false, "data:image/png;base64,AA": false,
	} {
		m := web(func(m *Metadata) { m.Branding = &storage.Branding{LogoURL: logo} })
		var refused *MetadataError
		if err := rules.Apply(&storage.Client{}, m); (err == nil) != taken || err != nil && (!errors.As(err, &refused) || refused.Field != "branding") {
			t.Errorf("%s: %v", logo, err)
		}
	}
	if refused := refusal(t, operator(), web(func(m *Metadata) { m.Branding = &storage.Branding{LogoURL: "https://id.example/books.svg"} })); refused.Field != "branding" {
		t.Errorf("a server without https: %+v", refused)
	}
}
