package session

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode"

	"gatehouse/provider/web"
	"gatehouse/storage"
)

// Store is what the package needs of the storage contract.
type Store interface {
	CreateSession(ctx context.Context, s *storage.Session) error
	SessionByCookie(ctx context.Context, cookieHash string) (*storage.Session, *storage.User, error)
	UpdateSession(ctx context.Context, id string, change func(*storage.Session) error) (*storage.Session, error)
	TouchSession(ctx context.Context, id string, at time.Time) error
	EndSession(ctx context.Context, id string) error
	AddSessionClient(ctx context.Context, sessionID, clientID string) error
	SessionClients(ctx context.Context, sessionID string) ([]string, error)
}

// Options build Sessions.
type Options struct {
	Store Store
	// Idle ends a session that was not used for so long; Absolute ends it so long after the last sign-in. Zero means 30 minutes and 12 hours.
	Idle, Absolute time.Duration
	// Remember is how long a session lasts that outlives the browser, used or not; zero: there is none.
	Remember time.Duration
	// Management keeps the cookie by which relying parties notice that another person, or nobody, is signed in (OpenID Connect Session Management 1.0).
	Management bool
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Sessions starts, finds and ends browser sessions.
type Sessions struct {
	Options
	joined pairs
}

// New returns Sessions.
func New(o Options) *Sessions {
	if o.Idle == 0 {
		o.Idle = 30 * time.Minute
	}
	if o.Absolute == 0 {
		o.Absolute = 12 * time.Hour
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Sessions{Options: o}
}

// touchEvery bounds the writes that using a session costs.
const touchEvery = time.Minute

// Current is who is signed in.
type Current struct {
	Session *storage.Session
	User    *storage.User
}

// Login is what a sign-in has proven.
type Login struct {
	Subject string
	AMR     []string // RFC 8176
	ACR     string
	// Epoch is the user's epoch when the sign-in was proven: if it has moved on since, the session is dead from the start.
	Epoch int64
	// AuthTime is when the person was last asked, if that was not now: a provider of another sign-in said so. Zero, or a time to come, means now.
	AuthTime time.Time
	// Upstream, ExternalID, UpstreamSID and UpstreamToken are those of storage.Session; empty for a local sign-in.
	Upstream, ExternalID, UpstreamSID string
	UpstreamToken                     []byte
	// Remember makes the session outlive the browser, if there is such a thing.
	Remember bool
	// Keep parks the session of another person instead of ending it: the person at the browser asked for another account beside it.
	Keep bool
}

// memoKey is where the outcome of a request's one read is kept.
type memoKey struct{ of *Sessions }

// found is the row behind the request's cookie; both are nil if there is none.
type found struct {
	session *storage.Session
	user    *storage.User
	live    bool // not idle, not over, user enabled
}

// Current returns the session of the request's cookie and its user, or nil if nobody is signed in: no cookie, unknown, idle for too long, past its absolute
// limit, or the user is disabled. It reads the store once a request and writes at most once a minute. Whatever the store cannot say is an error,
// never a session and never "nobody".
func (s *Sessions) Current(r *http.Request) (*Current, error) {
	f, err := s.find(r)
	if err != nil || !f.live {
		return nil, err
	}
	return &Current{Session: f.session, User: f.user}, nil
}

// Held returns the session that signing out would end: that of Current, or one that was idle for too long or whose user is disabled, which is not live. It
// is nil if the request's cookie finds nothing.
func (s *Sessions) Held(r *http.Request) (held *Current, live bool, err error) {
	f, err := s.find(r)
	if err != nil || f.session == nil {
		return nil, false, err
	}
	return &Current{Session: f.session, User: f.user}, f.live, nil
}

// Forget makes the rest of the request see no session: it turned out to have ended since it was read.
func (s *Sessions) Forget(r *http.Request) { web.Remember(r, memoKey{s}, found{}) }

func (s *Sessions) find(r *http.Request) (found, error) {
	if kept, ok := web.Recall(r, memoKey{s}).(found); ok {
		return kept, nil
	}
	var f found
	if hash, ok := cookieHash(r); ok {
		var err error
		if f, err = s.look(r.Context(), hash); err != nil {
			return found{}, err
		}
	}
	if now := s.Now(); f.live && now.Sub(f.session.LastSeen) >= touchEvery {
		if err := s.Store.TouchSession(r.Context(), f.session.ID, now); err != nil {
			return found{}, fmt.Errorf("touch session: %w", err)
		}
	}
	web.Remember(r, memoKey{s}, f)
	return f, nil
}

// look reads the row behind the hash of a cookie.
func (s *Sessions) look(ctx context.Context, hash string) (found, error) {
	session, user, err := s.Store.SessionByCookie(ctx, hash)
	if errors.Is(err, storage.ErrNotFound) {
		return found{}, nil
	}
	if err != nil {
		return found{}, fmt.Errorf("read session: %w", err)
	}
	now := s.Now()
	idle := now.Sub(session.LastSeen) >= s.Idle && !session.Remembered
	return found{session, user, !idle && now.Before(session.Absolute) && !user.Disabled}, nil
}

// cookieHash returns the hash of the request's session cookie, if it can be one of ours.
func cookieHash(r *http.Request) (string, bool) {
	value, ok := web.Cookie(r, web.SessionCookie)
	if !ok || !web.WellFormed(value) {
		return "", false
	}
	return web.Hash(value), true
}

// Start signs a person in and replaces the browser's cookie; the old cookie finds nothing any more. The same person keeps the session and its id (an idle one
// too: tokens are bound to it), with a fresh authentication time and a fresh absolute limit. Another person's session ends first, as if signed out, or is parked (Login.Keep).
func (s *Sessions) Start(w http.ResponseWriter, r *http.Request, login Login) (*storage.Session, error) {
	f, err := s.find(r)
	if err != nil {
		return nil, err
	}
	cookie := web.RandomValue()
	fill := func(row *storage.Session) error {
		now := s.now()
		row.CookieHash, row.AuthTime, row.LastSeen, row.Absolute = web.Hash(cookie), now, now, now.Add(s.Absolute)
		if row.Remembered = login.Remember && s.Remember > 0; row.Remembered {
			row.Absolute = now.Add(s.Remember)
		}
		if told := login.AuthTime.UTC().Truncate(time.Microsecond); !told.IsZero() && told.Before(now) {
			row.AuthTime = told
		}
		row.AMR, row.ACR, row.Epoch = login.AMR, login.ACR, login.Epoch
		row.Upstream, row.ExternalID, row.UpstreamSID, row.UpstreamToken = login.Upstream, login.ExternalID, login.UpstreamSID, login.UpstreamToken
		row.UserAgent, row.IP = Printable(r.UserAgent()), Peer(r)
		return nil
	}
	if f, err = s.settle(w, r, f, login); err != nil {
		return nil, err
	}
	row, err := s.renew(r.Context(), f.session, login.Subject, fill)
	if err == nil && row == nil {
		row, err = s.create(r.Context(), login.Subject, fill)
	}
	if err != nil {
		return nil, err
	}
	s.forgetFound(r)
	s.setCookie(w, r, cookie, row)
	s.changeState(w, r)
	return row, nil
}

// forgetFound makes the next look of the request read the store.
func (s *Sessions) forgetFound(r *http.Request) { web.Remember(r, memoKey{s}, nil) }

// setCookie gives the browser the cookie of a session.
func (s *Sessions) setCookie(w http.ResponseWriter, r *http.Request, value string, row *storage.Session) {
	var life time.Duration // until the browser closes
	if row.Remembered {
		life = row.Absolute.Sub(s.now())
	}
	web.SetCookie(w, r, web.SessionCookie, value, life, true)
}

// Rotate gives the session of the request a new cookie, after something that made it worth more (security row 179); the old cookie finds nothing any more. It returns
// storage.ErrNotFound if nobody is signed in.
func (s *Sessions) Rotate(w http.ResponseWriter, r *http.Request) error {
	current, err := s.Current(r)
	if err != nil {
		return err
	}
	if current == nil {
		return fmt.Errorf("rotate session: %w", storage.ErrNotFound)
	}
	cookie, err := s.recut(r.Context(), current.Session.ID)
	if err != nil {
		return fmt.Errorf("rotate session: %w", err)
	}
	s.forgetFound(r)
	s.setCookie(w, r, cookie, current.Session)
	return nil
}

// renew changes the row of the same person, ends that of another, and returns nil if a new one is needed.
func (s *Sessions) renew(ctx context.Context, old *storage.Session, subject string, fill func(*storage.Session) error) (*storage.Session, error) {
	if old == nil {
		return nil, nil
	}
	if old.Subject != subject {
		if err := s.Store.EndSession(ctx, old.ID); err != nil {
			return nil, fmt.Errorf("end previous session: %w", err)
		}
		return nil, nil
	}
	row, err := s.Store.UpdateSession(ctx, old.ID, fill)
	if errors.Is(err, storage.ErrNotFound) { // ended elsewhere in the meantime: it stays ended
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("renew session: %w", err)
	}
	return row, nil
}

func (s *Sessions) create(ctx context.Context, subject string, fill func(*storage.Session) error) (*storage.Session, error) {
	var id [16]byte
	rand.Read(id[:]) // never fails
	row := &storage.Session{ID: base64.RawURLEncoding.EncodeToString(id[:]), Subject: subject, Created: s.now()}
	if err := fill(row); err != nil {
		return nil, err
	}
	if err := s.Store.CreateSession(ctx, row); err != nil {
		return nil, fmt.Errorf("create session: %w", err)
	}
	return row, nil
}

// Ended is a session that is over, with the clients that took part in it, disabled and deleted ones too.
type Ended struct {
	Session *storage.Session
	Clients []string
}

// End signs the browser out: the session and everything bound to it ends in the store, and so do those that are parked; then the cookies go. It returns what ended, the browser's own session first if there was
// one. If the store fails the cookie stays, and so does the error.
func (s *Sessions) End(w http.ResponseWriter, r *http.Request) ([]*Ended, error) {
	f, err := s.find(r)
	if err != nil {
		return nil, err
	}
	var all []*Ended
	if f.session != nil {
		own, err := s.end(r.Context(), f.session)
		if err != nil {
			return nil, err
		}
		all = append(all, own)
	}
	parked, err := s.endParked(w, r)
	if err != nil {
		return nil, err
	}
	s.Forget(r)
	web.ClearCookie(w, r, web.SessionCookie)
	s.changeState(w, r)
	return append(all, parked...), nil
}

// end ends one session of the browser. Its clients are read before they go with it.
func (s *Sessions) end(ctx context.Context, row *storage.Session) (*Ended, error) {
	clients, err := s.Store.SessionClients(ctx, row.ID)
	if err != nil {
		return nil, fmt.Errorf("list clients of session: %w", err)
	}
	if err := s.Store.EndSession(ctx, row.ID); err != nil {
		return nil, fmt.Errorf("end session: %w", err)
	}
	return &Ended{Session: row, Clients: clients}, nil
}

// now is the clock as the store keeps it, so that what is returned equals what is read later.
func (s *Sessions) now() time.Time { return s.Now().UTC().Truncate(time.Microsecond) }

// maxAgent is the longest user agent that is kept, in bytes.
const maxAgent = 256

// Printable keeps what can be stored and shown everywhere.
func Printable(text string) string {
	text = strings.Map(func(c rune) rune {
		if unicode.IsPrint(c) {
			return c
		}
		return -1
	}, strings.ToValidUTF8(text, ""))
	if len(text) > maxAgent {
		text = strings.ToValidUTF8(text[:maxAgent], "")
	}
	return text
}

// Peer is the address that a request came from, as it is kept with sessions.
func Peer(r *http.Request) string {
	if address := web.Peer(r); address.IsValid() {
		return address.String()
	}
	return ""
}
