package server_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/table"
)

// The tests in this file and in advisory_session_test.go make the calls that showed holes in
// other products (test/securitybar), over REST and with the configuration as it comes.

// overBothStores gives a test the service on each store.
func overBothStores(t *testing.T, o apptest.Options, test func(t *testing.T, c restClient)) {
	t.Helper()
	apptest.OnBothStores(t, func(t *testing.T, tb table.Table) {
		o := o
		o.Table = tb
		o.Env = map[string]string{"STEPUP_TIMEOUT": "10m", "STEPUP_ORGANIZATIONS": "red,blue"} // see newREST
		s := apptest.New(t, o)
		test(t, restClient{Service: s, key: s.NewKey(t, access.IAMOwner, "")})
	})
}

// outcomes makes n calls at once and counts their answers, by status and id.
func outcomes(t *testing.T, n int, call func(i int) answer) map[string]int {
	t.Helper()
	answers := make([]answer, n)
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { answers[i] = call(i) })
	}
	all.Wait()
	counts := make(map[string]int)
	for _, a := range answers {
		counts[a.outcome(t)]++
	}
	return counts
}

// outcome is "ok", or the status and id of a refusal.
func (a answer) outcome(t testing.TB) string {
	t.Helper()
	if a.status < http.StatusBadRequest {
		return "ok"
	}
	r := a.refusal(t)
	for _, d := range r.Details {
		if id, ok := d["id"].(string); ok {
			return fmt.Sprintf("%d %s", a.status, id)
		}
	}
	return fmt.Sprintf("%d %s", a.status, r.Message)
}

// wrongOf is a code that is none of the right ones.
func wrongOf(right ...string) string {
	first := right[0]
	for digit := '0'; ; digit++ {
		guess := first[:len(first)-1] + string(digit)
		if !strings.Contains(strings.Join(right, " "), guess) {
			return guess
		}
	}
}

// Parallel checks each saw a count that was still below the limit.
func TestL3_CVE_2023_47111_ParallelRequestsGuessAPasswordNoMoreThanTheLimit(t *testing.T) {
	t.Parallel()
	overBothStores(t, apptest.Options{}, func(t *testing.T, c restClient) {
		ada := c.NewUserCheap(t, "ada@stepup.test")
		session := "/v2/sessions/" + c.create(t, login(ada.ID, "")).SessionID
		got := outcomes(t, 100, func(i int) answer {
			password := fmt.Sprintf(`"password": {"password": "guess %d"}`, i)
			if i%2 == 0 {
				return c.do("PATCH", session, `{"checks": {`+password+`}}`)
			}
			return c.do("POST", "/v2/sessions", `{"checks": {"user": {"userId": "`+ada.ID+`"}, `+password+`}}`)
		})
		if got["400 COMMAND-3M0fs"] != 10 || got["400 COMMAND-JLK35"] != 90 {
			t.Errorf("answers %v, want 10 wrong and 90 locked", got)
		}
		right := c.do("PATCH", session, `{"checks": {"password": {"password": "`+apptest.Password+`"}}}`)
		if o := right.outcome(t); o != "400 COMMAND-JLK35" {
			t.Errorf("the right password was answered %s", o)
		}
	})
}

// secret is something that could be guessed.
type secret struct {
	right, wrong string
	// guess tries a value.
	guess func(value string) answer
}

// secrets are all that a caller can guess at, each of somebody else.
func secrets(t *testing.T, c restClient) map[string]secret {
	t.Helper()
	e, bob, carol := enrol(t, c.Service, "ada"), c.NewUserCheap(t, "bob@stepup.test"), c.NewUserCheap(t, "carol@stepup.test")
	onSession := func(check string) func(string) answer {
		return func(value string) answer {
			return c.do("PATCH", "/v2/sessions/"+e.session.SessionID, fmt.Sprintf(`{"checks": {%q: {"code": %q}}}`, check, value))
		}
	}
	onNewSessions := func(user, check, field string) func(string) answer {
		return func(value string) answer {
			return c.do("POST", "/v2/sessions", fmt.Sprintf(`{"checks": {"user": {"userId": %q}, %q: {%q: %q}}}`, user, check, field, value))
		}
	}
	return map[string]secret{
		"a password":      {apptest.Password, "not it", onNewSessions(bob.ID, "password", "password")},
		"a TOTP code":     {e.totp, wrongOf(e.totp, e.later), onNewSessions("ada", "totp", "code")},
		"a recovery code": {e.recovery[0], "AAAAA-AAAAA-AAAAA", onNewSessions("ada", "recoveryCode", "code")},
		"a code by SMS":   {e.sms, wrongOf(e.sms), onSession("otpSms")},
		"a code by mail":  {e.email, wrongOf(e.email), onSession("otpEmail")},
		"the old password": {apptest.Password, "not it", func(value string) answer {
			return c.do("POST", "/v2/users/"+carol.ID+"/password", fmt.Sprintf(`{"newPassword": {"password": "another correct horse"}, "currentPassword": %q}`, value))
		}},
		"a code for an address": aboutAnAddress(t, c, "email"),
		"a code for a phone":    aboutAnAddress(t, c, "phone"),
		"a registration link":   registrationLink(t, c),
	}
}

