package app_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/table/bolt"
	"github.com/stepup-auth/stepup/test/canary"
)

// leaks returns the names of the secrets that a sink holds in any form.
func leaks(sink []byte, secrets map[string][]byte) []string {
	var found []string
	for name, secret := range secrets {
		var l canary.Ledger
		l.Plant(canary.Kind(name), string(secret))
		if l.Len() == 0 {
			panic(name + " is not distinct, and any text may hold it")
		}
		if len(l.Search(canary.Log, sink)) > 0 {
			found = append(found, name)
		}
	}
	slices.Sort(found)
	return found
}

// client calls a service over REST.
type client struct {
	t        *testing.T
	url, key string
}

// call returns the status and the body of an answer.
func (c client) call(method, path, bearer, body string) (int, map[string]any) {
	c.t.Helper()
	r, err := http.NewRequestWithContext(c.t.Context(), method, c.url+path, strings.NewReader(body))
	if err != nil {
		c.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+bearer)
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		c.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal(text, &answer); err != nil {
		c.t.Fatalf("%s %s: %d %s", method, path, response.StatusCode, text)
	}
	return response.StatusCode, answer
}

// must is call with the admin's key for a request that is to succeed.
func (c client) must(method, path, body string) map[string]any {
	c.t.Helper()
	status, answer := c.call(method, path, c.key, body)
	if status >= 300 {
		c.t.Fatalf("%s %s: %d %v", method, path, status, answer)
	}
	return answer
}

// TestG2_NoSecretIsStoredOrLogged plants passwords, tokens and keys in good requests and
// bad ones, with the log at its loudest, and searches the store and the log.
func TestG2_NoSecretIsStoredOrLogged(t *testing.T) {
	t.Parallel()
	tb := apptest.Bolt(t)
	s := apptest.New(t, apptest.Options{Table: tb})
	c := client{t, s.Serve(t), s.NewKey(t, access.IAMOwner, "")}
	const (
		right   = "canary: the right password"
		guessed = "canary: a wrong password"
		next    = "canary: the next password"
		short   = "canary!"
	)
	u := c.must("POST", "/v2/users/human", `{"username":"ada","profile":{"givenName":"A","familyName":"L"},"email":{"email":"ada@example.com","isVerified":true},"password":{"password":"`+right+`"}}`)
	id := u["userId"].(string)
	created := c.must("POST", "/v2/sessions", `{"checks":{"user":{"userId":"`+id+`"},"password":{"password":"`+right+`"}}}`)
	path := "/v2/sessions/" + created["sessionId"].(string)
	stepped := c.must("PATCH", path, `{"metadata":{"k":"dg=="},"lifetime":"3600s","sessionToken":"`+created["sessionToken"].(string)+`"}`)
	token, old := stepped["sessionToken"].(string), created["sessionToken"].(string)
	c.must("GET", path+"?sessionToken="+token, "")
	for _, bad := range []struct{ method, path, bearer, body string }{
		{"PATCH", path, c.key, `{"checks":{"password":{"password":"` + guessed + `"}}}`},
		{"PATCH", path, c.key, `{"checks":{"password":{"password":"` + guessed + `","unknown":1}}}`},
		{"PATCH", path, c.key, `{"checks":{"password":{"password":"` + guessed + `"`},
		{"PATCH", path, c.key, `{"checks":{"password":{"password":"` + strings.Repeat(guessed, 9) + `"}}}`},
		{"PATCH", "/v2/sessions/unknown", c.key, `{"checks":{"password":{"password":"` + guessed + `"}}}`},
		{"GET", path + "?sessionToken=" + old, c.key, ""},
		{"DELETE", path, c.key, `{"sessionToken":"` + old + `"}`},
		{"GET", path, old, ""},
		{"GET", "/v2/nothing", token, ""},
		{"GET", path, c.key + "x", ""},
		{"POST", "/v2/users/" + id + "/password", token, `{"newPassword":{"password":"` + short + `"},"currentPassword":"` + right + `"}`},
		{"POST", "/v2/users/" + id + "/password", token, `{"newPassword":{"password":"` + next + `"},"currentPassword":"` + guessed + `"}`},
	} {
		if status, answer := c.call(bad.method, bad.path, bad.bearer, bad.body); status < 400 {
			t.Errorf("%s %s was accepted: %v", bad.method, bad.path, answer)
		}
	}
	if status, answer := c.call("POST", "/v2/users/"+id+"/password", token, `{"newPassword":{"password":"`+next+`"},"currentPassword":"`+right+`"}`); status != 200 {
		t.Fatalf("own password: %d %v", status, answer)
	}

	secrets := map[string][]byte{
		"password": []byte(right), "wrong password": []byte(guessed), "next password": []byte(next), "short password": []byte(short),
		"token": []byte(token), "stamp of the token": unwrapped(t, token), "old token": []byte(old),
		"proof in the token": last(unwrapped(t, token), 32),
		"API key":            []byte(c.key), "stamp of the key": unwrapped(t, strings.TrimPrefix(c.key, "stepup_")),
		"secret in the key": last(unwrapped(t, strings.TrimPrefix(c.key, "stepup_")), 64)[:32],
		"proof in the key":  last(unwrapped(t, strings.TrimPrefix(c.key, "stepup_")), 32),
	}
	kept := stored(t, tb)
	if found := leaks(kept, secrets); len(found) > 0 {
		t.Errorf("stored: %v", found)
	}
	logs := s.Logs.String()
	secrets["address"], secrets["user"], secrets["session"] = []byte("ada@example.com"), []byte(id), []byte(created["sessionId"].(string))
	if found := leaks([]byte(s.Metrics.String()), secrets); len(found) > 0 || s.Metrics.String() == "" {
		t.Errorf("counted: %v in\n%s", found, s.Metrics)
	}
	delete(secrets, "user")
	delete(secrets, "session")
	if found := leaks([]byte(logs), secrets); len(found) > 0 {
		t.Errorf("logged: %v in\n%s", found, logs)
	}
	if lines := strings.Count(logs, "\n"); lines != 17 {
		t.Errorf("%d requests are logged", lines)
	}
	if !bytes.Contains(kept, []byte("$argon2id$")) || !bytes.Contains(kept, []byte("ada@example.com")) {
		t.Error("the search does not see the store")
	}
}

