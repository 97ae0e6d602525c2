package templates

import (
	"errors"
	"fmt"
	"html/template"
	"io"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"
)

// vectors are values that break out of some context if it is not escaped for.
var vectors = []string{
	`"><script>alert(1)</script>`,
	`"><svg onload=alert(1)>`,
	`' onmouseover='alert(1)`,
	`</title></textarea></script><img src=x onerror=alert(1)>`,
	`javascript:alert(1)`,
	"java\tscript:alert(1)",
	` JaVaScRiPt:alert(1)//https://a.example`,
	`data:text/html,<script>alert(1)</script>`,
	`vbscript:msgbox(1)`,
	`//evil.example/x`,
	`/\evil.example/x`,
	"/\t/evil.example/x",
	`https://user:password@evil.example/`,
	`{{.CSRF}}`,
	"\x00\xff\u202e\u2028<b>",
	`--><script>alert(1)</script><!--`,
}

// fill sets every string inside v to value; slices get one element.
func fill(v reflect.Value, value string) {
	switch v.Kind() {
	case reflect.String:
		if v.Type() != reflect.TypeFor[template.URL]() {
			v.SetString(value)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[Text]() {
			v.Set(reflect.ValueOf(Plain(value)))
			return
		}
		if v.Type() == reflect.TypeFor[time.Time]() {
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i), value)
		}
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), value)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), value)
	case reflect.Bool:
		v.SetBool(true)
	}
}

// hostilePages returns every page with value in every string.
func hostilePages(value string) []Page {
	var login Login
	var consent Consent
	var failure Error
	var redirect RedirectMismatch
	var home Account
	var profile AccountProfile
	var passkey AccountPasskey
	var security AccountSecurity
	var password AccountPassword
	var authenticator AccountAuthenticator
	var codes AccountCodes
	var sessions AccountSessions
	var activity AccountActivity
	var apps AccountApps
	var data AccountData
	var post FormPost
	var done Done
	var between Interstitial
	var confirm LogoutConfirm
	var again LogoutReturn
	var out SignedOut
	var leaving SigningOut
	var problem UpstreamProblem
	var link LinkAccount
	var create SignUp
	var confirmed SignUpConfirm
	var terms Terms
	var ask AskLink
	var reset Reset
	var press Press
	var told Told
	var accounts Accounts
	var factor Factor
	var enrol Enrol
	var fresh RecoveryCodes
	for _, p := range []any{&login, &consent, &failure, &redirect, &home, &post, &done, &between, &confirm, &again, &out, &leaving, &problem, &link, &accounts, &factor, &enrol, &fresh, &create, &confirmed, &ask, &reset, &press, &told,
		&terms, &profile, &passkey, &security, &password, &authenticator, &codes, &sessions, &activity, &apps, &data} {
		fill(reflect.ValueOf(p).Elem(), value)
	}
	target := template.URL("https://rp.example/cb?x=" + value)
	if _, err := url.Parse(string(target)); err != nil {
		target = template.URL("https://rp.example/cb?x=" + url.QueryEscape(value))
	}
	post.Action, between.URL, out.Next, leaving.Next, out.Frames[0].URL, leaving.Frames[0].URL = target, target, target, target, target, target
	return []Page{login, consent, failure, redirect, home, post, SignedOut{}, done, between, confirm, again, out, leaving, problem, link, accounts, factor, enrol, fresh, create, confirmed, ask, reset, press, told, usable(login),
		terms, profile, passkey, security, usable(security), password, authenticator, codes, sessions, activity, apps, data}
}

// usable is a hostile page whose providers are not down: those that are have no form.
func usable(p Page) Page {
	switch p := p.(type) {
	case Login:
		p.Upstreams = []UpstreamButton{p.Upstreams[0]}
		p.Upstreams[0].Down = false
		return p
	case AccountSecurity:
		p.Linkable = []UpstreamButton{p.Linkable[0]}
		p.Linkable[0].Down = false
		return p
	}
	return p
}

func TestRow13Row191HostileValuesStayText(t *testing.T) {
	for i, value := range vectors {
		for _, p := range hostilePages(value) {
			t.Run(fmt.Sprintf("%d/%s", i, p.Template()), func(t *testing.T) {
				layout := Layout{CSRF: value, Nonce: "n-1"}
				fill(reflect.ValueOf(&layout.Brand).Elem(), value)
				raw, tree := render(t, layout, p)
				for _, fault := range faults(tree) {
					t.Error(fault)
				}
				if strings.Contains(raw, "ZgotmplZ") {
					t.Error("a value was replaced by ZgotmplZ")
				}
			})
		}
	}
}

