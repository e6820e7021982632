// Package metricstest owns the reading of metrics from a log, as CloudWatch does it: by
// its specification of the embedded metric format, and strictly. CloudWatch leaves out
// what it cannot read, and says nothing.
package metricstest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

// Limits of the specification, and of CloudWatch's names and values.
const (
	maxLine       = 256 << 10
	maxDimensions = 30
	maxMetrics    = 100
	maxNamespace  = 255
	maxName       = 1024
	maxDimension  = 250
	maxValue      = 1024
)

// units are those of CloudWatch that a count, a size or a time can have.
var units = []string{
	"Seconds", "Microseconds", "Milliseconds", "Bytes", "Kilobytes", "Megabytes", "Gigabytes", "Terabytes", "Bits",
	"Kilobits", "Megabits", "Gigabits", "Terabits", "Percent", "Count", "Bytes/Second", "Kilobytes/Second",
	"Megabytes/Second", "Gigabytes/Second", "Terabytes/Second", "Bits/Second", "Kilobits/Second", "Megabits/Second",
	"Gigabits/Second", "Terabits/Second", "Count/Second", "None",
}

// Line is one line with metrics.
type Line struct {
	Time time.Time
	// Values has each metric once for each of its sets of dimensions.
	Values []Value
	// Members is the whole object.
	Members map[string]json.RawMessage
}

// Value is a metric as it is kept by one set of dimensions.
type Value struct {
	Namespace, Name string
	Dimensions      map[string]string
	N               float64
}

// Parse returns the lines of a log that have metrics. The error is about the first that
// CloudWatch would not take.
func Parse(log string) ([]Line, error) {
	var all []Line
	for text := range strings.Lines(log) {
		line, err := parse([]byte(text))
		if err != nil {
			return nil, fmt.Errorf("%w in %s", err, text)
		}
		if line != nil {
			all = append(all, *line)
		}
	}
	return all, nil
}

// Read is Parse in a test, which fails on an error.
func Read(t testing.TB, log string) []Line {
	t.Helper()
	lines, err := Parse(log)
	if err != nil {
		t.Fatal(err)
	}
	return lines
}

// Sum adds up a metric over all lines of a log. The dimensions are names and values in
// turn, and all that the metric is kept by.
func Sum(t testing.TB, log, name string, dimensions ...string) int {
	t.Helper()
	asked := map[string]string{}
	for pair := range slices.Chunk(dimensions, 2) {
		asked[pair[0]] = pair[1]
	}
	sum := 0.0
	for _, line := range Read(t, log) {
		for _, v := range line.Values {
			if v.Name == name && maps.Equal(v.Dimensions, asked) {
				sum += v.N
			}
		}
	}
	return int(sum)
}

// The head of a line, in the words of the specification.
type (
	head struct {
		Timestamp  *int64      `json:"Timestamp"`
		Directives []directive `json:"CloudWatchMetrics"`
	}
	directive struct {
		Namespace  string       `json:"Namespace"`
		Dimensions [][]string   `json:"Dimensions"`
		Metrics    []definition `json:"Metrics"`
	}
	definition struct {
		Name       string `json:"Name"`
		Unit       string `json:"Unit"`
		Resolution *int   `json:"StorageResolution"`
	}
)

// membersOf returns nothing for a line that is no JSON object.
func membersOf(text []byte) map[string]json.RawMessage {
	var all map[string]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return nil
	}
	return all
}

// parse returns nil for a line of another kind.
func parse(text []byte) (*Line, error) {
	line := Line{Members: membersOf(text)}
	if line.Members["_aws"] == nil {
		return nil, nil
	}
	if len(text) > maxLine {
		return nil, errors.New("more than 256 KB")
	}
	var h head
	decoder := json.NewDecoder(bytes.NewReader(line.Members["_aws"]))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&h); err != nil {
		return nil, err
	}
	// Seconds in the place of milliseconds are a day in 1970.
	if h.Timestamp == nil || time.UnixMilli(*h.Timestamp).Year() < 2000 || time.UnixMilli(*h.Timestamp).Year() > 2200 {
		return nil, errors.New("no time in milliseconds")
	}
	line.Time = time.UnixMilli(*h.Timestamp).UTC()
	if len(h.Directives) == 0 {
		return nil, errors.New("no metrics")
	}
	for _, d := range h.Directives {
		if err := line.read(d); err != nil {
			return nil, err
		}
	}
	return &line, nil
}

func (l *Line) read(d directive) error {
	switch {
	case !within(d.Namespace, maxNamespace) || strings.HasPrefix(d.Namespace, ":"):
		return fmt.Errorf("namespace %q", d.Namespace)
	case len(d.Dimensions) == 0:
		return errors.New("no set of dimensions, not even an empty one")
	case len(d.Metrics) == 0 || len(d.Metrics) > maxMetrics:
		return fmt.Errorf("%d metrics", len(d.Metrics))
	}
	for _, set := range d.Dimensions {
		dimensions, err := l.dimensions(set)
		if err != nil {
			return err
		}
		for _, m := range d.Metrics {
			n, err := l.value(m)
			if err != nil {
				return err
			}
			if err := l.add(Value{d.Namespace, m.Name, dimensions, n}); err != nil {
				return err
			}
		}
	}
	return nil
}

// dimensions looks the values of a set up, which are texts beside the head.
func (l *Line) dimensions(set []string) (map[string]string, error) {
	if len(set) > maxDimensions {
		return nil, fmt.Errorf("%d dimensions", len(set))
	}
	all := map[string]string{}
	for _, name := range set {
		var value string
		if err := json.Unmarshal(l.Members[name], &value); err != nil {
			return nil, fmt.Errorf("dimension %q: %w", name, err)
		}
		if _, twice := all[name]; twice || !within(name, maxDimension) || strings.HasPrefix(name, ":") || !within(value, maxValue) {
			return nil, fmt.Errorf("dimension %q = %q", name, value)
		}
		all[name] = value
	}
	return all, nil
}

// value looks the value of a metric up, which is a number beside the head.
func (l *Line) value(m definition) (float64, error) {
	if !within(m.Name, maxName) || m.Unit != "" && !slices.Contains(units, m.Unit) {
		return 0, fmt.Errorf("metric %q in %q", m.Name, m.Unit)
	}
	if r := m.Resolution; r != nil && *r != 1 && *r != 60 {
		return 0, fmt.Errorf("metric %q every %d seconds", m.Name, *r)
	}
	var n *float64
	if err := json.Unmarshal(l.Members[m.Name], &n); err != nil || n == nil {
		return 0, fmt.Errorf("metric %q is no number: %w", m.Name, err)
	}
	return *n, nil
}

func (l *Line) add(v Value) error {
	for _, known := range l.Values {
		if known.Name == v.Name && known.Namespace == v.Namespace && maps.Equal(known.Dimensions, v.Dimensions) {
			return fmt.Errorf("metric %q counts twice by %v", v.Name, v.Dimensions)
		}
	}
	l.Values = append(l.Values, v)
	return nil
}

// within reports whether a text is of printable ASCII, and neither empty nor too long.
func within(text string, longest int) bool {
	odd := strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
	return text != "" && len(text) <= longest && !odd && strings.TrimSpace(text) == text
}
