package conformance

import (
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"

	"golang.org/x/text/language"
)

// Lines D1 to D15: what the server says of itself, and whether it is true.

func TestD1DiscoveryDocument(t *testing.T) {
	everywhere(t, func(s *suite) {
		a := s.get("/.well-known/openid-configuration")
		if a.Status != http.StatusOK || !strings.HasPrefix(a.Header.Get("Content-Type"), "application/json") || a.Str("issuer") != s.URL {
			s.Errorf("%d %s, issuer %q", a.Status, a.Header.Get("Content-Type"), a.Str("issuer"))
		}
		u, err := url.Parse(a.Str("issuer"))
		if err != nil || u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" || strings.HasSuffix(u.Path, "/") {
			s.Errorf("issuer %q", a.Str("issuer"))
		}
	})
}

func TestD2SameDataAtTheOAuthLocation(t *testing.T) {
	everywhere(t, func(s *suite) {
		a := s.get("/.well-known/oauth-authorization-server")
		if a.Status != http.StatusOK || !reflect.DeepEqual(a.JSON, s.metadata()) {
			s.Errorf("%d %s", a.Status, a.Raw)
		}
	})
}

func TestD3EndpointsAreAbsoluteHTTPS(t *testing.T) {
	everywhere(t, func(s *suite) {
		found := 0
		for name, value := range s.metadata() {
			if !strings.HasSuffix(name, "_endpoint") && name != "jwks_uri" && name != "check_session_iframe" {
				continue
			}
			found++
			text, _ := value.(string)
			if u, err := url.Parse(text); err != nil || u.Scheme != "https" || u.Host == "" || u.Fragment != "" {
				s.Errorf("%s is %v", name, value)
			}
		}
		if found < 10 {
			s.Errorf("only %d endpoints", found)
		}
	})
}

var allResponseTypes = []string{"code", "id_token", "id_token token", "code id_token", "code token", "code id_token token"}

