package intent

import (
	"encoding/base64"
	"fmt"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/id"
	"github.com/stepup-auth/stepup/pkg/keyring"
)

// Faults of an intent's token (wire contract, section 4.4).
var (
	ErrTokenEmpty      = fault.New(fault.PermissionDenied, "CRYPTO-Sfefs", "Intent Token is invalid")
	ErrTokenUnreadable = fault.New(fault.PermissionDenied, "CRYPTO-Swg31", "Intent Token is invalid")
	ErrTokenForged     = fault.New(fault.PermissionDenied, "CRYPTO-Sf4gt", "Intent Token is invalid")
	ErrTokenOther      = fault.New(fault.PermissionDenied, "CRYPTO-CRYPTO", "Intent Token is invalid")
)

// The purposes of stamps. A state goes through the provider's hands, and must not pass
// for a token.
const (
	tokenPurpose = "idp-intent-token"
	statePurpose = "idp-state"
)

// Tokens makes and checks the tokens of intents: the unpadded base64url form of a stamp
// over the intent's id, 70 characters with a key id of two.
type Tokens struct{ ring *keyring.Ring }

// NewTokens returns tokens under the ring.
func NewTokens(ring *keyring.Ring) Tokens { return Tokens{ring} }

// Format returns the token of the intent.
func (t Tokens) Format(intentID string) (string, error) { return stamp(t.ring, tokenPurpose, intentID) }

// Check returns why the token does not entitle to the intent, if so. It takes any text
// and asks no store.
func (t Tokens) Check(intentID, token string) *fault.Fault {
	if token == "" {
		return ErrTokenEmpty
	}
	stamped, ok := decode(token)
	if !ok {
		return ErrTokenUnreadable
	}
	switch named, genuine := unstamp(t.ring, tokenPurpose, stamped); {
	case !genuine:
		return ErrTokenForged
	case named != intentID:
		return ErrTokenOther
	default:
		return nil
	}
}

// stamp returns the stamp of an intent's id. The id must be one that package id made.
func stamp(ring *keyring.Ring, purpose, intentID string) (string, error) {
	raw, err := id.Decode(intentID)
	if err != nil {
		return "", fmt.Errorf("intent id for a stamp: %w", err)
	}
	stamped, err := ring.Stamp(purpose, raw[:])
	if err != nil {
		return "", fmt.Errorf("stamp %s: %w", purpose, err)
	}
	return base64.RawURLEncoding.EncodeToString(stamped), nil
}

func unstamp(ring *keyring.Ring, purpose string, stamped []byte) (intentID string, genuine bool) {
	payload, genuine := ring.Unstamp(purpose, stamped)
	if !genuine || len(payload) != id.Size {
		return "", false
	}
	return id.Encode([id.Size]byte(payload)), true
}

// decode reads the one spelling of base64url: the decoder would skip line breaks.
func decode(text string) ([]byte, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return raw, err == nil && base64.RawURLEncoding.EncodedLen(len(raw)) == len(text)
}

// parseState returns the intent that a state names.
func parseState(ring *keyring.Ring, state string) (intentID string, genuine bool) {
	stamped, ok := decode(state)
	if !ok {
		return "", false
	}
	return unstamp(ring, statePurpose, stamped)
}
