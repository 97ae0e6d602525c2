package oauth

import (
	"crypto/rand"
	"encoding/json"
	"math/big"
	"slices"
	"strings"

	"gatehouse/provider/grant"
	"gatehouse/storage"
)

// Metadata is client metadata as it travels: registration (RFC 7591 section 2, RFC 7592) and the command line read and write it. The members after
// RequireAuthTime are Gatehouse's own.
type Metadata struct {
	ClientID         string `json:"client_id,omitempty"`
	ClientIDIssuedAt int64  `json:"client_id_issued_at,omitempty"`
	// ClientSecret is in clear: shown once when it is made, never read back. ClientSecretExpiresAt is present with it; 0 means never.
	ClientSecret          string          `json:"client_secret,omitempty"`
	ClientSecretExpiresAt *int64          `json:"client_secret_expires_at,omitempty"`
	ClientName            string          `json:"client_name,omitempty"`
	ClientURI             string          `json:"client_uri,omitempty"`
	LogoURI               string          `json:"logo_uri,omitempty"`
	PolicyURI             string          `json:"policy_uri,omitempty"`
	TOSURI                string          `json:"tos_uri,omitempty"`
	Contacts              []string        `json:"contacts,omitempty"`
	RedirectURIs          []string        `json:"redirect_uris,omitempty"`
	PostLogoutURIs        []string        `json:"post_logout_redirect_uris,omitempty"`
	GrantTypes            []string        `json:"grant_types,omitempty"`
	ResponseTypes         []string        `json:"response_types,omitempty"`
	Scope                 string          `json:"scope,omitempty"` // separated by spaces
	AuthMethod            string          `json:"token_endpoint_auth_method,omitempty"`
	AuthSigningAlg        string          `json:"token_endpoint_auth_signing_alg,omitempty"`
	ApplicationType       string          `json:"application_type,omitempty"`
	JWKS                  json.RawMessage `json:"jwks,omitempty"`
	JWKSURI               string          `json:"jwks_uri,omitempty"`
	IDTokenAlg            string          `json:"id_token_signed_response_alg,omitempty"`
	DefaultMaxAge         *int64          `json:"default_max_age,omitempty"` // seconds
	RequireAuthTime       bool            `json:"require_auth_time,omitempty"`

	Profile           string   `json:"profile,omitempty"`             // strict, compatible or fapi2
	AccessTokenFormat string   `json:"access_token_format,omitempty"` // jwt or opaque
	AccessTokenAlg    string   `json:"access_token_signed_response_alg,omitempty"`
	Audience          []string `json:"audience,omitempty"` // resource URIs (RFC 8707)
	// Lifetimes in seconds; 0 leaves the configured one. They can only shorten it.
	AccessTokenLifetime     int64 `json:"access_token_lifetime,omitempty"`
	IDTokenLifetime         int64 `json:"id_token_lifetime,omitempty"`
	RefreshIdleLifetime     int64 `json:"refresh_token_idle_lifetime,omitempty"`
	RefreshAbsoluteLifetime int64 `json:"refresh_token_absolute_lifetime,omitempty"`
	// FirstParty and Disabled count only if ClientRules.Operator is set.
	FirstParty bool `json:"first_party,omitempty"`
	Disabled   bool `json:"disabled,omitempty"`
}

// ClientRules are what the server's configuration lets a client register. A nil list means the default named at the field.
type ClientRules struct {
	// Operator is true on the command line: the operator may name the client's id and profile, mark it first_party or disabled, list any configured
	// resource and any well-formed scope. A registration gets the generated id, Profile, the open resources and the known scopes.
	Operator bool
	// Profile is given to a client that names none; empty means strict.
	Profile string
	// Resources are the protected APIs of the configuration.
	Resources []Resource
	// Algorithms are the signing algorithms that the server has keys for: RS256, ES256.
	Algorithms []string
	// GrantTypes that the server serves: those of grant.Table.
	GrantTypes []string
	// KnownScopes are the scopes that the server gives a meaning to, beside those of Resources: openid, profile, email, address, phone, offline_access.
	KnownScopes []string
}

