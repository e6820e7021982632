package passkey

import (
	"errors"
	"fmt"
	"slices"

	"github.com/go-webauthn/webauthn/protocol/webauthncose"

	"github.com/stepup-auth/stepup/pkg/fault"
)

// ErrCredential refuses a credential from elsewhere that could not be used here.
var ErrCredential = fault.New(fault.InvalidArgument, "STEPUP-webauthn-credential", "WebAuthN credential is not usable")

// maxCredentialID is the limit of WebAuthn section 7.1, step 25, in bytes.
const maxCredentialID = 1023

// Check returns an error that says why a credential which was registered elsewhere could
// not be used. Whether its relying party is known is for the caller to look up.
func (c Credential) Check() error {
	switch {
	case c.Kind != Passkey && c.Kind != U2F:
		return fmt.Errorf("passkey: kind %.20q is neither passkey nor u2f", c.Kind)
	case len(c.ID) == 0 || len(c.ID) > maxCredentialID:
		return fmt.Errorf("passkey: credential id has %d bytes", len(c.ID))
	case c.BackupState && !c.BackupEligible:
		return errors.New("passkey: backed up without being eligible")
	case len(c.Transports) > maxTransports:
		return fmt.Errorf("passkey: %d transports", len(c.Transports))
	case slices.ContainsFunc(c.Transports, func(t string) bool { return !transportName().MatchString(t) }):
		return errors.New("passkey: a transport is not a name")
	case c.AttestationFormat != "" && !transportName().MatchString(c.AttestationFormat):
		return errors.New("passkey: attestation format is not a name")
	}
	return checkPublicKey(c.PublicKey)
}

func checkPublicKey(cose []byte) error {
	if len(cose) > maxPublicKey {
		return fmt.Errorf("passkey: public key has %d bytes", len(cose))
	}
	key, err := webauthncose.ParsePublicKey(cose)
	if err != nil {
		return fmt.Errorf("passkey: public key: %w", err)
	}
	var algorithm int64
	switch k := key.(type) {
	case webauthncose.EC2PublicKeyData:
		algorithm = k.Algorithm
	case webauthncose.RSAPublicKeyData:
		algorithm = k.Algorithm
	case webauthncose.OKPPublicKeyData:
		algorithm = k.Algorithm
	}
	if !slices.Contains(algorithms, webauthncose.COSEAlgorithmIdentifier(algorithm)) {
		return fmt.Errorf("passkey: algorithm %d of the public key is not accepted", algorithm)
	}
	return nil
}
