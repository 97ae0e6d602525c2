package templates

import (
	"net/url"
	"slices"
	"strings"
	"time"
)

// UpstreamButton offers another provider. Form id upstream-{ID} posts interaction and csrf to {Base}/upstream/{ID}/start.
type UpstreamButton struct {
	ID    string
	Name  string // of the provider, as people know it
	Style string // google, github, microsoft, apple or gitlab; anything else has a neutral mark
	URL   string // local path, including Base, to post to instead; "" is the one above
	Down  bool   // cannot be used now
}

// IdentityView is an account at a provider that the person can sign in with.
type IdentityView struct {
	Upstream   string // id of the provider
	Name       string // of the provider
	Style      string // as UpstreamButton.Style
	Label      string // what the person knows the account by
	ExternalID string
	Since      time.Time
	LastUsed   time.Time
	Removable  bool // false: it is the only way in
}

// Described is the provider's name and what the person knows the account by.
func (i IdentityView) Described() string { return strings.TrimSpace(i.Name + " " + i.Label) }

// UpstreamProblem says why a sign-in at a provider came to nothing. Form id upstream-{ID} of Again is that of UpstreamButton.
type UpstreamProblem struct {
	Heading     Text            // empty is "You are not signed in"
	Message     Text            // what happened and what to do, in our own words
	Again       *UpstreamButton // nil: to try again would not help
	Interaction string
	Other       string // local path, including Base, to other ways to sign in; "" leaves them out
	Back        bool   // offers the account page, to who is signed in
	RequestID   string
}

func (UpstreamProblem) Template() string { return "upstreamproblem" }
func (p UpstreamProblem) Title() Text {
	if p.Heading.Empty() {
		return Say("upstream.not_signed_in")
	}
	return p.Heading
}

// LinkAccount asks whether to go to a provider and sign in there, so that the account there can be used here. Form id link posts upstream, confirm and csrf to {Base}/account/link.
type LinkAccount struct {
	Button  UpstreamButton
	Account string // who is signed in here
}

func (LinkAccount) Template() string { return "linkaccount" }
func (p LinkAccount) Title() Text    { return Say("upstream.link_title", "Provider", p.Button.Name) }

// markStyles are the providers whose marks the pages have.
var markStyles = []string{"google", "github", "microsoft", "apple", "gitlab"}

// markStyle is a style with a mark of its own, or other.
func markStyle(style string) string {
	if slices.Contains(markStyles, style) {
		return style
	}
	return "other"
}

// startForm is what the form of an UpstreamButton needs of its page.
type startForm struct {
	Button                  UpstreamButton
	Base, CSRF, Interaction string
}

// Action is where the form goes.
func (f startForm) Action() string {
	if local := localPath(f.Button.URL); local != "" {
		return local
	}
	return f.Base + "/upstream/" + url.PathEscape(f.Button.ID) + "/start"
}
