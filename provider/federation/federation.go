package federation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"gatehouse/provider/audit"
	"gatehouse/provider/interaction"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/seal"
	"gatehouse/provider/session"
	"gatehouse/provider/signin"
	"gatehouse/provider/upstream"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// Store is what federation needs of storage.
type Store interface {
	storage.IdentityStore
	Remember(ctx context.Context, key string, expires time.Time) error
	User(ctx context.Context, subject string) (*storage.User, error)
	UserByLogin(ctx context.Context, key string) (*storage.User, string, error)
	UpdateUser(ctx context.Context, subject string, change func(*storage.User) error) (*storage.User, error)
	EndUpstreamSessions(ctx context.Context, upstream, externalID, sid string) (int, error)
	UpstreamToken(ctx context.Context, id string) ([]byte, error)
}

// Options build the feature.
type Options struct {
	// Issuer is our own; redirect URIs are made of it.
	Issuer  string
	Configs []upstream.Config
	// HTTP is the guarded client.
	HTTP     *http.Client
	Store    Store
	Sessions *session.Sessions
	// SignIn makes sessions of sign-ins.
	SignIn  *signin.SignIn
	Flows   *interaction.Flows
	Clients interface {
		Client(ctx context.Context, id string) (*storage.Client, error)
	}
	Seal *seal.Ring
	// Limiter counts, under Starts, the walks that one address begins.
	Limiter *ratelimit.Limiter
	Starts  ratelimit.Limit
	// Password tells that people can sign in with a password, too.
	Password bool
	Audit    *audit.Log
	Log      *slog.Logger
	Now      func() time.Time
}

// Federation is the feature.
type Federation struct {
	Options
	providers []*provider
}

// Further reasons, which are found here and not by an upstream.
const (
	Disabled   upstream.Reason = "disabled"    // the user here is disabled
	Unknown    upstream.Reason = "unknown"     // no user here has the account, and none may be created
	HasAccount upstream.Reason = "has_account" // the address is that of a user here, and may not be linked by itself
	Linked     upstream.Reason = "linked"      // the account is that of a user already
	NoProof    upstream.Reason = "no_proof"    // the address is that of a user here, who has no way in to prove it
	OtherUser  upstream.Reason = "other_user"  // the browser's session is no longer the one that began to link
)

// provider is one configured upstream.
type provider struct {
	upstream.Config
	upstream.Upstream

	mu     sync.Mutex
	down   error // why it cannot be used now
	looked time.Time
}

// New builds the upstreams of a configuration that was checked. It asks nobody.
func New(o Options) (*Federation, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	f := &Federation{Options: o}
	for _, c := range o.Configs {
		kind := upstream.FindKind(c.Type)
		if kind == nil {
			return nil, fmt.Errorf("upstream %s: there is no type %q", c.ID, c.Type)
		}
		if c.Name == "" {
			c.Name = kind.Name
		}
		if c.Link == "" {
			c.Link = "proof"
		}
		built, err := kind.New(upstream.Options{Config: c, Issuer: o.Issuer, HTTP: o.HTTP, Now: o.Now})
		if err != nil {
			return nil, fmt.Errorf("upstream %s: %w", c.ID, err)
		}
		f.providers = append(f.providers, &provider{Config: c, Upstream: built})
	}
	return f, nil
}

// RedirectURI is the address to register at a provider.
func RedirectURI(issuer, id string) string { return issuer + "/upstream/" + id + "/callback" }

// Mount adds the walk to the providers and back, and the linking of accounts.
func (f *Federation) Mount(m *web.Mux) {
	if len(f.providers) == 0 {
		return
	}
	m.Page("/upstream/{id}/start", f.start, f.start)
	m.PageNoCSRF("/upstream/{id}/callback", f.callback, callbackByForm)
	m.Page("/upstream/{id}/finish", f.finish, nil)
	m.PageNoCSRF("/upstream/{id}/signed-out", f.signedOut, nil)
	m.Protocol("/upstream/{id}/logout", []string{http.MethodPost}, f.logout)
	m.Page("/upstream/{id}/test", f.beginTest, nil)
	m.Page(interaction.ReturnLink, f.askLink, f.link)
	m.SelfPage("/account/unlink", nil, f.unlink)
}

func (f *Federation) find(id string) *provider {
	if i := slices.IndexFunc(f.providers, func(p *provider) bool { return p.ID == id }); i >= 0 {
		return f.providers[i]
	}
	return nil
}

// of returns the provider that a path names.
func (f *Federation) of(r *http.Request) (*provider, error) {
	p := f.find(web.Var(r, "id"))
	if p == nil {
		return nil, &web.Error{Status: http.StatusNotFound, Code: "not_found", Text: templates.Say("upstream.no_provider")}
	}
	return p, nil
}

// Check asks every provider what it publishes, at the same time, and notes which cannot be used. Only a provider that calls itself something else than the configuration is an
// error: that will not get better.
func (f *Federation) Check(ctx context.Context) error {
	faults := make([]error, len(f.providers))
	var group sync.WaitGroup
	for i, p := range f.providers {
		group.Go(func() { faults[i] = f.probe(ctx, p) })
	}
	group.Wait()
	return errors.Join(faults...)
}

