package credential

import (
	"errors"
	"strings"
	"testing"
)

func TestRow137AliasesShareOneKey(t *testing.T) {
	for want, aliases := range map[string][]string{
		"victim@example.com":        {"victim@example.com", "VICTIM@Example.COM", " victim@example.com\t", "victim＠example.com", "ｖictim@example.com", "victim@example.com.", "victim@ｅxample。com", "vi\u017fit"[:2] + "ctim@example.com"},
		"kelvin@example.com":        {"\u212aelvin@example.com", "Kelvin@example.com"},
		"jos\u00e9@example.com":     {"jose\u0301@example.com", "JOS\u00c9@example.com"},
		"a@xn--bcher-kva.example":   {"a@bücher.example", "a@BÜCHER.example", "a@bu\u0308cher.example", "a@xn--bcher-kva.example", "A@XN--BCHER-KVA.EXAMPLE"},
		"strasse@example.com":       {"straße@example.com", "STRASSE@example.com"},
		"o'brien+tag@example.co.uk": {"O'Brien+Tag@example.co.uk"},
		"alice":                     {"alice", "ALICE", "Ａlice", " alice\u00a0"},
		"j.o-e_1":                   {"J.O-E_1"},
	} {
		for _, alias := range aliases {
			if got, err := LoginKey(alias); err != nil || got != want {
				t.Errorf("LoginKey(%q) = %q, %v; want %q", alias, got, err, want)
			}
		}
	}
}

func TestRow148TwinsAreOtherAccounts(t *testing.T) {
	seen := map[string]string{}
	for _, s := range []string{"victim@example.com", "vıctim@example.com", "vİctim@example.com", "vісtim@example.com" /* Cyrillic */, "victim+tag@example.com", "victim@exаmple.com" /* Cyrillic */, "victim"} {
		key, err := LoginKey(s)
		if err != nil {
			t.Errorf("LoginKey(%q): %v", s, err)
		}
		if twin, ok := seen[key]; ok {
			t.Errorf("%q and %q are one account", s, twin)
		}
		seen[key] = s
	}
}

func TestRow148UnusableAddressesAreRefused(t *testing.T) {
	for _, s := range []string{
		"", "@", "a@", "@b.example", "a b@c.example", `"a@evil"@good.example`, `"a"@good.example`, "a@b@c.example", "a@[127.0.0.1]", "a@127.0.0.1", "a@2130706433", "a@[IPv6:::1]",
		"a@xn--example-.com", "a@xn--.com", "a@-b.example", "a@b..example", "a@.b.example", "a@b_c.example", ".a@b.example", "a.@b.example", "a..b@c.example",
		"a@x.example,b@y.example", "a@x.example b@y.example", "a\r\nBcc: b@x.example", "a\x00@b.example", "Name <a@b.example>", "a\u200b@b.example", "a\u202e@b.example", "a\u00ad@b.example",
		"a@b.example..", strings.Repeat("a", 65) + "@b.example", "a@" + strings.Repeat("b", 64) + ".example", "a@" + strings.Repeat("bbbbbbbb.", 30) + "example",
		strings.Repeat("a", 64<<10) + "@b.example", "a\xff@b.example", "a@b\xff.example", "a,b@c.example", "a;b@c.example", "a:b@c.example", "a(b)@c.example", "☃@c.example",
	} {
		if key, err := EmailKey(s); !errors.Is(err, ErrEmail) {
			t.Errorf("EmailKey(%.60q) = %q, %v", s, key, err)
		}
	}
	for _, s := range []string{
		"", " ", "a@b", "a＠b", "a b", "a\nb", "-a", ".a", "_", "a/b", "a<b>", "a\u200bb", "\u0301a", strings.Repeat("a", 65), strings.Repeat("a", 64<<10), "a\xff", "a\u2028b", "a\x1b[31m", "a👍",
	} {
		if key, err := UsernameKey(s); !errors.Is(err, ErrUsername) {
			t.Errorf("UsernameKey(%.60q) = %q, %v", s, key, err)
		}
	}
}

func TestUsernameNeverEqualsAnEmail(t *testing.T) {
	key, err := UsernameKey("example.com")
	if err != nil || strings.Contains(key, "@") {
		t.Errorf("UsernameKey = %q, %v", key, err)
	}
}

func FuzzLoginKey(f *testing.F) {
	for _, s := range []string{"a@b.example", "Straße", "vİctim@example.com", "\u0345@x.example", "a＠b", "ǰ@x.example", "ﬀ@ﬀ.example"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		key, err := LoginKey(s)
		if err != nil {
			return
		}
		if again, err := LoginKey(key); err != nil || again != key {
			t.Fatalf("LoginKey(%q) = %q, and of that %q, %v", s, key, again, err)
		}
		if strings.ContainsAny(key, " \r\n\t\x00\"<>,") || strings.Count(key, "@") > 1 {
			t.Fatalf("LoginKey(%q) = %q", s, key)
		}
	})
}
