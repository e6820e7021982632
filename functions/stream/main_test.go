package main_test

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/apigw/lambdatest"
	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/lifecycle/eventbridge/eventbridgetest"
)

const function = "github.com/stepup-auth/stepup/functions/stream"

// builds makes the binary that the tests run.
var builds lambdatest.Builds

func TestMain(m *testing.M) { os.Exit(builds.Run(m)) }

// deployed is the function's binary with an EventBridge of its own.
type deployed struct {
	*lambdatest.Process

	bus *eventbridgetest.Server
}

// deploy starts the function; env is added to what a deployment sets.
func deploy(t *testing.T, env ...string) deployed {
	t.Helper()
	d := deployed{bus: eventbridgetest.Start(t)}
	p, err := lambdatest.Start(context.WithoutCancel(t.Context()), lambdatest.Options{
		Binary: builds.Binary(t, function), Env: append(environment(d.bus.URL), env...),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop() })
	d.Process = p
	return d
}

func environment(endpoint string) []string {
	return []string{
		"STEPUP_EVENT_BUS=auth", "AWS_ENDPOINT_URL_EVENTBRIDGE=" + endpoint, "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
	}
}

// deliver hands the records to the function as one batch and returns the sequence
// numbers that it reports.
func (d deployed) deliver(t *testing.T, records []json.RawMessage) []string {
	t.Helper()
	batch, err := json.Marshal(map[string]any{"Records": records})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := d.Invoke(t.Context(), batch)
	if err != nil {
		t.Fatal(err)
	}
	var response events.DynamoDBEventResponse
	if err := json.Unmarshal(answer, &response); err != nil {
		t.Fatalf("%s: %v", answer, err)
	}
	var failed []string
	for _, f := range response.BatchItemFailures {
		failed = append(failed, f.ItemIdentifier)
	}
	return failed
}

func fixture(t *testing.T, name string) []json.RawMessage {
	t.Helper()
	text, err := os.ReadFile("../../events/stream/" + name)
	if err != nil {
		t.Fatal(err)
	}
	var batch struct{ Records []json.RawMessage }
	if err := json.Unmarshal(text, &batch); err != nil {
		t.Fatal(err)
	}
	return batch.Records
}

// TestS5_SweptSessionsHaveExpired delivers a batch of removals: a session that TTL
// removed, a tombstone, a limit and a deleted user's guard that it removed as well, and
// a session that somebody removed by hand.
func TestS5_SweptSessionsHaveExpired(t *testing.T) {
	t.Parallel()
	d := deploy(t)
	if failed := d.deliver(t, fixture(t, "removals.json")); failed != nil {
		t.Errorf("failed: %v; %s", failed, d.Stdout())
	}
	want := []string{
		`session.expired {"version":1,"id":"7e0c5a2b9d4f41c88a6b3f0e1d2c3b4a.session.expired","time":"2026-03-01T13:00:00Z",` +
			`"sessionId":"emq5612jjdpzcpt7sxc1a0ej3g","userId":"ada","organizationId":"default","revision":2,"expiresAt":"2026-03-01T13:00:00Z"}`,
		`session.terminated {"version":1,"id":"3b1f6d7c8e9a40b2a1c4d5e6f7081929.session.terminated","time":"2026-03-02T14:30:00Z",` +
			`"sessionId":"wxxw7gmtkwmzaw7846s0g6f3q4","revision":1}`,
	}
	var got []string
	for _, e := range d.bus.Events() {
		got = append(got, e.DetailType+" "+e.Detail)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestR2_ASecondDeliveryTellsTheSameEvents has EventBridge fail in the middle of a
// batch and delivers it again.
func TestR2_ASecondDeliveryTellsTheSameEvents(t *testing.T) {
	t.Parallel()
	d := deploy(t)
	d.bus.Script(eventbridgetest.Entries("", "InvalidArgument"))
	records := fixture(t, "removals.json")
	const second = "800000000003496069464"
	if failed := d.deliver(t, records); !slices.Equal(failed, []string{second}) {
		t.Fatalf("failed: %v; %s", failed, d.Stdout())
	}
	if failed := d.deliver(t, records); failed != nil {
		t.Fatalf("failed: %v", failed)
	}
	all := d.bus.Events()
	if len(all) != 3 || all[0] != all[1] || all[1].DetailType == all[2].DetailType {
		t.Errorf("events = %v", all)
	}
}

func TestBadConfigurationStopsTheStartWithOneLine(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		env  []string
		want []string
	}{
		"no bus":         {[]string{"STEPUP_EVENT_BUS="}, []string{"STEPUP_EVENT_BUS"}},
		"blank bus":      {[]string{"STEPUP_EVENT_BUS= "}, []string{"STEPUP_EVENT_BUS"}},
		"bus of another": {[]string{"STEPUP_EVENT_BUS=arn:aws:sns:eu-west-1:123456789012:hush"}, []string{"STEPUP_EVENT_BUS"}},
		"two bad values": {[]string{"STEPUP_EVENT_BUS=", "STEPUP_LOG_LEVEL=hush"}, []string{"STEPUP_EVENT_BUS", "STEPUP_LOG_LEVEL"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lambdatest.WantStopped(t, lambdatest.Options{
				Binary: builds.Binary(t, function), Env: append(environment("http://127.0.0.1:1"), tc.env...),
			}, tc.want...)
		})
	}
}

// bad has a value for each variable that must stop the start.
var bad = map[string]string{
	"STEPUP_EVENT_BUS": "a hush", "STEPUP_LOG_LEVEL": "hush", "AWS_REGION": "", "AWS_ENDPOINT_URL_EVENTBRIDGE": "hush",
}

func TestEveryVariableThatIsMissingOrBadStopsTheStartByItsName(t *testing.T) {
	t.Parallel()
	for _, name := range config.StreamNames() {
		value, known := bad[name]
		if !known {
			t.Errorf("%s: which value is bad?", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			lambdatest.WantStopped(t, lambdatest.Options{
				Binary: builds.Binary(t, function), Env: append(environment("http://127.0.0.1:1"), name+"="+value),
			}, name)
		})
	}
}

// TestWhatIsNotDoneInTimeIsReported has EventBridge never answer, and a function whose
// time is nearly over.
func TestWhatIsNotDoneInTimeIsReported(t *testing.T) {
	t.Parallel()
	d := deploy(t)
	d.bus.Script(eventbridgetest.Hang())
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	batch, err := json.Marshal(map[string]any{"Records": fixture(t, "removals.json")})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := d.Invoke(ctx, batch)
	if err != nil || !strings.Contains(string(answer), `"itemIdentifier":"800000000003496069460"`) {
		t.Errorf("answer = %s, %v; %s", answer, err, d.Stdout())
	}
	if err := d.Stop(); err != nil { // whatever it printed has arrived then
		t.Fatal(err)
	}
	if log := d.Stdout(); !strings.Contains(log, `"fault":"deadline_exceeded"`) || !strings.Contains(log, `"request_id"`) {
		t.Errorf("log = %s", log)
	}
}

func TestVariablesAreThoseOfTheDocument(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/events.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range config.StreamNames() {
		if !strings.Contains(string(text), "| `"+name+"` |") {
			t.Errorf("docs/events.md does not explain %s", name)
		}
	}
}
