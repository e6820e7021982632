// Package id owns the form of the identifiers that the service makes: 128 random
// bits, written as 26 characters.
//
// The alphabet is Crockford's base 32 in lower case: digits and letters without i,
// l, o and u. Such an id needs no escaping in a URL, a JSON document, a DynamoDB
// key or a shell; a double click selects all of it; and it has no pair of
// characters that a person reading it aloud could confuse. At five bits per
// character it is ten characters shorter than a UUID with its hyphens.
//
// Every id has exactly one spelling. Crockford's aliases (o for 0, capitals) are
// refused, because two spellings of one key would be two keys to a store.
package id

import (
	"encoding/base32"
	"errors"
	"fmt"
	"io"
)

// Size is the number of bytes in an id.
const Size = 16

// Len is the number of characters in the text of an id.
const Len = 26

// ErrMalformed is the error of Decode for every text that Encode cannot produce.
var ErrMalformed = errors.New("id: malformed")

var encoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// New reads 16 bytes from random and returns them as an id. It fails only when
// random does.
func New(random io.Reader) (string, error) {
	var raw [Size]byte
	if _, err := io.ReadFull(random, raw[:]); err != nil {
		return "", fmt.Errorf("id: read randomness: %w", err)
	}
	return Encode(raw), nil
}

// Encode returns the 26 characters of raw: five bits each, most significant first,
// the last two bits of the last character zero. Texts sort as their bytes do.
func Encode(raw [Size]byte) string {
	return encoding.EncodeToString(raw[:])
}

// Decode is the inverse of Encode. It returns ErrMalformed for every text that is
// not the one spelling of an id.
func Decode(text string) ([Size]byte, error) {
	if len(text) != Len {
		return [Size]byte{}, ErrMalformed
	}
	raw, err := encoding.DecodeString(text)
	if err != nil || len(raw) != Size {
		return [Size]byte{}, ErrMalformed
	}
	// The decoder skips line breaks and ignores the two spare bits at the end, so
	// only the way back proves that this was the canonical spelling.
	id := [Size]byte(raw)
	if Encode(id) != text {
		return [Size]byte{}, ErrMalformed
	}
	return id, nil
}
