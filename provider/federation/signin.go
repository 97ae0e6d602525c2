package federation

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode"

	"gatehouse/provider/activity"
	"gatehouse/provider/audit"
	"gatehouse/provider/credential"
	"gatehouse/provider/interaction"
	"gatehouse/provider/seal"
	"gatehouse/provider/signin"
	"gatehouse/provider/upstream"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// arrival is somebody who came back from a provider, verified.
type arrival struct {
	*upstream.External
	provider *provider
	flow     *storage.Interaction
	walk     *interaction.Walk
}

// arrived decides what an account at a provider is good for.
func (f *Federation) arrived(w http.ResponseWriter, r *http.Request, a *arrival) error {
	if a.ID == "" || len(a.ID) > 255 {
		return f.problem(w, r, a.provider, a.flow, &upstream.Refusal{Reason: upstream.Broken, Detail: "the account has no usable id"})
	}
	switch a.flow.Kind {
	case storage.InteractionLink:
		return f.linkArrived(w, r, a)
	case storage.InteractionTest:
		return f.testArrived(w, r, a)
	}
	user, err := f.userOf(r, a)
	var refusal *upstream.Refusal
	switch {
	case errors.As(err, &refusal):
		return f.problem(w, r, a.provider, a.flow, refusal)
	case errors.Is(err, errProof):
		return f.askProof(w, r, a)
	case err != nil:
		return err
	}
	return f.signIn(w, r, a, user)
}

// errProof says that the account may be linked once the user who has its address signs in.
var errProof = errors.New("the user here must sign in first")

// tries bounds the repetitions after somebody else was faster: the same person in two tabs, say.
const tries = 3

// userOf finds or makes the user whom an account at a provider belongs to. The key is the account alone; an address only ever leads to a first link.
func (f *Federation) userOf(r *http.Request, a *arrival) (*storage.User, error) {
	ctx := r.Context()
	for range tries {
		_, user, err := f.Store.Identity(ctx, a.provider.ID, a.ID)
		if err == nil {
			return f.known(ctx, a, user)
		}
		if !errors.Is(err, storage.ErrNotFound) {
			return nil, fmt.Errorf("find identity: %w", err)
		}
		if user, err = f.first(r, a); err == nil || !errors.Is(err, storage.ErrExists) && !errors.Is(err, storage.ErrNotFound) {
			return user, err
		}
	}
	return nil, &web.Error{Status: http.StatusServiceUnavailable, Code: "temporarily_unavailable", RetryAfter: time.Second, Text: templates.Say("upstream.changed")}
}

// known refreshes the user of an account that is linked.
func (f *Federation) known(ctx context.Context, a *arrival, user *storage.User) (*storage.User, error) {
	if user.Disabled {
		return nil, &upstream.Refusal{Reason: Disabled, Detail: "the user " + user.Subject + " is disabled"}
	}
	return f.refresh(ctx, user, a.provider.Map(a.External))
}

// refresh stores what has changed of a user's claims.
func (f *Federation) refresh(ctx context.Context, user *storage.User, m Mapped) (*storage.User, error) {
	if copied := *user; !m.apply(&copied) {
		return user, nil
	}
	updated, err := f.Store.UpdateUser(ctx, user.Subject, func(u *storage.User) error { m.apply(u); return nil })
	if err != nil {
		return nil, fmt.Errorf("refresh claims: %w", err)
	}
	return updated, nil
}

