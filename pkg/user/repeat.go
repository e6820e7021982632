package user

import (
	"context"
	"fmt"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/idempotency"
	"github.com/stepup-auth/stepup/pkg/keyring"
	"github.com/stepup-auth/stepup/pkg/otp"
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
		receipt.Prices = d.outbox.Prices
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

// repeat answers as the first request did, once its messages have left.
func (s *Service) repeat(ctx context.Context, d *draft, r idempotency.Receipt) (Result, error) {
	if r.Denied != nil {
		return Result{}, r.Denied
	}
	d.user = d.stored().Clone()
	if err := s.settlement(d).Send(ctx, r); err != nil {
		return Result{}, err
	}
	return s.answerAgain(d.stored(), r)
}

func (s *Service) settlement(d *draft) idempotency.Settlement {
	return idempotency.Settlement{Debtor: &debtor{d, s}, Messenger: s.c.Messenger, Retry: s.c.Retry, Now: d.now}
}

// debtor is the user of a draft.
type debtor struct {
	*draft

	s *Service
}

// Messages implements idempotency.Debtor.
func (d *debtor) Messages(due []sending.Due) ([]sending.Message, error) {
	var all []sending.Message
	for _, m := range due {
		open := d.user.Guard.Codes[m.Purpose]
		if !open.Open() || open.Expired(d.now) {
			continue
		}
		again, err := d.message(m, open)
		if err != nil {
			return nil, err
		}
		all = append(all, d.user.addressed(again))
	}
	return all, nil
}

func (d *debtor) message(due sending.Due, open otp.Challenge) (sending.Message, error) {
	if due.Purpose == sending.RegisterPasskey {
		made, err := d.s.registrationCode(d.user, open)
		return d.user.linkMessage(made, due.URLTemplate), err
	}
	k := mailContact()
	if due.Purpose == sending.VerifyPhone {
		k = phoneContact()
	}
	to := k.contact(d.user).Address
	code, err := d.s.contactDigits(d.user, k, to, open)
	return k.message(open, to, code, due.URLTemplate), err
}

// Note implements idempotency.Debtor.
func (d *debtor) Note(ctx context.Context, r idempotency.Receipt) error {
	noted := d.user.Clone()
	noted.Guard.Receipts = noted.Guard.Receipts.With(r, d.now)
	noted.Guard.Version++
	if err := d.s.c.Store.SaveUser(ctx, Change{Old: d.user, New: noted}); err != nil {
		return err
	}
	d.user = noted
	return nil
}

// Reload implements idempotency.Debtor.
func (d *debtor) Reload(ctx context.Context) error {
	now, err := d.s.c.Store.User(ctx, d.user.ID)
	if err == nil && now == nil {
		err = ErrNotFound
	}
	if err == nil {
		d.user = now
	}
	return err
}

// answerAgain shows the user as of the request, as far as its answer does.
func (s *Service) answerAgain(u *User, r idempotency.Receipt) (Result, error) {
	result := Result{User: u.Clone(), Prices: r.Prices}
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
