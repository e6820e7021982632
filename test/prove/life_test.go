package prove_test

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/anishathalye/porcupine"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/table/dynamo"
	"github.com/stepup-auth/stepup/pkg/user"
)

// lifeState is one session of a user, and which calls with a key changed it.
type lifeState struct {
	life    life
	changed [64]bool
}

type life string

const (
	unborn life = ""
	alive  life = "alive"
	over   life = "over"
)

// lifeCall is about one session, or about all: then each is judged by itself, with about
// saying which.
type lifeCall struct {
	verb    string // create, bearer, get, set, guess, delete, end, list or ids
	session int    // that is called, or kept by end
	agent   string // whose sessions end, empty for all
	number  int
	keyed   bool
	about   int
}

// lifeAnswer is the outcome, and what was listed.
type lifeAnswer struct {
	outcome outcome
	id      string
	asked   string // ids of a list by ids
	listed  string // ids
	present bool   // the one that is judged
}

// Refusals that tell a session that is over from one that is alive.
const (
	bearerOver   outcome = "AUTH-7fs1e"
	bearerAlive  outcome = "AUTHZ-Kl3p0" // which lacks factors
	nothingKept  outcome = "STEPUP-keep-session"
	nobody               = -1
	lifeSessions         = 6
)

// agentOf is the device of a session.
func agentOf(session int) string { return []string{"phone", "laptop"}[session/2%2] }

func (s lifeState) step(in lifeCall, out lifeAnswer, exact bool) []any {
	dead := s
	dead.life = over
	switch {
	case out.outcome == raced, out.outcome == unknown && in.verb != "create" && in.verb != "delete" && in.verb != "end" && in.verb != "set":
		return []any{s}
	case in.verb == "create":
		return s.create(in, out.outcome)
	case in.verb == "set":
		return s.set(in, out.outcome)
	case in.verb == "delete":
		return outcomes(out.outcome, s, dead, map[outcome]bool{done: true})
	case in.verb == "end":
		return s.end(in, out.outcome)
	case in.verb == "list" && !exact:
		return only(!out.present || s.life == alive, s)
	case in.verb == "list", in.verb == "ids":
		return only(out.present == (s.life == alive), s)
	}
	living := map[outcome]bool{done: true, bearerAlive: true, wrongPassword: true}[out.outcome]
	gone := map[outcome]bool{bearerOver: true, notFound: true, terminated: true}[out.outcome]
	return only(living && s.life == alive || gone && s.life == over, s)
}

func (s lifeState) create(in lifeCall, out outcome) []any {
	born := s
	born.life = alive
	switch {
	case s.life != unborn: // the answer of the first time
		return only(in.keyed, s)
	case out == unknown:
		return []any{s, born}
	default:
		return only(out == done, born)
	}
}

func (s lifeState) set(in lifeCall, out outcome) []any {
	next := s
	next.changed[in.number] = in.keyed
	switch {
	case s.changed[in.number]:
		return only(out == done || out == unknown, s)
	case out == unknown:
		return []any{s, next}
	case out == done:
		return only(s.life == alive, next)
	default:
		return only(out == terminated && s.life == over, s)
	}
}

// end ends every session but the one that is kept. A refusal says that it is over.
func (s lifeState) end(in lifeCall, out outcome) []any {
	dead, kept := s, in.session == in.about
	if s.life == alive && !kept && (in.agent == "" || in.agent == agentOf(in.about)) {
		dead.life = over
	}
	return outcomes(out, s, dead, map[outcome]bool{done: !kept || s.life == alive, nothingKept: !kept || s.life == over})
}

// bySession judges each session by itself. What is about all is about each.
func bySession(history []porcupine.Operation) [][]porcupine.Operation {
	ids, parts := make(map[int]string), make(map[int][]porcupine.Operation)
	for _, op := range history {
		if in, out := op.Input.(lifeCall), op.Output.(lifeAnswer); in.verb == "create" && out.id != "" {
			ids[in.session] = out.id
		}
	}
	for _, op := range history {
		in, out := op.Input.(lifeCall), op.Output.(lifeAnswer)
		about := []int{in.session}
		if in.verb == "end" || in.verb == "list" || in.verb == "ids" {
			about = slices.Collect(maps.Keys(ids))
		}
		for _, i := range about {
			if ids[i] == "" || in.verb == "ids" && !slices.Contains(idsIn(out.asked), ids[i]) {
				continue // nobody ever knew it, or not at that time
			}
			in.about, out.present = i, slices.Contains(idsIn(out.listed), ids[i])
			op.Input, op.Output = in, out
			parts[i] = append(parts[i], op)
		}
	}
	return slices.Collect(maps.Values(parts))
}

