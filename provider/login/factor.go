package login

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"gatehouse/provider/activity"
	"gatehouse/provider/audit"
	"gatehouse/provider/credential"
	"gatehouse/provider/interaction"
	"gatehouse/provider/ratelimit"
	"gatehouse/provider/signin"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// The second factor: a code of an authenticator app, a recovery code, a passkey or a security key, after a first factor that waits in the interaction.

// maxTries is how many codes one sign-in may try unless Factors say something else.
const maxTries = 5

// Factors check second factors; nil parts are off.
type Factors struct {
	TOTP     *credential.TOTP
	Passkeys *credential.Passkeys
	Recovery *credential.RecoveryCodes
	Users    interface {
		User(ctx context.Context, subject string) (*storage.User, error)
	}
	// Tries is how many codes one sign-in may try; 0 means five.
	Tries int
	// PerUser limits an app's wrong codes for one user, and PerIP all that is wrong from one address, whatever the number of sign-ins.
	PerUser, PerIP ratelimit.Limit
}

// waiting is a half sign-in with its user and the factors that can complete it.
type waiting struct {
	flow    *storage.Interaction
	half    *interaction.Half
	user    *storage.User
	factors []*storage.Factor
}

// half loads the half sign-in of a request. It is nil if there is none, or it is worth nothing any more: then the browser was sent to the sign-in page.
func (l *Login) half(w http.ResponseWriter, r *http.Request, id string) (*waiting, error) {
	flow, err := l.load(r, id)
	if err != nil {
		return nil, l.refuse(w, r, err)
	}
	half := interaction.HalfOf(flow)
	if half == nil {
		return nil, l.toForm(w, r, flow)
	}
	if err := l.SignIn.Dress(r, flow); err != nil {
		return nil, err
	}
	user, err := l.Factors.Users.User(r.Context(), half.Subject)
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return nil, fmt.Errorf("read user: %w", err)
	}
	if err != nil || user.Disabled || user.Epoch != half.Epoch {
		return nil, l.giveUp(w, r, flow)
	}
	web.SetUserLang(r, user.Locale)
	if half.StepUp { // the session that is to become stronger must still be there
		current, err := l.Sessions.Current(r)
		if err != nil {
			return nil, fmt.Errorf("read session: %w", err)
		}
		if current == nil || current.Session.Subject != user.Subject {
			return nil, l.giveUp(w, r, flow)
		}
	}
	factors, err := l.SignIn.Factors(r.Context(), user.Subject)
	if err != nil {
		return nil, err
	}
	return &waiting{flow, half, user, factors}, nil
}

// giveUp drops the half sign-in and begins again.
func (l *Login) giveUp(w http.ResponseWriter, r *http.Request, flow *storage.Interaction) error {
	if err := l.Flows.Update(r.Context(), flow.ID, func(i *storage.Interaction) error {
		interaction.SetHalf(i, nil)
		return nil
	}); err != nil {
		return l.refuse(w, r, err)
	}
	return l.toForm(w, r, flow)
}

// showFactor serves GET: the form.
func (l *Login) showFactor(w http.ResponseWriter, r *http.Request) error {
	at, err := l.half(w, r, r.URL.Query().Get("interaction"))
	if at == nil || err != nil {
		return err
	}
	if at.half.Enrol {
		return web.Redirect(w, r, web.LocalURL(r, signin.EnrolPath, url.Values{"interaction": {at.flow.ID}}))
	}
	return l.renderFactor(w, r, at, http.StatusOK, templates.Text{})
}

func (l *Login) renderFactor(w http.ResponseWriter, r *http.Request, at *waiting, status int, problem templates.Text) error {
	page := templates.Factor{Account: userView(at.user).Label(), Error: problem, Interaction: at.flow.ID}
	if !signin.Sensitive(at.flow) {
		page.TrustDays = int(l.SignIn.Policy.TrustDevice / (24 * time.Hour))
	}
	passkey := false
	for _, f := range at.factors {
		page.TOTP = page.TOTP || f.Kind == storage.FactorTOTP
		passkey = passkey || f.Kind.HasCredential()
	}
	left, err := l.Factors.Recovery.Left(r.Context(), at.user.Subject)
	if err != nil {
		return err
	}
	page.Recovery = left > 0
	if passkey && l.Factors.Passkeys != nil {
		c, err := l.Factors.Passkeys.BeginFactor(r.Context(), at.user, at.flow.ID)
		if err != nil && !errors.Is(err, credential.ErrNoFactor) {
			return err
		}
		if err == nil {
			page.Passkey = &templates.PasskeyForm{Options: string(c.Options), State: c.Sealed}
		}
	}
	return web.Render(w, r, status, page)
}

