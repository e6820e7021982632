package stream_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambdacontext"
	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/lifecycle"
	"github.com/stepup-auth/stepup/pkg/lifecycle/eventbridge"
	"github.com/stepup-auth/stepup/pkg/lifecycle/eventbridge/eventbridgetest"
	"github.com/stepup-auth/stepup/pkg/metrics/metricstest"
	"github.com/stepup-auth/stepup/pkg/sdk"
	"github.com/stepup-auth/stepup/pkg/stream"
)

// publisher takes the first events and fails then.
type publisher struct {
	takes int
	fault error
	got   []lifecycle.Event
	until time.Time
}

func (p *publisher) Publish(ctx context.Context, events []lifecycle.Event) (int, error) {
	p.until, _ = ctx.Deadline()
	if p.fault == nil || len(events) < p.takes {
		p.got = append(p.got, events...)
		return len(events), nil
	}
	p.got = append(p.got, events[:p.takes]...)
	return p.takes, p.fault
}

// Records by what becomes of them.
func locked(n int) string { // two events
	guard := func(state, epoch int) string {
		return fmt.Sprintf(`{"PK":{"S":"USR#u%d"},"SK":{"S":"GUARD"},"v":{"N":"1"},"st":{"N":"%d"},"ep":{"N":"%d"},"ch":{"N":"1772366400000000"}}`, n, state, epoch)
	}
	return record(n, "MODIFY", fmt.Sprintf(`"Keys":{"PK":{"S":"USR#u%d"},"SK":{"S":"GUARD"}},"OldImage":%s,"NewImage":%s`, n, guard(1, 1), guard(4, 2)))
}

func silent(n int) string { // of no interest
	return record(n, "INSERT", `"Keys":{"PK":{"S":"LOGIN#a"},"SK":{"S":"A"}},"NewImage":{"PK":{"S":"LOGIN#a"},"SK":{"S":"A"},"u":{"S":"u"}}`)
}

func poison(n int) string { // a session whose token is none
	return record(n, "INSERT", `"Keys":{"PK":{"S":"SES#s"},"SK":{"S":"A"}},"NewImage":{"PK":{"S":"SES#s"},"SK":{"S":"A"},"tok":{"S":"canary"}}`)
}

func record(n int, operation, change string) string {
	return fmt.Sprintf(`{"eventID":"e%d","eventName":"%s","dynamodb":{"ApproximateCreationDateTime":1772366400,"SequenceNumber":"%d","SizeBytes":9,%s}}`, n, operation, n, change)
}

func batch(records ...string) []byte {
	return []byte(`{"Records":[` + strings.Join(records, ",") + `]}`)
}

var (
	errBusy    = fault.New(fault.Unavailable, "busy", "Busy").Wrap(errors.New("asked too often"))
	errLate    = fault.From(context.DeadlineExceeded)
	errRefused = fault.New(fault.Internal, "refused", "Refused").Wrap(errors.New("no"))
)

