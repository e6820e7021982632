// Package eventbridge owns how lifecycle events reach Amazon EventBridge: their form as
// JSON, how many go into one request, and what is tried again.
package eventbridge

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/lifecycle"
	"github.com/stepup-auth/stepup/pkg/retry"
)

// Source is the source of all events; the detail type is their name.
const Source = "stepup"

// DefaultTimeout bounds a request of which Options says nothing.
const DefaultTimeout = 2 * time.Second

// Limits of one PutEvents request. Its size was 256 KB for long and is 1 MB where that
// has arrived, so the smaller is kept.
const (
	maxEntries = 10
	maxBytes   = 256 << 10
)

// An entry that EventBridge refuses for the moment is sent again after a pause that
// begins at firstPause and doubles, for at most attempts requests.
const (
	attempts   = 3
	firstPause = 50 * time.Millisecond
)

// Client is the part of the SDK's client that is used.
type Client interface {
	PutEvents(ctx context.Context, in *eventbridge.PutEventsInput, opts ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
}

var _ Client = (*eventbridge.Client)(nil)

// NewClient returns the SDK's client; an empty endpoint is AWS's own.
func NewClient(c aws.Config, endpoint string) Client {
	return eventbridge.NewFromConfig(c, func(o *eventbridge.Options) {
		if endpoint != "" {
			o.BaseEndpoint = &endpoint
		}
	})
}

// Options are the settings of a Bus.
type Options struct {
	// Bus is the name or the ARN of the event bus.
	Bus string
	// Timeout bounds one request, the SDK's repetitions included; 0 is DefaultTimeout.
	Timeout time.Duration
	// Jitter returns a number from 0 to 1 that a pause between two requests is multiplied
	// by; see retry.Jitter. Nil means full pauses.
	Jitter func() float64
}

var busForm = regexp.MustCompile(`^(arn:aws[a-z-]*:events:[a-z0-9-]+:[0-9]{12}:event-bus/)?([./_A-Za-z0-9-]+)$`)

const maxBusName = 256

// Validate returns what is wrong with the options, by name of field.
func (o Options) Validate() error {
	var problems []error
	if parts := busForm.FindStringSubmatch(o.Bus); parts == nil || len(parts[2]) > maxBusName {
		problems = append(problems, errors.New("option Bus is not the name or the ARN of an event bus"))
	}
	if o.Timeout < 0 {
		problems = append(problems, errors.New("option Timeout is negative"))
	}
	return errors.Join(problems...)
}

// Faults of Publish.
var (
	// ErrUnavailable means that the same events may be taken later.
	ErrUnavailable = fault.New(fault.Unavailable, "STEPUP-events-unavailable", "Events could not be published")
	// ErrRefused means that the event bus does not take the event as it is, or not from
	// here; its cause has EventBridge's code.
	ErrRefused = fault.New(fault.Internal, "STEPUP-events-refused", "An event was refused")
)

// Bus publishes events. It is safe for concurrent use.
type Bus struct {
	client Client
	o      Options
}

// New returns a bus that puts events with the client.
func New(client Client, o Options) (*Bus, error) {
	if err := o.Validate(); err != nil {
		return nil, fmt.Errorf("eventbridge: %w", err)
	}
	if o.Timeout == 0 {
		o.Timeout = DefaultTimeout
	}
	return &Bus{client: client, o: o}, nil
}

// Publish puts the events on the bus, in their order, and returns how many of them,
// from the first on, are there. When that is not all of them the error says why the
// next one is not: ErrUnavailable, ErrRefused, or the context's fault. Events behind it
// may be there as well.
func (b *Bus) Publish(ctx context.Context, events []lifecycle.Event) (int, error) {
	all, problem := b.render(events)
	done := 0
	for done < len(all) {
		put, err := b.put(ctx, request(all[done:]))
		done += put
		if err != nil {
			return done, err
		}
	}
	return done, problem
}

// render returns the entries of the events up to the first that has none, and its fault.
func (b *Bus) render(events []lifecycle.Event) ([]entry, error) {
	all := make([]entry, 0, len(events))
	for _, event := range events {
		e, err := b.entry(event)
		if err != nil {
			return all, err
		}
		all = append(all, e)
	}
	return all, nil
}

// request returns as many entries, from the first on, as one request takes.
func request(all []entry) []types.PutEventsRequestEntry {
	var batch []types.PutEventsRequestEntry
	room := maxBytes
	for _, e := range all[:min(len(all), maxEntries)] {
		if room -= e.size; room < 0 {
			break
		}
		batch = append(batch, e.PutEventsRequestEntry)
	}
	return batch
}

// put sends the batch, and what EventBridge cannot take at the moment again. It returns
// how many entries, from the first on, were taken.
func (b *Bus) put(ctx context.Context, batch []types.PutEventsRequestEntry) (int, error) {
	open := make([]int, 0, len(batch)) // positions that are not taken yet
	for i := range batch {
		open = append(open, i)
	}
	for attempt := 1; ; attempt++ {
		refused, err := b.send(ctx, batch, open)
		switch {
		case err != nil:
			return open[0], err
		case len(refused) == 0:
			return len(batch), nil
		case attempt == attempts || slices.ContainsFunc(refused, refusal.lasting):
			return refused[0].position, refused[0].fault()
		}
		open = open[:0]
		for _, r := range refused {
			open = append(open, r.position)
		}
		if err := b.pause(ctx, attempt); err != nil {
			return open[0], err
		}
	}
}

// send puts the entries at the positions and returns those that were not taken.
func (b *Bus) send(ctx context.Context, batch []types.PutEventsRequestEntry, open []int) ([]refusal, error) {
	entries := make([]types.PutEventsRequestEntry, len(open))
	for i, position := range open {
		entries[i] = batch[position]
	}
	ctx, cancel := context.WithTimeout(ctx, b.o.Timeout)
	defer cancel()
	out, err := b.client.PutEvents(ctx, &eventbridge.PutEventsInput{Entries: entries})
	if err != nil {
		return nil, failure(ctx, err)
	}
	if len(out.Entries) != len(entries) {
		return nil, ErrUnavailable.Wrap(fmt.Errorf("%d answers to %d entries", len(out.Entries), len(entries)))
	}
	var refused []refusal
	for i, answer := range out.Entries {
		if answer.EventId == nil || answer.ErrorCode != nil {
			refused = append(refused, refusal{open[i], aws.ToString(answer.ErrorCode)})
		}
	}
	return refused, nil
}

// pause waits before another request, or until the context ends.
func (b *Bus) pause(ctx context.Context, attempt int) error {
	d := firstPause << (attempt - 1)
	if b.o.Jitter != nil {
		d = time.Duration(b.o.Jitter() * float64(d))
	}
	if err := retry.Sleep(ctx, d); err != nil {
		return fault.From(err)
	}
	return nil
}
