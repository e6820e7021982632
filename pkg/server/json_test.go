package server_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/session"
)

// What a body may look like (wire contract, section 3.1), and the session that comes
// of it: without the fields that every session has.
func TestJSONIsReadAsTheContractMapsIt(t *testing.T) {
	t.Parallel()
	const (
		nothing = `{}`
		hello   = `{"metadata": {"k": "aGVsbG8="}}`
		ada     = `{"factors": {"user": {"id": "ada"}}}`
		anHour  = `{"expirationDate": "2026-03-01T13:00:00Z"}`
	)
	c := newREST(t, apptest.Options{})
	(&fixture{Service: c.Service}).person(t, "ada", "")
	for _, tc := range []struct{ name, body, want string }{
		{"names in camel case", `{"checks": {"user": {"userId": "ada"}}}`, ada},
		{"names in snake case", `{"checks": {"user": {"user_id": "ada"}}}`, ada},
		{"both cases in one body", `{"user_agent": {"fingerprintId": "f"}}`, `{"userAgent": {"fingerprintId": "f"}}`},
		{"an unknown field", `{"unknown": 1, "lifetime": "3600s"}`, anHour},
		{"an unknown field deep inside", `{"checks": {"user": {"userId": "ada", "unknown": {"a": []}}, "unknown": 1}}`, ada},
		{"null for a message", `{"checks": null, "lifetime": "3600s"}`, anHour},
		{"null for a duration", `{"lifetime": null}`, nothing},
		{"null for a map", `{"metadata": null}`, nothing},
		{"null for a string", `{"userAgent": {"fingerprintId": null, "description": "d"}}`, `{"userAgent": {"description": "d"}}`},
		{"null for one arm of a oneof", `{"checks": {"user": {"userId": null, "loginName": "ada@stepup.test"}}}`, ada},
		{"an empty body", ``, nothing},
		{"an empty object", `{}`, nothing},
		{"white space", " \n\t{ \"lifetime\" : \"3600s\" } \n", anHour},
		{"more after the object", `{"lifetime": "3600s"} {"lifetime": "1s"} garbage`, anHour},
		{"a duration in seconds", `{"lifetime": "3600s"}`, anHour},
		{"a duration with a fraction", `{"lifetime": "1.5s"}`, `{"expirationDate": "2026-03-01T12:00:01.500Z"}`},
		{"a duration in microseconds", `{"lifetime": "0.000001s"}`, `{"expirationDate": "2026-03-01T12:00:00.000001Z"}`},
		{"base64 with padding", `{"metadata": {"k": "aGVsbG8="}}`, hello},
		{"base64 without padding", `{"metadata": {"k": "aGVsbG8"}}`, hello},
		{"base64 in the URL alphabet", `{"metadata": {"k": "-_8"}}`, `{"metadata": {"k": "+/8="}}`},
		{"base64 in the standard alphabet", `{"metadata": {"k": "+/8="}}`, `{"metadata": {"k": "+/8="}}`},
		{"an empty value of bytes", `{"metadata": {"k": ""}}`, nothing},
		{"escaped text", `{"userAgent": {"description": "\u00e4\n\ud83d\ude00"}}`, `{"userAgent": {"description": "ä\n😀"}}`},
		{"text with a zero", `{"userAgent": {"description": "a\u0000b"}}`, `{"userAgent": {"description": "a\u0000b"}}`},
		{"an address that does not parse", `{"userAgent": {"ip": "nowhere", "description": "d"}}`, `{"userAgent": {"description": "d"}}`},
		{"an address with a zone", `{"userAgent": {"ip": "fe80::1%eth0", "description": "d"}}`, `{"userAgent": {"description": "d"}}`},
		{"an address of version 6", `{"userAgent": {"ip": "2001:DB8::1"}}`, `{"userAgent": {"ip": "2001:db8::1"}}`},
		{"a map of lists", `{"userAgent": {"header": {"a": {"values": ["1", "2"]}, "b": {}}}}`, `{"userAgent": {"header": {"a": {"values": ["1", "2"]}, "b": {}}}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			created := c.do(http.MethodPost, "/v2/sessions", tc.body, "Content-Type", "text/plain") // what it says does not matter
			if created.status != http.StatusCreated {
				t.Fatalf("got %d %s", created.status, created.body)
			}
			read := c.do(http.MethodGet, "/v2/sessions/"+object(t, created.body)["sessionId"].(string), "")
			got, _ := object(t, read.body)["session"].(map[string]any)
			if diff := cmp.Diff(object(t, tc.want), without(got, everySession...)); diff != "" {
				t.Errorf("session (-want +got):\n%s", diff)
			}
		})
	}
}

// everySession are fields that say nothing about the request.
var everySession = []string{
	"id", "creationDate", "changeDate", "sequence", "factors.user.verifiedAt", "factors.user.loginName",
	"factors.user.displayName", "factors.user.organizationId", "assurance",
}

func object(t *testing.T, text string) map[string]any {
	t.Helper()
	var o map[string]any
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		t.Fatalf("%q is no object: %v", text, err)
	}
	return o
}

// without deletes what the paths lead to.
func without(o map[string]any, paths ...string) map[string]any {
	for _, path := range paths {
		steps := strings.Split(path, ".")
		at, last := o, len(steps)-1
		for _, step := range steps[:last] {
			at, _ = at[step].(map[string]any)
		}
		delete(at, steps[last])
	}
	return o
}

// What no body may look like, and how the message begins: the parser's own text.
func TestJSONThatTheContractDoesNotMapIsRefused(t *testing.T) {
	t.Parallel()
	const parser = "proto: "
	c := newREST(t, apptest.Options{})
	for _, tc := range []struct{ name, body, message string }{
		{"both spellings of a field", `{"userAgent": {}, "user_agent": {}}`, parser},
		{"a field twice", `{"lifetime": "1s", "lifetime": "2s"}`, parser},
		{"both arms of a oneof", `{"checks": {"user": {"userId": "a", "loginName": "b"}}}`, parser},
		{"a number for a string", `{"checks": {"totp": {"code": 123456}}}`, parser},
		{"a string for a bool", `{"challenges": {"otpSms": {"returnCode": "true"}}}`, parser},
		{"a string for a list", `{"userAgent": {"header": {"a": {"values": "1"}}}}`, parser},
		{"a duration without a unit", `{"lifetime": "300"}`, parser},
		{"a duration that is a number", `{"lifetime": 300}`, parser},
		{"a duration in minutes", `{"lifetime": "5m"}`, parser},
		{"a duration that is an object", `{"lifetime": {"seconds": 5}}`, parser},
		{"a negative duration", `{"lifetime": "-1s"}`, "invalid CreateSessionRequest.Lifetime: value must be greater than 0s"},
		{"null for a value of a map", `{"metadata": {"k": null}}`, parser},
		{"bytes that are not base64", `{"metadata": {"k": "*"}}`, parser},
		{
			"an unknown name of an enum counts as none", `{"challenges": {"webAuthN": {"domain": "d", "userVerificationRequirement": "NEW"}}}`,
			"invalid CreateSessionRequest.Challenges: embedded message failed validation",
		},
		{"a list", `[]`, parser},
		{"a string", `"x"`, parser},
		{"half an object", `{"lifetime": "1s"`, "unexpected EOF"},
		{"no JSON", `lifetime=1s`, "invalid character"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := c.do(http.MethodPost, "/v2/sessions", tc.body)
			got := a.refusal(t)
			message := strings.ReplaceAll(got.Message, "\u00a0", " ")
			if a.status != http.StatusBadRequest || got.Code != 3 || got.Details != nil || !strings.HasPrefix(message, tc.message) {
				t.Errorf("got %d %+v", a.status, got)
			}
		})
	}
}

// Numbers, times and enums are read in searches: three sessions, a second apart.
func TestNumbersTimesAndEnumsAreReadAsTheContractMapsThem(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	var ids []string
	for range 3 {
		ids = append(ids, c.create(t, session.Create{}).SessionID)
		c.Clock.Advance(time.Second)
	}
	const refused = -1
	for _, tc := range []struct {
		name, body string
		want       int // sessions, or refused
	}{
		{"no body", ``, 3},
		{"an offset as a number", `{"query": {"offset": 1}}`, 2},
		{"an offset as a string", `{"query": {"offset": "1"}}`, 2},
		{"an offset as a whole number with a fraction", `{"query": {"offset": 1.0}}`, 2},
		{"an offset with an exponent", `{"query": {"offset": 1e0}}`, 2},
		{"an offset beyond everything", `{"query": {"offset": "18446744073709551615"}}`, 0},
		{"an offset that overflows", `{"query": {"offset": "18446744073709551616"}}`, refused},
		{"a negative offset", `{"query": {"offset": -1}}`, refused},
		{"half an offset", `{"query": {"offset": 0.5}}`, refused},
		{"a limit as a number", `{"query": {"limit": 2}}`, 2},
		{"a limit as a string", `{"query": {"limit": "2"}}`, 2},
		{"a limit that overflows", `{"query": {"limit": 4294967296}}`, refused},
		{"a limit of null", `{"query": {"limit": null}}`, 3},
		{"a bool", `{"query": {"asc": true}}`, 3},
		{"a bool as a number", `{"query": {"asc": 1}}`, refused},
		{"an enum by name", `{"sortingColumn": "SESSION_FIELD_NAME_CREATION_DATE"}`, 3},
		{"an enum by number", `{"sortingColumn": 1}`, 3},
		{"an enum by an unknown name", `{"sortingColumn": "NEW"}`, 3},
		{"a time in UTC", created("2026-03-01T12:00:01Z", `"TIMESTAMP_QUERY_METHOD_EQUALS"`), 1},
		{"a time elsewhere", created("2026-03-01T13:30:01+01:30", `0`), 1},
		{"a time with nine digits", created("2026-03-01T12:00:00.999999999Z", `"TIMESTAMP_QUERY_METHOD_GREATER"`), 2},
		{"a time and a number for the method", created("2026-03-01T12:00:01Z", `4`), 2},
		{"a time with ten digits", created("2026-03-01T12:00:00.9999999999Z", `0`), refused},
		{"a time without a zone", created("2026-03-01T12:00:01", `0`), refused},
		{"a date", created("2026-03-01", `0`), refused},
		{"an empty list", `{"queries": []}`, 3},
		{"a list of ids", `{"queries": [{"idsQuery": {"ids": ["` + ids[0] + `", "unknown"]}}]}`, 1},
		{"names in snake case", `{"queries": [{"ids_query": {"ids": ["` + ids[0] + `"]}}]}`, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := c.do(http.MethodPost, "/v2/sessions/search", tc.body)
			if tc.want == refused {
				if a.status != http.StatusBadRequest {
					t.Errorf("got %d %s", a.status, a.body)
				}
				return
			}
			sessions, _ := object(t, a.body)["sessions"].([]any)
			if a.status != http.StatusOK || len(sessions) != tc.want {
				t.Errorf("got %d %s, want %d sessions", a.status, a.body, tc.want)
			}
		})
	}
}

func created(at, method string) string {
	return `{"queries": [{"creationDateQuery": {"creationDate": "` + at + `", "method": ` + method + `}}]}`
}

// Any text may be asked for. What no key of the store can be is as unknown as the rest, and
// what somebody does not have finds them by no comparison.
func TestAFilterByWhatNobodyHasFindsNothing(t *testing.T) {
	t.Parallel()
	const sessions, users = "/v2/sessions/search", "/v2/users"
	ofUser := func(id string) string { return `{"userIdQuery": {"id": "` + id + `"}}` }
	c := newREST(t, apptest.Options{})
	c.NewUserCheap(t, "ada@example.com")
	c.create(t, session.Create{})
	for _, tc := range []struct{ name, path, query string }{
		{"an unknown user", sessions, ofUser("unknown")},
		{"a user without id", sessions, ofUser("")},
		{"a user of a zero", sessions, ofUser(`\u0000`)},
		{"an id longer than any key", sessions, ofUser(strings.Repeat("x", 3<<10))},
		{"an id longer in bytes", sessions, ofUser(strings.Repeat("😀", 600))},
		{"a phone that is empty", users, `{"phoneQuery": {}}`},
		{"a phone that has nothing in it", users, `{"phoneQuery": {"method": "TEXT_QUERY_METHOD_CONTAINS"}}`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := c.do(http.MethodPost, tc.path, `{"queries": [`+tc.query+`]}`)
			got := object(t, a.body)
			if a.status != http.StatusOK || got["sessions"] != nil || got["result"] != nil {
				t.Errorf("got %d %s, want nothing", a.status, a.body)
			}
		})
	}
}

// What an update does not have stays as it is; what it has empty is cleared.
func TestAnUpdateOfAProfileKeepsWhatItDoesNotHave(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	ada := c.NewUserCheap(t, "ada@example.com")
	for _, step := range []struct {
		profile string
		want    map[string]any
	}{
		{
			`{"givenName": "A", "familyName": "L", "nickName": "n", "displayName": "d", "preferredLanguage": "en", "gender": "GENDER_FEMALE"}`,
			map[string]any{"givenName": "A", "familyName": "L", "nickName": "n", "displayName": "d", "preferredLanguage": "en", "gender": "GENDER_FEMALE"},
		},
		{
			`{"givenName": "B", "familyName": "L"}`,
			map[string]any{"givenName": "B", "familyName": "L", "nickName": "n", "displayName": "d", "preferredLanguage": "en", "gender": "GENDER_FEMALE"},
		},
		{
			`{"givenName": "B", "familyName": "L", "nickName": "", "displayName": "", "preferredLanguage": "", "gender": "GENDER_UNSPECIFIED"}`,
			map[string]any{"givenName": "B", "familyName": "L", "displayName": "B L", "gender": "GENDER_UNSPECIFIED"},
		},
	} {
		if a := c.do(http.MethodPut, "/v2/users/human/"+ada.ID, `{"profile": `+step.profile+`}`); a.status != http.StatusOK {
			t.Fatalf("%s: %d %s", step.profile, a.status, a.body)
		}
		var read struct {
			User struct {
				Human struct{ Profile map[string]any }
			}
		}
		if err := json.Unmarshal([]byte(c.do(http.MethodGet, "/v2/users/"+ada.ID, "").body), &read); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(step.want, read.User.Human.Profile); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.profile, diff)
		}
	}
}

// GET takes its fields from path and query (wire contract, section 1).
func TestAQueryIsReadAsTheContractSays(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	s, other := c.create(t, session.Create{}), c.create(t, session.Create{})
	for _, tc := range []struct {
		name, query string
		status      int
	}{
		{"no query", "", 200},
		{"the name in camel case", "?sessionToken=" + s.Token, 200},
		{"the name in snake case", "?session_token=" + s.Token, 200},
		{"an unknown name", "?unknown=1", 200},
		{"the path is not overridden", "?sessionId=" + other.SessionID + "&session_id=" + other.SessionID, 200},
		{"a token of another session", "?sessionToken=" + other.Token, 403},
		{"an empty token", "?sessionToken=", 400},
		{"a name twice", "?sessionToken=" + s.Token + "&sessionToken=" + s.Token, 400},
		{"broken escapes", "?sessionToken=%zz", 400},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			a := c.do(http.MethodGet, "/v2/sessions/"+s.SessionID+tc.query, "")
			if a.status != tc.status {
				t.Fatalf("got %d %s, want %d", a.status, a.body, tc.status)
			}
			if got, _ := object(t, a.body)["session"].(map[string]any); tc.status == http.StatusOK && got["id"] != s.SessionID {
				t.Errorf("got session %v, want %s", got["id"], s.SessionID)
			}
		})
	}
}

func TestThePathBeatsTheBody(t *testing.T) {
	t.Parallel()
	c := newREST(t, apptest.Options{})
	s, other := c.create(t, session.Create{}), c.create(t, session.Create{})
	a := c.do(http.MethodPatch, "/v2/sessions/"+s.SessionID, `{"sessionId": "`+other.SessionID+`", "lifetime": "1s"}`)
	if a.status != http.StatusOK {
		t.Fatalf("got %d %s", a.status, a.body)
	}
	for id, want := range map[string]string{s.SessionID: "2", other.SessionID: "1"} {
		read := c.do(http.MethodGet, "/v2/sessions/"+id, "")
		if got, _ := object(t, read.body)["session"].(map[string]any); got["sequence"] != want {
			t.Errorf("got %s, want sequence %s", read.body, want)
		}
	}
}
