// Package user owns people and what they can prove: profile, contact addresses,
// password, and the guard, which holds everything that guessing or locking changes.
//
// A User is a value that is loaded whole, changed by pure methods and committed
// against the version that was seen. Its guard's version counts every change of any
// part, so one condition on it covers all that a decision relied on.
package user

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/stepup-auth/stepup/pkg/idempotency"
	"github.com/stepup-auth/stepup/pkg/otp"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/sending"
)

// User is one human with all authenticators.
type User struct {
	ID           string
	Organization string
	// Username is unique in the instance, without regard to case; it is also the
	// login name.
	Username string
	Created  time.Time
	Profile  Profile
	Email    Contact
	Phone    Contact
	Password Password
	TOTP     TOTP
	// SMSCodes and EmailCodes are set when one-time codes by that way were added.
	SMSCodes, EmailCodes bool
	// Keys are passkeys and U2F keys, those in the making included.
	Keys []SecurityKey
	// Links are accounts at external identity providers.
	Links []Link
	Guard Guard
}

// Profile is what is shown of a user.
type Profile struct {
	GivenName, FamilyName string
	NickName              string
	DisplayName           string
	// Language is a BCP 47 tag, or empty.
	Language string
	Gender   Gender
}

// Gender is kept because the wire contract carries it.
type Gender int32

// Contact is an email address or a phone number.
type Contact struct {
	Address  string
	Verified bool
}

// Password is the user's password, if there is one.
type Password struct {
	// Hash is a modular-crypt string; empty means that none is set.
	Hash string
	// ChangeRequired asks the login to have the password changed. It is reported
	// and not enforced, as in the original.
	ChangeRequired bool
}

// State is where a user is in life.
type State uint8

// The states, numbered as in the wire contract (enum UserState).
const (
	StateUnspecified State = iota
	StateActive
	StateInactive
	StateDeleted
	StateLocked
	StateInitial
)

// Guard is the small part of a user that checks and locks change. It lives in an
// item of its own, so that a failed guess rewrites little, and is all that a session
// needs to know whether its user still stands behind it.
type Guard struct {
	UserID string
	// Version counts every committed change of the user.
	Version uint64
	Changed time.Time
	State   State
	// Epoch is drawn anew whenever all sessions of the user must end. A session
	// remembers the epoch in which its user was bound and is dead in any other.
	Epoch int64
	// Agents are the epochs of the user agents whose sessions were ended apart from the
	// others since, by a key of their fingerprints; see EpochOf.
	Agents map[string]int64
	// Sessions are those that count for the limit per user and are within it, the oldest
	// first; see Admit.
	Sessions []string
	// PasswordChanged is when the password was last set; password factors from
	// before then no longer count.
	PasswordChanged time.Time
	// TOTPStep is the last time step whose code was accepted.
	TOTPStep uint64
	// RecoveryCodes are the unused ones, each as a keyed MAC.
	RecoveryCodes []otp.RecoveryMAC
	// Codes are the open ones that were sent about the user, such as to verify an
	// address.
	Codes map[sending.Purpose]otp.Challenge
	// Attempts holds the failed checks by authenticator.
	Attempts map[Authenticator]Attempts
	// Receipts are of the requests about the user that can be repeated, and of those
	// that were refused at a session.
	Receipts idempotency.Receipts
}

// LoginName returns the name the user signs in with.
func (u *User) LoginName() string { return u.Username }

// LoginKey returns the form of a login name under which it is unique: lower case.
func LoginKey(loginName string) string { return strings.ToLower(loginName) }

// DisplayName returns the profile's display name, or the given and family name.
func (u *User) DisplayName() string {
	if u.Profile.DisplayName != "" {
		return u.Profile.DisplayName
	}
	return strings.TrimSpace(u.Profile.GivenName + " " + u.Profile.FamilyName)
}

// CanStart reports whether a session may be bound to the user.
func (g *Guard) CanStart() bool {
	return g.State == StateActive || g.State == StateInitial
}

// Clone returns a copy that shares nothing with the original.
func (u *User) Clone() *User {
	c := *u
	c.Guard = *u.Guard.Clone()
	c.Keys = slices.Clone(u.Keys) // what a key points to is replaced, never changed
	c.Links = slices.Clone(u.Links)
	return &c
}

// Clone returns a copy that shares nothing with the original.
func (g *Guard) Clone() *Guard {
	c := *g
	c.Agents = maps.Clone(g.Agents)
	c.Sessions = slices.Clone(g.Sessions)
	c.Attempts = maps.Clone(g.Attempts)
	c.Codes = maps.Clone(g.Codes)
	c.RecoveryCodes = slices.Clone(g.RecoveryCodes)
	c.Receipts = slices.Clone(g.Receipts) // whose contents never change
	return &c
}

// touch marks a committed change.
func (u *User) touch(now time.Time) {
	u.Guard.Version++
	u.Guard.Changed = now
}

// end makes the user a deleted one, of whom nothing is left but that.
func (u *User) end(now time.Time) {
	u.Guard.State = StateDeleted
	u.Guard.Attempts, u.Guard.RecoveryCodes, u.Guard.Codes, u.Guard.TOTPStep = nil, nil, nil, 0
	u.Guard.Receipts = nil
	u.endSessions(now)
	u.touch(now)
}

// Methods lists what the user can sign in with, ready authenticators only.
func (u *User) Methods() []Authenticator { return u.MethodsAt("") }

// MethodsAt is Methods with only those security keys that are scoped to the relying
// party; an empty id means any.
func (u *User) MethodsAt(rpID string) []Authenticator {
	var ready []Authenticator
	for _, m := range []struct {
		kind  Authenticator
		ready bool
	}{
		{AuthPassword, u.Password.Hash != ""},
		{AuthPasskey, u.hasKey(passkey.Passkey, rpID)},
		{AuthIDP, len(u.Links) > 0},
		{AuthTOTP, u.TOTP.Confirmed},
		{AuthU2F, u.hasKey(passkey.U2F, rpID)},
		{AuthSMS, u.TakesSMSCodes()},
		{AuthEmail, u.TakesEmailCodes()},
		{AuthRecovery, len(u.Guard.RecoveryCodes) > 0},
	} {
		if m.ready {
			ready = append(ready, m.kind)
		}
	}
	return ready
}

// TakesSMSCodes reports whether one-time codes can be sent to the user's phone: it stays
// set up, but not ready, while a new number is not verified.
func (u *User) TakesSMSCodes() bool { return u.SMSCodes && u.Phone.Verified }

// TakesEmailCodes is the same for mail.
func (u *User) TakesEmailCodes() bool { return u.EmailCodes && u.Email.Verified }

// HasSecondFactor reports whether the user has set up anything beside the password,
// which a session must then have checked before it counts as signed in. Recovery
// codes stand in for a factor and are none, and an external account stands in for the
// password.
func (u *User) HasSecondFactor() bool {
	return slices.ContainsFunc(u.Methods(), func(m Authenticator) bool {
		return m != AuthPassword && m != AuthRecovery && m != AuthIDP
	})
}
