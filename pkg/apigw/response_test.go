package apigw_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"net/http"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/stepup-auth/stepup/pkg/apigw"
)

// answerOf returns what a handler's answer to the REST fixture looks like.
func answerOf(t *testing.T, handler http.HandlerFunc) events.APIGatewayV2HTTPResponse {
	t.Helper()
	return invoke(t, apigw.New(handler, apigw.Options{}), fixture(t, "rest-json"))
}

func TestHandlersAnswerIsWrittenDown(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name    string
		handler http.HandlerFunc
		want    events.APIGatewayV2HTTPResponse
	}{
		{
			"nothing written is an implicit 200",
			func(http.ResponseWriter, *http.Request) {},
			events.APIGatewayV2HTTPResponse{StatusCode: 200},
		},
		{
			"headers alone are the trailers-only answer of gRPC-Web",
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Type", "application/grpc-web+proto")
				w.Header().Set("Grpc-Status", "5")
				w.Header().Set("Grpc-Message", "unknown service")
			},
			events.APIGatewayV2HTTPResponse{StatusCode: 200, Headers: map[string]string{
				"content-type": "application/grpc-web+proto", "grpc-status": "5", "grpc-message": "unknown service",
			}},
		},
		{
			"the first status wins",
			func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusTeapot)
				w.WriteHeader(http.StatusOK)
			},
			events.APIGatewayV2HTTPResponse{StatusCode: 418},
		},
		{
			"an informational status is not the answer",
			func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusEarlyHints)
				w.WriteHeader(http.StatusAccepted)
			},
			events.APIGatewayV2HTTPResponse{StatusCode: 202},
		},
		{
			"headers set after the status do not count",
			func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(http.StatusOK)
				w.Header().Set("X-Late", "1")
			},
			events.APIGatewayV2HTTPResponse{StatusCode: 200},
		},
		{
			"a flush fixes status and headers",
			func(w http.ResponseWriter, _ *http.Request) {
				if err := http.NewResponseController(w).Flush(); err != nil {
					panic(err)
				}
				w.WriteHeader(http.StatusTeapot)
				w.Header().Set("X-Late", "1")
			},
			events.APIGatewayV2HTTPResponse{StatusCode: 200},
		},
		{
			"cookies get a list of their own",
			func(w http.ResponseWriter, _ *http.Request) {
				http.SetCookie(w, &http.Cookie{Name: "a", Value: "1"})
				http.SetCookie(w, &http.Cookie{Name: "b", Value: "2", Path: "/"})
			},
			events.APIGatewayV2HTTPResponse{StatusCode: 200, Cookies: []string{"a=1", "b=2; Path=/"}},
		},
		{
			"other repeated headers are joined",
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header()["Vary"] = []string{"Origin", "Accept-Encoding"}
				w.Header()["vary"] = []string{"Cookie"}
				w.Header()["Date"] = nil
			},
			events.APIGatewayV2HTTPResponse{StatusCode: 200, Headers: map[string]string{"vary": "Origin, Accept-Encoding, Cookie"}},
		},
		{
			"trailers are dropped, announced or prefixed",
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Trailer", "X-Sum, x-count")
				w.Header().Set("X-Sum", "1")
				w.Header().Set("X-Count", "2")
				w.Header().Set(http.TrailerPrefix+"Grpc-Status", "0")
				w.Header().Set("X-Kept", "3")
			},
			events.APIGatewayV2HTTPResponse{StatusCode: 200, Headers: map[string]string{"x-kept": "3"}},
		},
		{
			"headers of the connection are the gateway's",
			func(w http.ResponseWriter, _ *http.Request) {
				for _, name := range []string{"Connection", "Content-Length", "Keep-Alive", "Transfer-Encoding", "Upgrade"} {
					w.Header().Set(name, "1")
				}
			},
			events.APIGatewayV2HTTPResponse{StatusCode: 200},
		},
		{
			"a value cannot start a new line",
			func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Note", " one\r\nSet-Cookie: evil=1\x00\xff ")
			},
			events.APIGatewayV2HTTPResponse{StatusCode: 200, Headers: map[string]string{"x-note": "one  Set-Cookie: evil=1"}},
		},
		{
			"an invalid status is an internal error",
			func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(600) },
			events.APIGatewayV2HTTPResponse{
				StatusCode: 500, Headers: map[string]string{"content-type": "application/json"},
				Body: `{"code":13,"message":"An internal error occurred"}`,
			},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tc.want, answerOf(t, tc.handler), cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBodyTravelsAsTextOnlyWhereItIsText(t *testing.T) {
	t.Parallel()
	const text = `{"name":"Zoë <b>"}`
	for _, tc := range []struct {
		name, contentType, contentEncoding, body string
		wantType                                 string
		wantBase64                               bool
	}{
		{"JSON", "application/json", "", text, "application/json", false},
		{"JSON with parameters", "Application/JSON; charset=utf-8", "", text, "Application/JSON; charset=utf-8", false},
		{"a type built on JSON", "application/problem+json", "", text, "application/problem+json", false},
		{"HTML", "text/html", "", text, "text/html", false},
		{"XML", "application/xml", "", "<a/>", "application/xml", false},
		{"JavaScript", "application/javascript", "", "f()", "application/javascript", false},
		{"sniffed text", "", "", text, "text/plain; charset=utf-8", false},
		{"sniffed image", "", "", "\x89PNG\x0d\x0a\x1a\x0a", "image/png", true},
		{"protobuf that looks like text", "application/proto", "", "abc", "application/proto", true},
		{"gRPC-Web", "application/grpc-web+proto", "", "abc", "application/grpc-web+proto", true},
		{"text that is no UTF-8", "text/plain; charset=latin1", "", "Zo\xeb", "text/plain; charset=latin1", true},
		{"compressed JSON", "application/json", "gzip", "abc", "application/json", true},
		{"compressed, of no type", "", "gzip", "abc", "", true},
		{"nothing", "application/proto", "", "", "application/proto", false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			out := answerOf(t, func(w http.ResponseWriter, _ *http.Request) {
				if tc.contentType != "" {
					w.Header().Set("Content-Type", tc.contentType)
				}
				if tc.contentEncoding != "" {
					w.Header().Set("Content-Encoding", tc.contentEncoding)
				}
				_, _ = w.Write([]byte(tc.body))
			})
			if got := out.Headers["content-type"]; got != tc.wantType {
				t.Errorf("content type = %q, want %q", got, tc.wantType)
			}
			if out.IsBase64Encoded != tc.wantBase64 {
				t.Errorf("base64 = %v, want %v", out.IsBase64Encoded, tc.wantBase64)
			}
			if got := bodyOf(t, out); !bytes.Equal(got, []byte(tc.body)) {
				t.Errorf("body = %q, want %q", got, tc.body)
			}
		})
	}
}

