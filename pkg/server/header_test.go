package server_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	sessionv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
	"github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2/sessionv2connect"
	"github.com/stepup-auth/stepup/pkg/server"
	"github.com/stepup-auth/stepup/pkg/session"
)

// withHeader calls with metadata and returns that of the answer.
func withHeader(ctx context.Context, name, value string) (context.Context, connect.CallInfo) {
	ctx, info := connect.NewClientContext(ctx)
	info.RequestHeader().Set(name, value)
	return ctx, info
}

// clients are the RPC protocols.
func clients(t *testing.T, c restClient) map[string]sessionv2connect.SessionServiceClient {
	t.Helper()
	url := c.Serve(t)
	all := make(map[string]sessionv2connect.SessionServiceClient)
	for name, row := range map[string]struct {
		transport *http.Transport
		option    connect.ClientOption
	}{
		"Connect JSON": {http1(), connect.WithProtoJSON()},
		"gRPC-Web":     {http1(), connect.WithGRPCWeb()},
		"gRPC":         {http2(), connect.WithGRPC()},
	} {
		all[name] = sessionv2connect.NewSessionServiceClient(bearing(t, row.transport, c.key), url, row.option)
	}
	return all
}

// TestR2_RepetitionMayComeOverAnotherProtocol: a key is metadata of RPC protocols.
func TestR2_RepetitionMayComeOverAnotherProtocol(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	created := c.do("POST", "/v2/sessions", "{}", server.IdempotencyHeader, `"k"`)
	var first struct{ SessionID, SessionToken string }
	if err := json.Unmarshal([]byte(created.body), &first); err != nil || created.status != http.StatusCreated {
		t.Fatalf("%d %s", created.status, created.body)
	}
	for name, client := range clients(t, c) {
		ctx, _ := withHeader(t.Context(), server.IdempotencyHeader, "k")
		again, err := client.CreateSession(ctx, &sessionv2.CreateSessionRequest{})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if again.GetSessionId() != first.SessionID || again.GetSessionToken() != first.SessionToken {
			t.Errorf("%s: got %v, first %v", name, again, first)
		}
		if _, err := client.CreateSession(ctx, &sessionv2.CreateSessionRequest{Metadata: map[string][]byte{"k": {1}}}); connect.CodeOf(err) != connect.CodeAborted {
			t.Errorf("%s: another body: %v", name, err)
		}
	}
	if repeated := c.do("POST", "/v2/sessions", " { } ", server.IdempotencyHeader, "k"); repeated.body != created.body || repeated.status != created.status {
		t.Errorf("got %d %s, first %s", repeated.status, repeated.body, created.body)
	}
	other := c.do("POST", "/v2/sessions", `{"lifetime":"60s"}`, server.IdempotencyHeader, "k")
	if r := other.refusal(t); other.status != http.StatusConflict || r.Code != int(codes.Aborted) || !strings.Contains(r.Message, "(STEPUP-idempotency-reused)") {
		t.Errorf("another body: %d %s", other.status, other.body)
	}
}

func TestIdempotencyKeyIsOneStringOfAStructuredField(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	for value, good := range map[string]bool{
		"8e03978e-40d5-43dd-bc93-6894a57f9324": true, `"8e03978e-40d5-43dd-bc93-6894a57f9324"`: true, `"with space"`: true, "a": true,
		strings.Repeat("x", 255): true, strings.Repeat("x", 256): false, `"` + strings.Repeat("x", 255) + `"`: true, `"` + strings.Repeat("x", 256) + `"`: false, `""`: false, `"a`: false, `a"`: false, "a b": false,
		"a,b": false, `"a", "b"`: false, `"a";b=1`: false, `"a\"b"`: false, "ä": false, "": false,
	} {
		got := c.do("POST", "/v2/sessions", "{}", server.IdempotencyHeader, value)
		if good != (got.status == http.StatusCreated) {
			t.Errorf("%q: %d %s", value, got.status, got.body)
		}
		if !good && !strings.Contains(got.refusal(t).Message, server.IdempotencyHeader) {
			t.Errorf("%q: the refusal does not name the header: %s", value, got.body)
		}
	}
	twice := request("POST", "/v2/sessions", "{}", "Authorization", "Bearer "+c.key)
	twice.Header[server.IdempotencyHeader] = []string{"a", "a"}
	if got := send(c.Handler, twice); got.status != http.StatusBadRequest {
		t.Errorf("two lines: %d %s", got.status, got.body)
	}
}

// TestKeysOfTwoCallersHaveNothingToDoWithEachOther also keeps a user apart from an API key
// of the same id.
func TestKeysOfTwoCallersHaveNothingToDoWithEachOther(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	other := c
	other.key = c.NewKey(t, "IAM_LOGIN_CLIENT", "")
	one := c.do("POST", "/v2/sessions", "{}", server.IdempotencyHeader, "k")
	two := other.do("POST", "/v2/sessions", `{"lifetime":"60s"}`, server.IdempotencyHeader, "k")
	if one.status != http.StatusCreated || two.status != http.StatusCreated {
		t.Errorf("%d %s, %d %s", one.status, one.body, two.status, two.body)
	}
}

