package playground

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/provider/rp"
)

func (p *Playground) home(w http.ResponseWriter, r *http.Request, v *visit) {
	party, err := p.relyingParty(r.Context())
	if err != nil {
		p.refuse(w, http.StatusBadGateway, "The provider does not answer", err.Error())
		return
	}
	if v.cameBack(r) {
		p.showFarewell(w, r, v)
		return
	}
	p.show(w, r, v, party)
}

// start makes the authorization request, and either sends the browser there or shows the request first.
func (p *Playground) start(w http.ResponseWriter, r *http.Request, v *visit) {
	party, err := p.relyingParty(r.Context())
	if err != nil {
		p.refuse(w, http.StatusBadGateway, "The provider does not answer", err.Error())
		return
	}
	scopes := slices.DeleteFunc(offered(party), func(s string) bool { return s != "openid" && !slices.Contains(r.PostForm["scope"], s) })
	extra := url.Values{"scope": {strings.Join(scopes, " ")}}
	if prompt := r.PostForm.Get("prompt"); slices.Contains([]string{"login", "consent", "none"}, prompt) {
		extra.Set("prompt", prompt)
	}
	attempt := party.Begin(extra)
	v.attempt, v.run, v.farewell = &attempt, nil, nil
	if r.PostForm.Get("mode") == "show" {
		p.back(w, r)
		return
	}
	http.Redirect(w, r, attempt.URL, http.StatusSeeOther)
}

// callback is the redirection endpoint (RFC 6749 section 3.1.2).
func (p *Playground) callback(w http.ResponseWriter, r *http.Request, v *visit) {
	party, err := p.relyingParty(r.Context())
	if err != nil {
		p.refuse(w, http.StatusBadGateway, "The provider does not answer", err.Error())
		return
	}
	if v.attempt == nil {
		p.refuse(w, http.StatusBadRequest, "This answer belongs to no sign-in",
			"No sign-in is waiting for an answer in this browser: it was begun in another one, or its answer came before. Nothing was done with the code.")
		return
	}
	ctx, log := record(r.Context())
	result := &run{attempt: *v.attempt, response: r.URL.Query()}
	result.tokens, err = party.Exchange(ctx, result.attempt, result.response)
	if errors.Is(err, rp.ErrState) {
		// Whoever sent this does not know the state; the real answer may still come.
		p.refuse(w, http.StatusBadRequest, "The state parameter is wrong",
			"The answer carries another state than the request of this browser. An application must drop such an answer: it may be forged.")
		return
	}
	if err == nil {
		result.userinfo, err = party.UserInfo(ctx, result.tokens.AccessToken, result.tokens.ID.Subject)
	}
	result.messages, result.problem = log.messages(), explain(err)
	v.attempt, v.run = nil, result
	p.visits.move(w, r, v, p)
	p.back(w, r)
}

func (p *Playground) refresh(w http.ResponseWriter, r *http.Request, v *visit) {
	p.act(w, r, v, "Refresh", func(r *http.Request, party *rp.Party, run *run) (string, error) {
		if run.tokens.RefreshToken == "" {
			return "", errors.New("there is no refresh token: the client is not registered for them")
		}
		next, err := party.Refresh(r.Context(), run.tokens.RefreshToken)
		if err != nil {
			return "", err
		}
		if next.ID != nil && next.ID.Subject != run.tokens.ID.Subject {
			return "", errors.New("the new ID token names another subject")
		}
		rotated := next.RefreshToken != run.tokens.RefreshToken
		if next.ID == nil {
			next.ID, next.RawIDToken = run.tokens.ID, run.tokens.RawIDToken
		}
		run.tokens = next
		if rotated {
			return "New tokens are in use. The refresh token was rotated: the one used just now is spent.", nil
		}
		return "New tokens are in use. The provider keeps the refresh token.", nil
	})
}

func (p *Playground) userinfo(w http.ResponseWriter, r *http.Request, v *visit) {
	p.act(w, r, v, "Userinfo", func(r *http.Request, party *rp.Party, run *run) (string, error) {
		claims, err := party.UserInfo(r.Context(), run.tokens.AccessToken, run.tokens.ID.Subject)
		if err != nil {
			return "", err
		}
		run.userinfo = claims
		return "The access token is accepted.", nil
	})
}

