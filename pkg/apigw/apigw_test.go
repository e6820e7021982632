package apigw_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-lambda-go/events"
	"github.com/aws/aws-lambda-go/lambda"
	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/apigw"
)

var _ lambda.Handler = (*apigw.Handler)(nil)

func fixture(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name+".json"))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// fixtures returns the names of all fixtures, of which there must be some.
func fixtures(t testing.TB) []string {
	t.Helper()
	names, err := filepath.Glob("testdata/*.json")
	if err != nil || len(names) == 0 {
		t.Fatalf("no fixtures in testdata: %v", err)
	}
	for i, name := range names {
		names[i] = strings.TrimSuffix(filepath.Base(name), ".json")
	}
	return names
}

// eventWith returns the REST fixture as edit changed it.
func eventWith(t testing.TB, edit func(*events.APIGatewayV2HTTPRequest)) []byte {
	t.Helper()
	var e events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(fixture(t, "rest-json"), &e); err != nil {
		t.Fatal(err)
	}
	edit(&e)
	b, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func invoke(t testing.TB, h *apigw.Handler, event []byte) events.APIGatewayV2HTTPResponse {
	t.Helper()
	return invokeContext(t.Context(), t, h, event)
}

func invokeContext(ctx context.Context, t testing.TB, h *apigw.Handler, event []byte) events.APIGatewayV2HTTPResponse {
	t.Helper()
	answer, err := h.Invoke(ctx, event)
	if err != nil {
		t.Fatalf("Invoke = %v, want every failure as an answer", err)
	}
	var out events.APIGatewayV2HTTPResponse
	if err := json.Unmarshal(answer, &out); err != nil {
		t.Fatalf("answer %q: %v", answer, err)
	}
	return out
}

// unreached fails the test when the handler is called.
func unreached(t testing.TB) http.Handler {
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler was called") })
}

// seen is what a handler can tell about a request.
type seen struct {
	Method, URI, Path, RawPath, Query, Host, RemoteAddr, Body string
	Header                                                    map[string]string
}

func TestRequestArrivesAsTheClientSentIt(t *testing.T) {
	t.Parallel()
	const (
		executeAPI = "abc123.execute-api.eu-central-1.amazonaws.com"
		session    = "/v2/sessions/218480890961985793"
		password   = `{"checks":{"password":{"password":"Secret1!"}}}`
		check      = "/grpc.health.v1.Health/Check"
	)
	rest := func(edit func(*seen)) seen {
		want := seen{
			Method: "PATCH", URI: session, Path: session, Host: executeAPI, RemoteAddr: "198.51.100.7:0", Body: password,
			Header: map[string]string{
				"Accept": "application/json", "Authorization": "Bearer key",
				"Content-Type": "application/json", "User-Agent": "fixture/1.0",
			},
		}
		edit(&want)
		return want
	}
	table := map[string]seen{
		"rest-json": rest(func(*seen) {}),
		"connect-json": rest(func(s *seen) {
			s.Method, s.URI, s.Path, s.Body = "POST", check, check, `{"service":"stepup"}`
		}),
		"connect-proto": rest(func(s *seen) {
			s.Method, s.URI, s.Path, s.Body = "POST", check, check, "\x0a\x06stepup"
			s.Header["Content-Type"] = "application/proto"
		}),
		"grpc-web": rest(func(s *seen) {
			s.Method, s.URI, s.Path, s.Body = "POST", check, check, "\x00\x00\x00\x00\x08\x0a\x06stepup"
			s.Header["Content-Type"] = "application/grpc-web+proto"
		}),
		"form": rest(func(s *seen) {
			s.Method, s.URI, s.Path, s.Body = "POST", "/form", "/form", "a=1&b=%20two"
			s.Header["Content-Type"] = "application/x-www-form-urlencoded"
		}),
		"no-content-type": rest(func(s *seen) {
			s.Body = `{"checks":{}}`
			delete(s.Header, "Content-Type")
		}),
		"cookies": rest(func(s *seen) {
			s.Method, s.Body = "GET", ""
			s.Header["Cookie"] = "__Host-session=abc; theme=dark"
			delete(s.Header, "Content-Type")
		}),
		"comma-header": rest(func(s *seen) {
			s.Header["X-Payload"], s.Header["Accept-Language"] = `{"a":1,"b":2}`, "de,en;q=0.5"
		}),
		"path-encoded": rest(func(s *seen) {
			s.Method, s.Body = "GET", ""
			s.URI = "/v2/users/a%2Fb%20c?q=%C3%A9&q=2&empty="
			s.Path, s.RawPath, s.Query = "/v2/users/a/b c", "/v2/users/a%2Fb%20c", "q=%C3%A9&q=2&empty="
			delete(s.Header, "Content-Type")
		}),
		"path-decoded": rest(func(s *seen) {
			s.Method, s.Body = "GET", ""
			s.URI = "/v2/users/mini@mouse.com/Zo%C3%AB%20100%25?x=1"
			s.Path, s.Query = "/v2/users/mini@mouse.com/Zoë 100%", "x=1"
			delete(s.Header, "Content-Type")
		}),
		"custom-domain": rest(func(s *seen) { s.Host = "login.example.com" }),
		"named-stage":   rest(func(s *seen) { s.URI, s.Path = "/prod"+session, "/prod"+session }),
		"iam":           rest(func(*seen) {}),
		"ipv6":          rest(func(s *seen) { s.RemoteAddr = "[2001:db8::1]:0" }),
	}
	for _, name := range fixtures(t) {
		want, ok := table[name]
		if name == "grpc-native" {
			continue // It does not arrive.
		}
		if !ok {
			t.Errorf("no expectation for testdata/%s.json", name)
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got seen
			h := apigw.New(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = look(t, r) }), apigw.Options{})
			if out := invoke(t, h, fixture(t, name)); out.StatusCode != http.StatusOK {
				t.Fatalf("answer = %+v", out)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func look(t *testing.T, r *http.Request) seen {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		t.Error(err)
	}
	if r.ContentLength != int64(len(body)) {
		t.Errorf("ContentLength = %d, body has %d bytes", r.ContentLength, len(body))
	}
	header := map[string]string{}
	for name, values := range r.Header {
		if len(values) != 1 {
			t.Errorf("header %s has the values %q, want one", name, values)
		}
		header[name] = values[0]
	}
	return seen{
		Method: r.Method, URI: r.RequestURI, Path: r.URL.Path, RawPath: r.URL.RawPath, Query: r.URL.RawQuery,
		Host: r.Host, RemoteAddr: r.RemoteAddr, Body: string(body), Header: header,
	}
}

func TestPathOfEveryFormMakesAValidRequestTarget(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ raw, uri, path string }{
		{"", "/", "/"},
		{"/", "/", "/"},
		{"//twice", "//twice", "//twice"},
		{"/a?b", "/a%3Fb", "/a?b"},
		{"/a#b", "/a%23b", "/a#b"},
		{"/100%", "/100%25", "/100%"},
		{"/a b%20c", "/a%20b%20c", "/a b c"},
		{"/line\nbreak", "/line%0Abreak", "/line\nbreak"},
		{"/%41", "/%41", "/A"},
	} {
		t.Run(tc.raw, func(t *testing.T) {
			t.Parallel()
			var uri, path string
			h := apigw.New(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				uri, path = r.RequestURI, r.URL.Path
			}), apigw.Options{})
			invoke(t, h, eventWith(t, func(e *events.APIGatewayV2HTTPRequest) { e.RawPath = tc.raw }))
			if uri != tc.uri || path != tc.path {
				t.Errorf("RequestURI = %q, Path = %q, want %q and %q", uri, path, tc.uri, tc.path)
			}
		})
	}
}

