package session_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/assurance"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// worth is what a reader sees of a session, and fails the test if List tells otherwise.
func (e *enrolled) worth() assurance.Assurance {
	e.t.Helper()
	seen := e.View(e.t, e.session).Assurance
	listed, err := e.Sessions.List(e.t.Context(), apptest.Admin(), session.Search{Filters: []session.Filter{session.IDs{e.session}}})
	check(e.t, err)
	if diff := cmp.Diff(seen, listed.Sessions[0].Assurance); diff != "" {
		e.t.Errorf("Get (-) and List (+) differ:\n%s", diff)
	}
	return seen
}

// step returns what the answer says, and fails the test unless a reader sees the same.
func (e *enrolled) step(s session.Step) assurance.Assurance {
	e.t.Helper()
	r, err := e.set(s)
	check(e.t, err)
	if diff := cmp.Diff(r.Assurance, e.worth()); diff != "" {
		e.t.Errorf("Set (-) and Get (+) differ:\n%s", diff)
	}
	return r.Assurance
}

func (e *enrolled) givePassword(plain string) {
	e.t.Helper()
	_, err := e.Users.SetPassword(e.t.Context(), apptest.Admin(), e.user.ID, user.PasswordChange{New: user.NewPassword{Plain: plain}})
	check(e.t, err)
}

func TestO11_AssuranceGrowsWithTheFactorsAndNotWithAMail(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		e := enrol(t, tb)
		e.givePassword(apptest.Password)
		now := e.Clock.Now()
		level := func(aal assurance.Level, restricted bool, amr ...string) assurance.Assurance {
			return assurance.Assurance{AAL: aal, ACR: aal.ACR(), AMR: amr, AuthTime: now, Restricted: restricted}
		}
		for _, step := range []struct {
			step session.Step
			want assurance.Assurance
		}{
			{answering(sending.Email, e.ask(sending.Email)), assurance.Assurance{AMR: []string{"stepup:email"}}},
			{apptest.Guess(apptest.Password), level(1, false, "pwd", "stepup:email")},
			{session.Step{Checks: session.Checks{Recovery: &session.CheckCode{Code: e.recovery[0]}}}, level(1, false, "pwd", "stepup:email", "stepup:recovery")},
			{answering(sending.SMS, e.ask(sending.SMS)), level(2, true, "pwd", "sms", "stepup:email", "stepup:recovery", "mfa")},
			{session.Step{Checks: session.Checks{TOTP: &session.CheckCode{Code: otp.Code(e.seed, now)}}}, level(2, false, "pwd", "otp", "sms", "stepup:email", "stepup:recovery", "mfa")},
		} {
			if diff := cmp.Diff(step.want, e.step(step.step)); diff != "" {
				t.Error(diff)
			}
		}
	})
}

func TestW5_AKeyThatMayLeaveItsDeviceStaysBelowAAL3(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind     passkey.Kind
		synced   bool
		password bool
		want     assurance.Level
	}{
		"passkey, device-bound":                {passkey.Passkey, false, false, 3},
		"passkey, synced":                      {passkey.Passkey, true, false, 2},
		"U2F key, device-bound":                {passkey.U2F, false, false, 1},
		"U2F key, device-bound, with password": {passkey.U2F, false, true, 3},
		"U2F key, synced, with password":       {passkey.U2F, true, true, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			h := holdMade(t, newKeyService(t, nil), heldKey{kind: c.kind, synced: c.synced, loginName: "ada@example.com"})
			if c.password {
				h.givePassword(apptest.Password)
				h.step(apptest.Guess(apptest.Password))
			}
			a := h.step(h.sign(h.demand()))
			if a.AAL != c.want || !a.PhishingResistant {
				t.Errorf("%+v, want AAL %d and phishing-resistant", a, c.want)
			}
		})
	}
}

func TestAU2FKeyThatVerifiedItsUserIsStillOneFactor(t *testing.T) {
	t.Parallel()
	h := hold(t, newKeyService(t, nil), passkey.U2F, "ada@example.com")
	h.device.Options.UserNotVerified = false
	if a := h.step(h.sign(h.demand())); a.AAL != 1 {
		t.Errorf("%+v, want AAL 1", a)
	}
}

func TestAFactorThatIsDroppedCountsForNothing(t *testing.T) {
	t.Parallel()
	e := enrol(t, nil)
	e.givePassword(apptest.Password)
	step := apptest.Guess(apptest.Password)
	step.Checks.TOTP = &session.CheckCode{Code: otp.Code(e.seed, e.Clock.Now())}
	if a := e.step(step); a.AAL != 2 {
		t.Fatalf("%+v, want AAL 2", a)
	}
	e.Clock.Advance(time.Minute)
	e.givePassword("another long secret")
	if diff := cmp.Diff(assurance.Assurance{AMR: []string{"otp"}}, e.worth()); diff != "" {
		t.Error(diff)
	}
}

func TestAnExpiredSessionIsWorthNothing(t *testing.T) {
	t.Parallel()
	e := enrol(t, nil)
	e.givePassword(apptest.Password)
	step := apptest.Guess(apptest.Password)
	step.Lifetime = lifetime(time.Minute).Lifetime
	if a := e.step(step); a.AAL != 1 {
		t.Fatalf("%+v, want AAL 1", a)
	}
	e.Clock.Advance(time.Minute + time.Microsecond)
	if diff := cmp.Diff(assurance.Assurance{}, e.worth()); diff != "" {
		t.Error(diff)
	}
}
