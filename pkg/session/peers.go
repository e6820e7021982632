package session

import (
	"context"
	"slices"

	"github.com/stepup-auth/stepup/pkg/user"
)

// MaxPerUser is the most that Config.PerUser can be: each takes room in the user's guard.
const MaxPerUser = 50

// peers reads the sessions of the user that count, if one more may be one too many. Some
// of them may be over by themselves, and make room.
func (s *Service) peers(ctx context.Context, ref Ref, u *user.User) ([]*Session, error) {
	binds := ref.UserID != "" || ref.LoginName != "" || len(ref.CredentialID) > 0
	if !binds || s.c.PerUser == 0 || u == nil || len(u.Guard.Sessions) < s.c.PerUser || u.Guard.Admits(ref.SessionID) {
		return nil, nil
	}
	return s.c.Store.Sessions(ctx, u.Guard.Sessions)
}

// admit counts the session for the limit per user, in the write that binds it, so that
// there is no moment with one too many.
func (d *decision) admit() {
	if d.config.PerUser == 0 {
		return
	}
	d.session.Factors.User.Counted = true
	if d.user.Guard.Admits(d.session.ID) {
		return
	}
	d.user.Admit(d.session.ID, d.living(), d.config.PerUser, d.now)
}

// living returns the sessions that count, without those that are known to be over.
func (d *decision) living() []string {
	if len(d.user.Guard.Sessions) < d.config.PerUser {
		return d.user.Guard.Sessions
	}
	return slices.DeleteFunc(slices.Clone(d.user.Guard.Sessions), func(id string) bool {
		return !slices.ContainsFunc(d.peers, func(p *Session) bool {
			return p.ID == id && p.Factors.User.ID == d.user.ID && p.Factors.User.Counted &&
				!p.Ended(&d.user.Guard) && !p.Expired(d.now)
		})
	})
}
