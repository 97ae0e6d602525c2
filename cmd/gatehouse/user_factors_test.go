package main

import (
	"strings"
	"testing"
	"time"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/storage"
)

// TestOperatorTakesLostFactors needs factors and trusted browsers, which only people at a browser make.
func TestOperatorTakesLostFactors(t *testing.T) {
	i := start(t, environment(t))
	c, err := config.Load(config.Source{Dir: t.TempDir(), Env: i.env})
	if err != nil {
		t.Fatal(err)
	}
	store, err := openStore(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	})
	now := time.Now().UTC().Truncate(time.Microsecond)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, subject := range []string{"ada", "bob"} {
		must(store.CreateUser(t.Context(), &storage.User{Subject: subject, Email: subject + "@example.com", EmailKey: subject + "@example.com"}, ""))
		must(store.CreateFactor(t.Context(), &storage.Factor{ID: "app-" + subject, Subject: subject, Kind: storage.FactorTOTP, Name: "Phone", Created: now}, 0))
		must(store.CreateFactor(t.Context(), &storage.Factor{ID: "key-" + subject, Subject: subject, Kind: storage.FactorPasskey, Name: "Laptop\x1b[2J", CredentialID: "c-" + subject, Created: now}, 0))
		must(store.SetRecoveryCodes(t.Context(), subject, []string{"code-" + subject}, 0))
		must(store.CreateDevice(t.Context(), &storage.Device{ID: "d-" + subject, Subject: subject, CookieHash: "h-" + subject, Created: now, LastUsed: now, Expires: now.Add(time.Hour)}))
	}
	left := func(subject string) (factors, codes, devices int) {
		t.Helper()
		f, err := store.FactorsOf(t.Context(), subject)
		must(err)
		n, err := store.RecoveryCodes(t.Context(), subject)
		must(err)
		d, err := store.DevicesOf(t.Context(), subject)
		must(err)
		return len(f), n, len(d)
	}
	var out, errOut strings.Builder
	if code := run(t.Context(), []string{"user", "remove-factors", "ada"}, i.env, strings.NewReader(""), &out, &errOut); code != exitFailed ||
		!strings.Contains(errOut.String(), "only way in of user ada") || strings.Contains(errOut.String(), "\x1b") {
		t.Errorf("a user whose passkey is all: %d %q", code, errOut.String())
	}
	if factors, codes, devices := left("ada"); factors != 2 || codes != 1 || devices != 1 {
		t.Errorf("%d factors, %d codes and %d trusted browsers left of her who was refused", factors, codes, devices)
	}
	must(store.SetPassword(t.Context(), "ada", "encoded"))
	if text := i.command(t, "", "user", "remove-factors", "ada@example.com"); !strings.Contains(text, "ada has no second factor any more; 2 removed") {
		t.Errorf("%q", text)
	}
	if factors, codes, devices := left("ada"); factors+codes+devices != 0 {
		t.Errorf("%d factors, %d codes, %d trusted browsers left", factors, codes, devices)
	}
	if factors, codes, devices := left("bob"); factors != 2 || codes != 1 || devices != 1 {
		t.Errorf("somebody else: %d factors, %d codes, %d trusted browsers left", factors, codes, devices)
	}
	if history, err := store.Activities(t.Context(), "ada", 10); err != nil || len(history) != 2 || history[0].Kind != "factor.removed" {
		t.Errorf("her history: %+v, %v", history, err)
	}
}
