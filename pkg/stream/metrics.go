package stream

import (
	"encoding/json"

	"github.com/stepup-auth/stepup/pkg/lifecycle"
)

// namespace is where CloudWatch keeps the metrics.
const namespace = "stepup"

// measurement is the line of one batch in CloudWatch's embedded metric format: the
// member _aws says which of the others are metrics. The counts by event are for
// queries of the log.
type measurement struct {
	AWS     directive              `json:"_aws"`
	Records int                    `json:"StreamRecords"`
	Events  int                    `json:"EventsPublished"`
	Stopped int                    `json:"BatchesStopped"`
	Counts  map[lifecycle.Name]int `json:"events"`
}

type directive struct {
	Timestamp int64       `json:"Timestamp"` // milliseconds since 1970
	Metrics   []metricSet `json:"CloudWatchMetrics"`
}

type metricSet struct {
	Namespace  string     `json:"Namespace"`
	Dimensions [][]string `json:"Dimensions"`
	Metrics    []metric   `json:"Metrics"`
}

type metric struct {
	Name string `json:"Name"`
	Unit string `json:"Unit"`
}

func counts(names ...string) []metric {
	all := make([]metric, len(names))
	for i, name := range names {
		all[i] = metric{Name: name, Unit: "Count"}
	}
	return all
}

// measure writes what came of a batch: the records that are done, of how many, and
// whether something stopped it. A line that cannot be written is lost.
func (h *Handler) measure(done []record, delivered int, stop error) {
	if h.o.Metrics == nil {
		return
	}
	m := measurement{Records: delivered, Counts: map[lifecycle.Name]int{}, AWS: directive{
		Timestamp: h.o.Now().UnixMilli(),
		Metrics:   []metricSet{{Namespace: namespace, Dimensions: [][]string{{}}, Metrics: counts("StreamRecords", "EventsPublished", "BatchesStopped")}},
	}}
	for _, r := range done {
		m.Events += len(r.events)
		for _, e := range r.events {
			m.Counts[e.Name]++
		}
	}
	if stop != nil {
		m.Stopped = 1
	}
	line, err := json.Marshal(m)
	if err != nil {
		panic(err) // numbers and fixed texts have a JSON form
	}
	_, _ = h.o.Metrics.Write(append(line, '\n')) // one write, so that no other line falls into it
}
