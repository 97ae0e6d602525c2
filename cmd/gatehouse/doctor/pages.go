package doctor

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/provider/rp"
)

// The cookies of the server by their names on an http issuer without a path; on https they begin with __Host-, and with a path something follows that is the issuer's own.
const (
	flowCookie    = "gth_flow"
	sessionCookie = "gth_sid"
)

// hstsLeast is what browsers' preload lists ask for at least, half a year.
const hstsLeast = 180 * 24 * time.Hour

// transportSecurity looks for HSTS (RFC 6797), and at what plain http answers.
func (d *doctor) transportSecurity(ctx context.Context, a *reply) {
	if !d.https() {
		return
	}
	age, ok := directive(a.Header, "Strict-Transport-Security", "max-age")
	switch {
	case !ok:
		d.warn("hsts", "let the proxy pass Strict-Transport-Security on, or send it there: max-age=63072000", "answers lack Strict-Transport-Security; a first visit by http can be intercepted")
	case age < hstsLeast:
		d.warn("hsts", "send max-age=63072000, as the server does, and not another value from the proxy", "browsers remember https for %s only", age)
	default:
		d.ok("hsts", "browsers remember https for %d days", int(age.Hours())/24)
	}
	u, err := url.Parse(d.o.Issuer)
	if err != nil || u.Port() != "" && u.Port() != "443" {
		return // what listens on port 80 is another one's business
	}
	plain, err := d.send(ctx, "http://"+u.Hostname()+u.EscapedPath()+wellKnown, nil, nil)
	if err == nil && plain.StatusCode == http.StatusOK {
		d.warn("plain http", "redirect http to https in the proxy, or close port 80", "the server answers by http too")
	}
}

// tokenErrors asks the token endpoint for nothing: even the refusal shows whether answers can be stored on the way.
func (d *doctor) tokenErrors(ctx context.Context) {
	const check = "token endpoint"
	a, err := d.send(ctx, d.meta.text("token_endpoint"), url.Values{"grant_type": {"authorization_code"}}, nil)
	switch {
	case err != nil:
		d.fail(check, "let the proxy pass POST requests on to the server", "a request fails: %v", err)
	case !a.isJSON() || a.StatusCode != http.StatusBadRequest && a.StatusCode != http.StatusUnauthorized:
		d.fail(check, "something before the server answers in its place (a firewall, an error page of the proxy); let its answers pass unchanged",
			"a request without a client is answered %d %s in place of an OAuth error", a.StatusCode, a.Header.Get("Content-Type"))
	case !noStore(a.Header):
		d.fail(check, noStoreFix, "answers lack Cache-Control: no-store, so tokens may be kept on the way")
	default:
		d.ok(check, "refuses as it should; answers are not stored")
	}
}

const noStoreFix = "let the proxy or CDN pass the server's Cache-Control on, and cache nothing below /oauth2"

// loginPage looks at the page where passwords are typed. The account page sends a browser without a session there.
func (d *doctor) loginPage(ctx context.Context) {
	const check = "sign-in page"
	browser := rp.NewBrowser(rp.BrowserOptions{Transport: d.wire})
	var cookies []string
	a, err := browser.Open(ctx, d.o.Issuer+"/account", nil)
	for range maxRedirects {
		if err != nil {
			break
		}
		cookies = append(cookies, a.Header.Values("Set-Cookie")...)
		target, form, wrong := rp.User{}.Next(a)
		if wrong != nil || form != nil {
			err = wrong
			break
		}
		a, err = browser.Open(ctx, target, nil)
	}
	switch {
	case err != nil:
		d.fail(check, "let the proxy pass /account and /login on to the server, with redirects unchanged", "cannot be reached: %v", err)
	case a.Header.Get("X-Frame-Options") == "" && !strings.Contains(a.Header.Get("Content-Security-Policy"), "frame-ancestors"):
		d.fail(check, "let the proxy pass Content-Security-Policy and X-Frame-Options on", "other sites may frame it and trick people into clicking")
	case !noStore(a.Header):
		d.fail(check, "let the proxy or CDN pass the server's Cache-Control on", "lacks Cache-Control: no-store, so one person's form may be shown to another")
	default:
		d.ok(check, "is there, cannot be framed and is not stored")
	}
	if err == nil || len(cookies) > 0 { // a wrong cookie can be why there is no page
		d.cookie("flow cookie", flowCookie, cookies, http.SameSiteLaxMode)
	}
}

const maxRedirects = 5

// cookie checks the attributes of one of the server's cookies (RFC 6265bis section 4.1).
func (d *doctor) cookie(check, name string, lines []string, sameSite http.SameSite) {
	if d.https() {
		name = "__Host-" + name
	} else {
		sameSite = http.SameSiteLaxMode
	}
	var found *http.Cookie
	for _, line := range lines {
		if c, err := http.ParseSetCookie(line); err == nil && (c.Name == name || strings.HasPrefix(c.Name, name+"_")) && c.Value != "" {
			found = c
		}
	}
	if found == nil {
		d.fail(check, "let the proxy pass Set-Cookie on with its name unchanged", "the server set no cookie %s; got: %s", name, orNone(cookieNames(lines)))
		return
	}
	var faults []string
	fault := func(is bool, text string) {
		if is {
			faults = append(faults, text)
		}
	}
	fault(d.https() && !found.Secure, "is not Secure")
	fault(!found.HttpOnly, "is not HttpOnly")
	fault(found.SameSite != sameSite, fmt.Sprintf("has not SameSite=%s", sameSiteName(sameSite)))
	fault(found.Path != "/" || found.Domain != "", "is not for this host as a whole (Path=/, no Domain)")
	if len(faults) > 0 {
		d.fail(check, "the server sets it right: turn off what rewrites cookies in the proxy", "%s %s", name, strings.Join(faults, ", "))
		return
	}
	attributes := "HttpOnly, SameSite=" + sameSiteName(sameSite)
	if d.https() {
		attributes = "Secure, " + attributes
	}
	d.ok(check, "%s: %s", found.Name, attributes)
}

func cookieNames(lines []string) []string {
	var names []string
	for _, line := range lines {
		name, _, _ := strings.Cut(line, "=")
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

func sameSiteName(s http.SameSite) string {
	switch s {
	case http.SameSiteNoneMode:
		return "None"
	case http.SameSiteStrictMode:
		return "Strict"
	}
	return "Lax"
}
