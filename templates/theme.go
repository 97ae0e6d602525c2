package templates

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
)

// Theme is the colours of a brand, #rrggbb. An empty Dark is made from Accent; an empty Accent leaves the colours as they are.
type Theme struct{ Accent, Dark string }

// rgb is a colour, red first, each part from 0 to 1.
type rgb [3]float64

var colourForm = regexp.MustCompile(`^#[0-9a-f]{6}$`)

// The grounds of both schemes on which links and buttons stand, as app.css has them: the surface of the card, and the ground that is hardest to read on.
var (
	lightSurface, lightGround = mustColour("#ffffff"), mustColour("#f3f5f2")
	darkSurface, darkGround   = mustColour("#1a211e"), mustColour("#27302c")
	black, white              = mustColour("#000000"), mustColour("#ffffff")
)

// legible is the least contrast of text (WCAG 2.2, 1.4.3).
const legible = 4.5

func parseColour(text string) (rgb, error) {
	if !colourForm.MatchString(strings.ToLower(text)) {
		return rgb{}, errors.New("is no colour of the form #rrggbb")
	}
	n, err := strconv.ParseUint(text[1:], 16, 32)
	if err != nil {
		return rgb{}, fmt.Errorf("parse colour: %w", err)
	}
	return rgb{float64(n>>16&0xff) / 255, float64(n>>8&0xff) / 255, float64(n&0xff) / 255}, nil
}

func mustColour(text string) rgb {
	c, err := parseColour(text)
	if err != nil {
		panic("templates: " + text + " " + err.Error())
	}
	return c
}

func (c rgb) String() string {
	return fmt.Sprintf("#%02x%02x%02x", int(math.Round(c[0]*255)), int(math.Round(c[1]*255)), int(math.Round(c[2]*255)))
}

// mix is c with a part of another colour in it, as a screen shows it.
func (c rgb) mix(other rgb, part float64) rgb {
	for i := range c {
		c[i] += (other[i] - c[i]) * part
	}
	return mustColour(c.String())
}

// luminance is the relative luminance of WCAG 2.2.
func (c rgb) luminance() float64 {
	for i, v := range c {
		if v <= 0.04045 {
			c[i] = v / 12.92
		} else {
			c[i] = math.Pow((v+0.055)/1.055, 2.4)
		}
	}
	return 0.2126*c[0] + 0.7152*c[1] + 0.0722*c[2]
}

func contrast(a, b rgb) float64 {
	x, y := a.luminance(), b.luminance()
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}

// Check refuses what is no colour and what nobody can read on the pages.
func (t Theme) Check() error {
	if t.Accent == "" {
		if t.Dark != "" {
			return errors.New("accent_dark needs an accent for light mode too")
		}
		return nil
	}
	light, err := parseColour(t.Accent)
	if err != nil {
		return fmt.Errorf("accent %w", err)
	}
	if got := contrast(light, lightGround); got < legible {
		return fmt.Errorf("accent has a contrast of %.1f to the page in light mode, and text needs %.1f: take a darker colour", got, legible)
	}
	if t.Dark == "" {
		return nil
	}
	dark, err := parseColour(t.Dark)
	if err != nil {
		return fmt.Errorf("accent_dark %w", err)
	}
	if got := contrast(dark, darkGround); got < legible {
		return fmt.Errorf("accent_dark has a contrast of %.1f to the page in dark mode, and text needs %.1f: take a lighter colour", got, legible)
	}
	return nil
}

// stylesheet is the path of the sheet that gives pages these colours, "" if there is none to give. The name holds the colours, so that every node can make the file that the page of another names, and the hash of
// the content, so that browsers may keep it.
func (t Theme) stylesheet() string {
	if t.Accent == "" || t.Check() != nil {
		return ""
	}
	return "/static/" + t.name()
}

func (t Theme) name() string {
	t.Accent, t.Dark = strings.ToLower(t.Accent), strings.ToLower(t.Dark)
	sum := sha256.Sum256(t.css())
	return "brand." + strings.TrimPrefix(t.Accent, "#") + "-" + strings.TrimPrefix(t.Dark, "#") + "." + hex.EncodeToString(sum[:8]) + ".css"
}

var themeName = regexp.MustCompile(`^brand\.([0-9a-f]{6})-([0-9a-f]{6})?\.[0-9a-f]{16}\.css$`)

// themeFile makes the file of a name that Theme.name gave.
func themeFile(name string) ([]byte, bool) {
	m := themeName.FindStringSubmatch(name)
	if m == nil {
		return nil, false
	}
	t := Theme{Accent: "#" + m[1]}
	if m[2] != "" {
		t.Dark = "#" + m[2]
	}
	if t.Check() != nil || t.name() != name {
		return nil, false
	}
	return t.css(), true
}

// colours are those of links and buttons in light and in dark mode.
func (t Theme) colours() (light, dark rgb) {
	light = mustColour(strings.ToLower(t.Accent))
	dark = light
	if t.Dark != "" {
		dark = mustColour(strings.ToLower(t.Dark))
	}
	for t.Dark == "" && contrast(dark, darkGround) < legible {
		dark = dark.mix(white, .1)
	}
	return light, dark
}

// css is the sheet: the custom properties of app.css that follow from the accent.
func (t Theme) css() []byte {
	light, dark := t.colours()
	return fmt.Appendf(nil, ":root {%s}\n@media (prefers-color-scheme: dark) {\n:root {%s}\n}\n",
		properties(light, light.mix(black, .25), lightSurface.mix(light, .1)), properties(dark, dark.mix(white, .35), darkSurface.mix(dark, .15)))
}

func properties(accent, strong, soft rgb) string {
	return fmt.Sprintf(" --accent: %s; --accent-strong: %s; --on-accent: %s; --accent-soft: %s; ", accent, strong, accent.on(), soft)
}

// on is the colour of text on c.
func (c rgb) on() rgb {
	if contrast(black, c) > contrast(white, c) {
		return black
	}
	return white
}

// mailColours are a theme in a mail, which can load no stylesheet: the accent and the text on it, in light and in dark mode.
type mailColours struct{ Accent, OnAccent, Dark, OnDark string }

func (t Theme) mail() mailColours {
	if t.Accent == "" || t.Check() != nil {
		return mailColours{"#1d5c50", "#ffffff", "#86cdb9", "#0d211c"} // those of app.css
	}
	light, dark := t.colours()
	return mailColours{light.String(), light.on().String(), dark.String(), dark.on().String()}
}
