package federation

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"time"

	"gatehouse/provider/activity"
	"gatehouse/provider/interaction"
	"gatehouse/provider/session"
	"gatehouse/provider/upstream"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// freshFor is how long after a sign-in a person may link and unlink accounts without signing in again (security row 174).
const freshFor = 5 * time.Minute

// askLink serves GET: it asks whether to go to a provider. The account page cannot send the browser there itself: its policy keeps its forms on this server.
func (f *Federation) askLink(w http.ResponseWriter, r *http.Request) error {
	p, current, done, err := f.fresh(w, r, r.URL.Query().Get("upstream"))
	if done || err != nil {
		return err
	}
	return web.Render(w, r, http.StatusOK, templates.LinkAccount{Button: p.button(), Account: nameOf(current.User)})
}

// link serves POST: from the account page it leads to the question, from the question to the provider.
func (f *Federation) link(w http.ResponseWriter, r *http.Request) error {
	id := r.PostFormValue("upstream")
	p, current, done, err := f.fresh(w, r, id)
	if done || err != nil {
		return err
	}
	if r.PostFormValue("confirm") == "" {
		return web.Redirect(w, r, web.LocalURL(r, interaction.ReturnLink, url.Values{"upstream": {id}}))
	}
	if err := f.limit(r); err != nil {
		return err
	}
	flow, err := f.Flows.Start(r.Context(), storage.Interaction{Kind: storage.InteractionLink, ReturnTo: interaction.ReturnSecurity, Binder: web.Binder(w, r)})
	if err != nil {
		return err
	}
	if err := f.update(r.Context(), flow, func(i *storage.Interaction) { i.Subject, i.SessionID = current.Session.Subject, current.Session.ID }); err != nil {
		return err
	}
	return f.walk(w, r, p, flow)
}

// fresh returns the provider and whoever has signed in within the last minutes. Everybody else is sent to do so, and done is true.
func (f *Federation) fresh(w http.ResponseWriter, r *http.Request, id string) (p *provider, current *session.Current, done bool, err error) {
	if p = f.find(id); p == nil {
		return nil, nil, false, &web.Error{Status: http.StatusNotFound, Code: "not_found", Text: templates.Say("upstream.no_provider")}
	}
	current, err = f.Sessions.Current(r)
	if err != nil {
		return nil, nil, false, fmt.Errorf("read session: %w", err)
	}
	if current != nil {
		web.SetUserLang(r, current.User.Locale)
	}
	fresh, err := f.freshly(r.Context(), current)
	if err != nil {
		return nil, nil, false, err
	}
	if fresh {
		return p, current, false, nil
	}
	return nil, nil, true, f.signInAgain(w, r, url.Values{interaction.ParamLink: {id}, "prompt": {"login"}})
}

// freshly tells whether somebody has signed in within the last minutes, with the second factor if there is one.
func (f *Federation) freshly(ctx context.Context, current *session.Current) (bool, error) {
	if current == nil || f.Now().Sub(current.Session.AuthTime) > freshFor {
		return false, nil
	}
	return f.SignIn.Strong(ctx, current.Session)
}

// signInAgain asks for a sign-in that comes back to the page of the ways in, or to what params say.
func (f *Federation) signInAgain(w http.ResponseWriter, r *http.Request, params url.Values) error {
	if err := f.limit(r); err != nil {
		return err
	}
	flow, err := f.Flows.Start(r.Context(), storage.Interaction{Kind: storage.InteractionAccount, Params: params, ReturnTo: interaction.ReturnSecurity, Binder: web.Binder(w, r)})
	if err != nil {
		return err
	}
	return web.Redirect(w, r, web.LocalURL(r, "/login", url.Values{"interaction": {flow.ID}}))
}

// linkArrived ties the account to the user who set out to link one, if that user is still the one who sits there. The walk has been used up, so this proof works once and for this
// account only.
func (f *Federation) linkArrived(w http.ResponseWriter, r *http.Request, a *arrival) error {
	current, err := f.Sessions.Current(r)
	if err != nil {
		return fmt.Errorf("read session: %w", err)
	}
	if current == nil || current.Session.ID != a.flow.SessionID || current.Session.Subject != a.flow.Subject {
		return f.problem(w, r, a.provider, a.flow, &upstream.Refusal{Reason: OtherUser, Detail: "another session than the one that began to link"})
	}
	if err := f.Flows.Consume(r.Context(), a.flow.ID); err != nil {
		return f.lost(w, r, err)
	}
	mapped := a.provider.Map(a.External)
	pending := &interaction.PendingLink{Upstream: a.provider.ID, ExternalID: a.ID, Label: a.Label, Claims: mapped.Set, Gone: mapped.Gone, Tokens: f.sealed(a)}
	return f.tie(w, r, a.provider, a.flow, current, pending)
}

