package doctor

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/provider/rp"
)

// Nothing listens at these addresses: the doctor reads what would arrive there off the redirect.
const (
	redirectURI  = "http://127.0.0.1:9/doctor/callback"
	signedOutURI = "http://127.0.0.1:9/doctor/signed-out"
)

// serverLog is the fix where only the server knows more.
const serverLog = "look for the request in the server's log, by the time of this check"

// visit is one sign-in with a client and a user that exist only for it.
type visit struct {
	*doctor
	Visitor
	party   *rp.Party
	browser *rp.Browser
	cookies []string // every Set-Cookie of the journey
	tokens  *rp.Tokens
}

// visit signs in, uses everything that a token opens, and leaves. Each step needs the one before.
func (d *doctor) visit(ctx context.Context) {
	visitor, err := d.o.Inside.Admit(ctx, redirectURI, signedOutURI)
	if err != nil {
		d.fail("visitor", "check that the store can be written and that the server's schema is the one of this program (gatehouse migrate status)", "no client and user can be made: %v", err)
		return
	}
	v := &visit{doctor: d, Visitor: visitor}
	v.party, err = rp.New(ctx, rp.Options{
		Issuer: d.o.Issuer, ClientID: visitor.ClientID, ClientSecret: visitor.ClientSecret, RedirectURI: redirectURI,
		Scopes: []string{"openid", "profile", "email", rp.OfflineAccess}, HTTP: d.wire.client, Now: d.o.Now,
	})
	if err != nil {
		d.fail("sign-in", "see the checks before", "a client library refuses this server: %v", err)
		return
	}
	v.browser = rp.NewBrowser(rp.BrowserOptions{
		Transport: d.wire, Header: http.Header{"X-Forwarded-For": {madeUp.String()}},
		Seen: func(a rp.Answer) { v.cookies = append(v.cookies, a.Header.Values("Set-Cookie")...) },
	})
	for _, step := range []func(context.Context) bool{v.signIn, v.redeem, v.userinfo, v.introspect, v.refresh, v.revoke} {
		if !step(ctx) {
			d.skip("everything else", "needs the step before")
			return
		}
	}
	v.logout(ctx)
}

// signIn walks through the real pages (OpenID Connect Core section 3.1.2).
func (v *visit) signIn(ctx context.Context) bool {
	attempt := v.party.Begin(nil)
	response, err := v.browser.Walk(ctx, v.person(), attempt.URL, redirectURI)
	if err != nil {
		v.fail("sign-in", "let the proxy pass /oauth2/authorize, /login and /consent on with their cookies, forms and redirects unchanged; else "+serverLog, "the pages do not lead back to the client: %v", err)
		return false
	}
	v.ok("sign-in", "login and consent pages lead back to the client")
	v.cookie("session cookie", sessionCookie, v.cookies, v.o.SameSite)
	v.seenFrom(ctx)
	if v.tokens, err = v.party.Exchange(ctx, attempt, response); err != nil {
		v.fail("code", serverLog, "authorization code with PKCE: %v", err)
		return false
	}
	return true
}

func (v *visit) person() rp.User { return rp.User{Name: v.Username, Password: v.Password} }

// redeem looks at what the code was worth.
func (v *visit) redeem(ctx context.Context) bool {
	access, err := v.party.VerifyAccessToken(ctx, v.tokens.AccessToken, v.o.Issuer)
	switch {
	case err != nil:
		v.fail("code", "compare jwks_uri with: gatehouse keys list", "an API that verifies the access token offline refuses it: %v", err)
		return false
	case v.tokens.ID.Subject != v.Subject || access.Subject != v.Subject:
		v.fail("code", serverLog, "the tokens are about somebody else")
		return false
	case v.tokens.RefreshToken == "":
		v.fail("code", "put refresh_token back among the grant types of this server", "offline_access gave no refresh token")
		return false
	case !noStore(v.wire.lastHeader(v.party.Metadata().Token)):
		v.fail("code", noStoreFix, "the answer with the tokens lacks Cache-Control: no-store")
		return true
	}
	v.ok("code", "authorization code with PKCE gives tokens that verify by the published keys")
	v.tokenClock()
	return true
}

// tokenClock compares with iat: the Date of an answer may be the proxy's.
func (v *visit) tokenClock() {
	now := v.o.Now()
	switch issued := v.tokens.ID.Issued; {
	case issued.After(now):
		v.drift("token clock", issued.Sub(now), "ahead of")
	default:
		v.drift("token clock", max(0, now.Sub(issued)-patience), "behind") // it was issued a request ago
	}
}

