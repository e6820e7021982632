package session_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/assurance"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/idempotency"
	"github.com/stepup-auth/stepup/pkg/notify"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// once names a request whose body is the text.
func once(key, body string) idempotency.Request {
	return idempotency.Request{Caller: "key admin", Key: key, Operation: "Set", Body: []byte(body)}
}

func named(step session.Step, key string) session.Step {
	step.Once = once(key, "same")
	return step
}

func sendSMS() session.Step {
	return session.Step{Challenges: session.RequestChallenges{SMS: &session.RequestCode{}}}
}

// reachable is a user with a password and a phone that takes codes, and a session bound
// to them.
func reachable(t *testing.T, s *apptest.Service) (u *user.User, sessionID string) {
	t.Helper()
	r, err := s.Users.Create(t.Context(), apptest.Admin(), user.Registration{
		ID: "ada", Username: "ada", Profile: user.Profile{GivenName: "Ada", FamilyName: "Lovelace"},
		Password: user.NewPassword{Hash: apptest.CheapHash(t, apptest.Password)},
		Phone:    user.Contact{Address: "+41446681800", Verified: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Users.AddSMSCodes(t.Context(), apptest.Admin(), r.ID); err != nil {
		t.Fatal(err)
	}
	return r.User, s.NewSession(t, session.Create{Step: apptest.Named(r.ID)}).SessionID
}

// TestR2_RepetitionAnswersAsTheFirstAndDoesNothing repeats each kind of step, also after
// the session has moved on.
func TestR2_RepetitionAnswersAsTheFirstAndDoesNothing(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := newKeyService(t, tb)
		_, bound := reachable(t, s)
		free := s.NewSession(t, session.Create{}).SessionID
		returned := session.Step{Challenges: session.RequestChallenges{SMS: &session.RequestCode{ReturnCode: true}}}
		for _, row := range []struct {
			name, id string
			step     session.Step
		}{
			{"metadata", bound, session.Step{Metadata: map[string][]byte{"k": []byte("v")}}},
			{"password", bound, apptest.Guess(apptest.Password)},
			{"code that is sent", bound, sendSMS()},
			{"code that is returned", bound, returned},
			{"challenge for a key", free, asks(passkey.Required)},
		} {
			id, step := row.id, named(row.step, row.name)
			first, err := s.TrySet(id, step)
			if err != nil {
				t.Fatalf("%s: %v", row.name, err)
			}
			messages, before := len(s.Inbox.Messages()), s.View(t, id)
			for range 2 {
				again, err := s.TrySet(id, step)
				if diff := cmp.Diff(first, again); diff != "" || err != nil {
					t.Errorf("%s: %v, first and repeated (-first +repeated):\n%s", row.name, err, diff)
				}
				s.Set(t, id, session.Step{Metadata: map[string][]byte{"other": []byte(s.View(t, id).Changed.String() + row.name)}})
				s.Clock.Advance(time.Second)
			}
			if got := s.View(t, id); got.Sequence > before.Sequence+2 || len(s.Inbox.Messages()) != messages {
				t.Errorf("%s: the repetition was an effect: sequence %d after %d, %d messages after %d",
					row.name, got.Sequence, before.Sequence, len(s.Inbox.Messages()), messages)
			}
		}
	})
}

// TestR2_RepetitionTellsThatARequirementWasNotMet: whoever lost the first answer must not
// take the second for the one that was hoped for, even when the session meets it by now.
func TestR2_RepetitionTellsThatARequirementWasNotMet(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	_, id := reachable(t, s)
	step := named(apptest.Guess(apptest.Password), "k")
	step.Metadata = map[string][]byte{"paid": []byte("1")}
	set := session.Set{SessionID: id, Step: step, Require: &assurance.Requirement{MinAAL: 2}}
	first, err := s.Sessions.Set(t.Context(), apptest.Admin(), set)
	if err != nil || first.Unmet == nil {
		t.Fatalf("%v, %+v", err, first)
	}
	code := s.Set(t, id, session.Step{Challenges: session.RequestChallenges{SMS: &session.RequestCode{ReturnCode: true}}})
	s.Set(t, id, session.Step{Checks: session.Checks{SMS: &session.CheckCode{Code: code.Codes["sms"]}}})
	again, err := s.Sessions.Set(t.Context(), apptest.Admin(), set)
	if err != nil || again.Unmet == nil || again.Token != first.Token || s.View(t, id).Metadata != nil {
		t.Errorf("%v, %+v", err, again)
	}
}

func TestR2_RepeatedFailureCountsOnce(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		u, id := reachable(t, s)
		code := s.Set(t, id, session.Step{Challenges: session.RequestChallenges{SMS: &session.RequestCode{ReturnCode: true}}})
		for name, step := range map[string]session.Step{
			"password": apptest.Guess("wrong"),
			"sms":      {Checks: session.Checks{SMS: &session.CheckCode{Code: "0" + code.Codes["sms"]}}},
		} {
			_, first := s.TrySet(id, named(step, name))
			_, again := s.TrySet(id, named(step, name))
			if diff := cmp.Diff(fault.From(first).Message(), fault.From(again).Message()); diff != "" ||
				fault.From(first).FailedAttempts != fault.From(again).FailedAttempts {
				t.Errorf("%s: %v, repeated %v", name, first, again)
			}
			now, err := s.Users.Get(t.Context(), apptest.Admin(), u.ID)
			if err != nil {
				t.Fatal(err)
			}
			if got := now.Guard.Attempts[user.Authenticator(name)].Failures; got != 1 {
				t.Errorf("%s: %d failures are counted", name, got)
			}
		}
	})
}

