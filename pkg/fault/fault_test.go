package fault_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
)

var (
	errCause  = errors.New("dial tcp 10.0.0.1: refused")
	errDomain = fault.New(fault.NotFound, "TEST-1", "There is no such thing")
)

func TestTheMessageHoldsTheIDButNeverTheCause(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name           string
		fault          *fault.Fault
		message, error string
	}{
		{"a fault of the domain", errDomain, "There is no such thing (TEST-1)", "There is no such thing (TEST-1)"},
		{"one without an id", fault.New(fault.InvalidArgument, "", "no"), "no ()", "no ()"},
		{"a bare one", fault.NewBare(fault.InvalidArgument, "no"), "no", "no"},
		{
			"one with a cause", errDomain.Wrap(errCause),
			"There is no such thing (TEST-1)", "There is no such thing (TEST-1): dial tcp 10.0.0.1: refused",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := tc.fault.Message(); got != tc.message {
				t.Errorf("Message: got %q, want %q", got, tc.message)
			}
			if got := tc.fault.Error(); got != tc.error {
				t.Errorf("Error: got %q, want %q", got, tc.error)
			}
		})
	}
}

func TestFromFindsOrMakesTheFault(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name string
		err  error
		kind fault.Kind
		id   string
	}{
		{"a fault", errDomain, fault.NotFound, "TEST-1"},
		{"a fault in a chain", fmt.Errorf("read: %w", errDomain.Wrap(errCause)), fault.NotFound, "TEST-1"},
		{"a fault among joined errors", errors.Join(errCause, errDomain), fault.NotFound, "TEST-1"},
		{"a deadline", fmt.Errorf("read: %w", context.DeadlineExceeded), fault.DeadlineExceeded, "STEPUP-deadline"},
		{"a cancelation", fmt.Errorf("read: %w", context.Canceled), fault.Canceled, "STEPUP-canceled"},
		{"a fault caused by a deadline", errDomain.Wrap(context.DeadlineExceeded), fault.NotFound, "TEST-1"},
		{"anything else", errCause, fault.Internal, "STEPUP-internal"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			f := fault.From(tc.err)
			if f.Kind != tc.kind || f.ID != tc.id {
				t.Errorf("got %s %s, want %s %s", f.Kind, f.ID, tc.kind, tc.id)
			}
			if tc.id != "TEST-1" && !errors.Is(f, tc.err) {
				t.Error("the error is not the cause")
			}
		})
	}
	if f := fault.From(nil); f != nil {
		t.Errorf("From(nil) is %v", f)
	}
}

func TestAnUnclassifiedErrorIsNotShown(t *testing.T) {
	t.Parallel()
	if got := fault.From(errCause).Message(); got != "An internal error occurred (STEPUP-internal)" {
		t.Errorf("got %q", got)
	}
}

func TestWithMakesCopies(t *testing.T) {
	t.Parallel()
	original := *errDomain
	full := errDomain.Wrap(errCause).WithRetryAfter(time.Second).WithFailedAttempts(3)
	if full.RetryAfter != time.Second || full.FailedAttempts != 3 || !full.Counted || !errors.Is(full, errCause) {
		t.Errorf("got %+v", full)
	}
	if *errDomain != original {
		t.Errorf("the original became %+v", errDomain)
	}
	if zero := errDomain.WithFailedAttempts(0); !zero.Counted {
		t.Error("a count of zero is not reported")
	}
	if !errors.Is(fmt.Errorf("read: %w", full), errDomain) {
		t.Error("a copy is not found as its original")
	}
}

func TestFaultsAreTheSameByKindIDAndText(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		target error
		same   bool
	}{
		{"an equal one", fault.New(fault.NotFound, "TEST-1", "There is no such thing"), true},
		{"another kind", fault.New(fault.Internal, "TEST-1", "There is no such thing"), false},
		{"another id", fault.New(fault.NotFound, "TEST-2", "There is no such thing"), false},
		{"another text", fault.New(fault.NotFound, "TEST-1", "no"), false},
		{"no fault", errCause, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if got := errors.Is(errDomain, tc.target); got != tc.same {
				t.Errorf("got %v, want %v", got, tc.same)
			}
		})
	}
}
