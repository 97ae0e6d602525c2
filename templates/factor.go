package templates

// PasskeyForm is a question to an authenticator that a script asks. Options are the JSON of PublicKeyCredential options, State is what the server wants back.
type PasskeyForm struct{ Options, State string }

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

func (Enrol) Template() string { return "enrol" }
func (Enrol) Title() Text      { return Say("enrol.title") }

// RecoveryCodes shows new recovery codes, once. Continue is a local path, including Base.
type RecoveryCodes struct {
	Account  string
	Codes    []string
	Continue string
}

func (RecoveryCodes) Template() string { return "recoverycodes" }
func (RecoveryCodes) Title() Text      { return Say("enrol.codes") }