// aboutAnAddress is the code that verifies an address, of a new user.
func aboutAnAddress(t *testing.T, c restClient, kind string) secret {
	t.Helper()
	u := c.NewUserCheap(t, kind+"@stepup.test")
	address := map[string]string{"email": kind + "@other.test", "phone": phoneNumber}[kind]
	asked := c.do("POST", "/v2/users/"+u.ID+"/"+kind, fmt.Sprintf(`{%q: %q, "returnCode": {}}`, kind, address))
	code := asked.field(t, "verificationCode")
	return secret{code, wrongOf(code), func(value string) answer {
		return c.do("POST", "/v2/users/"+u.ID+"/"+kind+"/verify", fmt.Sprintf(`{"verificationCode": %q}`, value))
	}}
}

// registrationLink is the code with which somebody else registers a passkey.
func registrationLink(t *testing.T, c restClient) secret {
	t.Helper()
	u := c.NewUserCheap(t, "link@stepup.test")
	asked := c.do("POST", "/v2/users/"+u.ID+"/passkeys/registration_link", `{"returnCode": {}}`)
	id, code := asked.field(t, "code", "id"), asked.field(t, "code", "code")
	return secret{code, "a" + code[1:], func(value string) answer {
		return c.do("POST", "/v2/users/"+u.ID+"/passkeys", fmt.Sprintf(`{"domain": "localhost", "code": {"id": %q, "code": %q}}`, id, value))
	}}
}

// Codes of a second factor had no limit at all; later the limit was off unless somebody
// switched it on, and newer calls did without it.
func TestO4_CVE_2024_32868_CVE_2025_64102_NothingCanBeGuessedOnAndOn(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	for name, s := range secrets(t, c) {
		wrong := 0
		first := s.guess(s.wrong).outcome(t)
		for range 15 {
			if s.guess(s.wrong).outcome(t) == first {
				wrong++
			}
		}
		if o := s.guess(s.right).outcome(t); first == "ok" || o == "ok" {
			t.Errorf("%s: %d of 16 guesses were answered %q, and then the right one %q", name, wrong+1, first, o)
		}
	}
	// They are right: without guesses each is accepted.
	for name, s := range secrets(t, newREST(t, apptest.Options{})) {
		if o := s.guess(s.right).outcome(t); o != "ok" {
			t.Errorf("%s: the right one is answered %q", name, o)
		}
	}
}

// Hundreds of codes were tried within seconds, before the first failure was counted.
func TestO4_Keycloak2FA146_500CodesAtOnceAreComparedFiveTimesAtMost(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{}) // pkg/session does so on both stores
	e := enrol(t, c.Service, "ada")
	path := "/v2/sessions/" + e.session.SessionID
	got := outcomes(t, 500, func(i int) answer {
		guess := fmt.Sprintf("%08d", i)
		if guess == e.sms {
			guess = "99999999"
		}
		return c.do("PATCH", path, `{"checks": {"otpSms": {"code": "`+guess+`"}}}`)
	})
	if n := got["400 CODE-woT0xc"]; n < 1 || n > 5 || got["ok"] != 0 {
		t.Errorf("answers %v, want 5 wrong at most and none right", got)
	}
}

// Whoever began the flow anew had a fresh budget, of guesses and of messages.
func TestO5_O10_Authentik25496_StartingOverGivesNoFreshBudget(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	enrol(t, c.Service, "ada")
	start := func(challenge string) (path string, a answer) {
		a = c.do("POST", "/v2/sessions", `{"checks": {"user": {"userId": "ada"}}, "challenges": {"otpSms": `+challenge+`}}`)
		if a.status != http.StatusCreated {
			return "", a
		}
		return "/v2/sessions/" + a.field(t, "sessionId"), a
	}
	guesses := 0
	for range 20 {
		path, a := start(`{"returnCode": true}`)
		if path == "" {
			break
		}
		wrong := wrongOf(a.field(t, "challenges", "otpSms"))
		if o := c.do("PATCH", path, `{"checks": {"otpSms": {"code": "`+wrong+`"}}}`).outcome(t); o == "400 CODE-woT0xc" {
			guesses++
		}
	}
	if guesses != 10 {
		t.Errorf("%d guesses in as many sessions, want 10", guesses)
	}
	c.Clock.Advance(time.Hour)
	for range 40 { // ten hours
		start(`{}`)
		c.Clock.Advance(15 * time.Minute)
	}
	if n := len(c.Inbox.Messages()); n != 10 {
		t.Errorf("%d messages, want 10", n)
	}
}

// A button to send the code again sent thousands of mails.
func TestO9_O10_Issue12622_AskingAgainAndAgainSendsAFewMails(t *testing.T) {
	t.Parallel()
	overBothStores(t, apptest.Options{}, func(t *testing.T, c restClient) {
		ada := c.NewUserCheap(t, "ada@stepup.test")
		path := "/v2/users/" + ada.ID + "/email"
		ask := func(i int) answer {
			if i%2 == 0 {
				return c.do("POST", path+"/resend", `{"sendCode": {}}`)
			}
			return c.do("POST", path, `{"email": "ada@other.test", "sendCode": {}}`)
		}
		if first := ask(1); first.status != http.StatusOK {
			t.Fatalf("%d %s", first.status, first.body)
		}
		c.Clock.Advance(time.Minute)
		outcomes(t, 20, ask)
		if n := len(c.Inbox.Messages()); n != 2 {
			t.Errorf("%d mails after 20 more requests at once, want 2", n)
		}
		for i := range 40 {
			c.Clock.Advance(15 * time.Minute)
			ask(i)
		}
		if n := len(c.Inbox.Messages()); n != 10 {
			t.Errorf("%d mails after ten hours, want 10", n)
		}
	})
}
