package interaction

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/provider/seal"
	"gatehouse/storage"
)

// The places that an interaction may return to. The list is closed: nothing that a browser sends becomes a target.
const (
	ReturnAuthorize = "/oauth2/authorize"
	ReturnAccount   = "/account"
	// The pages below the account page; the last four are forms that want a fresh sign-in.
	ReturnProfile       = "/account/profile"
	ReturnSecurity      = "/account/security"
	ReturnSessions      = "/account/sessions"
	ReturnActivity      = "/account/activity"
	ReturnApps          = "/account/apps"
	ReturnData          = "/account/data"
	ReturnPassword      = "/account/password"
	ReturnAuthenticator = "/account/authenticator"
	ReturnPasskey       = "/account/passkey"
	ReturnCodes         = "/account/recovery-codes"
)

var places = []string{
	ReturnAuthorize, ReturnAccount, ReturnProfile, ReturnSecurity, ReturnSessions, ReturnActivity, ReturnApps, ReturnData, ReturnPassword, ReturnAuthenticator, ReturnPasskey, ReturnCodes,
}

// The names of proofs. ProofConsent holds the subject who allowed the request, ProofDenied is "1", ProofLogin holds the subject who signed in, ProofChosen the one whom the person chose among those
// who are signed in, ProofAnother is "1" if the person wants to sign in beside them.
const (
	ProofConsent = "consent"
	ProofDenied  = "denied"
	ProofLogin   = "login"
	ProofChosen  = "chosen"
	ProofAnother = "another"
)

// ErrOtherBrowser says that the interaction was begun in another browser (security row 27).
var ErrOtherBrowser = errors.New("interaction of another browser")

// Lifetime is how long a paused request waits unless Options say otherwise.
const Lifetime = 30 * time.Minute

const (
	idBytes = 32
)

// Options build Flows.
type Options struct {
	Store storage.InteractionStore
	// Seal seals what people type; nil keeps nothing of that.
	Seal *seal.Ring
	// Now is the clock; nil means time.Now.
	Now func() time.Time
	// Lifetime is how long a paused request waits; zero means 30 minutes.
	Lifetime time.Duration
}

// Flows keeps paused requests. It is safe for concurrent use.
type Flows struct {
	store    storage.InteractionStore
	seal     *seal.Ring
	now      func() time.Time
	lifetime time.Duration
}

// New returns Flows.
func New(o Options) *Flows {
	f := &Flows{store: o.Store, seal: o.Seal, now: o.Now, lifetime: o.Lifetime}
	if f.now == nil {
		f.now = time.Now
	}
	if f.lifetime == 0 {
		f.lifetime = Lifetime
	}
	return f
}

// Start saves a request: Kind, Params, Source, ReturnTo (one of the places above), Binder, the hash of the browser's flow cookie, and what Demand noted come from begin.
func (f *Flows) Start(ctx context.Context, begin storage.Interaction) (*storage.Interaction, error) {
	if !slices.Contains(places, begin.ReturnTo) {
		return nil, fmt.Errorf("start interaction: %q is not a place to return to", begin.ReturnTo)
	}
	if begin.Binder == "" {
		return nil, errors.New("start interaction: it must be bound to a browser")
	}
	var random [idBytes]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the program if the system has no randomness
	now := f.now().UTC().Truncate(time.Microsecond)
	begin.ID = base64.RawURLEncoding.EncodeToString(random[:])
	if begin.Proofs == nil {
		begin.Proofs = map[string]string{}
	}
	begin.Created, begin.Expires = now, now.Add(f.lifetime)
	if err := f.store.CreateInteraction(ctx, &begin); err != nil {
		return nil, fmt.Errorf("start interaction: %w", err)
	}
	return &begin, nil
}

