package server_test

import (
	"encoding/json"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2/sessionv2connect"
	"github.com/stepup-auth/stepup/pkg/server"
)

const browser = "https://login.test"

func preflight(verb string, headers string) *http.Request {
	return request(http.MethodOptions, "/v2/sessions", "", "Origin", browser,
		"Access-Control-Request-Method", verb, "Access-Control-Request-Headers", headers)
}

// The headers and verbs of the wire contract, section 3.3.
func TestABrowserMayUseEveryVerbAndHeaderOfTheContract(t *testing.T) {
	t.Parallel()
	h := apptest.New(t, apptest.Options{}).Handler
	const headers = "authorization,connect-protocol-version,connect-timeout-ms,content-type,grpc-timeout,x-grpc-web,x-user-agent,x-zitadel-orgid"
	for _, verb := range []string{"OPTIONS", "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"} {
		a := send(h, preflight(verb, headers))
		want := http.Header{
			"Access-Control-Allow-Origin":      {browser},
			"Access-Control-Allow-Credentials": {"true"},
			"Access-Control-Allow-Methods":     {verb},
			"Access-Control-Allow-Headers":     {headers},
			"Access-Control-Max-Age":           {"600"},
		}
		if diff := cmp.Diff(want, only(a.header, want)); diff != "" || a.status != http.StatusNoContent {
			t.Errorf("%s: status %d, header (-want +got):\n%s", verb, a.status, diff)
		}
	}
	for name, r := range map[string]*http.Request{
		"another verb":   preflight("BREW", headers),
		"another header": preflight("GET", "x-unknown"),
	} {
		if a := send(h, r); a.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s is allowed: %v", name, a.header)
		}
	}
}

// only returns those headers that are also in the other set.
func only(h, names http.Header) http.Header {
	found := http.Header{}
	for name := range names {
		if values := h.Values(name); values != nil {
			found[name] = values
		}
	}
	return found
}

func TestABrowserSeesTheHeadersOfTheContract(t *testing.T) {
	t.Parallel()
	h := apptest.New(t, apptest.Options{}).Handler
	a := send(h, request(http.MethodGet, "/v2/sessions/x", "", "Origin", browser))
	exposed := strings.ToLower(strings.Join(a.header.Values("Access-Control-Expose-Headers"), ","))
	for _, name := range []string{
		"location", "content-length", "grpc-status", "grpc-message", "grpc-status-details-bin", "retry-after", "x-request-id",
	} {
		if !strings.Contains(exposed, name) {
			t.Errorf("%s is not among %s", name, exposed)
		}
	}
	if a.status != http.StatusUnauthorized || a.header.Get("Access-Control-Allow-Origin") != browser {
		t.Errorf("an error is not shown to the browser: %d %v", a.status, a.header)
	}
}

func TestOnlyConfiguredOriginsMayCall(t *testing.T) {
	t.Parallel()
	h := apptest.New(t, apptest.Options{Env: map[string]string{"STEPUP_ORIGINS": "https://other.test," + browser}}).Handler
	for origin, want := range map[string]string{
		browser: browser, "https://other.test": "https://other.test",
		"https://evil.test": "", "https://login.test.evil.test": "", "http://login.test": "", "null": "",
	} {
		a := send(h, request(http.MethodGet, "/v2/sessions/x", "", "Origin", origin))
		if got := a.header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("%s: got %q, want %q", origin, got, want)
		}
	}
}

func TestS14_NoAnswerIsStoredOnTheWay(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	for name, a := range map[string]answer{
		"success":      c.do(http.MethodPost, "/v2/sessions", `{}`),
		"refusal":      c.do(http.MethodGet, "/v2/sessions/unknown", ``),
		"unknown path": c.do(http.MethodGet, "/unknown", ``),
		"stranger":     send(c.Handler, request(http.MethodGet, "/v2/sessions/unknown", ``)),
		"preflight":    send(c.Handler, preflight("GET", "authorization")),
		"Connect": c.do(http.MethodPost, sessionv2connect.SessionServiceCreateSessionProcedure, `{}`,
			"Content-Type", "application/json"),
	} {
		if got := a.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s: got %q", name, got)
		}
	}
}

