package session_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/sending/price"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
)

// ownPrices are those of a deployment that has written its own.
func ownPrices(sms string) map[string]string {
	return map[string]string{"STEPUP_SMS_PRICES": sms, "STEPUP_MAIL_PRICE": "0.002"}
}

func both(c session.RequestCode) session.Step {
	return session.Step{Challenges: session.RequestChallenges{SMS: &c, Email: &c}}
}

func TestAStepTellsWhatItsMessagesAreReckonedToCost(t *testing.T) {
	t.Parallel()
	for name, row := range map[string]struct {
		env  map[string]string
		step session.Step
		want map[sending.Channel]price.Micros
	}{
		"a text message":    {ownPrices("+41=0.07,*=0.25"), sendSMS(), map[sending.Channel]price.Micros{sending.SMS: 70_000}},
		"all else":          {ownPrices("+49=0.11,*=0.25"), sendSMS(), map[sending.Channel]price.Micros{sending.SMS: 250_000}},
		"one that is free":  {ownPrices("*=0"), sendSMS(), map[sending.Channel]price.Micros{sending.SMS: 0}},
		"a mail":            {ownPrices("*=0.25"), byMail(), map[sending.Channel]price.Micros{sending.Email: 2_000}},
		"both":              {ownPrices("*=0.25"), both(session.RequestCode{}), map[sending.Channel]price.Micros{sending.SMS: 250_000, sending.Email: 2_000}},
		"a returned code":   {ownPrices("*=0.25"), both(session.RequestCode{ReturnCode: true}), nil},
		"nothing":           {ownPrices("*=0.25"), metadata("k", "v"), nil},
		"an example price":  {nil, both(session.RequestCode{}), nil},
		"only mails priced": {map[string]string{"STEPUP_MAIL_PRICE": "0.002"}, both(session.RequestCode{}), map[sending.Channel]price.Micros{sending.Email: 2_000}},
		"a fixed code": {map[string]string{
			"STEPUP_SMS_PRICES": "*=0.25", "STEPUP_ENV": "test", "STEPUP_TEST_CODES": phone + "=12345678",
		}, sendSMS(), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := enrolIn(t, apptest.Options{Env: row.env})
			r, err := e.set(row.step)
			check(t, err)
			if diff := cmp.Diff(row.want, r.Prices); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// TestR2_ARepetitionTellsThePriceOfThen repeats a step after the price list was replaced,
// and after it was taken away.
func TestR2_ARepetitionTellsThePriceOfThen(t *testing.T) {
	t.Parallel()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		e := enrolIn(t, apptest.Options{Table: tb, Env: ownPrices("*=0.25")})
		step := named(both(session.RequestCode{}), "k")
		first, err := e.set(step)
		check(t, err)
		if first.Prices[sending.SMS] != 250_000 || first.Prices[sending.Email] != 2_000 {
			t.Errorf("first %v", first.Prices)
		}
		for _, env := range []map[string]string{ownPrices("*=0.30"), nil} {
			later := apptest.New(t, apptest.Options{Table: tb, Ring: e.Ring, Env: env})
			again, err := later.TrySet(e.session, step)
			check(t, err)
			if diff := cmp.Diff(first, again); diff != "" {
				t.Errorf("first and repeated (-first +repeated):\n%s", diff)
			}
		}
	})
}
