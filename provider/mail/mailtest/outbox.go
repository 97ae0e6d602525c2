package mailtest

import (
	"context"
	"sync"

	"gatehouse/templates"
)

// Sent is one mail before it is put into words.
type Sent struct {
	To, Lang string
	Mail     templates.Mail
}

// Outbox stands in for a Mailer. Its zero value is ready; change the fields before it is used.
type Outbox struct {
	// Off says that no mail server is configured, Err is what Send and Feign answer.
	Off bool
	Err error

	mu      sync.Mutex
	sent    []Sent
	feigned int
}

// On stands in for Mailer.On.
func (o *Outbox) On() bool { return !o.Off }

// Send stands in for Mailer.Send.
func (o *Outbox) Send(_ context.Context, to, lang string, m templates.Mail) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.Err == nil {
		o.sent = append(o.sent, Sent{to, lang, m})
	}
	return o.Err
}

// Feign stands in for Mailer.Feign.
func (o *Outbox) Feign(context.Context, string, templates.Mail) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.feigned++
	return o.Err
}

// Sent returns what was sent, oldest first.
func (o *Outbox) Sent() []Sent {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]Sent(nil), o.sent...)
}

// Feigned is how many mails were feigned.
func (o *Outbox) Feigned() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.feigned
}
