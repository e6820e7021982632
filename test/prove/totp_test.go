package prove_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/stepup-auth/stepup/pkg/otp"
)

// stepState is the last time step of an app whose code was accepted, counted from before
// those of the history, and which calls with a key were.
type stepState struct {
	last     int
	accepted [32]bool
}

type stepCall struct {
	step   int // 1 is the step before now, 3 the one after
	number int
	keyed  bool
}

const usedStep outcome = "TOTP-Auw0a"

func (s stepState) use(in stepCall, out outcome) []any {
	next := s
	next.last, next.accepted[in.number] = in.step, in.keyed
	repeated, fresh := s.accepted[in.number], in.step > s.last
	switch {
	case out == raced, out == done && repeated, out == unknown && (repeated || !fresh):
		return []any{s}
	case out == unknown:
		return []any{s, next}
	case out == done:
		return only(fresh, next)
	case out == usedStep:
		return only(!fresh && !repeated, s)
	default:
		return nil
	}
}

// stepKind lets clients use the three codes that a clock's tolerance allows, in any
// order, in a session each.
func stepKind() kind {
	return kind{
		model: porcupine.NondeterministicModel{
			Init:              func() []any { return []any{stepState{}} },
			Step:              func(s, in, out any) []any { return s.(stepState).use(in.(stepCall), out.(outcome)) },
			DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %v", in, out) },
			DescribeState:     func(s any) string { return fmt.Sprintf("%+v", s) },
		},
		mutants: []string{"v"},
		run:     useSteps,
	}
}

func useSteps(t *testing.T, l *lab, r *record) {
	const clients, each = 6, 4
	userID, seed, _ := enrol(t, l)
	paths := l.sessionsOf(t, userID, clients)
	r.crowd(clients, func(client int, random *rand.Rand) {
		for i := range each {
			in, key := stepCall{step: 1 + random.IntN(3), number: client*each + i, keyed: random.IntN(2) == 0}, ""
			if in.keyed {
				key = fmt.Sprintf("%d-%d", r.seed, in.number)
			}
			body := fmt.Sprintf(`{"checks":{"totp":{"code":%q}}}`, otp.Code(seed, l.Clock.Now().Add(time.Duration(in.step-2)*otp.Step)))
			l.insist(r, plea{client, in, key, unknown, func() any { return l.do("PATCH", paths[client], body, key).outcome }})
		}
	})
}

func TestNoStepOfAnAppIsAcceptedAfterALaterOne(t *testing.T) { proves(t, stepKind()) }

func TestStepsAreAcceptedAgainWithoutTheGuardsVersion(t *testing.T) { refuses(t, stepKind()) }
