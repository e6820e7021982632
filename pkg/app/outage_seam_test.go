package app_test

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
)

// seamFailure is a way in which a call of the port fails, and what comes of it.
type seamFailure struct {
	action tabletest.Action
	// write is set where only a write can fail so, and happens where it has happened.
	write, happens bool
	failure
}

var seamFailures = map[string]seamFailure{
	"fails": {action: tabletest.Fail, failure: failure{status: 503, code: 14, id: unavailable, cause: "injected failure"}},
	"hangs": {action: tabletest.Hang, failure: failure{hangs: true, status: 504, code: 4, id: "STEPUP-deadline", cause: "deadline exceeded"}},
	"loses its answer": {
		action: tabletest.LoseAnswer, write: true, happens: true,
		failure: failure{status: 503, code: 14, id: unavailable, cause: "injected failure"},
	},
	"answers too late": {
		action: tabletest.AnswerLate, write: true, happens: true,
		failure: failure{hangs: true, status: 504, code: 4, id: "STEPUP-deadline", cause: "deadline exceeded"},
	},
	contendedOnce: {action: tabletest.Contend, write: true, happens: true},
}

// TestR1_EveryCallOfTheEmbeddedStoreFailsInEveryWay is what the table of outages does to
// DynamoDB on the wire, for the embedded store behind the port: the caller is told in
// time, what is stored is the state before or the state after, no message leaves, and the
// same process serves the next call.
func TestR1_EveryCallOfTheEmbeddedStoreFailsInEveryWay(t *testing.T) {
	t.Parallel()
	o := newStoredOrigin(t)
	together(t, o.calls(), func(t *testing.T, c call) {
		st := o.stand(t, apptest.Bolt(t))
		before := st.exactly(t)
		st.served(t, c, "") // what a process remembers is known from here on
		st.restore(t)
		st.served(t, c, "")
		sites, after := st.sites(), st.roughly(t)
		st.wantSent(t, "undisturbed", c.sms+c.mails)
		st.restore(t)
		for n, site := range sites {
			for how, f := range seamFailures {
				if f.write && site != tabletest.CallWrite || c.alone && how == contendedOnce {
					continue
				}
				name := fmt.Sprintf("call %d, %s, %s", n+1, site, how)
				st.breakAt(t, c, name, plan{at: n + 1, action: f.action}, f)
				want, got := before, st.exactly(t)
				if f.happens {
					want, got = after, st.roughly(t)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("%s, and stored is (-want +got):\n%s", name, diff)
				}
				st.wantAlive(t)
				st.restore(t)
			}
		}
		st.served(t, c, "")
	})
}

// breakAt makes the call while one call of the port fails, and looks at what the caller
// and the log are told, and at what left.
func (st *stand) breakAt(t *testing.T, c call, name string, p plan, f seamFailure) {
	t.Helper()
	got := st.make(t, c, p)
	problem, sent := "", 0
	if f.status == 0 {
		sent = c.sms + c.mails
		if !c.serves(got.answered) {
			problem = "it is not served"
		}
	} else {
		problem = c.problem(breakage{p.at, name, f.failure}, got.answered)
	}
	if got.took >= outageDeadline {
		problem = "it takes too long"
	}
	if problem != "" {
		t.Errorf("%s: %s: %+v", name, problem, got)
	}
	st.wantSent(t, name, sent)
}

func (st *stand) wantSent(t *testing.T, name string, want int) {
	t.Helper()
	if n := st.post.since(0); n != want {
		t.Errorf("%s: %d messages left, want %d", name, n, want)
	}
}

// refusedSend is a way in which a message is not delivered, or nobody hears that it was.
type refusedSend struct {
	// broken is set in all of them.
	broken bool
	// unconfirmed is set where the message may have left, taken where it has, and late
	// where the request's time is over by then.
	unconfirmed, taken, late bool
}

var refusedSends = map[string]refusedSend{
	"fails":                 {broken: true},
	"hangs":                 {broken: true, unconfirmed: true, late: true},
	"loses its answer":      {broken: true, unconfirmed: true, taken: true},
	"answers too late":      {broken: true, unconfirmed: true, taken: true, late: true},
	"is cut off before all": {broken: true, unconfirmed: true},
}

