// Package upstream speaks to foreign identity providers. One file holds one kind of provider (oidc.go, google.go, github.go...), and table.go lists them. A driver sends a
// browser off and says, verified, who came back; whose account that is here, package federation decides.
package upstream
