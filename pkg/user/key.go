package user

import (
	"crypto/sha256"
	"slices"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/passkey"
)

// SecurityKey is a WebAuthn credential of the user, or one in the making.
type SecurityKey struct {
	ID   string
	Name string
	Kind passkey.Kind
	// Credential is what the registration brought; it is zero until then.
	Credential passkey.Credential
	// Pending is the challenge of a registration that is not verified yet.
	Pending passkey.Challenge
}

// Ready reports whether the registration was verified.
func (k SecurityKey) Ready() bool { return len(k.Credential.ID) > 0 }

// ErrKeyLocked refuses an assertion while too many were wrong. The original counts
// none, and so has no id for it.
var ErrKeyLocked = fault.New(fault.FailedPrecondition, "STEPUP-webauthn-locked", "User is locked")

// maxHandle is the limit of WebAuthn section 5.4.3 in bytes.
const maxHandle = 64

// KeyHandle returns the user handle that authenticators keep: the user id, or its
// SHA-256 where it is longer than 64 bytes.
func (u *User) KeyHandle() []byte {
	if len(u.ID) <= maxHandle {
		return []byte(u.ID)
	}
	sum := sha256.Sum256([]byte(u.ID))
	return sum[:]
}

// KeysOf returns the keys of one kind, those in the making included unless their time
// is over.
func (u *User) KeysOf(kind passkey.Kind, now time.Time) []SecurityKey {
	var keys []SecurityKey
	for _, k := range u.Keys {
		if k.Kind == kind && (k.Ready() || !k.Pending.Expired(now)) {
			keys = append(keys, k)
		}
	}
	return keys
}

// Credentials returns what the ready keys are.
func (u *User) Credentials() []passkey.Credential {
	var ready []passkey.Credential
	for _, k := range u.Keys {
		if k.Ready() {
			ready = append(ready, k.Credential)
		}
	}
	return ready
}

// hasKey reports whether a ready key of the kind is scoped to the relying party; an
// empty id means any.
func (u *User) hasKey(kind passkey.Kind, rpID string) bool {
	return slices.ContainsFunc(u.Keys, func(k SecurityKey) bool {
		return k.Ready() && k.Kind == kind && (rpID == "" || k.Credential.RPID == rpID)
	})
}

// CheckKey runs the verification of an assertion under the lockout, and keeps what the
// credential's counter and backup state are from now on (row W4). Every error of
// verify counts as a failed attempt (row W7).
func (u *User) CheckKey(l Lockout, now time.Time, verify func(passkey.Owner) (passkey.Assertion, error)) (passkey.Assertion, *fault.Fault) {
	var proof passkey.Assertion
	var err error
	g := Guess{AuthPasskey, l, now, ErrKeyLocked, passkey.ErrRejected}
	denied := u.Guess(g, func() bool {
		proof, err = verify(passkey.Owner{Handle: u.KeyHandle(), Credentials: u.Credentials()})
		return err == nil
	})
	switch {
	case err != nil:
		return passkey.Assertion{}, fault.From(err)
	case denied != nil:
		return passkey.Assertion{}, denied
	}
	u.used(proof.Credential, now)
	return proof, nil
}

// used stores the credential's new state. An authenticator without a counter has none,
// and then the user need not be written.
func (u *User) used(c passkey.Credential, now time.Time) {
	for i := range u.Keys {
		known := &u.Keys[i].Credential
		if slices.Equal(known.ID, c.ID) && (known.SignCount != c.SignCount || known.BackupState != c.BackupState) {
			*known = c
			u.touch(now)
		}
	}
}
