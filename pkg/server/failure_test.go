package server_test

import (
	"context"
	"crypto/rand"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	sessionv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
	"github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2/sessionv2connect"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
)

// trap is randomness that panics while it is armed.
type trap struct{ armed atomic.Bool }

const canary = "canary-in-the-cause"

func (tr *trap) Read(b []byte) (int, error) {
	if tr.armed.Load() {
		panic(canary)
	}
	return rand.Read(b)
}

func TestAPanicIsAnInternalErrorOnEveryProtocolAndTheProcessLives(t *testing.T) {
	t.Parallel()
	want := refusal(codes.Internal, "STEPUP-internal", "An internal error occurred")
	for _, p := range protocols() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			random := &trap{}
			s := apptest.New(t, apptest.Options{Random: random})
			key := s.NewKey(t, access.IAMOwner, "")
			t.Cleanup(func() { panicIn(t, s.Logs) }) // after the server has closed
			carry := p.dial(t, endpoint{serve(t, named(s.Handler)), key})
			random.armed.Store(true)
			got := carry.call(t, &sessionv2.CreateSessionRequest{})
			if diff := cmp.Diff(proto.Message(want), got, protocmp.Transform()); diff != "" {
				t.Errorf("outcome (-want +got):\n%s", diff)
			}
			random.armed.Store(false)
			if _, lives := carry.call(t, &sessionv2.CreateSessionRequest{}).(*sessionv2.CreateSessionResponse); !lives {
				t.Error("the next call fails too")
			}
		})
	}
}

// named gives every request an id, so that none is drawn.
func named(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("X-Request-Id", "test")
		h.ServeHTTP(w, r)
	})
}

// panicIn checks that the log has the panic with its stack, in one line of level
// ERROR.
func panicIn(t *testing.T, logs *apptest.Log) {
	t.Helper()
	line, _, _ := strings.Cut(logs.String(), "\n")
	for _, part := range []string{canary, `"level":"ERROR"`, `"fault":"internal"`, "trap"} {
		if !strings.Contains(line, part) {
			t.Errorf("no %s in the log line %s", part, line)
		}
	}
}

func TestAPanicOnRESTShowsNothingOfItself(t *testing.T) {
	t.Parallel()
	random := &trap{}
	c := newREST(t, apptest.Options{Random: random})
	random.armed.Store(true)
	a := c.do(http.MethodPost, "/v2/sessions", `{}`, "X-Request-Id", "test")
	if a.status != http.StatusInternalServerError || strings.Contains(a.body, canary) || strings.Contains(a.body, "goroutine") {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if got := a.refusal(t).Message; got != "An internal error occurred (STEPUP-internal)" {
		t.Errorf("got %q", got)
	}
}

func TestAStoreThatFailsIsUnavailableAndStaysUnknown(t *testing.T) {
	t.Parallel()
	want := refusalBody{Code: 14, Message: "The store is unavailable (STEPUP-store-unavailable)", Details: []map[string]any{{
		"@type": "type.googleapis.com/zitadel.v1.ErrorDetail", "id": "STEPUP-store-unavailable", "message": "The store is unavailable",
	}}}
	for _, action := range []tabletest.Action{tabletest.Fail, tabletest.LoseAnswer} {
		broken := atomic.Bool{}
		tb := tabletest.NewFaulty(apptest.Bolt(t), func(int, string) tabletest.Action {
			if broken.Load() {
				return action
			}
			return tabletest.Pass
		})
		s := apptest.New(t, apptest.Options{Table: tb})
		c := restClient{Service: s, key: s.NewKey(t, access.IAMOwner, "")}
		known := c.create(t, session.Create{})
		c.do(http.MethodGet, "/v2/sessions/"+known.SessionID, "") // the key is remembered
		broken.Store(true)
		for _, route := range []string{
			"POST /v2/sessions", "POST /v2/sessions/search", "GET /v2/sessions/" + known.SessionID,
			"DELETE /v2/sessions/" + known.SessionID, "PATCH /v2/sessions/" + known.SessionID,
			"GET /v2/users/ada", "POST /v2/users", "POST /v2/users/ada/lock", "DELETE /v2/users/ada",
		} {
			verb, path, _ := strings.Cut(route, " ")
			a := c.do(verb, path, ``)
			if diff := cmp.Diff(want, a.refusal(t)); diff != "" || a.status != http.StatusServiceUnavailable {
				t.Errorf("action %d, %s: status %d, refusal (-want +got):\n%s", action, route, a.status, diff)
			}
		}
		if !strings.Contains(s.Logs.String(), `"cause":"injected failure"`) {
			t.Errorf("the cause is not in the log:\n%s", s.Logs)
		}
	}
}

// stalled is a table that does not answer while it is told so: every call lasts as
// long as the request.
type stalled struct {
	table.Table

	on atomic.Bool
}

func (s *stalled) Get(ctx context.Context, k table.Key) (table.Item, error) {
	if s.on.Load() {
		<-ctx.Done()
		return nil, table.Interrupted(ctx)
	}
	return s.Table.Get(ctx, k)
}

// stalling is a service whose store does not answer, and the id of a session in it.
func stalling(t *testing.T, timeout string) (restClient, string) {
	t.Helper()
	tb := &stalled{Table: apptest.Bolt(t)}
	s := apptest.New(t, apptest.Options{Table: tb, Env: map[string]string{"STEPUP_TIMEOUT": timeout, "STEPUP_STORE_TIMEOUT": "1ms"}})
	c := restClient{Service: s, key: s.NewKey(t, access.IAMOwner, "")}
	known := c.create(t, session.Create{})
	tb.on.Store(true)
	return c, known.SessionID
}

func TestARequestThatTakesTooLongIsAnswered(t *testing.T) {
	t.Parallel()
	c, id := stalling(t, "10ms")
	a := c.do(http.MethodGet, "/v2/sessions/"+id, "")
	if got := a.refusal(t).Message; a.status != http.StatusGatewayTimeout || got != "The request took too long (STEPUP-deadline)" {
		t.Errorf("got %d %q", a.status, got)
	}
	if !strings.Contains(c.Logs.String(), `"level":"WARN"`) {
		t.Errorf("no warning in the log:\n%s", c.Logs)
	}
}

func TestTheDeadlineOfAClientIsKept(t *testing.T) {
	t.Parallel()
	c, id := stalling(t, "1m")
	a := c.do(http.MethodPost, sessionv2connect.SessionServiceGetSessionProcedure, `{"sessionId": "`+id+`"}`,
		"Content-Type", "application/json", "Connect-Timeout-Ms", "10")
	if a.status != http.StatusGatewayTimeout || !strings.Contains(a.body, "deadline_exceeded") {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

func TestAClientThatWentAwayIsNoErrorOfOurs(t *testing.T) {
	t.Parallel()
	c, id := stalling(t, "1m")
	ctx, leave := context.WithCancel(t.Context())
	leave()
	a := send(c.Handler, request(http.MethodGet, "/v2/sessions/"+id, "", "Authorization", "Bearer "+c.key).WithContext(ctx))
	if a.status != 499 || !strings.Contains(c.Logs.String(), `"level":"INFO"`) {
		t.Errorf("got %d, log:\n%s", a.status, c.Logs)
	}
}
