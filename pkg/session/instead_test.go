package session_test

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/assurance"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
)

func byMail() session.Step {
	return session.Step{Challenges: asking(sending.Email, session.RequestCode{})}
}

// instead fails the test unless err is the refusal of the limit with alternatives, and
// returns them as ways does.
func instead(t *testing.T, err error, limit *fault.Fault) []string {
	t.Helper()
	refused(t, err, limit.ID)
	a, ok := errors.AsType[*session.Alternatives](err)
	if !ok {
		t.Fatalf("%v has no alternatives", err)
	}
	return ways(&session.Unmet{Steps: a.Steps})
}

// address is where ada's browser is.
var address = netip.MustParseAddr("203.0.113.7")

// TestARefusedMessageNamesWhatTheUserCanDoInstead has a row for each limit: what fills it
// before ada asks for a text message, and what is left to her.
func TestARefusedMessageNamesWhatTheUserCanDoInstead(t *testing.T) {
	t.Parallel()
	sendBoth := func(e *enrolled) {
		for _, s := range []session.Step{sendSMS(), byMail()} {
			_, err := e.set(s)
			check(e.t, err)
		}
		e.session = e.NewSession(e.t, session.Create{Step: apptest.Named(e.user.ID), Agent: session.UserAgent{IP: address}}).SessionID
	}
	later := func(e *enrolled) { sendBoth(e); e.Clock.Advance(10 * time.Minute) }
	for name, row := range map[string]struct {
		env    map[string]string
		before func(*enrolled)
		limit  *fault.Fault
		want   []string
	}{
		"cooldown, and the code is out": {nil, func(e *enrolled) {
			_, err := e.set(sendSMS())
			check(e.t, err)
		}, sending.ErrCooldown, []string{"totp", "recoveryCode", "otpSms", "otpEmail!"}},
		"cooldown":     {nil, sendBoth, sending.ErrCooldown, []string{"totp", "recoveryCode"}},
		"address":      {map[string]string{"STEPUP_SEND_PER_HOUR": "1"}, later, sending.ErrAddress, []string{"totp", "recoveryCode"}},
		"user's hour":  {map[string]string{"STEPUP_SEND_USER_PER_HOUR": "1"}, later, sending.ErrUser, []string{"totp", "recoveryCode"}},
		"user's day":   {map[string]string{"STEPUP_SEND_USER_PER_DAY": "1"}, later, sending.ErrUser, []string{"totp", "recoveryCode"}},
		"organization": {map[string]string{"STEPUP_SEND_ORGANIZATION_PER_DAY": "1"}, later, sending.ErrOrganization, []string{"totp", "recoveryCode"}},
		"country":      {map[string]string{"STEPUP_SMS_COUNTRY_PER_DAY": "1"}, later, sending.ErrCountry, []string{"totp", "recoveryCode", "otpEmail!"}},
		"region":       {breaker(1), later, sending.ErrConversion, []string{"totp", "recoveryCode", "otpEmail!"}},
		"network": {map[string]string{"STEPUP_SEND_NETWORK_PER_DAY": "1"}, func(e *enrolled) {
			e.session = e.NewSession(e.t, session.Create{Step: apptest.Named(e.user.ID), Agent: session.UserAgent{IP: address}}).SessionID
			later(e)
		}, sending.ErrNetwork, []string{"totp", "recoveryCode"}},
		"budget of SMS":     {map[string]string{"STEPUP_SMS_BUDGET": "1"}, later, sending.ErrBudget, []string{"totp", "recoveryCode", "otpEmail!"}},
		"budget of both":    {map[string]string{"STEPUP_SMS_BUDGET": "1", "STEPUP_MAIL_BUDGET": "1"}, later, sending.ErrBudget, []string{"totp", "recoveryCode"}},
		"USD of SMS":        {map[string]string{"STEPUP_SMS_BUDGET_USD": "0.10"}, later, sending.ErrBudget, []string{"totp", "recoveryCode", "otpEmail!"}},
		"USD of both":       {map[string]string{"STEPUP_SMS_BUDGET_USD": "0.10", "STEPUP_MAIL_BUDGET_USD": "0.00015"}, later, sending.ErrBudget, []string{"totp", "recoveryCode"}},
		"prefix":            {map[string]string{"STEPUP_SMS_PREFIXES": "+49"}, func(*enrolled) {}, sending.ErrPrefix, []string{"totp", "recoveryCode", "otpEmail!"}},
		"what is proved":    {nil, func(e *enrolled) { sendBoth(e); e.step(byApp(e.right())) }, sending.ErrCooldown, []string{"recoveryCode"}},
		"nothing is set up": {nil, func(e *enrolled) { sendBoth(e); removeAll(e) }, sending.ErrCooldown, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
				e := enrolIn(t, apptest.Options{Table: tb, Env: row.env})
				row.before(e)
				before := e.View(t, e.session)
				_, err := e.set(sendSMS())
				sameWays(t, instead(t, err, row.limit), row.want...)
				equal(t, e.View(t, e.session), before)
			})
		})
	}
}

// removeAll leaves ada nothing but codes by SMS.
func removeAll(e *enrolled) {
	ctx, admin := e.t.Context(), apptest.Admin()
	_, err := e.Users.RemoveTOTP(ctx, admin, e.user.ID)
	check(e.t, err)
	_, err = e.Users.RemoveRecoveryCodes(ctx, admin, e.user.ID)
	check(e.t, err)
	_, err = e.Users.RemoveEmailCodes(ctx, admin, e.user.ID)
	check(e.t, err)
}