func TestL5_ClientCannotClaimAnAddress(t *testing.T) {
	t.Parallel()
	claims := []string{"Forwarded", "X-Forwarded-For", "x-forwarded-host", "X-FORWARDED-PROTO", "X-Real-IP"}
	h := apigw.New(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		for _, name := range claims {
			if got := r.Header.Get(name); got != "" {
				t.Errorf("%s: %s reached the handler", name, got)
			}
		}
		if r.RemoteAddr != "198.51.100.7:0" {
			t.Errorf("RemoteAddr = %q, want the gateway's word", r.RemoteAddr)
		}
	}), apigw.Options{})
	invoke(t, h, eventWith(t, func(e *events.APIGatewayV2HTTPRequest) {
		for _, name := range claims {
			e.Headers[name] = "203.0.113.9"
		}
	}))
}

func TestUnreadableEventIsAnswered400(t *testing.T) {
	t.Parallel()
	edited := func(edit func(*events.APIGatewayV2HTTPRequest)) []byte { return eventWith(t, edit) }
	for name, payload := range map[string][]byte{
		"empty":             nil,
		"no JSON":           []byte(`{"version":`),
		"another type":      []byte(`[]`),
		"null":              []byte(`null`),
		"no version":        []byte(`{}`),
		"version 1.0":       edited(func(e *events.APIGatewayV2HTTPRequest) { e.Version = "1.0" }),
		"no method":         edited(func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.HTTP.Method = "" }),
		"method of two":     edited(func(e *events.APIGatewayV2HTTPRequest) { e.RequestContext.HTTP.Method = "GET /" }),
		"relative path":     edited(func(e *events.APIGatewayV2HTTPRequest) { e.RawPath = "v2/sessions" }),
		"absolute path":     edited(func(e *events.APIGatewayV2HTTPRequest) { e.RawPath = "http://evil.example/" }),
		"control in query":  edited(func(e *events.APIGatewayV2HTTPRequest) { e.RawQueryString = "a=\x00" }),
		"header name":       edited(func(e *events.APIGatewayV2HTTPRequest) { e.Headers["a b"] = "c" }),
		"header value":      edited(func(e *events.APIGatewayV2HTTPRequest) { e.Headers["a"] = "b\r\nc: d" }),
		"cookie":            edited(func(e *events.APIGatewayV2HTTPRequest) { e.Cookies = []string{"a=b\nc"} }),
		"body not base64":   edited(func(e *events.APIGatewayV2HTTPRequest) { e.IsBase64Encoded = true }),
		"headers not a map": []byte(`{"version":"2.0","headers":[]}`),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out := invoke(t, apigw.New(unreached(t), apigw.Options{}), payload)
			wantStatus(t, out, http.StatusBadRequest,
				`{"code":3,"message":"The event is not an API Gateway HTTP API request of payload version 2.0"}`)
		})
	}
}

