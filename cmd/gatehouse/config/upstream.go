package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"gatehouse/provider/upstream"
)

// Upstream is one foreign provider that people can sign in with. The fields mean what they do in upstream.Config.
type Upstream struct {
	ID               string              `key:"id"`
	Type             string              `key:"type"`
	Name             string              `key:"name"`
	Issuer           string              `key:"issuer"`
	Tenant           string              `key:"tenant"`
	URL              string              `key:"url"`
	ClientID         string              `key:"client_id"`
	ClientSecret     string              `key:"client_secret" secret:"true"`
	ClientSecretFile string              `key:"client_secret_file"`
	Scopes           []string            `key:"scopes"`
	HostedDomains    []string            `key:"hosted_domains"`
	Organizations    []string            `key:"organizations"`
	Teams            []string            `key:"teams"`
	TeamID           string              `key:"team_id"`
	KeyID            string              `key:"key_id"`
	PrivateKey       string              `key:"private_key" secret:"true"`
	PrivateKeyFile   string              `key:"private_key_file"`
	Link             string              `key:"link"` // proof, verified or never
	CreateUsers      bool                `key:"create_users"`
	TrustEmail       bool                `key:"trust_email"`
	Domains          []string            `key:"domains"`
	Claims           map[string]string   `key:"claims"`
	Groups           string              `key:"groups"`
	Roles            map[string][]string `key:"roles"`
	ACR              map[string]string   `key:"acr"`
	KeepTokens       bool                `key:"keep_tokens"`
	EndSession       bool                `key:"end_session"`
}

func (u *Upstream) setDefaults() { u.Link, u.CreateUsers = "proof", true }

// Config is the upstream as package upstream takes it.
func (u *Upstream) Config() upstream.Config {
	return upstream.Config{
		ID: u.ID, Type: u.Type, Name: u.Name, Issuer: u.Issuer, Tenant: u.Tenant, URL: u.URL, ClientID: u.ClientID, ClientSecret: u.ClientSecret,
		Scopes: slices.Clone(u.Scopes), HostedDomains: slices.Clone(u.HostedDomains), Organizations: slices.Clone(u.Organizations), Teams: slices.Clone(u.Teams),
		TeamID: u.TeamID, KeyID: u.KeyID, PrivateKey: u.PrivateKey, Link: u.Link, CreateUsers: u.CreateUsers, TrustEmail: u.TrustEmail,
		Domains: slices.Clone(u.Domains), Claims: maps.Clone(u.Claims), Groups: u.Groups, Roles: maps.Clone(u.Roles), ACR: maps.Clone(u.ACR),
		KeepTokens: u.KeepTokens, EndSession: u.EndSession,
	}
}

// upstreamID is what an id looks like. It is part of a path and, in capitals, of variables.
var upstreamID = regexp.MustCompile(`^[a-z0-9-]{1,32}$`)

const upstreamsEnv = envPrefix + "UPSTREAMS_"

// itemSecret is a secret of an upstream: its field, where it is kept, and the field that names a file with it.
type itemSecret struct {
	field string
	value *string
	file  string
}

func (u *Upstream) secrets() []itemSecret {
	return []itemSecret{{"client_secret", &u.ClientSecret, u.ClientSecretFile}, {"private_key", &u.PrivateKey, u.PrivateKeyFile}}
}

// env is the variable of a field: GATEHOUSE_UPSTREAMS_MY_IDP_CLIENT_SECRET for my-idp.
func (u *Upstream) env(field string) string {
	return upstreamsEnv + strings.ToUpper(strings.ReplaceAll(u.ID, "-", "_")+"_"+field)
}

// readUpstreamSecrets reads the secrets of upstreams from variables and files, takes the variables out of values and returns their names. What is left of values
// belongs to no upstream.
func (l *loader) readUpstreamSecrets(values map[string]string) []string {
	var names []string
	sure := !l.unread && (len(l.config.Upstreams) > 0 || !l.broken("upstreams"))
	for i := range l.config.Upstreams {
		u := &l.config.Upstreams[i]
		named := upstreamID.MatchString(u.ID)
		sure = sure && named
		for _, s := range u.secrets() {
			variable := u.env(s.field)
			if !named {
				variable = ""
			} else {
				names = append(names, variable, variable+"_FILE")
			}
			l.readSecret(i, s, variable, values)
		}
	}
	for name := range values {
		if slices.Contains(names, name) || !sure && strings.HasPrefix(name, upstreamsEnv) {
			delete(values, name)
		}
	}
	return names
}

// readSecret reads one secret of upstream i. The environment wins over the file, as for every key.
func (l *loader) readSecret(i int, s itemSecret, variable string, values map[string]string) {
	value, path := values[variable], values[variable+"_FILE"]
	field, problem, fix := s.field, "", ""
	switch {
	case value != "" && path != "":
		problem, fix = "is set by "+variable+" and by "+variable+"_FILE", "unset one of the two"
	case value != "":
		*s.value = value
		return
	case path != "":
		field = variable + "_FILE"
	case *s.value != "" && s.file != "":
		problem, fix = "is also set by "+s.field+"_file", "remove one of the two"
	case s.file != "":
		field, path = s.field+"_file", s.file
	}
	if problem == "" && path != "" {
		text, err := ReadSecretFile(path)
		if err == nil {
			*s.value = strings.TrimSpace(string(text))
			return
		}
		problem, fix = err.Error(), "name a file that only this program can read" // not the path: people write the secret itself there
	}
	if problem != "" {
		l.unreadable("upstreams", itemFault{i, l.config.Upstreams[i].ID, field, problem, fix})
		l.badItems[itemField{"upstreams", i, s.field}] = true
	}
}
