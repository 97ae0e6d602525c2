package credential

// Passkeys and security keys: Web Authentication Level 3. The library verifies a ceremony; what is asked for, whom a credential belongs to and what a counter means is decided here.

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/protocol/webauthncose"
	"github.com/go-webauthn/webauthn/webauthn"

	"gatehouse/provider/seal"
	"gatehouse/storage"
)

const (
	// challengeLife is how long a challenge may be answered.
	challengeLife  = 3 * time.Minute
	userHandleName = "webauthn-user-handle"
	// maxResponse is the longest answer of a browser that is read, in bytes: what a form may carry.
	maxResponse = 16 << 10
)

var (
	// ErrPasskey says that an answer of an authenticator is not good; what is wrong with it is in the wrapped error, for the log.
	ErrPasskey = errors.New("the passkey was not accepted")
	// ErrCloned is ErrPasskey for a key that cannot be copied whose counter went back: there are two of it.
	ErrCloned = fmt.Errorf("%w: its signature counter went back", ErrPasskey)
	// ErrNoFactor says that the user has no passkey or security key to be asked for.
	ErrNoFactor = errors.New("there is no such factor")
)

// PasskeyStore is what passkeys need of storage.
type PasskeyStore interface {
	storage.FactorStore
	storage.SecretStore
	// Remember makes a challenge work once.
	Remember(ctx context.Context, key string, expires time.Time) error
}

// PasskeyOptions make Passkeys.
type PasskeyOptions struct {
	Store PasskeyStore
	Seal  *seal.Ring
	// Issuer is the public URL: its host is the id of the relying party, its origin the only one that answers may come from. Nothing a browser sends has a say in it.
	Issuer string
	// Name is what authenticators show of the service.
	Name string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Passkeys registers passkeys and security keys and checks their answers. It is safe for concurrent use.
type Passkeys struct {
	PasskeyOptions
	party  *webauthn.WebAuthn
	handle []byte
	decoy  *storage.Factor // stands for credentials that nobody has
}

// PasskeysWork tells whether browsers take passkeys for an issuer: they need a domain, not an address.
func PasskeysWork(issuer string) bool {
	u, err := url.Parse(issuer)
	if err != nil {
		return false
	}
	_, err = netip.ParseAddr(u.Hostname())
	return err != nil && u.Hostname() != ""
}

// NewPasskeys loads the key of user handles, making it if there is none.
func NewPasskeys(ctx context.Context, o PasskeyOptions) (*Passkeys, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	issuer, err := url.Parse(o.Issuer)
	if err != nil || !PasskeysWork(o.Issuer) {
		return nil, fmt.Errorf("passkeys need an issuer with a domain, which %q has not", o.Issuer)
	}
	party, err := webauthn.New(&webauthn.Config{
		RPID: issuer.Hostname(), RPDisplayName: o.Name, RPOrigins: []string{issuer.Scheme + "://" + issuer.Host}, AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{ResidentKey: protocol.ResidentKeyRequirementPreferred, UserVerification: protocol.VerificationPreferred},
		// Password managers answer for extensions that nobody asked for. We use credProps alone, which decides nothing but what a new credential is called and whether it is a way in.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
		Timeouts: webauthn.TimeoutsConfig{
			Login: webauthn.TimeoutConfig{Timeout: challengeLife, TimeoutUVD: challengeLife}, Registration: webauthn.TimeoutConfig{Timeout: challengeLife, TimeoutUVD: challengeLife},
		},
	})
	if err != nil {
		return nil, fmt.Errorf("set up passkeys: %w", err)
	}
	handle, err := seal.Secret(ctx, o.Store, o.Seal, userHandleName, 32)
	if err != nil {
		return nil, err
	}
	decoy, err := newDecoy()
	if err != nil {
		return nil, err
	}
	return &Passkeys{PasskeyOptions: o, party: party, handle: handle, decoy: decoy}, nil
}

// Ceremony is a question to an authenticator. Options go to the browser's navigator.credentials; the page carries Sealed back with the answer.
type Ceremony struct {
	Options json.RawMessage `json:"options"`
	Sealed  string          `json:"state"`
}

// The purposes of ceremonies: an answer to one is none to another.
const (
	forRegistration = "register"
	forSignIn       = "sign-in"
	forFactor       = "factor"
)

// challenge is what Sealed holds.
type challenge struct {
	Purpose string `json:"for"`
	// Bind is what the ceremony belongs to: an interaction, a session.
	Bind    string               `json:"bind"`
	Subject string               `json:"sub,omitempty"`
	Expires time.Time            `json:"exp"`
	Session webauthn.SessionData `json:"session"`
}

var challengePlace = seal.AAD("page", "", "webauthn-challenge", 1)

func (p *Passkeys) ceremony(purpose, bind, subject string, options any, session *webauthn.SessionData) (*Ceremony, error) {
	text, err := json.Marshal(options)
	if err != nil {
		return nil, fmt.Errorf("write passkey options: %w", err)
	}
	plain, err := json.Marshal(challenge{Purpose: purpose, Bind: bind, Subject: subject, Expires: p.Now().Add(challengeLife).UTC(), Session: *session})
	if err != nil {
		return nil, fmt.Errorf("write passkey challenge: %w", err)
	}
	return &Ceremony{Options: text, Sealed: base64.RawURLEncoding.EncodeToString(p.Seal.Seal(plain, challengePlace))}, nil
}

// take opens a challenge and uses it up, before its answer is looked at: one challenge, one try. ErrStale.
func (p *Passkeys) take(ctx context.Context, purpose, bind, subject, sealed string) (*challenge, error) {
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return nil, ErrStale
	}
	plain, err := p.Seal.Open(raw, challengePlace)
	if err != nil {
		return nil, ErrStale
	}
	var c challenge
	if json.Unmarshal(plain, &c) != nil || c.Purpose != purpose || c.Bind != bind || c.Subject != subject || !p.Now().Before(c.Expires) {
		return nil, ErrStale
	}
	err = p.Store.Remember(ctx, "webauthn\n"+c.Session.Challenge, c.Expires)
	if errors.Is(err, storage.ErrConsumed) {
		return nil, ErrStale
	}
	if err != nil {
		return nil, fmt.Errorf("use passkey challenge: %w", err)
	}
	return &c, nil
}

