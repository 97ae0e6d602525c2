package signin

import (
	"errors"
	"fmt"
	"net/http"

	"gatehouse/provider/web"
	"gatehouse/storage"
)

// Dress gives the pages of a request, and the mails that it sends, the language and the looks of what an interaction waits for; flow may be nil.
func (s *SignIn) Dress(r *http.Request, flow *storage.Interaction) error {
	if flow == nil {
		return nil
	}
	web.SetLang(r, flow.Params.Get("ui_locales"))
	if flow.Kind != storage.InteractionAuthorize {
		return nil
	}
	return s.DressFor(r, flow.Params.Get("client_id"))
}

// DressFor gives them the looks of a client. An empty id, and a client that is gone, change nothing: the authorization endpoint says so better.
func (s *SignIn) DressFor(r *http.Request, clientID string) error {
	if clientID == "" {
		return nil
	}
	client, err := s.Clients.Client(r.Context(), clientID)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read client: %w", err)
	}
	web.SetClient(r, client)
	return nil
}
