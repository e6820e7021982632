package otp

import (
	"encoding/hex"
	"fmt"
	"io"
	"time"

	"github.com/stepup-auth/stepup/pkg/keyring"
)

// MaxTries is how many wrong answers one code takes before it is dead (row O4).
const MaxTries = 5

// Challenge is an open one-time code. The code itself is kept nowhere: it is derived
// from what stands here and the keyring (row O7). The zero value is none.
type Challenge struct {
	ID        ChallengeID
	KeyID     string
	ExpiresAt time.Time
	// Tries counts the wrong answers to this code.
	Tries int
	// Region is the calling code of the number that it was sent to, where its use is
	// waited for (sending.Conversion); empty otherwise.
	Region string
}

// ChallengeID is 128 random bits.
type ChallengeID [16]byte

// String returns the bits in hexadecimal.
func (id ChallengeID) String() string { return hex.EncodeToString(id[:]) }

// NewChallenge opens a code under the ring's current key. It fails only when random
// does.
func NewChallenge(ring *keyring.Ring, random io.Reader, expiresAt time.Time) (Challenge, error) {
	c := Challenge{KeyID: ring.Current(), ExpiresAt: expiresAt}
	if _, err := io.ReadFull(random, c.ID[:]); err != nil {
		return Challenge{}, fmt.Errorf("draw a challenge id: %w", err)
	}
	return c, nil
}

// Open reports whether there is a code that can be answered.
func (c Challenge) Open() bool { return c.KeyID != "" }

// Expired reports whether the code's time is over.
func (c Challenge) Expired(now time.Time) bool { return now.After(c.ExpiresAt) }

// Code derives the digits. They depend on what the challenge is bound to, such as a
// session, so that the code of one is worth nothing in another (row O6).
func (c Challenge) Code(ring *keyring.Ring, purpose string, bound ...[]byte) (string, error) {
	return Derive(ring, purpose, c.KeyID, append(bound, c.ID[:])...)
}

// Miss counts a wrong answer and closes a challenge that had its share.
func (c *Challenge) Miss() {
	if c.Tries++; c.Tries >= MaxTries {
		*c = Challenge{}
	}
}
