package session

import (
	"context"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/assurance"
	"github.com/stepup-auth/stepup/pkg/fault"
	"github.com/stepup-auth/stepup/pkg/user"
)

// ErrInsufficient refuses a session that does not meet what was required of it. Its
// cause is an *Unmet.
var ErrInsufficient = fault.New(fault.FailedPrecondition, "STEPUP-insufficient-user-authentication",
	"The session does not meet the authentication requirement")

// Unmet says what a session lacks of a requirement.
type Unmet struct {
	Requirement assurance.Requirement
	// Steps are those that the session's user can take now, the cheapest first. They are
	// empty when none lead there, and for callers who may not know what the user has.
	Steps []assurance.Step
}

// Error implements error; it names nobody.
func (*Unmet) Error() string { return "session: requirement not met" }

// gate is a requirement, nil for none, and who asks for a step.
type gate struct {
	requirement *assurance.Requirement
	caller      access.Caller
}

// tells reports whether the caller may know what the user has set up: who may read users,
// and the user.
func (g gate) tells(u *user.User) bool {
	return u != nil && (g.caller.IsUser(u.ID) || g.caller.Can(access.UserRead, u.Organization))
}

// GetMeeting is Get of a session that has to meet the requirement. It returns
// ErrInsufficient when it does not.
func (s *Service) GetMeeting(ctx context.Context, caller access.Caller, sessionID, token string, r assurance.Requirement) (View, error) {
	loaded, err := s.read(ctx, caller, sessionID, token)
	if err != nil {
		return View{}, err
	}
	now := s.now()
	v := viewOf(loaded.Session, loaded.User, now)
	if !r.Met(v.evidence(now), now) {
		return View{}, ErrInsufficient.Wrap(s.unmet(ctx, gate{&r, caller}, standing{v.Session, loaded.User, now}))
	}
	return v, nil
}

// closed reports whether the step leaves the requirement unmet.
func (d *decision) closed() bool {
	r := d.gate.requirement
	return r != nil && !r.Met(d.session.evidence(d.now), d.now)
}

// hold ends a step whose requirement is not met. Its checks and challenges are the way
// to meet it, and are kept: what a check found out is never told without being counted.
// All else in it was for a session that meets the requirement, and is left out. A step
// without any of them is refused.
func (d *decision) hold() (*fault.Fault, error) {
	d.held = true
	if !d.changed {
		return ErrInsufficient, nil
	}
	return nil, d.advance()
}

// explain adds to a denial what a caller can do about it.
func (s *Service) explain(ctx context.Context, d *decision, denied *fault.Fault) error {
	if !d.held {
		return s.instead(ctx, d, denied)
	}
	return denied.Wrap(s.lacks(ctx, d))
}

// lacks returns what the step leaves unmet, nil when nothing.
func (s *Service) lacks(ctx context.Context, d *decision) *Unmet {
	if !d.held {
		return nil
	}
	return s.unmet(ctx, d.gate, standing{d.session, d.user, d.now})
}

// standing is where a session stands. The user is the session's, nil when there is none.
type standing struct {
	*Session

	user *user.User
	now  time.Time
}

// unmet looks for a way.
func (s *Service) unmet(ctx context.Context, g gate, at standing) *Unmet {
	u := &Unmet{Requirement: *g.requirement}
	switch {
	case at.Expired(at.now):
	case !at.Bound():
		u.Steps = []assurance.Step{{Option: assurance.Option{Factor: "user"}, Why: assurance.NoUser}}
	case g.tells(at.user):
		u.Steps = g.requirement.Steps(at.evidence(at.now), s.options(ctx, at), at.now)
	}
	return u
}
