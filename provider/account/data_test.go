package account_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/account"
	"gatehouse/provider/activity"
	"gatehouse/provider/claims"
	"gatehouse/provider/ticket"
	"gatehouse/provider/web/webtest"
	"gatehouse/storage"
)

func TestDownloadHoldsWhatIsStoredAndNoSecret(t *testing.T) {
	onEveryStore(t, func(s *server) {
		s.owned()
		s.must(s.store.CreateIdentity(s.Context(), &storage.Identity{Upstream: "google", ExternalID: "4711", Subject: "alice", Label: "alice@gmail.example", Tokens: []byte(secretWord)}, s.user("alice").Epoch))
		s.must(s.store.CreateFactor(s.Context(), &storage.Factor{ID: "f-app", Subject: "alice", Kind: storage.FactorTOTP, Name: "Phone", Data: []byte(secretWord), Created: s.now}, 0))
		s.must(s.store.SetRecoveryCodes(s.Context(), "alice", []string{secretWord}, 0))
		s.must(s.store.AddActivity(s.Context(), &storage.Activity{ID: "a1", Subject: "alice", Kind: "login.ok", Time: s.now, IP: "192.0.2.9"}))
		s.strong()
		b := s.signedIn("alice")
		p := b.Submit(b.Get(base+"/account/data"), "download", nil)
		if p.Status != http.StatusOK || !strings.HasPrefix(p.Header.Get("Content-Disposition"), "attachment") || p.Header.Get("Cache-Control") != "no-store" || p.Header.Get("Content-Type") != "application/json" {
			s.Fatalf("%d %v", p.Status, p.Header)
		}
		var all map[string]any
		s.must(json.Unmarshal([]byte(p.Body), &all))
		for _, want := range []string{"Alice@shop.example", "Alice \\u003cb\\u003eA", "The Shop", "4711", "Phone", "Key of alice", "192.0.2.9", "refresh_reuse", "webtest"} {
			if !strings.Contains(p.Body, want) {
				s.Errorf("%q is missing", want)
			}
		}
		sessions, err := s.store.SessionsOf(s.Context(), "alice")
		s.must(err)
		for _, secret := range []string{secretWord, "bob@shop", "f-bob", "d-bob", sessions[0].CookieHash, b.Cookies[sessionCookie], "c-alice"} {
			if strings.Contains(p.Body, secret) {
				s.Errorf("%q is in the file", secret)
			}
		}
		if lines, err := s.store.Activities(s.Context(), "alice", 10); err != nil || !slices.ContainsFunc(lines, func(a *storage.Activity) bool { return a.Kind == "data.exported" }) {
			s.Errorf("the history does not tell of it: %+v %v", lines, err)
		}
	})
}

func TestRow121WhoeverComesAfterADeletionIsSomebodyElse(t *testing.T) {
	onEveryStore(t, func(s *server) {
		s.owned()
		s.strong()
		b, other := s.signedIn("alice"), s.signedIn("alice")
		stolen := b.Clone()
		page := b.Get(base + "/account/data")
		for _, typed := range []string{"", "bob@shop.example", "alice", "delete"} {
			if p := b.Submit(page, "delete", url.Values{"confirm": {typed}}); p.Status != http.StatusUnprocessableEntity || p.Text("error") == "" {
				s.Errorf("%q typed: %d", typed, p.Status)
			}
		}
		if p := b.Submit(page, "delete", url.Values{"confirm": {" ALICE@shop.example"}}); p.Status != http.StatusOK || b.Cookies[sessionCookie] != "" {
			s.Fatalf("%d, cookies %v", p.Status, b.Cookies)
		}
		if len(s.mails) != 1 || s.mails[0].Kind != "deleted" || s.to[0] != "alice@shop.example" {
			s.Errorf("mails %+v", s.mails)
		}
		s.must(s.store.CreateUser(s.Context(), &storage.User{Subject: "alice-2", Email: "alice@shop.example", EmailKey: "alice@shop.example", Username: "al", UsernameKey: "al"}, ""))
		if stolen.Get(base+"/account").Status != http.StatusSeeOther || other.Get(base+"/account").Status != http.StatusSeeOther {
			s.Error("a session of the deleted account lives")
		}
		factors, err := s.store.FactorsOf(s.Context(), "alice-2")
		s.must(err)
		consents, err := s.store.ConsentsOf(s.Context(), "alice-2")
		s.must(err)
		if len(factors)+len(consents) != 0 || s.granted("alice", "shop") {
			s.Error("the new account has something of the old one")
		}
		revoked, err := s.store.Revocations(s.Context(), 0)
		s.must(err)
		if len(revoked) == 0 {
			s.Error("tokens of the deleted account live")
		}
	})
}

