package app

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/metrics"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/user"
)

// What the parts of the service say happened becomes a metric here, and only here.

// newRecorder returns nil, which counts nothing, where nobody reads metrics.
func newRecorder(w io.Writer, service string, now func() time.Time) *metrics.Recorder {
	if w == nil || service == "" {
		return nil
	}
	return metrics.NewRecorder(w, service, now)
}

// measured counts what happens while a request is served.
func measured(r *metrics.Recorder, h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, request *http.Request) {
		ctx, end := r.Begin(request.Context())
		defer end()
		h.ServeHTTP(w, request.WithContext(ctx))
	})
}

func countChecks(ctx context.Context, checks []user.Check) {
	for _, c := range checks {
		metrics.Inc(ctx, metrics.CheckOutcomes, string(c.Factor), string(c.Outcome))
	}
}

func countRetry(ctx context.Context) { metrics.Inc(ctx, metrics.ConflictsRetried) }

// countFault counts the fault that a request was answered with.
func countFault(ctx context.Context, f *fault.Fault) {
	if f.Kind == fault.DeadlineExceeded {
		metrics.Inc(ctx, metrics.DeadlineExceeded)
	}
	if limit := sending.Limit(f); limit != "" {
		metrics.Inc(ctx, metrics.SendRefused, limit)
	}
}

// refusals returns what counts the events that were refused before, or after, they were
// a request.
func refusals(r *metrics.Recorder) func(context.Context, *fault.Fault) {
	return func(ctx context.Context, f *fault.Fault) {
		ctx, end := r.Begin(ctx)
		defer end()
		metrics.Inc(ctx, metrics.EventsRefused, f.Kind.String())
		countFault(ctx, f)
	}
}

// measuredMessenger counts what is handed to providers.
type measuredMessenger struct{ sending.Messenger }

// Deliver implements sending.Messenger.
func (m measuredMessenger) Deliver(ctx context.Context, message sending.Message) error {
	err := m.Messenger.Deliver(ctx, message)
	metrics.Inc(ctx, metrics.Sends, string(message.Channel), delivery(err))
	return err
}

// delivery tells what the operator has to look at from an address that takes no
// messages. Nobody may know whether a message left that failed for want of time.
func delivery(err error) string {
	switch f := fault.From(err); {
	case f == nil:
		return "sent"
	case f.Kind.Level() > slog.LevelInfo:
		return "failed"
	default:
		return "rejected"
	}
}
