package session

import (
	"fmt"
	"io"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/user"
)

// Challenges are what a session has asked and waits to see answered.
type Challenges struct {
	SMS, Email CodeChallenge
	// Keys are those for passkeys and U2F keys, the oldest first.
	Keys []passkey.Challenge
}

// CodeChallenge is an open one-time code. The code itself is kept nowhere: it is
// derived from what stands here and the keyring (row O7). The zero value is none.
type CodeChallenge struct {
	ID        ChallengeID
	KeyID     string
	ExpiresAt time.Time
	// Tries counts wrong answers to this code.
	Tries int
}

// ChallengeID is 128 random bits.
type ChallengeID [16]byte

func (c CodeChallenge) open() bool { return c.KeyID != "" }

// Bounds of a one-time code (rows O2 and O4).
const (
	codeLife  = 5 * time.Minute
	codeTries = 5
)

// codeKind is what codes by SMS and by mail differ in.
type codeKind struct {
	authenticator user.Authenticator
	channel       sending.Channel
	purpose       string
	challenge     func(*Session) *CodeChallenge
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
		purpose:       "otp-sms",
		challenge:     func(s *Session) *CodeChallenge { return &s.Challenges.SMS },
		factor:        func(f *Factors) *time.Time { return &f.SMS },
		ready:         func(u *user.User) bool { return u.SMSCodes && u.Phone.Verified },
		address:       func(u *user.User) user.Contact { return u.Phone },
		noUser:        ErrSMSNoUser,
		notReady:      ErrSMSNotReady,
	}
}

func emailCodes() codeKind {
	return codeKind{
		authenticator: user.AuthEmail,
		channel:       sending.Email,
		purpose:       "otp-email",
		challenge:     func(s *Session) *CodeChallenge { return &s.Challenges.Email },
		factor:        func(f *Factors) *time.Time { return &f.Email },
		ready:         func(u *user.User) bool { return u.EmailCodes && u.Email.Verified },
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
	case answer == nil:
		return nil, nil
	case !d.session.Bound():
		return ErrCodeNoUser, nil
	case answer.Code == "":
		return ErrCodeEmpty, nil
	case d.user == nil || !k.ready(d.user):
		return ErrCodeNotReady, nil
	}
	open := k.challenge(d.session)
	if !open.open() {
		return ErrCodeNotFound, nil
	}
	if d.now.After(open.ExpiresAt) {
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
		*open = CodeChallenge{}
		return d.passed(k.factor(&d.session.Factors), nil, nil)
	}
	if denied == ErrCodeWrong {
		d.afterDenial = func(s *Session) { k.challenge(s).miss() }
	}
	return denied, nil
}

// miss counts a wrong answer and closes a challenge that had its share.
func (c *CodeChallenge) miss() {
	if c.Tries++; c.Tries >= codeTries {
		*c = CodeChallenge{}
	}
}

// code derives the digits. They depend on the session, so that the code of one is
// worth nothing in another (row O6).
func (d *decision) code(k codeKind, c CodeChallenge) (string, error) {
	return otp.Derive(d.ring, k.purpose, c.KeyID, []byte(d.session.ID), c.ID[:])
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
	c := CodeChallenge{KeyID: d.ring.Current(), ExpiresAt: d.now.Add(codeLife)}
	if _, err := io.ReadFull(d.random, c.ID[:]); err != nil {
		return nil, fmt.Errorf("draw a challenge id: %w", err)
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
