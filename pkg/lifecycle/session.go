package lifecycle

import (
	"time"

	"github.com/stepup-auth/stepup/pkg/passkey"
	"github.com/stepup-auth/stepup/pkg/session"
	"github.com/stepup-auth/stepup/pkg/user"
)

// SessionChange is a session before and after; nil where there was or is none.
type SessionChange struct{ Old, New *session.Session }

// Events implements Change. A session ends once: by a call, which leaves a tombstone,
// or else by its age, when the sweep of the table finds it, a day or more later. A
// wrong answer to a code also writes the session, and is no event of it; that it is kept
// where others of its user end is one.
func (c SessionChange) Events(r Record) []Event {
	var e Event
	switch {
	case c.New == nil && (c.Old == nil || over(c.Old)):
		return nil
	case c.New == nil && r.Swept:
		e = about(SessionExpired, c.Old)
		e.Time, e.ExpiresAt = c.Old.ExpiresAt, c.Old.ExpiresAt
	case c.New == nil: // taken out of the table by hand
		e = about(SessionTerminated, c.Old)
	case over(c.New):
		if c.Old != nil && over(c.Old) {
			return nil
		}
		e = about(SessionTerminated, c.New)
		e.Time = c.New.TerminatedAt
	case c.Old == nil:
		e = stepped(SessionCreated, session.Factors{}, c.New)
		e.Time, e.Creator = c.New.Created, c.New.Creator
	case c.Old.Sequence == c.New.Sequence && c.Old.Factors.User.Epoch == c.New.Factors.User.Epoch:
		return nil
	default:
		e = stepped(SessionUpdated, c.Old.Factors, c.New)
		if c.New.Changed.After(c.Old.Changed) { // else a step was taken back, which is no older than the step
			e.Time = c.New.Changed
		}
	}
	return stamp(r, []Event{e})
}

func over(s *session.Session) bool { return !s.TerminatedAt.IsZero() }

func about(name Name, s *session.Session) Event {
	return Event{
		Name: name, SessionID: s.ID, UserID: s.Factors.User.ID, Organization: s.Factors.User.Organization, Revision: s.Revision,
	}
}

// stepped is an event about a session that lives.
func stepped(name Name, before session.Factors, s *session.Session) Event {
	e := about(name, s)
	e.ExpiresAt = s.ExpiresAt
	e.Verified, e.Factors = []user.Authenticator{}, []user.Authenticator{}
	was := verifications(before)
	for i, v := range verifications(s.Factors) {
		if v.at.IsZero() {
			continue
		}
		e.Factors = append(e.Factors, v.factor)
		if v != was[i] {
			e.Verified = append(e.Verified, v.factor)
		}
	}
	return e
}

// verification is when a factor was last verified.
type verification struct {
	factor user.Authenticator
	at     time.Time
}

func verifications(f session.Factors) []verification {
	key := user.AuthPasskey
	if f.Key.Kind == passkey.U2F {
		key = user.AuthU2F
	}
	return []verification{
		{user.AuthPassword, f.Password},
		{key, f.Key.VerifiedAt},
		{user.AuthTOTP, f.TOTP},
		{user.AuthSMS, f.SMS},
		{user.AuthEmail, f.Email},
		{user.AuthRecovery, f.Recovery},
		{user.AuthIDP, f.Intent},
	}
}
