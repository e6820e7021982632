package assurance

import (
	"maps"
	"slices"
	"time"

	"github.com/stepup-auth/stepup/pkg/fault"
)

// Any stands in Requirement.MaxAge for every factor that has no age of its own.
const Any Factor = "*"

// Requirement is what a caller asks of a session. The zero Requirement is invalid, and
// so is one that names what does not exist; an invalid one is better refused than asked.
type Requirement struct {
	// MinAAL is the least level. Where neither it nor AnyOf is given it is 1, so that an
	// age alone asks for an authentication of at most that age.
	MinAAL Level
	// MaxAge is how long ago a factor may have been verified to count at all.
	MaxAge map[Factor]time.Duration
	// AnyOf are sets of factors, one of which must have been verified in full; empty
	// asks for none.
	AnyOf [][]Factor
}

// Faults of a requirement that makes no sense.
var (
	errNothing = fault.New(fault.InvalidArgument, "STEPUP-require", "require: must name min_aal, max_age or any_of")
	errLevel   = fault.New(fault.InvalidArgument, "STEPUP-require", "require.min_aal: must be between 0 and 3")
	errAge     = fault.New(fault.InvalidArgument, "STEPUP-require", "require.max_age: must be greater than 0s")
	errAgeOf   = fault.New(fault.InvalidArgument, "STEPUP-require", "require.max_age: keys must be factors, or * for all others")
	errSets    = fault.New(fault.InvalidArgument, "STEPUP-require", "require.any_of: must hold at most 16 sets")
	errSet     = fault.New(fault.InvalidArgument, "STEPUP-require", "require.any_of: each set must be factors with commas between")
)

// maxSets bounds the work that one request can ask for.
const maxSets = 16

// Validate returns a fault of kind InvalidArgument that names the field which makes no
// sense.
func (r Requirement) Validate() error {
	switch {
	case r.MinAAL == 0 && len(r.MaxAge) == 0 && len(r.AnyOf) == 0:
		return errNothing
	case r.MinAAL > 3:
		return errLevel
	case len(r.AnyOf) > maxSets:
		return errSets
	}
	for f, age := range r.MaxAge {
		if f != Any && !f.exists() {
			return errAgeOf
		}
		if age <= 0 {
			return errAge
		}
	}
	for _, set := range r.AnyOf {
		if len(set) == 0 || slices.ContainsFunc(set, func(f Factor) bool { return !f.exists() }) {
			return errSet
		}
	}
	return nil
}

func (f Factor) exists() bool { return slices.Contains(Factors(), f) }

// Met reports whether the evidence is enough at the time.
func (r Requirement) Met(e Evidence, now time.Time) bool {
	e = r.fresh(e, now)
	enough := len(r.AnyOf) == 0 || slices.ContainsFunc(r.AnyOf, func(set []Factor) bool { return e.Has(set...) })
	return enough && e.level() >= r.level()
}

func (r Requirement) level() Level {
	if r.MinAAL == 0 && len(r.AnyOf) == 0 {
		return 1
	}
	return r.MinAAL
}

// fresh is the evidence that is not too old.
func (r Requirement) fresh(e Evidence, now time.Time) Evidence {
	if len(r.MaxAge) == 0 {
		return e
	}
	e.Verified = maps.Clone(e.Verified)
	maps.DeleteFunc(e.Verified, func(f Factor, at time.Time) bool {
		age, limited := r.MaxAge[f]
		if !limited {
			age, limited = r.MaxAge[Any]
		}
		return limited && now.Sub(at) > age
	})
	return e
}

// ACRValues are the classes that the requirement accepts, the least first (RFC 9470,
// section 3); none where it asks for no level.
func (r Requirement) ACRValues() []string {
	var all []string
	for l := r.level(); l > 0 && l <= 3; l++ {
		all = append(all, l.ACR())
	}
	return all
}

// ShortestAge is the least of the ages, which is what a client can be told in the one
// number of RFC 9470; zero where there is none.
func (r Requirement) ShortestAge() time.Duration {
	if len(r.MaxAge) == 0 {
		return 0
	}
	return slices.Min(slices.Collect(maps.Values(r.MaxAge)))
}
