package signin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/provider/activity"
	"gatehouse/provider/audit"
	"gatehouse/provider/interaction"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/session"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// The pages of a second factor.
const (
	FactorPath = "/login/factor"
	EnrolPath  = "/login/enrol"
)

// ErrUnlinked says that the account at a provider that the proof rests on was unlinked meanwhile. There is no session.
var ErrUnlinked = errors.New("the account was unlinked during the sign-in")

// The values of Policy.Required beside "", which is up to clients and users.
const Everyone = "everyone"

// Policy says which second factors there are and who needs one.
type Policy struct {
	// Required is Everyone, or empty: then clients with RequireMFA and requests with an essential acr value ask for a second factor, and so does the user who has one.
	Required       string
	TOTP, Passkeys bool
	// TrustDevice is how long a browser may be trusted with the first factor alone; zero: never.
	TrustDevice time.Duration
}

// Enabled tells whether there is any second factor.
func (p Policy) Enabled() bool { return p.TOTP || p.Passkeys }

// Store is what the package needs of storage.
type Store interface {
	FactorsOf(ctx context.Context, subject string) ([]*storage.Factor, error)
	Identity(ctx context.Context, upstream, externalID string) (*storage.Identity, *storage.User, error)
	CreateDevice(ctx context.Context, d *storage.Device) error
	UseDevice(ctx context.Context, subject, old, next string, at time.Time) (*storage.Device, error)
}

