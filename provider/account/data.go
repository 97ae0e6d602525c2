package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"gatehouse/provider/activity"
	"gatehouse/provider/credential"
	"gatehouse/provider/session"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// data serves the page on which people take their data with them, or have them deleted.
func (a *Account) data(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	return web.Render(w, r, http.StatusOK, templates.AccountData{AccountFrame: frame(r, c), DeleteOffered: !a.NoDelete, Confirm: loginName(c.User)})
}

// copyOf is what is stored about a person, for the person. Nothing in it opens anything: no password, no key, no hash of one, no id of a cookie.
type copyOf struct {
	Exported      time.Time        `json:"exported"`
	Subject       string           `json:"sub"`
	Email         string           `json:"email,omitempty"`
	EmailVerified bool             `json:"email_verified"`
	Username      string           `json:"username,omitempty"`
	Created       time.Time        `json:"created"`
	Updated       time.Time        `json:"updated"`
	PasswordSet   *time.Time       `json:"password_set,omitempty"`
	Failures      int              `json:"failed_sign_ins"`
	Locale        string           `json:"language,omitempty"`
	TermsVersion  string           `json:"terms_version,omitempty"`
	TermsAccepted *time.Time       `json:"terms_accepted,omitempty"`
	Claims        map[string]any   `json:"claims"`
	Identities    []map[string]any `json:"sign_in_providers"`
	Factors       []map[string]any `json:"second_factors"`
	RecoveryCodes int              `json:"recovery_codes_left"`
	Sessions      []map[string]any `json:"signed_in_devices"`
	Devices       []map[string]any `json:"trusted_devices"`
	Apps          []map[string]any `json:"apps"`
	Activities    []map[string]any `json:"history"`
	Notices       []map[string]any `json:"notices"`
}

// download sends everything that is stored about the person.
func (a *Account) download(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	export, err := a.export(r.Context(), c.Session.Subject)
	if err != nil {
		return err
	}
	text, err := json.MarshalIndent(export, "", "  ")
	if err != nil {
		return fmt.Errorf("write export: %w", err)
	}
	a.note(r, c.User, activity.Event{Kind: activity.DataExported})
	return attach(w, "application/json", "account.json", text)
}

// attach sends a file that the browser keeps and does not show.
func attach(w http.ResponseWriter, kind, name string, body []byte) error {
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
	w.Header().Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; sandbox")
	if _, err := w.Write(body); err != nil {
		return fmt.Errorf("send file: %w", err)
	}
	return nil
}

func (a *Account) export(ctx context.Context, subject string) (*copyOf, error) {
	u, err := a.Store.User(ctx, subject)
	if err != nil {
		return nil, fmt.Errorf("read user: %w", err)
	}
	out := &copyOf{
		Exported: a.Now().UTC(), Subject: subject, Email: u.Email, EmailVerified: u.EmailVerified, Username: u.Username, Created: u.Created, Updated: u.Updated, PasswordSet: moment(u.PasswordSet),
		Failures: u.Failures, Locale: u.Locale, TermsVersion: u.TermsVersion, TermsAccepted: moment(u.TermsAccepted), Claims: u.Claims,
	}
	return out, errors.Join(a.exportWays(ctx, out), a.exportDevices(ctx, out), a.exportApps(ctx, out), a.exportHistory(ctx, out))
}

// moment is a time, nil if there is none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// exportWays adds how the person signs in.
func (a *Account) exportWays(ctx context.Context, out *copyOf) error {
	identities, err := a.Store.IdentitiesOf(ctx, out.Subject)
	if err != nil {
		return fmt.Errorf("list identities: %w", err)
	}
	for _, i := range identities {
		out.Identities = append(out.Identities, map[string]any{"provider": i.Upstream, "id": i.ExternalID, "label": i.Label, "created": i.Created, "last_used": moment(i.LastUsed)})
	}
	factors, err := a.Store.FactorsOf(ctx, out.Subject)
	if err != nil {
		return fmt.Errorf("list factors: %w", err)
	}
	for _, f := range factors {
		out.Factors = append(out.Factors, map[string]any{"kind": f.Kind, "name": f.Name, "created": f.Created, "last_used": moment(f.LastUsed)})
	}
	if out.RecoveryCodes, err = a.Store.RecoveryCodes(ctx, out.Subject); err != nil {
		return fmt.Errorf("count recovery codes: %w", err)
	}
	return nil
}

