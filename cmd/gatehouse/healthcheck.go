package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/console"
)

func (p *program) healthcheckCommand() *cobra.Command {
	return &cobra.Command{
		Use: "healthcheck", Short: "Ask the server of this configuration whether it is ready (for containers)", Args: arguments(),
		RunE: func(c *cobra.Command, _ []string) error {
			cfg, err := p.load()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(c.Context(), 5*time.Second)
			defer cancel()
			if err := askReady(ctx, cfg); err != nil {
				return fmt.Errorf("the server at %s is not ready: %w", cfg.Server.Listen, err)
			}
			return p.Say(map[string]any{"ready": true}, "ready")
		},
	}
}

// askReady asks the listener itself, not the issuer: a proxy in between is another one's business.
func askReady(ctx context.Context, c *config.Config) error {
	host, port, err := net.SplitHostPort(c.Server.Listen)
	if err != nil {
		return err
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "localhost"
	}
	transport := &http.Transport{}
	defer transport.CloseIdleConnections()
	scheme := "http"
	if c.Server.TLS.Cert != "" {
		scheme = "https"
		if transport.TLSClientConfig, err = ownCertificate(c); err != nil {
			return err
		}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, scheme+"://"+net.JoinHostPort(host, port)+"/readyz", nil)
	if err != nil {
		return err
	}
	answer, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		var failed *url.Error
		if errors.As(err, &failed) {
			return failed.Err
		}
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(answer.Body, 200)) // only a hint beside the status
		return fmt.Errorf("it answers %s %s", answer.Status, console.Printable(string(text)))
	}
	return nil
}

// ownCertificate trusts the configured certificate and no other, for the issuer's name.
func ownCertificate(c *config.Config) (*tls.Config, error) {
	pem, err := os.ReadFile(c.Server.TLS.Cert)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	issuer, err := url.Parse(c.Issuer)
	if err != nil {
		return nil, err
	}
	return &tls.Config{RootCAs: pool, ServerName: issuer.Hostname(), MinVersion: tls.VersionTLS12}, nil
}
