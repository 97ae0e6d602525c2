package doctor

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// metadata is the discovery document (OpenID Connect Discovery 1.0 section 3, RFC 8414 section 2).
type metadata map[string]json.RawMessage

func (m metadata) text(name string) string {
	var value string
	if json.Unmarshal(m[name], &value) != nil {
		return ""
	}
	return value
}

func (m metadata) list(name string) []string {
	var value []string
	if json.Unmarshal(m[name], &value) != nil {
		return nil
	}
	return value
}

// addresses are the members that name addresses of the server, sorted.
func (m metadata) addresses() []string {
	var names []string
	for name := range m {
		if strings.HasSuffix(name, "_endpoint") || name == "jwks_uri" || name == "check_session_iframe" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// discovery reads the document. It fails if a client could not begin with it.
func (d *doctor) discovery(a *reply) bool {
	const check = "discovery"
	switch {
	case a.StatusCode >= 300 && a.StatusCode < 400:
		d.fail(check, "make the issuer the address that answers by itself, or take the redirect away",
			"%s%s redirects to %s; clients need the answer itself", d.o.Issuer, wellKnown, a.Header.Get("Location"))
		return false
	case a.StatusCode != http.StatusOK:
		d.fail(check, "let the proxy pass everything below the issuer on to the server with its path unchanged, or correct issuer",
			"%s%s answers status %d", d.o.Issuer, wellKnown, a.StatusCode)
		return false
	case !a.isJSON() || json.Unmarshal(a.body, &d.meta) != nil:
		d.fail(check, "find out what answers there in place of Gatehouse: a portal, a cache, an error page of the proxy?",
			"%s%s answers %q and no JSON object", d.o.Issuer, wellKnown, a.Header.Get("Content-Type"))
		return false
	}
	d.ok(check, "%d members", len(d.meta))
	return d.issuer()
}

// issuer compares as clients do: letter by letter.
func (d *doctor) issuer() bool {
	told := d.meta.text("issuer")
	if told == d.o.Issuer {
		d.ok("issuer", "is %s to the letter", told)
		return true
	}
	fix := fmt.Sprintf("give clients %s, or set issuer (GATEHOUSE_ISSUER) to %s and restart the server", told, d.o.Issuer)
	if d.o.Inside != nil {
		fix = fmt.Sprintf("the configuration says %s: restart the server with it, or find out which server answers at this address", d.o.Issuer)
	}
	d.fail("issuer", fix, "the document says %s, and clients that were told %s refuse it", told, d.o.Issuer)
	return false
}

func (d *doctor) endpoints() {
	var wrong []string
	names := d.meta.addresses()
	for _, name := range names {
		if address := d.meta.text(name); !strings.HasPrefix(address, d.o.Issuer+"/") {
			wrong = append(wrong, name+" "+address)
		}
	}
	for _, name := range []string{"authorization_endpoint", "token_endpoint", "jwks_uri"} {
		if !slices.Contains(names, name) {
			wrong = append(wrong, name+" is missing")
		}
	}
	if len(wrong) > 0 {
		d.fail("endpoints", "nothing before the server may rewrite its answers; turn that off in the proxy", "not below the issuer: %s", strings.Join(wrong, ", "))
		return
	}
	d.ok("endpoints", "all %d are below the issuer", len(names))
}

// offers looks for what every client library counts on.
func (d *doctor) offers() {
	var missing []string
	for name, value := range map[string]string{
		"code_challenge_methods_supported": "S256", "response_types_supported": "code", "id_token_signing_alg_values_supported": "RS256", "scopes_supported": "openid",
	} {
		if !slices.Contains(d.meta.list(name), value) {
			missing = append(missing, value+" in "+name)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		d.fail("offers", "put RS256 into keys.algorithms; for the others, find out which server answers at this address", "missing: %s", strings.Join(missing, ", "))
		return
	}
	d.ok("offers", "code flow, PKCE with S256, RS256")
}

// oauthMetadata looks at the address that OAuth clients without OpenID Connect ask (RFC 8414 section 3: the well-known part goes before the issuer's path).
func (d *doctor) oauthMetadata(ctx context.Context) {
	u, err := url.Parse(d.o.Issuer)
	if err != nil {
		return // reach has parsed it
	}
	address := u.Scheme + "://" + u.Host + "/.well-known/oauth-authorization-server" + u.EscapedPath()
	a, err := d.send(ctx, address, nil, nil)
	var m metadata
	if err == nil && (a.StatusCode != http.StatusOK || json.Unmarshal(a.body, &m) != nil) {
		err = fmt.Errorf("status %d, no document", a.StatusCode)
	}
	if err != nil {
		d.warn("oauth metadata", "let the proxy pass this path on to the server too", "%s: %v; OAuth clients (RFC 8414) find nothing", address, err)
		return
	}
	if told := m.text("issuer"); told != d.o.Issuer {
		d.warn("oauth metadata", "let the proxy pass this path on to the same server", "%s is another issuer's: %s", address, told)
		return
	}
	d.ok("oauth metadata", "the same issuer for OAuth clients (RFC 8414)")
}

// browserApps asks as a script of another origin does (Fetch standard, section 3.2).
func (d *doctor) browserApps(ctx context.Context) {
	a, err := d.send(ctx, d.meta.text("jwks_uri"), nil, http.Header{"Origin": {"https://app.example"}})
	if err != nil {
		return // keys will tell
	}
	allowed := a.Header.Values("Access-Control-Allow-Origin")
	if len(allowed) != 1 || allowed[0] != "*" && allowed[0] != "https://app.example" {
		d.warn("browser apps", "take Access-Control headers of its own out of the proxy; the server sends the right ones",
			"the keys come with %d Access-Control-Allow-Origin headers %q; apps in a browser cannot read them", len(allowed), strings.Join(allowed, " "))
		return
	}
	d.ok("browser apps", "scripts of other origins may read the keys")
}
