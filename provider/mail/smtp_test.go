package mail

import (
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"gatehouse/templates"
)

// credentials is a URL with the right password; tls=on, because the host is loopback.
const credentials = "smtp://gatehouse:correct%20horse%20battery@127.0.0.1:PORT?tls=on"

// bodies takes a message apart.
func bodies(t *testing.T, m received) map[string]string {
	t.Helper()
	kind, params, err := mime.ParseMediaType(m.msg.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/alternative" {
		t.Fatalf("content type %q: %v", kind, err)
	}
	out := map[string]string{}
	parts := multipart.NewReader(strings.NewReader(m.raw[strings.Index(m.raw, "\r\n\r\n"):]), params["boundary"])
	for {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		var body io.Reader = part
		if part.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
			body = quotedprintable.NewReader(part)
		}
		text, err := io.ReadAll(body)
		if err != nil {
			t.Fatal(err)
		}
		name, _, _ := mime.ParseMediaType(part.Header.Get("Content-Type"))
		out[name] = string(text)
	}
}

func TestMailArrivesOverSTARTTLSWithItsHeadersAndBothBodies(t *testing.T) {
	server := newServer(t, nil)
	s := newStage(t, server.carrier(credentials))
	s.run(s.mailer)
	s.send(reader)
	wait(t, server.arrived)
	if err := s.report(); err != nil {
		t.Fatal(err)
	}
	got := server.all()[0]
	if got.from != "no-reply@id.example.com" || got.to != reader || got.utf8 {
		t.Errorf("envelope %q to %q, SMTPUTF8 %v", got.from, got.to, got.utf8)
	}
	for name, want := range map[string]string{
		"From": `"Northwind Identity" <no-reply@id.example.com>`, "To": "<" + reader + ">", "Reply-To": `"Help" <help@example.com>`, "Auto-Submitted": "auto-generated",
		"Subject": "Set a new password for Northwind Identity", "Date": "Sun, 01 Mar 2026 09:30:00 +0000", "Content-Language": "en", "Mime-Version": "1.0",
	} {
		if values := got.msg.Header[name]; len(values) != 1 || values[0] != want {
			t.Errorf("%s: %q, want %q", name, values, want)
		}
	}
	if id := got.msg.Header.Get("Message-Id"); len(id) != len("<>")+32+len("@id.example.com") || !strings.HasSuffix(id, "@id.example.com>") {
		t.Errorf("Message-ID %q", id)
	}
	if len(got.msg.Header) != 10 {
		t.Errorf("headers %v", got.msg.Header)
	}
	parts := bodies(t, got)
	for name, body := range parts {
		if !strings.Contains(body, link) && !strings.Contains(body, strings.ReplaceAll(link, "=", "&#61;")) {
			t.Errorf("%s lacks the link: %s", name, body)
		}
	}
	if len(parts) != 2 {
		t.Errorf("parts %v", parts)
	}
	if len(s.store.waiting()) != 0 {
		t.Error("the message is still in the queue")
	}
}

func TestMailArrivesOverImplicitTLSAndOverPlainLoopback(t *testing.T) {
	for name, set := range map[string]func(*mailServer){
		"smtps://gatehouse:correct%20horse%20battery@127.0.0.1:PORT": func(s *mailServer) { s.implicit = true },
		"smtp://gatehouse:correct%20horse%20battery@127.0.0.1:PORT":  func(s *mailServer) { s.noTLS = true },
		"smtp://127.0.0.1:PORT": func(s *mailServer) { s.noTLS = true },
	} {
		server := newServer(t, set)
		s := newStage(t, server.carrier(name))
		s.run(s.mailer)
		s.send(reader)
		wait(t, server.arrived)
		if logins := strings.Count(name, "@"); server.logins != logins {
			t.Errorf("%s: %d sign-ins", name, server.logins)
		}
	}
}

// notDelivered sends a mail that must not go out and returns why.
func notDelivered(t *testing.T, server *mailServer, carrier Carrier) (*stage, string) {
	t.Helper()
	s := newStage(t, carrier)
	s.run(s.mailer)
	s.send(reader)
	err := s.report()
	if err == nil {
		t.Fatal("no failure is reported")
	}
	if len(server.all()) != 0 || len(s.store.waiting()) != 1 {
		t.Errorf("%d mails arrived, %d wait", len(server.all()), len(s.store.waiting()))
	}
	for _, secret := range []string{reader, testPassword, "horse", "gth_lk_", url.QueryEscape(testPassword)} {
		if strings.Contains(err.Error(), secret) || strings.Contains(s.log.String(), secret) {
			t.Errorf("%q is told: %v\n%s", secret, err, s.log)
		}
	}
	return s, err.Error()
}

