package user

import (
	"context"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/idempotency"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/sending"
)

// CodeRequest asks for a code that verifies an address.
type CodeRequest struct {
	// Return hands the code to the caller, and no message leaves.
	Return bool
	// URLTemplate is the link that a mail leads to; empty has none.
	URLTemplate string
	// Optional sends nothing where the deployment has no way to, and leaves an address
	// that is verified already as it is.
	Optional bool
	// Once makes a request for nothing but the code one that can be repeated without a
	// second effect.
	Once idempotency.Request
}

// Faults of the verification of an address (wire contract, section 6.9).
var (
	ErrVerifyWrong   = fault.New(fault.InvalidArgument, "COMMAND-eis9R", "Code is invalid")
	ErrVerifyExpired = fault.New(fault.FailedPrecondition, "CODE-QvUQ4P", "Code is expired")
	ErrVerifyLocked  = fault.New(fault.FailedPrecondition, "STEPUP-verify-locked", "Too many wrong codes")

	errNoAddress = fault.New(fault.FailedPrecondition, "STEPUP-no-address", "The user has no such address")
	errVerified  = fault.New(fault.FailedPrecondition, "STEPUP-verified", "The address is already verified")
)

// contactKind is what mail addresses and phone numbers differ in.
type contactKind struct {
	// authenticator is whose failures wrong codes count as: an address that is proved
	// by guessing would be an authenticator that was.
	authenticator Authenticator
	channel       sending.Channel
	purpose       sending.Purpose
	// life is shorter on a phone, where nobody has to look for the message (NIST SP
	// 800-63A-4, section 3.8).
	life    time.Duration
	contact func(*User) *Contact
}

func mailContact() contactKind {
	return contactKind{AuthEmail, sending.Email, sending.VerifyEmail, time.Hour, func(u *User) *Contact { return &u.Email }}
}

func phoneContact() contactKind {
	return contactKind{AuthSMS, sending.SMS, sending.VerifyPhone, 10 * time.Minute, func(u *User) *Contact { return &u.Phone }}
}

// contacts are the addresses that a change sets, and how they are to be verified; each
// may be nil.
type contacts struct {
	email     *Contact
	emailCode *CodeRequest
	phone     *Contact
	phoneCode *CodeRequest
}

// openedCode is a code that is ready but not the user's yet, so that a change that is
// denied later leaves no trace of it.
type openedCode struct {
	purpose   sending.Purpose
	challenge otp.Challenge
}

type openedCodes []openedCode

func (all openedCodes) apply(d *draft) {
	for _, c := range all {
		d.user.open(c.purpose, c.challenge)
	}
}

// openContacts is contactCodes for a user whom nothing else is decided about.
func (s *Service) openContacts(d *draft, c contacts) (*fault.Fault, error) {
	opened, denied, err := s.contactCodes(d, c)
	opened.apply(d)
	return denied, err
}

// contactCodes makes the codes that verify the addresses: each is handed to the caller
// or put into the outbox. It does not change the user.
func (s *Service) contactCodes(d *draft, c contacts) (opened openedCodes, denied *fault.Fault, err error) {
	for _, ask := range []struct {
		kind contactKind
		to   *Contact
		code *CodeRequest
	}{{mailContact(), c.email, c.emailCode}, {phoneContact(), c.phone, c.phoneCode}} {
		if ask.to == nil || ask.to.Address == "" || ask.code == nil || s.needless(d, ask.kind, *ask.to, *ask.code) {
			continue
		}
		one, denied, err := s.contactCode(d, ask.kind, ask.to.Address, *ask.code)
		if denied != nil || err != nil {
			return nil, denied, err
		}
		opened = append(opened, one)
	}
	return opened, nil, nil
}

// needless reports whether an optional code can be done without.
func (s *Service) needless(d *draft, k contactKind, to Contact, ask CodeRequest) bool {
	return ask.Optional && !s.c.Messenger.Carries(k.channel) || keeps(*k.contact(d.user), to, &ask)
}

// keeps reports whether an address that is set stays as it is: it is the one that the
// user has, verified, and nobody insists on a code.
func keeps(has, to Contact, ask *CodeRequest) bool {
	return ask != nil && ask.Optional && has == Contact{Address: to.Address, Verified: true}
}

func (s *Service) contactCode(d *draft, k contactKind, to string, ask CodeRequest) (openedCode, *fault.Fault, error) {
	if lock := d.user.Locked(k.authenticator, s.c.Lockout, d.now); lock != nil {
		return openedCode{}, ErrVerifyLocked.WithRetryAfter(lock.Wait), nil // row O14: no code that cannot work
	}
	c, err := otp.NewChallenge(s.c.Ring, s.c.Random, d.now.Add(k.life))
	if err != nil {
		return openedCode{}, nil, err
	}
	code, err := s.contactDigits(d.user, k, to, c)
	if err != nil {
		return openedCode{}, nil, err
	}
	if ask.Return {
		d.hand(string(k.channel), code)
		return openedCode{k.purpose, c}, nil, nil
	}
	c.Region = s.c.Sending[k.channel].Watched(to)
	return openedCode{k.purpose, c}, s.send(d, k.message(c, to, code, ask.URLTemplate)), nil
}

