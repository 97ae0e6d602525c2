package endpoint

import (
	"fmt"
	"net/http"
	"net/url"

	"gatehouse/provider/interaction"
	"gatehouse/provider/request"
	"gatehouse/provider/web"
	"gatehouse/storage"
)

// lateKey marks an HTTP request that begins an authorization request anew.
type lateKey struct{}

// beginAnew serves the return to a request that nobody finished in its time, such as the form of a sign-in page that was open for an hour. It goes the way of a new one: everything is validated as if the
// browser had just come from the app, and what was proven in the first try is gone (security row 27: also here the browser must be the one that began it).
func (e *Endpoints) beginAnew(w http.ResponseWriter, r *http.Request, id, binder string) error {
	late, err := e.Flows.Late(r.Context(), id, binder)
	if isMissing(err) {
		return startAgain(w, r)
	}
	if err != nil {
		return err
	}
	web.Annotate(r, "outcome", "begun anew")
	if late.Kind == storage.InteractionAuthorize {
		web.Remember(r, lateKey{}, true)
		return e.decide(w, r, request.Input{Params: late.Params}, nil)
	}
	if err := e.limitInteractions(r); err != nil {
		return err
	}
	begin := storage.Interaction{Kind: late.Kind, Params: late.Params, ReturnTo: late.ReturnTo, Binder: web.Binder(w, r)}
	interaction.SetLate(&begin)
	flow, err := e.Flows.Start(r.Context(), begin)
	if err != nil {
		return fmt.Errorf("begin anew: %w", err)
	}
	return web.Redirect(w, r, web.LocalURL(r, "/login", url.Values{"interaction": {flow.ID}}))
}
