package grant

import (
	"context"
	"slices"
	"strings"
)

// Row is one grant type. To add one, write its file and add its row to Table; discovery, client registration and the token endpoint read the
// same table.
type Row struct {
	// Type is the value of grant_type.
	Type string
	// ResponseTypes are those of the authorization endpoint that lead to the grant.
	ResponseTypes []string
	// NeedsSecret is true if public clients may not use the grant.
	NeedsSecret bool
	// Redeem checks what the client sent and says what it may have. Errors are *fosite.RFC6749Error or come from storage. It may be called a second time
	// for one request, if another request consumed the row in between. It is nil if the grant ends at the authorization endpoint.
	Redeem func(ctx context.Context, p *Pipeline, r Request) (*Award, error)
}

// Table lists the grant types that exist.
var Table = []Row{
	{Type: "authorization_code", ResponseTypes: []string{"code", "code id_token", "code token", "code id_token token"}, Redeem: redeemCode},
	{Type: "refresh_token", Redeem: redeemRefresh},
	{Type: "client_credentials", NeedsSecret: true, Redeem: redeemClientCredentials},
	{Type: "implicit", ResponseTypes: []string{"id_token", "id_token token"}},
}

// Types returns the grant types of Table that the token endpoint takes, in its order.
func Types() []string {
	var types []string
	for _, row := range Table {
		if row.Redeem != nil {
			types = append(types, row.Type)
		}
	}
	return types
}

// Served returns the grant types that exist where these response types are enabled, in the order of Table: those of the token endpoint, and those that an enabled
// response type needs.
func Served(responseTypes []string) []string {
	var types []string
	for _, row := range Table {
		if row.Redeem != nil || slices.ContainsFunc(responseTypes, func(t string) bool { return slices.Contains(Needed(t), row.Type) }) {
			types = append(types, row.Type)
		}
	}
	return types
}

// Needed lists the grant types that a client of a response type is registered for (OpenID Connect Dynamic Client Registration section 2, the table at response_types):
// the hybrid ones need two.
func Needed(responseType string) (types []string) {
	words := strings.Split(responseType, " ")
	if slices.Contains(words, "code") {
		types = append(types, "authorization_code")
	}
	if slices.Contains(words, "token") || slices.Contains(words, "id_token") {
		types = append(types, "implicit")
	}
	return types
}

// ResponseTypes returns the response types of Table, in its order, each in the order of words that OAuth 2.0 Multiple Response Type Encoding Practices
// section 5 gives it.
func ResponseTypes() []string {
	var types []string
	for _, row := range Table {
		types = append(types, row.ResponseTypes...)
	}
	return types
}