// ownScripts are all scripts of the pages; they hold no data.
var ownScripts = []string{
	`HTMLFormElement.prototype.submit.call(document.getElementById("form-post"));`,
	`HTMLFormElement.prototype.submit.call(document.getElementById("logout-return"));`,
	`(function () { var left = false; function go() { if (!left) { left = true; location.replace(document.getElementById("continue").href); } } window.onload = go; setTimeout(go, 3000); }());`,
}

// faults lists what must not be on any page, whatever it is filled with.
func faults(tree *html.Node) []string {
	var list []string
	complain := func(format string, args ...any) { list = append(list, fmt.Sprintf(format, args...)) }
	for _, n := range elements(tree, func(*html.Node) bool { return true }) {
		switch n.Data {
		case "script":
			own := slices.Contains(ownScripts, text(n)) && attr(n, "src") == "" || text(n) == "" && (strings.HasPrefix(attr(n, "src"), "/static/passkey.") || strings.HasPrefix(attr(n, "src"), "/static/times."))
			if attr(n, "nonce") != "n-1" || !own {
				complain("foreign script: %s", text(n))
			}
		case "object", "embed", "base", "style":
			complain("element %s", n.Data)
		case "iframe":
			if attr(n, "sandbox") == "" || strings.Contains(attr(n, "sandbox"), "top-navigation") || !strings.HasPrefix(attr(n, "src"), "https://rp.example/cb?x=") {
				complain("frame %v", n.Attr)
			}
			continue
		case "meta":
			if attr(n, "http-equiv") != "" && (attr(n, "http-equiv") != "refresh" || !strings.HasPrefix(attr(n, "content"), "4;url=https://rp.example/cb?x=")) {
				complain("meta %v", n.Attr)
			}
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "srcdoc" || a.Key == "formaction" {
				complain("attribute %s on %s", a.Key, n.Data)
			}
			if a.Key == "href" || a.Key == "action" {
				if !strings.HasPrefix(a.Val, "https://") && !local(a.Val) {
					complain("%s of %s leads to %q", a.Key, n.Data, a.Val)
				}
				if u, err := url.Parse(a.Val); err != nil || u.Hostname() == "evil.example" || u.User != nil {
					complain("%s of %s leads to %q", a.Key, n.Data, a.Val)
				}
			}
			if a.Key == "src" && !local(a.Val) {
				complain("%s loads %q", n.Data, a.Val)
			}
		}
	}
	return list
}

// local reports whether a browser would take a URL as a path on this server.
func local(raw string) bool {
	cleaned := strings.ReplaceAll(strings.NewReplacer("\t", "", "\n", "", "\r", "").Replace(strings.TrimSpace(raw)), `\`, "/")
	return strings.HasPrefix(cleaned, "/") && !strings.HasPrefix(cleaned, "//")
}

func TestRow18PagesLoadNothingFromElsewhere(t *testing.T) {
	client := notes()
	client.LogoURL = "https://notes.example/logo.png"
	for _, p := range []Page{Login{Client: &client}, Consent{Client: client}, AccountApps{Connected: []ConnectedApp{{Name: "x", LogoURL: client.LogoURL}}}} {
		_, tree := render(t, plainLayout(), p)
		for _, n := range elements(tree, func(n *html.Node) bool { return attr(n, "src") != "" || n.Data == "link" }) {
			if !local(attr(n, "src") + attr(n, "href")) {
				t.Errorf("%s: %s loads %s%s", p.Template(), n.Data, attr(n, "src"), attr(n, "href"))
			}
		}
	}
}

func TestRow12FormPostTargets(t *testing.T) {
	for target, allowed := range map[template.URL]bool{
		"https://rp.example/cb":                                 true,
		"https://rp.example:8443/cb?a=b&c=%22d%22&redirect=x:y": true,
		"http://localhost:3000/cb":                              true,
		"http://127.0.0.1/cb":                                   true,
		"http://[::1]:9/cb":                                     true,
		"http://rp.example/cb":                                  false,
		"http://localhost.evil.example/cb":                      false,
		"com.example.app:/cb":                                   false,
		"com.example.app://cb":                                  false,
		"javascript:alert(1)":                                   false,
		"data:text/html,x":                                      false,
		"https:rp.example":                                      false,
		"/oauth2/authorize":                                     false,
		"":                                                      false,
	} {
		t.Run(string(target), func(t *testing.T) {
			var sink counter
			page := FormPost{Action: target, Params: []Pair{{"code", "c"}, {"state", `"><svg onload=alert(1)>`}}}
			err := load(t).Render(&sink, plainLayout(), page)
			if !allowed {
				if !errors.Is(err, errTarget) || sink > 0 {
					t.Fatalf("error %v, %d bytes written", err, sink)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			raw, tree := render(t, plainLayout(), page)
			form := byID(tree, "form-post")
			if attr(form, "action") != string(target) || strings.Contains(raw, "ZgotmplZ") {
				t.Errorf("posts to %q", attr(form, "action"))
			}
			if got := fields(form); !sameMap(got, map[string]string{"code": "c", "state": `"><svg onload=alert(1)>`}) {
				t.Errorf("sends %v", got)
			}
		})
	}
}

