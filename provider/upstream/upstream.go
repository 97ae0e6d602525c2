package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// Upstream is one foreign provider, whatever it speaks. Its methods are safe for concurrent use, end within five seconds, and return errors of this file: a *Refusal for what the
// person or an operator can understand, else a cause that is for the log.
type Upstream interface {
	// AuthURL is where to send the browser.
	AuthURL(ctx context.Context, a *Attempt) (string, error)
	// Exchange checks the provider's answer, whose state has been checked, redeems its code and verifies who signed in. Parameters come once each.
	Exchange(ctx context.Context, a *Attempt, answer url.Values) (*External, error)
}

// Prober is an Upstream that can tell whether it may be used now; the others always may.
type Prober interface {
	// Probe reads what the provider publishes. A *Mismatch is a fault of the configuration; any other error means that the provider cannot be reached.
	Probe(ctx context.Context) error
}

// Ender is an Upstream that can end its own session in the browser (OpenID Connect RP-Initiated Logout 1.0). The URL is empty if the provider offers no such thing.
type Ender interface {
	EndSessionURL(ctx context.Context, idTokenHint, postLogoutRedirectURI, state string) (string, error)
}

// LogoutVerifier is an Upstream that sends logout tokens (OpenID Connect Back-Channel Logout 1.0 section 2.6).
type LogoutVerifier interface {
	VerifyLogoutToken(ctx context.Context, raw string) (*LogoutToken, error)
}

// Attempt is one walk to a provider and back (RFC 6749 section 4.1, RFC 7636). State, Nonce and Verifier are fresh random values, bound to the browser and the upstream.
type Attempt struct {
	State, Nonce, Verifier string
	RedirectURI            string
	// LoginHint is whom to suggest; empty for nobody.
	LoginHint string
	// Fresh asks for a new sign-in, whoever is signed in there (prompt=login, and max_age=0 of providers that tell auth_time for it). SelectAccount asks who it is to be.
	Fresh, SelectAccount bool
	// MaxAge is in seconds, nil for none.
	MaxAge *int64
	// ACRValues and UILocales are passed on as they came, space-separated.
	ACRValues, UILocales string
	// Started is when the walk began, Now the time of the call.
	Started, Now time.Time
}

// External is who signed in at a provider, verified.
type External struct {
	// ID names the account for good; see storage.Identity.
	ID string
	// Label is what the person knows the account by.
	Label string
	// Email is empty if the provider tells none. EmailVerified is true only if the provider says, in a way that can be relied on, that the address is the person's.
	Email         string
	EmailVerified bool
	// Claims are what the provider says, ID token and userinfo together, in the types that JSON gives them.
	Claims map[string]any
	// AuthTime is when the person signed in there, Issued when the provider said so, by its clock; zero if it was not told. AMR, ACR and SID are the claims of the ID token, each
	// text of 1 to 255 printable ASCII letters; what is longer or holds others counts as not told.
	AuthTime, Issued time.Time
	AMR              []string
	ACR, SID         string
	// IDToken is the verified ID token; empty if there is none. Tokens is the whole answer of the token endpoint.
	IDToken string
	Tokens  []byte
}

// LogoutToken is a verified logout token. At least one of ExternalID and SID is set.
type LogoutToken struct {
	ID              string // jti
	ExternalID, SID string
	Expires         time.Time
}

// Kind is one row of the table of provider types.
type Kind struct {
	// Type is the word in the configuration.
	Type string
	// Name is what the button says unless the configuration has another.
	Name string
	// Check adds to faults, by Config's fault method, what is missing or cannot be; it asks nobody.
	Check func(c *Config, fault func(field, problem, fix string))
	// New makes the upstream. It asks nobody either.
	New func(Options) (Upstream, error)
}

// Options build one upstream.
type Options struct {
	Config
	// Issuer is our own, for what is derived from it.
	Issuer string
	// HTTP is the guarded client: five seconds, no redirects, 256 KiB.
	HTTP *http.Client
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Config is one entry of `upstreams`, with secrets read from their files.
type Config struct {
	ID, Type, Name string
	// Issuer is for type oidc, Tenant for microsoft, URL (the base of a server of one's own) for gitlab and github.
	Issuer, Tenant, URL string
	ClientID            string
	ClientSecret        string
	// Scopes replace those of the type.
	Scopes []string
	// HostedDomains (google), Organizations and Teams ("org/team", github) say who may come; empty means anybody.
	HostedDomains, Organizations, Teams []string
	// TeamID, KeyID and PrivateKey (PEM, P-256) make Apple's client secrets.
	TeamID, KeyID, PrivateKey string
	// Link says what happens at a first sign-in when the verified address is that of a user here: proof (sign in to that account once), verified (the account is taken over,
	// with everything in it removed, if the address is verified here too) or never.
	Link string
	// CreateUsers creates a user at a first sign-in.
	CreateUsers bool
	// TrustEmail says that every address that the provider tells is verified.
	TrustEmail bool
	// Domains are those of addresses whose owners are sent here at once.
	Domains []string
	// Claims maps claims here to claims there (a dot goes into an object). Groups names the claim there that lists groups; Roles maps a role here to the groups that have it.
	Claims map[string]string
	Groups string
	Roles  map[string][]string
	// ACR maps acr values of the provider to ours.
	ACR map[string]string
	// KeepTokens keeps the provider's tokens, sealed. EndSession ends the session there, too, at sign-out.
	KeepTokens, EndSession bool
}

// Reason is why a sign-in at a provider came to nothing, in a word.
type Reason string

// The reasons.
const (
	Cancelled   Reason = "cancelled"   // the person did not want to
	NotAllowed  Reason = "not_allowed" // the account is none of those that may come
	Unavailable Reason = "unavailable" // the provider does not answer, or too slowly
	Broken      Reason = "broken"      // the provider answered what it may not
)

// Refusal is an outcome that a page explains. Detail is for the log, in our own words or quoted; the provider's text never reaches a page.
type Refusal struct {
	Reason Reason
	Detail string
	Cause  error
}

func (r *Refusal) Error() string {
	if r.Cause != nil {
		return string(r.Reason) + ": " + r.Detail + ": " + r.Cause.Error()
	}
	return string(r.Reason) + ": " + r.Detail
}

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Cause }

// Mismatch says that a provider calls itself something else than the configuration.
type Mismatch struct{ Configured, Found string }

func (m *Mismatch) Error() string {
	return fmt.Sprintf("its discovery document names the issuer %.200q, the configuration %.200q", m.Found, m.Configured)
}

// ReasonOf is the reason of any error of an Upstream.
func ReasonOf(err error) Reason {
	var refusal *Refusal
	switch {
	case errors.As(err, &refusal):
		return refusal.Reason
	case errors.Is(err, context.DeadlineExceeded):
		return Unavailable
	}
	return Broken
}
