package main

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"syscall"
	"time"
)

// sample is what was measured of one call under one load.
type sample struct {
	took []time.Duration // of each operation
	wall time.Duration   // in which they ran
	cpu  time.Duration   // of this process meanwhile

	refused int // because too many passwords were being checked
}

func (s *sample) add(o sample) {
	s.took = append(s.took, o.took...)
	s.wall += o.wall
	s.cpu += o.cpu
	s.refused += o.refused
}

// rate is operations per second.
func (s *sample) rate() float64 {
	if s.wall <= 0 {
		return 0
	}
	return float64(len(s.took)) / s.wall.Seconds()
}

// cpuPer is the processor time of one operation.
func (s *sample) cpuPer() time.Duration {
	if len(s.took) == 0 {
		return 0
	}
	return s.cpu / time.Duration(len(s.took))
}

// quantile returns the smallest value that is at least as great as the given per cent of
// the values (nearest rank), and zero of none.
func quantile[T cmp.Ordered](values []T, percent float64) T {
	var zero T
	if len(values) == 0 {
		return zero
	}
	sorted := slices.Sorted(slices.Values(values))
	rank := int(math.Ceil(percent / 100 * float64(len(sorted))))
	return sorted[min(max(rank, 1), len(sorted))-1]
}

// times is a as a multiple of b, in two digits; nothing when there is no b.
func times(a, b float64) string {
	if b <= 0 {
		return ""
	}
	switch ratio := a / b; {
	case ratio < 10:
		return fmt.Sprintf("%.1f", ratio)
	case ratio < 100:
		return fmt.Sprintf("%.0f", ratio)
	default:
		return fmt.Sprintf("%.0f", math.Round(ratio/10)*10)
	}
}

// milliseconds is a time with two decimals.
func milliseconds(d time.Duration) string { return fmt.Sprintf("%.2f", float64(d)/1e6) }

// cpuTime is the processor time that this process has used.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
