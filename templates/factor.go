package templates

import "strings"

// PasskeyForm is a question to an authenticator that a script asks. Options are the JSON of PublicKeyCredential options, State is what the server wants back.
type PasskeyForm struct{ Options, State string }

// passkeyAsk is what the part "passkey" needs of its page.
type passkeyAsk struct {
	*PasskeyForm
	Action      string // path to post to, without Base
	Kind        string // get or create
	Autofill    bool   // the authenticator is also asked by the field of the name
	Copied      string // name and id of the field beside the form whose value goes along; "" is none
	Divided     bool   // another way stands above
	Button      string // id
	Label       Text
	NeedsScript bool // without scripts the page says what is missing
}

// TOTPForm enrols an authenticator app.
type TOTPForm struct {
	Secret  string // for people who cannot scan
	Pending string // what the server wants back
	// QRSize and QRPath are a drawing: units, and the SVG path of the dark modules.
	QRSize int
	QRPath string
}

// Factor asks for the second factor. Form id factor posts code (of an app, or a recovery code), trust ("1"), interaction and csrf to {Base}/login/factor; form id passkey posts state, response, trust,
// interaction and csrf there, filled in by a script.
type Factor struct {
	Account     string // whose
	TOTP        bool
	Recovery    bool // recovery codes are left
	Passkey     *PasskeyForm
	TrustDays   int // 0: no device can be trusted
	Error       Text
	Interaction string
}

func (Factor) Template() string { return "factor" }
func (Factor) Title() Text      { return Say("factor.title") }

// AsksPasskey is the form of the passkey, nil if there is none.
func (f Factor) AsksPasskey() *passkeyAsk {
	if f.Passkey == nil {
		return nil
	}
	return &passkeyAsk{
		PasskeyForm: f.Passkey, Action: "/login/factor", Kind: "get", Copied: "trust", Divided: f.Code(), Button: "use-passkey", Label: Say("factor.use_passkey"), NeedsScript: true,
	}
}

// Code tells whether a code can be typed.
func (f Factor) Code() bool { return f.TOTP || f.Recovery }

// Enrol makes a person who needs a second factor get one. Form id enrol posts code, name, pending, interaction and csrf to {Base}/login/enrol; form id passkey posts state, response,
// interaction and csrf there, filled in by a script.
type Enrol struct {
	Account     string
	TOTP        *TOTPForm
	Passkey     *PasskeyForm
	Error       Text
	Interaction string
}

func (Enrol) Template() string  { return "enrol" }
func (Enrol) Title() Text       { return Say("enrol.title") }
func (e Enrol) shownOnce() bool { return e.TOTP != nil } // in another language it would have another seed

// AsksPasskey is the form of the passkey, nil if there is none.
func (e Enrol) AsksPasskey() *passkeyAsk {
	if e.Passkey == nil {
		return nil
	}
	return &passkeyAsk{PasskeyForm: e.Passkey, Action: "/login/enrol", Kind: "create", Divided: e.TOTP != nil, Button: "add-passkey", Label: Say("enrol.passkey"), NeedsScript: true}
}

// RecoveryCodes shows new recovery codes, once. Continue is a local path, including Base.
type RecoveryCodes struct {
	Account  string
	Codes    []string
	Continue string
}

// Joined are the codes as one field.
func (c RecoveryCodes) Joined() string { return strings.Join(c.Codes, " ") }

func (RecoveryCodes) Template() string { return "recoverycodes" }
func (RecoveryCodes) shownOnce() bool  { return true }
func (RecoveryCodes) Title() Text      { return Say("enrol.codes") }