// Options build a SignIn.
type Options struct {
	Store    Store
	Sessions *session.Sessions
	Flows    *interaction.Flows
	Clients  interface {
		Client(ctx context.Context, id string) (*storage.Client, error)
	}
	Policy Policy
	// BrowserKeys sign the cookie of browsers that are known; the first one signs, all verify. Without keys no browser is.
	BrowserKeys [][]byte
	// Browsers counts the ones that become known, in memory: a bound for each process is enough, and a sign-in costs no statement for it. Nil: there is none.
	Browsers *ratelimit.Limiter
	// Limiter counts the mails about browsers that are new; nil: there are none.
	Limiter *ratelimit.Limiter
	Audit   *audit.Log
	// Activity tells people what happened to their accounts; nil: the audit log alone is told.
	Activity *activity.Log
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// SignIn turns proofs into sessions.
type SignIn struct{ Options }

// New returns a SignIn.
func New(o Options) *SignIn {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &SignIn{o}
}

// Proof is what a feature has seen of a person.
type Proof struct {
	User *storage.User
	// AMR and ACR say how (RFC 8176, ruling 37).
	AMR []string
	ACR string
	// AuthTime is when the person was last asked, zero for now.
	AuthTime time.Time
	// Upstream, ExternalID, UpstreamSID and UpstreamToken are those of storage.Session; empty for a local proof.
	Upstream, ExternalID, UpstreamSID string
	UpstreamToken                     []byte
	// Remember keeps the session when the browser closes.
	Remember bool
	// Trust makes the browser a trusted device of the user.
	Trust bool
	// StepUp tells that only the second factor is new: it makes the session stronger and is no sign-in (security row 159).
	StepUp bool
}

// Proven takes the first proof of a sign-in. storage.ErrConsumed and storage.ErrNotFound if the interaction is over and would have been needed; ErrUnlinked.
func (s *SignIn) Proven(w http.ResponseWriter, r *http.Request, flow *storage.Interaction, p Proof) error {
	step, err := s.missing(w, r, flow, p)
	if err != nil {
		return err
	}
	if step == "" {
		return s.Complete(w, r, flow, p)
	}
	half := &interaction.Half{
		Subject: p.User.Subject, Epoch: p.User.Epoch, AMR: p.AMR, ACR: p.ACR, AuthTime: p.AuthTime, Upstream: p.Upstream, ExternalID: p.ExternalID, UpstreamSID: p.UpstreamSID,
		UpstreamToken: p.UpstreamToken, Remember: p.Remember, Enrol: step == EnrolPath,
	}
	return s.Wait(w, r, flow, half)
}

// Wait keeps a half sign-in and sends the browser to the page of its second factor.
func (s *SignIn) Wait(w http.ResponseWriter, r *http.Request, flow *storage.Interaction, half *interaction.Half) error {
	err := s.Flows.Update(r.Context(), flow.ID, func(i *storage.Interaction) error {
		interaction.SetHalf(i, half)
		return nil
	})
	if err != nil {
		return err
	}
	path := FactorPath
	if half.Enrol {
		path = EnrolPath
	}
	web.Annotate(r, "outcome", strings.TrimPrefix(path, "/login/"))
	return web.Redirect(w, r, web.LocalURL(r, path, url.Values{"interaction": {flow.ID}}))
}

// missing returns the page that the proof still needs, empty if it is enough.
func (s *SignIn) missing(w http.ResponseWriter, r *http.Request, flow *storage.Interaction, p Proof) (string, error) {
	if !s.Policy.Enabled() || p.ACR == "2" {
		return "", nil
	}
	demanded := !interaction.Content(flow, p.ACR) && slices.Contains(interaction.Demanded(flow), "2")
	byClient, err := s.clientRequires(r.Context(), flow)
	if err != nil {
		return "", err
	}
	required := byClient || s.Policy.Required == Everyone
	factors, err := s.Factors(r.Context(), p.User.Subject)
	switch {
	case err != nil:
		return "", err
	case len(factors) == 0 && !demanded && !required:
		return "", nil
	case len(factors) == 0:
		return EnrolPath, nil
	case demanded || byClient || Sensitive(flow):
		return FactorPath, nil
	}
	trusted, err := s.trusted(w, r, p.User)
	if err != nil || trusted {
		return "", err
	}
	return FactorPath, nil
}

// Sensitive tells whether the sign-in is asked for before a change to the account itself: then no trusted device stands in for a factor (security row 157).
func Sensitive(flow *storage.Interaction) bool {
	return flow.Kind != storage.InteractionAuthorize && flow.Params.Get("prompt") == "login"
}

// Due tells whether policy wants a second factor of a session that was begun without: for a client with RequireMFA always, and where everyone needs one if the user has none: who has one was asked
// for it, or is in a trusted browser.
func (s *SignIn) Due(ctx context.Context, c *storage.Client, current *storage.Session) (bool, error) {
	switch {
	case current.ACR == "2":
		return false, nil
	case c.RequireMFA: // also where there is none: then the client gets nobody
		return true, nil
	case !s.Policy.Enabled() || s.Policy.Required != Everyone:
		return false, nil
	}
	factors, err := s.Factors(ctx, current.Subject)
	return len(factors) == 0, err
}

// Strong tells whether a session was begun with everything that its user has: only then it may change what the account is entered by (security row 157).
func (s *SignIn) Strong(ctx context.Context, current *storage.Session) (bool, error) {
	if !s.Policy.Enabled() || current.ACR == "2" {
		return true, nil
	}
	factors, err := s.Factors(ctx, current.Subject)
	return len(factors) == 0, err
}

// clientRequires tells whether the client of the request wants a second factor of everybody.
func (s *SignIn) clientRequires(ctx context.Context, flow *storage.Interaction) (bool, error) {
	id := flow.Params.Get("client_id")
	if flow.Kind != storage.InteractionAuthorize || id == "" {
		return false, nil
	}
	client, err := s.Clients.Client(ctx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return false, nil // the authorization endpoint ends the request
	}
	if err != nil {
		return false, fmt.Errorf("read client: %w", err)
	}
	return client.RequireMFA, nil
}

// Factors returns the second factors of a user that policy lets count.
func (s *SignIn) Factors(ctx context.Context, subject string) ([]*storage.Factor, error) {
	all, err := s.Store.FactorsOf(ctx, subject)
	if err != nil {
		return nil, fmt.Errorf("list factors: %w", err)
	}
	return slices.DeleteFunc(all, func(f *storage.Factor) bool {
		return f.Kind == storage.FactorTOTP && !s.Policy.TOTP || f.Kind.HasCredential() && !s.Policy.Passkeys
	}), nil
}

// Complete starts the session of a proof that is enough, pins the user and returns to the request.
func (s *SignIn) Complete(w http.ResponseWriter, r *http.Request, flow *storage.Interaction, p Proof) error {
	if err := s.Begin(w, r, flow, p); err != nil {
		return err
	}
	path, query := interaction.Next(flow) // an interaction that another tab finished meanwhile says so there
	return web.Redirect(w, r, web.LocalURL(r, path, query))
}

// Begin is Complete without an answer: a page comes before the browser goes on to interaction.Next(flow).
func (s *SignIn) Begin(w http.ResponseWriter, r *http.Request, flow *storage.Interaction, p Proof) error {
	started, err := s.Sessions.Start(w, r, session.Login{
		Subject: p.User.Subject, AMR: p.AMR, ACR: p.ACR, Epoch: p.User.Epoch, AuthTime: p.AuthTime, Upstream: p.Upstream, ExternalID: p.ExternalID, UpstreamSID: p.UpstreamSID,
		UpstreamToken: p.UpstreamToken, Keep: interaction.Another(flow), Remember: p.Remember,
	})
	if err != nil {
		return fmt.Errorf("start session: %w", err)
	}
	if err := s.stillLinked(w, r, p); err != nil {
		return err
	}
	err = s.Flows.Update(r.Context(), flow.ID, func(i *storage.Interaction) error {
		if p.StepUp {
			interaction.Pin(i, p.User.Subject, started.ID)
			interaction.SetHalf(i, nil)
		} else {
			interaction.SignIn(i, p.User.Subject, started.ID)
		}
		*flow = *i
		return nil
	})
	if err != nil && !errors.Is(err, storage.ErrConsumed) && !errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("pin user: %w", err)
	}
	if p.Trust {
		if err := s.trust(w, r, p.User); err != nil {
			return err
		}
	}
	event := activity.Event{
		Kind: activity.LoginOK, Target: p.Upstream, ClientID: flow.Params.Get("client_id"), SessionHash: web.Hash(started.ID), AMR: p.AMR, Reason: strings.Join(p.AMR, " "), Detail: p.Upstream,
	}
	news, err := s.news(r, p)
	if err != nil {
		return err
	}
	if news {
		event.Mail, event.Undo = &templates.Mail{Kind: templates.MailSignInNew}, activity.Undo(p.User, time.Time{})
	}
	if err := s.remember(w, r, p.User, p.ACR == "2"); err != nil {
		return err
	}
	s.Note(r, p.User, event)
	web.Annotate(r, "outcome", "login")
	return nil
}

