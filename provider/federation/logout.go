package federation

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"gatehouse/provider/audit"
	"gatehouse/provider/seal"
	"gatehouse/provider/upstream"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// Signing out, in both directions: OpenID Connect RP-Initiated Logout 1.0 and Back-Channel Logout 1.0, with us as the relying party.

// goodbye is where the browser goes when it comes back from a provider's end_session endpoint. It travels sealed in state: nobody else can write one.
type goodbye struct {
	Next  string    `json:"next"` // empty for our own page
	Until time.Time `json:"until"`
	// Binder is that of the browser that signed out: anybody else's would be led to an address that is not for them.
	Binder string `json:"binder"`
}

var goodbyePlace = seal.AAD("upstream", "", "signed_out", 1)

// AlsoEnd returns where a browser, whose session has just ended, ends the session at the provider that it came by; empty if there is nothing to end. Afterwards it comes back and goes
// on to next, which the caller has checked. token is the session's UpstreamToken, read before it ended.
func (f *Federation) AlsoEnd(w http.ResponseWriter, r *http.Request, ended *storage.Session, token []byte, next string) (string, error) {
	p := f.find(ended.Upstream)
	if p == nil || !p.EndSession || len(token) == 0 {
		return "", nil
	}
	ender, ok := p.Upstream.(upstream.Ender)
	if !ok {
		return "", nil
	}
	hint, err := f.Seal.Open(token, upstreamTokenPlace)
	if err != nil {
		return "", fmt.Errorf("open ID token of provider: %w", err)
	}
	plain, err := json.Marshal(goodbye{Next: next, Until: f.Now().UTC().Add(walkLife), Binder: web.Binder(w, r)})
	if err != nil {
		return "", err
	}
	state := base64.RawURLEncoding.EncodeToString(f.Seal.Seal(plain, goodbyePlace))
	return ender.EndSessionURL(r.Context(), string(hint), f.Issuer+"/upstream/"+p.ID+"/signed-out", state)
}

// signedOut takes the browser back from a provider. It does nothing but go on; without a state of ours it stays here.
func (f *Federation) signedOut(w http.ResponseWriter, r *http.Request) error {
	if _, err := f.of(r); err != nil {
		return err
	}
	var g goodbye
	raw, err := base64.RawURLEncoding.DecodeString(r.URL.Query().Get("state"))
	if err == nil {
		raw, err = f.Seal.Open(raw, goodbyePlace)
	}
	browser, _ := web.BinderOf(r)
	if err != nil || json.Unmarshal(raw, &g) != nil || g.Next == "" || f.Now().After(g.Until) || g.Binder != browser {
		return web.Render(w, r, http.StatusOK, templates.SignedOut{})
	}
	return web.Redirect(w, r, g.Next)
}

// logout takes a provider's logout token and ends the sessions that it names, which tells our own clients in turn.
func (f *Federation) logout(w http.ResponseWriter, r *http.Request) error {
	p, err := f.of(r)
	if err != nil {
		return err
	}
	params, repeated, err := web.Params(r)
	if err != nil {
		return err
	}
	key := "logout tokens\n" + web.PeerKey(r)
	allowed, retry, err := f.Limiter.Peek(r.Context(), key, f.Starts)
	if err != nil {
		return fmt.Errorf("limit logout tokens: %w", err)
	}
	if !allowed {
		return &web.Error{Status: http.StatusTooManyRequests, Code: "temporarily_unavailable", RetryAfter: retry, Message: "Too many logout tokens from this address were refused."}
	}
	verifier, ok := p.Upstream.(upstream.LogoutVerifier)
	if !ok || len(repeated) > 0 || params.Get("logout_token") == "" {
		return refuseLogout("Send one logout_token, as application/x-www-form-urlencoded.", nil)
	}
	token, err := verifier.VerifyLogoutToken(r.Context(), params.Get("logout_token"))
	if err != nil {
		if _, _, err := f.Limiter.Take(r.Context(), key, f.Starts); err != nil {
			return fmt.Errorf("count refused logout token: %w", err)
		}
		f.Audit.Record(r.Context(), audit.Event{Name: "federation.logout", Actor: p.ID, Result: "refused"})
		return refuseLogout("The logout token is not valid.", err)
	}
	// A token that came before is refused, or whoever has one could sign people out again and again. If the store fails after this the provider is told so; its next token is another one.
	err = f.Store.Remember(r.Context(), "upstream logout\n"+p.ID+"\n"+web.Hash(token.ID), token.Expires)
	if errors.Is(err, storage.ErrConsumed) {
		return refuseLogout("The logout token was used before.", err)
	}
	if err != nil {
		return fmt.Errorf("remember logout token: %w", err)
	}
	n, err := f.Store.EndUpstreamSessions(r.Context(), p.ID, token.ExternalID, token.SID)
	if err != nil {
		return fmt.Errorf("end sessions: %w", err)
	}
	f.Audit.Record(r.Context(), audit.Event{Name: "federation.logout", Actor: p.ID, Target: strconv.Itoa(n) + " sessions", Result: "ok"})
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusOK)
	return nil
}

// refuseLogout is the answer of Back-Channel Logout 1.0 section 2.8.
func refuseLogout(text string, cause error) error {
	return &web.Error{Status: http.StatusBadRequest, Code: "invalid_request", Message: text, Cause: cause}
}
