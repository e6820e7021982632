package app_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/test/proxy"
)

// failure is a way in which a call of DynamoDB fails, and what comes of it.
type failure struct {
	how proxy.Failure
	// attempts is how many of a call's attempts fail; 0 is all of them.
	attempts int
	// hangs is set where the caller waits until the store's time is over.
	hangs bool

	// What the caller is told and the log says, unless the call succeeds all the same.
	status, code     int
	id, after, cause string
}

// refusing is an error as DynamoDB writes it.
func refusing(status int, exception string) proxy.Failure {
	return proxy.Answer(status, map[string]string{"Content-Type": "application/x-amz-json-1.0"},
		`{"__type":"com.amazonaws.dynamodb.v20120810#`+exception+`","message":"`+exception+`"}`)
}

const unavailable = "STEPUP-store-unavailable"

// refusals are the failures of any call of DynamoDB, after which nothing has happened.
var refusals = map[string]failure{
	"hangs": {how: proxy.Hang, hangs: true, status: 504, code: 4, id: "STEPUP-deadline", cause: "deadline exceeded"},
	"is throttled": {
		how:    refusing(http.StatusBadRequest, "ThrottlingException"),
		status: 503, code: 14, id: unavailable, after: "1", cause: "ThrottlingException",
	},
	"is denied": {
		how:    refusing(http.StatusBadRequest, "AccessDeniedException"),
		status: 500, code: 13, id: "STEPUP-store-refused", cause: "AccessDeniedException",
	},
	"meets a defect": {
		how:    refusing(http.StatusInternalServerError, "InternalServerError"),
		status: 503, code: 14, id: unavailable, cause: "InternalServerError",
	},
	"is answered by nonsense": {
		how: proxy.Answer(http.StatusOK, nil, "<html>"), status: 503, code: 14, id: unavailable, cause: "deserialization failed",
	},
	"is cut off": {how: proxy.Reset, status: 503, code: 14, id: unavailable, cause: "connection reset"},
}

// accidents are failures of a call that writes, after which all of it has happened: some
// of them the caller does not hear of.
var accidents = map[string]failure{
	"loses its answer":      {how: proxy.Lose, status: 503, code: 14, id: unavailable, cause: "connection reset"},
	"loses its answer once": {how: proxy.Lose, attempts: 1},
	contendedOnce:           {how: refusing(http.StatusBadRequest, "TransactionConflictException")},
}

// contendedOnce is another write on one of the items, which makes the call begin anew.
const contendedOnce = "is contended once"

// TestR1_EveryCallOfTheStoreFailsInEveryWay walks the calls of the contract, each call of
// DynamoDB that they make, and each way in which that fails. The caller is told in time,
// what is stored is the state before or the state after, no message leaves that is not
// accounted for, the log names the cause, and the same process then serves the call.
func TestR1_EveryCallOfTheStoreFailsInEveryWay(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	together(t, o.calls(), func(t *testing.T, c call) {
		w := o.world(t)
		before := w.exactly(t)
		w.warm(t, c)
		w.dynamo.Heal()
		w.wantServed(t, c)
		sites, after := w.dynamo.Calls(), w.roughly(t)
		w.restore(t)
		for n, site := range sites {
			for how, f := range refusals {
				w.breakAt(t, c, breakage{n + 1, site + " " + how, f})
			}
			if diff := cmp.Diff(before, w.exactly(t)); diff != "" {
				t.Errorf("call %d, %s, failed, and stored is (-want +got):\n%s", n+1, site, diff)
				w.restore(t)
			}
			for how, f := range accidents {
				if !isWrite(site) || c.alone && how == contendedOnce {
					continue
				}
				w.breakAt(t, c, breakage{n + 1, site + " " + how, f})
				if diff := cmp.Diff(after, w.roughly(t)); diff != "" {
					t.Errorf("call %d, %s %s, and stored is (-want +got):\n%s", n+1, site, how, diff)
				}
				w.restore(t)
			}
		}
		w.wantServed(t, c)
		if found := leaks([]byte(w.logs.String()), o.secrets()); len(found) > 0 {
			t.Errorf("logged: %v in\n%s", found, w.logs)
		}
	})
}

func isWrite(call string) bool {
	return slices.Contains([]string{"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"}, call)
}

// serves reports whether the answer is that of an undisturbed call.
func (c call) serves(a answered) bool {
	if c.status != 0 {
		return a.status == c.status && !strings.Contains(a.location, "error=")
	}
	return a.status < http.StatusMultipleChoices
}

// wantServed makes the call, which has to succeed.
func (w *world) wantServed(t *testing.T, c call) {
	t.Helper()
	if got := w.make(t, w.url, c); !c.serves(got) {
		t.Fatalf("got %+v", got)
	}
	w.wantMessages(t, c.sms, c.mails)
}

// warm has both processes look up what they remember, so that they make the same calls
// from then on.
func (w *world) warm(t *testing.T, c call) {
	t.Helper()
	w.make(t, w.hasty, call{method: http.MethodGet, path: w.bound})
	w.wantServed(t, c)
	w.restore(t)
}