func TestAnswerNamesTheFirstRecordThatIsNotDone(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		records []string
		takes   int
		fault   error
		want    string // the sequence number; "error" for a batch that fails as a whole
		told    int
	}{
		"nothing":                          {nil, 0, nil, "", 0},
		"all done":                         {[]string{locked(1), silent(2), locked(3)}, 0, nil, "", 4},
		"nothing of interest":              {[]string{silent(1), silent(2)}, 0, errBusy, "", 0},
		"busy at once":                     {[]string{locked(1), locked(2)}, 0, errBusy, "1", 0},
		"busy in the middle of a record":   {[]string{locked(1), locked(2)}, 1, errBusy, "1", 1},
		"busy after a record":              {[]string{locked(1), silent(2), locked(3)}, 2, errBusy, "3", 2},
		"busy after silent ones":           {[]string{silent(1), silent(2), locked(3)}, 0, errBusy, "3", 0},
		"late":                             {[]string{locked(1), locked(2)}, 3, errLate, "2", 3},
		"refused later":                    {[]string{locked(1), locked(2)}, 2, errRefused, "2", 2},
		"refused first":                    {[]string{locked(1), locked(2)}, 0, errRefused, "error", 0},
		"refused alone":                    {[]string{locked(1)}, 0, errRefused, "1", 0},
		"unreadable later":                 {[]string{locked(1), poison(2), locked(3)}, 0, nil, "2", 2},
		"unreadable first":                 {[]string{poison(1), locked(2)}, 0, nil, "error", 0},
		"unreadable alone":                 {[]string{poison(1)}, 0, nil, "1", 0},
		"busy before unreadable":           {[]string{locked(1), poison(2)}, 0, errBusy, "1", 0},
		"unreadable behind silent ones":    {[]string{silent(1), poison(2)}, 0, errBusy, "2", 0},
		"unreadable without a number":      {[]string{locked(1), `{"eventID":"e","dynamodb":7}`}, 0, nil, "error", 2},
		"unreadable, alone, and no number": {[]string{`7`}, 0, nil, "error", 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &publisher{takes: tc.takes, fault: tc.fault}
			answer, err := stream.New(p, stream.Options{}).Invoke(t.Context(), batch(tc.records...))
			want := `{"batchItemFailures":[]}`
			if tc.want != "" {
				want = fmt.Sprintf(`{"batchItemFailures":[{"itemIdentifier":"%s"}]}`, tc.want)
			}
			if tc.want == "error" {
				want = ""
			}
			if string(answer) != want || (err != nil) != (tc.want == "error") || len(p.got) != tc.told {
				t.Errorf("answer %s, %v with %d events told, want %s with %d", answer, err, len(p.got), want, tc.told)
			}
		})
	}
}

func TestPayloadThatIsNoBatchIsAnError(t *testing.T) {
	t.Parallel()
	for _, payload := range []string{"", "7", `{"Records":7}`, `{"Records":[`} {
		if answer, err := stream.New(&publisher{}, stream.Options{}).Invoke(t.Context(), []byte(payload)); err == nil {
			t.Errorf("%q: %s", payload, answer)
		}
	}
}

