package app_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/idp"
	"github.com/stepup-auth/stepup/pkg/idp/idptest"
	"github.com/stepup-auth/stepup/pkg/keyring"
	"github.com/stepup-auth/stepup/pkg/notify"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
	"github.com/stepup-auth/stepup/test/canary"
)

// storedOrigin is an origin as the port has it, for either store.
type storedOrigin struct {
	*origin

	rows map[table.Key]table.Item
	ring *keyring.Ring
}

// newStoredOrigin makes the people through the service itself, on an embedded store.
func newStoredOrigin(t *testing.T) *storedOrigin {
	t.Helper()
	o := &storedOrigin{origin: &origin{stub: idptest.NewStub(t)}}
	tb := apptest.Bolt(t)
	s := apptest.New(t, apptest.Options{Table: tb, Providers: o.providers(), Env: standEnv})
	c := client{t, s.Serve(t), s.NewKey(t, access.IAMOwner, "")}
	o.people(t, c)
	o.sessions(t, c)
	o.rows, o.ring, o.planted = apptest.Dump(t, tb), s.Ring, &s.Secrets.Ledger
	return o
}

var standEnv = map[string]string{"STEPUP_RELYING_PARTIES": "example.com=https://login.example.com", "STEPUP_TIMEOUT": outageDeadline.String()}

func (o *storedOrigin) providers() []idp.Provider { return []idp.Provider{o.stub.Config("google")} }

// stand is a service in this process whose store and sender fail as they are told, on a
// store that holds the origin.
type stand struct {
	*apptest.Service
	*storedOrigin

	inner table.Table
	seams *seams
	post  *post
}

func (o *storedOrigin) stand(t *testing.T, tb table.Table) *stand {
	t.Helper()
	st := &stand{storedOrigin: o, inner: tb, seams: &seams{}}
	st.post = &post{seams: st.seams, secrets: &canary.Ledger{}}
	st.Service = apptest.New(t, apptest.Options{
		Table: tabletest.NewFaulty(tb, st.seams.call), Ring: o.ring, Providers: o.providers(), Env: standEnv,
		Sender: func(notify.Sender) notify.Sender { return st.post },
	})
	st.Secrets.Adopt(o.planted)
	st.post.secrets = &st.Secrets.Ledger
	st.restore(t)
	return st
}

// seams count the calls of a request to the store, and break one of them.
type seams struct {
	mu     sync.Mutex // guards the rest
	names  []string
	at     int // of the calls, from 1; 0 for none
	action tabletest.Action
	expire func() // ends the request's time
	// sent counts the messages handed over, and sendAt is the one that is broken.
	sent, sendAt int
	sending      refusedSend
	channel      notify.Channel // of the broken one
}

func (s *seams) call(_ int, name string) tabletest.Action {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names = append(s.names, name)
	if len(s.names) != s.at {
		return tabletest.Pass
	}
	if s.action == tabletest.Hang || s.action == tabletest.AnswerLate {
		s.expire()
	}
	return s.action
}

// post is a provider that knows a message by its id.
type post struct {
	seams   *seams
	secrets *canary.Ledger // the codes are

	mu  sync.Mutex // guards the rest
	ids []string
	// taken are the addresses and numbers of what was taken.
	taken []string
}

// Send implements notify.Sender.
func (p *post) Send(ctx context.Context, m notify.Rendered) (notify.Receipt, error) {
	unavailable, unconfirmed := notify.ErrSMSUnavailable, notify.ErrSMSUnconfirmed
	if m.Channel == notify.Email {
		unavailable, unconfirmed = notify.ErrEmailUnavailable, notify.ErrEmailUnconfirmed
	}
	r := p.seams.send(m.Channel)
	if r.taken {
		p.take(m)
	}
	switch {
	case r.late:
		<-ctx.Done() // the SDK gives up when the request's time is over
		return notify.Receipt{}, unconfirmed.Wrap(ctx.Err())
	case r.unconfirmed:
		return notify.Receipt{}, unconfirmed.Wrap(errDead)
	case r.broken:
		return notify.Receipt{}, unavailable.Wrap(errDead)
	}
	return notify.Receipt{Provider: "post", MessageID: m.ID}, nil
}