// cooldown is longer than an address waits for the next message.
const cooldown = 2 * time.Minute

// TestR1_EveryMessageOfEveryCallFailsInEveryWay walks the calls that send, with an
// Idempotency-Key and without, each of their messages, and each way in which it is not
// delivered or nobody hears that it was, on both stores. People and sessions are as
// before, the caller is told in time, a repetition at once sends nothing a second time,
// and after the pause of the address it sends everything.
func TestR1_EveryMessageOfEveryCallFailsInEveryWay(t *testing.T) {
	t.Parallel()
	o := newStoredOrigin(t)
	calls := maps.Collect(sendingCalls(o.calls()))
	for kind, open := range stores {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			together(t, calls, func(t *testing.T, c call) {
				st := o.stand(t, open(t))
				before := st.seen(t)
				for n := 1; n <= c.sms+c.mails; n++ {
					for how, r := range refusedSends {
						for _, key := range []string{"", "k"} {
							name := fmt.Sprintf("message %d %s, key %q", n, how, key)
							st.refuse(t, c, name, plan{sendAt: n, sending: r, key: key})
							if diff := cmp.Diff(before, st.seen(t)); diff != "" {
								t.Errorf("%s, and there is (-want +got):\n%s", name, diff)
							}
							st.repeat(t, c, name, plan{sendAt: n, sending: r, key: key})
							st.restore(t)
						}
					}
				}
			})
		})
	}
}

// stores open an empty one of each kind.
var stores = map[string]func(t *testing.T) table.Table{
	"bolt":   func(t *testing.T) table.Table { return apptest.Bolt(t) },
	"dynamo": func(t *testing.T) table.Table { return apptest.Dynamo(t, dynamo.Options{}) },
}

// sendingCalls are those of which a message leaves.
func sendingCalls(all map[string]call) func(yield func(string, call) bool) {
	return func(yield func(string, call) bool) {
		for name, c := range all {
			if c.sms+c.mails > 0 && !yield(name, c) {
				return
			}
		}
	}
}

// refuse makes the call while a message fails.
func (st *stand) refuse(t *testing.T, c call, name string, p plan) {
	t.Helper()
	got := st.make(t, c, p)
	channel := string(st.seams.channel)
	status, code, id := 503, 14, "STEPUP-"+channel+"-unavailable"
	if p.sending.unconfirmed {
		status, code, id = 504, 4, "STEPUP-"+channel+"-unconfirmed"
	}
	if got.status != status || got.code != code || got.id != id || got.took >= outageDeadline {
		t.Errorf("%s: got %+v, want %d %d %s", name, got, status, code, id)
	}
	if !strings.Contains(got.log, id) || !strings.Contains(got.log, `"cause":"`) {
		t.Errorf("%s: the log does not name %s and its cause:\n%s", name, id, got.log)
	}
	left := p.sendAt - 1
	if p.sending.taken {
		left++
	}
	st.wantSent(t, name, left)
}

// repeat makes the call again, at once and after the pause, with the provider well. What
// left surely, or perhaps, is not sent again at once.
func (st *stand) repeat(t *testing.T, c call, name string, p plan) {
	t.Helper()
	sent := st.post.since(0)
	again := st.make(t, c, plan{key: p.key})
	if p.sendAt == 1 && !p.sending.unconfirmed {
		if !c.serves(again.answered) || st.post.since(sent) != c.sms+c.mails {
			t.Errorf("%s: repeated, %d messages: %+v", name, st.post.since(sent), again)
		}
		return
	}
	if again.status != http.StatusTooManyRequests || again.id != "STEPUP-send-cooldown" || again.after == "" || st.post.since(sent) != 0 {
		t.Errorf("%s: repeated at once, %d messages: %+v", name, st.post.since(sent), again)
	}
	st.Clock.Advance(cooldown)
	later := st.make(t, c, plan{key: p.key})
	if !c.serves(later.answered) || st.post.since(sent) != c.sms+c.mails {
		t.Errorf("%s: repeated later, %d messages: %+v", name, st.post.since(sent), later)
	}
}

