package account

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/provider/activity"
	"gatehouse/provider/credential"
	"gatehouse/provider/interaction"
	"gatehouse/provider/session"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// authenticator serves the form that adds an authenticator app.
func (a *Account) authenticator(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	return a.renderAuthenticator(w, r, c, http.StatusOK, "", templates.Text{})
}

// renderAuthenticator shows the enrolment that is under way, or a new one.
func (a *Account) renderAuthenticator(w http.ResponseWriter, r *http.Request, c *session.Current, status int, pending string, fault templates.Text) error {
	name := loginName(c.User)
	e, err := a.Factors.TOTP.Again(c.Session.Subject, name, pending)
	if errors.Is(err, credential.ErrStale) {
		e, err = a.Factors.TOTP.Begin(c.Session.Subject, name)
	}
	if err != nil {
		return err
	}
	page := templates.AccountAuthenticator{AccountFrame: frame(r, c), QRSize: e.QR.Size, QRPath: e.QR.Path, Secret: e.Secret, Pending: e.Sealed, Name: credential.FactorName(r.PostFormValue("name"), "")}
	page.Error = fault
	return web.Render(w, r, status, page)
}

// addAuthenticator stores the app once it has shown a right code. The seed is in the page, so that trying codes finds out nothing; the limit is there for the work that it makes.
func (a *Account) addAuthenticator(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	if err := a.count(r, c); err != nil {
		return err
	}
	pending := r.PostFormValue("pending")
	f, err := a.Factors.TOTP.Finish(r.Context(), c.User, pending, r.PostFormValue("code"), r.PostFormValue("name"))
	switch fault := enrolFault(err, "account.totp_wrong", "account.totp_stale"); {
	case !fault.Empty():
		return a.renderAuthenticator(w, r, c, http.StatusUnprocessableEntity, pending, fault)
	case errors.Is(err, storage.ErrNotFound):
		return a.expelled(w, r, interaction.ReturnSecurity)
	case err != nil:
		return err
	}
	return a.enrolled(w, r, c, f, "otp")
}

// enrolFault says why a factor was not stored; empty if it was, or if that is nothing to tell people.
func enrolFault(err error, wrong, stale string) templates.Text {
	var taken *storage.ExistsError
	switch {
	case errors.Is(err, credential.ErrCode), errors.Is(err, credential.ErrPasskey):
		return templates.Say(wrong)
	case errors.Is(err, credential.ErrStale):
		return templates.Say(stale)
	case errors.As(err, &taken) && taken.Field == "factors":
		return templates.Say("account.factor_many")
	case errors.As(err, &taken):
		return templates.Say("account.factor_same")
	}
	return templates.Text{}
}

// count takes one of the tries that a user has.
func (a *Account) count(r *http.Request, c *session.Current) error {
	allowed, retry, err := a.Shared.Take(r.Context(), "enrol\n"+c.Session.Subject, a.Factors.Tries)
	if err != nil {
		return fmt.Errorf("limit codes: %w", err)
	}
	if !allowed {
		return web.TooMany("account.factor_tries", retry)
	}
	return nil
}

// passkey serves the page that adds a passkey.
func (a *Account) passkey(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	return a.renderPasskey(w, r, c, http.StatusOK, templates.Text{})
}

func (a *Account) renderPasskey(w http.ResponseWriter, r *http.Request, c *session.Current, status int, fault templates.Text) error {
	ceremony, err := a.Factors.Passkeys.BeginRegistration(r.Context(), c.User, c.Session.ID)
	if err != nil {
		return err
	}
	page := templates.AccountPasskey{AccountFrame: frame(r, c), Options: string(ceremony.Options), State: ceremony.Sealed}
	page.Error = fault
	return web.Render(w, r, status, page)
}

// addPasskey stores a passkey.
func (a *Account) addPasskey(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	if err := a.count(r, c); err != nil {
		return err
	}
	f, err := a.Factors.Passkeys.FinishRegistration(r.Context(), c.User, c.Session.ID, r.PostFormValue("state"), r.PostFormValue("response"), r.PostFormValue("name"))
	switch fault := enrolFault(err, "account.passkey_failed", "account.passkey_failed"); {
	case !fault.Empty():
		return a.renderPasskey(w, r, c, http.StatusUnprocessableEntity, fault)
	case errors.Is(err, storage.ErrNotFound):
		return a.expelled(w, r, interaction.ReturnSecurity)
	case err != nil:
		return err
	}
	return a.enrolled(w, r, c, f, "user")
}

