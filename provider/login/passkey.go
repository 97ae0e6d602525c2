package login

import (
	"errors"
	"fmt"
	"net/http"

	"gatehouse/provider/audit"
	"gatehouse/provider/credential"
	"gatehouse/provider/signin"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// Sign-in by a passkey alone: it names the user, and it counts as two factors because the authenticator verified the person.

// passkeyForm is the question that the sign-in page carries for scripts, nil if passkeys are off.
func (l *Login) passkeyForm(flow *storage.Interaction) (*templates.PasskeyForm, error) {
	if l.Factors.Passkeys == nil {
		return nil, nil
	}
	c, err := l.Factors.Passkeys.BeginSignIn(flow.ID)
	if err != nil {
		return nil, err
	}
	return &templates.PasskeyForm{Options: string(c.Options), State: c.Sealed}, nil
}

// submitPasskey serves POST /login/passkey. Refused answers count as wrong passwords of the address do.
func (l *Login) submitPasskey(w http.ResponseWriter, r *http.Request, flow *storage.Interaction, page *templates.Login) error {
	if l.Factors.Passkeys == nil {
		return &web.Error{Status: http.StatusForbidden, Code: "no_passkeys", Text: templates.Say("error.no_passkeys")}
	}
	if l.IdentifierFirst {
		if err := l.firstStep(r, flow, page); err != nil {
			return err
		}
	}
	places := []counter{{"login\nip\n" + web.PeerKey(r), l.Limits.IPFailures}, {"login\nnet\n" + web.NetKey(r), l.Limits.NetFailures}}
	wait, err := l.wait(r.Context(), places...)
	if err != nil {
		return err
	}
	if wait > 0 {
		return tooMany(w, r, page, wait)
	}
	a, err := l.Factors.Passkeys.FinishSignIn(r.Context(), flow.ID, r.PostFormValue("state"), r.PostFormValue("response"))
	if err == nil && !a.Verified {
		err = fmt.Errorf("%w: the person was not verified", credential.ErrPasskey)
	}
	if errors.Is(err, credential.ErrStale) || errors.Is(err, credential.ErrPasskey) {
		l.Audit.Record(r.Context(), audit.Event{Name: "login.failed", Client: flow.Params.Get("client_id"), Result: "failed", Reason: err.Error()})
		if wait, err = l.count(r.Context(), places...); err != nil {
			return err
		}
		if wait > 0 {
			return tooMany(w, r, page, wait)
		}
		page.Error = templates.Say("login.passkey_refused")
		return web.Render(w, r, http.StatusUnauthorized, *page)
	}
	if err != nil {
		return err
	}
	proof := signin.Proof{User: a.User, AMR: a.AMR(), ACR: "2", Remember: r.PostFormValue("remember") == "1"}
	return l.answer(w, r, l.SignIn.Proven(w, r, flow, proof))
}
