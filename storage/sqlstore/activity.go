package sqlstore

import (
	"context"
	"errors"
	"fmt"

	"gatehouse/storage"
)

const (
	activityColumns = `id, subject, kind, at, amr, client_id, detail, ip, user_agent`
	insertActivity  = `INSERT INTO activities (` + activityColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`
	selectActivity  = `SELECT ` + activityColumns + ` FROM activities WHERE subject = $1 ORDER BY at DESC, id DESC LIMIT $2`
)

// dropActivities deletes what is older than the last MaxActivities of a user; with fewer there is nothing to compare with.
var dropActivities = fmt.Sprintf(`DELETE FROM activities WHERE subject = $1
	AND (at, id) < (SELECT at, id FROM activities WHERE subject = $1 ORDER BY at DESC, id DESC LIMIT 1 OFFSET %d)`, storage.MaxActivities-1)

func readActivity(scan Scan) (*storage.Activity, error) {
	var (
		a   storage.Activity
		at  int64
		amr []byte
	)
	if err := scan(&a.ID, &a.Subject, &a.Kind, &at, &amr, &a.ClientID, &a.Detail, &a.IP, &a.UserAgent); err != nil {
		return nil, err
	}
	a.Time = readTime(at)
	return &a, decode(amr, &a.AMR)
}

// AddActivity implements storage.ActivityStore. The foreign key answers for a user who is not there.
func (s *Store) AddActivity(ctx context.Context, a *storage.Activity) error {
	if !storable(a.Subject) {
		return nil
	}
	amr, err := encode(a.AMR)
	if err != nil {
		return err
	}
	err = s.tx(ctx, func(q Query) error {
		if _, err := q.Exec(ctx, insertActivity, a.ID, a.Subject, a.Kind, micros(a.Time), amr, a.ClientID, plain(a.Detail), plain(a.IP),
			plain(a.UserAgent)); err != nil {
			return err
		}
		_, err := q.Exec(ctx, dropActivities, a.Subject)
		return err
	})
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}

// Activities implements storage.ActivityStore.
func (s *Store) Activities(ctx context.Context, subject string, limit int) ([]*storage.Activity, error) {
	return list(ctx, s.db, readActivity, selectActivity, subject, limit)
}
