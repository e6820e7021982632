// Package passkeytest owns the keys that tests give to the virtual authenticator.
package passkeytest

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"

	"github.com/descope/virtualwebauthn"
)

// Credential returns a credential with an id of its own and the key that Key returns.
func Credential(fill byte) virtualwebauthn.Credential {
	c := virtualwebauthn.NewCredential(virtualwebauthn.KeyTypeEC2)
	c.Key = Key(fill)
	return c
}

// Key returns a P-256 key whose private part is one byte, 1 to 254, repeated. It is always
// the same: the library writes the coordinates of a point without leading zeros, so that
// one in 128 keys of its own is malformed.
func Key(fill byte) *virtualwebauthn.Key {
	private, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), bytes.Repeat([]byte{fill}, 32))
	if err != nil {
		panic(err) // only 0 and 255 are no keys of the curve
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		panic(err) // every key of the curve has this form
	}
	return &virtualwebauthn.Key{Type: virtualwebauthn.KeyTypeEC2, Data: der}
}
