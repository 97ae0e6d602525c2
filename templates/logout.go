package templates

import (
	"fmt"
	"html/template"
	"net/url"
)

// LogoutConfirm asks whether the person wants to sign out. Form id logout (button sign-out) posts Fields and csrf to {Base}/oauth2/logout/confirm.
type LogoutConfirm struct {
	Account  string // who is signed in; "" leaves it out
	Accounts int    // how many are signed in in this browser
	App      string // name of the app that asks, "" if nobody has proven to
	Fields   []Pair // parameters of the request, sent back as they came
	Fault    Text   // for developers: why the request is not followed to the letter
}

func (LogoutConfirm) Template() string { return "logoutconfirm" }
func (LogoutConfirm) Title() Text      { return Say("logout.title") }

// LogoutReturn lets a browser that was sent here from another site, and so without its cookies, come back with them: form id logout-return (button continue) posts
// Fields to {Base}/oauth2/logout, by itself where scripts run.
type LogoutReturn struct{ Fields []Pair }

func (LogoutReturn) Template() string { return "logoutreturn" }
func (LogoutReturn) Title() Text      { return Say("logout.under_way") }

// Frame shows a page of a client inside one of ours, unseen. URL must have been validated; Render refuses any that is not http or https.
type Frame struct {
	Name string // of the client
	URL  template.URL
}

// Source is the frame's src attribute; see FormPost.Target.
func (f Frame) Source() template.HTMLAttr { return urlAttribute("src", f.URL) }

// SignedOut says that the session has ended, and who knows.
type SignedOut struct {
	Told   []string // names of apps that are told
	Silent []string // names of apps that are not
	Frames []Frame  // the apps that are told by way of the browser
	Fault  Text     // as LogoutConfirm.Fault
	// Next is an address that the person may go on to; "" leaves it out. Render refuses schemes that run code in the browser.
	Next template.URL
}

func (SignedOut) Template() string { return "signedout" }
func (SignedOut) Title() Text      { return Say("logout.done") }

// Host is where Next leads.
func (s SignedOut) Host() string { return hostOf(string(s.Next)) }

// Link is the href attribute of Next.
func (s SignedOut) Link() template.HTMLAttr { return urlAttribute("href", s.Next) }

func (s SignedOut) check() error {
	if s.Next != "" {
		if err := (Interstitial{URL: s.Next}).check(); err != nil {
			return err
		}
	}
	return checkFrames(s.Frames)
}

// SigningOut tells apps by way of the browser (OpenID Connect Front-Channel Logout 1.0) and goes on to Next: as soon as all frames have loaded, after three seconds
// if one of them does not, and without scripts after four. Next is as SignedOut.Next, but never empty.
type SigningOut struct {
	Frames []Frame
	Next   template.URL
}

func (SigningOut) Template() string { return "signingout" }
func (SigningOut) Title() Text      { return Say("logout.under_way") }

// Host is where Next leads.
func (s SigningOut) Host() string { return hostOf(string(s.Next)) }

// Link is the href attribute of Next.
func (s SigningOut) Link() template.HTMLAttr { return urlAttribute("href", s.Next) }

// Refresh is the content attribute of a meta element, for browsers without scripts alone, that goes to Next. The address begins with its scheme, so browsers see no quote around it.
func (s SigningOut) Refresh() template.HTMLAttr {
	return urlAttribute("content", "4;url="+s.Next)
}

func (s SigningOut) check() error {
	if err := (Interstitial{URL: s.Next}).check(); err != nil {
		return err
	}
	return checkFrames(s.Frames)
}

func checkFrames(frames []Frame) error {
	for _, f := range frames {
		if u, err := url.Parse(string(f.URL)); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return fmt.Errorf("frame: %w", errTarget)
		}
	}
	return nil
}

// urlAttribute is an attribute with a URL as it was registered: html/template would percent-encode quotes and parentheses.
func urlAttribute(name string, value template.URL) template.HTMLAttr {
	return template.HTMLAttr(name + `="` + template.HTMLEscapeString(string(value)) + `"`)
}

// CheckSession is the frame that relying parties ask whether the sign-in has changed (OpenID Connect Session Management 1.0). Cookie is the name of the cookie that
// changes with it. It has no layout: nobody sees it.
type CheckSession struct{ Cookie string }

func (CheckSession) Template() string { return "checksession" }
func (CheckSession) Title() Text      { return Say("logout.session") }
