//go:build !race

package interop

var buildCommand = []string{"build"}
