package config

import (
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"

	"gatehouse/provider/claims"
	"gatehouse/templates"
)

// checkBranding finds what would make pages illegible, dead links and templates that cannot be shown.
func (l *loader) checkBranding() {
	b := l.config.Branding
	if name := strings.TrimSpace(b.Name); name == "" || len(name) > 100 {
		l.fault("branding.name", "is empty or longer than 100 bytes", "write what end users call this service")
	} else if r, hidden := claims.Hidden(b.Name); hidden {
		l.fault("branding.name", fmt.Sprintf("holds a control or formatting character (%U), and is part of pages and of the subjects of mails", r), "write it on one line, without that character")
	}
	if b.LogoURL != "" && !l.ownImage(b.LogoURL) {
		l.fault("branding.logo_url", "is neither a path on this server nor an https URL with the issuer's host, and pages load no images from elsewhere", "let your proxy serve the file and write for example /brand/logo.svg")
	}
	for key, link := range map[string]string{"branding.privacy_url": b.PrivacyURL, "branding.terms_url": b.TermsURL, "branding.support_url": b.SupportURL} {
		if link != "" && !webLink(link) && !(key == "branding.support_url" && strings.HasPrefix(link, "mailto:")) {
			l.fault(key, "is no https URL", "write for example https://example.com/page")
		}
	}
	if err := b.Theme().Check(); err != nil {
		_, problem, _ := strings.Cut(err.Error(), " ")
		l.fault("branding.accent", problem, "write for example \"#1d5c50\", or \"#1d5c50 #86cdb9\" with the one for dark mode, between quotes")
	}
	if b.Templates == "" && b.DefaultLanguage == Default().Branding.DefaultLanguage {
		return // ours are tested, and most commands show no page
	}
	set, err := b.Load()
	if err != nil {
		l.fault("branding.templates", "cannot be used: "+err.Error(), "mend the file, or remove it to get ours")
		return
	}
	if !slices.Contains(set.Languages(), b.DefaultLanguage) {
		l.fault("branding.default_language", "is no language of the pages", "use "+strings.Join(set.Languages(), " or "))
	}
}

// Theme is the colours of the pages.
func (b Branding) Theme() templates.Theme {
	light, dark, _ := strings.Cut(b.Accent, " ")
	return templates.Theme{Accent: light, Dark: strings.TrimSpace(dark)}
}

// Load reads the pages, with the operator's files over ours.
func (b Branding) Load() (*templates.Set, error) {
	if b.Templates == "" {
		return templates.Load()
	}
	folder, err := os.OpenRoot(b.Templates)
	if err != nil {
		return nil, fmt.Errorf("open folder of templates: %w", err)
	}
	defer folder.Close()
	return templates.LoadOver(folder.FS())
}

// ownImage tells whether the pages' Content-Security-Policy (img-src 'self') lets a browser load the image.
func (l *loader) ownImage(link string) bool {
	u, err := url.Parse(link)
	issuer, bad := url.Parse(l.config.Issuer)
	if err != nil || bad != nil || strings.ContainsAny(link, "\\\r\n\t") {
		return false
	}
	if u.Scheme == "" && u.Host == "" {
		return strings.HasPrefix(link, "/")
	}
	return u.Scheme == "https" && issuer.Scheme == "https" && u.Host == issuer.Host && u.User == nil
}
