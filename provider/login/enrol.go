package login

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"

	"gatehouse/provider/activity"
	"gatehouse/provider/audit"
	"gatehouse/provider/credential"
	"gatehouse/provider/interaction"
	"gatehouse/provider/signin"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// The first second factor of somebody who cannot sign in without one: enrolled after the first factor and before the session.

// enrolling is a half sign-in that must enrol; nil if the browser was answered.
func (l *Login) enrolling(w http.ResponseWriter, r *http.Request, id string) (*waiting, error) {
	at, err := l.half(w, r, id)
	if at == nil || err != nil {
		return nil, err
	}
	if at.half.Enrol && len(at.factors) == 0 {
		return at, nil
	}
	// Somebody has a factor by now: it must be used, whoever enrolled it (security row 157).
	if at.half.Enrol {
		at.half.Enrol = false
		return nil, l.answer(w, r, l.SignIn.Wait(w, r, at.flow, at.half))
	}
	return nil, web.Redirect(w, r, web.LocalURL(r, signin.FactorPath, url.Values{"interaction": {at.flow.ID}}))
}

// showEnrol serves GET: a new seed, and the question to make a passkey.
func (l *Login) showEnrol(w http.ResponseWriter, r *http.Request) error {
	at, err := l.enrolling(w, r, r.URL.Query().Get("interaction"))
	if at == nil || err != nil {
		return err
	}
	return l.renderEnrol(w, r, at, http.StatusOK, "", templates.Text{})
}

func (l *Login) renderEnrol(w http.ResponseWriter, r *http.Request, at *waiting, status int, pending string, problem templates.Text) error {
	page := templates.Enrol{Account: userView(at.user).Label(), Error: problem, Interaction: at.flow.ID}
	if l.Factors.TOTP != nil {
		e, err := l.Factors.TOTP.Again(at.user.Subject, page.Account, pending)
		if errors.Is(err, credential.ErrStale) {
			e, err = l.Factors.TOTP.Begin(at.user.Subject, page.Account)
		}
		if err != nil {
			return err
		}
		page.TOTP = &templates.TOTPForm{Secret: e.Secret, Pending: e.Sealed, QRSize: e.QR.Size, QRPath: e.QR.Path}
	}
	if l.Factors.Passkeys != nil {
		c, err := l.Factors.Passkeys.BeginRegistration(r.Context(), at.user, at.flow.ID)
		if err != nil {
			return err
		}
		page.Passkey = &templates.PasskeyForm{Options: string(c.Options), State: c.Sealed}
	}
	return web.Render(w, r, status, page)
}

// submitEnrol serves POST: the first code of the app, or the new passkey. The session begins with it, and the recovery codes are shown once.
func (l *Login) submitEnrol(w http.ResponseWriter, r *http.Request) error {
	at, err := l.enrolling(w, r, r.PostFormValue("interaction"))
	if at == nil || err != nil {
		return err
	}
	if over, err := l.countTry(w, r, at); over || err != nil {
		return err
	}
	f, amr, err := l.enrol(r, at)
	var problem templates.Text
	switch {
	case errors.Is(err, credential.ErrCode):
		problem = templates.Say("factor.wrong")
	case errors.Is(err, credential.ErrStale):
		problem = templates.Say("factor.stale")
	case errors.Is(err, credential.ErrPasskey), errors.Is(err, storage.ErrExists):
		problem = templates.Say("factor.passkey_refused")
	case errors.Is(err, storage.ErrNotFound): // signed out everywhere in between (security row 172)
		return l.giveUp(w, r, at.flow)
	case err != nil:
		return err
	}
	if !problem.Empty() {
		l.Audit.Record(r.Context(), audit.Event{Name: "factor.failed", Actor: at.user.Subject, Target: "enrolment", Result: "failed", Reason: err.Error()})
		return l.renderEnrol(w, r, at, http.StatusUnprocessableEntity, r.PostFormValue("pending"), problem)
	}
	l.SignIn.Note(r, at.user, activity.Event{Kind: activity.FactorEnrolled, Target: f.ID, Reason: string(f.Kind), Detail: f.Name, Undo: activity.Undo(at.user, f.Created)})
	codes, err := l.Factors.Recovery.Generate(r.Context(), at.user)
	if errors.Is(err, storage.ErrNotFound) {
		return l.giveUp(w, r, at.flow)
	}
	if err != nil {
		return err
	}
	if err := l.SignIn.Begin(w, r, at.flow, signin.ProofOf(at.half, at.user, amr...)); err != nil {
		return l.answer(w, r, err)
	}
	path, query := interaction.Next(at.flow)
	return web.Render(w, r, http.StatusOK, templates.RecoveryCodes{Account: userView(at.user).Label(), Codes: codes, Continue: web.LocalURL(r, path, query)})
}

// enrol stores the factor.
func (l *Login) enrol(r *http.Request, at *waiting) (*storage.Factor, []string, error) {
	if response := r.PostFormValue("response"); response != "" && l.Factors.Passkeys != nil {
		f, err := l.Factors.Passkeys.FinishRegistration(r.Context(), at.user, at.flow.ID, r.PostFormValue("state"), response, r.PostFormValue("name"))
		return f, []string{"user"}, err
	}
	if l.Factors.TOTP == nil {
		return nil, nil, fmt.Errorf("%w: authenticator apps are off", credential.ErrCode)
	}
	f, err := l.Factors.TOTP.Finish(r.Context(), at.user, r.PostFormValue("pending"), r.PostFormValue("code"), r.PostFormValue("name"))
	return f, []string{"otp"}, err
}
