package templates

import (
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/chromedp/chromedp"
)

// Languages that are written from right to left. None is shipped; an operator's folder may bring one.

var textBegins = regexp.MustCompile(`(?m)^([A-Za-z0-9_]+ = ")`)

// arabic is a folder as operators have it: every text of English, which here begins with Arabic and ends with it, in the place of a translation.
func arabic(t *testing.T) *Set {
	t.Helper()
	own := fstest.MapFS{}
	names, err := fs.Glob(files, "locales/en/*.toml")
	if err != nil || len(names) == 0 {
		t.Fatal(names, err)
	}
	for _, name := range names {
		body, err := fs.ReadFile(files, name)
		if err != nil {
			t.Fatal(err)
		}
		own["locales/ar/"+path.Base(name)] = &fstest.MapFile{Data: textBegins.ReplaceAll(body, []byte("${1}مرحبا "))}
	}
	set, err := LoadOver(own)
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func TestLanguageOfAnOperatorsFolderIsWrittenInItsDirection(t *testing.T) {
	set := arabic(t)
	for tag, want := range map[string]string{"ar": `<html lang="ar" dir="rtl">`, "en": `<html lang="en" dir="ltr">`, "de": `<html lang="de" dir="ltr">`} {
		layout := plainLayout()
		layout.Lang = tag
		var page strings.Builder
		if err := set.Render(&page, layout, Told{Heading: Say("recovery.sent_title"), Message: Say("recovery.verified", "Address", "::1")}); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(page.String(), want) {
			t.Errorf("%s: %.60s", tag, page.String())
		}
		if isolated := strings.Contains(page.String(), "\u2068::1\u2069"); isolated != (tag == "ar") {
			t.Errorf("%s: the address is isolated: %t", tag, isolated)
		}
	}
	letter, err := set.RenderMail("ar", Mail{Kind: MailReset, Link: "https://id.example/recovery/reset?token=x", Address: "ada@example.com"})
	if err != nil || letter.Lang != "ar" || !strings.Contains(letter.HTML, `dir="rtl"`) || !strings.Contains(letter.Text, "\nhttps://id.example/recovery/reset?token=x\n") {
		t.Errorf("%v: %s %.200s", err, letter.Lang, letter.HTML)
	}
}

// mirrored returns what is wrong with a page that is written from right to left, one fault a line.
const mirrored = `(() => {
	const faults = [], root = document.documentElement, wide = root.clientWidth;
	if (root.dir !== "rtl") faults.push("the direction is " + root.dir);
	const seen = e => e.getClientRects().length && getComputedStyle(e).position !== "absolute";
	for (const e of document.querySelectorAll("body *")) {
		const box = e.getBoundingClientRect();
		if (box.width && seen(e) && (box.left < -1 || box.right > wide + 1)) faults.push("sticks out: " + e.tagName + "." + e.className);
	}
	const card = document.querySelector(".card"), edge = e => { const s = getComputedStyle(e); return e.getBoundingClientRect().right - parseFloat(s.paddingRight) - parseFloat(s.borderRightWidth); };
	const starts = (e, within, what) => { if (Math.abs(e.getBoundingClientRect().right - within) > 1.5) faults.push(what + " does not begin on the right: " + (e.id || e.textContent.trim().slice(0, 40)) + " " + e.getBoundingClientRect().right + " of " + within); };
	const text = e => { const r = document.createRange(); r.selectNodeContents(e); const boxes = [...r.getClientRects()].filter(b => b.width > 1); return boxes.length ? Math.max(...boxes.map(b => b.right)) : null; };
	for (const e of document.querySelectorAll("h1, .lead, .field > label, .field .hint, .row-text > strong, .row-text > span:not(.tag), .person-line, .facts dt, .facts dd, .compare th, .compare caption, #email-now")) {
		if (!seen(e) || getComputedStyle(e).display === "inline") continue;
		const right = text(e), own = edge(e);
		if (right !== null && Math.abs(right - own) > 2.5) faults.push("the text does not begin on the right: " + e.tagName + " " + e.textContent.trim().slice(0, 40) + " " + right + " of " + own);
	}
	for (const e of document.querySelectorAll(".row > .tile:first-child, .note > .icon:first-child, .way > .icon:first-child, .check > input")) if (seen(e)) starts(e, edge(e.parentElement), "the first of a row");
	for (const e of document.querySelectorAll("input[type=email], input[type=url], input[type=tel], input[autocapitalize=none], code")) {
		if (seen(e) && getComputedStyle(e).direction !== "ltr") faults.push("not written from left to right: " + (e.id || e.textContent));
	}
	for (const e of document.querySelectorAll(".actions, .links-add")) {
		const first = [...e.querySelectorAll(".button")].find(seen);
		if (first && seen(e) && !first.classList.contains("button-wide")) starts(first, edge(e), "the first button");
	}
	return faults.join("\n");
})()`

func TestPagesAreMirroredInLanguagesFromRightToLeft(t *testing.T) {
	var complaints journal
	ctx := browser(t, complaints.add)
	server := serveSet(t, arabic(t))
	for _, size := range [][2]int64{{360, 740}, {1280, 800}} {
		for _, e := range examples() {
			if err := chromedp.Do(ctx, prefer("light"), chromedp.EmulateViewport(size[0], size[1]), chromedp.Navigate(server.URL+"/ar/"+e.name)); err != nil {
				t.Fatal(err)
			}
			for _, question := range []string{measure, mirrored} {
				faults, err := chromedp.Run(ctx, chromedp.Evaluate[string](question))
				if err != nil {
					t.Fatal(err)
				}
				if faults != "" {
					t.Errorf("%s at %d px: %s", e.name, size[0], faults)
				}
			}
			if *gallery != "" {
				picture(t, ctx, fmt.Sprintf("%s-%d-rtl.png", e.name, size[0]))
			}
		}
	}
	for _, text := range complaints.all() {
		t.Error(text)
	}
}

// A language may have plural forms that its folder leaves out; no page is lost by that.
func TestPluralFormThatALanguageLacksFallsBack(t *testing.T) {
	set := arabic(t)
	for _, count := range []int{0, 1, 2, 3, 11, 100} {
		words, err := set.Say("ar", Say("account.codes_left", "Count", count))
		if err != nil || !strings.Contains(words, fmt.Sprint(count)) {
			t.Errorf("%d: %q, %v", count, words, err)
		}
	}
}
