package prove_test

import (
	"context"
	"encoding/json"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/idp"
	"github.com/stepup-auth/stepup/pkg/idp/idptest"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/tabletest"
)

// lab is a service on a store that misbehaves during histories, and an owner's key. As on
// Lambda it is several instances that know of each other what is stored and nothing else, and
// each call comes to the next of them.
type lab struct {
	*apptest.Service // the first instance

	instances []http.Handler
	turn      atomic.Int64

	key  string
	calm bool // the store is slow and nothing worse
	stub *idptest.Stub
	// people are users that several histories share.
	people     []string
	registered int
	// calls and lost count the calls and those whose outcome nobody knew.
	calls, lost atomic.Int64

	mu      sync.Mutex // guards the rest
	random  *rand.Rand
	running bool
}

// setting is what a lab is made of.
type setting struct {
	// store is called once for each instance.
	store func() table.Table
	env   map[string]string
	// skew is by how much the clock of each instance is ahead of that of the one before.
	skew time.Duration
}

// shared is one store for all instances.
func shared(tb table.Table) func() table.Table { return func() table.Table { return tb } }

func newLab(t *testing.T, s setting) *lab {
	t.Helper()
	l := &lab{stub: idptest.NewStub(t)}
	env := maps.Clone(s.env)
	if env == nil {
		env = make(map[string]string)
	}
	env["STEPUP_RELYING_PARTIES"] = relyingParty + "=" + origin
	o := apptest.Options{Env: env, Providers: []idp.Provider{l.stub.Config(provider)}}
	for i := range instances {
		o.Table = slow{tabletest.NewFaulty(s.store(), l.fault), l}
		instance := apptest.New(t, o)
		if i == 0 {
			l.Service = instance
			o.Ring, o.Inbox, o.Secrets = l.Ring, l.Inbox, l.Secrets
		}
		l.instances = append(l.instances, instance.Handler)
		o.Clock = l.Clock.Ahead(time.Duration(i+1) * s.skew)
	}
	l.key = l.NewKey(t, access.IAMOwner, "")
	return l
}

// What every lab has: instances of the service, a relying party with a site, and an identity provider.
const (
	instances    = 3
	relyingParty = "example.com"
	origin       = "https://login.example.com"
	provider     = "stub"
)

// instance is the one whose turn it is.
func (l *lab) instance() http.Handler { return l.instances[int(l.turn.Add(1))%len(l.instances)] }

// begin lets the store misbehave as the seed wants it.
func (l *lab) begin(seed uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.random, l.running = rand.New(rand.NewPCG(seed, 1<<32)), true
}

// pause lets the store behave, or misbehave again.
func (l *lab) pause(on bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.running = !on
}

// draw returns a number from 0 to 99, and false while the store behaves.
func (l *lab) draw() (int, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.running {
		return 0, false
	}
	return l.random.IntN(100), true
}

// fault lets one read in 50 fail, and one write in 6.
func (l *lab) fault(_ int, call string) tabletest.Action {
	n, running := l.draw()
	switch {
	case !running || l.calm:
		return tabletest.Pass
	case call != tabletest.CallWrite:
		if n < 2 {
			return tabletest.Fail
		}
	case n < 2:
		return tabletest.Fail
	case n < 8:
		return tabletest.LoseAnswer
	case n < 16:
		return tabletest.Contend
	}
	return tabletest.Pass
}

// slow is a store whose requests and answers linger on their way.
type slow struct {
	table.Table

	lab *lab
}

func (s slow) linger() {
	if n, running := s.lab.draw(); running && n < 40 {
		time.Sleep(time.Duration(n) * 25 * time.Microsecond)
	}
}

func (s slow) Get(ctx context.Context, key table.Key) (table.Item, error) {
	defer s.linger()
	return s.Table.Get(ctx, key)
}

func (s slow) BatchGet(ctx context.Context, keys []table.Key) ([]table.Item, error) {
	defer s.linger()
	return s.Table.BatchGet(ctx, keys)
}

