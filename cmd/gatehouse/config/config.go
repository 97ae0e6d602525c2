package config

import (
	"net/netip"
	"strings"
	"time"

	"gatehouse/provider/claims"
)

// Config is the whole configuration. A key tag is the last part of the key in YAML; `secret` marks values that are never shown and that may come from a
// file.
type Config struct {
	// Issuer is the one public URL, https or http on a loopback host, without a trailing slash.
	Issuer   string   `key:"issuer"`
	Server   Server   `key:"server"`
	Ops      Ops      `key:"ops"`
	Storage  Storage  `key:"storage"`
	Sessions Sessions `key:"sessions"`
	Secrets  Secrets  `key:"secrets"`
	Tokens   Tokens   `key:"tokens"`
	OAuth    OAuth    `key:"oauth"`
	// Registration is dynamic client registration.
	Registration Registration `key:"registration"`
	Logout       Logout       `key:"logout"`
	Keys         Keys         `key:"keys"`
	Login        Login        `key:"login"`
	SignUp       SignUp       `key:"signup"`
	Factors      Factors      `key:"factors"`
	Account      Account      `key:"account"`
	Passwords    Passwords    `key:"passwords"`
	Limits       Limits       `key:"limits"`
	Outbound     Outbound     `key:"outbound"`
	Resources    []Resource   `key:"resources"`
	Upstreams    []Upstream   `key:"upstreams"`
	Mail         Mail         `key:"mail"`
	Branding     Branding     `key:"branding"`
	Log          Log          `key:"log"`
}

// Server is the public listener.
type Server struct {
	Listen string `key:"listen"` // host:port
	TLS    TLS    `key:"tls"`
	// TrustedProxies are addresses or CIDR prefixes whose X-Forwarded-For is believed.
	TrustedProxies []string `key:"trusted_proxies"`
	// ShutdownGrace is how long running requests may go on after SIGTERM.
	ShutdownGrace time.Duration `key:"shutdown_grace"`
}

// TLS names PEM files; both are empty behind a proxy.
type TLS struct {
	Cert string `key:"cert"`
	Key  string `key:"key"`
}

// Ops is the listener for metrics and health; empty means none.
type Ops struct {
	Listen string `key:"listen"`
}

// Storage is where everything is kept: sqlite:PATH or postgres://...
type Storage struct {
	URL         string `key:"url" secret:"true"`
	AutoMigrate bool   `key:"auto_migrate"`
}

// Sessions are browser sessions.
type Sessions struct {
	Idle     time.Duration `key:"idle"`
	Absolute time.Duration `key:"absolute"`
	// Remember is how long "stay signed in" lasts; 0: it is not offered.
	Remember       time.Duration `key:"remember"`
	CookieSameSite string        `key:"cookie_same_site"` // lax or none
}

// Secrets are the master keys, 32 bytes in base64 each; the first seals, all of them open.
type Secrets struct {
	Keys []string `key:"keys" secret:"true"`
}

// Tokens are lifetimes. A client may shorten, never lengthen them.
type Tokens struct {
	Code                  time.Duration `key:"code"`
	Pushed                time.Duration `key:"pushed"` // authorization requests (RFC 9126)
	Access                time.Duration `key:"access"`
	ID                    time.Duration `key:"id"`
	RefreshIdle           time.Duration `key:"refresh_idle"`
	RefreshAbsolute       time.Duration `key:"refresh_absolute"`
	PublicRefreshIdle     time.Duration `key:"public_refresh_idle"`
	PublicRefreshAbsolute time.Duration `key:"public_refresh_absolute"`
	// RefreshGrace is the window in which a repeated refresh gets the same successor.
	RefreshGrace time.Duration `key:"refresh_grace"`
	// DefaultAudience is added to aud when a request names no resource.
	DefaultAudience string `key:"default_audience"`
}

// OAuth says which parts of the protocols are on that most installations do not need.
type OAuth struct {
	// ResponseTypes are those that clients may register; see grant.ResponseTypes.
	ResponseTypes []string `key:"response_types"`
	// AllowUnsignedRequestObjects and AllowUnsignedIDTokens let compatible clients register alg none.
	AllowUnsignedRequestObjects bool `key:"allow_unsigned_request_objects"`
	AllowUnsignedIDTokens       bool `key:"allow_unsigned_id_tokens"`
}

