package once_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/stepup-auth/stepup/pkg/notify/once"
)

// The package does without the SDK, so the compiler does not see this elsewhere.
var _ aws.Retryer = (*once.Send)(nil)

// answered is an error as the SDK returns it for an answer.
type answered struct {
	error

	status int
}

func (a answered) HTTPStatusCode() int { return a.status }
func (a answered) Unwrap() error       { return a.error }

func answer(status int, code string) error {
	return fmt.Errorf("operation error: %w", answered{status: status, error: &smithy.GenericAPIError{Code: code}})
}

func TestOnlyRefusalsForBeingBusyCountAsThrottled(t *testing.T) {
	t.Parallel()
	tests := []struct {
		err  error
		want bool
	}{
		{answer(429, ""), true},
		{answer(429, "Throttled"), true},
		{answer(400, "Throttling"), true},
		{answer(400, "ThrottlingException"), true},
		{answer(503, "ThrottlingException"), true},
		{answer(400, "TooManyRequestsException"), true},
		{answer(400, "InvalidParameter"), false},
		{answer(400, "LimitExceededException"), false},
		{answer(503, "ServiceUnavailable"), false},
		{answer(500, ""), false},
		{errors.New("Throttled"), false},
	}
	for _, tt := range tests {
		if got := once.Throttled(tt.err); got != tt.want {
			t.Errorf("Throttled(%v) = %v, want %v", tt.err, got, tt.want)
		}
	}
}

func TestCodeIsThatOfTheAnswer(t *testing.T) {
	t.Parallel()
	if got := once.Code(answer(400, "OptedOut")); got != "OptedOut" {
		t.Errorf("Code = %q, want OptedOut", got)
	}
	if got := once.Code(errors.New("connection reset")); got != "" {
		t.Errorf("Code without an answer = %q", got)
	}
}

func TestNothingIsRepeatedThatWasNeverTried(t *testing.T) {
	t.Parallel()
	_, send := once.Watch(t.Context())
	if send.IsErrorRetryable(errors.New("no credentials")) || send.Unconfirmed() {
		t.Error("a send before its first attempt is repeated or unconfirmed")
	}
}

func TestRepetitionsFitIntoASend(t *testing.T) {
	t.Parallel()
	_, send := once.Watch(t.Context())
	var sum time.Duration
	for attempt := range send.MaxAttempts() {
		d, err := send.RetryDelay(attempt, nil)
		if err != nil || d <= 0 {
			t.Errorf("RetryDelay(%d) = %v, %v", attempt, d, err)
		}
		sum += d
	}
	if sum > 500*time.Millisecond {
		t.Errorf("the delays of a send add up to %v", sum)
	}
	if d, _ := send.RetryDelay(1_000_000, nil); d > time.Second {
		t.Errorf("RetryDelay of an absurd attempt = %v", d)
	}
}
