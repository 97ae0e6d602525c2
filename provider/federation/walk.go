package federation

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/provider/interaction"
	"gatehouse/provider/upstream"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// walkLife is how long a browser may stay at a provider.
const walkLife = 10 * time.Minute

// start sends the browser to a provider, for the sign-in that an interaction waits for. GET is for our own redirects: it begins nothing that the link that led to the
// interaction could not begin.
func (f *Federation) start(w http.ResponseWriter, r *http.Request) error {
	p, err := f.of(r)
	if err != nil {
		return err
	}
	id := r.PostFormValue("interaction")
	if r.Method != http.MethodPost {
		id = r.URL.Query().Get("interaction")
	}
	flow, err := f.load(r, id)
	if err != nil {
		return f.lost(w, r, err)
	}
	if flow.Kind != storage.InteractionAuthorize && flow.Kind != storage.InteractionAccount {
		return startAgain(w, r)
	}
	if err := f.limit(r); err != nil {
		return err
	}
	return f.walk(w, r, p, flow)
}

func (f *Federation) load(r *http.Request, id string) (*storage.Interaction, error) {
	binder, _ := web.BinderOf(r)
	flow, err := f.Flows.Load(r.Context(), id, binder)
	if err != nil {
		return nil, err
	}
	return flow, f.SignIn.Dress(r, flow)
}

// lost answers an interaction that cannot go on, without a word on what it was.
func (f *Federation) lost(w http.ResponseWriter, r *http.Request, err error) error {
	if errors.Is(err, storage.ErrConsumed) || errors.Is(err, interaction.ErrOtherBrowser) || errors.Is(err, storage.ErrNotFound) {
		return startAgain(w, r)
	}
	return err
}

// limit counts a walk. What a walk stores is a part of the interaction, which has its own limit and end (security row 168); this one spares the providers.
func (f *Federation) limit(r *http.Request) error {
	if f.Limiter == nil {
		return nil
	}
	allowed, retry, err := f.Limiter.Take(r.Context(), "walks\n"+web.PeerKey(r), f.Starts)
	if err != nil {
		return fmt.Errorf("limit walks: %w", err)
	}
	if !allowed {
		return web.TooMany("error.starts", retry)
	}
	return nil
}

// walk begins a walk for an interaction and sends the browser off. The caller has counted it.
func (f *Federation) walk(w http.ResponseWriter, r *http.Request, p *provider, flow *storage.Interaction) error {
	a, err := f.attempt(r.Context(), p, flow)
	if err != nil {
		return err
	}
	a.State, a.Nonce, a.Verifier = flow.ID+"."+rand.Text(), rand.Text(), web.RandomValue()
	target, err := p.AuthURL(r.Context(), a)
	if err != nil {
		if upstream.ReasonOf(err) == upstream.Unavailable && r.Context().Err() == nil && p.note(err) {
			f.Log.Warn("a sign-in provider cannot be used; other ways to sign in go on", "upstream", p.ID, "cause", err.Error())
		}
		return f.failed(w, r, p, flow, err)
	}
	err = f.Flows.Update(r.Context(), flow.ID, func(i *storage.Interaction) error {
		interaction.SetWalk(i, &interaction.Walk{
			Upstream: p.ID, StateHash: web.Hash(a.State), Nonce: a.Nonce, Verifier: a.Verifier, Started: a.Started, Fresh: a.Fresh, MaxAge: a.MaxAge,
		})
		interaction.MarkSent(i, p.ID)
		return nil
	})
	if err != nil {
		return f.lost(w, r, err)
	}
	web.Annotate(r, "upstream", p.ID)
	web.Annotate(r, "outcome", "sent to a provider")
	return web.Redirect(w, r, target)
}

// attempt passes on what the paused request asks of a sign-in.
func (f *Federation) attempt(ctx context.Context, p *provider, flow *storage.Interaction) (*upstream.Attempt, error) {
	now := f.Now().UTC()
	prompt := strings.Fields(flow.Params.Get("prompt"))
	a := &upstream.Attempt{
		RedirectURI: RedirectURI(f.Issuer, p.ID), LoginHint: f.loginHint(p, flow), ACRValues: p.wanted(flow.Params), UILocales: flow.Params.Get("ui_locales"),
		SelectAccount: slices.Contains(prompt, "select_account") || flow.Kind == storage.InteractionLink,
		// Whoever proves an account here so that another one can be linked to it does so now.
		Fresh:   slices.Contains(prompt, "login") || interaction.Pending(flow) != nil,
		Started: now, Now: now,
	}
	if seconds, err := strconv.ParseInt(flow.Params.Get("max_age"), 10, 64); err == nil && seconds >= 0 {
		a.MaxAge = &seconds
	} else if id := flow.Params.Get("client_id"); id != "" {
		c, err := f.Clients.Client(ctx, id)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return nil, fmt.Errorf("read client: %w", err)
		}
		if err == nil {
			a.MaxAge = c.DefaultMaxAge
		}
	}
	a.Fresh = a.Fresh || a.MaxAge != nil && *a.MaxAge == 0
	return a, nil
}

