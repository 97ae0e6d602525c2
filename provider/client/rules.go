package client

import (
	"slices"
	"strings"

	"gatehouse/provider/grant"
	"gatehouse/provider/opaque"
	"gatehouse/storage"
)

// Rules are what the server's configuration lets a client register. A nil list means the default named at the field.
type Rules struct {
	// Operator is true on the command line: the operator may name the client's id and profile, mark it first_party or disabled, list any configured
	// resource and any well-formed scope. A registration gets the generated id, Profile, the open resources and the known scopes.
	Operator bool
	// Profile is given to a client that names none; empty means strict.
	Profile string
	// Resources are the protected APIs of the configuration.
	Resources []grant.Resource
	// Algorithms are the signing algorithms that the server has keys for: RS256, ES256.
	Algorithms []string
	// ResponseTypes are those that are enabled: code.
	ResponseTypes []string
	// UnsignedRequestObjects and UnsignedIDTokens let compatible clients register alg none for them.
	UnsignedRequestObjects, UnsignedIDTokens bool
	// KnownScopes are the scopes that the server gives a meaning to, beside those of Resources: openid, profile, email, address, phone, offline_access.
	KnownScopes []string
	// ImageHost is the host of an https issuer: beside paths on this server, pages load images from there alone.
	ImageHost string
	// CheckURL says what keeps the server from ever fetching or posting to a URL, without asking the network (outbound.Client.CheckURL); its error reads on from
	// the name of a field. Nil means https, or http on a loopback host.
	CheckURL func(url string) error
}

// The error codes of RFC 7591 section 3.2.2.
const (
	InvalidRedirectURI       = "invalid_redirect_uri"
	InvalidClientMetadata    = "invalid_client_metadata"
	InvalidSoftwareStatement = "invalid_software_statement"
)

// MetadataError says which member of client metadata was refused and what to write instead. Message is printable ASCII without quotes and backslashes, so
// it can be an error_description (RFC 6749 section 5.2).
type MetadataError struct{ Code, Field, Message string }

func (e *MetadataError) Error() string { return e.Field + ": " + e.Message }

func refuse(field, message string) error {
	return &MetadataError{Code: InvalidClientMetadata, Field: field, Message: message}
}

// Apply replaces everything that metadata describes of c by m, with defaults for what m leaves out (RFC 7592 section 2.2: what is not sent is gone; to
// change a part, change View's answer and apply that). ID (unless empty), Secrets, Sector, RegisteredBy, RegistrationToken, Expires, Created and Updated stay; the
// secrets go if the new authentication method has none, or keeps them in another form (NeedsSecret and no Secrets then means that a new one is due). The error is a *MetadataError and c is then as it was.
func (r Rules) Apply(c *storage.Client, m Metadata) error {
	next := *c
	// The order matters: a later step reads what an earlier one settled.
	for _, step := range []func(*storage.Client, *Metadata) error{
		r.applyIdentity, r.applyGrants, r.applyAuthentication, r.applyProfile, r.applyRedirects, r.applySubject, r.applyTexts, r.applyRequests, r.applyKeys,
		r.applyTokens, r.applyLogout, r.applyAudience, r.applyScopes,
	} {
		if err := step(&next, &m); err != nil {
			return err
		}
	}
	*c = next
	return nil
}

// NewID makes a client id.
func NewID() string { return opaque.ID() }

func (r Rules) applyIdentity(c *storage.Client, m *Metadata) error {
	switch {
	case m.SoftwareStatement != "":
		return &MetadataError{Code: InvalidSoftwareStatement, Field: "software_statement", Message: "software statements are not accepted here; send the metadata as plain members"}
	case !r.Operator && c.ID == "":
		c.ID = NewID()
	case c.ID == "" && m.ClientID == "":
		c.ID = NewID()
	case c.ID == "":
		if !wellFormedID(m.ClientID) {
			return refuse("client_id", "use 1 to 128 letters, digits and . _ ~ - @, beginning with a letter or a digit")
		}
		c.ID = m.ClientID
	case m.ClientID != "" && m.ClientID != c.ID:
		return refuse("client_id", "it cannot change; leave it out or send "+shown(c.ID))
	}
	if r.Operator {
		c.FirstParty, c.Disabled, c.RequireMFA = m.FirstParty, m.Disabled, m.RequireMFA
		if !slices.Contains([]string{"", SignUpOff, SignUpOpen, SignUpInvite}, m.SignUp) {
			return refuse("sign_up", "write off, open or invite, or leave it out to have it as configured")
		}
		c.SignUp = m.SignUp
		if len(m.Upstream) > 32 {
			return refuse("upstream", "name a sign-in provider of the configuration by its id")
		}
		c.Upstream = m.Upstream
		if err := r.checkBranding(m.Branding); err != nil {
			return err
		}
		c.Branding = m.Branding
	} else if !slices.Equal(c.RedirectURIs, m.RedirectURIs) {
		c.FirstParty = false // the operator vouched for the addresses of then
	}
	return nil
}

const alphanumeric = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

func wellFormedID(id string) bool {
	if id == "" || len(id) > 128 || strings.IndexByte(alphanumeric, id[0]) < 0 {
		return false
	}
	return strings.Trim(id, alphanumeric+"._~-@") == ""
}

// unique drops repetitions and keeps the order; nil if nothing is left.
func unique(list []string) []string {
	var kept []string
	for _, s := range list {
		if !slices.Contains(kept, s) {
			kept = append(kept, s)
		}
	}
	return kept
}

func orList(list []string, defaults ...string) []string {
	if list == nil {
		return defaults
	}
	return list
}

// shown makes a sent value fit for a message: short, in printable ASCII, without quotes and backslashes.
func shown(s string) string {
	if s == "" {
		return "an empty value"
	}
	const limit = 100
	cut := len(s) > limit
	if cut {
		s = s[:limit]
	}
	s = strings.Map(func(c rune) rune {
		if c < 0x20 || c > 0x7e || c == '"' || c == '\\' {
			return '?'
		}
		return c
	}, s)
	if cut {
		s += "..."
	}
	return s
}
