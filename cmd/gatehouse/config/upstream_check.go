package config

import (
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"gatehouse/provider/upstream"
)

// upstreamCheck goes through the list once. It remembers what may be there only once.
type upstreamCheck struct {
	*loader
	item    int
	ids     map[string]bool
	domains map[string]string // domain -> what the upstream that has it is called
}

func (l *loader) checkUpstreams() {
	c := &upstreamCheck{loader: l, ids: map[string]bool{}, domains: map[string]string{}}
	for c.item = range l.config.Upstreams {
		c.check(&l.config.Upstreams[c.item])
	}
	if !l.config.Login.Password && len(l.config.Upstreams) == 0 && !l.broken("upstreams") && !l.unread {
		l.fault("login.password", "leaves nobody a way in, since there are no upstreams", "write true, or add an upstream")
	}
	if l.config.Login.IdentifierFirst && !l.config.Login.Password {
		l.fault("login.identifier_first", "asks for a password in the second step, and login.password is false", "write false")
	}
}

// fault records a fault of a field of the item at hand.
func (c *upstreamCheck) fault(field, problem, fix string) {
	if !c.badItems[itemField{"upstreams", c.item, field}] {
		c.faultIn("upstreams", itemFault{c.item, c.config.Upstreams[c.item].ID, field, problem, fix})
	}
}

func (c *upstreamCheck) check(u *Upstream) {
	switch {
	case u.ID == "":
		c.fault("id", "is missing", "write a short word such as google; it is part of the redirect URI")
	case !upstreamID.MatchString(u.ID):
		c.fault("id", strconv.Quote(u.ID)+" holds more than small letters, digits and hyphens, or is longer than 32", "write for example google or my-company")
	case c.ids[u.ID]:
		c.fault("id", "is there twice", "give every upstream an id of its own")
	}
	c.ids[u.ID] = true
	if len(u.Name) > 64 || strings.ContainsFunc(u.Name, unicode.IsControl) {
		c.fault("name", "is longer than 64 bytes or holds a control character", "write what the button is to say, such as Example Ltd")
	}
	if !slices.Contains([]string{"proof", "verified", "never"}, u.Link) {
		c.fault("link", strconv.Quote(u.Link)+" is unknown", "write proof, verified or never")
	}
	for _, scope := range u.Scopes {
		if !scopeToken(scope) {
			c.fault("scopes", "hold "+strconv.Quote(scope)+", which has a space, quote, backslash or a letter that is not ASCII", "list every scope by itself")
		}
	}
	c.checkDomains(u)
	c.checkMaps(u)
	c.checkType(u)
}

func (c *upstreamCheck) checkType(u *Upstream) {
	kind := upstream.FindKind(u.Type)
	if kind == nil {
		problem := strconv.Quote(u.Type) + " is unknown"
		if u.Type == "" {
			problem = "is missing"
		}
		c.fault("type", problem, "there are "+kindNames())
		return
	}
	config := u.Config()
	kind.Check(&config, c.fault)
}

func kindNames() string {
	var names []string
	for _, k := range upstream.Kinds {
		names = append(names, k.Type)
	}
	return strings.Join(names, ", ")
}

// domainName is a name in its canonical form, as the address of a user has it (credential.EmailKey).
var domainName = regexp.MustCompile(`^([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?$`)

func (c *upstreamCheck) checkDomains(u *Upstream) {
	own := itemName(c.item, u.ID)
	for _, domain := range u.Domains {
		other, taken := c.domains[domain]
		switch {
		case !domainName.MatchString(domain) || len(domain) > 253:
			c.fault("domains", "hold "+strconv.Quote(domain)+", which is no domain in small letters", "write for example example.com, or xn--bcher-kva.example for one with other letters")
		case other == own:
			c.fault("domains", "hold "+domain+" twice", "list it once")
		case taken:
			c.fault("domains", "hold "+domain+", which "+other+" has already", "let one upstream have it: its users are sent there at once")
		default:
			c.domains[domain] = own
		}
	}
}

