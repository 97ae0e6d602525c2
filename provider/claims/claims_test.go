package claims

import (
	"reflect"
	"strings"
	"testing"

	"gatehouse/storage"
)

func TestU3EveryStandardClaimIsTaken(t *testing.T) {
	var u storage.User
	err := Apply(&u, []byte(`{"name":"Ada Lovelace","given_name":"Ada","family_name":"Lovelace","middle_name":"K","nickname":"ada","preferred_username":"ada",
		"profile":"https://a.example","picture":"https://a.example/p.png","website":"https://a.example","gender":"female","birthdate":"1815-12-10",
		"zoneinfo":"Europe/London","locale":"en-GB","updated_at":1700000000,"email":"ada@example.com","email_verified":true,
		"phone_number":"+44 1","phone_number_verified":false,
		"address":{"formatted":"f","street_address":"s","locality":"l","region":"r","postal_code":"p","country":"c"}}`))
	if err != nil {
		t.Fatal(err)
	}
	if u.Email != "ada@example.com" || !u.EmailVerified || len(u.Claims) != len(rules)-2 || u.Claims["phone_number_verified"] != false {
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

func TestU3WrongClaimsAreRefusedByNameWithTheFix(t *testing.T) {
	for text, want := range map[string]string{
		`{"name":1}`:                                   "name must be of the JSON type string, not number",
		`{"email_verified":"true"}`:                    "email_verified must be of the JSON type boolean, not string; write true without quotes",
		`{"address":"Main Street"}`:                    "address must be of the JSON type object",
		`{"address":{"street":"x"}}`:                   "address.street",
		`{"address":{"country":1}}`:                    "address.country must be of the JSON type string",
		`{"updated_at":"now"}`:                         "updated_at must be of the JSON type number",
		`{"updated_at":-1}`:                            "updated_at must be a whole number of seconds",
		`{"updated_at":1.5}`:                           "updated_at must be a whole number of seconds",
		`{"updated_at":1700000000000}`:                 "updated_at must be a number of seconds since 1970; this one looks like milliseconds",
		`{"updated_at":"1700000000"}`:                  "write 1700000000 without quotes",
		`{"phone_number_verified":true}`:               "phone_number_verified is there without phone_number",
		`{"name":" "}`:                                 "name is empty; leave it out",
		`{"name":"a\u001b[2J"}`:                        "name holds a control or formatting character (U+001B); remove it",
		`{"name":"Ada \u202egnp.exe"}`:                 "name holds a control or formatting character (U+202E); remove it",
		`{"nickname":"a\u2066b"}`:                      "nickname holds a control or formatting character (U+2066)",
		`{"given_name":"a\u2028b"}`:                    "given_name holds a control or formatting character (U+2028)",
		`{"address":{"formatted":"a\n\u2029b"}}`:       "address.formatted holds a control or formatting character (U+2029)",
		`{"family_name":"a\u200bb"}`:                   "family_name holds a control or formatting character (U+200B)",
		`{"address":{"street_address":"a\u202db"}}`:    "address.street_address holds a control or formatting character (U+202D)",
		`{"address":{}}`:                               "address is empty; leave it out",
		`{"address":{"country":""}}`:                   "address.country is empty",
		`{"address":{"country":null}}`:                 "address.country must be of the JSON type string, not null",
		`{"birthdate":"10.12.1815"}`:                   "birthdate 10.12.1815 is no date of birth; write 1815-12-10",
		`{"birthdate":"1815-02-30"}`:                   "birthdate",
		`{"birthdate":"0000"}`:                         "birthdate",
		`{"zoneinfo":"GMT plus 1"}`:                    "zoneinfo GMT plus 1 is no time zone; write a name such as Europe/London",
		`{"locale":"en_GB"}`:                           "locale en_GB is no language tag; write for example en-GB, with a hyphen",
		`{"picture":"p.png"}`:                          "picture p.png is no web address; write for example https://",
		`{"website":"javascript:alert(1)"}`:            "website",
		`{"profile":"https://"}`:                       "profile",
		`{"phone_number":"none"}`:                      "phone_number none is no telephone number",
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

func TestU3FormsOfATextThatAreTaken(t *testing.T) {
	for name, values := range map[string][]string{
		"birthdate":    {"1815-12-10", "0000-02-29", "1815"},
		"zoneinfo":     {"Europe/London", "America/Argentina/Buenos_Aires", "Etc/GMT+5", "UTC"},
		"locale":       {"en", "en-GB", "zh-Hant-TW", "de-CH-1901"},
		"website":      {"https://a.example", "http://a.example/~ada?x=1"},
		"phone_number": {"+442079460000", "+1 (604) 555-1234;ext=5678", "020 7946 0000"},
	} {
		for _, value := range values {
			u := storage.User{}
			if err := Apply(&u, []byte(`{"`+name+`":"`+value+`"}`)); err != nil || u.Claims[name] != value {
				t.Errorf("%s %q: %v", name, value, err)
			}
		}
	}
	u := storage.User{}
	if err := Apply(&u, []byte(`{"address":{"formatted":"1 Gate Lane\nLondon"}}`)); err != nil {
		t.Errorf("an address of two lines: %v", err)
	}
}

func ada() *storage.User {
	return &storage.User{Email: "ada@example.com", EmailVerified: true, Claims: map[string]any{
		"name": "Ada", "nickname": "countess", "phone_number": "+44 1", "phone_number_verified": true, "updated_at": 1700000000.0, "address": map[string]any{"country": "GB", "region": "x"},
	}}
}

func TestAChangeReplacesWhatItNamesAndNullRemoves(t *testing.T) {
	u := ada()
	if err := (Change{Claims: []byte(`{"name":"Ada Lovelace","nickname":null,"gender":null,"address":{"country":"FR"}}`)}).Apply(u); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"name": "Ada Lovelace", "phone_number": "+44 1", "phone_number_verified": true, "address": map[string]any{"country": "FR"}}
	if !reflect.DeepEqual(u.Claims, want) || u.Email != "ada@example.com" || !u.EmailVerified {
		t.Errorf("%+v", u)
	}
	if err := (Change{Claims: []byte(`{"gender":"female"}`), Replace: true}).Apply(u); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(u.Claims, map[string]any{"gender": "female"}) || u.Email != "ada@example.com" || !u.EmailVerified {
		t.Errorf("replaced: %+v", u)
	}
}

func TestANewAddressOrNumberIsUnverifiedUnlessTheFileSaysSo(t *testing.T) {
	for _, c := range []struct {
		change       Change
		email, phone any
	}{
		{Change{Email: "ada@example.com"}, true, true},
		{Change{Email: "countess@example.com"}, false, true},
		{Change{Email: "countess@example.com", Claims: []byte(`{"email_verified":true}`)}, true, true},
		{Change{Claims: []byte(`{"email":"countess@example.com"}`)}, false, true},
		{Change{Claims: []byte(`{"email":"countess@example.com","email_verified":true}`)}, true, true},
		{Change{Claims: []byte(`{"email_verified":null}`)}, false, true},
		{Change{Claims: []byte(`{"phone_number":"+44 2"}`)}, true, false},
		{Change{Claims: []byte(`{"phone_number":"+44 1"}`)}, true, true},
		{Change{Claims: []byte(`{"phone_number":"+44 2","phone_number_verified":true}`)}, true, true},
		{Change{Claims: []byte(`{"phone_number":null}`)}, true, nil},
		{Change{Claims: []byte(`{"phone_number":"+44 2"}`), Replace: true}, true, false},
	} {
		u := ada()
		if err := c.change.Apply(u); err != nil || u.EmailVerified != c.email || u.Claims["phone_number_verified"] != c.phone {
			t.Errorf("%q %s: email %v, phone %v, %v", c.change.Email, c.change.Claims, u.EmailVerified, u.Claims["phone_number_verified"], err)
		}
	}
}

func TestAFixedUpdateTimeGivesWayToAChange(t *testing.T) {
	u := ada()
	if err := (Change{Email: "countess@example.com"}).Apply(u); err != nil || u.Claims["updated_at"] != nil {
		t.Errorf("%v %v", u.Claims["updated_at"], err)
	}
	if err := (Change{Claims: []byte(`{"updated_at":1800000000}`)}).Apply(u); err != nil || u.Claims["updated_at"] != 1800000000.0 {
		t.Errorf("%v %v", u.Claims["updated_at"], err)
	}
}

func TestAWrongChangeChangesNothing(t *testing.T) {
	for _, c := range []struct {
		change Change
		want   string
	}{
		{Change{Claims: []byte(`{"email":null}`)}, "email cannot be removed"},
		{Change{Email: "a@example.com", Claims: []byte(`{"email":"b@example.com"}`)}, "leave one of the two out"},
		{Change{Claims: []byte(`{"sub":null}`)}, "sub belongs to the protocol"},
		{Change{Claims: []byte(`{"shoe_size":null}`)}, "shoe_size is no standard claim"},
		{Change{Claims: []byte(`{"phone_number":null,"phone_number_verified":true}`)}, "phone_number_verified is there without phone_number"},
		{Change{Claims: []byte(`{"address":{"country":null}}`)}, "address.country"},
		{Change{Claims: []byte(`[]`)}, "no JSON object"},
	} {
		u := ada()
		if err := c.change.Apply(u); err == nil || !strings.Contains(err.Error(), c.want) || !reflect.DeepEqual(u, ada()) {
			t.Errorf("%s: %v, want %q; %+v", c.change.Claims, err, c.want, u)
		}
	}
}
