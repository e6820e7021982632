package app

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/stepup-auth/stepup/pkg/retry"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/store"
)

// paymentTime is how long the answer to a right code waits for its payment at most.
const paymentTime = 250 * time.Millisecond

// payments returns what takes used codes off the counts of their regions. That is a write
// of its own, after the sign-in is committed: one count is shared by all who are sent
// codes in a region, and nobody's sign-in may lose a race, or fail, for the sake of it. A
// payment that cannot be made in a moment is lost, which makes the count stricter by one
// code.
func payments(s *store.Store, p Parts) func(context.Context, sending.Unused) {
	contended := retry.Policy{Attempts: 8, Base: 5 * time.Millisecond, Max: 40 * time.Millisecond, Random: p.Random, Sleep: retry.Sleep}
	return func(ctx context.Context, u sending.Unused) {
		if u.None() {
			return
		}
		limited, cancel := context.WithTimeout(ctx, paymentTime)
		defer cancel()
		if err := contended.OnConflict(limited, func() error { return s.CodeUsed(limited, u) }); err != nil {
			p.Logger.LogAttrs(ctx, slog.LevelWarn, "a used code was not counted",
				slog.String("calling_code", u.CallingCode), slog.String("cause", fmt.Sprint(err)))
		}
	}
}
