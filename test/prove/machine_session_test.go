package prove_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/descope/virtualwebauthn"
	"pgregory.net/rapid"
)

// machineSession is a session at the service and in the model.
type machineSession struct {
	*modelSession

	id     string
	tokens []string // all that were answered, the latest last
}

func (s *machineSession) accepts(token string) bool {
	return token == "" || token == s.tokens[len(s.tokens)-1]
}

func (m *machine) createSession(rt *rapid.T) {
	if n := len(m.live); n > 3 && !m.live[n-1].over() && !m.live[n-2].over() {
		rt.Skip("enough of them")
	}
	model := &modelSession{factors: map[string]bool{}, codes: map[string]secretCode{}}
	step, body := m.step(rt, *model), fields{}
	step.match = 0
	if model.agent = rapid.SampledFrom([]string{"", "phone", "laptop"}).Draw(rt, "agent"); model.agent != "" {
		body["userAgent"] = fields{"fingerprintId": model.agent}
	}
	after, want := m.modelWorld.set(*model, step, m.now())
	after.sequence = 1 // also when the step asks for nothing
	maps.Copy(body, m.body(step))
	a := m.call(rt, "CreateSession", body, want)
	if want != carriedOut {
		return
	}
	*model = after
	s := &machineSession{modelSession: model, id: a.string("sessionId")}
	m.live, m.sessions = append(m.live, s), append(m.sessions, model)
	m.took(rt, s, step, a)
	m.look(rt, s, "")
}

func (m *machine) set(rt *rapid.T) {
	s := m.pick(rt)
	m.take(rt, s, m.step(rt, *s.modelSession))
}

// guess checks a password alone, so that limits are reached.
func (m *machine) guess(rt *rapid.T) {
	s := m.pick(rt)
	for range rapid.IntRange(1, machineLimit).Draw(rt, "guesses") {
		step := modelStep{user: m.unbound(rt, s), password: "wrong horse battery"}
		if u := m.users[s.user]; u != nil && one(rt, 5, "right") {
			step.password = u.password
		}
		m.take(rt, s, step)
	}
}

// unbound is a user to name, when the session has none.
func (m *machine) unbound(rt *rapid.T, s *machineSession) (id string) {
	if s.user == "" {
		id, _ = m.pickUser(rt)
	}
	return id
}

// answerCode checks a code alone, or asks for one.
func (m *machine) answerCode(rt *rapid.T) {
	s, kind := m.pick(rt), rapid.SampledFrom([]string{anSMS, aMail}).Draw(rt, "kind")
	step := modelStep{codes: map[string]string{kind: "wrong"}}
	if open := s.codes[kind]; !open.open() {
		step = modelStep{user: m.unbound(rt, s), askCodes: map[string]bool{kind: rapid.Bool().Draw(rt, "send")}}
	} else if one(rt, 3, "right") {
		step.codes[kind] = open.code
	}
	m.take(rt, s, step)
}

// prove answers a challenge for a key, or asks for one.
func (m *machine) prove(rt *rapid.T) {
	s := m.pick(rt)
	step := modelStep{}
	if len(s.asked) > 0 {
		step.key = m.assertion(rt, *s.modelSession)
	}
	if step.key == nil {
		step = modelStep{askKey: rapid.SampledFrom([]string{aPasskey, aPasskey, aU2F}).Draw(rt, "kind")}
	}
	m.take(rt, s, step)
}

func (m *machine) take(rt *rapid.T, s *machineSession, step modelStep) {
	before := s.sequence
	body := m.body(step)
	body["sessionId"] = s.id
	after, want := m.modelWorld.set(*s.modelSession, step, m.now())
	*s.modelSession = after
	r := request{method: "SetSession", body: body}
	if step.match != 0 {
		r.match = strconv.Quote(strconv.Itoa(step.match))
	}
	a := m.make(rt, r, want)
	switch {
	case want == carriedOut && s.sequence > before:
		m.took(rt, s, step, a)
	case want == carriedOut && a.string("sessionToken") != "":
		rt.Fatalf("a token for no change: %s", a.text)
	case want == passwordWrong:
		if failures := m.users[s.bound(step)].guesses[aPassword].failures; int(a.failures) != failures {
			rt.Fatalf("want %d failures, got %s", failures, a.text)
		}
	}
	m.look(rt, s, "")
}

