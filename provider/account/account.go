package account

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/provider/activity"
	"gatehouse/provider/claims"
	"gatehouse/provider/credential"
	"gatehouse/provider/interaction"
	"gatehouse/provider/letter"
	"gatehouse/provider/place"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/session"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// Store is what the account page needs of storage.
type Store interface {
	storage.UserStore
	storage.ConsentStore
	storage.GrantStore
	storage.NoticeStore
	storage.ActivityStore
	wayInStore
	signedInStore
}

// wayInStore is what people can prove, and what they could by mail.
type wayInStore interface {
	storage.FactorStore
	RecoveryCodes(ctx context.Context, subject string) (left int, err error)
	IdentitiesOf(ctx context.Context, subject string) ([]*storage.Identity, error)
	ReplacePassword(ctx context.Context, subject, encoded string, epoch int64) error
	TicketOf(ctx context.Context, subject string, kind storage.TicketKind) (*storage.Ticket, error)
	RevokeTickets(ctx context.Context, subject string, kinds ...storage.TicketKind) error
}

// signedInStore is where people are signed in, and which browsers need no second factor.
type signedInStore interface {
	storage.SessionStore
	storage.DeviceStore
	UpstreamToken(ctx context.Context, id string) ([]byte, error)
}

// Tickets makes links; package ticket does.
type Tickets interface {
	Issue(ctx context.Context, made storage.Ticket) (link string, err error)
	Life(kind storage.TicketKind) time.Duration
}

// Passwords judges and encodes passwords; package credential does.
type Passwords interface {
	Check(password string, words ...string) error
	Hash(ctx context.Context, password string) (encoded string, err error)
	MinLength() int
}

// Factors are the second factors that people may have. What is nil is not offered.
type Factors struct {
	TOTP     *credential.TOTP
	Passkeys *credential.Passkeys
	Recovery *credential.RecoveryCodes
	// Required says that nobody may remove the last one.
	Required bool
	// Tries bounds the codes that a user may try.
	Tries ratelimit.Limit
}

func (f Factors) offered() bool { return f.TOTP != nil || f.Passkeys != nil }

