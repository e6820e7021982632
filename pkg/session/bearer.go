package session

import (
	"context"

	"github.com/stepup-auth/stepup/pkg/access"
)

// Authenticate returns the caller who presents a session token as bearer. The
// session must be alive, its token current, and its factors enough: at least one
// beyond naming the user, and two where the user has set up a second factor.
func (s *Service) Authenticate(ctx context.Context, token string) (access.Caller, error) {
	presented, genuine := s.tokens.Parse(token)
	if !genuine {
		return access.Caller{}, errBearerInvalid
	}
	loaded, err := s.c.Store.Load(ctx, Ref{SessionID: presented.SessionID, Depth: WholeUser})
	if err != nil {
		return access.Caller{}, err
	}
	stored := loaded.Session
	switch {
	case stored == nil, stored.Ended(loaded.Guard), !stored.HasToken(presented.ID):
		return access.Caller{}, errBearerInvalid
	case stored.Expired(s.now()):
		return access.Caller{}, errBearerExpired
	case !stored.Bound() || loaded.User == nil:
		return access.Caller{}, errBearerFactors
	}
	factors := viewOf(stored, loaded.User, s.now()).Factors
	switch {
	case !factors.Authenticated():
		return access.Caller{}, errBearerFactors
	case !factors.MultiFactor() && loaded.User.HasSecondFactor():
		return access.Caller{}, errBearerTooFew
	}
	return access.Caller{
		ID:           loaded.User.ID,
		Organization: loaded.User.Organization,
		UserID:       loaded.User.ID,
		SessionID:    stored.ID,
		AgentID:      stored.Agent.Fingerprint,

		AuthenticatedAt: factors.LastVerified(),
	}, nil
}
