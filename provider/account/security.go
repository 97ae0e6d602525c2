package account

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"gatehouse/provider/activity"
	"gatehouse/provider/credential"
	"gatehouse/provider/interaction"
	"gatehouse/provider/session"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// security serves the page of what the account is entered by.
func (a *Account) security(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	page, err := a.securityPage(r, c)
	if err != nil {
		return err
	}
	return web.Render(w, r, http.StatusOK, page)
}

func (a *Account) securityPage(r *http.Request, c *session.Current) (*templates.AccountSecurity, error) {
	page := &templates.AccountSecurity{
		AccountFrame: frame(r, c), PasswordOffered: a.Passwords != nil, PasswordSet: c.User.PasswordSet, TOTPOffered: a.Factors.TOTP != nil, PasskeysOffered: a.Factors.Passkeys != nil,
		CodesOffered: a.Factors.Recovery != nil,
	}
	factors, err := a.Store.FactorsOf(r.Context(), c.Session.Subject)
	if err != nil {
		return nil, fmt.Errorf("list factors: %w", err)
	}
	for _, f := range factors {
		page.Factors = append(page.Factors, templates.FactorView{ID: f.ID, Kind: string(f.Kind), Name: f.Name, Since: f.Created, LastUsed: f.LastUsed})
	}
	if page.Codes, err = a.Store.RecoveryCodes(r.Context(), c.Session.Subject); err != nil {
		return nil, fmt.Errorf("count recovery codes: %w", err)
	}
	devices, err := a.Store.DevicesOf(r.Context(), c.Session.Subject)
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	for _, d := range devices {
		view := a.from(r, d.IP, d.UserAgent)
		view.ID, view.Since, view.LastSeen = d.ID, d.Created, d.LastUsed
		page.Devices = append(page.Devices, view)
	}
	if a.Identities != nil {
		if page.Identities, page.Linkable, err = a.Identities(r, c.User); err != nil {
			return nil, err
		}
	}
	return page, nil
}

// forgetDevice trusts a device no more.
func (a *Account) forgetDevice(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	id := r.PostFormValue("device")
	devices, err := a.Store.DevicesOf(r.Context(), c.Session.Subject)
	if err != nil {
		return fmt.Errorf("list devices: %w", err)
	}
	if !slices.ContainsFunc(devices, func(d *storage.Device) bool { return d.ID == id }) {
		return web.NotFound() // forgotten meanwhile, or somebody else's (security row 166)
	}
	if err := a.Store.DeleteDevice(r.Context(), c.Session.Subject, id); err != nil {
		return fmt.Errorf("forget device: %w", err)
	}
	a.note(r, c.User, activity.Event{Kind: activity.DeviceForgotten})
	return back(w, r, interaction.ReturnSecurity, "forgotten")
}

// owned finds a factor of the user's own, also one of a kind that is off now. Of anybody else's nothing is told (security row 166).
func (a *Account) owned(r *http.Request, c *session.Current) (*storage.Factor, error) {
	factors, err := a.Store.FactorsOf(r.Context(), c.Session.Subject)
	if err != nil {
		return nil, fmt.Errorf("list factors: %w", err)
	}
	id := r.PostFormValue("factor")
	i := slices.IndexFunc(factors, func(f *storage.Factor) bool { return f.ID == id })
	if i < 0 {
		return nil, web.NotFound()
	}
	return factors[i], nil
}

// renameFactor changes what the user calls a factor.
func (a *Account) renameFactor(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	f, err := a.owned(r, c)
	if err != nil {
		return err
	}
	name := credential.FactorName(r.PostFormValue("name"), f.Name)
	err = a.Store.RenameFactor(r.Context(), c.Session.Subject, f.ID, name)
	if errors.Is(err, storage.ErrNotFound) {
		return web.NotFound()
	}
	if err != nil {
		return fmt.Errorf("rename factor: %w", err)
	}
	a.note(r, c.User, activity.Event{Kind: activity.FactorRenamed, Target: f.ID, Detail: name})
	return back(w, r, interaction.ReturnSecurity, "renamed")
}

// removeFactor takes a factor away. The cookie changes, because the account is worth less now (security row 179).
func (a *Account) removeFactor(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	f, err := a.owned(r, c)
	if err != nil {
		return err
	}
	err = a.Store.DeleteFactor(r.Context(), c.Session.Subject, f.ID, a.Factors.Required, a.Offered)
	refused := templates.Text{}
	switch {
	case errors.Is(err, storage.ErrLastFactor):
		refused = templates.Say("account.factor_required")
	case errors.Is(err, storage.ErrLastWayIn):
		refused = templates.Say("account.factor_last_way_in")
	case errors.Is(err, storage.ErrNotFound):
		return web.NotFound()
	case err != nil:
		return fmt.Errorf("remove factor: %w", err)
	}
	if !refused.Empty() {
		page, err := a.securityPage(r, c)
		if err != nil {
			return err
		}
		page.Error = refused
		return web.Render(w, r, http.StatusConflict, page)
	}
	a.note(r, c.User, activity.Event{
		Kind: activity.FactorRemoved, Target: f.ID, Reason: string(f.Kind), Detail: f.Name, Undo: activity.Undo(c.User, time.Time{}),
	})
	if err := a.Sessions.Rotate(w, r); err != nil {
		return err
	}
	return back(w, r, interaction.ReturnSecurity, "removed")
}
