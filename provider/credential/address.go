package credential

import "strings"

// Address is EmailKey with the address that mail goes to and that is stored: as it was typed where only the case of ASCII letters differs from the key, else the key. What looks like
// an address is often another mailbox for whoever delivers the mail: an address that was only typed in a way that leads to the same key never gets any (security row 148).
func Address(s string) (address, key string, err error) {
	key, err = EmailKey(s)
	if err != nil {
		return "", "", err
	}
	address = strings.TrimSpace(s)
	if lower(address) != key {
		return key, key, nil
	}
	return address, key, nil
}

func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