// TestO7_T1_T6_G2_NoFactorIsStoredOrLogged gives a person every one-time factor and uses each of
// them rightly and wrongly, and searches the store and the log.
func TestO7_T1_T6_G2_NoFactorIsStoredOrLogged(t *testing.T) {
	t.Parallel()
	tb := apptest.Bolt(t)
	s := apptest.New(t, apptest.Options{Table: tb})
	c := client{t, s.Serve(t), s.NewKey(t, access.IAMOwner, "")}
	c.must("POST", "/v2/users/human", `{"userId":"ada","username":"ada","profile":{"givenName":"A","familyName":"L"},
		"email":{"email":"ada@example.com","isVerified":true},"phone":{"phone":"`+phoneNumber+`","isVerified":true}}`)
	secret := c.must("POST", "/v2/users/ada/totp", `{}`)["secret"].(string)
	seed, err := otp.ParseSecret(secret)
	if err != nil {
		t.Fatal(err)
	}
	first, second := otp.Code(seed, s.Clock.Now().Add(-otp.Step)), otp.Code(seed, s.Clock.Now())
	c.must("POST", "/v2/users/ada/totp/verify", `{"code":"`+first+`"}`)
	c.must("POST", "/v2/users/ada/otp_sms", `{}`)
	c.must("POST", "/v2/users/ada/otp_email", `{}`)
	recovery := c.must("POST", "/v2/users/ada/recovery_codes", `{"count":2}`)["recoveryCodes"].([]any)
	used, kept := recovery[0].(string), recovery[1].(string)

	path := "/v2/sessions/" + c.must("POST", "/v2/sessions", `{"checks":{"user":{"userId":"ada"}}}`)["sessionId"].(string)
	c.must("PATCH", path, `{"challenges":{"otpSms":{},"otpEmail":{"sendCode":{"urlTemplate":"https://login.example.com/?code={{.Code}}"}}}}`)
	sent := s.Inbox.Messages()
	if len(sent) != 2 {
		t.Fatalf("%d messages", len(sent))
	}
	returned := c.must("PATCH", path, `{"challenges":{"otpSms":{"returnCode":true},"otpEmail":{"returnCode":{}}}}`)["challenges"].(map[string]any)
	sms, mail := returned["otpSms"].(string), returned["otpEmail"].(string)
	c.must("PATCH", path, `{"checks":{"totp":{"code":"`+second+`"},"otpSms":{"code":"`+sms+`"},"recoveryCode":{"code":"`+used+`"}}}`)
	for _, bad := range []string{
		`{"checks":{"totp":{"code":"` + second + `"}}}`, `{"checks":{"otpSms":{"code":"` + sms + `"}}}`,
		`{"checks":{"otpEmail":{"code":"` + sent[1].Code + `"}}}`, `{"checks":{"recoveryCode":{"code":"` + used + `"}}}`,
		`{"checks":{"recoveryCode":{"code":"` + kept + `"}},"lifetime":"-1s"}`, `{"checks":{"otpEmail":{"code":"` + mail + `"`,
	} {
		if status, answer := c.call("PATCH", path, c.key, bad); status < 400 {
			t.Errorf("%s was accepted: %v", bad, answer)
		}
	}

	secrets := map[string][]byte{
		"seed": seed, "seed as text": []byte(secret), "code of the app": []byte(second), "first code of the app": []byte(first),
		"sent by SMS": []byte(sent[0].Code), "sent by mail": []byte(sent[1].Code), "returned for SMS": []byte(sms), "returned for mail": []byte(mail),
	}
	for name, code := range map[string]string{"used recovery code": used, "recovery code": kept} {
		secrets[name], secrets[name+", normal form"] = []byte(code), []byte(otp.Normalize(code))
	}
	dump := stored(t, tb)
	if found := leaks(dump, secrets); len(found) > 0 {
		t.Errorf("stored: %v in\n%s", found, dump)
	}
	secrets["phone"] = []byte(phoneNumber)
	if found := leaks([]byte(s.Metrics.String()), secrets); len(found) > 0 || strings.Contains(s.Metrics.String(), "ada") {
		t.Errorf("counted: %v in\n%s", found, s.Metrics)
	}
	if found := leaks([]byte(s.Logs.String()), secrets); len(found) > 0 {
		t.Errorf("logged: %v in\n%s", found, s.Logs)
	}
	if !bytes.Contains(dump, []byte(phoneNumber)) || !strings.Contains(s.Logs.String(), "DOMAIN-6uvh0") {
		t.Error("the search does not see the store, or the log")
	}
}

