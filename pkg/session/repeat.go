package session

import (
	"context"
	"fmt"

	"github.com/stepup-auth/stepup/pkg/assurance"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/idempotency"
	"github.com/stepup-auth/stepup/pkg/sending"
)

// receipt returns what an earlier request of the same name left: in the session if it was
// carried out, in the guard of the user whose failure it was if it was refused.
func (d *decision) receipt(r idempotency.Request) (*idempotency.Receipt, error) {
	var all idempotency.Receipts
	if d.loaded.Session != nil {
		all = append(all, d.loaded.Session.Receipts...)
	}
	if d.loaded.User != nil {
		all = append(all, d.loaded.User.Guard.Receipts...)
	}
	return all.Find(d.ring, r)
}

// keep leaves a receipt in what the decision writes. One that writes nothing has no
// effect to be repeated, and leaves none.
func (d *decision) keep(r idempotency.Request, denied *fault.Fault) error {
	if r.None() {
		return nil
	}
	receipt, err := idempotency.NewReceipt(d.ring, r, d.now)
	if err != nil {
		return fmt.Errorf("make a receipt: %w", err)
	}
	receipt.Denied = denied
	switch {
	case denied == nil && d.changed:
		receipt.Sequence, receipt.Token, receipt.Held = d.session.Sequence, d.session.TokenID, d.held
		receipt.Prices = d.outbox.Prices
		receipt.Owe(d.outbox.Due(), d.now)
		if err := d.sealAnswer(&receipt); err != nil {
			return fmt.Errorf("seal an answer: %w", err)
		}
		d.session.Receipts = d.session.Receipts.With(receipt, d.now)
	case denied != nil && d.userChanged():
		d.user.Guard.Receipts = d.user.Guard.Receipts.With(receipt, d.now)
	case denied != nil && d.afterDenial != nil:
		after := d.afterDenial
		d.afterDenial = func(s *Session) {
			after(s)
			s.Receipts = s.Receipts.With(receipt, d.now)
		}
	}
	return nil
}

// keyOptions is the name of the options for an assertion among the secrets of an answer;
// codes have the names of their channels.
const keyOptions = "key"

func (d *decision) sealAnswer(receipt *idempotency.Receipt) error {
	for channel, code := range d.opened {
		if err := receipt.Seal(d.ring, d.random, string(channel), []byte(code)); err != nil {
			return err
		}
	}
	if d.keyOptions == nil {
		return nil
	}
	return receipt.Seal(d.ring, d.random, keyOptions, d.keyOptions)
}

// repeat answers as the first request did, once its messages have left.
func (s *Service) repeat(ctx context.Context, d *decision, r idempotency.Receipt) (Result, error) {
	if r.Denied != nil {
		return Result{}, s.instead(ctx, d, r.Denied)
	}
	d.session = d.loaded.Session.Clone()
	if err := s.settlement(d).Send(ctx, r); err != nil {
		return Result{}, err
	}
	return s.answerAgain(ctx, d, r)
}

func (s *Service) settlement(d *decision) idempotency.Settlement {
	return idempotency.Settlement{Debtor: &debtor{d, s.c.Store}, Messenger: s.c.Messenger, Retry: s.c.Retry, Now: d.now}
}

// debtor is the session of a decision.
type debtor struct {
	*decision

	store Store
}

// Messages implements idempotency.Debtor.
func (d *debtor) Messages(due []sending.Due) ([]sending.Message, error) {
	var all []sending.Message
	for _, m := range due {
		k := smsCodes()
		if m.Purpose == sending.OTPEmail {
			k = emailCodes()
		}
		open := *k.challenge(d.session)
		if d.user == nil || !k.ready(d.user) || !open.Open() || open.Expired(d.now) {
			continue
		}
		code, err := d.code(k, open)
		if err != nil {
			return nil, err
		}
		all = append(all, d.message(k, m.URLTemplate, code))
	}
	return all, nil
}

// Note implements idempotency.Debtor.
func (d *debtor) Note(ctx context.Context, r idempotency.Receipt) error {
	noted := d.session.Clone()
	noted.Receipts = noted.Receipts.With(r, d.now)
	noted.Revision++
	if err := d.store.Commit(ctx, Change{Old: d.session, New: noted}); err != nil {
		return err
	}
	d.session = noted
	return nil
}

// Reload implements idempotency.Debtor.
func (d *debtor) Reload(ctx context.Context) error {
	loaded, err := d.store.Load(ctx, Ref{SessionID: d.session.ID})
	if err == nil && loaded.Session == nil {
		err = ErrNotFound
	}
	if err == nil {
		d.session = loaded.Session
	}
	return err
}

// answerAgain tells the outcome of then, and what the session is worth now.
func (s *Service) answerAgain(ctx context.Context, d *decision, r idempotency.Receipt) (Result, error) {
	session := d.loaded.Session.Clone()
	session.Factors.dropOutdated(d.loaded.Guard)
	d.session, d.held = session, r.Held
	result := Result{
		Assurance: assurance.Of(session.evidence(d.now)),
		Unmet:     s.lacks(ctx, d),
		SessionID: session.ID,
		Prices:    r.Prices,
		Details:   Details{Sequence: r.Sequence, Created: session.Created, Changed: r.At},
	}
	for _, channel := range []sending.Channel{sending.SMS, sending.Email} {
		code, err := r.Open(d.ring, string(channel))
		if err != nil {
			return Result{}, fmt.Errorf("open an answer: %w", err)
		}
		if code == nil {
			continue
		}
		if result.Codes == nil {
			result.Codes = make(map[sending.Channel]string)
		}
		result.Codes[channel] = string(code)
	}
	var err error
	if result.KeyOptions, err = r.Open(d.ring, keyOptions); err != nil {
		return Result{}, fmt.Errorf("open an answer: %w", err)
	}
	result.Token, err = s.tokens.Format(Token{SessionID: session.ID, ID: r.Token})
	return result, err
}