// account is a user as the library sees one.
type account struct {
	handle  []byte
	user    *storage.User
	factors []webauthn.Credential
}

func (a *account) WebAuthnID() []byte                         { return a.handle }
func (a *account) WebAuthnCredentials() []webauthn.Credential { return a.factors }

// WebAuthnName is what tells the user's accounts apart in the authenticator's list.
func (a *account) WebAuthnName() string {
	for _, name := range []string{a.user.Email, a.user.Username} {
		if name != "" {
			return name
		}
	}
	return a.user.Subject
}

func (a *account) WebAuthnDisplayName() string {
	if name, ok := a.user.Claims["name"].(string); ok && name != "" {
		return name
	}
	return a.WebAuthnName()
}

// account collects the user's passkeys and security keys among factors. The handle is an HMAC of the subject: as random to others as the subject, which is never reused, and nothing more to store.
func (p *Passkeys) account(user *storage.User, factors []*storage.Factor) (*account, error) {
	mac := hmac.New(sha256.New, p.handle)
	mac.Write([]byte(user.Subject))
	a := &account{handle: mac.Sum(nil), user: user}
	for _, f := range factors {
		if !f.Kind.HasCredential() {
			continue
		}
		var c webauthn.Credential
		if err := json.Unmarshal(f.Data, &c); err != nil {
			return nil, fmt.Errorf("read passkey: %w", err)
		}
		c.Authenticator.SignCount, c.Authenticator.CloneWarning = uint32(f.Counter), false
		a.factors = append(a.factors, c)
	}
	return a, nil
}

// BeginRegistration asks for a new passkey; what the user has is excluded. The browser is asked to tell what it made.
func (p *Passkeys) BeginRegistration(ctx context.Context, user *storage.User, bind string) (*Ceremony, error) {
	a, err := p.accountOf(ctx, user)
	if err != nil {
		return nil, err
	}
	exclude := make([]protocol.CredentialDescriptor, 0, len(a.factors))
	for _, c := range a.factors {
		exclude = append(exclude, c.Descriptor())
	}
	var algorithms []protocol.CredentialParameter
	for _, alg := range []webauthncose.COSEAlgorithmIdentifier{webauthncose.AlgES256, webauthncose.AlgEdDSA, webauthncose.AlgRS256} {
		algorithms = append(algorithms, protocol.CredentialParameter{Type: protocol.PublicKeyCredentialType, Algorithm: alg})
	}
	creation, session, err := p.party.BeginRegistration(a, webauthn.WithExclusions(exclude), webauthn.WithCredentialParameters(algorithms), webauthn.WithExtensions(webauthn.WithExtensionCredProps()))
	if err != nil {
		return nil, fmt.Errorf("begin passkey registration: %w", err)
	}
	return p.ceremony(forRegistration, bind, user.Subject, creation.Response, session)
}

