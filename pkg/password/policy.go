package password

import (
	"fmt"
	"unicode/utf8"

	"github.com/stepup-auth/stepup/pkg/fault"
)

var (
	// ErrTooShort is returned for a new password below the minimum (wire contract,
	// creating a human user).
	ErrTooShort = fault.New(fault.InvalidArgument, "DOMAIN-HuJf6", "Password is too short")
	// ErrTooLong is returned for a new password above the maximum.
	ErrTooLong = fault.New(fault.InvalidArgument, "STEPUP-password-long", "Password is too long")
	// ErrCommon is returned for a new password that is on the blocklist.
	ErrCommon = fault.New(fault.InvalidArgument, "STEPUP-password-common", "Password is too common or was found in a data breach")
)

// Policy says which new passwords are acceptable. It is for setting a password;
// checking one compares it with the hash and nothing else, so that a stricter
// policy locks nobody out.
//
// There are no rules of composition and no expiry: NIST SP 800-63B-4 section
// 3.1.1.2 and ASVS 5.0 6.2.5 and 6.2.10 forbid both. Lengths count Unicode code
// points, as NIST says.
type Policy struct {
	// MinLength is the least number of code points. The default is 8: the minimum
	// where the password is one of two factors (security bar P1), which is what this
	// service is for. Set 15 where the password is the only factor.
	MinLength int
	// MaxLength is the greatest number of code points. The default is 200, which is
	// also what the wire contract allows. At least 64 must be accepted.
	MaxLength int
	// Blocked reports whether a password is too common or known to be breached
	// (security bar P2: at least the 3,000 most common ones). Nil blocks nothing;
	// Common().Contains fits.
	Blocked func(plain string) bool
}

const (
	leastMinLength = 8
	leastMaxLength = 64
)

func (p Policy) withDefaults() Policy {
	if p.MinLength == 0 {
		p.MinLength = leastMinLength
	}
	if p.MaxLength == 0 {
		p.MaxLength = 200
	}
	return p
}

// Validate returns an error that names the value which is outside what NIST and
// ASVS allow: a minimum of at least 8, a maximum of at least 64 and not below the
// minimum.
func (p Policy) Validate() error {
	p = p.withDefaults()
	switch {
	case p.MinLength < leastMinLength:
		return fmt.Errorf("password: Policy.MinLength %d is below %d", p.MinLength, leastMinLength)
	case p.MaxLength < max(leastMaxLength, p.MinLength):
		return fmt.Errorf("password: Policy.MaxLength %d is below %d", p.MaxLength, max(leastMaxLength, p.MinLength))
	}
	return nil
}

// Check returns nil for an acceptable new password, and otherwise ErrTooShort,
// ErrTooLong or ErrCommon.
func (p Policy) Check(plain string) error {
	p = p.withDefaults()
	switch length := utf8.RuneCountInString(plain); {
	case length < p.MinLength:
		return ErrTooShort
	case length > p.MaxLength:
		return ErrTooLong
	case p.Blocked != nil && p.Blocked(plain):
		return ErrCommon
	}
	return nil
}
