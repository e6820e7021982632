package main_test

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/apigw/lambdatest"
	"github.com/stepup-auth/stepup/pkg/lifecycle/eventbridge/eventbridgetest"
	"github.com/stepup-auth/stepup/test/proxy"
)

// outages are the ways in which EventBridge fails: what the log says, and how many of the
// two events have arrived all the same.
func outages() map[string]struct {
	how     proxy.Failure
	cause   string
	arrived int
} {
	refuse := func(status int, code string) proxy.Failure {
		return proxy.Answer(status, map[string]string{"Content-Type": "application/x-amz-json-1.1"}, `{"__type":"`+code+`"}`)
	}
	return map[string]struct {
		how     proxy.Failure
		cause   string
		arrived int
	}{
		"hangs":            {how: proxy.Hang, cause: "deadline exceeded"},
		"throttles":        {how: refuse(http.StatusBadRequest, "ThrottlingException"), cause: "ThrottlingException"},
		"denies":           {how: refuse(http.StatusBadRequest, "AccessDeniedException"), cause: "AccessDeniedException"},
		"meets a defect":   {how: refuse(http.StatusInternalServerError, "InternalException"), cause: "InternalException"},
		"answers nonsense": {how: proxy.Answer(http.StatusOK, nil, "<html>"), cause: "deserialization failed"},
		"answers nothing":  {how: proxy.Answer(http.StatusOK, nil, "{}"), cause: "0 answers to 2 entries"},
		"is cut off":       {how: proxy.Reset, cause: "connection reset"},
		"loses its answer": {how: proxy.Lose, cause: "connection reset", arrived: 2},
	}
}

// TestR1_EveryFailureOfEventBridgeIsReportedAndTheBatchComesAgain has the whole batch
// fail. Lambda is told where to go on, the process lives, and the second delivery tells
// the same events, so that who hears one twice knows it by its id.
func TestR1_EveryFailureOfEventBridgeIsReportedAndTheBatchComesAgain(t *testing.T) {
	t.Parallel()
	records := fixture(t, "removals.json")
	for name, o := range outages() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			bus := eventbridgetest.Start(t)
			way := proxy.Start(t, bus.URL)
			p, err := lambdatest.Start(context.WithoutCancel(t.Context()), lambdatest.Options{
				Binary: builds.Binary(t, function), Env: environment(way.URL),
			})
			if err != nil {
				t.Fatal(err)
			}
			d := deployed{p, bus}
			way.Break(o.how, func(proxy.Call) bool { return true })
			const first = "800000000003496069460"
			if failed := d.deliver(t, records); !slices.Contains(failed, first) {
				t.Errorf("failed: %v; %s", failed, d.Stdout())
			}
			arrived := map[string]bool{}
			for _, e := range bus.Events() {
				arrived[e.Detail] = true
			}
			if len(arrived) != o.arrived {
				t.Errorf("%d events have arrived, want %d", len(arrived), o.arrived)
			}
			way.Heal()
			if failed := d.deliver(t, records); failed != nil {
				t.Errorf("the second delivery: %v; %s", failed, d.Stdout())
			}
			for _, e := range bus.Events() {
				arrived[e.Detail] = true
			}
			if len(arrived) != 2 {
				t.Errorf("%d events in the end, want 2", len(arrived))
			}
			if err := d.Stop(); err != nil { // whatever it printed has arrived then
				t.Fatal(err)
			}
			if log := d.Stdout(); !strings.Contains(log, o.cause) || !strings.Contains(log, `"fault":`) {
				t.Errorf("the log does not name %q: %s", o.cause, log)
			}
		})
	}
}
