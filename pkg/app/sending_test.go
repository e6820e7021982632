package app_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"html"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/aws-sdk-go-v2/service/dynamodb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/config"
	"github.com/stepup-auth/stepup/pkg/metrics/metricstest"
	"github.com/stepup-auth/stepup/pkg/notify/awstest"
	"github.com/stepup-auth/stepup/pkg/notify/awstest/seslocal"
	"github.com/stepup-auth/stepup/pkg/sdk"
	"github.com/stepup-auth/stepup/pkg/table/tabletest/dynoxide"
	"github.com/stepup-auth/stepup/test/canary"
	"github.com/stepup-auth/stepup/test/proxy"
)

// deployment is the service as a function has it: every AWS service is one of the SDK's
// clients with a stand-in behind it.
type deployment struct {
	client

	env           map[string]string
	providers     *awstest.Server
	logs, metrics *apptest.Log
	// database is a client of DynamoDB itself, and table the name there.
	database *dynamodb.Client
	table    string
	// The ways to what the service depends on.
	dynamo, sns, ses *proxy.Proxy
	ways             []*proxy.Proxy
	// watch knows the secrets of the deployment, and asked has the URLs and headers of its requests to
	// AWS, which is where a trace goes on.
	watch *canary.Watch
	asked *apptest.Log
}

func deploy(t *testing.T, env map[string]string) deployment {
	t.Helper()
	d := deployment{providers: awstest.Start(t), logs: &apptest.Log{}, metrics: &apptest.Log{}, watch: &canary.Watch{}, asked: &apptest.Log{}}
	d.database, d.table = dynoxide.NewTable(t, dynoxide.Options{})
	d.dynamo = proxy.Start(t, *d.database.Options().BaseEndpoint)
	d.sns, d.ses = proxy.Start(t, d.providers.URL), proxy.Start(t, d.providers.URL)
	d.ways = []*proxy.Proxy{d.dynamo, d.sns, d.ses}
	ring, text := filepath.Join(t.TempDir(), "keyring.json"), keyringText(t)
	if err := os.WriteFile(ring, text, 0o600); err != nil {
		t.Fatal(err)
	}
	apptest.PlantKeyring(t, &d.watch.Ledger, text)
	t.Cleanup(func() { d.search(t) })
	d.env = map[string]string{
		"STEPUP_TABLE": d.table, "STEPUP_KEYRING": "file:" + ring, "STEPUP_SITE": "example.com",
		"STEPUP_MAIL_FROM": "login@example.com", "STEPUP_MAIL_CONFIGURATION_SET": "events", "STEPUP_SMS_SENDER_ID": "Example",
		"AWS_LAMBDA_FUNCTION_NAME": "stepup-api", "AWS_REGION": "eu-central-1", "AWS_ACCESS_KEY_ID": "id", "AWS_SECRET_ACCESS_KEY": "secret",
		"AWS_ENDPOINT_URL_DYNAMODB": d.dynamo.URL, "AWS_ENDPOINT_URL_SNS": d.sns.URL, "AWS_ENDPOINT_URL_SESV2": d.ses.URL,
	}
	maps.Copy(d.env, env)
	url, a := d.start(t, nil)
	_, key, err := a.Keys.Issue(t.Context(), access.NewKey{Name: "test", Role: access.IAMOwner})
	if err != nil {
		t.Fatal(err)
	}
	d.client = client{t, url, key}
	d.watch.Plant(canary.APIKey, key)
	return d
}

// search looks for the secrets of the deployment where none may be.
func (d deployment) search(t *testing.T) {
	t.Helper()
	for _, m := range d.providers.SMS() {
		d.watch.Plant(canary.Number, m.PhoneNumber)
		d.watch.Plant(canary.Code, eightDigits.FindString(m.Message))
	}
	for _, m := range d.providers.Mails() {
		d.watch.Plant(canary.Address, m.To...)
		d.watch.Plant(canary.Code, eightDigits.FindString(m.Text))
	}
	held, err := dynoxide.Dump(context.WithoutCancel(t.Context()), d.database, d.table)
	if err != nil {
		t.Error(err)
	}
	for sink, what := range map[canary.Sink][]byte{
		canary.Log: []byte(d.logs.String()), canary.Metrics: []byte(d.metrics.String()), canary.Refusal: d.watch.Refused(),
		canary.Store: held, canary.Traces: []byte(d.asked.String()),
	} {
		d.watch.Want(t, sink, what)
	}
	if d.asked.String() == "" {
		t.Error("no request to AWS was seen")
	}
}

