package templates

import (
	"slices"
	"strings"
	"time"
)

// AccountFrame is what every page of the account has besides its own content.
type AccountFrame struct {
	User UserView
	// Done says what has just been done, Error what was not; both may be empty.
	Done, Error Text
}

// AccountLink is a line of the overview that leads on.
type AccountLink struct {
	Title, Value Text
	// Path is local, without Base.
	Path string
	// Urgent lines want something to be done.
	Urgent bool
}

// Account is the signed-in home. Form id logout (button sign-out) posts csrf to {Base}/account/sign-out; the dismiss forms post notice (its ID) and csrf to
// {Base}/account/dismiss.
type Account struct {
	AccountFrame
	Session  DeviceView
	Notices  []NoticeView
	Advice   []AccountLink
	Overview []AccountLink
	// Accounts is how many are signed in in this browser; with more than one there is a link to {Base}/account/choose.
	Accounts int
}

func (Account) Template() string { return "account" }
func (Account) Title() Text      { return Say("account.title") }

// ProfileField is one claim that the person may edit.
type ProfileField struct {
	Name, Value  string
	Label, Hint  Text
	Error        Text
	Type         string // of the input
	Autocomplete string
}

// Language is one that the pages can be shown in.
type Language struct {
	Tag, Name string
	Chosen    bool
}

// AccountProfile holds what apps may be told. Form id profile-form posts the fields and language to {Base}/account/profile; form id email posts email to {Base}/account/email, and so does form
// id verify, which proves the address that there is. Form id email-cancel posts to {Base}/account/email/cancel.
type AccountProfile struct {
	AccountFrame
	Fields    []ProfileField
	Languages []Language
	Verified  bool
	// MailOffered tells whether the server can send mail: without it no address can be proven.
	MailOffered bool
	Email       string // what was typed
	EmailError  Text
	Pending     string // the address that the account gets once a link that was sent there is opened; empty: there is no such link
}

func (AccountProfile) Template() string { return "accountprofile" }
func (AccountProfile) Title() Text      { return Say("account.profile") }

// FactorView is a second factor. Kind is totp, passkey or key.
type FactorView struct {
	ID, Kind, Name  string
	Since, LastUsed time.Time
}

// PlaceView is where an address probably is. Either may be empty; both are if nothing is known, and then it is in no words.
type PlaceView struct{ City, Country string }

// Text says it. Addresses are placed by the city that is nearest, at best.
func (p PlaceView) Text() Text {
	switch {
	case p.City == "":
		return Plain(p.Country)
	case p.Country == "":
		return Say("account.place_near", "Place", p.City)
	}
	return Say("account.place_near", "Place", p.City+", "+p.Country)
}

// DeviceView is a browser: one that is signed in, or one that is trusted.
type DeviceView struct {
	ID string
	// Browser and System are in the words that people know them by; empty where they are not known.
	Browser, System string
	Address         string // IP
	Place           PlaceView
	Since, LastSeen time.Time
	Current         bool
	Remembered      bool
	Idle            bool // asks for a sign-in at its next visit
}

// Label names the device.
func (d DeviceView) Label() Text {
	switch {
	case d.Browser != "" && d.System != "":
		return Say("account.device_on", "Browser", d.Browser, "System", d.System)
	case d.Browser+d.System != "":
		return Plain(d.Browser + d.System)
	}
	return Say("account.device_unknown")
}

// AccountSecurity is how the person signs in. The forms of factors post factor (and name) to {Base}/account/factor/rename and /remove, those of devices post device to
// {Base}/account/devices/forget, those of identities upstream and external_id to {Base}/account/unlink, and those of Linkable, form id link-{ID}, upstream to
// {Base}/account/link.
type AccountSecurity struct {
	AccountFrame
	PasswordOffered bool // false: nobody signs in with a password here
	PasswordSet     time.Time
	TOTPOffered     bool
	PasskeysOffered bool
	CodesOffered    bool
	Factors         []FactorView
	Codes           int // recovery codes that are left
	Devices         []DeviceView
	Identities      []IdentityView
	Linkable        []UpstreamButton // providers that can be added
}

func (AccountSecurity) Template() string { return "accountsecurity" }
func (AccountSecurity) Title() Text      { return Say("account.security") }

// HasPassword tells whether there is one.
func (s AccountSecurity) HasPassword() bool { return !s.PasswordSet.IsZero() }

// FewCodes tells that it is time for new ones.
func (s AccountSecurity) FewCodes() bool { return s.Codes <= FewCodes }

// FewCodes is how many recovery codes are few.
const FewCodes = 3

