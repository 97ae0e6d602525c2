package config

import (
	"strings"
	"testing"
	"time"
)

func TestAllFaultsAreReportedAtOnceWithKeyValueAndFix(t *testing.T) {
	faults := refused(t, Source{Dir: t.TempDir(), Serve: true, Env: []string{
		"GATEHOUSE_ISSUER=http://id.example.com", "GATEHOUSE_SERVER_LISTEN=8080", "GATEHOUSE_TOKENS_ACCESS=10 minutes", "GATEHOUSE_PASSWORDS_COST=4",
		"GATEHOUSE_LIMITS_LOGIN_IP=many", "GATEHOUSE_STORAGE_URL=mysql://u:hunter2@h/d", "GATEHOUSE_LOG_LEVEL=loud", "GATEHOUSE_KEYS_ID_TOKEN_ALG=HS256",
	}})
	if len(faults) != 8 {
		t.Errorf("want 8 faults, got %v", faults)
	}
	text := faults.Error()
	for _, want := range []string{"has 8 faults", "issuer (from GATEHOUSE_ISSUER)", `"8080"`, `"10 minutes"`, `"4"`, `"many"`, `"loud"`, `"HS256"`, "use https", "30/10m", "sqlite:gatehouse.db"} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is not in\n%s", want, text)
		}
	}
	if strings.Contains(text, "hunter2") {
		t.Errorf("the database password is in\n%s", text)
	}
	for _, f := range faults {
		if f.Fix == "" && !strings.Contains(f.Problem, ";") {
			t.Errorf("%s says no fix", f)
		}
	}
}

func TestValuesThatAreRefused(t *testing.T) {
	for _, test := range []struct{ key, yaml string }{
		{"issuer", "issuer: https://id.example.com/"},
		{"issuer", "issuer: https://ID.example.com"},
		{"issuer", "issuer: https://id.example.com/a//b"},
		{"issuer", "issuer: https://id.example.com/a%2fb"},
		{"issuer", "issuer: https://id.example.com/../b"},
		{"issuer", "issuer: https://id.example.com?a=b"},
		{"issuer", "issuer: https://user@id.example.com"},
		{"issuer", "issuer: https://id.example.com/healthz"},
		{"issuer", "issuer: id.example.com"},
		{"issuer", "issuer: http://127.0.0.2:8080"},
		{"issuer", "issuer: http://localhost.evil.example"},
		{"issuer", "issuer: [a, b]"},
		{"server.listen", "server: {listen: localhost}"},
		{"server.listen", "server: {listen: '127.0.0.1:99999'}"},
		{"ops.listen", "ops: {listen: '127.0.0.1:8080'}"},
		{"server.trusted_proxies", "server: {trusted_proxies: [proxy.example]}"},
		{"server.trusted_proxies", "server: {trusted_proxies: [[10.0.0.1]]}"},
		{"server.shutdown_grace", "server: {shutdown_grace: 1h}"},
		{"server.tls.key", "server: {tls: {cert: a.pem}}"},
		{"server.tls.cert", "{issuer: 'https://a.example', server: {tls: {cert: /none.pem, key: /none.key}}}"},
		{"issuer", "server: {tls: {cert: /none.pem, key: /none.key}}"},
		{"storage.url", "storage: {url: 'sqlite:'}"},
		{"storage.url", "storage: {url: 'sqlite::memory:'}"},
		{"storage.url", "storage: {url: 'postgres://host'}"},
		{"storage.auto_migrate", "storage: {auto_migrate: perhaps}"},
		{"sessions.idle", "sessions: {idle: 13h}"},
		{"sessions.absolute", "sessions: {absolute: 100d, idle: 1h}"},
		{"sessions.cookie_same_site", "sessions: {cookie_same_site: none}"},
		{"sessions.cookie_same_site", "{issuer: 'https://a.example', sessions: {cookie_same_site: strict}}"},
		{"tokens.code", "tokens: {code: 0}"},
		{"tokens.access", "tokens: {access: 2h}"},
		{"tokens.access", "tokens: {access: -5m}"},
		{"tokens.refresh_idle", "tokens: {refresh_idle: 91d}"},
		{"tokens.public_refresh_idle", "tokens: {public_refresh_idle: 31d}"},
		{"tokens.refresh_idle", "registration: {mode: token, expire_idle: 13d}"},
		{"tokens.public_refresh_idle", "{registration: {mode: open, expire_idle: 6d}, tokens: {refresh_idle: 5d}}"},
		{"tokens.refresh_grace", "tokens: {refresh_grace: 6m}"},
		{"tokens.default_audience", "tokens: {default_audience: api}"},
		{"keys.algorithms", "keys: {algorithms: [RS256, ES256, HS256]}"},
		{"keys.algorithms", "keys: {algorithms: [RS256, ES256, ES256]}"},
		{"keys.access_token_alg", "keys: {algorithms: [RS256]}"},
		{"keys.rsa_bits", "keys: {rsa_bits: 1024}"},
		{"keys.rotate_every", "keys: {rotate_every: 1d}"},
		{"passwords.cost", "passwords: {cost: 15}"},
		{"passwords.min_length", "passwords: {min_length: 4}"},
		{"limits.login_ip", "limits: {login_ip: 5}"},
		{"limits.login_ip", "limits: {login_ip: 0/1m}"},
		{"limits.login_ip", "limits: {login_ip: 5/1ms}"},
		{"limits.login_failures", "limits: {login_failures: 5}"},
		{"limits.login_failures", "limits: {login_failures: 1000}"},
		{"limits.factor_challenge", "limits: {factor_challenge: 0}"},
		{"limits.hash_pool", "limits: {hash_pool: -1}"},
		{"limits.hash_pool", "limits: {hash_pool: 257}"},
		{"limits.hash_queue", "limits: {hash_queue: 0}"},
		{"limits.hash_queue", "limits: {hash_queue: 101}"},
		{"outbound.allow", "outbound: {allow: ['https://a.example']}"},
		{"outbound.allow", "outbound: {allow: ['0.0.0.0/0']}"},
		{"server.trusted_proxies", "server: {trusted_proxies: ['::/0']}"},
		{"outbound.ca_file", "outbound: {ca_file: /none.pem}"},
		{"resources", "resources: [{uri: api}]"},
		{"resources", "resources: [{uri: 'https://a.example#x'}]"},
		{"resources", "resources: [{uri: 'https://a.example'}, {uri: 'https://a.example'}]"},
		{"resources", "resources: [{uri: 'https://a.example', scopes: ['a b']}]"},
		{"resources", "resources: [{uri: 'https://a.example', scope: [a]}]"},
		{"resources", "resources: [{uri: 'https://a.example', access_token_lifetime: 2h}]"},
		{"resources", "resources: [x]"},
		{"resources", "resources: x"},
		{"signup.mode", "signup: {mode: open}"},
		{"signup.mode", "signup: {mode: invite}"},
		{"signup.mode", "signup: {mode: perhaps}"},
		{"signup.name", "signup: {name: 'yes'}"},
		{"signup.terms_version", "signup: {terms_version: '1'}"},
		{"signup.terms_version", "{signup: {terms_version: \"a\\u0007\"}, branding: {terms_url: 'https://a.example/terms'}}"},
		{"login.magic_link", "login: {magic_link: true}"},
		{"branding.name", "branding: {name: ' '}"},
		{"branding.name", `branding: {name: "Shop\nBcc: x"}`},
		{"branding.name", `branding: {name: "Shop\u202e"}`},
		{"branding.logo_url", "branding: {logo_url: 'javascript:alert(1)'}"},
		{"branding.logo_url", "branding: {logo_url: 'https://cdn.example/l.png'}"},
		{"branding.logo_url", "branding: {logo_url: '//cdn.example/l.png'}"},
		{"branding.logo_url", "branding: {logo_url: logo.png}"},
		{"branding.terms_url", "branding: {terms_url: 'mailto:a@example.com'}"},
		{"log.format", "log: {format: xml}"},
	} {
		t.Run(test.yaml, func(t *testing.T) {
			faults := refused(t, Source{File: write(t, "c.yaml", test.yaml, 0o600), Serve: true})
			faultOf(t, faults, test.key)
			if len(faults) != 1 {
				t.Errorf("want one fault: %v", faults)
			}
		})
	}
}

