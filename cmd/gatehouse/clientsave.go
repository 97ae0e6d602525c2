package main

import (
	"context"
	"fmt"
	"time"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/console"
	"gatehouse/provider/client"
	"gatehouse/provider/outbound"
	"gatehouse/provider/registration"
	"gatehouse/storage"
)

// clientSaver saves clients as the registration endpoint does, with an operator's rights.
type clientSaver struct {
	*program
	config  *config.Config
	store   storage.Store
	rules   client.Rules
	fetcher *outbound.Client
}

func (p *program) clientSaver(c *config.Config, store storage.Store) (*clientSaver, error) {
	fetcher, err := openOutbound(c)
	if err != nil {
		return nil, err
	}
	rules := clientRules(c)
	rules.CheckURL = fetcher.CheckURL
	return &clientSaver{p, c, store, rules, fetcher}, nil
}

// apply validates metadata and asks sector_identifier_uri, on a copy of the client.
func (s *clientSaver) apply(ctx context.Context, before storage.Client, m client.Metadata) (*storage.Client, error) {
	next := before
	if err := s.rules.Apply(&next, m); err != nil {
		return nil, metadataError(err)
	}
	if before.ID != "" && registration.SectorChecked(&before, &next) {
		return &next, nil
	}
	return &next, metadataError(registration.CheckSector(ctx, s.fetcher, &next))
}

// makeSecret is client.MakeSecret with the master key, which is asked for only where it is needed. It reads the store, so it is not for inside a change of it.
func (s *clientSaver) makeSecret(ctx context.Context, c *storage.Client, chosen string) (string, storage.ClientSecret, error) {
	var stored storage.ClientSecret
	secret, now := "", time.Now().UTC()
	if client.SealsSecret(c) {
		ring, err := openRing(ctx, s.config, s.store)
		if err != nil {
			return "", stored, err
		}
		secret, stored, err = client.MakeSecret(ring, c, chosen, now)
		return secret, stored, secretError(err)
	}
	secret, stored, err := client.MakeSecret(nil, c, chosen, now)
	return secret, stored, secretError(err)
}

// missingSecret makes the secret that a client's method of authentication asks for, if it has none; else both results are empty.
func (s *clientSaver) missingSecret(ctx context.Context, c *storage.Client) (secret string, stored storage.ClientSecret, err error) {
	if !lacksSecret(c) {
		return "", stored, nil
	}
	return s.makeSecret(ctx, c, "")
}

func secretError(err error) error {
	if err != nil {
		return console.Usagef("the secret cannot be used: %w", err)
	}
	return nil
}

// keepLogo fetches the client's logo once, now, so that users' browsers never ask another host for it. A client without a logo works as well, so a
// failure is only told.
func (s *clientSaver) keepLogo(ctx context.Context, c *storage.Client) {
	if c.LogoURI == "" {
		return
	}
	logo, err := registration.FetchLogo(ctx, s.fetcher, c.LogoURI, time.Now())
	if err == nil {
		logo.ClientID = c.ID
		err = s.store.PutLogo(ctx, logo)
	}
	if err != nil {
		fmt.Fprintf(s.Err, "gatehouse: the client is saved, but its logo is not shown: %v\n", err)
	}
}

// warnSignUp tells when a client lets people make accounts and the server offers it to nobody. The client may be saved before the rest is configured, so it is only told.
func (s *clientSaver) warnSignUp(c *storage.Client) {
	missing := ""
	switch {
	case client.SignUp(c, client.SignUpOff) == client.SignUpOff:
		return
	case !s.config.Login.Password:
		missing = "login.password is false, and such an account has a password"
	case s.config.Mail.URL == "":
		missing = "mail.url is not set, and an account is made by a link in a mail; set mail.url and mail.from"
	default:
		return
	}
	fmt.Fprintf(s.Err, "gatehouse: the client is saved, but nobody can make an account on the way to it: %s\n", missing)
}
