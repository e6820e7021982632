package session

import (
	"context"
	"fmt"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/idempotency"
	"github.com/stepup-auth/stepup/pkg/sending"
)

// send counts a message and keeps it until after the commit.
func (d *decision) send(k codeKind, ask RequestCode, code string) *fault.Fault {
	m := d.message(k, ask.URLTemplate, code)
	used := d.loaded.Usage[sending.Subject{Channel: m.Channel, Address: m.To}]
	policy := d.config.Sending[k.channel]
	k.challenge(d.session).Region = policy.Watched(m.To)
	return d.outbox.Add(m, policy, used, d.now)
}

// message is what carries a code to the user. Its id is that of the code.
func (d *decision) message(k codeKind, urlTemplate, code string) sending.Message {
	return sending.Message{
		ID: k.challenge(d.session).ID.String(), Purpose: k.purpose, Channel: k.channel, To: k.address(d.user).Address, Code: code,
		Expiry: codeLife, URLTemplate: urlTemplate, SessionID: d.session.ID, UserID: d.user.ID,
		Organization: d.user.Organization, LoginName: d.user.LoginName(), DisplayName: d.user.DisplayName(),
		Language: d.user.Profile.Language, ClientIP: d.session.Agent.IP,
	}
}

// deliver sends the messages of a committed decision. When the provider refuses one,
// the step is taken back as far as the caller can see: the session is as before, its
// token included, and the address may be tried again at once.
func (s *Service) deliver(ctx context.Context, d *decision, once idempotency.Request) error {
	refunds, err := d.outbox.Deliver(ctx, s.c.Messenger)
	if err != nil {
		return s.takeBack(ctx, d, refunds, err)
	}
	s.c.Converted(ctx, d.converted)
	if r, err := d.session.Receipts.Find(d.ring, once); err == nil && r != nil {
		s.settlement(d).Sent(ctx, *r)
	}
	return nil
}

// takeBackTimeout bounds the write that takes a step back, which must happen also
// when the request's own time is over.
const takeBackTimeout = time.Second

// takeBack puts the session back as it was and releases the sends that did not happen.
// Nobody has seen a session that was just created, so it is gone without a trace, and the
// same request may create it again.
func (s *Service) takeBack(ctx context.Context, d *decision, refunds []sending.Send, cause error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), takeBackTimeout)
	defer cancel()
	undo := Change{Old: d.session, Sends: refunds}
	if before := d.loaded.Session; before != nil {
		undo.New = before.Clone()
		undo.New.Revision = d.session.Revision + 1
	} else {
		undo.Gone = true
	}
	if err := s.c.Store.Commit(ctx, undo); err != nil {
		return fault.From(cause).Wrap(fmt.Errorf("%w; and the step could not be taken back: %w", cause, err))
	}
	return cause
}
