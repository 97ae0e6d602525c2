package templates

import "time"

// peopleExamples are the pages of sign-up and those of links in mails.
func peopleExamples() []example {
	client, long := notes(), longClient()
	const token = "gth_lk_0123456789abcdefghijABCDEFGHIJ0123456789abcdefghij"
	hint, life := PasswordHint(15), 20*time.Minute
	var list []example
	add := func(name string, p Page) { list = append(list, example{name, p, plainLayout()}) }
	add("signup", SignUp{Client: &client, Interaction: "i-1", AskName: true, Terms: true, Hint: hint})
	add("signup-bare", SignUp{Hint: hint})
	add("signup-invited", SignUp{Invite: token, FixedEmail: longEmail, AskName: true, NeedName: true, Hint: hint})
	add("signup-email", SignUp{Client: &long, Interaction: "i-1", Email: "a@x,b@y", Wrong: "email", Error: Say("signup.bad_email"), Hint: hint})
	add("signup-password", SignUp{Interaction: "i-1", Email: longEmail, AskName: true, Name: "Mira", Terms: true, Accepted: true, Wrong: "password", Error: PasswordFault("short", 7, 15), Hint: hint})
	add("signup-terms", SignUp{Interaction: "i-1", Email: longEmail, Terms: true, Wrong: "terms", Error: Say("signup.need_terms"), Hint: hint})
	add("terms", Terms{Client: client, Account: "mira@northwind.example", Interaction: "i-1", Version: "2026-07", Again: true, DeleteOffered: true})
	add("terms-first", Terms{Client: client, Account: "mira", Interaction: "i-1", Version: "2026-07"})
	harbour := plainLayout()
	harbour.Brand.Name = long.Name
	list = append(list, example{"terms-newer", Terms{Client: long, Account: longEmail, Interaction: "i-1", Version: "2026-08", Again: true, Newer: true, DeleteOffered: true}, harbour})
	add("signupconfirm", SignUpConfirm{Token: token, Email: "mira@northwind.example"})
	add("signupconfirm-ask", SignUpConfirm{Token: token, Email: longEmail, Ask: true, Error: Say("signup.wrong_password")})
	add("asklink", AskLink{Interaction: "i-1", Name: "mira"})
	add("asklink-error", AskLink{Name: "a@x,b@y", Error: Say("recovery.bad_name")})
	add("asklink-signin", AskLink{SignIn: true, Interaction: "i-1"})
	add("reset", Reset{Token: token, Account: "mira@northwind.example", Hint: hint})
	add("reset-error", Reset{Token: token, Account: longEmail, Hint: hint, Error: PasswordFault("common", 0, 0)})
	add("press", Press{For: PressVerify, Token: token, Heading: Say("recovery.verify_title"), Message: Say("recovery.verify_text", "Address", longEmail, "Account", "mira"), Button: Say("recovery.verify_go")})
	add("press-signin", Press{For: PressSignIn, Token: token, Heading: Say("recovery.magic_title"), Message: Say("recovery.magic_text", "Account", "mira"), Button: Say("recovery.magic_go")})
	add("press-notme", Press{For: PressNotMe, Token: token, Heading: Say("recovery.not_me_title"), Message: Say("recovery.not_me_text", "Account", "mira"), Button: Say("recovery.not_me_go")})
	add("told", Told{Heading: Say("recovery.changed_title"), Message: Say("recovery.changed"), Next: "/account", Button: Say("recovery.sign_in")})
	add("told-mail", Told{Heading: Say("recovery.sent_title"), Message: Say("recovery.sent_text", "Name", longEmail, "Life", life), Next: "/login?interaction=i-1", Button: Say("recovery.back"), Mail: true})
	add("told-bad", Told{Heading: Say("recovery.dead_title"), Message: Say("recovery.dead"), Next: "/recovery", Button: Say("recovery.again"), Bad: true})
	return list
}
