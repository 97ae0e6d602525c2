package mail

import (
	"context"
	"strings"
	"testing"
	"time"
)

func contextFor(t *testing.T, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

// impatient is a carrier whose deliveries may take half a second.
type impatient struct{ Carrier }

func (c impatient) Open(ctx context.Context) (Run, error) {
	run, err := c.Carrier.Open(ctx)
	return impatientRun{run}, err
}

type impatientRun struct{ Run }

func (r impatientRun) Deliver(ctx context.Context, m *Message) error {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	return r.Run.Deliver(ctx, m)
}

func TestMailURLSaysHowTheConnectionIsProtected(t *testing.T) {
	for text, want := range map[string]SMTP{
		"smtp://mail.example.com":                 {Host: "mail.example.com", Port: 587, Security: STARTTLS},
		"smtp://u%40x:p%3A@mail.example.com:2525": {Host: "mail.example.com", Port: 2525, Security: STARTTLS, Username: "u@x", Password: "p:"},
		"smtps://u:p@mail.example.com":            {Host: "mail.example.com", Port: 465, Security: ImplicitTLS, Username: "u", Password: "p"},
		"smtp://127.0.0.1:25":                     {Host: "127.0.0.1", Port: 25, Security: Plain},
		"smtp://[::1]:25":                         {Host: "::1", Port: 25, Security: Plain},
		"smtp://localhost?tls=on":                 {Host: "localhost", Port: 587, Security: STARTTLS},
		"smtp://relay.internal:25?tls=off":        {Host: "relay.internal", Port: 25, Security: Plain},
		"smtp://localhost.example.com/":           {Host: "localhost.example.com", Port: 587, Security: STARTTLS},
	} {
		got, err := ParseURL(text)
		if err != nil || *got != want {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	if plain, _ := ParseURL("smtp://relay.internal:25?tls=off"); !plain.Exposed() {
		t.Error("tls=off on a network is not told")
	}
	if local, _ := ParseURL("smtp://127.0.0.1:25"); local.Exposed() {
		t.Error("loopback counts as a network")
	}
}

func TestWrongMailURLIsRefusedWithoutTellingIt(t *testing.T) {
	for _, text := range []string{
		"", "mail.example.com:25", "http://u:hunter2@mail.example.com", "smtp://", "smtp:u:hunter2@host", "smtp://u:hunter2@host/path", "smtp://u:hunter2@host?tls=maybe",
		"smtp://u:hunter2@host?tls=on&tls=off", "smtp://u:hunter2@host?starttls=1", "smtps://u:hunter2@host?tls=off", "smtp://u@host", "smtp://:hunter2@host", "smtp://u:hunter2@host:0",
		"smtp://u:hunter2@host:70000", "smtp://u:hunter2%@host", "smtp://u:hunter2@host#x",
	} {
		_, err := ParseURL(text)
		if err == nil {
			t.Errorf("%q is taken", text)
		} else if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q is told: %v", text, err)
		}
	}
}
