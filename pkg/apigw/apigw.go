// Package apigw owns the door between API Gateway and net/http: it turns an HTTP API
// event (payload format 2.0) into a request, serves it with an http.Handler, and
// turns what the handler wrote into the answer that API Gateway expects.
//
// What the gateway cannot carry is decided here and nowhere else:
//
//   - Trailers are dropped, because the answer format has no place for them. Native
//     gRPC needs them and is refused before the handler runs; Connect, gRPC-Web and
//     REST do not.
//   - Answers are buffered whole. Flush fixes the headers and sends nothing, and
//     informational (1xx) statuses are swallowed.
//   - The path arrives already decoded: HTTP APIs undo the percent-encoding before
//     they write rawPath, Lambda function URLs do not. A rawPath that is a valid
//     encoding is kept byte for byte; any other is taken as text and encoded again.
//     So a doubly encoded path is decoded twice: authorise in the handler, not by
//     route in the gateway.
//   - The mapping key of a custom domain is no part of the path that the handler
//     sees (the gateway removes it from rawPath). A named stage is: use $default. On
//     another stage the handler meets paths that start with the stage's name.
package apigw

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/trace"
)

const (
	defaultMaxBody = 1 << 20
	defaultMargin  = 500 * time.Millisecond

	// leastTime is the shortest time in which starting a handler makes sense.
	leastTime = 100 * time.Millisecond

	// maxAnswer is what the Lambda Runtime API takes in bytes. It answers a larger
	// payload with 413, upon which the Go runtime exits and loses the process.
	maxAnswer = 6_291_556
)

// Options tune a Handler. The zero value is ready for use.
type Options struct {
	// MaxBody is the largest request body in bytes, after base64 decoding. Zero
	// means 1 MiB.
	MaxBody int
	// Margin is kept back from the Lambda deadline, so that an answer and its log
	// line still leave when the handler used all of its time. Zero means 500 ms.
	Margin time.Duration
	// Log receives what the client must not see, such as a panic's value and stack.
	// Nil discards it.
	Log *slog.Logger
	// Refused, unless nil, hears of every event that was answered by a fault of this
	// package and not by the handler.
	Refused func(ctx context.Context, f *fault.Fault)
}

// Handler serves API Gateway HTTP API events with an http.Handler. It implements
// the Handler interface of aws-lambda-go and keeps no state between events, so it is
// safe for concurrent use when the http.Handler is.
type Handler struct {
	next    http.Handler
	maxBody int
	margin  time.Duration
	log     *slog.Logger
	refused func(context.Context, *fault.Fault)
}

// New returns a Handler that serves every event with next.
func New(next http.Handler, opts Options) *Handler {
	h := &Handler{next: next, maxBody: opts.MaxBody, margin: opts.Margin, log: opts.Log, refused: opts.Refused}
	if h.maxBody == 0 {
		h.maxBody = defaultMaxBody
	}
	if h.margin == 0 {
		h.margin = defaultMargin
	}
	if h.log == nil {
		h.log = slog.New(slog.DiscardHandler)
	}
	if h.refused == nil {
		h.refused = func(context.Context, *fault.Fault) {}
	}
	return h
}

// Invoke serves one event and returns the answer as JSON. The error is always nil:
// an event that cannot be served gets an HTTP answer whose body is a google.rpc.Status
// in JSON. Those answers are 400 (not a payload of version 2.0), 413 (body over
// MaxBody), 415 (native gRPC), 500 (the handler panicked, or wrote more than Lambda
// can return) and 504 (too little time left to start).
func (h *Handler) Invoke(ctx context.Context, payload []byte) ([]byte, error) {
	answer, err := h.serve(ctx, payload)
	if err != nil {
		return h.refuse(ctx, fault.From(err)), nil
	}
	return answer, nil
}

// serve runs the handler and returns its answer.
func (h *Handler) serve(ctx context.Context, payload []byte) ([]byte, error) {
	ctx, cancel, err := h.budget(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	event, err := decodeEvent(payload)
	if err != nil {
		return nil, err
	}
	r, err := newRequest(ctx, event, h.maxBody)
	if err != nil {
		return nil, err
	}
	w := newRecorder(r.Method)
	if err := h.run(w, r); err != nil {
		return nil, err
	}
	answer := encode(w.response())
	if len(answer) > maxAnswer {
		return nil, errInternal.Wrap(fmt.Errorf("answer of %d bytes is over the %d that Lambda returns", len(answer), maxAnswer))
	}
	return answer, nil
}

// budget returns a context that ends Margin before Lambda kills the process. The
// package has no clock of its own: a context whose deadline lies leastTime earlier
// tells whether it is too late to start.
func (h *Handler) budget(ctx context.Context) (context.Context, context.CancelFunc, error) {
	deadline, ok := ctx.Deadline()
	if !ok {
		return ctx, func() {}, nil
	}
	end := deadline.Add(-h.margin)
	latest, cancel := context.WithDeadline(ctx, end.Add(-leastTime))
	defer cancel()
	if err := latest.Err(); err != nil {
		return nil, nil, errLate.Wrap(err)
	}
	ctx, cancel = context.WithDeadline(ctx, end)
	return ctx, cancel, nil
}

// run calls the handler and turns a panic into a fault, because a panic that reaches
// the Lambda runtime ends the process for every later request. It makes no exception
// for http.ErrAbortHandler: there is no connection to abort.
func (h *Handler) run(w http.ResponseWriter, r *http.Request) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = errInternal.Wrap(fmt.Errorf("handler panicked: %v\n%s", v, debug.Stack()))
		}
	}()
	h.next.ServeHTTP(w, r)
	return nil
}

// The faults that are born at this door. They are bare, because no client of the
// original API knows an id for them.
var (
	errEvent    = fault.NewBare(fault.InvalidArgument, "The event is not an API Gateway HTTP API request of payload version 2.0")
	errTooLarge = fault.NewBare(fault.TooLarge, "The request body is too large")
	errLate     = fault.NewBare(fault.DeadlineExceeded, "Too little time was left to start the request")
	errInternal = fault.NewBare(fault.Internal, "An internal error occurred")
	errGRPC     = fault.NewBare(fault.Unimplemented, "gRPC needs HTTP trailers, which this endpoint cannot carry; use Connect, gRPC-Web or REST here, or the gRPC endpoint")
)

// refuse logs the fault and returns it as an answer.
func (h *Handler) refuse(ctx context.Context, f *fault.Fault) []byte {
	h.log.LogAttrs(ctx, f.Kind.Level(), "request refused at the gateway adapter", append(trace.Attrs(traceHeader(ctx)),
		slog.String("kind", f.Kind.String()), slog.Any("error", f))...)
	h.refused(ctx, f)
	status := f.Kind.HTTPStatus()
	if f.Kind == fault.Unimplemented {
		// The only one is native gRPC. To HTTP that is a body in a format that is
		// not read here, so the status says more than 501 would.
		status = fault.UnsupportedMediaType.HTTPStatus()
	}
	return encode(events.APIGatewayV2HTTPResponse{
		StatusCode: status,
		Headers:    map[string]string{"content-type": "application/json"},
		Body:       statusBody(f),
	})
}

// statusBody renders the fault as google.rpc.Status in JSON.
func statusBody(f *fault.Fault) string {
	return string(encode(struct {
		Code    uint32 `json:"code"`
		Message string `json:"message"`
	}{f.Kind.GRPCCode(), f.Message()}))
}

// encode returns v as JSON without the escaping of HTML, which would only make
// bodies longer. The values of this package have nothing that JSON cannot express.
func encode(v any) []byte {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		panic(err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n"))
}
