package main

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/stepup-auth/stepup/functions/api/apitest"
)

// store is a proxy in front of the store that measures how long it is busy: from when the
// head of a request has been read to when its answer has been handed to the connection,
// requests that overlap counted once. What the caller does to send a request and to read
// its answer stays with the caller.
type store struct {
	proxy *httputil.ReverseProxy

	mu       sync.Mutex
	inFlight int
	since    time.Time
	sum      time.Duration
}

// ServeHTTP implements http.Handler.
func (s *store) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.enter()
	defer s.leave()
	s.proxy.ServeHTTP(w, r)
}

func (s *store) enter() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inFlight == 0 {
		s.since = time.Now()
	}
	s.inFlight++
}

func (s *store) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inFlight--; s.inFlight == 0 {
		s.sum += time.Since(s.since)
	}
}

func (s *store) reset() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sum = 0
}

// busy returns the time since reset in which a request was here.
func (s *store) busy() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sum
}

const (
	storeVariable   = "AWS_ENDPOINT_URL_DYNAMODB="
	keyringVariable = "STEPUP_KEYRING="
)

// before puts the proxy before the store that the environment names, and a Secrets
// Manager in the place of the keyring's file. It returns the environment with both.
func before(env []string) (*store, []string, error) {
	s := &store{}
	changed := make([]string, 0, len(env)+1)
	for _, variable := range env {
		if endpoint, ok := strings.CutPrefix(variable, storeVariable); ok {
			target, err := url.Parse(endpoint)
			if err != nil {
				return nil, nil, err
			}
			s.proxy = httputil.NewSingleHostReverseProxy(target)
			variable = storeVariable
		}
		changed = append(changed, variable)
	}
	at, err := serve(s)
	if err != nil {
		return nil, nil, err
	}
	secrets, err := serve(http.HandlerFunc(keyring))
	if err != nil {
		return nil, nil, err
	}
	// The last value of a name wins.
	return s, append(changed, storeVariable+at, keyringVariable+"keyring", "AWS_ENDPOINT_URL_SECRETS_MANAGER="+secrets), nil
}

// keyring answers GetSecretValue.
func keyring(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.1")
	_ = json.NewEncoder(w).Encode(map[string]string{"Name": "keyring", "SecretString": apitest.Keyring}) //nolint:errchkjson // strings
}

// serve runs a server on loopback until this process ends, and returns its URL.
func serve(h http.Handler) (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	go func() { _ = server.Serve(listener) }()
	return "http://" + listener.Addr().String(), nil
}
