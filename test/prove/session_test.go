package prove_test

import (
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net/url"
	"sync"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/stepup-auth/stepup/pkg/idempotency"
)

// hidden is a token that exists and that nobody was told.
const hidden = "hidden"

// sessionState is a session as the wire contract describes it.
type sessionState struct {
	sequence uint64
	token    string
	value    string // the metadata that every step sets
	ended    bool
	receipts [idempotency.Kept]sessionReceipt // the latest last
}

// sessionReceipt is the answer that a request's key stands for.
type sessionReceipt struct {
	key, token string
	sequence   uint64
}

type sessionCall struct {
	verb  string // create, set, get or delete
	value string
	key   string // Idempotency-Key of a set
	token string // presented to get and delete, empty for none
}

type sessionAnswer struct {
	outcome  outcome
	sequence uint64
	token    string
	value    string
}

// Refusals of the session.
const (
	notFound   outcome = "QUERY-SFeaa"
	terminated outcome = "COMMAND-Hewfq"
	readToken  outcome = "QUERY-dsfr3"
	endToken   outcome = "COMMAND-sGr42"
)

// sessionModel begins before the session is created.
func sessionModel() porcupine.NondeterministicModel {
	return porcupine.NondeterministicModel{
		Init: func() []any { return []any{sessionState{}} },
		Step: func(state, input, output any) []any {
			s, in, out := state.(sessionState), input.(sessionCall), output.(sessionAnswer)
			switch {
			case out.outcome == raced:
				return []any{s}
			case in.verb == "create":
				return only(s.sequence == 0, sessionState{sequence: 1, token: out.token, value: in.value})
			case in.verb == "set":
				return s.set(in, out)
			case in.verb == "get":
				return s.get(in, out)
			default:
				return s.remove(in, out)
			}
		},
		DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
		DescribeState:     func(state any) string { return fmt.Sprintf("%+v", state) },
	}
}

func (s sessionState) set(in sessionCall, out sessionAnswer) []any {
	known := s.receipt(in.key)
	switch {
	case out.outcome == unknown && (s.ended || known >= 0):
		return []any{s}
	case out.outcome == unknown:
		return []any{s, s.stepped(in, hidden)}
	case out.outcome == terminated && s.ended && known < 0:
		return []any{s}
	case out.outcome == done && known >= 0:
		return s.repeated(known, out)
	case out.outcome == done && !s.ended && out.sequence == s.sequence+1:
		return []any{s.stepped(in, out.token)}
	default:
		return nil
	}
}

func (s sessionState) stepped(in sessionCall, token string) sessionState {
	s.sequence++
	s.token, s.value = token, in.value
	if in.key != "" {
		copy(s.receipts[:], s.receipts[1:])
		s.receipts[len(s.receipts)-1] = sessionReceipt{in.key, token, s.sequence}
	}
	return s
}

// receipt returns the place of the key's receipt, or -1.
func (s sessionState) receipt(key string) int {
	for i, r := range s.receipts {
		if key != "" && r.key == key {
			return i
		}
	}
	return -1
}

// repeated answers as the first time. It may be the first that tells the token.
func (s sessionState) repeated(i int, out sessionAnswer) []any {
	r := &s.receipts[i]
	if r.sequence != out.sequence || r.token != out.token && r.token != hidden {
		return nil
	}
	if r.token == hidden {
		r.token = out.token
		if s.token == hidden && (s.sequence == r.sequence || s.ended && s.sequence == r.sequence+1) {
			s.token = out.token
		}
	}
	return []any{s}
}

func (s sessionState) get(in sessionCall, out sessionAnswer) []any {
	fits := in.token == "" || in.token == s.token
	switch out.outcome {
	case unknown:
		return []any{s}
	case notFound:
		return only(s.ended, s)
	case readToken:
		return only(!s.ended && !fits, s)
	case done:
		return only(!s.ended && fits && out.sequence == s.sequence && out.value == s.value, s)
	default:
		return nil
	}
}

func (s sessionState) remove(in sessionCall, out sessionAnswer) []any {
	fits, gone := in.token == "" || in.token == s.token, s
	if !s.ended {
		gone.ended = true
		gone.sequence++
	}
	switch {
	case out.outcome == unknown && fits:
		return []any{s, gone}
	case out.outcome == unknown:
		return []any{s}
	case out.outcome == endToken:
		return only(!fits, s)
	case out.outcome == done:
		return only(fits && out.sequence == gone.sequence, gone)
	default:
		return nil
	}
}

