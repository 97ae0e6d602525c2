package mail

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	netmail "net/mail"
	"strings"
	"time"
	"unicode"

	"gatehouse/provider/audit"
	"gatehouse/provider/seal"
	"gatehouse/storage"
	"gatehouse/templates"
)

// maxLife is how long a message is worth sending; one with a link is not when the link is dead.
const maxLife = 24 * time.Hour

var (
	// ErrOff says that this server sends no mail.
	ErrOff = errors.New("no mail server is configured")
	// ErrAddress says that a text is not one address in canonical form.
	ErrAddress = errors.New("not one canonical e-mail address")
	errLink    = errors.New("the link of a mail leads away from the issuer")
)

// Options are what a Mailer sends with.
type Options struct {
	Store storage.MailStore
	Seal  *seal.Ring
	// Words are the layouts and texts of mails.
	Words *templates.Set
	// Carrier takes the messages further; nil means that no mail is sent.
	Carrier Carrier
	// Issuer is the configured public URL; every link must be below it (security row 143).
	Issuer string
	// From and ReplyTo are addresses, with or without a name; ReplyTo may be empty.
	From, ReplyTo string
	// Brand is who sends.
	Brand templates.Brand
	// Language is that of people who have chosen none; empty means English.
	Language string
	Audit    *audit.Log
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Mailer sends messages. It is safe for concurrent use.
type Mailer struct {
	o             Options
	from, replyTo *netmail.Address
	wake          chan struct{}
	slots         chan struct{}
	stopGrace     time.Duration
}

// New makes a Mailer.
func New(o Options) (*Mailer, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	m := &Mailer{o: o, wake: make(chan struct{}, 1), slots: make(chan struct{}, maxRuns), stopGrace: stopGrace}
	var err error
	if o.Carrier == nil {
		return m, nil
	}
	if m.from, err = sender(o.From, o.Brand.Name); err != nil {
		return nil, fmt.Errorf("read sender of mail: %w", err)
	}
	if o.ReplyTo != "" {
		if m.replyTo, err = sender(o.ReplyTo, ""); err != nil {
			return nil, fmt.Errorf("read reply address of mail: %w", err)
		}
	}
	return m, nil
}

// sender reads an address of the configuration, with or without a name of its own.
func sender(text, name string) (*netmail.Address, error) {
	a, err := netmail.ParseAddress(text)
	if err != nil {
		return nil, err
	}
	if err := CheckAddress(a.Address); err != nil {
		return nil, err
	}
	if a.Name == "" {
		a.Name = name
	}
	return a, nil
}

// CheckSender tells whether a text can be mail.from or mail.reply_to.
func CheckSender(text string) error {
	_, err := sender(text, "")
	return err
}

// On tells whether mail can be sent at all, so that a feature does not promise what nobody will get.
func (m *Mailer) On() bool { return m.o.Carrier != nil }

// Message is a mail in words, to one address.
type Message struct {
	ID      string           `json:"-"` // of the row
	Kind    string           `json:"-"`
	Created time.Time        `json:"-"`
	To      string           `json:"to"`
	Lang    string           `json:"lang"`
	Subject string           `json:"subject"`
	Text    string           `json:"text"`
	HTML    string           `json:"html"`
	From    *netmail.Address `json:"-"`
	ReplyTo *netmail.Address `json:"-"`
}

// Send queues a mail to one address, which must be in canonical form (credential.EmailKey, a user's EmailKey): whoever proved an address gets its mail, not a twin that
// looks like it (security rows 147, 148). lang is a BCP 47 tag, empty for the default. It writes one row; delivery is in the background. ErrOff, ErrAddress.
func (m *Mailer) Send(ctx context.Context, to, lang string, mail templates.Mail) error {
	if err := CheckAddress(to); err != nil {
		return fmt.Errorf("send mail %s: %w", mail.Kind, err)
	}
	return m.queue(ctx, to, lang, mail, false)
}

// Feign does the work of Send for a mail that nobody gets, so that the time it takes does not tell who has an account (security row 136): its row is past its end from the
// beginning, so that nobody claims it and the next purge removes it.
func (m *Mailer) Feign(ctx context.Context, lang string, mail templates.Mail) error {
	return m.queue(ctx, "nobody@invalid", lang, mail, true)
}

func (m *Mailer) queue(ctx context.Context, to, lang string, mail templates.Mail, dead bool) error {
	if !m.On() {
		return fmt.Errorf("send mail %s: %w", mail.Kind, ErrOff)
	}
	row, err := m.write(to, lang, mail)
	if err != nil {
		return fmt.Errorf("write mail %s: %w", mail.Kind, err)
	}
	if dead {
		row.Expires = row.Created.Add(-time.Second)
	}
	if err := m.o.Store.QueueMail(ctx, row); err != nil {
		return fmt.Errorf("queue mail %s: %w", mail.Kind, err)
	}
	m.Wake()
	return nil
}

// write puts a mail into words and seals them.
func (m *Mailer) write(to, lang string, mail templates.Mail) (*storage.Mail, error) {
	if mail.Link != "" && !strings.HasPrefix(mail.Link, m.o.Issuer+"/") {
		return nil, errLink
	}
	if mail.Brand == (templates.Brand{}) {
		mail.Brand = m.o.Brand
	}
	words, err := m.o.Words.RenderMail(cmp.Or(lang, m.o.Language), mail)
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(Message{To: to, Lang: words.Lang, Subject: words.Subject, Text: words.Text, HTML: words.HTML})
	if err != nil {
		return nil, err
	}
	var random [16]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the program if the system has no randomness
	now := m.o.Now()
	row := &storage.Mail{ID: hex.EncodeToString(random[:]), Kind: string(mail.Kind), Created: now, NextAttempt: now, Expires: now.Add(life(mail))}
	row.Body = m.o.Seal.Seal(body, place(row))
	return row, nil
}

// Waiting is how many mails wait in the store, for metrics: NaN if it does not say within two seconds.
func (m *Mailer) Waiting() float64 {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	n, err := m.o.Store.WaitingMails(ctx, m.o.Now())
	if err != nil {
		return math.NaN()
	}
	return float64(n)
}

// life is how long delivery is tried.
func life(mail templates.Mail) time.Duration {
	if mail.Kind.NeedsLink() && mail.Life > 0 {
		return min(mail.Life, maxLife)
	}
	return maxLife
}

// place names the row that a body belongs to. The kind is part of it: it says in the log what was sent.
func place(row *storage.Mail) []byte { return seal.AAD("mails", row.ID+"."+row.Kind, "body", 1) }

// open unseals a queued message and says whom it is from.
func (m *Mailer) open(row *storage.Mail) (*Message, error) {
	message, err := Open(m.o.Seal, row)
	if err != nil {
		return nil, err
	}
	message.From, message.ReplyTo = m.from, m.replyTo
	return message, nil
}

// Open unseals a queued message. seal.ErrUnknownKey, seal.ErrBroken.
func Open(ring *seal.Ring, row *storage.Mail) (*Message, error) {
	body, err := ring.Open(row.Body, place(row))
	if err != nil {
		return nil, err
	}
	message := &Message{}
	if err := json.Unmarshal(body, message); err != nil {
		return nil, errors.New("the body of a mail is no message") // the parser would quote it
	}
	message.ID, message.Kind, message.Created = row.ID, row.Kind, row.Created
	return message, nil
}

// localSigns are the signs that a local part may have without quotes (RFC 5322 atext), and the dot.
const localSigns = "!#$%&'*+-/=?^_`{|}~."

// CheckAddress tells whether a text is one address in canonical form: an unquoted local part and a domain in ASCII, nothing that could end a header or an SMTP command, and
// nothing that could be two. ErrAddress.
func CheckAddress(address string) error {
	local, domain, found := strings.Cut(address, "@")
	if !found || local == "" || len(local) > 64 || len(address) > 254 || strings.ContainsFunc(local, notLocal) || strings.ContainsFunc(domain, notDomain) {
		return ErrAddress
	}
	if strings.HasPrefix(local, ".") || strings.HasSuffix(local, ".") || strings.Contains(local, "..") || domain == "" || strings.Contains(domain, "..") ||
		strings.Trim(domain, ".-") != domain {
		return ErrAddress
	}
	return nil
}

func notLocal(r rune) bool {
	return r == unicode.ReplacementChar || !unicode.In(r, unicode.L, unicode.M, unicode.Nd) && !strings.ContainsRune(localSigns, r)
}

func notDomain(r rune) bool {
	return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' && r != '.'
}
