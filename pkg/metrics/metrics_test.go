package metrics_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/metrics"
	"github.com/stepup-auth/stepup/pkg/metrics/metricstest"
)

var noon = time.Date(2026, time.March, 1, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return noon }

// counted returns what is written for a request that counts so.
func counted(count func(ctx context.Context)) string {
	var log bytes.Buffer
	ctx, end := metrics.NewRecorder(&log, "api", clock).Begin(context.Background())
	count(ctx)
	end()
	return log.String()
}

func TestRequestThatCountsNothingWritesNothing(t *testing.T) {
	t.Parallel()
	if log := counted(func(context.Context) {}); log != "" {
		t.Error(log)
	}
}

func TestNothingIsCollectedWhereNobodyReads(t *testing.T) {
	t.Parallel()
	var none *metrics.Recorder
	ctx, end := none.Begin(t.Context())
	metrics.Inc(ctx, metrics.ConflictsRetried)
	end()
	metrics.Inc(t.Context(), metrics.CheckOutcomes, "password", "wrong")
}

func TestOneLineSaysWhatOneRequestCounted(t *testing.T) {
	t.Parallel()
	log := counted(func(ctx context.Context) {
		metrics.Inc(ctx, metrics.ConflictsRetried)
		metrics.Inc(ctx, metrics.CheckOutcomes, "password", "wrong")
		metrics.Inc(ctx, metrics.ConflictsRetried)
		metrics.Inc(ctx, metrics.DeadlineExceeded)
	})
	const want = `{"CheckOutcomes":1,"ConflictsRetried":2,"DeadlineExceeded":1,"_aws":{"Timestamp":1772366400000,"CloudWatchMetrics":[` +
		`{"Namespace":"stepup","Dimensions":[["service"]],"Metrics":[{"Name":"ConflictsRetried","Unit":"Count"},{"Name":"DeadlineExceeded","Unit":"Count"}]},` +
		`{"Namespace":"stepup","Dimensions":[["service","outcome"],["service","factor","outcome"]],"Metrics":[{"Name":"CheckOutcomes","Unit":"Count"}]}]},` +
		`"factor":"password","outcome":"wrong","service":"api"}` + "\n"
	if diff := cmp.Diff(want, log); diff != "" {
		t.Error(diff)
	}
	metricstest.Read(t, log)
}

func TestDimensionsOfOneLineHaveOneValue(t *testing.T) {
	t.Parallel()
	log := counted(func(ctx context.Context) {
		metrics.Inc(ctx, metrics.CheckOutcomes, "password", "passed")
		metrics.Inc(ctx, metrics.CheckOutcomes, "totp", "wrong")
		metrics.Inc(ctx, metrics.Sends, "sms", "sent")
		metrics.Inc(ctx, metrics.Sends, "email", "sent")
		metrics.Inc(ctx, metrics.ConflictsRetried)
	})
	if n := len(metricstest.Read(t, log)); n != 4 {
		t.Errorf("%d lines in\n%s", n, log)
	}
	for _, tc := range []struct {
		want       int
		name       string
		dimensions []string
	}{
		{1, "CheckOutcomes", []string{"service", "api", "outcome", "passed"}},
		{1, "CheckOutcomes", []string{"service", "api", "outcome", "wrong"}},
		{1, "CheckOutcomes", []string{"service", "api", "factor", "totp", "outcome", "wrong"}},
		{0, "CheckOutcomes", []string{"service", "api", "factor", "password", "outcome", "wrong"}},
		{2, "Sends", []string{"service", "api", "outcome", "sent"}},
		{1, "Sends", []string{"service", "api", "channel", "sms", "outcome", "sent"}},
		{1, "Sends", []string{"service", "api", "channel", "email", "outcome", "sent"}},
		{1, "ConflictsRetried", []string{"service", "api"}},
	} {
		if got := metricstest.Sum(t, log, tc.name, tc.dimensions...); got != tc.want {
			t.Errorf("%s by %v is %d, want %d in\n%s", tc.name, tc.dimensions, got, tc.want, log)
		}
	}
}

// TestOnlyListedWordsBecomeDimensions gives a metric what it must never be asked by.
func TestOnlyListedWordsBecomeDimensions(t *testing.T) {
	t.Parallel()
	log := counted(func(ctx context.Context) { metrics.Inc(ctx, metrics.CheckOutcomes, "password", "+41446681800") })
	if strings.Contains(log, "+41") || metricstest.Sum(t, log, "CheckOutcomes", "service", "api", "outcome", "other") != 1 {
		t.Error(log)
	}
}

