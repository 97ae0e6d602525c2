package templates

import (
	"io/fs"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// stylesheet returns the text of app.css.
func stylesheet(t testing.TB) string {
	t.Helper()
	css, err := fs.ReadFile(files, "static/app.css")
	if err != nil {
		t.Fatal(err)
	}
	return string(css)
}

var colour = regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`)

// palettes reads the colours of both schemes; the dark one falls back to the light one.
func palettes(t *testing.T) map[string]map[string]float64 {
	css := stylesheet(t)
	start := strings.Index(css, "@media (prefers-color-scheme: dark)")
	end := strings.Index(css, "/* ---- ground")
	if start < 0 || end < start {
		t.Fatal("the stylesheet has no dark palette where it is looked for")
	}
	light, dark := map[string]float64{}, map[string]float64{}
	for _, m := range colour.FindAllStringSubmatch(css[:start], -1) {
		light[m[1]] = luminance(m[2])
		dark[m[1]] = light[m[1]]
	}
	for _, m := range colour.FindAllStringSubmatch(css[start:end], -1) {
		dark[m[1]] = luminance(m[2])
	}
	return map[string]map[string]float64{"light": light, "dark": dark}
}

// luminance is the relative luminance of WCAG 2.2.
func luminance(hex string) float64 {
	n, _ := strconv.ParseUint(hex, 16, 32)
	channel := func(shift uint) float64 {
		c := float64(n>>shift&0xff) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*channel(16) + 0.7152*channel(8) + 0.0722*channel(0)
}

// TestPaletteContrast holds WCAG 2.2 AA for every pair the stylesheet uses: 1.4.3 for text, 1.4.11 for
// the edges of controls and the focus ring.
func TestPaletteContrast(t *testing.T) {
	pairs := []struct {
		least        float64
		front, backs string
	}{
		{4.5, "text", "ground surface sunken accent-soft"},
		{4.5, "muted", "ground surface sunken"},
		{4.5, "accent", "surface sunken"},
		{4.5, "accent-strong", "surface accent-soft"},
		{4.5, "on-accent", "accent accent-strong"},
		{4.5, "danger", "surface danger-soft"},
		{3, "edge", "surface ground"},
		{3, "focus", "surface ground accent-soft"},
		{3, "accent", "surface ground"},
		{4.5, "google-text", "google"},
		{4.5, "microsoft-text", "microsoft"},
		{4.5, "apple-text", "apple"},
		{3, "google-edge", "surface"},
		{3, "microsoft-edge", "surface"},
		{3, "apple-edge", "surface"},
	}
	for scheme, palette := range palettes(t) {
		for _, p := range pairs {
			for _, back := range strings.Fields(p.backs) {
				a, okA := palette[p.front]
				b, okB := palette[back]
				if !okA || !okB {
					t.Errorf("%s: colour %s or %s is not defined", scheme, p.front, back)
					continue
				}
				if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < p.least {
					t.Errorf("%s: %s on %s is %.2f, want %.1f", scheme, p.front, back, ratio, p.least)
				}
			}
		}
	}
}

func TestColoursComeFromThePaletteAlone(t *testing.T) {
	css := stylesheet(t)
	rest := css[strings.Index(css, "/* ---- ground"):]
	for _, found := range regexp.MustCompile(`#[0-9a-fA-F]{3,8}\b|rgba?\(|hsl`).FindAllString(rest, -1) {
		if found != "#ffffff" && found != "#000000" { // print, and the ground of logos
			t.Errorf("colour %s outside the palette", found)
		}
	}
}
