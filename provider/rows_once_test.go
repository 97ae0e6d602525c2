package provider_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/provider/credential/credentialtest"
	"gatehouse/provider/ratelimit"
	"gatehouse/storage"
	"gatehouse/storage/sqlite"
)

// Codes that work once, on any number of nodes and however they are typed.

// through makes a browser reach another node at the address that it knows, as a load balancer does.
func (b *browser) through(node *server) *browser {
	transport := &http.Transport{DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, node.http.Listener.Addr().String())
	}}
	node.Cleanup(transport.CloseIdleConnections)
	b.client.Transport = transport
	return b
}

// noCodeLimits leaves the limits of codes out, which are not what these tests are about.
func noCodeLimits(o *provider.Options) {
	o.Limits.FactorChallenge, o.Limits.FactorUser, o.Limits.FactorIP = 1000, ratelimit.Limit{}, ratelimit.Limit{}
}

// pair boots two nodes over one store, with second factors, and holds their clock.
func pair(t *testing.T, backend string) (s, other *server) {
	t.Helper()
	s = strong(t, backend, noCodeLimits)
	s.Clock.Hold()
	return s, s.node(quickKeys, longSessions, secondFactors, noCodeLimits)
}

// atOnce has a code sent from several sign-ins at the same time, half of them at the other node, and returns the browsers that got in.
func (s *server) atOnce(other *server, email, code string) (in []*browser) {
	s.Helper()
	browsers, pages := make([]*browser, 8), make([]page, 8)
	for i := range browsers {
		browsers[i] = s.browser(email)
		if i%2 == 1 {
			browsers[i].through(other)
		}
		pages[i] = browsers[i].half(nil)
	}
	var wg sync.WaitGroup
	for i, b := range browsers {
		wg.Go(func() { pages[i] = b.submit(pages[i], "factor", url.Values{"code": {code}}) })
	}
	wg.Wait()
	for i, p := range pages {
		switch p.StatusCode {
		case http.StatusSeeOther:
			in = append(in, browsers[i])
		case http.StatusUnauthorized:
		default:
			s.Errorf("a code at the same time as others: %d %s", p.StatusCode, cut(p.Body))
		}
	}
	return in
}

// refuses demands that a code is a wrong one, at both nodes.
func (s *server) refuses(other *server, email, what, code string) {
	s.Helper()
	for _, b := range []*browser{s.browser(email), s.browser(email).through(other)} {
		if p := b.submit(b.half(nil), "factor", url.Values{"code": {code}}); p.StatusCode != http.StatusUnauthorized {
			s.Errorf("%s: %d to %s", what, p.StatusCode, p.Header.Get("Location"))
		}
	}
}

func TestRow153Row158CodesWorkOnceOnTwoNodes(t *testing.T) {
	for _, backend := range []string{"sqlite", "postgres"} {
		t.Run(backend, func(t *testing.T) {
			s, other := pair(t, backend)
			ada := s.user("ada@example.com")
			app, eve := s.app(ada), s.user("eve@example.com")
			s.app(eve)
			codes, foreign := s.recoveryCodes(ada), s.recoveryCodes(eve)
			code, before := app.Code(s.Clock.Now()), app.Code(s.Clock.Now().Add(-30*time.Second))
			in := s.atOnce(other, "ada@example.com", code)
			if len(in) != 1 {
				t.Fatalf("%d got in with one code", len(in))
			}
			s.refuses(other, "ada@example.com", "the code again", code)
			s.refuses(other, "ada@example.com", "the code before it, which nobody used", before)
			for _, b := range []*browser{in[0], in[0].through(other)} { // the same person in the same browser is no exception
				if p := b.submit(b.half(url.Values{"prompt": {"login"}}), "factor", url.Values{"code": {code}}); p.StatusCode != http.StatusUnauthorized {
					t.Errorf("the code again, by whom it let in: %d", p.StatusCode)
				}
			}
			if in = s.atOnce(other, "ada@example.com", codes[0]); len(in) != 1 {
				t.Fatalf("%d got in with one recovery code", len(in))
			}
			s.refuses(other, "ada@example.com", "the recovery code again", codes[0])
			s.refuses(other, "ada@example.com", "somebody else's recovery code", foreign[0])
			if left, err := s.Store.RecoveryCodes(t.Context(), eve); err != nil || left != len(foreign) {
				t.Errorf("%d of eve's recovery codes are left, %v", left, err)
			}
			enrolledCodeIsUsed(s, other)
		})
	}
}

