package prove_test

import (
	"context"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"
	"pgregory.net/rapid"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	sessionv1 "github.com/stepup-auth/stepup/pkg/gen/stepup/session/v1"
	sessionv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/session/v2"
	userv2 "github.com/stepup-auth/stepup/pkg/gen/zitadel/user/v2"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
)

var checksFlag = flag.Int("prove.checks", 12, "how many sequences of calls to try on the embedded store, and a third as many on DynamoDB's stand-in")

// TestSequencesOfCallsDoWhatASimpleModelSays draws calls of every RPC, makes them one
// after another, and compares each answer, and then what they were about, with a model
// that shares no code with the service. A failing sequence is shrunk and printed.
func TestSequencesOfCallsDoWhatASimpleModelSays(t *testing.T) {
	called := make(map[string]int)
	t.Run("bolt", func(t *testing.T) {
		l := newLab(t, setting{store: shared(apptest.Bolt(t)), env: lockoutOf(machineLimit)})
		sequences(t, l, draws{*checksFlag, *seedFlag, called})
		for round := range uint64(20) { // a few sequences may not come by everything
			if len(uncalled(called)) > 0 {
				sequences(t, l, draws{1, *seedFlag + 1000 + round, called})
			}
		}
	})
	t.Run("dynamo", func(t *testing.T) {
		l := newLab(t, setting{store: shared(apptest.Dynamo(t, dynamo.Options{})), env: lockoutOf(machineLimit)})
		sequences(t, l, draws{(*checksFlag + 2) / 3, *seedFlag, called})
	})
	if missing := uncalled(called); len(missing) > 0 {
		t.Errorf("no sequence calls %v", missing)
	}
}

// uncalled lists the RPCs of the contract that no sequence called yet.
func uncalled(called map[string]int) (missing []protoreflect.Name) {
	for _, method := range contract() {
		if called[string(method.Name())] == 0 {
			missing = append(missing, method.Name())
		}
	}
	return missing
}

// contract lists every RPC.
func contract() (all []protoreflect.MethodDescriptor) {
	for _, file := range []protoreflect.FileDescriptor{
		sessionv1.File_stepup_session_v1_session_service_proto,
		sessionv2.File_zitadel_session_v2_session_service_proto, userv2.File_zitadel_user_v2_user_service_proto,
	} {
		for s := range file.Services().Len() {
			methods := file.Services().Get(s).Methods()
			for i := range methods.Len() {
				all = append(all, methods.Get(i))
			}
		}
	}
	return all
}

// TestSequencesFindADefect is why the other test can be believed: a service that locks
// at the first failure, a store that forgets to delete, and instances that each remember what
// they read.
func TestSequencesFindADefect(t *testing.T) {
	for name, l := range map[string]*lab{
		"locks too early": newLab(t, setting{store: shared(apptest.Bolt(t)), env: lockoutOf(1)}),
		"remembers":       newLab(t, setting{store: remembering(apptest.Bolt(t)), env: lockoutOf(machineLimit)}),
		"deletes nothing": newLab(t, setting{store: shared(hoarding{apptest.Bolt(t)}), env: lockoutOf(machineLimit)}),
	} {
		t.Run(name, func(t *testing.T) {
			judged, over := &verdict{TB: t}, make(chan struct{})
			go func() {
				defer close(over)
				sequences(judged, l, draws{300, *seedFlag, make(map[string]int)})
			}()
			<-over
			if !judged.Failed() {
				t.Error("no sequence noticed")
			}
		})
	}
}

// verdict is a test whose failure is wanted.
type verdict struct {
	testing.TB

	failed atomic.Bool
}

func (v *verdict) Failed() bool          { return v.failed.Load() }
func (v *verdict) Fail()                 { v.failed.Store(true) }
func (v *verdict) Logf(string, ...any)   {}
func (v *verdict) Log(...any)            {}
func (v *verdict) Errorf(string, ...any) { v.Fail() }
func (v *verdict) Error(...any)          { v.Fail() }
func (v *verdict) Fatalf(string, ...any) { v.FailNow() }
func (v *verdict) Fatal(...any)          { v.FailNow() }

func (v *verdict) FailNow() {
	v.Fail()
	runtime.Goexit()
}

func lockoutOf(limit int) map[string]string {
	return map[string]string{"STEPUP_LOCKOUT_LIMIT": strconv.Itoa(limit)}
}

// draws says how many sequences to draw and from which seed, and counts their calls.
type draws struct {
	checks int
	seed   uint64
	called map[string]int
}

func sequences(t testing.TB, l *lab, d draws) {
	for name, value := range map[string]string{
		"rapid.checks": strconv.Itoa(d.checks), "rapid.seed": strconv.FormatUint(d.seed, 10), "rapid.steps": "60",
		"rapid.nofailfile": "true", "rapid.shrinktime": "20s",
	} {
		check(t, flag.Set(name, value))
	}
	if _, wanted := t.(*verdict); wanted {
		check(t, flag.Set("rapid.shrinktime", "0s"))
	}
	l.pause(true)
	start, told, n := time.Now(), time.Now(), 0
	rapid.Check(t, func(rt *rapid.T) {
		if n++; time.Since(told) > 5*time.Second {
			told = time.Now()
			fmt.Fprintf(os.Stderr, "%s: %d sequences in %v\n", t.Name(), n, time.Since(start).Round(time.Second))
		}
		m := &machine{lab: l, t: t, called: d.called, modelWorld: modelWorld{users: make(map[string]*account), sent: make(sent)}}
		m.enter(rt)
		rt.Repeat(m.actions())
	})
	t.Logf("%d sequences; with those before, %d calls", n, l.calls.Load())
}