// overheard is a client whose requests are noted but for their bodies.
type overheard struct {
	proxy.Doer

	log *apptest.Log
}

// Do implements proxy.Doer.
func (o overheard) Do(r *http.Request) (*http.Response, error) {
	fmt.Fprintf(o.log, "%s %s %v\n", r.Method, r.URL, r.Header)
	return o.Doer.Do(r)
}

// start starts one more process of the deployment, with some variables of its own, and
// returns its URL.
func (d deployment) start(t *testing.T, env map[string]string) (string, *app.App) {
	t.Helper()
	d.env = maps.Clone(d.env)
	maps.Copy(d.env, env)
	a, err := d.open(t)
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(d.watch.Over(a.Handler))
	t.Cleanup(server.Close)
	return server.URL, a
}

// open puts the service together as a function does when it starts.
func (d deployment) open(t *testing.T) (*app.App, error) {
	t.Helper()
	lookup := func(name string) (string, bool) { v, ok := d.env[name]; return v, ok }
	c, err := config.Load(lookup)
	if err != nil {
		t.Fatal(err)
	}
	return app.OnAWS(t.Context(), c, d.sdk(c.Region, lookup), app.Ambient{
		Logger:  slog.New(slog.NewJSONHandler(d.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Metrics: d.metrics, Now: apptest.Epoch, Random: rand.Reader,
	})
}

// sdk is the SDK's configuration as in a function, but for the pauses between the
// attempts of a call, which nobody has to wait for.
func (d deployment) sdk(region string, lookup config.Lookup) aws.Config {
	c := sdk.Config(region, lookup)
	c.HTTPClient = proxy.Marked(overheard{c.HTTPClient, d.asked}, d.ways...)
	patient := c.Retryer
	c.Retryer = func() aws.Retryer { return retry.AddWithMaxBackoffDelay(patient(), time.Millisecond) }
	return c
}

const (
	phoneNumber = "+41446681800"
	mailAddress = "ada@example.com"
)

// session creates a person who has codes by SMS and mail, and returns the path of a
// session of theirs, with its token.
func (d deployment) session() (path, token string) {
	d.t.Helper()
	d.must("POST", "/v2/users/human", `{"userId":"ada","username":"ada","profile":{"givenName":"Ada","familyName":"Lovelace"},
		"email":{"email":"`+mailAddress+`","isVerified":true},"phone":{"phone":"`+phoneNumber+`","isVerified":true}}`)
	d.must("POST", "/v2/users/ada/otp_sms", `{}`)
	d.must("POST", "/v2/users/ada/otp_email", `{}`)
	s := d.must("POST", "/v2/sessions", `{"checks":{"user":{"userId":"ada"}}}`)
	return "/v2/sessions/" + s["sessionId"].(string), s["sessionToken"].(string)
}

var eightDigits = regexp.MustCompile(`\b[0-9]{8}\b`)

func TestChallengesLeaveThroughSNSAndSESOnceAndTheirCodesWork(t *testing.T) {
	t.Parallel()
	d := deploy(t, map[string]string{"STEPUP_SMS_ORIGINATION_NUMBER": "+12065550100"})
	path, _ := d.session()
	opened := d.must("PATCH", path, `{"challenges":{"otpSms":{},
		"otpEmail":{"sendCode":{"urlTemplate":"https://login.example.com/{{.SessionID}}?code={{.Code}}"}}}}`)
	if diff := cmp.Diff(map[string]any{}, opened["challenges"]); diff != "" {
		t.Errorf("challenges of codes that were sent:\n%s", diff)
	}
	texts, mails := d.providers.SMS(), d.providers.Mails()
	if len(texts) != 1 || len(mails) != 1 || d.providers.Requests() != 2 {
		t.Fatalf("%d text messages, %d mails, %d requests, want one of each", len(texts), len(mails), d.providers.Requests())
	}
	sms, mail := eightDigits.FindString(texts[0].Message), eightDigits.FindString(mails[0].Text)
	if texts[0].PhoneNumber != phoneNumber || texts[0].Attributes["AWS.SNS.SMS.SenderID"] != "String:Example" ||
		texts[0].Attributes["AWS.MM.SMS.OriginationNumber"] != "String:+12065550100" || sms == "" {
		t.Errorf("text message %+v", texts[0])
	}
	link := "https://login.example.com" + strings.TrimPrefix(path, "/v2/sessions") + "?code=" + mail
	if mails[0].From != "login@example.com" || mails[0].ConfigurationSet != "events" || !strings.Contains(mails[0].Text, link) {
		t.Errorf("mail %+v, want it to hold %s", mails[0], link)
	}
	if diff := cmp.Diff([]string{mailAddress}, mails[0].To); diff != "" {
		t.Errorf("addressees:\n%s", diff)
	}
	d.must("PATCH", path, `{"checks":{"otpSms":{"code":"`+sms+`"},"otpEmail":{"code":"`+mail+`"}}}`)
	if found := leaks([]byte(d.logs.String()), map[string][]byte{"sms": []byte(sms), "mail": []byte(mail), "phone": []byte(phoneNumber)}); len(found) > 0 {
		t.Errorf("logged: %v in\n%s", found, d.logs)
	}
}

// The stand-in that others wrote reads a mail as this one's own does.
func TestMailIsTheSameForAStandInThatOthersWrote(t *testing.T) {
	t.Parallel()
	ses := seslocal.Start(t)
	d := deploy(t, map[string]string{
		"AWS_ENDPOINT_URL_SESV2": ses.URL, "STEPUP_MAIL_FROM": "Example <login@example.com>", "STEPUP_MAIL_REPLY_TO": "help@example.com",
	})
	path, _ := d.session()
	d.must("PUT", "/v2/users/human/ada", `{"profile":{"givenName":"Ada","familyName":"Lovelace","preferredLanguage":"de"}}`)
	d.must("PATCH", path, `{"challenges":{"otpEmail":{"sendCode":{"urlTemplate":"https://login.example.com/{{.SessionID}}?a=b&code={{.Code}}"}}}}`)
	mails := ses.Mails(t)
	if len(mails) != 1 || d.providers.Requests() != 0 {
		t.Fatalf("%d mails, and %d elsewhere", len(mails), d.providers.Requests())
	}
	mail := mails[0]
	code := eightDigits.FindString(mail.Body.Text)
	var want seslocal.Mail
	want.MessageID, want.Body = mail.MessageID, mail.Body
	want.From, want.ReplyTo, want.Subject = "Example <login@example.com>", []string{"help@example.com"}, "Ihr Anmeldecode für example.com"
	want.Destination.To = []string{mailAddress}
	if diff := cmp.Diff(want, mail, cmpopts.EquateEmpty()); diff != "" || mail.MessageID == "" {
		t.Errorf("mail (-want +got):\n%s", diff)
	}
	link := "https://login.example.com" + strings.TrimPrefix(path, "/v2/sessions") + "?a=b&code=" + code
	for name, body := range map[string]string{"text": mail.Body.Text, "HTML": html.UnescapeString(mail.Body.HTML)} {
		if !strings.Contains(strings.ReplaceAll(body, link, ""), code) || !strings.Contains(body, link) {
			t.Errorf("the %s does not hold both the code %s and the link %s:\n%s", name, code, link, body)
		}
	}
	d.must("PATCH", path, `{"checks":{"otpEmail":{"code":"`+code+`"}}}`)
}

// providerFailures are refusals of SNS and SES that only they have, and what the caller
// is told. What fails in every service alike is in the table of outages.
var providerFailures = map[string]struct {
	sms    bool // else mail
	answer awstest.Answer
	status int
	id     string
}{
	"SMS opted out":  {sms: true, answer: awstest.OptedOut(), status: 400, id: "STEPUP-sms-opted-out"},
	"SMS bad number": {sms: true, answer: awstest.BadNumber(), status: 400, id: "STEPUP-sms-number"},
	"SMS sandbox":    {sms: true, answer: awstest.Sandbox(), status: 503, id: "STEPUP-sms-unavailable"},
	"mail sandbox":   {answer: awstest.Rejected(), status: 503, id: "STEPUP-email-unavailable"},
}

func TestAProviderThatFailsIsNamedAndLeavesTheSessionAsItWas(t *testing.T) {
	t.Parallel()
	for name, row := range providerFailures {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := deploy(t, nil)
			path, token := d.session()
			before := d.must("GET", path+"?sessionToken="+token, "")
			d.providers.Script(row.answer)
			ask := `{"challenges":{"otpEmail":{}},"metadata":{"k":"dg=="}}`
			if row.sms {
				ask = `{"challenges":{"otpSms":{}},"metadata":{"k":"dg=="}}`
			}
			status, answer := d.call("PATCH", path, d.key, ask)
			if status != row.status || faultOf(answer) != row.id {
				t.Errorf("got %d %v, want %d %s", status, answer, row.status, row.id)
			}
			for _, internal := range []string{phoneNumber, mailAddress, "mouse", "arn:", "sandbox", "sns", "http"} {
				if text := answer["message"].(string); strings.Contains(strings.ToLower(text), internal) {
					t.Errorf("%q tells %s", text, internal)
				}
			}
			if diff := cmp.Diff(before, d.must("GET", path+"?sessionToken="+token, "")); diff != "" {
				t.Errorf("the session changed (-before +after):\n%s", diff)
			}
			channel, outcome := "email", outcomeOf(row.status)
			if row.sms {
				channel = "sms"
			}
			if n := metricstest.Sum(t, d.metrics.String(), "Sends", "service", "stepup-api", "channel", channel, "outcome", outcome); n != 1 {
				t.Errorf("%d messages are counted as %s in\n%s", n, outcome, d.metrics)
			}
			d.providers.Script()
			d.must("PATCH", path, ask)
			if logs := d.logs.String(); strings.Contains(logs, phoneNumber) || !strings.Contains(logs, row.id) {
				t.Errorf("the log names %s and not the failure, or the number:\n%s", row.id, logs)
			}
		})
	}
}

