package user

import (
	"fmt"
	"slices"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/keyring"
	"github.com/stepup-auth/stepup/pkg/otp"
)

// TOTP is an authenticator app. Its seed is sealed; the last step that was accepted
// stands in the guard.
type TOTP struct {
	// Sealed is empty when there is none.
	Sealed []byte
	// Confirmed is set once a code of the app was seen.
	Confirmed bool
}

// totpPurpose separates seeds from all else that the keyring seals.
const totpPurpose = "totp-seed"

// Faults of the one-time factors (wire contract, sections 4.4 and 6.6).
var (
	ErrTOTPNotReady     = fault.New(fault.FailedPrecondition, "COMMAND-3Mif9s", "Multifactor OTP (OneTimePassword) isn't ready")
	ErrTOTPLocked       = fault.New(fault.FailedPrecondition, "COMMAND-SF3fg", "User is locked")
	ErrTOTPWrong        = fault.New(fault.InvalidArgument, "EVENT-8isk2", "Invalid code")
	ErrTOTPReused       = fault.New(fault.InvalidArgument, "TOTP-Auw0a", "Code was used already")
	ErrRecoveryEmpty    = fault.New(fault.InvalidArgument, "COMMAND-u0b6c", "Recovery code is empty")
	ErrRecoveryNotReady = fault.New(fault.FailedPrecondition, "COMMAND-84rgg", "Recovery codes are not ready for use")
	ErrRecoveryLocked   = fault.New(fault.FailedPrecondition, "COMMAND-2w6oa", "User is locked")
	ErrRecoveryWrong    = fault.New(fault.InvalidArgument, "DOMAIN-6uvh0", "Invalid recovery code provided")
)

// Guess is one comparison of something that could be guessed.
type Guess struct {
	Authenticator Authenticator
	Lockout       Lockout
	Now           time.Time
	// Locked and Wrong are what the caller is told.
	Locked, Wrong *fault.Fault
}

// Guess compares under the lockout and changes u to match: nothing is compared while
// the authenticator is locked, a mismatch is counted, a match forgets the failures.
// The fault is what the caller may be told once u is committed.
func (u *User) Guess(g Guess, matches func() bool) *fault.Fault {
	if lock := u.Locked(g.Authenticator, g.Lockout, g.Now); lock != nil {
		return g.Locked.WithRetryAfter(lock.Wait)
	}
	if !matches() {
		u.Fail(g.Authenticator, g.Lockout, g.Now)
		return g.Wrong
	}
	u.Succeed(g.Authenticator, g.Now)
	return nil
}

// CheckTOTP verifies a code and burns its step: neither it nor an older one is
// accepted again (row T3). A code that was used already neither counts as a failure nor
// forgets earlier ones.
func (u *User) CheckTOTP(ring *keyring.Ring, code string, l Lockout, now time.Time) (*fault.Fault, error) {
	if !u.TOTP.Confirmed {
		return ErrTOTPNotReady, nil
	}
	seed, err := u.totpSeed(ring)
	if err != nil {
		return nil, err
	}
	step, outcome := otp.Match(seed, code, otp.Window{Now: now, After: u.Guard.TOTPStep})
	if outcome == otp.Used && u.Locked(AuthTOTP, l, now) == nil {
		return ErrTOTPReused, nil
	}
	g := Guess{AuthTOTP, l, now, ErrTOTPLocked, ErrTOTPWrong}
	if denied := u.Guess(g, func() bool { return outcome == otp.Right }); denied != nil {
		return denied, nil
	}
	u.Guard.TOTPStep = step
	u.touch(now)
	return nil, nil
}

func (u *User) totpSeed(ring *keyring.Ring) ([]byte, error) {
	seed, err := ring.Open(totpPurpose, u.TOTP.Sealed, []byte(u.ID))
	if err != nil {
		return nil, fmt.Errorf("open the TOTP seed of user %s: %w", u.ID, err)
	}
	return seed, nil
}

// CheckRecoveryCode verifies a code and uses it up.
func (u *User) CheckRecoveryCode(ring *keyring.Ring, code string, l Lockout, now time.Time) *fault.Fault {
	switch {
	case code == "":
		return ErrRecoveryEmpty
	case len(u.Guard.RecoveryCodes) == 0:
		return ErrRecoveryNotReady
	}
	var at int
	g := Guess{AuthRecovery, l, now, ErrRecoveryLocked, ErrRecoveryWrong}
	denied := u.Guess(g, func() bool {
		at = slices.IndexFunc(u.Guard.RecoveryCodes, func(m otp.RecoveryMAC) bool { return m.Matches(ring, u.ID, code) })
		return at >= 0
	})
	if denied == nil {
		u.Guard.RecoveryCodes = slices.Delete(u.Guard.RecoveryCodes, at, at+1)
		u.touch(now)
	}
	return denied
}
