package web

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"

	"gatehouse/templates"
)

// csrfField is the name of the hidden form field.
const csrfField = "csrf"

// checkOrigin refuses requests that another site's page sent. The standard library falls back on the Host header for browsers that send no Sec-Fetch-Site;
// for them the issuer's origin is the only one here.
func (m *Mux) checkOrigin(r *http.Request) error {
	err := m.crossOrigin.Check(r)
	if origin := r.Header.Get("Origin"); err == nil && origin != "" && origin != m.origin && r.Header.Get("Sec-Fetch-Site") == "" && unsafeMethod(r.Method) {
		err = errForeignOrigin
	}
	if err != nil {
		return &Error{Status: http.StatusForbidden, Code: "cross_site", Cause: err, Text: templates.Say("error.cross_site", "Issuer", m.options.Issuer)}
	}
	return nil
}

var errForeignOrigin = errors.New("the Origin header names another site")

func unsafeMethod(method string) bool {
	return method != http.MethodGet && method != http.MethodHead && method != http.MethodOptions
}

// token returns the synchroniser token for a page's forms. It needs no store: it is bound to the flow cookie, so that one browser's is of no use in
// another, and to the session cookie, so that a page of one person does nothing for the next.
func (m *Mux) token(w http.ResponseWriter, r *http.Request) string {
	browser := flow(w, r)
	session, _ := Cookie(r, SessionCookie)
	return base64.RawURLEncoding.EncodeToString(tokenMAC(m.options.CSRFKeys[0], browser, session))
}

func tokenMAC(key []byte, browser, session string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("form\n" + browser + "\n" + session))
	return mac.Sum(nil)
}

// checkToken accepts the token of this browser's session, and the one of the time before it signed in: whoever signs in by a second tab may still send the
// form of the first, which has no authority of its own.
func (m *Mux) checkToken(x *exchange, r *http.Request, sent string) error {
	browser, ok := Cookie(r, FlowCookie)
	if !ok || !WellFormed(browser) {
		return &Error{Status: http.StatusForbidden, Code: "no_cookie", Text: templates.Say("error.no_cookie")}
	}
	raw, err := base64.RawURLEncoding.DecodeString(sent)
	session, _ := Cookie(r, SessionCookie)
	for _, key := range m.options.CSRFKeys {
		if err == nil && (hmac.Equal(raw, tokenMAC(key, browser, session)) || hmac.Equal(raw, tokenMAC(key, browser, ""))) {
			return nil
		}
	}
	return &Error{Status: http.StatusForbidden, Code: "bad_form_token", Text: templates.Say("error.out_of_date")}
}