// finish ties an account that waited, once the user who has its address has signed in here after it came.
func (f *Federation) finish(w http.ResponseWriter, r *http.Request) error {
	p, err := f.of(r)
	if err != nil {
		return err
	}
	flow, err := f.load(r, r.URL.Query().Get("interaction"))
	if err != nil {
		return f.lost(w, r, err)
	}
	current, err := f.Sessions.Current(r)
	if err != nil {
		return fmt.Errorf("read session: %w", err)
	}
	var pending *interaction.PendingLink
	err = f.Flows.Update(r.Context(), flow.ID, func(i *storage.Interaction) error {
		pending = interaction.Pending(i)
		interaction.SetPending(i, nil)
		*flow = *i
		return nil
	})
	if err != nil {
		return f.lost(w, r, err)
	}
	switch {
	case pending == nil || pending.Upstream != p.ID:
		return goOn(w, r, flow)
	case current == nil || current.Session.ID != flow.SessionID || current.Session.Subject != pending.Subject || current.Session.AuthTime.Before(pending.At.Truncate(time.Microsecond)):
		return f.problem(w, r, p, flow, &upstream.Refusal{Reason: OtherUser, Detail: "the user who has the address has not signed in since"})
	}
	return f.tie(w, r, p, flow, current, pending)
}

// tie links an account to whoever is signed in, and goes on. The session's cookie changes, because the account can now be entered in one more way (security row 179).
func (f *Federation) tie(w http.ResponseWriter, r *http.Request, p *provider, flow *storage.Interaction, current *session.Current, account *interaction.PendingLink) error {
	ctx, subject, began := r.Context(), current.Session.Subject, f.Now()
	err := f.Store.CreateIdentity(ctx, &storage.Identity{Upstream: p.ID, ExternalID: account.ExternalID, Subject: subject, Label: account.Label, Tokens: account.Tokens}, current.Session.Epoch)
	switch {
	case errors.Is(err, storage.ErrExists):
		return f.problem(w, r, p, flow, &upstream.Refusal{Reason: Linked, Detail: "the account belongs to a user already"})
	case errors.Is(err, storage.ErrNotFound):
		return f.problem(w, r, p, flow, &upstream.Refusal{Reason: OtherUser, Detail: "the user has changed since the sign-in"})
	case err != nil:
		return fmt.Errorf("create identity: %w", err)
	}
	f.linked(r, current.User, p, began, "")
	if _, err := f.refresh(ctx, current.User, Mapped{Set: account.Claims, Gone: account.Gone}); err != nil {
		return err
	}
	if err := f.Sessions.Rotate(w, r); err != nil {
		return err
	}
	web.Annotate(r, "outcome", "linked")
	if flow.Kind == storage.InteractionLink { // asked for on the account page, which says so
		return web.Redirect(w, r, web.LocalURL(r, flow.ReturnTo, url.Values{"done": {"linked"}}))
	}
	return goOn(w, r, flow)
}

// unlink unties an account of whoever is signed in.
func (f *Federation) unlink(w http.ResponseWriter, r *http.Request) error {
	id, external := r.PostFormValue("upstream"), r.PostFormValue("external_id")
	if id == "" || external == "" || len(external) > 255 {
		return web.BadRequest(templates.Say("upstream.name_account"))
	}
	current, err := f.Sessions.Current(r)
	if err != nil {
		return fmt.Errorf("read session: %w", err)
	}
	if current != nil {
		web.SetUserLang(r, current.User.Locale)
	}
	fresh, err := f.freshly(r.Context(), current)
	if err != nil {
		return err
	}
	if !fresh {
		return f.signInAgain(w, r, url.Values{"prompt": {"login"}, interaction.ParamUndone: {"1"}})
	}
	err = f.Store.DeleteIdentity(r.Context(), current.Session.Subject, id, external, f.Offered())
	switch {
	case errors.Is(err, storage.ErrLastWayIn):
		return &web.Error{Status: http.StatusConflict, Code: "last_way_in", Text: templates.Say("upstream.last_way")}
	case errors.Is(err, storage.ErrNotFound):
	case err != nil:
		return fmt.Errorf("delete identity: %w", err)
	default:
		if err := f.forgetGroups(r.Context(), current.User, id); err != nil {
			return err
		}
		name := id
		if p := f.find(id); p != nil {
			name = p.Name
		}
		f.SignIn.Note(r, current.User, activity.Event{Kind: activity.IdentityUnlinked, Target: id, Detail: name, Undo: activity.Undo(current.User, time.Time{})})
	}
	f.Sessions.Forget(r) // it may have ended with the identity
	return web.Redirect(w, r, web.LocalURL(r, interaction.ReturnSecurity, url.Values{"done": {"unlinked"}}))
}

