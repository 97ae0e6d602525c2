package playground

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"gatehouse/provider/rp"
)

// explained is a name and value with what it is for.
type explained struct{ Name, Value, Note, Meaning string }

// problem is what went wrong, in words that lead on.
type problem struct{ Heading, Code, Text, Advice string }

var scopeMeaning = map[string]string{
	"openid": "makes it a sign-in: there will be an ID token", "profile": "name, picture, locale and the like", "email": "e-mail address, and whether it is verified",
	"address": "postal address", "phone": "telephone number", "offline_access": "refresh tokens that outlive the browser session",
}

var requestMeaning = map[string]string{
	"client_id":             "The application, as it is registered.",
	"redirect_uri":          "Where the answer goes. It must be registered, byte for byte.",
	"response_type":         "code: the answer carries a one-time code and no token.",
	"scope":                 "What the application asks for.",
	"state":                 "A random value kept in this browser's session. The answer must repeat it; anything else is dropped.",
	"nonce":                 "A random value that must appear in the ID token, so that a stolen ID token cannot be played back.",
	"code_challenge":        "SHA-256 of a secret that never left the application (PKCE). A stolen code is worth nothing without it.",
	"code_challenge_method": "S256: how the challenge was made.",
	"prompt":                "What the provider must ask, or (none) must not.",

	"id_token_hint":            "The ID token of this sign-in. It proves who asks and whose session is meant, so that the provider need not ask you. It may have expired.",
	"post_logout_redirect_uri": "Where you come back to. It must be registered, byte for byte.",
}

var responseMeaning = map[string]string{
	"code":              "Usable once, for a minute, by this client, with the PKCE verifier. It is spent by now.",
	"state":             "Equal to the one that was sent: checked.",
	"iss":               "Who answers (RFC 9207). Equal to the issuer: checked, against mix-up of two providers.",
	"error":             "Why there is no code.",
	"error_description": "The same in words, for developers.",
}

var claimMeaning = map[string]string{
	"iss": "Issuer: who made this token.", "sub": "Subject: the user's stable id here. Key your accounts on it, not on the e-mail.",
	"aud": "Audience: for whom the token is. Anyone else must refuse it.", "exp": "Expires.", "iat": "Issued.", "nbf": "Not valid before.",
	"auth_time": "When the user proved who they are.", "nonce": "The value of the request: checked.", "at_hash": "Ties the access token to this ID token.",
	"sid": "The browser session at the provider, for logout.", "azp": "The client that asked for the token.", "amr": "How the user signed in (RFC 8176).",
	"acr": "How strong the sign-in was.", "jti": "The token's own id.", "client_id": "The client that the token was issued to.",
	"scope": "What the token allows.", "gid": "The family of tokens that dies as one.", "name": "Full name.", "given_name": "Given name.",
	"family_name": "Family name.", "preferred_username": "What the user likes to be called; may change.", "email": "E-mail address; may change.",
	"email_verified": "Whether the provider knows that the address is the user's.", "picture": "Picture.", "locale": "Language and region.",
	"zoneinfo": "Time zone.", "updated_at": "When the profile last changed.", "phone_number": "Telephone number.", "address": "Postal address.",
}

// protocolClaims say something about the token, not about the user.
var protocolClaims = []string{"iss", "aud", "exp", "iat", "nbf", "auth_time", "nonce", "at_hash", "c_hash", "sid", "azp", "amr", "acr", "jti", "gid"}

var advice = map[string]string{
	"access_denied":          "You declined, or the provider did for you. An application should offer to try again.",
	"login_required":         "prompt=none forbids asking, and nobody is signed in. Sign in without it.",
	"consent_required":       "prompt=none forbids asking, and this consent was not given before. Sign in without it.",
	"interaction_required":   "prompt=none forbids asking, and something had to be asked.",
	"invalid_scope":          "The client is not registered for one of these scopes.",
	"invalid_client":         "The client's id or secret is wrong: perhaps it was rotated. Restart the server to read it again.",
	"invalid_grant":          "The code or refresh token is used up, expired or revoked. Sign in again.",
	"invalid_token":          "The access token is expired or revoked.",
	"unsupported_grant_type": "The provider does not offer this grant, or not to this client.",
}

// explain is nil if err is.
func explain(err error) *problem {
	if err == nil {
		return nil
	}
	p := &problem{Heading: "That did not work", Text: err.Error()}
	var answer *rp.Error
	if errors.As(err, &answer) {
		p.Code, p.Advice = answer.Code, advice[answer.Code]
		if answer.Code == "access_denied" {
			p.Heading = "Access was not granted"
		}
	}
	return p
}

func explainAll(list []pair, meaning map[string]string) []explained {
	var out []explained
	for _, item := range list {
		out = append(out, explained{Name: item.Name, Value: item.Value, Meaning: meaning[item.Name]})
	}
	return out
}

func explainClaims(payload json.RawMessage) []explained {
	var claims map[string]any
	if err := json.Unmarshal(payload, &claims); err != nil {
		return nil // a payload that is no object has no claims
	}
	return explainMap(claims)
}

func explainMap(claims map[string]any) []explained {
	var out []explained
	for _, name := range slices.Sorted(maps.Keys(claims)) {
		e := explained{Name: name, Meaning: claimMeaning[name]}
		switch value := claims[name].(type) {
		case string:
			e.Value = value
		case float64:
			e.Value = fmt.Sprintf("%.0f", value)
			if slices.Contains([]string{"exp", "iat", "nbf", "auth_time", "updated_at"}, name) {
				e.Note = time.Unix(int64(value), 0).UTC().Format("2 Jan 2006 15:04:05 MST")
			}
		default:
			text, err := json.Marshal(value)
			if err != nil {
				continue // values out of JSON can be written as JSON
			}
			e.Value = string(text)
		}
		out = append(out, e)
	}
	return out
}
