package templates

import (
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	parser "github.com/nicksnyder/go-i18n/v2/i18n/template"
	"github.com/pelletier/go-toml/v2"
	xlanguage "golang.org/x/text/language"
)

// fallback is the language of logs, of JSON and of people whose language is not here.
const fallback = "en"

// language is one language of the catalogue and the pages that are bound to it.
type language struct {
	tag, dir  string
	messages  map[string]*i18n.Message
	localizer *i18n.Localizer
	pages     map[string]func() (*template.Template, error)
}

// strict refuses a placeholder without a value.
var strict = &parser.TextParser{Option: "missingkey=error"}

// look finds a text and fills in its placeholders.
func (l *language) look(id string, data map[string]any) (string, error) {
	message := l.messages[id]
	if message == nil {
		return "", fmt.Errorf("the catalogue of %s has no text %q", l.tag, id)
	}
	if message.One == "" && !strings.Contains(message.Other, "{{") {
		return message.Other, nil // most are: a page asks for dozens
	}
	config := &i18n.LocalizeConfig{MessageID: id, TemplateData: data, TemplateParser: strict}
	if count, ok := data["Count"]; ok {
		config.PluralCount = count
	}
	words, err := l.localizer.Localize(config)
	if err != nil && config.PluralCount != nil { // an operator's language that lacks a plural form of this number: no page is lost by that
		config.PluralCount = nil
		words, err = l.localizer.Localize(config)
	}
	if err != nil {
		return "", fmt.Errorf("text %q of %s: %w", id, l.tag, err)
	}
	return words, nil
}

// loadLanguages reads locales/LANGUAGE/*.toml. Every language must have every text of English.
func loadLanguages(files fs.FS) (map[string]*language, error) {
	folders, err := fs.ReadDir(files, "locales")
	if err != nil {
		return nil, fmt.Errorf("list languages: %w", err)
	}
	bundle := i18n.NewBundle(xlanguage.English)
	languages := map[string]*language{}
	for _, folder := range folders {
		tag, err := xlanguage.Parse(folder.Name())
		if err != nil || !folder.IsDir() || tag.String() != folder.Name() {
			return nil, fmt.Errorf("locales/%s is not a folder named as a language, such as pt-BR", folder.Name())
		}
		messages, err := loadMessages(files, "locales/"+folder.Name())
		if err != nil {
			return nil, err
		}
		if err := bundle.AddMessages(tag, slices.Collect(maps.Values(messages))...); err != nil {
			return nil, fmt.Errorf("texts of %s: %w", folder.Name(), err)
		}
		languages[folder.Name()] = &language{tag: folder.Name(), dir: direction(tag), messages: messages}
	}
	if languages[fallback] == nil {
		return nil, errors.New("there is no folder locales/" + fallback)
	}
	for tag, l := range languages {
		l.localizer = i18n.NewLocalizer(bundle, tag)
	}
	return languages, complete(languages)
}

func loadMessages(files fs.FS, folder string) (map[string]*i18n.Message, error) {
	names, err := fs.Glob(files, folder+"/*.toml")
	if err != nil {
		return nil, fmt.Errorf("list texts: %w", err)
	}
	all := map[string]*i18n.Message{}
	for _, name := range names {
		body, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, fmt.Errorf("read texts: %w", err)
		}
		messages, err := i18n.ParseMessageBytes(body, toml.Unmarshal)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, located(err))
		}
		for _, m := range messages {
			if all[m.ID] != nil {
				return nil, fmt.Errorf("%s: text %q is there twice", name, m.ID)
			}
			all[m.ID] = m
		}
	}
	return all, nil
}

// located adds the line to a fault of TOML.
func located(err error) error {
	var fault *toml.DecodeError
	if errors.As(err, &fault) {
		row, column := fault.Position()
		return fmt.Errorf("line %d, column %d: %w", row, column, err)
	}
	return err
}

// complete finds the texts that a language lacks.
func complete(languages map[string]*language) error {
	for _, tag := range slices.Sorted(maps.Keys(languages)) {
		for _, id := range slices.Sorted(maps.Keys(languages[fallback].messages)) {
			if m := languages[tag].messages[id]; m == nil || m.Other == "" {
				return fmt.Errorf("locales/%s has no text %q", tag, id)
			}
		}
	}
	return nil
}

// rightToLeft are the scripts that are written so.
var rightToLeft = []string{"Adlm", "Arab", "Hebr", "Mand", "Mend", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa", "Yezi"}

func direction(tag xlanguage.Tag) string {
	script, _ := tag.Script()
	if slices.Contains(rightToLeft, script.String()) {
		return "rtl"
	}
	return "ltr"
}

// bind gives a language its pages. Each is cloned when it is first shown, so that a start pays for none of them.
func (l *language) bind(s *Set, parsed map[string]*template.Template) {
	l.pages = make(map[string]func() (*template.Template, error), len(parsed))
	for name, page := range parsed {
		l.pages[name] = sync.OnceValues(func() (*template.Template, error) {
			clone, err := page.Clone()
			if err != nil {
				return nil, fmt.Errorf("copy page %s: %w", name, err)
			}
			return clone.Funcs(s.funcs(l)), nil
		})
	}
}

// Languages are the languages of the catalogue, as BCP 47 tags in alphabetical order.
func (s *Set) Languages() []string { return slices.Sorted(maps.Keys(s.languages)) }

// Choices are the languages of the catalogue, each with its own name.
func (s *Set) Choices() ([]Language, error) {
	var list []Language
	for _, tag := range s.Languages() {
		name, err := s.endonym(tag)
		if err != nil {
			return nil, err
		}
		list = append(list, Language{Tag: tag, Name: name})
	}
	return list, nil
}

// in is the language of a tag, the fallback if there is none.
func (s *Set) in(tag string) *language {
	if l := s.languages[tag]; l != nil {
		return l
	}
	return s.languages[fallback]
}

// Say puts a text into words of a language of Languages; any other is taken as English.
func (s *Set) Say(tag string, t Text) (string, error) { return s.in(tag).say(t) }

// matching is what Match needs, built on the first call.
type matching struct {
	tags    []string
	matcher xlanguage.Matcher
}

func newMatching(tags []string) matching {
	parsed := make([]xlanguage.Tag, 0, len(tags))
	for _, tag := range tags {
		parsed = append(parsed, xlanguage.Make(tag))
	}
	return matching{tags, xlanguage.NewMatcher(parsed)}
}

// maxWishes is the longest list of languages that is looked at, in bytes: browsers send less than a hundred, and parsing is slow.
const maxWishes = 200

// Match finds the language that a list of wishes, in the form of an Accept-Language header, asks for; "" if it asks for none that is here.
func (s *Set) Match(wishes string) string {
	if len(wishes) > maxWishes {
		wishes = wishes[:maxWishes]
		wishes = wishes[:max(0, strings.LastIndexByte(wishes, ','))]
	}
	if wishes == "" {
		return ""
	}
	if s.languages[wishes] != nil {
		return wishes
	}
	tags, weights, err := xlanguage.ParseAcceptLanguage(wishes)
	if err != nil {
		return ""
	}
	for i, weight := range weights {
		if weight == 0 { // an explicit refusal
			tags = tags[:i]
			break
		}
	}
	if len(tags) == 0 {
		return ""
	}
	m := s.matching()
	_, index, confidence := m.matcher.Match(tags...)
	if confidence == xlanguage.No {
		return ""
	}
	return m.tags[index]
}

// endonym is what a language calls itself.
func (s *Set) endonym(tag string) (string, error) { return s.in(tag).look("language", nil) }
