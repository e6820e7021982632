package session_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/assurance"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
)

// atLeast requires a level.
func atLeast(l assurance.Level) assurance.Requirement { return assurance.Requirement{MinAAL: l} }

// read gets the session under a requirement, as a caller.
func (e *enrolled) read(caller access.Caller, token string, r assurance.Requirement) error {
	_, err := e.Sessions.GetMeeting(e.t.Context(), caller, e.session, token, r)
	return err
}

// missing fails the test unless err says that a requirement is not met, and returns the
// ways that it offers, as factor, what is sent, and what is needed after it.
func missing(t *testing.T, err error) []string {
	t.Helper()
	refused(t, err, session.ErrInsufficient.ID)
	var unmet *session.Unmet
	if !errors.As(err, &unmet) {
		t.Fatalf("%v does not say what is missing", err)
	}
	return ways(unmet)
}

func ways(unmet *session.Unmet) []string {
	var all []string
	for _, s := range unmet.Steps {
		way := string(s.Factor)
		if s.Sends != assurance.NothingSent {
			way += "!"
		}
		for _, f := range s.Then {
			way += "," + string(f)
		}
		all = append(all, way)
	}
	return all
}

func sameWays(t *testing.T, got []string, want ...string) {
	t.Helper()
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ways (-want +got):\n%s", diff)
	}
}

// requiring is a step under a requirement.
func (e *enrolled) requiring(r assurance.Requirement, s session.Step) (session.Result, error) {
	return e.Sessions.Set(e.t.Context(), apptest.Admin(), session.Set{SessionID: e.session, Step: s, Require: &r})
}

func (e *enrolled) right() string { return otp.Code(e.seed, e.Clock.Now()) }

func byApp(code string) session.Step {
	return session.Step{Checks: session.Checks{TOTP: &session.CheckCode{Code: code}}}
}

func TestS11_AReaderIsToldWhatTheSessionLacksAndWhatItsUserCanDo(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		e := enrol(t, tb)
		e.givePassword(apptest.Password)
		admin := apptest.Admin()
		sameWays(t, missing(t, e.read(admin, "", atLeast(2))), "password,totp")
		e.step(apptest.Guess(apptest.Password))
		check(t, e.read(admin, "", atLeast(1)))
		sameWays(t, missing(t, e.read(admin, "", atLeast(2))), "totp", "otpSms!")
		sameWays(t, missing(t, e.read(admin, "", atLeast(3)))) // nothing leads there
		e.step(byApp(e.right()))
		check(t, e.read(admin, "", atLeast(2)))
		e.Clock.Advance(time.Minute)
		stale := assurance.Requirement{MinAAL: 2, MaxAge: map[assurance.Factor]time.Duration{assurance.Any: time.Minute - 1}}
		sameWays(t, missing(t, e.read(admin, "", stale)), "password,totp")
		byMail := assurance.Requirement{AnyOf: [][]assurance.Factor{{assurance.SMS}, {assurance.Email}, {assurance.Recovery}}}
		sameWays(t, missing(t, e.read(admin, "", byMail)), "recoveryCode", "otpEmail!", "otpSms!")
	})
}