func TestValuesThatAreAccepted(t *testing.T) {
	for _, yaml := range []string{
		"issuer: https://id.example.com/a/b",
		"issuer: http://[::1]:8080",
		"server: {listen: ':8080'}",
		"server: {listen: '[::1]:8080', trusted_proxies: [10.1.2.3, 'fd00::/8']}",
		"{issuer: 'https://a.example', sessions: {cookie_same_site: none}}",
		"storage: {url: 'sqlite:/var/lib/gatehouse/gatehouse.db'}",
		"limits: {login_ip: 0, token_ok: 100000/1s}",
		"outbound: {allow: [keys.internal, 'keys.internal:8443', 10.0.0.0/8, '::1', '[::1]:8443']}",
		"branding: {support_url: 'mailto:help@example.com', logo_url: /brand/logo.svg}",
		"{issuer: 'https://id.example.com/x', branding: {logo_url: 'https://id.example.com/logo.svg'}}",
		"tokens: {refresh_grace: 0, access: 1s}",
		"{signup: {mode: open, terms_version: 2026-01}, login: {magic_link: true}, mail: {url: 'smtp://localhost', from: a@example.com}, branding: {terms_url: 'https://a.example/terms'}}",
	} {
		load(t, yaml)
	}
}

func TestDevKeepsToLoopback(t *testing.T) {
	for listen, ok := range map[string]bool{"127.0.0.1:1": true, "localhost:1": true, "[::1]:1": true, "127.8.8.8:1": true, ":1": false, "0.0.0.0:1": false, "[::]:1": false, "192.0.2.1:1": false} {
		_, err := Load(Source{Dir: t.TempDir(), Env: []string{"GATEHOUSE_SERVER_LISTEN=" + listen}, Serve: true, Dev: true})
		if (err == nil) != ok {
			t.Errorf("%s: %v", listen, err)
		}
	}
}

func TestDurationsAndRatesReadWhatTheyWrite(t *testing.T) {
	for text, want := range map[string]time.Duration{"0": 0, "0s": 0, "90d": 90 * day, "1d12h": 36 * time.Hour, "10m": 10 * time.Minute, "1h30m": 90 * time.Minute, "500ms": time.Second / 2} {
		got, err := ParseDuration(text)
		if err != nil || got != want {
			t.Errorf("%s: %v %v", text, got, err)
		}
		if again, err := ParseDuration(FormatDuration(got)); err != nil || again != want {
			t.Errorf("%s is written %s", text, FormatDuration(got))
		}
	}
	for _, text := range []string{"", "10", "d", "-1d", "1d-2h", "1.5d", "90 d", "999999d", "-5m", "1w"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q is read as %v", text, got)
		}
	}
	for d, want := range map[time.Duration]string{10 * time.Minute: "10m", 12 * time.Hour: "12h", 90 * day: "90d", 90 * time.Minute: "1h30m", 90 * time.Second: "1m30s", time.Second: "1s"} {
		if got := FormatDuration(d); got != want {
			t.Errorf("%v is written %s", d, got)
		}
	}
	if l, err := ParseLimit("30/10m"); err != nil || l.String() != "30/10m" {
		t.Error(l, err)
	}
}
