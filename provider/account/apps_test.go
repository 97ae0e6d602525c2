package account_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/activity"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
)

// onTwoStores is onEveryStore for what the contract of the stores covers already.
func onTwoStores(t *testing.T, test func(s *server)) {
	for _, name := range []string{"memory", "sqlite"} {
		t.Run(name, func(t *testing.T) { test(startOn(t, name, unlimited)) })
	}
}

// holds gives a client a token of a user, created now and good for an hour.
func (s *server) holds(kind storage.TokenKind, subject, clientID string, scopes ...string) *storage.Token {
	s.Helper()
	s.tokens++
	payload, err := json.Marshal(map[string]any{"scope": scopes, "resource": []string{"https://" + clientID + ".example"}})
	if kind == storage.TokenAccess {
		payload, err = json.Marshal(map[string]any{"scope": strings.Join(scopes, " "), "aud": origin})
	}
	s.must(err)
	t := &storage.Token{
		Kind: kind, Signature: fmt.Sprint("token-", s.tokens), GrantID: fmt.Sprintf("%08x-%04x-7000-8000-%012x", s.now.UnixMilli()>>16, s.now.UnixMilli()&0xffff, s.tokens), ClientID: clientID,
		Subject: subject, Payload: payload, Created: s.now, Expires: s.now.Add(time.Hour), GrantExpires: s.now.Add(24 * time.Hour),
	}
	s.must(s.store.CreateToken(s.Context(), t))
	return t
}

// firstParty registers a client whose users are not asked.
func (s *server) firstParty() {
	s.Helper()
	s.must(s.store.CreateClient(s.Context(), &storage.Client{ID: "till", Name: "The Till", AuthMethod: "none", FirstParty: true}))
}

// listed are the lines of the page of connected apps by client.
func (s *server) listed(b *webtest.Browser) map[string]string {
	s.Helper()
	p := b.Get(base + "/account/apps")
	if p.Status != http.StatusOK {
		s.Fatalf("the page of apps: %d", p.Status)
	}
	lines := map[string]string{}
	for _, line := range strings.Split(p.Body, `<li class="row row-top">`)[1:] {
		line, _, _ = strings.Cut(line, "</li>")
		_, id, _ := strings.Cut(line, `name="client_id" value="`)
		id, _, _ = strings.Cut(id, `"`)
		if lines[id] != "" {
			s.Errorf("%s is on two lines", id)
		}
		lines[id] = line
	}
	return lines
}

// counted is the number of connected apps on the overview, in words if there is none.
func (s *server) counted(b *webtest.Browser) string {
	s.Helper()
	_, after, found := strings.Cut(b.Get(base+"/account").Body, "<strong>Connected apps</strong><span>")
	if !found {
		s.Fatal("the overview has no connected apps")
	}
	number, _, _ := strings.Cut(after, "<")
	return number
}

// copied are the apps in the download by client.
func (s *server) copied(b *webtest.Browser) map[string]map[string]any {
	s.Helper()
	var file struct{ Apps []map[string]any }
	s.must(json.Unmarshal([]byte(b.Submit(b.Get(base+"/account/data"), "download", nil).Body), &file))
	apps := map[string]map[string]any{}
	for _, app := range file.Apps {
		apps[app["client_id"].(string)] = app
	}
	return apps
}

func (s *server) disconnects(b *webtest.Browser, clientID string) int {
	s.Helper()
	return b.Post(base+"/account/disconnect", url.Values{"client_id": {clientID}, "csrf": {token(b)}}).Status
}

// alive tells whether a token still has a row.
func (s *server) alive(t *storage.Token) bool {
	_, err := s.store.Token(s.Context(), t.Kind, t.Signature)
	return err == nil
}

func day(t time.Time) string { return `datetime="` + t.Format(time.RFC3339) + `"` }

