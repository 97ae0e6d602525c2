package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/provider/client"
	"gatehouse/provider/rp"
)

// signInAs registers a client and walks through its code flow with all scopes of standard claims.
func signInAs(t *testing.T, i *instance, username string) (*rp.Party, *rp.Tokens) {
	t.Helper()
	const callback, scopes = "http://127.0.0.1:9/callback", "openid profile email phone address"
	var c client.Metadata
	text := i.command(t, "", "client", "create", "--redirect-uri", callback, "--scope", scopes, "--format", "json")
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	party, err := rp.New(t.Context(), rp.Options{
		Issuer: i.url, ClientID: c.ClientID, ClientSecret: c.ClientSecret, RedirectURI: callback, Scopes: []string{"openid", "profile", "email", "phone", "address"},
	})
	if err != nil {
		t.Fatal(err)
	}
	attempt := party.Begin(nil)
	response, err := rp.NewBrowser(rp.BrowserOptions{}).Walk(t.Context(), rp.User{Name: username, Password: sessionPassword}, attempt.URL, callback)
	if err != nil {
		t.Fatal(err)
	}
	tokens, err := party.Exchange(t.Context(), attempt, response)
	if err != nil {
		t.Fatal(err)
	}
	return party, tokens
}

func TestU2U3WhatAnOperatorChangesIsWhatUserinfoTells(t *testing.T) {
	i := start(t, environment(t))
	file := filepath.Join(t.TempDir(), "ada.json")
	before := `{"name":"Ada","nickname":"countess","updated_at":1700000000,"email_verified":true,"birthdate":"1815","phone_number":"+44 1","phone_number_verified":true,"address":{"country":"GB"}}`
	if err := os.WriteFile(file, []byte(before), 0o600); err != nil {
		t.Fatal(err)
	}
	i.command(t, sessionPassword, "user", "create", "--email", "ada@example.com", "--username", "ada", "--claims", file, "--password-stdin")
	party, tokens := signInAs(t, i, "ada")
	info := func() map[string]any {
		claims, err := party.UserInfo(t.Context(), tokens.AccessToken, tokens.ID.Subject)
		if err != nil {
			t.Fatal(err)
		}
		return claims
	}
	claims := info()
	for name, want := range map[string]any{
		"name": "Ada", "nickname": "countess", "updated_at": 1700000000.0, "email": "ada@example.com", "email_verified": true, "birthdate": "1815", "phone_number_verified": true, "preferred_username": "ada",
	} {
		if claims[name] != want {
			t.Errorf("at first %s is %v, want %v", name, claims[name], want)
		}
	}

	changed := time.Now().Unix()
	i.command(t, `{"name":"Augusta Ada King","nickname":null,"address":null,"phone_number":"+44 2"}`, "user", "update", "ada", "--email", "augusta@example.com", "--claims", "-")
	claims = info()
	for name, want := range map[string]any{
		"name": "Augusta Ada King", "nickname": nil, "address": nil, "email": "augusta@example.com", "email_verified": false, "birthdate": "1815", "phone_number": "+44 2", "phone_number_verified": false,
	} {
		if value, there := claims[name]; value != want || there != (want != nil) {
			t.Errorf("after the change %s is %v, want %v", name, value, want)
		}
	}
	if at, ok := claims["updated_at"].(float64); !ok || int64(at) < changed {
		t.Errorf("updated_at is %v after a change at %d", claims["updated_at"], changed)
	}
}
