package oauth

import (
	"sync"
	"time"

	"gatehouse/storage"
)

// revocationList is the process's copy of the live revocations.
type revocationList struct {
	mu   sync.RWMutex
	rows map[revocationKey]storage.Revocation
	// nextForget is when expired rows are dropped again.
	nextForget time.Time
}

type revocationKey struct {
	kind storage.RevocationKind
	id   string
}

func (l *revocationList) add(rows []storage.Revocation) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rows == nil {
		l.rows = map[revocationKey]storage.Revocation{}
	}
	for _, r := range rows {
		key := revocationKey{r.Kind, r.ID}
		if old, ok := l.rows[key]; !ok || !r.Before.Before(old.Before) {
			l.rows[key] = r
		}
	}
}

// forget drops rows that outlived everything they could kill, once a minute.
func (l *revocationList) forget(now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Before(l.nextForget) {
		return
	}
	l.nextForget = now.Add(time.Minute)
	for key, r := range l.rows {
		if now.After(r.Expires) {
			delete(l.rows, key)
		}
	}
}

// kills tells whether a revocation names the access token.
func (l *revocationList) kills(c *AccessClaims) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if len(l.rows) == 0 {
		return false
	}
	if l.has(storage.RevokeToken, c.ID) || l.has(storage.RevokeGrant, c.GrantID) {
		return true
	}
	born, ok := storage.GrantBorn(c.GrantID)
	if !ok {
		return true // not a family id of ours: fail closed
	}
	return l.before(storage.RevokeSession, c.Session, born) || l.before(storage.RevokeClient, c.ClientID, born) ||
		l.before(storage.RevokeSubject, c.User, born) || l.before(storage.RevokeSubjectClient, storage.SubjectClient(c.User, c.ClientID), born)
}

func (l *revocationList) has(kind storage.RevocationKind, id string) bool {
	_, ok := l.rows[revocationKey{kind, id}]
	return ok && id != ""
}

func (l *revocationList) before(kind storage.RevocationKind, id string, born time.Time) bool {
	r, ok := l.rows[revocationKey{kind, id}]
	return ok && id != "" && born.UnixMilli() <= r.Before.UnixMilli()
}
