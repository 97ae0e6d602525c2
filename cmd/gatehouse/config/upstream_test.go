package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"os"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"gatehouse/provider/upstream"
)

const oneUpstream = "upstreams:\n- {id: google, type: google, client_id: a, client_secret: hunter2}\n"

func TestUpstreamsHaveDefaultsAndAreReadWhole(t *testing.T) {
	c := load(t, `
upstreams:
- {id: google, type: google, client_id: a, client_secret: b}
- id: my-company
  type: oidc
  name: Example Ltd
  issuer: https://sso.example.com/realms/Main
  client_id: "0123"
  client_secret: c
  scopes: [openid, groups]
  link: verified
  create_users: false
  trust_email: true
  domains: [example.com, xn--bcher-kva.example]
  claims: {nickname: displayName, customId: ext.EmployeeID}
  groups: realm_access.roles
  roles:
    Admin: ["CN=Staff,DC=example", ops]
  acr: {"urn:example:Silver": mfa}
  keep_tokens: true
  end_session: true
`)
	want := []Upstream{
		{ID: "google", Type: "google", ClientID: "a", ClientSecret: "b", Link: "proof", CreateUsers: true},
		{
			ID: "my-company", Type: "oidc", Name: "Example Ltd", Issuer: "https://sso.example.com/realms/Main", ClientID: "0123", ClientSecret: "c", Scopes: []string{"openid", "groups"},
			Link: "verified", TrustEmail: true, Domains: []string{"example.com", "xn--bcher-kva.example"},
			Claims: map[string]string{"nickname": "displayName", "customId": "ext.EmployeeID"},
			Groups: "realm_access.roles", Roles: map[string][]string{"Admin": {"CN=Staff,DC=example", "ops"}}, ACR: map[string]string{"urn:example:Silver": "mfa"},
			KeepTokens: true, EndSession: true,
		},
	}
	if !reflect.DeepEqual(c.Upstreams, want) {
		t.Errorf("got\n%+v\nwant\n%+v", c.Upstreams, want)
	}
}

// TestNoKeyOfAnUpstreamIsLost fills every field and looks for it in what the server gets.
func TestNoKeyOfAnUpstreamIsLost(t *testing.T) {
	var u Upstream
	v := reflect.ValueOf(&u).Elem()
	for i := range v.NumField() {
		switch field := v.Field(i); field.Kind() {
		case reflect.String:
			field.SetString(v.Type().Field(i).Name)
		case reflect.Bool:
			field.SetBool(true)
		case reflect.Slice:
			field.Set(reflect.ValueOf([]string{v.Type().Field(i).Name}))
		case reflect.Map:
			field.Set(reflect.MakeMap(field.Type()))
			field.SetMapIndex(reflect.ValueOf(v.Type().Field(i).Name), reflect.Zero(field.Type().Elem()))
		}
	}
	given := reflect.ValueOf(u.Config())
	for i := range given.NumField() {
		name := given.Type().Field(i).Name
		if got, set := given.Field(i).Interface(), v.FieldByName(name); !set.IsValid() || !reflect.DeepEqual(got, set.Interface()) {
			t.Errorf("%s is %v", name, got)
		}
	}
	if given.NumField()+2 != v.NumField() { // the two files are read here
		t.Errorf("%d fields become %d", v.NumField(), given.NumField())
	}
}

