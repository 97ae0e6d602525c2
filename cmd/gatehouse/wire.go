package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/provider"
	"gatehouse/provider/credential"
	"gatehouse/provider/keys"
	"gatehouse/provider/mail"
	"gatehouse/provider/oauth"
	"gatehouse/provider/outbound"
	"gatehouse/provider/place"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/seal"
	"gatehouse/provider/signin"
	"gatehouse/provider/upstream"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/storage/migrate"
	"gatehouse/storage/postgres"
	"gatehouse/storage/sqlite"
	"gatehouse/templates"
)

// openStore opens the configured backend.
func openStore(ctx context.Context, c *config.Config) (storage.Store, error) {
	o := storage.Options{RevocationTTL: provider.RevocationTTL(lifetimes(c), resources(c))}
	if path, ok := c.Storage.SQLitePath(); ok {
		return opened(sqlite.Open(ctx, sqlite.Options{Path: path, Options: o, AutoMigrate: c.Storage.AutoMigrate}))
	}
	return opened(postgres.Open(ctx, postgres.Options{URL: c.Storage.URL, Options: o, AutoMigrate: c.Storage.AutoMigrate}))
}

func opened[S storage.Store](store S, err error) (storage.Store, error) {
	if err != nil {
		return nil, fmt.Errorf("open storage: %w", err)
	}
	return store, nil
}

func openMigrations(ctx context.Context, c *config.Config) (*migrate.Runner, error) {
	if path, ok := c.Storage.SQLitePath(); ok {
		return sqlite.Migrations(ctx, path)
	}
	return postgres.Migrations(ctx, c.Storage.URL)
}

// withStore loads the configuration and opens the store for a command.
func (p *program) withStore(c *cobra.Command, do func(context.Context, *config.Config, storage.Store) error) (err error) {
	cfg, err := p.load()
	if err != nil {
		return err
	}
	store, err := openStore(c.Context(), cfg)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	return do(c.Context(), cfg, store)
}

// withPasswords also opens what passwords are hashed with.
func (p *program) withPasswords(c *cobra.Command, do func(context.Context, *config.Config, storage.Store, *credential.Passwords) error) error {
	return p.withStore(c, func(ctx context.Context, cfg *config.Config, store storage.Store) error {
		ring, err := openRing(ctx, cfg, store)
		if err != nil {
			return err
		}
		passwords, err := openPasswords(ctx, cfg, store, ring)
		if err != nil {
			return err
		}
		return do(ctx, cfg, store, passwords)
	})
}

func openPasswords(ctx context.Context, c *config.Config, store storage.SecretStore, ring *seal.Ring) (*credential.Passwords, error) {
	passwords, err := credential.New(credential.Options{Store: store, Seal: ring, Cost: c.Passwords.Cost, MinLength: c.Passwords.MinLength})
	if err != nil {
		return nil, err
	}
	return passwords, passwords.Load(ctx)
}

// withKeys also opens the signing keys.
func (p *program) withKeys(c *cobra.Command, do func(context.Context, *config.Config, *keys.Set) error) error {
	return p.withStore(c, func(ctx context.Context, cfg *config.Config, store storage.Store) error {
		ring, err := openRing(ctx, cfg, store)
		if err != nil {
			return err
		}
		return do(ctx, cfg, keys.New(keys.Options{
			Store: store, Seal: ring, Algorithms: cfg.Keys.Algorithms, RSABits: cfg.Keys.RSABits, RotateEvery: cfg.Keys.RotateEvery,
			LongestToken: provider.LongestToken(lifetimes(cfg), resources(cfg)),
		}))
	})
}

// openProvider assembles the server over an open store. d is what --dev adds, nil without.
func openProvider(ctx context.Context, c *config.Config, store storage.Store, ring *seal.Ring, log *slog.Logger, d *demo) (*provider.Provider, error) {
	client, err := openOutbound(c)
	if err != nil {
		return nil, err
	}
	post, err := openMail(c)
	if err != nil {
		return nil, err
	}
	var playground web.Feature
	if d != nil {
		playground, post = d.playground(), d.mail()
	}
	places, err := openPlaces(c)
	if err != nil {
		return nil, err
	}
	k := c.Keys
	pages, err := c.Branding.Load()
	if err != nil {
		return nil, fmt.Errorf("load templates: %w", err)
	}
	return provider.New(ctx, provider.Options{
		Issuer: c.Issuer, Store: store, Seal: ring, Outbound: client, Log: log,
		TrustedProxies: c.Server.Prefixes(),
		Brand:          brand(c),
		Pages:          pages, Language: c.Branding.DefaultLanguage,
		SameSite: sameSite(c.Sessions.CookieSameSite), SessionIdle: c.Sessions.Idle, SessionAbsolute: c.Sessions.Absolute,
		Tokens: lifetimes(c), DefaultAudience: c.Tokens.DefaultAudience, Resources: resources(c),
		ResponseTypes: c.OAuth.ResponseTypes, UnsignedRequestObjects: c.OAuth.AllowUnsignedRequestObjects, UnsignedIDTokens: c.OAuth.AllowUnsignedIDTokens,
		Registration: provider.Registration(c.Registration), SessionManagement: c.Logout.SessionManagement,
		Keys:    provider.KeyPolicy{Algorithms: k.Algorithms, IDToken: k.IDTokenAlg, AccessToken: k.AccessTokenAlg, RSABits: k.RSABits, RotateEvery: k.RotateEvery},
		Account: accountPage(c.Account), Places: places, Factors: factors(c.Factors), Remember: c.Sessions.Remember,
		Upstreams: upstreams(c), NoPassword: !c.Login.Password,
		PasswordCost: c.Passwords.Cost, PasswordMinLength: c.Passwords.MinLength,
		SignUp: provider.SignUp(c.SignUp), MagicLink: c.Login.MagicLink, IdentifierFirst: c.Login.IdentifierFirst,
		Limits: limits(c.Limits), Mail: post, Playground: playground,
	})
}