func TestDeletionCanBeOff(t *testing.T) {
	s := start(t, func(o *account.Options) { o.NoDelete = true })
	b := s.signedIn("alice")
	if p := b.Get(base + "/account/data"); p.Form("delete") != nil {
		t.Error("the page offers it")
	}
	if p := b.Post(base+"/account/delete", url.Values{"confirm": {"al"}, "csrf": {token(b)}}); p.Status != http.StatusForbidden {
		t.Errorf("status %d", p.Status)
	}
	s.user("alice")
}

func TestProfileChangesTheNamedClaimsAndNoOthers(t *testing.T) {
	onEveryStore(t, func(s *server) {
		_, err := s.store.UpdateUser(s.Context(), "alice", func(u *storage.User) error {
			u.Claims["address"], u.Claims["gender"], u.Claims["website"] = map[string]any{"country": "SE"}, "f", "https://old.example"
			return nil
		})
		s.must(err)
		b := s.signedIn("alice")
		page := b.Get(base + "/account/profile")
		p := b.Submit(page, "profile-form", url.Values{"nickname": {"Ali"}, "website": {""}, "phone_number": {"+46 8 123 45"}, "language": {"de"}, "gender": {"x"}, "email_verified": {"true"}, "sub": {"bob"}, "groups": {"admin"}})
		if p.Status != http.StatusSeeOther {
			s.Fatalf("%d %s", p.Status, p.Body)
		}
		u := s.user("alice")
		if u.Claims["nickname"] != "Ali" || u.Claims["website"] != nil || u.Claims["phone_number"] != "+46 8 123 45" || u.Claims["phone_number_verified"] != false || u.Locale != "de" {
			s.Errorf("Claims %v, Locale %q", u.Claims, u.Locale)
		}
		if u.Claims["gender"] != "f" || u.Claims["address"] == nil || u.Claims["name"] != "Alice <b>A</b>" || u.Claims["sub"] != nil || u.Claims["groups"] != nil || u.Claims["email_verified"] != nil {
			s.Errorf("Row120 claims that nobody may change here: %v", u.Claims)
		}
		if p := b.Get(base + "/account/profile"); !strings.Contains(p.Body, `lang="de"`) || !strings.Contains(p.Body, "Profil") {
			s.Error("the page does not speak the chosen language")
		}
	})
}

// Nobody is offered recovery codes who could not have any, and who has none left is not told of old ones.
func TestRecoveryCodesAreOfferedAsTheyAre(t *testing.T) {
	s := start(t)
	b := s.signedIn("alice")
	if p := b.Get(base + "/account/recovery-codes"); p.Status != http.StatusSeeOther || p.Location() != base+"/account/security" {
		t.Errorf("without a factor: %d to %q", p.Status, p.Location())
	}
	s.must(s.store.CreateFactor(s.Context(), &storage.Factor{ID: "f-app", Subject: "alice", Kind: storage.FactorTOTP, Name: "Phone", Data: []byte(secretWord), Created: s.now}, 0))
	s.strong()
	b = s.signedIn("alice")
	if p := b.Get(base + "/account/recovery-codes"); p.Form("codes-new") == nil || strings.Contains(p.Body, " 0 ") {
		t.Errorf("without codes: %d %s", p.Status, p.Body)
	}
	s.must(s.store.SetRecoveryCodes(s.Context(), "alice", []string{"h1", "h2"}, 0))
	if p := b.Get(base + "/account/recovery-codes"); !strings.Contains(p.Body, "the 2 old ones") {
		t.Errorf("with two codes: %d %s", p.Status, p.Body)
	}
}

// A link at the foot of a page had chosen another language in this browser: the choice in the profile is the newer one.
func TestLanguageOfTheProfileTakesThePlaceOfTheOneChosenBefore(t *testing.T) {
	s := start(t)
	b := s.signedIn("alice")
	b.Get(base + "/account/profile?lang=en")
	if b.Cookies[langCookie] != "en" {
		t.Fatalf("the link chose nothing: %v", b.Cookies)
	}
	b.Submit(b.Get(base+"/account/profile"), "profile-form", url.Values{"nickname": {"Ali"}})
	if p := b.Get(base + "/account/profile"); b.Cookies[langCookie] != "en" || !strings.Contains(p.Body, `<html lang="en"`) {
		t.Error("another change forgot the language")
	}
	b.Submit(b.Get(base+"/account/profile"), "profile-form", url.Values{"language": {"de"}})
	if p := b.Get(base + "/account/profile"); !strings.Contains(p.Body, `<html lang="de"`) {
		t.Error("the page does not speak the language that was saved last")
	}
}

