package endpoint

// The authorization endpoint: RFC 6749 section 3.1, OpenID Connect Core section 3.1.2. It decides, and either answers the client or sends the
// browser to the one step that is missing; each step comes back here.

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/provider/audit"
	"gatehouse/provider/grant"
	"gatehouse/provider/interaction"
	"gatehouse/provider/request"
	"gatehouse/provider/session"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// handleLife is how long the parameters of a POST wait for the GET that follows it.
const handleLife = time.Minute

var errDenied = grant.Refuse("access_denied", "The user did not allow the request.")

// authorize serves GET: a new request, the continuation of a POST, or the return from a step.
func (e *Endpoints) authorize(w http.ResponseWriter, r *http.Request) error {
	// A request names its client; the ways back here do not. So a client's own parameter of that name is ignored like every other unknown one.
	if query := r.URL.Query(); !query.Has("client_id") {
		if id := query.Get("interaction"); id != "" {
			return e.resume(w, r, id)
		}
		if id := query.Get("handle"); id != "" {
			return e.fromHandle(w, r, id)
		}
	}
	params, repeated, err := web.Params(r)
	if err != nil {
		return err
	}
	return e.decide(w, r, request.Input{Params: params, Repeated: repeated}, nil)
}

// authorizePost stores the parameters and lets the browser come back by GET: a cross-site POST carries no cookie, and must not act on one.
func (e *Endpoints) authorizePost(w http.ResponseWriter, r *http.Request) error {
	params, repeated, err := web.Params(r)
	if err != nil {
		return err
	}
	if len(repeated) > 0 {
		return e.decide(w, r, request.Input{Params: params, Repeated: repeated}, nil) // is refused, so needs no cookie
	}
	if err := e.limitInteractions(r); err != nil {
		return err
	}
	now := e.Now()
	handle := &storage.Interaction{
		ID: rand.Text() + rand.Text(), Kind: storage.InteractionAuthorize, Params: params, ReturnTo: interaction.ReturnAuthorize, Created: now, Expires: now.Add(handleLife),
	}
	if err := e.Store.CreateInteraction(r.Context(), handle); err != nil {
		return fmt.Errorf("store request: %w", err)
	}
	return web.Redirect(w, r, web.LocalURL(r, "/oauth2/authorize", url.Values{"handle": {handle.ID}}))
}

func (e *Endpoints) fromHandle(w http.ResponseWriter, r *http.Request, id string) error {
	stored, err := e.Store.Interaction(r.Context(), id)
	if err == nil && stored.Binder != "" {
		err = storage.ErrNotFound // the id of a running interaction is no handle
	}
	if err == nil {
		err = e.Store.ConsumeInteraction(r.Context(), id)
	}
	if isMissing(err) || errors.Is(err, storage.ErrConsumed) {
		return startAgain(w, r)
	}
	if err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	return e.decide(w, r, request.Input{Params: stored.Params}, nil)
}

// resume takes up an interaction after a step. Only the browser that began it may.
func (e *Endpoints) resume(w http.ResponseWriter, r *http.Request, id string) error {
	binder, _ := web.BinderOf(r)
	flow, err := e.Flows.Load(r.Context(), id, binder)
	switch {
	case errors.Is(err, storage.ErrConsumed):
		return alreadyFinished(w, r)
	case isMissing(err):
		return e.beginAnew(w, r, id, binder)
	case errors.Is(err, interaction.ErrOtherBrowser):
		return startAgain(w, r)
	case err != nil:
		return err
	case flow.Kind != storage.InteractionAuthorize:
		return startAgain(w, r)
	}
	return e.decide(w, r, request.Input{Params: flow.Params, Source: flow.Source}, flow)
}

// decide is the one path from parameters to an answer. Everything is validated anew on every pass: client, redirect URI and user may have changed
// while a page was open.
func (e *Endpoints) decide(w http.ResponseWriter, r *http.Request, in request.Input, flow *storage.Interaction) error {
	web.SetLang(r, in.Params.Get("ui_locales"))
	req, err := e.Engine.ParseAuthorize(r.Context(), r, in)
	if req.Client != nil {
		web.Annotate(r, "client", req.Client.ID)
		web.SetClient(r, req.Client)
	}
	if err != nil {
		return e.refuse(w, r, req, err)
	}
	err = e.proceed(w, r, req, flow)
	if page := (*web.Error)(nil); err == nil || errors.As(err, &page) {
		return err
	}
	return e.refuse(w, r, req, err) // client and redirect URI are proven, so the client is told (ruling 33)
}