// Registration is dynamic client registration (RFC 7591).
type Registration struct {
	Mode         string        `key:"mode"`          // off, token or open
	Profile      string        `key:"profile"`       // strict or compatible
	ExpireUnused time.Duration `key:"expire_unused"` // a registration that was never used goes after this time
	ExpireIdle   time.Duration `key:"expire_idle"`   // one that was used, after so long without use
}

// Logout is single sign-out.
type Logout struct {
	SessionManagement bool `key:"session_management"`
}

// Keys are the signing keys.
type Keys struct {
	Algorithms     []string      `key:"algorithms"`
	IDTokenAlg     string        `key:"id_token_alg"`
	AccessTokenAlg string        `key:"access_token_alg"`
	RSABits        int           `key:"rsa_bits"`
	RotateEvery    time.Duration `key:"rotate_every"`
}

// Login is the sign-in page.
type Login struct {
	// Password says whether people can sign in with a password; without, upstreams are the only way.
	Password bool `key:"password"`
	// IdentifierFirst asks for the name on a page of its own, before the password.
	IdentifierFirst bool `key:"identifier_first"`
	// MagicLink lets people sign in by a link in a mail.
	MagicLink bool `key:"magic_link"`
}

// SignUp is how people make accounts by themselves.
type SignUp struct {
	Mode         string `key:"mode"`          // off, open or invite
	Name         string `key:"name"`          // off, optional or required
	TermsVersion string `key:"terms_version"` // what people accept, with a new account or on the way to an app; empty: nothing
}

// Factors are the second factors.
type Factors struct {
	Required    string        `key:"required"` // optional or everyone
	TOTP        bool          `key:"totp"`
	Passkeys    bool          `key:"passkeys"`
	TrustDevice time.Duration `key:"trust_device"`
}

// Account is the account page.
type Account struct {
	// EditableClaims are the claims that people may change themselves.
	EditableClaims []string `key:"editable_claims"`
	// SelfDelete says whether people can delete their accounts.
	SelfDelete bool `key:"self_delete"`
	// Places is a file in the MaxMind DB format that says where addresses are; empty: they are shown as they are.
	Places string `key:"places"`
}

// Passwords say how passwords are hashed and what is accepted as one.
type Passwords struct {
	Cost      int `key:"cost"` // bcrypt, 10 to 14
	MinLength int `key:"min_length"`
}

// Limits are rates; see Limit.
type Limits struct {
	// LoginAccount is no rate: after Count failures each further one doubles the wait, from a second up to Per.
	LoginAccount Limit `key:"login_account"`
	// LoginFailures in a row close an account to passwords until a new one is set; 0 is no limit.
	LoginFailures int   `key:"login_failures"`
	LoginIP       Limit `key:"login_ip"`
	LoginNet      Limit `key:"login_net"`
	// FactorChallenge wrong codes end a sign-in.
	FactorChallenge int   `key:"factor_challenge"`
	FactorUser      Limit `key:"factor_user"`
	FactorIP        Limit `key:"factor_ip"`
	ResetAddress    Limit `key:"reset_address"`
	MailIP          Limit `key:"mail_ip"`
	SignupIP        Limit `key:"signup_ip"`
	TokenFailures   Limit `key:"token_failures"`
	TokenOK         Limit `key:"token_ok"`
	Introspect      Limit `key:"introspect"`
	Interactions    Limit `key:"interactions"`
	Registration    Limit `key:"registration"`
	PAR             Limit `key:"par"`
	// HashPool passwords are hashed at once, 0 is one per core; HashQueue may wait for each of them, the rest is answered 503.
	HashPool  int `key:"hash_pool"`
	HashQueue int `key:"hash_queue"`
}

// Outbound is the one HTTP client that fetches what clients name (jwks_uri, logos).
type Outbound struct {
	// Allow lists hosts, host:port pairs or CIDR prefixes that may be reached although they are internal.
	Allow []string `key:"allow"`
	// CAFile is a PEM file of further certificate authorities.
	CAFile string `key:"ca_file"`
}

// Resource is a protected API (RFC 8707).
type Resource struct {
	URI    string   `key:"uri"`
	Scopes []string `key:"scopes"`
	// AccessTokenLifetime is 0 for tokens.access.
	AccessTokenLifetime time.Duration `key:"access_token_lifetime"`
	// DynamicClients says whether clients that registered themselves may ask for it.
	DynamicClients bool `key:"dynamic_clients"`
	// IntrospectionClients are the ids of clients that may introspect its tokens.
	IntrospectionClients []string `key:"introspection_clients"`
}

