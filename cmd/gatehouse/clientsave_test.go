package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
	"time"
)

// register sends metadata to the registration endpoint, with an initial access token if there is one.
func (i *instance) register(t *testing.T, token, document string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequest("POST", "http://"+i.address+"/oauth2/register", strings.NewReader(document))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var body map[string]any
	if err := json.NewDecoder(answer.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, body
}

// beside runs a command beside the server.
func (i *instance) beside(t *testing.T, input string, args ...string) (code int, out, errOut string) {
	t.Helper()
	var o, e bytes.Buffer
	code = run(context.Background(), args, i.env, strings.NewReader(input), &o, &e)
	return code, o.String(), e.String()
}

// The command line and the registration endpoint accept the same, store the same and refuse the same for the same reason, but for what only operators may do.
func TestCommandLineAndRegistrationAreOneValidation(t *testing.T) {
	sector := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Write([]byte(`["https://a.example/cb","https://b.example/cb"]`))
	}))
	t.Cleanup(sector.Close)
	i := start(t, environment(t, "GATEHOUSE_REGISTRATION_MODE=open", "GATEHOUSE_REGISTRATION_PROFILE=compatible", "GATEHOUSE_LIMITS_REGISTRATION=0", "GATEHOUSE_OUTBOUND_ALLOW=127.0.0.1",
		"GATEHOUSE_OAUTH_RESPONSE_TYPES=code,id_token,code id_token", "GATEHOUSE_OAUTH_ALLOW_UNSIGNED_ID_TOKENS=true"))
	const base = `"redirect_uris":["https://a.example/cb"],"profile":"compatible"`
	for name, tc := range map[string]struct{ members, refused string }{
		"the least":                 {``, ""},
		"public":                    {`"token_endpoint_auth_method":"none","redirect_uris":["com.example.app:/cb"]`, ""},
		"hybrid in another order":   {`"response_types":["id_token code"]`, ""},
		"client_secret_jwt":         {`"token_endpoint_auth_method":"client_secret_jwt","token_endpoint_auth_signing_alg":"HS512"`, ""},
		"pairwise":                  {`"subject_type":"pairwise","redirect_uris":["https://b.example/cb","https://a.example/cb"],"sector_identifier_uri":"` + sector.URL + `"`, ""},
		"logout and request_uris":   {`"backchannel_logout_uri":"https://a.example/bc","frontchannel_logout_uri":"https://a.example/fc","request_uris":["https://a.example/r#x"],"require_pushed_authorization_requests":true`, ""},
		"unsigned ID tokens":        {`"id_token_signed_response_alg":"none"`, ""},
		"unknown members":           {`"trusted":true`, ""},
		"fragment":                  {`"redirect_uris":["https://a.example/cb#x"]`, "redirect_uris"},
		"wrong type":                {`"redirect_uris":"https://a.example/cb"`, "redirect_uris"},
		"sector without a redirect": {`"subject_type":"pairwise","redirect_uris":["https://c.example/cb"],"sector_identifier_uri":"` + sector.URL + `"`, "sector_identifier_uri"},
		"sector that is not there":  {`"sector_identifier_uri":"http://127.0.0.1:1/sector"`, "sector_identifier_uri"},
		"internal address":          {`"jwks_uri":"https://10.0.0.1/jwks"`, "jwks_uri"},
		"hybrid without implicit":   {`"grant_types":["authorization_code"],"response_types":["code id_token"]`, "response_types"},
		"another profile":           {`"response_types":["id_token token"]`, "response_types"},
		"http login":                {`"initiate_login_uri":"http://a.example/login"`, "initiate_login_uri"},
		"unsigned request objects":  {`"request_object_signing_alg":"none"`, "request_object_signing_alg"},
		"private key":               {`"jwks":{"keys":[{"kty":"oct","k":"AAAA"}]}`, "jwks"},
		"software statement":        {`"software_statement":"x"`, "software_statement"},
		"logout on another host":    {`"frontchannel_logout_uri":"https://b.example/fc"`, "frontchannel_logout_uri"},
	} {
		t.Run(name, func(t *testing.T) {
			document := "{" + base + "}"
			if tc.members != "" {
				document = "{" + withoutRepeats(base, tc.members) + "}"
			}
			code, out, errOut := i.beside(t, document, "client", "create", "-f", "-", "--format", "json")
			status, answer := i.register(t, "", document)
			if tc.refused != "" {
				description, _ := answer["error_description"].(string)
				if code != exitUsage || status != http.StatusBadRequest || !strings.HasPrefix(description, tc.refused+": ") {
					t.Fatalf("command %d %s, registration %d %v", code, errOut, status, answer)
				}
				if !strings.Contains(errOut, strings.TrimSuffix(description, ".")) {
					t.Errorf("two reasons: %s and %s", errOut, description)
				}
				return
			}
			var created map[string]any
			if err := json.Unmarshal([]byte(out), &created); err != nil || code != 0 || status != http.StatusCreated {
				t.Fatalf("command %d %s%s, registration %d %v", code, out, errOut, status, answer)
			}
			for _, own := range []string{"client_id", "client_id_issued_at", "client_secret", "registration_access_token", "registration_client_uri"} {
				delete(created, own)
				delete(answer, own)
			}
			if !reflect.DeepEqual(created, answer) {
				t.Errorf("command %v\nregistration %v", created, answer)
			}
		})
	}
}