// exportDevices adds where the person is signed in.
func (a *Account) exportDevices(ctx context.Context, out *copyOf) error {
	sessions, err := a.Store.SessionsOf(ctx, out.Subject)
	if err != nil {
		return fmt.Errorf("list sessions: %w", err)
	}
	for _, s := range sessions {
		out.Sessions = append(out.Sessions, map[string]any{
			"signed_in": s.AuthTime, "last_seen": s.LastSeen, "ends": s.Absolute, "ip": s.IP, "user_agent": s.UserAgent, "methods": s.AMR, "provider": s.Upstream, "stays_signed_in": s.Remembered,
		})
	}
	devices, err := a.Store.DevicesOf(ctx, out.Subject)
	if err != nil {
		return fmt.Errorf("list devices: %w", err)
	}
	for _, d := range devices {
		out.Devices = append(out.Devices, map[string]any{"created": d.Created, "last_used": moment(d.LastUsed), "ends": d.Expires, "ip": d.IP, "user_agent": d.UserAgent})
	}
	return nil
}

// exportApps adds which apps have access. When it was allowed is told where somebody was asked.
func (a *Account) exportApps(ctx context.Context, out *copyOf) error {
	apps, err := a.lately(ctx, out.Subject)
	if err != nil {
		return err
	}
	names := a.names(ctx)
	for _, x := range apps {
		name, err := names(x.clientID)
		if err != nil {
			return err
		}
		line := map[string]any{"client_id": x.clientID, "name": name, "scopes": x.scopes, "resources": x.resources, "last_used": moment(x.lastUsed)}
		if x.consent != nil {
			line["created"], line["updated"] = x.consent.Created, x.consent.Updated
		}
		out.Apps = append(out.Apps, line)
	}
	return nil
}

// exportHistory adds what happened.
func (a *Account) exportHistory(ctx context.Context, out *copyOf) error {
	lines, err := a.Store.Activities(ctx, out.Subject, storage.MaxActivities)
	if err != nil {
		return fmt.Errorf("list activities: %w", err)
	}
	for _, l := range lines {
		out.Activities = append(out.Activities, map[string]any{
			"time": l.Time, "event": l.Kind, "detail": l.Detail, "client_id": l.ClientID, "methods": l.AMR, "ip": l.IP, "user_agent": l.UserAgent,
		})
	}
	notices, err := a.Store.Notices(ctx, out.Subject)
	if err != nil {
		return fmt.Errorf("list notices: %w", err)
	}
	for _, n := range notices {
		out.Notices = append(out.Notices, map[string]any{"kind": n.Kind, "client_id": n.ClientID, "created": n.Created})
	}
	return nil
}

// delete deletes the account, once the person has typed its name. Sessions and everything that apps were given end with it, and apps are told as at a sign-out (storage).
func (a *Account) delete(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	if a.NoDelete {
		return web.Forbidden(templates.Say("account.data_delete_not_here"))
	}
	if !named(c.User, r.PostFormValue("confirm")) {
		page := templates.AccountData{AccountFrame: frame(r, c), DeleteOffered: true, Confirm: loginName(c.User)}
		page.Error = templates.Say("account.data_mistyped")
		return web.Render(w, r, http.StatusUnprocessableEntity, page)
	}
	if err := a.Store.DeleteUser(r.Context(), c.Session.Subject); err != nil && !errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("delete user: %w", err)
	}
	a.note(r, c.User, activity.Event{Kind: activity.AccountDeleted})
	if _, err := a.Sessions.End(w, r); err != nil {
		web.Annotate(r, "outcome", "the cookie of a deleted account stays") // it finds nothing
	}
	return web.Render(w, r, http.StatusOK, templates.Done{Heading: templates.Say("account.data_deleted"), Message: templates.Say("account.data_deleted_text")})
}

// named tells whether what was typed is a name of the user.
func named(u *storage.User, typed string) bool {
	if typed == u.Subject && u.EmailKey == "" && u.UsernameKey == "" {
		return true
	}
	key, err := credential.LoginKey(typed)
	return err == nil && (key == u.EmailKey || key == u.UsernameKey)
}