// endKind is about the ends of many: a failure must not be written over one.
func endKind() kind { return lifeKind(true, "v", endSessions) }

// listKind is about what is listed: a failure that is counted must not be written over the
// end of the user's sessions. A step cannot be written over the end of its own session,
// even without a condition: it names what it changes, and that is not the end.
func listKind(exact bool) kind { return lifeKind(exact, "v", listSessions) }

// lifeKind is the model of the lives of a user's sessions, with a workload and what that
// finds.
func lifeKind(exact bool, mutant string, run func(t *testing.T, l *lab, r *record)) kind {
	return kind{
		model: porcupine.NondeterministicModel{
			Partition:         bySession,
			Init:              func() []any { return []any{lifeState{}} },
			Step:              func(s, in, out any) []any { return s.(lifeState).step(in.(lifeCall), out.(lifeAnswer), exact) },
			DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
			DescribeState:     func(s any) string { return string(s.(lifeState).life) },
		},
		mutants: []string{mutant},
		env:     map[string]string{"STEPUP_LOCKOUT_LIMIT": "100"},
		run:     run,
	}
}

// lifeWork is what the clients of one user's sessions share.
type lifeWork struct {
	*lab
	*record

	userID string

	mu     sync.Mutex // guards the rest
	number int
	ids    [lifeSessions]string
	tokens [lifeSessions]string
}

func newLifeWork(t *testing.T, l *lab, r *record) *lifeWork {
	t.Helper()
	l.pause(true)
	defer l.pause(false)
	return &lifeWork{lab: l, record: r, userID: register(t, l, user.NewPassword{Hash: apptest.CheapHash(t, apptest.Password)})}
}

// make makes the call. Sessions with an even number are never stepped up, so that
// their first token is their only one; those with an odd number are called without.
func (w *lifeWork) make(client int, in lifeCall) {
	if id, _ := w.of(in.session); id == "" && in.session != nobody && in.verb != "create" {
		return // nobody was told of it yet
	}
	key := ""
	w.mu.Lock()
	w.number++
	in.number = w.number
	w.mu.Unlock()
	if in.keyed {
		key = fmt.Sprintf("%d-%d", w.seed, in.number)
	}
	w.insist(w.record, plea{client, in, key, lifeAnswer{outcome: unknown}, func() any { return w.answer(in, key) }})
}

func (w *lifeWork) answer(in lifeCall, key string) lifeAnswer {
	id, token := w.of(in.session)
	path, asked := "/v2/sessions/"+id, ""
	var r reply
	switch in.verb {
	case "create":
		r = w.do("POST", "/v2/sessions", fmt.Sprintf(`{"checks":{"user":{"userId":%q}},"userAgent":{"fingerprintId":%q}}`, w.userID, agentOf(in.session)), key)
		w.created(in.session, r)
	case "bearer":
		r = w.doAs(token, "GET", path, "", "")
	case "get":
		if token != "" {
			path += "?sessionToken=" + url.QueryEscape(token)
		}
		r = w.do("GET", path, "", "")
	case "set":
		r = w.do("PATCH", path, fmt.Sprintf(`{"checks":{"user":{"userId":%q}}}`, w.userID), key)
	case "guess":
		r = w.do("PATCH", path, `{"checks":{"password":{"password":"wrong horse battery"}}}`, "")
	case "delete":
		body := "{}"
		if token != "" {
			body = fmt.Sprintf(`{"sessionToken":%q}`, token)
		}
		r = w.do("DELETE", path, body, "")
	case "end":
		r = w.do("POST", "/stepup/v1/users/"+w.userID+"/sessions/terminate", w.ending(in), "")
	case "list":
		r = w.do("POST", "/v2/sessions/search", fmt.Sprintf(`{"queries":[{"userIdQuery":{"id":%q}}]}`, w.userID), "")
	case "ids":
		known := w.known()
		asked = strings.Join(known, " ")
		r = w.do("POST", "/v2/sessions/search", fmt.Sprintf(`{"queries":[{"idsQuery":{"ids":[%s]}}]}`, quoted(known)), "")
	}
	return lifeAnswer{outcome: r.outcome, id: r.body.SessionID, asked: asked, listed: listed(r)}
}

