package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/provider"
	"gatehouse/provider/client"
	"gatehouse/provider/mail"
	"gatehouse/provider/playground"
	"gatehouse/provider/seal"
	"gatehouse/provider/web"
	"gatehouse/storage"
)

const (
	demoUser         = "demo"
	demoEmail        = "demo@example.com"
	demoClient       = "demo"
	playgroundClient = "playground"
	// boxSize is how many messages the mailbox keeps.
	boxSize = 200
)

// demo is what --dev adds: a user, a client for the newcomer's own application, the playground with a client of its own, and a mailbox in place of a mail server.
type demo struct {
	config *config.Config
	store  storage.Store
	ring   *seal.Ring
	box    *mail.Box
	secret string        // of the playground's client
	ready  chan struct{} // closed when secret is set, or never will be
}

// welcome is what is printed when the server is ready; password and secret only the first time.
type welcome struct {
	Issuer       string `json:"issuer"`
	Playground   string `json:"playground"`
	Mailbox      string `json:"mailbox"`
	Username     string `json:"username,omitempty"`
	Password     string `json:"password,omitempty"`
	ClientID     string `json:"client_id,omitempty"`
	ClientSecret string `json:"client_secret,omitempty"`
}

func newDemo(c *config.Config, store storage.Store, ring *seal.Ring) *demo {
	return &demo{config: c, store: store, ring: ring, box: mail.NewBox(boxSize), ready: make(chan struct{})}
}

func (d *demo) playground() web.Feature {
	return playground.New(playground.Options{Issuer: d.config.Issuer, Mailbox: d.box, Client: func() (id, secret string) {
		<-d.ready
		return playgroundClient, d.secret
	}})
}

// mail puts into the mailbox of the playground what would be sent.
func (d *demo) mail() provider.Mail {
	return provider.Mail{Carrier: d.box, From: cmp.Or(d.config.Mail.From, "no-reply@localhost"), ReplyTo: d.config.Mail.ReplyTo}
}

// begin creates what is missing and greets. It runs after the port is open, so that start does not wait for it.
func (d *demo) begin(ctx context.Context, p *program) error {
	defer close(d.ready)
	w := welcome{Issuer: d.config.Issuer, Playground: playground.PostLogoutRedirectURI(d.config.Issuer), Mailbox: playground.MailURL(d.config.Issuer)}
	empty, err := d.empty(ctx)
	if err != nil {
		return err
	}
	if empty {
		if err := d.create(ctx, &w); err != nil {
			return fmt.Errorf("create demo data: %w", err)
		}
	}
	if err := d.renewPlayground(ctx); err != nil {
		return fmt.Errorf("prepare playground: %w", err)
	}
	if p.JSON {
		return p.Show(w)
	}
	return d.greet(ctx, p, w)
}

// empty tells whether nobody has used the store before.
func (d *demo) empty(ctx context.Context) (bool, error) {
	users, err := d.store.ListUsers(ctx, "", 1)
	if err != nil {
		return false, fmt.Errorf("list users: %w", err)
	}
	clients, err := d.store.ListClients(ctx, "", 1)
	if err != nil {
		return false, fmt.Errorf("list clients: %w", err)
	}
	return len(users) == 0 && len(clients) == 0, nil
}

func (d *demo) create(ctx context.Context, w *welcome) error {
	passwords, err := openPasswords(ctx, d.config, d.store, d.ring)
	if err != nil {
		return err
	}
	user, password := newDemoUser(), newDemoPassword()
	if err := applyNames(user); err != nil {
		return err
	}
	if err := createUser(ctx, d.store, passwords, user, password); err != nil {
		return err
	}
	registered := &storage.Client{RegisteredBy: "operator"}
	err = clientRules(d.config).Apply(registered, client.Metadata{
		ClientID: demoClient, ClientName: "Demo application", Scope: strings.Join(playground.Scopes(), " "),
		RedirectURIs: []string{"http://localhost:3000/callback", "http://127.0.0.1:3000/callback"},
		GrantTypes:   []string{"authorization_code", "refresh_token", "client_credentials"},
	})
	if err != nil {
		return err
	}
	secret := addSecret(registered, 0)
	if err := d.store.CreateClient(ctx, registered); err != nil {
		return fmt.Errorf("create client: %w", err)
	}
	w.Username, w.Password, w.ClientID, w.ClientSecret = demoEmail, password, registered.ID, secret
	return nil
}

