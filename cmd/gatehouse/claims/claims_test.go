package claims

import (
	"strings"
	"testing"

	"gatehouse/storage"
)

func TestEveryStandardClaimIsTaken(t *testing.T) {
	var u storage.User
	err := Apply(&u, []byte(`{"name":"Ada Lovelace","given_name":"Ada","family_name":"Lovelace","middle_name":"K","nickname":"ada","preferred_username":"ada",
		"profile":"https://a.example","picture":"https://a.example/p.png","website":"https://a.example","gender":"female","birthdate":"1815-12-10",
		"zoneinfo":"Europe/London","locale":"en-GB","updated_at":1700000000,"email":"ada@example.com","email_verified":true,
		"phone_number":"+44 1","phone_number_verified":false,
		"address":{"formatted":"f","street_address":"s","locality":"l","region":"r","postal_code":"p","country":"c"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if u.Email != "ada@example.com" || !u.EmailVerified || len(u.Claims) != len(claimTypes)-2 || u.Claims["phone_number_verified"] != false {
		t.Errorf("%+v", u)
	}
}

func TestEmailIsUnverifiedUnlessTheFileSaysSo(t *testing.T) {
	u := storage.User{Email: "ada@example.com"}
	if err := Apply(&u, []byte(`{"name":"Ada"}`)); err != nil || u.EmailVerified || u.Email != "ada@example.com" {
		t.Errorf("%+v %v", u, err)
	}
}

func TestRow120ReservedClaimsAreRefused(t *testing.T) {
	for _, name := range append([]string{"SUB", "Aud"}, reservedClaims...) {
		err := Apply(&storage.User{}, []byte(`{"name":"x","`+name+`":"admin"}`))
		if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "protocol") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestWrongClaimsAreRefusedByName(t *testing.T) {
	for text, want := range map[string]string{
		`{"name":1}`:                                   "name must be of the JSON type string, not number",
		`{"email_verified":"true"}`:                    "email_verified must be of the JSON type boolean",
		`{"address":"Main Street"}`:                    "address must be of the JSON type object",
		`{"address":{"street":"x"}}`:                   "address.street",
		`{"address":{"country":1}}`:                    "address.country must be of the JSON type string",
		`{"updated_at":"now"}`:                         "updated_at must be of the JSON type number",
		`{"updated_at":-1}`:                            "updated_at",
		`{"shoe_size":"44"}`:                           "shoe_size is no standard claim",
		`{"name":null}`:                                "not null",
		`{"name":"a","name":"b"}`:                      "name is there twice",
		`{"email":"other@example.com"}`:                "email is not the one of --email",
		`{"a":1,"b":2}`:                                "b is no standard claim",
		`{"name":"` + strings.Repeat("x", 5000) + `"}`: "longer than 4 KiB",
		`[]`:             "no JSON object",
		`null`:           "no JSON object",
		`{"name":"x"} 1`: "no JSON object",
		`{"name":`:       "no JSON object",
	} {
		u := storage.User{Email: "ada@example.com"}
		if err := Apply(&u, []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s: %v, want %q", text, err, want)
		}
		if u.Claims != nil {
			t.Errorf("%.60s: claims were taken", text)
		}
	}
}
