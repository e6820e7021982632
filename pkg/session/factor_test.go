package session_test

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/notify"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// enrolled is a user with every one-time factor, and a session bound to them.
type enrolled struct {
	*apptest.Service
	t        *testing.T
	user     *user.User
	seed     []byte
	recovery []string
	session  string
}

const phone = "+41791234567"

func enrol(t *testing.T, tb table.Table) *enrolled {
	t.Helper()
	return enrolIn(t, apptest.Options{Table: tb})
}

func enrolIn(t *testing.T, o apptest.Options) *enrolled {
	t.Helper()
	s := apptest.New(t, o)
	ctx, admin := t.Context(), apptest.Admin()
	u, err := s.Users.Create(ctx, admin, user.Registration{
		Username: "ada@example.com",
		Profile:  user.Profile{GivenName: "Ada", FamilyName: "Lovelace"},
		Email:    user.Contact{Address: "ada@example.com", Verified: true},
		Phone:    user.Contact{Address: phone, Verified: true},
	})
	check(t, err)
	e := &enrolled{Service: s, t: t, user: u.User}
	_, app, err := s.Users.RegisterTOTP(ctx, admin, u.ID)
	check(t, err)
	e.seed, err = otp.ParseSecret(app.Secret)
	check(t, err)
	_, err = s.Users.VerifyTOTP(ctx, admin, u.ID, otp.Code(e.seed, s.Clock.Now()))
	check(t, err)
	_, err = s.Users.AddSMSCodes(ctx, admin, u.ID)
	check(t, err)
	_, err = s.Users.AddEmailCodes(ctx, admin, u.ID)
	check(t, err)
	_, e.recovery, err = s.Users.GenerateRecoveryCodes(ctx, admin, u.ID, 0)
	check(t, err)
	e.session = e.start()
	s.Clock.Advance(time.Minute) // past the step that confirmed the app
	return e
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start creates a session of the user.
func (e *enrolled) start() string {
	e.t.Helper()
	r, err := e.Sessions.Create(e.t.Context(), apptest.Admin(), session.Create{
		Step: session.Step{Checks: session.Checks{User: &session.CheckUser{ID: e.user.ID}}},
	})
	check(e.t, err)
	return r.SessionID
}

func (e *enrolled) set(step session.Step) (session.Result, error) {
	return e.Sessions.Set(e.t.Context(), apptest.Admin(), session.Set{SessionID: e.session, Step: step})
}

// ask opens the challenge of a channel and returns its code.
func (e *enrolled) ask(channel sending.Channel) string {
	e.t.Helper()
	r, err := e.set(session.Step{Challenges: asking(channel, session.RequestCode{ReturnCode: true})})
	check(e.t, err)
	return r.Codes[channel]
}

func asking(channel sending.Channel, c session.RequestCode) session.RequestChallenges {
	if channel == sending.SMS {
		return session.RequestChallenges{SMS: &c}
	}
	return session.RequestChallenges{Email: &c}
}

func answering(channel sending.Channel, code string) session.Step {
	c := &session.CheckCode{Code: code}
	if channel == sending.SMS {
		return session.Step{Checks: session.Checks{SMS: c}}
	}
	return session.Step{Checks: session.Checks{Email: c}}
}

func (e *enrolled) factors() session.Factors {
	e.t.Helper()
	v, err := e.Sessions.Get(e.t.Context(), apptest.Admin(), e.session, "")
	check(e.t, err)
	return v.Factors
}

// refused fails the test unless err is a fault with the id.
func refused(t *testing.T, err error, id string) *fault.Fault {
	t.Helper()
	var f *fault.Fault
	if !errors.As(err, &f) || f.ID != id {
		t.Fatalf("got %v, want fault %s", err, id)
	}
	return f
}

// wrongCode differs from the code in its last digit.
func wrongCode(code string) string {
	last := code[len(code)-1]
	return code[:len(code)-1] + string('0'+(last-'0'+1)%10)
}

func TestEveryOneTimeFactorStepsTheSessionUp(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		e := enrol(t, tb)
		sms, mail := e.ask(sending.SMS), e.ask(sending.Email)
		_, err := e.set(session.Step{Checks: session.Checks{
			TOTP:     &session.CheckCode{Code: otp.Code(e.seed, e.Clock.Now())},
			SMS:      &session.CheckCode{Code: sms},
			Email:    &session.CheckCode{Code: mail},
			Recovery: &session.CheckCode{Code: e.recovery[3]},
		}})
		check(t, err)
		f := e.factors()
		for name, at := range map[string]time.Time{"totp": f.TOTP, "sms": f.SMS, "email": f.Email, "recovery": f.Recovery} {
			if !at.Equal(e.Clock.Now()) {
				t.Errorf("factor %s was verified at %v, want now", name, at)
			}
		}
	})
}