func TestAppThatNeedsNoConsentIsListedAsLongAsItHasAccess(t *testing.T) {
	onTwoStores(t, func(s *server) {
		s.firstParty()
		b := s.signedIn("bob") // who has allowed the shop
		if apps := s.listed(b); len(apps) != 1 || s.counted(b) != "1" {
			s.Fatalf("before: %v, counted %q", apps, s.counted(b))
		}
		s.holds(storage.TokenRefresh, "alice", "till", "openid")
		s.holds(storage.TokenCode, "bob", "till", "openid")
		spent := s.holds(storage.TokenRefresh, "bob", "till", "openid")
		s.must(s.store.ExchangeToken(s.Context(), spent.Kind, spent.Signature, nil))
		if apps := s.listed(b); apps["till"] != "" || s.counted(b) != "1" || s.copied(b)["till"] != nil {
			s.Errorf("with somebody else's token, a code and a consumed token of bob's: %v", apps)
		}
		s.holds(storage.TokenRefresh, "bob", "till", "openid", "offline_access")
		s.holds(storage.TokenAccess, "bob", "kiosk", "email") // an opaque one of a client that is gone
		apps, file := s.listed(b), s.copied(b)
		if !strings.Contains(apps["till"], "The Till") || !strings.Contains(apps["till"], "Last used") || !strings.Contains(apps["till"], day(s.now)) || strings.Contains(apps["till"], "Since") {
			s.Errorf("the line %q", apps["till"])
		}
		if !strings.Contains(apps["kiosk"], "See your e-mail address") || strings.Contains(apps["till"], "See your e-mail address") {
			s.Errorf("permissions: %q and %q", apps["kiosk"], apps["till"])
		}
		if s.counted(b) != "3" || len(apps) != 3 || len(file) != 3 {
			s.Errorf("counted %q, listed %d, in the file %d, want 3", s.counted(b), len(apps), len(file))
		}
		if line := file["till"]; fmt.Sprintf("%v %v %v %v", line["name"], line["scopes"], line["resources"], line["created"]) != "The Till [offline_access openid] [https://till.example] <nil>" || line["last_used"] != s.now.Format(time.RFC3339) {
			s.Errorf("in the file: %v", line)
		}
		s.now = s.now.Add(time.Hour)
		if b = s.signedIn("bob"); len(s.listed(b)) != 1 || s.counted(b) != "1" {
			s.Errorf("expired, and listed still: %v", s.listed(b))
		}
	})
}

func TestNobodyWithAnAppIsToldThatThereIsNone(t *testing.T) {
	s := start(t)
	s.firstParty()
	s.must(s.store.RevokeConsent(s.Context(), "bob", "shop"))
	b := s.signedIn("bob")
	if p := b.Get(base + "/account/apps"); !strings.Contains(p.Body, "No app has access") {
		t.Fatal("there is an app")
	}
	s.now = s.now.Add(time.Second)
	s.holds(storage.TokenRefresh, "bob", "till", "openid")
	if p := b.Get(base + "/account/apps"); strings.Contains(p.Body, "No app has access") || !strings.Contains(p.Body, "Disconnect The Till") {
		t.Errorf("the page says %s", p.Body)
	}
}

func TestConnectedAppIsOneLineWithAllThatItMayDoAndItsNewestUse(t *testing.T) {
	onTwoStores(t, func(s *server) {
		allowed := s.now
		b := s.signedIn("alice")
		uses := []struct {
			name string
			use  func()
		}{
			{"a sign-in that is in the history", func() {
				s.must(s.store.AddActivity(s.Context(), &storage.Activity{ID: "a1", Subject: "alice", Kind: activity.LoginOK, Time: s.now, ClientID: "shop"}))
			}},
			{"a sign-in by an earlier one", func() { s.holds(storage.TokenCode, "alice", "shop", "openid") }},
			{"a token", func() { s.holds(storage.TokenRefresh, "alice", "shop", "openid", "phone") }},
			{"a refresh", func() {
				old := s.holds(storage.TokenRefresh, "alice", "shop", "openid")
				s.must(s.store.ExchangeToken(s.Context(), old.Kind, old.Signature, nil))
			}},
			{"more that was allowed", func() {
				s.must(s.store.GrantConsent(s.Context(), &storage.Consent{Subject: "alice", ClientID: "shop", Scopes: []string{"address"}}))
			}},
		}
		for _, u := range uses {
			s.now = s.now.Add(time.Minute)
			u.use()
			line := s.listed(b)["shop"]
			if last := strings.LastIndex(line, "datetime="); !strings.Contains(line, "Since") || !strings.Contains(line, day(allowed)) || !strings.Contains(line, day(s.now)) || !strings.HasPrefix(line[max(0, last):], day(s.now)) {
				s.Errorf("after %s at %s: %s", u.name, s.now, line)
			}
			if got := s.copied(b)["shop"]["last_used"]; got != s.now.Format(time.RFC3339) {
				s.Errorf("after %s at %s the file says %v", u.name, s.now, got)
			}
		}
		line := s.copied(b)["shop"]
		if fmt.Sprint(line["scopes"]) != "[address email openid phone]" || s.counted(b) != "2" {
			s.Errorf("counted %q, scopes %v", s.counted(b), line["scopes"])
		}
	})
}