func TestWrongClaimsAreToldAndNothingIsSaved(t *testing.T) {
	s := start(t)
	b := s.signedIn("alice")
	before := s.state("alice")
	for name, value := range map[string]string{"website": "javascript:alert(1)", "birthdate": "1815-13-40", "zoneinfo": "Mars/../..", "locale": "<b>", "phone_number": "call me", "nickname": "a\x07b", "family_name": "Lovelace\u202egnp.exe", "picture": "ftp://x"} {
		p := b.Submit(b.Get(base+"/account/profile"), "profile-form", url.Values{"given_name": {"Alicia"}, name: {value}})
		if p.Status != http.StatusUnprocessableEntity || p.Text(name+"-error") == "" {
			t.Errorf("%s: %d %q", name, p.Status, p.Text(name+"-error"))
		}
		if p.Form("profile-form") == nil || p.Form("profile-form").Fields.Get("given_name") != "Alicia" {
			t.Errorf("%s: what was typed is lost", name)
		}
	}
	if s.state("alice") != before {
		t.Error("something was saved")
	}
}

func TestRow136AddressChangeTellsNothingOfOthers(t *testing.T) {
	onEveryStore(t, func(s *server) {
		b := s.signedIn("alice")
		page := b.Get(base + "/account/profile")
		taken := b.Submit(page, "email", url.Values{"email": {"bob@shop.example"}})
		free := b.Submit(page, "email", url.Values{"email": {"nobody@shop.example"}})
		if taken.Status != http.StatusSeeOther || taken.Location() != free.Location() || taken.Body != free.Body {
			s.Errorf("%d %q, %d %q", taken.Status, taken.Location(), free.Status, free.Location())
		}
		if len(s.mails) != 2 || s.mails[0].Kind != "email_change" || s.mails[1].Kind != "email_change" || s.to[0] != "bob@shop.example" || !strings.HasPrefix(s.mails[1].Link, origin+base+"/verify?token=gth_lk_") {
			s.Errorf("mails %+v to %v", s.mails, s.to)
		}
		if u := s.user("alice"); u.EmailKey != "alice@shop.example" {
			s.Errorf("the address is %q before anybody proved it", u.EmailKey)
		}
		for range 5 {
			if p := b.Submit(page, "email", url.Values{"email": {"nobody@shop.example"}}); p.Status != http.StatusSeeOther || p.Location() != free.Location() {
				s.Errorf("over the limit: %d %q", p.Status, p.Location())
			}
		}
		if len(s.mails) != 4 {
			s.Errorf("%d mails although an address gets three in an hour", len(s.mails))
		}
	})
}

// Row 144: who has asked for another address sees it for as long as the link works, and can make the link worthless; nobody else's.
func TestRow144PendingAddressIsShownAndCanBeCancelled(t *testing.T) {
	s := start(t)
	b, other := s.signedIn("alice"), s.signedIn("bob")
	profile := func() *webtest.Page { return b.Get(base + "/account/profile") }
	pending := func(what, want string) {
		t.Helper()
		if p := profile(); p.Status != http.StatusOK || p.Text("email-new") != want || (p.Form("email-cancel") != nil) != (want != "") {
			t.Errorf("%s: %d, pending %q, want %q", what, p.Status, p.Text("email-new"), want)
		}
	}
	live := func(kind storage.TicketKind, link string) error {
		_, token, _ := strings.Cut(link, "?token=")
		_, err := ticket.New(ticket.Options{Store: s.store, Users: s.store, Now: s.clock}).Look(t.Context(), kind, token)
		return err
	}
	pending("before", "")
	b.Submit(profile(), "email", url.Values{"email": {"New@shop.example"}})
	other.Submit(other.Get(base+"/account/profile"), "email", url.Values{"email": {"other@shop.example"}})
	pending("asked for", "New@shop.example")
	page := profile()
	if p := b.Submit(page, "email", url.Values{"email": {"x"}}); p.Status != http.StatusUnprocessableEntity || p.Text("email-new") != "New@shop.example" {
		t.Errorf("a wrong address hides the other one: %d %q", p.Status, p.Text("email-new"))
	}
	for range 2 {
		if p := b.Submit(page, "email-cancel", nil); p.Status != http.StatusSeeOther || b.Get(p.Location()).Text("done") == "" {
			t.Fatalf("cancelled: %d %s", p.Status, p.Location())
		}
	}
	pending("cancelled", "")
	if mine, others := live(storage.TicketEmail, s.mails[0].Link), live(storage.TicketEmail, s.mails[1].Link); !errors.Is(mine, storage.ErrNotFound) || others != nil {
		t.Errorf("the link of alice: %v, and that of bob: %v", mine, others)
	}
	b.Submit(profile(), "email", url.Values{"email": {"new@shop.example"}})
	s.now = s.now.Add(24*time.Hour - time.Minute)
	b = s.signedIn("alice")
	pending("in its last minute", "new@shop.example")
	s.now = s.now.Add(time.Minute)
	pending("over", "")
}

