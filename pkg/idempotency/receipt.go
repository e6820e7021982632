package idempotency

import (
	"io"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/keyring"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/sending/price"
)

// Receipt is what a request did, as far as its answer tells it.
type Receipt struct {
	Name Name
	// Body is a MAC of what was asked, under the ring's key of that id.
	Body  [16]byte
	KeyID string
	// At is when it was decided.
	At time.Time
	// Denied is the outcome of a request that was refused and counted; nil for one that
	// was carried out.
	Denied *fault.Fault
	// Sequence and Token are those of what was changed. A session has a token.
	Sequence uint64
	Token    [16]byte
	// Held says that a part of the request was left out, because a requirement was not
	// met.
	Held bool
	// Prices are those of the answer. They are kept because the price list may change.
	Prices map[sending.Channel]price.Micros
	// Sealed are the secrets of the answer, by name.
	Sealed map[string][]byte
	// Due are the messages that may not have left yet, which whoever holds the lease
	// sends.
	Due        []sending.Due
	LeaseUntil time.Time
}

// NewReceipt returns the receipt of a request that is decided now.
func NewReceipt(ring *keyring.Ring, r Request, now time.Time) (Receipt, error) {
	made := Receipt{Name: r.name("key"), KeyID: ring.Current(), At: now}
	var err error
	made.Body, err = r.digest(ring, made.KeyID)
	return made, err
}

// Owe notes the messages that are to leave once the receipt is stored, and by when.
func (r *Receipt) Owe(due []sending.Due, now time.Time) {
	if r.Due = due; len(due) > 0 {
		r.LeaseUntil = now.Add(Lease)
	}
}

// Running returns ErrRunning while somebody else may be sending the messages.
func (r *Receipt) Running(now time.Time) error {
	if len(r.Due) > 0 && now.Before(r.LeaseUntil) {
		return ErrRunning.WithRetryAfter(r.LeaseUntil.Sub(now))
	}
	return nil
}

const sealPurpose = "idempotency-answer"

// Seal keeps a secret of the answer under a name.
func (r *Receipt) Seal(ring *keyring.Ring, random io.Reader, name string, secret []byte) error {
	sealed, err := ring.Seal(random, sealPurpose, secret, r.bound(name))
	if err != nil {
		return err
	}
	if r.Sealed == nil {
		r.Sealed = make(map[string][]byte)
	}
	r.Sealed[name] = sealed
	return nil
}

// Open returns the secret of that name; nil when there is none.
func (r *Receipt) Open(ring *keyring.Ring, name string) ([]byte, error) {
	sealed, kept := r.Sealed[name]
	if !kept {
		return nil, nil
	}
	return ring.Open(sealPurpose, sealed, r.bound(name))
}

func (r *Receipt) bound(name string) []byte { return append(r.Name[:], name...) }
