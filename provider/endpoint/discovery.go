package endpoint

// Discovery: OpenID Connect Discovery section 3 and RFC 8414 section 2, one document for both; the logout members are those of the four logout specifications.

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/provider/clientauth"
	"gatehouse/provider/grant"
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
	RegistrationEndpoint         string   `json:"registration_endpoint,omitempty"`
	EndSessionEndpoint           string   `json:"end_session_endpoint"`
	CheckSessionIframe           string   `json:"check_session_iframe,omitempty"`
	ScopesSupported              []string `json:"scopes_supported"`
	ResponseTypesSupported       []string `json:"response_types_supported"`
	ResponseModesSupported       []string `json:"response_modes_supported"`
	GrantTypesSupported          []string `json:"grant_types_supported"`
	SubjectTypesSupported        []string `json:"subject_types_supported"`
	ACRValuesSupported           []string `json:"acr_values_supported"`
	PromptValuesSupported        []string `json:"prompt_values_supported"`
	IDTokenAlgs                  []string `json:"id_token_signing_alg_values_supported"`
	UserinfoAlgs                 []string `json:"userinfo_signing_alg_values_supported"`
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
	RequireRequestURIs           bool     `json:"require_request_uri_registration"`
	RequestObjectAlgs            []string `json:"request_object_signing_alg_values_supported"`
	PAREndpoint                  string   `json:"pushed_authorization_request_endpoint"`
	RequirePAR                   bool     `json:"require_pushed_authorization_requests"`
	BackchannelLogout            bool     `json:"backchannel_logout_supported"`
	BackchannelLogoutSession     bool     `json:"backchannel_logout_session_supported"`
	FrontchannelLogout           bool     `json:"frontchannel_logout_supported"`
	FrontchannelLogoutSession    bool     `json:"frontchannel_logout_session_supported"`
}

// newDocument prepares the document once: it is the most asked-for answer of the server.
func newDocument(o Options) document {
	e, set := o.Engine, o.Keys
	registrationEndpoint, checkSession := "", ""
	if o.Registration != nil {
		registrationEndpoint = e.URL("/oauth2/register")
	}
	if o.SessionManagement {
		checkSession = e.URL("/oauth2/check_session")
	}
	var assertionAlgs []string
	for _, alg := range slices.Concat(clientauth.Algorithms, clientauth.SecretAlgorithms) {
		assertionAlgs = append(assertionAlgs, string(alg))
	}
	idTokenAlgs := set.Algorithms()
	if e.UnsignedIDTokens {
		idTokenAlgs = append(idTokenAlgs, "none")
	}
	withSecret := []string{"client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"}
	anyClient := append([]string{"none"}, withSecret...)
	body, err := json.MarshalIndent(metadata{
		Issuer: e.Issuer, AuthorizationEndpoint: e.URL("/oauth2/authorize"), TokenEndpoint: e.URL("/oauth2/token"), UserinfoEndpoint: e.URL("/oauth2/userinfo"),
		JWKSURI: e.URL("/.well-known/jwks.json"), RevocationEndpoint: e.URL("/oauth2/revoke"), IntrospectionEndpoint: e.URL("/oauth2/introspect"), RegistrationEndpoint: registrationEndpoint,
		EndSessionEndpoint: e.URL("/oauth2/logout"), CheckSessionIframe: checkSession,
		ScopesSupported: e.Scopes(), ResponseTypesSupported: e.ResponseTypes, ResponseModesSupported: responseModes(e.ResponseTypes), GrantTypesSupported: grant.Served(e.ResponseTypes),
		SubjectTypesSupported: []string{"public", "pairwise"}, ACRValuesSupported: append([]string{"1"}, o.ACRValues...), PromptValuesSupported: prompts(o),
		IDTokenAlgs: idTokenAlgs, UserinfoAlgs: set.Algorithms(), CodeChallengeMethods: []string{"S256"}, TokenAuthMethods: anyClient, TokenAuthAlgs: assertionAlgs,
		RevocationAuthMethods: anyClient, RevocationAuthAlgs: assertionAlgs, IntrospectionAuthMethods: withSecret, IntrospectionAuthAlgs: assertionAlgs,
		ClaimTypesSupported: []string{"normal"}, ClaimsSupported: oauth.StandardClaims(), DisplayValuesSupported: []string{"page"}, UILocalesSupported: []string{"en"},
		IssParameterSupported: true, ClaimsParameterSupported: true, RequestParameterSupported: true, RequestURIParameterSupported: true, RequireRequestURIs: true, RequestObjectAlgs: objectAlgs(e),
		PAREndpoint:       e.URL("/oauth2/par"),
		BackchannelLogout: true, BackchannelLogoutSession: true, FrontchannelLogout: true, FrontchannelLogoutSession: true,
	}, "", "  ")
	if err != nil {
		panic(err) // strings and booleans always encode
	}
	sum := sha256.Sum256(body)
	return document{body, `"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`}
}

// prompts are the values of prompt; create is one where everybody may make an account (OpenID Connect Prompt Create 1.0 section 4.2).
func prompts(o Options) []string {
	values := []string{"none", "login", "consent", "select_account"}
	if o.SignUp {
		values = append(values, "create")
	}
	return values
}

// responseModes are those that some client can use: the fragment comes with tokens of the authorization endpoint.
func responseModes(responseTypes []string) []string {
	modes := []string{"query", "form_post"}
	if slices.ContainsFunc(responseTypes, func(t string) bool { return t != "code" }) {
		modes = append(modes, "fragment")
	}
	return modes
}

// objectAlgs are the algorithms of request objects: those of the clients' own keys, and none where that is allowed.
func objectAlgs(e *oauth.Engine) []string {
	var algs []string
	for _, alg := range clientauth.Algorithms {
		algs = append(algs, string(alg))
	}
	if e.UnsignedRequestObjects {
		algs = append(algs, "none")
	}
	return algs
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
