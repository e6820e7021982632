package server

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
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