func (v *visit) userinfo(ctx context.Context) bool {
	claims, err := v.party.UserInfo(ctx, v.tokens.AccessToken, v.Subject)
	if err != nil {
		v.fail("userinfo", "let the proxy pass the Authorization header on; else "+serverLog, "%v", err)
		return false
	}
	if claims["email"] == nil || claims["preferred_username"] == nil {
		v.fail("userinfo", serverLog, "lacks claims of the scopes profile and email")
		return true
	}
	v.ok("userinfo", "tells sub and the claims of the scopes")
	return true
}

func (v *visit) introspect(ctx context.Context) bool {
	answer, err := v.party.Introspect(ctx, v.tokens.AccessToken, "access_token")
	if err == nil && (answer["active"] != true || answer["sub"] != v.Subject) {
		err = errors.New("a good token counts as inactive, or as somebody else's")
	}
	if err != nil {
		v.fail("introspection", serverLog, "%v", err)
		return false
	}
	v.ok("introspection", "a good token is active")
	return true
}

func (v *visit) refresh(ctx context.Context) bool {
	next, err := v.party.Refresh(ctx, v.tokens.RefreshToken)
	switch {
	case err != nil:
		v.fail("refresh", serverLog, "%v", err)
		return false
	case next.ID != nil && next.ID.Subject != v.Subject:
		v.fail("refresh", serverLog, "the new tokens are about somebody else")
		return false
	}
	v.ok("refresh", "a refresh token gives new tokens")
	next.ID, next.RawIDToken = v.tokens.ID, v.tokens.RawIDToken // of the sign-in, for the hint at logout
	v.tokens = next
	return true
}

// followWithin is the promise of the server: every node knows of a revocation within a second. The rest is for the network.
const followWithin = 3 * time.Second

// revoke ends the grant (RFC 7009) and looks whether every endpoint knows.
func (v *visit) revoke(ctx context.Context) bool {
	if err := v.party.Revoke(ctx, v.tokens.RefreshToken, "refresh_token"); err != nil {
		v.fail("revocation", serverLog, "%v", err)
		return false
	}
	still := v.alive(ctx)
	deadline := time.After(followWithin)
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for len(still) > 0 {
		select {
		case <-tick.C:
			still = v.alive(ctx)
		case <-ctx.Done():
			return false
		case <-deadline:
			v.fail("revocation", "look whether every node uses the same store, and whether one logs that it cannot reach it",
				"the revoked grant still works after %s: %s", followWithin, strings.Join(still, ", "))
			return true
		}
	}
	v.ok("revocation", "a revoked grant is dead at once: refresh, introspection and userinfo refuse its tokens")
	return true
}

// alive lists where the tokens still work.
func (v *visit) alive(ctx context.Context) []string {
	var still []string
	if answer, err := v.party.Introspect(ctx, v.tokens.AccessToken, ""); err != nil || answer["active"] != false {
		still = append(still, "introspection")
	}
	if _, err := v.party.UserInfo(ctx, v.tokens.AccessToken, ""); err == nil {
		still = append(still, "userinfo")
	}
	var refused *rp.Error
	if _, err := v.party.Refresh(ctx, v.tokens.RefreshToken); !errors.As(err, &refused) || refused.Code != "invalid_grant" {
		still = append(still, "refresh")
	}
	return still
}

// logout signs out as a client asks for it (RP-Initiated Logout 1.0), and looks whether the session is over.
func (v *visit) logout(ctx context.Context) {
	state := v.party.Begin(nil).State
	address, offered := v.party.EndSessionURL(v.tokens.RawIDToken, signedOutURI, state)
	if !offered {
		v.skip("logout", "not offered: discovery names no end_session_endpoint")
		return
	}
	response, err := v.browser.Walk(ctx, v.person(), address, signedOutURI)
	if err == nil && !slices.Equal(keysOf(response), []string{"state"}) || err == nil && response.Get("state") != state {
		err = fmt.Errorf("the client gets %v in place of its state alone", keysOf(response))
	}
	if err != nil {
		v.fail("logout", "let the proxy pass end_session_endpoint on with cookies and forms unchanged; else "+serverLog, "%v", err)
		return
	}
	attempt := v.party.Begin(url.Values{"prompt": {"none"}})
	if response, err = v.browser.Walk(ctx, v.person(), attempt.URL, redirectURI); err == nil {
		_, err = v.party.Callback(attempt, response)
	}
	var refused *rp.Error
	if !errors.As(err, &refused) || refused.Code != "login_required" {
		v.fail("logout", serverLog, "after it prompt=none is not refused with login_required: %v", err)
		return
	}
	v.ok("logout", "ends the session and leads back to the client")
}

func keysOf(values url.Values) []string {
	var names []string
	for name := range values {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
