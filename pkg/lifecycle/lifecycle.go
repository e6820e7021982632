// Package lifecycle owns what the world is told about sessions and users, and about
// messages that are stopped: the names and the content of the events, and which change
// of which stored item means which.
//
// An event is a fact about something that is committed already. It carries ids, times,
// and names of factors, and nothing that signs anybody in or tells who somebody is: no
// token, code, hash, seed, address, name or metadata.
//
// A user is stored as several items, and one call may change several of them. Each
// fact is read from the one item that holds it, so no fact is told twice: creation,
// deletion and most factors from the main item, security keys each from their own, and
// the rest from the guard.
package lifecycle

import (
	"time"

	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/user"
)

// Version is that of the schema. It rises when a field or an event changes its meaning
// or goes away, and not when one is added.
const Version = 1

// Name says what happened.
type Name string

// The events; docs/events.md has their fields.
const (
	SessionCreated    Name = "session.created"
	SessionUpdated    Name = "session.updated"
	SessionTerminated Name = "session.terminated"
	SessionExpired    Name = "session.expired"
	SessionDisplaced  Name = "session.displaced"

	UserCreated         Name = "user.created"
	UserDeleted         Name = "user.deleted"
	UserLocked          Name = "user.locked"
	UserUnlocked        Name = "user.unlocked"
	UserDeactivated     Name = "user.deactivated"
	UserReactivated     Name = "user.reactivated"
	SessionsEnded       Name = "user.sessions_ended"
	AgentSessionsEnded  Name = "user.agent_sessions_ended"
	PasswordChanged     Name = "user.password_changed"
	FactorAdded         Name = "user.factor_added"
	FactorRemoved       Name = "user.factor_removed"
	CheckFailed         Name = "user.check_failed"
	AuthenticatorLocked Name = "user.authenticator_locked"

	SendingStopped Name = "sending.stopped"
)

// Names returns every name, for documentation and tests that must cover them all.
func Names() []Name {
	return []Name{
		SessionCreated, SessionUpdated, SessionTerminated, SessionExpired, SessionDisplaced,
		UserCreated, UserDeleted, UserLocked, UserUnlocked, UserDeactivated, UserReactivated, SessionsEnded,
		AgentSessionsEnded, PasswordChanged, FactorAdded, FactorRemoved, CheckFailed, AuthenticatorLocked,
		SendingStopped,
	}
}

// Event is one fact. Fields that an event does not have are zero.
type Event struct {
	// ID is the same however often the event is told, and no other event has it.
	ID   string
	Name Name
	// Time is when it happened.
	Time time.Time

	// SessionID is empty in events about users, but for the session that is displaced.
	SessionID string
	// UserID is empty in events about a session without a user.
	UserID string
	// Organization is that of a session's user, of a user who is created or deleted, and
	// that whose messages are stopped.
	Organization string
	// Creator is the caller who created the session.
	Creator string
	// Revision grows with every write of the session, or of the user where the event
	// comes from the guard; 0 where there is none.
	Revision uint64

	// Verified are the factors that this step verified, and Factors all that count
	// after it. Neither is nil when a session is created or updated.
	Verified, Factors []user.Authenticator
	// ExpiresAt is zero for a session that does not expire.
	ExpiresAt time.Time

	// Factor is the one that was added, removed, failed or locked.
	Factor user.Authenticator
	// KeyID is that of the security key among the factors.
	KeyID string
	// Failures is how often the factor has failed in a row.
	Failures int
	// LockedUntil is when the factor may be tried again; zero with Disabled, which
	// only an administrator lifts.
	LockedUntil time.Time
	Disabled    bool

	// Channel and CallingCode are where messages are stopped, and Limit is how many left
	// that no code pays for. Until is when some may leave again at the latest.
	Channel     sending.Channel
	CallingCode string
	Limit       int
	Until       time.Time
}

// Record is what a stream tells about a change beside the change itself.
type Record struct {
	// ID is the same each time the record is delivered, and no other record has it.
	ID string
	// At is about when the change was written, to the second.
	At time.Time
	// Swept is set when the item was removed for its age, and by nobody.
	Swept bool
}

// Change is an item of an aggregate before and after.
type Change interface {
	// Events returns what the change means, in the order it is to be told; nothing for
	// most changes. It depends on nothing else, so a record that is delivered again
	// gives the same events again.
	Events(r Record) []Event
}

// id tells apart what one record means. It does not count, so that a record that is
// delivered again to a later version of this package keeps its ids.
func (e Event) id(r Record) string {
	id := r.ID + "." + string(e.Name)
	if e.Factor != "" {
		id += "." + string(e.Factor)
	}
	if e.Name == SessionDisplaced { // the others with a session are told by its own record
		id += "." + e.SessionID
	}
	return id
}

// stamp gives the events their ids, and the record's time where they have none.
func stamp(r Record, events []Event) []Event {
	for i := range events {
		events[i].ID = events[i].id(r)
		if events[i].Time.IsZero() {
			events[i].Time = r.At
		}
	}
	return events
}
