package mail

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"math/big"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
)

const (
	testUser     = "gatehouse"
	testPassword = "correct horse battery"
)

// received is what came over the wire.
type received struct {
	from, to string
	utf8     bool
	raw      string
	msg      *netmail.Message
}

// mailServer is a real SMTP server on loopback.
type mailServer struct {
	t       *testing.T
	address string
	roots   *x509.CertPool
	config  *tls.Config
	server  *smtp.Server
	listen  net.Listener
	serving chan struct{}

	// refuse answers RCPT with an error for some addresses, before takes part in every DATA.
	refuse func(to string) error
	before func(to string) error
	// noTLS offers no STARTTLS, implicit begins with TLS.
	noTLS, implicit bool

	mu       sync.Mutex
	mails    []received
	sessions int
	logins   int
	arrived  chan struct{}
}

// newServer makes a server and starts it once set has changed it.
func newServer(t *testing.T, set func(*mailServer)) *mailServer {
	t.Helper()
	s := &mailServer{t: t, arrived: make(chan struct{}, 1000)}
	s.config, s.roots = certificate(t)
	if set != nil {
		set(s)
	}
	s.start("127.0.0.1:0")
	t.Cleanup(s.stop)
	return s
}

// stop ends the server. The library's Close may not meet its Serve.
func (s *mailServer) stop() {
	_ = s.listen.Close()
	<-s.serving
	_ = s.server.Close()
}

// start listens; a server that was stopped comes back at the same address.
func (s *mailServer) start(address string) {
	s.t.Helper()
	listener, err := net.Listen("tcp", address)
	if err != nil {
		s.t.Fatal(err)
	}
	s.address, s.listen = listener.Addr().String(), listener
	s.server = smtp.NewServer(smtp.BackendFunc(func(*smtp.Conn) (smtp.Session, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sessions++
		return &session{server: s}, nil
	}))
	s.server.Domain, s.server.EnableSMTPUTF8 = "localhost", true
	s.server.AllowInsecureAuth = s.noTLS
	s.server.ErrorLog = quiet{}
	if !s.noTLS && !s.implicit {
		s.server.TLSConfig = s.config
	}
	if s.implicit {
		listener = tls.NewListener(listener, s.config)
	}
	serving, server := make(chan struct{}), s.server
	s.serving = serving
	go func() {
		defer close(serving)
		_ = server.Serve(listener)
	}()
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

func (s *mailServer) port() string { return s.address[strings.LastIndexByte(s.address, ':')+1:] }

// carrier is the way to the server that the configuration would give.
func (s *mailServer) carrier(url string) *SMTP {
	s.t.Helper()
	c, err := ParseURL(strings.ReplaceAll(url, "PORT", s.port()))
	if err != nil {
		s.t.Fatal(err)
	}
	c.Roots = s.roots
	return c
}

func (s *mailServer) all() []received {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]received(nil), s.mails...)
}

type session struct {
	server   *mailServer
	in       bool
	from, to string
	utf8     bool
}

func (s *session) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s *session) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		s.server.mu.Lock()
		s.server.logins++
		s.server.mu.Unlock()
		if username != testUser || password != testPassword {
			return smtp.ErrAuthFailed
		}
		s.in = true
		return nil
	}), nil
}

func (s *session) Mail(from string, o *smtp.MailOptions) error {
	if !s.in && !s.server.noTLS {
		return &smtp.SMTPError{Code: 530, EnhancedCode: smtp.EnhancedCode{5, 7, 0}, Message: "Authentication required"}
	}
	s.from, s.utf8 = from, o.UTF8
	return nil
}

func (s *session) Rcpt(to string, _ *smtp.RcptOptions) error {
	if s.server.refuse != nil {
		if err := s.server.refuse(to); err != nil {
			return err
		}
	}
	s.to += to
	return nil
}

func (s *session) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if s.server.before != nil {
		if err := s.server.before(s.to); err != nil {
			return err
		}
	}
	message, err := netmail.ReadMessage(strings.NewReader(string(raw)))
	if err != nil {
		return err
	}
	s.server.mu.Lock()
	s.server.mails = append(s.server.mails, received{from: s.from, to: s.to, utf8: s.utf8, raw: string(raw), msg: message})
	s.server.mu.Unlock()
	s.server.arrived <- struct{}{}
	return nil
}

func (s *session) Reset()        { s.from, s.to = "", "" }
func (s *session) Logout() error { return nil }

// certificate makes an authority and a certificate of it for loopback.
func certificate(t *testing.T) (*tls.Config, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	made := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, made, made, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(leaf)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, roots
}
