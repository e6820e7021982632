// Package awstest is the test kit of the AWS adapters: a server on a loopback address
// that speaks SNS's Publish and SES's SendEmail on the wire, refuses what they refuse,
// and fails as a test tells it to. The real SDK clients run against it.
package awstest

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// SMS is a text message that the server took.
type SMS struct {
	PhoneNumber string
	Message     string
	// Attributes are the values by name, with their type in front, as in
	// "String:Transactional".
	Attributes map[string]string
	MessageID  string
}

// Mail is a mail that the server took.
type Mail struct {
	From             string
	To               []string
	ReplyTo          []string
	Subject          string
	Text             string
	HTML             string
	ConfigurationSet string
	// OpenTracking and ClickTracking are what the request says of them; empty where it
	// says nothing.
	OpenTracking  string
	ClickTracking string
	MessageID     string
}

// Answer is what the server does with one request.
type Answer struct {
	status  int
	code    string
	message string
	act     func(s *Server, w http.ResponseWriter, r *http.Request)
	take    bool
}

// Accept takes the message, as the server does without a script.
func Accept() Answer { return Answer{take: true} }

// Refuse answers with an error in the service's own form.
func Refuse(status int, code, message string) Answer {
	return Answer{status: status, code: code, message: message}
}

// Hang never answers.
func Hang() Answer { return Answer{act: hang} }

// Lose takes the message and breaks the connection instead of answering.
func Lose() Answer { return Answer{act: lose, take: true} }

// Garble takes the message and answers with what is no answer.
func Garble() Answer { return Answer{act: garble, take: true} }

// Server is both services. Without a script it takes every well-formed message.
type Server struct {
	// URL is the endpoint for both clients.
	URL string

	closing chan struct{}
	hanging chan struct{}

	mu       sync.Mutex // guards the rest
	script   []Answer
	requests int
	sms      []SMS
	mails    []Mail
}

// Start returns a server that lives as long as the test.
func Start(t testing.TB) *Server {
	t.Helper()
	s := &Server{closing: make(chan struct{}), hanging: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /{$}", s.publish)
	mux.HandleFunc("POST /v2/email/outbound-emails", s.sendEmail)
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		close(s.closing)
		server.Close()
	})
	s.URL = server.URL
	return s
}

// Script sets what the server does with the requests that come; after the last answer
// it takes messages again.
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

// Hanging delivers a value for each request that waits for an answer that Hang keeps
// back, so that a test knows when it does.
func (s *Server) Hanging() <-chan struct{} { return s.hanging }

// SMS returns the text messages that were taken, oldest first.
func (s *Server) SMS() []SMS {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]SMS(nil), s.sms...)
}

// Mails returns the mails that were taken, oldest first.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// Forget forgets the messages that were taken, and the requests.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sms, s.mails, s.requests = nil, nil, 0
}

// next counts a request and returns what is to be done with it.
func (s *Server) next() (answer Answer, number int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests++
	if len(s.script) == 0 {
		return Accept(), s.requests
	}
	answer, s.script = s.script[0], s.script[1:]
	return answer, s.requests
}

var signature = regexp.MustCompile(`^AWS4-HMAC-SHA256 Credential=[^/]+/\d{8}/[a-z0-9-]+/(sns|ses)/aws4_request, `)

// signedFor reports whether the request is signed for the service, which is all of a
// signature that is looked at.
func signedFor(r *http.Request, service string) bool {
	found := signature.FindStringSubmatch(r.Header.Get("Authorization"))
	return len(found) == 2 && found[1] == service
}

func hang(s *Server, _ http.ResponseWriter, r *http.Request) {
	hanging := s.hanging
	for {
		select {
		case hanging <- struct{}{}:
			hanging = nil // once for each request
		case <-r.Context().Done():
			return
		case <-s.closing:
			return
		}
	}
}

func lose(_ *Server, w http.ResponseWriter, _ *http.Request) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err == nil {
		_ = conn.Close()
	}
}

func garble(_ *Server, w http.ResponseWriter, _ *http.Request) {
	_, _ = strings.NewReader("<html>not what was asked for").WriteTo(w)
}
