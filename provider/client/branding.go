package client

import (
	"net/url"
	"strings"

	"gatehouse/storage"
	"gatehouse/templates"
)

// checkBranding refuses looks that pages could not show.
func (r Rules) checkBranding(b *storage.Branding) error {
	if b == nil {
		return nil
	}
	if len(b.Name) > 100 {
		return refuse("branding", "its name is longer than 100 bytes")
	}
	if err := (templates.Theme{Accent: b.Accent, Dark: b.AccentDark}).Check(); err != nil {
		return refuse("branding", "its "+err.Error())
	}
	if b.LogoURL != "" && !r.ownImage(b.LogoURL) {
		return refuse("branding", "its logo_url is neither a path on this server nor an https URL with the host of the issuer, and pages load no images from elsewhere")
	}
	for name, address := range map[string]string{"privacy_url": b.PrivacyURL, "terms_url": b.TermsURL, "support_url": b.SupportURL} {
		if address != "" && !link(address, "https") && !(name == "support_url" && strings.HasPrefix(address, "mailto:")) {
			return refuse("branding", "its "+name+" is no https URL")
		}
	}
	return nil
}

// ownImage tells whether pages may load an image from an address.
func (r Rules) ownImage(address string) bool {
	u, err := url.Parse(address)
	return err == nil && link(address, "https") && (u.Scheme == "" || r.ImageHost != "" && u.Host == r.ImageHost)
}

// link tells whether an address is a path on this server or a URL of the scheme.
func link(address, scheme string) bool {
	if strings.ContainsAny(address, "\\\r\n\t") || strings.HasPrefix(address, "//") {
		return false
	}
	u, err := url.Parse(address)
	return err == nil && u.User == nil && (strings.HasPrefix(address, "/") || u.Scheme == scheme && u.Host != "")
}
