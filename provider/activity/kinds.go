package activity

import "gatehouse/templates"

// The kinds of event that this package knows. Others are written to the audit log alone.
const (
	AccountCreated   = "account.created"
	AccountDeleted   = "account.deleted"
	AccountReverted  = "account.reverted" // somebody said "it was not me"
	ConsentRevoked   = "consent.revoked"
	DataExported     = "data.exported" // the person, or somebody who passes for the person, has a copy of everything
	DeviceForgotten  = "device.forgotten"
	DeviceTrusted    = "device.trusted"
	EmailChanged     = "email.changed"
	EmailVerified    = "email.verified"
	FactorEnrolled   = "factor.enrolled"
	FactorRemoved    = "factor.removed"
	FactorRenamed    = "factor.renamed"
	IdentityLinked   = "identity.linked"
	IdentityUnlinked = "identity.unlinked"
	LoginOK          = "login.ok"
	PasswordChanged  = "password.changed"
	PasswordReset    = "password.reset"
	ProfileChanged   = "profile.changed"
	RecoveryCodes    = "recovery.codes" // new codes were made
	RecoveryUsed     = "recovery.used"  // a code was
	SessionEnded     = "session.ended"
	TermsAccepted    = "terms.accepted"
	TokenReused      = "token.reused"
)

// rule says who hears of a kind of event.
type rule struct {
	// shown puts it on the account page.
	shown bool
	// mail is the message that it sends, with or without a link, whether the feature brings one or not. Mail of a sign-in is the feature's choice: it knows
	// whether the browser is new.
	mail templates.MailKind
}

// rules are the kinds that are more than a line of the audit log. What anybody can cause without being let in is not among those that are shown: the list is bounded, and
// somebody who guesses passwords would push the sign-ins out of it. Nor is what a stolen session can repeat as often as it likes: new names of the person and of factors.
var rules = map[string]rule{
	AccountCreated:   {shown: true},
	AccountDeleted:   {mail: templates.MailDeleted},
	AccountReverted:  {shown: true},
	ConsentRevoked:   {shown: true},
	DataExported:     {shown: true},
	DeviceForgotten:  {shown: true},
	DeviceTrusted:    {shown: true},
	EmailChanged:     {shown: true, mail: templates.MailEmailChanged},
	EmailVerified:    {shown: true},
	FactorEnrolled:   {shown: true, mail: templates.MailFactorAdded},
	FactorRemoved:    {shown: true, mail: templates.MailFactorRemoved},
	IdentityLinked:   {shown: true, mail: templates.MailIdentityLinked},
	IdentityUnlinked: {shown: true, mail: templates.MailIdentityUnlinked},
	LoginOK:          {shown: true},
	PasswordChanged:  {shown: true, mail: templates.MailPasswordChanged},
	PasswordReset:    {shown: true, mail: templates.MailPasswordChanged},
	RecoveryCodes:    {shown: true},
	RecoveryUsed:     {shown: true, mail: templates.MailRecoveryUsed},
	SessionEnded:     {shown: true},
	TermsAccepted:    {shown: true},
	TokenReused:      {shown: true, mail: templates.MailRefreshReuse},
}

// Shown tells whether people see events of a kind on their account page.
func Shown(kind string) bool { return rules[kind].shown }
