package sqlite

import (
	"path/filepath"
	"testing"
)

// What was answered must survive a crash (synchronous 2 is FULL), and a writer waits five seconds for another process.
func TestWriterSettings(t *testing.T) {
	db, err := connect(t.Context(), filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for pragma, want := range map[string]string{"journal_mode": "wal", "synchronous": "2", "foreign_keys": "1", "busy_timeout": "5000"} {
		var got string
		if err := db.QueryRow("PRAGMA " + pragma).Scan(&got); err != nil || got != want {
			t.Errorf("%s: %s (%v), want %s", pragma, got, err, want)
		}
	}
}
