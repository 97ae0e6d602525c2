package provider_test

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	gooidc "github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"gatehouse/provider"
	"gatehouse/provider/grant"
)

// Dynamic registration as agents do it (Model Context Protocol), then a sign-in with x/oauth2. No Go client in this module registers by itself.

const toolsAPI = "https://mcp.example/v1"

// agents are the registrations that the field's kits send, with what the answer has to say of them.
var agents = map[string]object{
	"kit of version 1": {
		"redirect_uris": []string{"http://127.0.0.1:33418/callback"}, "token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code", "refresh_token"},
		"response_types": []string{"code"}, "client_name": "Agent", "client_uri": "https://agent.example", "scope": "tools:read offline_access made:up",
	},
	"kit of version 2": {
		"redirect_uris": []string{"http://localhost:33418/callback"}, "token_endpoint_auth_method": "none", "grant_types": []string{"authorization_code", "refresh_token"},
		"response_types": []string{"code"}, "client_name": "Agent", "application_type": "native", "scope": "tools:read offline_access",
	},
	"confidential": {
		"redirect_uris": []string{"https://agent.example/callback"}, "token_endpoint_auth_method": "client_secret_post", "grant_types": []string{"authorization_code", "refresh_token"},
		"response_types": []string{"code"}, "client_name": "Agent", "scope": "tools:read offline_access",
	},
}

func agentServer(t *testing.T) *server {
	t.Helper()
	s := start(t, "memory", registers("open", func(o *provider.Options) {
		o.Resources = []grant.Resource{{URI: toolsAPI, Scopes: []string{"tools:read"}, DynamicClients: true}}
	}))
	s.user("ada@example.com")
	return s
}

// TestInteropAgentsRegister: the answer is 201 and has what the kits' schemas demand; an unknown scope is no reason to refuse.
func TestInteropAgentsRegister(t *testing.T) {
	s := agentServer(t)
	for name, body := range agents {
		t.Run(name, func(t *testing.T) {
			s := s.on(t)
			a := s.call("POST", "/oauth2/register", "", body)
			if a.Status != http.StatusCreated || a.Header.Get("Content-Type") != "application/json" || a.Str("client_id") == "" {
				t.Fatalf("%d %v %s", a.Status, a.Header, a.Raw)
			}
			if !slices.Equal(a.list("redirect_uris"), body["redirect_uris"].([]string)) || a.Str("token_endpoint_auth_method") != body["token_endpoint_auth_method"] {
				t.Errorf("not what was sent: %s", a.Raw)
			}
			expires, hasExpiry := a.JSON["client_secret_expires_at"]
			if withSecret := body["token_endpoint_auth_method"] != "none"; (a.Str("client_secret") != "") != withSecret || hasExpiry != withSecret || withSecret && expires != 0.0 {
				t.Errorf("secret and its expiry: %s", a.Raw)
			}
			if !sameScope(a.Str("scope"), "tools:read offline_access") {
				t.Errorf("scope %q", a.Str("scope"))
			}
			s.agentSignsIn(a, body["redirect_uris"].([]string)[0])
		})
	}
}

// agentSignsIn runs the code flow for a resource without openid, refreshes, and is told to register again once its registration is gone.
func (s *server) agentSignsIn(registered answer, redirectURI string) {
	s.Helper()
	discovered, err := gooidc.NewProvider(s.Context(), s.URL)
	s.ok(err)
	config := oauth2.Config{
		ClientID: registered.Str("client_id"), ClientSecret: registered.Str("client_secret"), Endpoint: discovered.Endpoint(), RedirectURL: redirectURI, Scopes: []string{"tools:read", "offline_access"},
	}
	state, pkce, resource := rand.Text(), oauth2.GenerateVerifier(), oauth2.SetAuthURLParam("resource", toolsAPI)
	b := s.browser("ada@example.com")
	params := s.sentTo(b.walk(config.AuthCodeURL(state, oauth2.S256ChallengeOption(pkce), resource, oauth2.SetAuthURLParam("prompt", "consent"))), redirectURI)
	if params.Get("state") != state || params.Get("iss") != s.URL || !slices.Contains(b.Pages, "consent") {
		s.Fatalf("%v after the pages %v", params, b.Pages)
	}
	token, err := config.Exchange(s.Context(), params.Get("code"), oauth2.VerifierOption(pkce), resource)
	if err != nil {
		s.Fatal(err)
	}
	form := url.Values{"grant_type": {"refresh_token"}, "refresh_token": {token.RefreshToken}, "resource": {toolsAPI}, "client_id": {config.ClientID}}
	if config.ClientSecret != "" {
		form.Set("client_secret", config.ClientSecret)
	}
	refreshed := s.wantOK(s.post("/oauth2/token", form, noBasic))
	for name, access := range map[string]string{"code": token.AccessToken, "refresh": refreshed.Str("access_token")} {
		if claims := jwtPayload(s.T, access); claims["aud"] != toolsAPI || claims["client_id"] != config.ClientID || !strings.Contains(claims["scope"].(string), "tools:read") {
			s.Errorf("%s: %v", name, claims)
		}
	}
	if _, hasID := refreshed.JSON["id_token"]; hasID || token.Extra("id_token") != nil || refreshed.Str("refresh_token") == "" {
		s.Errorf("without openid: %s", refreshed.Raw)
	}
	if gone := s.manage("DELETE", registered, "", nil); gone.Status != http.StatusNoContent {
		s.Fatalf("%d %s", gone.Status, gone.Raw)
	}
	form.Set("refresh_token", refreshed.Str("refresh_token"))
	s.wantError(s.post("/oauth2/token", form, noBasic), http.StatusUnauthorized, "invalid_client")
}

// TestInteropRegistrationKeepsTheQueryOfTheBackchannel: mod_auth_openidc listens at its redirect URI with ?logout=backchannel.
func TestInteropRegistrationKeepsTheQueryOfTheBackchannel(t *testing.T) {
	s := agentServer(t)
	const address = "https://rp.example/redirect_uri?logout=backchannel"
	a := s.register("", object{"backchannel_logout_uri": address, "backchannel_logout_session_required": true})
	if a.Str("backchannel_logout_uri") != address || s.wantOK(s.manage("GET", a, "", nil)).Str("backchannel_logout_uri") != address {
		t.Errorf("%s", a.Raw)
	}
}