// race runs the step 200 times at once, each in turn on one of the sessions, and
// returns how often it passed; every other run must be refused with one of the ids.
func (e *enrolled) race(sessions []string, step session.Step, ids ...string) int {
	e.t.Helper()
	var passed atomic.Int64
	var all sync.WaitGroup
	for i := range 200 {
		all.Go(func() {
			_, err := e.Sessions.Set(e.t.Context(), apptest.Admin(), session.Set{SessionID: sessions[i%len(sessions)], Step: step})
			if err == nil {
				passed.Add(1)
				return
			}
			if id := fault.From(err).ID; id != fault.Conflict.ID && !slices.Contains(ids, id) {
				e.t.Errorf("refused with %v, want one of %v", err, ids)
			}
		})
	}
	all.Wait()
	return int(passed.Load())
}

func TestT3_O3_T6_Issue6452_EachSecretIsAcceptedExactlyOnceBy200ParallelSteps(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		e := enrol(t, tb)
		// Steps of a user-wide secret race on many sessions, a code on its own.
		many := []string{e.session, e.start(), e.start(), e.start()}
		code := otp.Code(e.seed, e.Clock.Now())
		if n := e.race(many, session.Step{Checks: session.Checks{TOTP: &session.CheckCode{Code: code}}}, "TOTP-Auw0a"); n != 1 {
			t.Errorf("one TOTP code passed %d times", n)
		}
		recovery := session.Step{Checks: session.Checks{Recovery: &session.CheckCode{Code: e.recovery[0]}}}
		if n := e.race(many, recovery, "DOMAIN-6uvh0", "COMMAND-2w6oa"); n != 1 {
			t.Errorf("one recovery code passed %d times", n)
		}
		for _, channel := range []sending.Channel{sending.SMS, sending.Email} {
			if n := e.race(many[:1], answering(channel, e.ask(channel)), "COMMAND-S34gh"); n != 1 {
				t.Errorf("one code by %s passed %d times", channel, n)
			}
		}
	})
}

func TestO4_CVE_2024_32868_CVE_2025_64102_FiveWrongAnswersKillTheCode(t *testing.T) {
	t.Parallel()
	for _, channel := range []sending.Channel{sending.SMS, sending.Email} {
		t.Run(string(channel), func(t *testing.T) {
			t.Parallel()
			e := enrol(t, nil)
			code := e.ask(channel)
			before := e.factors()
			for range 5 {
				_, err := e.set(answering(channel, wrongCode(code)))
				refused(t, err, "CODE-woT0xc")
			}
			_, err := e.set(answering(channel, code))
			refused(t, err, "COMMAND-S34gh")
			if e.factors() != before {
				t.Error("wrong answers changed the factors")
			}
		})
	}
}

