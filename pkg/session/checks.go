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

// checkUser binds the named user. The commit need not rely on the user: the session
// remembers the epoch that it was bound in, and is dead when that moved on.
func (d *decision) checkUser(_ context.Context, c Checks) (*fault.Fault, error) {
	if c.User == nil {
		return nil, nil
	}
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
	d.changed = true
}

func (d *decision) checkPassword(ctx context.Context, c Checks) (*fault.Fault, error) {
	switch {
	case c.Password == nil:
		return nil, nil
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
	case c.TOTP == nil:
		return nil, nil
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
	case c.Recovery == nil:
		return nil, nil
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
