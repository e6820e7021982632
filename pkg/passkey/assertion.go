package passkey

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"

	"github.com/stepup-auth/stepup/pkg/fault"
)

// Faults of an assertion (wire contract, section 4.4). The original answers the first
// three with INTERNAL; they are the caller's.
var (
	// ErrNoCredential is a challenge for a user who has nothing to answer it with.
	ErrNoCredential = fault.New(fault.FailedPrecondition, "WEBAU-4G8sw", "WebAuthN begin login failed")
	// ErrUnreadable is an answer that is no assertion. It counts as a failed attempt.
	ErrUnreadable = fault.New(fault.InvalidArgument, "WEBAU-ADgv4", "Error on validate login credentials")
	// ErrRejected is an assertion that is wrong. It counts as a failed attempt.
	ErrRejected = fault.New(fault.InvalidArgument, "WEBAU-3M9si", "Error on validate login credentials")
	// ErrUnknownCredential is an assertion of a credential that the user does not have,
	// or not for this relying party and kind.
	ErrUnknownCredential = fault.New(fault.FailedPrecondition, "COMMAND-Aej7i", "WebAuthN Token could not be found")
)

// ErrCloned is the cause of ErrRejected when the signature was right and its counter
// was not: two copies of the key are in use. It is worth an alarm.
var ErrCloned = errors.New("passkey: signature counter did not grow")

// AssertionRequest describes the proof to be asked for.
type AssertionRequest struct {
	RPID string
	// Verification selects the credentials too: Required asks for passkeys,
	// everything else for U2F credentials (wire contract, section 2.3).
	Verification Verification
	// Discoverable leaves it to the answer to say who the user is. It asks for
	// passkeys, and Credentials is not used.
	Discoverable bool
	// Credentials are all that the user has.
	Credentials []Credential
	Now         time.Time
}

// BeginAssertion returns the options for navigator.credentials.get(), as JSON
// {"publicKey":{…}}, and the challenge to store. It returns ErrRelyingParty,
// ErrNoCredential when the user has none that matches, or an error when random fails.
func (r *RelyingParties) BeginAssertion(random io.Reader, q AssertionRequest) (options []byte, c Challenge, err error) {
	party, err := r.Find(q.RPID)
	if err != nil {
		return nil, Challenge{}, err
	}
	asked := Challenge{RPID: party.ID, Kind: Passkey, Verification: q.Verification, Discoverable: q.Discoverable}
	var allowed []descriptor
	if !q.Discoverable {
		if q.Verification != Required {
			asked.Kind = U2F
		}
		allowed = descriptors(q.Credentials, func(known Credential) bool { return known.matches(asked) })
		if allowed == nil {
			return nil, Challenge{}, ErrNoCredential
		}
	}
	if c, err = newChallenge(random, q.Now, asked); err != nil {
		return nil, Challenge{}, err
	}
	return envelope(requestOptions{
		Challenge:        c.Value,
		Timeout:          Lifetime.Milliseconds(),
		RPID:             party.ID,
		AllowCredentials: allowed,
		UserVerification: q.Verification,
	}), c, nil
}

// Answer is an assertion that has been read but not verified: nothing in it is true
// until FinishAssertion says so.
type Answer struct {
	parsed *protocol.ParsedCredentialAssertionData
}

