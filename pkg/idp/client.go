package idp

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/stepup-auth/stepup/pkg/weblink"
)

// Bounds of what is asked of a provider. A sign-in asks it up to three things, and has to
// answer its own caller in seconds.
const (
	callTimeout   = 4 * time.Second
	signInTimeout = 5 * time.Second
	namesTimeout  = 1500 * time.Millisecond // so that a sign-in does not end for want of a name
	maxAnswer     = 64 << 10                // of one response, in bytes
	maxRedirects  = 3
)

// newClient returns a client for one provider. It follows redirects only within a host:
// what it sends is meant for the address that was discovered.
func newClient(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport: bounded{transport},
		Timeout:   callTimeout,
		CheckRedirect: func(next *http.Request, before []*http.Request) error {
			if last := before[len(before)-1].URL; len(before) > maxRedirects || next.URL.Host != last.Host || next.URL.Scheme != last.Scheme {
				return errRedirect
			}
			return nil
		},
	}
}

var (
	errRedirect = errors.New("redirect to another place")
	errPlain    = errors.New("address is not by https")
	errTooLarge = errors.New("response is too large")
)

// bounded carries requests by https only, and returns responses that are complete, not
// too large, and no failure of the provider's own: everything else is an error of the
// call, which so can be told from an answer that is wrong.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	if !weblink.Private(r.URL) {
		return nil, errPlain
	}
	response, err := b.next.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close() //nolint:errcheck // it was read
	if failed(r, response) {
		return nil, fmt.Errorf("status %d", response.StatusCode)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	if err != nil {
		return nil, err
	}
	if len(body) > maxAnswer {
		return nil, errTooLarge
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// failed reports whether the response is no answer. What is merely read, which are
// documents and keys, is there or is not; a code may be refused.
func failed(r *http.Request, response *http.Response) bool {
	switch {
	case response.StatusCode >= http.StatusInternalServerError, response.StatusCode == http.StatusTooManyRequests:
		return true
	default:
		return r.Method == http.MethodGet && response.StatusCode >= http.StatusBadRequest
	}
}
