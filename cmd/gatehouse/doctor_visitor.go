package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/cmd/gatehouse/config"
	"gatehouse/cmd/gatehouse/doctor"
	"gatehouse/provider/client"
	"gatehouse/provider/credential"
	"gatehouse/storage"
)

const (
	// visitorPrefix begins the ids of what a visit makes. Subjects of other users are random and hold no hyphen; a client must also have the name.
	visitorPrefix = "gatehouse-doctor-"
	visitorName   = "Gatehouse doctor (temporary)"
)

// visitors lets the doctor in: a client and a user for one visit.
type visitors struct {
	config    *config.Config
	store     storage.Store
	passwords *credential.Passwords
	now       func() time.Time
	admitted  []doctor.Visitor
}

// PublishedKeys implements doctor.Inside.
func (v *visitors) PublishedKeys(ctx context.Context) ([]string, error) {
	rows, err := v.store.SigningKeys(ctx)
	if err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	var kids []string
	now := v.now()
	for _, k := range rows {
		if k.RevokedAt.IsZero() && !now.Before(k.PublishAt) && (k.RemoveAt.IsZero() || now.Before(k.RemoveAt)) {
			kids = append(kids, k.KID)
		}
	}
	return kids, nil
}

// Admit implements doctor.Inside.
func (v *visitors) Admit(ctx context.Context, redirectURI, postLogoutRedirectURI string) (doctor.Visitor, error) {
	name := visitorPrefix + strings.ToLower(rand.Text())
	guest := doctor.Visitor{ClientID: name, Subject: name, Username: name, Password: rand.Text() + rand.Text()}
	c := &storage.Client{RegisteredBy: "operator", Expires: v.now().Add(2 * doctorLimit)}
	err := clientRules(v.config).Apply(c, client.Metadata{
		ClientID: name, ClientName: visitorName, Scope: "openid profile email offline_access", GrantTypes: []string{"authorization_code", "refresh_token"},
		RedirectURIs: []string{redirectURI}, PostLogoutURIs: []string{postLogoutRedirectURI},
	})
	if err != nil {
		return guest, metadataError(err)
	}
	guest.ClientSecret = addSecret(c, 0)
	user := &storage.User{Subject: guest.Subject, Email: name + "@doctor.invalid", Username: name, Claims: map[string]any{"name": visitorName}}
	if err := applyNames(user); err != nil {
		return guest, err
	}
	v.admitted = append(v.admitted, guest) // first: whatever of it comes to be is taken away again
	if err := createUser(ctx, v.store, v.passwords, user, guest.Password); err != nil {
		return guest, err
	}
	if err := v.store.CreateClient(ctx, c); err != nil {
		return guest, fmt.Errorf("create client: %w", err)
	}
	return guest, nil
}

// SeenFrom implements doctor.Inside.
func (v *visitors) SeenFrom(ctx context.Context, guest doctor.Visitor) (string, error) {
	sessions, err := v.store.SessionsOf(ctx, guest.Subject)
	if err != nil {
		return "", fmt.Errorf("read sessions: %w", err)
	}
	if len(sessions) == 0 {
		return "", nil
	}
	return sessions[0].IP, nil
}

// leave takes away everything that Admit made, with its sessions, consents and tokens.
func (v *visitors) leave(ctx context.Context) error {
	var errs []error
	for _, guest := range v.admitted {
		errs = append(errs, unlessMissing(v.store.DeleteClient(ctx, guest.ClientID)), unlessMissing(v.store.DeleteUser(ctx, guest.Subject)))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("take the visit's client and user away (the next doctor will try again): %w", err)
	}
	return nil
}

// unlessMissing is nil also for what was never there.
func unlessMissing(err error) error {
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	}
	return err
}

// sweep takes away what is left of visits that were killed.
func (v *visitors) sweep(ctx context.Context) error {
	over := func(created time.Time) bool { return v.now().Sub(created) > 2*doctorLimit }
	clients, err := v.store.ListClients(ctx, visitorPrefix, pageSize)
	if err != nil {
		return fmt.Errorf("list clients: %w", err)
	}
	users, err := v.store.ListUsers(ctx, visitorPrefix, pageSize)
	if err != nil {
		return fmt.Errorf("list users: %w", err)
	}
	var errs []error
	for _, c := range clients {
		if strings.HasPrefix(c.ID, visitorPrefix) && c.Name == visitorName && over(c.Created) {
			errs = append(errs, unlessMissing(v.store.DeleteClient(ctx, c.ID)))
		}
	}
	for _, u := range users {
		if strings.HasPrefix(u.Subject, visitorPrefix) && over(u.Created) {
			errs = append(errs, unlessMissing(v.store.DeleteUser(ctx, u.Subject)))
		}
	}
	return errors.Join(errs...)
}
