package templates

// The pages of sign-up, and those that links in mails lead to.

// SignUp is the form for a new account. Form id signup posts email, name, password, terms (1), interaction, invite and csrf to {Base}/signup; its button is create.
type SignUp struct {
	Client      *ClientView // nil: the person wants an account and nothing else
	Interaction string
	Invite      string // what the link of an invitation holds
	Email       string // what was typed before
	FixedEmail  string // the address that the invitation is for; "" lets the person type any
	AskName     bool
	NeedName    bool
	Name        string
	Terms       bool // asks to accept Brand.TermsURL
	Accepted    bool
	Hint        Text   // what the password needs
	Error       Text   // one sentence, shown as an alert
	Wrong       string // the field that Error is about: email, name, password or terms
}

func (SignUp) Template() string { return "signup" }
func (SignUp) Title() Text      { return Say("signup.title") }

// Failed tells whether the field holds what is not right.
func (s SignUp) Failed(field string) bool { return s.Wrong == field }

// SignUpConfirm makes the account. Form id confirm posts token, csrf and, if Ask is set, password to {Base}/signup/confirm; its button is create.
type SignUpConfirm struct {
	Token string
	Email string
	// Ask wants the password that was chosen: the link was opened in another browser than the one where the account was asked for.
	Ask   bool
	Error Text
}

func (SignUpConfirm) Template() string { return "signupconfirm" }
func (SignUpConfirm) Title() Text      { return Say("signup.confirm_title") }

// Failed tells whether the password was not right.
func (s SignUpConfirm) Failed() bool { return !s.Error.Empty() }

// Terms asks somebody who is signed in to accept Brand.TermsURL before the request goes on. Form id terms posts decision (accept or decline, the ids of its two buttons), version, interaction and csrf to
// {Base}/terms.
type Terms struct {
	Client      ClientView
	Account     string // who is signed in
	Interaction string
	Version     string // what the page shows; it comes back with the form
	// Again tells that the person accepted an earlier version.
	Again bool
	// Newer tells that the form was of another version than the one that is in force.
	Newer bool
	// DeleteOffered tells that people can delete their own accounts.
	DeleteOffered bool
}

func (Terms) Template() string { return "terms" }
func (Terms) Title() Text      { return Say("terms.title") }

// AskLink asks whom a link shall be mailed to. Form id recovery posts username, interaction and csrf to {Base}/recovery, or form id mail-link to {Base}/login/mail; the
// button is send.
type AskLink struct {
	// SignIn tells that the link signs in; else it leads to a new password.
	SignIn      bool
	Name        string // what was typed before, or a hint
	Interaction string
	Error       Text
}

func (AskLink) Template() string { return "asklink" }
func (a AskLink) Title() Text {
	if a.SignIn {
		return Say("recovery.link_title")
	}
	return Say("recovery.title")
}

// Failed tells whether what was typed cannot be a name.
func (a AskLink) Failed() bool { return !a.Error.Empty() }

// Reset takes a new password. Form id reset posts token, password and csrf to {Base}/recovery/reset; its button is save.
type Reset struct {
	Token   string
	Account string // whose password it is
	Hint    Text   // what the password needs
	Error   Text
}

func (Reset) Template() string { return "reset" }
func (Reset) Title() Text      { return Say("recovery.reset_title") }

// Failed tells whether the password was refused.
func (r Reset) Failed() bool { return !r.Error.Empty() }

// Press is what a link in a mail leads to: it says what the button does, because a link must do nothing by itself (mail scanners open it, too). Form id press posts token and csrf
// to where Action says; its button is go.
type Press struct {
	Heading, Message, Button Text
	For                      PressFor
	Token                    string
}

// PressFor is what the button of Press does.
type PressFor string

// What buttons do.
const (
	PressVerify PressFor = "verify"
	PressSignIn PressFor = "sign-in"
	PressNotMe  PressFor = "not-me"
)

func (Press) Template() string { return "press" }
func (p Press) Title() Text    { return p.Heading }

// Action is where the form goes, without Base.
func (p Press) Action() string {
	switch p.For {
	case PressSignIn:
		return "/login/link"
	case PressNotMe:
		return "/recovery/not-me"
	}
	return "/verify"
}

// Alarm tells whether something may be wrong with the account.
func (p Press) Alarm() bool { return p.For == PressNotMe }

// Told is how something came out.
type Told struct {
	Heading, Message Text
	// Next is a local path, including Base, and Button what leads there; "" for none.
	Next   string
	Button Text
	Bad    bool
	Mail   bool // a mail is on its way
}

func (Told) Template() string { return "told" }
func (t Told) Title() Text    { return t.Heading }
