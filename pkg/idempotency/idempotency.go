// Package idempotency owns what a repeated request gets: the answer of the first one,
// without a second effect (IETF draft-ietf-httpapi-idempotency-key-header).
//
// The caller names a request by a key. What it did leaves a receipt in the very item
// that it changed, a session or the guard of a user, and so in the same write: there is
// a receipt exactly when there was an effect. A repetition that loads the item finds the
// receipt, and costs no read, no write and no item of its own.
package idempotency

import (
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/id"
	"github.com/stepup-auth/stepup/pkg/keyring"
)

const (
	// Life is how long a receipt is kept at least.
	Life = 24 * time.Hour
	// Lease is how long the first request may take to send its messages before a
	// repetition sends them. A request has to end before: the deadline that is configured
	// for it must be shorter.
	Lease = time.Minute
	// Kept is how many receipts one session or user keeps; the oldest make room.
	Kept = 32
	// Room is how many bytes of sealed answers they keep, the latest aside, so that the item
	// stays well below the 400 kB that DynamoDB takes: the options of a passkey challenge name
	// every passkey of the user.
	Room = 64 << 10
)

// Faults of a repetition.
var (
	ErrReused = fault.New(fault.Aborted, "STEPUP-idempotency-reused", "Idempotency-Key was used for another request")
	// ErrRunning says when to ask again.
	ErrRunning = fault.New(fault.Aborted, "STEPUP-idempotency-running", "The request with this Idempotency-Key is still running")
)

// Request names one request of one caller. The zero value has no name and is never
// taken for a repetition.
type Request struct {
	// Caller is who asks; keys of different callers have nothing to do with each other.
	Caller string
	// Key is the caller's own.
	Key string
	// Operation and Body are what is asked. Body may hold secrets and is not kept.
	Operation string
	Body      []byte
}

// None reports whether the request has no name.
func (r Request) None() bool { return r.Key == "" }

// Name is what a request is known by in the store.
type Name [16]byte

func (r Request) name(use string) Name {
	h := sha256.New()
	var size [8]byte
	for _, part := range []string{use, r.Caller, r.Key} {
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write([]byte(part))
	}
	return Name(h.Sum(nil)[:len(Name{})])
}

// ID is the id of what the request creates, so that a repetition finds it.
func (r Request) ID() string { return id.Encode(r.name("id")) }

// macPurpose separates the digests of bodies from all else that the keyring
// authenticates. They are keyed because a body may hold a password.
const macPurpose = "idempotency-body"

func (r Request) digest(ring *keyring.Ring, keyID string) ([16]byte, error) {
	mac, err := ring.MAC(macPurpose, keyID, []byte(r.Operation), r.Body)
	return [16]byte(mac[:]), err
}

// Receipts are those of one item, the oldest first.
type Receipts []Receipt

// Find returns the receipt of the request; nil when there is none. It returns ErrReused
// when the key was used for something else.
func (all Receipts) Find(ring *keyring.Ring, r Request) (*Receipt, error) {
	if r.None() {
		return nil, nil
	}
	at := slices.IndexFunc(all, func(known Receipt) bool { return known.Name == r.name("key") })
	if at < 0 {
		return nil, nil
	}
	found := all[at]
	if !ring.Verify(macPurpose, found.KeyID, found.Body[:], []byte(r.Operation), r.Body) {
		return nil, ErrReused
	}
	return &found, nil
}

// With returns the receipts with one more, or with the newer one of the same name,
// without those that are old.
func (all Receipts) With(r Receipt, now time.Time) Receipts {
	kept := slices.DeleteFunc(slices.Clone(all), func(known Receipt) bool {
		return known.Name == r.Name || now.Sub(known.At) > Life
	})
	kept = append(kept, r)
	kept = kept[max(len(kept)-Kept, 0):]
	for len(kept) > 1 && kept.sealed() > Room {
		kept = kept[1:]
	}
	return kept
}

// sealed is the size of the sealed answers in bytes.
func (all Receipts) sealed() (size int) {
	for _, r := range all {
		for _, secret := range r.Sealed {
			size += len(secret)
		}
	}
	return size
}
