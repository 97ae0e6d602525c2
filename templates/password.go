package templates

// PasswordFault says why a new password is refused; reason is one of package credential, length and least count characters.
func PasswordFault(reason string, length, least int) Text {
	switch reason {
	case "long":
		return Say("password.long")
	case "short":
		return Say("password.short", "Length", length, "Least", least)
	case "common":
		return Say("password.common")
	case "own":
		return Say("password.own")
	}
	return Say("password.text")
}

// PasswordHint says what a new password needs.
func PasswordHint(least int) Text { return Say("password.hint", "Least", least) }
