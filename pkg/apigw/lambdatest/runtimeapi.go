package lambdatest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// functionARN is what the function is told about itself, with the account
	// number that AWS uses in its examples.
	functionARN = "arn:aws:lambda:us-east-1:123456789012:function:" + functionName

	// maxPayload is Lambda's limit in bytes for an answer.
	maxPayload = 6_291_556
)

// FunctionError is what a function reported instead of an answer, or instead of
// starting.
type FunctionError struct {
	// Type is the error's type, such as "errorString".
	Type string `json:"errorType"`
	// Message is the error's text.
	Message string `json:"errorMessage"`
}

// Error implements error.
func (e *FunctionError) Error() string {
	return fmt.Sprintf("lambdatest: the function reported %s: %s", e.Type, e.Message)
}

// invocation is one event on its way through the function.
type invocation struct {
	id       string
	event    []byte
	deadline time.Time
	outcome  chan outcome
}

// outcome is how an invocation ended.
type outcome struct {
	answer []byte
	err    error
}

// runtimeAPI is the stand-in for the Lambda Runtime API, version 2018-06-01, as the
// function sees it on AWS_LAMBDA_RUNTIME_API.
type runtimeAPI struct {
	// asked is closed when the function first asks for work: its init is over.
	asked chan struct{}
	// failedInit receives the error that a function reports from its init.
	failedInit chan error
	// queue hands an invocation to whoever asks for work.
	queue chan *invocation

	askOnce sync.Once
	mu      sync.Mutex
	serial  int
	running map[string]*invocation
}

func newRuntimeAPI() *runtimeAPI {
	return &runtimeAPI{
		asked:      make(chan struct{}),
		failedInit: make(chan error, 1),
		queue:      make(chan *invocation),
		running:    map[string]*invocation{},
	}
}

// handler returns the API's routes. The two of the Extensions API are those that
// aws-lambda-go calls to be told of a shutdown: a registration, and a wait for events
// that never come.
func (a *runtimeAPI) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /2018-06-01/runtime/invocation/next", a.next)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/response", a.response)
	mux.HandleFunc("POST /2018-06-01/runtime/invocation/{id}/error", a.failure)
	mux.HandleFunc("POST /2018-06-01/runtime/init/error", a.initFailure)
	mux.HandleFunc("POST /2020-01-01/extension/register", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Lambda-Extension-Identifier", requestID(0))
	})
	mux.HandleFunc("GET /2020-01-01/extension/event/next", func(_ http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
	})
	return mux
}

// start registers an event and returns it as an invocation that is ready to be queued.
func (a *runtimeAPI) start(event []byte, deadline time.Time) *invocation {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.serial++
	inv := &invocation{id: requestID(a.serial), event: event, deadline: deadline, outcome: make(chan outcome, 1)}
	a.running[inv.id] = inv
	return inv
}

// end removes an invocation and returns it; it is nil when the id is not running.
func (a *runtimeAPI) end(id string) *invocation {
	a.mu.Lock()
	defer a.mu.Unlock()
	inv := a.running[id]
	delete(a.running, id)
	return inv
}

// next answers the function's request for work, and blocks until there is some.
func (a *runtimeAPI) next(w http.ResponseWriter, r *http.Request) {
	a.askOnce.Do(func() { close(a.asked) })
	select {
	case <-r.Context().Done():
	case inv := <-a.queue:
		h := w.Header()
		h.Set("Content-Type", "application/json")
		h.Set("Lambda-Runtime-Aws-Request-Id", inv.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(inv.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", functionARN)
		h.Set("Lambda-Runtime-Trace-Id", traceID(inv))
		// A write that fails means that the function is gone, which its exit tells.
		_, _ = w.Write(inv.event)
	}
}

// response takes the answer to an invocation.
func (a *runtimeAPI) response(w http.ResponseWriter, r *http.Request) {
	answer, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxPayload))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		failed := &FunctionError{Type: "Function.ResponseSizeTooLarge", Message: "the answer is over " + strconv.Itoa(maxPayload) + " bytes"}
		a.finish(w, r, http.StatusRequestEntityTooLarge, outcome{err: failed})
	case err != nil:
		refuse(w, http.StatusBadRequest, &FunctionError{Type: "InvalidRequest", Message: err.Error()})
	default:
		a.finish(w, r, http.StatusAccepted, outcome{answer: answer})
	}
}

// failure takes the error that an invocation ended with.
func (a *runtimeAPI) failure(w http.ResponseWriter, r *http.Request) {
	a.finish(w, r, http.StatusAccepted, outcome{err: readError(r)})
}

// initFailure takes the error that the function's init ended with.
func (a *runtimeAPI) initFailure(w http.ResponseWriter, r *http.Request) {
	select {
	case a.failedInit <- readError(r):
	default: // The first error is the one that counts.
	}
	w.WriteHeader(http.StatusAccepted)
}

// finish hands the outcome to the waiting Invoke and answers the function.
func (a *runtimeAPI) finish(w http.ResponseWriter, r *http.Request, status int, out outcome) {
	inv := a.end(r.PathValue("id"))
	if inv == nil {
		refuse(w, http.StatusBadRequest, &FunctionError{Type: "InvalidRequestID", Message: "no such invocation is running"})
		return
	}
	inv.outcome <- out
	w.WriteHeader(status)
}

// readError reads the body of a reported error. What is no JSON becomes the message.
func readError(r *http.Request) error {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxPayload))
	if err != nil {
		return fmt.Errorf("lambdatest: reading the function's error: %w", err)
	}
	reported := &FunctionError{}
	if err := json.Unmarshal(body, reported); err != nil {
		reported.Message = string(body)
	}
	return reported
}

// refuse answers a call that does not fit, in the API's own error format.
func refuse(w http.ResponseWriter, status int, e *FunctionError) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(e) //nolint:errchkjson // strings only; and the caller may be gone
}

// requestID returns an id in the form of a version 4 UUID. It counts, so that a log
// can be read and a run repeated.
func requestID(serial int) string {
	return fmt.Sprintf("00000000-0000-4000-8000-%012d", serial)
}

// traceID returns the X-Ray header of an invocation: a root from its deadline and its
// number, and a decision not to sample.
func traceID(inv *invocation) string {
	return fmt.Sprintf("Root=1-%08x-%024s;Parent=%016s;Sampled=0", inv.deadline.Unix(), inv.id[24:], "1")
}
