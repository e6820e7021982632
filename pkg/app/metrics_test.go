package app_test

import (
	"context"
	"encoding/json"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/apigw"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/metrics"
	"github.com/stepup-auth/stepup/pkg/metrics/metricstest"
	"github.com/stepup-auth/stepup/pkg/otp"
)

// observed is a service with a person who has every one-time factor, and a session of
// theirs, called over REST without a network in between.
type observed struct {
	*apptest.Service

	t        *testing.T
	key      string
	path     string // of the session
	seed     []byte
	recovery []string
}

func observe(t *testing.T, o apptest.Options) *observed {
	t.Helper()
	s := apptest.New(t, o)
	x := &observed{Service: s, t: t, key: s.NewKey(t, access.IAMOwner, "")}
	x.call("POST", "/v2/users/human", `{"userId":"ada","username":"ada","profile":{"givenName":"Ada","familyName":"Lovelace"},
		"email":{"email":"`+mailAddress+`","isVerified":true},"phone":{"phone":"`+phoneNumber+`","isVerified":true},
		"password":{"password":"`+apptest.Password+`"}}`)
	app := x.call("POST", "/v2/users/ada/totp", `{}`)
	seed, err := otp.ParseSecret(app["secret"].(string))
	if err != nil {
		t.Fatal(err)
	}
	x.seed = seed
	x.call("POST", "/v2/users/ada/totp/verify", `{"code":"`+otp.Code(seed, s.Clock.Now().Add(-otp.Step))+`"}`)
	x.call("POST", "/v2/users/ada/otp_sms", `{}`)
	x.call("POST", "/v2/users/ada/otp_email", `{}`)
	for _, code := range x.call("POST", "/v2/users/ada/recovery_codes", `{"count":2}`)["recoveryCodes"].([]any) {
		x.recovery = append(x.recovery, code.(string))
	}
	x.path = "/v2/sessions/" + x.call("POST", "/v2/sessions", `{"checks":{"user":{"userId":"ada"}}}`)["sessionId"].(string)
	return x
}

// call returns the body of an answer, whatever its status is.
func (x *observed) call(method, path, body string) map[string]any {
	x.t.Helper()
	r := httptest.NewRequestWithContext(x.t.Context(), method, path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+x.key)
	w := httptest.NewRecorder()
	x.Handler.ServeHTTP(w, r)
	var answer map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		x.t.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
	return answer
}

// step patches the session.
func (x *observed) step(body string) map[string]any {
	x.t.Helper()
	return x.call("PATCH", x.path, body)
}

// opened opens a code of the kind and returns it.
func (x *observed) opened(kind, returned string) string {
	x.t.Helper()
	return x.step(`{"challenges":{"` + kind + `":` + returned + `}}`)["challenges"].(map[string]any)[kind].(string)
}

// sums are all that was counted since the log had that many bytes, as "name words".
func (x *observed) sums(since int) map[string]int {
	x.t.Helper()
	all := map[string]int{}
	for _, line := range metricstest.Read(x.t, x.Metrics.String()[since:]) {
		for _, v := range line.Values {
			if v.Namespace != "stepup" || v.Dimensions["service"] != apptest.MetricsService {
				x.t.Errorf("%+v", v)
			}
			words := []string{v.Name, v.Dimensions["factor"], v.Dimensions["channel"], v.Dimensions["outcome"]}
			all[strings.Join(strings.Fields(strings.Join(words, " ")), " ")] += int(v.N)
		}
	}
	return all
}

// wrongCode is the right one once in a hundred million times.
const wrongCode = "00000001"

// wrongTOTP is no code of the app, now or next to now.
func (x *observed) wrongTOTP() string {
	now := x.Clock.Now()
	right := []string{otp.Code(x.seed, now.Add(-otp.Step)), otp.Code(x.seed, now), otp.Code(x.seed, now.Add(otp.Step))}
	for _, code := range []string{"000000", "000001", "000002"} {
		if !slices.Contains(right, code) {
			return code
		}
	}
	return "000003"
}