func TestOnlyStepsThatCanBeTakenAreOffered(t *testing.T) {
	t.Parallel()
	admin := apptest.Admin()
	for name, c := range map[string]struct {
		before func(*enrolled)
		want   []string
	}{
		"all of them": {func(*enrolled) {}, []string{"totp", "otpSms!"}},
		"not the app that is locked": {func(e *enrolled) {
			for range 10 {
				_, err := e.set(byApp(wrongCode(e.right())))
				refused(e.t, err, "EVENT-8isk2")
			}
		}, []string{"otpSms!"}},
		"not a message that must wait": {func(e *enrolled) {
			_, err := e.set(session.Step{Challenges: asking(sending.SMS, session.RequestCode{})})
			check(e.t, err)
			e.session = e.start()
			e.step(apptest.Guess(apptest.Password))
		}, []string{"totp"}},
		"a message that has waited": {func(e *enrolled) {
			_, err := e.set(session.Step{Challenges: asking(sending.SMS, session.RequestCode{})})
			check(e.t, err)
			e.Clock.Advance(time.Minute)
			e.session = e.start()
			e.step(apptest.Guess(apptest.Password))
		}, []string{"totp", "otpSms!"}},
		"the answer to a code that is out": {func(e *enrolled) {
			_, err := e.set(session.Step{Challenges: asking(sending.SMS, session.RequestCode{})})
			check(e.t, err)
		}, []string{"totp", "otpSms"}},
		"not what was removed": {func(e *enrolled) {
			_, err := e.Users.RemoveTOTP(e.t.Context(), admin, e.user.ID)
			check(e.t, err)
			_, err = e.Users.RemoveSMSCodes(e.t.Context(), admin, e.user.ID)
			check(e.t, err)
		}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enrol(t, nil)
			e.givePassword(apptest.Password)
			e.step(apptest.Guess(apptest.Password))
			c.before(e)
			sameWays(t, missing(t, e.read(admin, "", atLeast(2))), c.want...)
		})
	}
}

func TestAKeyIsOfferedForWhatItCanBring(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		kind   passkey.Kind
		synced bool
		level  assurance.Level
		want   []string
	}{
		{passkey.Passkey, true, 2, []string{"webAuthN"}},
		{passkey.Passkey, true, 3, nil},
		{passkey.Passkey, false, 3, []string{"webAuthN"}},
		{passkey.U2F, false, 1, []string{"webAuthN"}},
		{passkey.U2F, false, 2, nil},
	} {
		t.Run(fmt.Sprintf("%s, synced %v, for level %d", c.kind, c.synced, c.level), func(t *testing.T) {
			t.Parallel()
			h := holdMade(t, newKeyService(t, nil), heldKey{kind: c.kind, synced: c.synced, loginName: "ada@example.com"})
			sameWays(t, missing(t, h.read(apptest.Admin(), "", atLeast(c.level))), c.want...)
		})
	}
}

func TestWhatAUserHasSetUpIsToldOnlyToThoseWhoMayKnow(t *testing.T) {
	t.Parallel()
	e := enrol(t, nil)
	e.givePassword(apptest.Password)
	r, err := e.set(apptest.Guess(apptest.Password))
	check(t, err)
	nobody := access.Caller{ID: "nobody"}
	sameWays(t, missing(t, e.read(nobody, r.Token, atLeast(2)))) // reads by the token
	self := access.Caller{ID: e.user.ID, UserID: e.user.ID}
	sameWays(t, missing(t, e.read(self, "", atLeast(2))), "totp", "otpSms!")
	refused(t, e.read(nobody, "", atLeast(2)), access.ErrForbidden.ID)
}

func TestWithoutAUserTheFirstStepIsToNameOne(t *testing.T) {
	t.Parallel()
	e := enrol(t, nil)
	e.session = e.NewSession(t, session.Create{}).SessionID
	sameWays(t, missing(t, e.read(apptest.Admin(), "", atLeast(1))), "user")
}

func TestAnExpiredSessionHasNoWayToARequirement(t *testing.T) {
	t.Parallel()
	e := enrol(t, nil)
	_, err := e.set(lifetime(time.Minute))
	check(t, err)
	e.Clock.Advance(time.Hour)
	sameWays(t, missing(t, e.read(apptest.Admin(), "", atLeast(1))))
}

