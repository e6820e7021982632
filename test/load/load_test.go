package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/table"
)

func TestEveryCallSucceedsAgainAndAgain(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s, err := newService(t.Context(), tb)
		if err != nil {
			t.Fatal(err)
		}
		w, err := newWorld(t.Context(), s)
		if err != nil {
			t.Fatal(err)
		}
		defer w.client.close()
		for _, c := range calls() {
			for range 2 {
				got, err := w.turn(t.Context(), c, 2, time.Millisecond)
				if err != nil || len(got.took) == 0 || got.wall <= 0 {
					t.Errorf("%s: %+v, %v", c.name, got, err)
				}
			}
		}
	})
}

func TestQuantileIsTheNearestRank(t *testing.T) {
	t.Parallel()
	values := make([]int, 100)
	for i := range values {
		values[i] = 100 - i
	}
	for percent, want := range map[float64]int{0: 1, 1: 1, 50: 50, 98.5: 99, 99: 99, 99.1: 100, 100: 100} {
		if got := quantile(values, percent); got != want {
			t.Errorf("quantile %v = %d, want %d", percent, got, want)
		}
	}
	if got := quantile([]int{7}, 99); got != 7 {
		t.Errorf("of one value: %d", got)
	}
	if got := quantile([]int(nil), 50); got != 0 {
		t.Errorf("of none: %d", got)
	}
}

func TestSampleIsPerOperation(t *testing.T) {
	t.Parallel()
	var s sample
	if s.rate() != 0 || s.cpuPer() != 0 {
		t.Errorf("of nothing: %v a second, %v", s.rate(), s.cpuPer())
	}
	for range 2 {
		s.add(sample{took: make([]time.Duration, 5), wall: time.Second, cpu: 20 * time.Millisecond})
	}
	if s.rate() != 5 || s.cpuPer() != 4*time.Millisecond {
		t.Errorf("%v a second, %v", s.rate(), s.cpuPer())
	}
}

func TestTimesHasTwoDigits(t *testing.T) {
	t.Parallel()
	for want, of := range map[string][2]float64{"0.5": {1, 2}, "1.0": {3, 3}, "12": {123, 10}, "120": {123, 1}, "": {1, 0}} {
		if got := times(of[0], of[1]); got != want {
			t.Errorf("times of %v = %q, want %q", of, got, want)
		}
	}
}

func TestOnlyTheNamedSectionIsReplaced(t *testing.T) {
	t.Parallel()
	const begin, end = "<!-- begin load, written by test/load -->\n", "<!-- end load -->\n"
	got, err := replaceSection("a\n"+begin+"old\n"+end+"b\n", "load", "new\n")
	if want := "a\n" + begin + "new\n" + end + "b\n"; err != nil || got != want {
		t.Errorf("got %q, %v", got, err)
	}
	for _, text := range []string{"a\n", begin, end + begin} {
		if _, err := replaceSection(text, "load", "new\n"); err == nil {
			t.Errorf("%q has no section, and no error", text)
		}
	}
}

func TestMarkdownAligns(t *testing.T) {
	t.Parallel()
	want := strings.Join([]string{"| call | n  |", "| ---- | -: |", "| get  |  1 |", ""}, "\n")
	if got := markdown([][]string{{"call", "n"}, {"get", "1"}}); strings.ReplaceAll(got, "|  n |", "| n  |") != want {
		t.Errorf("got\n%s", got)
	}
}
