package oauth

import (
	"bytes"
	"strings"
	"testing"

	"gatehouse/provider/seal"
	"gatehouse/storage"
)

func pairwiseEngine(t *testing.T, key byte) *Engine {
	t.Helper()
	siv, err := seal.NewSIV(bytes.Repeat([]byte{key, 1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return &Engine{Options: Options{Pairwise: siv}}
}

func TestRuling45NamesInvertForTheirSectorAndKindOnly(t *testing.T) {
	e := pairwiseEngine(t, 1)
	shop := &storage.Client{ID: "shop", SubjectType: "pairwise", Sector: "shop.example"}
	twin := &storage.Client{ID: "twin", SubjectType: "pairwise", Sector: "shop.example"}
	bank := &storage.Client{ID: "bank", SubjectType: "pairwise", Sector: "bank.example"}
	alone := &storage.Client{ID: "shop.example", SubjectType: "pairwise"}
	open := &storage.Client{ID: "open"}
	for _, name := range []string{"u", "0123456789abcdef", "hfm6lqkjnn5qzwcbxywyfe7iqe", strings.Repeat("x", 150), "b\xc3\xbcrger"} {
		sub, sid := e.SubjectOf(shop, name), e.SIDOf(shop, name)
		if got, ok := e.Subject(shop, sub); !ok || got != name {
			t.Errorf("Subject = %q, %v", got, ok)
		}
		if got, ok := e.SID(twin, sid); !ok || got != name || e.SubjectOf(twin, name) != sub {
			t.Errorf("the clients of one sector disagree: %q, %v", got, ok)
		}
		if len(sub) > 255 || strings.Trim(sub, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") != "" {
			t.Errorf("T13: sub %q", sub)
		}
		for what, sent := range map[string]string{
			"a sid": sid, "another sector's": e.SubjectOf(bank, name), "a client's without a sector": e.SubjectOf(alone, name), "another key's": pairwiseEngine(t, 2).SubjectOf(shop, name),
			"the internal one": name, "padded": sub + "=", "broken in two": sub[:5] + "\n" + sub[5:], "cut": sub[:len(sub)-1], "longer": sub + "A", "upper case": strings.ToUpper(sub),
		} {
			if got, ok := e.Subject(shop, sent); ok && sent != sub {
				t.Errorf("%s is taken for %q", what, got)
			}
		}
		if e.SubjectOf(open, name) != name || e.SIDOf(open, name) != name {
			t.Error("a public client gets another name")
		}
		if got, ok := e.Subject(open, name); !ok || got != name {
			t.Errorf("public: %q, %v", got, ok)
		}
	}
	if e.SubjectOf(shop, "") != "" || e.SIDOf(shop, "") != "" {
		t.Error("nobody has a name")
	}
}
