package login

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"gatehouse/provider/credential"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// busyRetry is what a browser is told to wait when all cores hash passwords.
const busyRetry = 2 * time.Second

// attempt is what came of one try. A refused one holds the user too, if there is one, for the audit log alone.
type attempt struct {
	ok     bool
	user   *storage.User
	reason string
	wait   time.Duration // positive: too many failures, nothing is told
}

func (a *attempt) subject() string {
	if a.user == nil {
		return ""
	}
	return a.user.Subject
}

// FailureStore counts the failures of an account for good.
type FailureStore interface {
	FailPassword(ctx context.Context, subject string, at time.Time) (int, error)
	ClearFailures(ctx context.Context, subject string, below int) error
}

// Limits bound the failures of sign-ins: per account, per address and per network (web.PeerKey, web.NetKey). Successes are not counted. They bound the names of IdentifierFirst, too.
type Limits struct {
	// AccountFailures slows down guesses at one account, or at one name that nobody has. Forget is this package's business.
	AccountFailures ratelimit.Backoff
	// MaxFailures is how many failures in a row an account takes. From then on the right password is answered as a wrong one, until it is set anew or the user signs in with a browser that is
	// known. 0 is no limit.
	MaxFailures             int
	IPFailures, NetFailures ratelimit.Limit
	// Names are what one address may type in the step of the name.
	Names ratelimit.Limit
}

// try checks one user name and password. An unknown user, a disabled one, one with too many failures and a wrong password cost the same operations in the same order (ruling 27): two
// limits read, one user read, the account's failures read, one hash compared, two limits and the account's failures counted, and one row written for good.
func (l *Login) try(r *http.Request, username, password string) (*attempt, error) {
	ctx := r.Context()
	places := []counter{
		{"login\nip\n" + web.PeerKey(r), l.Limits.IPFailures}, {"login\nnet\n" + web.NetKey(r), l.Limits.NetFailures},
	}
	if wait, err := l.wait(ctx, places...); err != nil || wait > 0 {
		return &attempt{wait: wait}, err
	}
	key, err := credential.LoginKey(username)
	if err != nil {
		key = "" // finds nobody, and is counted under what was typed
	}
	user, encoded, err := l.Store.UserByLogin(ctx, key)
	if errors.Is(err, storage.ErrNotFound) {
		user, encoded, err = nil, "", nil
	}
	if err != nil {
		return nil, fmt.Errorf("find user: %w", err)
	}
	lane := l.laneOf(r, user, accountKey(user, key, username))
	leave, err := l.gate.enter(ctx, lane.key)
	if err != nil {
		return nil, busy(err)
	}
	defer leave()
	failed, wait, err := l.slowed(ctx, lane)
	if err != nil || wait > 0 {
		return &attempt{user: user, wait: wait}, err
	}
	ok, rehash, err := l.Passwords.Verify(ctx, encoded, password)
	if errors.Is(err, credential.ErrBusy) {
		return nil, busy(err)
	}
	if err != nil {
		return nil, fmt.Errorf("verify password: %w", err)
	}
	if reason := l.refusal(user, ok, lane, failed); reason != "" {
		wait, err := l.fail(ctx, user, lane, places)
		return &attempt{user: user, reason: reason, wait: wait}, err
	}
	// Tries that ran at the same time may have spent a limit meanwhile. Then this one is not told what it found, or many guesses at once would buy more
	// than one after the other.
	if wait, err := l.wait(ctx, places...); err != nil || wait > 0 {
		return &attempt{user: user, wait: wait}, err
	}
	failed, wait, err = l.slowed(ctx, lane)
	if err != nil || wait > 0 {
		return &attempt{user: user, wait: wait}, err
	}
	if over, err := l.forgive(ctx, user, lane, failed); err != nil {
		return nil, err
	} else if over {
		wait, err := l.fail(ctx, user, lane, places)
		return &attempt{user: user, reason: tooManyFailures, wait: wait}, err
	}
	if rehash {
		l.rehash(r, user, encoded, password)
	}
	return &attempt{ok: true, user: user}, nil
}

func busy(cause error) error {
	return &web.Error{Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", Text: templates.Say("error.crowded"), RetryAfter: busyRetry, Cause: cause}
}

// tooManyFailures is why the right password is refused.
const tooManyFailures = "too many failures in a row"

// refusal says, for the audit log, why a try is refused; empty if it is not.
func (l *Login) refusal(user *storage.User, ok bool, in lane, failed ratelimit.Failed) string {
	switch {
	case user == nil:
		return "unknown user"
	case !ok:
		return "wrong password"
	case user.Disabled:
		return "disabled user"
	case l.exhausted(user, in, failed):
		return tooManyFailures
	}
	return ""
}

// counter is one limit of failures with its key.
type counter struct {
	key   string
	limit ratelimit.Limit
}

// wait returns how long the first exhausted counter still blocks, 0 if none does.
func (l *Login) wait(ctx context.Context, counters ...counter) (time.Duration, error) {
	for _, c := range counters {
		allowed, retry, err := l.Limiter.Peek(ctx, c.key, c.limit)
		if err != nil {
			return 0, fmt.Errorf("read sign-in limit: %w", err)
		}
		if !allowed {
			return max(retry, time.Second), nil
		}
	}
	return 0, nil
}

// count notes a failure in every counter. Where another try has taken the last place, it returns how long to wait.
func (l *Login) count(ctx context.Context, counters ...counter) (wait time.Duration, err error) {
	for _, c := range counters {
		allowed, retry, err := l.Limiter.Take(ctx, c.key, c.limit)
		if err != nil {
			return 0, fmt.Errorf("count failed sign-in: %w", err)
		}
		if !allowed {
			wait = max(wait, retry, time.Second)
		}
	}
	return wait, nil
}

// rehash stores the password in today's encoding. A sign-in does not fail because this does.
func (l *Login) rehash(r *http.Request, user *storage.User, old, password string) {
	encoded, err := l.Passwords.Hash(r.Context(), password)
	if err == nil {
		err = l.Store.RehashPassword(r.Context(), user.Subject, old, encoded)
	}
	if err != nil {
		web.Annotate(r, "rehash", "failed")
	}
}

// accountKey names an account's counter. Every name of an account leads to its subject, so no spelling buys further tries (security row 137). What
// was typed for an unknown account is hashed: people type passwords into the wrong field.
func accountKey(user *storage.User, key, typed string) string {
	if user != nil {
		return "login\naccount\n" + user.Subject
	}
	if key == "" {
		key = "\n" + typed
	}
	sum := sha256.Sum256([]byte(key))
	return "login\nunknown\n" + base64.RawURLEncoding.EncodeToString(sum[:])
}
