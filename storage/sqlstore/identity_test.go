package sqlstore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/storage"
)

// federation calls every writing method of identities and upstream sessions, on two homes that it spoils.
func federation(ctx context.Context, e *engine, add func(error), h, k *home) {
	id := h.identity.ExternalID
	add(e.TouchIdentity(ctx, "google", id, "label", nil, time.Now()))
	add(e.CreateUserIdentity(ctx, &storage.User{Subject: "new-" + id}, &storage.Identity{Upstream: "github", ExternalID: id}))
	_, err := e.AdoptUser(ctx, h.user.EmailKey, &storage.Identity{Upstream: "gitlab", ExternalID: id})
	add(err)
	if err := e.DeleteIdentity(ctx, h.user.Subject, "gitlab", id, &storage.Offered{Password: true, Passkeys: true, Upstreams: []string{"gitlab"}}); !errors.Is(err, storage.ErrLastWayIn) {
		add(errors.Join(err, errors.New("the last way in was deleted")))
	}
	for _, key := range [][2]string{{k.identity.ExternalID, "x"}, {"", k.session.UpstreamSID}} {
		_, err := e.EndUpstreamSessions(ctx, "google", key[0], key[1])
		add(err)
	}
	again := *k.session
	again.ID, again.CookieHash = "again-"+again.ID, "again-"+again.CookieHash
	add(e.CreateSession(ctx, &again))
	_, err = e.EndUpstreamSessions(ctx, "google", k.identity.ExternalID, "")
	add(err)
	add(e.CreateSession(ctx, &again))
	add(e.DeleteIdentity(ctx, k.user.Subject, "google", k.identity.ExternalID, &storage.Offered{Password: true}))
}

// The sealed token is large, and every page would read it.
func TestSessionsAreReadWithoutUpstreamToken(t *testing.T) {
	onEngines(t, func(t *testing.T, e *engine) {
		h, ctx := newHome(t, e), t.Context()
		texts := e.during(func() {
			_, _, cookieErr := e.SessionByCookie(ctx, h.session.CookieHash)
			_, ownErr := e.SessionsOf(ctx, h.user.Subject)
			_, listErr := e.ListSessions(ctx, "", 10)
			if err := errors.Join(cookieErr, ownErr, listErr); err != nil {
				t.Fatal(err)
			}
		})
		for _, text := range texts {
			if strings.Contains(text, "upstream_token") || !strings.Contains(text, "upstream_sid") {
				t.Errorf("reads upstream_token, or not the rest: %s", text)
			}
		}
		if len(texts) != 3 {
			t.Errorf("%d statements, want 3", len(texts))
		}
	})
}

// The list leaves the tokens in the table too.
func TestIdentitiesAreListedWithoutTokens(t *testing.T) {
	onEngines(t, func(t *testing.T, e *engine) {
		h := newHome(t, e)
		texts := e.during(func() {
			if _, err := e.IdentitiesOf(t.Context(), h.user.Subject); err != nil {
				t.Fatal(err)
			}
		})
		if len(texts) != 1 || strings.Contains(texts[0], "tokens") {
			t.Errorf("statements %q", texts)
		}
	})
}
