package client

import "gatehouse/storage"

// Who may make an account by themselves.
const (
	SignUpOff    = "off"
	SignUpOpen   = "open"
	SignUpInvite = "invite" // whoever has an invitation
)

// SignUp says who may make an account on the way to a client: as the client has it, else as configured. c is nil for people who come without a client.
func SignUp(c *storage.Client, configured string) string {
	mode := configured
	if c != nil && c.SignUp != "" {
		mode = c.SignUp
	}
	if mode != SignUpOpen && mode != SignUpInvite {
		return SignUpOff
	}
	return mode
}
