package user

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/idempotency"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/sending/price"
)

// draft is one run of a decision about a user: a copy that the decision alters, beside
// the original, and the messages that go with the change.
type draft struct {
	now time.Time
	old *User // nil for a new user
	// earlier is who has the id of a new user already, looked up for a named request.
	earlier *User
	// former takes the last epoch of a deleted user whose id is used again; nil for one who
	// is there already.
	former *int64
	user   *User
	usage  map[sending.Subject]sending.Usage
	outbox sending.Outbox
	// secrets are what the answer hands to the caller, by name; a code has the name of
	// its channel.
	secrets map[string]string
	// converted is the count that a code was sent under which was used now.
	converted sending.Unused
}

// Result is a changed user, with what the caller asked to be returned.
type Result struct {
	*User

	// Prices are what the messages that were sent are reckoned to cost, by channel, where
	// that is told.
	Prices  map[sending.Channel]price.Micros
	secrets map[string]string
}

// Code returns the code that was asked to be returned instead of sent; empty when none
// was.
func (r Result) Code(c sending.Channel) string { return r.secrets[string(c)] }

// Change is all that one decision writes, all or nothing.
type Change struct {
	// Old and New are the user before and after; Old is nil for a new one.
	Old, New *User
	// Sends are the messages to count.
	Sends []sending.Send
}

// decide alters a draft. The fault is a decided outcome, which is returned after what
// the decision counted is committed; its messages are dropped. The error means that
// nothing was decided.
type decide func(*draft) (*fault.Fault, error)

// target names the user of a change and who asks for it by which right, and maybe the
// request, so that it can be repeated.
type target struct {
	caller     access.Caller
	id         string
	permission access.Permission
	once       idempotency.Request
}

// change alters a user without sending anything.
func (s *Service) change(ctx context.Context, t target, decide func(u *User, now time.Time) (*fault.Fault, error)) (*User, error) {
	r, err := s.alter(ctx, t, func(d *draft) (*fault.Fault, error) { return decide(d.user, d.now) })
	return r.User, err
}

// alter changes a user whom the caller may change. It fails before any look-up when
// the caller is neither the user nor has the permission anywhere.
func (s *Service) alter(ctx context.Context, t target, decide decide) (Result, error) {
	if err := selfOr(t.caller, t.id, t.permission); err != nil {
		return Result{}, err
	}
	return s.run(ctx, t.once, decide, func() (*draft, error) {
		old, err := s.c.Store.User(ctx, t.id)
		if err != nil {
			return nil, err
		}
		if old == nil || !reaches(t.caller, old, t.permission) {
			return nil, ErrNotFound
		}
		return &draft{old: old, user: old.Clone()}, nil
	})
}

// run loads, decides, commits and delivers; from the start again when a race is lost.
// What was sent to an address is assumed to be nothing on the first attempt, which the
// commit verifies.
func (s *Service) run(ctx context.Context, once idempotency.Request, decide decide, load func() (*draft, error)) (Result, error) {
	var result Result
	var subjects []sending.Subject
	err := s.c.Retry.OnConflict(ctx, func() error {
		d, err := load()
		if err != nil {
			return err
		}
		if d.usage, err = s.c.Store.Usage(ctx, subjects); err != nil {
			return err
		}
		d.now = s.now()
		known, err := d.receipt(s.c.Ring, once)
		if err != nil {
			return err
		}
		if known != nil {
			result, err = s.repeat(ctx, d, *known)
			return err
		}
		denied, err := decide(d)
		if err != nil {
			return err
		}
		subjects = d.outbox.Subjects()
		result, err = s.conclude(ctx, d, once, denied)
		return err
	})
	return result, err
}

// conclude commits a decision and only then reveals it.
func (s *Service) conclude(ctx context.Context, d *draft, once idempotency.Request, denied *fault.Fault) (Result, error) {
	if err := s.keep(d, once, denied); err != nil {
		return Result{}, err
	}
	err := s.save(ctx, d, denied)
	if errors.Is(err, ErrExists) && !once.None() && d.earlier == nil {
		err = fault.Conflict.Wrap(err) // with the same request, maybe, which left a receipt
	}
	if err != nil {
		return Result{}, err
	}
	s.c.Checked(ctx, d.user.guesses(d.old))
	result := Result{d.user, d.outbox.Prices, d.secrets}
	if denied != nil {
		return result, denied
	}
	return result, s.deliver(ctx, d, once)
}

// save commits the draft, as far as it changed anything. A denied creation leaves
// nothing.
func (s *Service) save(ctx context.Context, d *draft, denied *fault.Fault) error {
	if !d.changed(denied) {
		return nil
	}
	c := Change{Old: d.old, New: d.user}
	if denied == nil {
		c.Sends = d.outbox.Sends
	}
	err := s.c.Store.SaveUser(ctx, c)
	if life, late := errors.AsType[*FormerLife](err); late && d.former != nil {
		*d.former = life.Epoch
	}
	return sending.WithWait(err, d.now)
}

// changed reports whether there is anything to commit.
func (d *draft) changed(denied *fault.Fault) bool {
	if d.old == nil {
		return denied == nil
	}
	return d.old.Guard.Version != d.user.Guard.Version
}

// deliver sends the messages of a committed draft. When the provider refuses one, the
// user is put back as they were, so that the call can be repeated, and the address may
// be tried again at once.
func (s *Service) deliver(ctx context.Context, d *draft, once idempotency.Request) error {
	refunds, cause := d.outbox.Deliver(ctx, s.c.Messenger)
	if cause == nil {
		s.c.Converted(ctx, d.converted)
		if r, err := d.user.Guard.Receipts.Find(s.c.Ring, once); err == nil && r != nil {
			s.settlement(d).Sent(ctx, *r)
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeBackTimeout)
	defer cancel()
	undo := Change{Old: d.user, New: d.before(), Sends: refunds}
	if err := s.c.Store.SaveUser(ctx, undo); err != nil {
		return fault.From(cause).Wrap(fmt.Errorf("%w; and the change could not be taken back: %w", cause, err))
	}
	return cause
}

// takeBackTimeout bounds the write that takes a change back, which must happen also
// when the request's own time is over.
const takeBackTimeout = time.Second

// before returns the user as loaded, under a version that follows the draft's. One who
// did not exist is gone again.
func (d *draft) before() *User {
	if d.old == nil {
		gone := d.user.Clone()
		gone.end(d.now)
		return gone
	}
	before := d.old.Clone()
	before.Guard.Version = d.user.Guard.Version + 1
	return before
}

// send counts a message about the user and keeps it until after the commit.
func (s *Service) send(d *draft, m sending.Message) *fault.Fault {
	m = d.user.addressed(m)
	used := d.usage[sending.Subject{Channel: m.Channel, Address: m.To}]
	return d.outbox.Add(m, s.c.Sending[m.Channel], used, d.now)
}

// addressed adds who the message is about.
func (u *User) addressed(m sending.Message) sending.Message {
	m.UserID, m.Organization, m.LoginName = u.ID, u.Organization, u.LoginName()
	m.DisplayName, m.Language = u.DisplayName(), u.Profile.Language
	return m
}

// hand puts a secret into the answer.
func (d *draft) hand(name, secret string) {
	if d.secrets == nil {
		d.secrets = make(map[string]string)
	}
	d.secrets[name] = secret
}

// open makes the code the one that can be answered; an older one for the same purpose
// is dead.
func (u *User) open(p sending.Purpose, c otp.Challenge) {
	if u.Guard.Codes == nil {
		u.Guard.Codes = make(map[sending.Purpose]otp.Challenge)
	}
	u.Guard.Codes[p] = c
}
