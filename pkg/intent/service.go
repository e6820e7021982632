package intent

import (
	"context"
	"io"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/id"
	"github.com/stepup-auth/stepup/pkg/idp"
	"github.com/stepup-auth/stepup/pkg/keyring"
	"github.com/stepup-auth/stepup/pkg/weblink"
)

// Store keeps intents and knows who is linked to which account. Its methods return faults
// of kind Unavailable, DeadlineExceeded, Canceled or Internal when the store fails.
type Store interface {
	// Intent returns the intent, or nil when there is none. The read is strongly
	// consistent.
	Intent(ctx context.Context, id string) (*Intent, error)
	// SaveIntent writes the step from old to changed; a nil old creates. It returns
	// fault.Conflict when the stored intent is not old any more.
	SaveIntent(ctx context.Context, old, changed *Intent) error
	// LinkedUser returns the id of the user who is linked to the account, empty for none.
	LinkedUser(ctx context.Context, providerID, subject string) (string, error)
}

// Config holds what a Service needs; all fields are required.
type Config struct {
	Store     Store
	Providers *idp.Providers
	// Hosts are where browsers may be sent.
	Hosts weblink.Hosts
	// Lifetime is how long an intent that succeeded can be used.
	Lifetime time.Duration
	Ring     *keyring.Ring
	Now      func() time.Time
	Random   io.Reader
}

// Service is the service of intents. It is safe for concurrent use.
type Service struct {
	c      Config
	tokens Tokens
}

// New returns a service.
func New(c Config) *Service { return &Service{c: c, tokens: NewTokens(c.Ring)} }

// now is the time of a decision, at the precision that the store keeps.
func (s *Service) now() time.Time { return s.c.Now().UTC().Truncate(time.Microsecond) }

// startedLife is how long a person has for the sign-in at the provider.
const startedLife = 15 * time.Minute

// Faults of a start.
var (
	errSuccessURL = fault.New(fault.InvalidArgument, "STEPUP-idp-url", "success_url must be an absolute https URL to an allowed host")
	errFailureURL = fault.New(fault.InvalidArgument, "STEPUP-idp-url", "failure_url must be an absolute https URL to an allowed host")
)

// Start describes a sign-in to be started.
type Start struct {
	ProviderID             string
	SuccessURL, FailureURL string
	// LoginHint may be empty.
	LoginHint string
}

// Start begins a sign-in and returns where to send the browser. The caller needs
// session.write: whoever starts an intent decides who learns of its outcome. It returns
// idp.ErrUnknown, idp.ErrUnavailable, and faults of kind InvalidArgument for a URL that
// nobody may be sent to.
func (s *Service) Start(ctx context.Context, caller access.Caller, start Start) (*Intent, string, error) {
	if err := caller.RequireAnywhere(access.SessionWrite); err != nil {
		return nil, "", err
	}
	if _, err := s.c.Hosts.Parse(start.SuccessURL); err != nil {
		return nil, "", errSuccessURL.Wrap(err)
	}
	if _, err := s.c.Hosts.Parse(start.FailureURL); err != nil {
		return nil, "", errFailureURL.Wrap(err)
	}
	now := s.now()
	i := &Intent{
		ProviderID: start.ProviderID, State: Started, Revision: 1, Created: now, Changed: now, ExpiresAt: now.Add(startedLife),
		SuccessURL: start.SuccessURL, FailureURL: start.FailureURL, KeyID: s.c.Ring.Current(),
	}
	var err error
	if i.ID, err = id.New(s.c.Random); err != nil {
		return nil, "", err
	}
	address, err := s.authURL(ctx, i, start.LoginHint)
	if err != nil {
		return nil, "", err
	}
	return i, address, s.c.Store.SaveIntent(ctx, nil, i)
}

func (s *Service) authURL(ctx context.Context, i *Intent, hint string) (string, error) {
	state, err := stamp(s.c.Ring, statePurpose, i.ID)
	if err != nil {
		return "", err
	}
	held, err := i.secrets(s.c.Ring)
	if err != nil {
		return "", err
	}
	return s.c.Providers.AuthURL(ctx, idp.Request{
		ProviderID: i.ProviderID, State: state, Nonce: held.nonce, Verifier: held.verifier, LoginHint: hint,
	})
}

// Faults of a retrieval (wire contract, section 6.7).
var (
	errRetrieveState   = fault.New(fault.FailedPrecondition, "IDP-nme4gszsvx", "Intent has not succeeded")
	errRetrieveExpired = fault.New(fault.FailedPrecondition, "IDP-SAf42", "Intent has expired")
)

// Retrieve returns an intent that succeeded and what the provider said. The token
// entitles to it, and the caller needs session.write. Retrieving does not use it up.
func (s *Service) Retrieve(ctx context.Context, caller access.Caller, intentID, token string) (*Intent, idp.Identity, error) {
	if err := caller.RequireAnywhere(access.SessionWrite); err != nil {
		return nil, idp.Identity{}, err
	}
	if denied := s.tokens.Check(intentID, token); denied != nil {
		return nil, idp.Identity{}, denied
	}
	i, err := s.c.Store.Intent(ctx, intentID)
	if err != nil {
		return nil, idp.Identity{}, err
	}
	switch i.Usable(s.now()) {
	case nil:
	case ErrExpired:
		return nil, idp.Identity{}, errRetrieveExpired
	default:
		return nil, idp.Identity{}, errRetrieveState
	}
	said, err := i.Identity(s.c.Ring)
	return i, said, err
}