// enrolled ends an enrolment: the cookie changes, the session counts as one with a second factor, as that has just been shown, and whoever has no recovery codes gets some.
func (a *Account) enrolled(w http.ResponseWriter, r *http.Request, c *session.Current, f *storage.Factor, method string) error {
	a.note(r, c.User, activity.Event{Kind: activity.FactorEnrolled, Target: f.ID, Reason: string(f.Kind), Detail: f.Name, Undo: activity.Undo(c.User, f.Created)})
	login, err := a.again(r.Context(), c.Session)
	if err != nil {
		return err
	}
	for _, m := range []string{method, "mfa"} {
		if !slices.Contains(login.AMR, m) {
			login.AMR = append(slices.Clone(login.AMR), m)
		}
	}
	login.ACR = "2"
	if _, err := a.Sessions.Start(w, r, login); err != nil {
		return fmt.Errorf("strengthen session: %w", err)
	}
	left, err := a.Factors.Recovery.Left(r.Context(), c.Session.Subject)
	if err != nil {
		return err
	}
	if left > 0 {
		return back(w, r, interaction.ReturnSecurity, "factor")
	}
	return a.showCodes(w, r, c, activity.Event{Kind: activity.RecoveryCodes}, templates.Say("account.done_first_factor")) // the mail about the factor tells of them
}

// codes asks whether to make new recovery codes; nobody has any without a factor.
func (a *Account) codes(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	factors, err := a.factors(r.Context(), c.Session.Subject)
	if err != nil {
		return err
	}
	if len(factors) == 0 {
		return web.Redirect(w, r, web.LocalURL(r, interaction.ReturnSecurity, nil))
	}
	left, err := a.Factors.Recovery.Left(r.Context(), c.Session.Subject)
	if err != nil {
		return err
	}
	return web.Render(w, r, http.StatusOK, templates.AccountCodes{AccountFrame: frame(r, c), Left: left})
}

// makeCodes replaces the recovery codes.
func (a *Account) makeCodes(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	factors, err := a.factors(r.Context(), c.Session.Subject)
	if err != nil {
		return err
	}
	if len(factors) == 0 {
		return web.Redirect(w, r, web.LocalURL(r, interaction.ReturnSecurity, nil))
	}
	return a.showCodes(w, r, c, activity.Event{
		Kind: activity.RecoveryCodes, Mail: &templates.Mail{Kind: templates.MailRecoveryCodes}, Undo: activity.Undo(c.User, time.Time{}),
	}, templates.Say("account.done_codes"))
}

// showCodes makes recovery codes, notes the event and shows them, once.
func (a *Account) showCodes(w http.ResponseWriter, r *http.Request, c *session.Current, made activity.Event, done templates.Text) error {
	codes, err := a.Factors.Recovery.Generate(r.Context(), c.User)
	if errors.Is(err, storage.ErrNotFound) {
		return a.expelled(w, r, interaction.ReturnSecurity)
	}
	if err != nil {
		return err
	}
	a.note(r, c.User, made)
	page := templates.AccountCodes{AccountFrame: frame(r, c), Codes: codes}
	page.Done = done
	return web.Render(w, r, http.StatusOK, page)
}

// maxCodes bounds the file of codes.
const maxCodes = 20

// codesFile gives the codes that the page shows back as a file, which needs no script. The server does not know them any more, so it writes down what has their form and nothing else.
func (a *Account) codesFile(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	codes := strings.Fields(r.PostFormValue("codes"))
	if len(codes) == 0 || len(codes) > maxCodes || slices.ContainsFunc(codes, func(code string) bool { return !credential.IsRecoveryCode(code) }) {
		return web.BadRequest(templates.Say("account.codes_gone"))
	}
	heading, err := web.Say(r, templates.Say("account.codes_file", "Account", loginName(c.User), "Brand", a.Brand.Label()))
	if err != nil {
		return err
	}
	return attach(w, "text/plain; charset=utf-8", "recovery-codes.txt", []byte(heading+"\r\n\r\n"+strings.Join(codes, "\r\n")+"\r\n"))
}
