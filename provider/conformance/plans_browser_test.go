package conformance

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// The plans of third-party-initiated login and of the three kinds of logout.

func TestPlanThirdPartyInitiatedLogin(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, uri := range []string{"/initiate", "/begin?rp_x=1"} {
			c, b := s.registered(metadata{"initiate_login_uri": "{rp}" + uri}), s.browser()
			b.authorize(c.client, plain).code()
			account := b.visit(s.URL + "/account/apps")
			link := account.element(func(n *html.Node) bool { return strings.HasPrefix(attr(n, "href"), s.folder()+uri) })
			if link == nil {
				s.Fatalf("the account page does not lead to the app: %d %s", account.Status, account.Body)
			}
			p := b.follow(account, attr(link, "href"))
			if s.ours(p) {
				s.Fatalf("the browser is at %s", p.URL)
			}
			query := p.URL.Query()
			if query.Get("iss") != s.URL || strings.Contains(uri, "rp_x") && query.Get("rp_x") != "1" {
				s.Errorf("the app was told %v", query)
			}
			for name := range query {
				if !slices.Contains([]string{"iss", "login_hint", "target_link_uri", "rp_x"}, name) {
					s.Errorf("the app was told %s (OpenID Connect Core section 4)", name)
				}
			}
			// The app answers by a request of its own.
			b.Steps = nil
			r := b.arrive(c.client, b.walk(b.follow(p, c.url(plain))))
			if c.swap(r.code()).wantTokens(); len(b.Steps) > 0 {
				s.Errorf("steps %v", b.Steps)
			}
		}
		s.register(metadata{"initiate_login_uri": "http://rp.example/initiate"}).wantError(http.StatusBadRequest, "invalid_client_metadata")
		s.register(metadata{"initiate_login_uri": strings.Replace(s.folder(), "https:", "http:", 1) + "/initiate"}).wantError(http.StatusBadRequest, "invalid_client_metadata")
	})
}

func TestPlanLogoutOfRegisteredClients(t *testing.T) {
	everywhere(t, func(s *suite) {
		for _, flow := range []string{"code", "id_token", "code id_token token"} {
			folder := "/" + s.person.Subject
			c := s.variant(flow, "private_key_jwt", metadata{
				"post_logout_redirect_uris": []string{"{rp}/bye"}, "backchannel_logout_uri": "{rp}/backchannel", "backchannel_logout_session_required": true,
				"frontchannel_logout_uri": "{rp}/frontchannel", "frontchannel_logout_session_required": true,
			})
			b := s.browser()
			r := b.authorize(c.client, plain.with(values{"response_type": flow}))
			hint := r.Params.Get("id_token")
			if hint == "" {
				hint = c.swap(r.code()).wantTokens().Str("id_token")
			}
			sid := c.idToken(hint).Str("sid")
			back, front := len(s.rp.at(folder+"/backchannel")), len(s.rp.at(folder+"/frontchannel"))
			p := b.leave(c.client, values{"id_token_hint": hint, "post_logout_redirect_uri": s.folder() + "/bye", "state": "s"})
			if p.URL.String() != s.folder()+"/bye?state=s" {
				s.Errorf("%s: the browser is at %s", flow, p.URL)
			}
			told := s.rp.await(folder+"/backchannel", back+1, patience)
			if len(told) != back+1 || c.logoutToken(told[back]).Str("sid") != sid {
				s.Errorf("%s: %d logout tokens", flow, len(told)-back)
			}
			framed := s.rp.at(folder + "/frontchannel")
			if want := (url.Values{"iss": {s.URL}, "sid": {sid}}).Encode(); len(framed) != front+1 || framed[front].Query.Encode() != want {
				s.Errorf("%s: frames %v, want %s", flow, framed[front:], want)
			}
			// A prompt=none afterwards says that nobody is signed in, by the mode of the response type.
			r = b.authorize(c.client, plain.with(values{"response_type": flow, "prompt": "none"}))
			if r.wantError("login_required", "interaction_required"); r.Mode != modeOf(flow) {
				s.Errorf("%s: in the %s", flow, r.Mode)
			}
		}
	})
}