func TestR2_CreationIsRepeatedAsOneSession(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		u, _ := reachable(t, s)
		create := session.Create{Step: named(apptest.Named(u.ID), "c")}
		create.Challenges = sendSMS().Challenges
		results, errs := atOnce(40, func(int) (session.Result, error) {
			return s.Sessions.Create(t.Context(), apptest.Admin(), create)
		})
		first := s.NewSession(t, create)
		for i, err := range errs {
			if err == nil && !cmp.Equal(results[i], first) {
				t.Errorf("call %d answers %v, another %v", i, results[i], first)
			}
			if err != nil && !errors.Is(err, idempotency.ErrRunning) && !errors.Is(err, fault.Conflict) {
				t.Errorf("call %d: %v", i, err)
			}
		}
		if n := len(s.Inbox.Messages()); n != 1 {
			t.Errorf("%d messages left", n)
		}
		if got := s.View(t, first.SessionID); got.Sequence != 1 {
			t.Errorf("the session is at sequence %d", got.Sequence)
		}
	})
}

// TestR2_ParallelRepetitionsAreOneStep: whoever is early may be told to wait, and nobody
// gets another token.
func TestR2_ParallelRepetitionsAreOneStep(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		u, id := reachable(t, s)
		for name, step := range map[string]session.Step{"sent": sendSMS(), "wrong": apptest.Guess("wrong")} {
			before := s.View(t, id).Sequence
			results, errs := atOnce(40, func(int) (session.Result, error) { return s.TrySet(id, named(step, name)) })
			tokens := make(map[string]bool)
			for i, err := range errs {
				switch {
				case err == nil:
					tokens[results[i].Token] = true
				case errors.Is(err, idempotency.ErrRunning), errors.Is(err, fault.Conflict):
				case name == "wrong" && fault.From(err).FailedAttempts == 1:
				default:
					t.Errorf("%s: call %d: %v", name, i, err)
				}
			}
			if want := map[string]uint64{"sent": 1, "wrong": 0}[name]; s.View(t, id).Sequence != before+want || len(tokens) != int(want) {
				t.Errorf("%s: %d tokens, sequence %d after %d", name, len(tokens), s.View(t, id).Sequence, before)
			}
		}
		now, err := s.Users.Get(t.Context(), apptest.Admin(), u.ID)
		if err != nil {
			t.Fatal(err)
		}
		if n := now.Guard.Attempts[user.AuthPassword].Failures; n != 1 || len(s.Inbox.Messages()) != 1 {
			t.Errorf("%d failures, %d messages", n, len(s.Inbox.Messages()))
		}
	})
}

func TestKeyOfAnotherRequestIsRefused(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	u, id := reachable(t, s)
	metadata := session.Step{Metadata: map[string][]byte{"k": []byte("v")}, Once: once("a", "one")}
	s.Set(t, id, metadata)
	metadata.Once = once("a", "two")
	_, err := s.TrySet(id, metadata)
	apptest.WantFault(t, err, idempotency.ErrReused)
	_, err = s.TrySet(id, named(apptest.Guess("wrong"), "b"))
	apptest.WantFault(t, err, user.ErrPasswordWrong)
	other := apptest.Guess("also wrong")
	other.Once = once("b", "other")
	_, err = s.TrySet(id, other)
	apptest.WantFault(t, err, idempotency.ErrReused)

	s.NewSession(t, session.Create{Step: named(apptest.Named(u.ID), "c")})
	create := session.Create{Step: apptest.Named(u.ID)}
	create.Once = once("c", "other")
	_, err = s.Sessions.Create(t.Context(), apptest.Admin(), create)
	apptest.WantFault(t, err, idempotency.ErrReused)
}

