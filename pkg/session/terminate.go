package session

import (
	"context"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/user"
)

// Terminate says which sessions of a user end.
type Terminate struct {
	UserID string
	// Fingerprint, when set, spares the sessions of all other user agents.
	Fingerprint string
	// KeepID, when set, spares a session of the user, which has to be alive.
	KeepID string
}

// Terminated says what was ended.
type Terminated struct {
	At time.Time
	// EveryAgent says that the sessions of every user agent ended, asked for or not; see
	// user.User.EndSessionsOf.
	EveryAgent bool
}

// Terminate ends sessions of a user in one write, without reading them: whoever presents
// one is told from the next call on that it is over. Users may end their own, everybody
// else needs session.delete where the user is. It returns user.ErrNotFound for an unknown
// user and for one out of the caller's reach, and ErrKeep.
func (s *Service) Terminate(ctx context.Context, caller access.Caller, c Terminate) (Terminated, error) {
	if !caller.IsUser(c.UserID) {
		if err := caller.RequireAnywhere(access.SessionDelete); err != nil {
			return Terminated{}, err
		}
	}
	var done Terminated
	err := s.c.Retry.OnConflict(ctx, func() error {
		loaded, err := s.c.Store.Load(ctx, Ref{SessionID: c.KeepID, UserID: c.UserID, Depth: WholeUser})
		if err != nil {
			return err
		}
		if u := loaded.User; u == nil || !caller.IsUser(u.ID) && !caller.Can(access.SessionDelete, u.Organization) {
			return user.ErrNotFound
		}
		now := s.now()
		if c.KeepID != "" && !c.keeps(loaded, now) {
			return ErrKeep
		}
		change, every := c.change(loaded, now)
		done = Terminated{At: now, EveryAgent: every}
		return s.c.Store.Commit(ctx, change)
	})
	return done, err
}

// keeps reports whether there is something to keep: a session of the user that is alive.
func (c Terminate) keeps(l Loaded, now time.Time) bool {
	s := l.Session
	return s != nil && s.Factors.User.ID == c.UserID && !s.Ended(l.Guard) && !s.Expired(now)
}

// change ends the sessions, and binds the one that is kept to the epoch that follows. To
// its bearer it is as before, so that only its revision counts up.
func (c Terminate) change(l Loaded, now time.Time) (change Change, every bool) {
	change = Change{OldUser: l.User, NewUser: l.User.Clone()}
	if c.Fingerprint == "" {
		change.NewUser.EndSessions(now)
		every = true
	} else {
		every = change.NewUser.EndSessionsOf(c.Fingerprint, now)
	}
	if c.KeepID != "" {
		change.Old, change.New = l.Session, l.Session.Clone()
		change.New.Revision++
		change.New.Factors.User.Epoch = change.NewUser.Guard.EpochOf(l.Session.Agent.Fingerprint)
		if l.Session.Factors.User.Counted && every {
			change.NewUser.Guard.Sessions = []string{c.KeepID}
		}
	}
	return change, every
}
