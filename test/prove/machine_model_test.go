package prove_test

import (
	"maps"
	"time"
)

// More refusals, which only sequences meet.
const (
	userNotActive   outcome = "SESSION-Gj4ko"
	sessionExpired  outcome = "COMMAND-Hkl3d"
	passwordNoUser  outcome = "COMMAND-Sfw3f"
	codeNoUser      outcome = "COMMAND-S453v"
	codeClosed      outcome = "COMMAND-S34gh"
	codeExpired     outcome = "CODE-QvUQ4P"
	codeLocked      outcome = "COMMAND-S6h4R"
	codeWrong       outcome = "CODE-woT0xc"
	challengeNoUser outcome = "COMMAND-JKL3g"
	lockState       outcome = "COMMAND-lgws8wtsqf"
	unlockState     outcome = "COMMAND-olb9vb0oca"
)

// The limits, as the documents have them. The lockout's is small, to be reached.
const (
	machineLimit = 3
	codeTries    = 5
	codeLife     = 5 * time.Minute
)

// guessing is what is known of the guesses at one kind of secret.
type guessing struct {
	failures int
	until    time.Time
}

func (g guessing) locked(now time.Time) bool { return now.Before(g.until) }

func (g *guessing) fail(now time.Time) {
	g.failures++
	if over := g.failures - machineLimit; over >= 0 {
		g.until = now.Add(min(30*time.Second<<min(over, 20), time.Hour))
	}
}

// modelUser is as much of a user as sessions depend on.
type modelUser struct {
	password      string
	changed       int // counts the passwords
	locked        bool
	ends          int // counts what ends all sessions
	guesses, sent guessing
}

// modelSession is a session. Everything in it is a value but the metadata, which is
// replaced and not changed.
type modelSession struct {
	sequence uint64
	metadata map[string]string
	bound    bool
	ends     int // of its user, when it was bound
	password int // which one was verified, 0 for none
	sms      bool
	code     string // the open one, empty for none
	tries    int
	codeEnds time.Time
	expires  time.Time
	deleted  bool
}

// modelStep is what one Create or Set asks for; a zero field asks for nothing.
type modelStep struct {
	user           bool
	password, code string
	challenge      bool
	metadata       map[string]string // an empty value removes
	lifetime       time.Duration
}

func (s modelSession) ended(u *modelUser) bool { return s.deleted || s.bound && s.ends != u.ends }

func (s modelSession) verified(u *modelUser) bool { return s.password != 0 && s.password == u.changed }

// set is the order of the wire contract, section 1.3. It changes the user whatever comes
// out, and returns the session as it is afterwards.
func (s modelSession) set(u *modelUser, step modelStep, now time.Time) (modelSession, outcome) {
	switch {
	case step.user && u.locked:
		return s, userNotActive
	case s.ended(u) && !s.deleted && step.password != "" && u.locked:
		return s, lockedPassword
	case s.ended(u):
		return s, terminated
	case !s.expires.IsZero() && now.After(s.expires):
		return s, sessionExpired
	}
	next, changed := s, false
	if step.user {
		next.bound, next.ends, changed = true, u.ends, true
	}
	if step.password != "" {
		if denied := next.checkPassword(u, step.password, now); denied != done {
			return s, denied
		}
		changed = true
	}
	if step.code != "" {
		if denied := next.checkCode(u, step.code, now); denied != done {
			if denied == codeWrong {
				s.miss()
			}
			return s, denied
		}
		changed = true
	}
	if step.challenge {
		switch {
		case !next.bound:
			return s, challengeNoUser
		case u.sent.locked(now):
			return s, codeLocked
		}
		next.code, next.tries, next.codeEnds, changed = "open", 0, now.Add(codeLife), true
	}
	if next.merge(step.metadata) {
		changed = true
	}
	if step.lifetime > 0 {
		next.expires, changed = now.Add(step.lifetime), true
	}
	if changed {
		next.sequence++
	}
	return next, done
}

func (s *modelSession) checkPassword(u *modelUser, plain string, now time.Time) outcome {
	switch {
	case !s.bound:
		return passwordNoUser
	case u.guesses.locked(now):
		return lockedPassword
	case plain != u.password:
		u.guesses.fail(now)
		return wrongPassword
	}
	u.guesses = guessing{}
	s.password = u.changed
	return done
}

func (s *modelSession) checkCode(u *modelUser, code string, now time.Time) outcome {
	switch {
	case !s.bound:
		return codeNoUser
	case s.code == "":
		return codeClosed
	case now.After(s.codeEnds):
		return codeExpired
	case u.sent.locked(now):
		return codeLocked
	case code != s.code:
		u.sent.fail(now)
		return codeWrong
	}
	u.sent = guessing{}
	s.sms, s.code = true, ""
	return done
}

func (s *modelSession) miss() {
	if s.tries++; s.tries >= codeTries {
		s.code = ""
	}
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
