package user

import (
	"context"
	"strings"
	"time"
	"unicode"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/id"
	"github.com/stepup-auth/stepup/pkg/idempotency"
	"github.com/stepup-auth/stepup/pkg/phone"
)

// Registration describes a human to be created.
type Registration struct {
	// ID may be chosen by the caller; empty draws one.
	ID string
	// Organization may be empty; see Service.Organization.
	Organization string
	// Username may be empty; the email address takes its place.
	Username string
	Profile  Profile
	Email    Contact
	Phone    Contact
	// EmailCode and PhoneCode ask for codes that verify the addresses; nil asks for
	// none.
	EmailCode, PhoneCode *CodeRequest
	Password             NewPassword
	// TOTPSecret is the seed, in base32, of an authenticator app that the user has
	// already; empty for none. It counts as confirmed.
	TOTPSecret string
	// Links are accounts at external identity providers. The caller vouches for them.
	Links []Link
	// Once makes the creation one that can be repeated without a second effect.
	Once idempotency.Request
}

// NewPassword is a password to be set: plain text or an imported hash, not both.
// The zero value sets none.
type NewPassword struct {
	Plain          string
	Hash           string
	ChangeRequired bool
}

func (p NewPassword) empty() bool { return p.Plain == "" && p.Hash == "" }

// Create stores a new user, who is active at once. The caller needs user.write in
// the organization. It returns ErrExists for a taken id, ErrLoginNameTaken for a
// taken login name, the faults of AddLink, faults of kind InvalidArgument for bad input,
// password policy included, and the faults of a message that cannot be sent; then there
// is no user.
func (s *Service) Create(ctx context.Context, caller access.Caller, n Registration) (Result, error) {
	if err := caller.RequireAnywhere(access.UserWrite); err != nil {
		return Result{}, err
	}
	organization, err := s.Organization(n.Organization, caller)
	if err != nil {
		return Result{}, err
	}
	if err := caller.Require(access.UserWrite, organization); err != nil {
		return Result{}, err
	}
	if err := s.acceptableLink(n.EmailCode); err != nil {
		return Result{}, err
	}
	u, err := s.build(ctx, n, s.now())
	if err != nil {
		return Result{}, err
	}
	u.Organization = organization
	var former int64
	proving := contacts{&u.Email, n.EmailCode, &u.Phone, n.PhoneCode}
	return s.run(ctx, n.Once, func(d *draft) (*fault.Fault, error) { return s.openContacts(d, proving) },
		func() (*draft, error) {
			d := &draft{user: u.Clone(), former: &former}
			d.user.Guard.Epoch = max(d.user.Guard.Epoch, former+1)
			if n.Once.None() {
				return d, nil
			}
			d.earlier, err = s.c.Store.User(ctx, u.ID)
			return d, err
		})
}

func (s *Service) build(ctx context.Context, n Registration, now time.Time) (*User, error) {
	u := &User{
		ID:       n.ID,
		Username: n.Username,
		Created:  now,
		Profile:  n.Profile,
		Email:    n.Email,
		Guard:    Guard{State: StateActive},
	}
	var err error
	if u.ID == "" && !n.Once.None() {
		u.ID = n.Once.ID()
	}
	if u.ID == "" {
		if u.ID, err = id.New(s.c.Random); err != nil {
			return nil, err
		}
	}
	u.Guard.UserID = u.ID
	if u.Username == "" {
		u.Username = n.Email.Address
	}
	if err := checkUsername(u.Username); err != nil {
		return nil, err
	}
	if err := u.Profile.validate(); err != nil {
		return nil, err
	}
	if u.Phone, err = normalPhone(n.Phone); err != nil {
		return nil, err
	}
	if err := s.acceptable(n.Password); err != nil {
		return nil, err
	}
	if err := s.importTOTP(u, n.TOTPSecret); err != nil {
		return nil, err
	}
	for _, l := range n.Links {
		if err := s.link(u, l); err != nil {
			return nil, err
		}
	}
	// Last, because it costs more than all that may still refuse the user.
	if err := s.setPassword(ctx, u, n.Password, now); err != nil {
		return nil, err
	}
	u.endSessions(now)
	u.touch(now)
	return u, nil
}

// Faults of a user's fields.
var (
	errUsername  = fault.New(fault.InvalidArgument, "STEPUP-username", "Username must not be empty, begin or end with white space, or hold control characters")
	errFirstName = fault.New(fault.InvalidArgument, "USER-UCej2", "First name in profile is empty")
	errLastName  = fault.New(fault.InvalidArgument, "USER-4hB7d", "Last name in profile is empty")
)

func checkUsername(name string) error {
	if name == "" || strings.TrimSpace(name) != name || strings.ContainsFunc(name, unicode.IsControl) {
		return errUsername
	}
	return nil
}

func (p Profile) validate() error {
	switch {
	case strings.TrimSpace(p.GivenName) == "":
		return errFirstName
	case strings.TrimSpace(p.FamilyName) == "":
		return errLastName
	}
	return nil
}

// normalPhone returns the number in the form that it is stored and sent to.
func normalPhone(c Contact) (Contact, error) {
	if c.Address == "" {
		return Contact{}, nil
	}
	e164, _, err := phone.Parse(c.Address)
	if err != nil {
		return Contact{}, err
	}
	c.Address = e164
	return c, nil
}

// acceptable returns a fault of kind InvalidArgument for a password that the policy
// refuses and for a hash that could not be verified.
func (s *Service) acceptable(p NewPassword) error {
	switch {
	case p.empty():
		return nil
	case p.Hash != "":
		return s.c.Hasher.CheckImport(p.Hash)
	default:
		return s.c.Passwords.Check(p.Plain)
	}
}

// setPassword puts an acceptable password into u, which is then to be touched by the
// caller.
func (s *Service) setPassword(ctx context.Context, u *User, p NewPassword, now time.Time) error {
	if p.empty() {
		return nil
	}
	hash := p.Hash
	if hash == "" {
		var err error
		if hash, err = s.c.Hasher.Hash(ctx, s.c.Random, p.Plain); err != nil {
			return err
		}
	}
	u.Password = Password{Hash: hash, ChangeRequired: p.ChangeRequired}
	// Later than before in any case: sessions know the password by this time.
	u.Guard.PasswordChanged = latest(now, u.Guard.PasswordChanged.Add(time.Microsecond))
	delete(u.Guard.Attempts, AuthPassword)
	return nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
