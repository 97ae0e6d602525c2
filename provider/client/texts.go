package client

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gatehouse/storage"
)

const (
	maxName     = 200
	maxContacts = 10
	maxContact  = 254
	maxSoftware = 255
	maxACR      = 10
)

func (r Rules) applyTexts(c *storage.Client, m *Metadata) error {
	if err := plainText("client_name", m.ClientName, maxName); err != nil {
		return err
	}
	if len(m.Contacts) > maxContacts {
		return refuse("contacts", "give at most 10")
	}
	if slices.Contains(m.Contacts, "") {
		return refuse("contacts", "one of them is empty")
	}
	for _, contact := range m.Contacts {
		if err := plainText("contacts", contact, maxContact); err != nil {
			return err
		}
	}
	for _, s := range []struct{ field, value string }{{"software_id", m.SoftwareID}, {"software_version", m.SoftwareVersion}} {
		if err := plainText(s.field, s.value, maxSoftware); err != nil {
			return err
		}
	}
	for _, u := range []struct{ field, value string }{{"client_uri", m.ClientURI}, {"policy_uri", m.PolicyURI}, {"tos_uri", m.TOSURI}} {
		if problem := webURI(u.value); u.value != "" && problem != "" {
			return refuse(u.field, problem)
		}
	}
	if err := r.fetched("logo_uri", m.LogoURI); err != nil {
		return err
	}
	switch m.ApplicationType {
	case "", "web", "native":
	default:
		return refuse("application_type", shown(m.ApplicationType)+" is unknown; use web or native")
	}
	c.Name, c.Contacts, c.ApplicationType = m.ClientName, unique(m.Contacts), m.ApplicationType
	c.ClientURI, c.LogoURI, c.PolicyURI, c.TOSURI = m.ClientURI, m.LogoURI, m.PolicyURI, m.TOSURI
	c.SoftwareID, c.SoftwareVersion = m.SoftwareID, m.SoftwareVersion
	return nil
}

// plainText refuses what could break a line, hide text or turn its direction where the value is shown (security rows 191, 192).
func plainText(field, value string, limit int) error {
	if !utf8.ValidString(value) {
		return refuse(field, "write it in UTF-8")
	}
	if utf8.RuneCountInString(value) > limit {
		return refuse(field, "it is too long")
	}
	if strings.ContainsFunc(value, func(c rune) bool { return unicode.IsControl(c) || unicode.In(c, unicode.Cf, unicode.Zl, unicode.Zp) }) {
		return refuse(field, "write it without control and formatting characters")
	}
	return nil
}