// The error codes of RFC 7591 section 3.2.2.
const (
	InvalidRedirectURI    = "invalid_redirect_uri"
	InvalidClientMetadata = "invalid_client_metadata"
)

// MetadataError says which member of client metadata was refused and what to write instead. Message is printable ASCII without quotes and backslashes, so
// it can be an error_description (RFC 6749 section 5.2).
type MetadataError struct{ Code, Field, Message string }

func (e *MetadataError) Error() string { return e.Field + ": " + e.Message }

func refuse(field, message string) error {
	return &MetadataError{Code: InvalidClientMetadata, Field: field, Message: message}
}

// Apply replaces everything that metadata describes of c by m, with defaults for what m leaves out (RFC 7592 section 2.2: what is not sent is gone; to
// change a part, change View's answer and apply that). ID (unless empty), Secrets, RegisteredBy, Created and Updated stay; the secrets go if the new
// authentication method has none. The error is a *MetadataError and c is then as it was.
func (r ClientRules) Apply(c *storage.Client, m Metadata) error {
	next := *c
	// The order matters: a later step reads what an earlier one settled.
	for _, step := range []func(*storage.Client, *Metadata) error{
		r.applyIdentity, r.applyGrants, r.applyAuthentication, r.applyProfile, r.applyRedirects, r.applyTexts, r.applyKeys, r.applyTokens, r.applyAudience, r.applyScopes,
	} {
		if err := step(&next, &m); err != nil {
			return err
		}
	}
	*c = next
	return nil
}

// NeedsSecret tells whether the client authenticates with a secret and so must be given one.
func NeedsSecret(c *storage.Client) bool {
	return c.AuthMethod == "client_secret_basic" || c.AuthMethod == "client_secret_post"
}

// View returns a client's metadata as it may leave the server. secret is the secret in clear if it was made just now, else empty.
func View(c *storage.Client, secret string) Metadata {
	m := Metadata{
		ClientID: c.ID, ClientSecret: secret, ClientName: c.Name, ClientURI: c.ClientURI, LogoURI: c.LogoURI, PolicyURI: c.PolicyURI, TOSURI: c.TOSURI, Contacts: c.Contacts,
		RedirectURIs: c.RedirectURIs, PostLogoutURIs: c.PostLogoutRedirectURIs, GrantTypes: c.GrantTypes, ResponseTypes: c.ResponseTypes, Scope: strings.Join(c.Scopes, " "),
		AuthMethod: c.AuthMethod, AuthSigningAlg: c.AuthSigningAlg, ApplicationType: c.ApplicationType, JWKS: c.JWKS, JWKSURI: c.JWKSURI,
		IDTokenAlg: c.IDTokenAlg, DefaultMaxAge: c.DefaultMaxAge, RequireAuthTime: c.RequireAuthTime,
		Profile: c.Profile, AccessTokenFormat: c.AccessToken, AccessTokenAlg: c.AccessTokenAlg, Audience: c.Audience,
		AccessTokenLifetime: seconds(c.Lifetimes.AccessToken), IDTokenLifetime: seconds(c.Lifetimes.IDToken),
		RefreshIdleLifetime: seconds(c.Lifetimes.RefreshIdle), RefreshAbsoluteLifetime: seconds(c.Lifetimes.RefreshAbsolute),
		FirstParty: c.FirstParty, Disabled: c.Disabled,
	}
	if !c.Created.IsZero() {
		m.ClientIDIssuedAt = c.Created.Unix()
	}
	if secret != "" {
		m.ClientSecretExpiresAt = new(int64)
	}
	return m
}

