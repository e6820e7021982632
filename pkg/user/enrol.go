package user

import (
	"context"
	"errors"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/otp"
)

// Faults of enrolment (wire contract, section 6.6).
var (
	errTOTPExists    = fault.New(fault.AlreadyExists, "COMMAND-do9se", "Multifactor OTP (OneTimePassword) already set up")
	errTOTPMissing   = fault.New(fault.NotFound, "COMMAND-3Mif9s", "Multifactor OTP (OneTimePassword) doesn't exist")
	errTOTPConfirmed = fault.New(fault.FailedPrecondition, "COMMAND-qx4ls", "Multifactor OTP (OneTimePassword) is already set up")
	errSMSUnverified = fault.New(fault.FailedPrecondition, "COMMAND-Q54j2", "Phone is not verified")
	errSMSExists     = fault.New(fault.AlreadyExists, "COMMAND-Ad3g2", "One-time codes by SMS are already set up")
	errSMSMissing    = fault.New(fault.NotFound, "COMMAND-Sr3h3", "One-time codes by SMS are not set up")
	errMailUnproved  = fault.New(fault.FailedPrecondition, "COMMAND-KLJ2d", "Email is not verified")
	errMailExists    = fault.New(fault.AlreadyExists, "COMMAND-MKL2s", "One-time codes by email are already set up")
	errMailMissing   = fault.New(fault.NotFound, "COMMAND-b312D", "One-time codes by email are not set up")
	errRecoveryCount = fault.New(fault.FailedPrecondition, "COMMAND-8f2k9", "Maximum number of recovery codes exceeded")

	// ErrReauthenticate asks a user who changes factors to prove themselves again
	// (row S9); the text is the error code of RFC 9470.
	ErrReauthenticate = fault.New(fault.PermissionDenied, "STEPUP-reauthenticate", "insufficient_user_authentication")
)

// enrol changes the authenticators of a user: their own after a recent check, or
// anybody's with the permission.
func (s *Service) enrol(ctx context.Context, t target, decide func(u *User, now time.Time) error) (*User, error) {
	if err := s.recent(t.caller, t.id); err != nil {
		return nil, err
	}
	return s.change(ctx, t, func(u *User, now time.Time) (*fault.Fault, error) {
		return settle(u, now, decide)
	})
}

// settle runs a decision that either changes the user or is denied.
func settle(u *User, now time.Time, decide func(u *User, now time.Time) error) (*fault.Fault, error) {
	var denied *fault.Fault
	if err := decide(u, now); errors.As(err, &denied) {
		return denied, nil
	} else if err != nil {
		return nil, err
	}
	u.touch(now)
	return nil, nil
}

// recent returns ErrReauthenticate to users whose last check is too long ago for what
// they want to change of themselves.
func (s *Service) recent(caller access.Caller, id string) error {
	if caller.IsUser(id) && s.now().Sub(caller.AuthenticatedAt) > s.c.Reauthentication {
		return ErrReauthenticate
	}
	return nil
}

// NewTOTP is what an authenticator app needs.
type NewTOTP struct {
	// URI is in the otpauth form, Secret the same seed in base32.
	URI, Secret string
}

// RegisterTOTP gives the user a new seed, which counts once VerifyTOTP has seen a code
// of it. An unconfirmed seed is replaced.
func (s *Service) RegisterTOTP(ctx context.Context, caller access.Caller, id string) (*User, NewTOTP, error) {
	seed, err := otp.NewSecret(s.c.Random)
	if err != nil {
		return nil, NewTOTP{}, err
	}
	sealed, err := s.c.Ring.Seal(s.c.Random, totpPurpose, seed, []byte(id))
	if err != nil {
		return nil, NewTOTP{}, err
	}
	u, err := s.enrol(ctx, target{caller: caller, id: id, permission: access.UserCredential}, func(u *User, _ time.Time) error {
		if u.TOTP.Confirmed {
			return errTOTPExists
		}
		u.TOTP = TOTP{Sealed: sealed}
		return nil
	})
	if err != nil {
		return nil, NewTOTP{}, err
	}
	return u, NewTOTP{URI: otp.URI(s.c.Issuer, u.LoginName(), seed), Secret: otp.EncodeSecret(seed)}, nil
}

// importTOTP gives a new user the seed that they had elsewhere.
func (s *Service) importTOTP(u *User, secret string) error {
	if secret == "" {
		return nil
	}
	seed, err := otp.ParseSecret(secret)
	if err != nil {
		return err
	}
	sealed, err := s.c.Ring.Seal(s.c.Random, totpPurpose, seed, []byte(u.ID))
	u.TOTP = TOTP{Sealed: sealed, Confirmed: true}
	return err
}

