package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"

	"github.com/spf13/cobra"

	"gatehouse/cmd/gatehouse/console"
	"gatehouse/provider/client"
	"gatehouse/storage"
)

// clientFlags are the flags of client create and update. A flag wins over the file.
type clientFlags struct {
	given       client.Metadata
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
	flags.StringVar(&m.AuthMethod, "auth-method", "", "`METHOD`: none, client_secret_basic, client_secret_post, client_secret_jwt or private_key_jwt")
	flags.StringArrayVar(&m.Audience, "audience", nil, "`URI` of an API (resources in the configuration) that it may ask for; may be repeated")
	flags.StringVar(&m.AccessTokenFormat, "access-token", "", "form of its access tokens: `jwt|opaque`")
	flags.StringVar(&m.Profile, "profile", "", "how strict Gatehouse is with it: `strict|compatible|fapi2`")
	flags.StringVar(&m.JWKSURI, "jwks-uri", "", "`URL` of its public keys, for private_key_jwt")
	flags.StringVar(&f.jwksFile, "jwks", "", "`FILE` with its public keys as a JWK set")
	flags.StringVar(&m.LogoURI, "logo-uri", "", "`URL` of its logo (PNG, JPEG or WebP, at most 64 KiB)")
	flags.StringArrayVar(&m.RequestURIs, "request-uri", nil, "`URI` of a request object that it may refer to; may be repeated")
	flags.StringVar(&m.RequestObjectAlg, "request-object-alg", "", "`ALG` that its request objects are signed with")
	flags.BoolVar(&m.RequireSignedRequestObject, "require-signed-request-object", false, "its authorization requests must come as signed request objects")
	flags.BoolVar(&m.RequirePAR, "require-par", false, "its authorization requests must be pushed (RFC 9126)")
	flags.StringVar(&m.SubjectType, "subject-type", "", "how it knows users: `public|pairwise`")
	flags.StringVar(&m.SectorIdentifierURI, "sector-identifier-uri", "", "`URL` of a JSON array of all redirect URIs of a pairwise client")
	flags.StringVar(&m.IDTokenAlg, "id-token-alg", "", "`ALG` that its ID tokens are signed with")
	flags.StringVar(&m.UserinfoAlg, "userinfo-alg", "", "`ALG` that userinfo is signed with for it; unsigned JSON without")
	flags.StringVar(&m.InitiateLoginURI, "initiate-login-uri", "", "https `URL` where others, such as the account page, start a login to it")
	flags.StringVar(&m.BackchannelLogoutURI, "backchannel-logout-uri", "", "`URL` that the server tells of ended sessions")
	flags.StringVar(&m.FrontchannelLogoutURI, "frontchannel-logout-uri", "", "`URL` that browsers load when a session ends")
	flags.StringVar(&m.Upstream, "upstream", "", "`ID` of the sign-in provider that its users are sent to without a question")
	flags.BoolVar(&m.FirstParty, "first-party", false, "it is your own: users are not asked for consent")
	flags.StringVar(&m.SignUp, "sign-up", "", "who may make an account on the way to it: `off|open|invite` (default: signup.mode of the configuration)")
	flags.BoolVar(&m.RequireMFA, "require-mfa", false, "everybody on the way to it needs a second factor")
	flags.StringVarP(&f.file, "file", "f", "", "read RFC 7591 JSON from `FILE`, or - for standard input")
	if create {
		flags.StringVar(&m.ClientID, "id", "", "its client_id (default: a random `ID`)")
		flags.BoolVar(&f.secretStdin, "secret-stdin", false, "read its secret from standard input instead of making one")
		return
	}
	flags.BoolVar(&m.Disabled, "disabled", false, "switch it off: nobody can sign in through it and its tokens die; --disabled=false switches it on")
}

// read fills m from the file and the flags.
func (f *clientFlags) read(p *program, c *cobra.Command, m *client.Metadata) error {
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
		// What is wrong with the document is told by apply.
		if unknown, _ := client.Decode(f.document, &client.Metadata{}); len(unknown) > 0 {
			fmt.Fprintf(p.Err, "gatehouse: ignored, because they mean nothing here: %s\n", console.Printable(strings.Join(unknown, ", ")))
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
func (f *clientFlags) apply(c *cobra.Command, m *client.Metadata) error {
	if f.document != nil {
		var refused *client.MetadataError
		if _, err := client.Decode(f.document, m); errors.As(err, &refused) {
			return metadataError(err)
		} else if err != nil {
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
		"logo-uri": "LogoURI", "request-uri": "RequestURIs", "request-object-alg": "RequestObjectAlg", "require-signed-request-object": "RequireSignedRequestObject",
		"require-par": "RequirePAR", "subject-type": "SubjectType", "sector-identifier-uri": "SectorIdentifierURI", "id-token-alg": "IDTokenAlg", "userinfo-alg": "UserinfoAlg",
		"initiate-login-uri": "InitiateLoginURI", "backchannel-logout-uri": "BackchannelLogoutURI", "frontchannel-logout-uri": "FrontchannelLogoutURI", "first-party": "FirstParty", "upstream": "Upstream",
		"sign-up": "SignUp", "require-mfa": "RequireMFA", "id": "ClientID", "disabled": "Disabled",
	} {
		if c.Flags().Changed(flag) {
			to.FieldByName(field).Set(from.FieldByName(field))
		}
	}
	return nil
}

// giveSecret gives a new client the secret that its authentication method needs: from standard input, from the file, or a generated one, which is returned.
func (f *clientFlags) giveSecret(ctx context.Context, saver *clientSaver, c *storage.Client, chosen string) (string, error) {
	if !client.NeedsSecret(c) {
		if f.secretStdin || chosen != "" {
			return "", console.Usagef("a client with the authentication method %s has no secret", c.AuthMethod)
		}
		return "", nil
	}
	if f.secretStdin {
		var err error
		if chosen, err = saver.ReadSecret(); err != nil {
			return "", err
		}
	}
	secret, stored, err := saver.makeSecret(ctx, c, chosen)
	if err != nil {
		return "", err
	}
	client.PutSecret(c, stored, 0)
	return secret, nil
}
