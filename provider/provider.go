package provider

import (
	"context"
	"crypto/rsa"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"gatehouse/provider/activity"
	"gatehouse/provider/audit"
	"gatehouse/provider/credential"
	"gatehouse/provider/endpoint"
	"gatehouse/provider/federation"
	"gatehouse/provider/grant"
	"gatehouse/provider/interaction"
	"gatehouse/provider/keys"
	"gatehouse/provider/login"
	"gatehouse/provider/logout"
	"gatehouse/provider/mail"
	"gatehouse/provider/oauth"
	"gatehouse/provider/outbound"
	"gatehouse/provider/place"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/registration"
	"gatehouse/provider/seal"
	"gatehouse/provider/session"
	"gatehouse/provider/signin"
	"gatehouse/provider/telemetry"
	"gatehouse/provider/ticket"
	"gatehouse/provider/upstream"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// Options are everything that a server is made of. Zero durations and limits are taken as they are: package config holds the defaults.
type Options struct {
	// Issuer is the public URL, without trailing slash; it may carry a path.
	Issuer   string
	Store    storage.Store
	Seal     *seal.Ring
	Outbound *outbound.Client
	Log      *slog.Logger
	// Now is the clock; nil means time.Now.
	Now func() time.Time

	TrustedProxies []netip.Prefix
	Brand          templates.Brand
	// Pages are what people see; nil means the embedded ones. Language is that of people who ask for none that is there; "" is en.
	Pages                        *templates.Set
	Language                     string
	SameSite                     http.SameSite
	SessionIdle, SessionAbsolute time.Duration
	Tokens                       oauth.Lifetimes
	DefaultAudience              string
	Resources                    []oauth.Resource
	// ResponseTypes are those that clients may register; nil means code.
	ResponseTypes []string
	// UnsignedRequestObjects and UnsignedIDTokens let compatible clients register alg none for them.
	UnsignedRequestObjects, UnsignedIDTokens bool
	Registration                             Registration
	// SessionManagement serves check_session_iframe and its cookie (OpenID Connect Session Management 1.0); https issuers only.
	SessionManagement bool
	Keys              KeyPolicy
	PasswordCost      int
	PasswordMinLength int
	Limits            Limits
	// Upstreams are the providers that people can sign in with, in the order of the buttons.
	Upstreams []upstream.Config
	// NoPassword leaves passwords out of the sign-in page, which needs Upstreams.
	NoPassword bool
	// Factors says which second factors there are and who needs one; the zero value is none.
	Factors signin.Policy
	// Remember is how long "stay signed in" lasts; zero: it is not offered.
	Remember time.Duration
	Mail     Mail
	Account  AccountPage
	// Places tell people where their sign-ins came from, beside the address; nil: the address alone does.
	Places *place.Book
	// SignUp is how people make accounts by themselves; it needs Mail.Carrier and passwords.
	SignUp SignUp
	// IdentifierFirst asks for the name first and for the password on the next page; it means nothing with NoPassword.
	IdentifierFirst bool
	// MagicLink lets people sign in by a link in a mail; it needs Mail.Carrier.
	MagicLink bool
	// Playground is mounted with --dev only; nil otherwise.
	Playground web.Feature
}

// Registration is dynamic client registration (RFC 7591).
type Registration struct {
	Mode    string // off, token or open; empty means off
	Profile string // of clients that register: strict or compatible; empty means strict
	// ExpireUnused ends a registration that was never used, ExpireIdle one that was not used for so long.
	ExpireUnused, ExpireIdle time.Duration
}

// Mail is how people get messages.
type Mail struct {
	// Carrier takes them to a mail server; nil means that none are sent.
	Carrier       mail.Carrier
	From, ReplyTo string
}

// SignUp is how people make accounts by themselves.
type SignUp struct {
	Mode         string // see package client; a client may have its own
	Name         string // whether people are asked for one: off, optional or required; empty: optional
	TermsVersion string // what people accept, with a new account or on the way to an app; empty: nothing
}

// KeyPolicy says which signing keys exist and which algorithm signs what.
type KeyPolicy struct {
	Algorithms  []string
	IDToken     string
	AccessToken string
	RSABits     int
	// RSAKey makes RSA keys; see keys.Options.
	RSAKey      func(bits int) (*rsa.PrivateKey, error)
	RotateEvery time.Duration
}

// Limits are the rate limits; a zero one is off.
type Limits struct {
	// LoginAccount slows down guesses at one account, LoginFailures ends them; see login.Limits.
	LoginAccount      ratelimit.Backoff
	LoginFailures     int
	LoginIP, LoginNet ratelimit.Limit
	// FactorChallenge is how many wrong codes one sign-in may bring; the others count them by user and by address.
	FactorChallenge                                  int
	FactorUser, FactorIP                             ratelimit.Limit
	ResetAddress                                     ratelimit.Limit // mails with a link to one address
	MailIP, SignupIP                                 ratelimit.Limit // mails, and sign-ups, that one address asks for
	TokenFailures, TokenOK, Introspect, Interactions ratelimit.Limit
	Registration, PAR                                ratelimit.Limit
	// HashPool and HashQueue bound the passwords that are hashed at once; see credential.Options.
	HashPool, HashQueue int
}

// AccountPage says what people may do on it.
type AccountPage struct {
	// Editable are the claims that people may change; nil means those of claims.Editable.
	Editable []string
	// NoDelete says that people cannot delete their accounts.
	NoDelete bool
}

// maxLimitKeys bounds the memory of the limits that are counted in process.
const maxLimitKeys = 100_000

// Provider is one assembled server.
type Provider struct {
	options   Options
	store     storage.Store
	engine    *oauth.Engine
	keys      *keys.Set
	passwords *credential.Passwords
	sessions  *session.Sessions
	flows     *interaction.Flows
	signIn    *signin.SignIn
	factors   login.Factors
	uses      *registration.Uses
	logos     *registration.Logos
	logout    *logout.Logout
	upstreams *federation.Federation
	mail      *mail.Mailer
	tickets   *ticket.Tickets
	activity  *activity.Log
	metrics   *telemetry.Metrics
	audit     *audit.Log
	pages     *templates.Set
	languages []templates.Language
	mux       *web.Mux
	ping      lastPing
}

// New assembles a server and makes it ready to answer: signing keys exist, copies are loaded. What can wait is left to Run.
func New(ctx context.Context, o Options) (*Provider, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	p := &Provider{options: o, metrics: telemetry.New()}
	var err error
	if p.pages = o.Pages; p.pages == nil {
		if p.pages, err = templates.Load(); err != nil {
			return nil, fmt.Errorf("load templates: %w", err)
		}
	}
	if p.languages, err = p.pages.Choices(); err != nil {
		return nil, fmt.Errorf("list languages: %w", err)
	}
	p.audit = audit.New(o.Log).CountWith(p.metrics.Event)
	p.keys = keys.New(keys.Options{
		Store: o.Store, Seal: o.Seal, Now: o.Now, Algorithms: o.Keys.Algorithms, RSABits: o.Keys.RSABits, RSAKey: o.Keys.RSAKey, RotateEvery: o.Keys.RotateEvery, LongestToken: LongestToken(o.Tokens, o.Resources),
		Audit: p.audit,
	})
	pairwise, err := openPairwise(ctx, o.Store, o.Seal)
	if err != nil {
		return nil, err
	}
	p.engine = oauth.New(oauth.Options{
		Issuer: o.Issuer, Store: o.Store, Keys: p.keys, Outbound: o.Outbound, Seal: o.Seal, Pairwise: pairwise, Audit: p.audit, Now: o.Now, Tokens: o.Tokens, DefaultAudience: o.DefaultAudience,
		Resources: o.Resources, ResponseTypes: o.ResponseTypes, UnsignedRequestObjects: o.UnsignedRequestObjects, UnsignedIDTokens: o.UnsignedIDTokens,
		IDTokenAlg: o.Keys.IDToken, AccessTokenAlg: o.Keys.AccessToken, SignUp: p.signUpOpen(), Reused: p.reused,
	})
	p.store = syncedStore{o.Store, p.engine.Sync, func() { p.logout.Wake() }, o.Log}
	p.uses = registration.NewUses(p.store, o.Now, o.Registration.ExpireIdle)
	p.logos = registration.NewLogos(o.Outbound, p.store, o.Log, o.Now)
	p.sessions = session.New(session.Options{Store: p.store, Idle: o.SessionIdle, Absolute: o.SessionAbsolute, Remember: o.Remember, Management: o.SessionManagement, Now: o.Now})
	p.flows = interaction.New(interaction.Options{Store: p.store, Seal: o.Seal, Now: o.Now})
	if err := p.correspond(); err != nil {
		return nil, err
	}
	if err := p.prepareFactors(ctx); err != nil {
		return nil, err
	}
	if err := p.federate(ctx); err != nil {
		return nil, err
	}
	p.logout = logout.New(logout.Options{
		Engine: p.engine, Keys: p.keys, Sessions: p.sessions, Queue: o.Store, Outbound: o.Outbound, Audit: p.audit, Now: o.Now, SessionManagement: o.SessionManagement,
		Upstreams: p.upstreams,
	})
	p.metrics.Gauge("logout_deliveries_held", "Logout tokens that this process is delivering or about to.", func() float64 { return float64(p.logout.Held()) })
	if p.passwords, err = credential.New(credential.Options{Store: o.Store, Seal: o.Seal, Cost: o.PasswordCost, MinLength: o.PasswordMinLength, Parallel: o.Limits.HashPool, Queue: o.Limits.HashQueue}); err != nil {
		return nil, fmt.Errorf("set up passwords: %w", err)
	}
	if err := errors.Join(p.keys.EnsureActive(ctx), p.engine.Sync(ctx), p.passwords.Load(ctx)); err != nil {
		return nil, fmt.Errorf("prepare keys and secrets: %w", err)
	}
	return p, p.assemble()
}

// upstreamWait bounds how long the start of the server waits for providers. Who has not answered by then is shown as unavailable until a job finds it.
const upstreamWait = 3 * time.Second

// federate builds the providers of sign-ins and asks what they publish. A provider that is down keeps nobody from starting; one that is not who the configuration says it is does.
func (p *Provider) federate(ctx context.Context) error {
	o := p.options
	if o.NoPassword && len(o.Upstreams) == 0 {
		return errors.New("without passwords nobody could sign in: there is no upstream")
	}
	f, err := federation.New(federation.Options{
		Issuer: o.Issuer, Configs: o.Upstreams, HTTP: o.Outbound.HTTP(), Store: p.store, Sessions: p.sessions, SignIn: p.signIn, Flows: p.flows, Clients: p.engine, Seal: o.Seal,
		Limiter: ratelimit.New(ratelimit.Options{Store: ratelimit.NewMemory(maxLimitKeys), Now: o.Now}), Starts: o.Limits.Interactions, Password: !o.NoPassword, Audit: p.audit, Log: o.Log, Now: o.Now,
	})
	if err != nil {
		return err
	}
	p.upstreams = f
	ctx, cancel := context.WithTimeout(ctx, upstreamWait)
	defer cancel()
	return f.Check(ctx)
}

// correspond sets up what tells people of things: mail, links that work once, and the list on the account page.
func (p *Provider) correspond() (err error) {
	o := p.options
	p.mail, err = mail.New(mail.Options{
		Store: p.store, Seal: o.Seal, Words: p.pages, Carrier: o.Mail.Carrier, Issuer: o.Issuer, From: o.Mail.From, ReplyTo: o.Mail.ReplyTo, Brand: o.Brand, Language: o.Language,
		Audit: p.audit, Now: o.Now,
	})
	if err != nil {
		return fmt.Errorf("set up mail: %w", err)
	}
	if p.mail.On() {
		p.metrics.Gauge("mails_waiting", "Mails that wait in the store, for all processes.", p.mail.Waiting)
	}
	p.tickets = ticket.New(ticket.Options{Store: p.store, Users: p.store, Issuer: o.Issuer, Now: o.Now})
	p.activity = activity.New(activity.Options{Store: p.store, Mailer: p.mail, Tickets: p.tickets, Places: o.Places, Language: o.Language, Audit: p.audit, Log: o.Log, Now: o.Now})
	return nil
}

// openPairwise loads the key of pairwise subjects, which is made once for the life of the database: with another one every user would be a stranger.
func openPairwise(ctx context.Context, store storage.SecretStore, ring *seal.Ring) (*seal.SIV, error) {
	key, err := seal.Secret(ctx, store, ring, "pairwise", 64)
	if err != nil {
		return nil, err
	}
	return seal.NewSIV(key)
}

// LongestToken is the longest that anything signed can stay valid.
func LongestToken(l oauth.Lifetimes, resources []oauth.Resource) time.Duration {
	return max(grant.Resources(resources).Longest(l.Access), l.ID)
}

// maxAccessToken is the longest lifetime that configuration allows an access token.
const maxAccessToken = time.Hour

// RevocationTTL is how long a revocation must be remembered, for storage.Options. It does not depend on this process's configuration unless that is
// beyond what is allowed: another process, a command line with other settings say, may have made tokens that live longer.
func RevocationTTL(l oauth.Lifetimes, resources []oauth.Resource) time.Duration {
	return max(maxAccessToken, grant.Resources(resources).Longest(l.Access)) + time.Minute
}

func (p *Provider) assemble() error {
	o := p.options
	var err error
	p.mux, err = web.New(web.Options{
		Issuer: o.Issuer, Templates: p.pages, Brand: o.Brand, Language: o.Language, CSRFKeys: o.Seal.Derive("csrf", 32), TrustedProxies: o.TrustedProxies, SameSite: o.SameSite,
		Log: o.Log, Metrics: p.metrics, Now: o.Now,
	})
	if err != nil {
		return fmt.Errorf("set up HTTP: %w", err)
	}
	p.mux.Static(p.pages.Assets())
	p.mux.Health(p.Ready)
	for _, feature := range p.features() {
		feature.Mount(p.mux)
	}
	return nil
}

// Handler serves the public listener.
func (p *Provider) Handler() http.Handler { return p.mux }

// Ops serves the listener of operators: metrics, and health without the public chain.
func (p *Provider) Ops() http.Handler {
	ops := http.NewServeMux()
	ops.Handle("GET /metrics", p.metrics.Handler())
	ops.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	ops.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if err := p.Ready(r.Context()); err != nil {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
		}
	})
	return ops
}

// Ready tells whether requests can be served: the store answers and the copies are current. The store is asked once a second at most, because anyone may ask
// this.
func (p *Provider) Ready(ctx context.Context) error {
	if err := p.ping.ask(ctx, p.store.Ping); err != nil {
		return fmt.Errorf("ping storage: %w", err)
	}
	if !p.engine.Current() {
		return errors.New("the copies of clients, keys and revocations are older than 5 s")
	}
	return nil
}

// endpointLimits picks the limits of the protocol endpoints.
func (l Limits) endpoint() endpoint.Limits {
	return endpoint.Limits{TokenFailures: l.TokenFailures, TokenOK: l.TokenOK, Introspect: l.Introspect, Interactions: l.Interactions, PAR: l.PAR}
}
