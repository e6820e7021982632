package canary

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"sync"
	"testing"
)

// Watch learns secrets from the requests and answers that pass a handler, and keeps the
// answers that refuse something. It is safe for concurrent use.
type Watch struct {
	Ledger

	mu      sync.Mutex // guards the rest
	refused bytes.Buffer
}

// Refused is what was answered with a status of 400 and above, headers included.
func (w *Watch) Refused() []byte {
	w.mu.Lock()
	defer w.mu.Unlock()
	return bytes.Clone(w.refused.Bytes())
}

// Over returns the handler, watched.
func (w *Watch) Over(h http.Handler) http.Handler {
	return http.HandlerFunc(func(out http.ResponseWriter, r *http.Request) {
		var asked bytes.Buffer
		r.Body = tee{io.TeeReader(r.Body, &asked), r.Body}
		a := &answer{ResponseWriter: out, status: http.StatusOK}
		defer func() {
			w.Header(r.Header)
			w.Query(r.URL.Query())
			w.Body(asked.Bytes())
			w.learn(a)
		}()
		h.ServeHTTP(a, r)
	})
}

func (w *Watch) learn(a *answer) {
	if a.status < http.StatusBadRequest {
		w.Header(a.Header())
		w.Body(a.body.Bytes())
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	_, _ = fmt.Fprintf(&w.refused, "%d\n", a.status)
	_ = a.Header().Write(&w.refused)
	_, _ = w.refused.Write(append(a.body.Bytes(), '\n'))
}

// tee is a body that is read as before, with a copy of what was read.
type tee struct {
	io.Reader
	io.Closer
}

// answer keeps a copy of what is answered.
type answer struct {
	http.ResponseWriter

	status int
	body   bytes.Buffer
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(status int) {
	a.status = status
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *answer) Write(b []byte) (int, error) {
	a.body.Write(b)
	return a.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController find the connection.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

// Flush implements http.Flusher, which streams need.
func (a *answer) Flush() { _ = http.NewResponseController(a.ResponseWriter).Flush() }

// Want fails the test for each secret in a sink that must not be there.
func (l *Ledger) Want(t testing.TB, where Sink, what []byte) {
	t.Helper()
	for _, found := range l.Search(where, what) {
		t.Errorf("in the %s: %s", where, found)
	}
}
