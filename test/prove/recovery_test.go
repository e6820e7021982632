package prove_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/stepup-auth/stepup/pkg/user"
)

// recoveryState is which codes are gone, used or removed, and how the calls with a key
// were answered.
type recoveryState struct {
	gone    [user.MaxRecoveryCodes]bool
	answers [32]outcome
}

type recoveryCall struct {
	remove bool // all of them
	code   int
	number int
	keyed  bool
}

// Refusals of recovery codes.
const (
	wrongRecovery outcome = "DOMAIN-6uvh0"
	noRecovery    outcome = "COMMAND-84rgg"
)

func allGone() (all [user.MaxRecoveryCodes]bool) {
	for i := range all {
		all[i] = true
	}
	return all
}

func (s recoveryState) step(in recoveryCall, out outcome) []any {
	if known := s.answers[in.number]; known != noOutcome {
		return only(out == known || out == unknown || out == raced, s)
	}
	next, want := s.decide(in)
	if in.keyed && want != noRecovery { // which leaves nothing behind
		next.answers[in.number] = want
	}
	switch out {
	case raced:
		return []any{s}
	case unknown:
		return []any{s, next}
	default:
		return only(out == want, next)
	}
}

func (s recoveryState) decide(in recoveryCall) (recoveryState, outcome) {
	switch {
	case in.remove:
		s.gone = allGone()
		return s, done
	case s.gone == allGone():
		return s, noRecovery
	case s.gone[in.code]:
		return s, wrongRecovery
	}
	s.gone[in.code] = true
	return s, done
}

// recoveryKind lets clients use up the codes of a user, some several times, and in half
// of the histories remove what is left.
func recoveryKind() kind {
	return kind{
		model: porcupine.NondeterministicModel{
			Init:              func() []any { return []any{recoveryState{}} },
			Step:              func(s, in, out any) []any { return s.(recoveryState).step(in.(recoveryCall), out.(outcome)) },
			DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %v", in, out) },
			DescribeState:     func(s any) string { return fmt.Sprintf("%+v", s) },
		},
		mutants: []string{"v"},
		env:     map[string]string{"STEPUP_LOCKOUT_LIMIT": "100"},
		run:     useRecovery,
	}
}

func useRecovery(t *testing.T, l *lab, r *record) {
	const clients, each = 5, 6
	userID, _, codes := enrol(t, l)
	paths := l.sessionsOf(t, userID, clients)
	r.crowd(clients, func(client int, random *rand.Rand) {
		for i := range each {
			in, key := recoveryCall{code: random.IntN(len(codes)), number: client*each + i, keyed: random.IntN(2) == 0}, ""
			if in.keyed {
				key = fmt.Sprintf("%d-%d", r.seed, in.number)
			}
			verb, path, body := "PATCH", paths[client], fmt.Sprintf(`{"checks":{"recoveryCode":{"code":%q}}}`, codes[in.code])
			if r.seed%2 == 0 && random.IntN(12) == 0 {
				in, key = recoveryCall{remove: true, number: in.number}, ""
				verb, path, body = "DELETE", "/v2/users/"+userID+"/recovery_codes", ""
			}
			l.insist(r, plea{client, in, key, unknown, func() any { return l.do(verb, path, body, key).outcome }})
		}
	})
}

func TestRecoveryCodesAreUsedOnceAndNotAfterTheirRemoval(t *testing.T) { proves(t, recoveryKind()) }

func TestRecoveryCodesComeBackWithoutTheGuardsVersion(t *testing.T) { refuses(t, recoveryKind()) }
