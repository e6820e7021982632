package passkey

import (
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
)

// maxResponse bounds what is parsed. An assertion has about 1 KiB, a registration
// with a certificate chain about 8 KiB.
const maxResponse = 32 << 10

func checkSize(response []byte) error {
	if len(response) > maxResponse {
		return fmt.Errorf("passkey: response has %d bytes", len(response))
	}
	return nil
}

// open returns the relying party of a challenge that is still good.
func (r *RelyingParties) open(c Challenge, now time.Time) (RelyingParty, error) {
	if c.Expired(now) {
		return RelyingParty{}, ErrExpired
	}
	return r.Find(c.RPID)
}

// checkClient compares the challenge and the origin of the client data. The library
// compares both once more: the challenge the same way, and the origin with what was
// admitted here, because it would fold case and knows no port that does not matter.
func (p RelyingParty) checkClient(c Challenge, client protocol.CollectedClientData) error {
	if len(c.Value) == 0 || subtle.ConstantTimeCompare([]byte(client.Challenge), []byte(binary(c.Value).String())) != 1 {
		return errors.New("passkey: answer to another challenge")
	}
	if !p.admits(client.Origin) {
		return fmt.Errorf("passkey: origin %.200q is not allowed for relying party %s", client.Origin, p.ID)
	}
	return nil
}

// reason adds what the library keeps apart from its errors' text. The challenge is
// compared before the library sees it, so nothing here quotes it.
func reason(err error) error {
	var detailed *protocol.Error
	if errors.As(err, &detailed) && detailed.DevInfo != "" {
		return fmt.Errorf("passkey: %w (%.200q)", err, detailed.DevInfo)
	}
	return fmt.Errorf("passkey: %w", err)
}
