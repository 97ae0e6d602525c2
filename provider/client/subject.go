package client

import (
	"net/url"
	"strings"

	"gatehouse/storage"
)

// applySubject settles what the client knows users by (OpenID Connect Core section 8). The sector of a client is set with its first pairwise registration and stays:
// under another one every user would be a stranger (ruling 45). Whether sector_identifier_uri lists the redirect URIs is asked of it by CheckSector.
func (r Rules) applySubject(c *storage.Client, m *Metadata) error {
	const field = "sector_identifier_uri"
	switch m.SubjectType {
	case "", "public", "pairwise":
	default:
		return refuse("subject_type", shown(m.SubjectType)+" is unknown; use public or pairwise")
	}
	if err := r.fetched(field, m.SectorIdentifierURI); err != nil {
		return err
	}
	if m.SubjectType == "pairwise" {
		sector, err := sectorOf(c.RedirectURIs, m.SectorIdentifierURI)
		if err != nil {
			return err
		}
		if c.Sector != "" && c.Sector != sector {
			return refuse(field, "the host that pairwise subjects are made for is "+shown(c.Sector)+" and cannot change, for all users would become strangers; register a new client")
		}
		c.Sector = sector
	}
	c.SubjectType, c.SectorIdentifierURI = m.SubjectType, m.SectorIdentifierURI
	return nil
}

// sectorOf is the host of sector_identifier_uri, or else the one host of all redirect URIs (OpenID Connect Core section 8.1).
func sectorOf(redirects []string, identifier string) (string, error) {
	if identifier != "" {
		return hostOf(identifier), nil
	}
	sector := ""
	for _, uri := range redirects {
		host := hostOf(uri)
		switch {
		case host == "" || sector != "" && host != sector:
			return "", refuse("sector_identifier_uri", "redirect_uris of a pairwise client that are not all of one host need it; host a JSON array of all of them and name its address")
		case sector == "":
			sector = host
		}
	}
	if sector == "" {
		return "", refuse("sector_identifier_uri", "a pairwise client without redirect_uris needs it")
	}
	return sector, nil
}

// hostOf is the host of a web URI in lower case, empty for others.
func hostOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return strings.ToLower(u.Hostname())
}
