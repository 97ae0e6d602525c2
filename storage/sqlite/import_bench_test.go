package sqlite_test

import (
	"fmt"
	"testing"

	"gatehouse/storage"
	"gatehouse/storage/sqlite"
)

// BenchmarkImportUsers imports a thousand users with hashes at a time, every tenth with an account at an upstream if linked. What counts is users/s.
func BenchmarkImportUsers(b *testing.B) {
	for name, linked := range map[string]bool{"plain": false, "linked": true} {
		b.Run(name, func(b *testing.B) {
			s, sum := open(b, sqlite.Options{}), 0
			for b.Loop() {
				var users []storage.ImportedUser
				for range 1000 {
					sum++
					in := storage.ImportedUser{User: &storage.User{Subject: fmt.Sprintf("user-%x", sum*7919%1_000_003), EmailVerified: true}, Password: "$2b$12$abcdefghijklmnopqrstuuABCDEFGHIJKLMNOPQRSTUVWXYZ01234"}
					in.User.Email = fmt.Sprintf("Person.%d@Example.org", sum)
					in.User.EmailKey, in.User.Claims = fmt.Sprintf("person.%d@example.org", sum), map[string]any{"name": "Some Person", "given_name": "Some"}
					if linked && sum%10 == 0 {
						in.Identities = []*storage.Identity{{Upstream: "google", ExternalID: fmt.Sprint(sum)}}
					}
					users = append(users, in)
				}
				refused, err := s.ImportUsers(b.Context(), users)
				if err != nil {
					b.Fatal(err)
				}
				for _, why := range refused {
					if why != nil {
						b.Fatal(why)
					}
				}
			}
			b.ReportMetric(float64(1000*b.N)/b.Elapsed().Seconds(), "users/s")
		})
	}
}