// TestCreationWithAForgottenKeyIsRefused: its session is there, and a second one would
// have the same id.
func TestCreationWithAForgottenKeyIsRefused(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	create := session.Create{Step: named(session.Step{}, "c")}
	id := s.NewSession(t, create).SessionID
	s.Clock.Advance(idempotency.Life + time.Second)
	s.Set(t, id, named(session.Step{Metadata: map[string][]byte{"k": []byte("v")}}, "s"))
	_, err := s.Sessions.Create(t.Context(), apptest.Admin(), create)
	apptest.WantFault(t, err, idempotency.ErrReused)
}

// TestRefusedMessageIsNoAnswerToRepeat: the step was taken back, so a repetition tries
// anew.
func TestRefusedMessageIsNoAnswerToRepeat(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		u, id := reachable(t, s)
		create := session.Create{Step: named(apptest.Named(u.ID), "c")}
		create.Challenges = sendSMS().Challenges
		for name, call := range map[string]func() (session.Result, error){
			"set":    func() (session.Result, error) { return s.TrySet(id, named(sendSMS(), "s")) },
			"create": func() (session.Result, error) { return s.Sessions.Create(t.Context(), apptest.Admin(), create) },
		} {
			s.Clock.Advance(time.Hour)
			s.Inbox.FailNext(notify.ErrSMSUnavailable)
			if _, err := call(); !errors.Is(err, notify.ErrSMSUnavailable) {
				t.Errorf("%s: %v", name, err)
			}
			first, err := call()
			if err != nil {
				t.Errorf("%s, repeated: %v", name, err)
			}
			if again, err := call(); err != nil || !cmp.Equal(first, again) {
				t.Errorf("%s, repeated once more: %v, %v after %v", name, err, again, first)
			}
		}
		if n := len(s.Inbox.Messages()); n != 2 {
			t.Errorf("%d messages left", n)
		}
	})
}

func TestStepHappensOnlyInTheStateThatTheCallerKnows(t *testing.T) {
	t.Parallel()
	s := apptest.New(t, apptest.Options{})
	u, id := reachable(t, s)
	set := func(m session.Match, step session.Step) error {
		_, err := s.Sessions.Set(t.Context(), apptest.Admin(), session.Set{SessionID: id, Match: m, Step: step})
		return err
	}
	apptest.WantFault(t, set(session.Match{2}, apptest.Guess("wrong")), session.ErrMoved)
	apptest.WantFault(t, set(session.Match{}, apptest.Guess("wrong")), session.ErrMoved)
	if now, err := s.Users.Get(t.Context(), apptest.Admin(), u.ID); err != nil || len(now.Guard.Attempts) != 0 {
		t.Errorf("a step that did not happen counted: %v, %v", now.Guard.Attempts, err)
	}
	if err := set(session.Match{7, 1}, apptest.Guess(apptest.Password)); err != nil {
		t.Error(err)
	}
	_, err := s.Sessions.Set(t.Context(), access.Caller{}, session.Set{SessionID: id, Match: session.Match{9}})
	apptest.WantFault(t, err, access.ErrForbidden)
}

func TestOneOfParallelStepsFromOneStateHappens(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		s := apptest.New(t, apptest.Options{Table: tb})
		id := s.NewSession(t, session.Create{}).SessionID
		_, errs := atOnce(40, func(i int) (session.Result, error) {
			step := session.Step{Metadata: map[string][]byte{"k": {byte(i + 1)}}}
			return s.Sessions.Set(t.Context(), apptest.Admin(), session.Set{SessionID: id, Match: session.Match{1}, Step: step})
		})
		happened := 0
		for _, err := range errs {
			switch {
			case err == nil:
				happened++
			case !errors.Is(err, session.ErrMoved) && !errors.Is(err, fault.Conflict):
				t.Error(err)
			}
		}
		if happened != 1 {
			t.Errorf("%d steps happened", happened)
		}
	})
}
