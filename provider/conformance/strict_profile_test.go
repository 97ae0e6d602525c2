package conformance

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"gatehouse/provider"
	"gatehouse/storage"
)

// How a client stays strict where other profiles are to be had.

// Else the tests of strict clients would show nothing.
func TestStrictTheServerHasEveryOptionOn(t *testing.T) {
	everywhere(t, func(s *suite) {
		m := s.metadata()
		for name, value := range map[string]string{
			"id_token_signing_alg_values_supported": "none", "request_object_signing_alg_values_supported": "none", "response_modes_supported": "fragment", "subject_types_supported": "pairwise",
		} {
			if !slices.Contains(s.list(m, name), value) {
				s.Errorf("%s lacks %s", name, value)
			}
		}
		for _, name := range []string{"registration_endpoint", "check_session_iframe", "end_session_endpoint", "pushed_authorization_request_endpoint"} {
			if m[name] == nil {
				s.Errorf("no %s", name)
			}
		}
		if got := s.list(m, "response_types_supported"); !sameSet(got, allResponseTypes) {
			s.Errorf("response types %v", got)
		}
		s.registered(nil) // without an initial access token
		s.registered(metadata{"id_token_signed_response_alg": "none", "request_object_signing_alg": "none"})
	})
}

// A client that was turned from compatible to strict keeps nothing of what it was, not even the codes that it was promised.
func TestStrictAfterCompatible(t *testing.T) {
	everywhere(t, func(s *suite) {
		c, b := s.client(compatible, signing(own.rs256()), `{"request_object_signing_alg":"none"}`), s.browser()
		r := b.authorize(c, plain.with(values{"response_type": "id_token token"}))
		if r.Params.Get("access_token") == "" {
			s.Fatalf("%v", r.Params)
		}
		if _, err := s.Store.UpdateClient(s.Context(), c.ID, func(stored *storage.Client) error { stored.Profile = "strict"; return nil }); err != nil {
			s.Fatal(err)
		}
		s.eventually("the server has seen the change", func() bool { return b.authorize(c, plain).Params.Get("error") == "invalid_request" })
		b.Steps = nil
		for _, v := range []values{plain, {"response_type": "id_token token"}, {"response_type": "code id_token"}, {"response_mode": "fragment"}, c.outer(values{"request": unsigned(c.object(nil))})} {
			if r := b.authorize(c, v); r.Params.Has("code") || r.Params.Has("access_token") || r.Params.Has("id_token") || r.Mode == "fragment" {
				s.Errorf("%v: %s %v", v, r.Mode, r.Params)
			}
		}
	})
}

// On a server that registers clients as strict, the other options give them nothing, neither at first nor by an update.
func TestStrictRegistrationsGetNothingOfTheOptions(t *testing.T) {
	onBackends(t, func(s *suite) {
		node := s.node(func(o *provider.Options) { o.Registration.Profile = "strict" })
		loose := []metadata{
			{"response_types": []string{"code id_token"}, "grant_types": []string{"authorization_code", "implicit"}}, {"response_types": []string{"id_token"}, "grant_types": []string{"implicit"}},
			{"id_token_signed_response_alg": "none"}, {"request_object_signing_alg": "none"},
		}
		for _, m := range loose {
			node.register(m).wantError(http.StatusBadRequest, "invalid_client_metadata")
			m["profile"] = "compatible"
			node.register(m).wantError(http.StatusBadRequest, "invalid_client_metadata")
		}
		c := node.registered(metadata{"profile": "compatible"})
		for _, m := range append(loose, metadata{"profile": "compatible"}) {
			body := metadata{"client_id": c.ID, "redirect_uris": []string{c.Callback}}
			for name, value := range m {
				body[name] = value
			}
			// Neither where it registered nor on a node that gives new clients another profile.
			for _, base := range []string{node.URL, s.URL} {
				if a := s.send("PUT", base+"/oauth2/register/"+c.ID, c.Token, body); len(m) > 1 && a.Status != http.StatusBadRequest {
					s.Errorf("PUT %v: %d %s", m, a.Status, a.Raw)
				}
			}
		}
		// Row 11: its errors do not redirect by themselves, and PKCE is not optional.
		r := node.browser().authorize(c.client, plain)
		if r.wantPage(http.StatusBadRequest); !strings.Contains(r.Page.Body, "invalid_request") && !strings.Contains(r.Page.Body, "code_challenge") {
			s.Errorf("the page says %s", r.Page.Body)
		}
		c.redeem(node.browser().authorize(c.client, nil).code(), nil).wantTokens()
	})
}
