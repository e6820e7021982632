package metrics

import (
	"context"
	"io"
	"maps"
	"slices"
	"time"
)

// Recorder writes what requests count. It is safe for concurrent use when its writer is.
type Recorder struct {
	w       io.Writer
	service string
	now     func() time.Time
}

// NewRecorder returns a recorder that writes to w, in the name of the service.
func NewRecorder(w io.Writer, service string, now func() time.Time) *Recorder {
	return &Recorder{w: w, service: service, now: now}
}

// tally is what one request has counted so far, as the lines that it will be. It belongs
// to the one goroutine that serves the request.
type tally struct{ lines []Document }

type tallyKey struct{}

// Begin returns a context that collects what is counted in it, and what writes that when
// the request is over. A nil Recorder collects nothing.
func (r *Recorder) Begin(ctx context.Context) (counting context.Context, end func()) {
	if r == nil {
		return ctx, func() {}
	}
	t := &tally{}
	return context.WithValue(ctx, tallyKey{}, t), func() { r.write(t) }
}

func (r *Recorder) write(t *tally) {
	for _, line := range t.lines {
		line.Time = r.now()
		line.Labels[Service] = r.service
		line.Write(r.w)
	}
}

// Inc counts one more of the metric; the words are for its labels, in their order. In a
// context that nothing collects in, it does nothing.
func Inc(ctx context.Context, m Metric, words ...string) {
	t, collected := ctx.Value(tallyKey{}).(*tally)
	if !collected {
		return
	}
	labels := make(map[string]string, len(m.Labels)+1)
	for i, l := range m.Labels {
		labels[l.Name] = l.word(words[i])
	}
	t.add(m, labels)
}

// add puts the metric into the first line that its labels fit into.
func (t *tally) add(m Metric, labels map[string]string) {
	for i := range t.lines {
		if line := &t.lines[i]; fits(line.Labels, labels) {
			maps.Copy(line.Labels, labels)
			line.add(m)
			return
		}
	}
	t.lines = append(t.lines, Document{Labels: labels, Counts: []Count{{m, 1}}})
}

// fits reports whether no dimension would have two values.
func fits(has, more map[string]string) bool {
	for name, value := range more {
		if known, taken := has[name]; taken && known != value {
			return false
		}
	}
	return true
}

func (d *Document) add(m Metric) {
	at := slices.IndexFunc(d.Counts, func(c Count) bool { return c.Metric.Name == m.Name })
	if at < 0 {
		d.Counts = append(d.Counts, Count{m, 1})
		return
	}
	d.Counts[at].N++
}
