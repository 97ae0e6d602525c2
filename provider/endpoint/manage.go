package endpoint

// Client configuration: RFC 7592. A client that registered itself reads, replaces and deletes its registration with the token that it was given then.

import (
	"context"
	"crypto/subtle"
	"net/http"
	"time"

	"gatehouse/provider/audit"
	"gatehouse/provider/client"
	"gatehouse/provider/opaque"
	"gatehouse/provider/registration"
	"gatehouse/provider/web"
	"gatehouse/storage"
)

// nobody is a signature that no token has: it is compared with where there is no registration, so that the answer says nothing and costs the same.
var _, nobody = opaque.Mint(opaque.Registration)

// registrant returns the registration that a request manages, and the token that proves it. Registrations that do not exist, that are switched off, that are somebody else's
// and clients that an operator made are refused alike.
func (e *Endpoints) registrant(r *http.Request) (*storage.Client, string, error) {
	token, err := bearer(r, nil)
	if err != nil {
		return nil, "", err
	}
	if token == "" {
		return nil, "", errNoManager
	}
	signature, ours := opaque.Parse(opaque.Registration, token)
	if !ours {
		return nil, "", errBadManager
	}
	c, err := e.Registration.Store.Client(r.Context(), web.Var(r, "client_id"))
	if err != nil && !isMissing(err) {
		return nil, "", err
	}
	expected := nobody
	if err == nil && !c.Disabled && c.RegistrationToken != "" {
		expected = c.RegistrationToken
	}
	if subtle.ConstantTimeCompare([]byte(signature), []byte(expected)) != 1 {
		return nil, "", errBadManager
	}
	web.Annotate(r, "client", c.ID)
	return c, token, nil
}

func (e *Endpoints) readRegistration(w http.ResponseWriter, r *http.Request) error {
	c, token, err := e.registrant(r)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, e.registered(c, "", token))
}

// updateRegistration replaces the metadata as a whole (RFC 7592 section 2.2). What makes the client this client stays: its id, secret, token, profile and owner.
func (e *Endpoints) updateRegistration(w http.ResponseWriter, r *http.Request) error {
	ctx, reg := r.Context(), e.Registration
	c, token, err := e.registrant(r)
	if err != nil {
		return err
	}
	// Each update is a write that every process hears of, and may have something fetched.
	if err := e.limitRegistrations(r, "registration\nof "+c.ID); err != nil {
		return err
	}
	m, err := readMetadata(r)
	if err != nil {
		return err
	}
	if err := e.checkUpdate(ctx, c, &m, token); err != nil {
		return err
	}
	rules := reg.Rules
	rules.Profile = c.Profile // an operator may have given it another one
	next := *c
	if err := rules.Apply(&next, m); err != nil {
		return err
	}
	if !registration.SectorChecked(c, &next) {
		if err := registration.CheckSector(ctx, reg.Fetcher, &next); err != nil {
			return err
		}
	}
	secret, logo := "", c.LogoURI
	updated, err := reg.Store.UpdateClient(ctx, c.ID, func(stored *storage.Client) error {
		if stored.Disabled || stored.RegistrationToken != c.RegistrationToken {
			return errBadManager
		}
		if err := rules.Apply(stored, m); err != nil {
			return err
		}
		secret, err = reg.giveSecret(stored, e.Now())
		return err
	})
	if isMissing(err) {
		return errBadManager
	}
	if err != nil {
		return err
	}
	if updated.LogoURI != logo {
		reg.Logos.Want(updated)
	}
	e.Audit.Record(ctx, audit.Event{Name: "client.updated", Client: c.ID, Result: "ok", Reason: "registration"})
	return writeJSON(w, http.StatusOK, e.registered(updated, secret, token))
}

// checkUpdate refuses an update that names another client, or that tries to choose what the server chooses. What it repeats of the client information response must be
// what the server said (security row 123).
func (e *Endpoints) checkUpdate(ctx context.Context, c *storage.Client, m *client.Metadata, token string) error {
	field, message := "", "it cannot be changed; leave it out"
	switch {
	case m.ClientID != c.ID:
		field, message = "client_id", "send the client_id of this registration"
	case m.RegistrationToken != "" && m.RegistrationToken != token:
		field = "registration_access_token"
	case m.RegistrationURI != "" && m.RegistrationURI != e.registrationURI(c.ID):
		field = "registration_client_uri"
	case m.ClientIDIssuedAt != 0 && m.ClientIDIssuedAt != c.Created.Unix():
		field = "client_id_issued_at"
	case m.ClientSecretExpiresAt != nil && *m.ClientSecretExpiresAt != 0:
		field = "client_secret_expires_at"
	case m.ClientSecret != "":
		same, err := e.Registration.sameSecret(ctx, c, m.ClientSecret, e.Now())
		if err != nil {
			return err
		}
		if !same {
			field = "client_secret"
		}
	}
	if field != "" {
		return &client.MetadataError{Code: client.InvalidClientMetadata, Field: field, Message: message}
	}
	return nil
}

func (reg *Registration) sameSecret(ctx context.Context, c *storage.Client, secret string, now time.Time) (bool, error) {
	if !client.SealsSecret(c) {
		return client.CheckSecret(ctx, c, secret, now)
	}
	for _, s := range c.Secrets {
		opened, err := client.OpenSecret(reg.Seal, c.ID, s)
		if err != nil {
			return false, err
		}
		if (s.Expires.IsZero() || now.Before(s.Expires)) && subtle.ConstantTimeCompare(opened, []byte(secret)) == 1 {
			return true, nil
		}
	}
	return false, nil
}

// deleteRegistration ends the client and everything it was given (RFC 7592 section 2.3).
func (e *Endpoints) deleteRegistration(w http.ResponseWriter, r *http.Request) error {
	c, _, err := e.registrant(r)
	if err != nil {
		return err
	}
	err = e.Registration.Store.DeleteClient(r.Context(), c.ID)
	if isMissing(err) {
		return errBadManager
	}
	if err != nil {
		return err
	}
	e.Audit.Record(r.Context(), audit.Event{Name: "client.deleted", Client: c.ID, Result: "ok", Reason: "registration"})
	w.WriteHeader(http.StatusNoContent)
	return nil
}
