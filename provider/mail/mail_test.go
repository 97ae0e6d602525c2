package mail

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"gatehouse/provider/seal"
	"gatehouse/storage"
	"gatehouse/templates"
)

func contains(s, part string) bool { return strings.Contains(s, part) }

func TestRow147MailGoesToExactlyOneAddressOrNowhere(t *testing.T) {
	s := newStage(t, NewBox(10))
	for _, to := range []string{
		"", "ada", "@reader.example", "ada@", "a@reader.example,b@reader.example", "a@x.example;b@y.example", "a@x.example b@y.example", "Ada <ada@reader.example>", "<ada@reader.example>",
		"ada@reader.example\r\nBcc: eve@evil.example", "ada@reader.example\nx", "ada\r\n@reader.example", "ada@reader.example\x00", "ada@reader.example\u2028", " ada@reader.example",
		`"ada"@reader.example`, `"a@evil.example"@reader.example`, "ada@evil.example@reader.example", "ada@[127.0.0.1]", "ada@reader.example>", "ada(x)@reader.example", "a..b@reader.example",
		".ada@reader.example", "ada@.example", "ada@reader..example", "ada@-reader.example", "ada@reader.example.", "\xff@reader.example", strings.Repeat("a", 65) + "@reader.example",
		"a@" + strings.Repeat("b.", 130) + "example",
	} {
		if err := s.mailer.Send(t.Context(), to, "en", reset()); !errors.Is(err, ErrAddress) {
			t.Errorf("%q: %v", to, err)
		}
	}
	if n := len(s.store.waiting()); n != 0 {
		t.Errorf("%d mails are queued", n)
	}
}

func TestRow148TwinsOfAnAddressGetNoMail(t *testing.T) {
	s := newStage(t, NewBox(10))
	for _, to := range []string{"ada＠reader.example", "ada@reader．example", "ada@Reader.example", "ada@räder.example", "ada@reader.ex\u200bample", "a\u200bda@reader.example"} {
		if err := s.mailer.Send(t.Context(), to, "en", reset()); !errors.Is(err, ErrAddress) {
			t.Errorf("%q is not canonical, but: %v", to, err)
		}
	}
	for _, to := range []string{"ada@reader.example", "o'hara+tag@xn--rder-koa.example", "jörg@reader.example", "a.b-c_d@4.reader.example"} {
		if err := s.mailer.Send(t.Context(), to, "en", reset()); err != nil {
			t.Errorf("%q: %v", to, err)
		}
	}
}

func TestRow143LinkOfAMailIsTheIssuersOrTheMailIsNotSent(t *testing.T) {
	s := newStage(t, NewBox(10))
	for _, other := range []string{"https://evil.example/recovery/reset?token=x", issuer + ".evil.example/x", issuer, "https://id.example.com/other?token=x", "javascript:alert(1)", issuer + "@evil.example/"} {
		m := reset()
		m.Link = other
		if err := s.mailer.Send(t.Context(), reader, "en", m); err == nil {
			t.Errorf("a mail with the link %q is queued", other)
		}
	}
}

func TestQueuedMailIsSealedAndBoundToItsRow(t *testing.T) {
	s := newStage(t, NewBox(10))
	s.send(reader)
	row := s.store.waiting()[0]
	for _, secret := range []string{reader, "gth_lk_", "password"} {
		if bytes.Contains(row.Body, []byte(secret)) {
			t.Errorf("the row shows %q", secret)
		}
	}
	if _, err := s.mailer.open(&row); err != nil {
		t.Fatal(err)
	}
	for name, move := range map[string]func(*storage.Mail){"id": func(m *storage.Mail) { m.ID = strings.Repeat("0", 32) }, "kind": func(m *storage.Mail) { m.Kind = "deleted" }} {
		moved := row
		move(&moved)
		if _, err := s.mailer.open(&moved); !errors.Is(err, seal.ErrBroken) {
			t.Errorf("%s changed: %v", name, err)
		}
	}
}

func TestMailUnderAKeyThatThisNodeLacksWaits(t *testing.T) {
	box := NewBox(10)
	s := newStage(t, box)
	s.send(reader)
	other := newStage(t, box)
	s.run(other.over(s.store, box))
	if err := s.report(); !errors.Is(err, seal.ErrUnknownKey) {
		t.Errorf("reported: %v", err)
	}
	if len(box.Messages()) != 0 || len(s.store.waiting()) != 1 {
		t.Errorf("%d in the box, %d wait", len(box.Messages()), len(s.store.waiting()))
	}
}

func TestServerWithoutMailSaysSo(t *testing.T) {
	s := newStage(t, nil)
	if s.mailer.On() {
		t.Error("mail is on")
	}
	if err := s.mailer.Send(t.Context(), reader, "en", reset()); !errors.Is(err, ErrOff) {
		t.Errorf("Send: %v", err)
	}
}

func TestRow192HostileNameBreaksNoHeaderOnTheWire(t *testing.T) {
	server := newServer(t, nil)
	s := newStage(t, server.carrier(credentials))
	s.mailer.o.Brand.Name = "North\r\nBcc: eve@evil.example\u2028wind"
	s.mailer.from.Name = s.mailer.o.Brand.Name
	m := reset()
	m.Name = "Ada\r\nBcc: eve@evil.example\r\n\r\n.\r\nMAIL FROM:<x>" + strings.Repeat("x", 10<<10)
	s.run(s.mailer)
	if err := s.mailer.Send(t.Context(), reader, "en", m); err != nil {
		t.Fatal(err)
	}
	wait(t, server.arrived)
	got := server.all()[0]
	if got.to != reader || got.msg.Header.Get("Bcc") != "" || got.msg.Header.Get("Cc") != "" || len(got.msg.Header) != 10 {
		t.Errorf("to %q, headers %v", got.to, got.msg.Header)
	}
	if len(got.raw) > 20<<10 {
		t.Errorf("%d bytes", len(got.raw))
	}
	for name, body := range bodies(t, got) {
		if contains(body, "evil.example\r\n") || contains(body, "MAIL FROM") {
			t.Errorf("%s: %s", name, body)
		}
	}
}

func TestBoxKeepsTheNewest(t *testing.T) {
	box := NewBox(3)
	for _, subject := range []string{"1", "2", "3", "4", "5"} {
		if err := box.Deliver(t.Context(), &Message{Subject: subject, Created: time.Now()}); err != nil {
			t.Fatal(err)
		}
	}
	got := ""
	for _, m := range box.Messages() {
		got += m.Subject
	}
	if got != "543" {
		t.Errorf("box holds %s", got)
	}
}

func TestEveryKindOfMailCanBeSent(t *testing.T) {
	s := newStage(t, NewBox(10))
	for _, kind := range templates.MailKinds() {
		if err := s.mailer.Send(t.Context(), reader, "de", templates.Mail{Kind: kind, Link: link, Life: time.Hour}); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
}
