package apigw_test

import (
	"io"
	"net/http"
	"net/url"
	"strconv"
	"testing"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http/httpguts"

	"github.com/stepup-auth/stepup/pkg/apigw"
)

// mirror answers with what it was sent: the status that the query names, the
// request's headers, and its body. So the fuzzers reach both directions.
func mirror(w http.ResponseWriter, r *http.Request) {
	for name, values := range r.Header {
		w.Header()[name] = values
		w.Header()[name+"\x00"+r.URL.Path] = values
	}
	w.Header().Set("X-Path", r.URL.Path)
	w.Header().Add("Set-Cookie", r.URL.RawQuery)
	if status, err := strconv.Atoi(r.URL.Query().Get("status")); err == nil {
		w.WriteHeader(status)
	}
	if _, err := io.Copy(w, r.Body); err != nil {
		panic(err)
	}
}

// wantValid fails the test when API Gateway could not make a response of the answer.
func wantValid(t *testing.T, out events.APIGatewayV2HTTPResponse) {
	t.Helper()
	if out.StatusCode < 100 || out.StatusCode > 599 {
		t.Errorf("status %d", out.StatusCode)
	}
	for name, value := range out.Headers {
		if !httpguts.ValidHeaderFieldName(name) || !httpguts.ValidHeaderFieldValue(value) {
			t.Errorf("header %q: %q", name, value)
		}
	}
	for _, cookie := range out.Cookies {
		if !httpguts.ValidHeaderFieldValue(cookie) {
			t.Errorf("cookie %q", cookie)
		}
	}
	if body := bodyOf(t, out); !out.IsBase64Encoded && !utf8.Valid(body) {
		t.Errorf("body %q travels as text", body)
	}
}

func FuzzInvoke(f *testing.F) {
	for _, name := range fixtures(f) {
		f.Add(fixture(f, name))
	}
	h := apigw.New(http.HandlerFunc(mirror), apigw.Options{})
	f.Fuzz(func(t *testing.T, payload []byte) {
		wantValid(t, invoke(t, h, payload))
	})
}

// FuzzRequest makes events that are well-formed JSON, so that their fields are what
// varies. Whatever reaches a handler must look as if net/http had read it.
func FuzzRequest(f *testing.F) {
	f.Add("PATCH", "/v2/users/a%2Fb", "status=201", "Content-Type", "application/json", "a=1", "{}", false)
	f.Add("GET", "/v2/users/Zoë 100%", "status=204", "X-Forwarded-For", "203.0.113.9", "", "AP8=", true)
	for _, query := range []string{"status=99", "status=101", "status=600", "status=-1"} {
		f.Add("HEAD", "//x", query, "a", "b\xff", "c=d", "x", false)
	}
	f.Fuzz(func(t *testing.T, method, path, query, name, value, cookie, body string, encoded bool) {
		h := apigw.New(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			u, err := url.ParseRequestURI(r.RequestURI)
			if err != nil {
				t.Errorf("RequestURI %q: %v", r.RequestURI, err)
			}
			if diff := cmp.Diff(u, r.URL); diff != "" {
				t.Errorf("URL is not what net/http parses from RequestURI:\n%s", diff)
			}
			mirror(w, r)
		}), apigw.Options{})
		wantValid(t, invoke(t, h, eventWith(t, func(e *events.APIGatewayV2HTTPRequest) {
			e.RequestContext.HTTP.Method, e.RawPath, e.RawQueryString = method, path, query
			e.Headers = map[string]string{name: value}
			e.Cookies = []string{cookie}
			e.Body, e.IsBase64Encoded = body, encoded
		})))
	})
}