// wantMessages takes away what was sent.
func (w *world) wantMessages(t *testing.T, sms, mails int) {
	t.Helper()
	if gotSMS, gotMails := len(w.providers.SMS()), len(w.providers.Mails()); gotSMS != sms || gotMails != mails {
		t.Errorf("%d text messages and %d mails left, want %d and %d", gotSMS, gotMails, sms, mails)
	}
	w.providers.Forget()
}

// breakage is one call of DynamoDB that fails.
type breakage struct {
	n    int
	name string
	failure
}

// breakAt makes the call while one call of DynamoDB fails, and looks at what the caller
// and the log are told, and at what left.
func (w *world) breakAt(t *testing.T, c call, b breakage) {
	t.Helper()
	w.dynamo.Break(b.how, func(x proxy.Call) bool { return x.N == b.n && (b.attempts == 0 || x.Attempt <= b.attempts) })
	url := w.url
	if b.hangs {
		url = w.hasty
	}
	got := w.make(t, url, c)
	w.dynamo.Heal()
	problem := ""
	if b.status == 0 {
		w.wantMessages(t, c.sms, c.mails)
		if !c.serves(got) {
			problem = "it is not served"
		}
	} else {
		w.wantMessages(t, 0, 0)
		problem = c.problem(b, got)
	}
	if got.took >= outageDeadline {
		problem = "it takes too long"
	}
	if problem != "" {
		t.Errorf("call %d, %s: %s: %+v", b.n, b.name, problem, got)
	}
}

// problem is what is wrong with the answer to a call that fails.
func (c call) problem(b breakage, got answered) string {
	switch {
	case !strings.Contains(got.log, b.cause) || !strings.Contains(got.log, b.id):
		return fmt.Sprintf("the log does not name %s and %s", b.id, b.cause)
	case c.fresh == nil:
		if got.status != b.status || got.code != b.code || got.id != b.id || got.after != b.after {
			return "the caller is told otherwise"
		}
	case got.status == b.status && (b.n == 1 || b.hangs):
		// Nobody knows yet where to send the person; on a busy machine no sooner than it hangs.
	case b.n == 1:
		return "the person is told otherwise"
	case got.status != http.StatusSeeOther || !strings.HasPrefix(got.location, "https://login.example.com/failed?error="):
		return "the person is sent elsewhere"
	}
	return ""
}

// TestR1_AnAPIKeyThatCannotBeLookedUpOpensNothing has the first call of a process fail,
// which is that for the caller's key.
func TestR1_AnAPIKeyThatCannotBeLookedUpOpensNothing(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	together(t, refusals, func(t *testing.T, f failure) {
		w := o.world(t)
		w.breakAt(t, call{method: http.MethodGet, path: o.bound}, breakage{1, "GetItem", f})
		w.wantServed(t, call{method: http.MethodGet, path: o.bound})
	})
}

// TestR1_OperatorsAreToldWhatBecameOfAKey has each call fail that issues, lists or revokes
// one: a key that the operator does not get to see is not there, unless no answer came.
func TestR1_OperatorsAreToldWhatBecameOfAKey(t *testing.T) {
	t.Parallel()
	d := deploy(t, nil)
	_, patient := d.start(t, map[string]string{"STEPUP_TIMEOUT": "10s", "STEPUP_STORE_TIMEOUT": "10s"})
	_, hurried := d.start(t, hasty)
	id, _, _ := strings.Cut(strings.TrimPrefix(keyOf(d.dump(t)[0]), "KEYS "), " ")
	for name, run := range map[string]func(keys *access.Keys) error{
		"issue": func(keys *access.Keys) error {
			_, _, err := keys.Issue(t.Context(), access.NewKey{Name: "next", Role: access.IAMOwner})
			return err
		},
		"list":   func(keys *access.Keys) error { _, err := keys.List(t.Context()); return err },
		"revoke": func(keys *access.Keys) error { return keys.Revoke(t.Context(), id) },
	} {
		before := rows(d.dump(t), render)
		for how, f := range refusals {
			keys := patient.Keys
			if f.hangs {
				keys = hurried.Keys
			}
			d.dynamo.Break(f.how, func(proxy.Call) bool { return true })
			if err := run(keys); fault.From(err) == nil || fault.From(err).ID != f.id {
				t.Errorf("%s %s: got %v", name, how, err)
			}
		}
		if diff := cmp.Diff(before, rows(d.dump(t), render)); diff != "" {
			t.Errorf("%s failed, and stored is (-want +got):\n%s", name, diff)
		}
		d.dynamo.Break(proxy.Lose, func(x proxy.Call) bool { return x.Attempt == 1 })
		if err := run(patient.Keys); err != nil {
			t.Errorf("%s loses its answer once: got %v", name, err)
		}
		d.dynamo.Heal()
	}
}

// TestR1_AStoreThatNobodyServesIsUnavailable has no process at the store's address.
func TestR1_AStoreThatNobodyServesIsUnavailable(t *testing.T) {
	t.Parallel()
	o := newOrigin(t)
	w := o.world(t)
	url, _ := w.start(t, map[string]string{"AWS_ENDPOINT_URL_DYNAMODB": "http://127.0.0.1:1"})
	for name, c := range o.calls() {
		got := w.make(t, url, c)
		if got.status != http.StatusServiceUnavailable || !strings.Contains(got.log, "connection refused") {
			t.Errorf("%s: got %+v", name, got)
		}
	}
}