// checked has, for each factor and outcome, what makes it so.
var checked = map[string]func(x *observed){
	"password passed": func(x *observed) { x.step(`{"checks":{"password":{"password":"` + apptest.Password + `"}}}`) },
	"password wrong":  func(x *observed) { x.step(`{"checks":{"password":{"password":"wrong"}}}`) },
	"totp passed": func(x *observed) {
		x.step(`{"checks":{"totp":{"code":"` + otp.Code(x.seed, x.Clock.Now()) + `"}}}`)
	},
	"totp wrong": func(x *observed) { x.step(`{"checks":{"totp":{"code":"` + x.wrongTOTP() + `"}}}`) },
	"totp refused": func(x *observed) {
		x.step(`{"checks":{"totp":{"code":"` + otp.Code(x.seed, x.Clock.Now().Add(-otp.Step)) + `"}}}`) // used at the enrolment
	},
	"sms passed": func(x *observed) {
		x.step(`{"checks":{"otpSms":{"code":"` + x.opened("otpSms", `{"returnCode":true}`) + `"}}}`)
	},
	"sms wrong": func(x *observed) {
		x.opened("otpSms", `{"returnCode":true}`)
		x.step(`{"checks":{"otpSms":{"code":"` + wrongCode + `"}}}`)
	},
	"sms refused": func(x *observed) { x.step(`{"checks":{"otpSms":{"code":"` + wrongCode + `"}}}`) },
	"email passed": func(x *observed) {
		x.step(`{"checks":{"otpEmail":{"code":"` + x.opened("otpEmail", `{"returnCode":{}}`) + `"}}}`)
	},
	"email wrong": func(x *observed) {
		x.opened("otpEmail", `{"returnCode":{}}`)
		x.step(`{"checks":{"otpEmail":{"code":"` + wrongCode + `"}}}`)
	},
	"recovery passed": func(x *observed) { x.step(`{"checks":{"recoveryCode":{"code":"` + x.recovery[0] + `"}}}`) },
	"recovery wrong":  func(x *observed) { x.step(`{"checks":{"recoveryCode":{"code":"ABCDE-FGHIJ"}}}`) },
	"passkey refused": func(x *observed) { x.step(`{"checks":{"webAuthN":{"credentialAssertionData":{"id":"AAAA"}}}}`) },
	"idp refused": func(x *observed) {
		x.step(`{"checks":{"idpIntent":{"idpIntentId":"unknown","idpIntentToken":"forged"}}}`)
	},
}

func TestG1_ChecksAreCountedByFactorAndOutcome(t *testing.T) {
	t.Parallel()
	for name, check := range checked {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := observe(t, apptest.Options{})
			since := len(x.Metrics.String())
			check(x)
			_, outcome, _ := strings.Cut(name, " ")
			want := map[string]int{"CheckOutcomes " + name: 1, "CheckOutcomes " + outcome: 1}
			if diff := cmp.Diff(want, x.sums(since)); diff != "" {
				t.Errorf("counted (-want +got):\n%s\n%s", diff, x.Logs)
			}
			if n := strings.Count(x.Metrics.String()[since:], "\n"); n != 1 {
				t.Errorf("%d lines", n)
			}
		})
	}
}

func TestChecksOfALockedFactorAreToldFromWrongOnes(t *testing.T) {
	t.Parallel()
	x := observe(t, apptest.Options{Env: map[string]string{"STEPUP_LOCKOUT_LIMIT": "1"}})
	for range 3 {
		x.step(`{"checks":{"password":{"password":"wrong"}}}`)
	}
	want := map[string]int{
		"CheckOutcomes password wrong": 1, "CheckOutcomes wrong": 1, "CheckOutcomes password locked": 2, "CheckOutcomes locked": 2,
	}
	if diff := cmp.Diff(want, x.sums(0)); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}

func TestEachFactorOfAStepIsCounted(t *testing.T) {
	t.Parallel()
	x := observe(t, apptest.Options{})
	x.step(`{"checks":{"password":{"password":"` + apptest.Password + `"},"totp":{"code":"` + x.wrongTOTP() + `"},"recoveryCode":{"code":"` + x.recovery[0] + `"}}}`)
	want := map[string]int{
		"CheckOutcomes password passed": 1, "CheckOutcomes passed": 1, "CheckOutcomes totp wrong": 1, "CheckOutcomes wrong": 1,
	}
	if diff := cmp.Diff(want, x.sums(0)); diff != "" {
		t.Errorf("the third was not tried; counted (-want +got):\n%s", diff)
	}
}

