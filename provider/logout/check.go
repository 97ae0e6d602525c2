package logout

import (
	"net/http"

	"gatehouse/provider/web"
	"gatehouse/templates"
)

// checkSession serves the frame that relying parties ask whether the sign-in has changed (OpenID Connect Session Management 1.0 section 3.2). It asks nobody: its
// script compares a hash with the cookie.
func (l *Logout) checkSession(w http.ResponseWriter, r *http.Request) error {
	return web.RenderEmbedded(w, r, templates.CheckSession{Cookie: web.WireName(r, web.StateCookie)})
}
