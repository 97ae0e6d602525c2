package bench

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

// The yardsticks.
const (
	againstBare = "bare"
	againstRSA  = "rsa2048"
)

type step func(context.Context, *worker) error

// operation is one row of the report.
type operation struct {
	name string
	// against and limit are the promise: at most limit times the CPU time of the yardstick. Without them the cost is told and not judged.
	against string
	limit   float64
	// endpoint is nil for what every provider has.
	endpoint func(rp.Metadata) string
	// prepare runs before the measurement, run in it, check after it; prepare and check may be nil.
	prepare, run, check step
}

// operations is the table. Revocation comes last: what it leaves behind is not to slow the others.
var operations = []operation{
	{name: "discovery", against: againstBare, limit: 2, run: getDiscovery},
	{name: "jwks", against: againstBare, limit: 2, run: getJWKS},
	{name: "client_credentials", against: againstBare, limit: 8, run: clientCredentials},
	{name: "introspect", against: againstBare, limit: 12, endpoint: introspection, prepare: takeTokens, run: introspect},
	{name: "userinfo", against: againstBare, limit: 12, endpoint: userInfo, prepare: takeTokens, run: getUserInfo},
	{name: "authorize_token", against: againstRSA, limit: 2, prepare: haveSession, run: authorizeAndRedeem},
	{name: "refresh", against: againstRSA, limit: 1.6, prepare: takeRefresh, run: refresh},
	{name: "login", run: signIn},
	{name: "revoke", endpoint: revocation, prepare: stockUp, run: revoke, check: revokedIsInactive},
}

func introspection(m rp.Metadata) string { return m.Introspection }
func userInfo(m rp.Metadata) string      { return m.UserInfo }
func revocation(m rp.Metadata) string    { return m.Revocation }

// Each worker uses this many access tokens in turn for introspection and userinfo, and at most this many for revocation.
const (
	tokensInTurn = 8
	maxStock     = 5000
)

func getDiscovery(ctx context.Context, w *worker) error {
	return w.document(ctx, strings.TrimSuffix(w.e.o.Issuer, "/")+"/.well-known/openid-configuration", w.e.verifier.discovery)
}

func getJWKS(ctx context.Context, w *worker) error {
	return w.document(ctx, w.e.party.Metadata().JWKS, w.e.verifier.keys)
}

func clientCredentials(ctx context.Context, w *worker) error {
	_, err := w.token(ctx, url.Values{"grant_type": {"client_credentials"}})
	return err
}

func introspect(ctx context.Context, w *worker) error {
	active, err := w.introspect(ctx, w.turn())
	if err == nil && !active {
		err = errors.New("introspection of a live token says that it is not active")
	}
	return err
}

func (w *worker) introspect(ctx context.Context, token string) (bool, error) {
	a, err := w.post(ctx, w.e.party.Metadata().Introspection, url.Values{"token": {token}})
	if err != nil {
		return false, err
	}
	var body struct {
		Active   *bool  `json:"active"`
		ClientID string `json:"client_id"`
	}
	if err := a.json(http.StatusOK, &body); err != nil {
		return false, fmt.Errorf("introspect: %w", err)
	}
	if body.Active == nil || *body.Active && body.ClientID != w.e.o.Client.ID {
		return false, errors.New("introspect: active or client_id is missing or wrong")
	}
	return *body.Active, nil
}

func getUserInfo(ctx context.Context, w *worker) error {
	a, err := w.send(ctx, http.MethodGet, w.e.party.Metadata().UserInfo, nil, "Bearer "+w.turn())
	if err != nil {
		return err
	}
	var body struct {
		Subject string `json:"sub"`
	}
	if err := a.json(http.StatusOK, &body); err != nil {
		return fmt.Errorf("userinfo: %w", err)
	}
	if body.Subject == "" || body.Subject != w.subject {
		return errors.New("userinfo: sub is missing or another one")
	}
	return nil
}

// haveSession signs in once, so that the browser has a session and consent is remembered.
func haveSession(ctx context.Context, w *worker) error {
	if w.subject != "" {
		return nil
	}
	return signIn(ctx, w)
}

