package storage

import (
	"context"
	"time"
)

// Activity is one line of what a user's account page tells of the account: sign-ins and changes that matter for its safety.
type Activity struct {
	ID      string // 128 random bits, base64url
	Subject string
	// Kind is the name of the audit event: "login.ok", "password.changed", "factor.enrolled"...
	Kind      string
	Time      time.Time
	AMR       []string // of a sign-in, RFC 8176
	ClientID  string   // the app that the person signed in to; empty for the account page
	Detail    string   // the factor's name, the provider's id, the new address: what the person knows it by
	IP        string
	UserAgent string
}

// MaxActivities is how many lines are kept of a user; a new one pushes the oldest out.
const MaxActivities = 100

// ActivityStore keeps activities. They go with their user.
type ActivityStore interface {
	// AddActivity notes one; for a missing user it does nothing.
	AddActivity(ctx context.Context, a *Activity) error
	// Activities returns up to limit lines of a user, newest first.
	Activities(ctx context.Context, subject string, limit int) ([]*Activity, error)
}

// Device is a browser in which a user wants to be asked for the second factor no more. Its cookie changes at each use.
type Device struct {
	ID      string // 128 random bits, base64url
	Subject string
	// CookieHash is the base64url SHA-256 of the cookie's value; Previous that of the one before, of which a late use is a copied cookie.
	CookieHash, Previous string
	// Epoch is the user's epoch; a changed password makes the device forgotten.
	Epoch     int64
	UserAgent string
	IP        string
	Created   time.Time
	LastUsed  time.Time
	Expires   time.Time
}

// MaxDevices is how many trusted devices a user may have; a new one pushes the one out that was used longest ago.
const MaxDevices = 20

// DeviceGrace is how long the cookie that a device has just had works beside its next one: whoever clicks twice sends one cookie twice.
const DeviceGrace = 5 * time.Second

// DeviceStore keeps trusted devices. They go with their user.
type DeviceStore interface {
	// CreateDevice stores a new one. ErrNotFound if there is no such user; ExistsError{"id"}.
	CreateDevice(ctx context.Context, d *Device) error
	// UseDevice gives the device of a user whose cookie has the hash old a new one and returns it. ErrNotFound if the user has none with that hash, it is past Expires or its Epoch is not the user's any
	// more. A hash that is a device's Previous does once more if the last use is less than DeviceGrace ago, and then the cookie that it was changed for is Previous. Later it is a copy's: the device is
	// deleted, and the answer is ErrConsumed. Of any number of callers with one hash two win, and the next cookie of the second one works.
	UseDevice(ctx context.Context, subject, old, next string, at time.Time) (*Device, error)
	// DevicesOf returns a user's live devices, newest use first.
	DevicesOf(ctx context.Context, subject string) ([]*Device, error)
	// DeleteDevice forgets a device of the user, all of them if id is empty. A missing one is no error.
	DeleteDevice(ctx context.Context, subject, id string) error
}
