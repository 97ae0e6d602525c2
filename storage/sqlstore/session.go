package sqlstore

import (
	"context"
	"fmt"
	"time"

	"gatehouse/storage"
)

const (
	// sessionColumns leave out upstream_token, which is large and which hardly anybody asks for.
	sessionColumns = `id, cookie_hash, subject, epoch, auth_time, amr, acr, user_agent, ip, created, last_seen, absolute, upstream, external_id, upstream_sid, remembered`
	// joinedSession is sessionColumns of the sessions s of a JOIN.
	joinedSession = `s.id, s.cookie_hash, s.subject, s.epoch, s.auth_time, s.amr, s.acr, s.user_agent, s.ip, s.created, s.last_seen, s.absolute, s.upstream,
		s.external_id, s.upstream_sid, s.remembered`
	insertSession = `INSERT INTO sessions (` + sessionColumns + `, upstream_token)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17)`
	selectSession = `SELECT ` + sessionColumns + `, upstream_token FROM sessions WHERE id = $1`
	selectCookie  = `SELECT ` + joinedSession + `, ` + joinedUser + `
		FROM sessions s JOIN users u ON u.subject = s.subject AND u.epoch = s.epoch WHERE s.cookie_hash = $1 AND s.absolute > $2`
	updateSession = `UPDATE sessions SET cookie_hash = $2, auth_time = $3, amr = $4, acr = $5, user_agent = $6, ip = $7, last_seen = $8, absolute = $9,
		epoch = $10, upstream = $11, external_id = $12, upstream_sid = $13, upstream_token = $14, remembered = $15 WHERE id = $1`
	touchSession = `UPDATE sessions SET last_seen = $2 WHERE id = $1 AND last_seen < $2`
	selectOwn    = `SELECT ` + sessionColumns + ` FROM sessions WHERE subject = $1 AND absolute > $2 ORDER BY created DESC, id DESC`
	listSessions = `SELECT ` + joinedSession + `
		FROM sessions s JOIN users u ON u.subject = s.subject AND u.epoch = s.epoch WHERE s.id > $1 AND s.absolute > $2 ORDER BY s.id LIMIT $3`
	selectUpstreamToken = `SELECT upstream_token FROM sessions WHERE id = $1 AND absolute > $2`
)

// sessionRow receives the columns of a session.
type sessionRow struct {
	storage.Session
	amr                                   []byte
	authTime, created, lastSeen, absolute int64
}

// dest is sessionColumns, in their order.
func (r *sessionRow) dest() []any {
	return []any{&r.ID, &r.CookieHash, &r.Subject, &r.Epoch, &r.authTime, &r.amr, &r.ACR, &r.UserAgent, &r.IP, &r.created, &r.lastSeen, &r.absolute,
		&r.Upstream, &r.ExternalID, &r.UpstreamSID, &r.Remembered}
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

// readWhole reads a row of selectSession.
func readWhole(scan Scan) (*storage.Session, error) {
	var r sessionRow
	if err := scan(append(r.dest(), &r.UpstreamToken)...); err != nil {
		return nil, err
	}
	r.UpstreamToken = readBlob(r.UpstreamToken)
	return r.session()
}

// CreateSession implements storage.SessionStore.
func (s *Store) CreateSession(ctx context.Context, n *storage.Session) error {
	amr, err := encode(n.AMR)
	if err != nil {
		return err
	}
	_, err = s.exec(ctx, insertSession, n.ID, n.CookieHash, n.Subject, n.Epoch, micros(n.AuthTime), amr, n.ACR, plain(n.UserAgent), plain(n.IP),
		micros(n.Created), micros(n.LastSeen), micros(n.Absolute), n.Upstream, n.ExternalID, n.UpstreamSID, n.Remembered, blob(n.UpstreamToken))
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
		if n, err = one(ctx, q, readWhole, selectSession+s.dialect.Lock, id); err != nil {
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
			n.Epoch, n.Upstream, n.ExternalID, n.UpstreamSID, blob(n.UpstreamToken), n.Remembered)
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
		if err := s.endSessions(ctx, q, bySession, id); err != nil {
			return err
		}
		_, err := s.revoke(ctx, q, storage.Revocation{Kind: storage.RevokeSession, ID: id})
		return err
	})
}

// EndUpstreamSessions implements storage.UpstreamSessionStore.
func (s *Store) EndUpstreamSessions(ctx context.Context, upstream, externalID, sid string) (int, error) {
	if externalID == "" && sid == "" {
		return 0, nil
	}
	text, args := selectUpstream(upstream, externalID, sid)
	ids, err := list(ctx, s.db, readText, text, args...)
	if err != nil {
		return 0, err
	}
	for n, id := range ids {
		if err := s.EndSession(ctx, id); err != nil {
			return n, err
		}
	}
	return len(ids), nil
}

// selectUpstream is the statement that finds the sessions of an account, of a provider's session, or of both; an empty text names nothing.
func selectUpstream(upstream, externalID, sid string) (string, []any) {
	text, args := `SELECT id FROM sessions WHERE upstream = $1 AND upstream <> ''`, []any{upstream}
	if externalID != "" {
		args = append(args, externalID)
		text += fmt.Sprintf(` AND external_id = $%d`, len(args))
	}
	if sid != "" {
		args = append(args, sid)
		text += fmt.Sprintf(` AND (upstream_sid = $%d%s)`, len(args), map[bool]string{true: ` OR upstream_sid = ''`}[externalID != ""])
	}
	return text + ` ORDER BY id`, args
}

// UpstreamToken implements storage.UpstreamSessionStore.
func (s *Store) UpstreamToken(ctx context.Context, id string) ([]byte, error) {
	var token []byte
	err := only(ctx, s.db, selectUpstreamToken, []any{id, micros(s.now())}, &token)
	return readBlob(token), err
}

// SessionsOf implements storage.SessionStore.
func (s *Store) SessionsOf(ctx context.Context, subject string) ([]*storage.Session, error) {
	return list(ctx, s.db, readSession, selectOwn, subject, micros(s.now()))
}

// ListSessions implements storage.SessionStore.
func (s *Store) ListSessions(ctx context.Context, after string, limit int) ([]*storage.Session, error) {
	return list(ctx, s.db, readSession, listSessions, after, micros(s.now()), limit)
}