func wantStatus(t *testing.T, out events.APIGatewayV2HTTPResponse, status int, body string) {
	t.Helper()
	want := events.APIGatewayV2HTTPResponse{
		StatusCode: status, Headers: map[string]string{"content-type": "application/json"}, Body: body,
	}
	if diff := cmp.Diff(want, out); diff != "" {
		t.Error(diff)
	}
}

func TestRefusalLogsNothingThatTheClientSentAsAValue(t *testing.T) {
	t.Parallel()
	const canary = "c4n4ry"
	for name, edit := range map[string]func(*events.APIGatewayV2HTTPRequest){
		"path":   func(e *events.APIGatewayV2HTTPRequest) { e.RawPath = canary },
		"query":  func(e *events.APIGatewayV2HTTPRequest) { e.RawQueryString = canary + "\x00" },
		"header": func(e *events.APIGatewayV2HTTPRequest) { e.Headers["authorization"] = canary + "\n" },
		"cookie": func(e *events.APIGatewayV2HTTPRequest) { e.Cookies = []string{canary + "\n"} },
		"body":   func(e *events.APIGatewayV2HTTPRequest) { e.Body, e.IsBase64Encoded = canary+"?", true },
		"size":   func(e *events.APIGatewayV2HTTPRequest) { e.Body = strings.Repeat(canary, 1<<20) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			h := apigw.New(unreached(t), apigw.Options{Log: slog.New(slog.NewJSONHandler(&log, nil))})
			out := invoke(t, h, eventWith(t, edit))
			if log.Len() == 0 || strings.Contains(log.String(), canary) || strings.Contains(out.Body, canary) {
				t.Errorf("log %q and answer %q must exist and not quote the request", log.String(), out.Body)
			}
		})
	}
}

