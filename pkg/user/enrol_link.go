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

// RegistrationCode entitles whoever shows it to start the registration of one passkey,
// for a user who cannot sign in yet or any more.
type RegistrationCode struct{ ID, Code string }

// linkLife is how long a link to register a passkey is good for.
const linkLife = time.Hour

// Faults of a link to register a passkey (wire contract, section 6.4).
var (
	// ErrRegistrationCode refuses a code that is wrong, used or expired, and does not
	// tell it from one for a user who does not exist.
	ErrRegistrationCode = fault.New(fault.InvalidArgument, "COMMAND-Eeb2a", "Code is invalid")

	errLinkTemplate = fault.New(fault.InvalidArgument, "STEPUP-link", "send_link.url_template is required, because the code is of no use without a link")
	errLinkMail     = fault.New(fault.FailedPrecondition, "STEPUP-link-email", "Email is not verified")
)

// CreatePasskeyLink makes the code with which RegisterKey can be called for the user,
// and mails a link with it to their verified address or returns it. The caller needs
// user.passkey.write. It returns faults of kind InvalidArgument for a link template
// that is missing or cannot be rendered, one of kind FailedPrecondition for an address
// that is not verified, and the faults of a message that cannot be sent.
func (s *Service) CreatePasskeyLink(ctx context.Context, caller access.Caller, id string, ask CodeRequest) (Result, RegistrationCode, error) {
	if err := caller.RequireAnywhere(access.UserPasskey); err != nil {
		return Result{}, RegistrationCode{}, err
	}
	if !ask.Return {
		if ask.URLTemplate == "" {
			return Result{}, RegistrationCode{}, errLinkTemplate
		}
		if err := s.c.Messenger.Accepts(sending.RegisterPasskey, ask.URLTemplate); err != nil {
			return Result{}, RegistrationCode{}, err
		}
	}
	t := target{caller: caller, id: id, permission: access.UserPasskey, once: ask.Once}
	r, err := s.alter(ctx, t, func(d *draft) (*fault.Fault, error) {
		c, err := otp.NewChallenge(s.c.Ring, s.c.Random, d.now.Add(linkLife))
		if err != nil {
			return nil, err
		}
		made, err := s.registrationCode(d.user, c)
		if err != nil {
			return nil, err
		}
		if denied := s.sendLink(d, ask, made); denied != nil {
			return denied, nil
		}
		d.user.open(sending.RegisterPasskey, c)
		d.user.touch(d.now)
		return nil, nil
	})
	return r, RegistrationCode{ID: r.secrets[secretCodeID], Code: r.secrets[secretCode]}, err
}

// Names of the parts of a registration code among the secrets of an answer.
const (
	secretCodeID = "code-id"
	secretCode   = "code"
)

func (s *Service) sendLink(d *draft, ask CodeRequest, made RegistrationCode) *fault.Fault {
	switch {
	case ask.Return:
		d.hand(secretCodeID, made.ID)
		d.hand(secretCode, made.Code)
		return nil
	case !d.user.Email.Verified:
		return errLinkMail
	}
	return s.send(d, d.user.linkMessage(made, ask.URLTemplate))
}

func (u *User) linkMessage(made RegistrationCode, urlTemplate string) sending.Message {
	return sending.Message{
		ID: made.ID, Purpose: sending.RegisterPasskey, Channel: sending.Email, To: u.Email.Address,
		CodeID: made.ID, Code: made.Code, Expiry: linkLife, URLTemplate: urlTemplate,
	}
}

// registrationCode shows the challenge's own 128 bits beside the code, so that nobody
// gets to guess the code who has not seen them.
func (s *Service) registrationCode(u *User, c otp.Challenge) (RegistrationCode, error) {
	code, err := c.Code(s.c.Ring, string(sending.RegisterPasskey), []byte(u.ID))
	return RegistrationCode{ID: c.ID.String(), Code: code}, err
}

// enrolByCode changes the authenticators of the user for whom the code was made, and
// uses it up. The caller needs no permission.
func (s *Service) enrolByCode(ctx context.Context, id string, shown RegistrationCode, decide func(u *User, now time.Time) error) (*User, error) {
	r, err := s.run(ctx, idempotency.Request{}, func(d *draft) (*fault.Fault, error) {
		denied, err := s.redeem(d.user, shown, d.now)
		if denied != nil || err != nil {
			return denied, err
		}
		return settle(d.user, d.now, decide)
	}, func() (*draft, error) {
		old, err := s.c.Store.User(ctx, id)
		if err != nil {
			return nil, err
		}
		if old == nil {
			return nil, ErrRegistrationCode
		}
		return &draft{old: old, user: old.Clone()}, nil
	})
	return r.User, err
}

func (s *Service) redeem(u *User, shown RegistrationCode, now time.Time) (*fault.Fault, error) {
	open := u.Guard.Codes[sending.RegisterPasskey]
	if !open.Open() || open.Expired(now) {
		return ErrRegistrationCode, nil
	}
	right, err := s.registrationCode(u, open)
	switch {
	case err != nil:
		return nil, err
	case !otp.Equal(right.ID, shown.ID):
		return ErrRegistrationCode, nil
	case !otp.Equal(right.Code, shown.Code):
		u.miss(sending.RegisterPasskey)
		u.touch(now)
		return ErrRegistrationCode, nil
	}
	delete(u.Guard.Codes, sending.RegisterPasskey)
	return nil, nil
}
