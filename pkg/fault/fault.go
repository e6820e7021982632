// Package fault owns the one error type that crosses package borders, and the one
// table from its kinds to gRPC codes, HTTP statuses and log levels.
//
// A Fault has two audiences. The client sees Kind, ID and Text, which are fixed
// when the code is written. The operator sees the cause, which goes to the log and
// never leaves the process.
package fault

import (
	"context"
	"errors"
	"time"
)

// Fault is an error whose public face is decided. Treat values as immutable: the
// With… methods return copies, so that a package may keep its faults in variables.
type Fault struct {
	// Kind decides the codes on the wire.
	Kind Kind
	// ID is the stable identifier that clients key on, such as "COMMAND-3M0fs".
	ID string
	// Text is the fixed public sentence.
	Text string
	// Bare faults are rendered without the " (ID)" suffix and without the id
	// detail. They are the ones born outside the domain: missing credentials,
	// field validation, unreadable bodies, unknown routes (wire contract 4.1).
	Bare bool
	// FailedAttempts counts failed password checks including this one. Where
	// Counted is set it is reported even when it is zero.
	FailedAttempts int
	// Counted selects the CredentialsCheckError detail instead of ErrorDetail.
	Counted bool
	// RetryAfter, when positive, is how long the caller should wait. It becomes
	// google.rpc.RetryInfo and the Retry-After header.
	RetryAfter time.Duration

	cause error
}

// New returns a fault of the domain, rendered with its id.
func New(kind Kind, id, text string) *Fault {
	return &Fault{Kind: kind, ID: id, Text: text}
}

// NewBare returns a fault from outside the domain, rendered without an id.
func NewBare(kind Kind, text string) *Fault {
	return &Fault{Kind: kind, Text: text, Bare: true}
}

// Error returns the public text, its id, and the cause. It is for logs: transports
// render Message.
func (f *Fault) Error() string {
	if f.cause == nil {
		return f.Message()
	}
	return f.Message() + ": " + f.cause.Error()
}

// Message returns what a client reads: the text, and for a domain fault one space
// and the id in parentheses, which are empty when there is no id.
func (f *Fault) Message() string {
	if f.Bare {
		return f.Text
	}
	return f.Text + " (" + f.ID + ")"
}

// Unwrap returns the cause.
func (f *Fault) Unwrap() error { return f.cause }

// Is reports whether target is a fault with the same kind, id and text, so that
// errors.Is finds a fault kept in a variable behind copies made by With….
func (f *Fault) Is(target error) bool {
	t, ok := target.(*Fault)
	return ok && f.Kind == t.Kind && f.ID == t.ID && f.Text == t.Text
}

// Wrap returns a copy that carries the cause for the log.
func (f *Fault) Wrap(cause error) *Fault {
	c := *f
	c.cause = cause
	return &c
}

// WithRetryAfter returns a copy that tells the caller how long to wait.
func (f *Fault) WithRetryAfter(d time.Duration) *Fault {
	c := *f
	c.RetryAfter = d
	return &c
}

// WithFailedAttempts returns a copy that reports the count of failed checks.
func (f *Fault) WithFailedAttempts(n int) *Fault {
	c := *f
	c.FailedAttempts, c.Counted = n, true
	return &c
}

// internal is what a client learns of an error that nobody classified.
var internal = New(Internal, "STEPUP-internal", "An internal error occurred")

// From returns the fault in err's chain. A canceled or expired context becomes its
// kind; any other error becomes Internal with a fixed text and err as the cause.
// From(nil) is nil.
func From(err error) *Fault {
	var f *Fault
	switch {
	case err == nil:
		return nil
	case errors.As(err, &f):
		return f
	case errors.Is(err, context.DeadlineExceeded):
		return New(DeadlineExceeded, "STEPUP-deadline", "The request took too long").Wrap(err)
	case errors.Is(err, context.Canceled):
		return New(Canceled, "STEPUP-canceled", "The request was canceled").Wrap(err)
	default:
		return internal.Wrap(err)
	}
}

// Conflict is what a store returns when the data that a change was decided on has
// moved on; nothing was written. Decisions run again on it, and a caller sees it
// only when the race was lost too often.
var Conflict = New(Aborted, "STEPUP-conflict", "Lost a race with another change; repeat the request")
