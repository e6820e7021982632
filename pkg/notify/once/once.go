// Package once owns the rule that one send makes at most one message. Providers have
// no idempotency key for messages, so a request that may have been read is not made
// again: a code that does not arrive is asked for again by its owner, a code that
// arrives twice costs twice and teaches people to ignore the first.
//
// A request is repeated in two cases only. Either it never got a connection, so that
// no byte of it left; or the provider answered that it is too busy, which is a
// refusal. A time-out, a connection that broke and an answer with a 5xx status are
// the end: the message may be on its way.
package once

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptrace"
	"sync/atomic"
	"time"
)

const (
	maxAttempts = 3
	firstDelay  = 50 * time.Millisecond
)

// stage is how far the current attempt got.
type stage int32

const (
	idle       stage = iota // nothing was tried, or an answer refused what was
	connecting              // a connection is wanted
	underway                // the request is written, or was
)

// Send is one message on its way to a provider. It is the retryer of the SDK call that
// carries it (it has the methods of aws.Retryer) and remembers how far that came.
type Send struct{ stage atomic.Int32 }

// Watch returns a send and the context that its request must use. The request must go
// through an http.Transport, which reports its steps to the context.
func Watch(ctx context.Context) (context.Context, *Send) {
	s := &Send{}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn: func(string) { s.set(connecting) },
		GotConn: func(httptrace.GotConnInfo) { s.set(underway) },
	}), s
}

func (s *Send) set(to stage) { s.stage.Store(int32(to)) }

func (s *Send) at(where stage) bool { return s.stage.Load() == int32(where) }

// Unconfirmed reports, of a send that failed, whether the message may have left all
// the same.
func (s *Send) Unconfirmed() bool { return s.at(underway) }

// IsErrorRetryable is called by the SDK with the error of each attempt.
func (s *Send) IsErrorRetryable(err error) bool {
	if refused(err) {
		s.set(idle)
		return Throttled(err)
	}
	return s.at(connecting) // the SDK itself stops when the context has ended
}

// MaxAttempts is called by the SDK.
func (s *Send) MaxAttempts() int { return maxAttempts }

// RetryDelay is called by the SDK with the number of the attempt that failed. The
// delays are short and not random: few requests fail together here, and somebody is
// waiting for the answer.
func (s *Send) RetryDelay(attempt int, _ error) (time.Duration, error) {
	return firstDelay << min(max(attempt, 0), maxAttempts), nil
}

// GetRetryToken is called by the SDK before a repetition; there is no budget but the
// number of attempts.
func (s *Send) GetRetryToken(context.Context, error) (func(error) error, error) {
	return released, nil
}

// GetInitialToken is called by the SDK before the first attempt.
func (s *Send) GetInitialToken() func(error) error { return released }

func released(error) error { return nil }

// refused reports whether the provider answered that it does not take the request.
func refused(err error) bool {
	return status(err)/100 == 4 || Throttled(err)
}

// status returns the HTTP status of the provider's answer; 0 where there is none.
func status(err error) int {
	var answer interface{ HTTPStatusCode() int }
	if !errors.As(err, &answer) {
		return 0
	}
	return answer.HTTPStatusCode()
}

// Throttled reports whether the provider answered that it is asked too often. The
// same is said in several ways, depending on which part of a provider says it.
func Throttled(err error) bool {
	if status(err) == http.StatusTooManyRequests {
		return true
	}
	switch Code(err) {
	case "Throttling", "ThrottlingException", "Throttled", "ThrottledException", "TooManyRequestsException",
		"RequestThrottled", "RequestThrottledException", "RequestLimitExceeded", "SlowDown":
		return true
	}
	return false
}

// Code returns the error code in a provider's answer; empty where there is none.
func Code(err error) string {
	var answer interface{ ErrorCode() string }
	if !errors.As(err, &answer) {
		return ""
	}
	return answer.ErrorCode()
}
