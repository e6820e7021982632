package server_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	rpcstatus "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	sessionv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
	"github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2/sessionv2connect"
	"github.com/stepup-auth/stepup/pkg/server"
	"github.com/stepup-auth/stepup/pkg/session"
)

// What is refused over REST: the code, the beginning of the message, and nothing in
// the store is different afterwards.
func TestBadRequestsAreRefusedAndChangeNothing(t *testing.T) {
	t.Parallel()
	const (
		set    = "PATCH /v2/sessions/{session}"
		syntax = "proto: syntax error"
	)
	for _, tc := range []struct {
		name, route, body string
		status            int
		message           string
	}{
		{"a body that is not JSON", set, `not JSON`, 400, "invalid character"},
		{"a body that ends early", set, `{"lifetime": "1s"`, 400, "unexpected EOF"},
		{"an array", set, `[]`, 400, syntax},
		{"a string for a message", set, `{"checks": "x"}`, 400, syntax},
		{"a number for a string", set, `{"checks": {"user": {"userId": 1}}}`, 400, "proto: (line"},
		{"an object for a list", "POST /v2/sessions/search", `{"queries": {}}`, 400, syntax},
		{"metadata that is not base64", set, `{"metadata": {"k": "%%%"}}`, 400, "proto: (line"},
		{"metadata that is null", set, `{"metadata": {"k": null}}`, 400, "proto: (line"},
		{"text that is not UTF-8", set, "{\"metadata\": {\"\xff\": \"\"}}", 400, "proto: syntax error"},
		{"both arms of a oneof", set, `{"checks": {"user": {"userId": "a", "loginName": "b"}}}`, 400, "proto: (line"},
		{"a lifetime of zero", set, `{"lifetime": "0s"}`, 400, "invalid SetSessionRequest.Lifetime"},
		{"a negative lifetime", set, `{"lifetime": "-1s"}`, 400, "invalid SetSessionRequest.Lifetime"},
		{"a lifetime that is no duration", set, `{"lifetime": "5m"}`, 400, "proto: (line"},
		{"a lifetime of ages", set, `{"lifetime": "999999999999s"}`, 400, "proto: (line"},
		{"an id that is too long", "PATCH /v2/sessions/{long}", `{"lifetime": "1s"}`, 400, "invalid SetSessionRequest.SessionId"},
		{"an id with a slash", "PATCH /v2/sessions/a%2Fb", `{"lifetime": "1s"}`, 404, "Not Found"},
		{"an id that nobody drew", "PATCH /v2/sessions/unknown", `{"lifetime": "1s"}`, 404, "Session does not exist"},
		{"an id of zero bytes", "PATCH /v2/sessions/%00", `{"lifetime": "1s"}`, 404, "Session does not exist"},
		{"an id to set that is not UTF-8", "PATCH /v2/sessions/%ff", `{"lifetime": "1s"}`, 400, "Bad Request"},
		{"an id to read that is not UTF-8", "GET /v2/users/%ff", ``, 400, "Bad Request"},
		{"a token that is not UTF-8", "GET /v2/sessions/{session}?sessionToken=%ff", ``, 403, "Permission denied"},
		{"a token that is garbage", "GET /v2/sessions/{session}?sessionToken=garbage", ``, 403, "Permission denied"},
		{"two tokens", "GET /v2/sessions/{session}?sessionToken=a&sessionToken=b", ``, 400, "too many values for field"},
		{"a token of another session", "DELETE /v2/sessions/{session}", `{"sessionToken": "{otherToken}"}`, 403, "Session Token is invalid"},
		{"a metadata key that is empty", set, `{"metadata": {"": "aGVsbG8="}}`, 400, "metadata: keys"},
		{"a metadata key that is too long", set, `{"metadata": {"{long}": "aGVsbG8="}}`, 400, "metadata: keys"},
		{"a metadata value that is too long", set, `{"metadata": {"k": "{big}"}}`, 400, "metadata: values"},
		{"a user that is unknown", set, `{"checks": {"user": {"userId": "unknown"}}}`, 404, "User could not be found"},
		{"a password of nobody", set, `{"checks": {"password": {"password": "x"}}}`, 400, "User ID missing"},
		{"a good lifetime with a bad check", set, `{"lifetime": "1s", "checks": {"password": {"password": "x"}}}`, 400, "User ID missing"},
		{"a path that is unknown", "POST /v2/session", `{}`, 404, "Not Found"},
		{"a path below a session", "GET /v2/sessions/{session}/factors", ``, 404, "Not Found"},
		{"a path with two slashes", "POST /v2//sessions", `{}`, 404, "Not Found"},
		{"a path with dots", "POST /v2/users/../sessions", `{}`, 404, "Not Found"},
		{"a path of another version", "POST /v2beta/sessions", `{}`, 404, "Not Found"},
		{"the root", "GET /", ``, 404, "Not Found"},
		{"a verb that a path does not have", "PUT /v2/sessions/{session}", `{}`, 405, "Method Not Allowed"},
		{"a verb that nobody knows", "BREW /v2/sessions/{session}", `{}`, 405, "Method Not Allowed"},
		{"a collection that is not listed by GET", "GET /v2/sessions", ``, 405, "Method Not Allowed"},
		{"a body over 1 MiB", set, `{"metadata": {"k": "{huge}"}}`, 413, "request body is larger than 1 MiB"},
		{"a user without a mail address", "POST /v2/users/human", `{"profile": {"givenName": "A", "familyName": "B"}}`, 400, "invalid AddHumanUserRequest.Email"},
		{"a hash of nothing we know", "POST /v2/users/human", `{"profile": {"givenName": "A", "familyName": "B"},
			"email": {"email": "a@stepup.test"}, "hashedPassword": {"hash": "$unknown$"}}`, 400, ""},
		{"an organization that is unknown", "POST /v2/users/new", `{"organizationId": "unknown", "human":
			{"profile": {"givenName": "A", "familyName": "B"}, "email": {"email": "a@stepup.test"}}}`, 400, "Organisation doesn't exist"},
		{"an organization by its domain", "POST /v2/users/human", `{"organization": {"orgDomain": "stepup.test"},
			"profile": {"givenName": "A", "familyName": "B"}, "email": {"email": "a@stepup.test"}}`, 501, "organization.org_domain is not supported"},
		{"metadata of a human", "POST /v2/users/human", `{"metadata": [{"key": "k", "value": "aGVsbG8="}],
			"profile": {"givenName": "A", "familyName": "B"}, "email": {"email": "a@stepup.test"}}`, 501, "metadata is not supported"},
		{"metadata of a user", "POST /v2/users/new", `{"organizationId": "default", "metadata": [{"key": "k", "value": "aGVsbG8="}],
			"human": {"profile": {"givenName": "A", "familyName": "B"}, "email": {"email": "a@stepup.test"}}}`, 501, "metadata is not supported"},
		{"metadata where it was once", "POST /v2/users/new", `{"organizationId": "default", "human": {"metadata": [{"key": "k", "value": "aGVsbG8="}],
			"profile": {"givenName": "A", "familyName": "B"}, "email": {"email": "a@stepup.test"}}}`, 501, "human.metadata is not supported"},
		{"a search without an arm", "POST /v2/sessions/search", `{"queries": [{}]}`, 400, "invalid ListSessionsRequest.Queries[0]"},
		{"a negative offset", "POST /v2/sessions/search", `{"query": {"offset": -1}}`, 400, "proto: (line"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			c := newREST(t, apptest.Options{})
			victim, other := c.create(t, session.Create{}), c.create(t, session.Create{})
			world := names{
				"session": victim.SessionID, "otherToken": other.Token, "long": overLong,
				"big": strings.Repeat("A", 8<<10), "huge": strings.Repeat("A", server.MaxBody),
			}
			before := c.dump(t)
			verb, path, _ := strings.Cut(world.fill(tc.route), " ")
			a := c.do(verb, path, world.fill(tc.body))
			got := strings.ReplaceAll(a.refusal(t).Message, "\u00a0", " ")
			if a.status != tc.status || !strings.HasPrefix(got, tc.message) || a.refusal(t).Code == 0 {
				t.Errorf("got %d %q, want %d %q", a.status, got, tc.status, tc.message)
			}
			if diff := cmp.Diff(before, c.dump(t)); diff != "" {
				t.Errorf("the store changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestAFormDoesNotBecomeAnotherVerb(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	s := c.create(t, session.Create{})
	for _, override := range []string{"", http.MethodDelete, http.MethodGet} {
		a := c.do(http.MethodPost, "/v2/sessions/"+s.SessionID, "",
			"Content-Type", "application/x-www-form-urlencoded", "X-Http-Method-Override", override)
		if a.status != http.StatusMethodNotAllowed {
			t.Errorf("override %q: got %d %s", override, a.status, a.body)
		}
	}
}

func TestR3_ABodyOver1MiBIsRefusedOnEveryProtocol(t *testing.T) {
	t.Parallel()
	for _, p := range protocols() {
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			c := newREST(t, apptest.Options{})
			carry := p.dial(t, endpoint{c.Serve(t), c.key})
			before := c.dump(t)
			request := &sessionv2.CreateSessionRequest{Metadata: map[string][]byte{"k": make([]byte, server.MaxBody)}}
			got, refused := carry.call(t, request).(*rpcstatus.Status)
			if !refused || got.GetCode() != int32(codes.ResourceExhausted) {
				t.Errorf("got %v", got)
			}
			if diff := cmp.Diff(before, c.dump(t)); diff != "" {
				t.Errorf("the store changed (-before +after):\n%s", diff)
			}
		})
	}
}

func TestACompressedBodyCountsAsWhatItUnpacksTo(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	var bomb bytes.Buffer
	packer := gzip.NewWriter(&bomb)
	if _, err := io.WriteString(packer, `{"sessionId": "`+strings.Repeat(" ", 4*server.MaxBody)+`"}`); err != nil {
		t.Fatal(err)
	}
	if err := packer.Close(); err != nil {
		t.Fatal(err)
	}
	a := c.do(http.MethodPost, sessionv2connect.SessionServiceGetSessionProcedure, bomb.String(),
		"Content-Type", "application/json", "Content-Encoding", "gzip")
	if a.status != http.StatusTooManyRequests || !strings.Contains(a.body, "resource_exhausted") {
		t.Errorf("got %d %s", a.status, a.body)
	}
}

// What connect says before a method is reached (wire contract, section 5.2).
func TestConnectRefusesWhatItDoesNotSpeak(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	const get = sessionv2connect.SessionServiceGetSessionProcedure
	for _, tc := range []struct {
		name, verb, path, contentType, body string
		status                              int
		header, value                       string
	}{
		{"GET", "GET", get, "", ``, 405, "Allow", "POST"},
		{"a format that nobody reads", "POST", get, "text/plain", `{}`, 415, "Accept-Post", ""},
		{"gRPC-Web as text", "POST", get, "application/grpc-web-text", ``, 415, "Accept-Post", ""},
		{"a method that is unknown", "POST", "/zitadel.session.v2.SessionService/Unknown", "application/json", `{}`, 404, "", ""},
		{"an empty body", "POST", get, "application/json", ``, 400, "", ""},
		{"a body that is not JSON", "POST", get, "application/json", `{`, 400, "", ""},
		{"a body that is not a message", "POST", get, "application/proto", "\xff", 400, "", ""},
		{"a charset", "POST", get, "application/json; charset=utf-8", `{"sessionId": "unknown"}`, 404, "Content-Type", "application/json"},
		{"unknown fields", "POST", get, "application/json", `{"sessionId": "unknown", "unknown": 1}`, 404, "Content-Type", "application/json"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := c.do(tc.verb, tc.path, tc.body, "Content-Type", tc.contentType)
			if a.status != tc.status {
				t.Errorf("got %d %s, want %d", a.status, a.body, tc.status)
			}
			if got := a.header.Get(tc.header); tc.header != "" && (got == "" || tc.value != "" && got != tc.value) {
				t.Errorf("%s: got %q, want %q", tc.header, got, tc.value)
			}
		})
	}
}

// A client of an RPC protocol learns from the bare status that a call is not implemented.
// Seen by connectrpc's conformance suite ("unexpected-uri"), which tried to read the answer
// as an error of Connect.
func TestAnUnknownServiceIsToldInTheWordsOfTheProtocol(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	const json, text = "application/json", "text/plain; charset=utf-8"
	for _, tc := range []struct {
		name, contentType, version, want string
	}{
		{"REST", "application/json", "", json},
		{"Connect JSON", "application/json", "1", text},
		{"Connect proto", "application/proto", "1", text},
		{"Connect proto without a version", "application/proto", "", text},
		{"Connect streams", "application/connect+json", "", text},
		{"gRPC-Web", "application/grpc-web+proto", "", text},
		{"gRPC", "application/grpc", "", text},
		{"gRPC in other letters", "Application/gRPC+proto", "", text},
	} {
		before := len(c.Logs.String())
		a := c.do("POST", "/unknown.v1.Service/Call", `{}`, "Content-Type", tc.contentType, "Connect-Protocol-Version", tc.version)
		if got := a.header.Get("Content-Type"); a.status != http.StatusNotFound || got != tc.want {
			t.Errorf("%s: got %d %s %q, want 404 %s", tc.name, a.status, got, a.body, tc.want)
		}
		if line := c.Logs.String()[before:]; !strings.Contains(line, `"fault":"not_found"`) {
			t.Errorf("%s: the log does not name the fault: %s", tc.name, line)
		}
	}
}

func TestAForgedCredentialCostsNoLookUp(t *testing.T) {
	t.Parallel()
	stranger := newREST(t, apptest.Options{})
	meter, s := metered(t)
	key := s.NewKey(t, access.IAMOwner, "")
	meter.Reset()
	for _, credential := range []string{
		"garbage", "stepup_garbage", stranger.key, stranger.create(t, session.Create{}).Token, key + "A", key[:len(key)-1],
	} {
		a := send(s.Handler, request("GET", "/v2/sessions/x", "", "Authorization", "Bearer "+credential))
		if a.status != http.StatusUnauthorized {
			t.Errorf("%q: got %d", credential, a.status)
		}
	}
	if n := meter.Calls().Total(); n != 0 {
		t.Errorf("forged credentials made %d calls of the store", n)
	}
}