// machine is the service and the model side by side.
type machine struct {
	*lab
	modelWorld

	t      testing.TB
	called map[string]int
	run    int      // numbers the sequence, so that its names are its own
	names  int      // counts those that were drawn
	order  []string // ids of users as they were created
	gone   []string // ids of those who were deleted
	live   []*machineSession
	lost   []*modelKey // keys that were removed, and are still in somebody's hand
	signIn []*modelIntent
	kept   []keptCall
}

// enter begins a sequence with a user, at the begin of a day, so that it can be repeated.
func (m *machine) enter(rt *rapid.T) {
	m.Clock.Advance(m.now().Truncate(24 * time.Hour).Add(24 * time.Hour).Sub(m.now()))
	m.registered++
	m.run = m.registered
	m.createUser(rt)
	for range 4 {
		m.equip(rt)
	}
}

// actions are the calls, those more than once that reach more.
func (m *machine) actions() map[string]func(*rapid.T) {
	return map[string]func(*rapid.T){
		"create session": m.createSession, "set": m.set, "set again": m.set, "guess": m.guess, "answer": m.answerCode,
		"prove": m.prove, "pass": m.pass, "pass again": m.pass, "pass once more": m.pass, "fail": m.fail, "send often": m.sendOften,
		"get": m.get, "bearer": m.actAsUser, "delete session": m.deleteSession,
		"list sessions": m.listSessions, "end sessions": m.endSessions, "repeat": m.repeatKept, "time": m.wait, "more time": m.wait,
		"create user": m.createUser, "update user": m.updateUser, "password": m.setPassword, "state": m.changeState,
		"delete user": m.deleteUser, "list users": m.listUsers, "look": m.lookAround, "equip": m.equip, "equip again": m.equip,
		"set address": m.setContact, "send code": m.sendContactCode, "verify address": m.verifyContact,
		"app": m.changeApp, "codes": m.changeCodes, "recovery": m.changeRecovery,
		"register key": m.registerKey, "complete key": m.completeKey, "remove key": m.removeKey, "key link": m.linkKey,
		"link": m.changeLink, "sign in": m.signInElsewhere, "retrieve": m.retrieve,
	}
}

func (m *machine) now() time.Time { return m.Clock.Now() }

func (m *machine) wait(rt *rapid.T) {
	m.Clock.Advance(rapid.SampledFrom([]time.Duration{
		time.Second, appStep, time.Minute, 6 * time.Minute, time.Minute, time.Hour, 2 * time.Hour, 25 * time.Hour,
	}).Draw(rt, "wait"))
}

// fresh is a name that nobody had.
func (m *machine) fresh() string {
	m.names++
	return fmt.Sprintf("r%dn%d", m.run, m.names)
}

// pickUser returns one who was not deleted, rarely none, whose id was or never is one.
func (m *machine) pickUser(rt *rapid.T) (id string, u *account) {
	ids := m.userIDs()
	if n := rapid.IntRange(0, 19).Draw(rt, "user"); len(ids) == 0 || n == 0 {
		return rapid.SampledFrom(append([]string{"nobody"}, m.gone...)).Draw(rt, "nobody"), nil
	}
	id = rapid.SampledFrom(ids).Draw(rt, "id")
	return id, m.users[id]
}

// userIDs has an order that does not hang on ids, so that draws can be repeated.
func (m *machine) userIDs() []string { return slices.Clone(m.order) }

// one draws true once in n.
func one(rt *rapid.T, n int, label string) bool {
	return rapid.IntRange(0, n-1).Draw(rt, label) == n-1
}

// hoarding is a store that deletes nothing.
type hoarding struct{ table.Table }

// remembering gives each instance a view of the store that is right for as long as nobody else
// writes.
func remembering(tb table.Table) func() table.Table {
	return func() table.Table { return &memory{Table: tb, known: make(map[table.Key]table.Item)} }
}

// memory is a store that reads each item once, and again after a write of its own.
type memory struct {
	table.Table

	mu    sync.Mutex
	known map[table.Key]table.Item
}

func (m *memory) Get(ctx context.Context, key table.Key) (table.Item, error) {
	items, err := m.BatchGet(ctx, []table.Key{key})
	if err != nil {
		return nil, err
	}
	return items[0], nil
}

func (m *memory) BatchGet(ctx context.Context, keys []table.Key) ([]table.Item, error) {
	items, err := m.Table.BatchGet(ctx, keys)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for i, key := range keys {
		if item, found := m.known[key]; found {
			items[i] = item
		}
		m.known[key] = items[i]
	}
	return items, nil
}

func (m *memory) Write(ctx context.Context, w table.Write) error {
	m.mu.Lock()
	for _, op := range w.Ops {
		delete(m.known, op.Key)
	}
	m.mu.Unlock()
	return m.Table.Write(ctx, w)
}
