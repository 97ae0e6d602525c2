package logout

// What the browser sees and does once a session has ended: OpenID Connect Front-Channel Logout 1.0.

import (
	"context"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"gatehouse/provider/session"
	"gatehouse/provider/web"
	"gatehouse/storage"
	"gatehouse/templates"
)

// maxFrames bounds the frames of one page, and with them the length of its policy.
const maxFrames = 30

// parties are the clients of the sessions that have ended.
type parties struct {
	told, silent []string        // names of those that are told, and of those that want to hear nothing
	named        map[string]bool // which are in one of the lists: two accounts may have used one app
	frames       []templates.Frame
	origins      []string // of the frames
}

// toTell sorts the clients of the sessions by how they learn of the end.
func (l *Logout) toTell(ctx context.Context, ended []*session.Ended) (*parties, error) {
	p := &parties{named: map[string]bool{}}
	for _, one := range ended {
		if err := l.sort(ctx, p, one); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// sort adds the clients of one session.
func (l *Logout) sort(ctx context.Context, p *parties, ended *session.Ended) error {
	for _, id := range ended.Clients {
		c, err := l.Engine.Client(ctx, id)
		if errors.Is(err, storage.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		name, told := labelOf(c), c.BackchannelLogoutURI != ""
		if origin := originOf(c.FrontchannelLogoutURI); origin != "" && len(p.frames) < maxFrames {
			told = true
			p.frames = append(p.frames, templates.Frame{Name: name, URL: template.URL(l.frameURL(c, ended.Session.ID))})
			if !slices.Contains(p.origins, origin) {
				p.origins = append(p.origins, origin)
			}
		}
		if key := fmt.Sprint(told, id); !p.named[key] {
			p.named[key] = true
			if told {
				p.told = append(p.told, name)
			} else {
				p.silent = append(p.silent, name)
			}
		}
	}
	return nil
}

// frameURL is a client's logout URI with iss and sid (section 3), always both: a client that needs neither ignores them.
func (l *Logout) frameURL(c *storage.Client, sid string) string {
	return addQuery(c.FrontchannelLogoutURI, "iss="+escape(l.Engine.Issuer)+"&sid="+escape(l.Engine.SIDOf(c, sid)))
}

// originOf is the origin of a front-channel URI as a Content-Security-Policy names it, empty for what cannot be framed.
func originOf(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	host := strings.ToLower(u.Host)
	if strings.Trim(host, "abcdefghijklmnopqrstuvwxyz0123456789.-:[]_") != "" {
		return "" // would end the directive
	}
	return u.Scheme + "://" + host
}

// leave answers a request once nobody is signed in any more: a page with frames if there are any, else the address that the request asked for, else our own page.
func (l *Logout) leave(w http.ResponseWriter, r *http.Request, a *ask, p *parties) error {
	switch {
	case a.target == "":
		page := templates.SignedOut{Told: p.told, Silent: p.silent, Frames: p.frames, Fault: a.fault}
		return web.RenderFraming(w, r, http.StatusOK, page, p.origins...)
	case len(p.frames) > 0 || a.viaUpstream && a.ownForm:
		page := templates.SigningOut{Frames: p.frames, Next: template.URL(a.target)}
		return web.RenderFraming(w, r, http.StatusOK, page, p.origins...)
	}
	return web.Redirect(w, r, a.target)
}
