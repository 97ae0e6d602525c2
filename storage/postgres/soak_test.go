package postgres_test

import (
	"testing"

	"gatehouse/storage"
	"gatehouse/storage/postgres"
	"gatehouse/storage/postgres/postgrestest"
	"gatehouse/storage/storagetest"
)

// TestSoakRaces runs the races of TestContractShared for hours.
func TestSoakRaces(t *testing.T) {
	storagetest.Soak(t, func(t *testing.T, o storage.Options) (a, b storage.Store) {
		url := postgrestest.Start(t)
		return open(t, postgres.Options{Options: o, URL: url, AutoMigrate: true}), open(t, postgres.Options{Options: o, URL: url})
	})
}
