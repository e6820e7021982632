package server_test

import (
	"context"
	"crypto/rand"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	rpcdetails "google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/fault"
	sessionv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
	"github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2/sessionv2connect"
	"github.com/stepup-auth/stepup/pkg/server"
)

// brokenKeys is a key store whose look-up fails as told: a way to have the real
// routes render any fault.
type brokenKeys struct {
	access.KeyStore

	fail error
}

func (b brokenKeys) AddKey(context.Context, access.Key) error { return nil }

func (b brokenKeys) Key(context.Context, string) (*access.Key, error) { return nil, b.fail }

// failing is a service on which every authenticated call ends with the error.
func failing(t *testing.T, err error) (_ http.Handler, key string, _ *apptest.Log) {
	t.Helper()
	s := apptest.New(t, apptest.Options{})
	keys := access.NewKeys(access.KeysConfig{Store: brokenKeys{fail: err}, Ring: s.Ring, Now: s.Clock.Now, Random: rand.Reader})
	_, key, issueErr := keys.Issue(t.Context(), access.NewKey{Role: access.IAMOwner})
	if issueErr != nil {
		t.Fatal(issueErr)
	}
	h, newErr := server.New(server.Config{
		Sessions: s.Sessions, Users: s.Users, Keys: keys, Instance: "stepup", Timeout: time.Minute,
		Logger: slog.New(slog.NewJSONHandler(s.Logs, nil)), Now: s.Clock.Now, Random: rand.Reader,
	})
	if newErr != nil {
		t.Fatal(newErr)
	}
	return h, key, s.Logs
}

func TestEveryKindIsRenderedAlikeByEveryProtocol(t *testing.T) {
	t.Parallel()
	for _, kind := range fault.Kinds() {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			h, key, logs := failing(t, fault.New(kind, "TEST-1", "Fixed text").WithRetryAfter(1500*time.Millisecond).Wrap(errHidden))
			t.Cleanup(func() { causesIn(t, logs) }) // after the server has closed
			url := serve(t, h)
			want := refusal(codes.Code(kind.GRPCCode()), "TEST-1", "Fixed text")
			want.Details = append(want.Details, packed(&rpcdetails.RetryInfo{RetryDelay: durationpb.New(1500 * time.Millisecond)}))
			for _, p := range protocols() {
				got := p.dial(t, endpoint{url, key}).call(t, &sessionv2.GetSessionRequest{SessionId: "x"})
				if diff := cmp.Diff(proto.Message(want), got, protocmp.Transform()); diff != "" {
					t.Errorf("%s (-want +got):\n%s", p.name, diff)
				}
			}
		})
	}
}

// causesIn checks that every protocol's failure left its cause in the log.
func causesIn(t *testing.T, logs *apptest.Log) {
	t.Helper()
	if n := strings.Count(logs.String(), errHidden.Error()); n != len(protocols()) {
		t.Errorf("the cause is in the log %d times:\n%s", n, logs)
	}
}

func TestEveryKindHasItsHTTPStatus(t *testing.T) {
	t.Parallel()
	for _, kind := range fault.Kinds() {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			h, key, logs := failing(t, fault.New(kind, "TEST-1", "Fixed text").WithRetryAfter(1500*time.Millisecond).Wrap(errHidden))
			rest := send(h, request("GET", "/v2/sessions/x", "", "Authorization", "Bearer "+key))
			if rest.status != kind.HTTPStatus() || rest.header.Get("Retry-After") != "2" {
				t.Errorf("REST: got %d, Retry-After %q", rest.status, rest.header.Get("Retry-After"))
			}
			rpc := send(h, request("POST", sessionv2connect.SessionServiceGetSessionProcedure, `{"sessionId": "x"}`,
				"Authorization", "Bearer "+key, "Content-Type", "application/json"))
			if rpc.status != connectStatuses[kind.GRPCCode()] || rpc.header.Get("Retry-After") != "2" {
				t.Errorf("Connect: got %d, Retry-After %q", rpc.status, rpc.header.Get("Retry-After"))
			}
			for _, a := range []answer{rest, rpc} {
				if strings.Contains(a.body, errHidden.Error()) {
					t.Errorf("the cause is shown: %s", a.body)
				}
			}
			if want := `"level":"` + kind.Level().String() + `"`; strings.Count(logs.String(), want) != 2 {
				t.Errorf("log without %s:\n%s", want, logs)
			}
		})
	}
}

// connectStatuses are the HTTP statuses of the codes in the Connect protocol.
var connectStatuses = map[uint32]int{
	1: 499, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 12: 501, 13: 500, 14: 503, 16: 401,
}

var errHidden = errors.New("dial tcp 10.0.0.1: refused")

func TestAnErrorThatNobodyClassifiedIsInternal(t *testing.T) {
	t.Parallel()
	h, key, logs := failing(t, errHidden)
	want := refusal(codes.Internal, "STEPUP-internal", "An internal error occurred")
	t.Cleanup(func() { causesIn(t, logs) })
	url := serve(t, h)
	for _, p := range protocols() {
		got := p.dial(t, endpoint{url, key}).call(t, &sessionv2.GetSessionRequest{SessionId: "x"})
		if diff := cmp.Diff(proto.Message(want), got, protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", p.name, diff)
		}
	}
}

// serve starts a handler on loopback, as apptest does for a whole service.
func serve(t *testing.T, h http.Handler) string {
	t.Helper()
	s := httptest.NewUnstartedServer(h)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetHTTP1(true)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	t.Cleanup(s.Close)
	return s.URL
}
