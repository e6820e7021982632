package stream

import (
	"github.com/stepup-auth/stepup/pkg/lifecycle"
	"github.com/stepup-auth/stepup/pkg/metrics"
)

// measure writes what came of a batch: the records that are done, of how many, and
// whether something stopped it. The counts by event are for queries of the log.
func (h *Handler) measure(done []record, delivered int, stop error) {
	if h.o.Metrics == nil {
		return
	}
	var published, stopped int
	byName := map[lifecycle.Name]int{}
	for _, r := range done {
		published += len(r.events)
		for _, e := range r.events {
			byName[e.Name]++
		}
	}
	if stop != nil {
		stopped = 1
	}
	metrics.Document{
		Time: h.o.Now(),
		Counts: []metrics.Count{
			{Metric: metrics.StreamRecords, N: delivered},
			{Metric: metrics.EventsPublished, N: published},
			{Metric: metrics.BatchesStopped, N: stopped},
		},
		Notes: map[string]any{"events": byName},
	}.Write(h.o.Metrics)
}
