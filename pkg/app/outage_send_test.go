package app_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/test/proxy"
)

// channel is a way for messages, with its provider's error in the provider's form.
type channel struct {
	name   string
	on     func(d deployment) *proxy.Proxy
	refuse func(status int, code string) proxy.Failure
	count  func(c call) int
	taken  func(d deployment) int
	// nonsense is what the log says of an answer that is none.
	nonsense string
}

var channels = []channel{
	{
		"sms", func(d deployment) *proxy.Proxy { return d.sns }, func(status int, code string) proxy.Failure {
			return proxy.Answer(status, map[string]string{"Content-Type": "text/xml"},
				`<ErrorResponse xmlns="http://sns.amazonaws.com/doc/2010-03-31/"><Error><Code>`+code+`</Code><Message>no</Message></Error></ErrorResponse>`)
		},
		func(c call) int { return c.sms }, func(d deployment) int { return len(d.providers.SMS()) },
		"no message id",
	},
	{
		"email", func(d deployment) *proxy.Proxy { return d.ses }, func(status int, code string) proxy.Failure {
			return proxy.Answer(status, map[string]string{"Content-Type": "application/json", "X-Amzn-Errortype": code}, `{"message":"no"}`)
		},
		func(c call) int { return c.mails }, func(d deployment) int { return len(d.providers.Mails()) },
		"deserialization failed",
	},
}

// refusedMessage is a way in which a provider takes no message, or does not say so.
type refusedMessage struct {
	how proxy.Failure
	// away is set where nobody is at the provider's address.
	away  bool
	after string // Retry-After
	cause string // in the log
	// unconfirmed is set where the message may have left, and left where it has.
	unconfirmed bool
	left        int
}

// refusedMessages are the ways of a channel.
func (ch channel) refusedMessages() map[string]refusedMessage {
	return map[string]refusedMessage{
		"throttles":            {how: ch.refuse(http.StatusTooManyRequests, "TooManyRequestsException"), after: "1", cause: "TooManyRequestsException"},
		"denies":               {how: ch.refuse(http.StatusForbidden, "AccessDeniedException"), cause: "AccessDeniedException"},
		"is away":              {away: true, cause: "connection refused"},
		"meets a defect":       {how: ch.refuse(http.StatusInternalServerError, "InternalError"), unconfirmed: true, cause: "InternalError"},
		"answers nonsense":     {how: proxy.Answer(http.StatusOK, nil, "nonsense"), unconfirmed: true, cause: ch.nonsense},
		"cuts the call off":    {how: proxy.Reset, unconfirmed: true, cause: "connection reset"},
		"sends and is cut off": {how: proxy.Lose, unconfirmed: true, left: 1, cause: "connection reset"},
		"hangs":                {how: proxy.Hang, unconfirmed: true, cause: "deadline exceeded"},
	}
}

// TestR1_EveryMessageIsRefusedInEveryWay walks the calls that send, the channels that they
// use, and each way in which a provider fails, with an Idempotency-Key. The caller is told in
// time, no message leaves twice, people and sessions are as before, and the call is served after that, or
// told to wait where the message may have left.
func TestR1_EveryMessageIsRefusedInEveryWay(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	sending := o.calls()
	for name, c := range sending {
		if c.sms+c.mails == 0 {
			delete(sending, name)
		}
	}
	together(t, sending, func(t *testing.T, c call) {
		w := o.world(t)
		before := w.visibly(t)
		c.key = "the-same-in-the-repetition"
		for _, ch := range channels {
			if ch.count(c) == 0 {
				continue
			}
			for how, m := range ch.refusedMessages() {
				w.refuse(t, c, ch, how, m)
				if diff := cmp.Diff(before, w.visibly(t)); diff != "" {
					t.Errorf("%s %s, and there is (-want +got):\n%s", ch.name, how, diff)
				}
				w.repeat(t, c, m)
				w.restore(t)
				w.providers.Forget()
			}
		}
		if found := leaks([]byte(w.logs.String()), o.secrets()); len(found) > 0 {
			t.Errorf("logged: %v in\n%s", found, w.logs)
		}
	})
}

