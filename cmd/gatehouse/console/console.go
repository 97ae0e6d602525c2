// Package console is how a command talks with its operator: answers as tables for people or as JSON for scripts, secrets from standard input, and
// errors that tell a wrong command line from work that failed. No request passes through it.
package console

import (
	"fmt"
	"io"
)

// Console is the streams of one command.
type Console struct {
	In       io.Reader
	Out, Err io.Writer
	// JSON is --format json.
	JSON bool
}

// UsageError is a fault of the command line.
type UsageError struct{ error }

// Unwrap returns the cause.
func (e UsageError) Unwrap() error { return e.error }

// Usagef makes a UsageError.
func Usagef(format string, args ...any) error { return UsageError{fmt.Errorf(format, args...)} }