// Note writes down what happened to an account in a request.
func (s *SignIn) Note(r *http.Request, user *storage.User, e activity.Event) {
	if s.Activity == nil {
		s.Audit.Record(r.Context(), audit.Event{Name: e.Kind, Actor: user.Subject, Target: e.Target, Client: e.ClientID, SessionHash: e.SessionHash, Result: "ok", Reason: e.Reason})
		return
	}
	s.Activity.Note(r.Context(), activity.Where{IP: session.Peer(r), UserAgent: r.UserAgent()}, user, e)
}

// stillLinked ends the session again if the identity that it came by was unlinked while it began: whoever unlinks ends the sessions that there are.
func (s *SignIn) stillLinked(w http.ResponseWriter, r *http.Request, p Proof) error {
	if p.Upstream == "" {
		return nil
	}
	_, user, err := s.Store.Identity(r.Context(), p.Upstream, p.ExternalID)
	if err == nil && user.Subject == p.User.Subject {
		return nil
	}
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("find identity: %w", err)
	}
	if _, err := s.Sessions.End(w, r); err != nil {
		return err
	}
	return ErrUnlinked
}

// ProofOf is the proof of a half sign-in with a second factor of the methods amr; nil user: the half is over.
func ProofOf(h *interaction.Half, user *storage.User, amr ...string) Proof {
	methods := slices.Clone(h.AMR)
	for _, m := range append(amr, "mfa") {
		if !slices.Contains(methods, m) {
			methods = append(methods, m)
		}
	}
	return Proof{
		User: user, AMR: methods, ACR: "2", AuthTime: h.AuthTime, Upstream: h.Upstream, ExternalID: h.ExternalID, UpstreamSID: h.UpstreamSID, UpstreamToken: h.UpstreamToken, Remember: h.Remember, StepUp: h.StepUp,
	}
}
