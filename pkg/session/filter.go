package session

import (
	"slices"
	"time"

	"github.com/stepup-auth/stepup/pkg/access"
)

// Filter is one condition of a search.
type Filter interface {
	// Match reports whether the session fulfils the condition.
	Match(s *Session) bool
}

// The filters (wire contract, section 2.5).
type (
	// IDs matches any of the session ids.
	IDs []string
	// OfUserID matches sessions bound to the user.
	OfUserID string
	// OfCreatorID matches sessions that the caller with the id created.
	OfCreatorID string
	// OfFingerprint matches sessions of the user agent.
	OfFingerprint string
	// CreatedAt compares the creation time.
	CreatedAt struct {
		Comparison Comparison
		Time       time.Time
	}
	// ExpiresAt compares the expiry. Later and LaterOrEqual also match sessions
	// that never expire, the others never do.
	ExpiresAt struct {
		Comparison Comparison
		Time       time.Time
	}
)

// Comparison is how a session's time is compared with the operand.
type Comparison uint8

// The comparisons, numbered as in the wire contract (enum TimestampQueryMethod).
const (
	Equal Comparison = iota
	Later
	LaterOrEqual
	Earlier
	EarlierOrEqual
)

// Valid returns a fault of kind InvalidArgument for an unknown comparison.
func (c Comparison) Valid() error {
	if c > EarlierOrEqual {
		return errListComparison
	}
	return nil
}

func (c Comparison) holds(t, operand time.Time) bool {
	switch order := t.Compare(operand); c {
	case Later:
		return order > 0
	case LaterOrEqual:
		return order >= 0
	case Earlier:
		return order < 0
	case EarlierOrEqual:
		return order <= 0
	default:
		return order == 0
	}
}

// Match implements Filter.
func (f IDs) Match(s *Session) bool { return slices.Contains(f, s.ID) }

// Match implements Filter.
func (f OfUserID) Match(s *Session) bool { return s.Bound() && s.Factors.User.ID == string(f) }

// Match implements Filter.
func (f OfCreatorID) Match(s *Session) bool { return s.Creator == string(f) }

// Match implements Filter.
func (f OfFingerprint) Match(s *Session) bool { return s.Agent.Fingerprint == string(f) }

// Match implements Filter.
func (f CreatedAt) Match(s *Session) bool { return f.Comparison.holds(s.Created, f.Time) }

// Match implements Filter.
func (f ExpiresAt) Match(s *Session) bool {
	if s.ExpiresAt.IsZero() {
		return f.Comparison == Later || f.Comparison == LaterOrEqual
	}
	return f.Comparison.holds(s.ExpiresAt, f.Time)
}

// CreatorFilter returns the filter for a creator: the caller when id is nil. It
// returns a fault of kind InvalidArgument for an empty id.
func CreatorFilter(id *string, caller access.Caller) (Filter, error) {
	if id == nil {
		id = &caller.ID
	}
	if *id == "" {
		return nil, errListCreator
	}
	return OfCreatorID(*id), nil
}

// AgentFilter returns the filter for a user agent: the caller's own when the
// fingerprint is nil. It returns a fault of kind InvalidArgument when that leaves
// none.
func AgentFilter(fingerprint *string, caller access.Caller) (Filter, error) {
	if fingerprint == nil {
		fingerprint = &caller.AgentID
	}
	if *fingerprint == "" {
		return nil, errListUserAgent
	}
	return OfFingerprint(*fingerprint), nil
}

// Limits on what one search can ask for: every filter is held against every session that
// comes into question, and what asks for too much is refused before any is read.
const (
	maxFilters = 50
	maxIDs     = MaxPage // of all filters together
)

// checkFilters returns a fault of kind InvalidArgument for more than one search can ask for.
func checkFilters(filters []Filter) error {
	if len(filters) > maxFilters {
		return errListFilters
	}
	named := 0
	for _, f := range filters {
		if ids, ok := f.(IDs); ok {
			named += len(ids)
		}
	}
	if named > maxIDs {
		return errListLimit
	}
	return nil
}

// createdRange returns the smallest range, both ends included, that holds every
// creation time the filters allow; a zero end is open.
func createdRange(filters []Filter) (from, to time.Time) {
	for _, f := range filters {
		c, ok := f.(CreatedAt)
		if !ok {
			continue
		}
		if c.Comparison <= LaterOrEqual && c.Time.After(from) {
			from = c.Time
		}
		if (c.Comparison == Equal || c.Comparison >= Earlier) && (to.IsZero() || c.Time.Before(to)) {
			to = c.Time
		}
	}
	return from, to
}