// TestO7_G2_NoCodeForAnAddressIsStoredOrLogged has codes sent and returned, answers some of
// them rightly and wrongly, and searches the store while they are open, and the log.
func TestO7_G2_NoCodeForAnAddressIsStoredOrLogged(t *testing.T) {
	t.Parallel()
	tb := apptest.Bolt(t)
	s := apptest.New(t, apptest.Options{Table: tb})
	c := client{t, s.Serve(t), s.NewKey(t, access.IAMOwner, "")}
	const next = "+41446681801"
	created := c.must("POST", "/v2/users/human", `{"userId":"ada","username":"ada","profile":{"givenName":"A","familyName":"L"},
		"email":{"email":"ada@example.com","returnCode":{}},"phone":{"phone":"`+phoneNumber+`","sendCode":{}}}`)
	mail, sms := created["emailCode"].(string), s.Inbox.Messages()[0].Code
	link := c.must("POST", "/v2/users/ada/passkeys/registration_link", `{"returnCode":{}}`)["code"].(map[string]any)
	open := stored(t, tb)
	c.must("POST", "/v2/users/ada/email/verify", `{"verificationCode":"`+mail+`"}`)
	c.must("POST", "/v2/users/ada/phone/verify", `{"verificationCode":"`+sms+`"}`)
	set := c.must("POST", "/v2/users/ada/phone", `{"phone":"`+next+`","returnCode":{}}`)["verificationCode"].(string)
	for path, body := range map[string]string{
		"/email/verify": `{"verificationCode":"` + mail + `"}`, "/phone/verify": `{"verificationCode":"` + sms + `"}`,
		"/passkeys": `{"domain":"evil.example","code":{"id":"` + link["id"].(string) + `","code":"` + link["code"].(string) + `"}}`,
	} {
		if status, answer := c.call("POST", "/v2/users/ada"+path, c.key, body); status < 400 {
			t.Errorf("%s was accepted: %v", path, answer)
		}
	}
	secrets := map[string][]byte{
		"for the address": []byte(mail), "for the number": []byte(sms), "for the next number": []byte(set), "for a passkey": []byte(link["code"].(string)),
	}
	if found := leaks(append(open, stored(t, tb)...), secrets); len(found) > 0 {
		t.Errorf("stored: %v in\n%s", found, open)
	}
	secrets["phone"], secrets["next phone"], secrets["address"] = []byte(phoneNumber), []byte(next), []byte("ada@example.com")
	if found := leaks([]byte(s.Metrics.String()), secrets); len(found) > 0 || strings.Contains(s.Metrics.String(), "ada") {
		t.Errorf("counted: %v in\n%s", found, s.Metrics)
	}
	if found := leaks([]byte(s.Logs.String()), secrets); len(found) > 0 {
		t.Errorf("logged: %v in\n%s", found, s.Logs)
	}
	if !bytes.Contains(open, []byte("register-passkey")) {
		t.Error("the search does not see the open codes")
	}
}

