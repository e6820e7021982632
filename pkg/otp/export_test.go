package otp

import (
	"hash"

	"github.com/stepup-auth/stepup/pkg/keyring"
)

// HOTP is the algorithm with its hash as an argument: RFC 6238 has vectors for three.
func HOTP(newHash func() hash.Hash, secret []byte, counter uint64) string {
	return hotp(newHash, secret, counter)
}

// DigitsOf makes a code of the given blocks.
func DigitsOf(block func(n byte) ([keyring.MACSize]byte, error)) (string, error) {
	return digits(block)
}
