package interaction

import (
	"context"
	"crypto/subtle"
	"fmt"

	"gatehouse/storage"
)

// proofLate notes that the request was begun anew because its first try took too long. It proves nothing.
const proofLate = "late"

// Late returns what a request of this browser asked for whose time was over before it was finished, for some hours: to begin it anew at ReturnAuthorize. Nothing of what was proven comes with it, and
// the request is to be validated as if it came for the first time. storage.ErrNotFound for any other, also for one of another browser, which must not learn of it.
func (f *Flows) Late(ctx context.Context, id, binder string) (*storage.Interaction, error) {
	if !wellFormed(id) {
		return nil, fmt.Errorf("load late interaction: %w", storage.ErrNotFound)
	}
	i, err := f.store.LateInteraction(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("load late interaction: %w", err)
	}
	if subtle.ConstantTimeCompare([]byte(i.Binder), []byte(binder)) != 1 {
		return nil, fmt.Errorf("load late interaction: %w", storage.ErrNotFound)
	}
	return &storage.Interaction{ID: i.ID, Kind: i.Kind, Params: i.Params, ReturnTo: i.ReturnTo}, nil
}

// SetLate notes that the request was begun anew, for the pages to say so.
func SetLate(i *storage.Interaction) { Prove(i, proofLate, "1") }

// BegunAnew tells whether the request was.
func BegunAnew(i *storage.Interaction) bool { return i.Proofs[proofLate] != "" }
