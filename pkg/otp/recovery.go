package otp

import (
	"encoding/base32"
	"fmt"
	"io"
	"strings"
	"unicode"

	"github.com/stepup-auth/stepup/pkg/keyring"
)

// recoveryBytes gives 80 bits. From 64 on NIST SP 800-63B-4 section 4.2.1.1 asks for
// no limit on guessing, and 80 fill sixteen characters exactly.
const recoveryBytes = 10

// recoveryGroup is how many characters stand between two hyphens.
const recoveryGroup = 4

// recoveryPurpose separates these MACs from all others of a ring.
const recoveryPurpose = "recovery-code"

// recoveryText is Crockford's base 32 in lower case, which has no i, l, o and u.
var recoveryText = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// NewRecoveryCode reads 80 bits from random and returns them as four groups of four
// characters, such as "7zk3-01mq-x8vd-4n2c". It fails only when random does.
func NewRecoveryCode(random io.Reader) (string, error) {
	var raw [recoveryBytes]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return "", fmt.Errorf("otp: read recovery code: %w", err)
	}
	text := recoveryText.EncodeToString(raw[:])
	groups := make([]string, 0, len(text)/recoveryGroup)
	for ; text != ""; text = text[recoveryGroup:] {
		groups = append(groups, text[:recoveryGroup])
	}
	return strings.Join(groups, "-"), nil
}

// Normalize returns the one form of all the ways in which people write a code down:
// in capitals, with other gaps and dashes, with the letter o for 0 and with i or l
// for 1. A text that is no recovery code stays none.
func Normalize(code string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			r += 'a' - 'A'
		}
		switch {
		case unicode.IsSpace(r), unicode.Is(unicode.Pd, r):
			return -1
		case r == 'o':
			return '0'
		case r == 'i', r == 'l':
			return '1'
		default:
			return r
		}
	}, code)
}

// RecoveryMAC is what is stored of a recovery code. With 80 bits in the code and the
// key elsewhere it needs no slow hash, so that checking a user's whole list costs
// microseconds.
type RecoveryMAC struct {
	// KeyID names the key in the ring.
	KeyID string
	// Sum is the HMAC-SHA256 of the user id and the normalized code.
	Sum [keyring.MACSize]byte
}

// NewRecoveryMAC returns what to store of a user's recovery code, made with the
// ring's current key. It fails only for a ring that lacks that key.
func NewRecoveryMAC(ring *keyring.Ring, userID, code string) (RecoveryMAC, error) {
	sum, err := ring.MAC(recoveryPurpose, ring.Current(), recoveryParts(userID, code)...)
	if err != nil {
		return RecoveryMAC{}, err
	}
	return RecoveryMAC{KeyID: ring.Current(), Sum: sum}, nil
}

// Matches reports in constant time whether the code, in any spelling, is the one
// that m was made of, for the same user. It is false when the ring lacks the key.
func (m RecoveryMAC) Matches(ring *keyring.Ring, userID, code string) bool {
	return ring.Verify(recoveryPurpose, m.KeyID, m.Sum[:], recoveryParts(userID, code)...)
}

func recoveryParts(userID, code string) [][]byte {
	return [][]byte{[]byte(userID), []byte(Normalize(code))}
}
