package templates

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/net/html"
)

// englishWords are words that no German sentence has. Names of parameters and what programs say are not counted: they stand in code, or in an element that says lang="en".
var englishWords = regexp.MustCompile(`(?i)\b(the|you|your|and|of|with|this|that|not|is|are|were|it|its|sign|signed|again|back|send|sent|register|registered|please|password|account|app that|remove|write|leave)\b`)

// foreign are the values of the fixtures: names that the apps and people chose.
var foreign = strings.NewReplacer(longEmail, "", "Read and change your notes", "", "All notebooks, also shared ones.", "", "Planning and Reporting Suite", "", "Old Directory", "", "e-mail", "")

func TestNoPageMixesEnglishIntoGerman(t *testing.T) {
	for _, e := range examples() {
		layout := e.layout
		layout.Lang = "de"
		_, tree := render(t, layout, e.page)
		for _, words := range spoken(tree) {
			if found := englishWords.FindString(foreign.Replace(words)); found != "" {
				t.Errorf("%s says %q in %q", e.name, found, strings.TrimSpace(words))
			}
		}
	}
}

// spoken are the texts that a page shows or reads out in its own language.
func spoken(n *html.Node) []string {
	if n.Type == html.ElementNode && (slices.Contains([]string{"code", "script", "style", "svg"}, n.Data) || n.Data != "html" && attr(n, "lang") != "") {
		return nil
	}
	var list []string
	if n.Type == html.TextNode {
		list = append(list, n.Data)
	}
	for _, key := range []string{"aria-label", "alt", "title", "data-label", "placeholder"} {
		if n.Type == html.ElementNode && attr(n, key) != "" {
			list = append(list, attr(n, key))
		}
	}
	for child := range n.ChildNodes() {
		list = append(list, spoken(child)...)
	}
	return list
}

func TestEveryLanguageHasTheSameTexts(t *testing.T) {
	all := load(t).languages
	for tag, l := range all {
		for id := range l.messages {
			if all[fallback].messages[id] == nil {
				t.Errorf("%s has %q, which English has not", tag, id)
			}
		}
	}
}

// made are texts whose keys are put together: months by number, mails by kind, scopes by name, claims and outcomes on the account page by theirs.
var made = regexp.MustCompile(`^(date\.month\d+|duration\.|mail\.|scope\.|account\.(field|hint|wrong|done|advice|glance)_)`)

func TestNoTextIsLeftOver(t *testing.T) {
	var source strings.Builder
	for _, folder := range []string{".", "../provider", "../cmd"} {
		err := filepath.WalkDir(folder, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") || !strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, ".html") && !strings.HasSuffix(path, ".txt") {
				return err
			}
			body, err := os.ReadFile(path)
			source.Write(body)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	text := source.String()
	for id := range load(t).in("en").messages {
		if !made.MatchString(id) && !strings.Contains(text, `"`+id+`"`) {
			t.Errorf("nothing says %q", id)
		}
	}
}