// only is the next state, if the condition holds.
func only(holds bool, next any) []any {
	if !holds {
		return nil
	}
	return []any{next}
}

// sessionKind lets clients step one session up, read it with any token that was ever
// answered, repeat themselves, and end it.
func sessionKind() kind {
	return kind{model: sessionModel(), mutant: "r", run: func(t *testing.T, l *lab, r *record) {
		w := &sessionWork{lab: l, record: r}
		r.call(0, sessionCall{verb: "create", value: "first"}, func() any {
			created := l.must(t, "POST", "/v2/sessions", `{"metadata":{"k":"Zmlyc3Q="}}`)
			w.path, w.tokens = "/v2/sessions/"+created.body.SessionID, []string{created.body.SessionToken}
			return sessionAnswer{outcome: done, sequence: 1, token: created.body.SessionToken}
		})
		r.crowd(6, w.client)
		w.get(0, "")
	}}
}

// sessionWork is what the clients of one session share.
type sessionWork struct {
	*lab
	*record

	path string

	mu     sync.Mutex // guards tokens
	tokens []string   // all that were answered, the latest last
}

func (w *sessionWork) client(client int, random *rand.Rand) {
	for i := range 10 {
		value := fmt.Sprintf("%d.%d", client, i)
		switch n := random.IntN(100); {
		case n < 30:
			w.set(client, value, "", random.IntN(10) == 0)
		case n < 60:
			w.insist(client, value, random)
		case n < 75:
			w.get(client, "")
		case n < 93:
			w.get(client, w.pick(random))
		case i > 5 && n < 97:
			w.remove(client, w.pick(random))
		case i > 7:
			w.remove(client, "")
		}
	}
}

// insist repeats a step with the same key until its outcome is known, and sometimes again.
func (w *sessionWork) insist(client int, value string, random *rand.Rand) {
	key := fmt.Sprintf("%d-%s", w.seed, value)
	for range 4 {
		out := w.set(client, value, key, random.IntN(10) == 0)
		if out != unknown && random.IntN(2) == 0 {
			return
		}
	}
}

// set is a step. Dropped is an answer that does not reach the client.
func (w *sessionWork) set(client int, value, key string, dropped bool) outcome {
	in := sessionCall{verb: "set", value: value, key: key}
	out := w.call(client, in, func() any {
		body := fmt.Sprintf(`{"metadata":{"k":%q}}`, base64.StdEncoding.EncodeToString([]byte(value)))
		r := w.do("PATCH", w.path, body, key)
		if dropped {
			return sessionAnswer{outcome: unknown}
		}
		return sessionAnswer{outcome: r.outcome, sequence: r.body.Details.Sequence, token: r.body.SessionToken}
	}).(sessionAnswer)
	if out.outcome == done {
		w.mu.Lock()
		w.tokens = append(w.tokens, out.token)
		w.mu.Unlock()
	}
	return out.outcome
}

// pick returns a token, the latest one more often than not.
func (w *sessionWork) pick(random *rand.Rand) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := len(w.tokens)
	return w.tokens[n-1-random.IntN(min(n, 1+random.IntN(4)))]
}

func (w *sessionWork) get(client int, token string) {
	w.call(client, sessionCall{verb: "get", token: token}, func() any {
		path := w.path
		if token != "" {
			path += "?sessionToken=" + url.QueryEscape(token)
		}
		r := w.do("GET", path, "", "")
		s := r.body.Session
		return sessionAnswer{outcome: r.outcome, sequence: s.Sequence, value: string(s.Metadata["k"])}
	})
}

func (w *sessionWork) remove(client int, token string) {
	w.call(client, sessionCall{verb: "delete", token: token}, func() any {
		body := "{}"
		if token != "" {
			body = fmt.Sprintf(`{"sessionToken":%q}`, token)
		}
		r := w.do("DELETE", w.path, body, "")
		return sessionAnswer{outcome: r.outcome, sequence: r.body.Details.Sequence}
	})
}

func TestSessionsAreLinearizable(t *testing.T) { proves(t, sessionKind()) }

func TestSessionsAreNotWithoutTheirRevision(t *testing.T) { refuses(t, sessionKind()) }
