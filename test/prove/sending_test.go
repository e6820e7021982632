package prove_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/stepup-auth/stepup/pkg/user"
)

const (
	// dayBudget is how many messages leave on one day in these histories.
	dayBudget = 3
	addresses = 4
)

// sendState is one moment of one day: an address gets one message, because the cooldown
// does not end, and all together get the budget.
type sendState struct {
	total int
	sent  [addresses]onceState
}

type sendCall struct {
	address int
	key     string
}

// Refusals of a message.
const (
	coolingDown outcome = "STEPUP-send-cooldown"
	overBudget  outcome = "STEPUP-send-budget"
)

func (s sendState) send(in sendCall, out outcome) []any {
	sent := s.sent[in.address]
	repeated := sent.used && in.key != "" && sent.key == in.key
	may := !sent.used && s.total < dayBudget
	next := s
	next.total++
	next.sent[in.address] = onceState{true, in.key}
	switch {
	case out == raced, out == unknown && !may:
		return []any{s}
	case out == unknown:
		return []any{s, next}
	case out == done && repeated:
		return []any{s}
	case out == done:
		return only(may, next)
	case out == coolingDown:
		return only(sent.used && !repeated, s)
	case out == overBudget:
		return only(s.total >= dayBudget && !repeated, s)
	default:
		return nil
	}
}

// sendKind lets two clients ask for messages to each address, in a session each.
func sendKind() kind {
	return kind{
		model: porcupine.NondeterministicModel{
			Init:              func() []any { return []any{sendState{}} },
			Step:              func(s, in, out any) []any { return s.(sendState).send(in.(sendCall), out.(outcome)) },
			DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %v", in, out) },
			DescribeState:     func(s any) string { return fmt.Sprintf("%+v", s) },
		},
		// The budget's count, and the revision of what an address was sent.
		mutants: []string{"n", "r"},
		env:     map[string]string{"STEPUP_SMS_BUDGET": strconv.Itoa(dayBudget)},
		run:     askForMessages,
	}
}

func askForMessages(t *testing.T, l *lab, r *record) {
	const clients = 2 * addresses
	l.pause(true)
	for len(l.people) < addresses {
		l.people = append(l.people, register(t, l, user.NewPassword{}))
	}
	l.Clock.Advance(24 * time.Hour)
	l.pause(false)
	paths := make([]string, clients)
	for i := range paths {
		paths[i] = l.session(t, l.people[i%addresses])
	}
	r.crowd(clients, func(client int, random *rand.Rand) {
		for i := range 2 {
			in := sendCall{address: client % addresses}
			if random.IntN(2) == 0 {
				in.key = fmt.Sprintf("%d-%d-%d", r.seed, client, i)
			}
			l.insist(r, plea{client, in, in.key, unknown, func() any {
				return l.do("PATCH", paths[client], `{"challenges":{"otpSms":{}}}`, in.key).outcome
			}})
		}
	})
}

func TestMessagesAreCountedExactly(t *testing.T) { proves(t, sendKind()) }

func TestMessagesAreTooManyWithoutACondition(t *testing.T) { refuses(t, sendKind()) }
