package sqlstore

import (
	"context"

	"gatehouse/storage"
)

const (
	insertNotice = `INSERT INTO notices (id, subject, kind, client_id, created) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (subject, kind, client_id) DO NOTHING`
	selectNotices = `SELECT id, subject, kind, client_id, created FROM notices WHERE subject = $1 ORDER BY created DESC, id DESC LIMIT 20`
	dismissNotice = `DELETE FROM notices WHERE subject = $1 AND id = $2`
)

func readNotice(scan Scan) (*storage.Notice, error) {
	var (
		n       storage.Notice
		created int64
	)
	err := scan(&n.ID, &n.Subject, &n.Kind, &n.ClientID, &created)
	n.Created = readTime(created)
	return &n, err
}

// CreateNotice implements storage.NoticeStore.
func (s *Store) CreateNotice(ctx context.Context, n *storage.Notice) error {
	_, err := s.exec(ctx, insertNotice, n.ID, n.Subject, n.Kind, n.ClientID, micros(n.Created))
	return err
}

// Notices implements storage.NoticeStore.
func (s *Store) Notices(ctx context.Context, subject string) ([]*storage.Notice, error) {
	return list(ctx, s.db, readNotice, selectNotices, subject)
}

// DismissNotice implements storage.NoticeStore.
func (s *Store) DismissNotice(ctx context.Context, subject, id string) error {
	_, err := s.update(ctx, dismissNotice, subject, id)
	return err
}
