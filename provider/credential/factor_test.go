package credential_test

import (
	"context"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/provider/credential"
	"gatehouse/provider/credential/credentialtest"
	"gatehouse/provider/seal"
	"gatehouse/storage"
	"gatehouse/storage/memory"
)

const origin = "https://id.example"

// house is the users alice and bob with everything that checks their factors.
type house struct {
	*testing.T
	mu         sync.Mutex
	at         time.Time
	ring       *seal.Ring
	store      *memory.Store
	totp       *credential.TOTP
	passkeys   *credential.Passkeys
	codes      *credential.RecoveryCodes
	alice, bob *storage.User
}

func (h *house) now() time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at
}

func (h *house) wait(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.at = h.at.Add(d)
}

func (h *house) must(err error) {
	h.Helper()
	if err != nil {
		h.Fatal(err)
	}
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{T: t, at: time.Date(2026, 7, 1, 12, 0, 0, 0, time.UTC)}
	h.store = memory.New(storage.Options{Now: h.now, RevocationTTL: time.Hour})
	var err error
	h.ring, err = seal.New([][]byte{[]byte("0123456789abcdef0123456789abcdeF")})
	h.must(err)
	h.totp = credential.NewTOTP(credential.TOTPOptions{Store: h.store, Seal: h.ring, Issuer: "North & West", Now: h.now})
	h.passkeys, err = credential.NewPasskeys(t.Context(), credential.PasskeyOptions{Store: h.store, Seal: h.ring, Issuer: origin + "/tenant", Name: "North", Now: h.now})
	h.must(err)
	h.codes, err = credential.NewRecoveryCodes(t.Context(), h.store, h.store, h.ring)
	h.must(err)
	h.alice, h.bob = h.user("alice"), h.user("bob")
	return h
}

func (h *house) user(name string) *storage.User {
	u := &storage.User{Subject: "sub-" + name, Username: name, UsernameKey: name}
	h.must(h.store.CreateUser(h.Context(), u, "x"))
	stored, err := h.store.User(h.Context(), u.Subject)
	h.must(err)
	return stored
}

func (h *house) factors(u *storage.User) []*storage.Factor {
	h.Helper()
	list, err := h.store.FactorsOf(h.Context(), u.Subject)
	h.must(err)
	return list
}

// app enrols an authenticator app and returns what it shows.
func (h *house) app(u *storage.User) credentialtest.App {
	h.Helper()
	e, err := h.totp.Begin(u.Subject, u.Username)
	h.must(err)
	app := credentialtest.App{Secret: e.Secret}
	_, err = h.totp.Finish(h.Context(), u, e.Sealed, app.Code(h.now()), "My phone")
	h.must(err)
	h.wait(time.Minute)
	return app
}

func TestQRCodeSaysWhatAppsRead(t *testing.T) {
	h := newHouse(t)
	e, err := h.totp.Begin(h.alice.Subject, "alice+test@example.com")
	h.must(err)
	u, err := url.Parse(e.URI)
	h.must(err)
	q := u.Query()
	seed, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(q.Get("secret"))
	h.must(err)
	if u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/North & West:alice+test@example.com" || q.Get("issuer") != "North & West" || len(seed) != 20 || strings.Contains(e.URI, "+") && !strings.Contains(e.URI, "alice+test") {
		t.Errorf("URI %s", e.URI)
	}
	if strings.ReplaceAll(e.Secret, " ", "") != q.Get("secret") || e.QR.Size < 29 || !strings.HasPrefix(e.QR.Path, "M4 4h7v1h-7z") {
		t.Errorf("secret %q, QR of %d: %.30s", e.Secret, e.QR.Size, e.QR.Path)
	}
}

