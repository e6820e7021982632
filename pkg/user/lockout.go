package user

import (
	"cmp"
	"fmt"
	"time"
)

// Authenticator is a kind of proof. Failures are counted by kind, so that guessing
// passwords from afar cannot lock somebody out of their passkey (row L4).
type Authenticator string

// The authenticators. Failures of U2F keys are counted as those of passkeys, because
// an answer that makes no sense does not tell which it is. External accounts have none:
// what proves them cannot be guessed.
const (
	AuthPassword Authenticator = "password"
	AuthTOTP     Authenticator = "totp"
	AuthSMS      Authenticator = "sms"
	AuthEmail    Authenticator = "email"
	AuthRecovery Authenticator = "recovery"
	AuthPasskey  Authenticator = "passkey"
	AuthU2F      Authenticator = "u2f"
	AuthIDP      Authenticator = "idp"
)

// Attempts is the state of one authenticator's guessing limit.
type Attempts struct {
	// Failures since the last success.
	Failures int
	// LockedUntil is zero when the authenticator is not waiting.
	LockedUntil time.Time
}

// Lockout is the guessing policy. The zero value means the defaults.
//
// It follows NIST SP 800-63B-4, section 3.2.2: a growing delay, then a hard stop
// at no more than 100 consecutive failures.
type Lockout struct {
	// Limit is the number of failures at which the authenticator locks for the
	// first time; 0 means 10. The attempt that reaches it still gets its own
	// answer, the next one is told of the lock.
	Limit int
	// FirstDelay is the length of the first lock; 0 means 30 s. Every further
	// failure doubles it.
	FirstDelay time.Duration
	// MaxDelay caps the doubling; 0 means 1 h.
	MaxDelay time.Duration
	// DisableAt is the number of failures after which only an administrator can
	// help; 0 means 100, which is also the most.
	DisableAt int
	// LockUserAt, when positive, locks the whole user for good at that many
	// failures, as the original's lockout policy does.
	LockUserAt int
}

const (
	defaultLimit      = 10
	defaultFirstDelay = 30 * time.Second
	defaultMaxDelay   = time.Hour

	// HardStop is the number of consecutive failures at which any policy disables the
	// authenticator.
	HardStop = 100
)

func (l Lockout) limit() int                { return cmp.Or(l.Limit, defaultLimit) }
func (l Lockout) firstDelay() time.Duration { return cmp.Or(l.FirstDelay, defaultFirstDelay) }
func (l Lockout) maxDelay() time.Duration   { return cmp.Or(l.MaxDelay, defaultMaxDelay) }
func (l Lockout) disableAt() int            { return cmp.Or(l.DisableAt, HardStop) }

// Validate returns an error that names the field that makes no sense.
func (l Lockout) Validate() error {
	switch {
	case l.limit() < 1:
		return fmt.Errorf("lockout limit %d is below 1", l.Limit)
	case l.disableAt() < l.limit() || l.disableAt() > HardStop:
		return fmt.Errorf("lockout disable-at %d is not between the limit %d and %d", l.disableAt(), l.limit(), HardStop)
	case l.firstDelay() < time.Second || l.maxDelay() < l.firstDelay():
		return fmt.Errorf("lockout delays %v to %v are not a growing range from 1s", l.firstDelay(), l.maxDelay())
	case l.LockUserAt < 0:
		return fmt.Errorf("lockout lock-user-at %d is negative", l.LockUserAt)
	}
	return nil
}

// delayAfter returns how long the authenticator locks when it has failed n times.
func (l Lockout) delayAfter(n int) time.Duration {
	if n < l.limit() {
		return 0
	}
	d := l.firstDelay()
	for range n - l.limit() {
		if d >= l.maxDelay()/2 { // before it doubles: a delay of centuries must not overflow
			return l.maxDelay()
		}
		d *= 2
	}
	return d
}

// Lock describes why an authenticator may not be tried now.
type Lock struct {
	// Failures so far.
	Failures int
	// Wait is how long the lock lasts; 0 means until an administrator lifts it.
	Wait time.Duration
}

// Locked returns the lock on the authenticator, or nil when it may be tried.
func (u *User) Locked(a Authenticator, l Lockout, now time.Time) *Lock {
	at := u.Guard.Attempts[a]
	switch {
	case u.Guard.State == StateLocked, at.Failures >= l.disableAt():
		return &Lock{Failures: at.Failures}
	case now.Before(at.LockedUntil):
		return &Lock{Failures: at.Failures, Wait: at.LockedUntil.Sub(now)}
	default:
		return nil
	}
}

// Fail counts a failed check and returns the count. It may lock the authenticator
// and, where the policy says so, the user.
func (u *User) Fail(a Authenticator, l Lockout, now time.Time) int {
	at := u.Guard.Attempts[a]
	at.Failures++
	if d := l.delayAfter(at.Failures); d > 0 {
		at.LockedUntil = now.Add(d)
	}
	if u.Guard.Attempts == nil {
		u.Guard.Attempts = make(map[Authenticator]Attempts)
	}
	u.Guard.Attempts[a] = at
	if l.LockUserAt > 0 && at.Failures >= l.LockUserAt {
		u.Guard.State = StateLocked
		u.endSessions(now)
	}
	u.touch(now)
	return at.Failures
}

// Succeed forgets the failures of the authenticator and reports whether there were
// any, that is whether the user changed.
func (u *User) Succeed(a Authenticator, now time.Time) bool {
	if _, failed := u.Guard.Attempts[a]; !failed {
		return false
	}
	delete(u.Guard.Attempts, a)
	u.touch(now)
	return true
}