// refuse makes the call while a channel fails.
func (w *world) refuse(t *testing.T, c call, ch channel, how string, m refusedMessage) {
	t.Helper()
	url := w.url
	if m.away {
		url, _ = w.start(t, map[string]string{"AWS_ENDPOINT_URL_SNS": "http://127.0.0.1:1", "AWS_ENDPOINT_URL_SESV2": "http://127.0.0.1:1"})
	}
	status, code, id := 503, 14, "STEPUP-"+ch.name+"-unavailable"
	if m.unconfirmed {
		status, code, id = 504, 4, "STEPUP-"+ch.name+"-unconfirmed"
	}
	if !m.away {
		ch.on(w.deployment).Break(m.how, func(proxy.Call) bool { return true })
	}
	got := w.make(t, url, c)
	ch.on(w.deployment).Heal()
	if m.away && c.sms > 0 && c.mails > 0 {
		id = got.id // both are away, and the first one counts
	}
	if got.status != status || got.code != code || got.id != id || got.after != m.after || got.took >= outageDeadline {
		t.Errorf("%s %s: got %+v", ch.name, how, got)
	}
	if !strings.Contains(got.log, m.cause) || !strings.Contains(got.log, id) {
		t.Errorf("%s %s: the log does not name %s and %s:\n%s", ch.name, how, id, m.cause, got.log)
	}
	if left := ch.taken(w.deployment); left != m.left {
		t.Errorf("%s %s: %d messages left, want %d", ch.name, how, left, m.left)
	}
}

// repeat makes the call again, with the provider well, where one message is all of it.
func (w *world) repeat(t *testing.T, c call, m refusedMessage) {
	t.Helper()
	if c.sms+c.mails > 1 {
		return // the first message has left in most cases
	}
	got := w.make(t, w.url, c)
	if m.unconfirmed && (got.status != http.StatusTooManyRequests || got.id != "STEPUP-send-cooldown") || !m.unconfirmed && !c.serves(got) {
		t.Errorf("the repetition: %+v", got)
	}
}

// visibly is what the table holds of people and sessions as callers see them: without
// what has ended, what was sent, and how often something was written.
func (w *world) visibly(t *testing.T) []string {
	t.Helper()
	known := byKey(w.items)
	var shown []attributes
	for _, item := range w.dump(t) {
		key := keyOf(item)
		_, old := known[key]
		_, ended := item["end"]
		gone := strings.HasSuffix(key, " GUARD") && !old
		if !ended && !gone && !strings.HasPrefix(key, "SENT#") && !strings.HasPrefix(key, "BUDGET#") {
			for _, count := range []string{"r", "v", "w", "ttl"} {
				delete(item, count)
			}
			shown = append(shown, item)
		}
	}
	return rows(shown, render)
}

// TestR1_AStepThatCannotBeTakenBackIsToldAndIsWhole has the provider refuse a message and
// the store refuse the write that takes the step back.
func TestR1_AStepThatCannotBeTakenBackIsToldAndIsWhole(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	sending := o.calls()
	for name, c := range sending {
		if c.sms != 1 || c.mails != 0 {
			delete(sending, name)
		}
	}
	sending["SetSession"] = call{method: http.MethodPatch, path: o.bound, body: `{"challenges":{"otpSms":{}}}`, sms: 1}
	together(t, sending, func(t *testing.T, c call) {
		w := o.world(t)
		w.warm(t, c)
		w.wantServed(t, c)
		after := w.roughly(t)
		w.restore(t)
		w.sns.Break(channels[0].refuse(http.StatusForbidden, "AccessDeniedException"), func(proxy.Call) bool { return true })
		writes := 0
		w.dynamo.Break(proxy.Reset, func(x proxy.Call) bool {
			if isWrite(x.Name) && x.Attempt == 1 {
				writes++
			}
			return isWrite(x.Name) && writes > 1
		})
		got := w.make(t, w.url, c)
		w.dynamo.Heal()
		w.sns.Heal()
		if got.status != http.StatusServiceUnavailable || got.id != "STEPUP-sms-unavailable" || !strings.Contains(got.log, "could not be taken back") ||
			!strings.Contains(got.log, "connection reset") || !strings.Contains(got.log, "AccessDeniedException") {
			t.Errorf("got %+v", got)
		}
		if diff := cmp.Diff(after, w.roughly(t)); diff != "" {
			t.Errorf("stored (-want +got):\n%s", diff)
		}
		w.wantMessages(t, 0, 0)
	})
}
