package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"time"

	"gatehouse/storage"
)

// Metadata is client metadata as it travels: registration (RFC 7591 section 2, RFC 7592) and the command line read and write it. The members from
// Profile on are Gatehouse's own.
type Metadata struct {
	ClientID         string `json:"client_id,omitempty"`
	ClientIDIssuedAt int64  `json:"client_id_issued_at,omitempty"`
	// ClientSecret is in clear: shown once when it is made, never read back. ClientSecretExpiresAt is present with it; 0 means never.
	ClientSecret          string `json:"client_secret,omitempty"`
	ClientSecretExpiresAt *int64 `json:"client_secret_expires_at,omitempty"`
	// RegistrationToken and RegistrationURI are where a client manages its registration (RFC 7592 section 3); only the registration endpoint sends them.
	RegistrationToken string `json:"registration_access_token,omitempty"`
	RegistrationURI   string `json:"registration_client_uri,omitempty"`

	ClientName    string   `json:"client_name,omitempty"`
	ClientURI     string   `json:"client_uri,omitempty"`
	LogoURI       string   `json:"logo_uri,omitempty"`
	PolicyURI     string   `json:"policy_uri,omitempty"`
	TOSURI        string   `json:"tos_uri,omitempty"`
	Contacts      []string `json:"contacts,omitempty"`
	RedirectURIs  []string `json:"redirect_uris,omitempty"`
	GrantTypes    []string `json:"grant_types,omitempty"`
	ResponseTypes []string `json:"response_types,omitempty"`
	Scope         string   `json:"scope,omitempty"` // separated by spaces
	// AuthMethod and AuthSigningAlg are how the client authenticates; the secret of client_secret_jwt is kept sealed instead of hashed.
	AuthMethod      string          `json:"token_endpoint_auth_method,omitempty"`
	AuthSigningAlg  string          `json:"token_endpoint_auth_signing_alg,omitempty"`
	ApplicationType string          `json:"application_type,omitempty"`
	JWKS            json.RawMessage `json:"jwks,omitempty"`
	JWKSURI         string          `json:"jwks_uri,omitempty"`
	SoftwareID      string          `json:"software_id,omitempty"`
	SoftwareVersion string          `json:"software_version,omitempty"`
	// SoftwareStatement is always refused: no authority is trusted to make one.
	SoftwareStatement string `json:"software_statement,omitempty"`

	// OpenID Connect Dynamic Client Registration 1.0, section 2.
	SubjectType         string   `json:"subject_type,omitempty"` // public or pairwise
	SectorIdentifierURI string   `json:"sector_identifier_uri,omitempty"`
	IDTokenAlg          string   `json:"id_token_signed_response_alg,omitempty"`
	UserinfoAlg         string   `json:"userinfo_signed_response_alg,omitempty"`
	DefaultMaxAge       *int64   `json:"default_max_age,omitempty"` // seconds
	RequireAuthTime     bool     `json:"require_auth_time,omitempty"`
	DefaultACR          []string `json:"default_acr_values,omitempty"`
	InitiateLoginURI    string   `json:"initiate_login_uri,omitempty"`
	RequestURIs         []string `json:"request_uris,omitempty"` // may have fragments
	RequestObjectAlg    string   `json:"request_object_signing_alg,omitempty"`
	// RFC 9101 section 10.5 and RFC 9126 section 6.
	RequireSignedRequestObject bool `json:"require_signed_request_object,omitempty"`
	RequirePAR                 bool `json:"require_pushed_authorization_requests,omitempty"`
	// RP-Initiated, Back-Channel and Front-Channel Logout 1.0.
	PostLogoutURIs              []string `json:"post_logout_redirect_uris,omitempty"`
	BackchannelLogoutURI        string   `json:"backchannel_logout_uri,omitempty"`
	BackchannelSessionRequired  bool     `json:"backchannel_logout_session_required,omitempty"`
	FrontchannelLogoutURI       string   `json:"frontchannel_logout_uri,omitempty"`
	FrontchannelSessionRequired bool     `json:"frontchannel_logout_session_required,omitempty"`

	Profile           string   `json:"profile,omitempty"`             // strict, compatible or fapi2
	AccessTokenFormat string   `json:"access_token_format,omitempty"` // jwt or opaque
	AccessTokenAlg    string   `json:"access_token_signed_response_alg,omitempty"`
	Audience          []string `json:"audience,omitempty"` // resource URIs (RFC 8707)
	// Lifetimes in seconds; 0 leaves the configured one. They can only shorten it.
	AccessTokenLifetime     int64 `json:"access_token_lifetime,omitempty"`
	IDTokenLifetime         int64 `json:"id_token_lifetime,omitempty"`
	RefreshIdleLifetime     int64 `json:"refresh_token_idle_lifetime,omitempty"`
	RefreshAbsoluteLifetime int64 `json:"refresh_token_absolute_lifetime,omitempty"`
	// Upstream is the id of the sign-in provider that its users are sent to without a question. It and what follows count only if Rules.Operator is set.
	Upstream   string `json:"upstream,omitempty"`
	FirstParty bool   `json:"first_party,omitempty"`
	Disabled   bool   `json:"disabled,omitempty"`
	// SignUp is off, open or invite: who may make an account on the way to the client; empty: as configured. RequireMFA asks everybody on the way there for a second factor.
	SignUp     string `json:"sign_up,omitempty"`
	RequireMFA bool   `json:"require_mfa,omitempty"`
	// Branding is how pages look for people on their way to the client.
	Branding *storage.Branding `json:"branding,omitempty"`
}