func TestUpstreamsThatAreRefused(t *testing.T) {
	item := func(rest string) string {
		return "upstreams:\n- {id: first, type: google, client_id: a, client_secret: hunter2, domains: [first.example]}\n- {" + rest + "}\n"
	}
	more := func(rest string) string {
		return item("id: x, type: google, client_id: a, client_secret: hunter2, " + rest)
	}
	for i, test := range []struct{ yaml, want string }{
		{item("type: google, client_id: a, client_secret: b"), "item 2: id is missing"},
		{item("id: Google, type: google, client_id: a, client_secret: b"), `item 2: id "Google" holds more`},
		{item("id: a/b, type: google, client_id: a, client_secret: b"), `id "a/b" holds more`},
		{item("id: " + strings.Repeat("a", 33) + ", type: google, client_id: a, client_secret: b"), "longer than 32"},
		{item("id: first, type: google, client_id: a, client_secret: b"), "item 2 (first): id is there twice"},
		{item("id: x, type: facebook, client_id: a, client_secret: b"), `item 2 (x): type "facebook" is unknown; there are ` + kindNames()},
		{item("id: x, client_id: a, client_secret: b"), "item 2 (x): type is missing; there are"},
		{item("id: x, type: google, client_secret: b"), "item 2 (x): client_id is missing"},
		{item("id: x, type: google, client_id: a"), "item 2 (x): client_secret is missing"},
		{item("id: x, type: google, client_id: 17, client_secret: b"), `client_id "17" must be text; put it into quotes`},
		{item("id: x, type: google, client_id: a, client_secret: 471147"), "item 2 (x): client_secret must be text; put it into quotes"},
		{item("id: x, type: google, client_id: a, client_secret: [hunter2]"), "item 2 (x): client_secret must be a single value"},
		{item("id: x, type: google, client_id: a, client_secret: b, client_secret_file: /hunter2"), "client_secret is also set by client_secret_file"},
		{item("id: x, type: google, client_id: a, client_secret_file: /hunter2"), "client_secret_file cannot be read"},
		{item("id: x, type: google, client_id: a, client_secret: b, private_key: hunter2, private_key_file: /hunter2"), "private_key is also set by private_key_file"},
		{more("client_secrets: hunter2"), "item 2 (x): client_secrets is no key here; did you mean client_secret?"},
		{more("link: always"), `link "always" is unknown; write proof, verified or never`},
		{more("link: ''"), `link "" is unknown`},
		{more("create_users: perhaps"), `create_users "perhaps" is neither true nor false`},
		{more("name: " + strings.Repeat("n", 65)), "name is longer than 64"},
		{more(`name: "a\nb"`), "control character"},
		{more("scopes: ['a b']"), `scopes hold "a b"`},
		{more("domains: [Example.com]"), `domains hold "Example.com", which is no domain in small letters`},
		{more("domains: ['@example.com']"), "is no domain"},
		{more("domains: [127.0.0.1]"), "is no domain"},
		{more("domains: [a..example]"), "is no domain"},
		{more("domains: [bücher.example]"), "is no domain"},
		{more("domains: [a.example, a.example]"), "hold a.example twice"},
		{more("domains: [first.example]"), "hold first.example, which item 1 (first) has already"},
		{more("claims: {sub: id}"), "claims set sub, which belongs to the protocol"},
		{more("claims: {ISS: id}"), "claims set ISS, which belongs to the protocol"},
		{more("claims: {email: mail}"), "claims may not set email; leave it out"},
		{more("claims: {email_verified: verified}"), "claims may not set email_verified"},
		{more("claims: {phone_number_verified: pv}"), "claims may not set phone_number_verified; remove it"},
		{more("claims: {Address_Verified: x}"), "claims may not set Address_Verified; remove it"},
		{more("claims: {groups: g}"), "use the key groups"},
		{more("claims: {given-name: g}"), `set "given-name", which is no name of a claim`},
		{more("claims: {name: a..b}"), `take name from "a..b"`},
		{more("claims: {name: ''}"), `take name from ""`},
		{more("claims: {name: [a]}"), `claims holds "name", which must be text`},
		{more("claims: [name]"), "claims must be a map"},
		{more("claims: {1: a}"), "claims must be a map whose keys are text"},
		{more("groups: a b"), `groups "a b" names no claim`},
		{more("groups: g, roles: {admin: staff}"), `roles holds "admin", which must be a list`},
		{more("groups: g, roles: {admin: [1]}"), "must be a list of text"},
		{more("groups: g, roles: {admin: []}"), "hold admin without groups"},
		{more("groups: g, roles: {admin: ['']}"), "hold admin with a group that is empty"},
		{more("groups: g, roles: {'a b': [x]}"), `hold "a b"`},
		{more("roles: {admin: [staff]}"), "groups is missing, from which roles are made"},
		{more("organizations: [acme]"), "organizations is nothing that type google knows"},
		{more("end_session: true"), "end_session is nothing that type google knows"},
		{more("trust_email: true"), "trust_email would believe any address"},
		{more("acr: {'a b': c}"), `maps "a b" to "c"`},
		{more("acr: {a: ''}"), `maps "a" to ""`},
		{"upstreams: [x]", "item 1 is none"},
		{"upstreams: {google: {client_secret: hunter2}}", "must be a list of maps"},
		{"upstreams: hunter2", "must be a JSON list"},
		{"login: {password: false}", "login.password (from "},
		{item("id: x, type: google, client_id: a, client_secret: b") + "\nlogin: {password: false, identifier_first: true}", "login.identifier_first (from "},
	} {
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			faults := refused(t, Source{File: write(t, "c.yaml", test.yaml, 0o600), Serve: true})
			text := faults.Error()
			if !strings.Contains(text, test.want) || len(faults) != 1 && !strings.Contains(text, "nobody") {
				t.Errorf("want one fault with %q: %v", test.want, text)
			}
			whole, err := json.Marshal(faults)
			if err != nil || strings.Contains(text+string(whole), "hunter2") || strings.Contains(text+string(whole), "471147") {
				t.Errorf("a secret is in %s", text)
			}
			if fault := faults[0]; fault.Fix == "" && !strings.Contains(fault.Problem, "must be ") && !strings.Contains(fault.Problem, " neither ") {
				t.Errorf("%s says no fix", fault)
			}
		})
	}
}