// submitFactor serves POST: one code, or the answer of a passkey.
func (l *Login) submitFactor(w http.ResponseWriter, r *http.Request) error {
	at, err := l.half(w, r, r.PostFormValue("interaction"))
	if at == nil || err != nil {
		return err
	}
	if at.half.Enrol {
		return l.toForm(w, r, at.flow)
	}
	if over, err := l.countTry(w, r, at); over || err != nil {
		return err
	}
	kind := l.kindOf(r)
	counters := l.guessCounters(r, at.user, kind)
	for _, c := range counters { // the address first: one over its limit takes nothing from the user
		retry, err := l.count(r.Context(), c)
		if err != nil {
			return err
		}
		if retry > 0 {
			l.Audit.Record(r.Context(), audit.Event{Name: "factor.throttled", Target: at.user.Subject, Result: "denied"})
			return l.renderFactor(w, r, at, http.StatusTooManyRequests, templates.Say("factor.wait", "Time", retryAfter(w, retry)))
		}
	}
	amr, problem, err := l.prove(r, at, kind)
	if err != nil {
		return err
	}
	if !problem.Empty() {
		return l.renderFactor(w, r, at, http.StatusUnauthorized, problem)
	}
	for _, c := range counters {
		if err := l.Limiter.Forgive(r.Context(), c.key, c.limit); err != nil {
			return fmt.Errorf("forgive code: %w", err)
		}
	}
	proof := signin.ProofOf(at.half, at.user, amr...)
	proof.Trust = r.PostFormValue("trust") == "1" && !signin.Sensitive(at.flow)
	return l.answer(w, r, l.SignIn.Complete(w, r, at.flow, proof))
}

// The kinds of answer to the second question.
const (
	kindTOTP     = "totp"
	kindRecovery = "recovery"
	kindPasskey  = "passkey"
)

// kindOf tells what was sent.
func (l *Login) kindOf(r *http.Request) string {
	switch {
	case r.PostFormValue("response") != "" && l.Factors.Passkeys != nil:
		return kindPasskey
	case credential.IsRecoveryCode(r.PostFormValue("code")):
		return kindRecovery
	}
	return kindTOTP
}

// guessCounters are the limits of an answer. An app's code is short and is counted for the user as well (security row 155), under the epoch: a new password, which ends the guessing of whoever
// knows the old one, begins a new count, but not any number of times: whoever has the mailbox can set one again and again. A browser in which the user has shown a second factor before has counts of
// its own. Passkeys and recovery codes cannot be guessed, so that somebody who tries codes
// does not keep the owner from using one.
func (l *Login) guessCounters(r *http.Request, user *storage.User, kind string) []counter {
	counters := []counter{{"factor\nip\n" + web.PeerKey(r), l.Factors.PerIP}}
	if kind == kindTOTP {
		lane := ""
		if known := l.SignIn.Known(r, user); known.Strong {
			lane = known.Name
		}
		counters = append(counters,
			counter{"factor\n" + user.Subject + "\n" + strconv.FormatInt(user.Epoch, 10) + lane, l.Factors.PerUser},
			counter{"factor\nwhatever the password\n" + user.Subject + lane, lasting(l.Factors.PerUser)},
		)
	}
	return counters
}

// lasting is the limit of wrong codes under any number of passwords: six times as many at once, and a quarter as often. With 10 an hour that is 60 a day.
func lasting(l ratelimit.Limit) ratelimit.Limit {
	return ratelimit.Limit{Burst: 6 * l.Burst, Every: 4 * l.Every}
}

// countTry counts a try before it is looked at, so that many at once are not more than one after the other. over: it was one too many, and the browser was answered.
func (l *Login) countTry(w http.ResponseWriter, r *http.Request, at *waiting) (over bool, err error) {
	gone := false
	err = l.Flows.Update(r.Context(), at.flow.ID, func(i *storage.Interaction) error {
		h := interaction.HalfOf(i)
		gone = h == nil || h.Subject != at.half.Subject
		over = gone || h.Tries >= cmp.Or(l.Factors.Tries, maxTries)
		if over {
			interaction.SetHalf(i, nil)
			return nil
		}
		h.Tries++
		interaction.SetHalf(i, h)
		return nil
	})
	switch {
	case err != nil:
		return true, l.refuse(w, r, err)
	case gone:
		return true, l.toForm(w, r, at.flow)
	case over:
		l.Audit.Record(r.Context(), audit.Event{Name: "factor.exhausted", Target: at.user.Subject, Result: "refused"})
		return true, web.Render(w, r, http.StatusForbidden, templates.Error{
			Status: http.StatusForbidden, Heading: templates.Say("factor.exhausted"), Message: templates.Say("factor.exhausted_message"), RequestID: web.RequestID(r.Context()),
			Continue: web.LocalURL(r, "/login", url.Values{"interaction": {at.flow.ID}}),
		})
	}
	return false, nil
}