// withoutRepeats joins two lists of members; the second wins.
func withoutRepeats(base, more string) string {
	if strings.Contains(more, `"redirect_uris"`) {
		return `"profile":"compatible",` + more
	}
	return base + "," + more
}

func TestRegistrationTokenIsMadeOnTheCommandLine(t *testing.T) {
	i := start(t, environment(t, "GATEHOUSE_REGISTRATION_MODE=token"))
	const document = `{"redirect_uris":["https://a.example/cb"]}`
	if status, _ := i.register(t, "", document); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", status)
	}
	make := func(args ...string) string {
		code, out, errOut := i.beside(t, "", append([]string{"client", "registration-token", "--format", "json"}, args...)...)
		var made struct {
			Token   string    `json:"initial_access_token"`
			Expires time.Time `json:"expires"`
		}
		if err := json.Unmarshal([]byte(out), &made); err != nil || code != 0 || errOut != "" || !strings.HasPrefix(made.Token, "gth_iat_") {
			t.Fatalf("%d %s %s", code, out, errOut)
		}
		if left := time.Until(made.Expires); left > time.Hour || left < 59*time.Minute {
			t.Errorf("it lives for %s, want 1 h", left)
		}
		return made.Token
	}
	once, many := make(), make("--reusable")
	for token, want := range map[string][2]int{once: {201, 401}, many: {201, 201}} {
		for _, status := range want {
			if got, body := i.register(t, token, document); got != status {
				t.Errorf("%d %v, want %d", got, body, status)
			}
		}
	}
	for _, bad := range []string{"0s", "400d", "soon"} {
		if code, _, errOut := i.beside(t, "", "client", "registration-token", "--ttl", bad); code != exitUsage || !strings.Contains(errOut, "--ttl") {
			t.Errorf("--ttl %s: %d %s", bad, code, errOut)
		}
	}
	if log := i.err.String(); strings.Contains(log, once) || strings.Contains(log, many) {
		t.Error("a token is in the log")
	}
}

func TestClientGetShowsWhatTheProfileAllowsAndUpdateKeepsTheSector(t *testing.T) {
	env := environment(t)
	i := &instance{env: env}
	code, _, errOut := i.beside(t, "", "client", "create", "--id", "shop", "--redirect-uri", "https://shop.example/cb", "--profile", "compatible", "--subject-type", "pairwise",
		"--request-uri", "https://shop.example/r#x", "--initiate-login-uri", "https://shop.example/login", "--backchannel-logout-uri", "https://shop.example/bc", "--require-par")
	if code != 0 {
		t.Fatal(errOut)
	}
	_, out, _ := i.beside(t, "", "client", "get", "shop", "--format", "json")
	var shown struct {
		ProfileAllows struct {
			PKCE  *bool    `json:"optional_pkce"`
			Modes []string `json:"response_modes"`
		} `json:"profile_allows"`
		RegisteredBy string   `json:"registered_by"`
		RequestURIs  []string `json:"request_uris"`
		PAR          bool     `json:"require_pushed_authorization_requests"`
	}
	if err := json.Unmarshal([]byte(out), &shown); err != nil || shown.ProfileAllows.PKCE == nil || !*shown.ProfileAllows.PKCE || len(shown.ProfileAllows.Modes) != 3 || shown.RegisteredBy != "operator" ||
		len(shown.RequestURIs) != 1 || !shown.PAR {
		t.Errorf("%v: %s", err, out)
	}
	if _, out, _ := i.beside(t, "", "client", "get", "shop"); !strings.Contains(out, "profile_allows") || !strings.Contains(out, "front_channel_tokens") {
		t.Errorf("table: %s", out)
	}
	if code, _, errOut := i.beside(t, "", "client", "update", "shop", "--redirect-uri", "https://other.example/cb"); code != exitUsage || !strings.Contains(errOut, "sector_identifier_uri") {
		t.Errorf("another sector: %d %s", code, errOut)
	}
	// A secret of the other form is made where the method changes, and shown once.
	code, out, errOut = i.beside(t, "", "client", "update", "shop", "--auth-method", "client_secret_jwt", "--format", "json")
	if code != 0 || strings.Count(out, "gth_cs_") != 2 {
		t.Errorf("%d %s %s", code, out, errOut)
	}
	code, out, errOut = i.beside(t, strings.Repeat("s", 20), "client", "rotate-secret", "shop", "--secret-stdin")
	if code != exitUsage || !strings.Contains(errOut, "32") {
		t.Errorf("a short secret: %d %s %s", code, out, errOut)
	}
}
