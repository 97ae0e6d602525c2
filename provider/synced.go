package provider

import (
	"context"
	"log/slog"
	"time"

	"gatehouse/storage"
)

// syncedStore is the store as features see it: whoever writes something that this process holds a copy of gets its answer only after the copy
// shows it.
type syncedStore struct {
	storage.Store
	sync func(context.Context) error
	// ended is told that sessions may have ended, so that logout tokens may be due.
	ended func()
	log   *slog.Logger
}

// after brings the copies up to date once a write is committed. If that fails the write still stands, and the copies follow with the next poll.
func (s syncedStore) after(ctx context.Context, err error) error {
	if err == nil {
		if syncErr := s.sync(context.WithoutCancel(ctx)); syncErr != nil {
			s.log.WarnContext(ctx, "copies lag behind a write", "cause", syncErr.Error())
		}
	}
	return err
}

// afterEnd is after for a write that may have ended sessions.
func (s syncedStore) afterEnd(ctx context.Context, err error) error {
	if err == nil {
		s.ended()
	}
	return s.after(ctx, err)
}

func (s syncedStore) UpdateUser(ctx context.Context, subject string, change func(*storage.User) error) (*storage.User, error) {
	u, err := s.Store.UpdateUser(ctx, subject, change)
	return u, s.afterEnd(ctx, err)
}

func (s syncedStore) DeleteUser(ctx context.Context, subject string) error {
	return s.afterEnd(ctx, s.Store.DeleteUser(ctx, subject))
}

func (s syncedStore) SetPassword(ctx context.Context, subject, encoded string) error {
	return s.afterEnd(ctx, s.Store.SetPassword(ctx, subject, encoded))
}

func (s syncedStore) ReplacePassword(ctx context.Context, subject, encoded string, epoch int64) error {
	return s.afterEnd(ctx, s.Store.ReplacePassword(ctx, subject, encoded, epoch))
}

func (s syncedStore) EndSession(ctx context.Context, id string) error {
	return s.afterEnd(ctx, s.Store.EndSession(ctx, id))
}

// EndUpstreamSessions may have ended some sessions before it failed.
func (s syncedStore) EndUpstreamSessions(ctx context.Context, upstream, externalID, sid string) (int, error) {
	n, err := s.Store.EndUpstreamSessions(ctx, upstream, externalID, sid)
	if n > 0 {
		_ = s.afterEnd(ctx, nil) // logs what goes wrong
	}
	return n, err
}

func (s syncedStore) AdoptUser(ctx context.Context, emailKey string, i *storage.Identity) (*storage.User, error) {
	u, err := s.Store.AdoptUser(ctx, emailKey, i)
	return u, s.afterEnd(ctx, err)
}

func (s syncedStore) RevertUser(ctx context.Context, signature string, since time.Time) (*storage.User, error) {
	u, err := s.Store.RevertUser(ctx, signature, since)
	return u, s.afterEnd(ctx, err)
}

func (s syncedStore) DeleteIdentity(ctx context.Context, subject, upstream, externalID string, offered *storage.Offered) error {
	return s.afterEnd(ctx, s.Store.DeleteIdentity(ctx, subject, upstream, externalID, offered))
}

func (s syncedStore) RevokeConsent(ctx context.Context, subject, clientID string) error {
	return s.after(ctx, s.Store.RevokeConsent(ctx, subject, clientID))
}

func (s syncedStore) RevokeTokens(ctx context.Context, r storage.Revocation) (int, error) {
	n, err := s.Store.RevokeTokens(ctx, r)
	return n, s.after(ctx, err)
}

func (s syncedStore) CreateClient(ctx context.Context, c *storage.Client) error {
	return s.after(ctx, s.Store.CreateClient(ctx, c))
}

func (s syncedStore) UpdateClient(ctx context.Context, id string, change func(*storage.Client) error) (*storage.Client, error) {
	c, err := s.Store.UpdateClient(ctx, id, change)
	return c, s.after(ctx, err)
}

func (s syncedStore) DeleteClient(ctx context.Context, id string) error {
	return s.after(ctx, s.Store.DeleteClient(ctx, id))
}
