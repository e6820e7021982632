package session_test

import (
	"maps"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// fixed are the codes of both addresses of the enrolled user.
var fixed = map[sending.Channel]string{sending.SMS: "12345678", sending.Email: "87654321"}

// fixedCodes is an environment that gives those addresses their codes.
func fixedCodes() map[string]string {
	return map[string]string{
		"STEPUP_ENV": "ci", "STEPUP_TEST_CODES": phone + "=" + fixed[sending.SMS] + ";Ada@Example.com=" + fixed[sending.Email],
	}
}

// forFixed runs a test for each channel with an enrolled user whose codes are fixed.
func forFixed(t *testing.T, test func(t *testing.T, e *enrolled, channel sending.Channel)) {
	t.Helper()
	for channel := range fixed {
		t.Run(string(channel), func(t *testing.T) {
			t.Parallel()
			apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
				test(t, enrolIn(t, apptest.Options{Table: tb, Env: fixedCodes()}), channel)
			})
		})
	}
}

// send opens the challenge of a channel as if a message were to leave.
func (e *enrolled) send(channel sending.Channel) {
	e.t.Helper()
	_, err := e.set(session.Step{Challenges: asking(channel, session.RequestCode{})})
	check(e.t, err)
}

func TestAFixedCodePassesOnceAndNoMessageLeaves(t *testing.T) {
	t.Parallel()
	forFixed(t, func(t *testing.T, e *enrolled, channel sending.Channel) {
		_, err := e.set(answering(channel, fixed[channel]))
		refused(t, err, session.ErrCodeNotFound.ID)
		e.send(channel)
		_, err = e.set(answering(channel, fixed[channel]))
		check(t, err)
		_, err = e.set(answering(channel, fixed[channel]))
		refused(t, err, session.ErrCodeNotFound.ID)
		if got := e.ask(channel); got != fixed[channel] {
			t.Errorf("the code that is returned is %s", got)
		}
		if n := len(e.Inbox.Messages()); n != 0 {
			t.Errorf("%d messages left", n)
		}
	})
}

func TestWhatIsNotSentIsNotCounted(t *testing.T) {
	t.Parallel()
	for channel := range fixed {
		t.Run(string(channel), func(t *testing.T) {
			t.Parallel()
			env := fixedCodes()
			maps.Copy(env, map[string]string{"STEPUP_SMS_BUDGET": "1", "STEPUP_MAIL_BUDGET": "1", "STEPUP_SMS_PREFIXES": "+49"})
			e := enrolIn(t, apptest.Options{Env: env})
			for range 20 { // above every cap, and within the cooldown
				e.send(channel)
			}
		})
	}
}

func TestO2_O4_O5_AFixedCodeExpiresAndDiesAndLocksLikeAnother(t *testing.T) {
	t.Parallel()
	forFixed(t, func(t *testing.T, e *enrolled, channel sending.Channel) {
		e.send(channel)
		e.Clock.Advance(5*time.Minute + time.Second)
		_, err := e.set(answering(channel, fixed[channel]))
		refused(t, err, session.ErrCodeExpired.ID)
		for range 2 {
			e.send(channel)
			for range 5 {
				_, err = e.set(answering(channel, "00000000"))
				refused(t, err, session.ErrCodeWrong.ID)
			}
			_, err = e.set(answering(channel, fixed[channel]))
			refused(t, err, session.ErrCodeNotFound.ID)
		}
		_, err = e.set(session.Step{Challenges: asking(channel, session.RequestCode{})})
		refused(t, err, session.ErrCodeLocked.ID)
	})
}

func TestO3_OneOf200ParallelAnswersWithAFixedCodePasses(t *testing.T) {
	t.Parallel()
	forFixed(t, func(t *testing.T, e *enrolled, channel sending.Channel) {
		e.send(channel)
		var all sync.WaitGroup
		var passed atomic.Int64
		for range 200 {
			all.Go(func() {
				if _, err := e.set(answering(channel, fixed[channel])); err == nil {
					passed.Add(1)
				}
			})
		}
		all.Wait()
		if n := passed.Load(); n != 1 {
			t.Errorf("the code passed %d times", n)
		}
	})
}

// TestAFixedCodeOpensNoOtherAddress also shows a deployment without fixed codes, whose
// users have the very addresses.
func TestAFixedCodeOpensNoOtherAddress(t *testing.T) {
	t.Parallel()
	others := map[string]string{"STEPUP_ENV": "ci", "STEPUP_TEST_CODES": "+41446681800=12345678;bob@example.com=87654321"}
	for name, env := range map[string]map[string]string{"prod": {"STEPUP_ENV": "prod"}, "no name": nil, "codes of others": others} {
		for channel, code := range fixed {
			t.Run(name+" "+string(channel), func(t *testing.T) {
				t.Parallel()
				e := enrolIn(t, apptest.Options{Env: env})
				e.send(channel)
				_, err := e.set(answering(channel, code))
				refused(t, err, session.ErrCodeWrong.ID)
				if n := len(e.Inbox.Messages()); n != 1 {
					t.Errorf("%d messages, want 1", n)
				}
			})
		}
	}
}

// owner is the user, who has just proved themselves.
func (e *enrolled) owner() access.Caller {
	return access.Caller{ID: e.user.ID, UserID: e.user.ID, Organization: "default", AuthenticatedAt: e.Clock.Now()}
}

// TestATestAddressIsNoWayAroundVerification plays somebody who gives a user, in a session
// that waits for a code, an address whose code they know.
func TestATestAddressIsNoWayAroundVerification(t *testing.T) {
	t.Parallel()
	env := map[string]string{"STEPUP_ENV": "ci", "STEPUP_TEST_CODES": "test@example.com=87654321"}
	e := enrolIn(t, apptest.Options{Env: env})
	e.send(sending.Email)
	stale := e.owner()
	stale.AuthenticatedAt = e.Clock.Now().Add(-time.Hour)
	change := user.Update{Email: &user.Contact{Address: "test@example.com"}, EmailCode: &user.CodeRequest{}}
	_, err := e.Users.Update(t.Context(), stale, e.user.ID, change)
	if err == nil {
		t.Error("a user who did not prove themselves lately changed their address (row S9)")
	}
	_, err = e.Users.Update(t.Context(), e.owner(), e.user.ID, change)
	check(t, err)
	_, err = e.set(answering(sending.Email, "87654321"))
	refused(t, err, session.ErrCodeNotReady.ID)
	_, err = e.set(session.Step{Challenges: asking(sending.Email, session.RequestCode{})})
	refused(t, err, session.ErrEmailNotReady.ID)
}
