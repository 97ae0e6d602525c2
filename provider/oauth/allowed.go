package oauth

import (
	"encoding/json"
	"fmt"

	"gatehouse/provider/grant"
	"gatehouse/storage"
)

// Allowed returns what a stored token lets its client do. The resources of an access token are left to the refresh token beside it: its audience may also name
// this server.
func Allowed(t storage.LiveToken) (scopes, resources []string, err error) {
	if t.Kind == storage.TokenAccess {
		var claims AccessClaims
		if err := json.Unmarshal(t.Payload, &claims); err != nil {
			return nil, nil, fmt.Errorf("decode access token row: %w", err)
		}
		return claims.Scopes(), nil, nil
	}
	var payload grant.Payload
	if err := json.Unmarshal(t.Payload, &payload); err != nil {
		return nil, nil, fmt.Errorf("decode refresh token row: %w", err)
	}
	return payload.Scopes, payload.Resources, nil
}
