// Package retry owns how a decision is repeated after it lost a race.
package retry

import (
	"context"
	"io"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
)

// Policy says how often and how soon to try again. All fields but Retried are required.
type Policy struct {
	// Attempts is how often the operation runs at the most.
	Attempts int
	// Base is the longest wait before the second attempt; it doubles from there.
	Base time.Duration
	// Max caps the wait.
	Max time.Duration
	// Random spreads the waits, so that the losers of one race do not meet again.
	Random io.Reader
	// Sleep waits, or returns the context's error when that ends first.
	Sleep func(ctx context.Context, d time.Duration) error
	// Retried, unless nil, hears of every time that the operation runs again.
	Retried func(ctx context.Context)
}

// OnConflict runs the operation until it returns anything but fault.Conflict, and
// at most Attempts times. It returns the operation's last error. A conflict that is
// only the cause of another fault is not repeated: that outcome is decided.
func (p Policy) OnConflict(ctx context.Context, operation func() error) error {
	bound := p.Base
	for attempt := 1; ; attempt++ {
		err := operation()
		if f := fault.From(err); f == nil || attempt >= p.Attempts || !f.Is(fault.Conflict) {
			return err
		}
		if err := p.Sleep(ctx, p.jitter(bound)); err != nil {
			return err
		}
		if p.Retried != nil {
			p.Retried(ctx)
		}
		bound = min(2*bound, p.Max)
	}
}

// jitter returns a wait between 0 and bound.
func (p Policy) jitter(bound time.Duration) time.Duration {
	return time.Duration(Jitter(p.Random)() * float64(bound))
}

// Jitter returns a source of numbers from 0 to 1 that pauses are multiplied by, so that
// those who were stopped together do not come back together. Without randomness it is 1:
// a broken source slows a retry down and breaks nothing else.
func Jitter(random io.Reader) func() float64 {
	return func() float64 {
		var b [1]byte
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return 1
		}
		return float64(b[0]) / 255
	}
}

// Sleep waits for d or until the context ends.
func Sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
