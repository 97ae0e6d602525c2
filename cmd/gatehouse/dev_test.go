package main

import (
	"encoding/json"
	"testing"

	"gatehouse/provider/claims"
	"gatehouse/provider/oauth"
	"gatehouse/provider/request"
	"gatehouse/storage"
)

// The scope tests of the conformance plans want every standard claim (trap 11).
func TestTrap11TheDemoUserHasEveryStandardClaim(t *testing.T) {
	u := newDemoUser()
	got := oauth.UserClaims(u, []string{"openid", "profile", "email", "phone", "address"}, nil)
	for scope, names := range request.ScopeClaims {
		for _, name := range names {
			if _, ok := got[name]; !ok {
				t.Errorf("%s of the scope %s is missing", name, scope)
			}
		}
	}
	if address, ok := u.Claims["address"].(map[string]any); !ok || len(address) != 6 {
		t.Errorf("address is %v", u.Claims["address"])
	}
	text, err := json.Marshal(u.Claims)
	if err != nil {
		t.Fatal(err)
	}
	if err := claims.Apply(&storage.User{}, text); err != nil {
		t.Errorf("an operator could not give these claims: %v", err)
	}
}