// first is the first sign-in of an account. An address that the provider does not vouch for finds nobody and becomes nobody's (security row 171): neither a link nor a name that
// would keep its owner out.
func (f *Federation) first(r *http.Request, a *arrival) (*storage.User, error) {
	ctx, p, key := r.Context(), a.provider, a.emailKey()
	if key != "" {
		owner, encoded, err := f.Store.UserByLogin(ctx, key)
		switch {
		case errors.Is(err, storage.ErrNotFound):
		case err != nil:
			return nil, fmt.Errorf("find user: %w", err)
		case f.tiedMeanwhile(ctx, a):
			return nil, storage.ErrExists // by this person in another tab: look again
		case owner.Disabled:
			return nil, &upstream.Refusal{Reason: Disabled, Detail: "the user " + owner.Subject + ", who has the address, is disabled"}
		case p.Link == "verified" && owner.EmailVerified:
			// Adoption takes every factor away. Who has one must show it: a mailbox is not enough to take it off.
			if factors, err := f.SignIn.Factors(ctx, owner.Subject); err != nil {
				return nil, err
			} else if len(factors) > 0 {
				return nil, f.askable(ctx, owner, p)
			}
			return f.adopt(r, a, owner, encoded != "", key)
		case p.Link == "never":
			return nil, &upstream.Refusal{Reason: HasAccount, Detail: "link is never, and the user " + owner.Subject + " has the address"}
		default:
			return nil, f.askable(ctx, owner, p)
		}
	}
	if !p.CreateUsers {
		return nil, &upstream.Refusal{Reason: Unknown, Detail: "create_users is off"}
	}
	user := &storage.User{Subject: newSubject(), Claims: map[string]any{}}
	if key != "" {
		user.Email, user.EmailKey, user.EmailVerified = a.Email, key, true
	}
	p.Map(a.External).apply(user)
	if err := f.Store.CreateUserIdentity(ctx, user, f.identity(a, user.Subject)); err != nil {
		return nil, fmt.Errorf("create user: %w", err)
	}
	f.Audit.Record(ctx, audit.Event{Name: "user.created", Actor: user.Subject, Target: p.ID, Result: "ok"})
	return user, nil
}

// askable is errProof, or a refusal if the user could not prove anything here: there is no way in but the one that waits.
func (f *Federation) askable(ctx context.Context, owner *storage.User, p *provider) error {
	usable, err := f.wayIn(ctx, owner, func(i *storage.Identity) bool { return i.Upstream != p.ID })
	if err != nil {
		return err
	}
	if !usable {
		return &upstream.Refusal{Reason: NoProof, Detail: "the user " + owner.Subject + " has the address and no other way in; if it is the same person, an operator can link the account: gatehouse user identities link"}
	}
	return errProof
}

// tiedMeanwhile tells whether the account has been linked since userOf looked.
func (f *Federation) tiedMeanwhile(ctx context.Context, a *arrival) bool {
	_, _, err := f.Store.Identity(ctx, a.provider.ID, a.ID)
	return err == nil
}

// adopt gives the owner of an address the account here that has the same address, verified on both sides, and leaves in it no way in for anybody else. If all that is in it came by
// providers that are trusted as this one is, there is nothing to remove, and one device does not throw out the other.
func (f *Federation) adopt(r *http.Request, a *arrival, owner *storage.User, password bool, key string) (*storage.User, error) {
	ctx, began := r.Context(), f.Now()
	trusted, err := f.onlyTrusted(ctx, owner, password)
	if err != nil {
		return nil, err
	}
	if trusted {
		if err := f.Store.CreateIdentity(ctx, f.identity(a, owner.Subject), owner.Epoch); err != nil {
			return nil, fmt.Errorf("create identity: %w", err)
		}
		f.linked(r, owner, a.provider, began, "address verified on both sides")
		return f.refresh(ctx, owner, a.provider.Map(a.External))
	}
	user, err := f.Store.AdoptUser(ctx, key, f.identity(a, ""))
	if err != nil {
		return nil, fmt.Errorf("adopt user: %w", err)
	}
	time.Sleep(time.Millisecond) // grants and revocations are compared by the millisecond: what this sign-in leads to must be younger
	f.linked(r, user, a.provider, began, "address verified on both sides; password, other identities and sessions removed")
	return f.refresh(ctx, user, a.provider.Map(a.External))
}

// linked tells the user of an account at a provider that leads to theirs since began.
func (f *Federation) linked(r *http.Request, user *storage.User, p *provider, began time.Time, reason string) {
	f.SignIn.Note(r, user, activity.Event{Kind: activity.IdentityLinked, Target: p.ID, Detail: p.Name, Reason: reason, Undo: activity.Undo(user, began)})
}

// onlyTrusted tells whether a user has no password and identities, but none save at providers whose verified addresses are taken at their word.
func (f *Federation) onlyTrusted(ctx context.Context, owner *storage.User, password bool) (bool, error) {
	if password {
		return false, nil
	}
	identities, err := f.Store.IdentitiesOf(ctx, owner.Subject)
	if err != nil {
		return false, fmt.Errorf("list identities: %w", err)
	}
	return len(identities) > 0 && !slices.ContainsFunc(identities, func(i *storage.Identity) bool {
		p := f.find(i.Upstream)
		return p == nil || p.Link != "verified"
	}), nil
}

