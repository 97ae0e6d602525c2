package migrate

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"
)

// migration is one numbered change of the schema.
type migration struct {
	version  int
	name     string
	up, down string
	checksum string // hex SHA-256 of up
}

// label is how people and errors name a migration.
func (m migration) label() string { return label(m.version, m.name) }

func label(version int, name string) string { return fmt.Sprintf("%04d_%s", version, name) }

var upFile = regexp.MustCompile(`^([0-9]{4})_([a-z0-9_]+)\.up\.sql$`)

// read returns the migrations in order. They must be numbered 1, 2, 3... and each must have a way down.
func read(files fs.FS) ([]migration, error) {
	names, err := fs.Glob(files, "*.up.sql")
	if err != nil {
		return nil, fmt.Errorf("list migrations: %w", err)
	}
	all := make([]migration, 0, len(names))
	for _, file := range names {
		match := upFile.FindStringSubmatch(file)
		if match == nil {
			return nil, fmt.Errorf("migration file %s is not named NNNN_name.up.sql", file)
		}
		version, err := strconv.Atoi(match[1])
		if err != nil || version != len(all)+1 {
			return nil, fmt.Errorf("migration file %s: want number %04d", file, len(all)+1)
		}
		up, err := fs.ReadFile(files, file)
		if err != nil {
			return nil, fmt.Errorf("read migration: %w", err)
		}
		down, err := fs.ReadFile(files, label(version, match[2])+".down.sql")
		if err != nil {
			return nil, fmt.Errorf("read migration: %w", err)
		}
		sum := sha256.Sum256(up)
		all = append(all, migration{version, match[2], string(up), string(down), hex.EncodeToString(sum[:])})
	}
	return all, nil
}
