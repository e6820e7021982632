package session

import (
	"bytes"
	"context"
	"errors"
	"slices"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/user"
)

// maxKeyChallenges is how many challenges for keys a session keeps open: one for each
// tab or retry that a person is likely to have. The oldest gives way.
const maxKeyChallenges = 5

// keyAnswer is an assertion as it was read, before anything is loaded. The zero value
// is none.
type keyAnswer struct {
	read *passkey.Answer
	err  error // why it could not be read
}

func parseAnswer(c *CheckKey) keyAnswer {
	if c == nil {
		return keyAnswer{}
	}
	read, err := passkey.ParseAssertion(c.Answer)
	return keyAnswer{read, err}
}

// credentialID is empty unless the answer names a user, as only that of a discoverable
// credential does.
func (a keyAnswer) credentialID() []byte {
	if a.read == nil || len(a.read.UserHandle()) == 0 {
		return nil
	}
	return a.read.CredentialID()
}

// pick returns the challenge that the answer claims to answer.
func (a keyAnswer) pick(open []passkey.Challenge) (passkey.Challenge, error) {
	if a.err != nil {
		return passkey.Challenge{}, a.err
	}
	at := slices.IndexFunc(open, func(c passkey.Challenge) bool { return bytes.Equal(c.Value, a.read.Challenge()) })
	if at < 0 {
		return passkey.Challenge{}, passkey.ErrRejected.Wrap(errors.New("answer to a challenge that is not open"))
	}
	return open[at], nil
}

// checkKey verifies an assertion, and closes the challenge that it answers in the write
// that accepts it, so that it passes once (row W1). A wrong one leaves the challenge
// open and counts for the user; one that came too late is no failure of anybody.
func (d *decision) checkKey(context.Context, Checks) (*fault.Fault, error) {
	if len(d.session.Challenges.Keys) == 0 {
		return ErrKeyNoChallenge, nil
	}
	asked, unfit := d.answer.pick(d.session.Challenges.Keys)
	if denied := d.keyUser(asked, unfit); denied != nil {
		return denied, nil
	}
	if unfit == nil && asked.Expired(d.now) {
		return passkey.ErrExpired, nil
	}
	proof, denied := d.user.CheckKey(d.lockout, d.now, func(owner passkey.Owner) (passkey.Assertion, error) {
		if unfit != nil {
			return passkey.Assertion{}, unfit
		}
		return d.config.RelyingParties.FinishAssertion(asked, d.answer.read, owner, d.now)
	})
	if denied != nil {
		// Session and user are read side by side, so that the answer may be one that has
		// just passed, held against the counter that it left. Writing the session makes
		// the commit fail then.
		d.afterDenial = func(*Session) {}
		return denied, nil
	}
	if !d.session.Bound() {
		d.bind()
	}
	d.session.Challenges.Keys = slices.DeleteFunc(d.session.Challenges.Keys, func(c passkey.Challenge) bool {
		return bytes.Equal(c.Value, asked.Value)
	})
	d.session.Factors.Key = KeyFactor{
		UserVerified: proof.UserVerified, Kind: asked.Kind, DeviceBound: !proof.Credential.BackupEligible,
	}
	return d.passed(&d.session.Factors.Key.VerifiedAt, nil, nil)
}

// keyUser looks at the user whose keys may answer. Where the session has none yet it is
// the owner of the credential; whether that is whom the answer names is part of its
// verification (row W6). An answer that fits nothing then has nobody to count for.
func (d *decision) keyUser(asked passkey.Challenge, unfit error) *fault.Fault {
	switch {
	case d.session.Bound() && (d.user == nil || !d.user.Guard.CanStart()):
		return ErrKeyUserGone
	case d.session.Bound():
		return nil
	case unfit != nil:
		return fault.From(unfit)
	case !asked.Discoverable:
		return ErrKeyNoUser
	case d.user == nil:
		return passkey.ErrUnknownCredential
	case !d.user.Guard.CanStart():
		return ErrUserNotActive
	default:
		return nil
	}
}

// openKey opens one more challenge. Without a user it is for whoever has a passkey of
// the relying party.
func (d *decision) openKey(ask *RequestKey) (*fault.Fault, error) {
	if ask == nil {
		return nil, nil
	}
	request := passkey.AssertionRequest{RPID: ask.RPID, Verification: ask.Verification, Now: d.now}
	if denied := d.addressKey(&request); denied != nil {
		return denied, nil
	}
	options, c, err := d.config.RelyingParties.BeginAssertion(d.random, request)
	if denied, refused := errors.AsType[*fault.Fault](err); refused {
		return denied, nil
	} else if err != nil {
		return nil, err
	}
	open := d.session.Challenges.Keys
	open = append(open, c)
	d.session.Challenges.Keys = open[max(0, len(open)-maxKeyChallenges):]
	d.keyOptions, d.changed = options, true
	return nil, nil
}

// addressKey says to whom the request goes.
func (d *decision) addressKey(r *passkey.AssertionRequest) *fault.Fault {
	switch {
	case !d.session.Bound() && r.Verification != passkey.Required:
		return ErrKeyNoUser
	case !d.session.Bound():
		r.Discoverable = true
		return nil
	case d.user == nil || !d.user.Guard.CanStart():
		return ErrKeyUserGone
	}
	if lock := d.user.Locked(user.AuthPasskey, d.lockout, d.now); lock != nil {
		return user.ErrKeyLocked.WithRetryAfter(lock.Wait) // no challenge that cannot be answered
	}
	r.Credentials = d.user.Credentials()
	return nil
}
