package login

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"gatehouse/provider/ratelimit"
	"gatehouse/provider/signin"
	"gatehouse/storage"
)

// accountForget is when the failures of an account, or of a name that nobody has, slow nobody down any more. It is the same for both, so that waiting does not tell them apart.
const accountForget = 24 * time.Hour

// lane is where a try's failures are counted: the account's, which all strangers share, or that of a browser the user signed in with before (security row 138).
type lane struct {
	key     string
	known   bool
	backoff ratelimit.Backoff
}

func (l *Login) laneOf(r *http.Request, user *storage.User, account string) lane {
	b := l.Limits.AccountFailures
	b.Forget = accountForget
	known := l.SignIn.Known(r, user)
	if known.Name == "" {
		return lane{key: account, backoff: b}
	}
	b.Forget = signin.KnownLife // so that a stolen cookie buys no more guesses than a stranger has
	return lane{key: account + known.Name, known: true, backoff: b}
}

// slowed returns the failures in the lane and how long they still block it.
func (l *Login) slowed(ctx context.Context, in lane) (ratelimit.Failed, time.Duration, error) {
	failed, err := l.Limiter.Failed(ctx, in.key, in.backoff)
	if err != nil {
		return failed, 0, fmt.Errorf("read sign-in limit: %w", err)
	}
	wait := l.Limiter.Wait(failed, in.backoff)
	if wait > 0 {
		wait = max(wait, time.Second)
	}
	return failed, wait, nil
}

// exhausted tells whether so many failures came in a row that the password alone proves nothing any more (security row 138). What strangers fail is counted for the
// whole account and does not close the lane of a known browser; that has its own count.
func (l *Login) exhausted(user *storage.User, in lane, failed ratelimit.Failed) bool {
	limit := l.Limits.MaxFailures
	if in.known {
		return limit > 0 && failed.Count >= limit
	}
	return limit > 0 && user.Failures >= limit
}

// fail counts a failure everywhere. Where other tries spent a limit at the same time, it returns how long to wait.
func (l *Login) fail(ctx context.Context, user *storage.User, in lane, places []counter) (time.Duration, error) {
	wait, err := l.count(ctx, places...)
	if err != nil {
		return 0, err
	}
	slowed, err := l.Limiter.Fail(ctx, in.key, in.backoff)
	if err != nil {
		return 0, fmt.Errorf("count failed sign-in: %w", err)
	}
	if slowed > 0 {
		wait = max(wait, slowed, time.Second)
	}
	return wait, l.countForGood(ctx, user)
}

// countForGood writes the account's own count, which nothing but success and a new password clears. A name that nobody has has none; a row is written all the same, because the time of a
// durable write would tell the two apart.
func (l *Login) countForGood(ctx context.Context, user *storage.User) error {
	if l.Limits.MaxFailures == 0 {
		return nil
	}
	if user == nil {
		return l.Limiter.Pretend(ctx)
	}
	_, err := l.Store.FailPassword(ctx, user.Subject, l.Now())
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("count failed sign-in: %w", err)
	}
	return nil
}

// forgive clears the counts after a success, which costs nothing if there are none. Who guesses elsewhere stays slowed down. over: tries at the same time, here or at another node, have brought
// the account to its last failure since it was read, and it is no success.
func (l *Login) forgive(ctx context.Context, user *storage.User, in lane, failed ratelimit.Failed) (over bool, err error) {
	if user.Failures > 0 {
		below := l.Limits.MaxFailures
		if in.known {
			below = 0
		}
		err := l.Store.ClearFailures(ctx, user.Subject, below)
		if errors.Is(err, storage.ErrConsumed) {
			return true, nil
		}
		if err != nil {
			return false, fmt.Errorf("forget failed sign-ins: %w", err)
		}
	}
	if failed.Count > 0 {
		if err := l.Limiter.Clear(ctx, in.key); err != nil {
			return false, fmt.Errorf("forget failed sign-ins: %w", err)
		}
	}
	return false, nil
}
