package endpoint

// Discovery: OpenID Connect Discovery section 3 and RFC 8414 section 2, one document for both.

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"gatehouse/provider/grant"
	"gatehouse/provider/keys"
	"gatehouse/provider/oauth"
)

type document struct {
	body []byte
	etag string
}

type metadata struct {
	Issuer                       string   `json:"issuer"`
	AuthorizationEndpoint        string   `json:"authorization_endpoint"`
	TokenEndpoint                string   `json:"token_endpoint"`
	UserinfoEndpoint             string   `json:"userinfo_endpoint"`
	JWKSURI                      string   `json:"jwks_uri"`
	RevocationEndpoint           string   `json:"revocation_endpoint"`
	IntrospectionEndpoint        string   `json:"introspection_endpoint"`
	ScopesSupported              []string `json:"scopes_supported"`
	ResponseTypesSupported       []string `json:"response_types_supported"`
	ResponseModesSupported       []string `json:"response_modes_supported"`
	GrantTypesSupported          []string `json:"grant_types_supported"`
	SubjectTypesSupported        []string `json:"subject_types_supported"`
	ACRValuesSupported           []string `json:"acr_values_supported"`
	PromptValuesSupported        []string `json:"prompt_values_supported"`
	IDTokenAlgs                  []string `json:"id_token_signing_alg_values_supported"`
	CodeChallengeMethods         []string `json:"code_challenge_methods_supported"`
	TokenAuthMethods             []string `json:"token_endpoint_auth_methods_supported"`
	TokenAuthAlgs                []string `json:"token_endpoint_auth_signing_alg_values_supported"`
	RevocationAuthMethods        []string `json:"revocation_endpoint_auth_methods_supported"`
	RevocationAuthAlgs           []string `json:"revocation_endpoint_auth_signing_alg_values_supported"`
	IntrospectionAuthMethods     []string `json:"introspection_endpoint_auth_methods_supported"`
	IntrospectionAuthAlgs        []string `json:"introspection_endpoint_auth_signing_alg_values_supported"`
	ClaimTypesSupported          []string `json:"claim_types_supported"`
	ClaimsSupported              []string `json:"claims_supported"`
	DisplayValuesSupported       []string `json:"display_values_supported"`
	UILocalesSupported           []string `json:"ui_locales_supported"`
	IssParameterSupported        bool     `json:"authorization_response_iss_parameter_supported"`
	ClaimsParameterSupported     bool     `json:"claims_parameter_supported"`
	RequestParameterSupported    bool     `json:"request_parameter_supported"`
	RequestURIParameterSupported bool     `json:"request_uri_parameter_supported"`
}

// newDocument prepares the document once: it is the most asked-for answer of the server.
func newDocument(e *oauth.Engine, set *keys.Set) document {
	var assertionAlgs []string
	for _, alg := range oauth.AssertionAlgs {
		assertionAlgs = append(assertionAlgs, string(alg))
	}
	withSecret := []string{"client_secret_basic", "client_secret_post", "private_key_jwt"}
	anyClient := append([]string{"none"}, withSecret...)
	var responseTypes []string
	for _, row := range grant.Table {
		responseTypes = append(responseTypes, row.ResponseTypes...)
	}
	body, err := json.MarshalIndent(metadata{
		Issuer: e.Issuer, AuthorizationEndpoint: e.URL("/oauth2/authorize"), TokenEndpoint: e.URL("/oauth2/token"), UserinfoEndpoint: e.URL("/oauth2/userinfo"),
		JWKSURI: e.URL("/.well-known/jwks.json"), RevocationEndpoint: e.URL("/oauth2/revoke"), IntrospectionEndpoint: e.URL("/oauth2/introspect"),
		ScopesSupported: e.Scopes(), ResponseTypesSupported: responseTypes, ResponseModesSupported: []string{"query", "form_post"}, GrantTypesSupported: grant.Types(),
		SubjectTypesSupported: []string{"public"}, ACRValuesSupported: []string{"1"}, PromptValuesSupported: []string{"none", "login", "consent", "select_account"},
		IDTokenAlgs: set.Algorithms(), CodeChallengeMethods: []string{"S256"}, TokenAuthMethods: anyClient, TokenAuthAlgs: assertionAlgs,
		RevocationAuthMethods: anyClient, RevocationAuthAlgs: assertionAlgs, IntrospectionAuthMethods: withSecret, IntrospectionAuthAlgs: assertionAlgs,
		ClaimTypesSupported: []string{"normal"}, ClaimsSupported: oauth.StandardClaims(), DisplayValuesSupported: []string{"page"}, UILocalesSupported: []string{"en"},
		IssParameterSupported: true,
	}, "", "  ")
	if err != nil {
		panic(err) // strings and booleans always encode
	}
	sum := sha256.Sum256(body)
	return document{body, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
}

func (e *Endpoints) metadata(w http.ResponseWriter, r *http.Request) error {
	return serveDocument(w, r, e.discovery)
}

// serveDocument writes a prepared document that may be kept for five minutes.
func serveDocument(w http.ResponseWriter, r *http.Request, d document) error {
	h := w.Header()
	h.Set("Cache-Control", "public, max-age=300")
	h.Set("ETag", d.etag)
	if holds(r.Header.Values("If-None-Match"), d.etag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", "application/json")
	_, err := w.Write(d.body)
	return err
}

// holds tells whether If-None-Match names the entity tag (RFC 9110 section 13.1.2): a list, compared weakly, because proxies that compress mark tags
// as weak.
func holds(lines []string, etag string) bool {
	for _, line := range lines {
		for _, tag := range strings.Split(line, ",") {
			if tag = strings.TrimSpace(tag); tag == "*" || strings.TrimPrefix(tag, "W/") == etag {
				return true
			}
		}
	}
	return false
}

func (e *Endpoints) issuerPath() string {
	u, err := url.Parse(e.Engine.Issuer)
	if err != nil {
		return ""
	}
	return u.Path
}
