package interaction

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"

	"gatehouse/provider/seal"
	"gatehouse/storage"
)

// The name that a person typed on a page of its own, before the password: it waits in the interaction, and no address of ours holds it. It is sealed, because people type passwords
// into the wrong field. The only one who is told is the provider that has the domain of it.

const proofName = "name"

// Type keeps a name in place of an earlier one and returns the interaction with it. storage.ErrNotFound, storage.ErrConsumed.
func (f *Flows) Type(ctx context.Context, id, name string) (*storage.Interaction, error) {
	if f.seal == nil {
		return nil, errors.New("keep name: there is no keyring")
	}
	sealed := base64.RawStdEncoding.EncodeToString(f.seal.Seal([]byte(name), nameAAD(id)))
	i, err := f.store.UpdateInteraction(ctx, id, func(i *storage.Interaction) error {
		Prove(i, proofName, sealed)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("keep name: %w", err)
	}
	return i, nil
}

// Typed returns what Type kept, empty if it kept nothing or no key opens it any more: then the person is asked again.
func (f *Flows) Typed(i *storage.Interaction) string {
	if f.seal == nil || i.Proofs[proofName] == "" {
		return ""
	}
	sealed, err := base64.RawStdEncoding.DecodeString(i.Proofs[proofName])
	if err != nil {
		return ""
	}
	name, err := f.seal.Open(sealed, nameAAD(i.ID))
	if err != nil {
		return ""
	}
	return string(name)
}

func nameAAD(id string) []byte { return seal.AAD("interactions", id, "name", 1) }
