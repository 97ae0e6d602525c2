package templates

import (
	"fmt"
	"io"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"
)

// overlay is the operator's files over the embedded ones.
type overlay struct{ base, own fs.FS }

// added are the names that an operator's folder may hold beside those of the embedded files: texts, also of languages that are not here.
var added = regexp.MustCompile(`^locales/[A-Za-z0-9-]+/[a-z_]+\.toml$`)

// lay puts the operator's files over the embedded ones, if each of them has a place there.
func lay(own fs.FS) (fs.FS, error) {
	err := fs.WalkDir(own, ".", func(name string, d fs.DirEntry, err error) error {
		switch hidden := name != "." && strings.HasPrefix(path.Base(name), "."); {
		case hidden && d.IsDir():
			return fs.SkipDir
		case err != nil || hidden || d.IsDir() || added.MatchString(name):
			return err
		}
		if _, err := fs.Stat(files, name); err != nil {
			return fmt.Errorf("%s takes the place of nothing: files are named html/NAME.html, mail/layout.html, mail/layout.txt, static/app.css and locales/LANGUAGE/NAME.toml", name)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read folder of templates: %w", err)
	}
	return overlay{files, own}, nil
}

// Open implements fs.FS.
func (o overlay) Open(name string) (fs.File, error) {
	if f, err := o.own.Open(name); err == nil {
		if state, err := f.Stat(); err == nil && !state.IsDir() {
			return f, nil
		}
		_ = f.Close() // a folder: which files it has is for ReadDir to say
	}
	return o.base.Open(name)
}

// ReadDir implements fs.ReadDirFS: it lists the files of both.
func (o overlay) ReadDir(name string) ([]fs.DirEntry, error) {
	list, err := fs.ReadDir(o.base, name)
	more, _ := fs.ReadDir(o.own, name)
	if err != nil && more == nil {
		return nil, fmt.Errorf("list templates: %w", err)
	}
	for _, entry := range more {
		known := slices.ContainsFunc(list, func(e fs.DirEntry) bool { return e.Name() == entry.Name() })
		if !known && !strings.HasPrefix(entry.Name(), ".") {
			list = append(list, entry)
		}
	}
	slices.SortFunc(list, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return list, nil
}

// every is one page of each kind, without content.
var every = []Page{
	Account{}, AccountActivity{}, AccountApps{}, AccountAuthenticator{}, AccountCodes{}, AccountData{}, AccountPasskey{}, AccountPassword{}, AccountProfile{}, AccountSecurity{}, AccountSessions{},
	Accounts{}, AskLink{}, CheckSession{}, Consent{}, Done{}, Enrol{}, Error{}, Factor{}, FormPost{}, Interstitial{}, LinkAccount{}, Login{}, LogoutConfirm{}, LogoutReturn{}, RedirectMismatch{}, RecoveryCodes{},
	Press{}, Reset{}, SignUp{}, SignUpConfirm{}, SignedOut{}, SigningOut{}, Terms{}, Told{}, UpstreamProblem{},
}

// try shows every page in every language without content, which finds what parsing does not: fields that are not there and values in places where they cannot be made safe.
func (s *Set) try() error {
	for _, tag := range s.Languages() {
		for _, p := range every {
			page, err := s.languages[tag].pages[p.Template()]()
			if err != nil {
				return err
			}
			layout := Layout{Lang: tag, Dir: s.languages[tag].dir, Stylesheet: s.Stylesheet()}
			if err := page.ExecuteTemplate(io.Discard, "layout", view{Layout: layout, Page: p}); err != nil {
				return fmt.Errorf("show page html/%s.html in %s: %w", p.Template(), tag, err)
			}
		}
	}
	return nil
}
