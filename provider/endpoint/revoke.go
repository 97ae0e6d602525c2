package endpoint

// Token revocation: RFC 7009.

import (
	"net/http"

	"gatehouse/provider/audit"
	"gatehouse/provider/grant"
	"gatehouse/provider/web"
)

func (e *Endpoints) revoke(w http.ResponseWriter, r *http.Request, values form) error {
	client, err := e.Engine.AuthenticateClient(r.Context(), r, values)
	if err != nil {
		return err
	}
	web.Annotate(r, "client", client.ID)
	token := values.Get("token")
	if token == "" {
		return grant.Refuse("invalid_request", "The parameter token is missing.")
	}
	revoked, err := e.Engine.RevokeToken(r.Context(), client.Client, token)
	if err != nil {
		return err
	}
	if revoked {
		e.Audit.Record(r.Context(), audit.Event{Name: "token.revoked", Client: client.ID, Result: "ok"})
	}
	// Section 2.2: 200 whether or not there was anything to revoke. An empty body has no content type: some clients refuse text/plain here.
	w.Header()["Content-Type"] = nil
	w.WriteHeader(http.StatusOK)
	return nil
}