// TestEveryMetricCanBeWritten counts each metric with each of its words, which bounds
// what the metrics cost.
func TestEveryMetricCanBeWritten(t *testing.T) {
	t.Parallel()
	const limit = 80 // of which few are in use in one month
	var log strings.Builder
	for _, m := range metrics.OfRequests() {
		for words := range combinations(m.Labels) {
			log.WriteString(counted(func(ctx context.Context) { metrics.Inc(ctx, m, words...) }))
		}
	}
	kept := map[string]bool{}
	for _, line := range metricstest.Read(t, log.String()) {
		for _, v := range line.Values {
			kept[v.Name+" "+strings.Join(slices.Sorted(maps.Values(v.Dimensions)), " ")] = true
		}
	}
	if len(kept) > limit || strings.Contains(log.String(), `"other"`) {
		t.Errorf("%d metrics: %v", len(kept), slices.Sorted(maps.Keys(kept)))
	}
}

// combinations yields the words of all labels in every combination.
func combinations(labels []metrics.Label) func(yield func([]string) bool) {
	return func(yield func([]string) bool) {
		all := [][]string{nil}
		for _, l := range labels {
			var longer [][]string
			for _, words := range all {
				for _, word := range l.Words {
					longer = append(longer, append(slices.Clone(words), word))
				}
			}
			all = longer
		}
		for _, words := range all {
			if !yield(words) {
				return
			}
		}
	}
}

type brokenWriter struct{}

func (brokenWriter) Write([]byte) (int, error) { return 0, errors.New("the pipe is gone") }

func TestRequestSurvivesALogThatTakesNothing(t *testing.T) {
	t.Parallel()
	ctx, end := metrics.NewRecorder(brokenWriter{}, "api", clock).Begin(t.Context())
	metrics.Inc(ctx, metrics.ConflictsRetried)
	end()
}

// writes keeps what each call of Write was given.
type writes struct {
	mu  sync.Mutex
	all []string
}

func (w *writes) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, string(b))
	return len(b), nil
}

func TestRequestsAtOnceDoNotCountForEachOther(t *testing.T) {
	t.Parallel()
	const requests = 50
	var w writes
	recorder := metrics.NewRecorder(&w, "api", clock)
	var all sync.WaitGroup
	for n := range requests {
		all.Go(func() {
			ctx, end := recorder.Begin(t.Context())
			for range n {
				metrics.Inc(ctx, metrics.ConflictsRetried)
			}
			end()
		})
	}
	all.Wait()
	if len(w.all) != requests-1 { // the first has nothing to say
		t.Errorf("%d writes", len(w.all))
	}
	for _, line := range w.all {
		if strings.Count(line, "\n") != 1 || !strings.HasSuffix(line, "\n") {
			t.Errorf("a write of %q", line)
		}
	}
	if got := metricstest.Sum(t, strings.Join(w.all, ""), "ConflictsRetried", "service", "api"); got != requests*(requests-1)/2 {
		t.Errorf("%d conflicts", got)
	}
}

// FuzzLine counts whatever words a request may bring, under whatever name the service has:
// CloudWatch takes every line.
func FuzzLine(f *testing.F) {
	f.Add("api", "password", "wrong")
	f.Add("", "", "")
	f.Add("a\"b\n", "\x00", "\xff")
	f.Add(strings.Repeat("x", 2000), "sms", strings.Repeat("y", 300))
	f.Fuzz(func(t *testing.T, service, factor, outcome string) {
		var log bytes.Buffer
		ctx, end := metrics.NewRecorder(&log, service, clock).Begin(t.Context())
		metrics.Inc(ctx, metrics.CheckOutcomes, factor, outcome)
		end()
		if n := strings.Count(log.String(), "\n"); n > 1 {
			t.Errorf("%d lines:\n%s", n, log.String())
		}
		if service != "" && len(service) <= 250 && utf8.ValidString(service) && !strings.ContainsFunc(service, unprintable) {
			metricstest.Read(t, log.String())
		}
	})
}

// unprintable is what a dimension may not have, and a configured name never has.
func unprintable(r rune) bool { return r <= ' ' || r > '~' || r == ':' }