// Load returns a running interaction to the browser that began it. ErrOtherBrowser for any other browser; storage.ErrNotFound if there is none or its
// time is over; storage.ErrConsumed if it was finished.
func (f *Flows) Load(ctx context.Context, id, binder string) (*storage.Interaction, error) {
	if !wellFormed(id) {
		return nil, fmt.Errorf("load interaction: %w", storage.ErrNotFound)
	}
	i, err := f.store.Interaction(ctx, id)
	if err != nil {
		return nil, fmt.Errorf("load interaction: %w", err)
	}
	switch {
	case i.Binder == "":
		return nil, fmt.Errorf("load interaction: %w", storage.ErrNotFound) // the handle of a POST to authorize is no interaction
	case subtle.ConstantTimeCompare([]byte(i.Binder), []byte(binder)) != 1:
		return nil, ErrOtherBrowser
	case !i.ConsumedAt.IsZero():
		return nil, fmt.Errorf("load interaction: %w", storage.ErrConsumed)
	}
	return i, nil
}

// wellFormed keeps what cannot be an id away from the store.
func wellFormed(id string) bool {
	random, err := base64.RawURLEncoding.Strict().DecodeString(id)
	return err == nil && len(random) == idBytes
}

// Update changes a running interaction. storage.ErrNotFound, storage.ErrConsumed; an error of change is returned as it is.
func (f *Flows) Update(ctx context.Context, id string, change func(*storage.Interaction) error) error {
	if _, err := f.store.UpdateInteraction(ctx, id, change); err != nil {
		return fmt.Errorf("update interaction: %w", err)
	}
	return nil
}

// Consume finishes an interaction: one caller gets nil, all others storage.ErrConsumed.
func (f *Flows) Consume(ctx context.Context, id string) error {
	if err := f.store.ConsumeInteraction(ctx, id); err != nil {
		return fmt.Errorf("consume interaction: %w", err)
	}
	return nil
}

// Pin notes whose login the interaction has seen. What another subject proved before is dropped: whoever changes the account starts over. An account of a provider goes on waiting for
// its own user only.
func Pin(i *storage.Interaction, subject, sessionID string) {
	pending, demand := Pending(i), Demanded(i)
	if i.Subject != subject {
		i.Proofs = map[string]string{}
		Demand(i, demand)
	}
	if pending != nil && pending.Subject == subject {
		SetPending(i, pending)
	} else {
		SetPending(i, nil)
	}
	i.Subject, i.SessionID = subject, sessionID
}

// SignIn pins a user who has just signed in for this interaction. Only what has seen the proof of that may call it; Pin is for a session that was there before, too.
func SignIn(i *storage.Interaction, subject, sessionID string) {
	Pin(i, subject, sessionID)
	SetHalf(i, nil)
	delete(i.Proofs, proofName)
	Prove(i, ProofLogin, subject)
}

// Choose pins a user who is signed in already and whom the person chose. It proves no sign-in.
func Choose(i *storage.Interaction, subject, sessionID string) {
	Pin(i, subject, sessionID)
	Prove(i, ProofChosen, subject)
}

// Another tells whether the sign-in is to leave the one that is there alone.
func Another(i *storage.Interaction) bool { return i.Proofs[ProofAnother] != "" }

// ChoiceDue tells whether the request asks the person to choose an account (prompt=select_account, OpenID Connect Core section 3.1.2.1) and none was chosen yet.
func ChoiceDue(i *storage.Interaction, prompt []string) bool {
	return slices.Contains(prompt, "select_account") && (i == nil || i.Proofs[ProofLogin] == "" && i.Proofs[ProofChosen] == "")
}

// Prove notes a proof.
func Prove(i *storage.Interaction, name, value string) {
	if i.Proofs == nil {
		i.Proofs = map[string]string{}
	}
	i.Proofs[name] = value
}

// Target names where the answer to an authorization request goes, for people to read: the host, or the scheme of an app.
func Target(redirectURI string) string {
	u, err := url.Parse(redirectURI)
	switch {
	case err != nil || u.Scheme == "":
		return ""
	case u.Scheme == "http" || u.Scheme == "https":
		return strings.ToLower(u.Host)
	}
	return u.Scheme
}
