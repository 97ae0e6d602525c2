package sqlstore_test

import (
	"testing"

	"gatehouse/storage"
)

// onEachEngine runs a benchmark on a fresh store of each engine.
func onEachEngine(b *testing.B, run func(*testing.B, *engine, *home)) {
	for name, open := range engines {
		b.Run(name, func(b *testing.B) {
			e := open(b)
			h := newHome(b, e)
			b.ResetTimer()
			run(b, e, h)
		})
	}
}

func BenchmarkToken(b *testing.B) {
	onEachEngine(b, func(b *testing.B, e *engine, h *home) {
		code := h.tokens[storage.TokenCode]
		for b.Loop() {
			if _, err := e.Token(b.Context(), code.Kind, code.Signature); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkSessionByCookie(b *testing.B) {
	onEachEngine(b, func(b *testing.B, e *engine, h *home) {
		for b.Loop() {
			if _, _, err := e.SessionByCookie(b.Context(), h.session.CookieHash); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkCreateToken(b *testing.B) {
	onEachEngine(b, func(b *testing.B, e *engine, h *home) {
		for b.Loop() {
			if err := e.CreateToken(b.Context(), h.token(storage.TokenCode)); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func BenchmarkExchangeToken(b *testing.B) {
	onEachEngine(b, func(b *testing.B, e *engine, h *home) {
		from := h.tokens[storage.TokenRefresh]
		for b.Loop() {
			to := h.token(storage.TokenRefresh)
			if err := e.ExchangeToken(b.Context(), from.Kind, from.Signature, make([]byte, 80), to); err != nil {
				b.Fatal(err)
			}
			from = to
		}
	})
}

func BenchmarkRevokeGrant(b *testing.B) {
	onEachEngine(b, func(b *testing.B, e *engine, h *home) {
		for b.Loop() {
			tok := h.token(storage.TokenRefresh)
			if err := e.CreateToken(b.Context(), tok); err != nil {
				b.Fatal(err)
			}
			if _, err := e.RevokeTokens(b.Context(), storage.Revocation{Kind: storage.RevokeGrant, ID: tok.GrantID}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
