package session

import (
	"bytes"
	"context"
	"io"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/id"
	"github.com/stepup-auth/stepup/pkg/idempotency"
	"github.com/stepup-auth/stepup/pkg/intent"
	"github.com/stepup-auth/stepup/pkg/keyring"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/user"
)

// decision is one run of decide: working copies of what was loaded, which the steps
// change, beside the originals, which commit compares them with.
//
// A step returns two results. The fault is a decided outcome: it is revealed after
// what the step counted is committed. The error means that nothing was decided.
type decision struct {
	now     time.Time
	random  io.Reader
	config  *Config
	ring    *keyring.Ring
	lockout user.Lockout
	proof   *user.Proof  // nil when no password is checked
	answer  keyAnswer    // to a challenge for keys, if one is checked
	forged  *fault.Fault // why the token of an intent is no such token
	loaded  Loaded
	gate    gate

	session *Session
	user    *user.User // nil when the session has none and none was named
	changed bool       // the session is to be written, with a new token
	bound   bool       // a user was named, for the first time or again
	peers   []*Session // of the user, when there may be too many
	held    bool       // the gate stayed closed
	rely    bool       // a secret was right, which may be told only while the user is as loaded
	checked []user.Check

	afterDenial func(*Session) // what a denied step still does to the session
	opened      map[sending.Channel]string
	keyOptions  []byte
	outbox      sending.Outbox
	converted   sending.Unused // the count that a code was sent under which was used now
	used        *intent.Intent // the intent after its use
}

// create decides the first step of a new session.
func (d *decision) create(ctx context.Context, caller access.Caller, c Create) (*fault.Fault, error) {
	if d.loaded.Session != nil { // which a request of this name created when its receipt was forgotten
		return idempotency.ErrReused, nil
	}
	sessionID, err := c.id(d.random)
	if err != nil {
		return nil, err
	}
	d.session = &Session{ID: sessionID, Creator: caller.ID, Created: d.now, Agent: c.Agent}
	d.changed = true
	return d.step(ctx, c.Step)
}

// id is drawn, or follows from the name of the request.
func (c Create) id(random io.Reader) (string, error) {
	if c.Once.None() {
		return id.New(random)
	}
	return c.Once.ID(), nil
}

// set decides a further step, in the order of the wire contract, section 1.3, but
// for the permission, which was asked before anything was loaded.
func (d *decision) set(ctx context.Context, caller access.Caller, c Set) (*fault.Fault, error) {
	if denied, err := d.userCanStart(ctx, c.Checks); denied != nil || err != nil {
		return denied, err
	}
	if d.loaded.Session == nil {
		return ErrNotFound, nil
	}
	d.session = d.loaded.Session.Clone()
	d.session.Factors.dropOutdated(d.loaded.Guard)
	if err := caller.Require(access.SessionWrite, d.session.Factors.User.Organization); err != nil {
		return fault.From(err), nil
	}
	switch {
	case d.session.Ended(d.loaded.Guard):
		return d.ended(c.Checks), nil
	case d.session.Expired(d.now):
		return ErrExpired, nil
	}
	if !c.Match.allows(d.session) {
		return ErrMoved, nil
	}
	return d.step(ctx, c.Step)
}

// ended says why the session is over. A password check on a locked user is told of
// the lock, because in the original the lock leaves the session to say so.
func (d *decision) ended(c Checks) *fault.Fault {
	deleted := !d.session.TerminatedAt.IsZero()
	if deleted || c.Password == nil || d.user == nil || d.user.Guard.State != user.StateLocked {
		return ErrTerminated
	}
	return user.ErrPasswordLocked.WithFailedAttempts(d.user.Guard.Attempts[user.AuthPassword].Failures)
}

// step runs checks, then metadata and lifetime, and gives a changed session its new
// token.
func (d *decision) step(ctx context.Context, s Step) (*fault.Fault, error) {
	if denied, err := d.check(ctx, s.Checks); denied != nil || err != nil {
		return denied, err
	}
	if denied, err := d.openKey(s.Challenges.Key); denied != nil || err != nil {
		return denied, err
	}
	if denied, err := d.openCode(smsCodes(), s.Challenges.SMS); denied != nil || err != nil {
		return denied, err
	}
	if denied, err := d.openCode(emailCodes(), s.Challenges.Email); denied != nil || err != nil {
		return denied, err
	}
	if d.closed() {
		return d.hold()
	}
	if denied := d.mergeMetadata(s.Metadata); denied != nil {
		return denied, nil
	}
	if s.Lifetime != nil {
		d.session.ask(d.now.Add(*s.Lifetime))
		d.changed = true
	}
	return nil, d.advance()
}

func (d *decision) mergeMetadata(changes map[string][]byte) *fault.Fault {
	for key, value := range changes {
		stored, known := d.session.Metadata[key]
		switch {
		case len(value) == 0 && !known, known && len(value) > 0 && bytes.Equal(stored, value):
			continue
		case len(value) == 0:
			delete(d.session.Metadata, key)
		default:
			if d.session.Metadata == nil {
				d.session.Metadata = make(map[string][]byte)
			}
			d.session.Metadata[key] = value
		}
		d.changed = true
	}
	if len(d.session.Metadata) > maxMetadataKeys {
		return errMetadataCount
	}
	return nil
}

// advance marks the session as changed once, whatever the number of changes, and puts
// off its end.
func (d *decision) advance() (err error) {
	if !d.changed {
		return nil
	}
	d.session.limit(d.config.Limits, d.now)
	if d.bound {
		d.admit()
	}
	d.session.Sequence++
	d.session.Revision++
	d.session.Changed = d.now
	d.session.TokenID, err = newTokenID(d.random)
	return err
}

// change returns what to commit. After a denial the session stays as it was, and
// what the checks did to the user is written. A denial that follows a right secret
// tells that it was right, so it relies on the user no less than a success.
func (d *decision) change(denied *fault.Fault) Change {
	c := Change{Old: d.loaded.Session, OldUser: d.loaded.User, NewUser: d.user, Rely: d.rely}
	switch {
	case denied == nil && d.changed:
		c.New, c.Sends = d.session, d.outbox.Sends
		c.OldIntent, c.NewIntent = d.loaded.Intent, d.used
	case denied != nil && d.afterDenial != nil && d.loaded.Session != nil:
		c.New = d.loaded.Session.Clone()
		c.New.Revision++
		d.afterDenial(c.New)
	}
	return c
}

// userChanged reports whether a step counted something for the user.
func (d *decision) userChanged() bool {
	return Change{OldUser: d.loaded.User, NewUser: d.user}.UserChanged()
}
