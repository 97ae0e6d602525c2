package templates

import (
	"io/fs"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/fstest"
)

func TestBrandColoursStayLegible(t *testing.T) {
	random := rand.New(rand.NewPCG(5, 9))
	kept := 0
	for range 20000 {
		c := rgb{random.Float64(), random.Float64(), random.Float64()}
		theme := Theme{Accent: c.String()}
		if random.IntN(2) == 0 {
			theme.Dark = rgb{random.Float64(), random.Float64(), random.Float64()}.String()
		}
		if theme.Check() != nil {
			if theme.stylesheet() != "" {
				t.Fatalf("%v was refused and is delivered", theme)
			}
			continue
		}
		kept++
		sheets := colour.FindAllStringSubmatch(string(theme.css()), -1)
		for i, grounds := range [][]rgb{{lightSurface, lightGround}, {darkSurface, darkGround}} {
			got := map[string]rgb{}
			for _, m := range sheets[i*4 : i*4+4] {
				got[m[1]] = mustColour("#" + m[2])
			}
			text := []string{"#18211e", "#e9eeeb"}[i]
			for name, ratio := range map[string]float64{
				"accent on surface": contrast(got["accent"], grounds[0]), "accent on ground": contrast(got["accent"], grounds[1]), "text of buttons": contrast(got["on-accent"], got["accent"]),
				"text of buttons under the pointer": contrast(got["on-accent"], got["accent-strong"]), "links on soft ground": contrast(got["accent-strong"], got["accent-soft"]), "text on soft ground": contrast(mustColour(text), got["accent-soft"]),
			} {
				if ratio < legible {
					t.Fatalf("%v: %s has %.2f", theme, name, ratio)
				}
			}
		}
	}
	if kept < 1000 {
		t.Errorf("only %d themes were accepted", kept)
	}
}

func TestColoursThatNobodyCanReadAreRefused(t *testing.T) {
	for _, theme := range []Theme{{"#ffcc00", ""}, {"red", ""}, {"#12345", ""}, {"#1d5c50", "#222222"}, {"", "#86cdb9"}, {"#1d5c5g", ""}, {"#1d5c50;}", ""}} {
		if theme.Check() == nil {
			t.Errorf("%v is accepted", theme)
		}
	}
	for _, theme := range []Theme{{}, {"#8A1C5B", ""}, {"#1d5c50", "#86cdb9"}} {
		if err := theme.Check(); err != nil {
			t.Errorf("%v: %v", theme, err)
		}
	}
}

// Any node serves the sheet that the page of another names, and none that was not made here.
func TestSheetsOfColoursAreServedByName(t *testing.T) {
	layout := plainLayout()
	layout.Base, layout.Brand.Theme = "/x", Theme{Accent: "#8A1C5B"}
	page, tree := render(t, layout, Login{Password: true})
	var sheets []string
	for _, n := range named(tree, "link") {
		if attr(n, "rel") == "stylesheet" {
			sheets = append(sheets, attr(n, "href"))
		}
	}
	if len(sheets) != 2 || !strings.HasPrefix(sheets[1], "/x/static/brand.8a1c5b-.") || strings.Contains(page, "style=") {
		t.Fatalf("stylesheets %v", sheets)
	}
	name := strings.TrimPrefix(sheets[1], "/x/static/")
	css, err := fs.ReadFile(load(t).Assets(), name)
	if err != nil || !strings.Contains(string(css), "--accent: #8a1c5b;") {
		t.Errorf("%s: %v %s", name, err, css)
	}
	for _, bad := range []string{"brand.8a1c5b-.0000000000000000.css", strings.Replace(name, "8a1c5b", "8a1c5c", 1), "brand.ffcc00-.0000000000000000.css", "brand.}{.css"} {
		if _, err := fs.Stat(load(t).Assets(), bad); err == nil {
			t.Errorf("%s is served", bad)
		}
	}
}

func TestOperatorsFilesTakeThePlaceOfOurs(t *testing.T) {
	words, err := fs.ReadFile(files, "locales/en/login.toml")
	if err != nil {
		t.Fatal(err)
	}
	set, err := LoadOver(fstest.MapFS{
		"html/done.html":        {Data: []byte(`{{define "main"}}<h1>House style: {{say .Page.Title}}</h1>{{end}}`)},
		"static/app.css":        {Data: []byte(`h1 { color: #123456 }`)},
		"locales/en/login.toml": {Data: []byte(strings.Replace(string(words), `submit = "`, `submit = "Ahoy, `, 1))},
		".git/config":           {Data: []byte("x")},
	})
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	for _, page := range []Page{Done{}, Login{Password: true}} {
		if err := set.Render(&out, plainLayout(), page); err != nil {
			t.Fatal(err)
		}
	}
	for _, want := range []string{"House style: All done", ">Ahoy, "} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q on the pages", want)
		}
	}
	if css, err := fs.ReadFile(set.Assets(), strings.TrimPrefix(set.Stylesheet(), "/static/")); err != nil || !strings.Contains(string(css), "#123456") || set.Stylesheet() == load(t).Stylesheet() {
		t.Errorf("stylesheet: %v %s", err, css)
	}
}

func TestBrokenTemplatesOfTheOperatorAreRefusedWithTheirPlace(t *testing.T) {
	for name, c := range map[string]struct{ file, body, says string }{
		"syntax":          {"html/done.html", "{{define \"main\"}}\n{{if}}{{end}}", "done.html:2"},
		"unknown field":   {"html/done.html", "{{define \"main\"}}\n\n{{.Page.Nope}}{{end}}", "done.html:3"},
		"unknown text":    {"html/done.html", "{{define \"main\"}}\n{{t \"no.such\"}}{{end}}", "done.html:2"},
		"unsafe place":    {"html/done.html", "{{define \"main\"}}\n<a href={{.Page.Title}}{{end}}", "done.html"},
		"unknown file":    {"html/welcome.html", "x", "html/welcome.html"},
		"a script":        {"static/extra.js", "x", "static/extra.js"},
		"texts":           {"locales/en/login.toml", "[login]\nsubmit = nope", "locales/en/login.toml: line 2"},
		"missing texts":   {"locales/de/login.toml", "[login]\nsubmit = \"Los\"", "locales/de has no text"},
		"half a language": {"locales/fr/login.toml", "[login]\nsubmit = \"Allons\"", "locales/fr has no text"},
		"mail":            {"mail/layout.txt", "a\n{{if}}", "layout.txt:2"},
	} {
		_, err := LoadOver(fstest.MapFS{c.file: {Data: []byte(c.body)}})
		if err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v, want it to say %q", name, err, c.says)
		}
	}
}

func TestEveryPageIsTried(t *testing.T) {
	tried := map[string]bool{}
	for _, p := range every {
		tried[p.Template()] = true
	}
	for name := range load(t).in("en").pages {
		if !tried[name] {
			t.Errorf("html/%s.html is not tried", name)
		}
	}
}
