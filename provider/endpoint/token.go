package endpoint

// The token endpoint: RFC 6749 section 3.2.

import (
	"net/http"
	"slices"
	"strings"

	"gatehouse/provider/audit"
	"gatehouse/provider/clientauth"
	"gatehouse/provider/grant"
	"gatehouse/provider/oauth"
	"gatehouse/provider/web"
)

type tokenResponse struct {
	AccessToken  string `json:"access_token"`
	TokenType    string `json:"token_type"`
	ExpiresIn    int64  `json:"expires_in"`
	RefreshToken string `json:"refresh_token,omitempty"`
	IDToken      string `json:"id_token,omitempty"`
	Scope        string `json:"scope,omitempty"`
}

func (e *Endpoints) token(w http.ResponseWriter, r *http.Request, values form) error {
	grantType := values.Get("grant_type")
	web.Annotate(r, "grant_type", knownGrant(grantType))
	switch {
	case grantType == "":
		return grant.Refuse("invalid_request", "The parameter grant_type is missing.")
	case !slices.Contains(grant.Types(), grantType):
		return grant.Refuse("unsupported_grant_type", "This grant_type is not supported. Use one of "+strings.Join(grant.Types(), ", ")+".")
	}
	key := limitKey("token-ok", clientauth.ClaimedClient(r, values), web.PeerKey(r))
	if allowed, retry, err := e.Limiter.Take(r.Context(), key, e.Limits.TokenOK); err != nil {
		return err
	} else if !allowed {
		return &oauth.LimitError{RetryAfter: retry}
	}
	response, session, clientID, err := e.Engine.Token(r.Context(), r, values)
	if clientID != "" {
		web.Annotate(r, "client", clientID)
	}
	if err != nil {
		return err
	}
	e.used(clientID)
	body := tokenResponse{AccessToken: response.GetAccessToken(), TokenType: response.GetTokenType(), Scope: strings.Join(session.Award.Scopes, " ")}
	body.ExpiresIn = session.Award.ExpiresIn
	body.RefreshToken, _ = response.GetExtra("refresh_token").(string)
	body.IDToken, _ = response.GetExtra("id_token").(string)
	e.Audit.Record(r.Context(), audit.Event{Name: "token.issued", Actor: session.Award.Subject, Target: session.Award.GrantID, Client: clientID, Result: "ok", Reason: grantType})
	return writeJSON(w, http.StatusOK, body)
}

// knownGrant keeps what a stranger typed out of the log.
func knownGrant(name string) string {
	if slices.Contains(grant.Types(), name) {
		return name
	}
	return "unknown"
}