// authorizeAndRedeem is a sign-in without any page: the session answers at once with a code, which is redeemed.
func authorizeAndRedeem(ctx context.Context, w *worker) error {
	attempt := w.e.party.Begin(nil)
	a, err := w.send(ctx, http.MethodGet, attempt.URL, nil, "")
	if err != nil {
		return err
	}
	callback, ok := a.Arrived(w.e.o.RedirectURI)
	if !ok {
		return fmt.Errorf("authorize with a session: %s instead of a redirect with a code", a.String())
	}
	return w.redeem(ctx, attempt, callback)
}

func (w *worker) redeem(ctx context.Context, attempt rp.Attempt, callback url.Values) error {
	code, err := w.e.party.Callback(attempt, callback)
	if err != nil {
		return fmt.Errorf("read callback: %w", err)
	}
	t, err := w.token(ctx, url.Values{
		"grant_type": {"authorization_code"}, "code": {code}, "redirect_uri": {w.e.o.RedirectURI}, "code_verifier": {attempt.Verifier},
	})
	if err != nil {
		return err
	}
	if w.subject, err = w.e.verifier.idToken(ctx, t.IDToken, attempt.Nonce, t.AccessToken); err != nil {
		return err
	}
	w.access, w.refresh = t.AccessToken, t.RefreshToken
	return nil
}

// takeTokens gets fresh access tokens of the user.
func takeTokens(ctx context.Context, w *worker) error {
	if err := haveSession(ctx, w); err != nil {
		return err
	}
	w.tokens = w.tokens[:0]
	for range tokensInTurn {
		if err := authorizeAndRedeem(ctx, w); err != nil {
			return err
		}
		w.tokens = append(w.tokens, w.access)
	}
	return nil
}

func takeRefresh(ctx context.Context, w *worker) error {
	if err := haveSession(ctx, w); err != nil {
		return err
	}
	if err := authorizeAndRedeem(ctx, w); err != nil {
		return err
	}
	if w.refresh == "" {
		return errors.New("token response lacks refresh_token")
	}
	return nil
}

func refresh(ctx context.Context, w *worker) error {
	t, err := w.token(ctx, url.Values{"grant_type": {"refresh_token"}, "refresh_token": {w.refresh}})
	if err != nil {
		return err
	}
	if t.RefreshToken != "" {
		w.refresh = t.RefreshToken
	}
	if t.IDToken == "" {
		return nil // OIDC Core 12.2: the response may leave it out
	}
	subject, err := w.e.verifier.idToken(ctx, t.IDToken, "", t.AccessToken)
	if err == nil && subject != w.subject {
		err = errors.New("refresh: ID token of another subject")
	}
	return err
}

// stockUp gets access tokens to revoke, for as long as the measurement will last.
func stockUp(ctx context.Context, w *worker) error {
	w.tokens, w.used = w.tokens[:0], 0
	for end := time.Now().Add(w.e.o.Duration); len(w.tokens) < maxStock && time.Now().Before(end); {
		t, err := w.token(ctx, url.Values{"grant_type": {"client_credentials"}})
		if err != nil {
			return err
		}
		w.tokens = append(w.tokens, t.AccessToken)
	}
	return nil
}

func revoke(ctx context.Context, w *worker) error {
	if w.used == len(w.tokens) {
		return errStock
	}
	a, err := w.post(ctx, w.e.party.Metadata().Revocation, url.Values{"token": {w.tokens[w.used]}})
	if err != nil {
		return err
	}
	if a.Status != http.StatusOK {
		return fmt.Errorf("revoke: %s", a.String())
	}
	w.used++
	return nil
}

// revokedIsInactive asks about some of the tokens that were revoked.
func revokedIsInactive(ctx context.Context, w *worker) error {
	if w.e.party.Metadata().Introspection == "" {
		return nil
	}
	for token := range slices.Chunk(w.tokens[:w.used], max(1, w.used/10)) {
		active, err := w.introspect(ctx, token[0])
		if err == nil && active {
			err = errors.New("revoke: a revoked token is active")
		}
		if err != nil {
			return err
		}
	}
	return nil
}
