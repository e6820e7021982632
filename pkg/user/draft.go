package user

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/sending"
)

// draft is one run of a decision about a user: a copy that the decision alters, beside
// the original, and the messages that go with the change.
type draft struct {
	now    time.Time
	old    *User // nil for a new user
	user   *User
	usage  map[sending.Subject]sending.Usage
	outbox sending.Outbox
	codes  map[sending.Channel]string
}

// Result is a changed user, with the codes that the caller asked to be returned.
type Result struct {
	*User

	Codes map[sending.Channel]string
}

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

// target names the user of a change and who asks for it by which right.
type target struct {
	caller     access.Caller
	id         string
	permission access.Permission
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
	return s.run(ctx, decide, func() (*draft, error) {
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
func (s *Service) run(ctx context.Context, decide decide, load func() (*draft, error)) (Result, error) {
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
		denied, err := decide(d)
		if err != nil {
			return err
		}
		subjects = d.outbox.Subjects()
		if err := s.save(ctx, d, denied); err != nil {
			return err
		}
		s.c.Checked(ctx, d.user.guesses(d.old))
		result = Result{d.user, d.codes}
		if denied != nil {
			return denied
		}
		return s.deliver(ctx, d)
	})
	return result, err
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
	if errors.Is(err, sending.ErrBudget) {
		return sending.Budget(d.now).Wrap(err)
	}
	return err
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
func (s *Service) deliver(ctx context.Context, d *draft) error {
	refunds, cause := d.outbox.Deliver(ctx, s.c.Messenger)
	if cause == nil {
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
	m.UserID, m.Organization, m.LoginName = d.user.ID, d.user.Organization, d.user.LoginName()
	m.DisplayName, m.Language = d.user.DisplayName(), d.user.Profile.Language
	used := d.usage[sending.Subject{Channel: m.Channel, Address: m.To}]
	return d.outbox.Add(m, s.c.Sending[m.Channel], used, d.now)
}

// hand puts a code into the answer.
func (d *draft) hand(c sending.Channel, code string) {
	if d.codes == nil {
		d.codes = make(map[sending.Channel]string)
	}
	d.codes[c] = code
}

// open makes the code the one that can be answered; an older one for the same purpose
// is dead.
func (u *User) open(p sending.Purpose, c otp.Challenge) {
	if u.Guard.Codes == nil {
		u.Guard.Codes = make(map[sending.Purpose]otp.Challenge)
	}
	u.Guard.Codes[p] = c
}
