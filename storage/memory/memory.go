package memory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"gatehouse/storage"
)

// Store is a storage.Store in memory. The zero value is not usable; see New.
type Store struct {
	// Fault, if set, is asked before every operation with the method's name ("ExchangeToken"). An error from it is wrapped in
	// storage.ErrUnavailable and the operation does nothing. Set it before the store is shared; it may be called from many goroutines.
	Fault func(op string) error

	now func() time.Time
	ttl time.Duration

	mu             sync.Mutex
	clients        map[string]*storage.Client
	logos          map[string]*storage.Logo
	users          map[string]*user
	identities     map[account]*storage.Identity
	sessions       map[string]*storage.Session
	sessionClients map[string]map[string]bool // session id -> client ids
	deliveries     map[string]*storage.LogoutDelivery
	interactions   map[string]*storage.Interaction
	consents       map[pair]*storage.Consent
	tokens         map[tokenKey]*storage.Token
	revocations    map[revocationKey]*storage.Revocation
	keys           map[string]*storage.SigningKey
	secrets        map[string][]byte
	replays        map[string]time.Time
	rates          map[string]time.Time
	notices        map[string]*storage.Notice
	factors        map[string]*storage.Factor
	recoveryCodes  map[string]map[string]bool // subject -> hashes
	tickets        map[string]*storage.Ticket
	mails          map[string]*storage.Mail
	activities     map[string]*storage.Activity
	devices        map[string]*storage.Device
	versions       map[storage.Topic]int64
}

// The keys of the tables whose rows have no single id.
type (
	pair          struct{ subject, client string }
	account       struct{ upstream, id string }
	tokenKey      struct{ kind, signature string }
	revocationKey struct{ kind, id string }
)

var _ storage.Store = (*Store)(nil)

// New returns an empty store.
func New(o storage.Options) *Store {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Store{
		now: o.Now, ttl: o.RevocationTTL, identities: map[account]*storage.Identity{},
		clients: map[string]*storage.Client{}, logos: map[string]*storage.Logo{}, users: map[string]*user{}, sessions: map[string]*storage.Session{},
		sessionClients: map[string]map[string]bool{}, deliveries: map[string]*storage.LogoutDelivery{},
		interactions: map[string]*storage.Interaction{}, consents: map[pair]*storage.Consent{}, tokens: map[tokenKey]*storage.Token{},
		revocations: map[revocationKey]*storage.Revocation{}, keys: map[string]*storage.SigningKey{}, secrets: map[string][]byte{},
		replays: map[string]time.Time{}, rates: map[string]time.Time{}, notices: map[string]*storage.Notice{},
		factors: map[string]*storage.Factor{}, recoveryCodes: map[string]map[string]bool{}, tickets: map[string]*storage.Ticket{},
		mails: map[string]*storage.Mail{}, activities: map[string]*storage.Activity{}, devices: map[string]*storage.Device{},
		versions: map[storage.Topic]int64{storage.TopicClients: 0, storage.TopicKeys: 0, storage.TopicRevocations: 0},
	}
}

// begin is the start of every operation: it fails if the caller has gone away or Fault says so, and else returns with the lock held. Every operation is a
// transaction because it checks all that it needs before it writes.
func (s *Store) begin(ctx context.Context, op string) (end func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w: %w", op, storage.ErrUnavailable, err)
	}
	if s.Fault != nil {
		if err := s.Fault(op); err != nil {
			return nil, fmt.Errorf("%s: %w: %w", op, storage.ErrUnavailable, err)
		}
	}
	s.mu.Lock()
	return s.mu.Unlock, nil
}

// clock returns the time as every backend stores it.
func (s *Store) clock() time.Time { return micro(s.now()) }

// bump grows a topic's version and returns it.
func (s *Store) bump(topic storage.Topic) int64 {
	s.versions[topic]++
	return s.versions[topic]
}

// must panics if a caller broke a rule that no caller may break.
func must(holds bool, format string, args ...any) {
	if !holds {
		panic("storage/memory: " + fmt.Sprintf(format, args...))
	}
}

// exists names the field that is taken.
func exists(field string) error { return &storage.ExistsError{Field: field} }

// Ping implements storage.MaintenanceStore.
func (s *Store) Ping(ctx context.Context) error {
	end, err := s.begin(ctx, "Ping")
	if err != nil {
		return err
	}
	end()
	return nil
}

// Close implements storage.MaintenanceStore.
func (s *Store) Close() error { return nil }