func (k contactKind) message(c otp.Challenge, to, code, urlTemplate string) sending.Message {
	return sending.Message{
		ID: c.ID.String(), Purpose: k.purpose, Channel: k.channel, To: to, Code: code, Expiry: k.life, URLTemplate: urlTemplate,
	}
}

// contactDigits derives the code for one user and one address: it verifies no other. An
// address with a fixed code has that.
func (s *Service) contactDigits(u *User, k contactKind, to string, c otp.Challenge) (string, error) {
	if fixed, ok := s.c.Sending[k.channel].Fixed.Code(to); ok {
		return fixed, nil
	}
	return c.Code(s.c.Ring, string(k.purpose), []byte(u.ID), []byte(to))
}

// acceptableLink refuses a link template that could not be sent later.
func (s *Service) acceptableLink(ask *CodeRequest) error {
	if ask == nil || ask.URLTemplate == "" {
		return nil
	}
	return s.c.Messenger.Accepts(sending.VerifyEmail, ask.URLTemplate)
}

// claims reports whether an address is set on the caller's word: as verified, or with
// the code that would verify it. Users may not vouch for themselves.
func claims(to *Contact, ask *CodeRequest) bool {
	return to != nil && to.Address != "" && (ask == nil || ask.Return)
}

// SendEmailCode replaces the code that verifies the user's mail address. Users may
// have it sent, but only callers with user.write may have it returned. It returns
// faults of kind FailedPrecondition when there is nothing to verify, and the faults of
// a message that cannot be sent.
func (s *Service) SendEmailCode(ctx context.Context, caller access.Caller, id string, ask CodeRequest) (Result, error) {
	return s.sendContactCode(ctx, target{caller: caller, id: id, permission: access.UserWrite}, mailContact(), ask)
}

// SendPhoneCode is SendEmailCode for the user's phone number.
func (s *Service) SendPhoneCode(ctx context.Context, caller access.Caller, id string, ask CodeRequest) (Result, error) {
	return s.sendContactCode(ctx, target{caller: caller, id: id, permission: access.UserWrite}, phoneContact(), ask)
}

func (s *Service) sendContactCode(ctx context.Context, t target, k contactKind, ask CodeRequest) (Result, error) {
	if ask.Return {
		if err := t.caller.RequireAnywhere(access.UserWrite); err != nil {
			return Result{}, err
		}
	}
	if err := s.acceptableLink(&ask); err != nil {
		return Result{}, err
	}
	t.once = ask.Once
	return s.alter(ctx, t, func(d *draft) (*fault.Fault, error) {
		switch to := *k.contact(d.user); {
		case to.Address == "":
			return errNoAddress, nil
		case to.Verified:
			return errVerified, nil
		}
		opened, denied, err := s.contactCode(d, k, k.contact(d.user).Address, ask)
		if denied != nil || err != nil {
			return denied, err
		}
		d.user.open(opened.purpose, opened.challenge)
		d.user.touch(d.now)
		return nil, nil
	})
}

// VerifyEmail marks the user's mail address as verified when the code is the one that
// was made for it. Wrong codes count like those of a session (rows O4, O5). It returns
// ErrVerifyWrong also when there is no code, ErrVerifyExpired and ErrVerifyLocked.
func (s *Service) VerifyEmail(ctx context.Context, caller access.Caller, id, code string) (*User, error) {
	return s.verifyContact(ctx, target{caller: caller, id: id, permission: access.UserWrite}, mailContact(), code)
}

// VerifyPhone is VerifyEmail for the user's phone number.
func (s *Service) VerifyPhone(ctx context.Context, caller access.Caller, id, code string) (*User, error) {
	return s.verifyContact(ctx, target{caller: caller, id: id, permission: access.UserWrite}, phoneContact(), code)
}

func (s *Service) verifyContact(ctx context.Context, t target, k contactKind, answer string) (*User, error) {
	r, err := s.alter(ctx, t, func(d *draft) (*fault.Fault, error) {
		u, now := d.user, d.now
		open := u.Guard.Codes[k.purpose]
		switch {
		case !open.Open():
			return ErrVerifyWrong, nil
		case open.Expired(now):
			return ErrVerifyExpired, nil
		}
		code, err := s.contactDigits(u, k, k.contact(u).Address, open)
		if err != nil {
			return nil, err
		}
		g := Guess{k.authenticator, s.c.Lockout, now, ErrVerifyLocked, ErrVerifyWrong}
		denied := u.Guess(g, func() bool { return otp.Equal(code, answer) })
		switch denied {
		case nil:
			region := sending.Region{Channel: k.channel, Organization: u.Organization, CallingCode: open.Region}
			d.converted = s.c.Sending[k.channel].Unused(region, now)
			delete(u.Guard.Codes, k.purpose)
			k.contact(u).Verified = true
			u.touch(now)
		case ErrVerifyWrong:
			u.miss(k.purpose)
		}
		return denied, nil
	})
	return r.User, err
}

// miss counts a wrong answer to the code of the purpose.
func (u *User) miss(p sending.Purpose) {
	c := u.Guard.Codes[p]
	if c.Miss(); c.Open() {
		u.open(p, c)
		return
	}
	delete(u.Guard.Codes, p)
}