// Whoever cancels on a page that is older than the change is told that it has happened.
func TestCancelledTooLateIsNotToldToBeCancelled(t *testing.T) {
	s := start(t)
	b := s.signedIn("alice")
	b.Submit(b.Get(base+"/account/profile"), "email", url.Values{"email": {"New@shop.example"}})
	page := b.Get(base + "/account/profile")
	_, err := s.store.UpdateUser(t.Context(), "alice", func(u *storage.User) error {
		u.Email, u.EmailKey = "New@shop.example", "new@shop.example"
		return nil
	})
	s.must(err)
	done := b.Get(b.Submit(page, "email-cancel", nil).Location()).Text("done")
	if strings.Contains(done, "changes nothing") || !strings.Contains(done, "The link was opened before") {
		t.Errorf("it says %q", done)
	}
}

func TestRow148UnusableAddressesAreRefused(t *testing.T) {
	s := start(t)
	b := s.signedIn("alice")
	page := b.Get(base + "/account/profile")
	for _, typed := range []string{"", "x", "a@b@c", "Alice@SHOP.example", "a@x.example,b@y.example", "a@x.example\r\nBcc: b@y.example"} {
		if p := b.Submit(page, "email", url.Values{"email": {typed}}); p.Status != http.StatusUnprocessableEntity || p.Text("email-error") == "" {
			t.Errorf("%q: %d", typed, p.Status)
		}
	}
	if len(s.mails) != 0 {
		t.Errorf("mails to %v", s.to)
	}
}

func TestSessionsAreEndedOneOrAll(t *testing.T) {
	onEveryStore(t, func(s *server) {
		b, second, third, stranger := s.signedIn("alice"), s.signedIn("alice"), s.signedIn("alice"), s.signedIn("bob")
		page := b.Get(base + "/account/sessions")
		forms := page.Forms(base + "/account/sessions/end")
		if len(forms) != 5 { // three devices, others, all
			s.Fatalf("%d forms: %s", len(forms), page.Body)
		}
		if p := b.SubmitForm(forms[1], nil); p.Status != http.StatusSeeOther {
			s.Fatalf("status %d", p.Status)
		}
		if in := s.isIn(second) + s.isIn(third); in != 1 || s.isIn(b) != 1 {
			s.Errorf("%d other devices are signed in", in)
		}
		if p := b.Submit(page, "others", nil); p.Status != http.StatusSeeOther || s.isIn(second)+s.isIn(third) != 0 || s.isIn(b) != 1 {
			s.Errorf("others: %d", p.Status)
		}
		again := s.signedIn("alice")
		if p := b.Submit(page, "all", nil); p.Status != http.StatusOK || s.isIn(b)+s.isIn(again) != 0 {
			s.Errorf("all: %d", p.Status)
		}
		if s.isIn(stranger) != 1 {
			s.Error("somebody else was signed out")
		}
	})
}

