package server

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/sending/price"
)

// timestamp is nil for the zero time, which the domain uses for "not yet".
func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// optional is nil for the empty string.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// quoted is the price of the message over the channel, nil where none is told.
func quoted(prices map[sending.Channel]price.Micros, c sending.Channel) *int64 {
	p, told := prices[c]
	if !told {
		return nil
	}
	return new(int64(p))
}

type lifetimer interface{ GetLifetime() *durationpb.Duration }

// maxLifetime keeps an expiry inside what the store and the wire can hold.
const maxLifetime = 100 * 365 * 24 * time.Hour

func lifetimeOf(r lifetimer) *time.Duration {
	if r.GetLifetime() == nil {
		return nil
	}
	d := min(r.GetLifetime().AsDuration(), maxLifetime)
	return &d
}
