package session

import (
	"time"

	"github.com/stepup-auth/stepup/pkg/assurance"
)

// evidence is what the factors prove. Those that no longer count must have been dropped
// before.
func (f Factors) evidence() assurance.Evidence {
	e := assurance.Evidence{
		Verified:     make(map[assurance.Factor]time.Time),
		UserVerified: f.Key.verifiesUser(),
		DeviceBound:  f.Key.DeviceBound,
	}
	for factor, at := range map[assurance.Factor]time.Time{
		assurance.Password: f.Password,
		assurance.External: f.Intent,
		assurance.Key:      f.Key.VerifiedAt,
		assurance.TOTP:     f.TOTP,
		assurance.SMS:      f.SMS,
		assurance.Email:    f.Email,
		assurance.Recovery: f.Recovery,
	} {
		if !at.IsZero() {
			e.Verified[factor] = at
		}
	}
	return e
}

// evidence is what the session proves: nothing once it is over. Whether its user ended
// it is for the caller to see first.
func (s *Session) evidence(now time.Time) assurance.Evidence {
	if s.Expired(now) || !s.TerminatedAt.IsZero() {
		return assurance.Evidence{}
	}
	return s.Factors.evidence()
}
