package session_test

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
)

// What somebody learns from wrong answers at once is bounded by the cap of the code,
// before the lock of the user.
func TestO4_Keycloak2FA146_200ParallelWrongAnswersAreComparedFiveTimesAtMost(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		e := enrol(t, tb)
		code := e.ask(sending.SMS)
		var compared atomic.Int64
		var all sync.WaitGroup
		for range 200 {
			all.Go(func() {
				_, err := e.set(answering(sending.SMS, wrongCode(code)))
				switch id := fault.From(err).ID; id {
				case "CODE-woT0xc":
					compared.Add(1)
				case "COMMAND-S34gh", fault.Conflict.ID: // the code is dead; others were faster
				default:
					t.Errorf("refused with %v", err)
				}
			})
		}
		all.Wait()
		if n := compared.Load(); n < 1 || n > 5 {
			t.Errorf("%d wrong answers were told to be wrong, want 5 at most", n)
		}
		_, err := e.set(answering(sending.SMS, code))
		if compared.Load() == 5 {
			refused(t, err, "COMMAND-S34gh")
		}
	})
}

func TestL6_ASpentBudgetOfOneChannelLeavesTheOtherAlone(t *testing.T) {
	t.Parallel()
	for spent, other := range map[sending.Channel]sending.Channel{sending.SMS: sending.Email, sending.Email: sending.SMS} {
		t.Run(string(spent), func(t *testing.T) {
			t.Parallel()
			e := enrolIn(t, apptest.Options{Env: map[string]string{"STEPUP_SMS_BUDGET": "1", "STEPUP_MAIL_BUDGET": "1"}})
			_, err := e.set(session.Step{Challenges: asking(spent, session.RequestCode{})})
			check(t, err)
			e.Clock.Advance(time.Minute)
			_, err = e.set(session.Step{Challenges: asking(spent, session.RequestCode{})})
			refused(t, err, sending.ErrBudget.ID)
			_, err = e.set(session.Step{Challenges: asking(other, session.RequestCode{})})
			check(t, err)
		})
	}
}
