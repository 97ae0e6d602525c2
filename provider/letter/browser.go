package letter

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"net/http"

	"gatehouse/provider/activity"
	"gatehouse/provider/interaction"
	"gatehouse/provider/signin"
	"gatehouse/provider/web"
	"gatehouse/storage"
)

// What a ticket remembers of where it was asked for.
const (
	dataBrowser     = "browser"
	dataInteraction = "interaction"
	dataClient      = "client"
)

// Begun notes in a ticket's data the browser that asks for it and the interaction that waits there; flow is nil if none does.
func Begun(w http.ResponseWriter, r *http.Request, data map[string]string, flow *storage.Interaction) map[string]string {
	if data == nil {
		data = map[string]string{}
	}
	data[dataBrowser] = web.Binder(w, r)
	if flow != nil {
		data[dataInteraction] = flow.ID
		if flow.Kind == storage.InteractionAuthorize {
			data[dataClient] = flow.Params.Get("client_id")
		}
	}
	return data
}

// ClientOf is the id of the client that the person who asked for a ticket was on the way to; empty if there was none.
func ClientOf(t *storage.Ticket) string { return t.Data[dataClient] }

// Here tells whether the request comes from the browser in which the ticket was asked for (security row 151).
func Here(r *http.Request, t *storage.Ticket) bool {
	binder, ok := web.BinderOf(r)
	return ok && subtle.ConstantTimeCompare([]byte(binder), []byte(t.Data[dataBrowser])) == 1
}

// From says where a request comes from.
func From(r *http.Request) activity.Where {
	from := activity.Where{UserAgent: r.UserAgent()}
	if peer := web.Peer(r); peer.IsValid() {
		from.IP = peer.String()
	}
	return from
}

// Enter signs in the browser in which a ticket was asked for, as far as the proof goes, and leads it back to the interaction that it paused, or to the account page if that is over. Only for a
// ticket that is Here.
func Enter(w http.ResponseWriter, r *http.Request, by *signin.SignIn, t *storage.Ticket, p signin.Proof) error {
	flow, err := waiting(w, r, by.Flows, t)
	if err != nil {
		return err
	}
	err = by.Proven(w, r, flow, p)
	if over(err) { // finished in another tab meanwhile
		return web.Redirect(w, r, web.LocalURL(r, interaction.ReturnAccount, nil))
	}
	return err
}

// over tells whether an interaction is no more.
func over(err error) bool {
	return errors.Is(err, storage.ErrNotFound) || errors.Is(err, storage.ErrConsumed)
}

// waiting returns the interaction that the ticket's browser paused, or a new one that leads to the account page if that is over.
func waiting(w http.ResponseWriter, r *http.Request, flows *interaction.Flows, t *storage.Ticket) (*storage.Interaction, error) {
	binder := web.Binder(w, r)
	if id := t.Data[dataInteraction]; id != "" {
		flow, err := flows.Load(r.Context(), id, binder)
		if err == nil {
			return flow, nil
		}
		if !over(err) && !errors.Is(err, interaction.ErrOtherBrowser) {
			return nil, err
		}
	}
	flow, err := flows.Start(r.Context(), storage.Interaction{Kind: storage.InteractionAccount, ReturnTo: interaction.ReturnAccount, Binder: binder})
	if err != nil {
		return nil, fmt.Errorf("begin sign-in: %w", err)
	}
	return flow, nil
}
