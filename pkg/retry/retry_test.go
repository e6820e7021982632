package retry_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/retry"
)

// recorded is a policy whose waits are noted instead of slept.
func recorded(attempts int, random io.Reader) (retry.Policy, *[]time.Duration) {
	var waits []time.Duration
	return retry.Policy{
		Attempts: attempts, Base: 10 * time.Millisecond, Max: 50 * time.Millisecond, Random: random,
		Sleep: func(_ context.Context, d time.Duration) error {
			waits = append(waits, d)
			return nil
		},
	}, &waits
}

var errOther = errors.New("other")

func TestConflictIsTriedAgainAndNothingElseIs(t *testing.T) {
	t.Parallel()
	lost := fault.Conflict.Wrap(errOther)
	cause := fault.New(fault.Unavailable, "X", "x").Wrap(lost)
	for name, c := range map[string]struct {
		results []error // the operation's, in order
		want    error
		runs    int
	}{
		"success":               {[]error{nil}, nil, 1},
		"another error":         {[]error{errOther}, errOther, 1},
		"success in the end":    {[]error{lost, fmt.Errorf("wrapped: %w", lost), nil}, nil, 3},
		"other error at last":   {[]error{lost, errOther}, errOther, 2},
		"lost too often":        {[]error{lost, lost, lost, lost}, fault.Conflict, 4},
		"conflict as a cause":   {[]error{cause}, cause, 1},
		"fault of like kind":    {[]error{fault.New(fault.Aborted, "X", "x")}, fault.New(fault.Aborted, "X", "x"), 1},
		"last attempt succeeds": {[]error{lost, lost, lost, nil}, nil, 4},
	} {
		runs := 0
		policy, _ := recorded(4, bytes.NewReader(make([]byte, 10)))
		again := 0
		policy.Retried = func(context.Context) { again++ }
		err := policy.OnConflict(t.Context(), func() error {
			runs++
			return c.results[runs-1]
		})
		if !errors.Is(err, c.want) || runs != c.runs {
			t.Errorf("%s: %v after %d runs, want %v after %d", name, err, runs, c.want, c.runs)
		}
		if again != runs-1 {
			t.Errorf("%s: %d repetitions are told of %d", name, again, runs-1)
		}
	}
}

func TestWaitsDoubleUpToTheirBoundAndAreSpreadBelowIt(t *testing.T) {
	t.Parallel()
	ms := func(waits ...int) (all []time.Duration) {
		for _, n := range waits {
			all = append(all, time.Duration(n)*time.Millisecond)
		}
		return all
	}
	for name, c := range map[string]struct {
		random io.Reader
		want   []time.Duration
	}{
		"most":          {bytes.NewReader([]byte{255, 255, 255, 255, 255}), ms(10, 20, 40, 50, 50)},
		"least":         {bytes.NewReader(make([]byte, 5)), ms(0, 0, 0, 0, 0)},
		"in between":    {bytes.NewReader([]byte{51, 51, 51, 51, 51}), ms(2, 4, 8, 10, 10)},
		"no randomness": {bytes.NewReader(nil), ms(10, 20, 40, 50, 50)},
	} {
		policy, waits := recorded(6, c.random)
		if err := policy.OnConflict(t.Context(), func() error { return fault.Conflict }); !errors.Is(err, fault.Conflict) {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(c.want, slices.Clone(*waits)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

func TestContextEndsTheWait(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Millisecond)
		defer cancel()
		policy := retry.Policy{
			Attempts: 100, Base: 10 * time.Millisecond, Max: time.Second,
			Random: bytes.NewReader(bytes.Repeat([]byte{255}, 100)), Sleep: retry.Sleep,
		}
		start, runs := time.Now(), 0
		err := policy.OnConflict(ctx, func() error {
			runs++
			return fault.Conflict
		})
		if !errors.Is(err, context.DeadlineExceeded) || runs != 2 || time.Since(start) != 15*time.Millisecond {
			t.Errorf("%v after %d runs and %v", err, runs, time.Since(start))
		}
	})
}