// forgetGroups takes back what an unlinked account had brought: nobody would refresh it any more.
func (f *Federation) forgetGroups(ctx context.Context, u *storage.User, id string) error {
	p := f.find(id)
	if p == nil {
		return nil
	}
	_, err := f.refresh(ctx, u, Mapped{Gone: Managed(&p.Config)})
	return err
}

// Offered are the ways in that this configuration offers. Links by mail are not counted: whoever loses the mailbox would be shut out.
func (f *Federation) Offered() *storage.Offered {
	o := &storage.Offered{Password: f.Password, Passkeys: f.SignIn.Policy.Passkeys}
	for _, p := range f.providers {
		o.Upstreams = append(o.Upstreams, p.ID)
	}
	return o
}

// wayIn tells whether a user can sign in with a password, with a passkey, or with an account that counts.
func (f *Federation) wayIn(ctx context.Context, u *storage.User, counts func(*storage.Identity) bool) (bool, error) {
	if password, err := f.hasPassword(ctx, u); password || err != nil {
		return password, err
	}
	factors, err := f.SignIn.Factors(ctx, u.Subject)
	if err != nil {
		return false, err
	}
	if slices.ContainsFunc(factors, func(f *storage.Factor) bool { return f.Kind == storage.FactorPasskey }) {
		return true, nil
	}
	identities, err := f.Store.IdentitiesOf(ctx, u.Subject)
	if err != nil {
		return false, fmt.Errorf("list identities: %w", err)
	}
	return slices.ContainsFunc(identities, func(i *storage.Identity) bool {
		return f.find(i.Upstream) != nil && counts(i)
	}), nil
}

// Linked lists a user's accounts at providers, and the providers of which the user has none, for the account page.
func (f *Federation) Linked(r *http.Request, u *storage.User) ([]templates.IdentityView, []templates.UpstreamButton, error) {
	beside, err := f.wayIn(r.Context(), u, func(*storage.Identity) bool { return false })
	if err != nil {
		return nil, nil, err
	}
	identities, err := f.Store.IdentitiesOf(r.Context(), u.Subject)
	if err != nil {
		return nil, nil, fmt.Errorf("list identities: %w", err)
	}
	var views []templates.IdentityView
	has := map[string]bool{}
	usable := 0
	for _, i := range identities {
		if f.find(i.Upstream) != nil {
			usable++
		}
	}
	for _, i := range identities {
		view := templates.IdentityView{Upstream: i.Upstream, Name: i.Upstream, Label: i.Label, ExternalID: i.ExternalID, Since: i.Created, LastUsed: i.LastUsed, Removable: beside || usable > 0}
		if p := f.find(i.Upstream); p != nil {
			view.Name, view.Style, view.Removable = p.Name, p.Type, beside || usable > 1
		}
		views, has[i.Upstream] = append(views, view), true
	}
	var more []templates.UpstreamButton
	for _, p := range f.providers {
		if !has[p.ID] {
			more = append(more, p.button())
		}
	}
	return views, more, nil
}

func nameOf(u *storage.User) string {
	if u.Email != "" {
		return u.Email
	}
	return u.Username
}

// hasPassword tells whether a user can sign in with a password here. It goes by the user's own name, because that is what people type.
func (f *Federation) hasPassword(ctx context.Context, u *storage.User) (bool, error) {
	if !f.Password {
		return false, nil
	}
	for _, key := range []string{u.EmailKey, u.UsernameKey} {
		if key == "" {
			continue
		}
		_, encoded, err := f.Store.UserByLogin(ctx, key)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return false, fmt.Errorf("read user: %w", err)
		}
		return err == nil && encoded != "", nil
	}
	return false, nil
}
