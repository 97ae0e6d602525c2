package storage

import (
	"context"
	"encoding/json"
	"time"
)

// Client is a registered relying party (RFC 7591 section 2). JSON is the stored form; what leaves the server is built by package oauth, never
// this struct.
type Client struct {
	ID                     string   `json:"client_id"`
	Name                   string   `json:"client_name,omitempty"`
	RedirectURIs           []string `json:"redirect_uris,omitempty"`
	PostLogoutRedirectURIs []string `json:"post_logout_redirect_uris,omitempty"`
	GrantTypes             []string `json:"grant_types,omitempty"`
	ResponseTypes          []string `json:"response_types,omitempty"`
	Scopes                 []string `json:"scopes,omitempty"`
	// AuthMethod is none, client_secret_basic, client_secret_post, client_secret_jwt or private_key_jwt.
	AuthMethod     string `json:"token_endpoint_auth_method"`
	AuthSigningAlg string `json:"token_endpoint_auth_signing_alg,omitempty"`
	// Audience lists the resource URIs (RFC 8707) that the client may ask for.
	Audience []string `json:"audience,omitempty"`
	// AccessToken is "jwt" or "opaque".
	AccessToken string `json:"access_token_format"`
	// Profile is "strict", "compatible" or "fapi2".
	Profile string `json:"profile"`
	// FirstParty clients skip the consent page; only an operator can set it.
	FirstParty      bool            `json:"first_party,omitempty"`
	ApplicationType string          `json:"application_type,omitempty"`
	JWKS            json.RawMessage `json:"jwks,omitempty"`
	JWKSURI         string          `json:"jwks_uri,omitempty"`
	ClientURI       string          `json:"client_uri,omitempty"`
	LogoURI         string          `json:"logo_uri,omitempty"`
	PolicyURI       string          `json:"policy_uri,omitempty"`
	TOSURI          string          `json:"tos_uri,omitempty"`
	Contacts        []string        `json:"contacts,omitempty"`
	IDTokenAlg      string          `json:"id_token_signed_response_alg,omitempty"`
	AccessTokenAlg  string          `json:"access_token_signed_response_alg,omitempty"`
	DefaultMaxAge   *int64          `json:"default_max_age,omitempty"`
	RequireAuthTime bool            `json:"require_auth_time,omitempty"`
	DefaultACR      []string        `json:"default_acr_values,omitempty"`
	UserinfoAlg     string          `json:"userinfo_signed_response_alg,omitempty"`
	// InitiateLoginURI takes logins that a third party starts (OIDC Core 4).
	InitiateLoginURI string `json:"initiate_login_uri,omitempty"`
	// SubjectType is public, also if empty, or pairwise. Sector is the host that pairwise subjects are made for; once set it is fixed, as another
	// one would turn every user into a stranger.
	SubjectType         string `json:"subject_type,omitempty"`
	SectorIdentifierURI string `json:"sector_identifier_uri,omitempty"`
	Sector              string `json:"sector,omitempty"`
	// RequestURIs may be fetched as request objects (RFC 9101).
	RequestURIs                []string `json:"request_uris,omitempty"`
	RequestObjectAlg           string   `json:"request_object_signing_alg,omitempty"`
	RequireSignedRequestObject bool     `json:"require_signed_request_object,omitempty"`
	RequirePAR                 bool     `json:"require_pushed_authorization_requests,omitempty"`
	// A client with a BackchannelLogoutURI is told of the end of each session that it took part in; see LogoutStore.
	BackchannelLogoutURI              string `json:"backchannel_logout_uri,omitempty"`
	BackchannelLogoutSessionRequired  bool   `json:"backchannel_logout_session_required,omitempty"`
	FrontchannelLogoutURI             string `json:"frontchannel_logout_uri,omitempty"`
	FrontchannelLogoutSessionRequired bool   `json:"frontchannel_logout_session_required,omitempty"`
	// Upstream is the id of the provider that the client's users sign in with, without being asked; only an operator can set it.
	Upstream string `json:"upstream,omitempty"`
	// RequireMFA makes every sign-in for the client take a second factor, SignUp says who may make an account on the way to it: "" as configured, "off", "open" or "invite". Branding
	// overrides the configured looks. Only an operator can set them.
	RequireMFA      bool      `json:"require_mfa,omitempty"`
	SignUp          string    `json:"sign_up,omitempty"`
	Branding        *Branding `json:"branding,omitempty"`
	SoftwareID      string    `json:"software_id,omitempty"`
	SoftwareVersion string    `json:"software_version,omitempty"`
	// Lifetimes shorten the configured ones; zero means the configured value.
	Lifetimes Lifetimes      `json:"lifetimes,omitzero"`
	Secrets   []ClientSecret `json:"secrets,omitempty"`
	// RegisteredBy is "operator", "token" (initial access token) or "open".
	RegisteredBy string `json:"registered_by,omitempty"`
	// RegistrationToken is the signature of the registration access token (RFC 7592).
	RegistrationToken string    `json:"registration_token,omitempty"`
	Disabled          bool      `json:"disabled,omitempty"`
	Created           time.Time `json:"created"`
	Updated           time.Time `json:"updated"`
	// Expires is when the client has no more to live for, zero for never; Purge deletes it ClientGrace later. TouchClients moves it without bumping TopicClients, so that a copy may show an
	// earlier time than the row.
	Expires time.Time `json:"-"`
}