func (f *Federation) probe(ctx context.Context, p *provider) error {
	prober, ok := p.Upstream.(upstream.Prober)
	if !ok {
		return nil
	}
	err := prober.Probe(ctx)
	p.look(f.Now())
	if p.note(err) {
		if err == nil {
			f.Log.Info("a sign-in provider works again", "upstream", p.ID)
		} else {
			f.Log.Warn("a sign-in provider cannot be used; other ways to sign in go on", "upstream", p.ID, "cause", err.Error())
		}
	}
	var mismatch *upstream.Mismatch
	if errors.As(err, &mismatch) {
		return fmt.Errorf("upstream %s: %w", p.ID, err)
	}
	return nil
}

// lookAgain is how often a provider that works is looked at; one that does not is looked at whenever the job runs.
const lookAgain = 2 * time.Minute

// Probe is a job: it looks again at the providers, and never fails. A mismatch that began later is logged, and shown as down.
func (f *Federation) Probe(ctx context.Context) error {
	var group sync.WaitGroup
	for _, p := range f.providers {
		if p.isDown() || f.Now().Sub(p.lookedAt()) >= lookAgain {
			group.Go(func() { _ = f.probe(ctx, p) })
		}
	}
	group.Wait()
	return nil
}

// note keeps whether the provider can be used and tells whether that is news.
func (p *provider) note(err error) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	news := (p.down == nil) != (err == nil)
	p.down = err
	return news
}

func (p *provider) look(at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looked = at
}

func (p *provider) lookedAt() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.looked
}

func (p *provider) isDown() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.down != nil
}

// UpstreamToken returns the UpstreamToken of a session; see storage.SessionStore.
func (f *Federation) UpstreamToken(ctx context.Context, sessionID string) ([]byte, error) {
	return f.Store.UpstreamToken(ctx, sessionID)
}

// Buttons are the providers as the login page shows them.
func (f *Federation) Buttons() []templates.UpstreamButton {
	var buttons []templates.UpstreamButton
	for _, p := range f.providers {
		buttons = append(buttons, p.button())
	}
	return buttons
}

func (p *provider) button() templates.UpstreamButton {
	return templates.UpstreamButton{ID: p.ID, Name: p.Name, Style: p.Type, Down: p.isDown()}
}

// problem shows why a walk came to nothing. The person may try again, or another way.
func (f *Federation) problem(w http.ResponseWriter, r *http.Request, p *provider, flow *storage.Interaction, refusal *upstream.Refusal) error {
	status, page := explain(refusal.Reason, p.Name)
	page.RequestID = web.RequestID(r.Context())
	if flow != nil {
		switch flow.Kind {
		case storage.InteractionLink:
			page.Back = true
		case storage.InteractionTest:
			if err := f.testFailed(r.Context(), flow, refusal); err != nil {
				return err
			}
		default:
			button := p.button()
			page.Again, page.Interaction, page.Other = &button, flow.ID, web.LocalURL(r, "/login", url.Values{"interaction": {flow.ID}})
		}
	}
	web.Annotate(r, "upstream", p.ID)
	web.Annotate(r, "outcome", string(refusal.Reason))
	web.Annotate(r, "cause", refusal.Error())
	f.Audit.Record(r.Context(), audit.Event{Name: "federation.refused", Target: p.ID, Result: "refused", Reason: string(refusal.Reason)})
	return web.RenderForm(w, r, status, page) // the interaction was found by the browser's cookie, so the browser has sent it
}

// explain says in plain words what happened. The provider's own words stay out: anybody may have written them (security row 177).
func explain(reason upstream.Reason, name string) (int, templates.UpstreamProblem) {
	say := func(heading, message string) templates.UpstreamProblem {
		return templates.UpstreamProblem{Heading: templates.Say(heading, "Provider", name), Message: templates.Say(message, "Provider", name)}
	}
	switch reason {
	case upstream.Cancelled:
		return http.StatusOK, say("upstream.cancelled", "upstream.cancelled_more")
	case upstream.NotAllowed:
		return http.StatusForbidden, say("upstream.not_allowed", "upstream.not_allowed_more")
	case upstream.Unavailable:
		return http.StatusBadGateway, say("upstream.unavailable", "upstream.unavailable_more")
	case Disabled:
		return http.StatusForbidden, say("upstream.disabled", "upstream.disabled_more")
	case Unknown:
		return http.StatusForbidden, say("upstream.unknown", "upstream.unknown_more")
	case HasAccount:
		return http.StatusConflict, say("upstream.has_account", "upstream.has_account_more")
	case NoProof:
		return http.StatusConflict, say("upstream.has_account", "upstream.no_proof_more")
	case Linked:
		return http.StatusConflict, say("upstream.linked", "upstream.linked_more")
	case OtherUser:
		return http.StatusConflict, say("upstream.other_user", "upstream.other_user_more")
	}
	return http.StatusBadGateway, say("upstream.failed", "upstream.failed_more")
}

// startAgain answers a callback that belongs to no walk of this browser.
func startAgain(w http.ResponseWriter, r *http.Request) error {
	web.Annotate(r, "outcome", "no such walk")
	return web.Render(w, r, http.StatusForbidden, templates.Error{
		Status: http.StatusForbidden, Heading: templates.Say("error.elsewhere"), RequestID: web.RequestID(r.Context()), Continue: web.LocalURL(r, interaction.ReturnAccount, nil),
		Message: templates.Say("upstream.elsewhere_more"),
	})
}
