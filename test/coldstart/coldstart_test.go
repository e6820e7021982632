package main

import (
	"testing"
	"time"
)

// TestEverythingIsMeasuredOnce runs the whole program as shortly as it can, so that it
// works on the day when somebody needs it.
func TestEverythingIsMeasuredOnce(t *testing.T) {
	t.Parallel()
	if err := run(t.Context(), 1, 1); err != nil {
		t.Error(err)
	}
}

func TestStoreCountsOverlappingRequestsOnce(t *testing.T) {
	t.Parallel()
	begin := time.Now()
	var s store
	for range 3 {
		s.enter()
	}
	for range 3 {
		s.leave()
	}
	if busy, passed := s.busy(), time.Since(begin); busy <= 0 || busy > passed {
		t.Errorf("busy for %v in %v", busy, passed)
	}
	s.reset()
	if s.busy() != 0 {
		t.Errorf("busy for %v after the reset", s.busy())
	}
}

func TestQuantileIsOneOfTheValues(t *testing.T) {
	t.Parallel()
	values := []int{5, 1, 4, 2, 3}
	for percent, want := range map[int]int{0: 1, 50: 3, 90: 4, 100: 5} {
		if got := quantile(values, percent); got != want {
			t.Errorf("quantile %d = %d, want %d", percent, got, want)
		}
	}
}