// FinishRegistration stores the passkey that the browser made, as a security key if it cannot sign in alone. The user is as proven: storage.ErrNotFound if that holds no more. ErrStale, ErrPasskey; ExistsError{"credential"|"factors"}.
func (p *Passkeys) FinishRegistration(ctx context.Context, user *storage.User, bind, sealed, response, name string) (*storage.Factor, error) {
	c, err := p.take(ctx, forRegistration, bind, user.Subject, sealed)
	if err != nil {
		return nil, err
	}
	if len(response) > maxResponse {
		return nil, fmt.Errorf("%w: the answer has %d bytes", ErrPasskey, len(response))
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes([]byte(response))
	if err != nil {
		return nil, refused(err)
	}
	a, err := p.account(user, nil)
	if err != nil {
		return nil, err
	}
	made, err := p.party.CreateCredential(a, c.Session, parsed)
	if err != nil {
		return nil, refused(err)
	}
	made.Attestation = webauthn.CredentialAttestation{} // none was asked for, and it can be large
	data, err := json.Marshal(made)
	if err != nil {
		return nil, fmt.Errorf("write passkey: %w", err)
	}
	kind, called := kindOf(made)
	f := &storage.Factor{
		ID: newFactorID(), Subject: user.Subject, Kind: kind, Name: FactorName(name, called), CredentialID: base64.RawURLEncoding.EncodeToString(made.ID), Data: data,
		Counter: int64(made.Authenticator.SignCount), Created: p.Now().UTC().Truncate(time.Microsecond),
	}
	if err := p.Store.CreateFactor(ctx, f, user.Epoch); err != nil {
		return nil, fmt.Errorf("store passkey: %w", err)
	}
	return f, nil
}

// kindOf tells what a new credential is, and what it is called if its owner does not say. A sign-in by it alone names nobody and takes no answer without verification: it needs an authenticator that
// finds the credential by itself (Web Authentication section 10.1.3) and that verifies the person. Browsers that say nothing of the first are taken to make what was asked for, where the second holds.
func kindOf(made *webauthn.Credential) (kind storage.FactorKind, called string) {
	if rk := made.Extensions.RK; made.Flags.UserVerified && (rk == nil || *rk) {
		return storage.FactorPasskey, "Passkey"
	}
	return storage.FactorKey, "Security key"
}

// BeginSignIn asks for a passkey of anybody.
func (p *Passkeys) BeginSignIn(bind string) (*Ceremony, error) {
	assertion, session, err := p.party.BeginDiscoverableLogin()
	if err != nil {
		return nil, fmt.Errorf("begin passkey sign-in: %w", err)
	}
	return p.ceremony(forSignIn, bind, "", assertion.Response, session)
}

// FinishSignIn tells who signed in. The user is the one whom the credential was stored for; what the browser says of the user must only fit (security row 164). ErrStale; ErrPasskey, also for a disabled
// user.
func (p *Passkeys) FinishSignIn(ctx context.Context, bind, sealed, response string) (*Assertion, error) {
	c, err := p.take(ctx, forSignIn, bind, "", sealed)
	if err != nil {
		return nil, err
	}
	return p.finish(ctx, c, response)
}

// BeginFactor asks for one of a user's passkeys and security keys, after another factor. ErrNoFactor if there is none.
func (p *Passkeys) BeginFactor(ctx context.Context, user *storage.User, bind string) (*Ceremony, error) {
	a, err := p.accountOf(ctx, user)
	if err != nil {
		return nil, err
	}
	if len(a.factors) == 0 {
		return nil, ErrNoFactor
	}
	assertion, session, err := p.party.BeginLogin(a)
	if err != nil {
		return nil, fmt.Errorf("begin passkey factor: %w", err)
	}
	return p.ceremony(forFactor, bind, user.Subject, assertion.Response, session)
}

// FinishFactor is FinishSignIn for an answer to BeginFactor, which must be the user's.
func (p *Passkeys) FinishFactor(ctx context.Context, user *storage.User, bind, sealed, response string) (*Assertion, error) {
	c, err := p.take(ctx, forFactor, bind, user.Subject, sealed)
	if err != nil {
		return nil, err
	}
	return p.finish(ctx, c, response)
}

func (p *Passkeys) accountOf(ctx context.Context, user *storage.User) (*account, error) {
	factors, err := p.Store.FactorsOf(ctx, user.Subject)
	if err != nil {
		return nil, fmt.Errorf("list passkeys: %w", err)
	}
	return p.account(user, factors)
}

// refused wraps what the library says, with the detail that it keeps for developers.
func refused(err error) error {
	var detailed *protocol.Error
	if errors.As(err, &detailed) && detailed.DevInfo != "" {
		return fmt.Errorf("%w: %s: %s", ErrPasskey, detailed.Details, detailed.DevInfo)
	}
	return fmt.Errorf("%w: %w", ErrPasskey, err)
}
