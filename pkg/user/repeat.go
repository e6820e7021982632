package user

import (
	"context"
	"fmt"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/idempotency"
	"github.com/stepup-auth/stepup/pkg/keyring"
	"github.com/stepup-auth/stepup/pkg/sending"
)

// stored is the user that an earlier request of the same name would have left.
func (d *draft) stored() *User {
	if d.old != nil {
		return d.old
	}
	return d.earlier
}

// receipt returns what an earlier request of the same name left.
func (d *draft) receipt(ring *keyring.Ring, r idempotency.Request) (*idempotency.Receipt, error) {
	if u := d.stored(); u != nil {
		return u.Guard.Receipts.Find(ring, r)
	}
	return nil, nil
}

// keep leaves a receipt in the guard, unless nothing is written and so there is nothing
// to be repeated.
func (s *Service) keep(d *draft, once idempotency.Request, denied *fault.Fault) error {
	if once.None() || !d.changed(denied) {
		return nil
	}
	receipt, err := idempotency.NewReceipt(s.c.Ring, once, d.now)
	if err != nil {
		return fmt.Errorf("make a receipt: %w", err)
	}
	receipt.Denied, receipt.Sequence = denied, d.user.Guard.Version
	if denied == nil {
		receipt.Owe(d.outbox.Due(), d.now)
		for name, secret := range d.secrets {
			if err := receipt.Seal(s.c.Ring, s.c.Random, name, []byte(secret)); err != nil {
				return fmt.Errorf("seal an answer: %w", err)
			}
		}
	}
	d.user.Guard.Receipts = d.user.Guard.Receipts.With(receipt, d.now)
	return nil
}

// repeat answers as the first request did. Messages that it may not have sent are sent
// once nobody else can be sending them.
func (s *Service) repeat(ctx context.Context, d *draft, r idempotency.Receipt) (Result, error) {
	switch err := r.Running(d.now); {
	case r.Denied != nil:
		return Result{}, r.Denied
	case err != nil:
		return Result{}, err
	case len(r.Due) == 0:
		return s.answerAgain(d.stored(), r)
	}
	d.user = d.stored().Clone()
	messages, err := s.due(d, r)
	if err != nil {
		return Result{}, err
	}
	r.Owe(r.Due, d.now)
	if err := s.note(ctx, d, r); err != nil {
		return Result{}, err
	}
	for _, m := range messages {
		if err := s.c.Messenger.Deliver(ctx, m); err != nil {
			return Result{}, err
		}
	}
	s.settled(ctx, d, r)
	return s.answerAgain(d.stored(), r)
}

// due makes the messages of the receipt again. A code that was used or replaced since is
// not sent.
func (s *Service) due(d *draft, r idempotency.Receipt) ([]sending.Message, error) {
	var all []sending.Message
	for _, due := range r.Due {
		open := d.user.Guard.Codes[due.Purpose]
		if !open.Open() || open.Expired(d.now) {
			continue
		}
		if due.Purpose == sending.RegisterPasskey {
			made, err := s.registrationCode(d.user, open)
			if err != nil {
				return nil, err
			}
			all = append(all, d.user.addressed(d.user.linkMessage(made, due.URLTemplate)))
			continue
		}
		k := mailContact()
		if due.Purpose == sending.VerifyPhone {
			k = phoneContact()
		}
		to := k.contact(d.user).Address
		code, err := s.contactDigits(d.user, k, to, open)
		if err != nil {
			return nil, err
		}
		all = append(all, d.user.addressed(k.message(open, to, code, due.URLTemplate)))
	}
	return all, nil
}

// note replaces the receipt in the guard.
func (s *Service) note(ctx context.Context, d *draft, r idempotency.Receipt) error {
	before := d.user
	d.user = before.Clone()
	d.user.Guard.Receipts = before.Guard.Receipts.With(r, d.now)
	d.user.Guard.Version++
	return s.c.Store.SaveUser(ctx, Change{Old: before, New: d.user})
}

// settled notes that the messages left. That is for a repetition only, and the messages
// cannot be called back: whoever asked first is answered even when it cannot be noted,
// and a repetition then sends them once more.
func (s *Service) settled(ctx context.Context, d *draft, r idempotency.Receipt) {
	r.Owe(nil, d.now)
	_ = s.c.Retry.OnConflict(ctx, func() error {
		err := s.note(ctx, d, r)
		if err == nil {
			return nil
		}
		now, loadErr := s.c.Store.User(ctx, d.user.ID)
		if loadErr != nil || now == nil {
			return loadErr
		}
		d.user = now
		return err
	})
}

// answerAgain shows the user as of the request, as far as its answer does.
func (s *Service) answerAgain(u *User, r idempotency.Receipt) (Result, error) {
	result := Result{User: u.Clone()}
	result.Guard.Version, result.Guard.Changed = r.Sequence, r.At
	for name := range r.Sealed {
		secret, err := r.Open(s.c.Ring, name)
		if err != nil {
			return Result{}, fmt.Errorf("open an answer: %w", err)
		}
		if result.secrets == nil {
			result.secrets = make(map[string]string)
		}
		result.secrets[name] = string(secret)
	}
	return result, nil
}
