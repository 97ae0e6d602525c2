package request

// Response types (RFC 6749 section 3.1.1, OAuth 2.0 Multiple Response Type Encoding Practices) and response modes (the same, section 2.1, and OAuth 2.0 Form Post
// Response Mode).

import (
	"net/url"
	"slices"
	"strings"

	"gatehouse/provider/client"
	"gatehouse/provider/grant"
	"gatehouse/provider/redirect"
	"gatehouse/storage"
)

// Returns tells whether the response type asks for a code, a token or an id_token.
func (r *Authorize) Returns(word string) bool {
	for part := range strings.SplitSeq(r.ResponseType, " ") {
		if part == word {
			return true
		}
	}
	return false
}

// canonical returns the response type of the grant table that has the same words, in whatever order they were sent; empty if there is none.
func canonical(sent string) string {
	if sent == "code" {
		return sent
	}
	words := strings.Split(sent, " ")
	slices.Sort(words)
	for _, known := range grant.ResponseTypes() {
		parts := strings.Split(known, " ")
		slices.Sort(parts)
		if slices.Equal(words, parts) {
			return known
		}
	}
	return ""
}

// frontChannel tells whether a client may get tokens from the authorization endpoint: its profile allows it, and it registered a response type for it.
func frontChannel(c *storage.Client) bool {
	return client.ProfileOf(c).FrontChannel && slices.ContainsFunc(c.ResponseTypes, func(t string) bool { return t != "code" })
}

// checkResponseMode comes first, because it decides how every later error travels, also those about the response type: in the mode that was asked for, else in the
// fragment if the response type is one of the front channel and the client uses those, else in the query. What is named twice decides nothing.
func checkResponseMode(repeated []string) func(*Authorize) error {
	return func(req *Authorize) error {
		front := frontChannel(req.Client)
		if !slices.Contains(repeated, "response_type") {
			req.ResponseType = canonical(req.Params.Get("response_type"))
		}
		fragment := front && req.ResponseType != "" && req.ResponseType != "code"
		if fragment {
			req.ResponseMode = "fragment"
		}
		mode := req.Params.Get("response_mode")
		switch {
		case mode == "", slices.Contains(repeated, "response_mode"):
			return nil
		case mode == "query" && fragment:
			return grant.Refuse("invalid_request", "The response_mode query is not allowed for the response_type "+req.ResponseType+": tokens do not belong into a query. Use fragment or form_post.")
		case mode == "fragment" && !front, !slices.Contains(client.ProfileOf(req.Client).ResponseModes, mode):
			return grant.Refuse("invalid_request", "The response_mode is not supported for this client. Use "+modes(front)+".")
		case mode == "form_post" && !takesPost(req.RedirectURI):
			return grant.Refuse("invalid_request", "The response_mode form_post needs an https redirect_uri.")
		}
		req.ResponseMode = mode
		return nil
	}
}

func modes(front bool) string {
	if front {
		return "query for code, fragment or form_post"
	}
	return "query or form_post"
}

// takesPost: a form goes to https, or to a loopback host; never to an app's own scheme (ruling 21).
func takesPost(redirectURI string) bool {
	target, err := url.Parse(redirectURI)
	return err == nil && (target.Scheme == "https" || target.Scheme == "http" && redirect.Loopback(target.Hostname()))
}

// checkResponseType holds the response type against the configuration, the client's profile and its registration.
func (p *Parser) checkResponseType(req *Authorize) error {
	profile := client.ProfileOf(req.Client)
	switch wanted := req.ResponseType; {
	case req.Params.Get("response_type") == "":
		return grant.Refuse("invalid_request", "The parameter response_type is missing. Use "+strings.Join(p.ResponseTypes, ", ")+".")
	case !slices.Contains(p.ResponseTypes, wanted):
		return grant.Refuse("unsupported_response_type", "This response_type is not supported here. Use "+strings.Join(p.ResponseTypes, ", ")+".")
	case wanted != "code" && !profile.FrontChannel:
		return grant.Refuse("unauthorized_client", "The profile of this client, "+profile.Name+", allows code only; register it with the profile compatible to use "+wanted+".")
	case !slices.Contains(req.Client.ResponseTypes, wanted):
		return grant.Refuse("unauthorized_client", "This client is not registered for the response_type "+wanted+". Add it to its response_types.")
	}
	for _, row := range grant.Table {
		if slices.Contains(row.ResponseTypes, req.ResponseType) && !slices.Contains(req.Client.GrantTypes, row.Type) {
			return grant.Refuse("unauthorized_client", "This client is not registered for the grant type "+row.Type+". Add it to its grant_types.")
		}
	}
	return nil
}
