package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/cmd/gatehouse/config"
)

// certificate writes a self-signed certificate for a name and its key.
func certificate(t *testing.T, name string) config.TLS {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	files := config.TLS{Cert: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	for path, block := range map[string]*pem.Block{files.Cert: {Type: "CERTIFICATE", Bytes: cert}, files.Key: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

func TestHealthcheckTrustsTheConfiguredCertificateForTheIssuerAlone(t *testing.T) {
	right := certificate(t, "id.example.com")
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/readyz" {
			http.NotFound(w, r)
		}
	}))
	pair, err := tls.LoadX509KeyPair(right.Cert, right.Key)
	if err != nil {
		t.Fatal(err)
	}
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	server.StartTLS()
	defer server.Close()
	c := config.Default()
	c.Issuer, c.Server.TLS, c.Server.Listen = "https://id.example.com/x", right, strings.TrimPrefix(server.URL, "https://")
	if err := askReady(t.Context(), c); err != nil {
		t.Errorf("the right certificate: %v", err)
	}
	c.Issuer = "https://other.example.com"
	if err := askReady(t.Context(), c); err == nil {
		t.Error("a certificate of another name is trusted")
	}
	c.Issuer, c.Server.TLS = "https://id.example.com", certificate(t, "id.example.com")
	if err := askReady(t.Context(), c); err == nil {
		t.Error("a certificate that is not the configured one is trusted")
	}
}

func TestHealthcheckTellsWhatTheServerAnswers(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "stopping", http.StatusServiceUnavailable) }))
	defer server.Close()
	c := config.Default()
	c.Server.Listen = strings.TrimPrefix(server.URL, "http://")
	if err := askReady(t.Context(), c); err == nil || !strings.Contains(err.Error(), "503") || !strings.Contains(err.Error(), "stopping") {
		t.Errorf("%v", err)
	}
}
