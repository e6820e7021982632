package session

import (
	"context"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/user"
)

// userCanStart looks at the user that the command names, if it names one.
func (d *decision) userCanStart(ctx context.Context, c Checks) (*fault.Fault, error) {
	switch {
	case c.User == nil:
		return nil, nil
	case d.user == nil && d.proof != nil:
		return ErrUserUnknown, d.proof.Stall(ctx)
	case d.user == nil:
		return ErrUserUnknown, nil
	case !d.user.Guard.CanStart():
		return ErrUserNotActive, nil
	default:
		return nil, nil
	}
}

// check runs the checks that are asked for, until one fails, and remembers how each
// ended. The user is no factor: to name one proves nothing.
func (d *decision) check(ctx context.Context, c Checks) (*fault.Fault, error) {
	for _, check := range []struct {
		asked  bool
		factor user.Authenticator
		run    func(context.Context, Checks) (*fault.Fault, error)
	}{
		{c.User != nil, "", d.checkUser},
		{c.Password != nil, user.AuthPassword, d.checkPassword},
		{c.Intent != nil, user.AuthIDP, d.checkIntent},
		{c.Key != nil, user.AuthPasskey, d.checkKey},
		{c.TOTP != nil, user.AuthTOTP, d.checkTOTP},
		{c.SMS != nil, user.AuthSMS, d.checkSMS},
		{c.Email != nil, user.AuthEmail, d.checkEmail},
		{c.Recovery != nil, user.AuthRecovery, d.checkRecovery},
	} {
		if !check.asked {
			continue
		}
		denied, err := check.run(ctx, c)
		if err != nil {
			return nil, err
		}
		d.note(check.factor, denied)
		if denied != nil {
			return denied, nil
		}
	}
	return nil, nil
}

// note remembers how the check of a factor ended.
func (d *decision) note(factor user.Authenticator, denied *fault.Fault) {
	if factor == "" {
		return
	}
	a := user.Attempt{Factor: factor, Before: d.loaded.User, Lockout: d.lockout, Now: d.now}
	d.checked = append(d.checked, user.Check{Factor: factor, Outcome: a.Outcome(d.user, denied)})
}

// checkUser binds the named user. The commit need not rely on the user: the session
// remembers the epoch that it was bound in, and is dead when that moved on.
func (d *decision) checkUser(context.Context, Checks) (*fault.Fault, error) {
	if d.session.Bound() && d.session.Factors.User.ID != d.user.ID {
		return ErrUserChange, nil
	}
	d.bind()
	return nil, nil
}

// bind makes the loaded user the session's.
func (d *decision) bind() {
	d.session.Factors.User = UserFactor{
		ID:           d.user.ID,
		Organization: d.user.Organization,
		VerifiedAt:   d.now,
		Epoch:        d.user.Guard.EpochOf(d.session.Agent.Fingerprint),
	}
	d.changed, d.bound = true, true
}

func (d *decision) checkPassword(ctx context.Context, _ Checks) (*fault.Fault, error) {
	switch {
	case !d.session.Bound():
		return ErrPasswordNoUser, nil
	case d.user == nil:
		return ErrPasswordGone, nil
	}
	denied, err := d.user.CheckPassword(ctx, d.proof, d.lockout, d.now)
	d.session.Factors.PasswordSet = d.user.Guard.PasswordChanged // counts only with the next line
	return d.passed(&d.session.Factors.Password, denied, err)
}

func (d *decision) checkTOTP(_ context.Context, c Checks) (*fault.Fault, error) {
	switch {
	case !d.session.Bound():
		return ErrTOTPNoUser, nil
	case d.user == nil:
		return user.ErrTOTPNotReady, nil
	}
	denied, err := d.user.CheckTOTP(d.ring, c.TOTP.Code, d.lockout, d.now)
	return d.passed(&d.session.Factors.TOTP, denied, err)
}

func (d *decision) checkSMS(_ context.Context, c Checks) (*fault.Fault, error) {
	return d.checkCode(smsCodes(), c.SMS)
}

func (d *decision) checkEmail(_ context.Context, c Checks) (*fault.Fault, error) {
	return d.checkCode(emailCodes(), c.Email)
}

func (d *decision) checkRecovery(_ context.Context, c Checks) (*fault.Fault, error) {
	switch {
	case !d.session.Bound():
		return ErrRecoveryNoUser, nil
	case d.user == nil:
		return user.ErrRecoveryNotReady, nil
	}
	denied := d.user.CheckRecoveryCode(d.ring, c.Recovery.Code, d.lockout, d.now)
	return d.passed(&d.session.Factors.Recovery, denied, nil)
}

// passed marks the factor as verified now, unless the check did not pass.
func (d *decision) passed(factor *time.Time, denied *fault.Fault, err error) (*fault.Fault, error) {
	if denied == nil && err == nil {
		*factor = d.now
		d.changed, d.rely = true, true
	}
	return denied, err
}