func brand(c *config.Config) templates.Brand {
	b := c.Branding
	return templates.Brand{Name: b.Name, LogoURL: b.LogoURL, PrivacyURL: b.PrivacyURL, TermsURL: b.TermsURL, SupportURL: b.SupportURL, Theme: b.Theme()}
}

func openOutbound(c *config.Config) (*outbound.Client, error) {
	client, err := outbound.New(outbound.Options{Allow: c.Outbound.Allow, CAFile: c.Outbound.CAFile})
	if err != nil {
		return nil, fmt.Errorf("set up outgoing requests: %w", err)
	}
	return client, nil
}

// openMail is the way to the configured mail server, which nobody talks to yet.
func openMail(c *config.Config) (provider.Mail, error) {
	if c.Mail.URL == "" {
		return provider.Mail{}, nil
	}
	server, err := mail.ParseURL(c.Mail.URL)
	if err != nil {
		return provider.Mail{}, fmt.Errorf("read mail.url, which %w", err)
	}
	if server.Roots, err = outbound.Roots(c.Outbound.CAFile); err != nil {
		return provider.Mail{}, fmt.Errorf("set up mail: %w", err)
	}
	if u, err := url.Parse(c.Issuer); err == nil {
		server.Helo = u.Hostname()
	}
	return provider.Mail{Carrier: server, From: c.Mail.From, ReplyTo: c.Mail.ReplyTo}, nil
}

// openPlaces reads the configured file of places, nil if there is none.
func openPlaces(c *config.Config) (*place.Book, error) {
	if c.Account.Places == "" {
		return nil, nil
	}
	places, err := place.Open(place.Options{File: c.Account.Places})
	if err != nil {
		return nil, fmt.Errorf("open account.places: %w", err)
	}
	return places, nil
}

func sameSite(word string) http.SameSite {
	if word == "none" {
		return http.SameSiteNoneMode
	}
	return http.SameSiteLaxMode
}

func lifetimes(c *config.Config) oauth.Lifetimes {
	t := c.Tokens
	return oauth.Lifetimes{
		Code: t.Code, Pushed: t.Pushed, Access: t.Access, ID: t.ID, RefreshIdle: t.RefreshIdle, RefreshAbsolute: t.RefreshAbsolute,
		PublicRefreshIdle: t.PublicRefreshIdle, PublicRefreshAbsolute: t.PublicRefreshAbsolute, RefreshGrace: t.RefreshGrace,
	}
}

func resources(c *config.Config) []oauth.Resource {
	var out []oauth.Resource
	for _, r := range c.Resources {
		out = append(out, oauth.Resource(r))
	}
	return out
}

func upstreams(c *config.Config) []upstream.Config {
	var out []upstream.Config
	for i := range c.Upstreams {
		out = append(out, c.Upstreams[i].Config())
	}
	return out
}

// accountPage says what people may do on it; an empty list of claims is not the same as none.
func accountPage(c config.Account) provider.AccountPage {
	return provider.AccountPage{Editable: append([]string{}, c.EditableClaims...), NoDelete: !c.SelfDelete}
}

func factors(f config.Factors) signin.Policy {
	policy := signin.Policy{TOTP: f.TOTP, Passkeys: f.Passkeys, TrustDevice: f.TrustDevice}
	if f.Required == "everyone" {
		policy.Required = signin.Everyone
	}
	return policy
}

func limits(l config.Limits) provider.Limits {
	return provider.Limits{
		LoginAccount: ratelimit.Backoff{Free: l.LoginAccount.Count, Longest: l.LoginAccount.Per}, LoginFailures: l.LoginFailures, LoginIP: rate(l.LoginIP), LoginNet: rate(l.LoginNet),
		FactorChallenge: l.FactorChallenge, FactorUser: rate(l.FactorUser), FactorIP: rate(l.FactorIP), ResetAddress: rate(l.ResetAddress), MailIP: rate(l.MailIP), SignupIP: rate(l.SignupIP),
		TokenFailures: rate(l.TokenFailures),
		TokenOK:       rate(l.TokenOK), Introspect: rate(l.Introspect), Interactions: rate(l.Interactions), Registration: rate(l.Registration), PAR: rate(l.PAR),
		HashPool: l.HashPool, HashQueue: l.HashQueue,
	}
}

func rate(l config.Limit) ratelimit.Limit {
	if l.Count == 0 {
		return ratelimit.Limit{}
	}
	return ratelimit.Limit{Burst: l.Count, Every: l.Per / time.Duration(l.Count)}
}