func TestAStepKeepsItsChecksWhereTheRequirementIsNotMetYet(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		e := enrol(t, tb)
		e.givePassword(apptest.Password)
		first := apptest.Guess(apptest.Password)
		first.Metadata = metadata("signed-in", "yes").Metadata
		first.Lifetime = lifetime(time.Hour).Lifetime
		r, err := e.requiring(atLeast(2), first)
		check(t, err)
		v := e.View(t, e.session)
		if r.Unmet == nil || r.Token == "" || v.Factors.Password.IsZero() || v.Assurance.AAL != 1 {
			t.Fatalf("unmet %v, token %q, %+v", r.Unmet, r.Token, v.Assurance)
		}
		sameWays(t, ways(r.Unmet), "totp", "otpSms!")
		if len(v.Metadata) > 0 || !v.ExpiresAt.IsZero() {
			t.Error("what the requirement was for has happened without it")
		}
		second := byApp(e.right())
		second.Metadata, second.Lifetime = first.Metadata, first.Lifetime
		r, err = e.requiring(atLeast(2), second)
		check(t, err)
		v = e.View(t, e.session)
		if r.Unmet != nil || len(v.Metadata) != 1 || v.ExpiresAt.IsZero() || r.Assurance.AAL != 2 {
			t.Errorf("unmet %v, metadata %v, expires %v, %+v", r.Unmet, v.Metadata, v.ExpiresAt, r.Assurance)
		}
	})
}

func TestAChallengeIsOpenedOnTheWayToTheRequirement(t *testing.T) {
	t.Parallel()
	e := enrol(t, nil)
	e.givePassword(apptest.Password)
	e.step(apptest.Guess(apptest.Password))
	r, err := e.requiring(atLeast(2), session.Step{Challenges: asking(sending.SMS, session.RequestCode{})})
	check(t, err)
	if len(e.Inbox.Messages()) != 1 {
		t.Error("no code was sent")
	}
	sameWays(t, ways(r.Unmet), "totp", "otpSms") // whose code is out
}

func TestAStepWithNeitherChecksNorChallengesIsRefusedUntilTheRequirementIsMet(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		e := enrol(t, tb)
		before := e.View(t, e.session)
		for name, s := range map[string]session.Step{"nothing": {}, "metadata": metadata("k", "v"), "lifetime": lifetime(time.Hour)} {
			_, err := e.requiring(atLeast(1), s)
			if got := missing(t, err); len(got) != 0 { // ada has no password
				t.Errorf("%s: offered %v", name, got)
			}
		}
		equal(t, e.View(t, e.session), before)
	})
}

// A requirement must not become an oracle: it is looked at after the checks, whose
// outcome counts as without it.
func TestL3_ARequirementChangesNothingAboutHowChecksCount(t *testing.T) {
	t.Parallel()
	e := enrol(t, nil)
	e.givePassword(apptest.Password)
	code := e.right()
	for range 10 {
		_, err := e.requiring(atLeast(3), byApp(wrongCode(code)))
		refused(t, err, "EVENT-8isk2")
	}
	_, err := e.requiring(atLeast(3), byApp(code))
	refused(t, err, "COMMAND-SF3fg") // locked, like anybody's
	e.Clock.Advance(time.Minute)
	code = e.right()
	r, err := e.requiring(atLeast(3), byApp(code))
	check(t, err)
	if r.Unmet == nil {
		t.Error("AAL 3 by an app")
	}
	_, err = e.requiring(atLeast(3), byApp(code))
	refused(t, err, "TOTP-Auw0a") // used up
}

// blind is a table that cannot read what was sent.
type blind struct{ table.Table }

func (b blind) Get(ctx context.Context, k table.Key) (table.Item, error) {
	if strings.HasPrefix(k.PK, "SENT#") {
		return nil, errors.New("unreadable")
	}
	return b.Table.Get(ctx, k)
}

func (b blind) BatchGet(ctx context.Context, keys []table.Key) ([]table.Item, error) {
	for _, k := range keys {
		if strings.HasPrefix(k.PK, "SENT#") {
			return nil, errors.New("unreadable")
		}
	}
	return b.Table.BatchGet(ctx, keys)
}

func TestR1_WhereLimitsCannotBeReadTheAnswerStandsWithoutMessages(t *testing.T) {
	t.Parallel()
	e := enrol(t, blind{apptest.Bolt(t)})
	e.givePassword(apptest.Password)
	r, err := e.requiring(atLeast(2), apptest.Guess(apptest.Password))
	check(t, err)
	if r.Token == "" {
		t.Error("the committed step has no token")
	}
	sameWays(t, ways(r.Unmet), "totp")
	sameWays(t, missing(t, e.read(apptest.Admin(), "", atLeast(2))), "totp")
}
