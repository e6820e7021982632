package user

import (
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
)

// Outcome is how the check of a factor ended.
type Outcome string

// The outcomes.
const (
	Passed Outcome = "passed"
	// Wrong was compared, did not match, and counts as a failed attempt.
	Wrong Outcome = "wrong"
	// Locked was not compared, because too many were wrong before.
	Locked Outcome = "locked"
	// Refused is all else: a factor that is not set up, a code that expired or was used.
	Refused Outcome = "refused"
)

// Check is the check of one factor, as it was decided.
type Check struct {
	Factor  Authenticator
	Outcome Outcome
}

// Attempt is the check of one factor, with the user before it, who may be nil.
type Attempt struct {
	Factor  Authenticator
	Before  *User
	Lockout Lockout
	Now     time.Time
}

// Outcome tells how the attempt ended that left the user as after, and with denied as
// its answer.
func (a Attempt) Outcome(after *User, denied *fault.Fault) Outcome {
	switch {
	case denied == nil:
		return Passed
	case a.Before == nil || after == nil:
		return Refused
	case after.failures(a.Factor) > a.Before.failures(a.Factor):
		return Wrong
	case a.Before.Locked(a.Factor, a.Lockout, a.Now) != nil:
		return Locked
	default:
		return Refused
	}
}

func (u *User) failures(a Authenticator) int { return u.Guard.Attempts[a].Failures }

// guesses returns the wrong guesses that made u of before. Which of the changes of a
// user was asked for does not matter: what can be guessed counts its failures.
func (u *User) guesses(before *User) []Check {
	if before == nil {
		return nil
	}
	var wrong []Check
	for a := range u.Guard.Attempts {
		if u.failures(a) > before.failures(a) {
			wrong = append(wrong, Check{a, Wrong})
		}
	}
	return wrong
}
