package prove_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/stepup-auth/stepup/pkg/user"
)

const (
	// keySessions share the user's keys in these histories.
	keySessions = 2
	// keptOpen is how many challenges a session keeps; the oldest makes room.
	keptOpen = 5
	// keyNumbers is more than a history has calls.
	keyNumbers = 64
)

// keyState is a user's two passkeys, the first of which counts its signatures, and what
// their sessions have asked. Challenges have the number of the call that asked for them.
type keyState struct {
	removed [2]bool
	count   uint32
	open    [keySessions][keptOpen]int // the oldest first, 0 for none
	answers [keyNumbers]outcome        // of the calls with a key, by their number
}

type keyCall struct {
	verb      string // open, answer or remove
	number    int
	keyed     bool
	session   int
	challenge int    // that is answered
	passkey   int    // that answers, or is removed
	count     uint32 // of its signatures
}

// Refusals of passkeys.
const (
	noChallenge    outcome = "COMMAND-Ioqu5"
	rejectedKey    outcome = "WEBAU-3M9si"
	unknownKey     outcome = "COMMAND-Aej7i"
	nothingToAsk   outcome = "WEBAU-4G8sw"
	keyNotThere    outcome = "STEPUP-webauthn-key"
	noOutcome      outcome = ""
	countsNothing          = 1 // the passkey without a counter
	signatureCount         = 0 // the one with
)

func (s keyState) step(in keyCall, out outcome) []any {
	if out == raced {
		return []any{s}
	}
	if known := s.answers[in.number]; known != noOutcome {
		return only(out == known || out == unknown, s)
	}
	next, want := s.decide(in)
	if want != noChallenge && want != nothingToAsk && in.keyed { // those two leave nothing behind
		next.answers[in.number] = want
	}
	switch {
	case out == unknown:
		return []any{s, next}
	// Whether there is anything to ask is decided on what was loaded, and not relied on.
	case in.verb == "open" && out == done && want == nothingToAsk:
		return []any{s.opened(in)}
	default:
		return only(out == want, next)
	}
}

// decide is what must happen.
func (s keyState) decide(in keyCall) (keyState, outcome) {
	switch in.verb {
	case "open":
		if s.removed[0] && s.removed[1] {
			return s, nothingToAsk
		}
		return s.opened(in), done
	case "remove":
		if s.removed[in.passkey] {
			return s, keyNotThere
		}
		s.removed[in.passkey] = true
		return s, done
	}
	at := s.at(in)
	switch {
	case s.open[in.session] == [keptOpen]int{}:
		return s, noChallenge
	case at < 0:
		return s, rejectedKey
	case s.removed[in.passkey]:
		return s, unknownKey
	case in.passkey == signatureCount && in.count <= s.count:
		return s, rejectedKey
	}
	if in.passkey == signatureCount {
		s.count = in.count
	}
	open := &s.open[in.session]
	copy(open[1:at+1], open[:at])
	open[0] = 0
	return s, done
}

func (s keyState) opened(in keyCall) keyState {
	open := &s.open[in.session]
	copy(open[:], open[1:])
	open[keptOpen-1] = in.number
	return s
}

// at returns the place of the challenge that is answered, or -1.
func (s keyState) at(in keyCall) int {
	for i, number := range s.open[in.session] {
		if number == in.challenge {
			return i
		}
	}
	return -1
}

// keyKind lets clients ask for assertions in two sessions, answer some of the challenges,
// some twice and some with a count that was used, and remove the keys.
func keyKind() kind {
	return kind{
		model: porcupine.NondeterministicModel{
			Init:              func() []any { return []any{keyState{}} },
			Step:              func(s, in, out any) []any { return s.(keyState).step(in.(keyCall), out.(outcome)) },
			DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %v", in, out) },
			DescribeState:     func(s any) string { return fmt.Sprintf("%+v", s) },
		},
		// Challenges are a matter of the session's revision, counts and keys of the guard's version.
		mutants: []string{"r", "v"},
		env:     map[string]string{"STEPUP_LOCKOUT_LIMIT": "100"},
		run:     useKeys,
	}
}

