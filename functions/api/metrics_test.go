package main_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"

	"github.com/stepup-auth/stepup/functions/api/apitest"
	"github.com/stepup-auth/stepup/pkg/apigw/lambdatest"
	"github.com/stepup-auth/stepup/pkg/metrics/metricstest"
	"github.com/stepup-auth/stepup/pkg/notify/awstest"
)

// printed serves the requests one after the other, ends the function and returns what it
// wrote to its log.
func printed(t *testing.T, o lambdatest.Options, requests ...request) string {
	t.Helper()
	deployed := function(t, o)
	for _, r := range requests {
		resp, err := apitest.Send(t.Context(), deployed, write(t, r))
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != r.status {
			t.Errorf("%s %s: status %d, want %d", r.method, r.path, resp.StatusCode, r.status)
		}
	}
	if err := deployed.Stop(); err != nil {
		t.Fatal(err)
	}
	return deployed.Stdout()
}

// TestFunctionCountsWhatTheAlarmsWatch looks at the metrics in the log of the real
// function, by the dimensions that the alarms have.
func TestFunctionCountsWhatTheAlarmsWatch(t *testing.T) {
	t.Parallel()
	const factors = "/v2/sessions/" + apitest.FactorsSessionID
	sendSMS := request{method: http.MethodPatch, path: factors, body: `{"challenges":{"otpSms":{}}}`, status: http.StatusOK}
	again := sendSMS
	again.status = http.StatusTooManyRequests
	failing := sendSMS
	failing.status = http.StatusServiceUnavailable
	wrong := request{method: http.MethodPatch, path: sessionPath, body: `{"checks":{"password":{"password":"wrong"}}}`, status: http.StatusBadRequest}
	for name, tc := range map[string]struct {
		remaining time.Duration
		answers   []awstest.Answer
		requests  []request
		want      map[string][]string
	}{
		"a wrong password": {
			requests: []request{wrong},
			want:     map[string][]string{"CheckOutcomes": {"outcome", "wrong", "factor", "password"}},
		},
		"a text message": {
			requests: []request{sendSMS},
			want:     map[string][]string{"Sends": {"outcome", "sent", "channel", "sms"}},
		},
		"a text message that SNS does not take": {
			answers:  []awstest.Answer{awstest.Denied()},
			requests: []request{failing},
			want:     map[string][]string{"Sends": {"outcome", "failed"}},
		},
		"a text message that is held back": {
			requests: []request{sendSMS, again},
			want:     map[string][]string{"SendRefused": {"outcome", "cooldown"}},
		},
		"too little time": {
			remaining: 100 * time.Millisecond,
			requests:  []request{{method: http.MethodGet, path: sessionPath, status: http.StatusGatewayTimeout}},
			want:      map[string][]string{"DeadlineExceeded": {}, "EventsRefused": {"outcome", "deadline_exceeded"}},
		},
		"an event of another kind": {
			requests: []request{{
				method: http.MethodGet, path: sessionPath, status: http.StatusBadRequest,
				edit: func(e *events.APIGatewayV2HTTPRequest) { e.Version = "1.0" },
			}},
			want: map[string][]string{"EventsRefused": {"outcome", "invalid_argument"}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			provider := awstest.Start(t)
			provider.Script(tc.answers...)
			log := printed(t, lambdatest.Options{
				Env: append(apitest.Deploy(t), "AWS_ENDPOINT_URL_SNS="+provider.URL), Remaining: tc.remaining,
			}, tc.requests...)
			for metric, dimensions := range tc.want {
				if n := metricstest.Sum(t, log, metric, append(dimensions, "service", "function")...); n != 1 {
					t.Errorf("%s by %v is %d in\n%s", metric, dimensions, n, log)
				}
			}
			for line := range strings.Lines(log) {
				if !json.Valid([]byte(line)) {
					t.Errorf("two lines are one: %s", line)
				}
			}
		})
	}
}

// TestEveryLineOfARequestNamesItsTrace, which is the invocation's, whatever the client
// says.
func TestEveryLineOfARequestNamesItsTrace(t *testing.T) {
	t.Parallel()
	const claimed = "1-00000000-0123456789abcdef01234567"
	header := map[string]string{"x-amzn-trace-id": "Root=" + claimed}
	log := printed(t, lambdatest.Options{Env: apitest.Deploy(t)},
		request{method: http.MethodGet, path: sessionPath, header: header, status: http.StatusOK},
		request{
			method: http.MethodGet, path: sessionPath, header: header, status: http.StatusBadRequest,
			edit: func(e *events.APIGatewayV2HTTPRequest) { e.Version = "1.0" },
		})
	lambdas := regexp.MustCompile(`^1-[0-9a-f]{8}-0{12}[0-9]{12}$`)
	n := 0
	for line := range strings.Lines(log) {
		var got struct {
			Message string `json:"msg"`
			Trace   string `json:"trace_id"`
		}
		if err := json.Unmarshal([]byte(line), &got); err != nil {
			t.Fatal(err)
		}
		if got.Message == "" {
			continue // a line with metrics
		}
		n++
		if !lambdas.MatchString(got.Trace) {
			t.Errorf("the trace is not Lambda's in %s", line)
		}
	}
	if n != 2 {
		t.Errorf("%d lines in\n%s", n, log)
	}
}
