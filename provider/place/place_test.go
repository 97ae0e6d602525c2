package place

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/maxmind/mmdbwriter/mmdbtype"

	"gatehouse/provider/place/placetest"
)

var berlin = placetest.Where{City: placetest.Names{"en": "Berlin"}, Country: placetest.Names{"en": "Germany", "de": "Deutschland"}}

func open(t testing.TB, networks map[string]placetest.Where) (*Book, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "places.mmdb")
	placetest.Write(t, path, networks)
	b, err := Open(Options{File: path})
	if err != nil {
		t.Fatal(err)
	}
	return b, path
}

func TestPlaceIsNamedInTheLanguageOfThePerson(t *testing.T) {
	b, _ := open(t, map[string]placetest.Where{
		"203.0.113.0/24": placetest.Munich, "198.51.100.0/24": berlin, "2001:db8::/32": placetest.Munich, "192.0.2.0/24": {Country: placetest.Names{"en": "Germany"}},
		"10.0.0.0/8": {City: placetest.Names{"en": "Head office"}},
	})
	for _, test := range []struct {
		address, language string
		want              Place
	}{
		{"203.0.113.7", "en", Place{"Munich", "Germany"}},
		{"203.0.113.7", "de", Place{"München", "Deutschland"}},
		{"203.0.113.7", "de-AT", Place{"München", "Deutschland"}},
		{"203.0.113.7", "fr", Place{"Munich", "Germany"}},
		{"203.0.113.7", "", Place{"Munich", "Germany"}},
		{"198.51.100.9", "de", Place{"Berlin", "Deutschland"}},
		{"::ffff:203.0.113.7", "de", Place{"München", "Deutschland"}},
		{"2001:db8::1", "de", Place{"München", "Deutschland"}},
		{"192.0.2.1", "en", Place{"", "Germany"}},
		{"10.1.2.3", "en", Place{"Head office", ""}},
		{"127.0.0.1", "en", Place{}}, {"192.168.1.1", "en", Place{}}, {"fe80::1%eth0", "en", Place{}}, {"::1", "en", Place{}}, {"", "en", Place{}}, {"not an address", "en", Place{}},
	} {
		if got := b.Near(test.address, test.language); got != test.want {
			t.Errorf("%s in %q: %+v", test.address, test.language, got)
		}
	}
	if got := (*Book)(nil).Near("203.0.113.7", "en"); got != (Place{}) {
		t.Errorf("no book knows %+v", got)
	}
	if err := (*Book)(nil).Refresh(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestRow192NamesOfAFileAreShortAndSteerNothing(t *testing.T) {
	for given, want := range map[string]string{
		" St.\tLouis \r\n": "St. Louis", "Ber\u202elin\u2066": "Berlin", "\x1b[31mRed": "[31mRed", "a\u2028b": "a b", "\u202e\x00": "Paris", "\xffBrest": "Brest", "Biel/Bienne": "Biel/Bienne",
		strings.Repeat("ä", 60): strings.Repeat("ä", 60), strings.Repeat("ä", 10_000): strings.Repeat("ä", 60) + "…",
	} {
		b, _ := open(t, map[string]placetest.Where{"203.0.113.0/24": {City: placetest.Names{"de": given, "en": "Paris"}, Country: placetest.Names{"en": "France"}}})
		got := b.Near("203.0.113.7", "de").City
		if got != want || strings.ContainsFunc(got, unicode.IsControl) || !utf8.ValidString(got) {
			t.Errorf("%q is shown as %q", given[:min(len(given), 30)], got)
		}
	}
}

func TestRecordsOfAnotherShapeHaveNoPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "places.mmdb")
	placetest.WriteRecords(t, path, "Odd", map[string]mmdbtype.DataType{
		"192.0.2.0/24":    mmdbtype.Map{"country": mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.String("Spain")}}},
		"198.51.100.0/24": mmdbtype.Map{"country": mmdbtype.String("DE"), "city": mmdbtype.Map{"names": mmdbtype.String("x")}},
		"203.0.113.0/24":  mmdbtype.Map{"country": mmdbtype.Map{"names": mmdbtype.Map{"en": mmdbtype.Uint32(1)}}, "city": mmdbtype.Slice{}},
	})
	b, err := Open(Options{File: path})
	if err != nil {
		t.Fatal(err)
	}
	for _, address := range []string{"198.51.100.1", "203.0.113.1"} {
		if got := b.Near(address, "de"); got != (Place{}) {
			t.Errorf("%s is at %+v", address, got)
		}
	}
}

