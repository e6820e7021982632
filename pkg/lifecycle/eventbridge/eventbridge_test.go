package eventbridge_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	sdk "github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/lifecycle"
	"github.com/stepup-auth/stepup/pkg/lifecycle/eventbridge"
	"github.com/stepup-auth/stepup/pkg/lifecycle/eventbridge/eventbridgetest"
	"github.com/stepup-auth/stepup/pkg/user"
)

// newBus is a bus of the server, whose client itself tries everything once and whose
// pauses are over at once.
func newBus(t *testing.T, s *eventbridgetest.Server, timeout time.Duration) *eventbridge.Bus {
	t.Helper()
	client := sdk.New(sdk.Options{
		BaseEndpoint: aws.String(s.URL), Region: "eu-west-1", Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	b, err := eventbridge.New(client, eventbridge.Options{Bus: "auth", Timeout: timeout, Jitter: func() float64 { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func event(i int) lifecycle.Event {
	return lifecycle.Event{
		ID: fmt.Sprintf("r%d.user.locked", i), Name: lifecycle.UserLocked, UserID: fmt.Sprintf("u%d", i),
		Time: time.Date(2026, time.March, 1, 12, 0, i, 0, time.UTC),
	}
}

func events(n int) []lifecycle.Event {
	all := make([]lifecycle.Event, n)
	for i := range all {
		all[i] = event(i)
	}
	return all
}

func TestEventsHaveTheDocumentedForm(t *testing.T) {
	t.Parallel()
	s := eventbridgetest.Start(t)
	when := time.Date(2026, time.March, 1, 12, 0, 0, 123456000, time.UTC)
	sent := []lifecycle.Event{
		{
			ID: "r.session.updated", Name: lifecycle.SessionUpdated, Time: when, SessionID: "s", UserID: `a"<b>`, Organization: "o", Creator: "c",
			Revision: 3, Verified: []user.Authenticator{}, Factors: []user.Authenticator{user.AuthPassword}, ExpiresAt: when.Add(time.Hour),
		},
		{
			ID: "r.user.authenticator_locked.totp", Name: lifecycle.AuthenticatorLocked, Time: when, UserID: "u", Factor: user.AuthTOTP,
			KeyID: "k", Failures: 10, LockedUntil: when.Add(time.Minute), Disabled: true,
		},
	}
	if n, err := newBus(t, s, 0).Publish(t.Context(), sent); n != 2 || err != nil {
		t.Fatalf("published %d, %v", n, err)
	}
	want := []eventbridgetest.Event{
		{Bus: "auth", Source: "stepup", DetailType: "session.updated", Time: 1772366400, Detail: `{"version":1,"id":"r.session.updated",` +
			`"time":"2026-03-01T12:00:00.123456Z","sessionId":"s","userId":"a\"\u003cb\u003e","organizationId":"o","creatorId":"c","revision":3,` +
			`"verified":[],"factors":["password"],"expiresAt":"2026-03-01T13:00:00.123456Z"}`},
		{Bus: "auth", Source: "stepup", DetailType: "user.authenticator_locked", Time: 1772366400, Detail: `{"version":1,` +
			`"id":"r.user.authenticator_locked.totp","time":"2026-03-01T12:00:00.123456Z","userId":"u","factor":"totp","keyId":"k","failures":10,` +
			`"lockedUntil":"2026-03-01T12:01:00.123456Z","disabled":true}`},
	}
	got := s.Events()
	for i := range got {
		got[i].Time = float64(int64(got[i].Time)) // the SDK sends a fraction, which EventBridge drops
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestNoEventsAreNoRequest(t *testing.T) {
	t.Parallel()
	s := eventbridgetest.Start(t)
	if n, err := newBus(t, s, 0).Publish(t.Context(), nil); n != 0 || err != nil || s.Requests() != 0 {
		t.Errorf("published %d, %v in %d requests", n, err, s.Requests())
	}
}

func TestRequestsKeepTheLimits(t *testing.T) {
	t.Parallel()
	long := func(n int) lifecycle.Event {
		e := event(n)
		e.UserID = strings.Repeat("u", n)
		return e
	}
	for name, tc := range map[string]struct {
		events   []lifecycle.Event
		requests int
	}{
		"one":                {events(1), 1},
		"ten":                {events(10), 1},
		"eleven":             {events(11), 2},
		"many":               {events(100), 10},
		"too large together": {[]lifecycle.Event{long(100 << 10), long(100 << 10), long(100 << 10), long(1)}, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := eventbridgetest.Start(t)
			n, err := newBus(t, s, 0).Publish(t.Context(), tc.events)
			if n != len(tc.events) || err != nil || s.Requests() != tc.requests {
				t.Fatalf("published %d of %d, %v, in %d requests, want %d", n, len(tc.events), err, s.Requests(), tc.requests)
			}
			for i, got := range s.Events() {
				if !strings.Contains(got.Detail, `"id":"`+tc.events[i].ID+`"`) {
					t.Fatalf("event %d is %.80s", i, got.Detail)
				}
			}
		})
	}
}

func TestFailuresLeaveThePrefixThatWasPublished(t *testing.T) {
	t.Parallel()
	const throttled, broken, malformed = "ThrottlingException", "InternalFailure", "MalformedDetail"
	twelve := events(12)
	huge, late := events(3), events(3)
	huge[1].UserID = strings.Repeat("u", 300<<10)
	late[2].Time = time.Date(10001, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		events   []lifecycle.Event
		script   []eventbridgetest.Answer
		want     int
		fault    *fault.Fault
		taken    int
		requests int
	}{
		"throttled entries pass later":  {twelve, []eventbridgetest.Answer{eventbridgetest.Entries("", throttled, "", broken)}, 12, nil, 12, 3},
		"throttled twice":               {twelve[:2], []eventbridgetest.Answer{eventbridgetest.Entries(throttled, throttled), eventbridgetest.Entries("", throttled)}, 2, nil, 2, 3},
		"throttled for good":            {twelve[:2], []eventbridgetest.Answer{eventbridgetest.Entries("", throttled), eventbridgetest.Entries(throttled), eventbridgetest.Entries(throttled)}, 1, eventbridge.ErrUnavailable, 1, 3},
		"first in a second request":     {twelve, []eventbridgetest.Answer{eventbridgetest.Accept(), eventbridgetest.Entries(malformed)}, 10, eventbridge.ErrRefused, 11, 2},
		"one malformed":                 {twelve, []eventbridgetest.Answer{eventbridgetest.Entries("", "", malformed)}, 2, eventbridge.ErrRefused, 9, 1},
		"unavailable before malformed":  {twelve, []eventbridgetest.Answer{eventbridgetest.Entries("", throttled, malformed)}, 1, eventbridge.ErrUnavailable, 8, 1},
		"not ours to send":              {twelve[:1], []eventbridgetest.Answer{eventbridgetest.Entries("NotAuthorizedForSourceException")}, 0, eventbridge.ErrRefused, 0, 1},
		"request throttled":             {twelve, []eventbridgetest.Answer{eventbridgetest.Throttled()}, 0, eventbridge.ErrUnavailable, 0, 1},
		"second request throttled":      {twelve, []eventbridgetest.Answer{eventbridgetest.Accept(), eventbridgetest.Throttled()}, 10, eventbridge.ErrUnavailable, 10, 2},
		"permission missing":            {twelve[:1], []eventbridgetest.Answer{eventbridgetest.Refuse(400, "AccessDeniedException")}, 0, eventbridge.ErrUnavailable, 0, 1},
		"request invalid":               {twelve[:1], []eventbridgetest.Answer{eventbridgetest.Refuse(400, "ValidationException")}, 0, eventbridge.ErrRefused, 0, 1},
		"server error":                  {twelve[:1], []eventbridgetest.Answer{eventbridgetest.Refuse(500, "InternalException")}, 0, eventbridge.ErrUnavailable, 0, 1},
		"answer lost":                   {twelve[:1], []eventbridgetest.Answer{eventbridgetest.Lose()}, 0, eventbridge.ErrUnavailable, 1, 1},
		"too large alone":               {huge, nil, 1, eventbridge.ErrRefused, 1, 1},
		"no JSON":                       {late, nil, 2, eventbridge.ErrRefused, 2, 1},
		"nothing to say, first of them": {huge[1:], nil, 0, eventbridge.ErrRefused, 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := eventbridgetest.Start(t)
			s.Script(tc.script...)
			n, err := newBus(t, s, 0).Publish(t.Context(), tc.events)
			if n != tc.want || (tc.fault == nil) != (err == nil) || tc.fault != nil && !errors.Is(err, tc.fault) {
				t.Errorf("published %d, %v, want %d, %v", n, err, tc.want, tc.fault)
			}
			if len(s.Events()) != tc.taken || s.Requests() != tc.requests {
				t.Errorf("%d events taken in %d requests, want %d in %d", len(s.Events()), s.Requests(), tc.taken, tc.requests)
			}
			if err != nil && strings.Contains(err.Error(), "canary: {") {
				t.Errorf("the error repeats the event: %v", err)
			}
		})
	}
}

func TestRequestThatIsNotAnsweredEndsInTime(t *testing.T) {
	t.Parallel()
	s := eventbridgetest.Start(t)
	s.Script(eventbridgetest.Accept(), eventbridgetest.Hang())
	n, err := newBus(t, s, time.Second).Publish(t.Context(), events(12))
	if n != 10 || fault.From(err).Kind != fault.DeadlineExceeded {
		t.Errorf("published %d, %v", n, err)
	}
}

func TestContextEndsThePauseBetweenRequests(t *testing.T) {
	t.Parallel()
	s := eventbridgetest.Start(t)
	s.Script(eventbridgetest.Entries("", "ThrottlingException"))
	ctx, cancel := context.WithCancel(t.Context())
	client := sdk.New(sdk.Options{
		BaseEndpoint: aws.String(s.URL), Region: "eu-west-1", Retryer: aws.NopRetryer{},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	b, err := eventbridge.New(client, eventbridge.Options{Bus: "auth", Jitter: func() float64 { cancel(); return 1e6 }})
	if err != nil {
		t.Fatal(err)
	}
	if n, err := b.Publish(ctx, events(3)); n != 1 || fault.From(err).Kind != fault.Canceled {
		t.Errorf("published %d, %v", n, err)
	}
}

func TestOptionsThatMakeNoSenseAreNamed(t *testing.T) {
	t.Parallel()
	for bus, ok := range map[string]bool{
		"default": true, "stepup-Events_1.x": true, "arn:aws:events:eu-west-1:123456789012:event-bus/stepup": true,
		"arn:aws-us-gov:events:us-gov-west-1:123456789012:event-bus/a": true,
		"": false, "with space": false, "arn:aws:sns:eu-west-1:123456789012:topic": false, "a\nb": false, strings.Repeat("x", 257): false,
	} {
		_, err := eventbridge.New(nil, eventbridge.Options{Bus: bus})
		if ok != (err == nil) || err != nil && !strings.Contains(err.Error(), "option Bus") {
			t.Errorf("%q: %v", bus, err)
		}
	}
	if _, err := eventbridge.New(nil, eventbridge.Options{Bus: "b", Timeout: -1}); err == nil || !strings.Contains(err.Error(), "option Timeout") {
		t.Errorf("got %v", err)
	}
}