func TestAllFaultsOfUpstreamsAreToldAtOnce(t *testing.T) {
	const yaml = "upstreams:\n- {type: google, client_secret: hunter2, links: never}\n- {id: b, type: nothing, link: maybe, create_users: 7, domains: [X, Y]}\n"
	faults := refused(t, Source{File: write(t, "c.yaml", yaml, 0o600)})
	for _, want := range []string{
		"item 1: id is missing", "item 1: client_id is missing", "item 1: links is no key", "item 2 (b): type", "item 2 (b): link", "item 2 (b): create_users", `hold "X"`, `hold "Y"`,
	} {
		if !strings.Contains(faults.Error(), want) {
			t.Errorf("%q is not in\n%v", want, faults)
		}
	}
	if len(faults) != 8 {
		t.Errorf("%d faults, want 8:\n%v", len(faults), faults)
	}
}

// appleKey is a key as Apple gives it, without the last line end.
func appleKey(t *testing.T) string {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})))
}

func TestSecretsOfUpstreamsComeFromFilesAndTheEnvironment(t *testing.T) {
	file, other := write(t, "s", " from-a-file\n", 0o600), write(t, "o", "from-another\n", 0o600)
	items := "upstreams:\n- {id: a-b, type: google, client_id: x, client_secret_file: " + file + "}\n- {id: c, type: google, client_id: x, client_secret: inline}\n" +
		"- {id: d, type: google, client_id: x}\n- {id: e, type: google, client_id: x, client_secret: inline}\n- {id: f, type: apple, client_id: x, team_id: a, key_id: b}\n"
	key := appleKey(t)
	c := load(t, items, "GATEHOUSE_UPSTREAMS_C_CLIENT_SECRET=from-the-environment", "GATEHOUSE_UPSTREAMS_D_CLIENT_SECRET_FILE="+other, "GATEHOUSE_UPSTREAMS_E_CLIENT_SECRET=",
		"GATEHOUSE_UPSTREAMS_F_PRIVATE_KEY="+key)
	for i, want := range []string{"from-a-file", "from-the-environment", "from-another", "inline"} {
		if got := c.Upstreams[i].ClientSecret; got != want {
			t.Errorf("item %d has %q, want %q", i+1, got, want)
		}
	}
	if got := c.Upstreams[4].PrivateKey; got != key {
		t.Errorf("private key %q", got)
	}
	c = load(t, items, "GATEHOUSE_UPSTREAMS_A_B_CLIENT_SECRET=wins", "GATEHOUSE_UPSTREAMS_D_CLIENT_SECRET=d", "GATEHOUSE_UPSTREAMS_F_PRIVATE_KEY_FILE="+write(t, "k", key+"\n", 0o600))
	if c.Upstreams[0].ClientSecret != "wins" {
		t.Errorf("the file wins over the environment: %q", c.Upstreams[0].ClientSecret)
	}
	if got := c.Upstreams[4].PrivateKey; got != key {
		t.Errorf("private key from a file: %q", got)
	}
	c = load(t, "", `GATEHOUSE_UPSTREAMS=[{"id":"a","type":"google","client_id":"x","groups":"g","roles":{"R":["g"]}}]`, "GATEHOUSE_UPSTREAMS_A_CLIENT_SECRET=s", "GATEHOUSE_LOGIN_PASSWORD=false")
	if len(c.Upstreams) != 1 || c.Upstreams[0].ClientSecret != "s" || !c.Upstreams[0].CreateUsers || c.Upstreams[0].Roles["R"][0] != "g" || c.Login.Password {
		t.Errorf("%+v", c.Upstreams)
	}
}