// proceed answers a valid request by the next step, or by what it asks for. An error comes back before anything is written.
func (e *Endpoints) proceed(w http.ResponseWriter, r *http.Request, req *request.Authorize, flow *storage.Interaction) error {
	ctx, began := r.Context(), e.Now()
	current, err := e.Sessions.Current(r)
	if err != nil {
		return err
	}
	state, err := e.state(ctx, req, current, flow)
	if err != nil {
		return err
	}
	if flow != nil && flow.Proofs[interaction.ProofDenied] != "" {
		return e.finish(w, r, req, flow, errDenied)
	}
	switch outcome := interaction.Decide(state); {
	case outcome.Error != "":
		return e.finish(w, r, req, flow, grant.Refuse(outcome.Error, outcome.Reason))
	case outcome.StepUp && e.StepUp:
		return e.pause(w, r, req, flow, "/login/step-up")
	case outcome.Step == interaction.StepLogin:
		return e.pause(w, r, req, flow, "/login")
	case outcome.Step == interaction.StepSignUp:
		return e.pause(w, r, req, flow, "/signup")
	case outcome.Step == interaction.StepTerms:
		return e.pause(w, r, req, flow, "/terms")
	case outcome.Step == interaction.StepConsent:
		return e.pause(w, r, req, flow, "/consent")
	}
	if err := e.Sessions.Join(ctx, current.Session, req.Client.ID); isMissing(err) {
		e.Sessions.Forget(r) // it ended a moment ago: nobody is signed in
		return e.proceed(w, r, req, flow)
	} else if err != nil {
		return err
	}
	if done, err := e.consume(w, r, flow); done || err != nil {
		return err
	}
	response, err := e.Engine.Issue(ctx, req, req.Authorization(current.Session, current.User, began))
	if err != nil {
		return err
	}
	e.Audit.Record(ctx, audit.Event{Name: issued(req), Actor: current.Session.Subject, Client: req.Client.ID, Result: "ok", Reason: req.ResponseType})
	e.used(req.Client.ID)
	web.Annotate(r, "outcome", req.ResponseType)
	return e.respond(w, r, req, response)
}

// issued is the name of the audit event: tokens that are to be had for a code have one of their own.
func issued(req *request.Authorize) string {
	if req.Returns("code") {
		return "code.issued"
	}
	return "token.issued"
}

// state gathers what the interaction policy decides on: one read for the consent, the session was read before. That somebody answered the question of this request counts as long as the consent is there.
func (e *Endpoints) state(ctx context.Context, req *request.Authorize, current *session.Current, flow *storage.Interaction) (interaction.State, error) {
	state := interaction.State{
		Now: e.Now(), Prompt: req.Prompt, MaxAge: req.MaxAge, HintSubjects: req.HintSubjects, FirstParty: req.Client.FirstParty,
		AlwaysAsk: alwaysAsk(req), Offline: req.Has("offline_access"), EssentialACR: req.EssentialACR, ReachableACR: e.ACRValues, FactorNowhere: !e.StepUp,
	}
	if interaction.ChoiceDue(flow, req.Prompt) {
		// The sign-in page lets people choose, or sign in as another. Who has done either in this interaction has chosen, also at a provider that did not ask for a password.
		state.Prompt = append(slices.Clone(req.Prompt), "login")
	}
	if flow != nil {
		state.Created, state.Pinned, state.SignedIn = flow.Created, flow.Subject, flow.Proofs[interaction.ProofLogin]
	}
	if current == nil {
		var err error
		state.PinnedGone, err = e.gone(ctx, state.Pinned)
		return state, err
	}
	state.Session, state.ACR = current.Session, current.Session.ACR
	state.TermsDue = e.TermsVersion != "" && current.User.TermsVersion != e.TermsVersion // the user came with the session: no read of its own
	if e.FactorDue != nil {
		var err error
		if state.FactorDue, err = e.FactorDue(ctx, req.Client, current.Session); err != nil {
			return state, err
		}
	}
	answered := flow != nil && flow.Proofs[interaction.ProofConsent] == current.Session.Subject
	if req.Client.FirstParty && !answered {
		return state, nil
	}
	consent, err := e.Store.Consent(ctx, current.Session.Subject, req.Client.ID)
	if isMissing(err) {
		return state, nil
	}
	if err != nil {
		return state, fmt.Errorf("read consent: %w", err)
	}
	state.Consented = covers(consent.Scopes, req.Asked()) && covers(consent.Resources, req.Resources)
	state.ConsentProof = answered && state.Consented // what was allowed is stored first: without that it was taken back since (security row 50)
	return state, nil
}

