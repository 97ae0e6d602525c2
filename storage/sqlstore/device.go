package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/storage"
)

const (
	deviceColumns = `id, subject, cookie_hash, previous, epoch, user_agent, ip, created, last_used, expires`
	insertDevice  = `INSERT INTO devices (` + deviceColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`
	// liveDevice is what a device of the subject $1 must be at the time $2.
	liveDevice = `subject = $1 AND expires > $2 AND epoch = (SELECT u.epoch FROM users u WHERE u.subject = $1)`
	useDevice  = `UPDATE devices SET cookie_hash = $4, previous = cookie_hash, last_used = CASE WHEN last_used < $2 THEN $2 ELSE last_used END
		WHERE ` + liveDevice + ` AND (cookie_hash = $3 OR (previous = $3 AND previous <> '' AND last_used > $5)) RETURNING ` + deviceColumns
	dropCopied    = `DELETE FROM devices WHERE ` + liveDevice + ` AND previous = $3 AND previous <> ''`
	listDevices   = `SELECT ` + deviceColumns + ` FROM devices WHERE ` + liveDevice + ` ORDER BY last_used DESC, id DESC`
	deleteDevice  = `DELETE FROM devices WHERE subject = $1 AND id = $2`
	deleteDevices = `DELETE FROM devices WHERE subject = $1`
)

// crowdDevices deletes the devices that are too many beside a new one, $2.
func (d Dialect) crowdDevices() string {
	rows := fmt.Sprintf(`SELECT %s FROM devices WHERE subject = $1 AND id <> $2 ORDER BY last_used DESC, id DESC LIMIT %d OFFSET %d`, d.Row, mostRows,
		storage.MaxDevices-1)
	return `DELETE FROM devices WHERE ` + fmt.Sprintf(d.In, d.Row, rows)
}

func readDevice(scan Scan) (*storage.Device, error) {
	var (
		d                          storage.Device
		created, lastUsed, expires int64
	)
	err := scan(&d.ID, &d.Subject, &d.CookieHash, &d.Previous, &d.Epoch, &d.UserAgent, &d.IP, &created, &lastUsed, &expires)
	d.Created, d.LastUsed, d.Expires = readTime(created), readTime(lastUsed), readTime(expires)
	return &d, err
}

// CreateDevice implements storage.DeviceStore. The user's row is held while the others are counted.
func (s *Store) CreateDevice(ctx context.Context, d *storage.Device) error {
	return s.tx(ctx, func(q Query) error {
		if _, err := s.holdUser(ctx, q, d.Subject); err != nil {
			return err
		}
		if _, err := q.Exec(ctx, insertDevice, d.ID, d.Subject, d.CookieHash, d.Previous, d.Epoch, plain(d.UserAgent), plain(d.IP), micros(d.Created),
			micros(d.LastUsed), micros(d.Expires)); err != nil {
			return err
		}
		_, err := q.Exec(ctx, s.dialect.crowdDevices(), d.Subject, d.ID)
		return err
	})
}

// UseDevice implements storage.DeviceStore: the conditional update decides. Who comes later with the same cookie holds a copy, and the device is worth nothing
// any more.
func (s *Store) UseDevice(ctx context.Context, subject, old, next string, at time.Time) (*storage.Device, error) {
	if !storable(subject) || !storable(old) {
		return nil, storage.ErrNotFound
	}
	var (
		d       *storage.Device
		refused error
	)
	err := s.tx(ctx, func(q Query) (err error) {
		d, err = one(ctx, q, readDevice, useDevice, subject, micros(at), old, next, micros(at.Add(-storage.DeviceGrace)))
		if refused = err; !errors.Is(err, storage.ErrNotFound) {
			return err
		}
		copied, err := q.Exec(ctx, dropCopied, subject, micros(at), old)
		if copied > 0 {
			refused = storage.ErrConsumed
		}
		return err
	})
	if err == nil {
		err = refused
	}
	if err != nil {
		return nil, err
	}
	return d, nil
}

// DevicesOf implements storage.DeviceStore.
func (s *Store) DevicesOf(ctx context.Context, subject string) ([]*storage.Device, error) {
	return list(ctx, s.db, readDevice, listDevices, subject, micros(s.now()))
}

// DeleteDevice implements storage.DeviceStore.
func (s *Store) DeleteDevice(ctx context.Context, subject, id string) error {
	text, args := deleteDevices, []any{subject}
	if id != "" {
		text, args = deleteDevice, append(args, id)
	}
	_, err := s.update(ctx, text, args...)
	return err
}