func TestNativeGRPCIsToldWhereToGo(t *testing.T) {
	t.Parallel()
	const body = `{"code":12,"message":"gRPC needs HTTP trailers, which this endpoint cannot carry; use Connect, gRPC-Web or REST here, or the gRPC endpoint"}`
	wantStatus(t, invoke(t, apigw.New(unreached(t), apigw.Options{}), fixture(t, "grpc-native")), http.StatusUnsupportedMediaType, body)
	for _, contentType := range []string{
		"application/grpc", "application/grpc+proto", "application/grpc+json", "Application/gRPC; charset=utf-8",
	} {
		t.Run(contentType, func(t *testing.T) {
			t.Parallel()
			out := invoke(t, apigw.New(unreached(t), apigw.Options{}), eventWith(t, func(e *events.APIGatewayV2HTTPRequest) {
				e.Headers["content-type"] = contentType
			}))
			wantStatus(t, out, http.StatusUnsupportedMediaType, body)
		})
	}
}

func TestOversizedBodyIsAnswered413(t *testing.T) {
	t.Parallel()
	const limit = 8
	plain := func(n int) []byte {
		return eventWith(t, func(e *events.APIGatewayV2HTTPRequest) { e.Body = strings.Repeat("x", n) })
	}
	encoded := func(body string) []byte {
		return eventWith(t, func(e *events.APIGatewayV2HTTPRequest) { e.Body, e.IsBase64Encoded = body, true })
	}
	for _, tc := range []struct {
		name    string
		payload []byte
		status  int
	}{
		{"text at the limit", plain(limit), 200},
		{"text over the limit", plain(limit + 1), 413},
		{"base64 at the limit", encoded(base64.StdEncoding.EncodeToString(make([]byte, limit))), 200},
		{"base64 over the limit only after decoding", encoded(base64.StdEncoding.EncodeToString(make([]byte, limit+1))), 413},
		{"base64 over the limit is not even decoded", encoded(strings.Repeat("?", 16)), 413},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			h := apigw.New(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), apigw.Options{MaxBody: limit})
			out := invoke(t, h, tc.payload)
			if tc.status == 413 {
				wantStatus(t, out, 413, `{"code":8,"message":"The request body is too large"}`)
			} else if out.StatusCode != tc.status {
				t.Errorf("answer = %+v, want %d", out, tc.status)
			}
		})
	}
}

func TestBodyLimitIsOneMiBByDefault(t *testing.T) {
	t.Parallel()
	for size, want := range map[int]int{1 << 20: 200, 1<<20 + 1: 413} {
		h := apigw.New(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}), apigw.Options{})
		out := invoke(t, h, eventWith(t, func(e *events.APIGatewayV2HTTPRequest) { e.Body = strings.Repeat("x", size) }))
		if out.StatusCode != want {
			t.Errorf("a body of %d bytes got %d, want %d", size, out.StatusCode, want)
		}
	}
}

func TestPanicBecomes500AndGoesToTheLog(t *testing.T) {
	t.Parallel()
	for name, value := range map[string]any{
		"text":            "index out of range",
		"ErrAbortHandler": http.ErrAbortHandler,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var log bytes.Buffer
			h := apigw.New(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("X-Half", "done")
				w.WriteHeader(http.StatusCreated)
				panic(value)
			}), apigw.Options{Log: slog.New(slog.NewJSONHandler(&log, nil))})
			out := invoke(t, h, fixture(t, "rest-json"))
			wantStatus(t, out, http.StatusInternalServerError, `{"code":13,"message":"An internal error occurred"}`)
			var line struct{ Level, Kind, Error string }
			if err := json.Unmarshal(log.Bytes(), &line); err != nil {
				t.Fatalf("log %q: %v", log.String(), err)
			}
			if line.Level != "ERROR" || line.Kind != "internal" {
				t.Errorf("log line = %+v", line)
			}
			text, _ := value.(string)
			if err, ok := value.(error); ok {
				text = err.Error()
			}
			for _, want := range []string{text, "apigw_test.go"} {
				if !strings.Contains(line.Error, want) {
					t.Errorf("the log does not say %q: %s", want, line.Error)
				}
			}
		})
	}
}

func TestAnswerThatLambdaWouldRefuseBecomes500(t *testing.T) {
	t.Parallel()
	h := apigw.New(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain")
		_, _ = w.Write(bytes.Repeat([]byte("x"), 6<<20))
	}), apigw.Options{})
	wantStatus(t, invoke(t, h, fixture(t, "rest-json")), 500, `{"code":13,"message":"An internal error occurred"}`)
}
