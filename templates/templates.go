package templates

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"
	"sync"
)

//go:embed html/*.html mail static locales
var files embed.FS

// Page is the content of one page. Template names its file in html/ without the ending; Title is what
// the browser's title bar says before the brand's name.
type Page interface {
	Template() string
	Title() Text
}

// checker is a page that refuses to be rendered with values that would do harm.
type checker interface{ check() error }

// once is a page of which something may be shown only now: then Render leaves the links to other languages out, which would lead away from it.
type once interface{ shownOnce() bool }

// Brand is how the operator presents the server. All fields may be empty.
type Brand struct {
	Name string // "" is shown as Gatehouse
	// LogoURL is a path on this server or an https URL of the issuer's own origin: the
	// Content-Security-Policy of the pages (img-src 'self') blocks any other.
	LogoURL    string
	PrivacyURL string // http(s) URL or path on this server
	TermsURL   string // http(s) URL or path on this server
	SupportURL string // http(s) URL, mailto: address or path on this server
	Theme      Theme
}

// Label is the name to show.
func (b Brand) Label() string {
	if b.Name == "" {
		return "Gatehouse"
	}
	return b.Name
}

// Layout is what every page gets besides its own content.
type Layout struct {
	Brand Brand
	CSRF  string // synchroniser token, sent back as form field csrf
	Nonce string // nonce of the Content-Security-Policy, used by the form_post page alone
	Base  string // path of the issuer: "" or "/x", put before every local path the pages make themselves
	Lang  string // language of the texts, one of Set.Languages; "" is en
	Dir   string // direction of the texts, ltr or rtl; "" is that of the language
	// Switch are links to this page in the other languages; empty where the page cannot be asked for again.
	Switch []Switch
	// Stylesheet is the path that Set.Stylesheet returns, without Base; "" is the set's own.
	Stylesheet string
	// Colours is the path of the sheet with the brand's colours, without Base; Render fills it in.
	Colours string
}

// Switch leads to the same page in another language.
type Switch struct{ Lang, URL string }

// Set is the parsed pages and the static files they need. It is immutable and safe for concurrent use.
type Set struct {
	languages map[string]*language
	matching  func() matching
	assets    assets
	mails     mailLayouts
}

// shared are the files of html/ that are parsed into every page and are no pages themselves.
var shared = []string{"html/layout.html", "html/parts.html", "html/providers.html", "html/accountparts.html"}

// view is the root of a page's data: {{.Page.X}} is the page's, {{.X}} the layout's.
type view struct {
	Layout
	Page Page
}

// Load parses the embedded pages, reads the catalogue and hashes the embedded static files. It fails if a page uses a text that the catalogue lacks.
func Load() (*Set, error) { return shipped() }

// shipped is the Set of the embedded files: they do not change, so neither does it, and a process with several servers, as tests have, parses them once.
var shipped = sync.OnceValues(func() (*Set, error) { return loadFrom(files) })

// LoadOver is Load with files of the operator's in place of the embedded ones of the same name: html/NAME.html, mail/NAME, static/NAME and locales/LANGUAGE/NAME.toml, which may be a new language. It fails, with
// file and line, for a file that is nothing of that and for a page that cannot be shown.
func LoadOver(own fs.FS) (*Set, error) {
	laid, err := lay(own)
	if err != nil {
		return nil, err
	}
	set, err := loadFrom(laid)
	if err != nil {
		return nil, err
	}
	return set, set.try()
}

func loadFrom(files fs.FS) (*Set, error) {
	static, err := fs.Sub(files, "static")
	if err != nil {
		return nil, fmt.Errorf("open static files: %w", err)
	}
	hashed, err := loadAssets(static)
	if err != nil {
		return nil, err
	}
	languages, err := loadLanguages(files)
	if err != nil {
		return nil, err
	}
	mails, err := loadMailLayouts(files)
	if err != nil {
		return nil, err
	}
	set := &Set{languages: languages, assets: hashed, mails: mails}
	set.matching = sync.OnceValue(func() matching { return newMatching(set.Languages()) })
	pages, err := set.parse(files)
	if err != nil {
		return nil, err
	}
	for _, l := range languages {
		l.bind(set, pages)
	}
	return set, nil
}

// parse reads the pages, by name.
func (s *Set) parse(files fs.FS) (map[string]*template.Template, error) {
	english := s.in(fallback)
	common, err := template.New("layout").Funcs(s.funcs(english)).ParseFS(files, shared...)
	if err != nil {
		return nil, fmt.Errorf("parse layout: %w", err)
	}
	names, err := fs.Glob(files, "html/*.html")
	if err != nil {
		return nil, fmt.Errorf("list pages: %w", err)
	}
	pages := map[string]*template.Template{}
	for _, name := range names {
		if slices.Contains(shared, name) {
			continue
		}
		page, err := template.Must(common.Clone()).ParseFS(files, name)
		if err != nil {
			return nil, fmt.Errorf("parse page %s: %w", name, err)
		}
		if err := english.covers(page); err != nil {
			return nil, fmt.Errorf("page %s: %w", name, err)
		}
		pages[strings.TrimSuffix(path.Base(name), ".html")] = page
	}
	return pages, nil
}

// buffers keeps the memory of finished renderings.
var buffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// Render writes the whole page to w, or nothing: a page that fails half way never reaches w. It fails
// for a page without template, for a FormPost or Interstitial whose target is forbidden, and when w fails.
func (s *Set) Render(w io.Writer, l Layout, p Page) error {
	spoken := s.in(l.Lang)
	find, ok := spoken.pages[p.Template()]
	if !ok {
		return fmt.Errorf("render page: no template %q", p.Template())
	}
	page, err := find()
	if err != nil {
		return err
	}
	if c, ok := p.(checker); ok {
		if err := c.check(); err != nil {
			return fmt.Errorf("render page %s: %w", p.Template(), err)
		}
	}
	if o, ok := p.(once); ok && o.shownOnce() {
		l.Switch = nil
	}
	l.Brand.Name = l.Brand.Label()
	l.Lang = spoken.tag
	if l.Dir == "" {
		l.Dir = spoken.dir
	}
	if l.Stylesheet == "" {
		l.Stylesheet = s.Stylesheet()
	}
	l.Colours = l.Brand.Theme.stylesheet()
	buffer := buffers.Get().(*bytes.Buffer)
	defer buffers.Put(buffer)
	buffer.Reset()
	if err := page.ExecuteTemplate(buffer, "layout", view{Layout: l, Page: p}); err != nil {
		return fmt.Errorf("render page %s: %w", p.Template(), err)
	}
	if _, err := w.Write(buffer.Bytes()); err != nil {
		return fmt.Errorf("write page %s: %w", p.Template(), err)
	}
	return nil
}

// Stylesheet returns the path of the stylesheet, such as /static/app.1f2e3d4c5b6a7980.css. The issuer's
// path is not part of it.
func (s *Set) Stylesheet() string { return s.path("app.css") }

// Assets returns the static files under their hashed names (app.1f2e3d4c5b6a7980.css). A name changes
// with the content, so every file may be cached for ever. Mount it at /static/ below the issuer's path.
func (s *Set) Assets() fs.FS { return s.assets }

// path returns the public path of a static file by its plain name.
func (s *Set) path(name string) string { return "/static/" + s.assets.names[name] }

// errTarget is the answer to a target that a page must not send the browser to.
var errTarget = errors.New("forbidden target")
