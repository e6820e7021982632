package awstest_test

import (
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/notify/awstest"
)

// request returns one that the server takes, for a test to spoil. The adapters' tests
// show what the real clients send.
func request(t *testing.T, service, url, contentType, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", contentType)
	r.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential=test/20260102/eu-west-1/"+service+"/aws4_request, SignedHeaders=host, Signature=00")
	return r
}

func publish(t *testing.T, s *awstest.Server, edit func(url.Values)) *http.Request {
	t.Helper()
	form := url.Values{
		"Action": {"Publish"}, "Version": {"2010-03-31"}, "PhoneNumber": {"+41446681800"}, "Message": {"12345678"},
	}
	edit(form)
	return request(t, "sns", s.URL+"/", "application/x-www-form-urlencoded", form.Encode())
}

const goodMail = `{"FromEmailAddress":"a@example.com","Destination":{"ToAddresses":["b@example.com"]},
	"Content":{"Simple":{"Subject":{"Data":"für","Charset":"UTF-8"},"Body":{"Text":{"Data":"für"},"Html":{"Data":"<p>"}}}}}`

func sendEmail(t *testing.T, s *awstest.Server, from, to string) *http.Request {
	t.Helper()
	return request(t, "ses", s.URL+"/v2/email/outbound-emails", "application/json", strings.Replace(goodMail, from, to, 1))
}

func do(t *testing.T, r *http.Request) (status int, body, errorType string) {
	t.Helper()
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(text), response.Header.Get("X-Amzn-Errortype")
}

func TestServerTakesOnlyWhatSNSTakes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		edit func(url.Values)
		want string
	}{
		{"all of it", func(url.Values) {}, "<MessageId>sms-1</MessageId>"},
		{"another action", func(v url.Values) { v.Set("Action", "Subscribe") }, "<Code>InvalidAction</Code>"},
		{"national number", func(v url.Values) { v.Set("PhoneNumber", "0446681800") }, "<Code>InvalidParameter</Code>"},
		{"no number", func(v url.Values) { v.Del("PhoneNumber") }, "<Code>InvalidParameter</Code>"},
		{"no text", func(v url.Values) { v.Set("Message", " ") }, "<Code>InvalidParameter</Code>"},
		{"too much text", func(v url.Values) { v.Set("Message", strings.Repeat("x", 1601)) }, "<Code>InvalidParameter</Code>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := awstest.Start(t)
			_, body, _ := do(t, publish(t, s, tt.edit))
			if !strings.Contains(body, tt.want) || len(s.SMS()) != strings.Count(body, "MessageId")/2 {
				t.Errorf("answer = %s with %d messages, want %s", body, len(s.SMS()), tt.want)
			}
		})
	}
}

func TestServerTakesOnlyWhatSESTakes(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, from, to string
		errorType      string
	}{
		{"all of it", "", "", ""},
		{"no JSON", "{", "", "SerializationException"},
		{"no content", `"Simple"`, `"Raw"`, "BadRequestException"},
		{"no subject", "für", "", "BadRequestException"},
		{"subject of two lines", "für", `a\nb`, "BadRequestException"},
		{"nobody to send to", `"b@example.com"`, "", "BadRequestException"},
		{"bad addressee", "b@example.com", "b", "BadRequestException"},
		{"bad sender", "a@example.com", "", "BadRequestException"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := awstest.Start(t)
			_, body, errorType := do(t, sendEmail(t, s, tt.from, tt.to))
			if errorType != tt.errorType || len(s.Mails()) != strings.Count(body, "MessageId") {
				t.Errorf("answer = %q %s with %d mails, want %q", errorType, body, len(s.Mails()), tt.errorType)
			}
		})
	}
}

func TestServerShowsWhatIsNotSentAsUTF8(t *testing.T) {
	t.Parallel()
	s := awstest.Start(t)
	do(t, sendEmail(t, s, "", ""))
	if got := s.Mails()[0]; got.Subject != "für" || got.Text != "f?r" {
		t.Errorf("subject %q and text %q, want für and f?r", got.Subject, got.Text)
	}
}

func TestServerRefusesRequestsThatAreNotSignedForIt(t *testing.T) {
	t.Parallel()
	s := awstest.Start(t)
	for name, spoil := range map[string]func(*http.Request){
		"unsigned": func(r *http.Request) { r.Header.Del("Authorization") },
		"signed for another service": func(r *http.Request) {
			r.Header.Set("Authorization", strings.NewReplacer("/sns/", "/s3/", "/ses/", "/s3/").Replace(r.Header.Get("Authorization")))
		},
	} {
		for service, r := range map[string]*http.Request{"SNS": publish(t, s, func(url.Values) {}), "SES": sendEmail(t, s, "", "")} {
			spoil(r)
			if status, body, _ := do(t, r); status != http.StatusForbidden {
				t.Errorf("%s, %s: %d %s", service, name, status, body)
			}
		}
	}
	if len(s.SMS())+len(s.Mails()) != 0 || s.Requests() != 4 {
		t.Errorf("%d messages of %d requests, want 0 of 4", len(s.SMS())+len(s.Mails()), s.Requests())
	}
}

func TestScriptIsPlayedOnceAndInOrder(t *testing.T) {
	t.Parallel()
	s := awstest.Start(t)
	s.Script(awstest.Throttled(), awstest.Accept(), awstest.ServerError())
	var got []int
	for range 4 {
		status, _, _ := do(t, publish(t, s, func(url.Values) {}))
		got = append(got, status)
	}
	if want := []int{429, 200, 500, 200}; !slices.Equal(got, want) || len(s.SMS()) != 2 || s.Requests() != 4 {
		t.Errorf("answers = %v with %d messages of %d requests, want %v with 2 of 4", got, len(s.SMS()), s.Requests(), want)
	}
}