// TestRecordsThatCannotBeReadSayWhyAndNothingElse has the content of every record say
// canary.
func TestRecordsThatCannotBeReadSayWhyAndNothingElse(t *testing.T) {
	t.Parallel()
	const key = `"Keys":{"PK":{"S":"SES#s"},"SK":{"S":"A"}}`
	image := func(attributes string) string {
		return key + `,"NewImage":{"PK":{"S":"SES#s"},"SK":{"S":"A"},"tok":{"B":"AAECAwQFBgcICQoLDA0ODw=="},` + attributes + `}`
	}
	for name, tc := range map[string]struct{ record, why string }{
		"no id":                  {`{"eventName":"INSERT","dynamodb":{"SequenceNumber":"1",` + image(`"by":{"S":"canary"}`) + `}}`, "no id"},
		"no key":                 {record(1, "INSERT", `"NewImage":{"by":{"S":"canary"}}`), "no key"},
		"key of another table":   {record(1, "INSERT", `"Keys":{"PK":{"N":"1"},"SK":{"S":"canary"}},"NewImage":{"by":{"S":"canary"}}`), "no key"},
		"other operation":        {record(1, "canary", image(`"by":{"S":"canary"}`)), "no INSERT"},
		"no image":               {record(1, "INSERT", key), "NEW_AND_OLD_IMAGES"},
		"one image of two":       {record(1, "MODIFY", image(`"by":{"S":"canary"}`)), "NEW_AND_OLD_IMAGES"},
		"image after removal":    {record(1, "REMOVE", image(`"by":{"S":"canary"}`)), "NEW_AND_OLD_IMAGES"},
		"set":                    {record(1, "INSERT", image(`"by":{"SS":["canary"]}`)), "a type"},
		"null":                   {record(1, "INSERT", image(`"by":{"NULL":true}`)), "a type"},
		"null of JSON":           {record(1, "INSERT", image(`"by":null`)), "does not contain a map"},
		"set of no text":         {record(1, "INSERT", image(`"by":{"BS":[7,"canary"]}`)), "panicked"},
		"no number":              {record(1, "INSERT", image(`"cr":{"N":"canary"}`)), "not whole"},
		"fraction in a list":     {record(1, "INSERT", image(`"x":{"L":[{"N":"1.5"},{"S":"canary"}]}`)), "not whole"},
		"null in a map":          {record(1, "INSERT", image(`"x":{"M":{"canary":{"NULL":true}}}`)), "a type"},
		"no base64":              {record(1, "INSERT", image(`"x":{"B":"canary"}`)), "base64"},
		"text for a number":      {record(1, "INSERT", image(`"cr":{"S":"canary"}`)), `"cr" holds string`},
		"no address":             {record(1, "INSERT", image(`"ua":{"M":{"ip":{"S":"canary"}}}`)), "no IP address"},
		"short token":            {record(1, "INSERT", key+`,"NewImage":{"tok":{"B":"AAEC"},"by":{"S":"canary"}}`), `"tok" holds 3 bytes`},
		"two types":              {record(1, "INSERT", image(`"cr":{"N":7}`)), "N type"},
		"guard that is no guard": {record(1, "INSERT", `"Keys":{"PK":{"S":"USR#u"},"SK":{"S":"GUARD"}},"NewImage":{"att":{"S":"canary"}}`), `"att" holds string`},
		"user that is no user":   {record(1, "INSERT", `"Keys":{"PK":{"S":"USR#u"},"SK":{"S":"A"}},"NewImage":{"em":{"B":"Y2FuYXJ5"}}`), `"em" holds []uint8`},
		"key that is no key":     {record(1, "INSERT", `"Keys":{"PK":{"S":"USR#u"},"SK":{"S":"CRED#k"}},"NewImage":{"name":{"N":"7"},"pk":{"S":"canary"}}`), `holds`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			p := &publisher{}
			ctx := lambdacontext.NewContext(t.Context(), &lambdacontext.LambdaContext{AwsRequestID: "request-1"})
			h := stream.New(p, stream.Options{Log: slog.New(slog.NewJSONHandler(&log, nil))})
			answer, err := h.Invoke(ctx, batch(tc.record))
			if string(answer) != `{"batchItemFailures":[{"itemIdentifier":"1"}]}` || err != nil || len(p.got) != 0 {
				t.Errorf("answer = %s, %v", answer, err)
			}
			var line struct {
				Level, Msg, Cause, Fault string
				Number                   string `json:"sequence_number"`
				Request                  string `json:"request_id"`
			}
			if err := json.Unmarshal(log.Bytes(), &line); err != nil {
				t.Fatalf("not one line: %s", &log)
			}
			if line.Level != "ERROR" || line.Msg != "batch stopped" || line.Number != "1" || line.Request != "request-1" || line.Fault != "internal" {
				t.Errorf("line = %s", &log)
			}
			if !strings.Contains(line.Cause, tc.why) {
				t.Errorf("cause = %q, want %q in it", line.Cause, tc.why)
			}
			if said := strings.ReplaceAll(log.String(), `"operation":"canary"`, ""); strings.Contains(said, "canary") || strings.Contains(said, "Y2FuYXJ5") {
				t.Errorf("the log repeats the record: %s", said)
			}
		})
	}
}

func TestMarginIsKeptBackFromTheDeadline(t *testing.T) {
	t.Parallel()
	deadline := time.Now().Add(time.Hour)
	ctx, cancel := context.WithDeadline(t.Context(), deadline)
	defer cancel()
	for margin, want := range map[time.Duration]time.Duration{0: time.Second, time.Minute: time.Minute} {
		p := &publisher{}
		if _, err := stream.New(p, stream.Options{Margin: margin}).Invoke(ctx, batch(locked(1))); err != nil {
			t.Fatal(err)
		}
		if !p.until.Equal(deadline.Add(-want)) {
			t.Errorf("margin %v: the publisher has until %v, the function until %v", margin, p.until, deadline)
		}
	}
}

