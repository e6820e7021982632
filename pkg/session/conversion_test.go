package session_test

import (
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/idempotency"
	"github.com/stepup-auth/stepup/pkg/notify"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
)

// breaker is a configuration that stops a region at the limit.
func breaker(limit int, more ...string) map[string]string {
	env := map[string]string{"STEPUP_SMS_CONVERSION_LIMIT": fmt.Sprint(limit)}
	for i := 0; i < len(more); i += 2 {
		env[more[i]] = more[i+1]
	}
	return env
}

var (
	askSMS  = session.Step{Challenges: asking(sending.SMS, session.RequestCode{})}
	askMail = session.Step{Challenges: asking(sending.Email, session.RequestCode{})}
)

// unused is the stored count of Swiss numbers of the default organization in the window
// of an hour that runs; 0 where nothing was counted.
func unused(t *testing.T, s *apptest.Service) int64 {
	t.Helper()
	start := s.Clock.Now().Truncate(time.Hour).Format(time.RFC3339)
	item, err := s.Table.Get(t.Context(), table.Key{PK: "UNUSED#sms#+41#default", SK: start})
	check(t, err)
	n, _ := item["n"].(int64)
	return n
}

// send has a code sent to a new person and returns their session and the code.
func send(t *testing.T, s *apptest.Service, p person) (id, code string) {
	t.Helper()
	id = openFor(t, s, p)
	s.Set(t, id, askSMS)
	return id, s.Inbox.Messages()[0].Code
}

func TestL6_ARegionIsStoppedExactlyAtItsLimitUnder200ParallelRequests(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb, Env: breaker(7)})
		ids := make([]string, 200)
		for n := range ids {
			ids[n] = openFor(t, s, person{n: n})
		}
		if passed := race(t, s, ids); passed != 7 || len(s.Inbox.Messages()) != 7 || unused(t, s) != 7 {
			t.Errorf("%d requests passed, %d messages left and %d are counted, want 7", passed, len(s.Inbox.Messages()), unused(t, s))
		}
	})
}

// TestL6_AStoppedRegionStopsNothingElse also sees that a refusal changes nothing, and that
// the region opens again with the next window, for as many as before.
func TestL6_AStoppedRegionStopsNothingElse(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb, Env: breaker(2, "STEPUP_ORGANIZATIONS", "default,other")})
		s.Clock.Advance(20 * time.Minute)
		send(t, s, person{n: 1})
		send(t, s, person{n: 2})
		stopped := openFor(t, s, person{n: 3})
		before := s.View(t, stopped)
		_, err := s.TrySet(stopped, askSMS)
		f := refused(t, err, sending.ErrConversion.ID)
		if f.Kind != fault.ResourceExhausted || f.RetryAfter != 40*time.Minute {
			t.Errorf("refused with %v and %v to wait, want the rest of the hour", f.Kind, f.RetryAfter)
		}
		if after := s.View(t, stopped); after.Revision != before.Revision || len(s.Inbox.Messages()) != 2 {
			t.Error("the refusal left something behind")
		}
		send(t, s, person{n: 4, number: "+16502530000"})
		send(t, s, person{n: 5, organization: "other"})
		s.Set(t, stopped, askMail)

		s.Clock.Advance(40 * time.Minute)
		s.Set(t, stopped, askSMS)
		send(t, s, person{n: 6})
		_, err = s.TrySet(openFor(t, s, person{n: 7}), askSMS)
		refused(t, err, sending.ErrConversion.ID)
	})
}

// TestUsedCodesKeepARegionOpen has a code every ten seconds, some of which are used a
// minute later, as people do.
func TestUsedCodesKeepARegionOpen(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		used    func(n int) bool
		stopped bool
	}{
		"four of five":    {func(n int) bool { return n%5 != 0 }, false},
		"one of five":     {func(n int) bool { return n%5 == 0 }, false},
		"one of eight":    {func(n int) bool { return n%8 == 0 }, false},
		"one of thirteen": {func(n int) bool { return n%13 == 0 }, true},
		"none":            {func(int) bool { return false }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := apptest.New(t, apptest.Options{Env: breaker(30, "STEPUP_SMS_CONVERSION_WINDOW", "24h")})
			var refusals int
			waiting := map[int]func(){}
			for n := range 160 {
				if use := waiting[n]; use != nil {
					use()
				}
				id := openFor(t, s, person{n: n})
				switch _, err := s.TrySet(id, askSMS); {
				case err != nil:
					refused(t, err, sending.ErrConversion.ID)
					refusals++
				case row.used(n):
					code := s.Inbox.Messages()[0].Code
					waiting[n+6] = func() { s.Set(t, id, answering(sending.SMS, code)) }
				}
				s.Clock.Advance(10 * time.Second)
			}
			if row.stopped != (refusals > 0) {
				t.Errorf("%d of 160 messages were refused", refusals)
			}
		})
	}
}

// TestACodePaysForMessagesThatHaveLeft and opens a region that is stopped, but puts by
// less than its own worth.
func TestACodePaysForMessagesThatHaveLeft(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb, Env: breaker(4, "STEPUP_SMS_CONVERSION_PER_CODE", "3")})
		ids, codes := make([]string, 4), make([]string, 4)
		for n := range ids {
			ids[n], codes[n] = send(t, s, person{n: n})
		}
		more := openFor(t, s, person{n: 4})
		_, err := s.TrySet(more, askSMS)
		refused(t, err, sending.ErrConversion.ID)
		for n, want := range []int64{1, -2, -2, -2} {
			s.Set(t, ids[n], answering(sending.SMS, codes[n]))
			if got := unused(t, s); got != want {
				t.Errorf("after %d codes the count is %d, want %d", n+1, got, want)
			}
		}
		s.Set(t, more, askSMS)
	})
}