// prove looks at what was sent. A problem is for the person; an error is none of theirs.
func (l *Login) prove(r *http.Request, at *waiting, kind string) (amr []string, problem templates.Text, err error) {
	ctx, code := r.Context(), r.PostFormValue("code")
	switch {
	case kind == kindPasskey:
		var a *credential.Assertion
		if a, err = l.Factors.Passkeys.FinishFactor(ctx, at.user, at.flow.ID, r.PostFormValue("state"), r.PostFormValue("response")); err == nil {
			amr = a.AMR()
		}
	case kind == kindRecovery:
		if _, err = l.Factors.Recovery.Use(ctx, at.user.Subject, code); err == nil {
			amr = []string{"otp"}
		}
	case l.Factors.TOTP != nil:
		if _, err = l.Factors.TOTP.Verify(ctx, at.factors, code); err == nil {
			amr = []string{"otp"}
		}
	default:
		err = credential.ErrCode
	}
	event := audit.Event{Name: "factor.used", Actor: at.user.Subject, Target: kind, Client: at.flow.Params.Get("client_id"), Result: "ok"}
	switch {
	case err == nil:
		l.Audit.Record(ctx, event)
		if kind == kindRecovery {
			l.SignIn.Note(r, at.user, activity.Event{Kind: activity.RecoveryUsed, Undo: activity.Undo(at.user, time.Time{})})
		}
		return amr, templates.Text{}, nil
	case errors.Is(err, credential.ErrCode):
		problem = templates.Say("factor.wrong")
	case errors.Is(err, credential.ErrStale):
		problem = templates.Say("factor.stale")
	case errors.Is(err, credential.ErrPasskey):
		problem = templates.Say("factor.passkey_refused")
	default:
		return nil, templates.Text{}, err
	}
	event.Name, event.Result, event.Reason = "factor.failed", "failed", err.Error()
	l.Audit.Record(ctx, event)
	return nil, problem, nil
}

// answer turns what SignIn refuses into a page.
func (l *Login) answer(w http.ResponseWriter, r *http.Request, err error) error {
	if errors.Is(err, signin.ErrUnlinked) {
		return &web.Error{Status: http.StatusForbidden, Code: "unlinked", Text: templates.Say("factor.unlinked")}
	}
	if errors.Is(err, storage.ErrConsumed) || errors.Is(err, storage.ErrNotFound) {
		return l.refuse(w, r, err)
	}
	return err
}

// stepUp serves GET /login/step-up: whoever is signed in and lacks only strength is asked for the second factor alone. The session's first factor stands, with its time (security row 159).
func (l *Login) stepUp(w http.ResponseWriter, r *http.Request) error {
	flow, err := l.load(r, r.URL.Query().Get("interaction"))
	if err != nil {
		return l.refuse(w, r, err)
	}
	current, err := l.Sessions.Current(r)
	if err != nil {
		return fmt.Errorf("read session: %w", err)
	}
	if current == nil || !l.SignIn.Policy.Enabled() {
		return l.toForm(w, r, flow)
	}
	factors, err := l.SignIn.Factors(r.Context(), current.User.Subject)
	if err != nil {
		return err
	}
	if len(factors) == 0 { // a first factor must be new where nothing but it protects the enrolment (security row 157)
		return l.toForm(w, r, flow)
	}
	s := current.Session
	half := &interaction.Half{
		Subject: s.Subject, Epoch: s.Epoch, AMR: s.AMR, ACR: s.ACR, AuthTime: s.AuthTime, Upstream: s.Upstream, ExternalID: s.ExternalID, UpstreamSID: s.UpstreamSID, Remember: s.Remembered, StepUp: true,
	}
	if half.UpstreamToken, err = l.Store.UpstreamToken(r.Context(), s.ID); err != nil && !errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("read upstream token: %w", err)
	}
	return l.answer(w, r, l.SignIn.Wait(w, r, flow, half))
}
