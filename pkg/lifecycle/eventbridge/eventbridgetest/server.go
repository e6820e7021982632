// Package eventbridgetest is the test kit of what publishes events: a server on a
// loopback address that speaks EventBridge's PutEvents on the wire, refuses what it
// refuses, and fails as a test tells it to. The real SDK client runs against it.
package eventbridgetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"sync"
	"testing"
)

// Event is one that the server took.
type Event struct {
	Bus, Source, DetailType string
	// Time is in seconds since 1970.
	Time   float64
	Detail string
}

// Answer is what the server does with one request.
type Answer struct {
	status int
	code   string
	codes  []string
	act    func(s *Server, w http.ResponseWriter, r *http.Request)
}

// Accept takes all entries, as the server does without a script.
func Accept() Answer { return Answer{} }

// Entries takes those entries whose code is empty or missing and refuses the others.
func Entries(codes ...string) Answer { return Answer{codes: codes} }

// Refuse answers the whole request with an error.
func Refuse(status int, code string) Answer { return Answer{status: status, code: code} }

// Throttled is EventBridge asked too often.
func Throttled() Answer { return Refuse(http.StatusBadRequest, "ThrottlingException") }

// Hang never answers.
func Hang() Answer { return Answer{act: hang} }

// Lose takes all entries and breaks the connection instead of answering.
func Lose() Answer { return Answer{act: lose} }

// Server is EventBridge. Without a script it takes every well-formed event.
type Server struct {
	// URL is the endpoint for the client.
	URL string

	closing chan struct{}

	mu       sync.Mutex // guards the rest
	script   []Answer
	requests int
	events   []Event
}

// Start returns a server that lives as long as the test.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{closing: make(chan struct{})}
	server := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(func() {
		close(s.closing)
		server.Close()
	})
	s.URL = server.URL
	return s
}

// Script sets what the server does with the requests that come; after the last answer
// it takes events again.
func (s *Server) Script(answers ...Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.script = answers
}

// Requests returns how many requests have come, whatever became of them.
func (s *Server) Requests() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.requests
}

// Events returns what was taken, oldest first.
func (s *Server) Events() []Event {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.events)
}

// next counts a request and returns what is to be done with it.
func (s *Server) next() Answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if len(s.script) == 0 {
		return Accept()
	}
	answer := s.script[0]
	s.script = s.script[1:]
	return answer
}

// entry is one of PutEvents.
type entry struct {
	EventBusName string  `json:"EventBusName"`
	Source       string  `json:"Source"`
	DetailType   string  `json:"DetailType"`
	Detail       string  `json:"Detail"`
	Time         float64 `json:"Time"`
}

// result is the answer to one.
type result struct {
	EventID      string `json:"EventId,omitempty"`
	ErrorCode    string `json:",omitempty"`
	ErrorMessage string `json:",omitempty"`
}

var signature = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/[a-z0-9-]+/events/aws4_request, `)

// serve answers the JSON protocol: the name of the call stands in a header.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	answer := s.next()
	var in struct {
		Entries []entry `json:"Entries"`
	}
	err := json.NewDecoder(r.Body).Decode(&in)
	switch {
	case !signature.MatchString(r.Header.Get("Authorization")):
		answer = Refuse(http.StatusBadRequest, "MissingAuthenticationTokenException")
	case r.Header.Get("X-Amz-Target") != "AWSEvents.PutEvents":
		answer = Refuse(http.StatusBadRequest, "UnknownOperationException")
	case err != nil:
		answer = Refuse(http.StatusBadRequest, "SerializationException")
	case len(in.Entries) == 0, len(in.Entries) > 10, size(in.Entries) > 256<<10:
		answer = Refuse(http.StatusBadRequest, "ValidationException")
	}
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	if answer.status != 0 {
		w.WriteHeader(answer.status)
		write(w, map[string]string{"__type": answer.code, "message": "canary: as sent"})
		return
	}
	results, failed := s.take(in.Entries, answer.codes)
	if answer.act != nil {
		answer.act(s, w, r)
		return
	}
	write(w, map[string]any{"Entries": results, "FailedEntryCount": failed})
}

func size(entries []entry) int {
	n := 0
	for _, e := range entries {
		n += 14 + len(e.Source) + len(e.DetailType) + len(e.Detail)
	}
	return n
}

// take keeps the entries that nothing speaks against.
func (s *Server) take(entries []entry, codes []string) (results []result, failed int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, e := range entries {
		code := problem(e)
		if i < len(codes) && codes[i] != "" {
			code = codes[i]
		}
		if code != "" {
			failed++
			results = append(results, result{ErrorCode: code, ErrorMessage: "canary: " + e.Detail})
			continue
		}
		s.events = append(s.events, Event{e.EventBusName, e.Source, e.DetailType, e.Time, e.Detail})
		results = append(results, result{EventID: fmt.Sprintf("event-%d", len(s.events))})
	}
	return results, failed
}

// problem returns what EventBridge has against the entry, if anything.
func problem(e entry) string {
	var object map[string]any
	switch {
	case e.Source == "" || e.DetailType == "" || e.Detail == "":
		return "InvalidArgument"
	case json.Unmarshal([]byte(e.Detail), &object) != nil:
		return "MalformedDetail"
	default:
		return ""
	}
}

func write(w http.ResponseWriter, body any) {
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(http.ErrAbortHandler) // breaks the connection, which is what happened
	}
}

func hang(s *Server, _ http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-s.closing:
	}
}

func lose(_ *Server, w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}
