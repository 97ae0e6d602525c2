package templates

import (
	"cmp"
	"embed"
	"fmt"
	"io/fs"
	"strings"
	texttemplate "text/template"
	"time"

	"github.com/pelletier/go-toml/v2"
)

//go:embed locales
var mailLocales embed.FS

// mailWords are the words of mails by language and key.
type mailWords map[string]map[string]*texttemplate.Template

func loadMailWords() (mailWords, error) {
	words := mailWords{}
	for _, lang := range []string{"en", "de"} {
		raw, err := fs.ReadFile(mailLocales, "locales/"+lang+"/mail.toml")
		if err != nil {
			return nil, fmt.Errorf("read words of mails: %w", err)
		}
		var tree map[string]any
		if err := toml.Unmarshal(raw, &tree); err != nil {
			return nil, fmt.Errorf("parse words of mails in %s: %w", lang, err)
		}
		words[lang] = map[string]*texttemplate.Template{}
		if err := words.add(lang, "", tree); err != nil {
			return nil, err
		}
	}
	return words, nil
}

func (w mailWords) add(lang, prefix string, tree map[string]any) error {
	for name, value := range tree {
		key := strings.TrimPrefix(prefix+"."+name, ".")
		switch value := value.(type) {
		case map[string]any:
			if err := w.add(lang, key, value); err != nil {
				return err
			}
		case string:
			parsed, err := texttemplate.New(key).Parse(value)
			if err != nil {
				return fmt.Errorf("parse words of mails in %s: %w", lang, err)
			}
			w[lang][key] = parsed
		}
	}
	return nil
}

// mailData are the values that stand in the words.
type mailData struct{ Brand, Name, Address, Detail, Life string }

// speaker says things in one language about one mail, and remembers the first failure.
type speaker struct {
	lang  string
	words map[string]*texttemplate.Template
	data  mailData
	err   error
}

func (w mailWords) speaker(lang string, m Mail) *speaker {
	base, _, _ := strings.Cut(strings.ToLower(strings.ReplaceAll(lang, "_", "-")), "-")
	if w[base] == nil {
		base = "en"
	}
	s := &speaker{lang: base, words: w[base]}
	s.data = mailData{Brand: cmp.Or(mailWord(m.Brand.Name), "Gatehouse"), Name: plainWord(m.Name), Address: mailWord(m.Address), Detail: plainWord(m.Detail), Life: mailLife(base, m.Life)}
	return s
}

func (s *speaker) the(key string) string {
	var b strings.Builder
	words := s.words[key]
	if words == nil {
		s.err = cmp.Or(s.err, fmt.Errorf("no words for %s in %s", key, s.lang))
		return ""
	}
	if err := words.Execute(&b, s.data); err != nil {
		s.err = cmp.Or(s.err, err)
	}
	return b.String()
}

// facts tells when, where and with what.
func (s *speaker) facts(m Mail) []mailFact {
	var out []mailFact
	add := func(key, value string) {
		if value != "" {
			out = append(out, mailFact{s.the(key), value})
		}
	}
	if !m.When.IsZero() {
		add("mail.fact_when", mailMoment(s.lang, m.When.UTC()))
	}
	add("mail.fact_device", plainWord(m.Device))
	add("mail.fact_place", mailWord(m.Place))
	return out
}

var germanMonths = []string{"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"}

func mailMoment(lang string, t time.Time) string {
	if lang == "de" {
		return fmt.Sprintf("%d. %s %d, %s Uhr UTC", t.Day(), germanMonths[t.Month()-1], t.Year(), t.Format("15:04"))
	}
	return t.Format("2 January 2006, 15:04 UTC")
}

func mailLife(lang string, d time.Duration) string {
	units := map[string][3]string{"en": {"days", "hours", "minutes"}, "de": {"Tage", "Stunden", "Minuten"}}[lang]
	switch {
	case d >= 48*time.Hour:
		return fmt.Sprintf("%d %s", d/(24*time.Hour), units[0])
	case d >= 2*time.Hour:
		return fmt.Sprintf("%d %s", d/time.Hour, units[1])
	}
	return fmt.Sprintf("%d %s", (d+time.Minute-1)/time.Minute, units[2])
}