// send returns what becomes of the next message.
func (s *seams) send(over notify.Channel) refusedSend {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sent++
	if s.sent != s.sendAt {
		return refusedSend{taken: true}
	}
	if s.channel = over; s.sending.late {
		s.expire()
	}
	return s.sending
}

func (p *post) take(m notify.Rendered) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.secrets.Plant(canary.Code, m.Code)
	if m.ID != "" && slices.Contains(p.ids, m.ID) {
		return
	}
	p.ids, p.taken = append(p.ids, m.ID), append(p.taken, m.To)
}

// since returns how many messages were taken since there were so many.
func (p *post) since(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.taken) - n
}

func (p *post) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ids, p.taken = nil, nil
}

// lapse is a context whose time is over when somebody says so.
type lapse struct {
	context.Context //nolint:containedctx // it is one

	over chan struct{}
}

// Done implements context.Context.
func (l lapse) Done() <-chan struct{} { return l.over }

// Err implements context.Context.
func (l lapse) Err() error {
	select {
	case <-l.over:
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// plan is what fails during one request; the zero value is nothing.
type plan struct {
	at      int
	action  tabletest.Action
	sendAt  int
	sending refusedSend
	key     string // Idempotency-Key
}

// told is an answer with its body.
type told struct {
	answered

	body string
}

// make makes a call.
func (st *stand) make(t *testing.T, c call, p plan) told {
	t.Helper()
	path := c.path
	if c.fresh != nil {
		path = c.fresh(t)
	}
	over := lapse{t.Context(), make(chan struct{})}
	st.arm(p, sync.OnceFunc(func() { close(over.over) }))
	r := httptest.NewRequest(c.method, path, strings.NewReader(c.body)).WithContext(over)
	r.Header.Set("Authorization", "Bearer "+st.key)
	if c.bearer != "" {
		r.Header.Set("Authorization", "Bearer "+c.bearer)
	}
	if p.key != "" {
		r.Header.Set("Idempotency-Key", p.key)
	}
	logged, start, w := len(st.Logs.String()), time.Now(), httptest.NewRecorder()
	st.Handler.ServeHTTP(w, r)
	a := told{answerOf(w.Code, w.Header(), w.Body.Bytes()), w.Body.String()}
	a.took, a.log = time.Since(start), st.Logs.String()[logged:]
	return a
}

func (st *stand) arm(p plan, expire func()) {
	st.seams.mu.Lock()
	defer st.seams.mu.Unlock()
	st.seams.names, st.seams.sent = nil, 0
	st.seams.at, st.seams.action, st.seams.sendAt, st.seams.sending, st.seams.expire = p.at, p.action, p.sendAt, p.sending, expire
}

// sites are the calls to the store of the last request.
func (st *stand) sites() []string {
	st.seams.mu.Lock()
	defer st.seams.mu.Unlock()
	return slices.Clone(st.seams.names)
}

// served makes the call, which has to succeed, and returns its answer.
func (st *stand) served(t *testing.T, c call, key string) told {
	t.Helper()
	got := st.make(t, c, plan{key: key})
	if !c.serves(got.answered) {
		t.Fatalf("got %+v", got)
	}
	return got
}

// restore makes the store hold what it began with, and forgets the messages.
func (st *stand) restore(t *testing.T) {
	t.Helper()
	now := apptest.Dump(t, st.inner)
	var ops []table.Op
	for key := range now {
		if _, kept := st.rows[key]; !kept {
			ops = append(ops, table.Delete(key, nil))
		}
	}
	for key, item := range st.rows {
		if !reflect.DeepEqual(item, now[key]) {
			ops = append(ops, table.Put(key, item, nil))
		}
	}
	for part := range slices.Chunk(ops, table.MaxTransact) {
		if err := st.inner.Write(t.Context(), table.Write{Ops: part}); err != nil {
			t.Fatal(err)
		}
	}
	st.post.forget()
}

// exactly is everything in the store.
func (st *stand) exactly(t *testing.T) []string {
	t.Helper()
	return st.lines(t, func(key table.Key, item table.Item, _ bool) string { return key.String() + " " + shape(item, true) })
}

// roughly is everything but for what is drawn: the ids of new items, what is text or
// bytes, and times.
func (st *stand) roughly(t *testing.T) []string {
	t.Helper()
	return st.lines(t, func(key table.Key, item table.Item, old bool) string {
		name := key.String()
		if !old {
			name = stem(key.PK) + "/" + stem(key.SK)
		}
		return name + " " + shape(item, false)
	})
}

// seen is what callers see of people and sessions, as in world.visibly.
func (st *stand) seen(t *testing.T) []string {
	t.Helper()
	return st.lines(t, func(key table.Key, item table.Item, old bool) string {
		_, ended := item["end"]
		if ended || key.SK == "GUARD" && !old || strings.HasPrefix(key.PK, "SENT#") || strings.HasPrefix(key.PK, "BUDGET#") {
			return ""
		}
		return key.String() + " " + shape(uncounted(item), true)
	})
}

// done is what a call leaves but for what is drawn, and for how often something was
// written on the way.
func (st *stand) done(t *testing.T) []string {
	t.Helper()
	return st.lines(t, func(key table.Key, item table.Item, _ bool) string {
		return stem(key.PK) + "/" + stem(key.SK) + " " + shape(uncounted(item), false)
	})
}

// uncounted is an item without what counts and dates its writes.
func uncounted(item table.Item) table.Item {
	item = maps.Clone(item)
	for _, count := range []string{"r", "v", "w", "ttl"} {
		delete(item, count)
	}
	return item
}

func (st *stand) lines(t *testing.T, line func(key table.Key, item table.Item, old bool) string) []string {
	t.Helper()
	var all []string
	for key, item := range apptest.Dump(t, st.inner) {
		_, old := st.rows[key]
		if text := line(key, item, old); text != "" {
			all = append(all, text)
		}
	}
	slices.Sort(all)
	return all
}

// aTime is less than any time in seconds, and more than any count.
const aTime = 1e9

// shape is a value as one line, whole or without what is text, bytes or a time.
func shape(v any, whole bool) string {
	var parts []string
	switch v := v.(type) {
	case table.Item:
		return shape(map[string]any(v), whole)
	case map[string]any:
		for name, member := range v {
			parts = append(parts, name+":"+shape(member, whole))
		}
		slices.Sort(parts)
	case []any:
		for _, member := range v {
			parts = append(parts, shape(member, whole))
		}
	case int64:
		if !whole && v > aTime {
			return "T"
		}
		return fmt.Sprint(v)
	case bool:
		return fmt.Sprint(v)
	default:
		if whole {
			return fmt.Sprintf("%x", v)
		}
		return fmt.Sprintf("%T", v)
	}
	return "{" + strings.Join(parts, " ") + "}"
}

// wrote reports whether the lines of a store are not those of the rows.
func wrote(rows map[table.Key]table.Item, now []string) bool {
	var before []string
	for key, item := range rows {
		before = append(before, key.String()+" "+shape(item, true))
	}
	slices.Sort(before)
	return !cmp.Equal(before, now)
}

// sameJSON compares two bodies but for white space, which protojson varies.
func sameJSON(a, b string) bool {
	var left, right any
	return json.Unmarshal([]byte(a), &left) == nil && json.Unmarshal([]byte(b), &right) == nil && cmp.Equal(left, right)
}

// wantAlive fails the test for a process that no longer answers.
func (st *stand) wantAlive(t *testing.T) {
	t.Helper()
	if got := st.make(t, call{method: http.MethodGet, path: st.bound}, plan{}); got.status != http.StatusOK && got.status != http.StatusNotFound {
		t.Errorf("the next call: %+v", got)
	}
}
