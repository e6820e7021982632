package keyring

import (
	"errors"
	"fmt"
	"io"
)

// ErrSealed is the error of Open for bytes that are not a seal of this ring, this
// purpose and this additional data. It does not say which: that would help only
// someone who is changing stored bytes.
var ErrSealed = errors.New("keyring: sealed value is damaged or belongs elsewhere")

// sealVersion is the first byte of every sealed value. The layout of version 1 is
//
//	version (1) | length of key id (1) | key id | nonce (12) | ciphertext | tag (16)
//
// and everything before the nonce is authenticated too.
const sealVersion = 1

const nonceSize = 12

// Seal encrypts plaintext with AES-256-GCM (NIST SP 800-38D) under the current
// key's sub-key for the purpose. The additional data, such as "which item, which
// field", is not stored: Open needs the same bytes, so a sealed value that is
// copied to another place does not open there. The result is 30 bytes and the
// length of the key id longer than plaintext.
//
// The nonce is 96 random bits. One key may seal 2^32 values per purpose before
// chance makes a repeated nonce worth worrying about (SP 800-38D section 8.3);
// rotate the ring long before.
func (r *Ring) Seal(random io.Reader, purpose string, plaintext, aad []byte) ([]byte, error) {
	keys, err := r.subKeys(purpose, r.current)
	if err != nil {
		return nil, err
	}
	header := append([]byte{sealVersion, byte(len(r.current))}, r.current...)
	var nonce [nonceSize]byte
	if _, err := io.ReadFull(random, nonce[:]); err != nil {
		return nil, fmt.Errorf("keyring: read nonce: %w", err)
	}
	sealed := make([]byte, 0, len(header)+nonceSize+len(plaintext)+keys.aead.Overhead())
	sealed = append(append(sealed, header...), nonce[:]...)
	return keys.aead.Seal(sealed, nonce[:], plaintext, bind(header, aad)), nil
}

// Open returns the plaintext of a value made by Seal for the same purpose and
// additional data, under the current key or an older one. It returns ErrSealed
// when any byte differs, and an error with ErrUnknownKey in its chain when the
// value names a key that is not in the ring.
func (r *Ring) Open(purpose string, sealed, aad []byte) ([]byte, error) {
	header, rest, ok := split(sealed)
	if !ok {
		return nil, ErrSealed
	}
	keys, err := r.subKeys(purpose, string(header[2:]))
	if err != nil {
		return nil, err
	}
	plaintext, err := keys.aead.Open(nil, rest[:nonceSize], rest[nonceSize:], bind(header, aad))
	if err != nil {
		return nil, ErrSealed
	}
	return plaintext, nil
}

// split cuts a sealed value behind its header. The rest has at least a nonce, and
// the header names an id that a ring could hold.
func split(sealed []byte) (header, rest []byte, ok bool) {
	if len(sealed) < 2 || sealed[0] != sealVersion {
		return nil, nil, false
	}
	end := 2 + int(sealed[1])
	if len(sealed) < end+nonceSize || !validID(string(sealed[2:end])) {
		return nil, nil, false
	}
	return sealed[:end], sealed[end:], true
}

// bind joins the header and the caller's additional data. The header tells its own
// length, so no two pairs give the same bytes.
func bind(header, aad []byte) []byte {
	return append(append(make([]byte, 0, len(header)+len(aad)), header...), aad...)
}