func TestEachBatchIsMeasured(t *testing.T) {
	t.Parallel()
	var lines bytes.Buffer
	p := &publisher{}
	h := stream.New(p, stream.Options{Metrics: &lines, Now: func() time.Time { return time.UnixMilli(1772366400123) }})
	for _, records := range [][]string{{locked(1), silent(2), locked(3)}, {locked(1), poison(2), locked(3)}} {
		if _, err := h.Invoke(t.Context(), batch(records...)); err != nil {
			t.Fatal(err)
		}
	}
	var got []map[string]float64
	for _, line := range metricstest.Read(t, lines.String()) {
		values := map[string]float64{}
		for _, v := range line.Values {
			if v.Namespace != "stepup" || len(v.Dimensions) > 0 {
				t.Errorf("%+v", v)
			}
			values[v.Name] = v.N
		}
		got = append(got, values)
		if !line.Time.Equal(time.UnixMilli(1772366400123)) {
			t.Errorf("the time is %v", line.Time)
		}
	}
	want := []map[string]float64{
		{"StreamRecords": 3, "EventsPublished": 4, "BatchesStopped": 0},
		{"StreamRecords": 3, "EventsPublished": 2, "BatchesStopped": 1},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	for _, events := range []string{`{"user.locked":2,"user.sessions_ended":2}`, `{"user.locked":1,"user.sessions_ended":1}`} {
		if !strings.Contains(lines.String(), `"events":`+events) {
			t.Errorf("%s is not in\n%s", events, &lines)
		}
	}
}

// TestBatchesMayComeAtOnce has one handler serve as many shards as there are, with the
// real publisher behind it.
func TestBatchesMayComeAtOnce(t *testing.T) {
	t.Parallel()
	const shards, rounds = 8, 20
	bus := eventbridgetest.Start(t)
	credentials := func(string) (string, bool) { return "test", true }
	p, err := eventbridge.New(eventbridge.NewClient(sdk.Config("eu-west-1", credentials), bus.URL), eventbridge.Options{Bus: "auth"})
	if err != nil {
		t.Fatal(err)
	}
	h := stream.New(p, stream.Options{Metrics: io.Discard, Now: time.Now})
	var all sync.WaitGroup
	for shard := range shards {
		all.Go(func() {
			for round := range rounds {
				n := shard*rounds + round
				if answer, err := h.Invoke(t.Context(), batch(locked(n), silent(n))); string(answer) != `{"batchItemFailures":[]}` || err != nil {
					t.Errorf("answer = %s, %v", answer, err)
				}
			}
		})
	}
	all.Wait()
	details := map[string]bool{}
	for _, e := range bus.Events() {
		details[e.Detail] = true
	}
	if len(details) != 2*shards*rounds || len(bus.Events()) != len(details) {
		t.Errorf("%d events, %d of them different", len(bus.Events()), len(details))
	}
}

// FuzzBatch has any payload end in an answer that Lambda understands, or an error.
func FuzzBatch(f *testing.F) {
	f.Add(batch(locked(1), silent(2), poison(3)))
	f.Add(batch(locked(1), locked(2)))
	f.Add(batch(record(1, "REMOVE", `"Keys":{"PK":{"S":"SES#s"},"SK":{"S":"A"}},"OldImage":{"tok":{"B":"AAECAwQFBgcICQoLDA0ODw=="},"usr":{"M":{"id":{"S":"u"}}}}`)))
	f.Add([]byte(`{"Records":[{"dynamodb":{"SequenceNumber":"1"}},null,7]}`))
	f.Fuzz(func(t *testing.T, payload []byte) {
		p := &publisher{}
		answer, err := stream.New(p, stream.Options{}).Invoke(t.Context(), payload)
		if err != nil {
			return
		}
		var response events.DynamoDBEventResponse
		if err := json.Unmarshal(answer, &response); err != nil {
			t.Fatalf("answer = %s: %v", answer, err)
		}
		if len(response.BatchItemFailures) > 1 {
			t.Errorf("answer = %s", answer)
		}
		for _, failure := range response.BatchItemFailures {
			if failure.ItemIdentifier == "" {
				t.Errorf("answer = %s", answer)
			}
		}
		for _, e := range p.got {
			if e.ID == "" || e.Name == "" || e.SessionID == "" && e.UserID == "" {
				t.Errorf("event = %+v", e)
			}
		}
	})
}