func TestFileThatHoldsNoPlacesIsRefused(t *testing.T) {
	folder := t.TempDir()
	good, networks := filepath.Join(folder, "good"), filepath.Join(folder, "networks")
	placetest.Write(t, good, map[string]placetest.Where{"203.0.113.0/24": berlin})
	placetest.WriteRecords(t, networks, "Test-ASN", map[string]mmdbtype.DataType{"203.0.113.0/24": mmdbtype.Map{"autonomous_system_number": mmdbtype.Uint32(64500)}})
	body, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string][]byte{"empty": {}, "text": []byte("no database"), "half": body[:len(body)/2], "cut": body[:len(body)-1]} {
		if err := os.WriteFile(filepath.Join(folder, name), body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"missing": "no such file", ".": "is no file of at most", "empty": "invalid MaxMind DB", "text": "invalid MaxMind DB", "half": "invalid MaxMind DB", "cut": "", "networks": "a Test-ASN has neither cities nor countries",
	} {
		b, err := Open(Options{File: filepath.Join(folder, name)})
		if b != nil || err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestFileThatWasReplacedIsReadAgain(t *testing.T) {
	b, path := open(t, map[string]placetest.Where{"203.0.113.0/24": berlin})
	placetest.Write(t, path, map[string]placetest.Where{"203.0.113.0/24": placetest.Munich})
	if got := b.Near("203.0.113.7", "en"); got.City != "Berlin" {
		t.Errorf("before: %+v", got)
	}
	if err := b.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := b.Near("203.0.113.7", "en"); got.City != "Munich" {
		t.Errorf("after: %+v", got)
	}
	used := b.reader.Load()
	if err := b.Refresh(t.Context()); err != nil || b.reader.Load() != used {
		t.Errorf("a file that did not change is read again, %v", err)
	}
}

func TestBrokenReplacementLeavesTheLastGoodFileInUse(t *testing.T) {
	b, path := open(t, map[string]placetest.Where{"203.0.113.0/24": berlin})
	still := func(why string) {
		t.Helper()
		for range 2 { // it is told until it is over: the job logs that it fails, not that it works again
			if err := b.Refresh(t.Context()); err == nil {
				t.Errorf("%s: no error", why)
			}
		}
		if got := b.Near("203.0.113.7", "en"); got.City != "Berlin" {
			t.Errorf("%s: %+v", why, got)
		}
	}
	if err := os.WriteFile(path, []byte("written in place, and no database"), 0o600); err != nil {
		t.Fatal(err)
	}
	still("broken")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	still("gone")
	placetest.Write(t, path, map[string]placetest.Where{"203.0.113.0/24": placetest.Munich})
	if err := b.Refresh(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := b.Near("203.0.113.7", "en"); got.City != "Munich" {
		t.Errorf("mended: %+v", got)
	}
}

func TestFileThatComesBackUnchangedIsNoFault(t *testing.T) {
	b, path := open(t, map[string]placetest.Where{"203.0.113.0/24": berlin})
	aside := path + ".aside"
	if err := os.Rename(path, aside); err != nil {
		t.Fatal(err)
	}
	if err := b.Refresh(t.Context()); err == nil {
		t.Error("a file that is gone is no fault")
	}
	if err := os.Rename(aside, path); err != nil {
		t.Fatal(err)
	}
	if err := b.Refresh(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLookUpsGoOnWhileTheFileIsReplaced(t *testing.T) {
	b, path := open(t, map[string]placetest.Where{"203.0.113.0/24": berlin})
	stop, readers := make(chan struct{}), sync.WaitGroup{}
	for range 4 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got := b.Near("203.0.113.7", "de"); got.City != "Berlin" && got.City != "München" {
					t.Errorf("in between: %+v", got)
					return
				}
			}
		})
	}
	for i := range 60 {
		switch i % 3 {
		case 0:
			placetest.Write(t, path, map[string]placetest.Where{"203.0.113.0/24": placetest.Munich})
		case 1:
			if err := os.WriteFile(path, make([]byte, i), 0o600); err != nil {
				t.Fatal(err)
			}
		default:
			placetest.Write(t, path, map[string]placetest.Where{"203.0.113.0/24": berlin, "0.0.0.0/2": placetest.Munich})
		}
		if err := b.Refresh(t.Context()); (err != nil) != (i%3 == 1) {
			t.Errorf("step %d: %v", i, err)
		}
	}
	close(stop)
	readers.Wait()
}

func TestFileIsComparedByTimeToo(t *testing.T) {
	b, path := open(t, map[string]placetest.Where{"203.0.113.0/24": berlin})
	used := b.reader.Load()
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(path, later, later); err != nil {
		t.Fatal(err)
	}
	if err := b.Refresh(t.Context()); err != nil || b.reader.Load() == used {
		t.Errorf("a file with another time of change is not read, %v", err)
	}
}

func BenchmarkNear(b *testing.B) {
	book, _ := open(b, map[string]placetest.Where{"203.0.113.0/24": placetest.Munich, "0.0.0.0/2": berlin})
	b.ReportAllocs()
	for b.Loop() {
		if book.Near("203.0.113.7", "de").City != "München" {
			b.Fatal("lost")
		}
	}
}
