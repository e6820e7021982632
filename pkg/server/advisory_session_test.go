package server_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/idp"
	"github.com/stepup-auth/stepup/pkg/idp/idptest"
	"github.com/stepup-auth/stepup/pkg/notify"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/server"
	"github.com/stepup-auth/stepup/pkg/session"
)

// A code of an authenticator app was accepted again while it was current, in other sessions
// too.
func TestT3_Issue6452_ACodeOfAnAppStepsOneSessionUpOnce(t *testing.T) {
	t.Parallel()
	overBothStores(t, apptest.Options{}, func(t *testing.T, c restClient) {
		e := enrol(t, c.Service, "ada")
		check := `{"checks": {"totp": {"code": "` + e.totp + `"}}}`
		other := c.create(t, login("ada", "")).SessionID
		if o := c.do("PATCH", "/v2/sessions/"+e.session.SessionID, check).outcome(t); o != "ok" {
			t.Fatalf("the first use: %s", o)
		}
		for range 3 { // while the code is current, and while it is that of the step before
			for name, a := range map[string]answer{
				"the same session": c.do("PATCH", "/v2/sessions/"+e.session.SessionID, check),
				"another session":  c.do("PATCH", "/v2/sessions/"+other, check),
				"a new session":    c.do("POST", "/v2/sessions", `{"checks": {"user": {"userId": "ada"}, "totp": {"code": "`+e.totp+`"}}}`),
			} {
				if o := a.outcome(t); o != "400 TOTP-Auw0a" {
					t.Errorf("%s: the used code is answered %s", name, o)
				}
			}
			c.Clock.Advance(otp.Step / 2)
		}
	})
}

// losing delivers messages and loses the provider's word that it did.
type losing struct{ notify.Sender }

// Send implements notify.Sender.
func (l losing) Send(ctx context.Context, m notify.Rendered) (notify.Receipt, error) {
	_, err := l.Sender.Send(ctx, m)
	return notify.Receipt{}, errors.Join(notify.ErrSMSUnconfirmed, err)
}

// One challenge sent the same code until the service was stopped: the message had left, but
// what should have followed failed, and so it was sent again.
func TestR2_Issue7186_OneChallengeIsOneMessage(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name   string
		sender func(inbox notify.Sender) notify.Sender
		asked  int // times, with one key
	}{
		{"the provider answers", func(inbox notify.Sender) notify.Sender { return inbox }, 10},
		// Then only the person knows whether to ask again.
		{"the provider's answer is lost", func(inbox notify.Sender) notify.Sender { return losing{inbox} }, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			overBothStores(t, apptest.Options{Sender: tc.sender}, func(t *testing.T, c restClient) {
				e := enrol(t, c.Service, "ada")
				path := "/v2/sessions/" + e.session.SessionID
				for range tc.asked {
					c.do("PATCH", path, `{"challenges": {"otpSms": {}}}`, server.IdempotencyHeader, "once")
					c.Clock.Advance(2 * time.Minute) // longer than the cooldown
				}
				for range 20 { // what else happens to the session asks for nothing
					c.do("PATCH", path, `{"metadata": {"step": "AA=="}}`)
					c.do("PATCH", path, `{"checks": {"otpSms": {"code": "00000000"}}}`)
					c.do("GET", path, "")
					c.Clock.Advance(10 * time.Minute)
				}
				if n := len(c.Inbox.Messages()); n != 1 {
					t.Errorf("%d messages, want 1", n)
				}
			})
		})
	}
}

// The second of two submits replaced the token that the browser had kept of the first, and
// nothing let it in again.
func TestS2_R2_Issue12656_ADoubleSubmitLeavesATokenThatWorks(t *testing.T) {
	t.Parallel()
	overBothStores(t, apptest.Options{}, func(t *testing.T, c restClient) {
		ada := c.NewUserCheap(t, "ada@stepup.test")
		path := "/v2/sessions/" + c.create(t, login(ada.ID, "")).SessionID
		submit := func(headers ...string) answer {
			return c.do("PATCH", path, `{"checks": {"password": {"password": "`+apptest.Password+`"}}}`, headers...)
		}
		current := func(token string) string {
			return c.do("GET", path+"?sessionToken="+token, "").outcome(t)
		}
		// With a key both are one step, and either answer has the token.
		tokens := make(map[string]bool)
		for range 2 {
			outcomes(t, 2, func(int) answer { return submit(server.IdempotencyHeader, "click") })
			tokens[submit(server.IdempotencyHeader, "click").field(t, "sessionToken")] = true
		}
		for token := range tokens {
			if o := current(token); o != "ok" || len(tokens) != 1 {
				t.Errorf("%d tokens, one of them %s", len(tokens), o)
			}
		}
		// Without one the first token is dead, which is said, and the next step replaces it.
		dead, lost := submit().field(t, "sessionToken"), submit().field(t, "sessionToken")
		if first, second := current(dead), current(lost); first != "403 QUERY-dsfr3" || second != "ok" {
			t.Errorf("the token of the first submit is %s, that of the second %s", first, second)
		}
		if o := current(submit().field(t, "sessionToken")); o != "ok" {
			t.Errorf("after a dead token the next one is %s", o)
		}
	})
}

