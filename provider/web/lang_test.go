package web

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/templates"
)

// The answer to a form leads in other languages to the form's own page: by the interaction, or to nothing but the path. The page of a link in a mail has neither: without its token, which does not come
// back in a link, it would say that the link does not work to somebody for whom it has just worked.
func TestAnswersLeadOnlyToAPageThatIsThereInAnotherLanguage(t *testing.T) {
	k := newKernel(t, nil)
	k.Page("/act", showForm, showForm)
	flow, csrf := visit(t, k, "__Host-gth_sid=s1")
	id := RandomValue()
	for body, want := range map[string]string{
		"":                             `href="/act?lang=de"`,
		form("interaction", id):        `href="/act?interaction=` + id + `&amp;lang=de"`,
		form("token", "gth_lk_x"):      "",
		form("invite", "gth_lk_x"):     "",
		form("invite", ""):             `href="/act?lang=de"`,
		form("token", ""):              "",
		form("password", "x", "a", ""): `href="/act?lang=de"`,
	} {
		page := text(t, k.send("POST", "/act", strings.Trim(form("csrf", csrf)+"&"+body, "&"), "Cookie: "+flow+"; __Host-gth_sid=s1", "Accept-Language: en"))
		if !strings.Contains(page, "<html") || strings.Contains(page, "hreflang") != (want != "") || !strings.Contains(page, want) {
			t.Errorf("the answer to %q leads not to %q: %s", body, want, page)
		}
	}
	if page := text(t, k.send(http.MethodGet, "/act?token=gth_lk_x")); strings.Contains(page, "hreflang") {
		t.Error("a token comes back in a link")
	}
}

// What is shown only now is not there any more in another language: no link leads away from it in passing.
func TestPagesThatAreShownOnceHaveNoOtherLanguages(t *testing.T) {
	k := newKernel(t, nil)
	var page templates.Page
	answer := func(w http.ResponseWriter, r *http.Request) error { return Render(w, r, http.StatusOK, page) }
	k.Page("/act", answer, answer)
	page = templates.Account{}
	flow, csrf := visit(t, k, "__Host-gth_sid=s1")
	codes := []string{"aaaa-bbbb-cccc-dddd"}
	for name, test := range map[string]struct {
		page  templates.Page
		links bool
	}{
		"codes of an enrolment":          {templates.RecoveryCodes{Account: "Ada", Codes: codes, Continue: "/account"}, false},
		"codes on the account page":      {templates.AccountCodes{Codes: codes}, false},
		"the question for new ones":      {templates.AccountCodes{Left: 2}, true},
		"a QR code on the way to an app": {templates.Enrol{Account: "Ada", TOTP: &templates.TOTPForm{Secret: "AAAA", QRSize: 1, QRPath: "M0 0"}}, false},
		"an enrolment without a QR code": {templates.Enrol{Account: "Ada"}, true},
		"a QR code on the account page":  {templates.AccountAuthenticator{Secret: "AAAA", QRSize: 1, QRPath: "M0 0"}, false},
		"a page that comes once again":   {templates.Account{}, true},
	} {
		page = test.page
		body := text(t, k.send("POST", "/act", form("csrf", csrf), "Cookie: "+flow+"; __Host-gth_sid=s1"))
		if !strings.Contains(body, "<html") || strings.Contains(body, "hreflang") != test.links {
			t.Errorf("%s: %s", name, body)
		}
	}
}
