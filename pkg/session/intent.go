package session

import (
	"context"

	"github.com/stepup-auth/stepup/pkg/fault"
)

// Faults of an external identity, beside those of package intent (wire contract, section
// 4.4).
var (
	ErrIntentNoUser    = fault.New(fault.FailedPrecondition, "COMMAND-Sfw3r", "User ID missing")
	ErrIntentOtherUser = fault.New(fault.FailedPrecondition, "COMMAND-O8xk3w", "Intent meant for another user")
)

// forged looks at the token of an intent before anything is loaded.
func (s *Service) forged(c *CheckIntent) *fault.Fault {
	if c == nil {
		return nil
	}
	return s.intents.Check(c.ID, c.Token)
}

// checkIntent verifies that the session's user owns the account that signed in, and uses
// the intent up in the write that accepts it, so that it counts once. A denial uses up
// nothing. The link must be there now, also where the account was linked to this user
// when it signed in (row T7).
func (d *decision) checkIntent(context.Context, Checks) (*fault.Fault, error) {
	switch {
	case !d.session.Bound():
		return ErrIntentNoUser, nil
	case d.forged != nil:
		return d.forged, nil
	}
	i := d.loaded.Intent
	if denied := i.Usable(d.now); denied != nil {
		return denied, nil
	}
	said, err := i.Identity(d.ring)
	if err != nil {
		return nil, err
	}
	other := i.UserID != "" && i.UserID != d.session.Factors.User.ID
	if other || d.user == nil || !d.user.Linked(said.ProviderID, said.Subject) {
		return ErrIntentOtherUser, nil
	}
	d.used = i.Consume(d.now)
	return d.passed(&d.session.Factors.Intent, nil, nil)
}
