package templates

import (
	"fmt"
	"html/template"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// ClientView is what a page shows of a client. Links that are not http or https are left out.
type ClientView struct {
	ID   string
	Name string // "" is shown as the ID
	// LogoURL is a path on this server, including the issuer's path, such as /client-logo/ID; anything
	// else is replaced by the first letter of the name.
	LogoURL   string
	PolicyURI string
	TOSURI    string
	ClientURI string
	Host      string // host that the browser goes to afterwards, for Login
}

// Label is the name to show.
func (c ClientView) Label() string {
	if strings.TrimSpace(c.Name) == "" {
		return c.ID
	}
	return c.Name
}

// Pair is a name and a value.
type Pair struct{ Name, Value string }

// Step is a part of a sign-in that the page asks for alone.
type Step string

// The steps. StepBoth asks for the name and the password in one form.
const (
	StepBoth     Step = ""
	StepName     Step = "name"
	StepPassword Step = "password"
)

// Login is the sign-in page. Form id login posts username, password, interaction and csrf to
// {Base}/login; its button is sign-in. Upstreams come first, each with a form of its own. As StepName it
// posts no password, and its button is next; as StepPassword it posts to {Base}/login/password.
type Login struct {
	Step        Step
	Client      *ClientView // nil: the person signs in to the account page
	Upstreams   []UpstreamButton
	Password    bool   // offers the form; without it, Upstreams are the only way
	Username    string // what was typed before, or a login hint
	LockedName  string // whose account must be proven; "" lets the person name any
	Error       Text   // one sentence, shown as an alert
	Notice      Text   // one sentence, shown above the form
	Remember    bool   // offers to stay signed in
	Passkey     *PasskeyForm
	Interaction string
	// SignUp, Recovery and MailLink lead to the pages that make an account, that mail a link to a new password, and that mail one that signs in.
	SignUp, Recovery, MailLink bool
}

// Elsewhere tells whether the page leads to any other.
func (l Login) Elsewhere() bool { return l.SignUp || l.Recovery || l.MailLink }

func (Login) Template() string { return "login" }
func (l Login) Title() Text {
	if l.Second() {
		return Say("login.enter")
	}
	return Say("login.title")
}

// First and Second tell whether the page is the step of the name, or that of the password for a name that another can take the place of.
func (l Login) First() bool  { return l.Step == StepName }
func (l Login) Second() bool { return l.Step == StepPassword && l.LockedName == "" }

// Action is where the form goes, without Base.
func (l Login) Action() string {
	if l.Step == StepPassword {
		return "/login/password"
	}
	return "/login"
}

// Fixed tells whether the name stands.
func (l Login) Fixed() bool { return l.LockedName != "" || l.Step == StepPassword }

// AsksPasskey is the form of the passkey, nil if there is none.
func (l Login) AsksPasskey() *passkeyAsk {
	if l.Passkey == nil {
		return nil
	}
	return &passkeyAsk{PasskeyForm: l.Passkey, Action: "/login/passkey", Kind: "get", Autofill: true, Copied: "remember", Button: "use-passkey", Label: Say("login.passkey")}
}

// Name is what the form says of the person.
func (l Login) Name() string {
	if l.LockedName != "" {
		return l.LockedName
	}
	return l.Username
}

// Failed tells whether what the form holds was not right.
func (l Login) Failed() bool { return !l.Error.Empty() }

// focused tells whether the form has the focus at first. Where there are other ways nobody knows which one the person wants, until a password was wrong or must be given.
func (l Login) focused() bool { return len(l.Upstreams) == 0 || l.Failed() || l.Fixed() }

// FocusName and FocusPassword say which field the person fills in first.
func (l Login) FocusName() bool     { return l.focused() && (l.Name() == "" || l.First()) }
func (l Login) FocusPassword() bool { return l.focused() && l.Name() != "" }

// ScopeView is one permission in plain words. With an empty Title the words of DescribeScope are shown.
type ScopeView struct {
	Name               string
	Title, Description Text
}

// Consent asks whether a client may have what it asks for. Form id consent posts decision (allow or
// deny, the ids of its two buttons), interaction and csrf to {Base}/consent.
type Consent struct {
	Client        ClientView
	Account       string // who is signed in
	Scopes        []ScopeView
	Resources     []string // RFC 8707 resources, shown as hosts
	Offline       bool     // access goes on without the browser session
	Interaction   string
	RedirectHost  string // host (or application scheme) that the answer goes to
	SwitchAccount string // local path, including Base, that signs in another person; "" leaves the link out
}

func (Consent) Template() string { return "consent" }
func (c Consent) Title() Text    { return Say("consent.title", "Client", c.Client.Label()) }

// Permissions are the scopes in words; access that outlives the session is always among them.
func (c Consent) Permissions() []ScopeView {
	list := slices.Clone(c.Scopes)
	if c.Offline && !slices.ContainsFunc(list, func(s ScopeView) bool { return s.Name == offlineAccess }) {
		list = append(list, ScopeView{Name: offlineAccess})
	}
	return inWords(list)
}

// Error is the page of a request that cannot go on.
type Error struct {
	Status    int
	Heading   Text // empty is "Something went wrong"
	Message   Text // what happened and what to do, in plain words
	RequestID string
	Details   []Pair // technical facts for developers; never secrets
	Continue  string // optional link, http(s) or local
}

func (Error) Template() string { return "error" }
func (e Error) Title() Text {
	if e.Heading.Empty() {
		return Say("error.heading")
	}
	return e.Heading
}

// Difference is one part of a redirect URI that differs from the registered one.
type Difference struct {
	Part       Text // scheme, host, port, path, slash, case, query
	Sent       string
	Registered string
	Advice     Text // what to change
}

// RedirectMismatch is the error page of a redirect_uri that is not registered: what was sent, and how it
// differs from the nearest registered one.
type RedirectMismatch struct {
	ClientName  string
	ClientID    string
	Sent        string
	Nearest     string // nearest registered redirect URI, "" if there is none
	Differences []Difference
	RequestID   string
	Registered  []string // filled with --dev alone
}

func (RedirectMismatch) Template() string { return "mismatch" }
func (RedirectMismatch) Title() Text      { return Say("error.broken_link") }

// Label is the name to show for the client.
func (m RedirectMismatch) Label() string {
	return ClientView{ID: m.ClientID, Name: m.ClientName}.Label()
}

// UserView is what the account page shows of the person.
type UserView struct{ Name, Email, Username string }

// Label is the best name there is, empty for somebody without any.
func (u UserView) Label() string {
	for _, name := range []string{u.Name, u.Username, u.Email} {
		if strings.TrimSpace(name) != "" {
			return name
		}
	}
	return ""
}

// NoticeView is a message to the person that stays until it is dismissed.
type NoticeView struct {
	ID   string
	Text Text
}

// FormPost carries an authorization response to the client by POST (OAuth 2.0 Form Post Response Mode).
// Action must have been validated against the client's registered redirect URIs; Render refuses any
// that is not https, or http on a loopback host.
type FormPost struct {
	Action template.URL
	Params []Pair
}

func (FormPost) Template() string { return "formpost" }
func (FormPost) Title() Text      { return Say("formpost.title") }

// Host is where the form goes.
func (f FormPost) Host() string { return hostOf(string(f.Action)) }

// Target is the form's action. html/template would percent-encode quotes and parentheses of a URL, but the
// client registered it without.
func (f FormPost) Target() template.HTMLAttr {
	return template.HTMLAttr(`action="` + template.HTMLEscapeString(string(f.Action)) + `"`)
}

func (f FormPost) check() error {
	u, err := url.Parse(string(f.Action))
	if err != nil || u.Host == "" || u.Opaque != "" {
		return fmt.Errorf("form_post: %w", errTarget)
	}
	if u.Scheme == "https" || u.Scheme == "http" && loopback(u.Hostname()) {
		return nil
	}
	return fmt.Errorf("form_post by %q: %w", u.Scheme, errTarget)
}

// loopback reports whether host is this machine by name or address.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsLoopback()
}

