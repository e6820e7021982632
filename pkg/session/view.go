package session

import (
	"context"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/assurance"
	"github.com/stepup-auth/stepup/pkg/user"
)

// View is a session as a reader sees it: only factors that count, and the user's
// names as they are now.
type View struct {
	*Session
	LoginName   string
	DisplayName string
	// Assurance is what the factors are worth now.
	Assurance assurance.Assurance
}

// Get returns a session. A given token decides alone; otherwise the caller must be
// its creator, its user, of its user agent, or have session.read where its user is.
// A caller without any of these gets the same fault whether the session exists or
// not. An expired session is returned until it is swept, a terminated one is not.
func (s *Service) Get(ctx context.Context, caller access.Caller, sessionID, token string) (View, error) {
	loaded, err := s.read(ctx, caller, sessionID, token)
	if err != nil {
		return View{}, err
	}
	return viewOf(loaded.Session, loaded.User, s.now()), nil
}

// read loads the session and its user, if the caller may read them.
func (s *Service) read(ctx context.Context, caller access.Caller, sessionID, token string) (Loaded, error) {
	var presented Token
	if token != "" {
		var genuine bool
		if presented, genuine = s.tokens.Parse(token); !genuine || presented.SessionID != sessionID {
			return Loaded{}, ErrReadToken
		}
	}
	loaded, err := s.c.Store.Load(ctx, Ref{SessionID: sessionID, Depth: WholeUser})
	if err != nil {
		return Loaded{}, err
	}
	if token == "" && !visible(caller, loaded.Session) {
		return Loaded{}, access.ErrForbidden
	}
	if loaded.Session == nil || loaded.Session.Ended(loaded.Guard) {
		return Loaded{}, ErrNotFound
	}
	if token != "" && !loaded.Session.HasToken(presented.ID) {
		return Loaded{}, ErrReadToken
	}
	return loaded, nil
}

// visible reports whether the caller may read the session without its token. For a
// session that is not there it answers as for one that belongs to nobody.
func visible(caller access.Caller, s *Session) bool {
	return s.belongsTo(caller) || caller.Can(access.SessionRead, s.organization())
}

// belongsTo reports whether the session is the caller's own: created by them, for
// them, or on their device.
func (s *Session) belongsTo(caller access.Caller) bool {
	if s == nil {
		return false
	}
	// Ids of users are chosen by callers and must not pass for those of API keys.
	return caller.UserID == "" && caller.ID != "" && caller.ID == s.Creator ||
		caller.IsUser(s.Factors.User.ID) ||
		caller.AgentID != "" && caller.AgentID == s.Agent.Fingerprint
}

func (s *Session) organization() string {
	if s == nil {
		return ""
	}
	return s.Factors.User.Organization
}

func viewOf(s *Session, u *user.User, now time.Time) View {
	v := View{Session: s.Clone()}
	if u != nil && s.Bound() {
		v.Factors.dropOutdated(&u.Guard)
		v.LoginName, v.DisplayName = u.LoginName(), u.DisplayName()
	}
	v.Assurance = assurance.Of(v.evidence(now))
	return v
}
