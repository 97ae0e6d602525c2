package main

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/console"
	"gatehouse/provider/oauth"
	"gatehouse/storage"
)

// clientFlags are the flags of client create and update. A flag wins over the file.
type clientFlags struct {
	given       oauth.Metadata
	file        string
	jwksFile    string
	secretStdin bool

	document []byte
	jwks     []byte
}

func (f *clientFlags) register(c *cobra.Command, create bool) {
	flags, m := c.Flags(), &f.given
	flags.StringVar(&m.ClientName, "name", "", "`NAME` that users see")
	flags.StringArrayVar(&m.RedirectURIs, "redirect-uri", nil, "redirect `URI`; may be repeated")
	flags.StringArrayVar(&m.PostLogoutURIs, "post-logout-redirect-uri", nil, "`URI` to return to after sign-out; may be repeated")
	flags.StringArrayVar(&m.GrantTypes, "grant-type", nil, "`GRANT` such as authorization_code, refresh_token, client_credentials; may be repeated")
	flags.StringArrayVar(&m.ResponseTypes, "response-type", nil, "response `TYPE`; may be repeated")
	flags.StringVar(&m.Scope, "scope", "", "`SCOPES` that it may ask for, separated by spaces")
	flags.StringVar(&m.AuthMethod, "auth-method", "", "`METHOD`: none, client_secret_basic, client_secret_post or private_key_jwt")
	flags.StringArrayVar(&m.Audience, "audience", nil, "`URI` of an API (resources in the configuration) that it may ask for; may be repeated")
	flags.StringVar(&m.AccessTokenFormat, "access-token", "", "form of its access tokens: `jwt|opaque`")
	flags.StringVar(&m.Profile, "profile", "", "how strict Gatehouse is with it: `strict|compatible|fapi2`")
	flags.StringVar(&m.JWKSURI, "jwks-uri", "", "`URL` of its public keys, for private_key_jwt")
	flags.StringVar(&f.jwksFile, "jwks", "", "`FILE` with its public keys as a JWK set")
	flags.StringVar(&m.LogoURI, "logo-uri", "", "`URL` of its logo (PNG, JPEG or WebP, at most 64 KiB)")
	flags.BoolVar(&m.FirstParty, "first-party", false, "it is your own: users are not asked for consent")
	flags.StringVarP(&f.file, "file", "f", "", "read RFC 7591 JSON from `FILE`, or - for standard input")
	if create {
		flags.StringVar(&m.ClientID, "id", "", "its client_id (default: a random `ID`)")
		flags.BoolVar(&f.secretStdin, "secret-stdin", false, "read its secret from standard input instead of making one")
		return
	}
	flags.BoolVar(&m.Disabled, "disabled", false, "switch it off: nobody can sign in through it and its tokens die; --disabled=false switches it on")
}

// read fills m from the file and the flags.
func (f *clientFlags) read(p *program, c *cobra.Command, m *oauth.Metadata) error {
	if err := f.readFile(p); err != nil {
		return err
	}
	return f.apply(c, m)
}

// readFile reads what the flags name, once.
func (f *clientFlags) readFile(p *program) error {
	if f.file == "-" && f.secretStdin {
		return console.Usagef("-f - and --secret-stdin both read standard input; put the JSON into a file")
	}
	var err error
	if f.file != "" {
		if f.document, err = p.ReadAll(f.file); err != nil {
			return fmt.Errorf("read client: %w", err)
		}
		if unknown := unknownMembers(f.document); len(unknown) > 0 {
			fmt.Fprintf(p.Err, "gatehouse: ignored, because they mean nothing here: %s\n", strings.Join(unknown, ", "))
		}
	}
	if f.jwksFile != "" {
		if f.jwks, err = p.ReadAll(f.jwksFile); err != nil {
			return fmt.Errorf("read keys: %w", err)
		}
	}
	return nil
}

// apply changes m by the file, then by the flags that were given.
func (f *clientFlags) apply(c *cobra.Command, m *oauth.Metadata) error {
	if f.document != nil {
		if err := json.Unmarshal(f.document, m); err != nil {
			return console.Usagef("%s is no client in JSON (RFC 7591): %w", f.file, err)
		}
	}
	if f.jwks != nil {
		if !json.Valid(f.jwks) {
			return console.Usagef("%s is no JSON", f.jwksFile)
		}
		m.JWKS = f.jwks
	}
	to, from := reflect.ValueOf(m).Elem(), reflect.ValueOf(f.given)
	for flag, field := range map[string]string{
		"name": "ClientName", "redirect-uri": "RedirectURIs", "post-logout-redirect-uri": "PostLogoutURIs", "grant-type": "GrantTypes", "response-type": "ResponseTypes",
		"scope": "Scope", "auth-method": "AuthMethod", "audience": "Audience", "access-token": "AccessTokenFormat", "profile": "Profile", "jwks-uri": "JWKSURI",
		"logo-uri": "LogoURI", "first-party": "FirstParty", "id": "ClientID", "disabled": "Disabled",
	} {
		if c.Flags().Changed(flag) {
			to.FieldByName(field).Set(from.FieldByName(field))
		}
	}
	return nil
}

// giveSecret gives a new client the secret that its authentication method needs: from standard input, from the file, or a generated one, which is returned.
func (f *clientFlags) giveSecret(p *program, c *storage.Client, chosen string) (string, error) {
	if !oauth.NeedsSecret(c) {
		if f.secretStdin || chosen != "" {
			return "", console.Usagef("a client with the authentication method %s has no secret", c.AuthMethod)
		}
		return "", nil
	}
	if f.secretStdin {
		var err error
		if chosen, err = p.ReadSecret(); err != nil {
			return "", err
		}
	}
	if chosen == "" {
		return addSecret(c, 0), nil
	}
	hash, err := oauth.HashSecret(chosen)
	if err != nil {
		return "", console.Usagef("the secret cannot be used: %w", err)
	}
	putSecret(c, hash, 0)
	return "", nil
}

// unknownMembers are the members of a JSON object that Metadata does not have. RFC 7591 section 2 wants them ignored; an operator wants to know.
func unknownMembers(document []byte) []string {
	var members map[string]json.RawMessage
	if json.Unmarshal(document, &members) != nil {
		return nil // apply says what is wrong
	}
	known := map[string]bool{}
	for field := range reflect.TypeFor[oauth.Metadata]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		known[name] = true
	}
	var unknown []string
	for name := range members {
		if !known[name] {
			unknown = append(unknown, console.Printable(name))
		}
	}
	slices.Sort(unknown)
	return unknown
}