func bodyOf(t testing.TB, out events.APIGatewayV2HTTPResponse) []byte {
	t.Helper()
	if !out.IsBase64Encoded {
		return []byte(out.Body)
	}
	body, err := base64.StdEncoding.DecodeString(out.Body)
	if err != nil {
		t.Fatalf("body %q: %v", out.Body, err)
	}
	return body
}

func TestStatusWithoutBodyRefusesOne(t *testing.T) {
	t.Parallel()
	for _, status := range []int{http.StatusNoContent, http.StatusNotModified} {
		out := answerOf(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			if _, err := w.Write([]byte("x")); !errors.Is(err, http.ErrBodyNotAllowed) {
				t.Errorf("Write after %d = %v, want %v", status, err, http.ErrBodyNotAllowed)
			}
		})
		if out.StatusCode != status || out.Body != "" {
			t.Errorf("answer = %+v, want %d without a body", out, status)
		}
	}
}

func TestHeadIsAnsweredWithoutABody(t *testing.T) {
	t.Parallel()
	h := apigw.New(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		if n, err := w.Write([]byte("body")); n != 4 || err != nil {
			t.Errorf("Write = %d, %v, want it accepted", n, err)
		}
	}), apigw.Options{})
	out := invoke(t, h, eventWith(t, func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.HTTP.Method = http.MethodHead }))
	want := events.APIGatewayV2HTTPResponse{StatusCode: 200, Headers: map[string]string{"content-type": "text/plain"}}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
}
