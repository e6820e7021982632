package session

import (
	"context"
	"iter"
	"time"

	"github.com/stepup-auth/stepup/pkg/intent"
	"github.com/stepup-auth/stepup/pkg/sending"
	"github.com/stepup-auth/stepup/pkg/user"
)

// Store keeps sessions and reads their users. Its methods return faults of kind
// Unavailable, DeadlineExceeded, Canceled or Internal when the store fails.
type Store interface {
	// Load reads what a decision is about, strongly consistent.
	Load(ctx context.Context, r Ref) (Loaded, error)
	// Commit writes the change, all or nothing. It returns fault.Conflict when
	// the session or a user that the change relies on is not what was loaded.
	Commit(ctx context.Context, c Change) error
	// Sessions returns those of the ids that exist, tombstones included, in the
	// order of the ids.
	Sessions(ctx context.Context, ids []string) ([]*Session, error)
	// SessionIDs returns the ids of the sessions in the range, each once, in the
	// order of their creation and, where that is the same, of the ids. It reads as
	// the caller goes on, and ends after an error. A session that was just created
	// may be missing for a moment where the store's indexes lag.
	SessionIDs(ctx context.Context, r Range) iter.Seq2[string, error]
	// Users returns those of the ids that exist, in no order.
	Users(ctx context.Context, ids []string) ([]*user.User, error)
}

// Ref says what to load.
type Ref struct {
	// SessionID is empty for a session that does not exist yet.
	SessionID string
	// UserID or LoginName name a user; with neither it is the session's own.
	UserID, LoginName string
	// CredentialID leads to the user whose key has that id, if nobody is named and the
	// session has no user yet.
	CredentialID []byte
	// Depth says how much of the user is needed.
	Depth Depth
	// IntentID is the intent to load; empty loads none.
	IntentID string
	// Subjects are those whose usage is needed. A first attempt names none and
	// assumes that nothing was sent, which the commit verifies.
	Subjects []sending.Subject
	// Counts are those to read, for who wants to know whether a message could leave. No
	// decision needs them, for the commit looks at them.
	Counts []sending.Count
	// Unused are counts of regions, to read for the same reason.
	Unused []sending.Unused
}

// Depth is how much of a user is loaded.
type Depth uint8

// The depths.
const (
	// GuardOnly loads what tells whether the session is alive.
	GuardOnly Depth = iota
	// WholeUser loads the user with all authenticators.
	WholeUser
)

// Loaded is what a decision starts from.
type Loaded struct {
	// Session is nil when there is none.
	Session *Session
	// Guard is that of the session's user; nil when none is bound or it is gone.
	Guard *user.Guard
	// User is the named user, or without a name the session's, at WholeUser; nil
	// when there is none.
	User *user.User
	// Intent is nil when there is none, or none was asked for.
	Intent *intent.Intent
	// Usage is what has been sent, as far as it was asked for.
	Usage map[sending.Subject]sending.Usage
	// Counted is what the counts have come to, as far as it was asked for; one that is
	// missing is at nothing.
	Counted map[sending.Count]sending.Tally
	// Unused is what the counts of regions have come to, likewise.
	Unused map[sending.Unused]sending.Standing
}

// Change is all that one decision writes.
type Change struct {
	// Old and New are the session before and after. New is nil when the session
	// stays as it is, Old is nil when it is created.
	Old, New *Session
	// Gone takes the old session away, as if it had never been created.
	Gone bool
	// OldUser and NewUser are the user before and after; the user is written when
	// their versions differ.
	OldUser, NewUser *user.User
	// Rely makes the commit fail when the user, though not changed by this
	// decision, has moved on.
	Rely bool
	// OldIntent and NewIntent are the intent before and after its use; nil when none is
	// used. The commit returns fault.Conflict when the stored one is not OldIntent.
	OldIntent, NewIntent *intent.Intent
	// Sends are the messages to count. The commit fails with fault.Conflict when
	// a usage is not the one that was assumed, and with the fault of its
	// scope, such as sending.ErrBudget, when a count is full.
	Sends []sending.Send
}

// UserChanged reports whether the user is to be written.
func (c Change) UserChanged() bool {
	return c.NewUser != nil && c.NewUser.Guard.Version != c.OldUser.Guard.Version
}

// empty reports whether there is nothing to commit and nothing to rely on.
func (c Change) empty() bool { return c.New == nil && !c.Gone && !c.UserChanged() && !c.Rely }

// SourceKind is where a list of sessions begins.
type SourceKind uint8

// The sources.
const (
	// EverySession is all sessions of the instance.
	EverySession SourceKind = iota
	// OfUser is the sessions bound to a user.
	OfUser
	// OfCreator is the sessions that a caller created.
	OfCreator
	// OfAgent is the sessions of a user agent's fingerprint.
	OfAgent
)

// Source selects sessions by one stored attribute.
type Source struct {
	Kind  SourceKind
	Value string
}

// Range selects the sessions of any of the sources and, when set, by the time they
// were created, both ends included.
type Range struct {
	Sources  []Source
	From, To time.Time
	// Descending begins with the newest.
	Descending bool
}
