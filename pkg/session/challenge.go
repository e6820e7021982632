package session

import (
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/user"
)

// Challenges are what a session has asked and waits to see answered.
type Challenges struct {
	SMS, Email otp.Challenge
	// Keys are those for passkeys and U2F keys, the oldest first.
	Keys []passkey.Challenge
}

// codeLife is how long a one-time code can be answered (row O2).
const codeLife = 5 * time.Minute

// codeKind is what codes by SMS and by mail differ in.
type codeKind struct {
	authenticator user.Authenticator
	channel       sending.Channel
	purpose       sending.Purpose
	challenge     func(*Session) *otp.Challenge
	factor        func(*Factors) *time.Time
	ready         func(*user.User) bool
	address       func(*user.User) user.Contact
	noUser        *fault.Fault // when a challenge is asked for
	notReady      *fault.Fault // the same
}

func smsCodes() codeKind {
	return codeKind{
		authenticator: user.AuthSMS,
		channel:       sending.SMS,
		purpose:       sending.OTPSMS,
		challenge:     func(s *Session) *otp.Challenge { return &s.Challenges.SMS },
		factor:        func(f *Factors) *time.Time { return &f.SMS },
		ready:         (*user.User).TakesSMSCodes,
		address:       func(u *user.User) user.Contact { return u.Phone },
		noUser:        ErrSMSNoUser,
		notReady:      ErrSMSNotReady,
	}
}

func emailCodes() codeKind {
	return codeKind{
		authenticator: user.AuthEmail,
		channel:       sending.Email,
		purpose:       sending.OTPEmail,
		challenge:     func(s *Session) *otp.Challenge { return &s.Challenges.Email },
		factor:        func(f *Factors) *time.Time { return &f.Email },
		ready:         (*user.User).TakesEmailCodes,
		address:       func(u *user.User) user.Contact { return u.Email },
		noUser:        ErrEmailNoUser,
		notReady:      ErrEmailNotReady,
	}
}

// checkCode verifies the answer to an open code. A wrong one counts twice: for the
// user, which no new code and no new session resets (rows O5, O10), and for this
// code, which is dead after a few. An expired code is no failure of anybody.
func (d *decision) checkCode(k codeKind, answer *CheckCode) (*fault.Fault, error) {
	switch {
	case !d.session.Bound():
		return ErrCodeNoUser, nil
	case answer.Code == "":
		return ErrCodeEmpty, nil
	case d.user == nil || !k.ready(d.user):
		return ErrCodeNotReady, nil
	}
	open := k.challenge(d.session)
	if !open.Open() {
		return ErrCodeNotFound, nil
	}
	if open.Expired(d.now) {
		return ErrCodeExpired, nil
	}
	code, err := d.code(k, *open)
	if err != nil {
		return nil, err
	}
	g := user.Guess{Authenticator: k.authenticator, Lockout: d.lockout, Now: d.now, Locked: ErrCodeLocked, Wrong: ErrCodeWrong}
	denied := d.user.Guess(g, func() bool {
		return otp.Equal(code, answer.Code)
	})
	if denied == nil {
		region := sending.Region{Channel: k.channel, Organization: d.user.Organization, CallingCode: open.Region}
		d.converted = d.config.Sending[k.channel].Unused(region, d.now)
		*open = otp.Challenge{}
		return d.passed(k.factor(&d.session.Factors), nil, nil)
	}
	if denied == ErrCodeWrong {
		d.afterDenial = func(s *Session) { k.challenge(s).Miss() }
	}
	return denied, nil
}

// code derives the digits for this session, unless the user's address has fixed ones.
func (d *decision) code(k codeKind, c otp.Challenge) (string, error) {
	if fixed, ok := d.config.Sending[k.channel].Fixed.Code(k.address(d.user).Address); ok {
		return fixed, nil
	}
	return c.Code(d.ring, string(k.purpose), []byte(d.session.ID))
}

// openCode replaces the open code of the kind and returns the new one; either it is
// returned to the caller, or a message with it leaves after the commit.
func (d *decision) openCode(k codeKind, ask *RequestCode) (*fault.Fault, error) {
	switch {
	case ask == nil:
		return nil, nil
	case !d.session.Bound():
		return k.noUser, nil
	case d.user == nil || !k.ready(d.user):
		return k.notReady, nil
	}
	if lock := d.user.Locked(k.authenticator, d.lockout, d.now); lock != nil {
		return ErrCodeLocked.WithRetryAfter(lock.Wait), nil // row O14: no code that cannot work
	}
	c, err := otp.NewChallenge(d.ring, d.random, d.now.Add(codeLife))
	if err != nil {
		return nil, err
	}
	code, err := d.code(k, c)
	if err != nil {
		return nil, err
	}
	*k.challenge(d.session) = c
	d.changed = true
	if ask.ReturnCode {
		if d.opened == nil {
			d.opened = make(map[sending.Channel]string)
		}
		d.opened[k.channel] = code
		return nil, nil
	}
	return d.send(k, *ask, code), nil
}