func TestO5_O14_Authentik25496_ANewCodeDoesNotResetTheCountOfFailures(t *testing.T) {
	t.Parallel()
	e := enrol(t, nil)
	for i := range 10 {
		if i%4 == 0 {
			e.session = e.start() // nor does a new session
		}
		code := e.ask(sending.SMS)
		_, err := e.set(answering(sending.SMS, wrongCode(code)))
		refused(t, err, "CODE-woT0xc")
	}
	// Row O14: no code is handed out that could not work.
	_, err := e.set(session.Step{Challenges: asking(sending.SMS, session.RequestCode{ReturnCode: true})})
	if f := refused(t, err, "COMMAND-S6h4R"); f.RetryAfter != 30*time.Second {
		t.Errorf("retry after %v, want 30s", f.RetryAfter)
	}
	e.Clock.Advance(30 * time.Second)
	_, err = e.set(answering(sending.SMS, e.ask(sending.SMS)))
	check(t, err)
}

func TestO6_ACodeIsWorthNothingElsewhere(t *testing.T) {
	t.Parallel()
	e := enrol(t, nil)
	first := e.ask(sending.SMS)
	second := e.ask(sending.SMS)
	for first == second { // once in 100 million runs
		second = e.ask(sending.SMS)
	}
	_, err := e.set(answering(sending.SMS, first))
	refused(t, err, "CODE-woT0xc") // the code of an overwritten challenge
	e.session = e.start()
	_, err = e.set(answering(sending.SMS, second))
	refused(t, err, "COMMAND-S34gh") // the code of another session
	e.ask(sending.SMS)
	_, err = e.set(answering(sending.SMS, second))
	refused(t, err, "CODE-woT0xc")
}

func TestO2_ACodeLivesFiveMinutesAndItsExpiryIsNobodysFailure(t *testing.T) {
	t.Parallel()
	e := enrol(t, nil)
	code := e.ask(sending.Email)
	e.Clock.Advance(5*time.Minute + time.Second)
	for range 20 {
		_, err := e.set(answering(sending.Email, code))
		refused(t, err, "CODE-QvUQ4P")
	}
	code = e.ask(sending.Email)
	e.Clock.Advance(5*time.Minute - time.Second)
	_, err := e.set(answering(sending.Email, code))
	check(t, err)
}

func TestACheckAnswersTheOldChallengeOfItsKindAndOpensANewOne(t *testing.T) {
	t.Parallel()
	e := enrol(t, nil)
	step := answering(sending.SMS, e.ask(sending.SMS))
	step.Challenges = asking(sending.SMS, session.RequestCode{ReturnCode: true})
	r, err := e.set(step)
	check(t, err)
	_, err = e.set(answering(sending.SMS, r.Codes[sending.SMS]))
	check(t, err)
}

func TestAFailingCheckAmongOthersChangesNothingOfTheSession(t *testing.T) {
	t.Parallel()
	e := enrol(t, nil)
	code := e.ask(sending.SMS)
	step := answering(sending.SMS, code)
	step.Checks.Recovery = &session.CheckCode{Code: "0000-0000-0000-0000"}
	_, err := e.set(step)
	refused(t, err, "DOMAIN-6uvh0")
	if f := e.factors(); !f.SMS.IsZero() {
		t.Error("the factor of a step that failed counts")
	}
	_, err = e.set(answering(sending.SMS, code)) // the code was not used up either
	check(t, err)
}

func TestO9_Issue12622_OneOf100ParallelChallengesSendsAMessage(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		e := enrol(t, tb)
		step := session.Step{Challenges: asking(sending.SMS, session.RequestCode{})}
		sessions := []string{e.session, e.start(), e.start()}
		if n := e.race(sessions, step, sending.ErrCooldown.ID); n != 1 {
			t.Errorf("%d challenges were answered", n)
		}
		if sent := e.Inbox.Messages(); len(sent) != 1 || sent[0].To != phone {
			t.Errorf("sent %v, want one message to the phone", sent)
		}
	})
}