func TestRow50DisconnectingAnAppWithoutConsentKillsItsTokensAtOnce(t *testing.T) {
	onTwoStores(t, func(s *server) {
		s.firstParty()
		b := s.signedIn("alice")
		s.must(s.store.GrantConsent(s.Context(), &storage.Consent{Subject: "bob", ClientID: "till", Scopes: []string{"openid"}}))
		mine, access := s.holds(storage.TokenRefresh, "alice", "till", "openid"), s.holds(storage.TokenAccess, "alice", "till", "openid")
		spared := []*storage.Token{s.holds(storage.TokenRefresh, "bob", "till", "openid"), s.holds(storage.TokenRefresh, "alice", "shop", "openid")}
		for _, form := range b.Get(base + "/account/apps").Forms(base + "/account/disconnect") {
			if form.Fields.Get("client_id") == "till" {
				if p := b.SubmitForm(form, nil); p.Status != http.StatusSeeOther || !strings.HasSuffix(p.Location(), "/account/apps?done=disconnected") {
					s.Fatalf("%d to %q", p.Status, p.Location())
				}
			}
		}
		if s.alive(mine) || s.alive(access) || !s.alive(spared[0]) || !s.alive(spared[1]) || s.granted("alice", "till") || !s.granted("bob", "till") {
			s.Error("a token of the app lives, something else died, or a consent was made or taken")
		}
		revoked, err := s.store.Revocations(s.Context(), 0)
		s.must(err)
		if !slices.ContainsFunc(revoked, func(r storage.Revocation) bool { return r.ID == storage.SubjectClient("alice", "till") }) {
			s.Error("access tokens without a row are not revoked")
		}
		lines, err := s.store.Activities(s.Context(), "alice", 10)
		s.must(err)
		if n := strings.Count(s.log.String(), `"consent.revoked"`); n != 1 || len(lines) != 1 || lines[0].Kind != activity.ConsentRevoked || lines[0].ClientID != "till" {
			s.Errorf("%d lines in the log, history %+v", n, lines)
		}
		if s.listed(b)["till"] != "" || s.counted(b) != "2" || s.disconnects(b, "till") != http.StatusNotFound {
			s.Error("the app is connected still")
		}
	})
}

func TestRow166DisconnectingWhatIsNotConnectedIs404(t *testing.T) {
	s := start(t, unlimited)
	s.firstParty()
	b := s.signedIn("alice")
	others := s.holds(storage.TokenRefresh, "bob", "till", "openid")
	code := s.holds(storage.TokenCode, "alice", "kiosk", "openid")
	for _, id := range []string{"till", "kiosk", "nobody"} {
		if status := s.disconnects(b, id); status != http.StatusNotFound {
			t.Errorf("%s: %d", id, status)
		}
	}
	revoked, err := s.store.Revocations(s.Context(), 0)
	s.must(err)
	if !s.alive(others) || !s.alive(code) || len(revoked) != 0 || strings.Contains(s.log.String(), "consent.revoked") {
		t.Error("something was revoked")
	}
}
