package config

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/provider/grant"
	"gatehouse/provider/seal"
)

// algorithms are the signature algorithms that signing keys can have.
var algorithms = []string{"RS256", "ES256", "PS256", "EdDSA"}

// validate checks every value and every pair of values that can contradict each other. Nothing stops at the first fault.
func (l *loader) validate(s Source) {
	l.checkIssuer()
	l.checkListeners(s)
	l.checkStorage(s)
	l.checkTokens()
	l.checkProtocols()
	l.checkKeys()
	l.checkResources()
	l.checkUpstreams()
	l.checkMail()
	l.checkSignUp(s.Serve && !s.Dev)
	l.checkFactors()
	l.checkAccount(s)
	l.checkSmall()
	slices.SortStableFunc(l.faults, func(a, b Fault) int { return strings.Compare(a.Key, b.Key) })
}

func (l *loader) checkIssuer() {
	const fix = "write the public address of this server, such as https://id.example.com"
	issuer := l.config.Issuer
	u, err := url.Parse(issuer)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "" || (u.Scheme != "https" && u.Scheme != "http"):
		l.fault("issuer", "is no URL", fix)
	case u.User != nil || strings.ContainsAny(issuer, "?#"):
		l.fault("issuer", "may not hold a user, query or fragment", fix)
	case strings.HasSuffix(issuer, "/"):
		l.fault("issuer", "ends in a slash; clients compare it letter by letter", "write "+strings.TrimRight(issuer, "/"))
	case u.Host != strings.ToLower(u.Host):
		l.fault("issuer", "has capitals in its host", "write "+strings.Replace(issuer, u.Host, strings.ToLower(u.Host), 1))
	case !cleanPath(u.EscapedPath()):
		l.fault("issuer", "has a path with empty, dot or percent-encoded parts", "use a plain path such as /id")
	case slices.Contains([]string{"/healthz", "/readyz"}, u.Path):
		l.fault("issuer", "has the path of a probe, which stands outside it", "use another path, such as /id")
	case u.Scheme == "http" && !loopbackName(u.Hostname()):
		l.fault("issuer", "is http; that is only accepted for localhost, 127.0.0.1 and [::1]", "use https, with server.tls or a proxy in front")
	}
}

// cleanPath accepts "" and /a/b with unreserved letters only, so that one path has one spelling.
func cleanPath(path string) bool {
	if path == "" {
		return true
	}
	for part := range strings.SplitSeq(path[1:], "/") {
		if part == "" || part == "." || part == ".." || strings.Trim(part, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~") != "" {
			return false
		}
	}
	return true
}

func loopbackName(host string) bool {
	return host == "localhost" || host == "127.0.0.1" || host == "::1"
}

func (l *loader) checkListeners(s Source) {
	c := l.config
	l.checkListen("server.listen", c.Server.Listen)
	if c.Ops.Listen != "" {
		l.checkListen("ops.listen", c.Ops.Listen)
		if c.Ops.Listen == c.Server.Listen && !strings.HasSuffix(c.Ops.Listen, ":0") {
			l.fault("ops.listen", "is the same as server.listen", "use another port: metrics are not for the public")
		}
	}
	for _, text := range c.Server.TrustedProxies {
		switch p, ok := prefix(text); {
		case !ok:
			l.fault("server.trusted_proxies", strconv.Quote(text)+" is neither an address nor a prefix", "write for example 10.0.0.0/8")
		case p.Bits() == 0:
			l.fault("server.trusted_proxies", strconv.Quote(text)+" lets anyone claim any address", "name the addresses of your proxies")
		}
	}
	l.between("server.shutdown_grace", c.Server.ShutdownGrace, 0, 5*time.Minute)
	if host, _, err := net.SplitHostPort(c.Server.Listen); s.Dev && err == nil && !loopbackListener(host) {
		l.fault("server.listen", "is open to the network, which --dev refuses because it creates a known demo user", "use 127.0.0.1 with a port, or serve without --dev")
	}
	t := c.Server.TLS
	switch {
	case t.Cert == "" && t.Key == "":
	case t.Cert == "":
		l.fault("server.tls.cert", "is missing although server.tls.key is set", "set both or neither")
	case t.Key == "":
		l.fault("server.tls.key", "is missing although server.tls.cert is set", "set both or neither")
	case strings.HasPrefix(c.Issuer, "http://"):
		l.fault("issuer", "is http although server.tls is set", "write https")
	case s.Serve:
		if _, err := tls.LoadX509KeyPair(t.Cert, t.Key); err != nil {
			l.fault("server.tls.cert", "and server.tls.key cannot be loaded: "+err.Error(), "name a PEM certificate chain and its private key")
		}
	}
}

