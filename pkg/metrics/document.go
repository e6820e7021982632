package metrics

import (
	"encoding/json"
	"io"
	"maps"
	"slices"
	"time"
)

// Document is one line: values of metrics that share the values of their dimensions.
type Document struct {
	Time time.Time
	// Labels are the values of the dimensions that the metrics are kept by.
	Labels map[string]string
	Counts []Count
	// Notes are further members for queries of the log; they are no metrics.
	Notes map[string]any
}

// Count is the value of one metric.
type Count struct {
	Metric Metric
	N      int
}

// The head of a line, as CloudWatch names it.
type (
	head struct {
		Timestamp  int64       `json:"Timestamp"` // milliseconds since 1970
		Directives []directive `json:"CloudWatchMetrics"`
	}
	directive struct {
		Namespace  string       `json:"Namespace"`
		Dimensions [][]string   `json:"Dimensions"`
		Metrics    []definition `json:"Metrics"`
	}
	definition struct {
		Name string `json:"Name"`
		Unit string `json:"Unit"`
	}
)

// Write writes the line with one call of w, so that no other line falls into it. One
// that cannot be written is lost, because nothing may fail for want of a number. Notes
// must have a JSON form.
func (d Document) Write(w io.Writer) {
	line := map[string]any{}
	maps.Copy(line, d.Notes)
	for name, value := range d.Labels {
		line[name] = value
	}
	for _, c := range d.Counts {
		line[c.Metric.Name] = c.N
	}
	line["_aws"] = head{Timestamp: d.Time.UnixMilli(), Directives: d.directives()}
	text, err := json.Marshal(line)
	if err != nil {
		panic(err) // numbers and texts have a JSON form
	}
	_, _ = w.Write(append(text, '\n'))
}

// directives has one for all metrics with the same sets of dimensions.
func (d Document) directives() []directive {
	var all []directive
	for _, c := range d.Counts {
		same := func(known directive) bool { return slices.EqualFunc(known.Dimensions, c.Metric.Sets, slices.Equal) }
		at := slices.IndexFunc(all, same)
		if at < 0 {
			at = len(all)
			all = append(all, directive{Namespace: Namespace, Dimensions: c.Metric.Sets})
		}
		all[at].Metrics = append(all[at].Metrics, definition{Name: c.Metric.Name, Unit: "Count"})
	}
	return all
}
