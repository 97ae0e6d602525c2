// Package errorsx holds the names that fosite uses of github.com/ory/x/errorsx.
package errorsx

// WithStack returns err as it is. The original records a stack trace at each refusal, which costs about 20 us on every error path; the
// server logs the cause once at its edge and has no use for the trace.
func WithStack(err error) error { return err }

// Cause returns the innermost error of a chain of Cause methods.
func Cause(err error) error {
	for err != nil {
		inner, ok := err.(interface{ Cause() error })
		if !ok || inner.Cause() == nil {
			return err
		}
		err = inner.Cause()
	}
	return nil
}

// The carriers are the optional methods of an error that fosite's error type offers.
type (
	StatusCodeCarrier interface{ StatusCode() int }
	RequestIDCarrier  interface{ RequestID() string }
	ReasonCarrier     interface{ Reason() string }
	DebugCarrier      interface{ Debug() string }
	StatusCarrier     interface{ Status() string }
	DetailsCarrier    interface{ Details() map[string]interface{} }
)