func TestHeadersOfGRPCMeanNothingToREST(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	for _, name := range []string{"Grpc-Metadata-X-Bin", "Grpc-Metadata-Authorization", "Grpc-Metadata-X-Zitadel-Orgid"} {
		if a := c.do(http.MethodPost, "/v2/sessions", `{}`, name, "%"); a.status != http.StatusCreated {
			t.Errorf("%s: got %d %s", name, a.status, a.body)
		}
	}
}

func TestARequestIDIsKeptOrDrawn(t *testing.T) {
	t.Parallel()
	h := apptest.New(t, apptest.Options{}).Handler
	drawnID := regexp.MustCompile(`^[0-9a-f]{24}$`)
	seen := map[string]bool{}
	for name, tc := range map[string]struct {
		given string
		kept  bool
	}{
		"none":          {"", false},
		"a UUID":        {"0b0c6b0e-5a52-4a4e-8f0e-3c1de5f1d0a7", true},
		"other marks":   {"a:b.c_d-E", true},
		"a space":       {"a b", false},
		"a line break":  {"a\nlevel=ERROR", false},
		"a quote":       {`a"b`, false},
		"not ASCII":     {"ä", false},
		"128 letters":   {strings.Repeat("a", 128), true},
		"a letter more": {strings.Repeat("a", 129), false},
	} {
		got := send(h, request(http.MethodGet, "/", "", server.RequestIDHeader, tc.given)).header.Get(server.RequestIDHeader)
		switch {
		case tc.kept && got != tc.given:
			t.Errorf("%s: got %q", name, got)
		case !tc.kept && (!drawnID.MatchString(got) || seen[got]):
			t.Errorf("%s: got %q, which is not a new id", name, got)
		}
		seen[got] = true
	}
}

func TestG1_G3_EveryRequestLeavesOneLine(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	caller, err := c.Keys.Authenticate(t.Context(), c.key)
	if err != nil {
		t.Fatal(err)
	}
	get := sessionv2connect.SessionServiceGetSessionProcedure
	for _, tc := range []struct {
		name string
		send func() answer
		want map[string]any
	}{
		{
			"success",
			func() answer { return c.do(http.MethodPost, "/v2/sessions", `{}`, "X-Request-Id", "a") },
			line("INFO", "POST", "/v2/sessions", 201, "caller", caller.ID),
		}, {
			"refusal",
			func() answer {
				return c.do(http.MethodGet, "/v2/sessions/unknown?sessionToken=", ``, "X-Request-Id", "a")
			},
			line("INFO", "GET", "/v2/sessions/unknown", 400, "caller", caller.ID, "fault", "invalid_argument", "fault_id", ""),
		}, {
			"refusal over Connect",
			func() answer {
				return c.do(http.MethodPost, get, `{"sessionId": "unknown"}`, "Content-Type", "application/json", "X-Request-Id", "a")
			},
			line("INFO", "POST", get, 404, "caller", caller.ID, "fault", "not_found", "fault_id", "QUERY-SFeaa"),
		}, {
			"stranger",
			func() answer {
				return send(c.Handler, request(http.MethodGet, "/v2/users/ada", ``, "X-Request-Id", "a"))
			},
			line("INFO", "GET", "/v2/users/ada", 401, "fault", "unauthenticated", "fault_id", ""),
		}, {
			"a path that would break the line",
			func() answer { return c.do(http.MethodGet, "/%0A%22%7B", ``, "X-Request-Id", "a") },
			line("INFO", "GET", "/\n\"{", 404, "fault", "not_found", "fault_id", ""),
		},
	} {
		before := len(c.Logs.String())
		tc.send()
		text := c.Logs.String()[before:]
		if strings.Count(text, "\n") != 1 {
			t.Fatalf("%s: not one line:\n%s", tc.name, text)
		}
		var got map[string]any
		if err := json.Unmarshal([]byte(text), &got); err != nil {
			t.Fatalf("%s: %v", tc.name, err)
		}
		if diff := cmp.Diff(tc.want, without(got, "time")); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tc.name, diff)
		}
	}
}

