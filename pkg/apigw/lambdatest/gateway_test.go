package lambdatest_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/apigw/lambdatest"
)

// answering is an Invoke that keeps the event and returns a fixed answer.
type answering struct {
	event  events.APIGatewayV2HTTPRequest
	answer string
	err    error
}

func (a *answering) Invoke(_ context.Context, event []byte) ([]byte, error) {
	return []byte(a.answer), errors.Join(a.err, json.Unmarshal(event, &a.event))
}

func roundTrip(t *testing.T, a *answering, r *http.Request) (*http.Response, string, error) {
	t.Helper()
	resp, err := (&lambdatest.Gateway{Invoke: a.Invoke, SourceIP: "198.51.100.7"}).RoundTrip(r)
	if err != nil {
		return nil, "", err
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return resp, string(body), nil
}

func TestGatewayWritesTheEventAsTheServiceDoes(t *testing.T) {
	t.Parallel()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPatch,
		"https://login.example.com/v2/a%20b?q=%20x", strings.NewReader(`{"a":1}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header = http.Header{
		"Content-Type": {"application/json"},
		"Accept":       {"text/html", "application/json"},
		"Cookie":       {"a=1; b=2"},
		"User-Agent":   {"test/1.0"},
	}
	a := &answering{answer: `{"statusCode":200}`}
	if _, _, err := roundTrip(t, a, r); err != nil {
		t.Fatal(err)
	}
	want := events.APIGatewayV2HTTPRequest{
		Version: "2.0", RouteKey: "$default", RawPath: "/v2/a b", RawQueryString: "q=%20x", Body: `{"a":1}`,
		Cookies: []string{"a=1", "b=2"},
		Headers: map[string]string{
			"host": "login.example.com", "content-type": "application/json",
			"accept": "text/html,application/json", "user-agent": "test/1.0",
		},
		RequestContext: events.APIGatewayV2HTTPRequestContext{
			RouteKey: "$default", Stage: "$default", AccountID: "123456789012", APIID: "api-id", RequestID: "request-id",
			DomainName: "login.example.com", DomainPrefix: "login",
			HTTP: events.APIGatewayV2HTTPRequestContextHTTPDescription{
				Method: "PATCH", Path: "/v2/a b", Protocol: "HTTP/1.1", SourceIP: "198.51.100.7", UserAgent: "test/1.0",
			},
		},
	}
	if diff := cmp.Diff(want, a.event); diff != "" {
		t.Error(diff)
	}
}

func TestGatewayEncodesEveryBodyThatIsNotListedAsText(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		contentType, body string
		wantBase64        bool
	}{
		{"application/json; charset=utf-8", `{}`, false},
		{"application/xml", `<a/>`, false},
		{"application/javascript", `f()`, false},
		{"text/plain", `a`, false},
		{"text/plain", "\xff", true},
		{"application/problem+json", `{}`, true},
		{"application/x-www-form-urlencoded", `a=1`, true},
		{"", `a`, true},
		{"", ``, false},
	} {
		t.Run(tc.contentType+" "+tc.body, func(t *testing.T) {
			t.Parallel()
			r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://login.example.com/", strings.NewReader(tc.body))
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Content-Type", tc.contentType)
			a := &answering{answer: `{"statusCode":200}`}
			if _, _, err := roundTrip(t, a, r); err != nil {
				t.Fatal(err)
			}
			want := tc.body
			if tc.wantBase64 {
				want = base64.StdEncoding.EncodeToString([]byte(tc.body))
			}
			if a.event.Body != want || a.event.IsBase64Encoded != tc.wantBase64 {
				t.Errorf("body %q, base64 %v; want %q, %v", a.event.Body, a.event.IsBase64Encoded, want, tc.wantBase64)
			}
		})
	}
}

func get(t testing.TB) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://login.example.com/", nil)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestGatewayReadsTheAnswerAsTheServiceDoes(t *testing.T) {
	t.Parallel()
	a := &answering{answer: `{"statusCode":404,"headers":{"x-a":"1, 2"},"cookies":["a=1","b=2"],"body":"AP8=","isBase64Encoded":true}`}
	resp, body, err := roundTrip(t, a, get(t))
	if err != nil {
		t.Fatal(err)
	}
	if resp.Status != "404 Not Found" || resp.StatusCode != http.StatusNotFound || body != "\x00\xff" || resp.ContentLength != 2 {
		t.Errorf("response = %+v with body %q", resp, body)
	}
	if diff := cmp.Diff(http.Header{"X-A": {"1, 2"}, "Set-Cookie": {"a=1", "b=2"}}, resp.Header); diff != "" {
		t.Error(diff)
	}
}

func TestGatewayReportsAnAnswerThatTheServiceWouldRefuse(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	for name, tc := range map[string]struct {
		a    answering
		want string
	}{
		"the invoke failed":   {answering{err: broken}, "broken"},
		"no JSON":             {answering{answer: "ok"}, "no gateway response"},
		"no status":           {answering{answer: "{}"}, "status 0"},
		"status out of range": {answering{answer: `{"statusCode":600}`}, "status 600"},
		"body not base64":     {answering{answer: `{"statusCode":200,"body":"?","isBase64Encoded":true}`}, "illegal base64"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, _, err := roundTrip(t, &tc.a, get(t))
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("err = %v, want %q in it", err, tc.want)
			}
			if tc.a.err != nil && !errors.Is(err, tc.a.err) {
				t.Errorf("err = %v does not wrap that of Invoke", err)
			}
		})
	}
}

func FuzzGatewayAnswer(f *testing.F) {
	f.Add(`{"statusCode":200,"headers":{"a":"b"},"cookies":["c=d"],"body":"e"}`)
	f.Add(`{"statusCode":200,"body":"AP8=","isBase64Encoded":true}`)
	f.Add(`{"statusCode":1}`)
	f.Fuzz(func(t *testing.T, answer string) {
		gateway := &lambdatest.Gateway{Invoke: func(context.Context, []byte) ([]byte, error) { return []byte(answer), nil }}
		resp, err := gateway.RoundTrip(get(t))
		if err != nil {
			return
		}
		body, err := io.ReadAll(resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode < 100 || resp.StatusCode > 599 || resp.ContentLength != int64(len(body)) {
			t.Errorf("answer %q became %+v with body %q", answer, resp, body)
		}
	})
}