func (p *Playground) introspect(w http.ResponseWriter, r *http.Request, v *visit) {
	p.act(w, r, v, "Introspect "+tokenName(r), func(r *http.Request, party *rp.Party, run *run) (string, error) {
		token, hint := chosen(r, run)
		answer, err := party.Introspect(r.Context(), token, hint)
		if err != nil {
			return "", err
		}
		if answer["active"] == true {
			return "The token is active.", nil
		}
		return "The token is not active: expired, used up, revoked or unknown. The answer says no more than that, on purpose.", nil
	})
}

func (p *Playground) revoke(w http.ResponseWriter, r *http.Request, v *visit) {
	p.act(w, r, v, "Revoke "+tokenName(r), func(r *http.Request, party *rp.Party, run *run) (string, error) {
		token, hint := chosen(r, run)
		if err := party.Revoke(r.Context(), token, hint); err != nil {
			return "", err
		}
		if hint == "refresh_token" {
			return "Revoked, with everything that came from the same sign-in. Try introspection or userinfo now.", nil
		}
		return "Revoked. Try introspection or userinfo now. The refresh token still works.", nil
	})
}

// act runs one button: what it sent, what came back and how it ended go to the top of the history.
func (p *Playground) act(w http.ResponseWriter, r *http.Request, v *visit, title string, do func(*http.Request, *rp.Party, *run) (string, error)) {
	party, err := p.relyingParty(r.Context())
	if err != nil {
		p.refuse(w, http.StatusBadGateway, "The provider does not answer", err.Error())
		return
	}
	if v.run == nil || v.run.tokens == nil {
		p.back(w, r)
		return
	}
	ctx, log := record(r.Context())
	outcome, err := do(r.WithContext(ctx), party, v.run)
	v.run.remember(action{Title: title, Outcome: outcome, Problem: explain(err), messages: log.messages()})
	http.Redirect(w, r, p.base+root+"#history", http.StatusSeeOther)
}

func tokenName(r *http.Request) string {
	if r.PostForm.Get("token") == "refresh_token" {
		return "refresh token"
	}
	return "access token"
}

// chosen is the token that the button names, with its type hint.
func chosen(r *http.Request, run *run) (token, hint string) {
	if r.PostForm.Get("token") == "refresh_token" {
		return run.tokens.RefreshToken, "refresh_token"
	}
	return run.tokens.AccessToken, "access_token"
}

// startAgain forgets the last run and keeps the session.
func (p *Playground) startAgain(w http.ResponseWriter, r *http.Request, v *visit) {
	v.attempt, v.run = nil, nil
	p.back(w, r)
}

// signOut ends the playground's session first, whatever the provider does next. Then it sends the browser to the provider to sign out there, with the ID token, which
// says whose session is meant; the provider takes nobody back here without one.
func (p *Playground) signOut(w http.ResponseWriter, r *http.Request, v *visit) {
	hint := ""
	if v.run != nil && v.run.tokens != nil {
		hint = v.run.tokens.RawIDToken
	}
	v.attempt, v.run, v.farewell = nil, nil, nil
	p.visits.drop(r)
	party, err := p.relyingParty(r.Context())
	if err == nil && hint != "" {
		next := newVisit()
		next.farewell = &farewell{state: rand.Text()}
		if target, ok := party.EndSessionURL(hint, PostLogoutRedirectURI(p.o.Issuer), next.farewell.state); ok {
			next.farewell.url = strings.Replace(target, hint, "ID-TOKEN", 1)
			p.visits.put(w, next, p)
			http.Redirect(w, r, target, http.StatusSeeOther)
			return
		}
	}
	http.SetCookie(w, p.cookie("", -1))
	p.pages.render(w, http.StatusOK, p.view(page{Title: "Signed out", SignedOut: true}))
}

func (p *Playground) back(w http.ResponseWriter, r *http.Request) {
	http.Redirect(w, r, p.base+root, http.StatusSeeOther)
}

// refuse shows one message and nothing of the visit.
func (p *Playground) refuse(w http.ResponseWriter, status int, heading, text string) {
	p.pages.render(w, status, p.view(page{Title: heading, Refusal: &problem{Heading: heading, Text: text}}))
}
