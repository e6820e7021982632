package user

import (
	"bytes"
	"context"
	"slices"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/id"
	"github.com/stepup-auth/stepup/pkg/passkey"
)

// MaxKeys is how many security keys a user can have, those in the making included.
const MaxKeys = 20

// Faults of the registration of security keys, beside those of package passkey.
var (
	errKeyMissing = fault.New(fault.NotFound, "STEPUP-webauthn-key", "WebAuthN Token could not be found")
	errKeyReady   = fault.New(fault.FailedPrecondition, "STEPUP-webauthn-ready", "WebAuthN Token is already set up")
	errKeyCount   = fault.New(fault.FailedPrecondition, "STEPUP-webauthn-count", "Maximum number of WebAuthN Tokens exceeded")

	// ErrCredentialTaken refuses a credential that somebody has registered already
	// (WebAuthn section 7.1, step 26).
	ErrCredentialTaken = fault.New(fault.AlreadyExists, "STEPUP-webauthn-taken", "WebAuthN credential is already registered")
)

// KeyRequest describes the key to be registered.
type KeyRequest struct {
	Kind       passkey.Kind
	RPID       string
	Attachment passkey.Attachment
	// Code stands in for a permission; nil asks for the caller's.
	Code *RegistrationCode
}

// NewKey is what a browser needs to make a key.
type NewKey struct {
	ID string
	// Options are for navigator.credentials.create(), as JSON {"publicKey":{…}}.
	Options []byte
}

// RegisterKey starts the registration of a passkey or U2F key, which counts once
// VerifyKey has seen the browser's answer. It takes the place of an unfinished
// registration of the same kind. It returns passkey.ErrRelyingParty for a domain that
// is not configured, a fault of kind FailedPrecondition when there are MaxKeys, and
// ErrRegistrationCode.
func (s *Service) RegisterKey(ctx context.Context, caller access.Caller, userID string, r KeyRequest) (*User, NewKey, error) {
	var made NewKey
	begin := func(u *User, now time.Time) error {
		u.Keys = slices.DeleteFunc(u.Keys, func(k SecurityKey) bool {
			return !k.Ready() && (k.Kind == r.Kind || k.Pending.Expired(now))
		})
		if len(u.Keys) >= MaxKeys {
			return errKeyCount
		}
		keyID, err := id.New(s.c.Random)
		if err != nil {
			return err
		}
		options, pending, err := s.c.RelyingParties.BeginRegistration(s.c.Random, passkey.RegistrationRequest{
			RPID: r.RPID, UserHandle: u.KeyHandle(), LoginName: u.LoginName(), DisplayName: u.DisplayName(),
			Kind: r.Kind, Attachment: r.Attachment, Existing: u.Credentials(), Now: now,
		})
		if err != nil {
			return err
		}
		u.Keys = append(u.Keys, SecurityKey{ID: keyID, Kind: r.Kind, Pending: pending})
		made = NewKey{ID: keyID, Options: options}
		return nil
	}
	var u *User
	var err error
	if r.Code != nil {
		u, err = s.enrolByCode(ctx, userID, *r.Code, begin)
	} else {
		u, err = s.enrol(ctx, target{caller: caller, id: userID, permission: access.UserCredential}, begin)
	}
	if err != nil {
		return nil, NewKey{}, err
	}
	return u, made, nil
}

// KeyProof answers a NewKey.
type KeyProof struct {
	Kind passkey.Kind
	ID   string
	// Name is how the user tells the key from others.
	Name string
	// Response is the PublicKeyCredential that the browser returned, as JSON.
	Response []byte
}

// VerifyKey makes the key ready. It returns the faults of
// passkey.RelyingParties.FinishRegistration, a fault of kind NotFound or
// FailedPrecondition for a key that is not waiting, and ErrCredentialTaken.
func (s *Service) VerifyKey(ctx context.Context, caller access.Caller, userID string, p KeyProof) (*User, error) {
	return s.enrol(ctx, target{caller: caller, id: userID, permission: access.UserCredential}, func(u *User, now time.Time) error {
		at := u.keyAt(p.Kind, p.ID)
		switch {
		case at < 0:
			return errKeyMissing
		case u.Keys[at].Ready():
			return errKeyReady
		}
		credential, err := s.c.RelyingParties.FinishRegistration(u.Keys[at].Pending, p.Response, now)
		if err != nil {
			return err
		}
		if slices.ContainsFunc(u.Keys, func(k SecurityKey) bool { return bytes.Equal(k.Credential.ID, credential.ID) }) {
			return ErrCredentialTaken
		}
		u.Keys[at] = SecurityKey{ID: p.ID, Name: p.Name, Kind: p.Kind, Credential: credential}
		return nil
	})
}

// KeyName names one of the user's keys.
type KeyName struct {
	Kind passkey.Kind
	ID   string
}

// RemoveKey takes a key away. No open challenge can be answered with it from then on
// (row T7). It returns a fault of kind NotFound when the user has no such key.
func (s *Service) RemoveKey(ctx context.Context, caller access.Caller, userID string, n KeyName) (*User, error) {
	return s.enrol(ctx, target{caller: caller, id: userID, permission: access.UserWrite}, func(u *User, _ time.Time) error {
		at := u.keyAt(n.Kind, n.ID)
		if at < 0 {
			return errKeyMissing
		}
		u.Keys = slices.Delete(u.Keys, at, at+1)
		return nil
	})
}

func (u *User) keyAt(kind passkey.Kind, keyID string) int {
	return slices.IndexFunc(u.Keys, func(k SecurityKey) bool { return k.Kind == kind && k.ID == keyID })
}
