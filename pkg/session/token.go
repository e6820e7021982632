package session

import (
	"encoding/base64"
	"fmt"
	"io"

	"github.com/stepup-auth/stepup/pkg/id"
	"github.com/stepup-auth/stepup/pkg/keyring"
)

// TokenID is the 128 random bits that make a token the current one. Only they are
// stored; a token cannot be made from them without the keyring (rows S1, S2).
type TokenID [16]byte

// tokenPurpose separates session tokens from all else that the keyring stamps.
const tokenPurpose = "session-token"

// Tokens makes and reads session tokens: the unpadded base64url form of a stamp
// over session id and token id, 91 characters with a key id of two.
type Tokens struct{ ring *keyring.Ring }

// NewTokens returns tokens under the ring.
func NewTokens(ring *keyring.Ring) Tokens { return Tokens{ring} }

// Token is what a genuine token says.
type Token struct {
	SessionID string
	ID        TokenID
}

// Format returns the token's text. The session id must be one that package id made.
func (t Tokens) Format(token Token) (string, error) {
	session, err := id.Decode(token.SessionID)
	if err != nil {
		return "", fmt.Errorf("session id for a token: %w", err)
	}
	stamped, err := t.ring.Stamp(tokenPurpose, append(session[:], token.ID[:]...))
	if err != nil {
		return "", fmt.Errorf("stamp a token: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(stamped), nil
}

// Parse reads a token. It reports false for anything that this service did not
// make, without touching the store. It takes any text.
func (t Tokens) Parse(text string) (Token, bool) {
	stamped, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || base64.RawURLEncoding.EncodedLen(len(stamped)) != len(text) { // the decoder skips line breaks
		return Token{}, false
	}
	payload, genuine := t.ring.Unstamp(tokenPurpose, stamped)
	if !genuine || len(payload) != id.Size+len(TokenID{}) {
		return Token{}, false
	}
	return Token{
		SessionID: id.Encode([id.Size]byte(payload[:id.Size])),
		ID:        TokenID(payload[id.Size:]),
	}, true
}

// newTokenID draws a token id.
func newTokenID(random io.Reader) (TokenID, error) {
	var t TokenID
	if _, err := io.ReadFull(random, t[:]); err != nil {
		return t, fmt.Errorf("draw a token id: %w", err)
	}
	return t, nil
}
