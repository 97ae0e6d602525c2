package session

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/provider/web"
	"gatehouse/storage"
)

// Several people, or one person with several accounts, may be signed in in one browser. One session is the browser's; the others are parked: their cookies' values wait
// in cookies of their own, which count for nothing until the person chooses one of them. There are two, because the browser decides what outlives it: one goes with it, and one keeps the sessions that are
// remembered. A value's place in its cookie is its place in the order of all of them, so the places of those in the other cookie are empty.

const (
	parkedCookie = "gth_more"
	keptCookie   = "gth_kept"
	// maxParked bounds the cookies.
	maxParked      = 4
	maxParkedBytes = 256
)

// Parked returns the sessions of this browser that wait beside the current one, in the order in which they were parked. Those that are over are left out.
func (s *Sessions) Parked(r *http.Request) ([]*Current, error) {
	waiting, err := s.parked(r)
	if err != nil {
		return nil, err
	}
	var out []*Current
	for _, p := range waiting {
		if p.live {
			out = append(out, &Current{Session: p.session, User: p.user})
		}
	}
	return out, nil
}

// parking is a parked session with its cookie's value.
type parking struct {
	value string
	found
}

// parked reads the parked sessions. What finds nothing is left out, and so is the session of the browser itself.
func (s *Sessions) parked(r *http.Request) ([]parking, error) {
	var out []parking
	for _, value := range parkedValues(r) {
		f, err := s.look(r.Context(), web.Hash(value))
		if err != nil {
			return nil, err
		}
		if f.session != nil {
			out = append(out, parking{value, f})
		}
	}
	return out, nil
}

func parkedValues(r *http.Request) []string {
	current, _ := web.Cookie(r, web.SessionCookie)
	passing, lasting := places(r, parkedCookie), places(r, keptCookie)
	var out []string
	for i := range maxParked {
		for _, value := range []string{lasting[i], passing[i]} {
			if web.WellFormed(value) && value != current && !slices.Contains(out, value) && len(out) < maxParked {
				out = append(out, value)
			}
		}
	}
	return out
}

// places reads one of the two cookies.
func places(r *http.Request, name string) (values [maxParked]string) {
	if text, _ := web.Cookie(r, name); len(text) <= maxParkedBytes {
		copy(values[:], strings.Split(text, "."))
	}
	return values
}

// setParked keeps what waits, the latest if there is too much: each session in the cookie that lasts as long as the session's own cookie would.
func (s *Sessions) setParked(w http.ResponseWriter, r *http.Request, waiting []parking) {
	waiting = waiting[max(0, len(waiting)-maxParked):]
	passing, lasting := make([]string, len(waiting)), make([]string, len(waiting))
	var life time.Duration
	for i, p := range waiting {
		if p.session.Remembered {
			lasting[i], life = p.value, max(life, p.session.Absolute.Sub(s.now()))
		} else {
			passing[i] = p.value
		}
	}
	setPlaces(w, r, parkedCookie, passing, 0)
	setPlaces(w, r, keptCookie, lasting, life)
}

func setPlaces(w http.ResponseWriter, r *http.Request, name string, values []string, life time.Duration) {
	text := strings.Join(values, ".")
	if strings.Trim(text, ".") != "" {
		web.SetCookie(w, r, name, text, life, true)
	} else if _, ok := web.Cookie(r, name); ok {
		web.ClearCookie(w, r, name)
	}
}

// settle brings what is parked in order before subject signs in: an earlier session of the same person ends, and with keep that of another is parked and no longer the browser's own. Somebody who was not
// here before and did not ask for an account beside the others must not find those of others (security row 183): they end.
func (s *Sessions) settle(w http.ResponseWriter, r *http.Request, own found, login Login) (found, error) {
	parks := login.Keep && own.live && own.session.Subject != login.Subject
	waiting, err := s.parked(r)
	if err != nil || !parks && len(waiting) == 0 {
		return own, err
	}
	known := login.Keep || own.session != nil && own.session.Subject == login.Subject ||
		slices.ContainsFunc(waiting, func(p parking) bool { return p.session.Subject == login.Subject })
	var stay []parking
	for _, p := range waiting {
		if known && p.live && p.session.Subject != login.Subject {
			stay = append(stay, p)
		} else if err := s.endByID(r.Context(), p.session.ID); err != nil {
			return own, err
		}
	}
	if parks {
		if value, ok := web.Cookie(r, web.SessionCookie); ok {
			stay, own = append(stay, parking{value, own}), found{}
		}
	}
	for ; len(stay) > maxParked; stay = stay[1:] { // nobody could reach it any more
		if err := s.endByID(r.Context(), stay[0].session.ID); err != nil {
			return own, err
		}
	}
	s.setParked(w, r, stay)
	return own, nil
}

// Switch makes a parked session the browser's and parks the present one; the present one may be chosen, too. Both get new cookies (security row 179). storage.ErrNotFound if this browser has no such
// session, or it is over.
func (s *Sessions) Switch(w http.ResponseWriter, r *http.Request, id string) (*Current, error) {
	current, err := s.Current(r)
	if err != nil {
		return nil, err
	}
	if current != nil && current.Session.ID == id {
		return current, nil
	}
	waiting, err := s.parked(r)
	if err != nil {
		return nil, err
	}
	var chosen *parking
	var stay []parking
	for i, p := range waiting {
		switch {
		case p.live && p.session.ID == id:
			chosen = &waiting[i]
		case p.live:
			stay = append(stay, p)
		}
	}
	if chosen == nil {
		return nil, fmt.Errorf("switch session: %w", storage.ErrNotFound)
	}
	value, err := s.recut(r.Context(), chosen.session.ID)
	if err != nil {
		return nil, err
	}
	if current != nil {
		parked, err := s.recut(r.Context(), current.Session.ID)
		if err != nil && !errors.Is(err, storage.ErrNotFound) { // it keeps its cookie: a session whose cookie nobody has could not even be signed out of
			parked, _ = web.Cookie(r, web.SessionCookie)
		}
		if parked != "" {
			stay = append(stay, parking{parked, found{session: current.Session}})
		}
	}
	s.setParked(w, r, stay)
	s.forgetFound(r)
	s.setCookie(w, r, value, chosen.session)
	s.changeState(w, r)
	return &Current{Session: chosen.session, User: chosen.user}, nil
}

// recut gives a session a new cookie value; the old one finds nothing any more.
func (s *Sessions) recut(ctx context.Context, id string) (string, error) {
	value := web.RandomValue()
	if _, err := s.Store.UpdateSession(ctx, id, func(row *storage.Session) error {
		row.CookieHash = web.Hash(value)
		return nil
	}); err != nil {
		return "", fmt.Errorf("change cookie of session: %w", err)
	}
	return value, nil
}

// endParked ends what waits in this browser: who signs out leaves nobody signed in (security row 183). It returns what could still be chosen: of other people's sessions that were over already nobody here learns.
func (s *Sessions) endParked(w http.ResponseWriter, r *http.Request) ([]*Ended, error) {
	waiting, err := s.parked(r)
	if err != nil {
		return nil, err
	}
	var all []*Ended
	for _, p := range waiting {
		ended, err := s.end(r.Context(), p.session)
		if err != nil {
			return nil, err
		}
		if p.live {
			all = append(all, ended)
		}
	}
	s.setParked(w, r, nil)
	return all, nil
}

func (s *Sessions) endByID(ctx context.Context, id string) error {
	if err := s.Store.EndSession(ctx, id); err != nil {
		return fmt.Errorf("end parked session: %w", err)
	}
	return nil
}
