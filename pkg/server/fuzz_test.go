package server_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/session"
)

// wellFormed checks what holds for every answer to every request: it is JSON, it is
// no failure of ours, and a refusal has a code and a message.
func wellFormed(t *testing.T, a answer) {
	t.Helper()
	var body struct {
		Code    int
		Message string
	}
	if err := json.Unmarshal([]byte(a.body), &body); err != nil {
		t.Fatalf("%d %q is no JSON: %v", a.status, a.body, err)
	}
	if a.status >= http.StatusInternalServerError && a.status != http.StatusNotImplemented {
		t.Errorf("got %d %s", a.status, a.body)
	}
	if a.status >= http.StatusBadRequest && (body.Code == 0 || body.Message == "") {
		t.Errorf("a refusal without code or message: %d %s", a.status, a.body)
	}
}

func FuzzRESTBody(f *testing.F) {
	c := newREST(f, apptest.Options{})
	s := c.create(f, session.Create{})
	for _, seed := range []string{
		`{}`, `{"lifetime": "1s"}`, `{"metadata": {"k": "aGVsbG8="}}`, `{"metadata": {"k": null}}`,
		`{"checks": {"user": {"userId": "ada"}}}`, `{"checks": {"user": {"loginName": "ada", "userId": "ada"}}}`,
		`{"checks": {"webAuthN": {"credentialAssertionData": {"a": [1, {"b": null}]}}}}`, `{"challenges": {"otpSms": {}}}`,
		`[]`, `null`, `"`, `{"lifetime": "99999999999999999999s"}`, "{\"metadata\": {\"\xff\": \"\"}}", `{"a":{"a":{"a":{`, ` `,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		wellFormed(t, c.do(http.MethodPatch, "/v2/sessions/"+s.SessionID, string(body)))
	})
}

func FuzzSessionID(f *testing.F) {
	c := newREST(f, apptest.Options{})
	s := c.create(f, session.Create{})
	for _, seed := range []string{s.SessionID, strings.ToUpper(s.SessionID), "unknown", "a/b", "a//b", "../x", "a:b", "ä", "\xff", "\x00", overLong, "%", "search"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, id string) {
		if id == "" || id == "." || id == ".." {
			return // another path
		}
		a := c.do(http.MethodGet, "/v2/sessions/"+url.PathEscape(id), "")
		wellFormed(t, a)
		if good := id == s.SessionID; good != (a.status == http.StatusOK) {
			t.Errorf("id %q: got %d %s", id, a.status, a.body)
		}
	})
}

func FuzzSessionToken(f *testing.F) {
	c := newREST(f, apptest.Options{})
	s, other := c.create(f, session.Create{}), c.create(f, session.Create{})
	for _, seed := range []string{s.Token, other.Token, s.Token[:40], s.Token + "A", s.Token + "\n", "stepup_", "%", "\x00", "a b", "ä"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		a := c.do(http.MethodGet, "/v2/sessions/"+s.SessionID+"?sessionToken="+url.QueryEscape(token), "")
		wellFormed(t, a)
		if good := token == s.Token; good != (a.status == http.StatusOK) {
			t.Errorf("token %q: got %d %s", token, a.status, a.body)
		}
	})
}

func FuzzAuthorizationHeader(f *testing.F) {
	c := newREST(f, apptest.Options{})
	s := c.create(f, session.Create{})
	for _, seed := range []string{
		"Bearer " + c.key, "Bearer " + c.key + "A", "Bearer " + s.Token, "bearer", "Bearer ", "Basic YTpi", "Bearer\t" + c.key,
		"Bearer stepup_", c.key, "Bearer " + c.key + " ", "\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		a := send(c.Handler, request(http.MethodGet, "/v2/sessions/"+s.SessionID, "", "Authorization", header))
		wellFormed(t, a)
		scheme, credential, _ := strings.Cut(header, " ")
		if good := strings.EqualFold(scheme, "Bearer") && credential == c.key; good != (a.status == http.StatusOK) {
			t.Errorf("header %q: got %d %s", header, a.status, a.body)
		}
	})
}