// Options build the feature.
type Options struct {
	// Issuer is told to apps that the user opens from here.
	Issuer   string
	Brand    templates.Brand
	Store    Store
	Sessions *session.Sessions
	Flows    *interaction.Flows
	Clients  interface {
		Client(ctx context.Context, id string) (*storage.Client, error)
	}
	// Passwords is nil if nobody signs in with a password here.
	Passwords Passwords
	Factors   Factors
	// Tickets and Post make and mail links; Post is nil if no mail can be sent.
	Tickets Tickets
	Post    *letter.Post
	// Offered are the ways in, of which people must keep one.
	Offered *storage.Offered
	// Identities lists a user's accounts at sign-in providers, and the providers of which the user has none; nil if there are no providers.
	Identities func(r *http.Request, u *storage.User) ([]templates.IdentityView, []templates.UpstreamButton, error)
	// Languages are those that the pages can be shown in, with their own names.
	Languages []templates.Language
	// Editable are the claims that people may change, in the order of the form; nil means claims.Editable.
	Editable []string
	// NoDelete says that people cannot delete their accounts.
	NoDelete bool
	// Limiter counts, under Starts, the sign-ins that one address begins here; nil or a zero limit is off. Shared counts over all nodes.
	Limiter, Shared *ratelimit.Limiter
	Starts          ratelimit.Limit
	// SignOut ends the session of the request and answers it, as signing out by way of an app does.
	SignOut  web.Handler
	Activity *activity.Log
	// Places tell where addresses are; nil knows none.
	Places *place.Book
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Account is the feature.
type Account struct{ Options }

// New returns the feature.
func New(o Options) *Account {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Editable == nil {
		o.Editable = claims.Editable
	}
	return &Account{o}
}

// Mount adds / and everything below /account but for the links to providers.
func (a *Account) Mount(m *web.Mux) {
	m.Page("/", home, nil)
	m.SelfPage(interaction.ReturnAccount, a.signedIn(interaction.ReturnAccount, a.overview), nil)
	m.SelfPage("/account/choose", a.choose, nil)
	m.SelfPage("/account/sign-out", nil, a.SignOut)
	m.SelfPage("/account/dismiss", nil, a.signedIn(interaction.ReturnAccount, a.dismiss))

	m.SelfPage(interaction.ReturnProfile, a.signedIn(interaction.ReturnProfile, a.profile), a.signedIn(interaction.ReturnProfile, a.saveProfile))
	if a.mails() {
		m.SelfPage("/account/email", nil, a.freshly(interaction.ReturnProfile, a.changeEmail))
		m.SelfPage("/account/email/cancel", nil, a.freshly(interaction.ReturnProfile, a.cancelEmail))
	}

	m.SelfPage(interaction.ReturnSecurity, a.signedIn(interaction.ReturnSecurity, a.security), nil)
	if a.Passwords != nil {
		m.SelfPage(interaction.ReturnPassword, a.freshly(interaction.ReturnPassword, a.password), a.freshly(interaction.ReturnPassword, a.savePassword))
	}
	a.mountFactors(m)

	m.SelfPage(interaction.ReturnSessions, a.signedIn(interaction.ReturnSessions, a.sessions), nil)
	m.SelfPage("/account/sessions/end", nil, a.signedIn(interaction.ReturnSessions, a.endSession))
	m.SelfPage(interaction.ReturnActivity, a.signedIn(interaction.ReturnActivity, a.activity), nil)
	m.SelfPage(interaction.ReturnApps, a.signedIn(interaction.ReturnApps, a.apps), nil)
	m.SelfPage("/account/disconnect", nil, a.signedIn(interaction.ReturnApps, a.disconnect))

	m.SelfPage(interaction.ReturnData, a.signedIn(interaction.ReturnData, a.data), nil)
	m.SelfPage("/account/data/download", nil, a.freshly(interaction.ReturnData, a.download))
	m.SelfPage("/account/delete", nil, a.freshly(interaction.ReturnData, a.delete))
}

func (a *Account) mountFactors(m *web.Mux) {
	m.SelfPage("/account/devices/forget", nil, a.signedIn(interaction.ReturnSecurity, a.forgetDevice))
	m.SelfPage("/account/factor/rename", nil, a.freshly(interaction.ReturnSecurity, a.renameFactor))
	m.SelfPage("/account/factor/remove", nil, a.freshly(interaction.ReturnSecurity, a.removeFactor))
	if a.Factors.TOTP != nil {
		m.SelfPage(interaction.ReturnAuthenticator, a.freshly(interaction.ReturnAuthenticator, a.authenticator), a.freshly(interaction.ReturnAuthenticator, a.addAuthenticator))
	}
	if a.Factors.Passkeys != nil {
		m.SelfPage(interaction.ReturnPasskey, a.freshly(interaction.ReturnPasskey, a.passkey), a.freshly(interaction.ReturnPasskey, a.addPasskey))
	}
	if a.Factors.Recovery != nil {
		m.SelfPage(interaction.ReturnCodes, a.freshly(interaction.ReturnCodes, a.codes), a.freshly(interaction.ReturnCodes, a.makeCodes))
		m.SelfPage("/account/recovery-codes/download", nil, a.signedIn(interaction.ReturnSecurity, a.codesFile))
	}
}

func home(w http.ResponseWriter, r *http.Request) error {
	return web.Redirect(w, r, web.LocalURL(r, interaction.ReturnAccount, nil))
}

// mails tells whether links can be sent.
func (a *Account) mails() bool { return a.Post != nil }

// handler answers a request of whoever is signed in.
type handler func(http.ResponseWriter, *http.Request, *session.Current) error

// signedIn lets in whoever is signed in; others sign in first, and come back to place.
func (a *Account) signedIn(place string, do handler) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		current, err := a.Sessions.Current(r)
		if err != nil {
			return fmt.Errorf("read session: %w", err)
		}
		if current == nil {
			return a.signIn(w, r, place, nil)
		}
		web.SetUserLang(r, current.User.Locale)
		return do(w, r, current)
	}
}

// freshFor is how long after a sign-in a person may change what the account is entered by (security rows 157 and 174).
const freshFor = 5 * time.Minute

