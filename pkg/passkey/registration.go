package passkey

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"sync"
	"time"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/stepup-auth/stepup/pkg/fault"
)

// Faults of a registration (wire contract, section 6.4). The original answers them
// with INTERNAL; a wrong answer is the caller's.
var (
	// ErrUserHandle is a user handle that WebAuthn section 5.4.3 does not allow.
	ErrUserHandle = fault.New(fault.InvalidArgument, "WEBAU-bM8sd", "WebAuthN begin registration failed")
	// ErrRegistrationUnreadable is an answer that is no registration response.
	ErrRegistrationUnreadable = fault.New(fault.InvalidArgument, "WEBAU-sEr8c", "Error on parse credential")
	// ErrRegistrationRejected is an answer that does not fit the challenge.
	ErrRegistrationRejected = fault.New(fault.InvalidArgument, "WEBAU-3Vb9s", "Error on create credentials")
)

// Attachment narrows down which authenticators may be registered (WebAuthn section
// 5.4.5). The zero value leaves it to the user.
type Attachment string

const (
	// Platform is what is built into the device.
	Platform Attachment = "platform"
	// CrossPlatform is what can be taken from one device to another.
	CrossPlatform Attachment = "cross-platform"
)

// RegistrationRequest describes the credential to be made.
type RegistrationRequest struct {
	RPID string
	// RPName is shown to the user; empty means RPID.
	RPName string
	// UserHandle names the user to the authenticator, in 1 to 64 bytes. It comes back
	// with every discoverable login, and must not be a name or an address.
	UserHandle []byte
	// LoginName tells a user's accounts apart; DisplayName, when empty, is the same.
	LoginName, DisplayName string
	Kind                   Kind
	Attachment             Attachment
	// Existing are the user's credentials: an authenticator that holds one of the
	// same relying party is not registered again.
	Existing []Credential
	Now      time.Time
}

// maxUserHandle is the limit of WebAuthn section 5.4.3 in bytes.
const maxUserHandle = 64

// BeginRegistration returns the options for navigator.credentials.create(), as JSON
// {"publicKey":{…}}, and the challenge to store. A passkey is asked for with user
// verification and, where the authenticator has room, as a discoverable credential;
// a U2F credential without either. It returns ErrRelyingParty, ErrUserHandle, or an
// error when random fails.
func (r *RelyingParties) BeginRegistration(random io.Reader, q RegistrationRequest) (options []byte, c Challenge, err error) {
	party, err := r.Find(q.RPID)
	if err != nil {
		return nil, Challenge{}, err
	}
	if size := len(q.UserHandle); size == 0 || size > maxUserHandle {
		return nil, Challenge{}, ErrUserHandle.Wrap(fmt.Errorf("passkey: user handle has %d bytes", size))
	}
	selection := authSelection{Attachment: q.Attachment, ResidentKey: "preferred", UserVerification: Required}
	if q.Kind == U2F {
		selection.ResidentKey, selection.UserVerification = "discouraged", Discouraged
	}
	c, err = newChallenge(random, q.Now, Challenge{RPID: party.ID, Kind: q.Kind, Verification: selection.UserVerification})
	if err != nil {
		return nil, Challenge{}, err
	}
	return envelope(creationOptions{
		RP: entity{ID: party.ID, Name: firstText(q.RPName, party.ID)},
		User: entity{
			ID:          binary(q.UserHandle).String(),
			Name:        q.LoginName,
			DisplayName: firstText(q.DisplayName, q.LoginName),
		},
		Challenge:          c.Value,
		PubKeyCredParams:   parameters(),
		Timeout:            Lifetime.Milliseconds(),
		ExcludeCredentials: descriptors(q.Existing, func(known Credential) bool { return known.RPID == party.ID }),
		Selection:          selection,
		Attestation:        "none",
	}), c, nil
}

// FinishRegistration verifies the PublicKeyCredential that the browser returned, as
// JSON, and returns the credential to store (WebAuthn section 7.1). Whether its id is
// already taken is for the caller to look up. It returns ErrRelyingParty, ErrExpired,
// ErrRegistrationUnreadable or ErrRegistrationRejected.
func (r *RelyingParties) FinishRegistration(c Challenge, response []byte, now time.Time) (Credential, error) {
	party, err := r.open(c, now)
	if err != nil {
		return Credential{}, err
	}
	if err := checkSize(response); err != nil {
		return Credential{}, ErrRegistrationUnreadable.Wrap(err)
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(response)
	if err != nil {
		return Credential{}, ErrRegistrationUnreadable.Wrap(reason(err))
	}
	if err := party.verifyRegistration(c, parsed); err != nil {
		return Credential{}, ErrRegistrationRejected.Wrap(err)
	}
	return newCredential(c, parsed), nil
}

// maxPublicKey holds RSA keys of up to 7680 bits: verifying with one of any length
// would be work without a bound.
const maxPublicKey = 1024

func (p RelyingParty) verifyRegistration(c Challenge, parsed *protocol.ParsedCredentialCreationData) error {
	authData := parsed.Response.AttestationObject.AuthData
	if size := len(authData.AttData.CredentialPublicKey); size > maxPublicKey {
		return fmt.Errorf("passkey: public key has %d bytes", size)
	}
	client := parsed.Response.CollectedClientData
	if err := p.checkClient(c, client); err != nil {
		return err
	}
	accepted := make([]protocol.CredentialParameter, len(algorithms))
	for i, algorithm := range algorithms {
		accepted[i] = protocol.CredentialParameter{Type: publicKeyType, Algorithm: algorithm}
	}
	_, err := parsed.Verify(
		binary(c.Value).String(), p.ID,
		[]string{client.Origin}, nil, nil, protocol.TopOriginExplicitVerificationMode, false,
		c.verifiesUser(), true,
		nil, accepted, protocol.AttestationPolicy{}, protocol.SignaturePolicy{},
	)
	if err != nil {
		return reason(err)
	}
	return checkBackup(authData.Flags)
}

func newCredential(c Challenge, parsed *protocol.ParsedCredentialCreationData) Credential {
	object := parsed.Response.AttestationObject
	flags, attested := object.AuthData.Flags, object.AuthData.AttData
	return Credential{
		ID:                bytes.Clone(attested.CredentialID),
		PublicKey:         bytes.Clone(attested.CredentialPublicKey),
		RPID:              c.RPID,
		Kind:              c.Kind,
		SignCount:         object.AuthData.Counter,
		AAGUID:            [16]byte(attested.AAGUID),
		Transports:        transports(parsed.Response.Transports),
		BackupEligible:    flags.HasBackupEligible(),
		BackupState:       flags.HasBackupState(),
		UserVerified:      flags.HasUserVerified(),
		AttestationFormat: object.Format,
	}
}

// maxTransports is more than there are.
const maxTransports = 8

var transportName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[a-z0-9-]{1,32}$`)
})

// transports keeps what looks like a transport: the list is not signed, and unknown
// ones are to be kept for browsers that know them (WebAuthn section 5.2.1.1).
func transports(claimed []protocol.AuthenticatorTransport) []string {
	var kept []string
	for _, t := range claimed {
		if transportName().MatchString(string(t)) && len(kept) < maxTransports {
			kept = append(kept, string(t))
		}
	}
	return kept
}

// checkBackup refuses a backup of what cannot be backed up (WebAuthn section 6.1.3).
func checkBackup(flags protocol.AuthenticatorFlags) error {
	if flags.HasBackupState() && !flags.HasBackupEligible() {
		return errors.New("passkey: backed up without being eligible")
	}
	return nil
}
