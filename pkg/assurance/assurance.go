// Package assurance owns what verified factors are worth: the authenticator assurance
// level of NIST SP 800-63B-4 and the claims that go with it, the requirements that a
// caller can make of them, and the steps that lead to a requirement.
//
// It decides on values alone. It is stricter than a count of factors, because the
// standard is: an e-mail is no authenticator, two things that somebody has are one
// factor, and what is not known counts for the weaker of what it may be (63B-4, section
// 4.1.3).
package assurance

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Factor is a kind of proof. The names are those of message Factors in JSON, so that
// callers have one word for each (wire contract, section 2.4).
type Factor string

// The factors.
const (
	Password Factor = "password"
	// External is a sign-in at another identity provider.
	External Factor = "intent"
	// Key is a passkey or U2F key.
	Key      Factor = "webAuthN"
	TOTP     Factor = "totp"
	SMS      Factor = "otpSms"
	Email    Factor = "otpEmail"
	Recovery Factor = "recoveryCode"
)

// Factors returns every factor, in the order in which they are named to people.
func Factors() []Factor {
	return []Factor{Password, Key, TOTP, SMS, External, Email, Recovery}
}

// Level is an authenticator assurance level, from 1 to 3, or 0 for none.
type Level uint8

// ACR returns the authentication context class of the level, "aal1" to "aal3"; empty
// for none.
func (l Level) ACR() string {
	if l == 0 {
		return ""
	}
	return fmt.Sprintf("aal%d", l)
}

// Evidence is what has been verified. The zero Evidence is nothing.
type Evidence struct {
	// Verified is when each factor was last verified; one that is missing was not.
	Verified map[Factor]time.Time
	// UserVerified says that the key is one that verifies its user, and did.
	UserVerified bool
	// DeviceBound says that the key cannot leave its device, as far as the
	// authenticator tells. Where that is not known it is false.
	DeviceBound bool
}

// Has reports whether every one of the factors was verified.
func (e Evidence) Has(factors ...Factor) bool {
	for _, f := range factors {
		if e.Verified[f].IsZero() {
			return false
		}
	}
	return true
}

// without returns the evidence that is left when the factor does not count.
func (e Evidence) without(f Factor) Evidence {
	e.Verified = maps.Clone(e.Verified)
	delete(e.Verified, f)
	return e
}

// Assurance is what evidence is worth.
type Assurance struct {
	AAL Level
	// ACR is the level as an authentication context class; see Level.ACR.
	ACR string
	// AMR are the methods that were verified, those that count for nothing included:
	// values of RFC 8176, and "stepup:…" where it registers none.
	AMR []string
	// AuthTime is when a factor that counts was last verified; zero at AAL 0.
	AuthTime time.Time
	// PhishingResistant says that a key bound to this service's name was verified
	// (63B-4, section 3.2.5).
	PhishingResistant bool
	// Restricted says that the level rests on a restricted authenticator, a code by
	// SMS (63B-4, section 3.2.9): without it the level would be lower.
	Restricted bool
}

// Of returns what the evidence is worth.
func Of(e Evidence) Assurance {
	a := Assurance{AAL: e.level(), AMR: e.methods(), PhishingResistant: e.Has(Key)}
	a.ACR = a.AAL.ACR()
	a.Restricted = e.without(SMS).level() < a.AAL
	if a.AAL > 0 {
		for _, f := range []Factor{Password, Key, TOTP, SMS} {
			a.AuthTime = later(a.AuthTime, e.Verified[f])
		}
	}
	return a
}

// level follows 63B-4, sections 2.1 to 2.3, clause by clause.
//
// At AAL3 the key must be hardware and not exportable (sections 2.3.2 and 3.2.13). An
// authenticator's own word on that is taken, because attestation is not asked for.
func (e Evidence) level() Level {
	key, password := e.Has(Key), e.Has(Password)
	had := key || e.Has(TOTP) || e.Has(SMS) // something that somebody has
	switch {
	case key && e.DeviceBound && (e.UserVerified || password):
		return 3
	case key && e.UserVerified, password && had:
		return 2
	case key, password, e.Has(External) && had:
		return 1
	default:
		return 0
	}
}

// methods names what was verified, in an order that never changes.
func (e Evidence) methods() []string {
	var all []string
	for _, f := range Factors() {
		if !e.Has(f) {
			continue
		}
		all = append(all, methodOf[f]...)
		if f == Key {
			all = append(all, e.possession(), "user") // WebAuthn always tests for presence
		}
	}
	if e.level() > 1 {
		all = append(all, "mfa")
	}
	return slices.Clip(all)
}

// methodOf has the names of RFC 8176, section 2, and names with a prefix where it has
// none: a code in a mail is no one-time password in its sense.
var methodOf = map[Factor][]string{
	Password: {"pwd"},
	TOTP:     {"otp"},
	SMS:      {"sms"},
	External: {"stepup:external"},
	Email:    {"stepup:email"},
	Recovery: {"stepup:recovery"},
}

// possession says how the key is kept. One that may leave its device is taken for one
// that software keeps.
func (e Evidence) possession() string {
	if e.DeviceBound {
		return "hwk"
	}
	return "swk"
}

func later(a, b time.Time) time.Time {
	if b.After(a) {
		return b
	}
	return a
}
