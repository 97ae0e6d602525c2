package account

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"gatehouse/provider/activity"
	"gatehouse/provider/claims"
	"gatehouse/provider/interaction"
	"gatehouse/provider/session"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// field is how a claim is asked for.
type field struct{ hint, wrong, kind, autocomplete string }

// fields are the claims of claims.Own.
var fields = map[string]field{
	"name": {autocomplete: "name"}, "given_name": {autocomplete: "given-name"}, "family_name": {autocomplete: "family-name"}, "middle_name": {autocomplete: "additional-name"},
	"nickname": {autocomplete: "nickname"}, "preferred_username": {}, "gender": {autocomplete: "sex"},
	"profile": {hint: "web", wrong: "web", kind: "url"}, "picture": {hint: "web", wrong: "web", kind: "url"}, "website": {hint: "web", wrong: "web", kind: "url", autocomplete: "url"},
	"birthdate": {hint: "birthdate", wrong: "birthdate", autocomplete: "bday"}, "zoneinfo": {hint: "zoneinfo", wrong: "zoneinfo"}, "locale": {hint: "locale", wrong: "locale"},
	"phone_number": {hint: "phone_number", wrong: "phone_number", kind: "tel", autocomplete: "tel"},
}

// profile serves the page of the profile.
func (a *Account) profile(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	return a.renderProfile(w, r, c, http.StatusOK, a.profilePage(r, c))
}

// renderProfile shows the page, with the address that a link in a mail would give the account.
func (a *Account) renderProfile(w http.ResponseWriter, r *http.Request, c *session.Current, status int, page templates.AccountProfile) error {
	if a.mails() {
		t, err := a.Store.TicketOf(r.Context(), c.Session.Subject, storage.TicketEmail)
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return fmt.Errorf("find change of address: %w", err)
		}
		if err == nil {
			page.Pending = t.Email
		}
	}
	return web.Render(w, r, status, page)
}

func (a *Account) profilePage(r *http.Request, c *session.Current) templates.AccountProfile {
	page := templates.AccountProfile{AccountFrame: frame(r, c), Verified: c.User.EmailVerified, MailOffered: a.mails()}
	for _, name := range a.Editable {
		value, _ := c.User.Claims[name].(string)
		page.Fields = append(page.Fields, formField(name, value))
	}
	for _, l := range a.Languages {
		l.Chosen = l.Tag == c.User.Locale
		page.Languages = append(page.Languages, l)
	}
	return page
}

func formField(name, value string) templates.ProfileField {
	f := fields[name]
	view := templates.ProfileField{Name: name, Value: value, Label: templates.Say("account.field_" + name), Type: f.kind, Autocomplete: f.autocomplete}
	if view.Type == "" {
		view.Type = "text"
	}
	if f.hint != "" {
		view.Hint = templates.Say("account.hint_" + f.hint)
	}
	return view
}

// saveProfile stores what the person changed of the claims, and no other claim, and the language of the pages.
func (a *Account) saveProfile(w http.ResponseWriter, r *http.Request, c *session.Current) error {
	page := a.profilePage(r, c)
	changes, wrong := map[string]any{}, false
	for i := range page.Fields {
		f := &page.Fields[i]
		if !r.PostForm.Has(f.Name) {
			continue
		}
		before := f.Value
		f.Value = r.PostFormValue(f.Name)
		switch {
		case f.Value == before:
		case f.Value == "":
			changes[f.Name] = nil
		case claims.Check(f.Name, f.Value) != nil:
			wrong = true
			f.Error = wrongText(f.Name)
		default:
			changes[f.Name] = f.Value
		}
	}
	if wrong {
		page.Error = templates.Say("account.profile_wrong")
		return a.renderProfile(w, r, c, http.StatusUnprocessableEntity, page)
	}
	language := r.PostFormValue("language")
	if language != "" && !slices.ContainsFunc(a.Languages, func(l templates.Language) bool { return l.Tag == language }) {
		language = c.User.Locale
	}
	if err := a.storeProfile(r, c, changes, language); err != nil {
		return err
	}
	if language != c.User.Locale { // chosen later than by a link at the foot of a page in this browser, which would go on for a year
		web.ClearCookie(w, r, web.LangCookie)
	}
	return back(w, r, interaction.ReturnProfile, "profile")
}

func wrongText(name string) templates.Text {
	if wrong := fields[name].wrong; wrong != "" {
		return templates.Say("account.wrong_" + wrong)
	}
	return templates.Say("account.wrong_text")
}

func (a *Account) storeProfile(r *http.Request, c *session.Current, changes map[string]any, language string) error {
	if len(changes) == 0 && language == c.User.Locale {
		return nil
	}
	text, err := json.Marshal(changes)
	if err != nil {
		return fmt.Errorf("write claims: %w", err)
	}
	_, err = a.Store.UpdateUser(r.Context(), c.Session.Subject, func(u *storage.User) error {
		u.Locale = language
		return claims.Change{Claims: text}.Apply(u)
	})
	if errors.Is(err, storage.ErrNotFound) {
		return web.NotFound()
	}
	if err != nil {
		return fmt.Errorf("store profile: %w", err)
	}
	a.note(r, c.User, activity.Event{Kind: activity.ProfileChanged})
	return nil
}
