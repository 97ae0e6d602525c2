package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"gatehouse/storage"
)

// undone is a database that undoes the first transactions for reasons of concurrency.
type undone struct {
	DB
	failures, calls int
}

var errUndone = fmt.Errorf("%w: serialization failure", storage.ErrUnavailable)

func (d *undone) Tx(_ context.Context, do func(Query) error) error {
	d.calls++
	if err := do(nil); err != nil {
		return err
	}
	if d.calls <= d.failures {
		return errUndone
	}
	return nil
}

func (d *undone) Retryable(err error) bool { return errors.Is(err, errUndone) }

func TestUndoneWorkIsDoneAgain(t *testing.T) {
	for _, test := range []struct {
		failures, calls int
		want            error
	}{{0, 1, nil}, {2, 3, nil}, {attempts - 1, attempts, nil}, {attempts, attempts, storage.ErrUnavailable}} {
		db := &undone{failures: test.failures}
		err := New(Options{DB: db}).tx(t.Context(), func(Query) error { return nil })
		if !errors.Is(err, test.want) || db.calls != test.calls {
			t.Errorf("%d failures: %v after %d calls, want %v after %d", test.failures, err, db.calls, test.want, test.calls)
		}
	}
}

func TestOwnErrorsAreNotRetried(t *testing.T) {
	own := errors.New("refused")
	db := &undone{}
	if err := New(Options{DB: db}).tx(t.Context(), func(Query) error { return own }); err != own || db.calls != 1 {
		t.Errorf("%v after %d calls", err, db.calls)
	}
}

func TestRetryEndsWithItsCaller(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	db := &undone{failures: attempts}
	if err := New(Options{DB: db}).tx(ctx, func(Query) error { return nil }); !errors.Is(err, storage.ErrUnavailable) || db.calls > 2 {
		t.Errorf("%v after %d calls", err, db.calls)
	}
}

func TestTakenFieldIsNamed(t *testing.T) {
	for constraint, want := range map[string]string{"users_email": "email", "users.email_key": "email", "users_username": "username",
		"users.username_key": "username", "users_pkey": "id", "identities_pkey": "identity",
		"identities.upstream, identities.external_id": "identity", "tokens.signature, tokens.kind": "id", "sessions_cookie_hash_key": "id",
		"factors_credential": "credential", "factors.credential_id": "credential", "factors_pkey": "id", "devices.cookie_hash": "id"} {
		var exists *storage.ExistsError
		if err := taken(&Conflict{Constraint: constraint}); !errors.As(err, &exists) || exists.Field != want {
			t.Errorf("%s: %v, want %s", constraint, err, want)
		}
	}
}

// The text filter on grant ids must agree with the time inside them.
func TestBornBelowAgreesWithGrantBorn(t *testing.T) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	grant := func(ms time.Time, rest string) string { return bornBelow(ms) + "-" + rest }
	for _, rest := range []string{"7000-8000-000000000000", "7fff-bfff-ffffffffffff"} {
		for _, d := range []time.Duration{-1000 * time.Hour, -time.Millisecond, 0, time.Millisecond, 1000 * time.Hour} {
			id := grant(at.Add(d), rest)
			born, ok := storage.GrantBorn(id)
			if !ok {
				t.Fatalf("%s is no UUIDv7", id)
			}
			if dead := id < bornBelow(at.Add(time.Millisecond)); dead != !born.After(at) {
				t.Errorf("grant born %v after the revocation: dead %v", d, dead)
			}
			if id >= everyGrant {
				t.Errorf("%s is above every grant", id)
			}
		}
	}
}

func TestTimesRoundTrip(t *testing.T) {
	east := time.FixedZone("east", 3600)
	for _, in := range []time.Time{{}, time.Date(2026, 3, 4, 5, 6, 7, 123456789, east), time.Date(1965, 1, 1, 0, 0, 0, 1999, time.UTC)} {
		out := readTime(micros(in))
		if in.IsZero() != out.IsZero() || !in.IsZero() && !out.Equal(in.UTC().Truncate(time.Microsecond)) {
			t.Errorf("%v became %v", in, out)
		}
	}
}

func TestKeysStayApart(t *testing.T) {
	in := []string{"", "a", "a\x00b", "a\xffb", "a\xfeb", "\x1f", "\x1fAA", key("a\x00b"), key(key("a\x00b"))}
	var out []string
	for _, s := range in {
		k := key(s)
		if !storable(k) {
			t.Errorf("key(%q) = %q cannot be stored", s, k)
		}
		out = append(out, k)
	}
	slices.Sort(out)
	if n := len(slices.Compact(out)); n != len(in) {
		t.Errorf("%d different keys of %d", n, len(in))
	}
}

func TestEncodeRefusesWhatItCannotHold(t *testing.T) {
	for text, ok := range map[string]bool{"plain": true, "\uFFFD": true, `\ufffd`: true, "\x00": true, "a\xff": false, `\` + "\xff": false} {
		encoded, err := encode([]string{text})
		if (err == nil) != ok || err != nil && !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("%q: %v", text, err)
		}
		var back []string
		if ok && (decode([]byte(encoded), &back) != nil || back[0] != text) {
			t.Errorf("%q came back as %q", text, back)
		}
	}
}

func TestPlainReplacesWhatCannotBeStored(t *testing.T) {
	if got := plain("Mozilla\x00/5\xff"); got != "Mozilla\uFFFD/5\uFFFD" || !storable(got) {
		t.Errorf("got %q", got)
	}
}
