package federation_test

import (
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/net/html"

	"gatehouse/provider/web/webtest"
)

// visitor is a browser that goes from site to site. It follows redirects up to the relying party, whose address nobody serves.
type visitor struct {
	*testing.T
	client *http.Client
	// lastIDToken is the raw ID token that the relying party got last.
	lastIDToken string
}

func newVisitor(t *testing.T) *visitor {
	jar, _ := cookiejar.New(nil)
	return &visitor{T: t, client: &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}}
}

// view is one answer with its body.
type view struct {
	*http.Response
	Body string
}

func (v *visitor) do(r *http.Request) view {
	v.Helper()
	answer, err := v.client.Do(r)
	if err != nil {
		v.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		v.Fatal(err)
	}
	if answer.Header.Get("X-Request-Id") != "" { // no provider's double has one
		for _, fault := range webtest.HeadFaults(answer) {
			v.Error(fault)
		}
	}
	return view{answer, string(body)}
}

// get loads an address and follows redirects until a page, or the relying party.
func (v *visitor) get(address string) view {
	v.Helper()
	r, err := http.NewRequestWithContext(v.Context(), "GET", address, nil)
	if err != nil {
		v.Fatal(err)
	}
	return v.follow(v.do(r))
}

// one loads an address and follows nothing.
func (v *visitor) one(address string) view {
	v.Helper()
	r, err := http.NewRequestWithContext(v.Context(), "GET", address, nil)
	if err != nil {
		v.Fatal(err)
	}
	return v.do(r)
}

func (v *visitor) follow(p view) view {
	v.Helper()
	for range 20 {
		location := p.Header.Get("Location")
		if location == "" {
			return p
		}
		next, err := p.Request.URL.Parse(location)
		if err != nil {
			v.Fatal(err)
		}
		if next.Host == "rp.example" {
			return p
		}
		p = v.one(next.String())
	}
	v.Fatal("the redirects do not end")
	return p
}

// post sends a form as a page of its own origin does.
func (v *visitor) post(address string, fields url.Values) view {
	v.Helper()
	return v.follow(v.postOnce(address, fields))
}

func (v *visitor) postOnce(address string, fields url.Values) view {
	v.Helper()
	r, err := http.NewRequestWithContext(v.Context(), "POST", address, strings.NewReader(fields.Encode()))
	if err != nil {
		v.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Origin", r.URL.Scheme+"://"+r.URL.Host)
	return v.do(r)
}

// submit sends the form of a page that an attribute finds: id=login, or action=/x, with its hidden fields.
func (v *visitor) submit(p view, attribute, value string, fields url.Values) view {
	v.Helper()
	action, hidden := v.form(p, attribute, value)
	maps.Copy(hidden, fields)
	target, err := p.Request.URL.Parse(action)
	if err != nil {
		v.Fatal(err)
	}
	return v.post(target.String(), hidden)
}

func (v *visitor) form(p view, attribute, value string) (string, url.Values) {
	v.Helper()
	root, err := html.ParseWithOptions(strings.NewReader(p.Body), html.ParseOptionEnableScripting(false))
	if err != nil {
		v.Fatal(err)
	}
	for n := range root.Descendants() {
		if n.Type != html.ElementNode || n.Data != "form" || attr(n, attribute) != value {
			continue
		}
		fields := url.Values{}
		for in := range n.Descendants() {
			if in.Type == html.ElementNode && in.Data == "input" && attr(in, "type") == "hidden" {
				fields.Set(attr(in, "name"), attr(in, "value"))
			}
		}
		return attr(n, "action"), fields
	}
	v.Fatalf("no form with %s=%q at %s: %d %s", attribute, value, p.Request.URL.Path, p.StatusCode, p.Body)
	return "", nil
}

func attr(n *html.Node, name string) string {
	if i := slices.IndexFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name }); i >= 0 {
		return n.Attr[i].Val
	}
	return ""
}

// choose opens an authorization request and picks a provider on the sign-in page.
func (v *visitor) choose(g *gatehouse, id string, values url.Values) view {
	v.Helper()
	g.Clock.Advance(time.Millisecond)
	p := v.get(g.authorize(values))
	if strings.Contains(p.Body, `id="accounts"`) {
		p = v.submit(p, "id", "accounts", url.Values{"account": {""}})
	}
	return v.submit(p, "action", "/upstream/"+id+"/start", nil)
}

// arrived redeems the code that the relying party got and returns what userinfo and the ID token say.
func (v *visitor) arrived(g *gatehouse, p view) (info, idToken map[string]any) {
	v.Helper()
	location, err := p.Location()
	if err != nil || location.Host != "rp.example" {
		v.Fatalf("not at the relying party: %d %s %s", p.StatusCode, p.Request.URL, p.Body)
	}
	if location.Query().Get("code") == "" {
		v.Fatalf("no code: %s", location.Query())
	}
	tokens := g.call("/oauth2/token", url.Values{"grant_type": {"authorization_code"}, "code": {location.Query().Get("code")}, "redirect_uri": {appCallback}, "code_verifier": {verifier}})
	access, _ := tokens["access_token"].(string)
	raw, _ := tokens["id_token"].(string)
	v.lastIDToken = raw
	r, _ := http.NewRequestWithContext(v.Context(), "GET", g.URL+"/oauth2/userinfo", nil)
	r.Header.Set("Authorization", "Bearer "+access)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		v.Fatal(err)
	}
	defer answer.Body.Close()
	if err := json.NewDecoder(answer.Body).Decode(&info); err != nil || answer.StatusCode != 200 {
		v.Fatalf("userinfo: %d %v", answer.StatusCode, err)
	}
	return info, payload(v.T, raw)
}