// reservedClaims belong to the protocol or to Gatehouse. Whoever could set them could pass for another user or widen a token (security row 120).
var reservedClaims = []string{
	"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "acr", "amr", "azp", "nonce", "auth_time", "at_hash", "c_hash", "s_hash", "sid", "cnf", "scope", "client_id", "gid",
	"act", "may_act", "events", "entitlements", "sub_id", "sub_jwk", "token_use", "active", "authorization_details", "updated_at",
}

// otherWays are claims that have a key of their own, or come by themselves.
var otherWays = map[string]string{
	"roles": "use the key roles", "groups": "use the key groups",
	"email": "leave it out: the address is taken from the provider", "email_verified": "leave it out, or use trust_email if every address of this provider is verified",
}

var claimName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]{0,63}$`)

func (c *upstreamCheck) checkMaps(u *Upstream) {
	for _, name := range slices.Sorted(maps.Keys(u.Claims)) {
		lower := strings.ToLower(name)
		switch fix := otherWays[lower]; {
		case slices.Contains(reservedClaims, lower):
			c.fault("claims", "set "+name+", which belongs to the protocol", "remove it")
		case fix != "":
			c.fault("claims", "may not set "+name, fix)
		case strings.HasSuffix(lower, "_verified"): // apps rely on it, and what a provider's claim of any name holds was perhaps written by the user
			c.fault("claims", "may not set "+name, "remove it: nothing that a provider says by itself makes a thing verified here")
		case !claimName.MatchString(name):
			c.fault("claims", "set "+strconv.Quote(name)+", which is no name of a claim", "use letters, digits and _, such as given_name")
		case !claimPath(u.Claims[name]):
			c.fault("claims", "take "+name+" from "+strconv.Quote(u.Claims[name])+", which names no claim", "write the provider's name of it, such as givenName or address.country")
		}
	}
	if u.Groups != "" && !claimPath(u.Groups) {
		c.fault("groups", strconv.Quote(u.Groups)+" names no claim", "write the provider's claim with the groups, such as groups or realm_access.roles")
	}
	c.checkRoles(u)
	for _, theirs := range slices.Sorted(maps.Keys(u.ACR)) {
		if ours := u.ACR[theirs]; !scopeToken(theirs) || !scopeToken(ours) {
			c.fault("acr", "maps "+strconv.Quote(theirs)+" to "+strconv.Quote(ours)+"; neither may be empty or hold a space, quote, backslash or letter that is not ASCII",
				"write PROVIDER'S VALUE: OURS")
		}
	}
}

func (c *upstreamCheck) checkRoles(u *Upstream) {
	if len(u.Roles) > 0 && u.Groups == "" {
		c.fault("groups", "is missing, from which roles are made", "write the provider's claim that lists groups, such as groups")
	}
	for _, role := range slices.Sorted(maps.Keys(u.Roles)) {
		groups := u.Roles[role]
		switch {
		case !scopeToken(role) || len(role) > 64:
			c.fault("roles", "hold "+strconv.Quote(role)+", which is longer than 64 or has a space, quote, backslash or a letter that is not ASCII", "write a word such as admin")
		case len(groups) == 0:
			c.fault("roles", "hold "+role+" without groups, so nobody would have it", "write "+role+": [GROUP]")
		case slices.ContainsFunc(groups, badGroup):
			c.fault("roles", "hold "+role+" with a group that is empty, longer than 255 bytes or has a control character", "write groups as the provider does")
		}
	}
}

func badGroup(name string) bool {
	return strings.TrimSpace(name) == "" || len(name) > 255 || strings.ContainsFunc(name, unicode.IsControl)
}

// claimPath is a name of a claim, or several with dots between them.
func claimPath(path string) bool {
	if len(path) > 255 || strings.ContainsFunc(path, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return false
	}
	return !slices.Contains(strings.Split(path, "."), "")
}