// enrolledCodeIsUsed: the code that enrols an app at one node lets nobody in at another.
func enrolledCodeIsUsed(s, other *server) {
	s.Helper()
	s.user("bob@example.com")
	b := s.browser("bob@example.com")
	p := b.walk(s.authorizeURL(url.Values{"claims": {`{"id_token":{"acr":{"essential":true,"value":"2"}}}`}}))
	app := credentialtest.App{Secret: textOf(s.T, p.Body, `data-secret="`, `"`)}
	b.enrolHere(p)
	s.refuses(other, "bob@example.com", "the code that enrolled the app", app.Code(s.Clock.Now()))
}

// digits writes a code with other digits; zero is the first of ten in a row.
func digits(zero rune) func(string) string {
	return func(code string) string { return strings.Map(func(r rune) rune { return r - '0' + zero }, code) }
}

// Row 154: other ways to write a code are that code, once; what is not six digits is none, and uses none up.
func TestRow154SpellingsDodgeNothing(t *testing.T) {
	s := strong(t, "memory", noCodeLimits)
	s.Clock.Hold()
	app := s.app(s.user("ada@example.com"))
	same := map[string]func(string) string{
		"as it is": func(c string) string { return c }, "spaced": func(c string) string { return c[:3] + " " + c[3:] }, "hyphen": func(c string) string { return c[:3] + "-" + c[3:] },
		"newline": func(c string) string { return c + "\n" }, "CRLF and tab": func(c string) string { return "\t" + c + "\r\n" }, "no-break space": func(c string) string { return "\u00a0" + c[:2] + "\u202f" + c[2:] },
		"full width": digits('０'), "bold": digits('𝟎'), "monospace": digits('𝟶'), "ideographic space": func(c string) string { return c + "\u3000" },
	}
	other := map[string]func(string) string{
		"a leading zero": func(c string) string { return "0" + c }, "leading zeros": func(c string) string { return "000" + c }, "a leading zero apart": func(c string) string { return "0 " + c },
		"a full-width leading zero": func(c string) string { return "０" + c }, "a trailing zero": func(c string) string { return c + "0" }, "a plus": func(c string) string { return "+" + c },
		"a letter": func(c string) string { return c + "o" }, "zero-width space": func(c string) string { return c[:3] + "\u200b" + c[3:] }, "Arabic-Indic": digits('٠'), "Devanagari": digits('०'),
		"without its zero": func(c string) string { return strings.TrimPrefix(c, "0") }, "decimals": func(c string) string { return c + ".0" }, "twice": func(c string) string { return c + c }, "more space than there is room for": func(c string) string { return strings.Repeat(" ", 200) + c },
	}
	for name, write := range same {
		s.Clock.Advance(time.Minute)
		code := app.Code(s.Clock.Now())
		for ; code[0] != '0'; code = app.Code(s.Clock.Now()) { // so that there is a zero to leave out
			s.Clock.Advance(time.Minute)
		}
		b := s.browser("ada@example.com")
		p := b.half(nil)
		for bad, rewrite := range other {
			if got := b.submit(p, "factor", url.Values{"code": {rewrite(code)}}); got.StatusCode != http.StatusUnauthorized {
				t.Errorf("%s: %d", bad, got.StatusCode)
			}
		}
		if got := b.submit(p, "factor", url.Values{"code": {write(code)}}); got.StatusCode != http.StatusSeeOther {
			t.Errorf("%s: %d", name, got.StatusCode)
		}
		b = s.browser("ada@example.com")
		p = b.half(nil)
		for again, rewrite := range same {
			if got := b.submit(p, "factor", url.Values{"code": {rewrite(code)}}); got.StatusCode != http.StatusUnauthorized {
				t.Errorf("used as %q, then as %q: %d", name, again, got.StatusCode)
			}
		}
	}
}

