package user

import (
	"context"
	"io"
	"iter"
	"slices"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/idp"
	"github.com/stepup-auth/stepup/pkg/keyring"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/password"
	"github.com/stepup-auth/stepup/pkg/retry"
	"github.com/stepup-auth/stepup/pkg/sending"
)

// Store keeps users. Its methods return faults of kind Unavailable,
// DeadlineExceeded, Canceled or Internal when the store fails.
type Store interface {
	// User returns the user, or nil when there is none or it was deleted.
	User(ctx context.Context, id string) (*User, error)
	// UserByLoginName is the same for a login name, without regard to case.
	UserByLoginName(ctx context.Context, loginName string) (*User, error)
	// Users returns those of the ids that exist, in the order of the ids, each once.
	Users(ctx context.Context, ids []string) ([]*User, error)
	// UserIDsByEmail returns the ids of the users with the address, without regard
	// to case.
	UserIDsByEmail(ctx context.Context, address string) ([]string, error)
	// UserIDs returns the id of every user in the order of their creation and, where
	// that is the same, of the ids; descending begins with the newest. It reads as the
	// caller goes on, and ends after an error. A user that was just created may be
	// missing for a moment where the store's indexes lag.
	UserIDs(ctx context.Context, descending bool) iter.Seq2[string, error]
	// Usage returns what has been sent to the subjects.
	Usage(ctx context.Context, subjects []sending.Subject) (map[sending.Subject]sending.Usage, error)
	// SaveUser commits the change, all or nothing. It returns fault.Conflict when the
	// stored user, or what was sent, is not what the change assumes, and when a new user
	// needs a later epoch, then with a FormerLife as its cause; ErrExists when a new user's
	// id is taken, ErrLoginNameTaken when the login name is, ErrCredentialTaken when a
	// key's credential id is, and ErrLinkTaken when an external account is; and the fault
	// of its scope, such as sending.ErrBudget, when a count is full.
	SaveUser(ctx context.Context, c Change) error
}

// Faults of the user service.
var (
	ErrNotFound       = fault.New(fault.NotFound, "QUERY-Dfbg2", "User could not be found")
	ErrExists         = fault.New(fault.FailedPrecondition, "COMMAND-k2unb", "User already exists")
	ErrLoginNameTaken = fault.New(fault.AlreadyExists, "STEPUP-login-name", "Login name is already taken")
)

// Config holds what a Service needs; all fields are required.
type Config struct {
	Store     Store
	Hasher    Hasher
	Passwords password.Policy
	Lockout   Lockout
	// Organizations are those that a user may belong to; the first is the default.
	Organizations []string
	// Issuer is how authenticator apps name the service.
	Issuer string
	// Reauthentication is how old a user's last check may be when they change
	// their own factors and addresses, or delete themselves.
	Reauthentication time.Duration
	// RelyingParties are those that keys may be registered for.
	RelyingParties *passkey.RelyingParties
	// Sending are the limits by channel.
	Sending   map[sending.Channel]sending.Policy
	Messenger sending.Messenger
	// Providers are those whose accounts users can be linked to.
	Providers *idp.Providers
	// Ring seals seeds, derives codes and makes MACs of recovery codes.
	Ring   *keyring.Ring
	Now    func() time.Time
	Random io.Reader
	Retry  retry.Policy
	// Checked hears of guesses that were wrong, once they are committed.
	Checked func(ctx context.Context, checks []Check)
	// Converted hears of a code that was sent and is used now, once that is committed and
	// cannot be taken back any more. It is told the count that the code belongs to, which
	// counts nothing for most codes. It fails nothing, and takes a moment at most.
	Converted func(ctx context.Context, u sending.Unused)
}

// Service is the user service. It is safe for concurrent use.
type Service struct{ c Config }

// New returns a service.
func New(c Config) *Service { return &Service{c} }

// now is the time of a decision, at the precision that the store keeps.
func (s *Service) now() time.Time { return s.c.Now().UTC().Truncate(time.Microsecond) }

// Get returns a user. Callers read themselves, or need user.read where the user is.
// It returns ErrNotFound for an unknown user and for one out of the caller's reach.
func (s *Service) Get(ctx context.Context, caller access.Caller, id string) (*User, error) {
	if err := selfOr(caller, id, access.UserRead); err != nil {
		return nil, err
	}
	u, err := s.c.Store.User(ctx, id)
	if err != nil {
		return nil, err
	}
	if u == nil || !reaches(caller, u, access.UserRead) {
		return nil, ErrNotFound
	}
	return u, nil
}

// selfOr fails before any look-up when the caller is neither the user nor has the
// permission anywhere.
func selfOr(caller access.Caller, id string, p access.Permission) error {
	if caller.IsUser(id) {
		return nil
	}
	return caller.RequireAnywhere(p)
}

func reaches(caller access.Caller, u *User, p access.Permission) bool {
	return caller.IsUser(u.ID) || caller.Can(p, u.Organization)
}

// Organization returns the organization that a new user goes to: the one asked for,
// else the caller's, else the default. It returns a fault of kind InvalidArgument
// for one that is not configured.
func (s *Service) Organization(asked string, caller access.Caller) (string, error) {
	switch {
	case asked != "":
		if !s.KnownOrganization(asked) {
			return "", errUnknownOrganization
		}
		return asked, nil
	case caller.Organization != "":
		return caller.Organization, nil
	default:
		return s.c.Organizations[0], nil
	}
}

var errUnknownOrganization = fault.New(fault.InvalidArgument, "STEPUP-organization", "Organisation doesn't exist")

// KnownOrganization reports whether users can belong to the organization.
func (s *Service) KnownOrganization(id string) bool {
	return slices.Contains(s.c.Organizations, id)
}
