package prove_test

import (
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/user"
)

const (
	// intents are the sign-ins of one account in these histories, and intentSessions
	// the sessions of the user who is linked to it.
	intents        = 3
	intentSessions = 4
)

// intentState is what became of the sign-ins, and who has one as a factor.
type intentState struct {
	used     [intents]bool
	factor   [intentSessions]bool
	unlinked bool
	late     bool     // their time is over
	accepted [64]bool // the calls with a key, by their number
}

type intentCall struct {
	verb    string // use, retrieve, look, unlink or wait
	intent  int
	session int
	number  int
	keyed   bool
	early   bool // it was begun before their time was over
}

// intentAnswer is the outcome, and of a look whether the session has the factor.
type intentAnswer struct {
	outcome outcome
	factor  bool
}

// Refusals of sign-ins.
const (
	notSucceeded      outcome = "COMMAND-Df4bw"
	intentLate        outcome = "COMMAND-SAf42"
	otherUser         outcome = "COMMAND-O8xk3w"
	retrieveSucceeded outcome = "IDP-nme4gszsvx"
	retrieveLate      outcome = "IDP-SAf42"
	linkMissing       outcome = "STEPUP-idp-link"
)

func (s intentState) step(in intentCall, out intentAnswer) []any {
	next := s
	switch in.verb {
	case "use":
		return s.use(in, out.outcome)
	case "wait":
		next.late = true
		return []any{next}
	case "unlink":
		next.unlinked = true
		return outcomes(out.outcome, s, next, map[outcome]bool{done: !s.unlinked, linkMissing: s.unlinked})
	case "look":
		return only(out.outcome == unknown || out.outcome == done && out.factor == s.factor[in.session], s)
	default:
		return outcomes(out.outcome, s, s, map[outcome]bool{
			done: !s.used[in.intent] && !s.late, retrieveSucceeded: s.used[in.intent], retrieveLate: s.late,
		})
	}
}

// use is the one use. When it counts is when it was decided, which may be before the end
// of a sign-in's time that it is written after. Of several reasons to refuse it any may be told, because what they
// are about is read side by side.
func (s intentState) use(in intentCall, out outcome) []any {
	if s.accepted[in.number] {
		return only(out == done || out == unknown || out == raced, s)
	}
	free, next := !s.used[in.intent] && !s.unlinked && (!s.late || in.early), s
	next.used[in.intent], next.factor[in.session], next.accepted[in.number] = true, true, in.keyed
	if out == unknown && !free {
		return []any{s}
	}
	if out == done {
		return only(free, next)
	}
	return outcomes(out, s, next, map[outcome]bool{notSucceeded: s.used[in.intent], intentLate: s.late, otherUser: s.unlinked})
}

// outcomes is the state after a call of which each answer needs a reason: the next one
// when it was done, and the same when it was refused.
func outcomes(out outcome, state, next any, reasons map[outcome]bool) []any {
	switch out {
	case raced:
		return []any{state}
	case unknown:
		return []any{state, next}
	case done:
		return only(reasons[done], next)
	default:
		return only(reasons[out], state)
	}
}

// intentKind lets clients use the same sign-ins in their sessions, and ask for what the
// provider said, while the link may go and the time be over.
func intentKind() kind {
	return kind{
		model: porcupine.NondeterministicModel{
			Init:              func() []any { return []any{intentState{}} },
			Step:              func(s, in, out any) []any { return s.(intentState).step(in.(intentCall), out.(intentAnswer)) },
			DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
			DescribeState:     func(s any) string { return fmt.Sprintf("%+v", s) },
		},
		// The revision is the intent's own.
		mutants: []string{"r", "v"},
		env:     map[string]string{"STEPUP_INTENT_LIFETIME": "1h"},
		run:     useIntents,
	}
}

// intentWork is what the clients share.
type intentWork struct {
	*lab
	*record

	userID, account string
	signedIn        [intents]session.CheckIntent
	paths           [intentSessions]string
	late            atomic.Bool
}

func useIntents(t *testing.T, l *lab, r *record) {
	const clients, each = 6, 6
	w := &intentWork{lab: l, record: r}
	l.pause(true)
	w.userID = register(t, l, user.NewPassword{})
	w.account = "account-" + w.userID
	l.Secrets.Except(w.account) // here it is the account's id as well, and part of a path
	l.Link(t, w.userID, provider, w.account)
	l.stub.Now = l.Clock.Now()
	for i := range w.signedIn {
		w.signedIn[i] = l.SignInAt(t, l.stub, provider, w.account)
	}
	l.pause(false)
	for i := range w.paths {
		w.paths[i] = l.session(t, w.userID)
	}
	r.crowd(clients, func(client int, random *rand.Rand) {
		for i := range each {
			in := intentCall{intent: random.IntN(intents), session: random.IntN(intentSessions), number: client*each + i}
			switch n := random.IntN(100); {
			case n < 55:
				in.verb, in.keyed = "use", random.IntN(2) == 0
			case n < 75:
				in.verb = "look"
			case n < 90 || i < 1:
				in.verb = "retrieve"
			case n < 97:
				in.verb = "unlink"
			default:
				in.verb = "wait"
			}
			w.make(client, in)
			if in.verb == "unlink" {
				w.make(client, intentCall{verb: "retrieve", intent: in.intent, number: in.number})
			}
		}
	})
	for i := range w.paths {
		w.make(0, intentCall{verb: "look", session: i, number: clients * each})
	}
}

func (w *intentWork) make(client int, in intentCall) {
	key, used := "", w.signedIn[in.intent]
	in.early = !w.late.Load()
	if in.keyed {
		key = fmt.Sprintf("%d-%d", w.seed, in.number)
	}
	w.insist(w.record, plea{client, in, key, intentAnswer{outcome: unknown}, func() any {
		switch in.verb {
		case "use":
			return intentAnswer{outcome: w.do("PATCH", w.paths[in.session],
				fmt.Sprintf(`{"checks":{"idpIntent":{"idpIntentId":%q,"idpIntentToken":%q}}}`, used.ID, used.Token), key).outcome}
		case "retrieve":
			return intentAnswer{outcome: w.do("POST", "/v2/idp_intents/"+used.ID, fmt.Sprintf(`{"idpIntentToken":%q}`, used.Token), "").outcome}
		case "unlink":
			return intentAnswer{outcome: w.do("DELETE", "/v2/users/"+w.userID+"/links/"+provider+"/"+w.account, "", "").outcome}
		case "wait":
			w.Clock.Advance(time.Hour + time.Second)
			w.late.Store(true)
			return intentAnswer{outcome: done}
		default:
			r := w.do("GET", w.paths[in.session], "", "")
			return intentAnswer{r.outcome, r.body.Session.Factors.Intent != nil}
		}
	}})
}

func TestSignInsElsewhereCountOnceInTheirTime(t *testing.T) { proves(t, intentKind()) }

func TestSignInsElsewhereCountTwiceWithoutACondition(t *testing.T) { refuses(t, intentKind()) }
