package provider_test

import (
	"net/http"
	"net/url"
	"slices"
	"sync"
	"testing"
	"time"

	"gatehouse/provider"
	"gatehouse/storage"
)

// Rows 144, 151 and 172 for the links that confirm an address, change it, and take a change back: each works once, in its time, for its own account, where it may.

// proof is a link of one of these kinds, made for ada in the browser that asks for it.
type proof struct {
	kind string
	life time.Duration
	make func(m *mailed, b *browser) string
	// works tells whether the link has had its effect.
	works func(m *mailed) bool
}

// hasWaited lets a link of the same kind be younger.
func (m *mailed) hasWaited() { m.Clock.Advance(time.Minute) }

var proofs = []proof{
	{kind: "verify", life: 24 * time.Hour, make: func(m *mailed, b *browser) string {
		m.wants(b.ask("/account/profile", "verify", nil), http.StatusSeeOther)
		return m.link("ada@example.com", "verify")
	}, works: func(m *mailed) bool { return m.account("ada@example.com").EmailVerified }},
	{kind: "email_change", life: 24 * time.Hour, make: func(m *mailed, b *browser) string {
		m.wants(b.ask("/account/profile", "email", url.Values{"email": {"new@example.com"}}), http.StatusSeeOther)
		return m.link("new@example.com", "email_change")
	}, works: func(m *mailed) bool { return m.account("new@example.com") != nil }},
	{kind: "not me", life: 7 * 24 * time.Hour, make: func(m *mailed, b *browser) string {
		_, err := m.Store.UpdateUser(m.Context(), "sub-ada-example-com", func(u *storage.User) error { u.EmailVerified = true; return nil })
		m.ok(err)
		m.wants(b.ask("/account/password", "password-form", url.Values{"password": {otherPassword}, "repeat": {otherPassword}}), http.StatusSeeOther)
		return m.link("ada@example.com", "password_changed")
	}, works: func(m *mailed) bool { return !m.signsIn("ada@example.com", otherPassword) }},
}

func longPages(o *provider.Options) {
	o.SessionIdle, o.SessionAbsolute = 30*24*time.Hour, 30*24*time.Hour
}

// onEveryProof runs a test for each kind of link on every store. ada, whose address is not confirmed, is signed in; so is bob.
func onEveryProof(t *testing.T, test func(m *mailed, p proof, ada, bob *browser)) {
	for _, p := range proofs {
		t.Run(p.kind, func(t *testing.T) {
			onEveryStore(t, func(m *mailed) {
				m.user("ada@example.com", unverified)
				m.user("bob@example.com")
				ada, bob := m.browser("ada@example.com"), m.browser("bob@example.com")
				ada.code(nil)
				bob.code(nil)
				test(m, p, ada, bob)
			}, longPages)
		})
	}
}

// dead demands that a link opens nothing, neither by its page nor past it.
func (m *mailed) dead(b *browser, link string) {
	m.Helper()
	m.wants(b.get(link), http.StatusBadRequest)
	m.wants(b.sends(link, nil), http.StatusBadRequest)
}

// sends posts what the button of a link would, without its page. Each change may alter the fields.
func (b *browser) sends(link string, change url.Values) page {
	b.s.Helper()
	_, fields := readForm(b.s.T, b.get(b.s.URL+"/recovery").Body, "recovery")
	u, err := url.Parse(link)
	b.s.ok(err)
	values := url.Values{"csrf": fields["csrf"], "token": {u.Query().Get("token")}}
	for name, value := range change {
		values[name] = value
	}
	return b.post(b.s.URL+u.Path, values)
}

func TestRow144LinksOfAddressesWorkOnce(t *testing.T) {
	onEveryProof(t, func(m *mailed, p proof, ada, _ *browser) {
		link := p.make(m, ada)
		for range 3 { // row 151: a mail scanner opens it, and nothing happens
			m.wants(ada.get(link), http.StatusOK)
		}
		if p.works(m) {
			m.Error("opening the link is enough")
		}
		m.wants(ada.press(link, "press", nil), http.StatusOK)
		if !p.works(m) {
			m.Error("the link did nothing")
		}
		m.hasWaited()
		m.dead(ada, link)
	})
}

