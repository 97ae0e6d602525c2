package transfer

import (
	"fmt"

	"gatehouse/cmd/gatehouse/console"
)

// Fault is why a line is refused. It never holds a password or its hash.
type Fault struct {
	Field  string `json:"field,omitempty"` // empty: the line as a whole
	Reason string `json:"reason"`
}

func (f *Fault) Error() string {
	if f.Field == "" {
		return f.Reason
	}
	return console.Printable(f.Field) + ": " + f.Reason
}

func faultf(field, format string, args ...any) *Fault {
	return &Fault{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// Refusal is a line that was refused.
type Refusal struct {
	Line int `json:"line"`
	*Fault
}
