package endpoint

// The pushed authorization request endpoint: RFC 9126 section 2.

import (
	"net/http"

	"gatehouse/provider/audit"
	"gatehouse/provider/interaction"
	"gatehouse/provider/oauth"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/web"
)

type parResponse struct {
	RequestURI string `json:"request_uri"`
	ExpiresIn  int64  `json:"expires_in"`
}

func (e *Endpoints) par(w http.ResponseWriter, r *http.Request, values form) error {
	c, err := e.Engine.AuthenticateClient(r.Context(), r, values)
	if err != nil {
		return err
	}
	web.Annotate(r, "client", c.ID)
	limits := map[string]ratelimit.Limit{"par\n" + c.ID: e.Limits.PAR}
	if c.IsPublic() {
		// Anyone can push in the name of a client without a secret, and each push is a row.
		limits["interactions\n"+web.PeerKey(r)] = e.Limits.Interactions
	}
	for key, limit := range limits {
		if allowed, retry, err := e.Limiter.Take(r.Context(), key, limit); err != nil {
			return err
		} else if !allowed {
			return &oauth.LimitError{RetryAfter: retry}
		}
	}
	uri, life, err := e.Engine.Push(r.Context(), r, c.Client, values, interaction.Lifetime)
	if err != nil {
		return err
	}
	e.Audit.Record(r.Context(), audit.Event{Name: "request.pushed", Client: c.ID, Result: "ok"})
	return writeJSON(w, http.StatusCreated, parResponse{uri, int64(life.Seconds())})
}
