package prove_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/idempotency"
	"github.com/stepup-auth/stepup/pkg/user"
)

// lockLimit is how many failures lock a password in these histories.
const lockLimit = 8

// guessState is a password with its failures since the last success. Time stands still,
// so that a lock stays.
type guessState struct {
	failures int
	receipts [idempotency.Kept]guessReceipt // the latest last
}

type guessReceipt struct {
	key    string
	answer guessAnswer
}

type guessCall struct {
	right bool
	key   string
}

type guessAnswer struct {
	outcome  outcome
	failures int // as the answer counts them
}

// Refusals of a password.
const (
	wrongPassword  outcome = "COMMAND-3M0fs"
	lockedPassword outcome = "COMMAND-JLK35"
)

func (s guessState) guess(in guessCall, out guessAnswer) []any {
	next, answer := s.decide(in)
	switch out.outcome {
	case raced:
		return []any{s}
	case unknown:
		return []any{s, next}
	default:
		return only(out == answer, next)
	}
}

// decide is what must happen to a guess.
func (s guessState) decide(in guessCall) (guessState, guessAnswer) {
	for _, r := range s.receipts {
		if in.key != "" && r.key == in.key {
			return s, r.answer
		}
	}
	var answer guessAnswer
	switch {
	case s.failures >= lockLimit:
		return s, guessAnswer{lockedPassword, s.failures}
	case in.right:
		answer = guessAnswer{outcome: done}
	default:
		answer = guessAnswer{wrongPassword, s.failures + 1}
	}
	s.failures = answer.failures
	if in.key != "" {
		copy(s.receipts[:], s.receipts[1:])
		s.receipts[len(s.receipts)-1] = guessReceipt{in.key, answer}
	}
	return s, answer
}

// guessKind lets clients guess one password, each in a session of its own.
func guessKind() kind {
	return kind{
		model: porcupine.NondeterministicModel{
			Init:              func() []any { return []any{guessState{}} },
			Step:              func(s, in, out any) []any { return s.(guessState).guess(in.(guessCall), out.(guessAnswer)) },
			DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
			DescribeState:     func(s any) string { return fmt.Sprintf("%d failures", s.(guessState).failures) },
		},
		mutants: []string{"v"},
		env:     map[string]string{"STEPUP_LOCKOUT_LIMIT": strconv.Itoa(lockLimit)},
		run:     guessPasswords,
	}
}

func guessPasswords(t *testing.T, l *lab, r *record) {
	const clients = 5
	l.pause(true)
	userID := register(t, l, user.NewPassword{Hash: apptest.CheapHash(t, apptest.Password)})
	l.pause(false)
	paths := l.sessionsOf(t, userID, clients)
	r.crowd(clients, func(client int, random *rand.Rand) {
		for i := range 4 {
			in, password := guessCall{right: random.IntN(12) == 0}, "wrong horse battery"
			if in.right {
				password = apptest.Password
			}
			if random.IntN(2) == 0 {
				in.key = fmt.Sprintf("%d-%d-%d", r.seed, client, i)
			}
			body := fmt.Sprintf(`{"checks":{"password":{"password":%q}}}`, password)
			l.insist(r, plea{client, in, in.key, guessAnswer{outcome: unknown}, func() any {
				answer := l.do("PATCH", paths[client], body, in.key)
				return guessAnswer{answer.outcome, answer.failedAttempts}
			}})
		}
	})
}

func TestFailuresAreCountedExactly(t *testing.T) { proves(t, guessKind()) }

func TestFailuresAreLostWithoutTheGuardsVersion(t *testing.T) { refuses(t, guessKind()) }
