package main

import (
	"math"
	"testing"
)

func TestPriceIsUnitsTimesPrice(t *testing.T) {
	t.Parallel()
	b := price(usage{calls: 1, trips: 2, reads: 3, writes: 4, hashes: 1, changes: 1})
	// 5 + 2*5 + 70 ms at 0.5 GB are 0.0425 GB-seconds.
	want := bill{gateway: 1, lambda: 0.2 + 0.0425*13.33, writes: 2.5, reads: 0.375, logs: 0.625, events: 1}
	for name, pair := range map[string][2]float64{
		"gateway": {b.gateway, want.gateway}, "lambda": {b.lambda, want.lambda}, "writes": {b.writes, want.writes},
		"reads": {b.reads, want.reads}, "logs": {b.logs, want.logs}, "events": {b.events, want.events},
		"sum": {b.sum(), 1 + 0.2 + 0.0425*13.33 + 2.5 + 0.375 + 0.625 + 1},
	} {
		if math.Abs(pair[0]-pair[1]) > 1e-9 {
			t.Errorf("%s %v, want %v", name, pair[0], pair[1])
		}
	}
	if free := price(usage{}); free.sum() != 0 {
		t.Errorf("nothing costs %v", free)
	}
}

func TestEveryCallHasAPrice(t *testing.T) {
	t.Parallel()
	for _, c := range calls() {
		if known[c.name].calls == 0 {
			t.Errorf("%s is not known", c.name)
		}
	}
}