// emailKey is the key of the address that the provider vouches for, empty without one. Keys fold letters that look alike, which is right for what people type and wrong for what another
// provider calls two mailboxes: a local part that is not ASCII finds nobody (security row 148).
func (a *arrival) emailKey() string {
	local, _, _ := strings.Cut(a.Email, "@")
	if !a.EmailVerified || strings.ContainsFunc(local, func(c rune) bool { return c > unicode.MaxASCII }) {
		return ""
	}
	key, err := credential.EmailKey(a.Email)
	if err != nil {
		return ""
	}
	return key
}

func (f *Federation) identity(a *arrival, subject string) *storage.Identity {
	return &storage.Identity{Upstream: a.provider.ID, ExternalID: a.ID, Subject: subject, Label: a.Label, Tokens: f.sealed(a)}
}

// sealed are the provider's tokens as they are kept, nil if they are not.
func (f *Federation) sealed(a *arrival) []byte {
	if !a.provider.KeepTokens || len(a.Tokens) == 0 {
		return nil
	}
	return f.Seal.Seal(a.Tokens, seal.AAD("identities", a.provider.ID+"\n"+a.ID, "tokens", 1))
}

// newSubject is 128 random bits: a name that nobody had before.
func newSubject() string {
	var raw [16]byte
	rand.Read(raw[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// signIn hands what the provider vouches for to package signin.
func (f *Federation) signIn(w http.ResponseWriter, r *http.Request, a *arrival, user *storage.User) error {
	p := a.provider
	proof := signin.Proof{
		User: user, AMR: methods(a.AMR), ACR: p.acr(a.ACR), AuthTime: a.authTime(f.Now()), Upstream: p.ID, ExternalID: a.ID, UpstreamSID: a.SID,
	}
	if p.EndSession && a.IDToken != "" {
		proof.UpstreamToken = f.Seal.Seal([]byte(a.IDToken), upstreamTokenPlace)
	}
	err := f.Store.TouchIdentity(r.Context(), p.ID, a.ID, a.Label, f.sealed(a), f.Now().UTC())
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("note use of identity: %w", err)
	}
	if err == nil {
		err = f.SignIn.Proven(w, r, a.flow, proof)
	}
	if errors.Is(err, storage.ErrNotFound) || errors.Is(err, signin.ErrUnlinked) { // unlinked while its owner came in
		return f.problem(w, r, p, a.flow, &upstream.Refusal{Reason: Unknown, Detail: "the account was unlinked during the sign-in"})
	}
	return err
}

// upstreamTokenPlace is where sealed ID tokens of providers belong. The row's id is not part of it: it is not known before the session has started, and a token that is moved to
// another row only ends its own session.
var upstreamTokenPlace = seal.AAD("sessions", "", "upstream_token", 1)

// askProof lets the account wait and asks the user who has its address to sign in here once.
func (f *Federation) askProof(w http.ResponseWriter, r *http.Request, a *arrival) error {
	owner, _, err := f.Store.UserByLogin(r.Context(), a.emailKey())
	if errors.Is(err, storage.ErrNotFound) {
		return f.problem(w, r, a.provider, a.flow, &upstream.Refusal{Reason: upstream.Broken, Detail: "the user who had the address is gone"})
	}
	if err != nil {
		return fmt.Errorf("find user: %w", err)
	}
	mapped := a.provider.Map(a.External)
	pending := &interaction.PendingLink{
		Subject: owner.Subject, Upstream: a.provider.ID, ExternalID: a.ID, Label: a.Label, Email: a.Email, Claims: mapped.Set, Gone: mapped.Gone, Tokens: f.sealed(a), At: f.Now().UTC(),
	}
	if err := f.update(r.Context(), a.flow, func(i *storage.Interaction) { interaction.SetPending(i, pending) }); err != nil {
		return fmt.Errorf("keep account: %w", err)
	}
	web.Annotate(r, "outcome", "asked for proof")
	return web.Redirect(w, r, web.LocalURL(r, "/login", url.Values{"interaction": {a.flow.ID}}))
}
