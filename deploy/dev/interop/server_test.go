package interop

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

const (
	email    = "ada@example.com"
	password = "a long and quiet passphrase"
	resource = "https://api.example.com/orders"
)

// person has every claim that the standard scopes can ask for.
const person = `{"name": "Ada Lovelace", "given_name": "Ada", "family_name": "Lovelace", "preferred_username": "ada", "email_verified": true, "locale": "en-GB",
	"birthdate": "1815-12-10", "phone_number": "+44 20 7946 0000", "phone_number_verified": true, "address": {"country": "GB"}}`

// build compiles the program once, with the race detector if the tests have it: the packages are then compiled already.
var build = sync.OnceValues(func() (string, error) {
	bin := filepath.Join(workshop, "gatehouse")
	if text, err := exec.Command("go", append(buildCommand, "-o", bin, "gatehouse/cmd/gatehouse")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, text)
	}
	return bin, nil
})

// workshop is the folder of the program, gone after the last test.
var workshop string

func TestMain(m *testing.M) {
	var err error
	if workshop, err = os.MkdirTemp("", "interop"); err != nil {
		panic(err)
	}
	code := m.Run()
	if err := os.RemoveAll(workshop); err != nil {
		panic(err)
	}
	os.Exit(code)
}

// authority is a certificate authority that nobody knows, with one certificate for this machine, in files.
type authority struct {
	ca, cert, key string
	// pin is the hash of the server's public key, as Chromium takes it.
	pin   string
	roots *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	dir := t.TempDir()
	a := &authority{ca: filepath.Join(dir, "ca.pem"), cert: filepath.Join(dir, "cert.pem"), key: filepath.Join(dir, "key.pem"), roots: x509.NewCertPool()}
	root := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Interop test CA"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	leaf := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "localhost"}, NotBefore: root.NotBefore, NotAfter: root.NotAfter,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{"localhost"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	rootKey, leafKey := newKey(t), newKey(t)
	signed := func(c, parent *x509.Certificate, public any) []byte {
		der, err := x509.CreateCertificate(rand.Reader, c, parent, public, rootKey)
		if err != nil {
			t.Fatal(err)
		}
		return der
	}
	private, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	caDER := signed(root, root, &rootKey.PublicKey)
	write(t, a.ca, "CERTIFICATE", caDER)
	write(t, a.cert, "CERTIFICATE", signed(leaf, root, &leafKey.PublicKey))
	write(t, a.key, "PRIVATE KEY", private)
	if root, err = x509.ParseCertificate(caDER); err != nil {
		t.Fatal(err)
	}
	a.roots.AddCert(root)
	public, err := x509.MarshalPKIXPublicKey(&leafKey.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(public)
	a.pin = base64.StdEncoding.EncodeToString(sum[:])
	return a
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func write(t *testing.T, file, kind string, der []byte) {
	t.Helper()
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
}

// server is the program as a process of its own, with one user.
type server struct {
	*testing.T
	bin, issuer string
	// dir is where it runs, flags follow every command.
	dir   string
	env   []string
	flags []string
	tls   *authority
	log   *strings.Builder
}

// start runs a server on SQLite in an empty folder until the test ends. With scheme https it serves TLS itself. more makes further variables of its environment.
func start(t *testing.T, scheme string, a *authority, more ...func(issuer string) []string) *server {
	t.Helper()
	bin, err := build()
	if err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	dir := t.TempDir()
	s := &server{T: t, bin: bin, dir: dir, log: &strings.Builder{}, tls: a, issuer: scheme + "://localhost:" + port}
	resources, err := json.Marshal([]map[string]any{{"uri": resource, "scopes": []string{"orders.read", "orders.write"}, "dynamic_clients": true}})
	if err != nil {
		t.Fatal(err)
	}
	s.env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "GORACE=" + os.Getenv("GORACE"), "GATEHOUSE_ISSUER=" + s.issuer, "GATEHOUSE_SERVER_LISTEN=" + address,
		"GATEHOUSE_STORAGE_URL=sqlite:" + filepath.Join(dir, "gatehouse.db"), "GATEHOUSE_PASSWORDS_COST=10", "GATEHOUSE_RESOURCES=" + string(resources),
		"GATEHOUSE_LIMITS_INTERACTIONS=0", "GATEHOUSE_OUTBOUND_ALLOW=localhost", "GATEHOUSE_OUTBOUND_CA_FILE=" + a.ca,
	}, features...)
	if scheme == "https" {
		s.env = append(s.env, "GATEHOUSE_SERVER_TLS_CERT="+a.cert, "GATEHOUSE_SERVER_TLS_KEY="+a.key, "GATEHOUSE_LOGOUT_SESSION_MANAGEMENT=true")
	}
	for _, variables := range more {
		s.env = append(s.env, variables(s.issuer)...)
	}
	s.serve()
	claims := filepath.Join(dir, "ada.json")
	if err := os.WriteFile(claims, []byte(person), 0o600); err != nil {
		t.Fatal(err)
	}
	s.command(password+"\n", "user", "create", "--email", email, "--claims", claims, "--password-stdin")
	return s
}

// serve runs the program until the test ends, and waits until it is ready.
func (s *server) serve() {
	s.Helper()
	c := exec.Command(s.bin, append([]string{"serve"}, s.flags...)...)
	c.Dir, c.Env, c.Stderr = s.dir, s.env, s.log
	if err := c.Start(); err != nil {
		s.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	s.Cleanup(func() {
		_ = c.Process.Signal(syscall.SIGTERM) // fails if it has ended, which the next line tells
		if err := <-ended; err != nil {
			s.Errorf("serve: %v", err)
		}
		if s.Failed() {
			s.Logf("serve: %s", s.complaints())
		}
	})
	s.awaitReady()
}

// complaints is what the server logged but its everyday lines.
func (s *server) complaints() string {
	var kept strings.Builder
	for line := range strings.Lines(s.log.String()) {
		if !strings.Contains(line, "level=INFO") {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// handedOut are the addresses that freeAddress gave to servers, which may not listen yet.
var handedOut sync.Map

func freeAddress(t *testing.T) string {
	t.Helper()
	for {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		address := l.Addr().String()
		l.Close()
		if _, before := handedOut.LoadOrStore(address, true); !before {
			return address
		}
	}
}

// awaitReady polls, as an orchestrator does.
func (s *server) awaitReady() {
	s.Helper()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: s.tls.roots}}}
	defer client.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(s.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.issuer+"/readyz", nil)
		if err != nil {
			s.Fatal(err)
		}
		if answer, err := client.Do(r); err == nil {
			answer.Body.Close()
			if answer.StatusCode == http.StatusOK {
				return
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.Fatal("not ready within half a minute")
		}
	}
}

// command runs another command on the same set-up and returns what it prints.
func (s *server) command(stdin string, args ...string) string {
	s.Helper()
	c := exec.Command(s.bin, append(args, s.flags...)...)
	c.Dir, c.Env, c.Stdin = s.dir, s.env, strings.NewReader(stdin)
	var complaint strings.Builder
	c.Stderr = &complaint
	out, err := c.Output()
	if err != nil {
		s.Fatalf("%v: %v: %s", args, err, complaint.String())
	}
	return string(out)
}
