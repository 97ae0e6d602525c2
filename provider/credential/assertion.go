package credential

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"gatehouse/storage"
)

// Assertion is a passkey that has answered.
type Assertion struct {
	Factor *storage.Factor
	User   *storage.User
	// Verified tells that the authenticator made sure of the person, by PIN or biometrics: two factors at once. Present is always true.
	Verified bool
	// Synced passkeys may be copied to other devices.
	Synced bool
	// WentBack tells that a counter of a synced passkey went back, which means little, but is worth a line in the audit log.
	WentBack bool
}

// AMR are the methods of RFC 8176: a key that never leaves its hardware, or one in software; the presence of the person, which every passkey proves; and several factors if the
// authenticator verified the person.
func (a *Assertion) AMR() []string {
	amr := []string{"hwk", "user"}
	if a.Synced {
		amr[0] = "swk"
	}
	if a.Verified {
		amr = append(amr, "mfa")
	}
	return amr
}

// finish checks an answer against the stored credential that it names.
func (p *Passkeys) finish(ctx context.Context, c *challenge, response string) (*Assertion, error) {
	if len(response) > maxResponse {
		return nil, fmt.Errorf("%w: the answer has %d bytes", ErrPasskey, len(response))
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(response))
	if err != nil {
		return nil, refused(err)
	}
	f, user, err := p.Store.FactorByCredential(ctx, base64.RawURLEncoding.EncodeToString(parsed.RawID))
	if errors.Is(err, storage.ErrNotFound) {
		return nil, fmt.Errorf("%w: nobody has it", ErrPasskey)
	}
	if err != nil {
		return nil, fmt.Errorf("find passkey: %w", err)
	}
	switch {
	case user.Disabled:
		return nil, fmt.Errorf("%w: its user is disabled", ErrPasskey)
	case c.Subject != "" && c.Subject != user.Subject:
		return nil, fmt.Errorf("%w: it is that of another user", ErrPasskey)
	}
	made, err := p.verify(c, user, f, parsed)
	if err != nil {
		return nil, err
	}
	flags := parsed.Response.AuthenticatorData.Flags
	a := &Assertion{Factor: f, User: user, Verified: flags.HasUserVerified(), Synced: flags.HasBackupEligible(), WentBack: made.Authenticator.CloneWarning}
	if a.WentBack && !a.Synced {
		return a, ErrCloned
	}
	return a, p.used(ctx, f, made, parsed.Response.AuthenticatorData.Counter)
}

// verify has the library check the answer.
func (p *Passkeys) verify(c *challenge, user *storage.User, f *storage.Factor, parsed *protocol.ParsedCredentialAssertionData) (*webauthn.Credential, error) {
	a, err := p.account(user, []*storage.Factor{f})
	if err != nil {
		return nil, err
	}
	session := c.Session
	if c.Subject != "" {
		// The list of what was asked for may hold passkeys that have been removed since; whose this one is was checked.
		session.AllowedCredentialIDs = nil
		made, err := p.party.ValidateLogin(a, session, parsed)
		if err != nil {
			return nil, refused(err)
		}
		return made, nil
	}
	_, made, err := p.party.ValidatePasskeyLogin(func(rawID, userHandle []byte) (webauthn.User, error) {
		if !bytes.Equal(userHandle, a.handle) {
			return nil, errors.New("the user handle is that of another user")
		}
		return a, nil
	}, session, parsed)
	if err != nil {
		return nil, refused(err)
	}
	return made, nil
}

// used stores the counter and the flags that may change.
func (p *Passkeys) used(ctx context.Context, f *storage.Factor, made *webauthn.Credential, counter uint32) error {
	made.Authenticator.SignCount, made.Authenticator.CloneWarning = counter, false
	data, err := json.Marshal(made)
	if err != nil {
		return fmt.Errorf("write passkey: %w", err)
	}
	err = p.Store.UseFactor(ctx, f.ID, int64(counter), data, p.Now().UTC())
	if errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("%w: it was removed", ErrPasskey)
	}
	if err != nil {
		return fmt.Errorf("use passkey: %w", err)
	}
	return nil
}
