package templates

import (
	"io"
	"testing"
)

func TestEveryPageHasATemplate(t *testing.T) {
	set, err := Load()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range []Page{Login{Client: &ClientView{ID: "x"}}, Consent{Scopes: []ScopeView{{Name: "openid"}}}, Error{Details: []Pair{{"a", "b"}}}, RedirectMismatch{Nearest: "a", Differences: []Difference{{}}}, Account{Connected: []ConnectedApp{{Scopes: []string{"openid"}}}}, FormPost{Action: "https://a.test/"}, SignedOut{}, Done{}, Interstitial{URL: "https://a.test/"}} {
		if err := set.Render(io.Discard, Layout{}, p); err != nil {
			t.Error(err)
		}
	}
}