func TestFaultyVariablesOfUpstreams(t *testing.T) {
	open, closed := write(t, "s", "hunter2", 0o644), write(t, "s", "hunter2", 0o600)
	for _, test := range []struct{ env, want string }{
		{"GATEHOUSE_UPSTREAMS_GOOGLE_CLIENT_SECRETS=hunter2", "did you mean GATEHOUSE_UPSTREAMS_GOOGLE_CLIENT_SECRET?"},
		{"GATEHOUSE_UPSTREAMS_GOGLE_CLIENT_SECRET_FILE=" + closed, "did you mean GATEHOUSE_UPSTREAMS_GOOGLE_CLIENT_SECRET_FILE?"},
		{"GATEHOUSE_UPSTREAMS_GITHUB_CLIENT_SECRET=hunter2", "sets no key of Gatehouse"},
		{"GATEHOUSE_UPSTREAMS_GOOGLE_CLIENT_ID=x", "sets no key of Gatehouse"},
		{"GATEHOUSE_UPSTREAMS_FILE=/x", "GATEHOUSE_UPSTREAMS_FILE"},
		{"GATEHOUSE_UPSTREAMS_GOOGLE_CLIENT_SECRET_FILE=" + open, "chmod 600"},
		{"GATEHOUSE_UPSTREAMS_GOOGLE_CLIENT_SECRET_FILE=/hunter2", "item 1 (google): GATEHOUSE_UPSTREAMS_GOOGLE_CLIENT_SECRET_FILE cannot be read"},
		{"GATEHOUSE_UPSTREAMS_GOOGLE_CLIENT_SECRET=hunter2 GATEHOUSE_UPSTREAMS_GOOGLE_CLIENT_SECRET_FILE=" + closed, "unset one of the two"},
	} {
		faults := refused(t, Source{File: write(t, "c.yaml", oneUpstream, 0o600), Env: strings.Fields(test.env)})
		if text := faults.Error(); !strings.Contains(text, test.want) || len(faults) != 1 || strings.Contains(text, "hunter2\"") || strings.Contains(text, "/hunter2") {
			t.Errorf("%s: want one fault with %q: %v", test.env, test.want, text)
		}
	}
	for _, yaml := range []string{"upstreams: [x", "upstreams: x", "upstreams: [{id: Google, type: google, client_id: a}]"} { // whose the variable is cannot be known
		faults := refused(t, Source{File: write(t, "c.yaml", yaml, 0o600), Env: []string{"GATEHOUSE_UPSTREAMS_GOOGLE_CLIENT_SECRET=x"}})
		if strings.Contains(faults.Error(), "GATEHOUSE_UPSTREAMS_GOOGLE") {
			t.Errorf("%s: %v", yaml, faults)
		}
	}
}

// TestSamplesOfTheDocumentationAreValid loads every snippet that begins with upstreams, with other secrets.
func TestSamplesOfTheDocumentationAreValid(t *testing.T) {
	secret, key := write(t, "s", "secret", 0o600), write(t, "k", appleKey(t), 0o600)
	samples := 0
	for _, doc := range []string{"upstreams.md", "configuration.md"} {
		text, err := os.ReadFile("../../../docs/" + doc)
		if err != nil {
			t.Fatal(err)
		}
		for _, part := range strings.Split(string(text), "```yaml\n")[1:] {
			sample, _, _ := strings.Cut(part, "```")
			if !strings.HasPrefix(sample, "upstreams:") {
				continue
			}
			samples++
			sample = regexp.MustCompile(`/run/secrets/\S+\.p8`).ReplaceAllLiteralString(sample, key)
			sample = regexp.MustCompile(`/run/secrets/\S+`).ReplaceAllLiteralString(sample, secret)
			if c := load(t, sample); len(c.Upstreams) == 0 {
				t.Errorf("nothing is read from\n%s", sample)
			}
		}
	}
	if samples < 7 {
		t.Errorf("only %d samples are found", samples)
	}
}

func TestEveryTypeIsKnownHere(t *testing.T) {
	if len(upstream.Kinds) == 0 {
		t.Fatal("there are no types")
	}
	for _, kind := range upstream.Kinds {
		_, err := Load(Source{File: write(t, "c.yaml", "upstreams: [{id: x, type: "+kind.Type+"}]", 0o600)})
		if err == nil || strings.Contains(err.Error(), "type") && strings.Contains(err.Error(), "is unknown") {
			t.Errorf("%s without anything: %v", kind.Type, err)
		}
	}
}