func (l *loader) checkListen(key, value string) {
	if l.broken(key) {
		return
	}
	_, port, err := net.SplitHostPort(value)
	if _, bad := strconv.ParseUint(port, 10, 16); err != nil || bad != nil {
		l.fault(key, "is no host:port", "write for example 127.0.0.1:8080, or :8080 for every address of this machine")
	}
}

// loopbackListener tells whether only this machine can reach a listener on host.
func loopbackListener(host string) bool {
	if host == "localhost" {
		return true
	}
	a, err := netip.ParseAddr(host)
	return err == nil && a.Unmap().IsLoopback()
}

func (l *loader) checkStorage(s Source) {
	c := l.config
	path, sqlite := c.Storage.SQLitePath()
	u, err := url.Parse(c.Storage.URL)
	postgres := strings.HasPrefix(c.Storage.URL, "postgres://") || strings.HasPrefix(c.Storage.URL, "postgresql://")
	switch {
	case sqlite && (path == "" || strings.HasPrefix(path, ":") || strings.HasPrefix(path, "//") || strings.ContainsAny(path, "?#")):
		l.fault("storage.url", "names no file", "write sqlite:PATH, such as sqlite:gatehouse.db or sqlite:/var/lib/gatehouse/gatehouse.db")
	case postgres && (err != nil || strings.Trim(u.Path, "/") == ""):
		l.fault("storage.url", "is no PostgreSQL URL with a database name", "write postgres://USER:PASSWORD@HOST:5432/DATABASE")
	case !sqlite && !postgres:
		l.fault("storage.url", "is neither sqlite:PATH nor postgres://...", "write for example sqlite:gatehouse.db")
	}
	if postgres && s.Serve && len(c.Secrets.Keys) == 0 && !l.broken("secrets.keys") && !l.broken("storage.url") {
		l.fault("secrets.keys", NoMasterKey, "make one with: openssl rand -base64 32, and set GATEHOUSE_SECRETS_KEYS to it, or GATEHOUSE_SECRETS_KEYS_FILE to a file (mode 0600) that holds it")
	}
	l.checkMasterKeys()
}

// NoMasterKey says why a PostgreSQL set-up cannot start without secrets.keys.
const NoMasterKey = "is empty; with PostgreSQL every node needs the same master key, so none is made for you"

func (l *loader) checkMasterKeys() {
	const fix = "make one with: openssl rand -base64 32"
	seen := map[string]bool{}
	for i, text := range l.config.Secrets.Keys {
		which := "key " + strconv.Itoa(i+1)
		key, err := seal.ParseKey(text)
		switch {
		case err != nil:
			l.fault("secrets.keys", which+" is not 32 bytes in base64", fix)
		case distinct(key) < 16:
			l.fault("secrets.keys", which+" is a sample, not random", fix)
		case seen[string(key)]:
			l.fault("secrets.keys", which+" is a repetition", "list every key once, the active one first")
		}
		seen[string(key)] = true
	}
}

// distinct counts different bytes. 32 random bytes have about 30; fewer than 16 does not happen by chance.
func distinct(key []byte) int {
	set := map[byte]bool{}
	for _, b := range key {
		set[b] = true
	}
	return len(set)
}

