package storage

import "errors"

// Every error that a backend returns is one of these (test with errors.Is), or an error returned by a caller's own change function.
var (
	// ErrNotFound says that the row does not exist.
	ErrNotFound = errors.New("not found")
	// ErrExists says that a unique key is taken; an *ExistsError names the field.
	ErrExists = errors.New("already exists")
	// ErrConsumed says that a one-time object was used before, or is past its expiry and can no longer be used.
	ErrConsumed = errors.New("already consumed")
	// ErrLastWayIn says that without this identity or passkey its user could not sign in any more.
	ErrLastWayIn = errors.New("last way in")
	// ErrLastFactor says that a policy wants the user to keep a second factor, and this is the only one.
	ErrLastFactor = errors.New("last factor")
	// ErrUnavailable says that the store could not do the work now: connection, lock, disk, cancelled context. Nothing was
	// saved. Whatever is not one of the others is wrapped in it.
	ErrUnavailable = errors.New("storage unavailable")
)

// ExistsError is ErrExists with the name of the field that is taken: "id", "email", "username", "identity", "credential".
type ExistsError struct{ Field string }

func (e *ExistsError) Error() string { return e.Field + " already exists" }

// Is makes errors.Is(err, ErrExists) hold.
func (e *ExistsError) Is(target error) bool { return target == ErrExists }
