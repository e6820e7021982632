package session

import (
	"context"

	"github.com/stepup-auth/stepup/pkg/access"
	"github.com/stepup-auth/stepup/pkg/fault"
)

// Delete terminates a session; its token is dead at once. A given token decides
// alone, also the last one of a session that is deleted already. Without one the
// caller must be the session's creator, its user, of its user agent, or have
// session.delete where its user is. Deleting what is gone changes nothing.
func (s *Service) Delete(ctx context.Context, caller access.Caller, sessionID, token string) (Details, error) {
	var presented Token
	if token != "" {
		var genuine bool
		if presented, genuine = s.tokens.Parse(token); !genuine || presented.SessionID != sessionID {
			return Details{}, ErrDeleteToken
		}
	}
	var details Details
	err := s.c.Retry.OnConflict(ctx, func() error {
		loaded, err := s.c.Store.Load(ctx, Ref{SessionID: sessionID})
		if err != nil {
			return err
		}
		stored := loaded.Session
		if denied := mayDelete(caller, stored, token != "", presented.ID); denied != nil {
			return denied
		}
		if stored == nil {
			return nil
		}
		if !stored.TerminatedAt.IsZero() {
			details = stored.details()
			return nil
		}
		dead := stored.tombstone(s.now())
		details = dead.details()
		return s.c.Store.Commit(ctx, Change{Old: stored, New: dead})
	})
	return details, err
}

func mayDelete(caller access.Caller, s *Session, withToken bool, id TokenID) error {
	switch {
	case withToken && (s == nil || !s.HasToken(id)):
		return ErrDeleteToken
	case withToken, s.belongsTo(caller), caller.Can(access.SessionDelete, s.organization()):
		return nil
	default:
		return fault.From(access.ErrForbidden)
	}
}
