package rp

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Options say which relying party to be.
type Options struct {
	// Issuer is compared byte for byte with what discovery and every token say.
	Issuer   string
	ClientID string
	// ClientSecret is empty for a public client; otherwise it is sent as client_secret_basic.
	ClientSecret string
	RedirectURI  string
	// Scopes default to openid.
	Scopes []string
	// HTTP is the client for every request; nil means one with a time-out of ten seconds.
	HTTP *http.Client
	// Now is the clock for token expiry; nil means time.Now.
	Now func() time.Time
}

// Party is a relying party of one provider. It is safe for concurrent use.
type Party struct {
	o        Options
	meta     Metadata
	provider *oidc.Provider
	config   oauth2.Config
}

// Metadata is the part of the discovery document (OIDC Discovery 1.0 section 3, RFC 8414 section 2) that a relying party uses.
type Metadata struct {
	Issuer          string   `json:"issuer"`
	Authorization   string   `json:"authorization_endpoint"`
	Token           string   `json:"token_endpoint"`
	JWKS            string   `json:"jwks_uri"`
	UserInfo        string   `json:"userinfo_endpoint"`
	Revocation      string   `json:"revocation_endpoint"`
	Introspection   string   `json:"introspection_endpoint"`
	EndSession      string   `json:"end_session_endpoint"`
	Scopes          []string `json:"scopes_supported"`
	GrantTypes      []string `json:"grant_types_supported"`
	ChallengeMethod []string `json:"code_challenge_methods_supported"`
	// ResponseIssuer says that every authorization response carries iss (RFC 9207).
	ResponseIssuer bool `json:"authorization_response_iss_parameter_supported"`
}

// answerTimeout is how long one request may take.
const answerTimeout = 10 * time.Second

// New runs discovery. It fails if the provider cannot be reached, names another issuer or does not offer PKCE with S256.
func New(ctx context.Context, o Options) (*Party, error) {
	if o.HTTP == nil {
		o.HTTP = &http.Client{Timeout: answerTimeout}
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if len(o.Scopes) == 0 {
		o.Scopes = []string{oidc.ScopeOpenID}
	}
	p := &Party{o: o}
	provider, err := oidc.NewProvider(p.context(ctx), o.Issuer)
	if err != nil {
		return nil, fmt.Errorf("discover issuer: %w", err)
	}
	if err := provider.Claims(&p.meta); err != nil {
		return nil, fmt.Errorf("read discovery document: %w", err)
	}
	if !slices.Contains(p.meta.ChallengeMethod, "S256") {
		return nil, errors.New("read discovery document: code_challenge_methods_supported lacks S256")
	}
	endpoint := provider.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if o.ClientSecret == "" {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	p.provider = provider
	p.config = oauth2.Config{
		ClientID: o.ClientID, ClientSecret: o.ClientSecret, RedirectURL: o.RedirectURI, Scopes: o.Scopes, Endpoint: endpoint,
	}
	return p, nil
}

// Metadata returns what discovery found.
func (p *Party) Metadata() Metadata { return p.meta }

// Document unmarshals the whole discovery document into v.
func (p *Party) Document(v any) error { return p.provider.Claims(v) }

// Scopes returns the scopes that this party asks for.
func (p *Party) Scopes() []string { return slices.Clone(p.o.Scopes) }

// EndSessionURL is where to send the browser for RP-initiated logout (RP-Initiated Logout 1.0 section 2). It is false if discovery names no such endpoint.
func (p *Party) EndSessionURL(idTokenHint, postLogoutRedirectURI, state string) (string, bool) {
	if p.meta.EndSession == "" {
		return "", false
	}
	q := url.Values{"client_id": {p.o.ClientID}}
	for name, value := range map[string]string{
		"id_token_hint": idTokenHint, "post_logout_redirect_uri": postLogoutRedirectURI, "state": state,
	} {
		if value != "" {
			q.Set(name, value)
		}
	}
	separator := "?"
	if strings.Contains(p.meta.EndSession, "?") {
		separator = "&"
	}
	return p.meta.EndSession + separator + q.Encode(), true
}

func (p *Party) context(ctx context.Context) context.Context {
	return oidc.ClientContext(ctx, p.o.HTTP)
}
