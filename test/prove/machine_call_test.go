package prove_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"pgregory.net/rapid"

	"github.com/stepup-auth/stepup/pkg/table"
)

func (s hoarding) Write(ctx context.Context, w table.Write) error {
	kept := slices.DeleteFunc(slices.Clone(w.Ops), func(op table.Op) bool { return op.Kind == table.OpDelete })
	if len(kept) == 0 {
		return nil
	}
	return s.Table.Write(ctx, table.Write{Token: w.Token, Ops: kept})
}

// fields are those of a message in JSON.
type fields = map[string]any

// answer is what came back.
type answer struct {
	refusal  refusal
	body     fields
	failures float64
	text     string
}

// at follows the names to a value, nil when there is none.
func (a answer) at(names ...string) any {
	var v any = a.body
	for _, name := range names {
		object, _ := v.(fields)
		v = object[name]
	}
	return v
}

func (a answer) string(names ...string) string { s, _ := a.at(names...).(string); return s }

// list returns the objects of a list.
func (a answer) list(name string) (all []answer) {
	items, _ := a.at(name).([]any)
	for _, item := range items {
		object, _ := item.(fields)
		all = append(all, answer{body: object})
	}
	return all
}

// request is one call of an RPC. Bearer, key and match are headers, empty for none.
type request struct {
	method             string
	body               fields
	bearer, key, match string
}

// repeatable are the RPCs that take an Idempotency-Key.
var repeatable = []string{
	"CreateSession", "SetSession", "AddHumanUser", "CreateUser", "UpdateHumanUser", "SetEmail", "SendEmailCode", "ResendEmailCode",
	"SetPhone", "RemovePhone", "ResendPhoneCode", "CreatePasskeyRegistrationLink",
}

// keptCall is one that was carried out and can be repeated later, and its answer.
type keptCall struct {
	request
	answer

	at time.Time
}

// call makes a call and compares its end. A third of those that take a key have one, and
// are repeated at once, and with something else.
func (m *machine) call(rt *rapid.T, method string, body fields, want refusal) answer {
	rt.Helper()
	return m.make(rt, request{method: method, body: body}, want)
}

func (m *machine) make(rt *rapid.T, r request, want refusal) answer {
	rt.Helper()
	if slices.Contains(repeatable, r.method) && one(rt, 3, "named") {
		r.key = m.fresh()
	}
	a := m.send(rt, r)
	if a.refusal != want {
		rt.Fatalf("%s %v: want %q, got %q: %s", r.method, r.body, want, a.refusal, a.text)
	}
	if r.key != "" {
		m.repeat(rt, r, a)
		if a.refusal == carriedOut && a.string("sessionToken") != "" {
			m.kept = append(m.kept, keptCall{r, a, m.now()})
		}
	}
	return a
}

// repeat is told what the first time was told, and nothing is sent.
func (m *machine) repeat(rt *rapid.T, r request, first answer) {
	rt.Helper()
	sent := m.newest()
	again := m.send(rt, r)
	if again.refusal != first.refusal || again.failures != first.failures || !reflect.DeepEqual(again.body, first.body) {
		rt.Fatalf("%s %v: first %s, repeated %s", r.method, r.body, first.text, again.text)
	}
	if m.newest() != sent {
		rt.Fatalf("%s %v: a message was sent again", r.method, r.body)
	}
}

// newest is the id of the newest message.
func (m *machine) newest() string {
	if all := m.Inbox.Messages(); len(all) > 0 {
		return all[0].ID
	}
	return ""
}

func (m *machine) send(rt *rapid.T, r request) (a answer) {
	rt.Helper()
	text, err := json.Marshal(r.body)
	if err != nil {
		rt.Fatal(err)
	}
	h := httptest.NewRequest(http.MethodPost, "http://stepup.test"+m.path(r.method), bytes.NewReader(text))
	h.Header.Set("Content-Type", "application/json")
	h.Header.Set("Authorization", "Bearer "+m.key)
	for name, value := range map[string]string{"Idempotency-Key": r.key, "If-Match": r.match} {
		if value != "" {
			h.Header.Set(name, value)
		}
	}
	if r.bearer != "" {
		h.Header.Set("Authorization", "Bearer "+r.bearer)
	}
	recorder := httptest.NewRecorder()
	m.instance().ServeHTTP(recorder, h)
	m.calls.Add(1)
	m.called[r.method]++
	a.text = recorder.Body.String()
	if err := json.Unmarshal([]byte(a.text), &a.body); err != nil {
		rt.Fatalf("%s: %d %s", r.method, recorder.Code, a.text)
	}
	if recorder.Code != http.StatusOK {
		a.refused()
	}
	return a
}

// path is that of the Connect protocol, which is named after the RPC.
func (m *machine) path(method string) string {
	for _, known := range contract() {
		if string(known.Name()) == method {
			return fmt.Sprintf("/%s/%s", known.Parent().FullName(), method)
		}
	}
	panic("no RPC is called " + method)
}

// idAtEnd is the id that ends the message of a refusal.
var idAtEnd = regexp.MustCompile(`\(([A-Za-z0-9-]+)\)$`)

func (a *answer) refused() {
	message := a.string("message")
	if id := idAtEnd.FindStringSubmatch(message); id != nil {
		message = id[1]
	}
	a.refusal = refusal(a.string("code") + " " + message)
	for _, detail := range a.list("details") {
		if n, ok := detail.at("debug", "failedAttempts").(float64); ok {
			a.failures = n
		}
	}
}

// repeatKept repeats an earlier call, or asks for something else under its key.
func (m *machine) repeatKept(rt *rapid.T) {
	known := slices.DeleteFunc(slices.Clone(m.kept), func(k keptCall) bool { return m.now().Sub(k.at) > 24*time.Hour })
	if len(known) == 0 {
		rt.Skip("nothing to repeat")
	}
	k := known[rapid.IntRange(max(0, len(known)-8), len(known)-1).Draw(rt, "repeated")]
	if one(rt, 4, "otherwise") {
		k.request.body = maps.Clone(k.request.body)
		k.request.body["metadata"] = fields{"other": "dg=="}
		if again := m.send(rt, k.request); again.refusal != keyReused {
			rt.Fatalf("%s %v: %s", k.method, k.request.body, again.text)
		}
		return
	}
	again := m.send(rt, k.request)
	for _, name := range []string{"sessionToken", "challenges", "sessionId"} {
		if !reflect.DeepEqual(again.body[name], k.answer.body[name]) {
			rt.Fatalf("%s %v: first %s, repeated %s", k.method, k.request.body, k.text, again.text)
		}
	}
	if again.string("details", "sequence") != k.string("details", "sequence") {
		rt.Fatalf("%s %v: first %s, repeated %s", k.method, k.request.body, k.text, again.text)
	}
}

// message returns the newest one to the address.
func (m *machine) message(rt *rapid.T, to string) (id, code string) {
	rt.Helper()
	for _, sent := range m.Inbox.Messages() {
		if strings.EqualFold(sent.To, to) {
			return sent.Rendered.ID, sent.Code
		}
	}
	rt.Fatalf("nothing was sent to %s", to)
	return "", ""
}