// TestTheTraceOfARequestIsLogged where a load balancer or the Lambda runtime names one.
// A client may send the header as well, and whatever it likes.
func TestTheTraceOfARequestIsLogged(t *testing.T) {
	t.Parallel()
	const id = "1-5759e988-bd862e3fe1be46a994272793"
	for header, want := range map[string]any{
		"":           nil,
		"Root=" + id: id,
		"Root=" + id + ";Parent=53995c3f42cd8ad8;Sampled=1": id,
		"Self=1-x;Root=" + id:                               id,
		id:                                                  nil,
		"Root=canary":                                       nil,
		"Root=" + id + "canary":                             nil,
	} {
		c := newREST(t, apptest.Options{})
		c.do(http.MethodGet, "/v2/sessions/unknown", ``, "X-Amzn-Trace-Id", header)
		var got map[string]any
		if err := json.Unmarshal([]byte(c.Logs.String()), &got); err != nil {
			t.Fatal(err)
		}
		if got["trace_id"] != want || strings.Contains(c.Logs.String(), "canary") {
			t.Errorf("%q: want %v in\n%s", header, want, c.Logs)
		}
	}
}

// line is a log line; more are names and values in turn. The clock stands still, so
// nothing takes time.
func line(level, verb, path string, status int, more ...string) map[string]any {
	l := map[string]any{
		"level": level, "msg": "request", "request_id": "a", "method": verb, "path": path,
		"status": float64(status), "took_ms": float64(0), "caller": "",
	}
	for i := 0; i < len(more); i += 2 {
		l[more[i]] = more[i+1]
	}
	return l
}

func TestG2_NoSecretReachesTheLog(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	ada := c.NewUser(t, "ada@stepup.test")
	s := c.create(t, login(ada.ID, apptest.Password))
	const secret, address, phone = "canary-secret", "canary@stepup.test", "+41790000001"
	foreign := newREST(t, apptest.Options{}).NewKey(t, access.IAMOwner, "")
	for _, a := range []answer{
		c.do("GET", "/v2/sessions/"+s.SessionID+"?sessionToken="+s.Token, ``),
		c.do("GET", "/v2/sessions/"+s.SessionID+"?sessionToken="+secret, ``),
		c.do("DELETE", "/v2/sessions/"+s.SessionID, `{"sessionToken": "`+secret+`"}`),
		c.do("PATCH", "/v2/sessions/"+s.SessionID, `{"checks": {"password": {"password": "`+secret+`"}}}`),
		c.do("PATCH", "/v2/sessions/"+s.SessionID, `{"checks": {"password": "`+secret+`"}}`),
		c.do("PATCH", "/v2/sessions/"+s.SessionID, secret),
		c.do("POST", "/v2/sessions", `{"metadata": {"k": "`+secret+`!"}}`),
		c.do("POST", "/v2/users/human", `{"profile": {"givenName": "A", "familyName": "B"}, "email": {"email": "`+address+`"},
			"phone": {"phone": "`+phone+`"}, "password": {"password": "`+secret+`"}}`),
		c.do("POST", "/v2/users/human", `{"profile": {"givenName": "A", "familyName": "B"}, "email": {"email": "`+address+`"},
			"hashedPassword": {"hash": "$2y$`+secret+`"}}`),
		c.do("POST", "/v2/users/"+ada.ID+"/password", `{"newPassword": {"password": "`+secret+`"}, "currentPassword": "`+secret+`"}`),
		send(c.Handler, request("GET", "/v2/sessions/x", ``, "Authorization", "Bearer "+foreign)),
		send(c.Handler, request("GET", "/v2/sessions/x", ``, "Authorization", "Bearer "+s.Token)),
		send(c.Handler, request("GET", "/v2/sessions/x", ``, "Authorization", secret, "Cookie", secret, "X-Request-Id", secret+" ")),
	} {
		if a.status >= http.StatusInternalServerError {
			t.Errorf("got %d %s", a.status, a.body)
		}
	}
	for name, text := range map[string]string{
		"a secret": secret, "an address": address, "a phone number": phone, "the password": apptest.Password,
		"the key": c.key, "the key of a stranger": foreign, "the session token": s.Token,
	} {
		if strings.Contains(c.Logs.String(), text) {
			t.Errorf("%s is in the log:\n%s", name, c.Logs)
		}
	}
}
