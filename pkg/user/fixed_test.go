package user_test

import (
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

// fixedCode is the code of the second address of both kinds of contact.
const fixedCode = "12345678"

func fixedCodes() map[string]string {
	return map[string]string{
		"STEPUP_ENV":        "ci",
		"STEPUP_TEST_CODES": phoneNumber().second + "=" + fixedCode + ";" + mail().second + "=" + fixedCode,
	}
}

// setSecond gives the user the second address and asks for a code to be sent to it.
func (c contact) setSecond(t *testing.T, s *apptest.Service, id string) {
	t.Helper()
	_, err := c.set(s, apptest.Admin(), id, user.Contact{Address: c.second}, &user.CodeRequest{})
	outcome(t, "set", err, "")
}

func TestATestAddressIsVerifiedByItsCodeAndNoMessageLeaves(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, c contact) {
		apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
			s := apptest.New(t, apptest.Options{Table: tb, Env: fixedCodes()})
			id := newcomer(t, s, true)
			outcome(t, "no code was asked for", c.verify(s, apptest.Admin(), id, fixedCode), "COMMAND-eis9R")
			c.setSecond(t, s, id)
			for range 20 { // above every cap, and within the cooldown
				_, err := c.send(s, proven(s, id), id, user.CodeRequest{})
				outcome(t, "send", err, "")
			}
			if got := c.code(t, s, id); got != fixedCode {
				t.Errorf("the code that is returned is %s", got)
			}
			if got, want := c.of(get(t, s, id)), (user.Contact{Address: c.second}); got != want {
				t.Errorf("before: %+v, want %+v", got, want)
			}
			outcome(t, "verify", c.verify(s, proven(s, id), id, fixedCode), "")
			if got, want := c.of(get(t, s, id)), (user.Contact{Address: c.second, Verified: true}); got != want {
				t.Errorf("after: %+v, want %+v", got, want)
			}
			outcome(t, "verify again", c.verify(s, proven(s, id), id, fixedCode), "COMMAND-eis9R")
			if n := len(s.Inbox.Messages()); n != 0 {
				t.Errorf("%d messages left", n)
			}
		})
	})
}

func TestO2_O4_AFixedCodeForAnAddressExpiresAndDiesLikeAnother(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, c contact) {
		s := apptest.New(t, apptest.Options{Env: fixedCodes()})
		id := newcomer(t, s, false)
		c.setSecond(t, s, id)
		s.Clock.Advance(c.life + time.Second)
		outcome(t, "too late", c.verify(s, apptest.Admin(), id, fixedCode), "CODE-QvUQ4P")
		for range 2 {
			c.code(t, s, id)
			for range 5 {
				outcome(t, "wrong", c.verify(s, apptest.Admin(), id, other(fixedCode)), "COMMAND-eis9R")
			}
			outcome(t, "right after five wrong", c.verify(s, apptest.Admin(), id, fixedCode), "COMMAND-eis9R")
		}
		_, err := c.send(s, apptest.Admin(), id, user.CodeRequest{})
		outcome(t, "another code after ten failures", err, "STEPUP-verify-locked")
	})
}

func TestAFixedCodeVerifiesNoOtherAddress(t *testing.T) {
	t.Parallel()
	forBoth(t, func(t *testing.T, c contact) {
		s := apptest.New(t, apptest.Options{Env: fixedCodes()})
		id := newcomer(t, s, false)
		code := c.code(t, s, id)
		outcome(t, "code of another address", c.verify(s, apptest.Admin(), id, fixedCode), "COMMAND-eis9R")
		c.setSecond(t, s, id)
		outcome(t, "code of the former address", c.verify(s, apptest.Admin(), id, code), "COMMAND-eis9R")
		prod := apptest.New(t, apptest.Options{Env: map[string]string{"STEPUP_ENV": "prod"}})
		id = newcomer(t, prod, false)
		c.setSecond(t, prod, id)
		outcome(t, "without fixed codes", c.verify(prod, apptest.Admin(), id, fixedCode), "COMMAND-eis9R")
		if n := len(sentTo(prod, c.second)); n != 1 {
			t.Errorf("%d messages without fixed codes, want 1", n)
		}
	})
}
