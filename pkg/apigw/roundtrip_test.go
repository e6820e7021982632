package apigw_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	healthpb "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/stepup-auth/stepup/pkg/apigw"
	"github.com/stepup-auth/stepup/pkg/apigw/lambdatest"
)

// checker answers by the name of the service: a Connect code's name with that error and
// some metadata, and any other with "serving".
type checker struct{}

func (checker) Check(_ context.Context, r *grpchealth.CheckRequest) (*grpchealth.CheckResponse, error) {
	for code := connect.CodeCanceled; code <= connect.CodeUnauthenticated; code++ {
		if code.String() == r.Service {
			err := connect.NewError(code, errors.New("Prüfung: 100% "+r.Service))
			err.Meta().Add("X-Reason", "one")
			err.Meta().Add("X-Reason", "two")
			err.Meta().Add("Set-Cookie", "a=1")
			err.Meta().Add("Set-Cookie", "b=2")
			return nil, err
		}
	}
	return &grpchealth.CheckResponse{Status: grpchealth.StatusServing}, nil
}

// wire is what a client can tell about a response. Values of a repeated header are
// joined, which by RFC 9110, 5.3, changes nothing, but for cookies.
type wire struct {
	Status  int
	Header  map[string]string
	Cookies []string
	Body    string
}

// wireOf reads the response. It leaves out what belongs to the connection or the clock
// of the server that answers.
func wireOf(t *testing.T, transport http.RoundTripper, r *http.Request) wire {
	t.Helper()
	resp, err := transport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	got := wire{Status: resp.StatusCode, Header: map[string]string{}, Body: string(body)}
	for name, values := range resp.Header {
		switch name {
		case "Date", "Content-Length", "Connection":
		case "Set-Cookie":
			got.Cookies = values
		default:
			got.Header[name] = strings.Join(values, ", ")
		}
	}
	return got
}

// protocol is one way to say the same call.
type protocol struct {
	name, contentType string
	headers           map[string]string
	frame             func(service string) string
}

func protocols() []protocol {
	proto := func(service string) string { return fmt.Sprintf("\x0a%c%s", len(service), service) }
	return []protocol{
		{"Connect JSON", "application/json", map[string]string{"Connect-Protocol-Version": "1"},
			func(service string) string { return `{"service":"` + service + `"}` }},
		{"Connect proto", "application/proto", map[string]string{"Connect-Protocol-Version": "1"}, proto},
		{"Connect proto, compressed answer", "application/proto", map[string]string{"Accept-Encoding": "gzip"}, proto},
		{"gRPC-Web", "application/grpc-web+proto", map[string]string{"X-Grpc-Web": "1"},
			func(service string) string {
				message := proto(service)
				return fmt.Sprintf("\x00\x00\x00\x00%c%s", len(message), message)
			}},
		{"a type that no protocol has", "application/cbor", nil, proto},
		{"broken body", "application/json", nil, func(string) string { return "{" }},
	}
}

func TestEveryProtocolAnswersAsOnAPlainServer(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	mux.Handle(grpchealth.NewHandler(checker{}, connect.WithCompressMinBytes(0)))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	gateway := &lambdatest.Gateway{Invoke: apigw.New(mux, apigw.Options{}).Invoke}

	services := []string{"", "stepup"}
	for code := connect.CodeCanceled; code <= connect.CodeUnauthenticated; code++ {
		services = append(services, code.String())
	}
	for _, p := range protocols() {
		for _, service := range services {
			t.Run(p.name+"/"+service, func(t *testing.T) {
				request := func() *http.Request {
					r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
						server.URL+"/grpc.health.v1.Health/Check", strings.NewReader(p.frame(service)))
					if err != nil {
						t.Fatal(err)
					}
					r.Header.Set("Content-Type", p.contentType)
					for name, value := range p.headers {
						r.Header.Set(name, value)
					}
					return r
				}
				// A transport that does not undo compression behind the test's back.
				plain := wireOf(t, &http.Transport{DisableCompression: true, DisableKeepAlives: true}, request())
				lambda := wireOf(t, gateway, request())
				if diff := cmp.Diff(plain, lambda); diff != "" {
					t.Errorf("plain server (-) and adapter (+) differ:\n%s", diff)
				}
			})
		}
	}
}

func TestServesUnderTheLambdaRuntime(t *testing.T) {
	t.Parallel()
	binary, err := lambdatest.Build(t.Context(), "./testdata/health", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	p, err := lambdatest.Start(context.Background(), lambdatest.Options{Binary: binary})
	if err != nil {
		t.Fatal(err)
	}
	gateway := &lambdatest.Gateway{Invoke: p.Invoke}
	for _, tc := range []struct {
		name   string
		status int
		body   string
	}{
		{"stepup", 200, `{"status":"SERVING_STATUS_SERVING"}`},
		{"other", 404, `{"code":"not_found","message":"unknown service other"}`},
	} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost,
			"https://login.example.com/grpc.health.v1.Health/Check", strings.NewReader(`{"service":"`+tc.name+`"}`))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", "application/json")
		if got := wireOf(t, gateway, r); got.Status != tc.status || got.Body != tc.body {
			t.Errorf("%s: %d %s, want %d %s", tc.name, got.Status, got.Body, tc.status, tc.body)
		}
	}
	answer, err := p.Invoke(t.Context(), []byte(`{"version":"1.0"}`))
	if err != nil || !strings.Contains(string(answer), `"statusCode":400`) {
		t.Errorf("an event of version 1.0 got %s, %v", answer, err)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
}

// overHTTP2 lets a client that speaks HTTP/2 reach a RoundTripper, as API Gateway does.
func overHTTP2(t *testing.T, transport http.RoundTripper) string {
	t.Helper()
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		resp, err := transport.RoundTrip(r)
		if err != nil {
			t.Error(err)
			return
		}
		maps.Copy(w.Header(), resp.Header)
		w.WriteHeader(resp.StatusCode)
		_, err = io.Copy(w, resp.Body)
		if err := errors.Join(err, resp.Body.Close()); err != nil {
			t.Error(err)
		}
	}))
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return server.Listener.Addr().String()
}

func TestNativeGRPCClientShowsWhereToGo(t *testing.T) {
	t.Parallel()
	gateway := &lambdatest.Gateway{Invoke: apigw.New(unreached(t), apigw.Options{}).Invoke}
	conn, err := grpc.NewClient("passthrough:///"+overHTTP2(t, gateway), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	_, err = healthpb.NewHealthClient(conn).Check(t.Context(), &healthpb.HealthCheckRequest{})
	if err == nil || !strings.Contains(err.Error(), "use Connect, gRPC-Web or REST here, or the gRPC endpoint") {
		t.Errorf("the client saw %v, want the sentence that tells where to go", err)
	}
}
