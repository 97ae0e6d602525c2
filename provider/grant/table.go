package grant

import "context"

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
	// for one request, if another request consumed the row in between.
	Redeem func(ctx context.Context, p *Pipeline, r Request) (*Award, error)
}

// Table lists the grant types that exist.
var Table = []Row{
	{Type: "authorization_code", ResponseTypes: []string{"code"}, Redeem: redeemCode},
	{Type: "refresh_token", Redeem: redeemRefresh},
	{Type: "client_credentials", NeedsSecret: true, Redeem: redeemClientCredentials},
}

// Types returns the grant types of Table, in its order.
func Types() []string {
	types := make([]string, len(Table))
	for i, row := range Table {
		types[i] = row.Type
	}
	return types
}
