package user

import (
	"context"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/idempotency"
	"github.com/stepup-auth/stepup/pkg/sending"
)

// Faults of a change of state (wire contract, section 6.9).
var (
	errLockState       = fault.New(fault.FailedPrecondition, "COMMAND-lgws8wtsqf", "User cannot be locked in this state")
	errUnlockState     = fault.New(fault.FailedPrecondition, "COMMAND-olb9vb0oca", "User is not locked")
	errInactiveAlready = fault.New(fault.FailedPrecondition, "COMMAND-5gunjw0cd7", "User is already inactive")
	errStillInitial    = fault.New(fault.FailedPrecondition, "COMMAND-gvx4kct9r2", "User has not been set up yet")
	errReactivateState = fault.New(fault.FailedPrecondition, "COMMAND-s5qqcz97hf", "User is not inactive")
)

// Lock stops the user from signing in and ends all sessions at once. It returns a
// fault of kind FailedPrecondition unless the user is active or initial.
func (s *Service) Lock(ctx context.Context, caller access.Caller, id string) (*User, error) {
	return s.administer(ctx, caller, id, func(u *User, now time.Time) *fault.Fault {
		if !u.Guard.CanStart() {
			return errLockState
		}
		u.Guard.State = StateLocked
		u.endSessions(now)
		return nil
	})
}

// Unlock lets a locked user sign in again and forgets all failed attempts, those of
// a disabled authenticator included. Ended sessions stay ended.
func (s *Service) Unlock(ctx context.Context, caller access.Caller, id string) (*User, error) {
	return s.administer(ctx, caller, id, func(u *User, _ time.Time) *fault.Fault {
		if u.Guard.State != StateLocked && len(u.Guard.Attempts) == 0 {
			return errUnlockState
		}
		if u.Guard.State == StateLocked {
			u.Guard.State = StateActive
		}
		u.Guard.Attempts = nil
		return nil
	})
}

// Deactivate is Lock with another name on it: for people who left, not for attacks.
func (s *Service) Deactivate(ctx context.Context, caller access.Caller, id string) (*User, error) {
	return s.administer(ctx, caller, id, func(u *User, now time.Time) *fault.Fault {
		switch u.Guard.State {
		case StateInactive:
			return errInactiveAlready
		case StateInitial:
			return errStillInitial
		default:
			u.Guard.State = StateInactive
			u.endSessions(now)
			return nil
		}
	})
}

// Reactivate undoes Deactivate. Ended sessions stay ended.
func (s *Service) Reactivate(ctx context.Context, caller access.Caller, id string) (*User, error) {
	return s.administer(ctx, caller, id, func(u *User, _ time.Time) *fault.Fault {
		if u.Guard.State != StateInactive {
			return errReactivateState
		}
		u.Guard.State = StateActive
		return nil
	})
}

// Delete removes the user and everything known of them, and ends all sessions at
// once. The id and the login name are free again. Users delete themselves after a
// recent check, as they change one factor (row S9): it takes all of them at once.
func (s *Service) Delete(ctx context.Context, caller access.Caller, id string) (*User, error) {
	if err := s.recent(caller, id); err != nil {
		return nil, err
	}
	t := target{caller: caller, id: id, permission: access.UserDelete}
	return s.change(ctx, t, func(u *User, now time.Time) (*fault.Fault, error) {
		u.end(now)
		return nil, nil
	})
}

// administer changes the guard of somebody else: users do not lock or unlock
// themselves.
func (s *Service) administer(ctx context.Context, caller access.Caller, id string, alter func(*User, time.Time) *fault.Fault) (*User, error) {
	if err := caller.RequireAnywhere(access.UserWrite); err != nil {
		return nil, err
	}
	t := target{caller: caller, id: id, permission: access.UserWrite}
	return s.change(ctx, t, func(u *User, now time.Time) (*fault.Fault, error) {
		if denied := alter(u, now); denied != nil {
			return denied, nil
		}
		u.touch(now)
		return nil, nil
	})
}

// Update lists what to change of a user; nil fields stay as they are.
type Update struct {
	Username *string
	Profile  *ProfileChange
	Email    *Contact
	Phone    *Contact
	// EmailCode and PhoneCode ask for codes that verify the new addresses; nil asks
	// for none.
	EmailCode, PhoneCode *CodeRequest
	Password             *PasswordChange
	// Once makes the change one that can be repeated without a second effect.
	Once idempotency.Request
}

// ProfileChange renames a user, and changes what else of the profile is set; nil fields
// stay as they are.
type ProfileChange struct {
	GivenName, FamilyName           string
	NickName, DisplayName, Language *string
	Gender                          *Gender
}

