package sqlstore_test

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/storage"
)

// reads calls every reading method.
func reads(ctx context.Context, e *engine, h *home, in *storage.Interaction, add func(error)) {
	for _, read := range []func() error{
		func() error { _, err := e.Client(ctx, h.client.ID); return err },
		func() error { _, err := e.ListClients(ctx, "", 10); return err },
		func() error { _, err := e.User(ctx, h.user.Subject); return err },
		func() error { _, _, err := e.UserByLogin(ctx, h.user.EmailKey); return err },
		func() error { _, err := e.ListUsers(ctx, "", 10); return err },
		func() error { _, _, err := e.SessionByCookie(ctx, h.session.CookieHash); return err },
		func() error { _, err := e.SessionsOf(ctx, h.user.Subject); return err },
		func() error { _, err := e.ListSessions(ctx, "", 10); return err },
		func() error { _, err := e.UpstreamToken(ctx, h.session.ID); return err },
		func() error { _, _, err := e.Identity(ctx, "google", h.identity.ExternalID); return err },
		func() error { _, err := e.IdentitiesOf(ctx, h.user.Subject); return err },
		func() error { _, err := e.SessionClients(ctx, h.session.ID); return err },
		func() error { _, err := e.Interaction(ctx, in.ID); return err },
		func() error {
			if _, err := e.LateInteraction(ctx, in.ID); !errors.Is(err, storage.ErrNotFound) { // it is not late
				return fmt.Errorf("late interaction: %w", err)
			}
			return nil
		},
		func() error { _, err := e.Consent(ctx, h.user.Subject, h.client.ID); return err },
		func() error { _, err := e.ConsentsOf(ctx, h.user.Subject); return err },
		func() error {
			_, err := e.Token(ctx, storage.TokenCode, h.tokens[storage.TokenCode].Signature)
			return err
		},
		func() error { _, err := e.GrantsOf(ctx, h.user.Subject); return err },
		func() error { _, err := e.SigningKeys(ctx); return err },
		func() error { _, err := e.Secret(ctx, in.ID); return err },
		func() error { _, err := e.HoldsSealed(ctx); return err },
		func() error { _, err := e.Changes(ctx); return err },
		func() error { _, err := e.ClientUpdated(ctx, h.client.ID); return err },
		func() error { _, err := e.Revocations(ctx, 0); return err },
		func() error { _, err := e.Rate(ctx, in.ID); return err },
		func() error { _, err := e.Logo(ctx, h.client.ID); return err },
		func() error { _, err := e.Notices(ctx, h.user.Subject); return err },
	} {
		add(read())
	}
}
