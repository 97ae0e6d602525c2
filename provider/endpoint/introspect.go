package endpoint

// Token introspection: RFC 7662.

import (
	"net/http"

	"gatehouse/provider/grant"
	"gatehouse/provider/oauth"
	"gatehouse/provider/web"
)

var inactive = []byte(`{"active":false}`)

func (e *Endpoints) introspect(w http.ResponseWriter, r *http.Request, values form) error {
	client, err := e.Engine.AuthenticateClient(r.Context(), r, values)
	if err != nil {
		return err
	}
	web.Annotate(r, "client", client.ID)
	if client.IsPublic() {
		return grant.Refuse("invalid_client", "Introspection needs a client with a secret or a key.")
	}
	if allowed, retry, err := e.Limiter.Take(r.Context(), "introspect\n"+client.ID, e.Limits.Introspect); err != nil {
		return err
	} else if !allowed {
		return &oauth.LimitError{RetryAfter: retry}
	}
	token := values.Get("token")
	if token == "" {
		return grant.Refuse("invalid_request", "The parameter token is missing.")
	}
	answer, err := e.Engine.Introspect(r.Context(), client.Client, token)
	if err != nil {
		return err
	}
	if !answer.Active {
		// The same bytes whatever the reason (row 58).
		w.Header().Set("Content-Type", "application/json")
		_, err := w.Write(inactive)
		return err
	}
	return writeJSON(w, http.StatusOK, answer)
}
