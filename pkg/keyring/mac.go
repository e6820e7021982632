package keyring

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
)

// MACSize is the length of a full MAC in bytes.
const MACSize = sha256.Size

// MinMACSize is the shortest truncated MAC that Verify accepts, in bytes: half of
// the hash's output and 128 bits, the lower bound of RFC 2104 section 5.
const MinMACSize = MACSize / 2

// MAC returns the HMAC-SHA256 (RFC 2104) of the parts under the sub-key of the
// purpose. Each part goes in behind its length (8 bytes, big-endian), so that
// ("ab", "c") and ("a", "bc") differ, and so do one part and none. The error has
// ErrUnknownKey in its chain when the ring lacks the key.
func (r *Ring) MAC(purpose, keyID string, parts ...[]byte) ([MACSize]byte, error) {
	keys, err := r.subKeys(purpose, keyID)
	if err != nil {
		return [MACSize]byte{}, err
	}
	h := hmac.New(sha256.New, keys.mac)
	var size [8]byte
	for _, part := range parts {
		binary.BigEndian.PutUint64(size[:], uint64(len(part)))
		h.Write(size[:])
		h.Write(part)
	}
	return [MACSize]byte(h.Sum(nil)), nil
}

// Verify reports in constant time whether mac is the MAC of the parts, or its
// first 16 bytes or more. Anything shorter or longer than a MAC, and a key that
// the ring lacks, is false.
func (r *Ring) Verify(purpose, keyID string, mac []byte, parts ...[]byte) bool {
	if len(mac) < MinMACSize || len(mac) > MACSize {
		return false
	}
	want, err := r.MAC(purpose, keyID, parts...)
	return err == nil && hmac.Equal(mac, want[:len(mac)])
}