// counter counts the bytes written to it.
type counter int

func (c *counter) Write(p []byte) (int, error) { *c += counter(len(p)); return len(p), nil }

func TestA11FormPostWorksWithAndWithoutScript(t *testing.T) {
	layout := plainLayout()
	page := FormPost{Action: "https://rp.example/cb"}
	_, tree := render(t, layout, page)
	scripts := named(tree, "script")
	if len(scripts) != 1 || attr(scripts[0], "nonce") != layout.Nonce {
		t.Errorf("%d scripts, nonce missing or wrong", len(scripts))
	}
	if button := byID(tree, "continue"); attr(button, "type") != "submit" {
		t.Error("there is no visible button")
	}
	if csrf := fields(byID(tree, "form-post"))["csrf"]; csrf != "" {
		t.Error("our CSRF token is posted to the client")
	}
}

func TestRow188SignOutLeadsToNoSchemeThatRunsCode(t *testing.T) {
	set := load(t)
	for _, target := range []template.URL{"javascript:alert(1)", "JAVASCRIPT:alert(1)", "data:text/html,x", "vbscript:x", "blob:https://a/b", "/local", "java\nscript:alert(1)"} {
		pages := []Page{SignedOut{Next: target}, SigningOut{Next: target}, SignedOut{Frames: []Frame{{"x", target}}}, SigningOut{Next: "https://a.example/", Frames: []Frame{{"x", target}}}}
		for _, p := range pages {
			if err := set.Render(io.Discard, plainLayout(), p); !errors.Is(err, errTarget) {
				t.Errorf("%+v: %v", p, err)
			}
		}
	}
	if err := set.Render(io.Discard, plainLayout(), SigningOut{}); !errors.Is(err, errTarget) {
		t.Errorf("a page that goes nowhere: %v", err)
	}
	_, tree := render(t, plainLayout(), SigningOut{Next: `com.example.app:/out?x=(1)'2'&state=a"b`})
	want := `com.example.app:/out?x=(1)'2'&state=a"b`
	meta := elements(tree, func(n *html.Node) bool { return attr(n, "http-equiv") == "refresh" })
	if len(meta) != 1 || attr(meta[0], "content") != "4;url="+want || attr(byID(tree, "continue"), "href") != want {
		t.Errorf("a registered application scheme leads to %q", attr(byID(tree, "continue"), "href"))
	}
}

func TestInterstitialRefusesSchemesThatRunCode(t *testing.T) {
	set := load(t)
	for _, target := range []template.URL{"javascript:alert(1)", "JAVASCRIPT:alert(1)", "data:text/html,x", "vbscript:x", "blob:https://a/b", "", "/local", "java\nscript:alert(1)"} {
		if err := set.Render(io.Discard, plainLayout(), Interstitial{Host: "x", URL: target}); !errors.Is(err, errTarget) {
			t.Errorf("%q: %v", target, err)
		}
	}
	_, tree := render(t, plainLayout(), Interstitial{Host: "the app", URL: "com.example.app:/cb?error=x"})
	if got := attr(byID(tree, "continue"), "href"); got != "com.example.app:/cb?error=x" {
		t.Errorf("a registered application scheme leads to %q", got)
	}
}

func TestLinksAreDroppedUnlessHarmless(t *testing.T) {
	for _, c := range []struct {
		name  string
		check func(string) string
		keep  []string
		drop  []string
	}{
		{"link", webLink, []string{"https://a.example/x", "http://a.example", "/terms"}, append([]string{"mailto:a@b.example", "ftp://a.example", "a.example", "https://", "https:/a.example", "https:\\\\a.example", "//a.example"}, vectors...)},
		{"image", localPath, []string{"/client-logo/1", "/x/client-logo/a%20b"}, append([]string{"https://a.example/x.png", "//a.example", "x.png", ""}, vectors...)},
		{"logo", brandLogo, []string{"/brand.png", "https://a.example/x.png"}, append([]string{"http://a.example/x.png", "mailto:a@b.example"}, vectors...)},
		{"help", helpLink, []string{"mailto:help@a.example", "https://a.example/help", "/help"}, append([]string{"mailto:", "tel:1"}, vectors...)},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, raw := range c.keep {
				if got := c.check(raw); got != raw {
					t.Errorf("%q became %q", raw, got)
				}
			}
			for _, raw := range c.drop {
				if got := c.check(raw); got != "" {
					t.Errorf("%q was kept", raw)
				}
			}
		})
	}
}