// callbackByForm takes an answer that comes as a POST of the provider's page (OAuth 2.0 Form Post Response Mode). It comes without cookies, so it decides nothing: the
// browser is sent on to the same address, by which it comes back with them. A code is worth nothing without the walk.
func callbackByForm(w http.ResponseWriter, r *http.Request) error {
	params, repeated, err := web.Params(r)
	if err != nil {
		return err
	}
	if len(repeated) > 0 {
		return web.BadRequest(templates.Say("error.some_param_twice"))
	}
	return web.Redirect(w, r, web.LocalURL(r, "/upstream/"+url.PathEscape(web.Var(r, "id"))+"/callback", params))
}

// callback takes the provider's answer (RFC 6749 section 4.1.2).
func (f *Federation) callback(w http.ResponseWriter, r *http.Request) error {
	p, err := f.of(r)
	if err != nil {
		return err
	}
	params, repeated, err := web.Params(r)
	if err != nil {
		return err
	}
	if len(repeated) > 0 {
		return web.BadRequest(templates.Say("error.some_param_twice"))
	}
	flow, walk, err := f.claim(r, p, params.Get("state"))
	if err != nil {
		return f.lost(w, r, err)
	}
	now := f.Now().UTC()
	external, err := p.Exchange(r.Context(), &upstream.Attempt{
		State: params.Get("state"), Nonce: walk.Nonce, Verifier: walk.Verifier, RedirectURI: RedirectURI(f.Issuer, p.ID), Fresh: walk.Fresh, MaxAge: walk.MaxAge, Started: walk.Started, Now: now,
	}, params)
	if err != nil {
		return f.failed(w, r, p, flow, err)
	}
	p.note(nil)
	web.Annotate(r, "upstream", p.ID)
	return f.arrived(w, r, &arrival{provider: p, flow: flow, walk: walk, External: external})
}

// claim finds the walk that a state belongs to and ends it: a state works once, in the browser and for the upstream that it was made for, for ten minutes. Anything else is
// storage.ErrNotFound.
func (f *Federation) claim(r *http.Request, p *provider, state string) (*storage.Interaction, *interaction.Walk, error) {
	id, _, _ := strings.Cut(state, ".")
	flow, err := f.load(r, id)
	if err != nil {
		return nil, nil, err
	}
	var walk *interaction.Walk
	err = f.Flows.Update(r.Context(), flow.ID, func(i *storage.Interaction) error {
		walk = interaction.TakeWalk(i)
		if walk == nil || walk.Upstream != p.ID || subtle.ConstantTimeCompare([]byte(walk.StateHash), []byte(web.Hash(state))) != 1 || f.Now().Sub(walk.Started) > walkLife {
			return storage.ErrNotFound // and the walk goes on: a stranger's answer must not end it
		}
		*flow = *i
		return nil
	})
	return flow, walk, err
}

// failed shows what came of a walk that did not succeed. It is no news of the provider: a browser can bring back any answer, a code that the provider chokes on, say, and would
// take the provider away from everybody.
func (f *Federation) failed(w http.ResponseWriter, r *http.Request, p *provider, flow *storage.Interaction, err error) error {
	if r.Context().Err() != nil {
		return r.Context().Err()
	}
	var refusal *upstream.Refusal
	if !errors.As(err, &refusal) {
		refusal = &upstream.Refusal{Reason: upstream.ReasonOf(err), Detail: "walk to the provider", Cause: err}
	}
	return f.problem(w, r, p, flow, refusal)
}

// goOn sends the browser on after a sign-in.
func goOn(w http.ResponseWriter, r *http.Request, flow *storage.Interaction) error {
	path, query := interaction.Next(flow)
	return web.Redirect(w, r, web.LocalURL(r, path, query))
}

// update changes an interaction, and flow with it. An interaction that another tab has finished meanwhile says so where the browser goes next.
func (f *Federation) update(ctx context.Context, flow *storage.Interaction, change func(*storage.Interaction)) error {
	err := f.Flows.Update(ctx, flow.ID, func(i *storage.Interaction) error {
		change(i)
		*flow = *i
		return nil
	})
	if errors.Is(err, storage.ErrConsumed) || errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}