// gone tells whether a user who signed in earlier is disabled or deleted by now. It is asked only when a session was lost half-way.
func (e *Endpoints) gone(ctx context.Context, subject string) (bool, error) {
	if subject == "" {
		return false, nil
	}
	user, err := e.Store.User(ctx, subject)
	if isMissing(err) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("read user: %w", err)
	}
	return user.Disabled, nil
}

func covers(granted, wanted []string) bool {
	return !slices.ContainsFunc(wanted, func(s string) bool { return !slices.Contains(granted, s) })
}

// alwaysAsk is true for public clients whose redirect URI another program on the device could claim (RFC 8252 section 8.6).
func alwaysAsk(req *request.Authorize) bool {
	if req.Client.AuthMethod != "none" {
		return false
	}
	return !strings.HasPrefix(req.RedirectURI, "https://")
}

// pause saves the request, if it is not saved yet, and sends the browser to a step.
func (e *Endpoints) pause(w http.ResponseWriter, r *http.Request, req *request.Authorize, flow *storage.Interaction, step string) error {
	if flow == nil {
		if err := e.limitInteractions(r); err != nil {
			return err
		}
		begin := storage.Interaction{Kind: storage.InteractionAuthorize, Params: req.Params, Source: req.Source, ReturnTo: interaction.ReturnAuthorize, Binder: web.Binder(w, r)}
		interaction.Demand(&begin, req.EssentialACR)
		if web.Recall(r, lateKey{}) != nil {
			interaction.SetLate(&begin)
		}
		var err error
		if flow, err = e.Flows.Start(r.Context(), begin); err != nil {
			return err
		}
	}
	web.Annotate(r, "outcome", strings.TrimPrefix(step, "/"))
	return web.Redirect(w, r, web.LocalURL(r, step, url.Values{"interaction": {flow.ID}}))
}

func (e *Endpoints) limitInteractions(r *http.Request) error {
	allowed, retry, err := e.Limiter.Take(r.Context(), "interactions\n"+web.PeerKey(r), e.Limits.Interactions)
	if err != nil {
		return err
	}
	if !allowed {
		return web.TooMany("error.starts", retry)
	}
	return nil
}

// finish ends the interaction, if there is one, and tells the client the error.
func (e *Endpoints) finish(w http.ResponseWriter, r *http.Request, req *request.Authorize, flow *storage.Interaction, refusal error) error {
	if done, err := e.consume(w, r, flow); done || err != nil {
		return err
	}
	return e.refuse(w, r, req, refusal)
}

// consume uses up the interaction. Of two tabs that finish the same one, the loser is told so: done is true and the page is written.
func (e *Endpoints) consume(w http.ResponseWriter, r *http.Request, flow *storage.Interaction) (done bool, err error) {
	if flow == nil {
		return false, nil
	}
	switch err := e.Flows.Consume(r.Context(), flow.ID); {
	case errors.Is(err, storage.ErrConsumed), isMissing(err):
		return true, alreadyFinished(w, r)
	case err != nil:
		return true, err
	}
	return false, nil
}

func alreadyFinished(w http.ResponseWriter, r *http.Request) error {
	return web.Render(w, r, http.StatusOK, templates.Done{Heading: templates.Say("error.finished"), Message: templates.Say("error.finished_more")})
}

func startAgain(w http.ResponseWriter, r *http.Request) error {
	return web.Render(w, r, http.StatusForbidden, templates.Error{
		Status: http.StatusForbidden, Heading: templates.Say("error.elsewhere"), RequestID: web.RequestID(r.Context()),
		Message: templates.Say("error.elsewhere_more"),
	})
}
