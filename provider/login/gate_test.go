package login

import (
	"context"
	"errors"
	"testing"
)

func TestGateForgetsWhoLeft(t *testing.T) {
	var g gate
	first, err := g.enter(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	second, err := g.enter(t.Context(), "alice")
	if err != nil {
		t.Fatal(err)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := g.enter(gone, "alice"); !errors.Is(err, context.Canceled) {
		t.Errorf("a third try whose browser is gone: %v", err)
	}
	other, err := g.enter(t.Context(), "bob")
	if err != nil {
		t.Errorf("another account waits too: %v", err)
	}
	first()
	second()
	other()
	if len(g.slots) != 0 {
		t.Errorf("%d keys are kept after everybody left", len(g.slots))
	}
}
