package templates

import (
	"html/template"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// funcs are the functions the pages may call. t and th find a text by its key, say puts a Text into words; th takes values that are markup.
func (s *Set) funcs(l *language) template.FuncMap {
	return template.FuncMap{
		"t":        l.text,
		"th":       l.markup,
		"say":      l.say,
		"strong":   strong,
		"host":     host,
		"span":     span,
		"code":     code,
		"anchor":   anchor,
		"endonym":  s.endonym,
		"asset":    s.path,
		"image":    localPath,
		"logo":     brandLogo,
		"link":     webLink,
		"help":     helpLink,
		"place":    place,
		"monogram": monogram,
		"date":     l.date,
		"moment":   l.moment,
		"duration": l.duration,
		"day":      l.dateElement,
		"when":     l.momentElement,
		"machine":  machine,
		"compare":  compare,
		"client":   func(name, logo string) ClientView { return ClientView{Name: name, LogoURL: logo} },
		"style":    markStyle,
		"start": func(base, csrf, interaction string, b UpstreamButton) startForm {
			return startForm{Button: b, Base: base, CSRF: csrf, Interaction: interaction}
		},
	}
}

// machine is a time for programs.
func machine(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// localPath returns raw if it is a path on this server, else "". A second slash or a backslash at the
// start, or a control character anywhere, would let a browser read a host out of it.
func localPath(raw string) string {
	if !strings.HasPrefix(raw, "/") || strings.HasPrefix(raw, "//") || strings.ContainsFunc(raw, unsafeInURL) {
		return ""
	}
	return raw
}

// unsafeInURL are characters that browsers drop or turn round while parsing a URL.
func unsafeInURL(r rune) bool { return r == '\\' || r == utf8.RuneError || unicode.IsControl(r) }

// webLink returns raw if a person may be sent there from a page: http, https or a path on this server.
func webLink(raw string) string {
	if local := localPath(raw); local != "" {
		return local
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.User != nil || strings.ContainsFunc(raw, unsafeInURL) {
		return ""
	}
	if u.Scheme == "https" || u.Scheme == "http" {
		return raw
	}
	return ""
}

// helpLink is webLink and mailto, for the operator's own support link.
func helpLink(raw string) string {
	u, err := url.Parse(raw)
	if err == nil && u.Scheme == "mailto" && strings.Contains(u.Opaque, "@") {
		return raw
	}
	return webLink(raw)
}

// brandLogo returns the operator's logo: a local path or an https URL.
func brandLogo(raw string) string {
	if link := webLink(raw); strings.HasPrefix(link, "/") || strings.HasPrefix(link, "https:") {
		return link
	}
	return ""
}

// hostOf returns the host (and port) of a URL, or raw if it has none.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return raw
	}
	return u.Host
}

// place is a resource without its https:// and its last slash.
func place(raw string) string {
	return strings.TrimSuffix(strings.TrimPrefix(raw, "https://"), "/")
}

// monogram is the first letter or digit of a name, for tiles without a logo.
func monogram(name string) string {
	for _, r := range name {
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			return string(unicode.ToUpper(r))
		}
	}
	return "•"
}
