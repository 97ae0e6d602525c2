package credential_test

import (
	"testing"

	"gatehouse/provider/credential"
)

func TestRow148MailGoesToTheCanonicalAddressNeverToATwin(t *testing.T) {
	for typed, want := range map[string]string{
		"ada@shop.example": "ada@shop.example", " Ada@Shop.example ": "Ada@Shop.example", "ada＠shop.example": "ada@shop.example", "\u212aate@shop.example": "kate@shop.example",
		"ａda@shop.example": "ada@shop.example", "ada@bücher.example": "ada@xn--bcher-kva.example", "ﬁn@shop.example": "fin@shop.example", "ada@shop.example.": "ada@shop.example",
	} {
		address, key, err := credential.Address(typed)
		if err != nil || address != want {
			t.Errorf("Address(%q) = %q, %q, %v; want %q", typed, address, key, err, want)
		}
		if again, err := credential.EmailKey(address); err != nil || again != key {
			t.Errorf("the address %q has the key %q, not %q", address, again, key)
		}
	}
	for _, typed := range []string{`"a@evil.example"@shop.example`, "ada@[127.0.0.1]", "a@x.example,b@y.example", "ada@xn--example-.com", "Ada <ada@shop.example>", "ada@shop.example\r\nBcc: eve@evil.example", "", "ada"} {
		if address, _, err := credential.Address(typed); err == nil {
			t.Errorf("Address(%q) = %q", typed, address)
		}
	}
}
