package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"gatehouse/storage"
	"gatehouse/storage/postgres"
	"gatehouse/storage/postgres/postgrestest"
)

// Whoever holds the topic of the revocations must not want tokens any more: those who hold tokens want the topic. And the tokens of all sessions are taken in one order,
// by one statement, as the revocation of a client takes them.
func TestDeleteIdentityTakesTokensOnceAndTheTopicLast(t *testing.T) {
	url := postgrestest.Start(t)
	var (
		other   = raw(t, url)
		armed   bool
		deletes int
	)
	s := open(t, postgres.Options{URL: url, AutoMigrate: true, Options: storage.Options{RevocationTTL: time.Minute}, Trace: func(text string) {
		if !armed || !strings.Contains(text, "DELETE FROM tokens") {
			return
		}
		deletes++
		var topic string
		if err := other.QueryRow(context.Background(), `SELECT topic FROM changes WHERE topic = 'revocations' FOR UPDATE NOWAIT`).Scan(&topic); err != nil {
			t.Errorf("the topic is held before tokens: %v", err)
		}
	}})
	ctx, now := t.Context(), time.Now()
	err := errors.Join(s.CreateUser(ctx, &storage.User{Subject: "ada"}, "hash"),
		s.CreateIdentity(ctx, &storage.Identity{Upstream: "google", ExternalID: "1", Subject: "ada"}, 0))
	const sessions = 5
	for i := range sessions {
		sid := fmt.Sprint("sid-", i)
		err = errors.Join(err, s.CreateSession(ctx, &storage.Session{ID: sid, CookieHash: sid, Subject: "ada", Upstream: "google", ExternalID: "1", Created: now,
			Absolute: now.Add(time.Hour)}),
			s.CreateToken(ctx, &storage.Token{Kind: storage.TokenRefresh, Signature: sid, GrantID: fmt.Sprintf("0199f000-0000-7000-8000-%012d", sessions-i), ClientID: "app",
				Subject: "ada", SessionID: sid, Created: now, Expires: now.Add(time.Hour), GrantExpires: now.Add(time.Hour)}))
	}
	if err != nil {
		t.Fatal(err)
	}
	armed = true
	if err := s.DeleteIdentity(ctx, "ada", "google", "1", nil); err != nil {
		t.Fatal(err)
	}
	if deletes == 0 || deletes >= sessions {
		t.Errorf("%d statements delete the tokens of %d sessions", deletes, sessions)
	}
	rows, err := s.Revocations(ctx, 0)
	if err != nil || len(rows) != sessions {
		t.Errorf("%d revocations (%v), want %d", len(rows), err, sessions)
	}
}
