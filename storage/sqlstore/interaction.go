package sqlstore

import (
	"context"
	"fmt"
	"net/url"
	"time"

	"gatehouse/storage"
)

const (
	interactionColumns = `id, kind, params, return_to, binder, subject, session_id, proofs, created, expires, consumed_at, source`
	insertInteraction  = `INSERT INTO interactions (` + interactionColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`
	selectInteraction  = `SELECT ` + interactionColumns + ` FROM interactions WHERE id = $1 AND expires > $2`
	// repeatable is Interaction.Repeatable.
	repeatable        = `kind IN ('authorize', 'account') AND consumed_at = 0 AND binder <> '' AND source = '' AND LENGTH(params) <= 2048`
	selectLate        = `SELECT ` + interactionColumns + ` FROM interactions WHERE id = $1 AND expires <= $2 AND expires > $3 AND ` + repeatable
	updateInteraction = `UPDATE interactions SET kind = $2, params = $3, return_to = $4, binder = $5, subject = $6, session_id = $7, proofs = $8,
		expires = $9, source = $10 WHERE id = $1`
	consumeInteraction = `UPDATE interactions SET consumed_at = $2 WHERE id = $1 AND consumed_at = 0 AND expires > $2`
)

func readInteraction(scan Scan) (*storage.Interaction, error) {
	var (
		i                          storage.Interaction
		kind, params               string
		proofs                     []byte
		created, expires, consumed int64
	)
	if err := scan(&i.ID, &kind, &params, &i.ReturnTo, &i.Binder, &i.Subject, &i.SessionID, &proofs, &created, &expires, &consumed,
		&i.Source); err != nil {
		return nil, err
	}
	if params != "" {
		values, err := url.ParseQuery(params)
		if err != nil {
			return nil, unavailable("decode interaction", err)
		}
		i.Params = values
	}
	i.Kind, i.Created, i.Expires, i.ConsumedAt = storage.InteractionKind(kind), readTime(created), readTime(expires), readTime(consumed)
	return &i, decode(proofs, &i.Proofs)
}

// CreateInteraction implements storage.InteractionStore. Params are stored in their URL form, which holds any bytes.
func (s *Store) CreateInteraction(ctx context.Context, i *storage.Interaction) error {
	proofs, err := encode(i.Proofs)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, insertInteraction, i.ID, string(i.Kind), i.Params.Encode(), i.ReturnTo, i.Binder, i.Subject, i.SessionID, proofs,
		micros(i.Created), micros(i.Expires), micros(i.ConsumedAt), i.Source)
	return err
}

// Interaction implements storage.InteractionStore.
func (s *Store) Interaction(ctx context.Context, id string) (*storage.Interaction, error) {
	return one(ctx, s.db, readInteraction, selectInteraction, id, micros(s.now()))
}

// LateInteraction implements storage.InteractionStore.
func (s *Store) LateInteraction(ctx context.Context, id string) (*storage.Interaction, error) {
	now := s.now()
	return one(ctx, s.db, readInteraction, selectLate, id, micros(now), micros(now.Add(-storage.InteractionGrace)))
}

// purgeInteractions deletes those that are over, and takes from those that can be begun anew what was proven.
func (s *Store) purgeInteractions(ctx context.Context, now time.Time, limit int) (int, error) {
	d := s.dialect
	rows := func(where string) string {
		return fmt.Sprintf(d.In, d.Row, `SELECT `+d.Row+` FROM interactions WHERE expires <= $1 AND `+where+` ORDER BY expires LIMIT $2`+d.SkipLocked)
	}
	n, err := s.exec(ctx, `DELETE FROM interactions WHERE `+rows(`(expires <= $3 OR NOT (`+repeatable+`))`), micros(now), limit, micros(now.Add(-storage.InteractionGrace)))
	if err != nil {
		return 0, err
	}
	emptied, err := s.exec(ctx, `UPDATE interactions SET subject = '', session_id = '', proofs = 'null' WHERE `+rows(`(subject <> '' OR proofs NOT IN ('null', '{}'))`), micros(now), limit-int(n))
	return int(n + emptied), err
}

// UpdateInteraction implements storage.InteractionStore.
func (s *Store) UpdateInteraction(ctx context.Context, id string, change func(*storage.Interaction) error) (*storage.Interaction, error) {
	var i *storage.Interaction
	err := s.tx(ctx, func(q Query) (err error) {
		if i, err = one(ctx, q, readInteraction, selectInteraction+s.dialect.Lock, id, micros(s.now())); err != nil {
			return err
		}
		if !i.ConsumedAt.IsZero() {
			return storage.ErrConsumed
		}
		created := i.Created
		if err := change(i); err != nil {
			return err
		}
		i.ID, i.Created, i.Expires, i.ConsumedAt = id, created, trim(i.Expires), time.Time{}
		proofs, err := encode(i.Proofs)
		if err != nil {
			return err
		}
		_, err = q.Exec(ctx, updateInteraction, id, string(i.Kind), i.Params.Encode(), i.ReturnTo, i.Binder, i.Subject, i.SessionID, proofs,
			micros(i.Expires), i.Source)
		return err
	})
	if err != nil {
		return nil, err
	}
	return i, nil
}

// ConsumeInteraction implements storage.InteractionStore: the conditional update decides the one winner.
func (s *Store) ConsumeInteraction(ctx context.Context, id string) error {
	now := micros(s.now())
	n, err := s.update(ctx, consumeInteraction, id, now)
	if err != nil || n == 1 {
		return err
	}
	if _, err := one(ctx, s.db, readInteraction, selectInteraction, id, now); err != nil {
		return err
	}
	return storage.ErrConsumed
}
