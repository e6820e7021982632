package main

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func TestEveryFunctionStartsAndAnswers(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	all, err := subjects(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range all {
		if err := errors.Join(s.build(t.Context(), dir), s.measure(t.Context(), 1)); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		if calls := s.event != nil; len(s.init) != 1 || len(s.peak) != 1 || len(s.resident) != 1 || (len(s.warm) == 1) != calls {
			t.Errorf("%s: measured %+v", s.name, s)
		}
		if s.store != nil && (s.waiting[0] <= 0 || s.overhead[0] <= 0) {
			t.Errorf("%s: %v at the store and %v here", s.name, s.waiting[0], s.overhead[0])
		}
	}
	if text := table(all); strings.Count(text, "\n") != 2+len(measures(all)) {
		t.Errorf("the table is\n%s", text)
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