// TestGuessesOutsideOfSessionsAreCounted: whoever may guess at an address or a current
// password is seen as well.
func TestGuessesOutsideOfSessionsAreCounted(t *testing.T) {
	t.Parallel()
	x := observe(t, apptest.Options{})
	x.call("POST", "/v2/users/ada/email", `{"email":"new@example.com","returnCode":{}}`)
	x.call("POST", "/v2/users/ada/email/verify", `{"verificationCode":"`+wrongCode+`"}`)
	x.call("POST", "/v2/users/ada/password", `{"newPassword":{"password":"another battery"},"currentPassword":"wrong"}`)
	want := map[string]int{"CheckOutcomes email wrong": 1, "CheckOutcomes password wrong": 1, "CheckOutcomes wrong": 2}
	if diff := cmp.Diff(want, x.sums(0)); diff != "" {
		t.Errorf("counted (-want +got):\n%s", diff)
	}
}

const (
	askSMS  = `{"challenges":{"otpSms":{}}}`
	askMail = `{"challenges":{"otpEmail":{}}}`
)

// messages has what is sent or held back, with the configuration that it takes.
var messages = map[string]struct {
	env  map[string]string
	ask  func(x *observed)
	want map[string]int
}{
	"a text message": {
		ask:  func(x *observed) { x.step(askSMS) },
		want: map[string]int{"Sends sms sent": 1, "Sends sent": 1},
	},
	"both kinds at once": {
		ask:  func(x *observed) { x.step(`{"challenges":{"otpSms":{},"otpEmail":{}}}`) },
		want: map[string]int{"Sends sms sent": 1, "Sends email sent": 1, "Sends sent": 2},
	},
	"a message about a user": {
		ask:  func(x *observed) { x.call("POST", "/v2/users/ada/phone", `{"phone":"+41446681801","sendCode":{}}`) },
		want: map[string]int{"Sends sms sent": 1, "Sends sent": 1},
	},
	"a code that is returned": {
		ask:  func(x *observed) { x.opened("otpSms", `{"returnCode":true}`) },
		want: map[string]int{},
	},
	"too soon": {
		ask:  func(x *observed) { x.step(askMail); x.step(askMail) },
		want: map[string]int{"Sends email sent": 1, "Sends sent": 1, "SendRefused cooldown": 1},
	},
	"too many to one address": {
		env: map[string]string{"STEPUP_SEND_PER_HOUR": "1"},
		ask: func(x *observed) {
			x.step(askMail)
			x.Clock.Advance(2 * time.Minute)
			x.step(askMail)
		},
		want: map[string]int{"Sends email sent": 1, "Sends sent": 1, "SendRefused address": 1},
	},
	"too many on one day": {
		env: map[string]string{"STEPUP_SMS_BUDGET": "1"},
		ask: func(x *observed) {
			x.step(askSMS)
			x.Clock.Advance(2 * time.Minute)
			x.step(askSMS)
		},
		want: map[string]int{"Sends sms sent": 1, "Sends sent": 1, "SendRefused budget": 1},
	},
	"too many to one user": {
		env:  map[string]string{"STEPUP_SEND_USER_PER_DAY": "1"},
		ask:  askTwice,
		want: map[string]int{"Sends sms sent": 1, "Sends sent": 1, "SendRefused user": 1},
	},
	"too many for one organization": {
		env:  map[string]string{"STEPUP_SEND_ORGANIZATION_PER_DAY": "1"},
		ask:  askTwice,
		want: map[string]int{"Sends sms sent": 1, "Sends sent": 1, "SendRefused organization": 1},
	},
	"too many to one country": {
		env:  map[string]string{"STEPUP_SMS_COUNTRY_PER_DAY": "1"},
		ask:  askTwice,
		want: map[string]int{"Sends sms sent": 1, "Sends sent": 1, "SendRefused country": 1},
	},
	"too many from one network": {
		env:  map[string]string{"STEPUP_SEND_NETWORK_PER_DAY": "1"},
		ask:  askTwice,
		want: map[string]int{"Sends sms sent": 1, "Sends sent": 1, "SendRefused network": 1},
	},
	"too many to a region whose codes nobody uses": {
		env:  map[string]string{"STEPUP_SMS_CONVERSION_LIMIT": "1"},
		ask:  askTwice,
		want: map[string]int{"Sends sms sent": 1, "Sends sent": 1, "SendRefused conversion": 1},
	},
	"elsewhere": {
		env:  map[string]string{"STEPUP_SMS_PREFIXES": "+423"},
		ask:  func(x *observed) { x.step(askSMS) },
		want: map[string]int{"SendRefused prefix": 1},
	},
}

