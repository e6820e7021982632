package prove_test

import (
	"bytes"
	"maps"
	"slices"
	"time"
)

// modelSession is a session. What it points to is replaced and not changed.
type modelSession struct {
	user, agent string
	sequence    int
	metadata    map[string]string
	factors     map[string]bool // but the password
	password    int             // which one was verified, 0 for none
	codes       map[string]secretCode
	asked       []modelChallenge // for keys, the oldest first
	verified    bool             // the last key verified its user as a passkey does
	expires     time.Time
	deleted     bool
	wrong       string // the kind of code that a step failed at
	ended       bool   // with others of its user
}

// modelChallenge asks for a key, of anybody when it is open to all.
type modelChallenge struct {
	value   []byte
	options []byte
	kind    string
	anybody bool
	ends    time.Time
}

// modelStep is what one Create or Set asks for; a zero field asks for nothing.
type modelStep struct {
	user, byName string // id, and whether that is named by its login name
	password     string
	intent       *modelIntent
	forged       bool // the intent's token is
	key          *keyAnswer
	totp         string
	codes        map[string]string // by kind
	recovery     string
	askKey       string            // the kind
	askCodes     map[string]bool   // by kind, and whether they are sent
	metadata     map[string]string // an empty value removes
	lifetime     time.Duration
	match        int // If-Match, 0 for none
}

// keyAnswer is an assertion.
type keyAnswer struct {
	value []byte // of the challenge
	key   *modelKey
	count uint32
	text  string
}

// modelIntent is a sign-in elsewhere.
type modelIntent struct {
	id, token string
	account   string
	linked    string // the user at that time
	consumed  bool
	ends      time.Time
}

func (i *modelIntent) usable(now time.Time, unused, late refusal) refusal {
	switch {
	case i.consumed:
		return unused
	case now.After(i.ends):
		return late
	}
	return carriedOut
}

// modelWorld is all that steps depend on.
type modelWorld struct {
	users    map[string]*account // those who were not deleted, by id
	sessions []*modelSession
	sent     sent
}

func (s modelSession) over() bool { return s.deleted || s.ended }

func (s modelSession) late(now time.Time) bool { return !s.expires.IsZero() && now.After(s.expires) }

// set is the order of the wire contract, section 1.3. It changes the user whatever comes
// out, and returns the session as it is afterwards.
func (w *modelWorld) set(s modelSession, step modelStep, now time.Time) (modelSession, refusal) {
	if denied := w.start(s, step, now); denied != carriedOut {
		return s, denied
	}
	next := s
	next.factors, next.codes = maps.Clone(s.factors), maps.Clone(s.codes)
	for _, check := range []func(*modelSession, modelStep, time.Time) refusal{
		w.checkUser, w.checkPassword, w.checkIntent, w.checkKey, w.checkTOTP, w.checkCode(anSMS), w.checkCode(aMail), w.checkRecovery, w.openKey,
	} {
		if denied := check(&next, step, now); denied != carriedOut {
			return s.missed(next.wrong), denied
		}
	}
	if denied := w.openCodes(&next, step, now); denied != carriedOut {
		return s, denied
	}
	if step.intent != nil {
		step.intent.consumed = true
	}
	merged := next.merge(step.metadata)
	if step.lifetime > 0 {
		next.expires = now.Add(step.lifetime)
	}
	if step.changes() || merged {
		next.sequence++
	}
	return next, carriedOut
}

// missed counts a wrong answer to a code; all else of the step did not happen.
func (s modelSession) missed(kind string) modelSession {
	if kind == "" {
		return s
	}
	s.codes = maps.Clone(s.codes)
	open := s.codes[kind]
	open.miss()
	s.codes[kind] = open
	return s
}

// changes reports whether the step changes a session whatever its metadata.
func (s modelStep) changes() bool {
	return s.user != "" || s.password != "" || s.intent != nil || s.key != nil || s.totp != "" || len(s.codes) > 0 ||
		s.recovery != "" || s.askKey != "" || len(s.askCodes) > 0 || s.lifetime > 0
}

