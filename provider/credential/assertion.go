package credential

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncbor"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"gatehouse/storage"
)

// Assertion is a passkey or a security key that has answered.
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

// finish checks an answer against the stored credential that it names. Whatever is wrong, the signature is checked: with the key of the credential, or with one that nobody has, so that the time
// does not tell whether there is such a credential, and whose (security row 136).
func (p *Passkeys) finish(ctx context.Context, c *challenge, response string) (*Assertion, error) {
	if len(response) > maxResponse {
		return nil, fmt.Errorf("%w: the answer has %d bytes", ErrPasskey, len(response))
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes([]byte(response))
	if err != nil {
		return nil, refused(err)
	}
	f, user, err := p.Store.FactorByCredential(ctx, base64.RawURLEncoding.EncodeToString(parsed.RawID))
	unknown := errors.Is(err, storage.ErrNotFound)
	if err != nil && !unknown {
		return nil, fmt.Errorf("find passkey: %w", err)
	}
	if unknown {
		f, user = p.decoy, &storage.User{Subject: c.Subject}
	}
	made, err := p.verify(c, user, f, parsed)
	switch {
	case unknown:
		return nil, fmt.Errorf("%w: nobody has it", ErrPasskey)
	case user.Disabled:
		return nil, fmt.Errorf("%w: its user is disabled", ErrPasskey)
	case c.Subject != "" && c.Subject != user.Subject:
		return nil, fmt.Errorf("%w: it is that of another user", ErrPasskey)
	case err != nil:
		return nil, err
	}
	flags := parsed.Response.AuthenticatorData.Flags
	a := &Assertion{Factor: f, User: user, Verified: flags.HasUserVerified(), Synced: flags.HasBackupEligible(), WentBack: made.Authenticator.CloneWarning}
	if a.WentBack && !a.Synced {
		return a, ErrCloned
	}
	return a, p.used(ctx, f, made, parsed.Response.AuthenticatorData.Counter)
}

// verify has the library check the answer. The library compares the user handles before it looks at the signature; it is given the one that it wants to see, and whether that is the user's is
// told in the end.
func (p *Passkeys) verify(c *challenge, user *storage.User, f *storage.Factor, parsed *protocol.ParsedCredentialAssertionData) (*webauthn.Credential, error) {
	a, err := p.account(user, []*storage.Factor{f})
	if err != nil {
		return nil, err
	}
	for i := range a.factors {
		a.factors[i].ID = parsed.RawID // that of the decoy is any
	}
	handle, session := a.handle, c.Session
	var made *webauthn.Credential
	if c.Subject != "" {
		// The list of what was asked for may hold passkeys that have been removed since; whose this one is is checked without it.
		a.handle, session.AllowedCredentialIDs = session.UserID, nil
		made, err = p.party.ValidateLogin(a, session, parsed)
	} else {
		_, made, err = p.party.ValidatePasskeyLogin(func(_, userHandle []byte) (webauthn.User, error) {
			a.handle = userHandle
			return a, nil
		}, session, parsed)
	}
	if err != nil {
		return nil, refused(err)
	}
	if c.Subject == "" && !bytes.Equal(handle, a.handle) {
		return nil, fmt.Errorf("%w: the user handle is that of another user", ErrPasskey)
	}
	return made, nil
}

// newDecoy makes a passkey whose private key is forgotten at once.
func newDecoy() (*storage.Factor, error) {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make decoy passkey: %w", err)
	}
	point, err := private.PublicKey.Bytes()
	if err != nil {
		return nil, fmt.Errorf("make decoy passkey: %w", err)
	}
	const coordinate = 32 // bytes; before the two of them there is one that says that they are not compressed
	key, err := webauthncbor.Marshal(webauthncose.EC2PublicKeyData{
		PublicKeyData: webauthncose.PublicKeyData{KeyType: int64(webauthncose.EllipticKey), Algorithm: int64(webauthncose.AlgES256)}, Curve: int64(webauthncose.P256),
		XCoord: point[1 : 1+coordinate], YCoord: point[1+coordinate:],
	})
	if err != nil {
		return nil, fmt.Errorf("write decoy passkey: %w", err)
	}
	data, err := json.Marshal(webauthn.Credential{ID: point[1 : 1+coordinate], PublicKey: key, Authenticator: webauthn.Authenticator{AAGUID: make([]byte, 16)}})
	if err != nil {
		return nil, fmt.Errorf("write decoy passkey: %w", err)
	}
	return &storage.Factor{Kind: storage.FactorPasskey, Data: data}, nil
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
