package session

import (
	"context"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/sending"
)

// Message is a one-time code on its way to a user.
type Message struct {
	Channel sending.Channel
	// To is an address or a number that the user has verified.
	To          string
	Code        string
	Expiry      time.Duration
	URLTemplate string
	SessionID   string
	UserID      string
	LoginName   string
	DisplayName string
	Language    string
}

// Messenger delivers messages. Package notify has what one is made of.
type Messenger interface {
	// Accepts returns a fault of kind InvalidArgument for a link template that
	// cannot be rendered.
	Accepts(urlTemplate string) error
	// Deliver hands the message to a provider and returns once it was taken. It
	// returns faults of kinds FailedPrecondition, Unavailable or DeadlineExceeded
	// when it was not.
	Deliver(ctx context.Context, m Message) error
}

// Send is one message as the store counts it, in the write that decides on it.
type Send struct {
	Channel sending.Channel
	Address string
	// Old is what the decision assumed, and New is to be stored in its place.
	Old, New sending.Usage
	// Day and Budget are the deployment's cap.
	Day    time.Time
	Budget int
	// Refund gives the budget back what an earlier write took.
	Refund bool
}

// Subject names what a usage is counted for.
type Subject struct {
	Channel sending.Channel
	Address string
}

func (s Send) subject() Subject { return Subject{s.Channel, s.Address} }

// send counts a message and keeps it until after the commit.
func (d *decision) send(k codeKind, ask RequestCode, code string) *fault.Fault {
	policy := d.config.Sending[k.channel].WithDefaults()
	to := k.address(d.user).Address
	if err := policy.Reaches(to); err != nil {
		return fault.From(err)
	}
	s := Send{Channel: k.channel, Address: to, Day: d.now.Truncate(24 * time.Hour), Budget: policy.Budget}
	s.Old = d.loaded.Usage[s.subject()]
	var denied *fault.Fault
	if s.New, denied = s.Old.Take(policy, d.now); denied != nil {
		return denied
	}
	d.sends = append(d.sends, s)
	d.messages = append(d.messages, Message{
		Channel: k.channel, To: to, Code: code, Expiry: codeLife, URLTemplate: ask.URLTemplate,
		SessionID: d.session.ID, UserID: d.user.ID, LoginName: d.user.LoginName(),
		DisplayName: d.user.DisplayName(), Language: d.user.Profile.Language,
	})
	return nil
}

// subjects lists what the decision counted, so that a lost race can load it.
func (d *decision) subjects() []Subject {
	var all []Subject
	for _, s := range d.sends {
		all = append(all, s.subject())
	}
	return all
}

// deliver sends the messages of a committed decision. When the provider refuses one,
// the step is taken back as far as the caller can see: the session is as before, its
// token included, and the address may be tried again at once.
func (s *Service) deliver(ctx context.Context, d *decision) error {
	for i, m := range d.messages {
		if err := s.c.Messenger.Deliver(ctx, m); err != nil {
			return s.takeBack(ctx, d, d.sends[i:], err)
		}
	}
	return nil
}

// takeBackTimeout bounds the write that takes a step back, which must happen also
// when the request's own time is over.
const takeBackTimeout = time.Second

// takeBack puts the session back as it was and releases the sends that did not happen,
// unless one may have happened after all.
func (s *Service) takeBack(ctx context.Context, d *decision, sends []Send, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeBackTimeout)
	defer cancel()
	undo := Change{Old: d.session}
	if before := d.loaded.Session; before != nil {
		undo.New = before.Clone()
		undo.New.Revision = d.session.Revision + 1
	} else {
		undo.New = d.session.tombstone(d.now)
	}
	if fault.From(cause).Kind == fault.DeadlineExceeded {
		sends = nil // it may have been sent after all
	}
	for _, sent := range sends {
		undo.Sends = append(undo.Sends, Send{
			Channel: sent.Channel, Address: sent.Address, Day: sent.Day, Refund: true,
			Old: sent.New, New: sent.New.Release(sent.Old),
		})
	}
	if err := s.c.Store.Commit(ctx, undo); err != nil {
		return fault.From(cause).Wrap(err)
	}
	return cause
}
