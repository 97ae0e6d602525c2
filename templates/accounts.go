package templates

// AccountChoice is one account that is signed in in this browser.
type AccountChoice struct {
	Session string // what choosing it posts
	User    UserView
}

// Accounts lets the person choose among the accounts of this browser (prompt=select_account, OpenID Connect Core section 3.1.2.1). The forms post account (a Session; "" for another account beside
// them), interaction and csrf to {Base}/login/accounts.
type Accounts struct {
	Client      *ClientView // nil: the person goes to the account page
	Accounts    []AccountChoice
	Interaction string
}

func (Accounts) Template() string { return "accounts" }
func (Accounts) Title() Text      { return Say("accounts.title") }
