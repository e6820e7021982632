package table

import (
	"context"
	"fmt"

	"github.com/stepup-auth/stepup/pkg/fault"
)

// The faults that every adapter returns. Their texts are fixed; what happened is in
// the cause. A lost or refused context is not among them: it becomes the fault that
// fault.From makes of it.
var (
	// ErrUnavailable says that the store did not answer or is overloaded; the same
	// call may succeed later.
	ErrUnavailable = fault.New(fault.Unavailable, "STEPUP-store-unavailable", "The store is unavailable")
	// ErrRefused says that the store does not accept us or what we sent: missing
	// permission, missing table, an operation that breaks a rule of the port. A
	// repeat cannot help.
	ErrRefused = fault.New(fault.Internal, "STEPUP-store-refused", "An internal error occurred")
	// ErrCorrupt says that the store holds something that the port cannot express.
	ErrCorrupt = fault.New(fault.Internal, "STEPUP-store-corrupt", "An internal error occurred")
	// ErrCursor says that a page cursor is not one that an earlier page of the same
	// query returned. Cursors travel through clients, so this is the caller's
	// mistake.
	ErrCursor = fault.New(fault.InvalidArgument, "STEPUP-store-cursor", "The page token is invalid")
)

// Interrupted returns the fault of a context that is over, and nil while it is not.
func Interrupted(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return fault.From(err)
	}
	return nil
}

// refused returns ErrRefused with a formatted cause.
func refused(format string, args ...any) error {
	return ErrRefused.Wrap(fmt.Errorf(format, args...))
}