// Row 158: a used recovery code stays used however it is typed, one of an old set is none, and the store holds neither in a form that lets anybody in.
func TestRow158RecoveryCodesStayUsedAndAreKeptAsHashes(t *testing.T) {
	file := filepath.Join(t.TempDir(), "gatehouse.db")
	s := startAs(t, "memory", func(s *server) {
		store, err := sqlite.Open(t.Context(), sqlite.Options{Path: file, Options: storage.Options{Now: s.Clock.Now, RevocationTTL: provider.RevocationTTL(testTokens, nil)}, AutoMigrate: true})
		s.ok(err)
		t.Cleanup(func() { store.Close() })
		s.Store = store
	}, quickKeys, longSessions, secondFactors, noCodeLimits)
	s.URL = strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	s.client()
	app := s.app(s.user("ada@example.com"))
	owner := s.browser("ada@example.com")
	owner.toApp(owner.submit(owner.half(nil), "factor", url.Values{"code": {app.Code(s.Clock.Now())}}))
	regenerate := func() []string {
		codes := recoveryCode.FindAllString(s.wants(owner.ask("/account/recovery-codes", "codes-new", nil), http.StatusOK).Body, 10)
		if len(codes) != 10 {
			t.Fatalf("%d codes", len(codes))
		}
		return codes
	}
	old, codes := regenerate(), regenerate()
	b := s.browser("ada@example.com")
	p := b.half(nil)
	for what, code := range map[string]string{"of the old set": old[0], "with a letter more": codes[0] + "a", "half of one": codes[0][:9], "two halves": codes[0][:10] + codes[1][10:]} {
		if got := b.submit(p, "factor", url.Values{"code": {code}}); got.StatusCode != http.StatusUnauthorized {
			t.Errorf("%s: %d", what, got.StatusCode)
		}
	}
	s.wants(b.submit(p, "factor", url.Values{"code": {strings.ToUpper(codes[0])}}), http.StatusSeeOther)
	b = s.browser("ada@example.com")
	p = b.half(nil)
	wide := strings.Map(func(r rune) rune {
		if r == '-' {
			return '\u2013'
		}
		return r - '!' + '！'
	}, codes[0])
	for what, code := range map[string]string{
		"as it was shown": codes[0], "capitals": strings.ToUpper(codes[0]), "no hyphens": strings.ReplaceAll(codes[0], "-", ""), "spaces": strings.ReplaceAll(codes[0], "-", " ") + "\n", "full width": wide,
		"digits for letters": strings.NewReplacer("o", "0", "i", "1", "b", "8").Replace(codes[0]),
	} {
		if got := b.submit(p, "factor", url.Values{"code": {code}}); got.StatusCode != http.StatusUnauthorized {
			t.Errorf("used, then again %s: %d", what, got.StatusCode)
		}
	}
	for _, name := range []string{file, file + "-wal"} {
		held, err := os.ReadFile(name)
		s.ok(err)
		for _, code := range append(codes, old...) {
			plain := strings.ReplaceAll(code, "-", "")
			for _, form := range []string{code, plain, strings.ToUpper(code), strings.ToUpper(plain)} {
				if bytes.Contains(held, []byte(form)) {
					t.Errorf("%s holds a recovery code", filepath.Base(name))
				}
			}
		}
	}
	s.noSecrets(append(codes, old...)...)
}
