package credential_test

import (
	"errors"
	"strings"
	"testing"

	"gatehouse/provider/credential"
	"gatehouse/provider/credential/credentialtest"
)

// Row 162: an authenticator that does not count (Web Authentication section 6.1.1) gives the server nothing but the challenge to tell a second use by.
func TestRow162ChallengeWorksOnceForKeysThatDoNotCount(t *testing.T) {
	h := newHouse(t)
	a := credentialtest.New(t, origin)
	h.passkey(h.alice, a)
	still := func(x *credentialtest.Answer) { x.Counter = 0 }
	c, err := h.passkeys.BeginSignIn("bind")
	h.must(err)
	answer := a.Get(c.Options, still)
	_, err = h.passkeys.FinishSignIn(t.Context(), "bind", c.Sealed, answer)
	h.must(err)
	for _, again := range []string{answer, a.Get(c.Options, still), a.Get(c.Options)} {
		if got, err := h.passkeys.FinishSignIn(t.Context(), "bind", c.Sealed, again); !errors.Is(err, credential.ErrStale) {
			t.Errorf("the challenge again: %+v %v", got, err)
		}
	}
	second, err := h.passkeys.BeginFactor(t.Context(), h.alice, "bind")
	h.must(err)
	answer = a.Get(second.Options, still)
	_, err = h.passkeys.FinishFactor(t.Context(), h.alice, "bind", second.Sealed, answer)
	h.must(err)
	if got, err := h.passkeys.FinishFactor(t.Context(), h.alice, "bind", second.Sealed, answer); !errors.Is(err, credential.ErrStale) {
		t.Errorf("the challenge of a second factor again: %+v %v", got, err)
	}
	// A refused answer uses its challenge up as well: one challenge, one try.
	c, err = h.passkeys.BeginSignIn("bind")
	h.must(err)
	if _, err := h.passkeys.FinishSignIn(t.Context(), "bind", c.Sealed, a.Get(c.Options, func(x *credentialtest.Answer) { x.Origin = "https://evil.example" })); !errors.Is(err, credential.ErrPasskey) {
		t.Fatalf("a foreign origin: %v", err)
	}
	if got, err := h.passkeys.FinishSignIn(t.Context(), "bind", c.Sealed, a.Get(c.Options, still)); !errors.Is(err, credential.ErrStale) {
		t.Errorf("a good answer after a bad one: %+v %v", got, err)
	}
}

// Row 162: an answer is one to the question that was asked: neither that of another ceremony, nor one to a question that was changed.
func TestRow162AnswersToOtherQuestionsAreRefused(t *testing.T) {
	h := newHouse(t)
	a := credentialtest.New(t, origin)
	h.passkey(h.alice, a)
	begin := func() *credential.Ceremony {
		c, err := h.passkeys.BeginSignIn("bind")
		h.must(err)
		return c
	}
	one, two := begin(), begin()
	if got, err := h.passkeys.FinishSignIn(t.Context(), "bind", one.Sealed, a.Get(two.Options)); !errors.Is(err, credential.ErrPasskey) {
		t.Errorf("the answer to another question: %+v %v", got, err)
	}
	made, err := h.passkeys.BeginRegistration(t.Context(), h.alice, "bind")
	h.must(err)
	for name, sealed := range map[string]string{"a registration's": made.Sealed, "none": "", "text": "x", "swapped halves": two.Sealed[len(two.Sealed)/2:] + two.Sealed[:len(two.Sealed)/2], "padded": two.Sealed + "=", "longer": two.Sealed + "AAAA"} {
		if got, err := h.passkeys.FinishSignIn(t.Context(), "bind", sealed, a.Get(two.Options)); !errors.Is(err, credential.ErrStale) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
	}
	if _, err := h.passkeys.FinishRegistration(t.Context(), h.bob, "bind", made.Sealed, credentialtest.New(t, origin).Create(made.Options), ""); !errors.Is(err, credential.ErrStale) {
		t.Errorf("bob finished what alice began: %v", err)
	}
}

