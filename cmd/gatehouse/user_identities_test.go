package main

import (
	"strings"
	"testing"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/storage"
)

// TestRow175OperatorTakesTheLastWayInOnlyIfToldSo needs a user without a password, whom only a sign-in at an upstream makes.
func TestRow175OperatorTakesTheLastWayInOnlyIfToldSo(t *testing.T) {
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
	user := &storage.User{Subject: "ada", Email: "ada@example.com", EmailKey: "ada@example.com"}
	if err := store.CreateUserIdentity(t.Context(), user, &storage.Identity{Upstream: "github", ExternalID: "1", Subject: "ada", Label: "ada\x1b[2J"}); err != nil {
		t.Fatal(err)
	}
	if err := store.CreateIdentity(t.Context(), &storage.Identity{Upstream: "gone", ExternalID: "2", Subject: "ada"}, 0); err != nil { // at an upstream that the configuration has no more
		t.Fatal(err)
	}
	if text := i.command(t, "", "user", "identities", "ada"); strings.Contains(text, "\x1b") || !strings.Contains(text, `"ada\x1b[2J"`) {
		t.Errorf("the provider's label steers the terminal: %q", text)
	}
	unlink := []string{"user", "identities", "unlink", "ada", "--upstream", "github", "--external-id", "1"}
	var out, errOut strings.Builder
	if code := run(t.Context(), unlink, i.env, strings.NewReader(""), &out, &errOut); code != exitFailed || !strings.Contains(errOut.String(), "only way in of user ada") ||
		!strings.Contains(errOut.String(), "pass --last") || strings.Contains(errOut.String(), "identity.unlinked") {
		t.Errorf("without --last: %d %s%s", code, out.String(), errOut.String())
	}
	if list, err := store.IdentitiesOf(t.Context(), "ada"); err != nil || len(list) != 2 {
		t.Fatalf("%v %v", list, err)
	}
	i.command(t, "", append(unlink, "--last")...)
	if list, err := store.IdentitiesOf(t.Context(), "ada"); err != nil || len(list) != 1 {
		t.Errorf("with --last: %v %v", list, err)
	}
}
