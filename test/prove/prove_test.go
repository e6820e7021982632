// Package prove_test looks for histories that the service must not allow: many clients at
// once call the real HTTP handler over a store that is slow, fails, contends and loses
// answers, and porcupine decides whether some order of the calls, one after another,
// explains what every client saw.
//
// Proved, on the embedded store and on the stand-in for DynamoDB, within the histories
// that were tried: sessions are linearizable (one token is current, no step is lost, a
// repeated Idempotency-Key has one effect and one answer, nothing happens after the end,
// and what an unavailable service may have done it has done by the time it says so);
// codes, challenges for passkeys and sign-ins elsewhere are used once; what was ended stays
// so; lists are true, and whole where no index lags; failures and messages are counted
// exactly.
//
// Not proved: other interleavings than those that happened; more than one process; time
// that moves during a history. A search is not a proof, so each model also meets a store
// that lacks one condition, and must refuse it.
//
// Sequences of calls of every RPC, one at a time, are compared with a model of their own.
// Its files begin with machine (what draws, calls and compares) and model (what predicts).
package prove_test

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
)

var (
	seedFlag = flag.Uint64("prove.seed", 1, "the first history's seed; the others follow by one")
	forFlag  = flag.Duration("prove.for", 0, "how long to try histories per model and store; 0 tries a few")
	dirFlag  = flag.String("prove.dir", os.TempDir(), "where histories that must not be go, and their pictures")
)

const (
	// brief is how many histories make test tries per model and store.
	brief = 3
	// patience bounds the search for an order; a history that takes longer is a failure.
	patience = 30 * time.Second
	// hunt is how many histories a mutant may survive.
	hunt = 200
)

// kind is a model and the workload whose histories it judges.
type kind struct {
	model porcupine.NondeterministicModel
	// env configures the service.
	env map[string]string
	// mutants are the attributes whose conditions must not be missing, one at a time.
	mutants []string
	// run makes one history.
	run func(t *testing.T, l *lab, r *record)
}

// skew is more than the clocks of instances differ by on Lambda, and little enough for all of
// them to be in the same step of an authenticator app as the first.
const skew = 70 * time.Millisecond

// proves tries histories of the kind on both stores.
func proves(t *testing.T, k kind) {
	t.Helper()
	onBoth(t, k.proves)
}

func (k kind) proves(t *testing.T, tb table.Table) {
	t.Helper()
	l := newLab(t, setting{shared(tb), k.env, skew})
	start, told, n := time.Now(), time.Now(), uint64(0)
	for ; n < brief && *forFlag == 0 || time.Since(start) < *forFlag; n++ {
		seed := *seedFlag + n
		if result, text := k.history(t, l, seed); result != porcupine.Ok {
			t.Fatalf("seed %d: %s\n%s", seed, result, text)
		}
		if time.Since(told) > 5*time.Second {
			told = time.Now()
			fmt.Fprintf(os.Stderr, "%s: %d histories from seed %d in %v\n", t.Name(), n+1, *seedFlag, time.Since(start).Round(time.Second))
		}
	}
	t.Logf("%d histories of %d calls; of %d nobody knew what became", n, l.calls.Load(), l.lost.Load())
	if *forFlag > 0 && l.lost.Load() == 0 {
		t.Error("no answer was lost, so nothing is proved about that")
	}
	if l.lost.Load() > l.calls.Load()/4 {
		t.Error("too few answers were known to prove anything")
	}
}

// refuses tries histories on a store that lacks the condition, until the model
// finds out.
func refuses(t *testing.T, k kind) {
	t.Helper()
	for _, mutant := range k.mutants {
		t.Run(mutant, func(t *testing.T) {
			onBoth(t, func(t *testing.T, tb table.Table) { k.refuses(t, weak{tb, mutant}) })
		})
	}
}

