package session

import (
	"slices"
	"time"
	"unicode/utf8"

	"github.com/stepup-auth/stepup/pkg/assurance"
	"github.com/stepup-auth/stepup/pkg/idempotency"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/sending/price"
)

// Create starts a session.
type Create struct {
	Step
	Agent UserAgent
}

// Set changes a session.
type Set struct {
	SessionID string
	// Match lets the step happen only to a session in a state that the caller knows.
	Match Match
	Step

	// Require, when set, must be met by the session once the checks have run. When it is
	// not, the checks and challenges of the step are kept and the rest is left out; a
	// step that has neither is refused with ErrInsufficient.
	Require *assurance.Requirement
}

// Match lists the sequences that a session may have; nil is any.
type Match []uint64

func (m Match) allows(s *Session) bool { return m == nil || slices.Contains(m, s.Sequence) }

// Step is what Create and Set have in common. The zero Step changes nothing.
type Step struct {
	// Once makes the step one that can be repeated without a second effect.
	Once   idempotency.Request
	Checks Checks
	// Metadata is merged; an empty value deletes its key.
	Metadata map[string][]byte
	// Lifetime, when set, lets the session expire that long from now.
	Lifetime *time.Duration
	// Challenges are opened after the checks, so that a check never answers a
	// challenge of its own step.
	Challenges RequestChallenges
}

// Checks are the factors to verify; nil ones are not asked for. They run in the
// order of the fields, and the first that fails ends the step.
type Checks struct {
	User     *CheckUser
	Password *CheckPassword
	Intent   *CheckIntent
	Key      *CheckKey
	TOTP     *CheckCode
	SMS      *CheckCode
	Email    *CheckCode
	Recovery *CheckCode
}

// CheckCode verifies a code of any kind.
type CheckCode struct{ Code string }

// CheckIntent verifies an external identity by a sign-in that succeeded, and uses the
// sign-in up.
type CheckIntent struct{ ID, Token string }

// CheckKey verifies an assertion of a passkey or U2F key that answers an open challenge.
// One that answers a challenge for nobody in particular also names the user.
type CheckKey struct {
	// Answer is the PublicKeyCredential that the browser returned, as JSON.
	Answer []byte
}

// RequestChallenges are the challenges to open; nil ones are not asked for.
type RequestChallenges struct {
	Key        *RequestKey
	SMS, Email *RequestCode
}

func (r RequestChallenges) any() bool { return r != RequestChallenges{} }

// RequestKey asks for an assertion. Without a user only passkeys can answer, with user
// verification, and the answer says who the user is.
type RequestKey struct {
	RPID string
	// Verification selects the keys too: Required asks for passkeys, everything else
	// for U2F keys.
	Verification passkey.Verification
}

// RequestCode asks for a one-time code.
type RequestCode struct {
	// ReturnCode puts the code into the answer, and no message leaves.
	ReturnCode bool
	// URLTemplate is the link that a mail leads to; empty has none.
	URLTemplate string
}

// CheckUser binds a user, named by exactly one of the fields.
type CheckUser struct {
	ID        string
	LoginName string
}

// CheckPassword verifies the bound user's password.
type CheckPassword struct{ Plain string }

// any reports whether anything is checked.
func (c Checks) any() bool { return c != Checks{} }

// Details are the stored facts about the last change.
type Details struct {
	Sequence         uint64
	Created, Changed time.Time
}

func (s *Session) details() Details {
	return Details{Sequence: s.Sequence, Created: s.Created, Changed: s.Changed}
}

// Result answers a Create or a Set.
type Result struct {
	SessionID string
	// Token is the new current token; empty when the step changed nothing and the
	// old one is still good.
	Token   string
	Details Details
	// Assurance is what the session is worth after the step.
	Assurance assurance.Assurance
	// Unmet says what is missing of the requirement; nil when none was made or it is met.
	Unmet *Unmet
	// Codes holds the codes that were asked to be returned, by channel.
	Codes map[sending.Channel]string
	// Prices are what the messages that were sent are reckoned to cost, by channel, where
	// that is told.
	Prices map[sending.Channel]price.Micros
	// KeyOptions are for navigator.credentials.get(), as JSON {"publicKey":{…}}; nil
	// when no assertion was asked for.
	KeyOptions []byte
}

// Limits on what a caller can store in a session, so that it fits its item.
const (
	maxMetadataKeys  = 64
	maxMetadataKey   = 200
	maxMetadataValue = 4 << 10
	maxAgentBytes    = 16 << 10
	maxFingerprint   = 200
)

// validate refuses what no state of a session could accept.
func (s Step) validate() error {
	if s.Lifetime != nil && *s.Lifetime <= 0 {
		return ErrLifetime
	}
	if len(s.Metadata) > maxMetadataKeys {
		return errMetadataCount
	}
	for key, value := range s.Metadata {
		if n := utf8.RuneCountInString(key); n < 1 || n > maxMetadataKey {
			return errMetadataKey
		}
		if len(value) > maxMetadataValue {
			return errMetadataValue
		}
	}
	return nil
}

func (a UserAgent) validate() error {
	if _, nameless := a.Header[""]; nameless {
		return errAgentHeader
	}
	if utf8.RuneCountInString(a.Fingerprint) > maxFingerprint || a.size() > maxAgentBytes {
		return errAgentSize
	}
	return nil
}

// size counts a byte beside each name and each value, because empty ones take room
// as well.
func (a UserAgent) size() int {
	n := len(a.Fingerprint) + len(a.Description)
	for name, values := range a.Header {
		n += len(name) + 1
		for _, v := range values {
			n += len(v) + 1
		}
	}
	return n
}
