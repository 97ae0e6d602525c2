package mail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	netmail "net/mail"
	"net/netip"
	"net/textproto"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"
	gosmtp "github.com/wneessen/go-mail/smtp"
)

// Security says how the connection to a mail server is protected.
type Security int

// STARTTLS (RFC 3207) is a must where it is chosen: a server that does not offer it gets neither password nor mail.
const (
	STARTTLS    Security = iota
	ImplicitTLS          // RFC 8314
	Plain
)

// SMTP is a mail server. It is a Carrier.
type SMTP struct {
	Host               string
	Port               int
	Username, Password string
	Security           Security
	// Roots are whom to trust; nil means the system's authorities.
	Roots *x509.CertPool
	// Helo is what this server calls itself.
	Helo string
}

// ParseURL reads smtp://USER:PASSWORD@HOST:PORT or smtps://... The port is 587 or 465 unless it is named. smtp means STARTTLS unless the host is this machine; ?tls=on and
// ?tls=off choose. The error never holds the text.
func ParseURL(text string) (*SMTP, error) {
	u, err := url.Parse(text)
	if err != nil || u.Hostname() == "" || u.Opaque != "" || u.Path != "" && u.Path != "/" || u.Fragment != "" {
		return nil, errors.New("is no URL of a mail server")
	}
	s := &SMTP{Host: u.Hostname()}
	switch u.Scheme {
	case "smtp":
		s.Port = 587
		if loopback(s.Host) {
			s.Security = Plain
		}
	case "smtps":
		s.Port, s.Security = 465, ImplicitTLS
	default:
		return nil, errors.New("begins with neither smtp:// nor smtps://")
	}
	if port := u.Port(); port != "" {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return nil, errors.New("has a port that is none")
		}
		s.Port = int(n)
	}
	if err := s.choose(u); err != nil {
		return nil, err
	}
	s.Username = u.User.Username()
	s.Password, _ = u.User.Password()
	if (s.Username == "") != (s.Password == "") {
		return nil, errors.New("has a user without a password or a password without a user")
	}
	return s, nil
}

// choose reads the query: tls alone.
func (s *SMTP) choose(u *url.URL) error {
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New("has a query that is none")
	}
	for name, values := range query {
		switch {
		case name != "tls" || len(values) != 1:
			return errors.New("has a query that says something else than tls=on or tls=off")
		case u.Scheme == "smtps":
			return errors.New("has tls in its query although smtps is always TLS")
		case values[0] == "on":
			s.Security = STARTTLS
		case values[0] == "off":
			s.Security = Plain
		default:
			return errors.New("has a query that says something else than tls=on or tls=off")
		}
	}
	return nil
}

// Exposed tells whether passwords and links cross a network in clear.
func (s *SMTP) Exposed() bool { return s.Security == Plain && !loopback(s.Host) }

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}

// connection is one conversation with a mail server.
type connection struct {
	client *gomail.Client
	smtp   *gosmtp.Client

	mu  sync.Mutex
	raw net.Conn
	cut bool
}

// Open implements Carrier: it connects, secures the connection and signs in.
func (s *SMTP) Open(ctx context.Context) (Run, error) {
	c := &connection{}
	client, err := gomail.NewClient(s.Host, s.options(c)...)
	if err != nil {
		return nil, fmt.Errorf("set up SMTP client: %w", err)
	}
	c.client = client
	defer context.AfterFunc(ctx, c.hangUp)()
	if c.smtp, err = client.DialToSMTPClientWithContext(ctx); err != nil {
		c.hangUp()
		return nil, harmless(ctx, err)
	}
	return c, nil
}

func (s *SMTP) options(c *connection) []gomail.Option {
	config := &tls.Config{ServerName: s.Host, RootCAs: s.Roots, MinVersion: tls.VersionTLS12}
	address := net.JoinHostPort(s.Host, strconv.Itoa(s.Port))
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return c.dial(ctx, address, config, s.Security == ImplicitTLS)
	}
	options := []gomail.Option{gomail.WithPort(s.Port), gomail.WithTimeout(sendTimeout), gomail.WithTLSConfig(config), gomail.WithDialContextFunc(dial)}
	if s.Helo != "" {
		options = append(options, gomail.WithHELO(s.Helo))
	}
	switch s.Security {
	case ImplicitTLS:
		options = append(options, gomail.WithSSL())
	case Plain:
		options = append(options, gomail.WithTLSPolicy(gomail.NoTLS))
	default:
		options = append(options, gomail.WithTLSPolicy(gomail.TLSMandatory))
	}
	if s.Username == "" {
		return options
	}
	mechanisms := []gomail.SMTPAuthType{gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlain, gomail.SMTPAuthLogin}
	if s.Security == Plain { // the operator has said so, or the server is on this machine
		mechanisms = []gomail.SMTPAuthType{gomail.SMTPAuthSCRAMSHA256, gomail.SMTPAuthPlainNoEnc, gomail.SMTPAuthLoginNoEnc}
	}
	return append(options, gomail.WithUsername(s.Username), gomail.WithPassword(s.Password), gomail.WithOpportunisticSMTPAuth(mechanisms...))
}