// bound is the user whom the step is about.
func (s *machineSession) bound(step modelStep) string {
	if s.user != "" {
		return s.user
	}
	return step.user
}

// took notes what a change answered: the token, and what it opened.
func (m *machine) took(rt *rapid.T, s *machineSession, step modelStep, a answer) {
	rt.Helper()
	token := a.string("sessionToken")
	if a.string("details", "sequence") != strconv.Itoa(s.sequence) || token == "" {
		rt.Fatalf("want sequence %d and a token, got %s", s.sequence, a.text)
	}
	s.tokens = append(s.tokens, token)
	for kind, name := range map[string]string{anSMS: "otpSms", aMail: "otpEmail"} {
		sends, asked := step.askCodes[kind]
		if !asked {
			continue
		}
		open := s.codes[kind]
		if open.code = a.string("challenges", name); sends {
			_, open.code = m.message(rt, m.users[s.user].contact(kind).text)
		}
		s.codes = maps.Clone(s.codes)
		if s.codes[kind] = open; !open.open() {
			rt.Fatalf("no code came: %s", a.text)
		}
	}
	if step.askKey != "" {
		options, err := json.Marshal(a.at("challenges", "webAuthN", "publicKeyCredentialRequestOptions"))
		check(m.t, err)
		asked, err := virtualwebauthn.ParseAssertionOptions(string(options))
		check(m.t, err)
		s.asked = slices.Clone(s.asked)
		last := &s.asked[len(s.asked)-1]
		last.value, last.options = asked.Challenge, options
	}
}

func (m *machine) get(rt *rapid.T) {
	s := m.pick(rt)
	m.look(rt, s, m.token(rt, s))
}

// look compares what the session shows.
func (m *machine) look(rt *rapid.T, s *machineSession, token string) {
	rt.Helper()
	body, want := fields{"sessionId": s.id}, carriedOut
	if token != "" {
		body["sessionToken"] = token
	}
	switch {
	case token != "" && !slices.Contains(s.tokens, token): // which is told before anything is looked up
		want = noReadToken
	case s.over():
		want = noSession
	case !s.accepts(token):
		want = noReadToken
	}
	a := m.call(rt, "GetSession", body, want)
	if want == carriedOut {
		m.compare(rt, s, answer{body: a.at("session").(fields), text: a.text})
	}
}

// factorNames are those of the factors in the contract.
var factorNames = map[string]string{
	aPassword: "password", anIDP: "intent", "KEY": "webAuthN", aTOTP: "totp", anSMS: "otpSms", aMail: "otpEmail", aRecovery: "recoveryCode",
}

func (m *machine) compare(rt *rapid.T, s *machineSession, shown answer) {
	rt.Helper()
	metadata := make(map[string]any)
	for key, value := range s.metadata {
		metadata[key] = base64Of(value)
	}
	got, _ := shown.at("metadata").(fields)
	if shown.string("sequence") != strconv.Itoa(s.sequence) || !maps.Equal(metadata, got) || shown.string("factors", "user", "id") != s.user {
		rt.Fatalf("want %+v, got %s", *s.modelSession, shown.text)
	}
	proved := m.proved(*s.modelSession)
	for factor, name := range factorNames {
		if has := shown.at("factors", name) != nil; has != proved[factor] {
			rt.Fatalf("factor %s: want %v, got %s", name, proved[factor], shown.text)
		}
	}
	if end := shown.string("expirationDate"); (end != "") != !s.expires.IsZero() {
		rt.Fatalf("want an end at %v, got %s", s.expires, shown.text)
	}
}

// actAsUser reads a session with its own token as bearer.
func (m *machine) actAsUser(rt *rapid.T) {
	s := m.pick(rt)
	token, want := s.tokens[len(s.tokens)-1], m.bearer(*s.modelSession, m.now())
	if one(rt, 4, "old") && len(s.tokens) > 1 {
		token, want = s.tokens[len(s.tokens)-2], noBearer
	}
	m.make(rt, request{method: "GetSession", body: fields{"sessionId": s.id}, bearer: token}, want)
}

