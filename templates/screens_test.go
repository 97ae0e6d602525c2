package templates

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
)

var screens = flag.String("screens", "", "folder to write the pictures of the documentation to; see the Makefile")

// gap is the space between two shots and around them.
const gap = 24

// TestScreens writes one picture of every page: on a desk in light and English, and on a phone in dark and German.
func TestScreens(t *testing.T) {
	if *screens == "" {
		t.Skip("no folder is given")
	}
	if os.Getenv("FONTCONFIG_FILE") == "" {
		t.Fatal("the fonts are not chosen; use make screens")
	}
	ctx := browser(t, func(string) {})
	server := serve(t)
	index := strings.Builder{}
	index.WriteString("# Every page\n\nEach picture has the page on a desk (1280 px, light, English) and on a phone (360 px, dark, German). `make screens` makes them from the examples of the tests.\n")
	kept := map[string]bool{}
	for _, e := range examples() {
		desk, err := shoot(ctx, server.URL+"/en/"+e.name, "light", 1280, 800)
		if err != nil {
			t.Fatal(err)
		}
		phone, err := shoot(ctx, server.URL+"/de/"+e.name, "dark", 360, 740)
		if err != nil {
			t.Fatal(err)
		}
		kept[e.name+".png"] = true
		keep(t, filepath.Join(*screens, e.name+".png"), reduce(beside(desk, phone)))
		fmt.Fprintf(&index, "\n## %s\n\n![%s](%s.png)\n", e.name, english(t, e.page.Title()), e.name)
	}
	if err := os.WriteFile(filepath.Join(*screens, "README.md"), []byte(index.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	removeOthers(t, kept)
}

// keep writes a picture, unless the file has it already: corners are not drawn alike to the last bit each time.
func keep(t *testing.T, name string, sheet *image.Paletted) {
	t.Helper()
	if old, err := os.Open(name); err == nil {
		defer old.Close()
		if before, err := png.Decode(old); err == nil && alike(before, sheet) {
			return
		}
	}
	var file bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&file, sheet); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, file.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// alike says whether two pictures differ in a few points at most, and there so little that no eye sees it.
func alike(a, b image.Image) bool {
	if a.Bounds() != b.Bounds() {
		return false
	}
	differing := 0
	for y := range a.Bounds().Dy() {
		for x := range a.Bounds().Dx() {
			apart := distance(color.RGBAModel.Convert(a.At(x, y)).(color.RGBA), color.RGBAModel.Convert(b.At(x, y)).(color.RGBA))
			if apart > 0 {
				differing++
			}
			if apart > 60 || differing > 60 {
				return false
			}
		}
	}
	return true
}

// distance is how far two colours are apart, from 0 to 765.
func distance(a, b color.RGBA) int {
	apart := func(a, b uint8) int { return max(int(a), int(b)) - min(int(a), int(b)) }
	return apart(a.R, b.R) + apart(a.G, b.G) + apart(a.B, b.B)
}

// removeOthers removes pictures of pages that are no more.
func removeOthers(t *testing.T, kept map[string]bool) {
	t.Helper()
	there, err := filepath.Glob(filepath.Join(*screens, "*.png"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range there {
		if !kept[filepath.Base(name)] {
			if err := os.Remove(name); err != nil {
				t.Error(err)
			}
		}
	}
}

// shoot takes a picture of the whole page, without the caret, which blinks.
func shoot(ctx context.Context, page, scheme string, width, height int64) (image.Image, error) {
	err := chromedp.Do(ctx, prefer(scheme), chromedp.EmulateViewport(width, height), chromedp.Navigate(page),
		chromedp.Evaluate[chromedp.Void](`document.documentElement.style.caretColor = "transparent"`))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", page, err)
	}
	shot, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		return nil, fmt.Errorf("take a picture of %s: %w", page, err)
	}
	return png.Decode(bytes.NewReader(shot))
}

// beside puts two pictures on one ground.
func beside(left, right image.Image) *image.RGBA {
	a, b := left.Bounds(), right.Bounds()
	sheet := image.NewRGBA(image.Rect(0, 0, a.Dx()+b.Dx()+3*gap, max(a.Dy(), b.Dy())+2*gap))
	draw.Draw(sheet, sheet.Bounds(), image.NewUniform(color.Gray{0xc4}), image.Point{}, draw.Src)
	draw.Draw(sheet, a.Sub(a.Min).Add(image.Pt(gap, gap)), left, a.Min, draw.Src)
	draw.Draw(sheet, b.Sub(b.Min).Add(image.Pt(a.Dx()+2*gap, gap)), right, b.Min, draw.Src)
	return sheet
}

// reduce leaves a picture 256 colours, which makes the file a third as long: the most frequent ones that are not nearly the same as another.
func reduce(sheet *image.RGBA) *image.Paletted {
	count := map[color.RGBA]int{}
	bounds := sheet.Bounds()
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			count[sheet.RGBAAt(x, y)]++
		}
	}
	all := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int {
		return cmp.Or(count[b]-count[a], cmp.Compare(a.R, b.R), cmp.Compare(a.G, b.G), cmp.Compare(a.B, b.B))
	})
	palette := make(color.Palette, 0, 256)
	for _, c := range all {
		near := func(other color.Color) bool { return distance(c, other.(color.RGBA)) < 4 }
		if len(palette) < 256 && !slices.ContainsFunc(palette, near) {
			palette = append(palette, c)
		}
	}
	index := make(map[color.RGBA]uint8, len(all))
	for _, c := range all {
		index[c] = uint8(palette.Index(c))
	}
	reduced := image.NewPaletted(bounds, palette)
	for y := range bounds.Dy() {
		for x := range bounds.Dx() {
			reduced.SetColorIndex(x, y, index[sheet.RGBAAt(x, y)])
		}
	}
	return reduced
}