func TestRow182SignedOutEverywhereLeavesNoTrustedDeviceAndNoLinkIn(t *testing.T) {
	onEveryStore(t, func(s *server) {
		kinds := []storage.TicketKind{storage.TicketReset, storage.TicketRecovery, storage.TicketMagic, storage.TicketVerify, storage.TicketEmail, storage.TicketRevert}
		for _, subject := range []string{"alice", "bob"} {
			u := s.user(subject)
			s.must(s.store.CreateDevice(s.Context(), &storage.Device{ID: "d-" + subject, Subject: subject, CookieHash: "h-" + subject, Epoch: u.Epoch, Created: s.now, LastUsed: s.now, Expires: s.now.Add(time.Hour)}))
			for _, kind := range kinds {
				s.must(s.store.CreateTicket(s.Context(), &storage.Ticket{Signature: string(kind) + "-" + subject, Kind: kind, Subject: subject, EmailKey: u.EmailKey, Epoch: u.Epoch, Created: s.now, Expires: s.now.Add(time.Hour)}))
			}
		}
		left := func(subject string) (n int) {
			devices, err := s.store.DevicesOf(s.Context(), subject)
			s.must(err)
			for _, kind := range kinds {
				if _, err := s.store.Ticket(s.Context(), kind, string(kind)+"-"+subject); err == nil {
					n++
				}
			}
			return n + len(devices)
		}
		b := s.signedIn("alice")
		page := b.Get(base + "/account/sessions")
		if b.Submit(page, "others", nil); left("alice") != 7 {
			s.Error("signing out the others takes links or devices")
		}
		if p := b.Submit(page, "all", nil); p.Status != http.StatusOK {
			s.Fatalf("status %d", p.Status)
		}
		if _, err := s.store.Ticket(s.Context(), storage.TicketRevert, "revert-alice"); err != nil || left("alice") != 1 {
			s.Errorf("%d devices and links are left, want the one that takes a change back: %v", left("alice"), err)
		}
		if left("bob") != 7 {
			s.Error("somebody else lost a link or a device")
		}
	})
}

func TestEveryClaimThatCanBeOwnHasAFieldWithWords(t *testing.T) {
	s := start(t, func(o *account.Options) { o.Editable = claims.Own })
	b := s.signedIn("alice")
	page := b.Get(base + "/account/profile")
	for _, name := range claims.Own {
		if page.Status != http.StatusOK || page.Attribute(name, "name") != name {
			t.Errorf("%d, no field for %s", page.Status, name)
		}
		if p := b.Submit(page, "profile-form", url.Values{name: {"\x07"}}); p.Status != http.StatusUnprocessableEntity || p.Text(name+"-error") == "" {
			t.Errorf("%s: %d, %q", name, p.Status, p.Text(name+"-error"))
		}
	}
}

func TestEveryOutcomeHasWords(t *testing.T) {
	b := start(t).signedIn("alice")
	for _, done := range []string{"profile", "email_sent", "password", "factor", "renamed", "removed", "forgotten", "signed_out", "others", "disconnected"} {
		if p := b.Get(base + "/account/security?done=" + done); p.Status != http.StatusOK || p.Text("done") == "" {
			t.Errorf("%s: %d %q", done, p.Status, p.Text("done"))
		}
	}
	if p := b.Get(base + "/account/security?done=hacked"); p.Status != http.StatusOK || p.Text("done") != "" {
		t.Errorf("Row191 a URL makes the page say something: %d %q", p.Status, p.Text("done"))
	}
}

func TestHistoryTellsEverythingThatIsShown(t *testing.T) {
	onEveryStore(t, func(s *server) {
		kinds := []string{
			activity.AccountCreated, activity.AccountReverted, activity.ConsentRevoked, activity.DataExported, activity.DeviceForgotten, activity.DeviceTrusted, activity.EmailChanged,
			activity.EmailVerified, activity.FactorEnrolled, activity.FactorRemoved, activity.IdentityLinked, activity.IdentityUnlinked, activity.LoginOK, activity.PasswordChanged,
			activity.PasswordReset, activity.RecoveryCodes, activity.RecoveryUsed, activity.SessionEnded, activity.TermsAccepted, activity.TokenReused, "of.the.future",
		}
		for i, kind := range kinds {
			s.must(s.store.AddActivity(s.Context(), &storage.Activity{
				ID: kind, Subject: "alice", Kind: kind, Time: s.now.Add(time.Duration(i) * time.Second), ClientID: "shop", Detail: "<i>detail</i>", IP: "192.0.2.9",
				UserAgent: "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
			}))
		}
		s.must(s.store.AddActivity(s.Context(), &storage.Activity{ID: "bobs", Subject: "bob", Kind: activity.LoginOK, Time: s.now, IP: "198.51.100.77"}))
		p := s.signedIn("alice").Get(base + "/account/activity")
		if n := strings.Count(p.Body, "Firefox on Linux"); p.Status != http.StatusOK || n != len(kinds)-1 {
			s.Errorf("%d, %d lines", p.Status, n)
		}
		if strings.Contains(p.Body, "<i>detail") || strings.Contains(p.Body, "198.51.100.77") || !strings.Contains(p.Body, "Signed in to The Shop") {
			s.Error("Row191 a value is not escaped, somebody else's line is there, or the app has no name")
		}
	})
}
