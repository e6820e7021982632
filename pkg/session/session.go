// Package session owns sessions: what they are, how they are stepped up one factor
// at a time, who may see and change them, and when they are over.
//
// Every change runs in the same four steps. Load reads the session and its user.
// Decide is a pure function of what was loaded, the command, the time and random
// bytes. Commit writes everything that changed in one conditional write that fails
// when anything the decision relied on has moved on; then the decision runs again.
// Only then is the outcome revealed, be it good or bad, so that no number of
// parallel guesses learns more than the limits allow.
package session

import (
	"crypto/subtle"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/stepup-auth/stepup/pkg/idempotency"
	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/user"
)

// Session is one login in the making or made. Times are UTC with microseconds.
type Session struct {
	ID string
	// Creator is the caller who created the session.
	Creator          string
	Created, Changed time.Time
	// Sequence counts the committed changes that a caller can see, the creation
	// included. Revision counts every write, wrong answers to a code included; it
	// is what a write is conditioned on.
	Sequence, Revision uint64
	// TokenID is the random part of the one token that is current.
	TokenID TokenID
	// ExpiresAt is zero for a session that does not expire.
	ExpiresAt time.Time
	// Limited says that ExpiresAt is by the limits of the configuration. Asked is then
	// the end that the creator asked for, which is later, or zero for none.
	Limited bool
	Asked   time.Time
	// TerminatedAt is zero until the session is deleted. What is left from then on
	// is a tombstone, so that a late change is told what happened.
	TerminatedAt time.Time
	Factors      Factors
	Challenges   Challenges
	Metadata     map[string][]byte
	Agent        UserAgent
	// Receipts are of the requests that can be repeated.
	Receipts idempotency.Receipts
}

// Factors are the checks that have passed. A zero time means not checked.
type Factors struct {
	User UserFactor
	Key  KeyFactor
	// PasswordSet is when the password that was verified had been set.
	PasswordSet time.Time
	// The rest is when each factor was last verified.
	Password, TOTP, SMS, Email, Recovery, Intent time.Time
}

// UserFactor binds the session to a user; it is zero before the user check.
type UserFactor struct {
	ID           string
	Organization string
	VerifiedAt   time.Time
	// Epoch is the user's epoch at the check, for the session's user agent; see
	// user.Guard.
	Epoch int64
	// Counted says that the session counts for the limit per user; it is over when it is
	// no longer among those that the user's guard admits.
	Counted bool
}

// KeyFactor is the last assertion of a passkey or U2F key.
type KeyFactor struct {
	VerifiedAt time.Time
	// UserVerified says whether the authenticator verified its user that time.
	UserVerified bool
	// Kind is what the key was registered as. It decides what the factor counts, for
	// a U2F key was never asked who its user is.
	Kind passkey.Kind
	// DeviceBound says that the key is not eligible for backup, by the authenticator's
	// own word. It is false for assertions of before this was kept.
	DeviceBound bool
}

// verifiesUser reports whether the assertion proved more than possession (row W3).
func (f KeyFactor) verifiesUser() bool { return f.Kind == passkey.Passkey && f.UserVerified }

// count is two for a passkey that verified its user: possession, and what unlocked it
// (rows W3 and S10).
func (f KeyFactor) count() int {
	switch {
	case f.VerifiedAt.IsZero():
		return 0
	case f.verifiesUser():
		return 2
	default:
		return 1
	}
}

// UserAgent is what the creator told about the end user's device. It is stored once.
type UserAgent struct {
	Fingerprint string
	// IP is not valid when none, or none that parses, was given.
	IP          netip.Addr
	Description string
	Header      map[string][]string
}

// Zero reports whether nothing was told.
func (a UserAgent) Zero() bool {
	return a.Fingerprint == "" && !a.IP.IsValid() && a.Description == "" && len(a.Header) == 0
}

// Bound reports whether a user was checked.
func (s *Session) Bound() bool { return s.Factors.User.ID != "" }

// Expired reports whether the lifetime is over. The judge is the caller's clock,
// never the presence of the stored item.
func (s *Session) Expired(now time.Time) bool {
	return !s.ExpiresAt.IsZero() && s.ExpiresAt.Before(now)
}

// Ended reports whether the session is over for good: deleted; ended with others of its
// user, who may have been locked, deactivated or deleted; or one too many. The guard is
// the bound user's, nil when there is none.
func (s *Session) Ended(guard *user.Guard) bool {
	if !s.TerminatedAt.IsZero() {
		return true
	}
	u := s.Factors.User
	return s.Bound() && (guard == nil || guard.EpochOf(s.Agent.Fingerprint) != u.Epoch || u.Counted && !guard.Admits(s.ID))
}

// HasToken reports in constant time whether the token id is the current one.
func (s *Session) HasToken(id TokenID) bool {
	return subtle.ConstantTimeCompare(s.TokenID[:], id[:]) == 1
}

// Clone returns a copy that shares nothing with the original.
func (s *Session) Clone() *Session {
	c := *s
	c.Challenges.Keys = slices.Clone(s.Challenges.Keys)
	c.Receipts = slices.Clone(s.Receipts) // whose contents never change
	c.Metadata = maps.Clone(s.Metadata)
	for k, v := range c.Metadata {
		c.Metadata[k] = slices.Clone(v)
	}
	c.Agent.Header = maps.Clone(s.Agent.Header)
	for k, v := range c.Agent.Header {
		c.Agent.Header[k] = slices.Clone(v)
	}
	return &c
}

// dropOutdated forgets factors that no longer count: a password that is not the one
// that was verified. It compares what was seen and no clocks, because a check and a
// change may run side by side.
func (f *Factors) dropOutdated(guard *user.Guard) {
	if guard != nil && !f.PasswordSet.Equal(guard.PasswordChanged) {
		f.Password, f.PasswordSet = time.Time{}, time.Time{}
	}
}

// Authenticated reports whether any factor beyond naming the user has passed.
func (f Factors) Authenticated() bool { return f.count() > 0 }

// MultiFactor reports whether the factors that passed are at least two.
func (f Factors) MultiFactor() bool { return f.count() > 1 }

// count takes an external identity for what it replaces, the password, and so the two
// together for one: what the provider asked for, and whether that was more than another
// password, is not known here (row S10).
func (f Factors) count() int {
	n := f.Key.count()
	for _, at := range []time.Time{latest(f.Password, f.Intent), f.TOTP, f.SMS, f.Email, f.Recovery} {
		if !at.IsZero() {
			n++
		}
	}
	return n
}

// LastVerified returns when the latest factor was verified; zero when none was.
func (f Factors) LastVerified() time.Time {
	return latest(f.Password, f.Intent, f.TOTP, f.SMS, f.Email, f.Recovery, f.Key.VerifiedAt)
}

func latest(times ...time.Time) time.Time { return slices.MaxFunc(times, time.Time.Compare) }

// tombstone returns what stays of a terminated session. The user stays, because
// permission to see the outcome hangs on it; what describes people goes.
func (s *Session) tombstone(now time.Time) *Session {
	t := s.Clone()
	t.TerminatedAt, t.Changed = now, now
	t.Sequence++
	t.Revision++
	t.Metadata, t.Agent = nil, UserAgent{Fingerprint: s.Agent.Fingerprint}
	t.Challenges = Challenges{}
	return t
}