// TestACodePaysOnce however many answers with it arrive at once.
func TestACodePaysOnce(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb, Env: breaker(50)})
		for n := range 25 {
			send(t, s, person{n: n})
		}
		id, code := send(t, s, person{n: 25})
		answer := answering(sending.SMS, code)
		answer.Once = idempotency.Request{Caller: "key admin", Key: "k", Operation: "Set", Body: []byte("b")}
		var all sync.WaitGroup
		for range 20 {
			all.Go(func() { _, _ = s.TrySet(id, answer) })
		}
		all.Wait()
		s.Set(t, id, answer) // a repetition, if nothing else
		if got := unused(t, s); got != 26-10 {
			t.Errorf("the count is %d, want %d", got, 26-10)
		}
	})
}

// idle is what neither adds to the count nor pays: each row begins with one message out.
var idle = map[string]func(t *testing.T, s *apptest.Service, id, code string){
	"a wrong answer": func(t *testing.T, s *apptest.Service, id, code string) {
		_, err := s.TrySet(id, answering(sending.SMS, wrongCode(code)))
		refused(t, err, "CODE-woT0xc")
	},
	"a right answer beside a wrong one": func(t *testing.T, s *apptest.Service, id, code string) {
		step := answering(sending.SMS, code)
		step.Checks.Recovery = &session.CheckCode{Code: "no"}
		_, err := s.TrySet(id, step)
		if err == nil {
			t.Error("a wrong recovery code passes")
		}
	},
	"a step that is taken back": func(t *testing.T, s *apptest.Service, id, code string) {
		step := answering(sending.SMS, code)
		step.Challenges = askMail.Challenges
		s.Inbox.FailNext(notify.ErrEmailUnavailable)
		_, err := s.TrySet(id, step)
		refused(t, err, notify.ErrEmailUnavailable.ID)
	},
	"a message that is refused": func(t *testing.T, s *apptest.Service, _, _ string) {
		id := openFor(t, s, person{n: 1})
		s.Inbox.FailNext(notify.ErrSMSUnavailable)
		_, err := s.TrySet(id, askSMS)
		refused(t, err, notify.ErrSMSUnavailable.ID)
	},
	"a code that is returned": func(t *testing.T, s *apptest.Service, _, _ string) {
		id := openFor(t, s, person{n: 1})
		r := s.Set(t, id, session.Step{Challenges: asking(sending.SMS, session.RequestCode{ReturnCode: true})})
		s.Set(t, id, answering(sending.SMS, r.Codes[sending.SMS]))
	},
	"a fixed code": func(t *testing.T, s *apptest.Service, _, _ string) {
		id := openFor(t, s, person{n: 1, number: "+41791111111"})
		s.Set(t, id, askSMS)
		s.Set(t, id, answering(sending.SMS, "12345678"))
	},
	"a mail and its code": func(t *testing.T, s *apptest.Service, id, _ string) {
		s.Set(t, id, askMail)
		s.Set(t, id, answering(sending.Email, s.Inbox.Messages()[0].Code))
	},
	"a request that is repeated": func(t *testing.T, s *apptest.Service, id, code string) {
		ask := askSMS
		ask.Once = idempotency.Request{Caller: "key admin", Key: "k", Operation: "Set", Body: []byte("b")}
		other := openFor(t, s, person{n: 1})
		s.Set(t, id, answering(sending.SMS, code)) // -9, from where a second payment would be none
		for range 10 {
			s.Set(t, other, ask)
		}
		for n := range 9 {
			send(t, s, person{n: 2 + n})
		}
	},
}

func TestWhatIsNoUseOfASentCodeChangesNoCount(t *testing.T) {
	t.Parallel()
	for name, act := range idle {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			env := breaker(20, "STEPUP_ENV", "ci", "STEPUP_TEST_CODES", "+41791111111=12345678")
			s := apptest.New(t, apptest.Options{Env: maps.Clone(env)})
			id, code := send(t, s, person{})
			act(t, s, id, code)
			if got := unused(t, s); got != 1 {
				t.Errorf("the count is %d, want 1", got)
			}
		})
	}
}

// TestACodeOfAnEarlierWindowPaysInTheOneInWhichItIsUsed: that is where messages wait.
func TestACodeOfAnEarlierWindowPaysInTheOneInWhichItIsUsed(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{Env: breaker(20)})
	s.Clock.Advance(59 * time.Minute)
	id, code := send(t, s, person{})
	s.Clock.Advance(time.Minute)
	send(t, s, person{n: 1})
	s.Set(t, id, answering(sending.SMS, code))
	if got := unused(t, s); got != 1-10 {
		t.Errorf("the count is %d, want %d", got, 1-10)
	}
}

// TestARefusedMessageGivesARegionItsCountBack has the provider refuse the one that fills it.
func TestARefusedMessageGivesARegionItsCountBack(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb, Env: breaker(1)})
		id := openFor(t, s, person{})
		for range 2 {
			s.Inbox.FailNext(notify.ErrSMSUnavailable)
			_, err := s.TrySet(id, askSMS)
			refused(t, err, notify.ErrSMSUnavailable.ID)
		}
		s.Set(t, id, askSMS)
		_, err := s.TrySet(openFor(t, s, person{n: 1}), askSMS)
		refused(t, err, sending.ErrConversion.ID)
	})
}