func TestRow153EveryCodeWorksOnceAlsoInParallel(t *testing.T) {
	h := newHouse(t)
	app := h.app(h.alice)
	for round := range 20 {
		h.wait(30 * time.Second)
		code, factors := app.Code(h.now()), h.factors(h.alice)
		var won atomic.Int32
		var group sync.WaitGroup
		for range 8 {
			group.Go(func() {
				_, err := h.totp.Verify(context.Background(), factors, code)
				switch {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, credential.ErrCode):
					t.Error(err)
				}
			})
		}
		group.Wait()
		if won.Load() != 1 {
			t.Fatalf("round %d: %d callers won", round, won.Load())
		}
	}
	old := app.Code(h.now().Add(-30 * time.Second))
	if _, err := h.totp.Verify(t.Context(), h.factors(h.alice), old); !errors.Is(err, credential.ErrUsed) {
		t.Errorf("a code of the step before the last used one: %v", err)
	}
}

func TestRow153TheCodeThatEnrolsIsUsed(t *testing.T) {
	h := newHouse(t)
	e, err := h.totp.Begin(h.alice.Subject, "alice")
	h.must(err)
	code := credentialtest.App{Secret: e.Secret}.Code(h.now())
	if _, err := h.totp.Finish(t.Context(), h.bob, e.Sealed, code, ""); !errors.Is(err, credential.ErrStale) {
		t.Errorf("bob finished what alice began: %v", err)
	}
	if _, err := h.totp.Finish(t.Context(), h.alice, e.Sealed, "000000", ""); !errors.Is(err, credential.ErrCode) {
		t.Errorf("a wrong code enrols: %v", err)
	}
	_, err = h.totp.Finish(t.Context(), h.alice, e.Sealed, code, "")
	h.must(err)
	if _, err := h.totp.Finish(t.Context(), h.alice, e.Sealed, code, ""); !errors.Is(err, credential.ErrStale) {
		t.Errorf("one enrolment made two factors: %v", err)
	}
	if _, err := h.totp.Verify(t.Context(), h.factors(h.alice), code); !errors.Is(err, credential.ErrUsed) {
		t.Errorf("the code of the enrolment signs in: %v", err)
	}
	if strings.Contains(string(h.factors(h.alice)[0].Data), strings.ReplaceAll(e.Secret, " ", "")) {
		t.Error("the seed is stored in clear")
	}
}