// keyWork is what the clients of a user with passkeys share.
type keyWork struct {
	*lab
	*record

	userID string
	paths  [keySessions]string
	keys   [2]heldKey

	mu      sync.Mutex // guards the rest
	number  int
	count   uint32
	options []openedChallenge
}

// openedChallenge is one that a client was told of.
type openedChallenge struct {
	number, session int
	options         json.RawMessage
}

func useKeys(t *testing.T, l *lab, r *record) {
	w := &keyWork{lab: l, record: r}
	l.pause(true)
	w.userID = register(t, l, user.NewPassword{})
	for i := range w.keys {
		w.keys[i] = l.hold(t, w.userID)
	}
	l.pause(false)
	for i := range w.paths {
		w.paths[i] = l.session(t, w.userID)
	}
	r.crowd(4, func(client int, random *rand.Rand) {
		for i := range 7 {
			switch n := random.IntN(100); {
			case n < 35:
				w.ask(client, random)
			case n > 95 && i > 3:
				w.remove(client, random.IntN(2))
			default:
				w.answer(client, random)
			}
		}
	})
}

// next names a call.
func (w *keyWork) next() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.number++
	return w.number
}

func (w *keyWork) idempotency(in keyCall) string {
	if !in.keyed {
		return ""
	}
	return fmt.Sprintf("%d-%d", w.seed, in.number)
}

func (w *keyWork) ask(client int, random *rand.Rand) {
	in := keyCall{verb: "open", number: w.next(), keyed: random.IntN(2) == 0, session: random.IntN(keySessions)}
	key := w.idempotency(in)
	w.insist(w.record, plea{client, in, key, unknown, func() any {
		r := w.do("PATCH", w.paths[in.session],
			`{"challenges":{"webAuthN":{"domain":"example.com","userVerificationRequirement":"USER_VERIFICATION_REQUIREMENT_REQUIRED"}}}`, key)
		if r.outcome == done {
			w.mu.Lock()
			w.options = append(w.options, openedChallenge{in.number, in.session, r.body.Challenges.WebAuthN.PublicKeyCredentialRequestOptions})
			w.mu.Unlock()
		}
		return r.outcome
	}})
}

// answer picks a challenge, one of the latest more often than not, and signs it.
func (w *keyWork) answer(client int, random *rand.Rand) {
	w.mu.Lock()
	if len(w.options) == 0 {
		w.mu.Unlock()
		return
	}
	asked := w.options[len(w.options)-1-random.IntN(min(len(w.options), 1+random.IntN(6)))]
	if w.count == 0 || random.IntN(4) == 0 {
		w.count++
	}
	count := w.count
	w.mu.Unlock()
	in := keyCall{
		verb: "answer", number: w.next(), keyed: random.IntN(2) == 0, session: asked.session,
		challenge: asked.number, passkey: random.IntN(5) / 3, count: count,
	}
	held := w.keys[in.passkey]
	if held.credential.Counter = count; in.passkey == countsNothing {
		held.credential.Counter = 0
	}
	key, body := w.idempotency(in), `{"checks":{"webAuthN":{"credentialAssertionData":`+held.sign(asked.options)+`}}}`
	w.insist(w.record, plea{client, in, key, unknown, func() any { return w.do("PATCH", w.paths[in.session], body, key).outcome }})
}

func (w *keyWork) remove(client, which int) {
	in := keyCall{verb: "remove", number: w.next(), passkey: which}
	w.insist(w.record, plea{client, in, "", unknown, func() any {
		return w.do("DELETE", "/v2/users/"+w.userID+"/passkeys/"+w.keys[which].id, "", "").outcome
	}})
}

func TestPasskeysAnswerEachChallengeOnce(t *testing.T) { proves(t, keyKind()) }

func TestPasskeysAnswerTwiceWithoutACondition(t *testing.T) { refuses(t, keyKind()) }
