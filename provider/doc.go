// Package provider assembles the server: it builds every part from Options, lists the features in one place (routes.go) and runs the background
// jobs (jobs.go).
package provider
