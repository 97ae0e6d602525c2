package recovery

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"gatehouse/provider/activity"
	"gatehouse/provider/credential"
	"gatehouse/provider/letter"
	"gatehouse/provider/signin"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// find returns the ticket of a link to a new password and its user: one that was mailed, or one that an operator handed out.
func (f *Recovery) find(r *http.Request, token string) (*storage.Ticket, *storage.User, error) {
	t, err := f.Tickets.Look(r.Context(), storage.TicketReset, token)
	if errors.Is(err, storage.ErrNotFound) {
		t, err = f.Tickets.Look(r.Context(), storage.TicketRecovery, token)
	}
	if err != nil {
		return nil, nil, err
	}
	user, err := f.owner(r, t)
	return t, user, err
}

// showReset serves GET of the link: the form. It changes nothing.
func (f *Recovery) showReset(w http.ResponseWriter, r *http.Request) error {
	token := r.URL.Query().Get("token")
	_, user, err := f.find(r, token)
	if err != nil {
		return deadLink(w, r, err, f.again())
	}
	return web.Render(w, r, http.StatusOK, f.resetPage(token, user))
}

func (f *Recovery) resetPage(token string, user *storage.User) templates.Reset {
	return templates.Reset{Token: token, Account: labelOf(user), Hint: templates.PasswordHint(f.Passwords.MinLength())}
}

// again is where to ask for a new link, empty if nobody can.
func (f *Recovery) again() string {
	if f.NoMail {
		return ""
	}
	return "/recovery"
}

// reset serves POST: the new password. The link itself is needed for it, whatever was done before (security row 145).
func (f *Recovery) reset(w http.ResponseWriter, r *http.Request) error {
	ctx, token, password := r.Context(), r.PostFormValue("token"), r.PostFormValue("password")
	t, user, err := f.find(r, token)
	if err != nil {
		return deadLink(w, r, err, f.again())
	}
	var weak *credential.PolicyError
	err = f.Passwords.Check(password, user.Email, user.Username, nameOf(user))
	if errors.As(err, &weak) {
		page := f.resetPage(token, user)
		page.Error = templates.PasswordFault(string(weak.Reason), weak.Length, weak.Least)
		return web.Render(w, r, http.StatusUnprocessableEntity, page)
	}
	if err != nil {
		return fmt.Errorf("judge password: %w", err)
	}
	encoded, err := f.Passwords.Hash(ctx, password)
	if errors.Is(err, credential.ErrBusy) {
		return web.Unavailable(err)
	}
	if err != nil {
		return fmt.Errorf("hash password: %w", err)
	}
	if t, err = f.Tickets.Consume(ctx, t.Kind, token); err != nil {
		return deadLink(w, r, err, f.again())
	}
	if user, err = f.setPassword(ctx, t, encoded); dead(err) {
		return deadLink(w, r, err, f.again())
	}
	if err != nil {
		return &web.Error{Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", Text: templates.Say("recovery.unfinished"), Cause: err}
	}
	f.Activity.Note(ctx, letter.From(r), user, activity.Event{Kind: activity.PasswordReset, Undo: activity.Undo(user, time.Time{})})
	return f.afterReset(w, r, t, user)
}

// setPassword stores the password, which ends everything that began under the old one, and returns the user as it is then. Whoever came by a link in a mail has proven the address. storage.ErrNotFound if
// the account was locked for whoever had the link since that was used up (security row 172).
func (f *Recovery) setPassword(ctx context.Context, t *storage.Ticket, encoded string) (*storage.User, error) {
	if err := f.Store.ReplacePassword(ctx, t.Subject, encoded, t.Epoch); err != nil {
		return nil, fmt.Errorf("set password: %w", err)
	}
	return f.Store.UpdateUser(ctx, t.Subject, func(u *storage.User) error {
		if u.Epoch != t.Epoch+1 {
			return fmt.Errorf("user %s has changed: %w", u.Subject, storage.ErrNotFound)
		}
		u.EmailVerified = u.EmailVerified || t.EmailKey != "" && u.EmailKey == t.EmailKey
		return nil
	})
}

// afterReset signs in the browser that asked for the link, as far as a first factor goes (security row 146). Any other one learns that it can sign in.
func (f *Recovery) afterReset(w http.ResponseWriter, r *http.Request, t *storage.Ticket, user *storage.User) error {
	if !letter.Here(r, t) {
		return web.Render(w, r, http.StatusOK, templates.Told{
			Heading: templates.Say("recovery.changed_title"), Message: templates.Say("recovery.changed"), Next: web.LocalURL(r, "/account", nil), Button: templates.Say("recovery.sign_in"),
		})
	}
	time.Sleep(time.Millisecond) // grants and revocations are compared by the millisecond: what this sign-in leads to must be younger
	return letter.Enter(w, r, f.SignIn, t, signin.Proof{User: user, AMR: []string{"pwd"}, ACR: "1"})
}