// ParseAssertion reads the PublicKeyCredential that the browser returned, as JSON. It
// returns ErrUnreadable for anything else, or when it is over 32 KiB.
func ParseAssertion(response []byte) (*Answer, error) {
	if err := checkSize(response); err != nil {
		return nil, ErrUnreadable.Wrap(err)
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(response)
	if err != nil {
		return nil, ErrUnreadable.Wrap(reason(err))
	}
	return &Answer{parsed: parsed}, nil
}

// CredentialID returns the id of the credential that claims to have signed.
func (a *Answer) CredentialID() []byte { return a.parsed.RawID }

// UserHandle returns the user that the answer claims to come from, as it was given to
// BeginRegistration. It is empty unless the credential is discoverable.
func (a *Answer) UserHandle() []byte { return a.parsed.Response.UserHandle }

// Challenge returns the value of the challenge that the answer claims to answer, to
// find it among several that are open. It is nil when the answer has none.
func (a *Answer) Challenge() []byte {
	value, err := base64.RawURLEncoding.DecodeString(a.parsed.Response.CollectedClientData.Challenge)
	if err != nil {
		return nil
	}
	return value
}

// Owner is the user whose proof is checked.
type Owner struct {
	// Handle is the user handle that the user's credentials were registered with.
	Handle []byte
	// Credentials are all that the user has.
	Credentials []Credential
}

// Assertion is a proof that was verified.
type Assertion struct {
	// Credential is the one that signed, with the counter and the backup state that
	// are to be stored from now on.
	Credential Credential
	// UserVerified says whether the authenticator verified the user this time.
	UserVerified bool
}

// FinishAssertion verifies an answer to the challenge by one of the owner's
// credentials (WebAuthn section 7.2): challenge, type, origin, relying party, user
// presence, user verification where it is required, user handle, signature, backup
// flags and signature counter. It returns ErrRelyingParty, ErrExpired,
// ErrUnknownCredential or ErrRejected.
//
// The list of credentials in the options is not compared, because it says no more
// than the owner's credentials of the challenge's relying party and kind do.
func (r *RelyingParties) FinishAssertion(c Challenge, a *Answer, owner Owner, now time.Time) (Assertion, error) {
	party, err := r.open(c, now)
	if err != nil {
		return Assertion{}, err
	}
	at := slices.IndexFunc(owner.Credentials, func(known Credential) bool {
		return known.matches(c) && bytes.Equal(known.ID, a.CredentialID())
	})
	if at < 0 {
		return Assertion{}, ErrUnknownCredential
	}
	credential := owner.Credentials[at]
	if err := party.verifyAssertion(c, a, owner.Handle, credential); err != nil {
		return Assertion{}, ErrRejected.Wrap(err)
	}
	authData := a.parsed.Response.AuthenticatorData
	if authData.Counter <= credential.SignCount && (authData.Counter != 0 || credential.SignCount != 0) {
		return Assertion{}, ErrRejected.Wrap(fmt.Errorf("%w: %d after %d", ErrCloned, authData.Counter, credential.SignCount))
	}
	credential.SignCount = authData.Counter
	credential.BackupState = authData.Flags.HasBackupState()
	return Assertion{Credential: credential, UserVerified: authData.Flags.HasUserVerified()}, nil
}

func (p RelyingParty) verifyAssertion(c Challenge, a *Answer, handle []byte, credential Credential) error {
	if err := checkHandle(c, a.UserHandle(), handle); err != nil {
		return err
	}
	client, flags := a.parsed.Response.CollectedClientData, a.parsed.Response.AuthenticatorData.Flags
	if err := p.checkClient(c, client); err != nil {
		return err
	}
	err := a.parsed.Verify(
		binary(c.Value).String(), p.ID, "",
		[]string{client.Origin}, nil, nil, protocol.TopOriginExplicitVerificationMode, false,
		c.verifiesUser(), true,
		credential.PublicKey, protocol.SignaturePolicy{},
	)
	if err != nil {
		return reason(err)
	}
	if flags.HasBackupEligible() != credential.BackupEligible {
		return errors.New("passkey: backup eligibility changed")
	}
	return checkBackup(flags)
}

// checkHandle compares the user whom the answer names with the owner. Only a
// discoverable credential names one, and only where the user was not known before
// does it have to (WebAuthn section 7.2, step 6).
func checkHandle(c Challenge, named, owner []byte) error {
	switch {
	case len(named) == 0 && !c.Discoverable:
		return nil
	case len(named) == 0:
		return errors.New("passkey: discoverable login without a user handle")
	case !bytes.Equal(named, owner):
		return errors.New("passkey: user handle is not the owner's")
	default:
		return nil
	}
}