func (s slow) Query(ctx context.Context, q table.Query) (table.Page, error) {
	defer s.linger()
	return s.Table.Query(ctx, q)
}

func (s slow) Write(ctx context.Context, w table.Write) error {
	s.linger()
	defer s.linger()
	return s.Table.Write(ctx, w)
}

// weak is a store that does not compare one attribute, and takes any value for the
// one that was asked for.
type weak struct {
	table.Table

	name string
}

func (s weak) Write(ctx context.Context, w table.Write) error {
	ops := make([]table.Op, len(w.Ops))
	for i, op := range w.Ops {
		op.If = s.weaken(op.If)
		ops[i] = op
	}
	return s.Table.Write(ctx, table.Write{Token: w.Token, Ops: ops})
}

func (s weak) weaken(c table.Condition) table.Condition {
	switch c := c.(type) {
	case table.Compare:
		if len(c.Path) == 1 && c.Path[0] == s.name {
			return table.Exists()
		}
	case table.Any:
		parts := make(table.Any, len(c))
		for i, part := range c {
			parts[i] = s.weaken(part)
		}
		return parts
	}
	return c
}

// outcome is what a client knows about a call.
type outcome string

const (
	done    outcome = "done"
	raced   outcome = "lost the race" // and had no effect
	unknown outcome = "unknown"       // whether it happened
)

// reply is what came back. A refusal's outcome is its id.
type reply struct {
	outcome outcome
	body    struct {
		SessionID, SessionToken string
		Details                 struct {
			Sequence uint64 `json:",string"`
		}
		Session struct {
			Sequence uint64 `json:",string"`
			Metadata map[string][]byte
			Factors  struct{ User, Password, OtpSms, Intent *struct{} }
		}
		Sessions   []struct{ ID string }
		Challenges struct {
			OtpSms   string
			WebAuthN struct{ PublicKeyCredentialRequestOptions json.RawMessage }
		}
	}
	failedAttempts int
	text           string
}

// do makes one call. Idempotency is the request's key, empty for none.
func (l *lab) do(verb, path, body, idempotency string) (r reply) {
	return l.doAs(l.key, verb, path, body, idempotency)
}

// doAs is do with other credentials, such as a session's token.
func (l *lab) doAs(bearer, verb, path, body, idempotency string) (r reply) {
	request := httptest.NewRequest(verb, "http://stepup.test"+path, strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+bearer)
	request.Header.Set("Content-Type", "application/json")
	if idempotency != "" {
		request.Header.Set("Idempotency-Key", idempotency)
	}
	recorder := httptest.NewRecorder()
	l.instance().ServeHTTP(recorder, request)
	r.text = recorder.Body.String()
	l.calls.Add(1)
	switch status := recorder.Code; {
	case status >= http.StatusInternalServerError:
		r.outcome = unknown
		l.lost.Add(1)
	case status == http.StatusConflict:
		r.outcome = raced
	case status >= http.StatusBadRequest:
		r.refused()
	default:
		r.outcome = done
		if err := json.Unmarshal([]byte(r.text), &r.body); err != nil {
			r.outcome = outcome(err.Error())
		}
	}
	return r
}

// must makes a call that is set up for the history, while the store behaves.
func (l *lab) must(t *testing.T, verb, path, body string) reply {
	t.Helper()
	l.pause(true)
	defer l.pause(false)
	r := l.do(verb, path, body, "")
	if r.outcome != done {
		t.Fatalf("%s %s: %s", verb, path, r.text)
	}
	return r
}

// refused reads the id that ends the message of a refusal.
func (r *reply) refused() {
	var status struct {
		Message string
		Details []struct{ FailedAttempts int }
	}
	if err := json.Unmarshal([]byte(r.text), &status); err != nil {
		r.outcome = outcome(err.Error())
		return
	}
	for _, detail := range status.Details {
		r.failedAttempts = max(r.failedAttempts, detail.FailedAttempts)
	}
	_, id, _ := strings.Cut(status.Message, "(")
	r.outcome = outcome(strings.TrimSuffix(id, ")"))
}