// AccountPassword sets or changes the password. Form id password-form posts password and repeat to {Base}/account/password.
type AccountPassword struct {
	AccountFrame
	Change bool   // there is one
	Login  string // what the person signs in with, for password managers
	Hint   Text   // what the password needs
}

func (AccountPassword) Template() string { return "accountpassword" }
func (p AccountPassword) Title() Text {
	if p.Change {
		return Say("account.password_change")
	}
	return Say("account.password_set")
}

// AccountAuthenticator enrols an authenticator app. Form id authenticator posts code, name and pending to {Base}/account/authenticator.
type AccountAuthenticator struct {
	AccountFrame
	// QRSize and QRPath are a drawing: units, and the SVG path of the dark modules.
	QRSize  int
	QRPath  string
	Secret  string // for people who cannot scan
	Pending string // what the server wants back, sealed
	Name    string
}

func (AccountAuthenticator) Template() string { return "accountauthenticator" }
func (AccountAuthenticator) Title() Text      { return Say("account.totp_add") }
func (AccountAuthenticator) shownOnce() bool  { return true } // in another language it would have another seed

// AccountCodes shows recovery codes, once. Form id codes-file posts codes to {Base}/account/recovery-codes/download. Without Codes it
// asks whether to make new ones: form id codes-new posts to {Base}/account/recovery-codes.
type AccountCodes struct {
	AccountFrame
	Codes []string
	Left  int
}

func (AccountCodes) Template() string  { return "accountcodes" }
func (AccountCodes) Title() Text       { return Say("account.codes") }
func (c AccountCodes) shownOnce() bool { return len(c.Codes) > 0 }

// Joined are the codes as one field.
func (c AccountCodes) Joined() string { return strings.Join(c.Codes, " ") }

// AccountSessions are the browsers in which the person is signed in. Its forms post session to {Base}/account/sessions/end; ids others and all post scope=others and scope=all.
type AccountSessions struct {
	AccountFrame
	Sessions []DeviceView
	Accounts int // see Account
}

func (AccountSessions) Template() string { return "accountsessions" }
func (AccountSessions) Title() Text      { return Say("account.sessions") }

// Others tells whether there is another one.
func (s AccountSessions) Others() bool {
	return slices.ContainsFunc(s.Sessions, func(d DeviceView) bool { return !d.Current })
}

// ActivityView is one line of the history.
type ActivityView struct {
	What   Text
	Detail string
	Time   time.Time
	Device DeviceView
}

// AccountActivity is the history of sign-ins and changes.
type AccountActivity struct {
	AccountFrame
	Lines []ActivityView
}

func (AccountActivity) Template() string { return "accountactivity" }
func (AccountActivity) Title() Text      { return Say("account.activity") }

// ConnectedApp is a client with access: a remembered consent, tokens, or both.
type ConnectedApp struct {
	ClientID string
	Name     string
	LogoURL  string    // as ClientView.LogoURL
	Scopes   []string  // shown with the words of DescribeScope
	Since    time.Time // zero: it was never asked for
	LastUsed time.Time // zero: not known
	// OpenURL begins a sign-in at the app (OpenID Connect Core section 4); empty for apps that cannot. It is https.
	OpenURL string
}

// Label is the name to show.
func (c ConnectedApp) Label() string { return ClientView{ID: c.ClientID, Name: c.Name}.Label() }

// Permissions are the scopes in words.
func (c ConnectedApp) Permissions() []ScopeView {
	list := make([]ScopeView, 0, len(c.Scopes))
	for _, name := range c.Scopes {
		list = append(list, ScopeView{Name: name})
	}
	return inWords(list)
}

// AccountApps are the apps with access. The disconnect forms post client_id to {Base}/account/disconnect.
type AccountApps struct {
	AccountFrame
	Connected []ConnectedApp
}

func (AccountApps) Template() string { return "accountapps" }
func (AccountApps) Title() Text      { return Say("account.apps") }

// AccountData gives and takes away everything that is stored. Form id download posts to {Base}/account/data/download, form id delete posts confirm to {Base}/account/delete.
type AccountData struct {
	AccountFrame
	DeleteOffered bool
	Confirm       string // what is to be typed
}

func (AccountData) Template() string { return "accountdata" }
func (AccountData) Title() Text      { return Say("account.data") }

// AccountPasskey adds a passkey, which takes a script. Form id passkey posts state, response and name to {Base}/account/passkey.
type AccountPasskey struct {
	AccountFrame
	Options, State string
}

func (AccountPasskey) Template() string { return "accountpasskey" }
func (AccountPasskey) Title() Text      { return Say("account.passkey_add") }