// renewPlayground gives the playground's client a secret that only this process knows: nothing has to be kept between two starts.
func (d *demo) renewPlayground(ctx context.Context) error {
	secret := ""
	set := func(c *storage.Client) error {
		err := clientRules(d.config).Apply(c, client.Metadata{
			ClientID: playgroundClient, ClientName: "Gatehouse playground", Scope: strings.Join(playground.Scopes(), " "),
			RedirectURIs: []string{playground.RedirectURI(d.config.Issuer)}, PostLogoutURIs: []string{playground.PostLogoutRedirectURI(d.config.Issuer)},
			GrantTypes: []string{"authorization_code", "refresh_token"},
		})
		secret = addSecret(c, 0)
		return err
	}
	_, err := d.store.UpdateClient(ctx, playgroundClient, set)
	if errors.Is(err, storage.ErrNotFound) {
		registered := &storage.Client{RegisteredBy: "operator"}
		if err = set(registered); err == nil {
			err = d.store.CreateClient(ctx, registered)
		}
	}
	d.secret = secret
	return err
}

// newDemoUser has every claim of the scopes profile, email, phone and address, so that a newcomer sees what an application can get.
func newDemoUser() *storage.User {
	return &storage.User{
		Subject: newSubject(), Email: demoEmail, EmailVerified: true, Username: demoUser,
		Claims: map[string]any{
			"name": "Dana Mercer Moss", "given_name": "Dana", "middle_name": "Mercer", "family_name": "Moss", "nickname": "Dana", "preferred_username": demoUser,
			"profile": "https://example.com/demo", "picture": "https://example.com/demo.png", "website": "https://example.com", "gender": "female",
			"birthdate": "1990-04-01", "zoneinfo": "Europe/Berlin", "locale": "en-GB", "phone_number": "+49 30 901820", "phone_number_verified": true,
			"address": map[string]any{
				"formatted": "Gate Lane 1\n10115 Berlin\nGermany", "street_address": "Gate Lane 1", "locality": "Berlin", "region": "Berlin", "postal_code": "10115", "country": "Germany",
			},
		},
	}
}

// newDemoPassword has 100 random bits in groups that can be typed.
func newDemoPassword() string {
	text := strings.ToLower(rand.Text())
	return strings.Join([]string{text[0:5], text[5:10], text[10:15], text[15:20]}, "-")
}

func (d *demo) greet(ctx context.Context, p *program, w welcome) error {
	var b strings.Builder
	line := func(label, value string) { fmt.Fprintf(&b, "  %-16s%s\n", label, value) }
	fmt.Fprintln(&b)
	line("Gatehouse", w.Issuer)
	line("Playground", w.Playground)
	line("Mailbox", w.Mailbox)
	fmt.Fprintln(&b)
	if w.Password != "" {
		line("Sign in as", w.Username)
		line("Password", w.Password)
		line("Client id", w.ClientID)
		line("Client secret", w.ClientSecret)
		fmt.Fprintf(&b, "\n  Keep the password and the secret: they are shown this once.\n")
	} else if u, err := findUser(ctx, d.store, demoUser); err == nil {
		line("Sign in as", u.Email)
		fmt.Fprintf(&b, "\n  The demo data exists already. If the password or the client secret is lost, set new ones:\n"+
			"    gatehouse user set-password %s\n    gatehouse client rotate-secret %s\n", demoUser, demoClient)
	}
	_, err := fmt.Fprintln(p.Out, b.String())
	return err
}