func TestWrongPasswordIsReportedAndTheMailWaits(t *testing.T) {
	server := newServer(t, nil)
	s, why := notDelivered(t, server, server.carrier("smtp://gatehouse:wrong%20horse@127.0.0.1:PORT?tls=on"))
	if !strings.Contains(why, "535") || server.logins == 0 {
		t.Errorf("reported: %s", why)
	}
	if next := s.store.waiting()[0].NextAttempt.Sub(s.clock.Now()); next < 8*time.Second || next > 12*time.Second {
		t.Errorf("next attempt after %s", next)
	}
}

func TestUntrustedCertificateGetsNeitherPasswordNorMail(t *testing.T) {
	server := newServer(t, nil)
	carrier := server.carrier(credentials)
	carrier.Roots = nil
	_, why := notDelivered(t, server, carrier)
	if !strings.Contains(why, "certificate") || server.logins != 0 {
		t.Errorf("reported: %s; %d sign-ins", why, server.logins)
	}
}

func TestCertificateOfAnotherNameGetsNeitherPasswordNorMail(t *testing.T) {
	server := newServer(t, func(s *mailServer) {
		other, _ := certificate(t)
		s.config = other // of an authority that is not trusted
	})
	if _, why := notDelivered(t, server, server.carrier(credentials)); !strings.Contains(why, "certificate") || server.logins != 0 {
		t.Errorf("reported: %s; %d sign-ins", why, server.logins)
	}
}

func TestServerWithoutSTARTTLSGetsNeitherPasswordNorMail(t *testing.T) {
	server := newServer(t, func(s *mailServer) { s.noTLS = true })
	_, why := notDelivered(t, server, server.carrier(credentials))
	if !strings.Contains(why, "STARTTLS") || server.logins != 0 {
		t.Errorf("reported: %s; %d sign-ins", why, server.logins)
	}
}

func TestRefusedRecipientEndsTheMailAtOnce(t *testing.T) {
	for name, set := range map[string]func(*mailServer){
		"RCPT": func(s *mailServer) {
			s.refuse = func(to string) error {
				return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user " + to}
			}
		},
		"DATA": func(s *mailServer) {
			s.before = func(to string) error {
				return &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "looks like spam to " + to}
			}
		},
	} {
		server := newServer(t, set)
		s := newStage(t, server.carrier(credentials))
		s.run(s.mailer)
		s.send(reader)
		if err := s.report(); err != nil {
			t.Errorf("%s: a refused recipient counts as a failure of the server: %v", name, err)
		}
		if len(s.store.waiting()) != 0 || len(server.all()) != 0 {
			t.Errorf("%s: %d wait, %d arrived", name, len(s.store.waiting()), len(server.all()))
		}
		line := s.log.String()
		if !strings.Contains(line, `"event":"mail.refused"`) || !strings.Contains(line, "reset: the mail server answered 55") {
			t.Errorf("%s: log %s", name, line)
		}
		for _, secret := range []string{"@", "Ada", "gth_lk_", "spam"} {
			if strings.Contains(line, secret) {
				t.Errorf("%s: the log holds %q: %s", name, secret, line)
			}
		}
	}
}

func TestTemporaryRefusalIsTriedAgain(t *testing.T) {
	grey := true
	server := newServer(t, func(s *mailServer) {
		s.refuse = func(string) error {
			if grey {
				grey = false
				return &smtp.SMTPError{Code: 450, EnhancedCode: smtp.EnhancedCode{4, 7, 1}, Message: "try later"}
			}
			return nil
		}
	})
	s := newStage(t, server.carrier(credentials))
	s.run(s.mailer)
	s.send(reader)
	if err := s.report(); err == nil || !strings.Contains(err.Error(), "450") {
		t.Fatalf("reported: %v", err)
	}
	s.clock.add(13 * time.Second)
	s.mailer.Wake()
	wait(t, server.arrived)
}

