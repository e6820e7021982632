package session

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/stepup-auth/stepup/pkg/assurance"
)

// Limit is how long a session may last at one assurance level. 0 is no limit.
type Limit struct {
	// Max counts from the authentication.
	Max time.Duration
	// Idle counts from the last step that changed the session.
	Idle time.Duration
}

// Limits are those of the levels AAL1 to AAL3 of NIST SP 800-63B-4. A session in which
// nothing is verified yet has that of AAL1, from its creation. The zero Limits limit
// nothing.
type Limits [3]Limit

// NISTLimits are those of NIST SP 800-63B-4, sections 2.1.3, 2.2.3 and 2.3.3 (rows S3
// and S4).
func NISTLimits() Limits {
	return Limits{{Max: 30 * 24 * time.Hour}, {Max: 24 * time.Hour, Idle: time.Hour}, {Max: 12 * time.Hour, Idle: 15 * time.Minute}}
}

var (
	errLimitNegative = errors.New("is below zero")
	errLimitIdle     = errors.New("has an idle time beyond its end")
)

// Validate returns an error that names the level whose limit makes no sense.
func (l Limits) Validate() error {
	for i, limit := range l {
		switch {
		case limit.Max < 0 || limit.Idle < 0:
			return fmt.Errorf("AAL%d %w", i+1, errLimitNegative)
		case limit.Max > 0 && limit.Idle > limit.Max:
			return fmt.Errorf("AAL%d %w", i+1, errLimitIdle)
		}
	}
	return nil
}

// end returns when a session that is active now is over by the limits; zero for never. A
// level counts while the authentication that gives it is not too old. Once it is, what
// was verified last has the limit of the level below, so that a step up with an old
// factor does not end the session that it steps up.
func (l Limits) end(s *Session, now time.Time) time.Time {
	for level := s.Factors.level(); level > 0; level-- {
		if end := l[level-1].end(s.Factors.authenticated(level), now); end.IsZero() || end.After(now) {
			return end
		}
	}
	return l[0].end(latest(s.Created, s.Factors.LastVerified()), now)
}

func (l Limit) end(authenticated, now time.Time) time.Time {
	var end time.Time
	if l.Max > 0 {
		end = authenticated.Add(l.Max)
	}
	if idle := now.Add(l.Idle); l.Idle > 0 && (end.IsZero() || idle.Before(end)) {
		end = idle
	}
	return end
}

// level is the assurance level of the factors, 0 for none.
func (f Factors) level() int { return int(assurance.Of(f.evidence()).AAL) }

// authenticated returns the latest time since when the factors by themselves give the
// level. A factor that is verified again moves it only where the level rests on that
// one, so that all that the level needs has to be renewed to renew the session.
func (f Factors) authenticated(level int) time.Time {
	var all []time.Time
	for _, at := range f.times() {
		all = append(all, *at)
	}
	slices.SortFunc(all, func(a, b time.Time) int { return b.Compare(a) })
	for _, at := range all {
		if f.since(at).level() >= level {
			return at
		}
	}
	return time.Time{}
}

// since returns the factors without those that were last verified before the time.
func (f Factors) since(t time.Time) Factors {
	for _, at := range f.times() {
		if at.Before(t) {
			*at = time.Time{}
		}
	}
	return f
}

// times are when each factor was last verified.
func (f *Factors) times() []*time.Time {
	return []*time.Time{&f.Password, &f.Intent, &f.TOTP, &f.SMS, &f.Email, &f.Recovery, &f.Key.VerifiedAt}
}

// ask makes the session expire then, unless a limit comes before.
func (s *Session) ask(end time.Time) { s.ExpiresAt, s.Asked, s.Limited = end, time.Time{}, false }

// limit makes the session expire as was asked for, or by the limits where that is
// earlier.
func (s *Session) limit(l Limits, now time.Time) {
	if s.Limited {
		s.ask(s.Asked)
	}
	if end := l.end(s, now); !end.IsZero() && (s.ExpiresAt.IsZero() || end.Before(s.ExpiresAt)) {
		s.ExpiresAt, s.Asked, s.Limited = end, s.ExpiresAt, true
	}
}
