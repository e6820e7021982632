package idempotency

import (
	"cmp"
	"context"
	"time"

	"github.com/stepup-auth/stepup/pkg/retry"
	"github.com/stepup-auth/stepup/pkg/sending"
)

// Debtor is whose stored state a receipt lies in, and owes its messages: a session or a
// user, as loaded.
type Debtor interface {
	// Messages makes those that are due again. A code that was used or replaced since is
	// not sent.
	Messages(due []sending.Due) ([]sending.Message, error)
	// Note stores the receipt in the place of the one of its name. It returns
	// fault.Conflict when the state has moved on.
	Note(ctx context.Context, r Receipt) error
	// Reload reads the state again.
	Reload(ctx context.Context) error
}

// Settlement sees to it that what a receipt owes is sent, by one at a time.
type Settlement struct {
	Debtor    Debtor
	Messenger sending.Messenger
	Retry     retry.Policy
	Now       time.Time
}

// Send sends the messages that may not have left, unless somebody else may be sending
// them. It returns ErrRunning, fault.Conflict when somebody else just began, and the
// faults of a message that cannot be sent.
func (s Settlement) Send(ctx context.Context, r Receipt) error {
	if err := r.Running(s.Now); err != nil || len(r.Due) == 0 {
		return err
	}
	messages, err := s.Debtor.Messages(r.Due)
	if err != nil {
		return err
	}
	r.Owe(r.Due, s.Now)
	if err := s.Debtor.Note(ctx, r); err != nil {
		return err
	}
	for _, m := range messages {
		if err := s.Messenger.Deliver(ctx, m); err != nil {
			return err
		}
	}
	s.Sent(ctx, r)
	return nil
}

// Sent notes that the messages left. The note is for repetitions only, and the messages
// cannot be called back: whoever asked is answered even when it cannot be made, and a
// repetition then sends them once more.
func (s Settlement) Sent(ctx context.Context, r Receipt) {
	if len(r.Due) == 0 {
		return
	}
	r.Owe(nil, s.Now)
	// The state may have moved on meanwhile, for the code may have been used already.
	_ = s.Retry.OnConflict(ctx, func() error {
		noted := s.Debtor.Note(ctx, r)
		if noted == nil {
			return nil
		}
		return cmp.Or(s.Debtor.Reload(ctx), noted)
	})
}