// ClientGrace is how long after its Expires a client is still there: somebody may be on the sign-in page of its last request, and a process that served it may not have
// noted that yet.
const ClientGrace = 30 * time.Minute

// ClientSecret is one secret. Hash is "$sha256$" + base64url for generated ones, "$2..." (bcrypt) for ones a person chose. For client_secret_jwt, whose key
// is the secret itself, Sealed holds it sealed (package seal) and Hash is empty.
type ClientSecret struct {
	Hash    string    `json:"hash,omitempty"`
	Sealed  []byte    `json:"sealed,omitempty"`
	Created time.Time `json:"created"`
	// Expires is zero for the current secret; a rotated one works until then.
	Expires time.Time `json:"expires,omitzero"`
}

// Branding is how the hosted pages look for people on their way to a client. Empty fields are as configured.
type Branding struct {
	Name string `json:"name,omitempty"`
	// LogoURL is a path on this server or an https URL of the issuer's origin; empty with a LogoURI means the client's own logo.
	LogoURL string `json:"logo_url,omitempty"`
	// Accent is a colour, #rrggbb, AccentDark the one for dark mode.
	Accent     string `json:"accent,omitempty"`
	AccentDark string `json:"accent_dark,omitempty"`
	PrivacyURL string `json:"privacy_url,omitempty"`
	TermsURL   string `json:"terms_url,omitempty"`
	SupportURL string `json:"support_url,omitempty"`
}

// Lifetimes are per-client limits. A client may shorten the configured lifetimes, never lengthen them.
type Lifetimes struct {
	AccessToken     time.Duration `json:"access_token,omitempty"`
	IDToken         time.Duration `json:"id_token,omitempty"`
	RefreshIdle     time.Duration `json:"refresh_idle,omitempty"`
	RefreshAbsolute time.Duration `json:"refresh_absolute,omitempty"`
}

// ClientStore keeps clients. Every write but TouchClients bumps TopicClients.
type ClientStore interface {
	// CreateClient stores a new client, stamping Created and Updated. ExistsError{"id"} if the id is taken, also under a race: one caller wins.
	CreateClient(ctx context.Context, c *Client) error
	// Client returns the client, disabled ones too. ErrNotFound.
	Client(ctx context.Context, id string) (*Client, error)
	// UpdateClient reads, changes and writes in one transaction, stamping Updated; concurrent changes are applied one after the other and none is
	// lost. An error of change is returned as it is and nothing is saved. A change that sets Disabled revokes by client in the same
	// transaction. The ID cannot change. ErrNotFound.
	UpdateClient(ctx context.Context, id string, change func(*Client) error) (*Client, error)
	// DeleteClient removes the client, its consents, logo and logout deliveries and revokes by client, in one transaction. ErrNotFound.
	DeleteClient(ctx context.Context, id string) error
	// ListClients returns up to limit clients with ids greater than after, in order of id.
	ListClients(ctx context.Context, after string, limit int) ([]*Client, error)
	// TouchClients moves Expires forward to until for those of the clients that have one and whose own is earlier; a missing client is no error. Against a
	// Purge at the same time a client is either touched or gone as a whole.
	TouchClients(ctx context.Context, ids []string, until time.Time) error
}

// Logo is a client's logo, fetched when the client was saved, at most 64 KiB.
type Logo struct {
	ClientID    string
	ContentType string // image/png, image/jpeg or image/webp
	Data        []byte
	Fetched     time.Time
}

// LogoStore keeps client logos.
type LogoStore interface {
	// PutLogo inserts or replaces. ErrNotFound if the client does not exist.
	PutLogo(ctx context.Context, l *Logo) error
	// Logo returns a client's logo. ErrNotFound.
	Logo(ctx context.Context, clientID string) (*Logo, error)
}
