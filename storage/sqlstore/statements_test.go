package sqlstore_test

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"

	"gatehouse/storage"
)

// home is a user with an identity, a client, a session and one token of each kind.
type home struct {
	user     *storage.User
	identity *storage.Identity
	client   *storage.Client
	session  *storage.Session // that came by the identity
	tokens   map[storage.TokenKind]*storage.Token
}

func newHome(t testing.TB, s storage.Store) *home {
	t.Helper()
	id, now := uuid.NewString(), time.Now()
	h := &home{
		user:     &storage.User{Subject: "user-" + id, EmailKey: id + "@example.org", EmailVerified: true, UsernameKey: id},
		identity: &storage.Identity{Upstream: "google", ExternalID: id, Subject: "user-" + id},
		client:   &storage.Client{ID: "client-" + id, BackchannelLogoutURI: "https://rp.example/logout", Expires: now.Add(time.Hour)},
		session: &storage.Session{ID: "sid-" + id, CookieHash: "cookie-" + id, Subject: "user-" + id, AuthTime: now, Created: now, LastSeen: now,
			Absolute: now.Add(time.Hour), Upstream: "google", ExternalID: id, UpstreamSID: id, UpstreamToken: []byte("sealed")},
		tokens: make(map[storage.TokenKind]*storage.Token),
	}
	ctx := t.Context()
	err := errors.Join(s.CreateUser(ctx, h.user, "hash"), s.CreateIdentity(ctx, h.identity, 0), s.CreateClient(ctx, h.client), s.CreateSession(ctx, h.session))
	for _, kind := range []storage.TokenKind{storage.TokenCode, storage.TokenRefresh, storage.TokenAccess} {
		h.tokens[kind] = h.token(kind)
		err = errors.Join(err, s.CreateToken(ctx, h.tokens[kind]))
	}
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// token is a new token of a new grant, not yet stored.
func (h *home) token(kind storage.TokenKind) *storage.Token {
	now := time.Now()
	return &storage.Token{Kind: kind, Signature: uuid.NewString(), GrantID: uuid.Must(uuid.NewV7()).String(), ClientID: h.client.ID, Subject: h.user.Subject,
		SessionID: h.session.ID, Payload: make([]byte, 600), Created: now, Expires: now.Add(time.Hour), GrantExpires: now.Add(2 * time.Hour)}
}

// The statements of the hot paths, as the cost model and the ruling on statement counts allow them: reads are one statement, an exchange is two in a
// transaction on SQLite and one on PostgreSQL.
func TestStatementCounts(t *testing.T) {
	onEngines(t, func(t *testing.T, e *engine) {
		h, ctx := newHome(t, e), t.Context()
		code, refresh := h.tokens[storage.TokenCode], h.tokens[storage.TokenRefresh]
		exchange := map[string]int{"SQLite": 2, "PostgreSQL": 1}[t.Name()[strings.LastIndex(t.Name(), "/")+1:]]
		for _, test := range []struct {
			name string
			want int
			do   func() error
		}{
			{"Token", 1, func() error { _, err := e.Token(ctx, code.Kind, code.Signature); return err }},
			{"SessionByCookie", 1, func() error { _, _, err := e.SessionByCookie(ctx, h.session.CookieHash); return err }},
			{"Consent", 1, func() error {
				_, err := e.Consent(ctx, h.user.Subject, h.client.ID)
				if errors.Is(err, storage.ErrNotFound) {
					return nil
				}
				return err
			}},
			{"GrantsOf", 1, func() error { _, err := e.GrantsOf(ctx, h.user.Subject); return err }},
			{"UserByLogin", 1, func() error { _, _, err := e.UserByLogin(ctx, h.user.EmailKey); return err }},
			{"CreateToken", 1, func() error { return e.CreateToken(ctx, h.token(storage.TokenCode)) }},
			{"ExchangeToken", exchange, func() error {
				return e.ExchangeToken(ctx, code.Kind, code.Signature, []byte("s"), h.token(storage.TokenRefresh))
			}},
			{"ExchangeTokenForTwo", exchange, func() error {
				return e.ExchangeToken(ctx, refresh.Kind, refresh.Signature, []byte("s"), h.token(storage.TokenRefresh), h.token(storage.TokenAccess))
			}},
			{"Remember", 1, func() error { return e.Remember(ctx, uuid.NewString(), time.Now().Add(time.Hour)) }},
			{"Identity", 1, func() error { _, _, err := e.Identity(ctx, h.identity.Upstream, h.identity.ExternalID); return err }},
			{"TouchIdentity", 1, func() error { return e.TouchIdentity(ctx, "google", h.identity.ExternalID, "label", nil, time.Now()) }},
			{"CreateIdentity", 1, func() error {
				return e.CreateIdentity(ctx, &storage.Identity{Upstream: "github", ExternalID: h.user.Subject, Subject: h.user.Subject}, 0)
			}},
			{"TouchSession", 1, func() error { return e.TouchSession(ctx, h.session.ID, time.Now()) }},
		} {
			t.Run(test.name, func(t *testing.T) {
				texts := e.during(func() {
					if err := test.do(); err != nil {
						t.Fatal(err)
					}
				})
				if len(texts) != test.want {
					t.Errorf("%d statements, want %d:\n%s", len(texts), test.want, strings.Join(texts, "\n"))
				}
			})
		}
	})
}

// Ending a session costs the same however many clients it has to tell, and ending all of a user's no more than one.
func TestEndOfSessionsIsOneInsert(t *testing.T) {
	onEngines(t, func(t *testing.T, e *engine) {
		ctx := t.Context()
		count := func(clients int, end func(h *home) error) int {
			h := newHome(t, e)
			for range clients {
				c := &storage.Client{ID: uuid.NewString(), BackchannelLogoutURI: "https://rp.example/logout"}
				if err := errors.Join(e.CreateClient(ctx, c), e.AddSessionClient(ctx, h.session.ID, c.ID)); err != nil {
					t.Fatal(err)
				}
			}
			texts := e.during(func() {
				if err := end(h); err != nil {
					t.Fatal(err)
				}
			})
			if rows, err := e.ClaimLogouts(ctx, time.Now(), time.Hour, 1000); err != nil || len(rows) != clients {
				t.Errorf("%d deliveries (%v), want %d", len(rows), err, clients)
			}
			return len(texts)
		}
		endOne := func(h *home) error { return e.EndSession(ctx, h.session.ID) }
		endAll := func(h *home) error { return e.SetPassword(ctx, h.user.Subject, "new") }
		if none, many := count(0, endOne), count(30, endOne); many != none {
			t.Errorf("EndSession: %d statements for 30 clients, %d for none", many, none)
		}
		if one, all := count(30, endOne), count(30, endAll); all > one+1 {
			t.Errorf("SetPassword: %d statements, EndSession %d", all, one)
		}
	})
}

// More successors than there are prepared texts for still go in one exchange.
func TestExchangeForMany(t *testing.T) {
	onEngines(t, func(t *testing.T, e *engine) {
		h := newHome(t, e)
		var next []*storage.Token
		for range 7 {
			next = append(next, h.token(storage.TokenAccess))
		}
		code := h.tokens[storage.TokenCode]
		if err := e.ExchangeToken(t.Context(), code.Kind, code.Signature, nil, next...); err != nil {
			t.Fatal(err)
		}
		for _, n := range next {
			if _, err := e.Token(t.Context(), n.Kind, n.Signature); err != nil {
				t.Error(err)
			}
		}
	})
}

// A revocation that takes more rows than one batch leaves none.
func TestRevokeMoreThanOneBatch(t *testing.T) {
	onEngines(t, func(t *testing.T, e *engine) {
		h := newHome(t, e)
		code := h.tokens[storage.TokenCode]
		const rows = 5500
		for from := 0; from < rows; from += 500 {
			next := make([]*storage.Token, 500)
			for i := range next {
				next[i] = h.token(storage.TokenRefresh)
				next[i].GrantID, next[i].Payload = code.GrantID, nil
			}
			code := h.token(storage.TokenCode)
			if err := errors.Join(e.CreateToken(t.Context(), code), e.ExchangeToken(t.Context(), code.Kind, code.Signature, nil, next...)); err != nil {
				t.Fatal(err)
			}
		}
		n, err := e.RevokeTokens(t.Context(), storage.Revocation{Kind: storage.RevokeGrant, ID: code.GrantID})
		if err != nil || n != rows+1 {
			t.Errorf("revoked %d (%v), want %d", n, err, rows+1)
		}
	})
}

// furnish adds a row of every other kind to a home and returns the interaction.
func furnish(t *testing.T, e *engine, h *home) *storage.Interaction {
	t.Helper()
	ctx, now, id := t.Context(), time.Now(), h.user.UsernameKey
	in := &storage.Interaction{ID: id, Created: now, Expires: now.Add(time.Hour)}
	_, swapErr := e.SwapRate(ctx, id, time.Time{}, now.Add(time.Hour))
	_, revokeErr := e.RevokeTokens(ctx, storage.Revocation{Kind: storage.RevokeToken, ID: id})
	if err := errors.Join(swapErr, revokeErr, e.CreateInteraction(ctx, in),
		e.PutLogo(ctx, &storage.Logo{ClientID: h.client.ID, Fetched: now}),
		e.GrantConsent(ctx, &storage.Consent{Subject: h.user.Subject, ClientID: h.client.ID, Scopes: []string{"openid"}}),
		e.CreateNotice(ctx, &storage.Notice{ID: id, Subject: h.user.Subject, Kind: "refresh_reuse", Created: now}),
		e.CreateSecret(ctx, id, []byte{1}), e.Remember(ctx, id, now.Add(time.Hour)), queued(ctx, e, h)); err != nil {
		t.Fatal(err)
	}
	return in
}

// queued makes the home's client one of its session, and of a second one that ends and leaves a delivery.
func queued(ctx context.Context, e *engine, h *home) error {
	ended := *h.session
	ended.ID, ended.CookieHash = "ended-"+h.session.ID, "ended-"+h.session.CookieHash
	return errors.Join(e.AddSessionClient(ctx, h.session.ID, h.client.ID), e.CreateSession(ctx, &ended),
		e.AddSessionClient(ctx, ended.ID, h.client.ID), e.EndSession(ctx, ended.ID))
}

// everything calls every method once, so that every statement is seen.
func everything(t *testing.T, e *engine) {
	t.Helper()
	ctx, now := t.Context(), time.Now()
	h, k := newHome(t, e), newHome(t, e)
	in := furnish(t, e, h)
	var errs []error
	add := func(err error) { errs = append(errs, err) }
	_, err := e.SwapRate(ctx, in.ID, now, now)
	add(err)
	add(e.ChangeSigningKeys(ctx, func([]*storage.SigningKey) ([]*storage.SigningKey, error) {
		return []*storage.SigningKey{{KID: "old", Public: []byte{1}, RemoveAt: now.Add(-2 * 365 * 24 * time.Hour)}}, nil
	}))
	reads(ctx, e, h, in, add)
	federation(ctx, e, add, newHome(t, e), newHome(t, e))
	people(ctx, t, e, add, newHome(t, e))
	add(e.RehashPassword(ctx, h.user.Subject, "hash", "new"))
	add(e.TouchSession(ctx, h.session.ID, now.Add(time.Second)))
	_, err = e.UpdateClient(ctx, h.client.ID, func(*storage.Client) error { return nil })
	add(err)
	_, err = e.UpdateUser(ctx, h.user.Subject, func(*storage.User) error { return nil })
	add(err)
	_, err = e.UpdateSession(ctx, h.session.ID, func(*storage.Session) error { return nil })
	add(err)
	_, err = e.UpdateInteraction(ctx, in.ID, func(*storage.Interaction) error { return nil })
	add(err)
	add(e.ConsumeInteraction(ctx, in.ID))
	for kind, tok := range h.tokens {
		add(e.ExchangeToken(ctx, kind, tok.Signature, nil, h.token(storage.TokenAccess)))
	}
	add(e.ExchangeToken(ctx, storage.TokenCode, k.tokens[storage.TokenCode].Signature, nil))
	for kind, id := range map[storage.RevocationKind]string{storage.RevokeToken: k.tokens[storage.TokenAccess].Signature, storage.RevokeGrant: "x"} {
		_, err := e.RevokeTokens(ctx, storage.Revocation{Kind: kind, ID: id})
		add(err)
	}
	add(e.RevokeConsent(ctx, h.user.Subject, h.client.ID))
	add(e.EndSession(ctx, h.session.ID))
	add(e.DismissNotice(ctx, h.user.Subject, in.ID))
	add(e.SetPassword(ctx, h.user.Subject, "x"))
	add(e.DeleteUser(ctx, h.user.Subject))
	_, err = e.ClaimLogouts(ctx, now, time.Minute, 10)
	add(err)
	add(e.RetryLogout(ctx, in.ID, now, true))
	add(e.FinishLogout(ctx, in.ID))
	add(e.DeleteClient(ctx, h.client.ID))
	add(e.TouchClients(ctx, []string{k.client.ID}, now.Add(time.Hour)))
	_, err = e.UpdateClient(ctx, k.client.ID, func(c *storage.Client) error { c.Expires = now; return nil })
	add(err)
	_, err = e.Purge(ctx, now, 100)
	add(err)
	add(e.Ping(ctx))
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// Every statement finds its rows by an index, so that none gets slower as tables grow; only tables of a handful of rows may be read whole. The
// tables are nearly empty here, when a planner is tempted most.
func TestStatementsUseIndexes(t *testing.T) {
	small := []string{"changes", "signing_keys", "secrets", "heartbeat"}
	onEngines(t, func(t *testing.T, e *engine) {
		for range 2 {
			h := newHome(t, e)
			furnish(t, e, h)
			belongings(t, e, h)
		}
		e.analyze(t)
		seen := make(map[string]bool)
		for _, text := range e.during(func() { everything(t, e) }) {
			seen[text] = true
		}
		if len(seen) < 110 {
			t.Errorf("only %d statements seen", len(seen))
		}
		for text := range seen {
			plan := strings.Split(e.explain(t, text), "\n")
			for i, step := range plan {
				next := ""
				if i+1 < len(plan) {
					next = plan[i+1]
				}
				if table := scanned(step, next); table != "" && !slices.Contains(small, table) {
					t.Errorf("reads all of %s: %s\n%s", table, text, strings.Join(plan, "\n"))
				}
			}
		}
	})
}

// A family that rotates leaves a row at each refresh, thousands in the days that they are kept for. What clients have of a user is found without reading them all, as the account page shows it each time.
func TestGrantsOfReadsNotAllRowsOfAUser(t *testing.T) {
	onEngines(t, func(t *testing.T, e *engine) {
		h := newHome(t, e)
		e.analyze(t)
		texts := e.during(func() {
			if _, err := e.GrantsOf(t.Context(), h.user.Subject); err != nil {
				t.Fatal(err)
			}
		})
		for _, text := range texts {
			plan := e.explain(t, text)
			if !strings.Contains(plan, "tokens_subject") || ofSubject.MatchString(plan) {
				t.Errorf("reads every row of the user:\n%s", plan)
			}
		}
	})
}

var (
	// A list of values is no table: "SCAN 50-ROW VALUES CLAUSE".
	sqliteScan   = regexp.MustCompile(`^SCAN ([a-zA-Z_]\w*)`)
	sqliteSearch = regexp.MustCompile(`^SEARCH (\w+)`)
	// allGrants is a range of grants with nothing to narrow it: nearly all of them.
	allGrants = regexp.MustCompile(`\(grant_id ?< ?[$?]1?\)$`)
	// ofSubject reads the rows of all tokens of a user, and not the ids of the families alone.
	ofSubject = regexp.MustCompile(`USING INDEX tokens_subject|(Index|Bitmap Index) Scan (using|on) tokens_subject`)
	wholeScan = regexp.MustCompile(`Seq Scan on (\w+)`)
	indexScan = regexp.MustCompile(`(?:Index|Index Only|Bitmap Index) Scan using \w+ on (\w+)`)
)

// scanned is the table that a step of a plan reads from end to end, by an index or not; next is the step after it.
func scanned(step, next string) string {
	if m := sqliteScan.FindStringSubmatch(step); m != nil && !slices.Contains([]string{"doomed", "touched", "families", "ranked", "placed", "CONSTANT"}, m[1]) {
		return m[1]
	}
	if m := wholeScan.FindStringSubmatch(step); m != nil {
		return m[1]
	}
	if m := indexScan.FindStringSubmatch(step); m != nil && (!strings.Contains(next, "Index Cond") || allGrants.MatchString(next)) {
		return m[1]
	}
	if m := sqliteSearch.FindStringSubmatch(step); m != nil && allGrants.MatchString(step) {
		return m[1]
	}
	return ""
}