// freshly lets in who has signed in within the last minutes, with the second factor if there is one. Others sign in again and come back to place; what they sent is not done.
func (a *Account) freshly(place string, do handler) web.Handler {
	return a.signedIn(place, func(w http.ResponseWriter, r *http.Request, c *session.Current) error {
		strong, err := a.strong(r.Context(), c)
		if err != nil {
			return err
		}
		if !strong || a.Now().Sub(c.Session.AuthTime) > freshFor {
			return a.signIn(w, r, place, url.Values{"prompt": {"login"}})
		}
		return do(w, r, c)
	})
}

// strong tells whether the session was begun with everything that the user has. The browser may be one in which no second factor is asked for, or the factor is younger than the session.
func (a *Account) strong(ctx context.Context, c *session.Current) (bool, error) {
	if !a.Factors.offered() || c.Session.ACR == "2" {
		return true, nil
	}
	factors, err := a.factors(ctx, c.Session.Subject)
	return len(factors) == 0, err
}

// factors are the second factors that sign-ins ask for. One of a kind that is off now is not: whoever has no other could never come in.
func (a *Account) factors(ctx context.Context, subject string) ([]*storage.Factor, error) {
	factors, err := a.Store.FactorsOf(ctx, subject)
	if err != nil {
		return nil, fmt.Errorf("list factors: %w", err)
	}
	return slices.DeleteFunc(factors, func(f *storage.Factor) bool {
		return f.Kind == storage.FactorTOTP && a.Factors.TOTP == nil || f.Kind.HasCredential() && a.Factors.Passkeys == nil
	}), nil
}

// expelled answers somebody who was signed out everywhere while the request was under way (security row 172).
func (a *Account) expelled(w http.ResponseWriter, r *http.Request, place string) error {
	a.Sessions.Forget(r)
	return a.signIn(w, r, place, nil)
}

// signIn begins an interaction that comes back to place. Whoever has sent a form is told there that it did nothing.
func (a *Account) signIn(w http.ResponseWriter, r *http.Request, place string, params url.Values) error {
	if r.Method == http.MethodPost {
		if params == nil {
			params = url.Values{}
		}
		params.Set(interaction.ParamUndone, "1")
	}
	if a.Limiter != nil {
		allowed, retry, err := a.Limiter.Take(r.Context(), "interactions\n"+web.PeerKey(r), a.Starts)
		if err != nil {
			return fmt.Errorf("limit sign-ins: %w", err)
		}
		if !allowed {
			return web.TooMany("error.starts", retry)
		}
	}
	flow, err := a.Flows.Start(r.Context(), storage.Interaction{Kind: storage.InteractionAccount, Params: params, ReturnTo: place, Binder: web.Binder(w, r)})
	if err != nil {
		return err
	}
	return web.Redirect(w, r, web.LocalURL(r, "/login", url.Values{"interaction": {flow.ID}}))
}

// told are the outcomes that a page reports after it was redirected to: nothing else that a URL says is shown.
var told = []string{"profile", "email_sent", "email_cancelled", "email_too_late", "password", "factor", "renamed", "removed", "forgotten", "signed_out", "others", "disconnected", "linked", "unlinked", "nothing"}

// back shows a page again and says what was done; done is one of told.
func back(w http.ResponseWriter, r *http.Request, place, done string) error {
	return web.Redirect(w, r, web.LocalURL(r, place, url.Values{"done": {done}}))
}

// frame is what every page has.
func frame(r *http.Request, c *session.Current) templates.AccountFrame {
	f := templates.AccountFrame{User: user(c.User)}
	if done := r.URL.Query().Get("done"); r.Method == http.MethodGet && slices.Contains(told, done) {
		f.Done = templates.Say("account.done_" + done)
	}
	return f
}

func user(u *storage.User) templates.UserView {
	name, _ := u.Claims["name"].(string)
	return templates.UserView{Name: name, Email: u.Email, Username: u.Username}
}

// loginName is what the person signs in with.
func loginName(u *storage.User) string {
	for _, name := range []string{u.Email, u.Username} {
		if name != "" {
			return name
		}
	}
	return u.Subject
}

// identifier tells whether a sent value can be an id of ours: what cannot is kept from the store.
func identifier(s string) bool {
	return s != "" && len(s) <= 256 && !strings.ContainsFunc(s, func(c rune) bool { return c < 0x21 || c > 0x7e })
}

// note writes down what happened to the account.
func (a *Account) note(r *http.Request, u *storage.User, e activity.Event) {
	a.Activity.Note(r.Context(), letter.From(r), u, e)
}
