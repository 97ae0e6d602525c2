package grant

// The client credentials grant: RFC 6749 section 4.4. No user, no refresh token, and no row in storage for JWT access tokens.

import (
	"context"
	"slices"
)

// userScopes mean something only where there is a user.
var userScopes = []string{"openid", "offline_access"}

func redeemClientCredentials(_ context.Context, p *Pipeline, r Request) (*Award, error) {
	scopes := r.Scopes()
	if len(scopes) == 0 {
		scopes = slices.DeleteFunc(slices.Clone(r.Client.Scopes), func(s string) bool { return slices.Contains(userScopes, s) })
	}
	for _, scope := range scopes {
		if slices.Contains(userScopes, scope) {
			return nil, Refuse("invalid_scope", "The scope "+scope+" needs a user and cannot be granted to client_credentials.")
		}
		if !slices.Contains(r.Client.Scopes, scope) {
			return nil, Refuse("invalid_scope", "This client is not registered for one of the requested scopes.")
		}
	}
	resources := r.Resources()
	if err := p.Resources.CheckWanted(r.Client, resources); err != nil {
		return nil, err
	}
	grantID, err := NewGrantID(r.Now)
	if err != nil {
		return nil, err
	}
	return &Award{Client: r.Client, GrantID: grantID, Payload: Payload{Scopes: scopes, Resources: resources}, Scopes: scopes, Resources: resources}, nil
}