// NewClientID makes a client id: 128 random bits in base62, which need no encoding anywhere.
func NewClientID() string {
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails, see Mint
	return digits(new(big.Int).SetBytes(random[:]), 22)
}

func (r ClientRules) applyIdentity(c *storage.Client, m *Metadata) error {
	switch {
	case !r.Operator && c.ID == "":
		c.ID = NewClientID()
	case c.ID == "" && m.ClientID == "":
		c.ID = NewClientID()
	case c.ID == "":
		if !wellFormedID(m.ClientID) {
			return refuse("client_id", "use 1 to 128 letters, digits and . _ ~ - @, beginning with a letter or a digit")
		}
		c.ID = m.ClientID
	case m.ClientID != "" && m.ClientID != c.ID:
		return refuse("client_id", "it cannot change; leave it out or send "+shown(c.ID))
	}
	if r.Operator {
		c.FirstParty, c.Disabled = m.FirstParty, m.Disabled
	}
	return nil
}

func wellFormedID(id string) bool {
	if id == "" || len(id) > 128 || strings.IndexByte(base62, id[0]) < 0 {
		return false
	}
	return strings.Trim(id, base62+"._~-@") == ""
}

func (r ClientRules) applyGrants(c *storage.Client, m *Metadata) error {
	served := orList(r.GrantTypes, grant.Types()...)
	grants := unique(m.GrantTypes)
	if len(grants) == 0 {
		grants = []string{"authorization_code"}
		if slices.Contains(strings.Fields(m.Scope), "offline_access") {
			grants = append(grants, "refresh_token")
		}
	}
	for _, g := range grants {
		if !slices.Contains(served, g) {
			return refuse("grant_types", shown(g)+" is not served here; use "+strings.Join(served, ", "))
		}
	}
	code := slices.Contains(grants, "authorization_code")
	if slices.Contains(grants, "refresh_token") && !slices.ContainsFunc(grants, func(g string) bool { return g != "refresh_token" && g != "client_credentials" }) {
		return refuse("grant_types", "refresh_token needs a grant that users take part in; add authorization_code")
	}
	c.GrantTypes = grants
	return applyResponseTypes(c, m, code)
}

// applyResponseTypes offers what the rows of the grant table lead to. code tells whether the client has the grant authorization_code.
func applyResponseTypes(c *storage.Client, m *Metadata, code bool) error {
	var offered []string
	for _, row := range grant.Table {
		offered = append(offered, row.ResponseTypes...)
	}
	responses := unique(m.ResponseTypes)
	if len(responses) == 0 && code {
		responses = []string{"code"}
	}
	for _, t := range responses {
		if !slices.Contains(offered, t) {
			return refuse("response_types", shown(t)+" is not offered; use "+strings.Join(unique(offered), ", "))
		}
	}
	if slices.Contains(responses, "code") != code {
		return refuse("response_types", "code belongs to the grant type authorization_code: name both or neither")
	}
	c.ResponseTypes = responses
	return nil
}

func (r ClientRules) applyProfile(c *storage.Client, m *Metadata) error {
	profile := r.Profile
	if r.Operator && m.Profile != "" {
		profile = m.Profile
	}
	if profile == "" {
		profile = "strict"
	}
	switch profile {
	case "strict":
		if slices.ContainsFunc(c.ResponseTypes, func(t string) bool { return t != "code" }) {
			return refuse("response_types", "a strict client uses code only; choose the profile compatible for other response types")
		}
	case "compatible":
	case "fapi2":
		return refuse("profile", "fapi2 is not built yet; use strict or compatible")
	default:
		return refuse("profile", shown(profile)+" is unknown; use strict or compatible")
	}
	c.Profile = profile
	return nil
}

// PKCERequired tells whether an authorization request of the client must carry a code_challenge: always for strict clients, and for compatible
// ones that have no credentials of their own.
func PKCERequired(c *storage.Client) bool { return c.Profile != "compatible" || c.AuthMethod == "none" }