func TestRow144LinksOfAddressesEnd(t *testing.T) {
	onEveryProof(t, func(m *mailed, p proof, ada, _ *browser) {
		link := p.make(m, ada)
		m.Clock.Advance(p.life - time.Second)
		m.wants(ada.get(link), http.StatusOK)
		m.Clock.Advance(2 * time.Second)
		m.dead(ada, link)
		if p.works(m) {
			m.Error("the link worked after its end")
		}
	})
}

func TestRow144LinksOfAddressesAreReplacedByNewerOnes(t *testing.T) {
	onEveryProof(t, func(m *mailed, p proof, ada, _ *browser) {
		if p.kind == "not me" { // several changes can be taken back, each by its own link: row 172
			return
		}
		older := p.make(m, ada)
		m.hasWaited()
		newer := p.make(m, ada)
		m.dead(ada, older)
		m.wants(ada.press(newer, "press", nil), http.StatusOK)
		if !p.works(m) {
			m.Error("the newer one did nothing")
		}
	})
}

func TestRow144LinkOfAnAddressIsConsumedByOne(t *testing.T) {
	onEveryProof(t, func(m *mailed, p proof, ada, _ *browser) {
		link := p.make(m, ada)
		var wg sync.WaitGroup
		statuses := make([]int, 20)
		_, fields := readForm(m.T, ada.get(link).Body, "press")
		for i := range statuses {
			wg.Go(func() {
				u, _ := url.Parse(link)
				statuses[i] = ada.post(m.URL+u.Path, fields).StatusCode
			})
		}
		wg.Wait()
		won := 0
		for _, status := range statuses {
			if status == http.StatusOK {
				won++
			} else if status != http.StatusBadRequest {
				m.Errorf("status %d", status)
			}
		}
		if won != 1 || !p.works(m) {
			m.Errorf("%d of 20 were served: %v", won, statuses)
		}
	})
}

// Rows 144 and 172: a link is for one account. Whoever is signed in to another, or to none, confirms nothing with it, and spoils nothing; a link that takes back is for whoever reads the mail.
func TestRow144LinksOfAddressesAreForTheirAccount(t *testing.T) {
	onEveryProof(t, func(m *mailed, p proof, ada, bob *browser) {
		link := p.make(m, ada)
		want := http.StatusForbidden
		if p.kind == "not me" {
			want = http.StatusOK
		}
		for _, b := range []*browser{bob, m.browser("")} {
			m.wants(b.get(link), want)
			if p.kind == "not me" {
				continue
			}
			m.wants(b.sends(link, nil), http.StatusForbidden)
			m.wants(b.sends(link, url.Values{"subject": {"sub-bob-example-com"}, "email": {"bob@example.com"}}), http.StatusForbidden)
		}
		if p.works(m) {
			m.Error("somebody else had it confirmed")
		}
		m.wants(ada.press(link, "press", nil), http.StatusOK)
		if !p.works(m) || m.account("bob@example.com") == nil || !m.signsIn("bob@example.com", password) {
			m.Error("the link did nothing, or something to bob")
		}
	})
}

func TestRow144LinksOfAddressesEndWithTheAccount(t *testing.T) {
	onEveryProof(t, func(m *mailed, p proof, ada, _ *browser) {
		if p.kind == "not me" { // the owner takes an account back whatever was done to it: row 172
			return
		}
		link := p.make(m, ada)
		_, err := m.Store.UpdateUser(m.Context(), "sub-ada-example-com", func(u *storage.User) error { u.Disabled = true; return nil })
		m.ok(err)
		m.dead(ada, link)
		if p.works(m) {
			m.Error("the link of a disabled account worked")
		}
	})
}

