// Package stream owns the door between the table's stream and the lifecycle events: it
// reads the batches that Lambda delivers, has their events published in order, and
// tells Lambda how far that came.
//
// Lambda resumes a shard at the lowest sequence number that an answer names, so an
// answer names one: that of the first record that is not done. Records behind it are
// delivered again, and their events have the same ids again.
package stream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/lifecycle"
)

// defaultMargin is what Options.Margin means when it is zero.
const defaultMargin = time.Second

// Publisher takes events. It must be safe for concurrent use.
type Publisher interface {
	// Publish makes the events known in their order and returns how many of them, from
	// the first on, are. When that is not all, the error is the fault that keeps the
	// next one back: of kind Unavailable, DeadlineExceeded or Canceled when it may pass
	// later, of another when it is about the event.
	Publish(ctx context.Context, events []lifecycle.Event) (int, error)
}

// Options tune a Handler. The zero value is ready for use.
type Options struct {
	// Margin is kept back from the Lambda deadline, so that what is not done is still
	// reported. Zero means 1 s.
	Margin time.Duration
	// Log receives why a batch stopped, and no content of a record. Nil discards it.
	Log *slog.Logger
	// Metrics receives one line for each batch in CloudWatch's embedded metric format.
	// Nil discards it.
	Metrics io.Writer
	// Now dates the metrics; it is needed with Metrics only.
	Now func() time.Time
}

// Handler serves batches of a DynamoDB stream. It implements the Handler interface of
// aws-lambda-go, keeps no state between batches, and is safe for concurrent use.
type Handler struct {
	publisher Publisher
	o         Options
}

// New returns a handler that has events published by p.
func New(p Publisher, o Options) *Handler {
	if o.Margin == 0 {
		o.Margin = defaultMargin
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return &Handler{publisher: p, o: o}
}

// Faults that end in the log, and with the batch's failure at Lambda.
var (
	errBatch = fault.New(fault.Internal, "STEPUP-stream-batch", "The payload is not a batch of a DynamoDB stream")
	errFirst = fault.New(fault.Internal, "STEPUP-stream-first", "The first record of a batch cannot be told")
)

// Invoke publishes what the batch means and answers which record is the first that is
// not done, if any (events.DynamoDBEventResponse).
//
// A record that can never be told, because it cannot be read or its event is refused,
// is reported like any other, so that the next batch begins with it. There it fails the
// batch as a whole, upon which Lambda halves the batch until the record is alone, and
// only it ends in the failure destination when its retries are used up.
func (h *Handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	var batch struct {
		Records []json.RawMessage `json:"Records"`
	}
	if err := json.Unmarshal(payload, &batch); err != nil {
		return nil, h.reject(ctx, errBatch.Wrap(err))
	}
	records := make([]record, 0, len(batch.Records))
	for _, raw := range batch.Records {
		r := readRecord(raw)
		records = append(records, r)
		if r.err != nil {
			break // what is behind it waits for it
		}
	}
	done, err := h.publish(ctx, records)
	h.measure(records[:done], len(batch.Records), err)
	if err == nil {
		return answer(), nil
	}
	stuck := records[done]
	h.log(ctx, stuck, err)
	if stuck.sequence == "" || done == 0 && len(batch.Records) > 1 && !passing(err) {
		return nil, errFirst.Wrap(err)
	}
	return answer(stuck.sequence), nil
}

// publish returns how many records, from the first on, are done, and why not the next.
func (h *Handler) publish(ctx context.Context, records []record) (int, error) {
	ctx, cancel := h.budget(ctx)
	defer cancel()
	var all []lifecycle.Event
	for _, r := range records {
		all = append(all, r.events...)
	}
	told := 0
	var err error
	if len(all) > 0 {
		told, err = h.publisher.Publish(ctx, all)
	}
	for i, r := range records {
		if told -= len(r.events); told < 0 {
			return i, err
		}
		if r.err != nil {
			return i, r.err
		}
	}
	return len(records), nil
}

// budget returns a context that ends Margin before Lambda's own.
func (h *Handler) budget(ctx context.Context) (context.Context, context.CancelFunc) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}
	}
	return context.WithDeadline(ctx, deadline.Add(-h.o.Margin))
}

// passing reports whether a fault has nothing to do with the record that met it.
func passing(err error) bool {
	switch fault.From(err).Kind {
	case fault.Unavailable, fault.DeadlineExceeded, fault.Canceled:
		return true
	default:
		return false
	}
}

// answer names the first record that is not done; nobody means that all are.
func answer(sequence ...string) []byte {
	out := events.DynamoDBEventResponse{BatchItemFailures: []events.DynamoDBBatchItemFailure{}}
	for _, s := range sequence {
		out.BatchItemFailures = append(out.BatchItemFailures, events.DynamoDBBatchItemFailure{ItemIdentifier: s})
	}
	text, err := json.Marshal(out)
	if err != nil {
		panic(err) // texts have a JSON form
	}
	return text
}

// log tells which record stopped the batch, and why.
func (h *Handler) log(ctx context.Context, r record, err error) {
	f := fault.From(err)
	attrs := []slog.Attr{
		slog.String("sequence_number", r.sequence), slog.String("event_id", r.id), slog.String("operation", r.operation),
		slog.String("fault", f.Kind.String()), slog.String("fault_id", f.ID), slog.String("cause", fmt.Sprint(errors.Unwrap(f))),
	}
	h.o.Log.LogAttrs(ctx, f.Kind.Level(), "batch stopped", append(attrs, requestID(ctx)...)...)
}

// reject tells of a payload that is no batch, and returns the fault.
func (h *Handler) reject(ctx context.Context, f *fault.Fault) error {
	h.o.Log.LogAttrs(ctx, f.Kind.Level(), "batch refused", append([]slog.Attr{
		slog.String("fault", f.Kind.String()), slog.String("fault_id", f.ID), slog.String("cause", fmt.Sprint(errors.Unwrap(f))),
	}, requestID(ctx)...)...)
	return f
}

func requestID(ctx context.Context) []slog.Attr {
	if lc, ok := lambdacontext.FromContext(ctx); ok {
		return []slog.Attr{slog.String("request_id", lc.AwsRequestID)}
	}
	return nil
}