// Mail is how people get messages.
type Mail struct {
	// URL is the mail server, smtp://USER:PASSWORD@HOST:PORT or smtps://...; empty means that none are sent.
	URL     string `key:"url" secret:"true"`
	From    string `key:"from"`
	ReplyTo string `key:"reply_to"`
}

// Branding is what end users see.
type Branding struct {
	Name       string `key:"name"`
	LogoURL    string `key:"logo_url"`
	PrivacyURL string `key:"privacy_url"`
	TermsURL   string `key:"terms_url"`
	SupportURL string `key:"support_url"`
	// Accent is a colour, #rrggbb, or two separated by a space: for light and for dark mode.
	Accent          string `key:"accent"`
	DefaultLanguage string `key:"default_language"`
	// Templates is a folder whose files take the place of the pages' own.
	Templates string `key:"templates"`
}

// Log is the log on standard error.
type Log struct {
	Level  string `key:"level"`  // debug, info, warn or error
	Format string `key:"format"` // text or json
}

const day = 24 * time.Hour

// Default returns the configuration of an empty config.yaml.
func Default() *Config {
	return &Config{
		Issuer:   "http://localhost:8080",
		Server:   Server{Listen: "127.0.0.1:8080", ShutdownGrace: 20 * time.Second},
		Storage:  Storage{URL: "sqlite:gatehouse.db", AutoMigrate: true},
		Sessions: Sessions{Idle: 30 * time.Minute, Absolute: 12 * time.Hour, Remember: 30 * day, CookieSameSite: "lax"},
		Tokens: Tokens{
			Code: time.Minute, Pushed: 90 * time.Second, Access: 10 * time.Minute, ID: 10 * time.Minute,
			RefreshIdle: 14 * day, RefreshAbsolute: 90 * day, PublicRefreshIdle: 7 * day, PublicRefreshAbsolute: 30 * day,
			RefreshGrace: time.Minute,
		},
		OAuth:        OAuth{ResponseTypes: []string{"code"}},
		Registration: Registration{Mode: "off", Profile: "strict", ExpireUnused: 7 * day, ExpireIdle: 90 * day},
		Keys:         Keys{Algorithms: []string{"RS256", "ES256"}, IDTokenAlg: "RS256", AccessTokenAlg: "ES256", RSABits: 2048, RotateEvery: 90 * day},
		Login:        Login{Password: true},
		SignUp:       SignUp{Mode: "off", Name: "optional"},
		Factors:      Factors{Required: "optional", TOTP: true, Passkeys: true, TrustDevice: 30 * day},
		Account:      Account{EditableClaims: claims.Editable, SelfDelete: true},
		Passwords:    Passwords{Cost: 12, MinLength: 15},
		Limits: Limits{
			LoginAccount: Limit{5, 15 * time.Minute}, LoginFailures: 100, LoginIP: Limit{30, 10 * time.Minute}, LoginNet: Limit{200, 10 * time.Minute},
			FactorChallenge: 5, FactorUser: Limit{10, time.Hour}, FactorIP: Limit{30, 10 * time.Minute}, ResetAddress: Limit{3, time.Hour}, MailIP: Limit{10, time.Hour}, SignupIP: Limit{10, time.Hour},
			TokenFailures: Limit{20, time.Minute}, Interactions: Limit{120, time.Minute}, Registration: Limit{20, time.Hour}, HashQueue: 8,
		},
		Branding: Branding{Name: "Gatehouse", DefaultLanguage: "en"},
		Log:      Log{Level: "info", Format: "text"},
	}
}

// SQLitePath is the database file, and whether the store is SQLite at all.
func (s Storage) SQLitePath() (string, bool) {
	return strings.CutPrefix(s.URL, "sqlite:")
}

// Prefixes are the trusted proxies; a bare address is a prefix of its full length.
func (s Server) Prefixes() []netip.Prefix {
	var out []netip.Prefix
	for _, text := range s.TrustedProxies {
		if p, ok := prefix(text); ok {
			out = append(out, p)
		}
	}
	return out
}

func prefix(text string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(text); err == nil {
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	a = a.Unmap()
	return netip.PrefixFrom(a, a.BitLen()), true
}
