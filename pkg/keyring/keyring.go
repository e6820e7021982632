// Package keyring owns the service's master keys, the sub-keys derived from them,
// and the two things that sub-keys do: authenticate (HMAC-SHA256) and seal
// (AES-256-GCM).
//
// A ring holds 32-byte master keys by id and names one of them as current. New
// MACs and seals use the current key and carry its id; old ones stay valid for as
// long as their key is in the ring. To rotate without a moment in which one
// process writes what another cannot read, first add the new key everywhere, then
// make it current, and remove the old key when nothing written under it is left.
//
// No master key is ever used directly. Each purpose, such as "session-token" or
// "totp-seed", has its own sub-keys (HKDF-SHA256, RFC 5869), one to authenticate
// and one to seal, so that output made for one purpose means nothing to another.
// Purposes are constants of the program, never input: derived keys are kept for
// the life of the ring.
package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
)

// KeySize is the length of master keys and of sub-keys in bytes.
const KeySize = 32

// ErrUnknownKey is in the chain of errors about a key id that the ring lacks.
var ErrUnknownKey = errors.New("no such key")

// Ring is a set of master keys. Parse makes one; it does not change afterwards and
// may be used from many goroutines at once.
type Ring struct {
	current string
	masters map[string][]byte
	derived sync.Map // slot → *subKeys
}

// slot addresses what one master key yields for one purpose.
type slot struct{ keyID, purpose string }

type subKeys struct {
	mac  []byte
	aead cipher.AEAD
}

// Current returns the id of the key that new MACs and seals should use.
func (r *Ring) Current() string { return r.current }

// String describes the ring without its keys.
func (r *Ring) String() string {
	return fmt.Sprintf("keyring(current %s of %d)", r.current, len(r.masters))
}

// Format makes every verb of package fmt print String: %d and %#v would otherwise
// print the bytes of the keys.
func (r *Ring) Format(state fmt.State, _ rune) {
	_, _ = fmt.Fprint(state, r.String())
}

// LogValue keeps the keys out of log/slog, whatever its handler does with structs.
func (r *Ring) LogValue() slog.Value { return slog.StringValue(r.String()) }

// subKeys returns the sub-keys of a purpose, derived on first use. Two goroutines
// may both derive; they get the same keys and one result is kept.
func (r *Ring) subKeys(purpose, keyID string) (*subKeys, error) {
	at := slot{keyID, purpose}
	if known, ok := r.derived.Load(at); ok {
		return known.(*subKeys), nil
	}
	master, ok := r.masters[keyID]
	if !ok {
		return nil, fmt.Errorf("keyring: key %q: %w", keyID, ErrUnknownKey)
	}
	made, err := derive(master, purpose)
	if err != nil {
		return nil, fmt.Errorf("keyring: derive for %q: %w", purpose, err)
	}
	kept, _ := r.derived.LoadOrStore(at, made)
	return kept.(*subKeys), nil
}

// derive expands a master key. The salt is empty, as RFC 5869 section 3.1 allows
// for input that is already uniformly random; the info string separates the uses.
func derive(master []byte, purpose string) (*subKeys, error) {
	mac, err := hkdf.Key(sha256.New, master, nil, "stepup/1/mac/"+purpose, KeySize)
	if err != nil {
		return nil, err
	}
	seal, err := hkdf.Key(sha256.New, master, nil, "stepup/1/seal/"+purpose, KeySize)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(seal)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &subKeys{mac: mac, aead: aead}, nil
}