func TestRow144LinksOfAddressesSurviveNoForgedToken(t *testing.T) {
	onEveryProof(t, func(m *mailed, p proof, ada, _ *browser) {
		link := p.make(m, ada)
		token := tokenOf(link)
		last := map[bool]string{true: "b", false: "a"}[token[len(token)-1] == 'a']
		for _, other := range []string{"", "x", token[:len(token)-1], token[:len(token)-1] + last, token + "a", "gth_rt_" + token[len(token)-49:]} {
			m.wants(ada.sends(link, url.Values{"token": {other}}), http.StatusBadRequest)
		}
		m.wants(ada.sends(link, url.Values{"csrf": {"x"}}), http.StatusForbidden) // row 181
		for _, path := range []string{"/verify", "/recovery/not-me", "/recovery/reset", "/signup/confirm", "/login/link"} {
			if u, _ := url.Parse(link); u.Path == path {
				continue
			}
			values := url.Values{"password": {otherPassword + " again"}}
			if got := ada.sends(m.URL+path+"?token="+token, values).StatusCode; !slices.Contains([]int{http.StatusBadRequest, http.StatusForbidden}, got) {
				m.Errorf("row 45: %s takes the link: %d", path, got)
			}
		}
		if p.works(m) {
			m.Error("something worked")
		}
		m.wants(ada.press(link, "press", nil), http.StatusOK)
	})
}

// An address that somebody else has got in the meantime stays theirs, however many confirm it at once.
func TestRow149AnAddressIsConfirmedForOneAccount(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		var browsers []*browser
		var links []string
		for _, email := range []string{"ada@example.com", "bob@example.com", "cyd@example.com", "dan@example.com"} {
			m.user(email)
			b := m.browser(email)
			b.code(nil)
			m.wants(b.ask("/account/profile", "email", url.Values{"email": {"New@Example.com"}}), http.StatusSeeOther)
			browsers, links = append(browsers, b), append(links, m.link("new@example.com", "email_change"))
		}
		statuses := make([]int, len(browsers))
		var wg sync.WaitGroup
		pages := make([]page, len(browsers))
		for i, b := range browsers {
			pages[i] = b.get(links[i])
		}
		for i, b := range browsers {
			wg.Go(func() { statuses[i] = b.submit(pages[i], "press", nil).StatusCode })
		}
		wg.Wait()
		slices.Sort(statuses)
		if !slices.Equal(statuses, []int{http.StatusOK, http.StatusConflict, http.StatusConflict, http.StatusConflict}) {
			m.Errorf("statuses %v", statuses)
		}
		taken := 0
		for _, email := range []string{"ada@example.com", "bob@example.com", "cyd@example.com", "dan@example.com"} {
			if m.account(email) == nil {
				taken++
			}
		}
		if taken != 1 || m.account("new@example.com") == nil {
			m.Errorf("%d accounts lost their address", taken)
		}
	})
}

// A link that confirms the address of now confirms no later one; one for another address dies with the next request.
func TestRow144AddressThatHasChangedIsNotConfirmed(t *testing.T) {
	onEveryStore(t, func(m *mailed) {
		m.user("ada@example.com", unverified)
		b := m.browser("ada@example.com")
		b.code(nil)
		verify := proofs[0].make(m, b)
		m.hasWaited()
		first := proofs[1].make(m, b)
		m.hasWaited()
		m.wants(b.ask("/account/profile", "email", url.Values{"email": {"other@example.com"}}), http.StatusSeeOther)
		second := m.link("other@example.com", "email_change")
		m.dead(b, first)
		m.wants(b.press(second, "press", nil), http.StatusOK)
		m.dead(b, verify)
		if u := m.account("other@example.com"); u == nil || !u.EmailVerified || m.account("ada@example.com") != nil || m.account("new@example.com") != nil {
			m.Errorf("%+v", u)
		}
	}, longPages)
}