// of returns the profile after the change.
func (c ProfileChange) of(p Profile) Profile {
	p.GivenName, p.FamilyName = c.GivenName, c.FamilyName
	set(&p.NickName, c.NickName)
	set(&p.DisplayName, c.DisplayName)
	set(&p.Language, c.Language)
	set(&p.Gender, c.Gender)
	return p
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

// Update changes what is set. Users may change their own profile; their own password
// with the current one; and, when they have just proved themselves (row S9), their own
// addresses, to which a code is sent then. Everything else needs user.write. It returns
// the faults of what is changed, ErrReauthenticate, and those of a message that cannot
// be sent; then the user is as before.
func (s *Service) Update(ctx context.Context, caller access.Caller, id string, c Update) (Result, error) {
	if err := s.mayUpdate(caller, id, c); err != nil {
		return Result{}, err
	}
	if err := s.acceptableLink(c.EmailCode); err != nil {
		return Result{}, err
	}
	proof, err := s.proofOf(caller, c.Password)
	if err != nil {
		return Result{}, err
	}
	if c, err = s.normal(c); err != nil {
		return Result{}, err
	}
	t := target{caller: caller, id: id, permission: access.UserWrite, once: c.Once}
	return s.alter(ctx, t, func(d *draft) (*fault.Fault, error) {
		opened, denied, err := s.contactCodes(d, contacts{c.Email, c.EmailCode, c.Phone, c.PhoneCode})
		if denied != nil || err != nil {
			return denied, err
		}
		if c.Password != nil {
			if denied, err := s.changePassword(ctx, d.user, *c.Password, proof, d.now); denied != nil || err != nil {
				return denied, err
			}
		}
		c.apply(d.user)
		opened.apply(d)
		d.user.touch(d.now)
		return nil, nil
	})
}

// mayUpdate refuses, before any look-up, what users may not do for themselves.
func (s *Service) mayUpdate(caller access.Caller, id string, c Update) error {
	if err := selfOr(caller, id, access.UserWrite); err != nil {
		return err
	}
	if c.Username != nil || claims(c.Email, c.EmailCode) || claims(c.Phone, c.PhoneCode) {
		if err := caller.RequireAnywhere(access.UserWrite); err != nil {
			return err
		}
	}
	if c.Email != nil || c.Phone != nil {
		return s.recent(caller, id)
	}
	return nil
}

// normal returns the update as it is stored and refuses what no user could have. That
// comes before the current password is checked, so that a refusal never tells whether
// it was right.
func (s *Service) normal(c Update) (Update, error) {
	if c.Username != nil {
		if err := checkUsername(*c.Username); err != nil {
			return c, err
		}
	}
	if c.Profile != nil {
		if err := c.Profile.of(Profile{}).validate(); err != nil {
			return c, err
		}
	}
	if c.Phone != nil {
		phone, err := normalPhone(*c.Phone)
		if err != nil {
			return c, err
		}
		c.Phone = &phone
	}
	if c.Password != nil {
		return c, s.acceptable(c.Password.New)
	}
	return c, nil
}

func (c Update) apply(u *User) {
	if c.Username != nil {
		u.Username = *c.Username
	}
	if c.Profile != nil {
		u.Profile = c.Profile.of(u.Profile)
	}
	if c.Email != nil && !keeps(u.Email, *c.Email, c.EmailCode) {
		u.Email = *c.Email
		delete(u.Guard.Codes, sending.VerifyEmail)
	}
	if c.Phone != nil && !keeps(u.Phone, *c.Phone, c.PhoneCode) {
		u.Phone = *c.Phone
		u.SMSCodes = u.SMSCodes && u.Phone.Address != ""
		delete(u.Guard.Codes, sending.VerifyPhone)
	}
}

// PasswordChange is a new password and, unless an administrator sets it, the
// current one as proof.
type PasswordChange struct {
	New     NewPassword
	Current string
}

// SetPassword replaces the password. Without the current one the caller needs
// user.write; with it the check counts like any other, and users may do it for
// themselves. Password factors of the user's sessions stop counting.
func (s *Service) SetPassword(ctx context.Context, caller access.Caller, id string, c PasswordChange) (*User, error) {
	r, err := s.Update(ctx, caller, id, Update{Password: &c})
	return r.User, err
}

// errPasswordSame is the original's answer to a change that changes nothing.
var errPasswordSame = fault.New(fault.FailedPrecondition, "COMMAND-Aesh5", "New password cannot be the same as your current password")

// proofOf demands user.write for a change without proof, before any look-up.
func (s *Service) proofOf(caller access.Caller, c *PasswordChange) (*Proof, error) {
	switch {
	case c == nil:
		return nil, nil
	case c.New.empty():
		return nil, errNoPassword
	case c.Current == "":
		return nil, caller.RequireAnywhere(access.UserWrite)
	case c.New.Hash != "" && !caller.Holds(access.UserWrite):
		return nil, access.ErrForbidden // no policy can look into a hash
	default:
		return NewProof(s.c.Hasher, s.c.Random, c.Current), nil
	}
}

var errNoPassword = fault.New(fault.InvalidArgument, "STEPUP-password", "New password is empty")

func (s *Service) changePassword(ctx context.Context, u *User, c PasswordChange, proof *Proof, now time.Time) (*fault.Fault, error) {
	if proof != nil {
		if denied, err := u.CheckPassword(ctx, proof, s.c.Lockout, now); denied != nil || err != nil {
			return denied, err
		}
		if c.New.Plain == c.Current {
			u.touch(now) // the answer tells that the password was right, so it has to be committed
			return errPasswordSame, nil
		}
	}
	return nil, s.setPassword(ctx, u, c.New, now)
}