func TestNoSessionLivesAfterItsEnd(t *testing.T) { proves(t, endKind()) }

func TestSessionsLiveOnWithoutACondition(t *testing.T) { refuses(t, endKind()) }

func endSessions(t *testing.T, l *lab, r *record) {
	w := newLifeWork(t, l, r)
	for i := range lifeSessions / 2 {
		w.make(0, lifeCall{verb: "create", session: i, keyed: true})
	}
	r.crowd(lifeSessions, func(client int, random *rand.Rand) {
		if client >= lifeSessions/2 { // some begin while others end
			w.make(client, lifeCall{verb: "create", session: client, keyed: true})
		}
		for i := range 8 {
			in := lifeCall{session: random.IntN(lifeSessions), keyed: random.IntN(2) == 0}
			if random.IntN(2) == 0 {
				in.session = client
			}
			switch n := random.IntN(100); {
			case n < 25:
				in.verb, in.keyed = "get", false
			case n < 50 && in.session%2 == 0:
				in.verb, in.keyed = "bearer", false
			case n < 50:
				in.verb = "set"
			case n < 80:
				in.verb, in.keyed = "guess", false
			case n < 85 && i > 3:
				in.verb, in.keyed = "delete", false
			case n < 90 && i > 1:
				in.verb, in.keyed, in.agent, in.session = "end", false, agentOf(random.IntN(lifeSessions)), nobody
			case n < 95 && i > 1:
				in.verb, in.keyed = "end", false
			case i > 3:
				in.verb, in.keyed, in.session = "end", false, nobody
			default:
				continue
			}
			w.make(client, in)
		}
	})
	for i := range lifeSessions {
		w.make(0, lifeCall{verb: "get", session: i})
	}
}

// listSessions lets clients begin and end sessions while others list them.
func listSessions(t *testing.T, l *lab, r *record) {
	w := newLifeWork(t, l, r)
	r.crowd(lifeSessions+2, func(client int, random *rand.Rand) {
		if client < lifeSessions {
			w.make(client, lifeCall{verb: "create", session: client, keyed: true})
		}
		for i := range 5 {
			switch n := random.IntN(100); {
			case n < 30 || client >= lifeSessions:
				w.make(client, lifeCall{verb: "list", session: nobody})
			case n < 45:
				w.make(client, lifeCall{verb: "ids", session: nobody})
			case n < 75 && client%2 == 1:
				w.make(client, lifeCall{verb: "set", session: client, keyed: true})
			case n < 72:
				w.make(client, lifeCall{verb: "guess", session: client})
			case n < 82:
				w.make(client, lifeCall{verb: "delete", session: client - client%2 + min(1, random.IntN(3))})
			case n < 91 && i > 1:
				w.make(client, lifeCall{verb: "end", session: nobody, agent: agentOf(client)})
			case i > 1:
				w.make(client, lifeCall{verb: "end", session: client})
			}
		}
	})
	w.make(0, lifeCall{verb: "list", session: nobody})
}

// TestListsAreTrueAndWhole: what is listed is alive. What is alive is listed, except that
// DynamoDB's indexes may lag behind, which lists by ids do not read.
func TestListsAreTrueAndWhole(t *testing.T) {
	t.Run("bolt", func(t *testing.T) { listKind(true).proves(t, apptest.Bolt(t)) })
	t.Run("dynamo", func(t *testing.T) { listKind(false).proves(t, apptest.Dynamo(t, dynamo.Options{})) })
}

func TestListsAreFalseWithoutACondition(t *testing.T) { refuses(t, listKind(false)) }

// TestListsAreNotWholeOverAnIndexThatLags: the same store is refused where it promises
// more.
func TestListsAreNotWholeOverAnIndexThatLags(t *testing.T) {
	listKind(true).refuses(t, &lagging{Table: apptest.Bolt(t)})
}
