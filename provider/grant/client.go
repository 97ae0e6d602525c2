package grant

import (
	"github.com/ory/fosite"

	"gatehouse/storage"
)

// Client is a stored client in the shape that fosite asks for.
type Client struct {
	*storage.Client
	// AuthenticatedBy is the authentication method of this request; empty where none took place.
	AuthenticatedBy string
}

var _ fosite.Client = Client{}

// GetID returns the client id.
func (c Client) GetID() string { return c.ID }

// GetHashedSecret returns nil: client authentication is ours, and fosite must never compare a secret.
func (c Client) GetHashedSecret() []byte { return nil }

// GetRedirectURIs returns the registered redirect URIs.
func (c Client) GetRedirectURIs() []string { return c.RedirectURIs }

// GetGrantTypes returns the registered grant types.
func (c Client) GetGrantTypes() fosite.Arguments { return c.GrantTypes }

// GetResponseTypes returns the registered response types.
func (c Client) GetResponseTypes() fosite.Arguments { return c.ResponseTypes }

// GetScopes returns the scopes that the client may ask for.
func (c Client) GetScopes() fosite.Arguments { return c.Scopes }

// IsPublic tells whether the client has no credential (RFC 6749 section 2.1).
func (c Client) IsPublic() bool { return c.AuthMethod == "none" }

// GetAudience returns the resources that the client may ask for (RFC 8707).
func (c Client) GetAudience() fosite.Arguments { return c.Audience }
