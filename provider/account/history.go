package account

import (
	"fmt"
	"net/http"

	"gatehouse/provider/activity"
	"gatehouse/provider/session"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// words are the texts of the kinds of activity; those of apps name the app.
var words = map[string]string{
	activity.AccountCreated: "account.did_account_created", activity.AccountReverted: "account.did_account_reverted",
	activity.ConsentRevoked: "account.did_consent_revoked", activity.DataExported: "account.did_data_exported", activity.DeviceForgotten: "account.did_device_forgotten",
	activity.DeviceTrusted: "account.did_device_trusted", activity.EmailChanged: "account.did_email_changed", activity.EmailVerified: "account.did_email_verified",
	activity.FactorEnrolled: "account.did_factor_enrolled", activity.FactorRemoved: "account.did_factor_removed",
	activity.IdentityLinked: "account.did_identity_linked", activity.IdentityUnlinked: "account.did_identity_unlinked", activity.LoginOK: "account.did_login_ok",
	activity.PasswordChanged: "account.did_password_changed", activity.PasswordReset: "account.did_password_reset",
	activity.RecoveryCodes: "account.did_recovery_codes", activity.RecoveryUsed: "account.did_recovery_used", activity.SessionEnded: "account.did_session_ended",
	activity.TermsAccepted: "account.did_terms_accepted", activity.TokenReused: "account.did_token_reused",
}

// activity serves the history.
func (a *Account) activity(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	lines, err := a.Store.Activities(r.Context(), c.Session.Subject, storage.MaxActivities)
	if err != nil {
		return fmt.Errorf("list activities: %w", err)
	}
	page := templates.AccountActivity{AccountFrame: frame(r, c)}
	names := a.names(r.Context())
	for _, line := range lines {
		app := ""
		if line.ClientID != "" {
			if app, err = names(line.ClientID); err != nil {
				return err
			}
		}
		what := happened(line.Kind, app)
		if what.Empty() { // of another version
			continue
		}
		view := templates.ActivityView{What: what, Detail: line.Detail, Time: line.Time, Device: a.from(r, line.IP, line.UserAgent)}
		page.Lines = append(page.Lines, view)
	}
	return web.Render(w, r, http.StatusOK, page)
}

// happened says what a line of the history is about; empty for a kind that this version does not know.
func happened(kind, app string) templates.Text {
	id := words[kind]
	switch kind {
	case activity.LoginOK:
		if app != "" {
			id = "account.did_login_app"
		}
	case activity.ConsentRevoked, activity.TokenReused:
	default:
		app = ""
	}
	switch {
	case id == "":
		return templates.Text{}
	case app == "":
		return templates.Say(id)
	}
	return templates.Say(id, "App", app)
}
