package storage

import (
	"context"
	"time"
)

// Mail is a message that waits to be sent. Body is sealed: it holds links that let people in.
type Mail struct {
	ID          string // 128 random bits, hex; also part of the Message-ID, so that a second delivery can be told
	Kind        string // which message it is, for logs and metrics
	Body        []byte
	Created     time.Time
	NextAttempt time.Time // when it is due; while somebody is at work on it, the end of the lease
	Expires     time.Time
	Attempts    int // counts the claims
}

// MailStore is the queue of messages. It works as LogoutStore does.
type MailStore interface {
	// QueueMail stores a message, due at its NextAttempt. ExistsError{"id"}.
	QueueMail(ctx context.Context, m *Mail) error
	// ClaimMails takes up to limit messages that are due at now and not past Expires, those due longest first, counts an attempt and sets NextAttempt to now + lease, which must be
	// positive. While the lease lasts no other caller, on any node, gets them.
	ClaimMails(ctx context.Context, now time.Time, lease time.Duration, limit int) ([]*Mail, error)
	// RetryMail makes a claimed message due at next. A missing one is no error.
	RetryMail(ctx context.Context, id string, next time.Time) error
	// FinishMail removes a message that was sent or given up. A missing one is no error.
	FinishMail(ctx context.Context, id string) error
	// WaitingMails returns how many messages wait, expired ones left out.
	WaitingMails(ctx context.Context, now time.Time) (int, error)
}
