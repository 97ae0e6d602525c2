package storage

import (
	"context"
	"time"
)

// User is an end user. Subject is the stable identifier that relying parties see as sub: random, never reused.
type User struct {
	Subject string
	// Email and Username are shown as they were typed; the Key fields are the canonical forms that package credential computes (NFKC, case-folded, one form for
	// the domain). Uniqueness and lookup use the keys only. An empty key is no key: many users may have none.
	Email         string
	EmailKey      string
	EmailVerified bool
	Username      string // never holds an @, so that it cannot collide with an e-mail
	UsernameKey   string
	Disabled      bool
	// Epoch is set by the backend: it grows when all that was proven or granted before must end (SetPassword, a change that sets Disabled). What was
	// proven under an older epoch, by a request that was under way, is worth nothing.
	Epoch int64
	// Failures counts the wrong passwords since the last right one (FailPassword, ClearFailures), LastFailure is when the last of them came. UpdateUser changes neither.
	Failures    int
	LastFailure time.Time
	// PasswordSet is when the password was set, zero if there is none. It is set by the backend (CreateUser, SetPassword).
	PasswordSet time.Time
	// Locale is the language that the person chose for pages and mail, a BCP 47 tag; empty: none chosen.
	Locale string
	// TermsVersion and TermsAccepted tell which terms the person accepted and when; empty: none.
	TermsVersion  string
	TermsAccepted time.Time
	// Claims are the other standard claims (OIDC Core 5.1), in the types that JSON gives them: name, given_name, phone_number, address...
	Claims  map[string]any
	Created time.Time
	Updated time.Time
}

// UserStore keeps users.
type UserStore interface {
	// CreateUser stores a new user with an encoded password ("" for none), stamping Created and Updated. ExistsError{"id"|"email"|"username"}, also under
	// a race: one caller wins.
	CreateUser(ctx context.Context, u *User, password string) error
	// User returns the user, disabled ones too. ErrNotFound.
	User(ctx context.Context, subject string) (*User, error)
	// UserByLogin finds the user whose EmailKey or UsernameKey equals key and returns the encoded password with it ("" if there is none): one read.
	// ErrNotFound, also for an empty key.
	UserByLogin(ctx context.Context, key string) (*User, string, error)
	// UpdateUser reads, changes and writes in one transaction, as UpdateClient does. A change that sets Disabled ends the user's sessions, as EndSession
	// does, and revokes by subject in the same transaction. ErrNotFound, ExistsError{"email"|"username"}.
	UpdateUser(ctx context.Context, subject string, change func(*User) error) (*User, error)
	// DeleteUser removes the user and all that is the user's: password, identities, factors, recovery codes, tickets, devices, activities, consents and notices. It ends the sessions, as EndSession does, and revokes by subject, in one transaction. ErrNotFound.
	DeleteUser(ctx context.Context, subject string) error
	// ListUsers returns up to limit users with subjects greater than after, in order of subject.
	ListUsers(ctx context.Context, after string, limit int) ([]*User, error)
}

// ImportedUser is a user who comes from another system, with the encoded password and the accounts at upstreams that came along.
type ImportedUser struct {
	User       *User
	Password   string
	Identities []*Identity
}

// ImportStore takes many users at once.
type ImportStore interface {
	// ImportUsers stores users in one transaction and returns for each nil or why it was refused, as CreateUser and CreateIdentity would (ExistsError); a refused one leaves nothing behind and
	// hinders no other, neither before nor after it. A Created that is not zero is kept, and so is the PasswordSet of a user with a password and the times of identities.
	ImportUsers(ctx context.Context, users []ImportedUser) ([]error, error)
	// ExportUsers is ListUsers with what ImportUsers takes, but for the Tokens of identities.
	ExportUsers(ctx context.Context, after string, limit int) ([]ImportedUser, error)
}

// PasswordStore keeps one encoded password a user (package credential defines the encoding).
type PasswordStore interface {
	// SetPassword stores a new password ("" takes it away; whether that is the last way in is the caller's business), clears Failures, kills the user's tickets and trusted devices by the new epoch, ends the user's sessions, as EndSession does, and revokes by subject, in one transaction. ErrNotFound if there is no such user.
	SetPassword(ctx context.Context, subject, encoded string) error
	// ReplacePassword is SetPassword for somebody who has proven something under an epoch: whoever was locked out while that was under way changes nothing. ErrNotFound also if the user is disabled, or the
	// epoch has moved on.
	ReplacePassword(ctx context.Context, subject, encoded string, epoch int64) error
	// FailPassword counts a wrong password and returns the new number of Failures. ErrNotFound.
	FailPassword(ctx context.Context, subject string, at time.Time) (int, error)
	// ClearFailures sets Failures and LastFailure to zero if there are fewer Failures than below, which 0 leaves open. ErrConsumed if there are as many or more: whoever has read fewer came too late; a
	// missing user is no error.
	ClearFailures(ctx context.Context, subject string, below int) error
	// RehashPassword replaces old by encoded and touches nothing else. ErrNotFound if the stored value is no longer old.
	RehashPassword(ctx context.Context, subject, old, encoded string) error
}

// Notice is something the user should be told at the next visit to the account page.
type Notice struct {
	ID      string
	Subject string
	// Kind is a word that the account page knows: "refresh_reuse".
	Kind     string
	ClientID string
	Created  time.Time
}

// NoticeStore keeps notices until they are dismissed.
type NoticeStore interface {
	// CreateNotice stores a notice; an undismissed notice of the same subject, kind and client is kept and the new one dropped, so that an attacker
	// cannot fill the table.
	CreateNotice(ctx context.Context, n *Notice) error
	// Notices returns a user's notices, newest first, at most 20.
	Notices(ctx context.Context, subject string) ([]*Notice, error)
	// DismissNotice deletes one notice of the subject; a missing one is no error.
	DismissNotice(ctx context.Context, subject, id string) error
}
