package account

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"gatehouse/provider/activity"
	"gatehouse/provider/credential"
	"gatehouse/provider/interaction"
	"gatehouse/provider/session"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// busyRetry is what a browser is told to wait when all cores hash passwords.
const busyRetry = 2 * time.Second

// password serves the form for a new password.
func (a *Account) password(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	return web.Render(w, r, http.StatusOK, a.passwordPage(r, c))
}

func (a *Account) passwordPage(r *http.Request, c *session.Current) templates.AccountPassword {
	return templates.AccountPassword{AccountFrame: frame(r, c), Change: !c.User.PasswordSet.IsZero(), Login: loginName(c.User), Hint: templates.PasswordHint(a.Passwords.MinLength())}
}

// savePassword sets or changes the password. Whoever else is in the account is out with that: all sessions end, and everything that apps were given, links and trusted devices die. This browser gets a
// session of its own.
func (a *Account) savePassword(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	password := r.PostFormValue("password")
	fault := a.judge(password, r.PostFormValue("repeat"), c.User)
	if !fault.Empty() {
		page := a.passwordPage(r, c)
		page.Error = fault
		return web.Render(w, r, http.StatusUnprocessableEntity, page)
	}
	encoded, err := a.Passwords.Hash(r.Context(), password)
	if errors.Is(err, credential.ErrBusy) {
		return &web.Error{Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", Text: templates.Say("account.password_busy"), RetryAfter: busyRetry, Cause: err}
	}
	if err != nil {
		return fmt.Errorf("hash password: %w", err)
	}
	login, err := a.again(r.Context(), c.Session)
	if err != nil {
		return err
	}
	err = a.Store.ReplacePassword(r.Context(), c.Session.Subject, encoded, c.Session.Epoch)
	if errors.Is(err, storage.ErrNotFound) {
		return a.expelled(w, r, interaction.ReturnPassword)
	}
	if err != nil {
		return fmt.Errorf("set password: %w", err)
	}
	if err := a.startAgain(w, r, login); err != nil {
		return err
	}
	a.note(r, c.User, activity.Event{Kind: activity.PasswordChanged, Undo: activity.Undo(c.User, time.Time{})})
	return back(w, r, interaction.ReturnSecurity, "password")
}

// judge says what is wrong with a new password, nothing if it will do.
func (a *Account) judge(password, repeat string, u *storage.User) templates.Text {
	if password != repeat {
		return templates.Say("account.password_differs")
	}
	var policy *credential.PolicyError
	if errors.As(a.Passwords.Check(password, ownWords(u)...), &policy) {
		return templates.PasswordFault(string(policy.Reason), policy.Length, policy.Least)
	}
	return templates.Text{}
}

// ownWords are what a user's password must not be built on.
func ownWords(u *storage.User) []string {
	own := []string{u.Email, u.Username}
	for _, claim := range []string{"name", "given_name", "family_name", "middle_name", "nickname", "preferred_username"} {
		if text, ok := u.Claims[claim].(string); ok {
			own = append(own, text)
		}
	}
	return own
}

// startAgain begins a new session in this browser, as strong and as old as the one that has just ended (security row 179).
func (a *Account) startAgain(w http.ResponseWriter, r *http.Request, login session.Login) error {
	login.Epoch++ // the new password's; if it has moved on once more, somebody has been locked out, and the session is dead
	a.Sessions.Forget(r)
	if _, err := a.Sessions.Start(w, r, login); err != nil {
		return fmt.Errorf("start session: %w", err)
	}
	return nil
}

// again is the sign-in that a session began with.
func (a *Account) again(ctx context.Context, s *storage.Session) (session.Login, error) {
	token, err := a.Store.UpstreamToken(ctx, s.ID)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return session.Login{}, fmt.Errorf("read token of provider: %w", err)
	}
	return session.Login{
		Subject: s.Subject, AMR: s.AMR, ACR: s.ACR, Epoch: s.Epoch, AuthTime: s.AuthTime, Upstream: s.Upstream, ExternalID: s.ExternalID, UpstreamSID: s.UpstreamSID, UpstreamToken: token,
		Remember: s.Remembered,
	}, nil
}