// outcomeOf is the word for a message that did not leave, by the status of the answer.
func outcomeOf(status int) string {
	if status == 400 {
		return "rejected" // it is the address, and not the provider
	}
	return "failed"
}

// faultOf is the id in the first detail of a refusal.
func faultOf(answer map[string]any) string {
	details, _ := answer["details"].([]any)
	if len(details) == 0 {
		return ""
	}
	id, _ := details[0].(map[string]any)["id"].(string)
	return id
}

func TestWithoutASenderNoMailIsPromised(t *testing.T) {
	t.Parallel()
	d := deploy(t, map[string]string{"STEPUP_MAIL_FROM": ""})
	path, _ := d.session()
	status, answer := d.call("PATCH", path, d.key, `{"challenges":{"otpEmail":{}}}`)
	if status != 503 || faultOf(answer) != "STEPUP-email-unavailable" || d.providers.Requests() != 0 {
		t.Errorf("got %d %v after %d requests", status, answer, d.providers.Requests())
	}
}

func TestSenderOptionsThatMakeNoSenseStopTheStart(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "keyring.json")
	if err := os.WriteFile(path, keyringText(t), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, c := range map[string]config.Config{
		"STEPUP_SMS_*: sns: option SenderID":          {SMS: config.SMS{SenderID: "much too long for this"}},
		"STEPUP_SMS_*: sns: option OriginationNumber": {SMS: config.SMS{OriginationNumber: "0446681800"}},
		"STEPUP_MAIL_*: ses: option From":             {Mail: config.Mail{From: "nobody"}},
	} {
		c.Table, c.Keyring = "table", "file:"+path
		if _, err := app.OnAWS(t.Context(), c, environment(), ambient()); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %v, want it to begin with %s", err, want)
		}
	}
}
