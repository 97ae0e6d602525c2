package credential

import "testing"

// The vectors of RFC 6238 appendix B, of whose eight digits six count here.
func TestCodesAreThoseOfRFC6238(t *testing.T) {
	for at, want := range map[int64]string{59: "287082", 1111111109: "081804", 1111111111: "050471", 1234567890: "005924", 2000000000: "279037", 20000000000: "353130"} {
		if got := totpCode([]byte("12345678901234567890"), at/totpStep); got != want {
			t.Errorf("at %d: %s, want %s", at, got, want)
		}
	}
}

func FuzzTypedCode(f *testing.F) {
	for _, seed := range []string{"123456", "１２３ ４５６", "abcd-efgh-ijkl-mnop", "\xff\xfe", "00123456"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, typed string) {
		if code, ok := normalCode(typed); ok {
			if again, ok := normalCode(code); !ok || again != code {
				t.Errorf("%q becomes %q, which becomes %q", typed, code, again)
			}
		}
		if code, ok := normalRecovery(typed); ok {
			if again, ok := normalRecovery(code); !ok || again != code {
				t.Errorf("%q becomes %q, which becomes %q", typed, code, again)
			}
		}
	})
}