func (w *modelWorld) start(s modelSession, step modelStep, now time.Time) refusal {
	named, bound := w.users[step.user], w.users[s.user]
	switch {
	case step.user != "" && named == nil:
		return noUser
	case step.user != "" && !named.canStart():
		return notActive
	case s.ended && !s.deleted && step.password != "" && step.user == "" && bound != nil && bound.state == stateLocked:
		return passwordLocked
	case s.over():
		return isTerminated
	case s.late(now):
		return hasExpired
	case step.match != 0 && step.match != s.sequence:
		return hasMoved
	}
	return carriedOut
}

func (w *modelWorld) checkUser(s *modelSession, step modelStep, _ time.Time) refusal {
	switch {
	case step.user == "":
	case s.user != "" && s.user != step.user:
		return anotherUser
	default:
		s.user = step.user
	}
	return carriedOut
}

func (w *modelWorld) checkPassword(s *modelSession, step modelStep, now time.Time) refusal {
	switch {
	case step.password == "":
		return carriedOut
	case s.user == "":
		return passwordUnbound
	}
	u := w.users[s.user]
	denied := u.checkPassword(step.password, now)
	if denied == carriedOut {
		s.password = u.changed
	}
	return denied
}

func (w *modelWorld) checkIntent(s *modelSession, step modelStep, now time.Time) refusal {
	switch {
	case step.intent == nil:
		return carriedOut
	case s.user == "":
		return intentUnbound
	case step.forged:
		return intentForged
	}
	i := step.intent
	if denied := i.usable(now, intentUnused, intentExpired); denied != carriedOut {
		return denied
	}
	if i.linked != "" && i.linked != s.user || !slices.Contains(w.users[s.user].links, i.account) {
		return intentOther
	}
	s.factors[anIDP] = true
	return carriedOut
}

func (w *modelWorld) checkTOTP(s *modelSession, step modelStep, now time.Time) refusal {
	switch {
	case step.totp == "":
		return carriedOut
	case s.user == "":
		return totpUnbound
	}
	return s.passed(aTOTP, w.users[s.user].checkTOTP(step.totp, now))
}

func (w *modelWorld) checkRecovery(s *modelSession, step modelStep, now time.Time) refusal {
	switch {
	case step.recovery == "":
		return carriedOut
	case s.user == "":
		return recoveryUnbound
	}
	return s.passed(aRecovery, w.users[s.user].checkRecovery(step.recovery, now))
}

func (s *modelSession) passed(factor string, denied refusal) refusal {
	if denied == carriedOut {
		s.factors[factor] = true
	}
	return denied
}

func (w *modelWorld) checkCode(kind string) func(*modelSession, modelStep, time.Time) refusal {
	return func(s *modelSession, step modelStep, now time.Time) refusal {
		answer, asked := step.codes[kind]
		u, open := w.users[s.user], s.codes[kind]
		switch {
		case !asked:
			return carriedOut
		case s.user == "":
			return codeUnbound
		case !u.takes(kind):
			return codeNotReady
		case !open.open():
			return codeNotOpen
		case now.After(open.ends):
			return codeTooLate
		case u.locked(kind, now):
			return codesLocked
		case answer != open.code:
			u.fail(kind, now)
			s.wrong = kind
			return codeIsWrong
		}
		u.succeed(kind)
		delete(s.codes, kind)
		s.factors[kind] = true
		return carriedOut
	}
}

// checkKey verifies an assertion, which may say who the user is.
func (w *modelWorld) checkKey(s *modelSession, step modelStep, now time.Time) refusal {
	switch {
	case step.key == nil:
		return carriedOut
	case len(s.asked) == 0:
		return keyUnasked
	}
	at := slices.IndexFunc(s.asked, func(c modelChallenge) bool { return bytes.Equal(c.value, step.key.value) })
	u := w.users[s.user]
	if s.user == "" {
		u = w.holder(step.key.key)
		switch {
		case at < 0:
			return keyRejected
		case u == nil:
			return keyUnknown
		case !u.canStart():
			return notActive
		}
	}
	if at >= 0 && !now.Before(s.asked[at].ends) {
		return keyExpired
	}
	if denied := u.checkKey(s.asked, at, step.key, now); denied != carriedOut {
		return denied
	}
	s.user = u.id
	s.factors["KEY"], s.verified = true, s.asked[at].kind == aPasskey
	s.asked = slices.Delete(slices.Clone(s.asked), at, at+1)
	return carriedOut
}

