// Package proxy owns the bad network of the tests: a proxy on loopback between the
// service and one thing that it depends on, which carries every call faithfully, except
// for those that a test has it break. What the service meets then is what it would meet
// on the wire, its SDK's repetitions included.
package proxy

import (
	"bytes"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// Call is one request as a test chooses among them.
type Call struct {
	// N counts the calls since the last Break, from 1. The repetitions that an AWS SDK
	// makes of a call are the same call.
	N int
	// Attempt counts the repetitions of one call, from 1.
	Attempt int
	// Name is that of the operation; for what is not AWS, the last part of the path.
	Name string
}

// Failure is what becomes of a call that is broken.
type Failure func(p *Proxy, w http.ResponseWriter, r *http.Request)

// Answer is an answer that the other side never gave.
func Answer(status int, header map[string]string, body string) Failure {
	return func(_ *Proxy, w http.ResponseWriter, _ *http.Request) {
		for name, value := range header {
			w.Header().Set(name, value)
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body) // the client may be gone
	}
}

// Hang is no answer for as long as the client waits, and the other side hears of
// nothing.
func Hang(p *Proxy, _ http.ResponseWriter, r *http.Request) {
	select {
	case <-r.Context().Done():
	case <-p.closing:
	}
}

// Reset ends the connection, and the other side hears of nothing.
func Reset(_ *Proxy, w http.ResponseWriter, _ *http.Request) { cut(w) }

// Lose carries the call, and ends the connection in the place of the answer.
func Lose(p *Proxy, w http.ResponseWriter, r *http.Request) {
	if response, err := p.carry(r); err == nil {
		_, _ = io.Copy(io.Discard, response.Body) // so that it has surely happened
		_ = response.Body.Close()
	}
	cut(w)
}

// Proxy carries calls to one target. It is safe for concurrent use.
type Proxy struct {
	// URL is where the service finds it.
	URL string

	target  string
	client  http.RoundTripper
	closing chan struct{}

	mu      sync.Mutex // guards the rest
	round   int        // counts the Breaks
	failure Failure
	when    func(Call) bool
	known   []string // calls by the SDK's id
	names   []string // of the calls
	tries   []int
}

// Start returns a proxy to the target, a URL without a path, that lives as long as the
// test.
func Start(t testing.TB, target string) *Proxy {
	t.Helper()
	transport := &http.Transport{MaxIdleConnsPerHost: 16}
	p := &Proxy{target: strings.TrimPrefix(target, "http://"), client: transport, closing: make(chan struct{})}
	server := httptest.NewServer(p)
	t.Cleanup(func() {
		close(p.closing)
		server.Close()
		transport.CloseIdleConnections()
	})
	p.URL = server.URL
	return p
}

// Break has the calls that come from now on fail in this way, as when says; it is never
// run twice at once. The count of calls begins anew.
func (p *Proxy) Break(f Failure, when func(Call) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.round++
	p.failure, p.when, p.known, p.names, p.tries = f, when, nil, nil, nil
}

// roundHeader names the Break that was the last one when a request left.
const roundHeader = "Test-Round"

// Doer is what makes requests for an AWS SDK.
type Doer interface {
	Do(r *http.Request) (*http.Response, error)
}

// Marked returns a client whose requests say when they left. One that is given up, and
// comes to a proxy after the next Break, is not counted among those after it.
func Marked(inner Doer, proxies ...*Proxy) Doer { return marked{inner, proxies} }

type marked struct {
	inner   Doer
	proxies []*Proxy
}

// Do implements Doer.
func (m marked) Do(r *http.Request) (*http.Response, error) {
	for _, p := range m.proxies {
		if strings.HasSuffix(p.URL, r.URL.Host) {
			p.mu.Lock()
			r.Header.Set(roundHeader, strconv.Itoa(p.round))
			p.mu.Unlock()
		}
	}
	return m.inner.Do(r)
}

// Heal has all calls pass, and begins to count anew.
func (p *Proxy) Heal() { p.Break(nil, func(Call) bool { return false }) }

// Calls returns the names of the calls since the last Break, in their order.
func (p *Proxy) Calls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.names)
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		cut(w)
		return
	}
	r.Body = io.NopCloser(bytes.NewReader(body))
	if failure := p.decide(r, body); failure != nil {
		failure(p, w, r)
		return
	}
	response, err := p.carry(r)
	if err != nil {
		cut(w)
		return
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	maps.Copy(w.Header(), response.Header)
	w.WriteHeader(response.StatusCode)
	_, _ = io.Copy(w, response.Body) // the client may be gone
}

// decide counts a request and returns how it fails, or nil.
func (p *Proxy) decide(r *http.Request, body []byte) Failure {
	p.mu.Lock()
	defer p.mu.Unlock()
	if round := r.Header.Get(roundHeader); round != "" && round != strconv.Itoa(p.round) {
		return nil
	}
	id := r.Header.Get("Amz-Sdk-Invocation-Id")
	at := slices.Index(p.known, id)
	if id == "" || at < 0 {
		at = len(p.known)
		p.known, p.names, p.tries = append(p.known, id), append(p.names, name(r, body)), append(p.tries, 0)
	}
	p.tries[at]++
	if p.when == nil || !p.when(Call{N: at + 1, Attempt: p.tries[at], Name: p.names[at]}) {
		return nil
	}
	return p.failure
}

// name returns the operation of a request, where the protocols of AWS have it: a header,
// a form, or the path.
func name(r *http.Request, body []byte) string {
	if _, operation, found := strings.Cut(r.Header.Get("X-Amz-Target"), "."); found {
		return operation
	}
	if _, rest, found := strings.Cut(string(body), "Action="); found && r.URL.Path == "/" {
		operation, _, _ := strings.Cut(rest, "&")
		return operation
	}
	return path.Base(r.URL.Path)
}

// carry makes the request at the target.
func (p *Proxy) carry(r *http.Request) (*http.Response, error) {
	out := r.Clone(r.Context())
	out.URL.Scheme, out.URL.Host, out.RequestURI = "http", p.target, ""
	return p.client.RoundTrip(out)
}

// cut ends the connection under a request at once, without a farewell.
func cut(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}