// A sign-in at an identity provider counted as often as its id and token were shown.
func TestS13_CVE_2025_46815_ASignInElsewhereOpensOneSession(t *testing.T) {
	t.Parallel()
	stub := idptest.NewStub(t)
	overBothStores(t, apptest.Options{Providers: []idp.Provider{stub.Config("one")}}, func(t *testing.T, c restClient) {
		ada := c.NewUserCheap(t, "ada@stepup.test")
		c.Link(t, ada.ID, "one", "ada")
		shown := c.SignInAt(t, stub, "one", "ada")
		intent := fmt.Sprintf(`"idpIntent": {"idpIntentId": %q, "idpIntentToken": %q}`, shown.ID, shown.Token)
		other := c.create(t, login(ada.ID, "")).SessionID
		create := func(int) answer {
			return c.do("POST", "/v2/sessions", `{"checks": {"user": {"userId": "`+ada.ID+`"}, `+intent+`}}`)
		}
		if got := outcomes(t, 20, create); got["ok"] != 1 || got["ok"]+got["400 COMMAND-Df4bw"]+got["409 STEPUP-conflict"] != 20 {
			t.Errorf("20 at once: %v", got)
		}
		for range 2 {
			for name, a := range map[string]answer{
				"another new session": create(0),
				"a session that was":  c.do("PATCH", "/v2/sessions/"+other, `{"checks": {`+intent+`}}`),
			} {
				if o := a.outcome(t); o != "400 COMMAND-Df4bw" {
					t.Errorf("%s: %s", name, o)
				}
			}
			c.Clock.Advance(10 * time.Minute)
		}
	})
}

// A session with a password was taken for a whole sign-in of somebody who had set up more,
// unless a policy asked for it.
func TestS10_CVE_2025_64103_APasswordIsNoCredentialWhereASecondFactorIsSetUp(t *testing.T) {
	t.Parallel()
	for name, setUp := range map[string]func(c *keyClient, user string){
		"an authenticator app": func(c *keyClient, user string) {
			made := c.do("POST", user+"/totp", `{}`)
			seed, err := otp.ParseSecret(made.field(c.t, "secret"))
			check(c.t, err)
			c.must("POST", user+"/totp/verify", tree{"code": otp.Code(seed, c.Clock.Now())})
		},
		"codes by SMS": func(c *keyClient, user string) {
			c.must("POST", user+"/phone", tree{"phone": phoneNumber, "isVerified": true})
			c.must("POST", user+"/otp_sms", tree{})
		},
		"codes by mail":  func(c *keyClient, user string) { c.must("POST", user+"/otp_email", tree{}) },
		"a security key": func(c *keyClient, _ string) { c.register("u2f", "example.com") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newKeyClient(t)
			user := "/v2/users/" + c.userID
			token := c.create(t, login(c.userID, apptest.Password)).Token
			read := func() string {
				return send(c.Handler, request("GET", user, "", "Authorization", "Bearer "+token)).outcome(t)
			}
			if o := read(); o != "ok" {
				t.Fatalf("before: %s", o)
			}
			setUp(c, user)
			if o := read(); o != "403 AUTHZ-Kl3p0" {
				t.Errorf("the old session: %s", o)
			}
			token = c.create(t, login(c.userID, apptest.Password)).Token
			if o := read(); o != "403 AUTHZ-Kl3p0" {
				t.Errorf("a new session: %s", o)
			}
		})
	}
}

// Who listed the sessions of their own browser got all those that name no browser.
func TestS15_CVE_2024_39683_SessionsOfNoBrowserAreNotEverybodys(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	ada, bob := c.NewUserCheap(t, "ada@stepup.test"), c.NewUserCheap(t, "bob@stepup.test")
	from := func(userID, fingerprint string) session.Result {
		s := login(userID, apptest.Password)
		s.Agent = session.UserAgent{Fingerprint: fingerprint}
		return c.create(t, s)
	}
	plain, browser := from(ada.ID, ""), from(ada.ID, "browser")
	others := []string{from(bob.ID, "").SessionID, from(bob.ID, "elsewhere").SessionID, c.create(t, session.Create{}).SessionID}
	for _, tc := range []struct {
		name, token, queries, outcome string
		want                          []string
	}{
		{"without a browser, her own browser's", plain.Token, `{"userAgentQuery": {}}`, "400 GRPC-x8n23uh", nil},
		{"without a browser, an empty one's", plain.Token, `{"userAgentQuery": {"fingerprintId": ""}}`, "400 GRPC-x8n23uh", nil},
		{"without a browser, all", plain.Token, ``, "ok", []string{plain.SessionID, browser.SessionID}},
		{"with a browser, its own", browser.Token, `{"userAgentQuery": {}}`, "ok", []string{browser.SessionID}},
		{"with a browser, an empty one's", browser.Token, `{"userAgentQuery": {"fingerprintId": ""}}`, "400 GRPC-x8n23uh", nil},
		{"with a browser, another's", browser.Token, `{"userAgentQuery": {"fingerprintId": "elsewhere"}}`, "ok", nil},
		{"with a browser, all", browser.Token, ``, "ok", []string{plain.SessionID, browser.SessionID}},
		{"an administrator, an empty one's", c.key, `{"userAgentQuery": {"fingerprintId": ""}}`, "400 GRPC-x8n23uh", nil},
		{"an administrator, one's", c.key, `{"userAgentQuery": {"fingerprintId": "browser"}}`, "ok", []string{browser.SessionID}},
	} {
		a := send(c.Handler, request("POST", "/v2/sessions/search", `{"queries": [`+tc.queries+`]}`, "Authorization", "Bearer "+tc.token))
		if o := a.outcome(t); o != tc.outcome {
			t.Errorf("%s: %s, want %s", tc.name, o, tc.outcome)
		}
		for _, id := range others {
			if strings.Contains(a.body, id) {
				t.Errorf("%s: shows a session of somebody else", tc.name)
			}
		}
		if n := strings.Count(a.body, `"sequence"`); a.status == http.StatusOK && n != len(tc.want) {
			t.Errorf("%s: %d sessions, want %d", tc.name, n, len(tc.want))
		}
		for _, id := range tc.want {
			if !strings.Contains(a.body, id) {
				t.Errorf("%s: %s is missing", tc.name, id)
			}
		}
	}
}