// holder returns whose key it is.
func (w *modelWorld) holder(k *modelKey) *account {
	for _, u := range w.users {
		if slices.Contains(u.keys, k) && k.ready {
			return u
		}
	}
	return nil
}

func (u *account) checkKey(asked []modelChallenge, at int, a *keyAnswer, now time.Time) refusal {
	var denied refusal
	switch {
	case u.locked(aPasskey, now):
		return keyLocked
	case at < 0:
		denied = keyRejected
	case !a.key.ready || !slices.Contains(u.keys, a.key) || a.key.kind != asked[at].kind:
		denied = keyUnknown
	case a.count <= a.key.count && (a.count != 0 || a.key.count != 0):
		denied = keyRejected
	}
	if denied != carriedOut {
		u.fail(aPasskey, now)
		return denied
	}
	u.succeed(aPasskey)
	a.key.count = a.count
	return carriedOut
}

func (w *modelWorld) openKey(s *modelSession, step modelStep, now time.Time) refusal {
	if step.askKey == "" {
		return carriedOut
	}
	c := modelChallenge{kind: step.askKey, anybody: s.user == "", ends: now.Add(keyLife)}
	if c.anybody && c.kind == aU2F {
		return keyUnbound
	}
	if u := w.users[s.user]; !c.anybody {
		switch {
		case u.locked(aPasskey, now):
			return keyLocked
		case !u.hasKey(c.kind):
			return keyNone
		}
	}
	s.asked = append(slices.Clone(s.asked), c)
	s.asked = s.asked[max(0, len(s.asked)-keptOpen):]
	return carriedOut
}

// openCodes opens both codes and counts what is sent, or nothing. What was sent before is
// looked at last, because the service reads that only when it must.
func (w *modelWorld) openCodes(s *modelSession, step modelStep, now time.Time) refusal {
	u, counted := w.users[s.user], maps.Clone(w.sent)
	for _, k := range []struct {
		kind              string
		unbound, notReady refusal
	}{{anSMS, smsUnbound, smsNotReady}, {aMail, mailUnbound, mailNotReady}} {
		switch _, asked := step.askCodes[k.kind]; {
		case !asked:
		case s.user == "":
			return k.unbound
		case !u.takes(k.kind):
			return k.notReady
		case u.locked(k.kind, now):
			return codesLocked
		default:
			s.codes[k.kind] = secretCode{code: "to be told", ends: now.Add(codeLife)}
		}
	}
	for _, kind := range []string{anSMS, aMail} {
		if step.askCodes[kind] {
			if denied := counted.may(u.contact(kind).text, now); denied != carriedOut {
				return denied
			}
		}
	}
	w.sent = counted
	return carriedOut
}

func (s *modelSession) merge(changes map[string]string) (changed bool) {
	merged := maps.Clone(s.metadata)
	for key, value := range changes {
		if merged[key] == value {
			continue
		}
		changed = true
		if value == "" {
			delete(merged, key)
			continue
		}
		if merged == nil {
			merged = make(map[string]string)
		}
		merged[key] = value
	}
	s.metadata = merged
	return changed
}

// proved lists the factors that count, as the contract names them.
func (w *modelWorld) proved(s modelSession) map[string]bool {
	all := maps.Clone(s.factors)
	if u := w.users[s.user]; s.password != 0 && u != nil && s.password == u.changed {
		all[aPassword] = true
	}
	return all
}

// bearer says whether the session's token lets its user act.
func (w *modelWorld) bearer(s modelSession, now time.Time) refusal {
	proved, n := w.proved(s), 0
	for factor := range proved {
		switch {
		case factor == "KEY" && s.verified:
			n += 2
		case factor == anIDP && proved[aPassword]: // counts with the password as one
		default:
			n++
		}
	}
	switch {
	case s.over():
		return noBearer
	case s.late(now):
		return lateBearer
	case s.user == "" || n == 0 || n == 1 && w.users[s.user].needsTwo():
		return weakBearer
	}
	return carriedOut
}

// end ends sessions of a user but one.
func (w *modelWorld) end(user, agent string, but *modelSession) {
	for _, s := range w.sessions {
		if s.user == user && s != but && (agent == "" || s.agent == agent) {
			s.ended = true
		}
	}
}
