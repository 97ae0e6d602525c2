// Package registration is what saving a client takes beside the validation of its metadata: sector_identifier_uri is asked for its list, the logo is fetched, initial
// access tokens are made and checked, and clients that registered themselves end when nobody uses them. The registration endpoint and the command line share it.
package registration