// TestG2_NoPersonIsInTheMetrics makes everything countable happen to one person.
func TestG2_NoPersonIsInTheMetrics(t *testing.T) {
	t.Parallel()
	x := observe(t, apptest.Options{Env: map[string]string{"STEPUP_SMS_BUDGET": "1"}})
	token := x.step(`{"lifetime":"3600s"}`)["sessionToken"].(string)
	for _, name := range slices.Sorted(maps.Keys(checked)) {
		checked[name](x)
	}
	x.step(askSMS)
	x.step(askSMS)
	x.Clock.Advance(2 * time.Minute)
	x.step(askSMS)
	x.step(askMail)
	secrets := map[string][]byte{
		"token": []byte(token), "API key": []byte(x.key), "seed": x.seed, "phone": []byte(phoneNumber), "mail": []byte(mailAddress),
		"session": []byte(strings.TrimPrefix(x.path, "/v2/sessions/")), "recovery code": []byte(x.recovery[0]),
		"password": []byte(apptest.Password), "wrong code": []byte(wrongCode), "code of the app": []byte(otp.Code(x.seed, x.Clock.Now())),
	}
	for _, m := range x.Inbox.Messages() {
		secrets["sent to "+m.To] = []byte(m.Code)
	}
	written := x.Metrics.String()
	if found := leaks([]byte(written), secrets); len(found) > 0 || strings.Contains(written, "ada") || strings.Contains(written, "other") {
		t.Errorf("counted: %v in\n%s", found, written)
	}
	if got := x.sums(0); got["CheckOutcomes passed"] == 0 || got["CheckOutcomes wrong"] == 0 || got["Sends sent"] != 2 || got["SendRefused budget"] == 0 {
		t.Errorf("the search does not see much: %v", got)
	}
}

// stored is everything in the store as text.
func stored(t *testing.T, tb *bolt.Store) []byte {
	t.Helper()
	var all bytes.Buffer
	for key, item := range apptest.Dump(t, tb) {
		fmt.Fprintf(&all, "%s %s\n", key, item)
	}
	return all.Bytes()
}

// unwrapped is what the text of a token or key stands for.
func unwrapped(t *testing.T, text string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func last(b []byte, n int) []byte { return b[len(b)-n:] }
