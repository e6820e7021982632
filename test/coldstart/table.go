package main

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"
)

// The goals for api.
const (
	goalInit     = 2.0 // times the empty handler's
	goalOverhead = time.Millisecond
	goalZip      = 7_000_000 // bytes, as deployed
)

// table returns a line for each measure, in Markdown, with ratios to the first subject,
// which is the one that does nothing.
func table(subjects []*subject) string {
	head := []string{""}
	for _, s := range subjects {
		head = append(head, s.name, "ratio")
	}
	rows := [][]string{append(head, "goal of api")}
	for _, m := range measures(subjects) {
		row := []string{m.name}
		for _, s := range subjects {
			text, ratio := m.cell(s, subjects[0])
			row = append(row, text, ratio)
		}
		rows = append(rows, append(row, m.goal))
	}
	for i, row := range rows {
		rows[i] = slices.Delete(row, 2, 3) // the first ratio is 1
	}
	return aligned(rows)
}

// aligned writes the rows with columns of one width; the first row is the head.
func aligned(rows [][]string) string {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i, cell := range row {
			widths[i] = max(widths[i], len(cell))
		}
	}
	rule := make([]string, len(widths))
	for i, width := range widths {
		rule[i] = strings.Repeat("-", width)
	}
	var b strings.Builder
	for _, row := range slices.Insert(rows, 1, rule) {
		for i, cell := range row {
			fmt.Fprintf(&b, "| %-*s ", widths[i], cell)
		}
		b.WriteString("|\n")
	}
	return b.String()
}

// measure is a line of the table.
type measure struct {
	name string
	// cell returns what a subject has, and how many times that is what the base has.
	cell func(s, base *subject) (text, ratio string)
	goal string
}

func measures(subjects []*subject) []measure {
	base, api := subjects[0], subjects[slices.IndexFunc(subjects, func(s *subject) bool { return s.name == "api" })]
	return []measure{
		{"init", times(func(s *subject) []time.Duration { return s.init }),
			goal("2 x empty", float64(median(api.init)) <= goalInit*float64(median(base.init)))},
		{"first call", times(func(s *subject) []time.Duration { return s.first }), ""},
		{"later call", times(func(s *subject) []time.Duration { return s.warm }), ""},
		{"of it at the store", times(func(s *subject) []time.Duration { return s.waiting }), ""},
		{"of it here", times(func(s *subject) []time.Duration { return s.overhead }),
			goal("1 ms", median(api.overhead) <= goalOverhead)},
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