func (m *machine) deleteSession(rt *rapid.T) {
	s := m.pick(rt)
	token, body, want := m.token(rt, s), fields{"sessionId": s.id}, carriedOut
	if token != "" {
		body["sessionToken"] = token
	}
	if !s.accepts(token) {
		want = noDeleteToken
	}
	a := m.call(rt, "DeleteSession", body, want)
	if want != carriedOut {
		return
	}
	if !s.deleted {
		s.deleted = true
		s.sequence++
	}
	if a.string("details", "sequence") != strconv.Itoa(s.sequence) {
		rt.Fatalf("want sequence %d, got %s", s.sequence, a.text)
	}
}

// listSessions lists those of a user, or all by their ids.
func (m *machine) listSessions(rt *rapid.T) {
	userID, _ := m.pickUser(rt)
	var want, all []string
	byID := rapid.Bool().Draw(rt, "by id")
	for _, s := range m.live {
		all = append(all, s.id)
		if !s.over() && (byID || s.user == userID) {
			want = append(want, s.id)
		}
	}
	query := fields{"userIdQuery": fields{"id": userID}}
	if byID {
		query = fields{"idsQuery": fields{"ids": all}}
	}
	var got []string
	a := m.call(rt, "ListSessions", fields{"queries": []any{query}}, carriedOut)
	for _, s := range a.list("sessions") {
		got = append(got, s.string("id"))
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(want, got) {
		rt.Fatalf("want %v, got %s", want, a.text)
	}
}

func (m *machine) endSessions(rt *rapid.T) {
	userID, u := m.pickUser(rt)
	body, want := fields{"userId": userID}, carriedOut
	agent := rapid.SampledFrom([]string{"", "phone", "laptop"}).Draw(rt, "agent")
	if agent != "" {
		body["fingerprintId"] = agent
	}
	var kept *modelSession
	if len(m.live) > 0 && rapid.Bool().Draw(rt, "keep") {
		s := m.pick(rt)
		kept, body["keepSessionId"] = s.modelSession, s.id
		if s.over() || s.late(m.now()) || s.user != userID {
			want = keepsNothing
		}
	}
	if u == nil {
		want = noUser
	}
	m.call(rt, "TerminateUserSessions", body, want)
	if want == carriedOut {
		m.end(userID, agent, kept)
		m.lookAtSessions(rt)
	}
}

func (m *machine) lookAtSessions(rt *rapid.T) {
	rt.Helper()
	for _, s := range m.live {
		m.look(rt, s, "")
	}
}

// pick returns one of the latest sessions.
func (m *machine) pick(rt *rapid.T) *machineSession {
	if len(m.live) == 0 {
		rt.Skip("no session")
	}
	return m.live[len(m.live)-1-rapid.IntRange(0, min(len(m.live)-1, 3)).Draw(rt, "session")]
}

// token is none, the current one, an old one, or another session's.
func (m *machine) token(rt *rapid.T, s *machineSession) string {
	switch n := len(s.tokens); rapid.IntRange(0, 4).Draw(rt, "token") {
	case 0:
		return ""
	case 1:
		return s.tokens[rapid.IntRange(0, n-1).Draw(rt, "old")]
	case 2:
		other := m.pick(rt).tokens
		return other[len(other)-1]
	default:
		return s.tokens[n-1]
	}
}

// body is what the step asks for.
func (m *machine) body(step modelStep) fields {
	checks, challenges, body := m.checks(step), fields{}, fields{}
	if step.askKey != "" {
		verification := map[string]string{aPasskey: "REQUIRED", aU2F: "PREFERRED"}[step.askKey]
		challenges["webAuthN"] = fields{"domain": relyingParty, "userVerificationRequirement": "USER_VERIFICATION_REQUIREMENT_" + verification}
	}
	if sends, asked := step.askCodes[anSMS]; asked {
		challenges["otpSms"] = fields{"returnCode": !sends}
	}
	if sends, asked := step.askCodes[aMail]; asked {
		challenges["otpEmail"] = fields{map[bool]string{true: "sendCode", false: "returnCode"}[sends]: fields{}}
	}
	if len(checks) > 0 {
		body["checks"] = checks
	}
	if len(challenges) > 0 {
		body["challenges"] = challenges
	}
	if step.lifetime > 0 {
		body["lifetime"] = fmt.Sprintf("%ds", int(step.lifetime/time.Second))
	}
	if len(step.metadata) > 0 {
		values := fields{}
		for key, value := range step.metadata {
			values[key] = base64Of(value)
		}
		body["metadata"] = values
	}
	return body
}
