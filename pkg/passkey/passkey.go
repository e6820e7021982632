// Package passkey owns WebAuthn: the relying parties of a deployment, the options
// that a browser is asked with, and the verification of what it answers (Web
// Authentication Level 3, sections 7.1 and 7.2).
//
// A ceremony has two halves. Begin… returns options for the browser and a Challenge
// for the store; Finish… verifies an answer against that Challenge. The package
// remembers nothing between them. The caller stores a Challenge where nobody else
// can change it, uses it once, and commits that use together with the new state of
// the credential: a signature that is right twice is a replay.
//
// Options and answers are JSON in bytes, because the caller passes them on unread.
package passkey

import (
	"fmt"
	"io"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
)

// Kind says what a credential counts as. It is decided at registration, and a
// challenge asks for one kind.
type Kind string

const (
	// Passkey proves two factors at once: possession, and a PIN or a biometric that
	// the authenticator has verified. It may stand alone.
	Passkey Kind = "passkey"
	// U2F proves possession and is used after another factor.
	U2F Kind = "u2f"
)

// Verification is what a ceremony demands of user verification, in the words of
// WebAuthn section 5.8.6.
type Verification string

const (
	// Required refuses an answer without user verification.
	Required Verification = "required"
	// Preferred asks for it where the authenticator can.
	Preferred Verification = "preferred"
	// Discouraged asks to leave it out.
	Discouraged Verification = "discouraged"
)

// Credential is what is stored of a registered authenticator.
type Credential struct {
	// ID is the credential's own id, of 1 to 1023 bytes. It is unique among honest
	// authenticators only: that no two users have the same is for the store to see to.
	ID []byte
	// PublicKey is a COSE_Key (RFC 9052 section 7) in CBOR, of at most 1024 bytes.
	PublicKey []byte
	// RPID is the relying party id that the credential is scoped to.
	RPID string
	Kind Kind
	// SignCount is the last signature counter; 0 where the authenticator has none.
	SignCount uint32
	// AAGUID tells the make and model, or is zero. It is the authenticator's own
	// claim: attestation is not asked for.
	AAGUID [16]byte
	// Transports are hints for the browser on how to reach the authenticator.
	Transports []string
	// BackupEligible says that the key may leave the device, as a synced passkey's
	// does, which keeps it below AAL3. It never changes.
	BackupEligible bool
	// BackupState says whether the key has been backed up so far.
	BackupState bool
	// UserVerified says whether the user was verified at registration.
	UserVerified bool
	// AttestationFormat is the format of the attestation statement, mostly "none".
	AttestationFormat string
}

// matches reports whether the credential may answer the challenge, once its owner is
// known.
func (c Credential) matches(asked Challenge) bool {
	return c.RPID == asked.RPID && c.Kind == asked.Kind
}

// Lifetime is how long a challenge is good for, and the timeout that browsers are
// given: the 5 minutes that WebAuthn section 15.1 recommends.
const Lifetime = 5 * time.Minute

// challengeSize is twice the 16 bytes of WebAuthn section 13.4.3.
const challengeSize = 32

// Challenge is the server's half of an open ceremony.
type Challenge struct {
	// Value is the 32 random bytes that the authenticator signs.
	Value []byte
	RPID  string
	Kind  Kind
	// Verification is enforced when the ceremony is finished.
	Verification Verification
	// Discoverable says that the user is not known yet: the answer has to name them.
	Discoverable bool
	// Expires is the first moment at which the challenge is void.
	Expires time.Time
}

// newChallenge draws the value and sets the expiry.
func newChallenge(random io.Reader, now time.Time, c Challenge) (Challenge, error) {
	c.Value = make([]byte, challengeSize)
	if _, err := io.ReadFull(random, c.Value); err != nil {
		return Challenge{}, fmt.Errorf("passkey: read challenge: %w", err)
	}
	c.Expires = now.Add(Lifetime)
	return c, nil
}

// Expired reports whether the challenge is void at the given time.
func (c Challenge) Expired(now time.Time) bool { return !now.Before(c.Expires) }

// verifiesUser reports whether an answer without user verification is refused. A
// value that nobody wrote refuses too.
func (c Challenge) verifiesUser() bool {
	return c.Verification != Preferred && c.Verification != Discouraged
}

// Faults that both ceremonies have.
var (
	// ErrRelyingParty is a domain that is none of the deployment's relying party ids.
	ErrRelyingParty = fault.New(fault.InvalidArgument, "WEBAU-UX9ta", "Domain is not a relying party of this service")
	// ErrExpired is an answer that came too late. It says nothing about the answer,
	// and should not count as a failed attempt.
	ErrExpired = fault.New(fault.FailedPrecondition, "STEPUP-webauthn-expired", "WebAuthN challenge has expired")
)
