// Package intent owns sign-ins at external identity providers from their start to their
// one use: an intent is started, succeeds or fails when the browser comes back, and is
// consumed by the session whose user it proves.
//
// What the sign-in hangs on is kept nowhere. The state that travels with the browser and
// the token that entitles to an intent are stamps, which nobody else can make and which
// are told from forgeries without a look at the store. The PKCE verifier and the nonce
// are derived from the intent's id. What a provider said is sealed.
package intent

import (
	"encoding/base64"
	"fmt"
	"io"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/idp"
	"github.com/stepup-auth/stepup/pkg/keyring"
)

// Intent is one sign-in. Times are UTC with microseconds.
type Intent struct {
	ID         string
	ProviderID string
	State      State
	// Revision counts the writes; it is what a write is conditioned on.
	Revision         uint64
	Created, Changed time.Time
	// ExpiresAt ends what the state allows: the answer to a started intent, the use of one
	// that succeeded.
	ExpiresAt time.Time
	// SuccessURL and FailureURL are where the browser goes.
	SuccessURL, FailureURL string
	// KeyID names the master key that verifier and nonce are derived from.
	KeyID string
	// UserID is whom the account was linked to when the intent succeeded; empty for nobody.
	UserID string
	// Sealed is the identity of an intent that succeeded.
	Sealed []byte
}

// State is how far an intent has come.
type State uint8

// The states. Only a started intent can succeed or fail, and only one that succeeded can
// be consumed.
const (
	Started State = iota + 1
	Succeeded
	Failed
	Consumed
)

// Faults of an intent's use by a session (wire contract, section 4.4).
var (
	ErrNotSucceeded = fault.New(fault.FailedPrecondition, "COMMAND-Df4bw", "Intent has not succeeded")
	ErrExpired      = fault.New(fault.FailedPrecondition, "COMMAND-SAf42", "Intent has expired")
)

// Usable returns why a session cannot use the intent, if so. An intent that does not
// exist is nil, and has not succeeded.
func (i *Intent) Usable(now time.Time) *fault.Fault {
	switch {
	case i == nil || i.State != Succeeded:
		return ErrNotSucceeded
	case now.After(i.ExpiresAt):
		return ErrExpired
	default:
		return nil
	}
}

// Consume returns the intent after its one use. What the provider said is forgotten.
func (i *Intent) Consume(now time.Time) *Intent {
	used := i.step(Consumed, now)
	used.Sealed = nil
	return used
}

// step returns the intent in another state.
func (i *Intent) step(s State, now time.Time) *Intent {
	next := *i
	next.State, next.Changed = s, now
	next.Revision++
	return &next
}

// identityPurpose separates identities from all else that the keyring seals.
const identityPurpose = "idp-identity"

// Identity returns what the provider said in an intent that succeeded.
func (i *Intent) Identity(ring *keyring.Ring) (idp.Identity, error) {
	text, err := ring.Open(identityPurpose, i.Sealed, []byte(i.ID))
	if err != nil {
		return idp.Identity{}, fmt.Errorf("open the identity of intent %s: %w", i.ID, err)
	}
	return idp.DecodeIdentity(text)
}

// succeed returns the intent with its identity.
func (i *Intent) succeed(ring *keyring.Ring, random io.Reader, s success) (*Intent, error) {
	text, err := s.identity.Encode()
	if err != nil {
		return nil, err
	}
	next := i.step(Succeeded, s.now)
	next.UserID, next.ExpiresAt = s.userID, s.now.Add(s.lifetime)
	if next.Sealed, err = ring.Seal(random, identityPurpose, text, []byte(i.ID)); err != nil {
		return nil, fmt.Errorf("seal the identity of intent %s: %w", i.ID, err)
	}
	return next, nil
}

// success is what comes to an intent that succeeds.
type success struct {
	identity idp.Identity
	userID   string
	now      time.Time
	lifetime time.Duration
}

// secrets are what one sign-in is held together by.
type secrets struct{ verifier, nonce string }

// secrets derives them. A verifier is 43 characters, the length that RFC 7636 asks for in
// section 4.1.
func (i *Intent) secrets(ring *keyring.Ring) (s secrets, err error) {
	if s.verifier, err = derive(ring, "idp-verifier", i); err != nil {
		return s, err
	}
	s.nonce, err = derive(ring, "idp-nonce", i)
	return s, err
}

func derive(ring *keyring.Ring, purpose string, i *Intent) (string, error) {
	mac, err := ring.MAC(purpose, i.KeyID, []byte(i.ID))
	if err != nil {
		return "", fmt.Errorf("derive %s: %w", purpose, err)
	}
	return base64.RawURLEncoding.EncodeToString(mac[:]), nil
}
