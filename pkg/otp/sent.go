package otp

import (
	"crypto/subtle"

	"github.com/stepup-auth/stepup/pkg/keyring"
)

// Digits is the length of the codes that Derive makes: 26 bits, more than the six
// digits and 20 bits that NIST SP 800-63B-4 section 3.1.3.2 asks for.
const Digits = 8

// Derive returns the code of eight digits that belongs to the parts, such as a
// session and a challenge, under one key of the ring. The same arguments give the
// same code, so that a code can be checked without being stored; without the key it
// cannot be told from a random one. The error has keyring.ErrUnknownKey in its chain
// when the ring lacks the key.
//
// Every digit at every place is equally likely: bytes of an HMAC-SHA256 from 250 on
// are skipped, because ten does not divide 256, and the rest count modulo ten.
func Derive(ring *keyring.Ring, purpose, keyID string, parts ...[]byte) (string, error) {
	return digits(func(block byte) ([keyring.MACSize]byte, error) {
		return ring.MAC(purpose, keyID, append([][]byte{{block}}, parts...)...)
	})
}

// digits takes bytes from numbered blocks until it has enough. That the first block
// is not enough happens once in 10^34 codes.
func digits(block func(n byte) ([keyring.MACSize]byte, error)) (string, error) {
	code := make([]byte, 0, Digits)
	for n := byte(0); ; n++ {
		bytes, err := block(n)
		if err != nil {
			return "", err
		}
		for _, b := range bytes {
			if b < 250 {
				code = append(code, '0'+b%10)
			}
			if len(code) == Digits {
				return string(code), nil
			}
		}
	}
}

// Equal reports whether two codes are the same, in a time that depends on their
// lengths only.
func Equal(a, b string) bool {
	return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1
}