func TestRow154HoweverItIsWrittenItIsTheSameCode(t *testing.T) {
	h := newHouse(t)
	app := h.app(h.alice)
	spell := []func(string) string{
		func(c string) string { return c[:3] + " " + c[3:] }, func(c string) string { return " " + c + "\n" }, func(c string) string { return c[:3] + "-" + c[3:] + "\u00a0\r\n" },
		func(c string) string {
			return strings.Map(func(r rune) rune { return r - '0' + '０' }, c)
		},
	}
	for i, write := range spell {
		h.wait(30 * time.Second)
		code := app.Code(h.now())
		if _, err := h.totp.Verify(t.Context(), h.factors(h.alice), write(code)); err != nil {
			t.Errorf("spelling %d: %v", i, err)
		}
		for j, again := range append(spell, func(c string) string { return c }) {
			if _, err := h.totp.Verify(t.Context(), h.factors(h.alice), again(code)); !errors.Is(err, credential.ErrUsed) {
				t.Errorf("used in spelling %d, then in %d: %v", i, j, err)
			}
		}
	}
	h.wait(30 * time.Second)
	code := app.Code(h.now())
	for _, bad := range []string{"0" + code, code + "0", "00000" + code, "+" + code, code[:5], "", strings.Repeat(" ", 1000) + code, "٠" + code[1:], "1e5000"} {
		if _, err := h.totp.Verify(t.Context(), h.factors(h.alice), bad); !errors.Is(err, credential.ErrCode) || errors.Is(err, credential.ErrUsed) {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}

func TestClocksMayBeOffByOneStepOnly(t *testing.T) {
	h := newHouse(t)
	app := h.app(h.alice)
	for off, want := range map[time.Duration]bool{-60 * time.Second: false, 60 * time.Second: false, -30 * time.Second: true, 30 * time.Second: true} {
		h.wait(10 * time.Minute)
		_, err := h.totp.Verify(t.Context(), h.factors(h.alice), app.Code(h.now().Add(off)))
		if (err == nil) != want {
			t.Errorf("%v off: %v", off, err)
		}
	}
}

func TestASeedMovedToAnotherRowDoesNotOpen(t *testing.T) {
	h := newHouse(t)
	app := h.app(h.alice)
	moved := *h.factors(h.alice)[0]
	moved.ID = "another"
	if _, err := h.totp.Verify(t.Context(), []*storage.Factor{&moved}, app.Code(h.now())); !errors.Is(err, seal.ErrBroken) {
		t.Errorf("moved seed: %v", err)
	}
}

func TestRow158RecoveryCodesWorkOnceForTheirUser(t *testing.T) {
	h := newHouse(t)
	first, err := h.codes.Generate(t.Context(), h.alice)
	h.must(err)
	codes, err := h.codes.Generate(t.Context(), h.alice)
	h.must(err)
	if len(codes) != 10 || len(strings.ReplaceAll(codes[0], "-", "")) != 16 {
		t.Fatalf("codes %q", codes)
	}
	use := func(u *storage.User, code string) error {
		_, err := h.codes.Use(context.Background(), u.Subject, code)
		return err
	}
	if err := use(h.alice, first[0]); !errors.Is(err, credential.ErrCode) {
		t.Errorf("a code from before the new ones: %v", err)
	}
	if err := use(h.bob, codes[0]); !errors.Is(err, credential.ErrCode) {
		t.Errorf("a code of another user: %v", err)
	}
	var won atomic.Int32
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() {
			if use(h.alice, codes[0]) == nil {
				won.Add(1)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 {
		t.Errorf("%d callers used one code", won.Load())
	}
	plain := strings.ToUpper(strings.ReplaceAll(codes[1], "-", " "))
	plain = strings.NewReplacer("O", "0", "I", "1", "B", "8").Replace(plain)
	h.must(use(h.alice, " "+plain+"\n"))
	if err := use(h.alice, codes[1]); !errors.Is(err, credential.ErrCode) {
		t.Errorf("a code in another spelling: %v", err)
	}
	if left, err := h.codes.Left(t.Context(), h.alice.Subject); err != nil || left != 8 {
		t.Errorf("%d codes left, %v", left, err)
	}
}

// passkey registers one.
func (h *house) passkey(u *storage.User, a *credentialtest.Authenticator, changes ...func(*credentialtest.Answer)) *storage.Factor {
	h.Helper()
	c, err := h.passkeys.BeginRegistration(h.Context(), u, "bind")
	h.must(err)
	f, err := h.passkeys.FinishRegistration(h.Context(), u, "bind", c.Sealed, a.Create(c.Options, changes...), "")
	h.must(err)
	return f
}

func (h *house) signIn(a *credentialtest.Authenticator, changes ...func(*credentialtest.Answer)) (*credential.Assertion, error) {
	h.Helper()
	c, err := h.passkeys.BeginSignIn("bind")
	h.must(err)
	return h.passkeys.FinishSignIn(h.Context(), "bind", c.Sealed, a.Get(c.Options, changes...))
}

func TestPasskeySignsInWithoutAName(t *testing.T) {
	h := newHouse(t)
	a := credentialtest.New(t, origin)
	f := h.passkey(h.alice, a)
	got, err := h.signIn(a)
	h.must(err)
	if got.User.Subject != h.alice.Subject || got.Factor.ID != f.ID || !got.Verified || fmt.Sprint(got.AMR()) != "[hwk user mfa]" {
		t.Errorf("signed in %+v by %v", got, got.AMR())
	}
	if handle := a.Keys()[0].Handle; len(handle) != 32 || strings.Contains(string(handle), h.alice.Subject) {
		t.Errorf("user handle %x", handle)
	}
	if used := h.factors(h.alice)[0]; used.Counter != 1 || used.LastUsed.IsZero() {
		t.Errorf("the use was not noted: %+v", used)
	}
}

// What signs in alone is a passkey: the authenticator verified the person, and finds the credential by itself. Anything else is a second factor only.
func TestOnlyWhatSignsInAloneIsAPasskey(t *testing.T) {
	h := newHouse(t)
	found, lost := credentialtest.Discoverable(true), credentialtest.Discoverable(false)
	for name, c := range map[string]struct {
		changes []func(*credentialtest.Answer)
		want    storage.FactorKind
	}{
		"verified, nothing told":         {nil, storage.FactorPasskey},
		"verified, told without rk":      {[]func(*credentialtest.Answer){func(x *credentialtest.Answer) { x.Extensions["credProps"] = map[string]any{} }}, storage.FactorPasskey},
		"verified and discoverable":      {[]func(*credentialtest.Answer){found}, storage.FactorPasskey},
		"verified, not discoverable":     {[]func(*credentialtest.Answer){lost}, storage.FactorKey},
		"not verified, nothing told":     {[]func(*credentialtest.Answer){credentialtest.Unverified}, storage.FactorKey},
		"not verified, but discoverable": {[]func(*credentialtest.Answer){credentialtest.Unverified, found}, storage.FactorKey},
		"neither":                        {[]func(*credentialtest.Answer){credentialtest.Unverified, lost}, storage.FactorKey},
	} {
		f := h.passkey(h.alice, credentialtest.New(t, origin), c.changes...)
		wantName := map[storage.FactorKind]string{storage.FactorPasskey: "Passkey", storage.FactorKey: "Security key"}[c.want]
		if f.Kind != c.want || f.Name != wantName {
			t.Errorf("%s: a %s named %q", name, f.Kind, f.Name)
		}
	}
}

// A security key is asked for, counts and is told after a first factor as a passkey is, and a copy of it is noticed. One that verifies the person by now may sign in alone, too.
func TestKeyIsASecondFactor(t *testing.T) {
	h := newHouse(t)
	a := credentialtest.New(t, origin)
	f := h.passkey(h.alice, a, credentialtest.Unverified)
	answers := func(changes ...func(*credentialtest.Answer)) (*credential.Assertion, error) {
		c, err := h.passkeys.BeginFactor(t.Context(), h.alice, "bind")
		h.must(err)
		if !strings.Contains(string(c.Options), f.CredentialID) {
			t.Errorf("the key is not asked for: %s", c.Options)
		}
		return h.passkeys.FinishFactor(t.Context(), h.alice, "bind", c.Sealed, a.Get(c.Options, changes...))
	}
	got, err := answers(credentialtest.Unverified)
	h.must(err)
	if got.Factor.ID != f.ID || got.Verified || fmt.Sprint(got.AMR()) != "[hwk user]" {
		t.Errorf("%+v by %v", got, got.AMR())
	}
	if used := h.factors(h.alice)[0]; used.Kind != storage.FactorKey || used.Counter != 1 || used.LastUsed.IsZero() {
		t.Errorf("the use was not noted: %+v", used)
	}
	if _, err := answers(func(x *credentialtest.Answer) { x.Counter = 1 }); !errors.Is(err, credential.ErrCloned) {
		t.Errorf("a copy: %v", err)
	}
	alone, err := h.signIn(a)
	h.must(err)
	if alone.User.Subject != h.alice.Subject || !alone.Verified {
		t.Errorf("%+v", alone)
	}
}

func TestPasskeyOptionsAskForWhatIsAllowed(t *testing.T) {
	h := newHouse(t)
	a := credentialtest.New(t, origin)
	h.passkey(h.alice, a)
	h.passkey(h.alice, a, credentialtest.Unverified)
	c, err := h.passkeys.BeginRegistration(t.Context(), h.alice, "b")
	h.must(err)
	var o struct {
		RP                     struct{ ID string }
		Attestation            string
		AuthenticatorSelection struct{ ResidentKey, UserVerification string }
		ExcludeCredentials     []struct{ ID string }
		Extensions             struct{ CredProps bool }
		PubKeyCredParams       []struct{ Alg int }
		Timeout                int
	}
	h.must(json.Unmarshal(c.Options, &o))
	if o.RP.ID != "id.example" || o.Attestation != "none" && o.Attestation != "" || o.AuthenticatorSelection.ResidentKey != "preferred" || o.AuthenticatorSelection.UserVerification != "preferred" ||
		len(o.ExcludeCredentials) != 2 || !o.Extensions.CredProps || fmt.Sprint(o.PubKeyCredParams) != "[{-7} {-8} {-257}]" || o.Timeout != 180_000 {
		t.Errorf("options %s", c.Options)
	}
}

func TestChallengesWorkOnceForThreeMinutesWhereTheyWereAsked(t *testing.T) {
	h := newHouse(t)
	a := credentialtest.New(t, origin)
	h.passkey(h.alice, a)
	c, err := h.passkeys.BeginSignIn("bind")
	h.must(err)
	answer := a.Get(c.Options)
	stale := func(what string, err error) {
		t.Helper()
		if !errors.Is(err, credential.ErrStale) {
			t.Errorf("%s: %v", what, err)
		}
	}
	_, err = h.passkeys.FinishSignIn(t.Context(), "another", c.Sealed, answer)
	stale("another interaction", err)
	_, err = h.passkeys.FinishFactor(t.Context(), h.alice, "bind", c.Sealed, answer)
	stale("another purpose", err)
	_, err = h.passkeys.FinishSignIn(t.Context(), "bind", c.Sealed[:len(c.Sealed)-2]+"AA", answer)
	stale("damaged", err)
	var won atomic.Int32
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			if _, err := h.passkeys.FinishSignIn(context.Background(), "bind", c.Sealed, answer); err == nil {
				won.Add(1)
			}
		})
	}
	group.Wait()
	if won.Load() != 1 {
		t.Errorf("%d callers used one challenge", won.Load())
	}
	c, err = h.passkeys.BeginSignIn("bind")
	h.must(err)
	h.wait(3 * time.Minute)
	_, err = h.passkeys.FinishSignIn(t.Context(), "bind", c.Sealed, a.Get(c.Options))
	stale("three minutes later", err)
}

func TestRow162And163AnswersFromElsewhereAreRefused(t *testing.T) {
	h := newHouse(t)
	a := credentialtest.New(t, origin)
	h.passkey(h.alice, a)
	refused := map[string]func(*credentialtest.Answer){
		"evil origin":             func(x *credentialtest.Answer) { x.Origin = "https://evil.example" },
		"http origin":             func(x *credentialtest.Answer) { x.Origin = "http://id.example" },
		"sub-domain":              func(x *credentialtest.Answer) { x.Origin = "https://a.id.example" },
		"other port":              func(x *credentialtest.Answer) { x.Origin = "https://id.example:8443" },
		"null origin":             func(x *credentialtest.Answer) { x.Origin = "null" },
		"cross origin":            func(x *credentialtest.Answer) { x.CrossOrigin = true },
		"top origin":              func(x *credentialtest.Answer) { x.CrossOrigin, x.TopOrigin = true, "https://evil.example" },
		"top origin alone":        func(x *credentialtest.Answer) { x.TopOrigin = "https://evil.example" },
		"wrong type":              func(x *credentialtest.Answer) { x.Type = "webauthn.create" },
		"another challenge":       func(x *credentialtest.Answer) { x.Challenge = strings.Repeat("A", 43) },
		"wrong relying party":     func(x *credentialtest.Answer) { x.RPID = "evil.example" },
		"parent domain":           func(x *credentialtest.Answer) { x.RPID = "example" },
		"user not present":        func(x *credentialtest.Answer) { x.Flags &^= credentialtest.Present },
		"data changed afterwards": func(x *credentialtest.Answer) { x.Damage = func(b []byte) []byte { b[36]++; return b } },
		"data cut":                func(x *credentialtest.Answer) { x.Damage = func(b []byte) []byte { return b[:20] } },
		"becomes syncable":        func(x *credentialtest.Answer) { x.Flags |= credentialtest.Eligible },
		"backed up, not syncable": func(x *credentialtest.Answer) { x.Flags |= credentialtest.Backed },
		"handle of another user":  func(x *credentialtest.Answer) { x.Handle = make([]byte, 32) },
		"no handle":               func(x *credentialtest.Answer) { x.Handle = nil },
		"unknown credential":      func(x *credentialtest.Answer) { x.ID = make([]byte, 32) },
	}
	for name, change := range refused {
		if got, err := h.signIn(a, change); !errors.Is(err, credential.ErrPasskey) {
			t.Errorf("Row162 %s: %v %v", name, got, err)
		}
	}
	if got, err := h.signIn(a, func(x *credentialtest.Answer) { x.Flags &^= credentialtest.Verified }); err != nil || got.Verified || fmt.Sprint(got.AMR()) != "[hwk user]" {
		t.Errorf("Row163 without verification: %+v %v", got, err)
	}
}

func TestRow162RegistrationFromElsewhereIsRefused(t *testing.T) {
	h := newHouse(t)
	a := credentialtest.New(t, origin)
	for name, change := range map[string]func(*credentialtest.Answer){
		"evil origin": func(x *credentialtest.Answer) { x.Origin = "https://evil.example" }, "wrong type": func(x *credentialtest.Answer) { x.Type = "webauthn.get" },
		"wrong relying party": func(x *credentialtest.Answer) { x.RPID = "evil.example" }, "user not present": func(x *credentialtest.Answer) { x.Flags &^= credentialtest.Present },
		"cross origin": func(x *credentialtest.Answer) { x.CrossOrigin = true }, "Row165 zero key": func(x *credentialtest.Answer) { x.PublicKey = append(x.PublicKey[:10], make([]byte, 67)...) },
		"Row165 unknown algorithm": func(x *credentialtest.Answer) { x.PublicKey[4] = 0x38 }, "Row165 no key": func(x *credentialtest.Answer) { x.PublicKey = nil },
		"Row165 deep CBOR": func(x *credentialtest.Answer) { x.PublicKey = []byte(strings.Repeat("\x81", 10_000)) },
		"Row165 endless":   func(x *credentialtest.Answer) { x.PublicKey = []byte("\xbf" + strings.Repeat("\x01", 5000)) },
		"Row165 huge":      func(x *credentialtest.Answer) { x.PublicKey = make([]byte, 30_000) },
		"no credential id": func(x *credentialtest.Answer) { x.ID = nil },
	} {
		c, err := h.passkeys.BeginRegistration(t.Context(), h.alice, "bind")
		h.must(err)
		if _, err := h.passkeys.FinishRegistration(t.Context(), h.alice, "bind", c.Sealed, a.Create(c.Options, change), ""); !errors.Is(err, credential.ErrPasskey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if len(h.factors(h.alice)) != 0 {
		t.Error("a passkey was stored")
	}
}

func TestRow164TheUserIsWhomTheCredentialIsStoredFor(t *testing.T) {
	h := newHouse(t)
	mine, theirs := credentialtest.New(t, origin), credentialtest.New(t, origin)
	h.passkey(h.alice, mine)
	h.passkey(h.bob, theirs)
	if got, err := h.signIn(mine, func(x *credentialtest.Answer) { x.Handle = theirs.Keys()[0].Handle }); !errors.Is(err, credential.ErrPasskey) {
		t.Errorf("credential of alice, handle of bob: %v %v", got, err)
	}
	c, err := h.passkeys.BeginRegistration(t.Context(), h.bob, "bind")
	h.must(err)
	answer := theirs.Create(c.Options, func(x *credentialtest.Answer) { x.ID = mine.Keys()[0].ID })
	if _, err := h.passkeys.FinishRegistration(t.Context(), h.bob, "bind", c.Sealed, answer, ""); !errors.Is(err, storage.ErrExists) {
		t.Errorf("a credential id that alice has: %v", err)
	}
	c, err = h.passkeys.BeginFactor(t.Context(), h.alice, "bind")
	h.must(err)
	theirs.Keys()[0].RPID = "id.example"
	stolen := credentialtest.New(t, origin)
	h.passkey(h.bob, stolen)
	if _, err := h.passkeys.FinishFactor(t.Context(), h.alice, "bind", c.Sealed, stolen.Get(c.Options)); !errors.Is(err, credential.ErrPasskey) {
		t.Errorf("bob's passkey as alice's second factor: %v", err)
	}
	c, err = h.passkeys.BeginFactor(t.Context(), h.alice, "bind")
	h.must(err)
	anonymous := func(x *credentialtest.Answer) { x.Handle = nil } // as security keys answer
	if _, err := h.passkeys.FinishFactor(t.Context(), h.alice, "bind", c.Sealed, stolen.Get(c.Options, anonymous)); !errors.Is(err, credential.ErrPasskey) {
		t.Errorf("bob's security key as alice's second factor: %v", err)
	}
	c, err = h.passkeys.BeginFactor(t.Context(), h.alice, "bind")
	h.must(err)
	got, err := h.passkeys.FinishFactor(t.Context(), h.alice, "bind", c.Sealed, mine.Get(c.Options))
	h.must(err)
	if got.User.Subject != h.alice.Subject {
		t.Errorf("the factor is that of %s", got.User.Subject)
	}
}

func TestRow165CountersThatGoBackMatterForKeysThatCannotBeCopied(t *testing.T) {
	h := newHouse(t)
	fixed, synced := credentialtest.New(t, origin), credentialtest.New(t, origin)
	synced.Flags |= credentialtest.Eligible | credentialtest.Backed
	h.passkey(h.alice, fixed)
	h.passkey(h.alice, synced)
	back := func(x *credentialtest.Answer) { x.Counter = 1 }
	for range 3 {
		_, err := h.signIn(fixed)
		h.must(err)
		_, err = h.signIn(synced)
		h.must(err)
	}
	if got, err := h.signIn(fixed, back); !errors.Is(err, credential.ErrCloned) || got == nil || got.User.Subject != h.alice.Subject {
		t.Errorf("a copied security key: %v %v", got, err)
	}
	got, err := h.signIn(synced, back)
	if err != nil || !got.WentBack || fmt.Sprint(got.AMR()) != "[swk user mfa]" {
		t.Errorf("a synced passkey is locked out: %+v %v", got, err)
	}
	if _, err := h.signIn(synced, func(x *credentialtest.Answer) { x.Flags &^= credentialtest.Backed }); err != nil {
		t.Errorf("a passkey that is not backed up any more: %v", err)
	}
	if _, err := h.signIn(synced, func(x *credentialtest.Answer) { x.Flags &^= credentialtest.Eligible | credentialtest.Backed }); !errors.Is(err, credential.ErrPasskey) {
		t.Errorf("a passkey that cannot be synced any more: %v", err)
	}
}

func TestDisabledUsersHaveNoPasskeys(t *testing.T) {
	h := newHouse(t)
	a := credentialtest.New(t, origin)
	h.passkey(h.alice, a)
	_, err := h.store.UpdateUser(t.Context(), h.alice.Subject, func(u *storage.User) error { u.Disabled = true; return nil })
	h.must(err)
	if got, err := h.signIn(a); !errors.Is(err, credential.ErrPasskey) {
		t.Errorf("disabled: %v %v", got, err)
	}
}

func TestPasskeysNeedADomain(t *testing.T) {
	for issuer, want := range map[string]bool{"https://id.example": true, "http://localhost:8080": true, "http://127.0.0.1:8080": false, "http://[::1]:8080": false, "://": false} {
		if got := credential.PasskeysWork(issuer); got != want {
			t.Errorf("PasskeysWork(%q) = %t", issuer, got)
		}
	}
}

func FuzzPasskeyAnswer(f *testing.F) {
	for _, seed := range []string{"", "{}", `{"id":"AA","rawId":"AA","type":"public-key","response":{}}`, strings.Repeat("[", 10_000), `{"response":{"authenticatorData":"` + base64.RawURLEncoding.EncodeToString(make([]byte, 37)) + `"}}`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, answer string) {
		h := newHouse(t)
		c, err := h.passkeys.BeginSignIn("bind")
		h.must(err)
		if got, err := h.passkeys.FinishSignIn(t.Context(), "bind", c.Sealed, answer); !errors.Is(err, credential.ErrPasskey) {
			t.Errorf("%q: %v %v", answer, got, err)
		}
		c, err = h.passkeys.BeginRegistration(t.Context(), h.alice, "bind")
		h.must(err)
		if got, err := h.passkeys.FinishRegistration(t.Context(), h.alice, "bind", c.Sealed, answer, ""); !errors.Is(err, credential.ErrPasskey) {
			t.Errorf("%q: %v %v", answer, got, err)
		}
	})
}
