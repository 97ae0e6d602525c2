package playground

import (
	"crypto/rand"
	"crypto/subtle"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"gatehouse/provider/rp"
)

const (
	cookieName = "playground"
	maxVisits  = 200
	visitIdle  = time.Hour
	maxHistory = 8
)

// visit is one browser's session at the playground.
type visit struct {
	mu   sync.Mutex
	csrf string
	// attempt is the authorization request that waits for its answer; nil if none does.
	attempt *rp.Attempt
	run     *run
	// farewell is the logout request that this browser left with; nil if it did not.
	farewell *farewell
}

// farewell is a logout request (RP-Initiated Logout 1.0 section 2). Its URL is kept for the page, without the ID token.
type farewell struct{ url, state string }

// run is what came of one attempt.
type run struct {
	attempt  rp.Attempt
	response url.Values // the parameters of the callback
	messages []message
	tokens   *rp.Tokens // nil if the attempt failed
	userinfo map[string]any
	history  []action // newest first
	problem  *problem
}

// action is one button that was pressed after sign-in.
type action struct {
	Title    string
	Outcome  string
	Problem  *problem
	messages []message
}

func (r *run) remember(a action) {
	r.history = append([]action{a}, r.history...)
	if len(r.history) > maxHistory {
		r.history = r.history[:maxHistory]
	}
}

func newVisit() *visit { return &visit{csrf: rand.Text()} }

// cameBack tells whether the provider has just sent the browser back from the logout that it left for. Anybody can link here; the state nobody else knows.
func (v *visit) cameBack(r *http.Request) bool {
	state := r.URL.Query().Get("state")
	return v.farewell != nil && subtle.ConstantTimeCompare([]byte(v.farewell.state), []byte(state)) == 1
}

func (v *visit) owns(csrf string) bool {
	return subtle.ConstantTimeCompare([]byte(v.csrf), []byte(csrf)) == 1
}

// visits holds a bounded number of visits; the one that was idle longest makes room.
type visits struct {
	now  func() time.Time
	mu   sync.Mutex
	byID map[string]*entry
}

type entry struct {
	visit *visit
	seen  time.Time
}

func newVisits(now func() time.Time) *visits { return &visits{now: now, byID: map[string]*entry{}} }

// known returns the browser's visit or nil.
func (s *visits) known(r *http.Request) *visit {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.byID[cookie.Value]
	if !ok || s.now().Sub(e.seen) > visitIdle {
		delete(s.byID, cookie.Value)
		return nil
	}
	e.seen = s.now()
	return e.visit
}

// of returns the browser's visit, or begins one.
func (s *visits) of(w http.ResponseWriter, r *http.Request, p *Playground) *visit {
	if v := s.known(r); v != nil {
		return v
	}
	v := newVisit()
	s.put(w, v, p)
	return v
}

// move gives the visit a new cookie, so that one that was planted before sign-in is worth nothing after it.
func (s *visits) move(w http.ResponseWriter, r *http.Request, v *visit, p *Playground) {
	s.drop(r)
	s.put(w, v, p)
}

func (s *visits) drop(r *http.Request) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.byID, cookie.Value)
}

func (s *visits) put(w http.ResponseWriter, v *visit, p *Playground) {
	id := rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.byID) >= maxVisits {
		s.evict()
	}
	s.byID[id] = &entry{v, s.now()}
	http.SetCookie(w, p.cookie(id, 0))
}

func (s *visits) evict() {
	oldest := ""
	for id, e := range s.byID {
		if oldest == "" || e.seen.Before(s.byID[oldest].seen) {
			oldest = id
		}
	}
	delete(s.byID, oldest)
}

func (p *Playground) cookie(value string, maxAge int) *http.Cookie {
	return &http.Cookie{
		Name: cookieName, Value: value, Path: p.base + root, MaxAge: maxAge, HttpOnly: true, SameSite: http.SameSiteLaxMode,
		Secure: strings.HasPrefix(p.o.Issuer, "https:"),
	}
}