func TestARefusedCreationNamesWhatTheCallHasNotProved(t *testing.T) {
	t.Parallel()
	e := enrol(t, nil)
	e.givePassword(apptest.Password)
	_, err := e.set(sendSMS())
	check(t, err)
	create := session.Create{Step: apptest.Named(e.user.ID)}
	create.Checks.Password = &session.CheckPassword{Plain: apptest.Password}
	create.Challenges = sendSMS().Challenges
	_, err = e.Sessions.Create(t.Context(), apptest.Admin(), create)
	sameWays(t, instead(t, err, sending.ErrCooldown), "totp", "recoveryCode", "otpEmail!")
}

// TestARefusalUnderARequirementNamesTheOtherWaysToIt asks for what a mail cannot bring.
func TestARefusalUnderARequirementNamesTheOtherWaysToIt(t *testing.T) {
	t.Parallel()
	e := enrol(t, nil)
	e.givePassword(apptest.Password)
	_, err := e.set(sendSMS())
	check(t, err)
	e.session = e.start()
	_, err = e.requiring(atLeast(2), sendSMS())
	sameWays(t, instead(t, err, sending.ErrCooldown), "password,totp")
}

// TestS11_AlternativesAreToldOnlyToThoseWhoMayKnow also asks for a code for nobody.
func TestS11_AlternativesAreToldOnlyToThoseWhoMayKnow(t *testing.T) {
	t.Parallel()
	e := enrol(t, nil)
	_, err := e.set(sendSMS())
	check(t, err)
	step := session.Set{SessionID: e.session, Step: sendSMS()}
	for _, role := range []access.Role{access.IAMOwner, access.IAMLoginClient} {
		_, err := e.Sessions.Set(t.Context(), access.Caller{ID: "key", Role: role}, step)
		sameWays(t, instead(t, err, sending.ErrCooldown), "totp", "recoveryCode", "otpSms", "otpEmail!")
	}
	_, ofNobody := e.Sessions.Create(t.Context(), apptest.Admin(), session.Create{
		Step: session.Step{Checks: apptest.Named("nobody").Checks, Challenges: sendSMS().Challenges},
	})
	_, ofOwner := e.Sessions.Set(t.Context(), access.Caller{ID: "key", Role: access.OrgOwner, Organization: e.user.Organization}, step)
	_, byUser := e.Sessions.Set(t.Context(), access.Caller{ID: e.user.ID, UserID: e.user.ID}, step)
	for name, err := range map[string]error{"nobody's": ofNobody, "of who may write no sessions": ofOwner, "the user's own": byUser} {
		if _, told := errors.AsType[*session.Alternatives](err); told || sending.Limit(err) != "" || err == nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestARepeatedRefusalNamesAlternativesAgain repeats a step that was refused after a check
// of it was counted.
func TestARepeatedRefusalNamesAlternativesAgain(t *testing.T) {
	t.Parallel()
	e := enrol(t, nil)
	_, err := e.set(sendSMS())
	check(t, err)
	s := byApp(e.right())
	s.Challenges = sendSMS().Challenges
	s = named(s, "k")
	var waits []time.Duration
	for range 2 {
		_, err = e.set(s)
		if got := instead(t, err, sending.ErrCooldown); len(got) == 0 {
			t.Error("there are no alternatives")
		}
		waits = append(waits, fault.From(err).RetryAfter)
	}
	if waits[0] != waits[1] || waits[0] == 0 {
		t.Errorf("has to wait %v", waits)
	}
}

func TestR1_WhereLimitsCannotBeReadARefusalStandsWithoutMessages(t *testing.T) {
	t.Parallel()
	e := enrolIn(t, apptest.Options{Table: blind{apptest.Bolt(t)}, Env: map[string]string{"STEPUP_SMS_PREFIXES": "+49"}})
	_, err := e.set(sendSMS())
	sameWays(t, instead(t, err, sending.ErrPrefix), "totp", "recoveryCode")
}

// TestTheGateLeavesOutWhatACapOfTheDayHoldsBack fills the user's cap of the day over SMS.
func TestTheGateLeavesOutWhatACapOfTheDayHoldsBack(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		env  map[string]string
		want []string
	}{
		"no cap":      {nil, []string{"totp", "otpSms!"}},
		"user's hour": {map[string]string{"STEPUP_SEND_USER_PER_HOUR": "1"}, []string{"totp"}},
		"user's day":  {map[string]string{"STEPUP_SEND_USER_PER_DAY": "1"}, []string{"totp"}},
		"budget":      {map[string]string{"STEPUP_SMS_BUDGET": "1"}, []string{"totp"}},
		"USD":         {map[string]string{"STEPUP_SMS_BUDGET_USD": "0.10"}, []string{"totp"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
				e := enrolIn(t, apptest.Options{Table: tb, Env: row.env})
				_, err := e.set(sendSMS())
				check(t, err)
				e.Clock.Advance(10 * time.Minute)
				either := assurance.Requirement{AnyOf: [][]assurance.Factor{{assurance.SMS}, {assurance.TOTP}}}
				sameWays(t, missing(t, e.read(apptest.Admin(), "", either)), row.want...)
			})
		})
	}
}