func (k kind) refuses(t *testing.T, mutant table.Table) {
	t.Helper()
	l := newLab(t, setting{shared(mutant), k.env, skew})
	l.calm = true
	for seed := *seedFlag; seed < *seedFlag+hunt; seed++ {
		if result, _ := k.history(t, l, seed); result == porcupine.Illegal {
			t.Logf("a violation was found in history %d", seed-*seedFlag+1)
			return
		}
	}
	t.Errorf("%d histories, and no violation", hunt)
}

func onBoth(t *testing.T, test func(t *testing.T, tb table.Table)) {
	t.Helper()
	t.Run("bolt", func(t *testing.T) { test(t, apptest.Bolt(t)) })
	t.Run("dynamo", func(t *testing.T) { test(t, apptest.Dynamo(t, dynamo.Options{})) })
}

// history makes one history and judges it. The text of a bad one lists all its calls.
func (k kind) history(t *testing.T, l *lab, seed uint64) (porcupine.CheckResult, string) {
	t.Helper()
	r := &record{seed: seed}
	l.begin(seed)
	k.run(t, l, r)
	l.pause(true)
	model := k.model.ToModel()
	result, info := porcupine.CheckOperationsVerbose(model, r.calls, patience)
	if result == porcupine.Ok {
		return result, ""
	}
	if l.calm { // the violation is wanted, and nobody looks at it
		return result, ""
	}
	return result, r.keep(t, k.model.DescribeOperation, func(path string) error { return porcupine.VisualizePath(model, info, path) })
}

// keep writes a history that must not be, with its picture, and returns it with the places.
func (r *record) keep(t *testing.T, describe func(input, output any) string, draw func(path string) error) string {
	t.Helper()
	text := r.text(describe)
	path := filepath.Join(*dirFlag, strings.ReplaceAll(fmt.Sprintf("%s-%d", t.Name(), r.seed), "/", "-"))
	if err := errors.Join(os.WriteFile(path+".txt", []byte(text), 0o600), draw(path+".html")); err != nil {
		path = err.Error()
	}
	return fmt.Sprintf("%shistory: %[2]s.txt, picture: %[2]s.html", text, path)
}

// record is a history in the making. Time is the order in which calls begin and end.
type record struct {
	seed uint64

	mu    sync.Mutex // guards the rest
	now   int64
	calls []porcupine.Operation
}

// call notes one call. One whose outcome nobody knows has taken effect when it ends, or
// never will: the service does nothing behind the back of an answer.
func (r *record) call(client int, input any, f func() any) any {
	begin := r.tick()
	output := f()
	end := r.tick()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls = append(r.calls, porcupine.Operation{ClientId: client, Input: input, Call: begin, Output: output, Return: end})
	return output
}

func (r *record) tick() int64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.now++
	return r.now
}

func (r *record) text(describe func(input, output any) string) string {
	var b strings.Builder
	for _, c := range r.calls {
		fmt.Fprintf(&b, "[%4d, %4d] client %d: %s\n", c.Call, c.Return, c.ClientId, describe(c.Input, c.Output))
	}
	return b.String()
}

// crowd runs clients at once. Each has its own randomness, which follows from the seed.
func (r *record) crowd(clients int, f func(client int, random *rand.Rand)) {
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() { f(c, rand.New(rand.NewPCG(r.seed, uint64(c)))) })
	}
	wg.Wait()
}

// plea is a call that a client makes until it knows what became of it, if the call has an
// Idempotency-Key.
type plea struct {
	client int
	input  any
	key    string
	lost   any // what is known without an answer
	ask    func() any
}

// insist makes a call once, or if it has a key until its outcome is known and once more.
// One answer in ten does not reach the client. It returns the last one that did.
func (l *lab) insist(r *record, p plea) (last any) {
	last = p.lost
	for more := 4; more > 0; more-- {
		out := r.call(p.client, p.input, func() any {
			out := p.ask()
			if n, running := l.draw(); running && n < 10 && !l.calm {
				return p.lost
			}
			return out
		})
		if out != p.lost {
			last = out
			more = min(more, 2)
		}
		if p.key == "" {
			break
		}
	}
	return last
}