func (l *loader) checkTokens() {
	t, s := l.config.Tokens, l.config.Sessions
	l.between("sessions.idle", s.Idle, time.Second, 90*day)
	l.between("sessions.absolute", s.Absolute, time.Second, 90*day)
	l.notAbove("sessions.idle", s.Idle, "sessions.absolute", s.Absolute)
	l.oneOf("sessions.cookie_same_site", s.CookieSameSite, "lax", "none")
	if s.CookieSameSite == "none" && strings.HasPrefix(l.config.Issuer, "http://") {
		l.fault("sessions.cookie_same_site", "needs an https issuer: browsers drop such cookies otherwise", "write lax, or use an https issuer")
	}
	l.between("tokens.code", t.Code, time.Second, 10*time.Minute)
	l.between("tokens.pushed", t.Pushed, 5*time.Second, 10*time.Minute)
	l.between("tokens.access", t.Access, time.Second, time.Hour)
	l.between("tokens.id", t.ID, time.Second, day)
	l.between("tokens.refresh_idle", t.RefreshIdle, time.Second, 366*day)
	l.between("tokens.refresh_absolute", t.RefreshAbsolute, time.Second, 366*day)
	l.between("tokens.public_refresh_idle", t.PublicRefreshIdle, time.Second, 366*day)
	l.between("tokens.public_refresh_absolute", t.PublicRefreshAbsolute, time.Second, 366*day)
	l.notAbove("tokens.refresh_idle", t.RefreshIdle, "tokens.refresh_absolute", t.RefreshAbsolute)
	l.notAbove("tokens.public_refresh_idle", t.PublicRefreshIdle, "tokens.public_refresh_absolute", t.PublicRefreshAbsolute)
	l.between("tokens.refresh_grace", t.RefreshGrace, 0, 5*time.Minute)
	if a := t.DefaultAudience; a != "" && !absoluteURI(a) {
		l.fault("tokens.default_audience", "is no absolute URI without a fragment", "write for example https://api.example.com")
	}
}

func (l *loader) checkProtocols() {
	o, r := l.config.OAuth, l.config.Registration
	known := grant.ResponseTypes()
	for i, t := range o.ResponseTypes {
		switch {
		case !slices.Contains(known, t):
			l.fault("oauth.response_types", strconv.Quote(t)+" is no response type of Gatehouse", "use "+strings.Join(known, ", "))
		case slices.Index(o.ResponseTypes, t) < i:
			l.fault("oauth.response_types", t+" is there twice", "list it once")
		}
	}
	if !slices.Contains(o.ResponseTypes, "code") && !l.broken("oauth.response_types") {
		l.fault("oauth.response_types", "lacks code, which strict clients use", "add code")
	}
	l.oneOf("registration.mode", r.Mode, "off", "token", "open")
	l.oneOf("registration.profile", r.Profile, "strict", "compatible")
	l.between("registration.expire_unused", r.ExpireUnused, time.Minute, 366*day)
	l.between("registration.expire_idle", r.ExpireIdle, day, 10*366*day)
	if t := l.config.Tokens; r.Mode != "off" { // a client that goes takes the refresh tokens with it
		l.notAbove("tokens.refresh_idle", t.RefreshIdle, "registration.expire_idle", r.ExpireIdle)
		l.notAbove("tokens.public_refresh_idle", t.PublicRefreshIdle, "registration.expire_idle", r.ExpireIdle)
	}
	if l.config.Logout.SessionManagement && strings.HasPrefix(l.config.Issuer, "http://") {
		l.fault("logout.session_management", "needs an https issuer: browsers drop its cookie otherwise", "write false, or use an https issuer")
	}
}

