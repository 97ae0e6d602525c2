package conformance

import (
	"net/http"
	"slices"
	"testing"

	"gatehouse/provider"
)

// What a server with nothing switched on says of itself, and whether it is true: the other half of lines D4, D5, D7 to D11 and A28.

// nothingOn is the configuration as it comes.
func nothingOn(o *provider.Options) {
	o.ResponseTypes, o.UnsignedRequestObjects, o.UnsignedIDTokens, o.SessionManagement = []string{"code"}, false, false, false
	o.Registration.Mode = "off"
}

func TestD4DiscoveryOfAServerWithNothingOn(t *testing.T) {
	onBackends(t, func(s *suite) {
		m := s.node(nothingOn).metadata()
		for name, want := range map[string][]string{
			"response_types_supported": {"code"}, "response_modes_supported": {"query", "form_post"}, "grant_types_supported": {"authorization_code", "refresh_token", "client_credentials"},
			"id_token_signing_alg_values_supported": {"RS256", "ES256", "PS256"}, "subject_types_supported": {"public", "pairwise"},
		} {
			if got := s.list(m, name); !sameSet(got, want) {
				s.Errorf("%s is %v, want %v", name, got, want)
			}
		}
		if algs := s.list(m, "request_object_signing_alg_values_supported"); slices.Contains(algs, "none") || !slices.Contains(algs, "RS256") {
			s.Errorf("request_object_signing_alg_values_supported is %v", algs)
		}
		for _, name := range []string{"check_session_iframe", "registration_endpoint"} {
			if m[name] != nil {
				s.Errorf("%s is announced", name)
			}
		}
		for _, name := range []string{"request_parameter_supported", "request_uri_parameter_supported", "claims_parameter_supported", "backchannel_logout_supported", "frontchannel_logout_supported"} {
			if m[name] != true {
				s.Errorf("%s is %v", name, m[name])
			}
		}
	})
}

func TestD8WhatIsNotAnnouncedIsNotDone(t *testing.T) {
	onBackends(t, func(s *suite) {
		node := s.node(nothingOn)
		c := node.client(compatible) // may have everything that the server has
		for _, flow := range flows[1:] {
			b := node.browser()
			b.authorize(c, plain.with(values{"response_type": flow.responseType})).wantRefused(b, "unsupported_response_type")
		}
		b := node.browser()
		b.authorize(c, c.outer(values{"request": unsigned(c.object(nil))})).wantRefused(b, "invalid_request_object")
		none := node.client(compatible, `{"id_token_signed_response_alg":"none"}`)
		r := node.browser().authorize(none, plain)
		// The client would refuse another algorithm, so it gets nothing, and the log names the way out.
		if a := none.redeem(r.code(), values{"code_verifier": ""}); a.Status != http.StatusInternalServerError || a.JSON["id_token"] != nil || a.JSON["access_token"] != nil {
			s.Errorf("%d %s", a.Status, a.Raw)
		}
		if r.Params.Has("session_state") {
			s.Errorf("session_state without session management: %v", r.Params)
		}
		for _, path := range []string{"/oauth2/check_session", "/oauth2/register"} {
			if a := node.get(path); a.Status != http.StatusNotFound {
				s.Errorf("%s: %d", path, a.Status)
			}
		}
	})
}

func TestD10PairwiseIsAnnouncedBecauseItWorksWithoutRegistrationToo(t *testing.T) {
	onBackends(t, func(s *suite) {
		node := s.node(nothingOn)
		c := node.client(`{"subject_type":"pairwise","sector":"rp.example"}`)
		if sub := c.idTokenOf(nil).Str("sub"); sub == s.person.Subject || sub == "" {
			s.Errorf("sub %q", sub)
		}
	})
}
