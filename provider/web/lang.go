package web

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/templates"
)

// LangCookie keeps the language that a person chose with the links at the foot of a page. It gives no authority.
const LangCookie = "gth_lang"

// langLife is how long the choice is kept.
const langLife = 365 * 24 * time.Hour

// langField is the parameter of the links. It is not ui_locales, which an app sets for its own request and which must not outlive it.
const langField = "lang"

// wishes are the languages that features know of.
type wishes struct{ asked, user string }

// SetLang says which languages the request is in by the word of an app: the ui_locales of its authorization or logout request, separated by spaces (OpenID
// Connect Core 1.0, 3.1.2.1). Languages that the catalogue lacks are passed over.
func SetLang(r *http.Request, locales string) {
	x := from(r)
	x.wishes.asked = x.mux.options.Templates.Match(strings.Join(strings.Fields(locales), ","))
}

// SetUserLang says which language the signed-in person's account is in.
func SetUserLang(r *http.Request, locale string) {
	x := from(r)
	x.wishes.user = x.mux.options.Templates.Match(locale)
}

// Lang is the language that the answer speaks: what the person chose here, else what the app asked for, else that of the person's account, else what the browser
// prefers, else the configured one. The person's own choice comes first, or the links could not change a page that an app asked for in its language.
func Lang(r *http.Request) string { return from(r).lang(r) }

// Say puts a text into words of the answer's language.
func Say(r *http.Request, t templates.Text) (string, error) {
	x := from(r)
	return x.mux.options.Templates.Say(x.lang(r), t)
}

func (x *exchange) lang(r *http.Request) string {
	set := x.mux.options.Templates
	if chosen, ok := Cookie(r, LangCookie); ok && slices.Contains(set.Languages(), chosen) {
		return chosen
	}
	for _, tag := range []string{x.wishes.asked, x.wishes.user} {
		if tag != "" {
			return tag
		}
	}
	if lines := r.Header["Accept-Language"]; len(lines) > 0 {
		if tag := set.Match(lines[0]); tag != "" {
			return tag
		}
	}
	return x.mux.options.Language
}

// switches are the links to this page in the other languages. A page that answers a form leads to the form's own page, by the interaction alone; the page of a link in a mail is none without the link's
// token. A page that was asked for by anything else than what
// is known to be harmless has none: what a browser sent does not come back to it in a link.
func (x *exchange) switches(r *http.Request, current string) []templates.Switch {
	if !x.route.kind.protected() || x.route.handlers[http.MethodGet] == nil {
		return nil
	}
	query := r.URL.Query()
	if r.Method != http.MethodGet {
		if r.PostForm.Has("token") || r.PostForm.Get("invite") != "" {
			return nil
		}
		query = url.Values{}
		if id := r.PostFormValue("interaction"); id != "" {
			query.Set("interaction", id)
		}
	}
	for name, values := range query {
		if !(name == "interaction" && len(values) == 1 && WellFormed(values[0])) {
			return nil
		}
	}
	var list []templates.Switch
	for _, tag := range x.mux.options.Templates.Languages() {
		if tag != current {
			query.Set(langField, tag)
			list = append(list, templates.Switch{Lang: tag, URL: r.URL.EscapedPath() + "?" + query.Encode()})
		}
	}
	return list
}

// choose follows a link of switches: it keeps the language and shows the page under its own address again. That another site can link here changes nothing
// but the words, so it needs no token.
func (x *exchange) choose(r *http.Request) (done bool, err error) {
	if !x.route.kind.protected() || r.Method != http.MethodGet || !strings.Contains(r.URL.RawQuery, langField+"=") {
		return false, nil
	}
	query := r.URL.Query()
	tag := query.Get(langField)
	if !slices.Contains(x.mux.options.Templates.Languages(), tag) {
		return false, nil
	}
	SetCookie(x, r, LangCookie, tag, langLife, true)
	query.Del(langField)
	target := r.URL.EscapedPath()
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	return true, Redirect(x, r, target)
}
