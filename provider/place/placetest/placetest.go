// Package placetest writes files of places for tests.
package placetest

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/maxmind/mmdbwriter"
	"github.com/maxmind/mmdbwriter/mmdbtype"
)

// Names are the names of one thing by language.
type Names map[string]string

// Where is what a file says of a network.
type Where struct{ City, Country Names }

// Munich has names in English and in German.
var Munich = Where{City: Names{"en": "Munich", "de": "München"}, Country: Names{"en": "Germany", "de": "Deutschland"}}

// Write puts a file of places where path says, in one step, as updaters do. The keys are networks in CIDR notation.
func Write(t testing.TB, path string, networks map[string]Where) {
	t.Helper()
	records := map[string]mmdbtype.DataType{}
	for network, w := range networks {
		record := mmdbtype.Map{}
		for key, names := range map[mmdbtype.String]Names{"city": w.City, "country": w.Country} {
			if names != nil {
				record[key] = mmdbtype.Map{"names": named(names)}
			}
		}
		records[network] = record
	}
	WriteRecords(t, path, "Test-City", records)
}

// WriteRecords is Write for records of any shape and a database of any type.
func WriteRecords(t testing.TB, path, kind string, records map[string]mmdbtype.DataType) {
	t.Helper()
	tree, err := mmdbwriter.New(mmdbwriter.Options{DatabaseType: kind, IncludeReservedNetworks: true})
	if err != nil {
		t.Fatal(err)
	}
	for text, record := range records {
		_, network, err := net.ParseCIDR(text)
		if err == nil {
			err = tree.Insert(network, record)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.CreateTemp(filepath.Dir(path), "places")
	if err != nil {
		t.Fatal(err)
	}
	if _, err = tree.WriteTo(file); err == nil {
		err = file.Close()
	}
	if err == nil {
		err = os.Rename(file.Name(), path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func named(names Names) mmdbtype.Map {
	out := mmdbtype.Map{}
	for language, name := range names {
		out[mmdbtype.String(language)] = mmdbtype.String(name)
	}
	return out
}