// Row 164: a passkey that was removed, or whose user is gone, is nobody's, whatever its handle says.
func TestRow164RemovedPasskeysAreNobodys(t *testing.T) {
	h := newHouse(t)
	mine, other := credentialtest.New(t, origin), credentialtest.New(t, origin)
	f := h.passkey(h.alice, mine)
	h.passkey(h.bob, other)
	c, err := h.passkeys.BeginFactor(t.Context(), h.alice, "bind")
	h.must(err)
	h.must(h.store.DeleteFactor(t.Context(), h.alice.Subject, f.ID, false, nil))
	if got, err := h.passkeys.FinishFactor(t.Context(), h.alice, "bind", c.Sealed, mine.Get(c.Options)); !errors.Is(err, credential.ErrPasskey) {
		t.Errorf("removed while it was asked for: %+v %v", got, err)
	}
	if got, err := h.signIn(mine); !errors.Is(err, credential.ErrPasskey) {
		t.Errorf("a removed one: %+v %v", got, err)
	}
	if got, err := h.signIn(mine, func(x *credentialtest.Answer) { x.ID, x.Handle = other.Keys()[0].ID, other.Keys()[0].Handle }); !errors.Is(err, credential.ErrPasskey) {
		t.Errorf("bob's credential with the signature of alice's key: %+v %v", got, err)
	}
	h.must(h.store.DeleteUser(t.Context(), h.bob.Subject))
	if got, err := h.signIn(other); !errors.Is(err, credential.ErrPasskey) {
		t.Errorf("of a deleted user: %+v %v", got, err)
	}
}

// Row 165: a counter that stays at zero is none. One that has counted does not go back to zero, nor stand still, for a key that cannot be copied.
func TestRow165KeysThatDoNotCountAreNotLockedOut(t *testing.T) {
	h := newHouse(t)
	a := credentialtest.New(t, origin)
	h.passkey(h.alice, a)
	at := func(n uint32) func(*credentialtest.Answer) {
		return func(x *credentialtest.Answer) { x.Counter = n }
	}
	for range 3 {
		_, err := h.signIn(a, at(0))
		h.must(err)
	}
	_, err := h.signIn(a, at(7))
	h.must(err)
	for _, n := range []uint32{0, 6, 7} {
		if got, err := h.signIn(a, at(n)); !errors.Is(err, credential.ErrCloned) {
			t.Errorf("from 7 to %d: %+v %v", n, got, err)
		}
	}
	// Whoever has a copy locks nobody out: the key goes on from where it was.
	for _, n := range []uint32{8, 1 << 31, 1<<32 - 1} {
		if _, err := h.signIn(a, at(n)); err != nil {
			t.Errorf("to %d: %v", n, err)
		}
	}
}

// Row 165: what is too big is not read.
func TestRow165HugeAnswersAreRefused(t *testing.T) {
	h := newHouse(t)
	a := credentialtest.New(t, origin)
	h.passkey(h.alice, a)
	for name, answer := range map[string]string{
		"1 MB": strings.Repeat("x", 1<<20), "1 MB of JSON": `{"id":"` + strings.Repeat("A", 1<<20) + `"}`, "deep JSON": strings.Repeat(`{"response":`, 2000), "deep lists": strings.Repeat("[", 30_000), "nothing": "", "null": "null",
		"numbers": `{"id":1,"rawId":1,"type":1,"response":1}`, "two of all": `{"id":"AA","id":"BB","rawId":"AA","rawId":"BB","type":"public-key","response":{}}`,
	} {
		c, err := h.passkeys.BeginSignIn("bind")
		h.must(err)
		if got, err := h.passkeys.FinishSignIn(t.Context(), "bind", c.Sealed, answer); !errors.Is(err, credential.ErrPasskey) {
			t.Errorf("%s: %+v %v", name, got, err)
		}
		c, err = h.passkeys.BeginRegistration(t.Context(), h.alice, "bind")
		h.must(err)
		if got, err := h.passkeys.FinishRegistration(t.Context(), h.alice, "bind", c.Sealed, answer, ""); !errors.Is(err, credential.ErrPasskey) {
			t.Errorf("registration, %s: %+v %v", name, got, err)
		}
	}
	if n := len(h.factors(h.alice)); n != 1 {
		t.Errorf("%d passkeys", n)
	}
}
