package playground

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	netmail "net/mail"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"gatehouse/provider/mail"
	"gatehouse/templates"
)

// deliver puts a mail in words into the box of a stage.
func (s *stage) deliver(id, to, name string) {
	s.t.Helper()
	box, ok := s.play.o.Mailbox.(*mail.Box)
	if !ok {
		box = mail.NewBox(200)
		s.play.o.Mailbox = box
	}
	words, err := templates.Load()
	if err != nil {
		s.t.Fatal(err)
	}
	out, err := words.RenderMail("en", templates.Mail{Kind: templates.MailReset, Name: name, Link: s.provider.Issuer + "/recovery/reset?token=gth_lk_" + id, Life: 20 * time.Minute})
	if err != nil {
		s.t.Fatal(err)
	}
	err = box.Deliver(s.t.Context(), &mail.Message{
		ID: id, Kind: "reset", Created: s.now, To: to, Lang: out.Lang, Subject: out.Subject + " " + id, Text: out.Text, HTML: out.HTML, From: &netmail.Address{Name: "Zürich", Address: "no-reply@localhost"},
	})
	if err != nil {
		s.t.Fatal(err)
	}
}

// A site whose name leads to this machine (DNS rebinding) is of one origin with what it loads under that name: the mailbox, with the links of everybody, is not there.
func TestPlaygroundAnswersUnderItsOwnNamesOnly(t *testing.T) {
	s := newStage(t)
	s.deliver("m1", "ada@example.com", "Ada")
	issuer, err := url.Parse(s.play.o.Issuer)
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]int{
		issuer.Host: 200, issuer.Hostname(): 200, "localhost": 200, "LOCALHOST:8080": 200, "127.0.0.1:8080": 200, "[::1]:8080": 200, "[::1]": 200,
		"evil.example": 421, "evil.example:8080": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example:8080": 421, "evil.example:localhost": 421, "": 421,
	} {
		for _, path := range []string{"/playground/mail", "/playground/mail?id=m1", "/playground/mail?id=m1&part=html", "/playground"} {
			r := httptest.NewRequest(http.MethodGet, "http://op.test"+path, nil)
			r.Host = host
			w := httptest.NewRecorder()
			s.play.ServeHTTP(w, r)
			if w.Code != want || want != 200 && strings.Contains(w.Body.String(), "m1") {
				t.Errorf("%q %s: %d %s", host, path, w.Code, w.Body)
			}
		}
	}
}

func TestMailboxListsTheNewestFirstAndShowsOne(t *testing.T) {
	s := newStage(t)
	b := s.browser()
	if b.get("/playground/mail"); b.at.StatusCode != http.StatusOK || !strings.Contains(b.body, "no-messages") {
		t.Fatalf("%d %s", b.at.StatusCode, b.body)
	}
	s.deliver("m1", "ada@example.com", "Ada")
	s.deliver("m2", `"><script>alert(1)</script>@example.com`, "Ada")
	b.get("/playground/mail")
	if first, second := strings.Index(b.body, "id=m2"), strings.Index(b.body, "id=m1"); first < 0 || second < first || strings.Contains(b.body, "<script") {
		t.Errorf("list %s", b.body)
	}
	b.get("/playground/mail?id=m1")
	link := s.provider.Issuer + "/recovery/reset?token=gth_lk_m1"
	for _, want := range []string{`<a href="` + link + `">`, "ada@example.com", "From Zürich &lt;no-reply@localhost&gt;", "<iframe", "Hello Ada,"} {
		if !strings.Contains(b.body, want) {
			t.Errorf("the message lacks %s: %s", want, b.body)
		}
	}
	if csp := b.at.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") {
		t.Errorf("policy %s", csp)
	}
	b.get("/playground/mail?id=m1&part=html")
	if csp := b.at.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "sandbox") || strings.Contains(csp, "script-src") || strings.Contains(csp, "allow-scripts") || !strings.Contains(b.body, link) {
		t.Errorf("policy %s of %s", csp, b.body)
	}
	if b.get("/playground/mail?id=m3"); b.at.StatusCode != http.StatusNotFound {
		t.Errorf("a message that is not there: %d", b.at.StatusCode)
	}
}

func TestRealBrowserShowsTheMailboxWithoutComplaint(t *testing.T) {
	for _, view := range []struct {
		scheme        string
		width, height int64
	}{{"light", 1280, 900}, {"dark", 360, 740}} {
		t.Run(fmt.Sprint(view.width, view.scheme), func(t *testing.T) {
			complaints := make(chan string, 1000)
			ctx := chromium(t, func(s string) { complaints <- s })
			s := newStage(t)
			s.deliver("m1", "ada@example.com", "Ada")
			s.deliver("m2", strings.Repeat("a-long-name", 5)+"@a-rather-long-label.example.com", "Ada")
			do := func(actions ...chromedp.Action[chromedp.Void]) {
				t.Helper()
				if err := chromedp.Do(ctx, actions...); err != nil {
					t.Fatal(err)
				}
			}
			do(prefer(view.scheme), chromedp.EmulateViewport(view.width, view.height), chromedp.Navigate(s.provider.Issuer+"/playground/mail"), chromedp.WaitVisible("#messages"),
				chromedp.Click("#messages a"), chromedp.WaitVisible("#message-text a"), chromedp.WaitVisible("iframe"))
			found, err := chromedp.Run(ctx, chromedp.Evaluate[string](faults))
			if err != nil || found != "" {
				t.Errorf("%s %v", found, err)
			}
			picture(t, ctx, fmt.Sprintf("playground-mail-%d-%s.png", view.width, view.scheme))
			for len(complaints) > 0 {
				if complaint := <-complaints; !strings.Contains(complaint, "favicon") {
					t.Error(complaint)
				}
			}
		})
	}
}
