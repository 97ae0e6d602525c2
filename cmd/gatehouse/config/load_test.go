package config

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"
)

const goodKey = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="

func write(t *testing.T, name, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func load(t *testing.T, yaml string, env ...string) *Config {
	t.Helper()
	c, err := Load(Source{File: write(t, "c.yaml", yaml, 0o600), Env: env, Serve: true})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// refused loads what must be wrong and returns the faults.
func refused(t *testing.T, s Source) Faults {
	t.Helper()
	_, err := Load(s)
	var faults Faults
	if !errors.As(err, &faults) {
		t.Fatalf("want faults, got %v", err)
	}
	return faults
}

func faultOf(t *testing.T, faults Faults, key string) Fault {
	t.Helper()
	i := slices.IndexFunc(faults, func(f Fault) bool { return f.Key == key })
	if i < 0 {
		t.Fatalf("no fault of %s in\n%v", key, faults)
	}
	return faults[i]
}

func TestDefaultsAreValidWithoutAnyFile(t *testing.T) {
	c, err := Load(Source{Dir: t.TempDir(), Serve: true, Dev: true})
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(c, Default()) {
		t.Errorf("an empty folder gives %+v", c)
	}
}

func TestShippedFileEqualsTheDefaults(t *testing.T) {
	c, err := Load(Source{File: "../../../config.yaml"})
	if err != nil {
		t.Fatal(err)
	}
	if want := Default(); !reflect.DeepEqual(c, want) {
		t.Errorf("config.yaml gives\n%+v\nwant\n%+v", c, want)
	}
}

func TestShippedFileHasEveryKeyOnceWithAComment(t *testing.T) {
	data, err := os.ReadFile("../../../config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(data, &doc); err != nil {
		t.Fatal(err)
	}
	comments := map[string]string{}
	collect(t, "", doc.Content[0], comments)
	known := leaves("", reflect.ValueOf(Default()).Elem())
	if len(known) > 90 { // docs/decisions/0009-ninety-settings.md
		t.Errorf("%d keys, at most 90 are allowed", len(known))
	}
	for _, l := range known {
		comment, ok := comments[l.key]
		if !ok {
			t.Errorf("config.yaml lacks %s", l.key)
		} else if len(comment) < 10 {
			t.Errorf("%s has no comment", l.key)
		}
		if l.secret != strings.HasPrefix(comment, "# secret.") {
			t.Errorf("%s: the comment must begin with \"secret.\" exactly if it is one: %q", l.key, comment)
		}
		delete(comments, l.key)
	}
	for key := range comments {
		t.Errorf("config.yaml has %s, which is no key", key)
	}
}

func TestShippedFileShowsEveryKeyOfItems(t *testing.T) {
	data, err := os.ReadFile("../../../config.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for list, items := range map[string]any{"resources": &[]Resource{}, "upstreams": &[]Upstream{}} {
		before, _, _ := strings.Cut(string(data), "\n"+list+": []")
		var sample strings.Builder
		for _, line := range strings.Split(before[strings.LastIndex(before, "\n# - "):], "\n") {
			sample.WriteString(strings.TrimPrefix(line, "# ") + "\n")
		}
		var written []map[string]any
		if err := yaml.Unmarshal([]byte(sample.String()), &written); err != nil || len(written) != 1 {
			t.Fatalf("the sample of %s cannot be read: %v %v", list, written, err)
		}
		v := reflect.ValueOf(items).Elem()
		if err := assignStructs(v, []any{written[0]}); err != nil {
			t.Errorf("the sample of %s: %+v", list, err)
		}
		for _, l := range leaves("", v.Index(0)) {
			if _, ok := written[0][l.key]; !ok {
				t.Errorf("config.yaml does not show %s of %s", l.key, list)
			}
		}
	}
}

// collect notes the comment in front of every leaf of a YAML map.
func collect(t *testing.T, prefix string, node *yaml.Node, comments map[string]string) {
	t.Helper()
	for i := 0; i < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		name := prefix + key.Value
		if value.Kind == yaml.MappingNode {
			collect(t, name+".", value, comments)
			continue
		}
		if _, twice := comments[name]; twice {
			t.Errorf("%s is there twice", name)
		}
		comments[name] = key.HeadComment
	}
}

func TestReferenceListsEveryKeyWithItsDefault(t *testing.T) {
	data, err := os.ReadFile("../../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range leaves("", reflect.ValueOf(Upstream{})) {
		if !strings.Contains(string(data), "| `"+l.key+"` | ") {
			t.Errorf("docs/configuration.md has no row of %s of upstreams", l.key)
		}
	}
	for _, l := range leaves("", reflect.ValueOf(Default()).Elem()) {
		value := text(l.value)
		if value == "" {
			value = "empty"
		}
		row := fmt.Sprintf("| `%s` | `%s` |", l.key, value)
		if !strings.Contains(string(data), row) {
			t.Errorf("docs/configuration.md has no row that begins %s", row)
		}
	}
}

func TestEnvironmentWinsOverTheFile(t *testing.T) {
	c := load(t, "server: {listen: '127.0.0.1:1', trusted_proxies: [10.0.0.0/8]}\nlimits: {login_ip: 0}\n",
		"GATEHOUSE_SERVER_LISTEN=:9", "GATEHOUSE_KEYS_ALGORITHMS=RS256, ES256,EdDSA", "GATEHOUSE_STORAGE_AUTO_MIGRATE=false",
		"GATEHOUSE_TOKENS_REFRESH_ABSOLUTE=60d", "GATEHOUSE_LIMITS_TOKEN_OK=600/1m", "GATEHOUSE_BRANDING_NAME=", "GATEHOUSE_PASSWORDS_COST=10",
		`GATEHOUSE_RESOURCES=[{"uri":"https://api.example.com","scopes":["a","b"],"access_token_lifetime":"5m","dynamic_clients":true}]`)
	if c.Server.Listen != ":9" || !slices.Equal(c.Keys.Algorithms, []string{"RS256", "ES256", "EdDSA"}) || c.Storage.AutoMigrate ||
		c.Tokens.RefreshAbsolute != 60*day || c.Limits.TokenOK != (Limit{600, time.Minute}) || c.Branding.Name != "Gatehouse" || c.Passwords.Cost != 10 {
		t.Errorf("%+v", c)
	}
	want := []Resource{{URI: "https://api.example.com", Scopes: []string{"a", "b"}, AccessTokenLifetime: 5 * time.Minute, DynamicClients: true}}
	if !reflect.DeepEqual(c.Resources, want) {
		t.Errorf("resources: %+v", c.Resources)
	}
	if c.Limits.LoginIP != (Limit{}) || len(c.Server.Prefixes()) != 1 {
		t.Errorf("the file's values are lost: %+v", c)
	}
}

func TestResourcesAreReadFromYAML(t *testing.T) {
	c := load(t, "resources:\n- uri: https://a.example\n  scopes: [x]\n  introspection_clients: [c1]\n  access_token_lifetime: 30m\n- uri: urn:example:b\n")
	if len(c.Resources) != 2 || c.Resources[0].IntrospectionClients[0] != "c1" || c.Resources[0].AccessTokenLifetime != 30*time.Minute {
		t.Errorf("%+v", c.Resources)
	}
}

func TestSecretsAreReadFromFiles(t *testing.T) {
	keys := write(t, "keys", goodKey+"\n"+strings.Replace(goodKey, "AAEC", "BBEC", 1)+"\n", 0o600)
	url := write(t, "url", "postgres://u:p@db/gatehouse\n", 0o640)
	c := load(t, "", "GATEHOUSE_SECRETS_KEYS_FILE="+keys, "GATEHOUSE_STORAGE_URL_FILE="+url)
	if len(c.Secrets.Keys) != 2 || c.Secrets.Keys[0] != goodKey || c.Storage.URL != "postgres://u:p@db/gatehouse" {
		t.Errorf("%+v %+v", c.Secrets, c.Storage)
	}
}

func TestRow199SecretFaults(t *testing.T) {
	open := write(t, "keys", goodKey, 0o644)
	for name, test := range map[string]struct {
		env  []string
		want string
	}{
		"missing key on PostgreSQL": {[]string{"GATEHOUSE_STORAGE_URL=postgres://u:hunter2@db/g"}, "openssl rand -base64 32"},
		"short key":                 {[]string{"GATEHOUSE_SECRETS_KEYS=aHVudGVyMg=="}, "not 32 bytes"},
		"not base64":                {[]string{"GATEHOUSE_SECRETS_KEYS=hunter2!"}, "not 32 bytes"},
		"sample key":                {[]string{"GATEHOUSE_SECRETS_KEYS=" + strings.Repeat("A", 43) + "="}, "sample"},
		"repeated key":              {[]string{"GATEHOUSE_SECRETS_KEYS=" + goodKey + "," + strings.TrimRight(goodKey, "=")}, "repetition"},
		"world-readable file":       {[]string{"GATEHOUSE_SECRETS_KEYS_FILE=" + open}, "chmod 600"},
		"missing file":              {[]string{"GATEHOUSE_SECRETS_KEYS_FILE=/nowhere/keys"}, "no such file"},
		"both twins":                {[]string{"GATEHOUSE_SECRETS_KEYS=" + goodKey, "GATEHOUSE_SECRETS_KEYS_FILE=" + open}, "unset one"},
	} {
		t.Run(name, func(t *testing.T) {
			faults := refused(t, Source{Dir: t.TempDir(), Env: test.env, Serve: true})
			text := faults.Error()
			if !strings.Contains(text, "secrets.keys") || !strings.Contains(text, test.want) {
				t.Errorf("want %q in %s", test.want, text)
			}
			for _, secret := range []string{"hunter2", "aHVudGVyMg", goodKey[:20]} {
				if strings.Contains(text, secret) {
					t.Errorf("the secret %q is in %s", secret, text)
				}
			}
		})
	}
}

func TestMasterKeyIsAskedForOnlyByAServer(t *testing.T) {
	if _, err := Load(Source{Dir: t.TempDir(), Env: []string{"GATEHOUSE_STORAGE_URL=postgres://u:p@db/g"}}); err != nil {
		t.Error(err)
	}
}

func TestUnknownNamesAreRefusedWithTheNearest(t *testing.T) {
	faults := refused(t, Source{File: write(t, "c.yaml", "issuer: https://id.example.com\nserver:\n  listn: ':1'\nsmtp: {host: x}\nlog: loud\n", 0o600),
		Env: []string{"GATEHOUSE_SERVER_LISTENS=:1", "GATEHOUSE_ISSUER_FILE=/x", "GATEHOUSE_PORT_8080_TCP=tcp://10.0.0.1", "GATEHOUSE_SERVICE_HOST=10.0.0.1", "OTHER=1"}})
	for key, want := range map[string]string{
		"server.listn": "did you mean server.listen?", "smtp.host": "no key", "log": "group of keys",
		"GATEHOUSE_SERVER_LISTENS": "did you mean GATEHOUSE_SERVER_LISTEN?", "GATEHOUSE_ISSUER_FILE": "set GATEHOUSE_ISSUER",
	} {
		if text := faultOf(t, faults, key).String(); !strings.Contains(text, want) {
			t.Errorf("want %q in %s", want, text)
		}
	}
	if len(faults) != 5 {
		t.Errorf("want 5 faults: %v", faults)
	}
}

func TestBrokenYAMLNamesTheLineAndQuotesNothing(t *testing.T) {
	faults := refused(t, Source{File: write(t, "c.yaml", "issuer: a\nsecrets:\n  keys: [hunter2\nlog: x: y\n", 0o600)})
	if text := faults.Error(); !strings.Contains(text, "line ") || strings.Contains(text, "hunter2") {
		t.Error(text)
	}
	faults = refused(t, Source{File: write(t, "c.yaml", "issuer: https://a.example\nissuer: https://b.example\n", 0o600)})
	if text := faults.Error(); !strings.Contains(text, "line 2") {
		t.Error(text)
	}
}

func TestNamedFileMustExist(t *testing.T) {
	_, err := Load(Source{File: filepath.Join(t.TempDir(), "none.yaml")})
	if !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

func TestEmptyGroupsAndValuesKeepDefaults(t *testing.T) {
	if c := load(t, "server:\nlog:\n  level:\nresources:\n"); !reflect.DeepEqual(c, Default()) {
		t.Errorf("%+v", c)
	}
}
