package sqlstore

import (
	"context"
	"slices"

	"gatehouse/storage"
)

const (
	consentColumns = `subject, client_id, scopes, resources, created, updated`
	selectConsent  = `SELECT ` + consentColumns + ` FROM consents WHERE subject = $1 AND client_id = $2`
	// lockConsent makes the row or locks it, so that concurrent grants, first ones too, come one after the other.
	lockConsent = `INSERT INTO consents (` + consentColumns + `) VALUES ($1, $2, 'null', 'null', $3, $3)
		ON CONFLICT (subject, client_id) DO UPDATE SET updated = excluded.updated RETURNING ` + consentColumns
	updateConsent = `UPDATE consents SET scopes = $3, resources = $4, updated = $5 WHERE subject = $1 AND client_id = $2`
	deleteConsent = `DELETE FROM consents WHERE subject = $1 AND client_id = $2`
	listConsents  = `SELECT ` + consentColumns + ` FROM consents WHERE subject = $1 ORDER BY client_id`
)

func readConsent(scan Scan) (*storage.Consent, error) {
	var (
		c                 storage.Consent
		scopes, resources []byte
		created, updated  int64
	)
	if err := scan(&c.Subject, &c.ClientID, &scopes, &resources, &created, &updated); err != nil {
		return nil, err
	}
	c.Created, c.Updated = readTime(created), readTime(updated)
	if err := decode(scopes, &c.Scopes); err != nil {
		return nil, err
	}
	return &c, decode(resources, &c.Resources)
}

// Consent implements storage.ConsentStore.
func (s *Store) Consent(ctx context.Context, subject, clientID string) (*storage.Consent, error) {
	return one(ctx, s.db, readConsent, selectConsent, subject, clientID)
}

// GrantConsent implements storage.ConsentStore.
func (s *Store) GrantConsent(ctx context.Context, c *storage.Consent) error {
	now := micros(s.now())
	return s.tx(ctx, func(q Query) error {
		row, err := one(ctx, q, readConsent, lockConsent, c.Subject, c.ClientID, now)
		if err != nil {
			return err
		}
		scopes, err := encode(union(row.Scopes, c.Scopes))
		if err != nil {
			return err
		}
		resources, err := encode(union(row.Resources, c.Resources))
		if err != nil {
			return err
		}
		_, err = q.Exec(ctx, updateConsent, c.Subject, c.ClientID, scopes, resources, now)
		return err
	})
}

func union(a, b []string) []string {
	all := slices.Concat(a, b)
	slices.Sort(all)
	return slices.Compact(all)
}

// ConsentsOf implements storage.ConsentStore.
func (s *Store) ConsentsOf(ctx context.Context, subject string) ([]*storage.Consent, error) {
	return list(ctx, s.db, readConsent, listConsents, subject)
}

// RevokeConsent implements storage.ConsentStore.
func (s *Store) RevokeConsent(ctx context.Context, subject, clientID string) error {
	if !storable(subject) || !storable(clientID) {
		return nil // in no row, of no token
	}
	return s.tx(ctx, func(q Query) error {
		if _, err := q.Exec(ctx, deleteConsent, subject, clientID); err != nil {
			return err
		}
		_, err := s.revoke(ctx, q, storage.Revocation{Kind: storage.RevokeSubjectClient, ID: storage.SubjectClient(subject, clientID)})
		return err
	})
}
