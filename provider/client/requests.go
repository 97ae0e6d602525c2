package client

import (
	"slices"
	"strings"

	"gatehouse/storage"
)

// applyRequests settles how authorization requests of the client may come: request objects by reference and their signatures (RFC 9101), pushed requests (RFC 9126),
// and logins that others start (OpenID Connect Core section 4).
func (r Rules) applyRequests(c *storage.Client, m *Metadata) error {
	if problem := httpsURI(m.InitiateLoginURI); m.InitiateLoginURI != "" && problem != "" {
		return refuse("initiate_login_uri", problem)
	}
	uris := unique(m.RequestURIs)
	if len(uris) > maxURIs {
		return refuse("request_uris", "give at most 50")
	}
	for _, uri := range uris {
		// The fragment may be the hash of the content (OpenID Connect Core section 6.2) and is no part of what is fetched.
		address, fragment, _ := strings.Cut(uri, "#")
		if address == "" {
			return refuse("request_uris", "one of them is empty")
		}
		if problem := plainFragment(fragment); problem != "" {
			return refuse("request_uris", shown(uri)+": "+problem)
		}
		if err := r.fetched("request_uris", address); err != nil {
			return err
		}
	}
	if err := r.applyRequestObjects(c, m); err != nil {
		return err
	}
	c.InitiateLoginURI, c.RequestURIs, c.RequirePAR = m.InitiateLoginURI, uris, m.RequirePAR
	return nil
}

func (r Rules) applyRequestObjects(c *storage.Client, m *Metadata) error {
	const field = "request_object_signing_alg"
	switch alg := m.RequestObjectAlg; {
	case alg == "", slices.Contains(AssertionAlgorithms, alg):
	case alg != "none":
		return refuse(field, shown(alg)+" is not offered; use "+strings.Join(AssertionAlgorithms, ", "))
	case m.RequireSignedRequestObject:
		return refuse(field, "none contradicts require_signed_request_object")
	default:
		if err := r.unsigned(c, field, r.UnsignedRequestObjects, "oauth.allow_unsigned_request_objects"); err != nil {
			return err
		}
	}
	c.RequestObjectAlg, c.RequireSignedRequestObject = m.RequestObjectAlg, m.RequireSignedRequestObject
	return nil
}