func (l *loader) checkKeys() {
	k := l.config.Keys
	if len(k.Algorithms) == 0 && !l.broken("keys.algorithms") {
		l.fault("keys.algorithms", "is empty", "write [RS256, ES256]")
	}
	for i, alg := range k.Algorithms {
		switch {
		case !slices.Contains(algorithms, alg):
			l.fault("keys.algorithms", strconv.Quote(alg)+" is no algorithm of Gatehouse", "use "+strings.Join(algorithms, ", "))
		case slices.Index(k.Algorithms, alg) < i:
			l.fault("keys.algorithms", alg+" is there twice", "list it once")
		}
	}
	for key, alg := range map[string]string{"keys.id_token_alg": k.IDTokenAlg, "keys.access_token_alg": k.AccessTokenAlg} {
		if !slices.Contains(k.Algorithms, alg) {
			l.fault(key, "is not in keys.algorithms", "add it there, or use one of "+strings.Join(k.Algorithms, ", "))
		}
	}
	l.oneOf("keys.rsa_bits", strconv.Itoa(k.RSABits), "2048", "3072", "4096")
	l.between("keys.rotate_every", k.RotateEvery, 2*day, 2*366*day)
}

func (l *loader) checkResources() {
	if l.broken("resources") {
		return
	}
	seen := map[string]bool{}
	for i, r := range l.config.Resources {
		which := "item " + strconv.Itoa(i+1) + ": "
		switch {
		case !absoluteURI(r.URI):
			l.fault("resources", which+"uri "+strconv.Quote(r.URI)+" is no absolute URI without a fragment", "write for example https://api.example.com")
		case r.URI == l.config.Issuer:
			l.fault("resources", which+"uri is the issuer itself", "name an API; the issuer is always an audience")
		case seen[r.URI]:
			l.fault("resources", which+"uri "+r.URI+" is there twice", "list every API once")
		}
		seen[r.URI] = true
		if r.AccessTokenLifetime != 0 && (r.AccessTokenLifetime < time.Second || r.AccessTokenLifetime > time.Hour) {
			l.fault("resources", which+"access_token_lifetime is not between 1s and 1h", "correct it, or leave it out for tokens.access")
		}
		for _, scope := range r.Scopes {
			if !scopeToken(scope) {
				l.fault("resources", which+"scope "+strconv.Quote(scope)+" holds a space, quote, backslash or a letter that is not ASCII", "RFC 6749 section 3.3 allows the others")
			}
		}
	}
}

// scopeToken is RFC 6749 section 3.3.
func scopeToken(scope string) bool {
	for i := range len(scope) {
		if c := scope[i]; c <= ' ' || c > '~' || c == '"' || c == '\\' {
			return false
		}
	}
	return scope != ""
}

func (l *loader) checkSmall() {
	c := l.config
	if cost := c.Passwords.Cost; cost < 10 || cost > 14 {
		l.fault("passwords.cost", "is not between 10 and 14", "12 takes about a quarter of a second on one core")
	}
	if n := c.Passwords.MinLength; n < 8 || n > 128 {
		l.fault("passwords.min_length", "is not between 8 and 128", "15 is right where a password is the only factor")
	}
	l.checkLimits()
	for _, text := range c.Outbound.Allow {
		if !hostOrPrefix(text) {
			l.fault("outbound.allow", strconv.Quote(text)+" is no host, host:port or prefix", "write for example keys.internal, keys.internal:8443 or 10.1.0.0/16")
		} else if strings.HasSuffix(text, "/0") {
			l.fault("outbound.allow", strconv.Quote(text)+" opens the whole private network to whoever registers a client", "name the hosts that are needed")
		}
	}
	if path := c.Outbound.CAFile; path != "" {
		pem, err := os.ReadFile(path)
		if err != nil || !x509.NewCertPool().AppendCertsFromPEM(pem) {
			l.fault("outbound.ca_file", "cannot be read as PEM certificates", "name a file with at least one certificate")
		}
	}
	l.checkBranding()
	l.oneOf("log.level", c.Log.Level, "debug", "info", "warn", "error")
	l.oneOf("log.format", c.Log.Format, "text", "json")
}

// webLink accepts https anywhere and http on loopback, so that a link on a page is never a script.
func webLink(link string) bool {
	u, err := url.Parse(link)
	return err == nil && u.Host != "" && u.User == nil && (u.Scheme == "https" || u.Scheme == "http" && loopbackName(u.Hostname()))
}