func TestETagLetsAStepHappenOnlyToAKnownState(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	created := c.do("POST", "/v2/sessions", "{}")
	var made struct{ SessionID string }
	if err := json.Unmarshal([]byte(created.body), &made); err != nil {
		t.Fatal(err)
	}
	path := "/v2/sessions/" + made.SessionID
	value := func(s string) string {
		return `{"metadata":{"k":"` + base64.StdEncoding.EncodeToString([]byte(s)) + `"}}`
	}
	if tag := created.header.Get("ETag"); tag != `"1"` {
		t.Errorf("a new session has ETag %s", tag)
	}
	read := c.do("GET", path, "").header.Get("ETag")
	for _, row := range []struct {
		match  string
		status int
		tag    string
	}{
		{`"2"`, http.StatusPreconditionFailed, ""},
		{`W/"1"`, http.StatusPreconditionFailed, ""}, // a weak tag matches nothing
		{"", http.StatusBadRequest, ""},
		{"1", http.StatusBadRequest, ""},
		{`"one"`, http.StatusBadRequest, ""},
		{`"99999999999999999999"`, http.StatusBadRequest, ""},
		{`"1"`, http.StatusOK, `"2"`},
		{`"1"`, http.StatusPreconditionFailed, ""},
		{read, http.StatusPreconditionFailed, ""},
		{`"7", "2"`, http.StatusOK, `"3"`},
		{"*", http.StatusOK, `"4"`},
	} {
		got := c.do("PATCH", path, value(row.match+row.tag), "If-Match", row.match)
		if got.status != row.status || got.header.Get("ETag") != row.tag {
			t.Errorf("If-Match: %s: %d, ETag %s, %s", row.match, got.status, got.header.Get("ETag"), got.body)
		}
		if got.status == http.StatusPreconditionFailed && got.refusal(t).Code != int(codes.FailedPrecondition) {
			t.Errorf("If-Match: %s: %s", row.match, got.body)
		}
	}
	if got := c.do("PATCH", path, value("read"), "If-Match", c.do("GET", path, "").header.Get("ETag")); got.status != http.StatusOK {
		t.Errorf("with the ETag of Get: %d %s", got.status, got.body)
	}
}

func TestGetAnswersNotModifiedWhileItsAnswerIsTheSame(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	u := c.NewUserCheap(t, "ada@example.com")
	made := c.NewSession(t, login(u.ID, apptest.Password))
	path := "/v2/sessions/" + made.SessionID
	read := c.do("GET", path, "")
	for _, known := range []string{read.header.Get("ETag"), "W/" + read.header.Get("ETag"), `"0", ` + read.header.Get("ETag"), "*"} {
		got := c.do("GET", path, "", "If-None-Match", known)
		if got.status != http.StatusNotModified || got.body != "" || got.header.Get("ETag") != read.header.Get("ETag") || got.header.Get("Content-Type") != "" {
			t.Errorf("If-None-Match: %s: %d, %v, %q", known, got.status, got.header, got.body)
		}
	}
	if got := c.do("GET", path, "", "If-None-Match", `"1"`); got.status != http.StatusOK {
		t.Errorf("the ETag of CreateSession is not that of Get: %d", got.status)
	}
	// The password is another one now, and so the factor no longer counts, though nobody
	// has written the session.
	if got := c.do("POST", "/v2/users/"+u.ID+"/password", `{"newPassword":{"password":"another horse battery"}}`); got.status != http.StatusOK {
		t.Fatalf("%d %s", got.status, got.body)
	}
	if got := c.do("GET", path, "", "If-None-Match", read.header.Get("ETag")); got.status != http.StatusOK || strings.Contains(got.body, `"password"`) {
		t.Errorf("a factor that was dropped is not modified: %d %s", got.status, got.body)
	}
	if got := c.do("GET", path+"?sessionToken=forged", "", "If-None-Match", "*"); got.status != http.StatusForbidden {
		t.Errorf("a stranger learns that nothing changed: %d %s", got.status, got.body)
	}
}

func TestPreconditionsAndETagsAreMetadataOfRPCs(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	for name, client := range clients(t, c) {
		id := c.NewSession(t, session.Create{}).SessionID
		ctx, _ := withHeader(t.Context(), "If-Match", `"9"`)
		set := &sessionv2.SetSessionRequest{SessionId: id, Metadata: map[string][]byte{"k": {1}}}
		if _, err := client.SetSession(ctx, set); connect.CodeOf(err) != connect.CodeFailedPrecondition {
			t.Errorf("%s: %v", name, err)
		}
		ctx, info := withHeader(t.Context(), "If-Match", `"1"`)
		if _, err := client.SetSession(ctx, set); err != nil || info.ResponseHeader().Get("ETag") != `"2"` {
			t.Errorf("%s: %v, ETag %s", name, err, info.ResponseHeader().Get("ETag"))
		}
		ctx, _ = withHeader(t.Context(), "If-None-Match", "*")
		got, err := client.GetSession(ctx, &sessionv2.GetSessionRequest{SessionId: id})
		if err != nil || !cmp.Equal(got.GetSession().GetMetadata(), set.GetMetadata(), protocmp.Transform()) {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
}

// FuzzHeaders reads any headers: what is accepted is a success or one of the two refusals.
func FuzzHeaders(f *testing.F) {
	c := newREST(f, apptest.Options{})
	id := c.NewSession(f, session.Create{}).SessionID
	for _, seed := range [][2]string{{`"k"`, `"1"`}, {"k", "*"}, {`"`, `W/"1.x"`}, {"", `"1","2"`}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, key, match string) {
		r := request("PATCH", "/v2/sessions/"+id, `{"metadata":{"k":"AQ=="}}`, "Authorization", "Bearer "+c.key)
		r.Header.Set(server.IdempotencyHeader, key)
		r.Header.Set("If-Match", match)
		switch got := send(c.Handler, r); got.status {
		case http.StatusOK, http.StatusBadRequest, http.StatusPreconditionFailed, http.StatusConflict:
		default:
			t.Errorf("%q, %q: %d %s", key, match, got.status, got.body)
		}
	})
}
