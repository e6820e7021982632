package prove_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"net/url"
	"os"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/stepup-auth/stepup/pkg/app/apptest"
	"github.com/stepup-auth/stepup/pkg/table"
	"github.com/stepup-auth/stepup/pkg/user"
)

var checksFlag = flag.Int("prove.checks", 3, "how many sequences of calls to try per store")

// TestSequencesOfCallsDoWhatASimpleModelSays draws calls, makes them one after another,
// and compares each answer, and then the session, with a model that shares no code with
// the service. A failing sequence is shrunk and printed.
func TestSequencesOfCallsDoWhatASimpleModelSays(t *testing.T) {
	onBoth(t, func(t *testing.T, tb table.Table) {
		sequences(t, newLab(t, tb, lockoutOf(machineLimit)), *checksFlag)
	})
}

// TestSequencesFindAServiceThatLocksTooEarly is why the other test can be believed.
func TestSequencesFindAServiceThatLocksTooEarly(t *testing.T) {
	judged, over := &verdict{TB: t}, make(chan struct{})
	l := newLab(t, apptest.Bolt(t), lockoutOf(machineLimit-1))
	go func() {
		defer close(over)
		sequences(judged, l, 300)
	}()
	<-over
	if !judged.Failed() {
		t.Error("no sequence told the limits apart")
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

func sequences(t testing.TB, l *lab, checks int) {
	for name, value := range map[string]string{
		"rapid.checks": strconv.Itoa(checks), "rapid.seed": strconv.FormatUint(*seedFlag, 10), "rapid.steps": "50",
		"rapid.nofailfile": "true", "rapid.shrinktime": "10s",
	} {
		check(t, flag.Set(name, value))
	}
	if _, wanted := t.(*verdict); wanted {
		check(t, flag.Set("rapid.shrinktime", "0s"))
	}
	l.pause(true)
	start, n := time.Now(), 0
	rapid.Check(t, func(rt *rapid.T) {
		if n++; n%100 == 0 {
			fmt.Fprintf(os.Stderr, "%s: %d sequences in %v\n", t.Name(), n, time.Since(start).Round(time.Second))
		}
		m := &machine{lab: l, user: modelUser{password: apptest.Password, changed: 1}}
		m.userID = register(t, l, user.NewPassword{Hash: apptest.CheapHash(t, apptest.Password)})
		rt.Repeat(map[string]func(*rapid.T){
			"create": m.create, "set": m.set, "step up": m.set, "guess": m.guess, "answer": m.answer, "get": m.get,
			"delete": m.remove, "lock or unlock": m.lock, "password": m.changePassword, "time": m.wait,
		})
	})
}

// machine is the service and the model side by side.
type machine struct {
	*lab

	userID   string
	user     modelUser
	sessions []*machineSession
}

type machineSession struct {
	path   string
	model  modelSession
	tokens []string // all that were answered, the latest last
}

func (m *machine) create(rt *rapid.T) {
	if len(m.sessions) > 2 && !m.sessions[len(m.sessions)-1].model.ended(&m.user) {
		rt.Skip("enough of them")
	}
	step := m.step(rt, modelSession{})
	model, want := modelSession{}.set(&m.user, step, m.Clock.Now())
	model.sequence = 1 // also when the step asks for nothing
	r := m.do("POST", "/v2/sessions", m.body(step), "")
	m.compare(rt, r, want)
	if r.outcome != done {
		return
	}
	s := &machineSession{path: "/v2/sessions/" + r.body.SessionID, model: model}
	s.took(rt, r)
	m.sessions = append(m.sessions, s)
}

func (m *machine) set(rt *rapid.T) {
	s := m.pick(rt)
	step := m.step(rt, s.model)
	m.take(rt, s, step)
}

// guess checks a password alone, so that limits are reached.
func (m *machine) guess(rt *rapid.T) {
	s := m.pick(rt)
	step := modelStep{user: !s.model.bound, password: "wrong horse battery"}
	if rapid.IntRange(0, 5).Draw(rt, "right") == 0 {
		step.password = m.user.password
	}
	m.take(rt, s, step)
}

// answer checks a code alone, or asks for one.
func (m *machine) answer(rt *rapid.T) {
	s := m.pick(rt)
	step := modelStep{code: "wrong"}
	if s.model.code == "" {
		step = modelStep{user: !s.model.bound, challenge: true}
	} else if rapid.IntRange(0, 3).Draw(rt, "right") == 0 {
		step.code = s.model.code
	}
	m.take(rt, s, step)
}

func (m *machine) take(rt *rapid.T, s *machineSession, step modelStep) {
	before := s.model.sequence
	var want outcome
	s.model, want = s.model.set(&m.user, step, m.Clock.Now())
	r := m.do("PATCH", s.path, m.body(step), "")
	m.compare(rt, r, want)
	switch {
	case r.outcome == done && s.model.sequence > before:
		s.took(rt, r)
	case r.outcome == done && r.body.SessionToken != "":
		rt.Fatalf("a token for no change: %s", r.text)
	}
	m.look(rt, s, "")
}

// took notes what a change answered.
func (s *machineSession) took(rt *rapid.T, r reply) {
	if r.body.Details.Sequence != s.model.sequence || r.body.SessionToken == "" {
		rt.Fatalf("want sequence %d and a token, got %s", s.model.sequence, r.text)
	}
	s.tokens = append(s.tokens, r.body.SessionToken)
	if r.body.Challenges.OtpSms != "" {
		s.model.code = r.body.Challenges.OtpSms
	}
	if s.model.code == "open" {
		rt.Fatalf("no code came back: %s", r.text)
	}
}

func (m *machine) get(rt *rapid.T) {
	s := m.pick(rt)
	m.look(rt, s, m.token(rt, s))
}

// look compares what the session shows.
func (m *machine) look(rt *rapid.T, s *machineSession, token string) {
	path := s.path
	if token != "" {
		path += "?sessionToken=" + url.QueryEscape(token)
	}
	r, want := m.do("GET", path, "", ""), done
	switch {
	case s.model.ended(&m.user):
		want = notFound
	case !s.accepts(token):
		want = readToken
	}
	m.compare(rt, r, want)
	if want != done {
		return
	}
	shown := make(map[string]string)
	for key, value := range r.body.Session.Metadata {
		shown[key] = string(value)
	}
	f := r.body.Session.Factors
	if r.body.Session.Sequence != s.model.sequence || !maps.Equal(shown, s.model.metadata) ||
		(f.User != nil) != s.model.bound || (f.Password != nil) != s.model.verified(&m.user) || (f.OtpSms != nil) != s.model.sms {
		rt.Fatalf("want %+v, got %s", s.model, r.text)
	}
}

func (s *machineSession) accepts(token string) bool {
	return token == "" || token == s.tokens[len(s.tokens)-1]
}

func (m *machine) remove(rt *rapid.T) {
	s := m.pick(rt)
	token, body := m.token(rt, s), "{}"
	if token != "" {
		body = fmt.Sprintf(`{"sessionToken":%q}`, token)
	}
	r, want := m.do("DELETE", s.path, body, ""), done
	if !s.accepts(token) {
		want = endToken
	}
	m.compare(rt, r, want)
	if want != done {
		return
	}
	if !s.model.deleted {
		s.model.deleted = true
		s.model.sequence++
	}
	if r.body.Details.Sequence != s.model.sequence {
		rt.Fatalf("want sequence %d, got %s", s.model.sequence, r.text)
	}
}

// lock is rare, because nothing lives after it.
func (m *machine) lock(rt *rapid.T) {
	if m.user.locked || rapid.IntRange(0, 3).Draw(rt, "unlock") > 0 {
		m.unlock(rt)
		return
	}
	m.user.locked = true
	m.user.ends++
	m.administer(rt, "lock", done)
	m.administer(rt, "lock", lockState)
}

func (m *machine) unlock(rt *rapid.T) {
	want := done
	if !m.user.locked && m.user.guesses.failures+m.user.sent.failures == 0 {
		want = unlockState
	}
	m.user.locked, m.user.guesses, m.user.sent = false, guessing{}, guessing{}
	m.administer(rt, "unlock", want)
}

func (m *machine) administer(rt *rapid.T, verb string, want outcome) {
	m.compare(rt, m.do("POST", "/v2/users/"+m.userID+"/"+verb, "{}", ""), want)
}

func (m *machine) changePassword(rt *rapid.T) {
	m.user.changed++
	m.user.password = fmt.Sprintf("correct horse battery %d", m.user.changed)
	m.user.guesses = guessing{}
	body := fmt.Sprintf(`{"newPassword":{"password":%q}}`, m.user.password)
	m.compare(rt, m.do("POST", "/v2/users/"+m.userID+"/password", body, ""), done)
}

func (m *machine) wait(rt *rapid.T) {
	m.Clock.Advance(rapid.SampledFrom([]time.Duration{time.Second, time.Minute, 6 * time.Minute, 2 * time.Hour}).Draw(rt, "wait"))
}

func (m *machine) compare(rt *rapid.T, r reply, want outcome) {
	rt.Helper()
	if r.outcome != want {
		rt.Fatalf("want %q, got %q: %s", want, r.outcome, r.text)
	}
	if want == wrongPassword && r.failedAttempts != m.user.guesses.failures {
		rt.Fatalf("want %d failures, got %s", m.user.guesses.failures, r.text)
	}
}

func (m *machine) pick(rt *rapid.T) *machineSession {
	if len(m.sessions) == 0 {
		rt.Skip("no session")
	}
	return m.sessions[len(m.sessions)-1-rapid.IntRange(0, min(len(m.sessions)-1, 3)).Draw(rt, "session")]
}

// token is none, the current one, or an old one.
func (m *machine) token(rt *rapid.T, s *machineSession) string {
	switch n := len(s.tokens); rapid.IntRange(0, 3).Draw(rt, "token") {
	case 0:
		return ""
	case 1:
		return s.tokens[rapid.IntRange(0, n-1).Draw(rt, "old")]
	default:
		return s.tokens[n-1]
	}
}

// step draws what to ask for.
func (m *machine) step(rt *rapid.T, s modelSession) modelStep {
	var step modelStep
	step.user = rapid.IntRange(0, 2).Draw(rt, "user") == 0 || !s.bound && rapid.Bool().Draw(rt, "bind")
	switch rapid.IntRange(0, 4).Draw(rt, "password") {
	case 0:
		step.password = m.user.password
	case 1:
		step.password = "wrong horse battery"
	}
	switch rapid.IntRange(0, 5).Draw(rt, "code") {
	case 0, 1:
		step.code = s.code
	case 2:
		step.code = "wrong"
	}
	step.challenge = rapid.IntRange(0, 3).Draw(rt, "challenge") == 0
	step.metadata = rapid.MapOfN(rapid.SampledFrom([]string{"a", "b", "c"}), rapid.SampledFrom([]string{"", "x", "y"}), 0, 2).Draw(rt, "metadata")
	if rapid.IntRange(0, 7).Draw(rt, "lifetime") == 0 {
		step.lifetime = 10 * time.Minute
	}
	return step
}

func (m *machine) body(step modelStep) string {
	checks, body := map[string]any{}, map[string]any{}
	if step.user {
		checks["user"] = map[string]string{"userId": m.userID}
	}
	if step.password != "" {
		checks["password"] = map[string]string{"password": step.password}
	}
	if step.code != "" {
		checks["otpSms"] = map[string]string{"code": step.code}
	}
	body["checks"] = checks
	if step.challenge {
		body["challenges"] = map[string]any{"otpSms": map[string]bool{"returnCode": true}}
	}
	if step.lifetime > 0 {
		body["lifetime"] = fmt.Sprintf("%ds", int(step.lifetime.Seconds()))
	}
	if len(step.metadata) > 0 {
		values := make(map[string][]byte)
		for key, value := range step.metadata {
			values[key] = []byte(value)
		}
		body["metadata"] = values
	}
	text, err := json.Marshal(body)
	if err != nil {
		panic(err)
	}
	return string(text)
}