// dial connects and keeps the connection, so that it can be cut: the library leaves it open when a greeting or a sign-in fails.
func (c *connection) dial(ctx context.Context, address string, config *tls.Config, implicit bool) (net.Conn, error) {
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	c.raw = raw
	cut := c.cut
	c.mu.Unlock()
	if cut {
		_ = raw.Close() // the time was up meanwhile
	}
	if !implicit {
		return raw, nil
	}
	secured := tls.Client(raw, config)
	if err := secured.HandshakeContext(ctx); err != nil {
		_ = raw.Close() // the handshake's error says more
		return nil, err
	}
	return secured, nil
}

// hangUp ends the connection in the middle of whatever it is doing.
func (c *connection) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut = true
	if c.raw != nil {
		_ = c.raw.Close() // it is of no more use either way
	}
}

// Deliver implements Run.
func (c *connection) Deliver(ctx context.Context, m *Message) error {
	message, err := compose(m)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, c.hangUp)()
	// Servers that know SMTPUTF8 may hand the message to others that do not, so it is asked for only if the address needs it.
	c.smtp.SkipSMTPUTF8(ascii(m.To))
	err = c.client.SendWithSMTPClient(c.smtp, message)
	if message.IsDelivered() || err == nil {
		return nil // what failed after the server took the message is not the message's business
	}
	return judge(ctx, err)
}

// Close implements Run.
func (c *connection) Close() {
	_ = c.client.CloseWithSMTPClient(c.smtp) // says goodbye; nothing depends on the answer
	c.hangUp()
}

// compose writes the headers (RFC 5322) and both bodies.
func compose(m *Message) (*gomail.Msg, error) {
	if err := CheckAddress(m.To); err != nil {
		return nil, &Refused{Reason: err.Error()}
	}
	from, to, domain := *m.From, &netmail.Address{Address: m.To}, m.From.Address[strings.LastIndexByte(m.From.Address, '@')+1:]
	message := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	message.FromMailAddress(&from)
	message.ToMailAddress(to)
	if m.ReplyTo != nil {
		replyTo := *m.ReplyTo
		message.ReplyToMailAddress(&replyTo)
	}
	message.Subject(m.Subject)
	message.SetMessageIDWithValue(m.ID + "@" + domain)
	message.SetDateWithValue(m.Created.UTC())
	message.SetGenHeader("Auto-Submitted", "auto-generated") // RFC 3834: no answer machine answers
	message.SetGenHeader("Content-Language", m.Lang)
	message.SetBodyString(gomail.TypeTextPlain, m.Text)
	message.AddAlternativeString(gomail.TypeTextHTML, m.HTML)
	return message, nil
}

func ascii(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// judge tells refusals of a message from what may pass. Words of the server are kept out: it repeats the address, and what it likes to.
func judge(ctx context.Context, err error) error {
	var failed *gomail.SendError
	if !errors.As(err, &failed) {
		return harmless(ctx, err)
	}
	code := failed.ErrorCode()
	switch failed.Reason {
	case gomail.ErrSMTPRcptTo, gomail.ErrSMTPData, gomail.ErrSMTPDataClose:
		if permanent(code) {
			return &Refused{Reason: "the mail server answered " + strconv.Itoa(code)}
		}
	}
	switch {
	case code != 0:
		return fmt.Errorf("the mail server answered %d when %s", code, failed.Reason)
	case ctx.Err() != nil:
		return fmt.Errorf("no answer in time when %s", failed.Reason)
	}
	return fmt.Errorf("the connection broke when %s", failed.Reason)
}

// permanent tells answers about this message or this recipient from those about us: whoever lacks a sign-in (53x), or says what the server does not understand (50x but
// for 501, a malformed address), may do better when something was set right.
func permanent(code int) bool {
	return code == 501 || code >= 510 && (code < 530 || code > 539)
}

// harmless is an error without the words of the server.
func harmless(ctx context.Context, err error) error {
	var answer *textproto.Error
	var garbled textproto.ProtocolError
	switch {
	case errors.As(err, &answer):
		return fmt.Errorf("the mail server answered %d", answer.Code)
	case errors.As(err, &garbled):
		return errors.New("the mail server does not speak SMTP")
	case ctx.Err() != nil:
		return errors.New("the mail server did not answer in time")
	}
	return err
}
