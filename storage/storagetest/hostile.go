package storagetest

import (
	"errors"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/storage"
)

// hostileStrings must come back as they went in.
var hostileStrings = map[string]string{
	"Drop":      `x'); DROP TABLE clients; DELETE FROM users; --`,
	"Tautology": `' OR '1'='1`,
	"Double":    `" OR ""="`,
	"Backslash": `\' OR 1=1 -- \`,
	"Operands":  `$1 ? :name %s %_ \p1`,
	"JSON":      `","client_id":"admin","x":"`,
	"Unicode":   "日本語 🙂 e\u0301 \u202e\u2028\ufeff",
	"Control":   "line\r\nbreak\ttab\x1b[31m\x7f",
	"Spaces":    "  both ends  ",
	"Long":      strings.Repeat("ü", 500),
}

// unstorable may also be refused, with ErrUnavailable and nothing saved: PostgreSQL cannot hold them.
var unstorable = map[string]string{"NUL": "a\x00b", "NotUTF8": "a\xff\xfeb"}

func testHostile(t *testing.T, open Opener) {
	f := newFixture(t, open)
	h := f.home(t)
	want := f.has(t, h)
	for what, s := range hostileStrings {
		t.Run(what, func(t *testing.T) { hostile(t, f, s, false) })
	}
	for what, s := range unstorable {
		t.Run(what, func(t *testing.T) { hostile(t, f, s, true) })
		t.Run(what+"IsNotFound", func(t *testing.T) { hostileLookups(t, f, s+name("none")) })
	}
	same(t, "everything else, afterwards", f.has(t, h), want)
}

// hostileTrip stores s in one kind of row and reads it back.
type hostileTrip struct {
	name string
	put  func() error
	get  func() ([]string, error)
	want []string
}

func hostile(t *testing.T, f *fixture, s string, mayRefuse bool) {
	trips := []hostileTrip{f.hostileClient(s), f.hostileUser(s), f.hostileIdentity(t, s), f.hostileSession(t, s), f.hostileInteraction(s), f.hostileConsent(t, s),
		f.hostileToken(s), f.hostileKeys(s), f.hostileNotice(t, s), f.hostileVisit(t, s)}
	trips = append(trips, f.hostilePeople(t, s)...)
	for _, trip := range trips {
		err := trip.put()
		got, getErr := trip.get()
		if err != nil {
			if !mayRefuse || !errors.Is(err, storage.ErrUnavailable) {
				t.Errorf("%s: refused: %v", trip.name, err)
			}
			if getErr == nil && len(got) > 0 && strings.Join(got, "") != "" {
				t.Errorf("%s: refused, but stored %q", trip.name, got)
			}
			continue
		}
		if getErr != nil || strings.Join(got, "|") != strings.Join(trip.want, "|") {
			t.Errorf("%s: read %q (%v), want %q", trip.name, got, getErr, trip.want)
		}
	}
}

func (f *fixture) hostileClient(s string) hostileTrip {
	c := &storage.Client{ID: name("c") + oneLine(s), Name: s, RedirectURIs: []string{s, s}}
	return hostileTrip{"client", func() error { return f.CreateClient(bg, c) }, func() ([]string, error) {
		got, err := f.Client(bg, c.ID)
		if err != nil {
			return nil, err
		}
		return append([]string{got.ID, got.Name}, got.RedirectURIs...), nil
	}, []string{c.ID, s, s, s}}
}

func (f *fixture) hostileUser(s string) hostileTrip {
	text := strings.ToValidUTF8(s, "?") // claims are JSON, which holds nothing else
	u := &storage.User{Subject: name("u") + oneLine(s), Email: s, EmailKey: name("e") + s, Username: s, UsernameKey: name("n") + s, Claims: map[string]any{text: text}}
	return hostileTrip{"user", func() error { return f.CreateUser(bg, u, s) }, func() ([]string, error) {
		got, password, err := f.UserByLogin(bg, u.EmailKey)
		if err != nil {
			return nil, err
		}
		claim, _ := got.Claims[text].(string)
		return []string{got.Subject, got.Email, got.EmailKey, got.Username, got.UsernameKey, claim, password}, nil
	}, []string{u.Subject, s, u.EmailKey, s, u.UsernameKey, text, s}}
}

func (f *fixture) hostileIdentity(t *testing.T, s string) hostileTrip {
	i := account(f.user(t).Subject)
	i.Upstream, i.Tokens = "u"+s, []byte(s)
	i.ExternalID += s[:min(len(s), 220)]
	i.Label = strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "") // anything else may be replaced; see identityAnyLabel
	return hostileTrip{"identity", func() error { return f.CreateIdentity(bg, i, 0) }, func() ([]string, error) {
		got, _, err := f.Identity(bg, i.Upstream, i.ExternalID)
		if err != nil {
			return nil, err
		}
		return []string{got.Upstream, got.ExternalID, got.Label, string(got.Tokens)}, nil
	}, []string{i.Upstream, i.ExternalID, i.Label, s}}
}

func (f *fixture) hostileSession(t *testing.T, s string) hostileTrip {
	now := f.clock.Now()
	agent := strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "") // anything else may be replaced; see sessionAnyAgent
	row := &storage.Session{ID: name("s") + s, CookieHash: name("k") + s, Subject: f.user(t).Subject, AMR: []string{s}, ACR: s, UserAgent: agent, IP: "::1",
		Upstream: "u" + s, ExternalID: name("x") + s, UpstreamSID: s, UpstreamToken: []byte(s), AuthTime: now, Created: now, LastSeen: now, Absolute: now.Add(time.Hour)}
	return hostileTrip{"session", func() error { return f.CreateSession(bg, row) }, func() ([]string, error) {
		got, _, err := f.SessionByCookie(bg, row.CookieHash)
		if err != nil {
			return nil, err
		}
		token, err := f.UpstreamToken(bg, row.ID)
		return append(got.AMR, got.ID, got.CookieHash, got.ACR, got.UserAgent, got.IP, got.Upstream, got.ExternalID, got.UpstreamSID, string(token)), err
	}, []string{s, row.ID, row.CookieHash, s, agent, "::1", row.Upstream, row.ExternalID, s, s}}
}

func (f *fixture) hostileInteraction(s string) hostileTrip {
	now := f.clock.Now()
	in := &storage.Interaction{ID: name("i") + s, Kind: storage.InteractionAuthorize, Params: url.Values{s: {s, s}}, Source: s, ReturnTo: s, Binder: s,
		Proofs: map[string]string{s: s}, Created: now, Expires: now.Add(time.Hour)}
	return hostileTrip{"interaction", func() error { return f.CreateInteraction(bg, in) }, func() ([]string, error) {
		got, err := f.Interaction(bg, in.ID)
		if err != nil {
			return nil, err
		}
		return append(got.Params[s], got.ID, got.Source, got.ReturnTo, got.Binder, got.Proofs[s]), nil
	}, []string{s, s, in.ID, s, s, s, s}}
}

func (f *fixture) hostileVisit(t *testing.T, s string) hostileTrip {
	row := f.session(t, f.user(t).Subject)
	return hostileTrip{"client of a session", func() error { return f.AddSessionClient(bg, row.ID, s) }, func() ([]string, error) {
		return f.SessionClients(bg, row.ID)
	}, []string{s}}
}

func (f *fixture) hostileConsent(t *testing.T, s string) hostileTrip {
	u, c, now := f.user(t), f.client(t), f.clock.Now()
	row := &storage.Consent{Subject: u.Subject, ClientID: c.ID, Scopes: []string{s}, Resources: []string{s}, Created: now, Updated: now}
	return hostileTrip{"consent", func() error { return f.GrantConsent(bg, row) }, func() ([]string, error) {
		got, err := f.Consent(bg, u.Subject, c.ID)
		if err != nil {
			return nil, err
		}
		return append(got.Scopes, got.Resources...), nil
	}, []string{s, s}}
}

func (f *fixture) hostileToken(s string) hostileTrip {
	tok := f.token(storage.TokenRefresh)
	tok.Signature, tok.ClientID, tok.Subject, tok.SessionID, tok.Payload = name("t")+s, oneLine(s), oneLine(s), s, []byte(s)
	return hostileTrip{"token", func() error { return f.CreateToken(bg, tok) }, func() ([]string, error) {
		got, err := f.Token(bg, tok.Kind, tok.Signature)
		if err != nil {
			return nil, err
		}
		return []string{got.Signature, got.ClientID, got.Subject, got.SessionID, string(got.Payload)}, nil
	}, []string{tok.Signature, oneLine(s), oneLine(s), s, s}}
}

// oneLine leaves out the one character that subjects and client ids may not hold.
func oneLine(s string) string { return strings.ReplaceAll(s, "\n", "") }

// hostileKeys takes the stores that are keyed by whatever a request brought.
func (f *fixture) hostileKeys(s string) hostileTrip {
	key, at := name("key")+s, micro(f.clock.Now())
	return hostileTrip{"replay key, rate and secret", func() error {
		if err := f.Remember(bg, key, at.Add(time.Hour)); err != nil {
			return err
		}
		if _, err := f.SwapRate(bg, key, time.Time{}, at); err != nil {
			return err
		}
		return f.CreateSecret(bg, key, []byte(s))
	}, func() ([]string, error) {
		rate, rateErr := f.Rate(bg, key)
		if got, err := f.Secret(bg, key); rateErr == nil && err == nil && rate.Equal(at) {
			return []string{string(got)}, nil
		}
		return nil, rateErr
	}, []string{s}}
}

func (f *fixture) hostileNotice(t *testing.T, s string) hostileTrip {
	u := f.user(t)
	n := &storage.Notice{ID: name("n") + s, Subject: u.Subject, Kind: s, ClientID: s, Created: f.clock.Now()}
	return hostileTrip{"notice", func() error { return f.CreateNotice(bg, n) }, func() ([]string, error) {
		got, err := f.Notices(bg, u.Subject)
		if err != nil || len(got) == 0 {
			return nil, err
		}
		return []string{got[0].ID, got[0].Kind, got[0].ClientID}, nil
	}, []string{n.ID, s, s}}
}
