package sqlstore

import (
	"context"
	"time"

	"gatehouse/storage"
)

const (
	sessionColumns = `id, cookie_hash, subject, epoch, auth_time, amr, acr, user_agent, ip, created, last_seen, absolute`
	insertSession  = `INSERT INTO sessions (` + sessionColumns + `) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`
	selectSession  = `SELECT ` + sessionColumns + ` FROM sessions WHERE id = $1`
	selectCookie   = `SELECT s.id, s.cookie_hash, s.subject, s.epoch, s.auth_time, s.amr, s.acr, s.user_agent, s.ip, s.created, s.last_seen, s.absolute,
		u.subject, u.email, u.email_key, u.email_verified, u.username, u.username_key, u.disabled, u.epoch, u.claims, u.created, u.updated
		FROM sessions s JOIN users u ON u.subject = s.subject AND u.epoch = s.epoch WHERE s.cookie_hash = $1 AND s.absolute > $2`
	updateSession = `UPDATE sessions SET cookie_hash = $2, auth_time = $3, amr = $4, acr = $5, user_agent = $6, ip = $7, last_seen = $8, absolute = $9,
		epoch = $10 WHERE id = $1`
	touchSession  = `UPDATE sessions SET last_seen = $2 WHERE id = $1 AND last_seen < $2`
	deleteSession = `DELETE FROM sessions WHERE id = $1`
	listSessions  = `SELECT ` + sessionColumns + ` FROM sessions WHERE subject = $1 AND absolute > $2 ORDER BY created DESC, id DESC`
)

// sessionRow receives the columns of a session.
type sessionRow struct {
	storage.Session
	amr                                   []byte
	authTime, created, lastSeen, absolute int64
}

// dest is sessionColumns, in their order.
func (r *sessionRow) dest() []any {
	return []any{&r.ID, &r.CookieHash, &r.Subject, &r.Epoch, &r.authTime, &r.amr, &r.ACR, &r.UserAgent, &r.IP, &r.created, &r.lastSeen, &r.absolute}
}

func (r *sessionRow) session() (*storage.Session, error) {
	r.AuthTime, r.Created, r.LastSeen, r.Absolute = readTime(r.authTime), readTime(r.created), readTime(r.lastSeen), readTime(r.absolute)
	if err := decode(r.amr, &r.AMR); err != nil {
		return nil, err
	}
	return &r.Session, nil
}

func readSession(scan Scan) (*storage.Session, error) {
	var r sessionRow
	if err := scan(r.dest()...); err != nil {
		return nil, err
	}
	return r.session()
}

// CreateSession implements storage.SessionStore.
func (s *Store) CreateSession(ctx context.Context, n *storage.Session) error {
	amr, err := encode(n.AMR)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, insertSession, n.ID, n.CookieHash, n.Subject, n.Epoch, micros(n.AuthTime), amr, n.ACR, plain(n.UserAgent), plain(n.IP),
		micros(n.Created), micros(n.LastSeen), micros(n.Absolute))
	return err
}

// SessionByCookie implements storage.SessionStore.
func (s *Store) SessionByCookie(ctx context.Context, cookieHash string) (*storage.Session, *storage.User, error) {
	var (
		sr sessionRow
		ur userRow
	)
	if err := only(ctx, s.db, selectCookie, []any{cookieHash, micros(s.now())}, append(sr.dest(), ur.dest()...)...); err != nil {
		return nil, nil, err
	}
	session, err := sr.session()
	if err != nil {
		return nil, nil, err
	}
	user, err := ur.user()
	return session, user, err
}

// UpdateSession implements storage.SessionStore.
func (s *Store) UpdateSession(ctx context.Context, id string, change func(*storage.Session) error) (*storage.Session, error) {
	var n *storage.Session
	err := s.tx(ctx, func(q Query) (err error) {
		if n, err = one(ctx, q, readSession, selectSession+s.dialect.Lock, id); err != nil {
			return err
		}
		subject, created := n.Subject, n.Created
		if err := change(n); err != nil {
			return err
		}
		n.ID, n.Subject, n.Created = id, subject, created
		n.AuthTime, n.LastSeen, n.Absolute = trim(n.AuthTime), trim(n.LastSeen), trim(n.Absolute)
		n.UserAgent, n.IP = plain(n.UserAgent), plain(n.IP)
		amr, err := encode(n.AMR)
		if err != nil {
			return err
		}
		_, err = q.Exec(ctx, updateSession, id, n.CookieHash, micros(n.AuthTime), amr, n.ACR, n.UserAgent, n.IP, micros(n.LastSeen), micros(n.Absolute),
			n.Epoch)
		return err
	})
	if err != nil {
		return nil, err
	}
	return n, nil
}

// TouchSession implements storage.SessionStore.
func (s *Store) TouchSession(ctx context.Context, id string, at time.Time) error {
	_, err := s.update(ctx, touchSession, id, micros(at))
	return err
}

// EndSession implements storage.SessionStore.
func (s *Store) EndSession(ctx context.Context, id string) error {
	return s.tx(ctx, func(q Query) error {
		if _, err := q.Exec(ctx, deleteSession, id); err != nil {
			return err
		}
		_, err := s.revoke(ctx, q, storage.Revocation{Kind: storage.RevokeSession, ID: id})
		return err
	})
}

// SessionsOf implements storage.SessionStore.
func (s *Store) SessionsOf(ctx context.Context, subject string) ([]*storage.Session, error) {
	return list(ctx, s.db, readSession, listSessions, subject, micros(s.now()))
}