// sameSet compares lists without order.
func sameSet(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func TestD4ResponseTypes(t *testing.T) {
	everywhere(t, func(s *suite) {
		if got := s.list(s.metadata(), "response_types_supported"); !sameSet(got, allResponseTypes) {
			s.Errorf("%v", got)
		}
		if got := s.list(s.metadata(), "response_modes_supported"); !sameSet(got, []string{"query", "fragment", "form_post"}) {
			s.Errorf("response_modes_supported %v", got)
		}
	})
}

func TestD5GrantTypes(t *testing.T) {
	everywhere(t, func(s *suite) {
		if got := s.list(s.metadata(), "grant_types_supported"); !sameSet(got, []string{"authorization_code", "implicit", "refresh_token", "client_credentials"}) {
			s.Errorf("%v", got)
		}
	})
}

func TestD6ScopesAndClaims(t *testing.T) {
	everywhere(t, func(s *suite) {
		scopes, claims := s.list(s.metadata(), "scopes_supported"), s.list(s.metadata(), "claims_supported")
		for _, scope := range strings.Fields(allScopes) {
			if !slices.Contains(scopes, scope) {
				s.Errorf("scopes_supported lacks %s", scope)
			}
			for _, claim := range claimsOf[scope] {
				if !slices.Contains(claims, claim) {
					s.Errorf("claims_supported lacks %s", claim)
				}
			}
		}
	})
}

func TestD7IDTokenAlgorithms(t *testing.T) {
	everywhere(t, func(s *suite) {
		algs := s.list(s.metadata(), "id_token_signing_alg_values_supported")
		if !sameSet(algs, []string{"RS256", "ES256", "PS256", "none"}) {
			s.Errorf("%v: want the keys that the server has, and none, which compatible clients may register here", algs)
		}
	})
}

func TestD8OtherAlgorithms(t *testing.T) {
	everywhere(t, func(s *suite) {
		m := s.metadata()
		for name, none := range map[string]bool{
			"userinfo_signing_alg_values_supported": false, "request_object_signing_alg_values_supported": true, "token_endpoint_auth_signing_alg_values_supported": false,
		} {
			algs := s.list(m, name)
			if !slices.Contains(algs, "RS256") || slices.Contains(algs, "none") != none {
				s.Errorf("%s is %v", name, algs)
			}
		}
	})
}

func TestD9RequestParameters(t *testing.T) {
	everywhere(t, func(s *suite) {
		m := s.metadata()
		for _, name := range []string{"request_parameter_supported", "request_uri_parameter_supported", "claims_parameter_supported"} {
			if m[name] != true {
				s.Errorf("%s is %v", name, m[name])
			}
		}
		if m["require_request_uri_registration"] != true {
			s.Errorf("require_request_uri_registration is %v, and only registered ones are fetched (A21)", m["require_request_uri_registration"])
		}
	})
}

func TestD10SubjectTypes(t *testing.T) {
	everywhere(t, func(s *suite) {
		if got := s.list(s.metadata(), "subject_types_supported"); !sameSet(got, []string{"public", "pairwise"}) {
			s.Errorf("%v", got)
		}
	})
}

func TestD11Logout(t *testing.T) {
	everywhere(t, func(s *suite) {
		m := s.metadata()
		for _, name := range []string{"frontchannel_logout_supported", "frontchannel_logout_session_supported", "backchannel_logout_supported", "backchannel_logout_session_supported"} {
			if m[name] != true {
				s.Errorf("%s is %v", name, m[name])
			}
		}
		for _, name := range []string{"end_session_endpoint", "check_session_iframe"} {
			if text, _ := m[name].(string); !strings.HasPrefix(text, s.URL+"/") {
				s.Errorf("%s is %v", name, m[name])
			}
		}
	})
}

func TestD12IssAndPKCE(t *testing.T) {
	everywhere(t, func(s *suite) {
		if m := s.metadata(); m["authorization_response_iss_parameter_supported"] != true || !slices.Equal(s.list(m, "code_challenge_methods_supported"), []string{"S256"}) {
			s.Errorf("%v, %v", m["authorization_response_iss_parameter_supported"], m["code_challenge_methods_supported"])
		}
	})
}

func TestD13OptionalFeaturesAreNamedWhenTheyExist(t *testing.T) {
	everywhere(t, func(s *suite) {
		m := s.metadata()
		for _, name := range []string{"pushed_authorization_request_endpoint", "registration_endpoint", "revocation_endpoint", "introspection_endpoint"} {
			endpoint, _ := m[name].(string)
			path, ok := strings.CutPrefix(endpoint, s.URL)
			if !ok {
				s.Errorf("%s is %v", name, m[name])
				continue
			}
			if a := s.do(s.form(path, url.Values{"x": {"y"}})); a.Status == http.StatusNotFound || a.Status >= 500 {
				s.Errorf("%s answers %d", name, a.Status)
			}
		}
		if methods := s.list(m, "token_endpoint_auth_methods_supported"); !sameSet(methods, []string{"none", "client_secret_basic", "client_secret_post", "client_secret_jwt", "private_key_jwt"}) {
			s.Errorf("token_endpoint_auth_methods_supported %v", methods)
		}
		algs := s.list(m, "token_endpoint_auth_signing_alg_values_supported")
		for _, alg := range []string{"RS256", "PS256", "ES256", "EdDSA", "HS256"} {
			if !slices.Contains(algs, alg) {
				s.Errorf("token_endpoint_auth_signing_alg_values_supported lacks %s: %v", alg, algs)
			}
		}
		for _, name := range []string{"dpop_signing_alg_values_supported", "tls_client_certificate_bound_access_tokens", "mtls_endpoint_aliases", "device_authorization_endpoint"} {
			if m[name] != nil {
				s.Errorf("%s is announced and not built", name)
			}
		}
	})
}

// registeredMetadata are the names of the IANA registry of authorization server metadata and of OpenID Connect Discovery and its companions.
var registeredMetadata = strings.Fields(`issuer authorization_endpoint token_endpoint jwks_uri registration_endpoint scopes_supported response_types_supported response_modes_supported
	grant_types_supported token_endpoint_auth_methods_supported token_endpoint_auth_signing_alg_values_supported service_documentation ui_locales_supported op_policy_uri op_tos_uri
	revocation_endpoint revocation_endpoint_auth_methods_supported revocation_endpoint_auth_signing_alg_values_supported introspection_endpoint introspection_endpoint_auth_methods_supported
	introspection_endpoint_auth_signing_alg_values_supported code_challenge_methods_supported signed_metadata userinfo_endpoint acr_values_supported subject_types_supported
	id_token_signing_alg_values_supported id_token_encryption_alg_values_supported id_token_encryption_enc_values_supported userinfo_signing_alg_values_supported
	userinfo_encryption_alg_values_supported userinfo_encryption_enc_values_supported request_object_signing_alg_values_supported request_object_encryption_alg_values_supported
	request_object_encryption_enc_values_supported display_values_supported claim_types_supported claims_supported claims_locales_supported claims_parameter_supported
	request_parameter_supported request_uri_parameter_supported require_request_uri_registration require_signed_request_object pushed_authorization_request_endpoint
	require_pushed_authorization_requests authorization_response_iss_parameter_supported check_session_iframe frontchannel_logout_supported frontchannel_logout_session_supported
	backchannel_logout_supported backchannel_logout_session_supported end_session_endpoint prompt_values_supported`)

func TestD14LocalesAndNames(t *testing.T) {
	everywhere(t, func(s *suite) {
		m := s.metadata()
		for _, name := range []string{"ui_locales_supported", "claims_locales_supported"} {
			if m[name] == nil {
				continue
			}
			for _, text := range s.list(m, name) {
				if tag, err := language.Parse(text); err != nil || tag.String() != text {
					s.Errorf("%s holds %q, want the canonical %q", name, text, tag)
				}
			}
		}
		for name, value := range m {
			if !slices.Contains(registeredMetadata, name) {
				s.Errorf("%s is in no registry", name)
			}
			if list, ok := value.([]any); ok && len(list) == 0 || value == nil || value == "" {
				s.Errorf("%s is empty (RFC 8414 section 3.2)", name)
			}
		}
	})
}

func TestD15AuthenticationContexts(t *testing.T) {
	everywhere(t, func(s *suite) {
		supported := s.list(s.metadata(), "acr_values_supported")
		if acr := s.client().idTokenOf(nil).Str("acr"); !slices.Equal(supported, []string{acr}) {
			s.Errorf("acr_values_supported is %v, and the one way to sign in gives %q", supported, acr)
		}
	})
}
