package interop

// scripts are the scripts in Node.js with what each has to find out.
var scripts = map[string]expectation{
	"openid-client": {
		"discovery",
		"discovery as an OAuth 2.0 server (RFC 8414)",
		"code by client_secret_basic",
		"code by client_secret_post",
		"secret in the other place",
		"code by private_key_jwt with ES256",
		"code by private_key_jwt with RS256",
		"code by private_key_jwt with PS256",
		"code by private_key_jwt with EdDSA",
		"private_key_jwt with a key without kid",
		"public client on a loopback port",
		"no PKCE, with a nonce, for a compatible client",
		"form_post",
		"callback without iss is refused by the client",
		"userinfo",
		"refresh",
		"introspection",
		"revocation",
		"client credentials for a resource",
		"code and refresh for a resource",
		"prompt=none",
		"prompt=login asks for a new sign-in",
		"max_age=0 asks for a new sign-in",
		"user denies",
		"errors of the authorization endpoint",
		"errors of the token endpoint",
		"code by private_key_jwt with Ed25519",
	},
	"openid-client-more": {
		"private_key_jwt with keys at jwks_uri",
		"ID token by RS256",
		"ID token by ES256",
		"request object that is pushed",
		"client_secret_jwt",
		"dynamic registration and its management",
		"dynamic registration of a public client",
		"dynamic registration refuses by the right errors",
		"pushed request (PAR)",
		"request object by RS256 (JAR)",
		"request object by PS256 (JAR)",
		"request object by ES256 (JAR)",
		"request object by EdDSA (JAR)",
		"request object by Ed25519 (JAR)",
		"userinfo signed by RS256",
		"userinfo signed by ES256",
		"code id_token by fragment",
		"id_token by fragment",
		"code id_token by form_post",
		"id_token by form_post",
		"claims",
		"pairwise subjects",
		"logout by the client",
		"logout without a hint goes nowhere",
		"back-channel logout",
	},
	"oauth4webapi": {
		"discovery",
		"code by client_secret_basic",
		"code by client_secret_post",
		"code by private_key_jwt",
		"assertion for the token endpoint",
		"public client",
		"iss in errors",
		"form_post",
		"userinfo",
		"access token (RFC 9068)",
		"access token for a resource (RFC 8707, RFC 9068)",
		"client credentials (RFC 9068)",
		"refresh",
		"refresh without openid",
		"introspection",
		"revocation answers nothing, and says so",
		"max_age",
		"prompt",
		"errors of the token endpoint",
		"a redirect_uri that is not registered gets a page",
	},
	"oauth4webapi-more": {
		"errors of the front channel come in the fragment for front-channel response types only",
		"pushed request (PAR)",
		"request object (JAR)",
		"dynamic registration",
		"dynamic registration as agents do it",
		"request object by reference (JAR)",
		"userinfo signed by RS256",
		"userinfo signed by ES256",
		"client_secret_jwt",
		"code id_token",
	},
}

// rotation is what rotation.mjs has to find out.
var rotation = expectation{
	"the first rotation on demand goes unnoticed by a client that remembers the key set",
	"rotation on demand publishes the keys after the next ones",
	"the next rotation goes unnoticed too",
	"tokens of before",
	"key set",
}

// application is the single-page application at one origin.
type application struct {
	// frame is the error that renewal in a frame gets there: clients on http loopback addresses need consent each time, and frames on other sites get no cookies.
	frame string
	expectation
}

// singlePage is what the application in Chromium has to find out, by scheme and site.
var singlePage = map[string]application{
	"http same":   {frame: "consent_required", expectation: inBrowser("renewal by frame is told consent_required")},
	"http other":  {frame: "login_required", expectation: inBrowser("renewal by frame is told login_required")},
	"https same":  {expectation: inBrowser("renewal by frame", "session frame", "session change is noticed")},
	"https other": {frame: "login_required", expectation: inBrowser("renewal by frame is told login_required", "session frame")},
}

// inBrowser is what is found out everywhere, and what depends on the place.
func inBrowser(place ...string) expectation {
	return append(expectation{
		"sign-in",
		"key set",
		"renewal by refresh token",
		"preflight with Authorization and DPoP",
		"errors can be read",
		"another application's answers cannot be read",
		"revocation",
		"signoutRedirect",
	}, place...)
}