// Decode reads a JSON object over m: what it names replaces what is there. Members that m does not have are returned by name and ignored otherwise (RFC 7591
// section 2); names count letter by letter. A member of the wrong type is a *MetadataError, other errors say that the document is no JSON object.
func Decode(document []byte, m *Metadata) (unknown []string, err error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(document, &members); err != nil {
		return nil, fmt.Errorf("read client metadata: %w", err)
	}
	to := reflect.ValueOf(m).Elem()
	for name := range members {
		switch field, known := memberFields[name]; {
		case !known:
			unknown = append(unknown, name)
			delete(members, name)
		case field.Type.Kind() == reflect.Slice, field.Type.Kind() == reflect.Pointer:
			to.FieldByIndex(field.Index).SetZero() // what is decoded must not land where the client that m is a view of has its own
		}
	}
	slices.Sort(unknown)
	known, err := json.Marshal(members)
	if err != nil {
		return unknown, fmt.Errorf("read client metadata: %w", err)
	}
	err = json.Unmarshal(known, m)
	var wrong *json.UnmarshalTypeError
	if errors.As(err, &wrong) {
		name, _, _ := strings.Cut(wrong.Field, ".")
		refused := &MetadataError{Code: InvalidClientMetadata, Field: name, Message: "a JSON " + kindOf(memberFields[name].Type) + " is needed, not a " + shown(wrong.Value)}
		if name == "redirect_uris" {
			refused.Code = InvalidRedirectURI
		}
		return unknown, refused
	}
	return unknown, err
}

// memberFields are the fields of Metadata by their names in JSON.
var memberFields = func() map[string]reflect.StructField {
	fields := map[string]reflect.StructField{}
	for field := range reflect.TypeFor[Metadata]().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		fields[name] = field
	}
	return fields
}()

// kindOf is a type in the words of JSON.
func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Slice:
		return "array of strings"
	case reflect.Bool:
		return "boolean"
	case reflect.String:
		return "string"
	}
	return "whole number"
}

// View returns a client's metadata as it may leave the server. secret is the secret in clear if it was made just now, else empty.
func View(c *storage.Client, secret string) Metadata {
	m := Metadata{
		ClientID: c.ID, ClientSecret: secret, ClientName: c.Name, ClientURI: c.ClientURI, LogoURI: c.LogoURI, PolicyURI: c.PolicyURI, TOSURI: c.TOSURI, Contacts: c.Contacts,
		RedirectURIs: c.RedirectURIs, PostLogoutURIs: c.PostLogoutRedirectURIs, GrantTypes: c.GrantTypes, ResponseTypes: c.ResponseTypes, Scope: strings.Join(c.Scopes, " "),
		AuthMethod: c.AuthMethod, AuthSigningAlg: c.AuthSigningAlg, ApplicationType: c.ApplicationType, JWKS: c.JWKS, JWKSURI: c.JWKSURI,
		SoftwareID: c.SoftwareID, SoftwareVersion: c.SoftwareVersion, SubjectType: c.SubjectType, SectorIdentifierURI: c.SectorIdentifierURI,
		IDTokenAlg: c.IDTokenAlg, UserinfoAlg: c.UserinfoAlg, DefaultMaxAge: c.DefaultMaxAge, RequireAuthTime: c.RequireAuthTime, DefaultACR: c.DefaultACR,
		InitiateLoginURI: c.InitiateLoginURI, RequestURIs: c.RequestURIs, RequestObjectAlg: c.RequestObjectAlg, RequireSignedRequestObject: c.RequireSignedRequestObject,
		RequirePAR: c.RequirePAR, BackchannelLogoutURI: c.BackchannelLogoutURI, BackchannelSessionRequired: c.BackchannelLogoutSessionRequired,
		FrontchannelLogoutURI: c.FrontchannelLogoutURI, FrontchannelSessionRequired: c.FrontchannelLogoutSessionRequired,
		Profile: c.Profile, AccessTokenFormat: c.AccessToken, AccessTokenAlg: c.AccessTokenAlg, Audience: c.Audience,
		AccessTokenLifetime: seconds(c.Lifetimes.AccessToken), IDTokenLifetime: seconds(c.Lifetimes.IDToken),
		RefreshIdleLifetime: seconds(c.Lifetimes.RefreshIdle), RefreshAbsoluteLifetime: seconds(c.Lifetimes.RefreshAbsolute),
		Upstream: c.Upstream, FirstParty: c.FirstParty, Disabled: c.Disabled, SignUp: c.SignUp, RequireMFA: c.RequireMFA, Branding: c.Branding,
	}
	if !c.Created.IsZero() {
		m.ClientIDIssuedAt = c.Created.Unix()
	}
	if secret != "" {
		m.ClientSecretExpiresAt = new(int64)
	}
	return m
}

func seconds(d time.Duration) int64 { return int64(d / time.Second) }
