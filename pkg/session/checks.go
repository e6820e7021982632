package session

import (
	"context"

	"github.com/stepup-auth/stepup/pkg/fault"
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
	bound := &d.session.Factors.User
	if bound.ID != "" && bound.ID != d.user.ID {
		return ErrUserChange, nil
	}
	*bound = UserFactor{
		ID:           d.user.ID,
		Organization: d.user.Organization,
		VerifiedAt:   d.now,
		Epoch:        d.user.Guard.Epoch,
	}
	d.changed = true
	return nil, nil
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
	if denied != nil || err != nil {
		return denied, err
	}
	d.rely = true
	d.session.Factors.Password = d.now
	d.changed = true
	return nil, nil
}