func TestServerThatWasDownGetsTheMailOnce(t *testing.T) {
	server := newServer(t, nil)
	server.stop()
	s := newStage(t, server.carrier(credentials))
	s.run(s.mailer)
	s.send(reader)
	for i, wait := range []time.Duration{10 * time.Second, time.Minute, 5 * time.Minute} {
		if err := s.report(); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Fatalf("reported: %v", err)
		}
		row := s.store.waiting()[0]
		if next := row.NextAttempt.Sub(s.clock.Now()); row.Attempts != i+1 || next < wait*4/5 || next > wait*6/5 {
			t.Errorf("attempt %d: the next one after %s", row.Attempts, next)
		}
		if i == 2 {
			server.start(server.address)
		}
		s.clock.add(wait * 6 / 5)
		s.mailer.Wake()
	}
	wait(t, server.arrived)
	if err := s.report(); err != nil {
		t.Fatal(err)
	}
	s.clock.add(time.Hour)
	s.mailer.Wake()
	if got := server.all(); len(got) != 1 || len(s.store.waiting()) != 0 {
		t.Errorf("%d arrived, %d wait", len(got), len(s.store.waiting()))
	}
}

func TestServerThatNeverGreetsHoldsNothingForEver(t *testing.T) {
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	carrier, err := ParseURL("smtp://" + silent.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := contextFor(t, 50*time.Millisecond)
	defer cancel()
	if _, err := carrier.Open(ctx); err == nil || !strings.Contains(err.Error(), "in time") {
		t.Errorf("reported: %v", err)
	}
}

func TestMailThatHangsTheServerDoesNotHoldUpTheOthers(t *testing.T) {
	release := make(chan struct{})
	defer close(release)
	hung := make(chan struct{}, 1)
	server := newServer(t, func(s *mailServer) {
		s.before = func(to string) error {
			if strings.HasPrefix(to, "tarpit@") {
				hung <- struct{}{}
				<-release
			}
			return nil
		}
	})
	s := newStage(t, impatient{server.carrier(credentials)})
	s.send("tarpit@reader.example")
	for range 9 {
		s.send(reader)
	}
	s.run(s.mailer)
	wait(t, hung)
	for range 9 {
		wait(t, server.arrived)
	}
	for _, m := range server.all() {
		if m.to != reader {
			t.Errorf("mail to %s", m.to)
		}
	}
	if n := len(server.all()); n != 9 {
		t.Errorf("%d mails", n)
	}
}

func TestBatchSharesOneConnection(t *testing.T) {
	server := newServer(t, nil)
	s := newStage(t, server.carrier(credentials))
	for range batch {
		s.send(reader)
	}
	s.run(s.mailer)
	for range batch {
		wait(t, server.arrived)
	}
	if server.sessions > 2 { // a second one greets after STARTTLS
		t.Errorf("%d sessions", server.sessions)
	}
}

func TestAddressBeyondASCIIAsksForSMTPUTF8(t *testing.T) {
	server := newServer(t, nil)
	s := newStage(t, server.carrier(credentials))
	s.run(s.mailer)
	s.send("jörg@reader.example")
	wait(t, server.arrived)
	if got := server.all()[0]; got.to != "jörg@reader.example" || !got.utf8 {
		t.Errorf("to %q, SMTPUTF8 %v", got.to, got.utf8)
	}
}

func TestGermanMailIsGerman(t *testing.T) {
	server := newServer(t, nil)
	s := newStage(t, server.carrier(credentials))
	s.run(s.mailer)
	if err := s.mailer.Send(t.Context(), reader, "de-AT", templates.Mail{Kind: templates.MailVerify, Address: reader, Link: link, Life: 24 * time.Hour}); err != nil {
		t.Fatal(err)
	}
	wait(t, server.arrived)
	got := server.all()[0]
	subject, err := new(mime.WordDecoder).DecodeHeader(got.msg.Header.Get("Subject"))
	if err != nil || subject != "E-Mail-Adresse für Northwind Identity bestätigen" || got.msg.Header.Get("Content-Language") != "de" {
		t.Errorf("subject %q in %s, %v", subject, got.msg.Header.Get("Content-Language"), err)
	}
	if !strings.Contains(bodies(t, got)["text/plain"], "erlischt nach einem Tag") {
		t.Errorf("text %s", bodies(t, got)["text/plain"])
	}
}