// repeating are the calls that answer a repetition with the same Idempotency-Key as they
// answered the first one, or need no key for that. Of the others a repetition is a new
// call.
var repeating = []string{
	"AddHumanUser", "CreatePasskeyRegistrationLink", "CreateSession", "CreateSession with codes", "CreateUser", "DeleteSession", "RemovePhone",
	"ResendEmailCode", "ResendPhoneCode", "SendEmailCode", "SetEmail", "SetPhone", "SetSession", "SetSession with SMS and mail",
	"SetSession with TOTP", "SetSession with a user", "SetSession with codes", "SetSession with intent", "SetSession with password",
	"SetSession with recovery code", "SetSession with returned codes", "SetSession with wrong password", "UpdateHumanUser",
}

// TestR2_EveryCallWithAKeyHasOneEffectWhateverFails walks the calls with an
// Idempotency-Key, each call to the store and each way in which it fails, on both stores,
// and repeats the request: it has one effect, one answer and its messages once, and a
// further repetition changes nothing.
func TestR2_EveryCallWithAKeyHasOneEffectWhateverFails(t *testing.T) {
	t.Parallel()
	o := newStoredOrigin(t)
	calls := o.calls()
	maps.DeleteFunc(calls, func(_ string, c call) bool { return c.method == http.MethodGet })
	var found []string
	for name, c := range calls {
		if o.stand(t, apptest.Bolt(t)).remembers(t, c) {
			found = append(found, name)
		} else {
			delete(calls, name)
		}
	}
	slices.Sort(found)
	if diff := cmp.Diff(repeating, found); diff != "" {
		t.Errorf("calls that know a key (-want +got):\n%s", diff)
	}
	for kind, open := range stores {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			together(t, calls, func(t *testing.T, c call) { o.stand(t, open(t)).repeatAnywhere(t, c) })
		})
	}
}

// remembers reports whether a repeated call is answered as the first one, without a
// second effect.
func (st *stand) remembers(t *testing.T, c call) bool {
	t.Helper()
	first := st.make(t, c, plan{key: "k"})
	before := st.exactly(t)
	again := st.make(t, c, plan{key: "k"})
	return wrote(st.rows, before) && first.status == again.status && sameJSON(first.body, again.body) && cmp.Equal(before, st.exactly(t))
}

// repeatAnywhere has each call to the store fail in each way.
func (st *stand) repeatAnywhere(t *testing.T, c call) {
	t.Helper()
	st.served(t, c, "k")
	st.restore(t)
	st.served(t, c, "k")
	sites, after := st.sites(), st.done(t)
	st.restore(t)
	for n, site := range sites {
		for how, f := range seamFailures {
			if f.write && site != tabletest.CallWrite {
				continue
			}
			name := fmt.Sprintf("call %d, %s, %s", n+1, site, how)
			first := st.make(t, c, plan{at: n + 1, action: f.action, key: "k"})
			if !c.serves(first.answered) && (f.status == 0 || first.status != f.status || first.id != f.id) {
				t.Errorf("%s: got %+v", name, first)
			}
			second := st.afterLease(t, c)
			if diff := cmp.Diff(after, st.done(t)); diff != "" || !c.serves(second.answered) {
				t.Errorf("%s: repeated: %+v, stored (-want +got):\n%s", name, second, diff)
			}
			if c.serves(first.answered) && !sameJSON(first.body, second.body) {
				t.Errorf("%s: answered %s, repeated %s", name, first.body, second.body)
			}
			stored := st.exactly(t)
			third := st.make(t, c, plan{key: "k"})
			if diff := cmp.Diff(stored, st.exactly(t)); diff != "" || !sameJSON(second.body, third.body) {
				t.Errorf("%s: repeated again: %s after %s, stored (-want +got):\n%s", name, third.body, second.body, diff)
			}
			st.wantSent(t, name, c.sms+c.mails)
			st.restore(t)
		}
	}
}

// afterLease repeats a call, and waits as it is told where another may be sending.
func (st *stand) afterLease(t *testing.T, c call) told {
	t.Helper()
	got := st.make(t, c, plan{key: "k"})
	if got.id != "STEPUP-idempotency-running" {
		return got
	}
	seconds, err := strconv.Atoi(got.after)
	if err != nil {
		t.Errorf("Retry-After: %v", err)
	}
	st.Clock.Advance(time.Duration(seconds) * time.Second)
	return st.make(t, c, plan{key: "k"})
}