// VerifyTOTP confirms the seed with a code of the app. The code's step is burnt, so
// that it cannot step up a session as well. Wrong codes are not counted: who may guess
// them may have a seed of their own from RegisterTOTP.
func (s *Service) VerifyTOTP(ctx context.Context, caller access.Caller, id, code string) (*User, error) {
	return s.enrol(ctx, target{caller: caller, id: id, permission: access.UserCredential}, func(u *User, now time.Time) error {
		switch {
		case len(u.TOTP.Sealed) == 0:
			return errTOTPMissing
		case u.TOTP.Confirmed:
			return errTOTPConfirmed
		}
		seed, err := u.totpSeed(s.c.Ring)
		if err != nil {
			return err
		}
		step, outcome := otp.Match(seed, code, otp.Window{Now: now, After: u.Guard.TOTPStep})
		if outcome != otp.Right {
			return ErrTOTPWrong
		}
		u.TOTP.Confirmed, u.Guard.TOTPStep = true, step
		delete(u.Guard.Attempts, AuthTOTP)
		return nil
	})
}

// RemoveTOTP takes the authenticator app away.
func (s *Service) RemoveTOTP(ctx context.Context, caller access.Caller, id string) (*User, error) {
	return s.enrol(ctx, target{caller: caller, id: id, permission: access.UserWrite}, func(u *User, _ time.Time) error {
		if len(u.TOTP.Sealed) == 0 {
			return errTOTPMissing
		}
		u.TOTP = TOTP{}
		return nil
	})
}

// AddSMSCodes lets the user receive one-time codes on their verified phone.
func (s *Service) AddSMSCodes(ctx context.Context, caller access.Caller, id string) (*User, error) {
	return s.enrol(ctx, target{caller: caller, id: id, permission: access.UserCredential}, func(u *User, _ time.Time) error {
		switch {
		case !u.Phone.Verified:
			return errSMSUnverified
		case u.SMSCodes:
			return errSMSExists
		}
		u.SMSCodes = true
		return nil
	})
}

// RemoveSMSCodes undoes AddSMSCodes.
func (s *Service) RemoveSMSCodes(ctx context.Context, caller access.Caller, id string) (*User, error) {
	return s.enrol(ctx, target{caller: caller, id: id, permission: access.UserWrite}, func(u *User, _ time.Time) error {
		if !u.SMSCodes {
			return errSMSMissing
		}
		u.SMSCodes = false
		return nil
	})
}

// AddEmailCodes lets the user receive one-time codes at their verified address.
func (s *Service) AddEmailCodes(ctx context.Context, caller access.Caller, id string) (*User, error) {
	return s.enrol(ctx, target{caller: caller, id: id, permission: access.UserCredential}, func(u *User, _ time.Time) error {
		switch {
		case !u.Email.Verified:
			return errMailUnproved
		case u.EmailCodes:
			return errMailExists
		}
		u.EmailCodes = true
		return nil
	})
}

// RemoveEmailCodes undoes AddEmailCodes.
func (s *Service) RemoveEmailCodes(ctx context.Context, caller access.Caller, id string) (*User, error) {
	return s.enrol(ctx, target{caller: caller, id: id, permission: access.UserWrite}, func(u *User, _ time.Time) error {
		if !u.EmailCodes {
			return errMailMissing
		}
		u.EmailCodes = false
		return nil
	})
}

// MaxRecoveryCodes is how many unused recovery codes a user can have, and how many
// are made when no number is asked for.
const MaxRecoveryCodes = 10

// GenerateRecoveryCodes adds new codes to the unused ones and returns them. They are
// kept as MACs and cannot be shown again.
func (s *Service) GenerateRecoveryCodes(ctx context.Context, caller access.Caller, id string, count int) (*User, []string, error) {
	if count == 0 {
		count = MaxRecoveryCodes
	}
	codes, macs, err := s.newRecoveryCodes(id, count)
	if err != nil {
		return nil, nil, err
	}
	u, err := s.enrol(ctx, target{caller: caller, id: id, permission: access.UserCredential}, func(u *User, _ time.Time) error {
		if len(u.Guard.RecoveryCodes)+count > MaxRecoveryCodes {
			return errRecoveryCount
		}
		u.Guard.RecoveryCodes = append(u.Guard.RecoveryCodes, macs...)
		return nil
	})
	if err != nil {
		return nil, nil, err
	}
	return u, codes, nil
}

func (s *Service) newRecoveryCodes(id string, count int) (codes []string, macs []otp.RecoveryMAC, err error) {
	if count > MaxRecoveryCodes {
		return nil, nil, errRecoveryCount
	}
	for range count {
		code, err := otp.NewRecoveryCode(s.c.Random)
		if err != nil {
			return nil, nil, err
		}
		mac, err := otp.NewRecoveryMAC(s.c.Ring, id, code)
		if err != nil {
			return nil, nil, err
		}
		codes, macs = append(codes, code), append(macs, mac)
	}
	return codes, macs, nil
}

// RemoveRecoveryCodes takes all unused codes away; there may be none.
func (s *Service) RemoveRecoveryCodes(ctx context.Context, caller access.Caller, id string) (*User, error) {
	return s.enrol(ctx, target{caller: caller, id: id, permission: access.UserWrite}, func(u *User, _ time.Time) error {
		u.Guard.RecoveryCodes = nil
		return nil
	})
}