func TestAChallengeOverTheLimitSendsNothingAndChangesNothing(t *testing.T) {
	t.Parallel()
	e := enrol(t, nil)
	step := session.Step{Challenges: asking(sending.Email, session.RequestCode{})}
	_, err := e.set(step)
	check(t, err)
	code := e.Inbox.Messages()[0].Code
	before, err := e.Sessions.Get(t.Context(), apptest.Admin(), e.session, "")
	check(t, err)
	_, err = e.set(step)
	f := refused(t, err, sending.ErrCooldown.ID)
	if f.Kind != fault.ResourceExhausted || f.RetryAfter != time.Minute {
		t.Errorf("refused with %v after %v, want resource exhausted and a minute", f.Kind, f.RetryAfter)
	}
	after, err := e.Sessions.Get(t.Context(), apptest.Admin(), e.session, "")
	check(t, err)
	if before.Revision != after.Revision || len(e.Inbox.Messages()) != 1 {
		t.Error("the refused challenge left something behind")
	}
	_, err = e.set(answering(sending.Email, code)) // the code that was sent still works
	check(t, err)
}

func TestO10_Authentik25496_TheDailyCapOfAnAddressHoldsOverSessions(t *testing.T) {
	t.Parallel()
	e := enrol(t, nil)
	sent := 0
	for range 40 {
		e.session = e.start()
		if _, err := e.set(session.Step{Challenges: asking(sending.SMS, session.RequestCode{})}); err == nil {
			sent++
		}
		e.Clock.Advance(15 * time.Minute) // 10 hours in all, from noon
	}
	if sent != 10 || len(e.Inbox.Messages()) != 10 {
		t.Errorf("%d challenges and %d messages, want 10 of each", sent, len(e.Inbox.Messages()))
	}
	e.Clock.Advance(3 * time.Hour) // the next day
	_, err := e.set(session.Step{Challenges: asking(sending.SMS, session.RequestCode{})})
	check(t, err)
}

func TestR1_AProviderThatRefusesLeavesTheSessionAsItWas(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		e := enrol(t, tb)
		before, err := e.Sessions.Get(t.Context(), apptest.Admin(), e.session, "")
		check(t, err)
		e.Inbox.FailNext(notify.ErrSMSOptedOut)
		step := session.Step{
			Challenges: asking(sending.SMS, session.RequestCode{}),
			Metadata:   map[string][]byte{"k": []byte("v")},
		}
		_, err = e.set(step)
		refused(t, err, notify.ErrSMSOptedOut.ID)
		after, err := e.Sessions.Get(t.Context(), apptest.Admin(), e.session, "")
		check(t, err)
		if after.TokenID != before.TokenID || after.Sequence != before.Sequence || len(after.Metadata) != 0 {
			t.Errorf("the session changed: %+v, was %+v", after.Session, before.Session)
		}
		_, err = e.set(step) // no cooldown for a message that did not leave
		check(t, err)
	})
}

func TestASendWhoseOutcomeIsUnknownKeepsItsCooldown(t *testing.T) {
	t.Parallel()
	e := enrol(t, nil)
	e.Inbox.FailNext(notify.ErrSMSUnconfirmed)
	step := session.Step{Challenges: asking(sending.SMS, session.RequestCode{})}
	_, err := e.set(step)
	refused(t, err, notify.ErrSMSUnconfirmed.ID)
	_, err = e.set(step)
	refused(t, err, sending.ErrCooldown.ID)
}

func TestAReplayedTOTPCodeDoesNotForgetFailures(t *testing.T) {
	t.Parallel()
	e := enrol(t, nil)
	totp := func(code string) error {
		_, err := e.set(session.Step{Checks: session.Checks{TOTP: &session.CheckCode{Code: code}}})
		return err
	}
	right := otp.Code(e.seed, e.Clock.Now())
	check(t, totp(right))
	for range 10 {
		refused(t, totp(wrongCode(right)), "EVENT-8isk2")
		err := totp(right)
		var f *fault.Fault
		if !errors.As(err, &f) || (f.ID != "TOTP-Auw0a" && f.ID != "COMMAND-SF3fg") {
			t.Fatalf("a used code was answered with %v", err)
		}
	}
	refused(t, totp(otp.Code(e.seed, e.Clock.Now().Add(otp.Step))), "COMMAND-SF3fg")
}