// askTwice asks for a code in two sessions of one person on one network.
func askTwice(x *observed) {
	const body = `{"checks":{"user":{"userId":"ada"}},"challenges":{"otpSms":{}},"userAgent":{"ip":"203.0.113.7"}}`
	x.call("POST", "/v2/sessions", body)
	x.Clock.Advance(2 * time.Minute)
	x.call("POST", "/v2/sessions", body)
}

func TestMessagesAreCountedByChannelAndOutcome(t *testing.T) {
	t.Parallel()
	for name, tc := range messages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := observe(t, apptest.Options{Env: tc.env})
			tc.ask(x)
			got := x.sums(0)
			delete(got, "ConflictsRetried") // what was sent before is assumed to be nothing, at first
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("counted (-want +got):\n%s\n%s", diff, x.Logs)
			}
		})
	}
}

func TestEventsThatAreNoRequestAreCounted(t *testing.T) {
	t.Parallel()
	inTime := time.Now().Add(time.Hour)
	for name, tc := range map[string]struct {
		until   time.Time
		payload string
		want    map[string]int
	}{
		"no event": {inTime, `{"version":"1.0"}`, map[string]int{"EventsRefused invalid_argument": 1}},
		"native gRPC": {
			inTime, `{"version":"2.0","headers":{"content-type":"application/grpc"}}`,
			map[string]int{"EventsRefused unimplemented": 1},
		},
		"too late": {time.Unix(0, 0), `{}`, map[string]int{"EventsRefused deadline_exceeded": 1, "DeadlineExceeded": 1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := apptest.New(t, apptest.Options{})
			x := &observed{Service: s, t: t}
			ctx, cancel := context.WithDeadline(t.Context(), tc.until)
			defer cancel()
			if _, err := apigw.New(s.Handler, apigw.Options{Refused: s.Refused}).Invoke(ctx, []byte(tc.payload)); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, x.sums(0)); diff != "" {
				t.Errorf("counted (-want +got):\n%s", diff)
			}
			if n := strings.Count(s.Metrics.String(), "\n"); n != 1 {
				t.Errorf("%d lines", n)
			}
		})
	}
}

// TestNothingIsCountedWithoutAName is the laptop's and the container's default.
func TestNothingIsCountedWithoutAName(t *testing.T) {
	t.Parallel()
	x := observe(t, apptest.Options{Env: map[string]string{"STEPUP_METRICS": ""}})
	for _, check := range checked {
		check(x)
	}
	if written := x.Metrics.String(); written != "" {
		t.Error(written)
	}
}

// TestEveryMetricOfTheServiceIsWritten by what the tests above make happen: each metric
// and word that an alarm could watch has something that writes it.
func TestEveryMetricOfTheServiceIsWritten(t *testing.T) {
	t.Parallel()
	written := map[string]bool{"ConflictsRetried": true, "DeadlineExceeded": true, "EventsRefused": true} // each has its own test
	for name := range checked {
		_, outcome, _ := strings.Cut(name, " ")
		written["CheckOutcomes "+outcome] = true
	}
	written["CheckOutcomes locked"] = true // TestChecksOfALockedFactorAreToldFromWrongOnes
	for _, tc := range messages {
		for name := range tc.want {
			written[name] = true
		}
	}
	for _, row := range providerFailures { // TestAProviderThatFailsIsNamedAndLeavesTheSessionAsItWas
		written["Sends "+outcomeOf(row.status)] = true
	}
	for _, m := range metrics.OfRequests() {
		words := []string{""}
		for _, l := range m.Labels {
			if l.Name == metrics.Outcome && m.Name != metrics.EventsRefused.Name {
				words = l.Words
			}
		}
		for _, word := range words {
			if name := strings.TrimSpace(m.Name + " " + word); !written[name] {
				t.Errorf("nothing writes %s", name)
			}
		}
	}
}
