package credential

// Codes of authenticator apps: RFC 6238 over HMAC-SHA1 with six digits and steps of 30 seconds, which is all that every app understands.

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"gatehouse/provider/seal"
	"gatehouse/storage"
)

const (
	totpStep   = 30 // seconds
	totpDigits = 6
	totpSkew   = 1 // steps that a clock may be off, either way
	seedSize   = 20
	// enrolLife is how long somebody may take from the QR code to the first code of the app.
	enrolLife = 30 * time.Minute
)

var (
	// ErrCode says that a code is not right: wrong, too old, or used before.
	ErrCode = errors.New("the code is not right")
	// ErrUsed is ErrCode for a code that was right once (security row 153). It is told to nobody but the audit log.
	ErrUsed = fmt.Errorf("%w: it was used before", ErrCode)
	// ErrStale says that what a page sent back is too old, was used, or belongs to somebody else: begin again.
	ErrStale = errors.New("the page is out of date")
)

// TOTPOptions make a TOTP.
type TOTPOptions struct {
	Store storage.FactorStore
	Seal  *seal.Ring
	// Issuer is the name of the service that apps show beside the account.
	Issuer string
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// TOTP enrols authenticator apps and checks their codes. It is safe for concurrent use.
type TOTP struct{ TOTPOptions }

// NewTOTP makes a TOTP.
func NewTOTP(o TOTPOptions) *TOTP {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &TOTP{o}
}

// Enrolment is an authenticator app that is not proven yet. Nothing of it is stored: the page carries Sealed back to Finish.
type Enrolment struct {
	Sealed string
	// Secret is the seed for people who cannot scan, in groups of four; URI is what the QR code says.
	Secret, URI string
	// QR is the code as an SVG drawing without colours of its own.
	QR *QR
}

// pendingTOTP is what Sealed holds. The id makes an enrolment work once: it becomes the factor's.
type pendingTOTP struct {
	ID      string    `json:"id"`
	Subject string    `json:"sub"`
	Seed    []byte    `json:"seed"`
	Expires time.Time `json:"exp"`
}

// Begin makes a seed for a user; account is the name that the app shows.
func (t *TOTP) Begin(subject, account string) (*Enrolment, error) {
	pending := pendingTOTP{ID: newFactorID(), Subject: subject, Seed: make([]byte, seedSize), Expires: t.Now().Add(enrolLife).UTC()}
	rand.Read(pending.Seed) // never fails
	return t.enrolment(pending, account)
}

// Again shows an enrolment once more, after a wrong code. ErrStale.
func (t *TOTP) Again(subject, account, sealed string) (*Enrolment, error) {
	pending, err := t.open(subject, sealed)
	if err != nil {
		return nil, err
	}
	return t.enrolment(*pending, account)
}

func (t *TOTP) enrolment(pending pendingTOTP, account string) (*Enrolment, error) {
	plain, err := json.Marshal(pending)
	if err != nil {
		return nil, fmt.Errorf("write enrolment: %w", err)
	}
	secret := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(pending.Seed)
	e := &Enrolment{Sealed: base64.RawURLEncoding.EncodeToString(t.Seal.Seal(plain, totpPlace)), Secret: grouped(secret), URI: keyURI(t.Issuer, account, secret)}
	if e.QR, err = DrawQR(e.URI); err != nil {
		return nil, err
	}
	return e, nil
}

// totpPlace is where sealed enrolments belong: in a page, and nowhere else.
var totpPlace = seal.AAD("page", "", "totp-enrolment", 1)

func (t *TOTP) open(subject, sealed string) (*pendingTOTP, error) {
	raw, err := base64.RawURLEncoding.DecodeString(sealed)
	if err != nil {
		return nil, ErrStale
	}
	plain, err := t.Seal.Open(raw, totpPlace)
	if err != nil {
		return nil, ErrStale
	}
	var pending pendingTOTP
	if err := json.Unmarshal(plain, &pending); err != nil || pending.Subject != subject || !t.Now().Before(pending.Expires) {
		return nil, ErrStale
	}
	return &pending, nil
}

// Finish stores the app once it has shown a right code, which counts as used. The user is as proven: storage.ErrNotFound if that holds no more. ErrStale; ErrCode;
// ExistsError{"factors"}.
func (t *TOTP) Finish(ctx context.Context, user *storage.User, sealed, code, name string) (*storage.Factor, error) {
	pending, err := t.open(user.Subject, sealed)
	if err != nil {
		return nil, err
	}
	step, ok := t.match(pending.Seed, code)
	if !ok {
		return nil, ErrCode
	}
	now := t.Now().UTC().Truncate(time.Microsecond)
	f := &storage.Factor{
		ID: pending.ID, Subject: user.Subject, Kind: storage.FactorTOTP, Name: FactorName(name, "Authenticator app"), Data: t.Seal.Seal(pending.Seed, seedPlace(pending.ID)), Counter: step, Created: now,
	}
	err = t.Store.CreateFactor(ctx, f, user.Epoch)
	if taken := (*storage.ExistsError)(nil); errors.As(err, &taken) && taken.Field == "id" {
		return nil, ErrStale
	}
	if err != nil {
		return nil, fmt.Errorf("store authenticator app: %w", err)
	}
	return f, nil
}

// Verify takes a code for one of a user's authenticator apps, once: of any number of callers with one code, on any number of nodes, one succeeds (security row 153). A code that is wrong and one
// that was used cost the same: all apps are looked at, and the store is asked once, which never takes a wrong code. ErrCode, ErrUsed.
func (t *TOTP) Verify(ctx context.Context, factors []*storage.Factor, code string) (*storage.Factor, error) {
	var app *storage.Factor
	step, right := int64(0), false // no app has used a lower step than 0
	for _, f := range factors {
		if f.Kind != storage.FactorTOTP {
			continue
		}
		seed, err := t.Seal.Open(f.Data, seedPlace(f.ID))
		if err != nil {
			return nil, fmt.Errorf("open seed of factor: %w", err)
		}
		if s, ok := t.match(seed, code); ok && !right {
			app, step, right = f, s, true
		} else if app == nil {
			app = f
		}
	}
	if app == nil {
		return nil, ErrCode
	}
	err := t.Store.UseFactor(ctx, app.ID, step, nil, t.Now().UTC())
	switch {
	case err != nil && !errors.Is(err, storage.ErrConsumed) && !errors.Is(err, storage.ErrNotFound):
		return nil, fmt.Errorf("use code: %w", err)
	case !right, errors.Is(err, storage.ErrNotFound): // removed a moment ago
		return nil, ErrCode
	case err != nil:
		return nil, ErrUsed
	}
	return app, nil
}

// match returns the step that a typed code belongs to.
func (t *TOTP) match(seed []byte, typed string) (step int64, ok bool) {
	code, ok := normalCode(typed)
	if !ok {
		return 0, false
	}
	now, found := t.Now().Unix()/totpStep, false
	for s := now - totpSkew; s <= now+totpSkew; s++ {
		if subtle.ConstantTimeCompare([]byte(totpCode(seed, s)), []byte(code)) == 1 {
			step, found = s, true
		}
	}
	return step, found
}

// totpCode is HOTP (RFC 4226 section 5.3) of a time step.
func totpCode(seed []byte, step int64) string {
	mac := hmac.New(sha1.New, seed)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(step)))
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 15
	number := binary.BigEndian.Uint32(sum[offset:]) & 0x7fffffff
	return fmt.Sprintf("%0*d", totpDigits, number%1_000_000)
}