// Done ends a flow that has nowhere else to go: already finished, cancelled.
type Done struct{ Heading, Message Text }

func (Done) Template() string { return "done" }
func (d Done) Title() Text {
	if d.Heading.Empty() {
		return Say("done.title")
	}
	return d.Heading
}

// Interstitial stands before a redirect that an openly registered client could abuse: it
// names the host and lets the person decide. URL must have been validated; Render refuses schemes that
// run code in the browser.
type Interstitial struct {
	Host      string
	URL       template.URL
	Params    []Pair // what the person posts to URL (form_post); nil makes URL a link that holds all
	Reason    Text   // why the app did not get what it asked for
	ErrorText string // the same as the protocol says it, in English for developers
}

func (Interstitial) Template() string { return "interstitial" }
func (i Interstitial) Title() Text    { return Say("interstitial.title", "Host", i.Host) }

// Target is the action of the form that posts Params.
func (i Interstitial) Target() template.HTMLAttr { return FormPost{Action: i.URL}.Target() }

func (i Interstitial) check() error {
	if i.Params != nil {
		return FormPost{Action: i.URL}.check()
	}
	u, err := url.Parse(string(i.URL))
	if err != nil || u.Scheme == "" {
		return fmt.Errorf("interstitial: %w", errTarget)
	}
	switch u.Scheme { // url.Parse has made it lower case
	case "javascript", "data", "vbscript", "blob", "file", "about", "view-source":
		return fmt.Errorf("interstitial by %q: %w", u.Scheme, errTarget)
	}
	return nil
}
