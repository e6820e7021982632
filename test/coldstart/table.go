package main

import (
	"cmp"
	"fmt"
	"io"
	"runtime"
	"slices"
	"text/tabwriter"
	"time"
)

// The goals for api.
const (
	goalInit     = 2.0 // times the empty handler's
	goalOverhead = time.Millisecond
	goalZip      = 7_000_000 // bytes, as deployed
)

// print writes one line for each measure, with ratios to the first subject, which is the
// one that does nothing.
func print(w io.Writer, subjects []*subject) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight|tabwriter.Debug)
	fmt.Fprint(t, "\t")
	for i, s := range subjects {
		fmt.Fprintf(t, " %s\t", s.name)
		if i > 0 {
			fmt.Fprint(t, " ratio\t")
		}
	}
	fmt.Fprintln(t, " goal of api")
	for _, m := range measures(subjects) {
		fmt.Fprintf(t, "%s\t", m.name)
		for i, s := range subjects {
			text, ratio := m.cell(s, subjects[0])
			fmt.Fprintf(t, " %s\t", text)
			if i > 0 {
				fmt.Fprintf(t, " %s\t", ratio)
			}
		}
		fmt.Fprintf(t, " %s\n", m.goal)
	}
	return t.Flush()
}

// measure is a line of the table.
type measure struct {
	name string
	// cell returns what a subject has, and how many times that is what the base has.
	cell func(s, base *subject) (text, ratio string)
	goal string
}

func measures(subjects []*subject) []measure {
	base, api := subjects[0], subjects[1]
	return []measure{
		{"init", times(func(s *subject) []time.Duration { return s.init }),
			goal("2 x empty", float64(median(api.init)) <= goalInit*float64(median(base.init)))},
		{"first call", times(func(s *subject) []time.Duration { return s.first }), ""},
		{"later call", times(func(s *subject) []time.Duration { return s.warm }), ""},
		{"of it at the store", times(func(s *subject) []time.Duration { return s.waiting }), ""},
		{"of it here", times(func(s *subject) []time.Duration { return s.overhead }),
			goal(goalOverhead.String(), median(api.overhead) <= goalOverhead)},
		{"peak memory (VmHWM)", sizes(func(s *subject) int64 { return median(s.peak) << 10 }), ""},
		{"memory (VmRSS)", sizes(func(s *subject) int64 { return median(s.resident) << 10 }), ""},
		{"zip, " + deployedArch, sizes(func(s *subject) int64 { return s.zip[deployedArch] }),
			goal("7 MB", api.zip[deployedArch] <= goalZip)},
		{"zip, " + runtime.GOARCH, sizes(func(s *subject) int64 { return s.zip[runtime.GOARCH] }), ""},
	}
}

func goal(text string, reached bool) string {
	if reached {
		return "<= " + text + ": reached"
	}
	return "<= " + text + ": missed"
}

func times(of func(*subject) []time.Duration) func(s, base *subject) (text, ratio string) {
	return func(s, base *subject) (text, ratio string) {
		if len(of(s)) == 0 || median(of(s)) == 0 {
			return "", ""
		}
		text = fmt.Sprintf("%.2f (%.2f) ms", ms(median(of(s))), ms(quantile(of(s), 90)))
		return text, ratioOf(float64(median(of(s))), float64(median(of(base))))
	}
}

func sizes(of func(*subject) int64) func(s, base *subject) (text, ratio string) {
	return func(s, base *subject) (text, ratio string) {
		return fmt.Sprintf("%.2f MB", float64(of(s))/1e6), ratioOf(float64(of(s)), float64(of(base)))
	}
}

func ratioOf(a, b float64) string {
	if b == 0 {
		return ""
	}
	return fmt.Sprintf("%.1f", a/b)
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

func median[T cmp.Ordered](all []T) T { return quantile(all, 50) }

// quantile returns the value that so many per cent are not above; all is not empty.
func quantile[T cmp.Ordered](all []T, percent int) T {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[(len(sorted)-1)*percent/100]
}