// normalCode brings a typed code into the one form that is compared: whatever width the digits have and however they are spaced, it is the same code (security row 154).
func normalCode(typed string) (string, bool) {
	if len(typed) > 128 {
		return "", false
	}
	code := strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '-' {
			return -1
		}
		return r
	}, norm.NFKC.String(typed))
	if len(code) != totpDigits || strings.Trim(code, "0123456789") != "" {
		return "", false
	}
	return code, true
}

func seedPlace(id string) []byte { return seal.AAD("factors", id, "data", 1) }

// keyURI is the address that authenticator apps read from a QR code.
func keyURI(issuer, account, secret string) string {
	label := strings.ReplaceAll(issuer, ":", " ") + ":" + account
	query := url.Values{"secret": {secret}, "issuer": {issuer}, "algorithm": {"SHA1"}, "digits": {"6"}, "period": {"30"}}
	return "otpauth://totp/" + url.PathEscape(label) + "?" + strings.ReplaceAll(query.Encode(), "+", "%20") // apps read + as it stands
}

// grouped writes a code in groups of four, as people read it out.
func grouped(code string) string {
	var groups []string
	for len(code) > 4 {
		groups, code = append(groups, code[:4]), code[4:]
	}
	return strings.Join(append(groups, code), " ")
}

// newFactorID is 128 random bits.
func newFactorID() string {
	var raw [16]byte
	rand.Read(raw[:]) // never fails
	return base64.RawURLEncoding.EncodeToString(raw[:])
}

// maxFactorName is the longest name of a factor, in code points.
const maxFactorName = 64

// FactorName makes what a person typed fit to be stored and shown: one line of at most 64 characters, fallback if nothing is left.
func FactorName(typed, fallback string) string {
	if len(typed) > 1<<10 {
		typed = typed[:1<<10]
	}
	typed = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, norm.NFC.String(strings.ToValidUTF8(typed, "")))
	name := []rune(strings.Join(strings.Fields(typed), " "))
	if len(name) > maxFactorName {
		name = name[:maxFactorName]
	}
	if len(name) == 0 {
		return fallback
	}
	return string(name)
}
