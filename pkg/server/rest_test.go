package server_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/bolt"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
)

// answer is what came back from one HTTP request.
type answer struct {
	status int
	header http.Header
	body   string
}

// send carries a request into the handler, without a network.
func send(h http.Handler, r *http.Request) answer {
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	return answer{recorder.Code, recorder.Header(), recorder.Body.String()}
}

// request makes one; headers are names and values in turn.
func request(verb, path, body string, headers ...string) *http.Request {
	r := httptest.NewRequest(verb, "http://stepup.test"+path, strings.NewReader(body))
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r
}

// refusalBody is google.rpc.Status as REST writes it.
type refusalBody struct {
	Code    int
	Message string
	Details []map[string]any
}

func (a answer) refusal(t testing.TB) refusalBody {
	t.Helper()
	var r refusalBody
	if err := json.Unmarshal([]byte(a.body), &r); err != nil {
		t.Fatalf("%d %q is no refusal: %v", a.status, a.body, err)
	}
	return r
}

// field reads a text out of the body, by its path.
func (a answer) field(t testing.TB, path ...string) string {
	t.Helper()
	var value any
	if err := json.Unmarshal([]byte(a.body), &value); err != nil || a.status >= http.StatusBadRequest {
		t.Fatalf("%d %s", a.status, a.body)
	}
	for _, name := range path {
		object, _ := value.(map[string]any)
		value = object[name]
	}
	text, ok := value.(string)
	if !ok {
		t.Fatalf("no %v in %s", path, a.body)
	}
	return text
}

// restClient calls a service over REST with an owner's key.
type restClient struct {
	*apptest.Service

	store *bolt.Store
	key   string
}

// newREST starts a service on an embedded store. It is patient, because a machine that
// runs all tests at once takes seconds for a password.
func newREST(t testing.TB, o apptest.Options) restClient {
	t.Helper()
	store := apptest.Bolt(t)
	o.Table = store
	env := map[string]string{"STEPUP_TIMEOUT": "10m"}
	maps.Copy(env, o.Env)
	o.Env = env
	s := apptest.New(t, o)
	return restClient{s, store, s.NewKey(t, access.IAMOwner, "")}
}

func (c restClient) do(verb, path, body string, headers ...string) answer {
	return send(c.Handler, request(verb, path, body, append([]string{"Authorization", "Bearer " + c.key}, headers...)...))
}

// create starts a session for a test that is about something else.
func (c restClient) create(t testing.TB, s session.Create) session.Result {
	t.Helper()
	r, err := c.Sessions.Create(t.Context(), apptest.Admin(), s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// dump is everything in the store.
func (c restClient) dump(t testing.TB) []table.Row {
	t.Helper()
	var rows []table.Row
	err := c.store.Dump(t.Context(), func(r table.Row) error { rows = append(rows, r); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return rows
}

// metered is a service whose calls of the store are counted.
func metered(t testing.TB) (*tabletest.Meter, *apptest.Service) {
	t.Helper()
	meter := tabletest.NewMeter(apptest.Bolt(t), 0)
	return meter, apptest.New(t, apptest.Options{Table: meter})
}
